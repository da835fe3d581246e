"""When each course was assessed, and when it was first seen to respond: in days or in sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.assessments import scored_assessments
from mesostats.attendance import attended_visits
from mesostats.engine import collect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mesostats.dataset import Dataset
    from mesostats.outcomes.questions import Question

TimeScale = Literal["day", "session"]

KEYS: Final = ("course_id", "instrument")
NO_BASELINE: Final = "no usable baseline"
NOT_SCORED: Final = "the instrument is not scored"
NOT_ASSESSED: Final = "no assessment after the first session"
_OWN: Final = (
    "at",
    "day",
    "place",
    "free_until",
    "seen_by",
    "assessed",
    "last",
    "usable",
    "event",
    "time",
    "end",
)
TAKEN: Final = frozenset(_OWN)
"""Names of further columns of the analyses of time: none of them can be grouped by."""


def assessments_in_time(clinic: Dataset, asked: Question, time: TimeScale) -> nw.LazyFrame[Any]:
    """Return the assessments after the first session that a responder rule can score, each with its time.

    Parameters
    ----------
    clinic
        A data set with outcomes.
    asked
        Which instruments, by which rule.
    time
        ``day``: days since the first attended session; ``session``: days with an attended session before the day of the
        assessment (whoever is assessed at a visit is so before the treatment of that visit).

    Returns
    -------
    nw.LazyFrame
        ``course_id, instrument, day`` (since 1970-01-01), ``at`` (the time), ``responder`` (0 or 1).
    """
    scored = clinic.engine.materialise(scored_assessments(clinic, asked.scorings))
    visits = attended_visits(clinic).select("course_id", "place", visit=nw.col("day").cast(nw.Int64))
    if time == "day":
        first = visits.group_by("course_id").agg(begin=nw.col("visit").min())
        dated = scored.join(first, on="course_id", how="inner")
        return dated.select(*KEYS, "day", "responder", at=(nw.col("day") - nw.col("begin")).cast(nw.Int64))
    days = scored.select("course_id", "day").unique()
    held = days.join(visits, on="course_id", how="inner").filter(nw.col("visit") < nw.col("day"))
    counted = held.group_by("course_id", "day").agg(at=nw.col("place").max())
    return scored.join(counted, on=["course_id", "day"], how="inner").select(*KEYS, "day", "responder", "at")


def first_responses(clinic: Dataset, asked: Question, time: TimeScale) -> nw.LazyFrame[Any]:
    """Return one row a treated course and instrument with the interval in which its first response came.

    Parameters
    ----------
    clinic, asked, time
        As of `assessments_in_time`.

    Returns
    -------
    nw.LazyFrame
        The columns of `assessments.scored_courses`, and ``usable`` (1 where it has the baseline that the rule needs),
        ``assessed`` (the time of the last assessment, null without one), ``seen_by`` (the time of the first that met the rule,
        null without one), ``free_until`` (the time of the last one before that did not; 0 without one) and ``last`` (the
        time of the last attended session).
    """
    seen = clinic.engine.materialise(assessments_in_time(clinic, asked, time))
    met = nw.when(nw.col("responder") == 1).then(nw.col("at"))
    first = seen.group_by(*KEYS).agg(assessed=nw.col("at").max(), seen_by=met.min())
    first = clinic.engine.materialise(first)
    before = seen.join(first, on=[*KEYS], how="inner").filter(
        (nw.col("responder") == 0) & (nw.col("seen_by").is_null() | (nw.col("at") < nw.col("seen_by")))
    )
    free = before.group_by(*KEYS).agg(free_until=nw.col("at").max())
    courses = asked.courses(clinic)
    kind, baseline = nw.col("kind"), nw.col("baseline")
    usable = (kind == "level") | (~baseline.is_null() & ((kind != "percent") | (baseline > 0)))
    flag = nw.when(usable & (kind != "none")).then(nw.lit(1)).otherwise(nw.lit(0))
    courses = courses.with_columns(usable=flag).join(first, on=[*KEYS], how="left")
    courses = courses.join(free, on=[*KEYS], how="left").with_columns(nw.col("free_until").fill_null(0))
    return clinic.engine.materialise(courses.join(_last_sessions(clinic, time), on="course_id", how="left"))


def _last_sessions(clinic: Dataset, time: TimeScale) -> nw.LazyFrame[Any]:
    """Return the time of each course's last attended session."""
    visits = attended_visits(clinic)
    last = nw.col("place") if time == "session" else nw.col("day").cast(nw.Int64)
    spans = visits.group_by("course_id").agg(begin=last.min(), stop=last.max())
    since = nw.col("stop") if time == "session" else nw.col("stop") - nw.col("begin")
    return spans.select("course_id", last=since.cast(nw.Int64))


def rows_of(frame: nw.LazyFrame[Any], columns: list[str]) -> pd.DataFrame:
    """Bring one row a course and instrument home, in the order of the courses."""
    return collect(frame.select(*dict.fromkeys(columns))).sort_values([*KEYS], ignore_index=True)


def each_group(rows: pd.DataFrame, groups: Sequence[str]) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Yield the values of the grouping columns and the rows of each group."""
    for values, own in rows.groupby([*groups]):
        yield dict(zip(groups, np.atleast_1d(np.array(values, dtype=object)).tolist(), strict=True)), own


def in_order(estimates: pd.DataFrame, groups: Sequence[str], estimands: Sequence[str]) -> pd.DataFrame:
    """Return estimates by group, estimand (in their order) and time."""
    place = pd.Categorical(estimates["estimand"], categories=[*estimands])
    ordered = estimates.assign(_place=place).sort_values([*groups, "_place", "time"], ignore_index=True)
    return ordered.drop(columns="_place")
