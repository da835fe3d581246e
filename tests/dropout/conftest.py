"""Clinics of courses that are given as days: what the tests of dropout begin with; and the naive count, importable."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from mesostats.dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

sys.path.insert(0, str(Path(__file__).parent))

DAY_0 = dt.date(2024, 1, 1)
COLUMNS = (
    "protocol",
    "start_date",
    "status",
    "end_date",
    "end_reason",
    "arm",
    "site",
    "patient_id",
    "indication",
)


def _date(day: float | None) -> dt.date | None:
    return None if day is None or pd.isna(day) else DAY_0 + dt.timedelta(days=int(day))


def _build(courses: Sequence[dict[str, Any]], cut: int = 100) -> Dataset:
    """Make a clinic of courses: ``days`` of attended sessions, and columns of courses with dates as days."""
    known = [
        {"protocol": "short_course", "indication": "melasma", "patient_id": f"P{place:03d}", **each}
        for place, each in enumerate(courses)
    ]
    frame = pd.DataFrame(known, columns=[*COLUMNS, "days"])
    frame["course_id"] = [f"C{place:03d}" for place in range(len(courses))]
    for name in ("start_date", "end_date"):
        frame[name] = [_date(day) for day in frame[name]]
    visits = frame[["course_id", "days"]].explode("days").dropna()
    sessions = {
        "session_id": [f"S{place}" for place in range(len(visits))],
        "course_id": visits["course_id"].astype("str"),
        "date": [_date(day) for day in visits["days"]],
        "status": "attended",
    }
    return Dataset(
        patients=pd.DataFrame({"patient_id": sorted(frame["patient_id"].unique())}).astype("str"),
        courses=frame.drop(columns="days"),
        sessions=pd.DataFrame(sessions),
        cutoff=_date(cut),
    )


@pytest.fixture(scope="session")
def build() -> Callable[..., Dataset]:
    return _build
