"""Attendance: the attended sessions by the data cut, in the order of each course, and who was treated when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw

from mesostats.engine import collect, day_number, distinct_counts

if TYPE_CHECKING:
    from mesostats.dataset import Dataset


def attended_sessions(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return the attended sessions up to the data cut."""
    status, date = nw.col("status"), nw.col("date")
    return clinic.lazy("sessions").filter(status == "attended", date <= clinic.cutoff)


def asked() -> nw.Expr:
    """Return 1 where somebody asked about side effects at a session, else 0."""
    return nw.when(nw.col("adverse_events_asked") == "yes").then(nw.lit(1)).otherwise(nw.lit(0))


def treated_course_days(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return one row a course with an attended session by the data cut, computed once.

    Much cheaper than `course_timeline`: who was treated, and when first and last, needs no schedule.

    Returns
    -------
    nw.LazyFrame
        ``course_id, patient_id, asked`` (1 where somebody asked about side effects in any session), ``first_day,
        last_day`` (of attended sessions, days since 1970-01-01).
    """

    def build() -> nw.LazyFrame[Any]:
        days = (
            attended_sessions(clinic)
            .group_by("course_id")
            .agg(
                asked().max().alias("asked"),
                nw.col("date").min().alias("first"),
                nw.col("date").max().alias("last"),
            )
        )
        courses = (
            clinic.lazy("courses").select("course_id", "patient_id").join(days, on="course_id", how="inner")
        )
        return courses.select(
            "course_id",
            "patient_id",
            "asked",
            first_day=day_number(nw.col("first")),
            last_day=day_number(nw.col("last")),
        )

    return clinic.derive("treated_course_days", build)


def attended_counts(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return one row a course with an attended session by the data cut.

    The days are counted from the visits in order where those are there already; to put them in order costs more than to count.

    Returns
    -------
    nw.LazyFrame
        ``course_id, attended`` (days with an attended session), ``first_day, last_day`` (of them, since 1970-01-01), ``asked``
        (1 where somebody asked about side effects in any session).
    """
    day = nw.col("day")
    if clinic.has_derived("visits_in_order"):
        visits = attended_visits(clinic).group_by("course_id")
        counts = visits.agg(nw.col("asked").max(), n=nw.col("place").max(), first=day.min(), last=day.max())
    else:
        counts = distinct_counts(_asked_days(clinic), "course_id", "day", highest="asked")
    numbers = {"attended": "n", "first_day": "first", "last_day": "last", "asked": "asked"}
    return counts.select(
        "course_id", **{name: nw.col(number).cast(nw.Int64) for name, number in numbers.items()}
    )


def attended_visits(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return the attended sessions up to the data cut in the order of each course, computed once.

    Returns
    -------
    nw.LazyFrame
        ``course_id, day`` (since 1970-01-01), ``before`` (the day of the session before: empty for a course's first one,
        the same day for a further session of a day), ``place`` (of the day among the course's days with an attended
        session, from 1), ``asked`` (1 where somebody asked about side effects).
    """
    visits, repeats = _visits_with_repeats(clinic)
    if not days_repeat(clinic):
        return visits

    def by_day() -> nw.LazyFrame[Any]:
        others = visits.join(repeats, on="course_id", how="semi")
        others = others.with_columns(place=nw.col("day").rank("dense").over("course_id").cast(nw.Int64))
        return nw.concat([visits.join(repeats, on="course_id", how="anti"), others], how="vertical")

    return clinic.derive("attended_visits", by_day)


def attended_days(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return `attended_visits` with one visit a course and day: the one that may hold a slot."""
    return attended_visits(clinic).filter(first_of_day()) if days_repeat(clinic) else attended_visits(clinic)


def days_repeat(clinic: Dataset) -> bool:
    """Return whether any course has several attended sessions on a day."""
    return not collect(_visits_with_repeats(clinic)[1].head(1)).empty


def _visits_with_repeats(clinic: Dataset) -> tuple[nw.LazyFrame[Any], nw.LazyFrame[Any]]:
    """Return the visits with their number, and the courses that have several on a day."""
    visits = clinic.derive("visits_in_order", lambda: _visits_in_order(clinic))
    repeats = clinic.derive(
        "courses_with_repeated_days", lambda: visits.filter(~first_of_day()).select("course_id").unique()
    )
    return visits, repeats


def _visits_in_order(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return visits with their number, which is that of their day unless a day repeats.

    One sort serves both columns; to group by course and day would make nearly as many groups as there are sessions.
    """
    return _asked_days(clinic).with_columns(
        before=nw.col("day").shift(1).over("course_id", order_by="day"),
        place=nw.col("day").cum_count().over("course_id", order_by="day").cast(nw.Int64),
    )


def _asked_days(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return ``course_id, day, asked`` of the attended sessions up to the data cut."""
    day = day_number(nw.col("date")).cast(nw.Int32)
    return attended_sessions(clinic).select("course_id", day=day, asked=asked())


def first_of_day() -> nw.Expr:
    """Return whether one of `attended_visits` is the first of its day: the one that may hold a slot."""
    return nw.col("before").is_null() | (nw.col("before") < nw.col("day"))
