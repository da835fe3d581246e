"""The visits of each course, as far as they can be relied on: what the cross-table rules look at."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw

from mesostats.engine import ROW
from mesostats.validation.keys import one_a_key, without_copies

if TYPE_CHECKING:
    from mesostats.dataset import Dataset

ATTENDED: Final = "attended"
STATUSES: Final = (ATTENDED, "no_show", "cancelled")
_DOSE: Final = ("volume_ml", "depth_mm", "pain_nrs")


def latest_possible() -> dt.date:
    """Return the last day that a date may name: today. What lies after a data cut is not wrong, only not counted."""
    return dt.datetime.now(tz=dt.UTC).date()


def visits(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return each session once, with its course.

    Parameters
    ----------
    clinic
        The clinic.

    Returns
    -------
    nw.LazyFrame
        ``_row, session_id, course_id, session_number, date, status, volume_ml, depth_mm, pain_nrs,
        adverse_events_asked, patient_id, area, side, protocol, start_date`` and ``unsound``: whether its date or status
        is missing or impossible, so that nothing can be said of the order of the course.
    """
    return clinic.derive("validation_visits", lambda: _visits(clinic))


def _visits(clinic: Dataset) -> nw.LazyFrame[Any]:
    of_session = [
        "session_id",
        "course_id",
        "session_number",
        "date",
        "status",
        *_DOSE,
        "adverse_events_asked",
    ]
    of_course = ["course_id", "patient_id", "area", "side", "protocol", "start_date"]
    sessions = without_copies(clinic, "sessions").select(ROW, *of_session)
    courses = one_a_key(clinic, "courses").select(*of_course)
    date = nw.col("date")
    impossible = (date > latest_possible()) | (date < nw.col("start_date"))
    unknown = date.is_null() | nw.col("status").is_null() | ~nw.col("status").is_in(STATUSES)
    return sessions.join(courses, on="course_id", how="left").with_columns(
        unsound=unknown.fill_null(value=True) | impossible.fill_null(value=False),
    )


def treated(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return one row a course with an attended session.

    Parameters
    ----------
    clinic
        The clinic.

    Returns
    -------
    nw.LazyFrame
        ``course_id, n_attended, first_date``; the first session is that of the attended ones with
        a date.
    """
    return clinic.derive("validation_treated", lambda: _treated(clinic))


def _treated(clinic: Dataset) -> nw.LazyFrame[Any]:
    attended = nw.col("status") == ATTENDED
    marked = visits(clinic).with_columns(
        attended=nw.when(attended).then(1).otherwise(0),
        attended_date=nw.when(attended).then(nw.col("date")),
    )
    courses = marked.group_by("course_id").agg(
        n_attended=nw.col("attended").sum().cast(nw.Int64),
        first_date=nw.col("attended_date").min(),
    )
    return courses.filter(nw.col("n_attended") > 0)


def unsound_courses(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return the ``course_id`` of courses with a session whose date or status is missing or impossible."""
    return clinic.derive(
        "validation_unsound",
        lambda: visits(clinic).filter(nw.col("unsound")).select("course_id").unique(),
    )


def sound_courses(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return the treated courses of which each session has a possible date and a known status."""
    return treated(clinic).join(unsound_courses(clinic), on="course_id", how="anti")
