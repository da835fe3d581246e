"""A clinic of ten courses whose assessments can be read by hand: masi responds at half of the baseline or less."""

from __future__ import annotations

import pandas as pd

from mesostats.dataset import Dataset

# course, patient, status, days of attended sessions after 2024-01-01
COURSES = [
    ("C01", "P1", "completed", (0, 10, 20)),
    ("C02", "P2", "completed", (0, 10, 20)),
    ("C03", "P3", "completed", (0, 10, 20)),
    ("C04", "P4", "discontinued", (0, 10)),
    ("C05", "P5", "discontinued", (0,)),
    ("C06", "P6", "completed", (0, 10, 20)),
    ("C07", "P7", "completed", (0, 10, 20)),
    ("C08", "P8", "completed", (0, 10, 20)),
    ("C09", "P9", "completed", (0, 10, 20)),
    ("C10", "P10", "discontinued", (0, 10)),
]
# course, day, value; 20 at the baseline but of C06, which has none
ASSESSED = [
    ("C01", 10, 20.0),  # at the second session, before its treatment: not yet
    ("C01", 30, 10.0),  # responds: in (10, 30], in sessions (1, 3]
    ("C01", 120, 8.0),  # lasts
    ("C02", 30, 9.0),  # (0, 30], (0, 3]
    ("C02", 130, 15.0),  # lost: (0, 100] after the endpoint
    ("C03", 30, 15.0),  # not by 30, (30, ∞), (3, ∞)
    ("C04", 25, 18.0),  # not by 25, then gone
    ("C06", 30, 5.0),  # no baseline
    ("C07", 15, 10.0),  # (0, 15], (0, 2]
    ("C07", 25, 16.0),  # no longer at the end of the course
    ("C07", 110, 9.0),  # and again
    ("C08", 22, 15.0),  # after three sessions: not yet
    ("C08", 40, 10.0),  # after the same three sessions: (22, 40] days, (0, 3] sessions
    ("C10", 12, 10.0),  # (0, 12], (0, 2], then left
]
# C05 left after one session and C09 was completed: neither was assessed again.


def tables() -> dict[str, pd.DataFrame]:
    start = pd.Timestamp("2024-01-01")
    courses = pd.DataFrame(COURSES, columns=["course_id", "patient_id", "status", "days"])
    visits = courses.explode("days", ignore_index=True)
    baseline = [(name, 0, 20.0) for name in courses["course_id"] if name != "C06"]
    outcomes = pd.DataFrame([*baseline, *ASSESSED], columns=["course_id", "day", "value"])
    last = courses["days"].map(max)
    return {
        "patients": pd.DataFrame(
            {
                "patient_id": courses["patient_id"],
                "sex": ["female"] * 7 + ["male"] * 3,
                "birth_year": range(1970, 1980),
            }
        ),
        "courses": courses.drop(columns="days").assign(
            indication="melasma",
            arm=["A", "B"] * 5,
            planned_sessions=3,
            start_date="2024-01-01",
            end_date=(start + pd.to_timedelta(last + 1, unit="D")).astype("str"),
        ),
        "sessions": pd.DataFrame(
            {
                "session_id": "S" + visits.index.astype("str"),
                "course_id": visits["course_id"],
                "date": start + pd.to_timedelta(visits["days"].astype(int), unit="D"),
                "status": "attended",
            }
        ),
        "outcomes": pd.DataFrame(
            {
                "outcome_id": "O" + outcomes.index.astype("str"),
                "course_id": outcomes["course_id"],
                "date": start + pd.to_timedelta(outcomes["day"], unit="D"),
                "instrument": "masi",
                "value": outcomes["value"],
            }
        ),
    }


def watched(cutoff: str = "2024-12-31", **changed: pd.DataFrame) -> Dataset:
    return Dataset(**(tables() | changed), cutoff=cutoff)  # type: ignore[arg-type]
