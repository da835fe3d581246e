"""Outcomes: a baseline for each instrument, values within its range, a declared direction, one unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import pandas as pd

from mesostats.engine import ROW, TEXT
from mesostats.validation.findings import look, marks
from mesostats.validation.tables import checked
from mesostats.validation.visits import sound_courses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesostats.dataset import Dataset
    from mesostats.validation.findings import Finding
    from mesostats.vocabulary import Instrument

_SAME: Final = ["course_id", "instrument"]


def check_outcomes(clinic: Dataset) -> Iterator[Finding]:
    """Look at the assessments.

    Parameters
    ----------
    clinic
        The clinic, with outcomes.

    Yields
    ------
    Finding
        ``baseline_missing``, ``outside_instrument`` and ``direction_undeclared``.
    """
    yield from look("baseline_missing", "outcomes", "date", _without_baseline(clinic))
    yield from look("outside_instrument", "outcomes", "value", _outside(clinic))
    yield from look("direction_undeclared", "outcomes", "instrument", _undeclared(clinic))


def _needs_baseline(instrument: Instrument) -> bool:
    level = instrument.responder is not None and instrument.responder.kind == "level"
    return instrument.direction is not None and not level


def _without_baseline(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return the first assessment of each course and instrument that has none up to the first session.

    A value that is there but cannot be read counts, and an unread date may be that of the baseline: other rules speak of both.
    """
    codes = [code for code, each in clinic.vocabulary.instruments.items() if _needs_baseline(each)]
    outcomes = checked(clinic, "outcomes")
    there = ~nw.col("value").is_null()
    if TEXT + "value" in outcomes.collect_schema().names():
        there = there | ~nw.col(TEXT + "value").is_null()
    scored = outcomes.filter(there, nw.col("instrument").is_in([*codes, ""]))
    dated = scored.join(sound_courses(clinic), on="course_id")
    before = (nw.col("date") <= nw.col("first_date")) | nw.col("date").is_null()
    counted = dated.with_columns(before=nw.when(before).then(1).otherwise(0))
    lacking = counted.group_by(_SAME).agg(n_before=nw.col("before").sum()).filter(nw.col("n_before") == 0)
    first = dated.join(lacking, on=_SAME, how="semi").unique(_SAME, keep="first", order_by=["date", ROW])
    return first.select(*marks("outcome_id"), "instrument", "date", "first_date")


def _outside(clinic: Dataset) -> nw.LazyFrame[Any]:
    instruments = clinic.vocabulary.instruments.values()
    rows = [(each.code, each.minimum, each.maximum) for each in instruments]
    ranges = pd.DataFrame(rows, columns=["instrument", "minimum", "maximum"])
    typed = ranges.astype({"instrument": "string", "minimum": "Float64", "maximum": "Float64"})
    outcomes = checked(clinic, "outcomes")
    bounded = outcomes.join(clinic.engine.small(typed, outcomes), on="instrument")
    value = nw.col("value")
    outside = bounded.filter((value < nw.col("minimum")) | (value > nw.col("maximum")))
    return outside.select(*marks("outcome_id"), "value", "instrument", "minimum", "maximum")


def _undeclared(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return one row an instrument that is used and of which nobody said whether higher or lower is better."""
    codes = [code for code, each in clinic.vocabulary.instruments.items() if each.direction is None]
    used = checked(clinic, "outcomes").filter(nw.col("instrument").is_in([*codes, ""]))
    counts = used.group_by("instrument").agg(row=nw.col(ROW).min(), n=nw.len())
    return counts.select("row", nw.lit(None).cast(nw.String).alias("key"), "instrument", "n")
