"""Follow-up: what the data cut had settled, for those who came and for those who did not alike.

Whoever attends a session is in the data on that day; whoever stays away counts as lost only once the session's window and
grace are over. Near the data cut the first are seen and the second are not yet, so that retention would look better than it
is. A session is *settled* when its window and grace were over before the data cut, whatever happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw
import pandas as pd

from mesostats.attendance import attended_days
from mesostats.engine import collect
from mesostats.schedule import course_timeline, cutoff_day, slot_table

if TYPE_CHECKING:
    from mesostats.dataset import Dataset

FollowUp = Literal["settled", "all"]


def with_follow_up(courses: nw.LazyFrame[Any], clinic: Dataset, follow_up: FollowUp) -> nw.LazyFrame[Any]:
    """Add to courses of the timeline how far they were followed.

    Parameters
    ----------
    courses
        With the columns of `schedule.course_timeline`.
    clinic
        The data set.
    follow_up
        ``settled`` sessions only, or ``all`` that was recorded by the data cut.

    Returns
    -------
    nw.LazyFrame
        The courses with ``reached`` (attended sessions that count), ``final`` (the state, but completed for whoever came to
        all planned sessions), ``outcome`` (the same as far as settled, else ongoing) and ``horizon`` (the last day on which a dropout would be known, since 1970-01-01).
    """
    # Whoever came to all planned sessions has none left to drop out of, whatever was recorded afterwards.
    came_to_all = (nw.col("attended") >= nw.col("planned")) & (nw.col("attended") > 0)
    ended = nw.when(came_to_all).then(nw.lit("completed")).otherwise(nw.col("state"))
    courses = courses.with_columns(final=ended)
    if follow_up == "all":
        return courses.with_columns(
            reached=nw.col("attended"), outcome=nw.col("final"), horizon=nw.lit(cutoff_day(clinic))
        )
    lags = _lags(clinic)
    longest = lags.groupby("protocol", as_index=False).agg(longest_lag=("lag", "max"))
    open_slots = clinic.derive("open_slots", lambda: _open_slots(clinic, lags))
    joined = courses.join(open_slots, on="course_id", how="left").join(
        clinic.engine.small(longest, courses), on="protocol", how="left"
    )
    settled = nw.coalesce(nw.col("open_slot") - 1, nw.col("attended") + 1)
    whole = settled > nw.col("attended")
    # A course that has ended and came to its last settled session has no session left to settle.
    return (
        joined.with_columns(
            whole=whole | ((nw.col("final") == "completed") & (settled >= nw.col("attended")))
        )
        .with_columns(
            reached=nw.min_horizontal(nw.col("attended"), settled).cast(nw.Int64),
            outcome=nw.when(nw.col("whole")).then(nw.col("final")).otherwise(nw.lit("ongoing")),
            horizon=(cutoff_day(clinic) - nw.coalesce(nw.col("longest_lag") + 1, nw.lit(0.0))).cast(nw.Int64),
        )
        .drop("open_slot", "longest_lag", "whole")
    )


def _lags(clinic: Dataset) -> pd.DataFrame:
    """Return, a protocol and slot, the days after the session before until its outcome is settled."""
    planned = (
        collect(course_timeline(clinic).select(nw.col("planned").max()))["planned"].fillna(0).astype(int)
    )
    slots = slot_table(clinic.vocabulary.protocols.values(), longest=int(planned.iloc[0]) + 1)
    return pd.DataFrame(
        {"protocol": slots["protocol"], "slot": slots["slot"], "lag": slots["longest"] + slots["grace"]}
    )


def _open_slots(clinic: Dataset, lags: pd.DataFrame) -> nw.LazyFrame[Any]:
    """Return each course's first slot that was not settled by the data cut; none where all were.

    Only sessions within the longest lag of the data cut can be followed by such a slot: the others are never read.
    """
    cut = cutoff_day(clinic)
    longest = int(lags["lag"].max())
    courses = course_timeline(clinic).select("course_id", "protocol", "start_day")
    recent = attended_days(clinic).filter(nw.col("day") >= cut - longest)
    after = recent.join(courses, on="course_id", how="inner").select(
        "course_id", "protocol", day=nw.col("day").cast(nw.Int64), slot=nw.col("place") + 1
    )
    first = courses.filter(nw.col("start_day") >= cut - longest).select(
        "course_id", "protocol", day="start_day", slot=nw.lit(1).cast(nw.Int64)
    )
    waits = nw.concat([after, first], how="vertical")
    waits = waits.join(clinic.engine.small(lags, waits), on=["protocol", "slot"], how="inner")
    return (
        waits.filter(nw.col("day") + nw.col("lag") >= cut)
        .group_by("course_id")
        .agg(open_slot=nw.col("slot").min())
    )
