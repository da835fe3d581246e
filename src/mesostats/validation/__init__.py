"""Validation: what is wrong with a clinic's data, row by row, and what to do about it.

The rows are checked against the tables' contracts by pandera, keys and cross-table rules by queries on the engine. Nothing is
corrected, converted or dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesostats.validation.dates import check_dates
from mesostats.validation.keys import check_keys, check_references
from mesostats.validation.outcomes import check_outcomes
from mesostats.validation.privacy import check_privacy
from mesostats.validation.report import ValidationReport, report
from mesostats.validation.rows import check_rows
from mesostats.validation.sequence import check_sequence
from mesostats.validation.side_effects import check_side_effects
from mesostats.validation.texts import check_texts
from mesostats.validation.treatment import check_treatment, check_verbatims
from mesostats.validation.units import check_units

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesostats.dataset import Dataset
    from mesostats.validation.findings import Finding

__all__ = ["ValidationReport", "validate"]


def validate(clinic: Dataset) -> ValidationReport:
    """Check a clinic's data against the tables' contracts and against each other.

    Parameters
    ----------
    clinic
        The clinic.

    Returns
    -------
    ValidationReport
        Its ``defects`` say where, what was found and what to do; ``ok`` is false where there is an error.

    Notes
    -----
    A row that one rule has found breaks no other rule by that alone: a copy is not a second session, a course with an
    unreadable date is not judged for its order.

    Examples
    --------
    >>> import pandas as pd
    >>> from mesostats.dataset import Dataset
    >>> clinic = Dataset(
    ...     patients=pd.DataFrame({"patient_id": ["P1"]}),
    ...     courses=pd.DataFrame(
    ...         {"course_id": ["C1"], "patient_id": ["P1"], "indication": ["melasmaa"], "start_date": ["2024-01-01"]}
    ...     ),
    ...     sessions=pd.DataFrame(
    ...         {"session_id": ["S1"], "course_id": ["C1"], "date": ["2024-01-03"], "status": ["attended"]}
    ...     ),
    ... )
    >>> validate(clinic).defects[["table", "rule", "found", "action"]].iloc[0].to_list()
    ['courses', 'unknown_code', 'melasmaa', "Use one of the listed codes; did you mean 'melasma'?"]
    """
    return report(_findings(clinic))


def _findings(clinic: Dataset) -> Iterator[Finding]:
    for table in clinic.names:
        yield from check_texts(clinic, table)
        yield from check_rows(clinic, table)
        yield from check_keys(clinic, table)
        yield from check_references(clinic, table)
        yield from check_privacy(clinic, table)
        yield from check_units(clinic, table)
    yield from check_dates(clinic)
    yield from check_sequence(clinic)
    yield from check_treatment(clinic)
    if "outcomes" in clinic.names:
        yield from check_outcomes(clinic)
    if "adverse_events" in clinic.names:
        yield from check_side_effects(clinic)
        yield from check_verbatims(clinic)
