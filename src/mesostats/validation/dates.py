"""Dates out of order: before what must come first, or after the data cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import narwhals as nw

from mesostats.engine import collect
from mesostats.schemas import table_schema
from mesostats.validation.findings import look, marks
from mesostats.validation.tables import checked
from mesostats.validation.visits import latest_possible, sound_courses, visits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesostats.dataset import Dataset
    from mesostats.validation.findings import Finding


def check_dates(clinic: Dataset) -> Iterator[Finding]:
    """Look for dates that cannot be.

    Parameters
    ----------
    clinic
        The clinic.

    Yields
    ------
    Finding
        ``session_before_course``, ``course_end_before_start``, ``event_before_treatment``, ``event_end_before_onset``
        and ``future_date``.
    """
    yield from _sessions(clinic)
    yield from _courses(clinic)
    if "adverse_events" in clinic.names:
        yield from _events(clinic)
    for table in clinic.names:
        yield from _future(clinic, table)


def _sessions(clinic: Dataset) -> Iterator[Finding]:
    early = visits(clinic).filter(nw.col("date") < nw.col("start_date"))
    rows = early.select(*marks("session_id"), "date", "start_date")
    yield from look("session_before_course", "sessions", "date", rows)


def _courses(clinic: Dataset) -> Iterator[Finding]:
    early = checked(clinic, "courses").filter(nw.col("end_date") < nw.col("start_date"))
    rows = early.select(*marks("course_id"), "start_date", "end_date")
    yield from look("course_end_before_start", "courses", "end_date", rows)


def _events(clinic: Dataset) -> Iterator[Finding]:
    events = checked(clinic, "adverse_events")
    early = events.join(sound_courses(clinic), on="course_id").filter(
        nw.col("onset_date") < nw.col("first_date")
    )
    rows = early.select(*marks("event_id"), "onset_date", "first_date")
    yield from look("event_before_treatment", "adverse_events", "onset_date", rows)
    over = events.filter(nw.col("end_date") < nw.col("onset_date"))
    rows = over.select(*marks("event_id"), "onset_date", "end_date")
    yield from look("event_end_before_onset", "adverse_events", "end_date", rows)


def _future(clinic: Dataset, table: str) -> Iterator[Finding]:
    schema, limit = table_schema(table), latest_possible()
    if not schema.dates():
        return
    late = [
        nw.when(nw.col(column) > limit).then(1).otherwise(0).sum().alias(column) for column in schema.dates()
    ]
    counts = collect(checked(clinic, table).select(*late)).iloc[0]
    for column in [name for name in schema.dates() if counts[name] > 0]:
        rows = checked(clinic, table).filter(nw.col(column) > limit)
        rows = rows.select(*marks(schema.key), nw.col(column).alias("date"))
        yield from look("future_date", table, column, rows, values={"limit": f"today, {limit}"})
