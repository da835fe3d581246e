"""A clinic small enough for its side effects to be counted by hand."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from mesostats.dataset import Dataset

if TYPE_CHECKING:
    from mesostats.results import Result

COURSES = [
    # course, patient, arm, start
    ("C1", "P1", "A", "2024-01-01"),
    ("C2", "P1", "B", "2024-03-01"),
    ("C3", "P2", "A", "2024-01-05"),
    ("C4", "P3", None, "2024-02-01"),
    ("C5", "P4", "B", "2024-02-01"),
    ("C6", "P5", "A", "2024-01-04"),  # no session was attended
    ("C7", "P3", "B", "2025-01-10"),  # begins after the data cut
    ("C8", "P6", "A", "2024-02-05"),
]
SESSIONS = [
    # session, course, date, status, asked, practitioner
    ("S1", "C1", "2024-01-01", "attended", "yes", "D1"),
    ("S2", "C1", "2024-01-11", "attended", "no", "D2"),
    ("S3", "C2", "2024-03-01", "attended", "yes", "D1"),
    ("S4", "C3", "2024-01-05", "attended", "no", "D1"),
    ("S5", "C3", "2024-01-15", "attended", None, "D2"),
    ("S6", "C4", "2024-02-01", "attended", "yes", "D2"),
    ("S7", "C4", "2024-02-11", "no_show", None, "D1"),
    ("S8", "C4", "2024-02-21", "attended", "yes", None),
    ("S9", "C5", "2024-02-01", "attended", None, None),
    ("S10", "C6", "2024-01-04", "no_show", "yes", "D1"),
    ("S11", "C7", "2025-01-10", "attended", "yes", "D1"),
    ("S12", "C8", "2024-02-05", "attended", "yes", None),
]
EVENTS = [
    # event, course, session, term, onset, severity, serious, related
    ("E1", "C1", "S1", "bruising", "2024-01-01", "mild", "no", "probable"),
    ("E2", "C1", "S1", "redness", "2024-01-02", "severe", "yes", "not_related"),
    ("E3", "C1", None, "redness", "2024-01-12", "moderate", "no", None),  # after S2
    (
        "E4",
        "C1",
        None,
        None,
        None,
        None,
        "no",
        "unlikely",
    ),  # unknown onset: emergent, but after no known session
    ("E5", "C1", None, "rash", "2023-12-20", "mild", "no", "related"),  # before S1
    ("E6", "C1", None, "rash", "2024-03-12", "mild", "no", "related"),  # 61 days after S2
    ("E7", "C1", None, "nodule", "2024-03-11", "mild", "no", "unknown"),  # 60 days after S2
    ("E8", "C6", None, "rash", "2024-01-05", "mild", "no", "related"),
    ("E9", "C9", None, "rash", "2024-01-05", "mild", "no", "related"),  # no such course
    ("E10", "C4", "S8", "rash", "2025-01-05", "mild", "no", "related"),  # after the data cut
    ("E11", "C4", "S7", "bruising", "2024-02-12", "mild", "no", "possible"),  # nobody was injected in S7
    ("E13", "C2", "S3", "bruising", "2024-03-01", "moderate", "no", "related"),
    ("E14", "C5", "S9", "itching", "2024-02-02", None, None, "unknown"),  # nobody asked, yet it was recorded
]
# Treated are P1, P2, P3, P4, P6. Asked: P1, P3, P6; P4 spoke up; of P2 nothing is known.
# Attended are S1 to S6, S8, S9, S12. Asked: S1, S3, S6, S8, S12; S2 and S9 have events; S4 and S5 are unknown.
# Counted events: E1, E2, E3, E4, E7, E13 (P1), E11 (P3), E14 (P4); by session all of these but E4 and E11.


def tables(*, asked: bool = True) -> dict[str, pd.DataFrame]:
    sex = {"P1": "female", "P2": "female", "P3": "male", "P4": None, "P5": "male", "P6": "female"}
    events = "event_id course_id session_id term onset_date severity serious related"
    sessions = pd.DataFrame(
        SESSIONS,
        columns=["session_id", "course_id", "date", "status", "adverse_events_asked", "practitioner_id"],
    )
    return {
        "patients": pd.DataFrame({"patient_id": [*sex], "sex": [*sex.values()]}),
        "courses": pd.DataFrame(COURSES, columns=["course_id", "patient_id", "arm", "start_date"]).assign(
            indication="melasma"
        ),
        "sessions": sessions if asked else sessions.drop(columns="adverse_events_asked"),
        "adverse_events": pd.DataFrame(EVENTS, columns=events.split()),
    }


@cache
def whole_clinic() -> Dataset:
    return Dataset(**tables(), cutoff="2024-12-31")  # type: ignore[arg-type]


def clinic(**changed: pd.DataFrame) -> Dataset:
    if not changed:
        return whole_clinic()
    return Dataset(**(tables() | changed), cutoff="2024-12-31")  # type: ignore[arg-type]


def counts(result: Result, **cell: Any) -> tuple[float, float]:
    row = result.cell(**cell)
    return row["numerator"], row["denominator"]


def bounds(result: Result, estimand: str, **cell: Any) -> list[tuple[float, float]]:
    """Return estimate, lower and upper bound as counts; where events repeat, with one event each in the place of the latter."""
    last = "_one_each" if result.spec["arguments"].get("events") == "all" else "_upper"
    return [counts(result, estimand=estimand + end, **cell) for end in ("", "_lower", last)]
