"""The baseline table against plain pandas, by hand, and against the published one of a real trial."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from watched_clinic import tables, watched

from mesostats.mapping import read
from mesostats.outcomes.baselines import baseline_table
from mesostats.results import ALL_GROUPS, Result
from mesostats.simulation import simulate

DATA = (
    Path(os.environ.get("MESOSTATS_REAL_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
    / "cdisc-pilot"
)


def assert_explained(found: Result) -> None:
    for row in found.estimates[found.estimates["estimand"] != "standardized_difference"].to_dict("records"):
        rows = found.explain(**{name: row[name] for name in [*found.groups, "estimand"]})
        assert rows["in_denominator"].sum() == row["denominator"]
        assert rows["excluded"].eq("").eq(rows["in_denominator"]).all()
        if pd.notna(row["numerator"]):
            assert rows["in_numerator"].sum() == row["numerator"]


def test_numbers_and_shares_are_those_of_pandas() -> None:
    clinic = simulate(300, seed=2)
    found = baseline_table(clinic, by="indication", unit="course")
    courses = clinic.table("courses").merge(clinic.table("patients"), on="patient_id")
    attended = clinic.table("sessions").query("status == 'attended'").groupby("course_id")["date"].min()
    courses = courses[courses["course_id"].isin(attended.index)]
    courses["age"] = courses["course_id"].map(attended).dt.year - courses["birth_year"]
    for indication, rows in courses.groupby("indication"):
        cell = {"indication": indication, "variable": "age", "level": ""}
        summary = rows["age"].describe()
        for estimand, name in {
            "mean": "mean",
            "standard_deviation": "std",
            "median": "50%",
            "lower_quartile": "25%",
        }.items():
            assert found.cell(**cell, estimand=estimand)["estimate"] == pytest.approx(summary[name])
        for level, count in rows["sex"].value_counts().items():
            row = found.cell(indication=indication, variable="sex", level=level, estimand="share")
            assert (row["numerator"], row["denominator"]) == (count, len(rows))
    assert found.estimates["p_value"].isna().all()
    assert_explained(found)


def test_patients_count_once_a_group_and_once_in_all() -> None:
    courses = tables()["courses"]
    courses = courses.assign(patient_id=["P1", "P1", "P1"] + [f"P{each}" for each in range(4, 11)])
    found = baseline_table(watched(courses=courses), by="arm", variables="sex")
    # P1 has C01 and C03 in arm A, C02 in arm B.
    sizes = {
        arm: found.cell(arm=arm, variable="sex", level="female", estimand="share")["denominator"]
        for arm in ("A", "B", ALL_GROUPS)
    }
    assert sizes == {"A": 4, "B": 5, ALL_GROUPS: 8}
    assert found.estimates["unit"].eq("patients").all()
    by_course = baseline_table(watched(courses=courses), by="arm", variables="sex", unit="course")
    row = by_course.cell(arm=ALL_GROUPS, variable="sex", level="female", estimand="share")
    assert (row["denominator"], row["unit"]) == (10, "courses")
    assert_explained(found)


def test_missing_values_are_shown_and_left_out() -> None:
    patients = tables()["patients"].assign(
        sex=["female", None, "male"] + [None] * 7, skin_type=[1, 2, 3, 4] + [None] * 6
    )
    found = baseline_table(watched(patients=patients), by=None)
    row = found.cell(variable="sex", level="female", estimand="share")
    assert (row["numerator"], row["denominator"], row["n_missing"]) == (1, 2, 8)
    assert found.cell(variable="sex", estimand="missing")["estimate"] == 0.8
    assert found.cell(variable="skin_type", level="4", estimand="share")["estimate"] == 0.25
    # Nine of ten have a baseline score.
    row = found.cell(variable="masi", estimand="missing")
    assert (row["numerator"], row["denominator"]) == (1, 10)
    assert found.cell(variable="masi", estimand="mean")["denominator"] == 9
    assert_explained(found)


def test_standardized_differences_by_hand() -> None:
    found = baseline_table(watched(), by="arm", variables=["sex", "birth_year"])
    # Arm A: P1, P3, P5, P7, P9: women 4 of 5; arm B: P2, P4, P6, P8, P10: women 3 of 5.
    row = found.cell(arm=ALL_GROUPS, variable="sex", estimand="standardized_difference")
    assert row["estimate"] == pytest.approx(0.2 / np.sqrt((0.16 + 0.24) / 2))
    # Born 1970, 72, … 78 and 1971, 73, … 79: ten years are levels of a category, as they are whole and few.
    assert found.cell(arm="A", variable="birth_year", level="1972", estimand="share")["numerator"] == 1


def test_an_empty_value_and_a_group_without_values() -> None:
    patients = tables()["patients"].assign(weight=[50.5, None, 60, None, 55, None, 58, None, 61, None])
    found = baseline_table(watched(patients=patients), by="arm", variables="weight")
    row = found.cell(arm="B", variable="weight", estimand="mean")
    assert pd.isna(row["estimate"])
    assert (row["denominator"], row["note"]) == (0, "no value is recorded")
    assert "fewer than two groups" in found.cell(arm=ALL_GROUPS, estimand="standardized_difference")["note"]
    assert found.cell(arm="A", variable="weight", estimand="median")["estimate"] == 58
    assert_explained(found)


def test_groups_and_variables_may_bear_any_name() -> None:
    patients = tables()["patients"].assign(first_day=range(0, 100, 10), weight=np.linspace(50, 60, 10))
    courses = tables()["courses"].rename(columns={"arm": "estimates"})
    found = baseline_table(
        watched(patients=patients, courses=courses), by="estimates", variables=["first_day", "weight"]
    )
    assert found.cell(estimates="A", variable="weight", estimand="mean")["denominator"] == 5
    with pytest.raises(ValueError, match="did you mean 'weight'"):
        baseline_table(watched(patients=patients), variables="weigth")
    with pytest.raises(ValueError, match="cannot group by 'level'"):
        baseline_table(watched(), by="level")
    with pytest.raises(ValueError, match="unit 'session' is unknown"):
        baseline_table(watched(), unit="session")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="name the variable"):
        found.explain(estimates="A")


def test_without_outcomes_there_are_no_scores() -> None:
    given = tables()
    del given["outcomes"]
    clinic = type(watched())(**given, cutoff="2024-12-31")  # type: ignore[arg-type]
    assert set(baseline_table(clinic).estimates["variable"]) == {"age", "sex", "planned_sessions"}


@pytest.mark.skipif(
    not DATA.is_dir(),
    reason="the CDISC pilot data are not there; set MESOSTATS_REAL_DATA to the folder that holds them",
)
def test_real_trial_has_its_published_baseline() -> None:
    """CDISCPILOT01, table 14-2.01: age 75.2 (8.59), 75.7 (8.29), 74.4 (7.89); women 53, 50, 40; median 76, 77.5, 76."""
    found = baseline_table(read(DATA, mapping="cdisc_pilot"), by="arm")
    published = {
        "placebo": (75.2, 8.59, 76, 53, 86),
        "low_dose": (75.7, 8.29, 77.5, 50, 84),
        "high_dose": (74.4, 7.89, 76, 40, 84),
    }
    for arm, (mean, deviation, median, women, size) in published.items():
        age = {
            each: found.cell(arm=arm, variable="age", estimand=each)["estimate"]
            for each in ("mean", "standard_deviation", "median")
        }
        assert round(age["mean"], 1) == mean
        assert round(age["standard_deviation"], 2) == deviation
        assert age["median"] == median
        row = found.cell(arm=arm, variable="sex", level="female", estimand="share")
        assert (row["numerator"], row["denominator"]) == (women, size)


def test_columns_of_the_result_are_no_groups() -> None:
    clinic = simulate(50, seed=1)
    for name in ("note", "estimand", "Estimate"):
        with pytest.raises(ValueError, match=f"cannot group by '{name}'"):
            baseline_table(clinic, by=name)
