"""Small trials whose responders are counted by hand: one course a patient unless said, baseline and endpoint of one instrument."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from mesostats.dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# patient, arm, sex, clinic, baseline, value at the end (None: not assessed)
Row = tuple[str, str | None, str, str, float, float | None]


def counted(
    cells: Mapping[tuple[str | None, str, str], tuple[int, int, int]], *, baseline: float = 20.0
) -> list[Row]:
    """Return patients of arm, sex and clinic: so many responders (half of the baseline), others, and not assessed."""
    return [
        (f"{arm}-{sex}-{clinic}-{kind}-{number}", arm, sex, clinic, baseline, value)
        for (arm, sex, clinic), sizes in cells.items()
        for kind, (size, value) in enumerate(zip(sizes, (baseline / 2, baseline, None), strict=True))
        for number in range(size)
    ]


def arms(own: tuple[int, int, int], other: tuple[int, int, int]) -> list[Row]:
    """Return arm A and arm B: responders, others, not assessed."""
    return counted({("A", "female", "x"): own, ("B", "female", "x"): other})


def trial(
    rows: Sequence[Row],
    *,
    instrument: str = "masi",
    indication: str = "melasma",
    products: Mapping[str, Sequence[str]] | None = None,
) -> Dataset:
    """Return the data set of a trial: two sessions a course, the endpoint nine days after the second one.

    Rows of the same patient are several courses. `products` names the substances of each course, by its place from 0.
    """
    courses = pd.DataFrame(rows, columns=["patient_id", "arm", "sex", "clinic_id", "baseline", "value"])
    courses["course_id"] = [f"C{place}" for place in range(len(courses))]
    days = pd.concat([courses.assign(date=day) for day in ("2024-01-01", "2024-02-01")], ignore_index=True)
    days["session_id"] = [f"S{place}" for place in range(len(days))]
    scores = pd.concat(
        [
            courses.assign(date="2023-12-20", value=courses["baseline"]),
            courses.assign(date="2024-02-10"),
        ],
        ignore_index=True,
    ).dropna(subset="value")
    tables = {
        "patients": courses[["patient_id", "sex"]].drop_duplicates("patient_id"),
        "courses": courses[["course_id", "patient_id", "arm", "clinic_id"]].assign(
            indication=indication, status="completed", start_date="2023-12-15"
        ),
        "sessions": days[["session_id", "course_id", "date"]].assign(status="attended"),
        "outcomes": scores[["course_id", "date", "value"]].assign(
            instrument=instrument, outcome_id=[f"O{place}" for place in range(len(scores))]
        ),
    }
    if products is not None:
        sessions = days.drop_duplicates("course_id").set_index("course_id")["session_id"]
        used = [(sessions[course], each) for course, names in products.items() for each in names]
        tables["products"] = pd.DataFrame(used, columns=["session_id", "substance"])
    return Dataset(**tables, cutoff="2024-12-31")  # type: ignore[arg-type]
