"""Assessments at planned visits: each course's value on planned days, or after planned numbers of sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.assessments import TAKEN, Endpoint, rules, scored_courses, usable_assessments
from mesostats.attendance import attended_visits
from mesostats.estimators.arguments import check_choice
from mesostats.outcomes.questions import instruments_of
from mesostats.populations import grouping
from mesostats.results import ESTIMATE_COLUMNS
from mesostats.schedule import course_timeline, cutoff_day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesostats.assessments import Scoring
    from mesostats.dataset import Dataset

VisitTime = Literal["day", "session"]
Window = int | Literal["nearest"] | None

OWN: Final = frozenset({"visit", "change", "attended", "planned", "reason", "visit_due"})
"""Names of columns of `visit_values` besides those of `scored_courses`: none of them can be grouped by."""
_DEFAULTS: Final = {"day": 14, "session": 60}


@dataclass(frozen=True)
class Visits:
    """Planned visits.

    Parameters
    ----------
    planned
        Days after the first attended session, or numbers of attended sessions: above 0, in order.
    time
        Which of the two.
    window
        Days around a planned day, or after the last session of a course; None: each assessment belongs to the nearest
        visit, however far.
    """

    planned: tuple[int, ...]
    time: VisitTime
    window: int | None

    def describe(self) -> str:
        """Return in words which assessment is taken."""
        if self.time == "session":
            return (
                "Visits: the last assessment after so many attended sessions and on or before the next one, up to "
                f"{self.window} days after the last one."
            )
        days = ", ".join(map(str, self.planned))
        limit = (
            "each assessment at the visit nearest to it"
            if self.window is None
            else f"within {self.window} days"
        )
        return f"Visits: the assessment nearest to days {days} after the first session, {limit}."

    @property
    def edges(self) -> list[float]:
        """The first day nearest to each planned day but the first: of two as near, the later visit."""
        return [(before + after) / 2 for before, after in zip(self.planned, self.planned[1:], strict=False)]

    @property
    def closings(self) -> list[float]:
        """The last day on which an assessment could be one of each planned day, for judging whether it is due."""
        if self.window is not None:
            return [day + self.window for day in self.planned]
        last = self.planned[-1]
        return [*self.edges, 2.0 * last - self.edges[-1] if self.edges else float(last)]


@dataclass(frozen=True)
class VisitQuestion:
    """Instruments, planned visits and grouping columns."""

    columns: tuple[str, ...]
    scorings: tuple[Scoring, ...]
    visits: Visits


def visit_question(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None,
    instrument: str | Sequence[str] | None,
    visits: Sequence[int],
    time: VisitTime,
    window: Window,
) -> VisitQuestion:
    """Check what is asked of the outcomes of a data set at planned visits.

    Raises
    ------
    DataError
        If the table outcomes is absent.
    VocabularyError
        If an instrument is not in the vocabulary.
    ValueError
        If an argument is not as described.
    """
    clinic.require("outcomes")
    check_choice(time, get_args(VisitTime), "time")
    planned = tuple(visits)
    whole = all(isinstance(each, int) and not isinstance(each, bool) and each > 0 for each in planned)
    if not planned or not whole or list(planned) != sorted(set(planned)):
        msg = f"visits are whole numbers above 0 in increasing order, found {list(planned)}"
        raise ValueError(msg)
    if window == "nearest" and time == "session":
        msg = "window 'nearest' is for days; for sessions give a number of days after the last session"
        raise ValueError(msg)
    if window is not None and window != "nearest" and (not isinstance(window, int) or window < 0):
        msg = f"window is a number of days, not negative, or 'nearest', found {window!r}"
        raise ValueError(msg)
    days = None if window == "nearest" else _DEFAULTS[time] if window is None else window
    columns = grouping(by, taken={*TAKEN, *OWN, *ESTIMATE_COLUMNS})
    scorings = tuple(rules(clinic, instruments_of(clinic, instrument), None))
    return VisitQuestion(columns, scorings, Visits(planned, time, days))


def visit_values(clinic: Dataset, asked: VisitQuestion) -> nw.LazyFrame[Any]:
    """Return one row a treated course, instrument that suits it, and planned visit.

    Returns
    -------
    nw.LazyFrame
        Grouping columns, ``course_id, patient_id, instrument, ended, baseline, visit, value`` (null where none was found),
        ``change`` (value less baseline), ``visit_due`` (1 where the visit was due by the data cut) and ``reason`` (why there is
        no change; empty where there is). A value counts only at a visit that was due.
    """
    visits = asked.visits
    scored = scored_courses(clinic, asked.columns, asked.scorings, Endpoint(None, 0))
    sessions = course_timeline(clinic).select("course_id", "attended", "planned")
    courses = scored.drop("value", "due").join(sessions, on="course_id", how="inner")
    closings = visits.closings if visits.time == "day" else [0.0] * len(visits.planned)
    table = pd.DataFrame({"visit": np.array(visits.planned), "_closing": closings})
    grid = courses.join(clinic.engine.small(table, courses), how="cross")
    keys = ["course_id", "instrument", "visit"]
    grid = grid.join(_chosen(clinic, courses, asked), on=keys, how="left")
    due = _due(visits, cutoff_day(clinic))
    based, found = ~nw.col("baseline").is_null(), ~nw.col("value").is_null()
    kept = [*asked.columns, "course_id", "patient_id", "instrument", "ended", "baseline", "visit", "value"]
    return clinic.engine.materialise(
        grid.with_columns(visit_due=nw.when(due).then(nw.lit(1)).otherwise(nw.lit(0)))
        .with_columns(value=nw.when(nw.col("visit_due") == 1).then(nw.col("value")))
        .select(
            *kept,
            "visit_due",
            change=nw.col("value") - nw.col("baseline"),
            reason=nw.when(nw.col("visit_due") == 0)
            .then(nw.lit("visit not due by the data cut"))
            .when(~based)
            .then(nw.lit("no baseline"))
            .when(~found)
            .then(nw.lit("no assessment at the visit"))
            .otherwise(nw.lit("")),
        )
    )


def _due(visits: Visits, cutoff: int) -> nw.Expr:
    """Tell whether a visit could have been assessed by the data cut: also of those who left before it."""
    if visits.time == "day":
        return nw.col("first_day") + nw.col("_closing") <= cutoff
    held, left = nw.col("attended") - nw.col("visit"), nw.col("ended") == "dropped_out"
    closed = nw.col("last_day") + (visits.window or 0) <= cutoff
    meant = nw.col("planned").is_null() | (nw.col("visit") <= nw.col("planned"))
    return (held > 0) | ((held == 0) & closed) | ((held < 0) & left & meant)


def _chosen(clinic: Dataset, courses: nw.LazyFrame[Any], asked: VisitQuestion) -> nw.LazyFrame[Any]:
    """Return ``course_id, instrument, visit, value`` of the assessment that each visit takes."""
    visits, spans = asked.visits, courses.select("course_id", "instrument", "first_day", "last_day")
    outcomes = usable_assessments(clinic, asked.scorings)
    assessed = outcomes.join(spans, on=["course_id", "instrument"], how="inner")
    assessed = assessed.filter(nw.col("day") > nw.col("first_day"))
    placed = _by_day(assessed, visits) if visits.time == "day" else _by_session(clinic, assessed, visits)
    keys = ["course_id", "instrument", "visit"]
    best = placed.unique(keys, keep="last", order_by=["_nearness", "day", "outcome_id"])
    return best.select(*keys, "value")


def _by_day(assessed: nw.LazyFrame[Any], visits: Visits) -> nw.LazyFrame[Any]:
    """Place each assessment at the nearest planned day."""
    off = nw.col("day") - nw.col("first_day")
    place: nw.Expr = nw.lit(visits.planned[0])
    for edge, planned in zip(visits.edges, visits.planned[1:], strict=True):
        place = nw.when(off >= edge).then(nw.lit(planned)).otherwise(place)
    placed = assessed.with_columns(visit=place.cast(nw.Int64))
    placed = placed.with_columns(_nearness=-(off - nw.col("visit")).abs())
    return placed if visits.window is None else placed.filter(nw.col("_nearness") >= -visits.window)


def _by_session(clinic: Dataset, assessed: nw.LazyFrame[Any], visits: Visits) -> nw.LazyFrame[Any]:
    """Place each assessment after the sessions attended before its day."""
    held = attended_visits(clinic).select("course_id", "place", _held=nw.col("day"))
    keys = ["course_id", "instrument", "outcome_id", "value", "day"]
    near = assessed.filter(nw.col("day") <= nw.col("last_day") + (visits.window or 0))
    before = near.join(held, on="course_id", how="inner").filter(nw.col("_held") < nw.col("day"))
    placed = before.group_by(*keys).agg(nw.col("place").max().cast(nw.Int64).alias("visit"))
    return placed.filter(nw.col("visit").is_in(visits.planned)).with_columns(_nearness=nw.lit(0))
