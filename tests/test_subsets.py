"""`Dataset.where`: the same rows as plain pandas filters, all tables restricted together."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import mesostats as ms

if TYPE_CHECKING:
    from mesostats.dataset import Dataset


@pytest.fixture(scope="module")
def clinic() -> Dataset:
    return ms.simulate(150, seed=5)


def ids(clinic: Dataset, table: str, column: str) -> list[Any]:
    return sorted(clinic.table(table)[column])


def expected(clinic: Dataset, kept: pd.DataFrame) -> dict[str, int]:
    """Return how many rows of each table belong to some courses, by plain pandas filters."""
    tables = {name: clinic.table(name) for name in clinic.names}
    sessions = tables["sessions"][tables["sessions"]["course_id"].isin(kept["course_id"])]
    return {
        "patients": int(tables["patients"]["patient_id"].isin(kept["patient_id"]).sum()),
        "courses": len(kept),
        "sessions": len(sessions),
        "products": int(tables["products"]["session_id"].isin(sessions["session_id"]).sum()),
        "outcomes": int(tables["outcomes"]["course_id"].isin(kept["course_id"]).sum()),
        "adverse_events": int(tables["adverse_events"]["course_id"].isin(kept["course_id"]).sum()),
    }


def sizes(clinic: Dataset) -> dict[str, int]:
    return {name: len(clinic.table(name)) for name in clinic.names}


def test_where_keeps_what_belongs_to_an_indication(clinic: Dataset) -> None:
    courses = clinic.table("courses")
    kept = courses[courses["indication"] == "melasma"]
    found = clinic.where(indication="melasma")
    assert 0 < len(kept) < len(courses)
    assert sizes(found) == expected(clinic, kept)
    assert ids(found, "courses", "course_id") == sorted(kept["course_id"])
    assert set(ids(found, "sessions", "course_id")) <= set(kept["course_id"])


def test_where_joins_conditions_with_and_and_values_with_or(clinic: Dataset) -> None:
    courses = clinic.table("courses")
    wanted = ["melasma", "wrinkles"]
    kept = courses[courses["indication"].isin(wanted) & (courses["arm"] == "A")]
    assert sizes(clinic.where(indication=wanted, arm="A")) == expected(clinic, kept)
    assert sizes(clinic.where(arm="A").where(indication=wanted)) == expected(clinic, kept)


@pytest.mark.parametrize(
    ("first", "last"), [("2024-01-01", "2024-06-30"), ("2024-01-01", None), (None, dt.date(2024, 6, 30))]
)
def test_where_keeps_the_courses_of_a_period(
    clinic: Dataset, first: str | None, last: dt.date | str | None
) -> None:
    courses = clinic.table("courses")
    after = courses["start_date"] >= pd.Timestamp(first or "1900-01-01")
    before = courses["start_date"] <= pd.Timestamp(last or "2100-01-01")
    kept = courses[after & before]
    assert 0 < len(kept) < len(courses)
    assert sizes(clinic.where(started=(first, last))) == expected(clinic, kept)


def test_a_period_includes_both_its_days(clinic: Dataset) -> None:
    day = clinic.table("courses")["start_date"].iloc[0].date()
    found = clinic.where(started=(day, day)).table("courses")
    assert set(found["start_date"].dt.date) == {day}


def test_where_filters_on_a_column_of_patients(clinic: Dataset) -> None:
    patients, courses = clinic.table("patients"), clinic.table("courses")
    women = patients[patients["sex"] == "female"]["patient_id"]
    found = clinic.where(sex="female")
    assert sizes(found) == expected(clinic, courses[courses["patient_id"].isin(women)])
    assert set(found.table("patients")["sex"]) == {"female"}


def test_where_finds_what_was_not_recorded(clinic: Dataset) -> None:
    arms = clinic.table("courses").set_index("course_id")["arm"]
    without, either = arms[arms.isna()], arms[arms.isna() | (arms == "A")]
    assert 0 < len(without) < len(either) < len(arms)
    assert ids(clinic.where(arm=None), "courses", "course_id") == sorted(without.index)
    assert ids(clinic.where(arm=[None, "A"]), "courses", "course_id") == sorted(either.index)


def test_a_number_is_a_number(clinic: Dataset) -> None:
    kinds = clinic.table("patients")["skin_type"]
    assert len(clinic.where(skin_type=3).table("patients")) <= int((kinds == 3).sum())
    with pytest.raises(ValueError, match="no row of 'patients' has skin_type == '3'"):
        clinic.where(skin_type="3")


def test_the_data_cut_stays_and_the_truth_does_not(clinic: Dataset) -> None:
    found = clinic.where(started=(None, "2024-01-31"))
    assert found.cutoff == clinic.cutoff
    assert found.truth is None
    assert clinic.truth is not None


def test_where_leaves_the_clinic_as_it_was(clinic: Dataset) -> None:
    before, courses = sizes(clinic), ms.course_states(clinic)
    part = clinic.where(indication="melasma")
    assert len(ms.course_states(part)) == len(part.table("courses")) < len(courses)
    assert sizes(clinic) == before
    pd.testing.assert_frame_equal(ms.course_states(clinic), courses)


def test_parts_make_the_whole(clinic: Dataset) -> None:
    """The sums over all indications are the counts of the clinic: nothing is lost, nothing counted twice."""
    whole = ms.adherence(clinic, by="indication").estimates
    parts = [
        ms.adherence(clinic.where(indication=each), by="indication").estimates
        for each in sorted(clinic.table("courses")["indication"].unique())
    ]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)


def test_validation_still_names_the_rows_of_the_source() -> None:
    clinic = ms.simulate(300, seed=1, defects=True)
    column = ["table", "rule", "row"]
    whole = ms.validate(clinic).defects
    part = ms.validate(clinic.where(started=("2024-01-01", None))).defects
    of_rows = part[part["row"].notna()][column].apply(tuple, axis=1)
    assert len(of_rows)
    assert set(of_rows) <= set(whole[column].apply(tuple, axis=1))


def test_an_empty_part_is_a_clinic_without_courses(clinic: Dataset) -> None:
    nobody = clinic.where(started=("1990-01-01", "1990-12-31"))
    assert set(sizes(nobody).values()) == {0}
    assert nobody.where(started=(None, None)).cutoff == clinic.cutoff


def test_a_mistyped_value_is_said(clinic: Dataset) -> None:
    with pytest.raises(ValueError, match="indication == 'melasm'; did you mean 'melasma'"):
        clinic.where(indication="melasm")


def test_a_patients_value_is_not_told(clinic: Dataset) -> None:
    patient = str(clinic.table("patients")["patient_id"].iloc[0])
    with pytest.raises(ValueError, match="patient_id == 'nobody'") as caught:
        clinic.where(patient_id="nobody")
    assert patient not in str(caught.value)
    assert clinic.where(patient_id=patient).table("patients")["patient_id"].tolist() == [patient]


def test_a_mistyped_column_is_said(clinic: Dataset) -> None:
    with pytest.raises(
        ValueError, match="no column 'indicaton' in courses, patients; did you mean 'indication'"
    ):
        clinic.where(indicaton="melasma")


@pytest.mark.parametrize(
    ("started", "message"),
    [(("2024-06-01", "2024-01-01"), "2024-06-01 to 2024-01-01"), (("June", None), "a date is YYYY-MM-DD")],
)
def test_a_wrong_period_is_said(clinic: Dataset, started: tuple[str, str | None], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        clinic.where(started=started)
