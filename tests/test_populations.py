"""Populations: each unit counted once, in the group of its own, or in that of those who have none."""

from __future__ import annotations

import pandas as pd
import pytest

from mesostats.dataset import Dataset
from mesostats.engine import collect
from mesostats.populations import (
    NOT_RECORDED,
    POPULATIONS,
    group_sizes,
    grouping,
    labels,
    started_courses,
    treated_courses,
    with_groups,
)
from mesostats.schedule import course_timeline
from mesostats.simulation import simulate

# Courses: C1 and C2 are treated by the cut; C3 began, C4 is treated only after the cut, C5 begins after it.
TABLES = {
    "patients": pd.DataFrame(
        {"patient_id": ["P1", "P2", "P3"], "sex": ["female", None, "male"], "skin_type": [3, 3, None]}
    ),
    "courses": pd.DataFrame(
        {
            "course_id": ["C1", "C2", "C3", "C4", "C5"],
            "patient_id": ["P1", "P1", "P2", "P3", "P3"],
            "indication": ["melasma", "wrinkles", "melasma", "striae", "striae"],
            "protocol": ["short_course", None, "short_course", "short_course", "short_course"],
            "start_date": ["2024-01-01", "2024-01-01", "2024-01-08", "2024-01-09", "2024-02-01"],
            "arm": ["A", "B", "", "A", "A"],
            "paid": [True, False, None, True, True],
        }
    ),
    "sessions": pd.DataFrame(
        {
            "session_id": ["S1", "S2", "S3", "S4", "S5"],
            "course_id": ["C1", "C1", "C2", "C3", "C4"],
            "date": ["2024-01-02", "2024-01-05", "2024-01-03", "2024-01-09", "2024-01-12"],
            "status": ["attended", "attended", "attended", "no_show", "attended"],
        }
    ),
}


@pytest.fixture(scope="module")
def clinic() -> Dataset:
    return Dataset(**TABLES, cutoff="2024-01-10")


@pytest.fixture(scope="module")
def simulated() -> Dataset:
    return simulate(300, seed=11)


@pytest.mark.parametrize(
    ("by", "expected"),
    [(None, ()), ("arm", ("arm",)), (["arm", "sex"], ("arm", "sex")), ([], ()), (("sex",), ("sex",))],
)
def test_grouping_makes_a_tuple(by: str | list[str] | None, expected: tuple[str, ...]) -> None:
    assert grouping(by) == expected


def test_grouping_refuses_a_column_twice() -> None:
    with pytest.raises(ValueError, match=r"each grouping column once, found \['arm', 'arm'\]"):
        grouping(["arm", "arm"])


@pytest.mark.parametrize("column", ["state", "State", "STATE"])
def test_grouping_refuses_a_name_that_the_analysis_needs(column: str) -> None:
    with pytest.raises(ValueError, match=f"cannot group by '{column}': .* rename yours"):
        grouping(["arm", column], taken={"state"})


def test_started_and_treated_courses(clinic: Dataset) -> None:
    assert set(POPULATIONS) == {"started", "treated"}
    started, treated = (collect(courses(clinic, ())) for courses in (started_courses, treated_courses))
    assert sorted(started["course_id"]) == ["C1", "C2", "C3", "C4"]
    assert sorted(treated["course_id"]) == ["C1", "C2"]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("indication", {("melasma",): 2, ("striae",): 1, ("wrinkles",): 1}),
        ("arm", {("A",): 2, ("B",): 1, (NOT_RECORDED,): 1}),
        # Of patients: P1 has C1 and C2, P2 has C3, P3 has C4.
        ("sex", {("female",): 2, ("male",): 1, (NOT_RECORDED,): 1}),
        ("skin_type", {("3",): 3, (NOT_RECORDED,): 1}),
        ("protocol", {("short_course",): 3, (NOT_RECORDED,): 1}),
        ("paid", {("false",): 1, ("true",): 2, (NOT_RECORDED,): 1}),
        (
            ["sex", "indication"],
            {
                ("female", "melasma"): 1,
                ("female", "wrinkles"): 1,
                ("male", "striae"): 1,
                (NOT_RECORDED, "melasma"): 1,
            },
        ),
    ],
)
def test_group_sizes_by_hand(
    clinic: Dataset, by: str | list[str], expected: dict[tuple[str, ...], int]
) -> None:
    columns = grouping(by)
    sizes = group_sizes(started_courses(clinic, columns), columns)
    found = {tuple(row)[:-1]: row[-1] for row in sizes.itertuples(index=False)}
    assert found == expected
    assert list(found) == sorted(expected)


def test_group_sizes_without_grouping_is_one_row(clinic: Dataset) -> None:
    assert group_sizes(started_courses(clinic, ()), ())["courses"].tolist() == [4]


def test_group_sizes_of_nobody() -> None:
    nobody = {name: frame.head(0) for name, frame in TABLES.items()}
    empty = Dataset(**nobody, cutoff="2024-01-10")
    assert group_sizes(started_courses(empty, ()), ())["courses"].tolist() == [0]
    assert group_sizes(started_courses(empty, ("arm",)), ("arm",)).empty


@pytest.mark.parametrize("by", ["indication", "arm", "sex", "skin_type", "clinic_id", "side"])
def test_groups_partition_the_population(simulated: Dataset, by: str) -> None:
    every = collect(started_courses(simulated, ()))
    grouped = collect(started_courses(simulated, (by,)))
    assert sorted(grouped["course_id"]) == sorted(every["course_id"])
    assert grouped[by].notna().all()
    # The plain pandas way to the same groups.
    courses = simulated.table("courses").merge(simulated.table("patients"), on="patient_id")
    groups = courses.set_index("course_id")[by].astype("string").fillna(NOT_RECORDED)
    expected = groups[every["course_id"]].value_counts()
    assert grouped[by].value_counts().to_dict() == expected.to_dict()


def test_with_groups_takes_columns_of_sessions_too(clinic: Dataset) -> None:
    sessions = clinic.lazy("sessions").select("session_id", "course_id")
    sessions = sessions.join(
        clinic.lazy("courses").select("course_id", "patient_id"), on="course_id", how="left"
    )
    grouped = with_groups(
        sessions, clinic, ("status", "arm", "sex"), tables=("sessions", "courses", "patients")
    )
    found = collect(grouped).sort_values("session_id")[["status", "arm", "sex"]]
    assert found.to_numpy().tolist() == [
        *[["attended", "A", "female"]] * 2,
        ["attended", "B", "female"],
        ["no_show", NOT_RECORDED, NOT_RECORDED],
        ["attended", "A", "male"],
    ]


def test_with_groups_leaves_the_frame_alone_without_columns(clinic: Dataset) -> None:
    timeline = course_timeline(clinic)
    assert with_groups(timeline, clinic, ()) is timeline


def test_with_groups_names_the_nearest_column(clinic: Dataset) -> None:
    with pytest.raises(
        ValueError, match="no column 'indicaton' in patients, courses; did you mean 'indication'"
    ):
        started_courses(clinic, ("indicaton",))


@pytest.mark.parametrize("key", ["course_id", "patient_id"])
def test_with_groups_refuses_a_key(clinic: Dataset, key: str) -> None:
    with pytest.raises(ValueError, match=f"'{key}' identifies a row"):
        started_courses(clinic, (key,))


def test_with_groups_refuses_a_column_of_sessions_for_courses(clinic: Dataset) -> None:
    with pytest.raises(ValueError, match="no column 'session_number' in patients, courses"):
        started_courses(clinic, ("session_number",))


def test_labels_are_those_of_the_vocabulary(clinic: Dataset) -> None:
    found = labels(clinic, ("indication", "arm", "protocol"))
    assert set(found) == {"indication", "protocol"}
    assert found["protocol"]["short_course"] == "Four to six sessions in one to four weeks"
    assert found["indication"]["melasma"] == clinic.vocabulary.indications["melasma"].label
