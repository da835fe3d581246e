"""Time at risk: on which days an event of a patient would have counted, each day once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw

from mesostats.adverse_events.counted import exposed_courses, exposed_sessions
from mesostats.attendance import treated_course_days
from mesostats.schedule import cutoff_day

if TYPE_CHECKING:
    from mesostats.adverse_events.counted import Counting
    from mesostats.dataset import Dataset

DAYS_A_MONTH: Final = 365.25 / 12


def exposure_size(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Return one row a group and patient: ``size``, the months at risk."""
    pieces = exposure_pieces(clinic, counting)
    days = (nw.col("stop") - nw.col("start") + 1).sum().cast(nw.Float64)
    return pieces.group_by(*counting.keys, "patient_id").agg(size=days / DAYS_A_MONTH)


def exposure_pieces(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Return the days at risk of each group and patient as pieces that do not overlap, computed once.

    A course is at risk from its first attended session to the end of the emergent window, or the data cut. Where groups
    are of sessions or products, the days from a session to the day before the next one of the course are the session's;
    the last one's go on to the end.

    Returns
    -------
    nw.LazyFrame
        ``_group_0 …, patient_id, start, stop``: days since 1970-01-01, both at risk.
    """

    def build() -> nw.LazyFrame[Any]:
        spans = _session_spans(clinic, counting) if counting.sessionwise else _course_spans(clinic, counting)
        return _disjoint(spans, [*counting.keys, "patient_id"])

    return clinic.derive(
        f"exposure_pieces:{counting.by}:{counting.follow_up_days}:{counting.sessionwise}", build
    )


def _end(clinic: Dataset, counting: Counting) -> nw.Expr:
    """Return the last day at risk of a course."""
    return nw.min_horizontal(nw.col("last_day") + counting.follow_up_days, nw.lit(cutoff_day(clinic)))


def _course_spans(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    courses = exposed_courses(clinic, counting.by)
    return courses.select(
        *counting.keys, "patient_id", start=nw.col("first_day"), stop=_end(clinic, counting)
    )


def _session_spans(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    days = exposed_sessions(clinic, counting).select(*counting.keys, "course_id", "day").unique()
    held = exposed_sessions(clinic, counting).select("course_id", "day").unique()
    following = held.with_columns(after=nw.col("day").shift(-1).over("course_id", order_by="day"))
    courses = treated_course_days(clinic).select("course_id", "patient_id", end=_end(clinic, counting))
    spans = days.join(following, on=["course_id", "day"], how="inner").join(
        courses, on="course_id", how="inner"
    )
    return spans.select(
        *counting.keys,
        "patient_id",
        start=nw.col("day"),
        stop=nw.coalesce(nw.col("after") - 1, nw.col("end")),
    )


def _disjoint(spans: nw.LazyFrame[Any], keys: list[str]) -> nw.LazyFrame[Any]:
    """Cut from each span the days that an earlier one of the same group and patient covers."""
    # Spans that begin on one day are one, the longest: then the order of starts is total.
    spans = spans.group_by(*keys, "start").agg(nw.col("stop").max())
    covered = spans.with_columns(covered=nw.col("stop").cum_max().over(keys, order_by="start"))
    before = covered.with_columns(before=nw.col("covered").shift(1).over(keys, order_by="start"))
    start = nw.max_horizontal(nw.col("start"), nw.coalesce(nw.col("before") + 1, nw.col("start")))
    cut = before.with_columns(start=start).select(*keys, "start", "stop")
    return cut.filter(nw.col("start") <= nw.col("stop"))
