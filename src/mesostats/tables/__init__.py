"""Display tables: a `Result` in, a `great_tables.GT` out. Numbers are rounded for display, never before."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pandas as pd

from mesostats.layout import shown
from mesostats.tables.attendance import adherence_sheet, gaps_sheet, histories_sheet, received_sheet
from mesostats.tables.baselines import baseline_sheet
from mesostats.tables.changes import change_sheet, error_sheet, visit_sheet
from mesostats.tables.comparisons import comparison_sheet
from mesostats.tables.doses import doses_sheet
from mesostats.tables.exposures import exposure_sheet
from mesostats.tables.general import general_sheet
from mesostats.tables.grades import grades_sheet
from mesostats.tables.leaving import (
    disposition_sheet,
    flow_sheet,
    scenario_sheet,
    stopping_sheet,
)
from mesostats.tables.missing_outcomes import methods_sheet, tipping_sheet
from mesostats.tables.models import model_sheet, prediction_sheet
from mesostats.tables.notes import cutoff_line
from mesostats.tables.profiles import profile_sheet
from mesostats.tables.reasons import reasons_sheet
from mesostats.tables.response_times import durability_sheet, time_sheet
from mesostats.tables.responses import compared_sheet, subgroup_sheet
from mesostats.tables.returns import return_sheet
from mesostats.tables.sheet import Sheet, displayed
from mesostats.tables.watching import watching_sheet

if TYPE_CHECKING:
    from great_tables import GT

    from mesostats.results import Result

__all__ = ["sheet_of", "table"]

_MOST_ROWS: Final = 60
_SHEETS: Final = {
    "compare_adverse_events": comparison_sheet,
    "adverse_event_profile": profile_sheet,
    "exposure_effect": exposure_sheet,
    "adherence": adherence_sheet,
    "session_gaps": gaps_sheet,
    "sessions_received": received_sheet,
    "course_histories": histories_sheet,
    "disposition": disposition_sheet,
    "patient_flow": flow_sheet,
    "dropout_reasons": reasons_sheet,
    "before_stopping": stopping_sheet,
    "dropout_sensitivity": scenario_sheet,
    "dropout_model": model_sheet,
    "predicted_retention": prediction_sheet,
    "return_for_repeat": return_sheet,
    "compare_response": compared_sheet,
    "subgroup_response": subgroup_sheet,
    "response_scenarios": methods_sheet,
    "tipping_point": tipping_sheet,
    "change_from_baseline": change_sheet,
    "change_by_visit": visit_sheet,
    "change_beyond_error": error_sheet,
    "compare_grades": grades_sheet,
    "time_to_response": time_sheet,
    "durability": durability_sheet,
    "response_by_sessions": doses_sheet,
    "baseline_table": baseline_sheet,
}


def table(result: Result, *, title: str | None = None, most: int | None = None) -> GT:
    """Make the display table of a result.

    Parameters
    ----------
    result
        What an analysis returned.
    title
        Heads the table; the result's own title by default.
    most
        How many kinds of event (or rows of a long list) are shown, those with the most events; of signals those with the
        strongest evidence. 60, of signals 20, if not given. The table says how many are left out.

    Returns
    -------
    great_tables.GT
        n/N, estimate and interval a group; comparisons beside the groups compared; severities, signals and estimators each in
        the form that reports give them. Notes as footnotes; method, population and data cut beneath. What could not be
        estimated is a dash with its footnote. Rates are shown per 100. A long curve shows a dozen of its times, and says so.

    Raises
    ------
    ValueError
        If `most` is below 1.

    Examples
    --------
    >>> import pandas as pd
    >>> from mesostats.results import Result, contract
    >>> row = {"arm": ["A"], "estimand": ["response"], "estimate": [0.625], "numerator": [35], "denominator": [56]}
    >>> spec = {"analysis": "response", "title": "Who responded?", "cutoff": "2025-06-30"}
    >>> result = Result(contract(pd.DataFrame(row), ["arm"]), spec, lambda cell: pd.DataFrame())
    >>> "35/56" in table(result).as_raw_html()
    True
    """
    identity = _identity(result, title, most)
    return displayed(sheet_of(result, most), title=title or result.spec["title"], identity=identity)


def sheet_of(result: Result, most: int | None = None) -> Sheet:
    """Return the texts of a result's display table, for any medium.

    Parameters
    ----------
    result, most
        As of `table`.

    Returns
    -------
    Sheet

    Raises
    ------
    ValueError
        If `most` is below 1.
    """
    if most is not None and most < 1:
        msg = f"most == {most}, must be 1 or more: it is how many rows are shown"
        raise ValueError(msg)
    if shown(result).empty:
        return Sheet(
            pd.DataFrame({"_stub": ["nothing to show"]}),
            {"_stub": ""},
            [],
            sources=[*_reasons(result), cutoff_line(result)],
        )
    if result.spec["analysis"] == "signals":
        return watching_sheet(result, most)
    if result.spec["analysis"] == "care_rule_effects":
        return _care_rules_sheet(result, most or _MOST_ROWS)
    kind = "response_scenarios" if "strategies" in result.spec else result.spec["analysis"]
    return _SHEETS.get(kind, general_sheet)(result, most or _MOST_ROWS)


def _reasons(result: Result) -> list[str]:
    """Return why a result holds nothing, where it says so."""
    return [f"Not compared: {what} ({why})." for what, why in result.spec.get("not_compared", {}).items()]


def _care_rules_sheet(result: Result, most: int) -> Sheet:
    """Return risks and their difference a rule, with what they were adjusted for."""
    frame = result.estimates
    kept = frame["estimand"].isin(["crude_risk", "adjusted_risk", result.spec["primary"]])
    sheet = general_sheet(replace(result, estimates=frame[kept].reset_index(drop=True)), most)
    told = ("Of a care rule", "Adjusted for", "What was not")
    lines = [rule for rule in result.spec["rules"] if rule.startswith(told)]
    return replace(sheet, sources=[*lines, *_reasons(result), *sheet.sources])


def _identity(result: Result, title: str | None, most: int | None) -> str:
    """Return an HTML id that is the same for the same table: great_tables' own is drawn at random."""
    content = f"{title}{most}{result.spec['title']}{result.estimates.to_csv()}"
    return "table-" + hashlib.sha256(content.encode()).hexdigest()[:12]
