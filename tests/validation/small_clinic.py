"""A small clinic without a defect, and a way to spoil it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from mesostats.dataset import Dataset
from mesostats.validation import validate

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesostats.validation import ValidationReport

Tables = dict[str, pd.DataFrame]
DAYS = [
    "2024-01-10",
    "2024-01-18",
    "2024-01-26",
    "2024-02-03",
]  # 8 days apart: protocol weekly_to_monthly wants 7 to 10


def clean_tables() -> Tables:
    """Two patients: P1 with course C1 (sessions S1 to S4), P2 with course C2 (S5 to S8, a missed visit S9)."""
    courses = pd.DataFrame(
        {
            "course_id": ["C1", "C2"],
            "patient_id": ["P1", "P2"],
            "indication": ["melasma", "localized_fat"],
            "area": ["face", "abdomen"],
            "protocol": ["weekly_to_monthly", "weekly_to_monthly"],
            "start_date": ["2024-01-08", "2024-01-08"],
            "status": ["ongoing", "discontinued"],
            "end_date": [None, "2024-03-01"],
            "end_reason": [None, "relocation"],
            "pregnancy": ["no", "not_asked"],
        }
    )
    sessions = pd.DataFrame(
        {
            "session_id": [f"S{place}" for place in range(1, 10)],
            "course_id": ["C1"] * 4 + ["C2"] * 5,
            "session_number": [1, 2, 3, 4, 1, 2, 3, 4, None],
            "date": [*DAYS, *DAYS, "2024-02-10"],
            "status": ["attended"] * 8 + ["no_show"],
            "technique": ["manual_needle"] * 8 + [None],
            "depth_mm": [2.0, 2.5, 2.0, 3.0, 1.5, 2.0, 4.0, 2.0, None],
            "volume_ml": [3.0] * 8 + [None],
            "pain_nrs": [2.0] * 8 + [None],
            "adverse_events_asked": ["yes"] * 8 + [None],
        }
    )
    products = pd.DataFrame(
        {
            "session_id": [f"S{place}" for place in range(1, 9)],
            "substance": ["mix"] * 8,
            "substance_class": ["vitamin"] * 8,
            "lot": ["L1"] * 8,
        }
    )
    outcomes = pd.DataFrame(
        {
            "outcome_id": ["O1", "O2", "O3", "O4"],
            "course_id": ["C1", "C1", "C2", "C2"],
            "date": ["2024-01-10", "2024-02-20", "2024-01-09", "2024-02-20"],
            "instrument": ["masi", "masi", "circumference", "circumference"],
            "value": [20.0, 8.0, 92.0, 88.0],
        }
    )
    events = pd.DataFrame(
        {
            "event_id": ["E1", "E2"],
            "course_id": ["C1", "C2"],
            "session_id": ["S1", "S5"],
            "term": ["redness", "bruising"],
            "verbatim": ["redness", "bruise"],
            "onset_date": ["2024-01-10", "2024-01-11"],
            "end_date": ["2024-01-12", None],
            "outcome": ["recovered", None],
            "serious": ["no", "no"],
        }
    )
    return {
        "patients": pd.DataFrame({"patient_id": ["P1", "P2"], "sex": ["female", "male"]}),
        "courses": courses,
        "sessions": sessions,
        "products": products,
        "outcomes": outcomes,
        "adverse_events": events,
    }


def spoiled(change: Callable[[Tables], Any], **options: Any) -> ValidationReport:
    """Validate the clean clinic after a change of its tables."""
    tables = clean_tables()
    change(tables)
    return validate(Dataset(**tables, **options))


def cell(table: str, row: int, **values: Any) -> Callable[[Tables], None]:
    """Return a change that puts values into one row (from 1), as text where the column cannot hold them."""

    def change(tables: Tables) -> None:
        frame = tables[table] = tables[table].astype(dict.fromkeys(values, object))
        for column, value in values.items():
            frame.loc[row - 1, column] = value

    return change


def appended(table: str, **values: Any) -> Callable[[Tables], None]:
    """Return a change that adds a row like the last one, with other values."""

    def change(tables: Tables) -> None:
        last = tables[table].tail(1).assign(**values)
        tables[table] = pd.concat([tables[table].astype(object), last.astype(object)], ignore_index=True)

    return change


def rules(report: ValidationReport) -> set[str]:
    """Return the codes of the rules that found something."""
    return set(report.counts["rule"])


def only(report: ValidationReport, rule: str) -> dict[str, Any]:
    """Return the one defect of a report that must hold nothing else."""
    assert report.defects["rule"].to_list() == [rule], report.to_text()
    return report.defects.iloc[0].to_dict()
