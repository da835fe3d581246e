"""Attendance: the days on which a course's sessions were attended."""

from __future__ import annotations

import pandas as pd
import pytest

import mesostats as ms
from mesostats.attendance import attended_counts, attended_visits
from mesostats.engine import collect


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    """A clinic in which every fifth session has a second one on its day."""
    clinic = ms.simulate(80, seed=5)
    frames = {name: clinic.table(name) for name in ("patients", "courses", "sessions")}
    second = frames["sessions"].iloc[::5]
    second = second.assign(session_id=second["session_id"] + "b")
    return frames | {"sessions": pd.concat([frames["sessions"], second], ignore_index=True)}


def _counted(clinic: ms.Dataset) -> pd.DataFrame:
    return collect(attended_counts(clinic)).sort_values("course_id", ignore_index=True)


def test_attended_counts_count_days_as_pandas_does(tables: dict[str, pd.DataFrame]) -> None:
    clinic = ms.Dataset(**tables)
    held = tables["sessions"].query("status == 'attended'")
    days = (held["date"] - pd.Timestamp("1970-01-01")).dt.days
    asked = held["adverse_events_asked"].eq("yes").astype("int64")
    by_course = held.assign(day=days, asked=asked).groupby("course_id")
    expected = by_course.agg(
        asked=("asked", "max"),
        attended=("day", "nunique"),
        first_day=("day", "min"),
        last_day=("day", "max"),
    ).reset_index()
    found = _counted(clinic)
    pd.testing.assert_frame_equal(found[expected.columns], expected, check_dtype=False)
    assert expected["attended"].sum() < len(held)  # days do repeat


def test_attended_counts_are_the_same_once_visits_are_in_order(tables: dict[str, pd.DataFrame]) -> None:
    ordered = ms.Dataset(**tables)
    attended_visits(ordered)
    pd.testing.assert_frame_equal(
        _counted(ordered), _counted(ms.Dataset(**tables)), check_like=True, check_dtype=False
    )
