"""Change from baseline of clinics small enough to be counted by hand, and against the estimators fed by plain pandas."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mesostats.dataset import Dataset
from mesostats.errors import DataError, VocabularyError
from mesostats.estimators.ancova import ancova
from mesostats.outcomes.changes import change_from_baseline
from mesostats.results import ESTIMATE_COLUMNS
from mesostats.simulation import simulate

# course, patient, arm, age, status, baseline, value at day 60 of a course that began on 2024-01-01
COURSES = [
    ("C1", "P1", "A", 30, "completed", 20.0, 10.0),
    ("C2", "P2", "A", 40, "completed", 16.0, 12.0),
    ("C3", "P3", "A", 50, "discontinued", 30.0, 12.0),
    ("C4", "P4", "A", 60, "discontinued", 40.0, None),  # missing endpoint
    ("C5", "P5", "B", 30, "completed", 18.0, 15.0),
    ("C6", "P6", "B", 40, "completed", 22.0, 20.0),
    ("C7", "P7", "B", 50, "completed", None, 9.0),  # no baseline
    ("C8", "P8", "B", 60, "completed", 26.0, 19.0),
    ("C9", "P9", None, 60, "completed", 25.0, 25.0),
]


def tables(courses: list[tuple[Any, ...]] = COURSES, instrument: str = "masi") -> dict[str, pd.DataFrame]:
    frame = pd.DataFrame(
        courses, columns=["course_id", "patient_id", "arm", "age", "status", "baseline", "value"]
    )
    assessed = [
        (course, date, value)
        for row in frame.itertuples()
        for course, date, value in (
            (row.course_id, "2024-01-01", row.baseline),
            (row.course_id, "2024-03-01", row.value),
        )
        if pd.notna(value)
    ]
    outcomes = pd.DataFrame(assessed, columns=["course_id", "date", "value"])
    days = frame.loc[frame.index.repeat(2)].reset_index(drop=True)
    days["date"] = ["2024-01-01", "2024-02-15"] * len(frame)
    return {
        "patients": frame[["patient_id", "age"]].drop_duplicates("patient_id"),
        "courses": frame[["course_id", "patient_id", "arm", "status"]].assign(
            indication="melasma", start_date="2024-01-01", end_date="2024-02-15"
        ),
        "sessions": pd.DataFrame(
            {
                "session_id": "S" + days.index.astype(str),
                "course_id": days["course_id"],
                "date": days["date"],
                "status": "attended",
            }
        ),
        "outcomes": outcomes.assign(outcome_id="O" + outcomes.index.astype(str), instrument=instrument),
    }


def clinic(**options: Any) -> Dataset:
    return Dataset(**tables(**options), cutoff="2024-12-31")


@cache
def small() -> Dataset:
    return clinic()


def test_means_are_those_counted_by_hand() -> None:
    found = change_from_baseline(small(), by="arm", instrument="masi", endpoint=60)
    # Arm A: baselines 20, 16, 30, 40; changes -10, -4, -18.
    for estimand, values, missing in (
        ("mean_baseline", [20, 16, 30, 40], 0),
        ("mean_baseline_evaluable", [20, 16, 30], 1),
        ("mean_value", [10, 12, 12], 1),
        ("mean_change", [-10, -4, -18], 1),
    ):
        row = found.cell(arm="A", estimand=estimand)
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        margin = stats.t.ppf(0.975, len(values) - 1) * error
        assert row["estimate"] == pytest.approx(np.mean(values))
        assert [row["conf_low"], row["conf_high"]] == pytest.approx(
            [np.mean(values) - margin, np.mean(values) + margin]
        )
        assert [row["denominator"], row["n_missing"], row["df"]] == [len(values), missing, len(values) - 1]
    # Arm B: of four that are due three have a baseline, and these an endpoint.
    assert found.cell(arm="B", estimand="mean_change")[["estimate", "denominator", "n_missing"]].tolist() == [
        -4,
        3,
        1,
    ]
    assert np.isnan(found.cell(arm="A", estimand="mean_baseline")["p_value"])
    assert found.cell(arm="A", estimand="mean_change")["unit"] == "courses"


def test_columns_are_those_of_the_contract() -> None:
    found = change_from_baseline(small(), by="arm", endpoint=60, group="age", adjust=()).estimates
    assert found.columns.tolist() == ["arm", "age", "instrument", *ESTIMATE_COLUMNS]


def test_explain_returns_the_courses_behind_a_number() -> None:
    found = change_from_baseline(small(), by="arm", endpoint=60)
    for arm in ("A", "B", "not recorded"):
        for estimand in ("mean_baseline", "mean_change"):
            rows = found.explain(arm=arm, estimand=estimand)
            row = found.cell(arm=arm, estimand=estimand)
            column = "baseline" if estimand == "mean_baseline" else "change"
            counted = rows.loc[rows["in_denominator"], column]
            assert counted.mean() == pytest.approx(row["estimate"])
            assert len(counted) == row["denominator"]
            assert (rows["excluded"] != "").sum() == row["n_missing"]


def test_groups_are_compared_at_the_same_baseline_and_covariates() -> None:
    found = change_from_baseline(
        small(), by=None, group="arm", reference="B", endpoint=60, adjust="age", conf_level=0.9
    )
    frame = pd.DataFrame(
        COURSES, columns=["course_id", "patient_id", "arm", "age", "status", "baseline", "value"]
    )
    frame = frame[frame["arm"].notna()].assign(change=frame["value"] - frame["baseline"])
    expected = ancova(
        frame["change"], frame["arm"], frame[["baseline", "age"]], reference="B", conf_level=0.9
    ).set_index(["group", "estimand"])
    for group, estimand, name in (
        ("A", "ls_mean", "ls_mean_change"),
        ("B", "ls_mean", "ls_mean_change"),
        ("A", "ls_mean_difference", "ls_mean_difference"),
    ):
        row = found.cell(arm=group, estimand=name)
        for column in ("estimate", "std_error", "df", "conf_low", "p_value", "denominator", "n_missing"):
            assert row[column] == pytest.approx(expected.loc[(group, estimand), column])
    assert found.cell(arm="A", estimand="ls_mean_difference")["p_adjusted"] >= row["p_value"]
    assert found.spec["primary"] == "ls_mean_difference"


def test_the_largest_known_group_is_the_reference_and_the_family_is_adjusted() -> None:
    frames = tables([*COURSES, *((f"D{k}", f"Q{k}", "C", 40, "completed", 20.0 + k, 9.0) for k in range(3))])
    made = Dataset(**frames, cutoff="2024-12-31")
    found = change_from_baseline(made, by=None, group="arm", endpoint=60, multiplicity="holm")
    assert found.spec["arguments"]["reference"] == "A"
    tested = found.estimates.query("estimand == 'ls_mean_difference'")
    assert sorted(tested["arm"]) == ["B", "C"]
    smallest = tested["p_value"].min()
    assert tested["p_adjusted"].min() == pytest.approx(min(2 * smallest, 1))


def test_those_whose_group_is_not_recorded_have_their_means_and_no_comparison() -> None:
    found = change_from_baseline(small(), by=None, group="arm", reference="B", endpoint=60)
    own = found.estimates.query("arm == 'not recorded'")
    assert sorted(own["estimand"]) == [
        "mean_baseline",
        "mean_baseline_evaluable",
        "mean_change",
        "mean_value",
    ]
    # C9 alone: 25 before and after.
    assert found.cell(arm="not recorded", estimand="mean_change")[["estimate", "denominator"]].tolist() == [
        0,
        1,
    ]
    known = Dataset(**tables([row for row in COURSES if row[2]]), cutoff="2024-12-31")
    without = change_from_baseline(known, by=None, group="arm", reference="B", endpoint=60)
    columns = ["estimate", "std_error", "p_adjusted", "denominator", "n_missing"]
    for arm, estimand in (("A", "ls_mean_difference"), ("A", "ls_mean_change"), ("B", "ls_mean_change")):
        there, alone = (each.cell(arm=arm, estimand=estimand)[columns] for each in (found, without))
        assert there.tolist() == pytest.approx(alone.tolist(), nan_ok=True)
    assert any("counted, not compared" in rule for rule in found.spec["rules"])
    assert not any("compared" in rule for rule in change_from_baseline(small(), endpoint=60).spec["rules"])


def test_where_no_group_is_known_nothing_is_compared() -> None:
    made = clinic(courses=[(*row[:2], None, *row[3:]) for row in COURSES])
    found = change_from_baseline(made, by=None, group="arm", endpoint=60)
    assert found.estimates["arm"].unique().tolist() == ["not recorded"]
    assert not found.estimates["estimand"].str.startswith("ls_").any()
    assert found.spec["arguments"]["reference"] == ""


def test_several_courses_of_a_patient_are_clustered() -> None:
    courses = [(f"{row[0]}{k}", row[1], *row[2:]) for row in COURSES for k in (1, 2)]
    twice = change_from_baseline(clinic(courses=courses), by=None, group="arm", reference="B", endpoint=60)
    once = change_from_baseline(small(), by=None, group="arm", reference="B", endpoint=60)
    for estimand in ("mean_change", "mean_baseline"):
        first, second = (each.cell(arm="A", estimand=estimand) for each in (once, twice))
        # The same courses twice say no more than once.
        columns = ["estimate", "std_error", "df", "conf_low"]
        assert first[columns].tolist() == pytest.approx(second[columns].tolist())
        assert second["denominator"] == 2 * first["denominator"]
        assert "clustered in patients" in second["method"]
    assert "CR2" in twice.cell(arm="A", estimand="ls_mean_difference")["method"]
    assert "independent" in once.cell(arm="A", estimand="ls_mean_difference")["method"]


def test_an_instrument_without_a_direction_is_not_read() -> None:
    found = change_from_baseline(clinic(instrument="gais"), by="arm", group=None, endpoint=60).estimates
    assert found["estimate"].isna().all()
    assert (
        found["note"]
        .str.contains("direction of 'gais' is not declared: add it in a vocabulary overlay")
        .all()
    )
    assert (found["denominator"] > 0).any()


def test_an_instrument_without_a_rule_has_a_change() -> None:
    courses = [(*row[:5], row[5] and row[5] / 2, row[6] and row[6] / 2) for row in COURSES]
    found = change_from_baseline(clinic(courses=courses, instrument="hexsel_css"), by=None, endpoint=60)
    assert found.estimates.empty  # it is for cellulite
    frames = tables(courses=courses, instrument="hexsel_css")
    frames["courses"] = frames["courses"].assign(indication="cellulite")
    found = change_from_baseline(Dataset(**frames, cutoff="2024-12-31"), by=None, endpoint=60)
    inside = [
        row[6] - row[5] for row in courses if row[5] and row[6] and row[5] <= 15
    ]  # the scale ends at 15
    assert found.cell(estimand="mean_change")["estimate"] == pytest.approx(np.mean(inside))


def test_the_sign_is_explained() -> None:
    rules = " ".join(change_from_baseline(small(), endpoint=60).spec["rules"])
    assert "the value less the baseline" in rules
    assert "Lower is better, so that an improvement is negative: Melasma" in rules


@pytest.mark.parametrize(
    ("courses", "note"),
    [
        ([("C1", "P1", "A", 30, "completed", 20.0, 10.0)], "one patient"),
        ([(f"C{k}", f"P{k}", "A", 30, "completed", 20.0, None) for k in range(4)], "no observation"),
        ([(f"C{k}", f"P{k}", "A", 30, "completed", None, 9.0) for k in range(4)], "no observation"),
        ([(f"C{k}", f"P{k}", "A", 30, "completed", 20.0, 11.0) for k in range(4)], "all values alike"),
    ],
)
def test_what_cannot_be_estimated_is_nan_with_a_note(courses: list[tuple[Any, ...]], note: str) -> None:
    found = change_from_baseline(clinic(courses=courses), by="arm", group="age", endpoint=60)
    row = found.cell(arm="A", estimand="mean_change")
    assert np.isnan(row["std_error"])
    assert note in row["note"]
    assert found.cell(arm="A", estimand="ls_mean_change")["note"] != ""


def test_an_empty_arm_keeps_its_rows() -> None:
    courses = [(*row[:6], None if row[2] == "B" else row[6]) for row in COURSES]
    found = change_from_baseline(clinic(courses=courses), by=None, group="arm", reference="A", endpoint=60)
    row = found.cell(arm="B", estimand="ls_mean_difference")
    assert np.isnan(row["estimate"])
    assert "cannot be estimated" in row["note"]
    assert [row["denominator"], row["n_missing"]] == [0, 4 + 1]
    assert found.cell(arm="A", estimand="ls_mean_change")["estimate"] < 0


def test_a_cell_without_the_reference_has_no_difference_but_rows() -> None:
    frames = tables()
    frames["courses"] = frames["courses"].assign(
        indication=lambda rows: np.where(rows["arm"] == "A", "melasma", "melasma"),
        clinic_id=lambda rows: np.where(rows["arm"] == "A", "one", "two"),
    )
    found = change_from_baseline(
        Dataset(**frames, cutoff="2024-12-31"), by="clinic_id", group="arm", reference="A", endpoint=60
    )
    lost = found.estimates.query("clinic_id == 'two' and estimand == 'ls_mean_difference'")
    assert lost["arm"].tolist() == ["B"]
    assert lost["estimate"].isna().all()
    assert lost["note"].str.contains("no course of the reference group 'A'").all()


def test_no_course_at_all_is_an_empty_result() -> None:
    found = change_from_baseline(small(), instrument="fine_lines", group="arm", endpoint=60)
    assert found.estimates.empty


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group": "arm", "reference": "C"}, "no group of arm is 'C'"),
        ({"group": "arm", "reference": "not recorded"}, "nobody knows who is in it; name one of .*'A', 'B'"),
        ({"adjust": "age"}, "name the groups with group="),
        ({"group": "arm", "adjust": "arm"}, "nothing to adjust for"),
        ({"group": "arm", "adjust": "agee"}, "no column 'agee'.*did you mean 'age'"),
        ({"group": "arm", "adjust": "baseline"}, "cannot adjust for 'baseline'"),
        ({"by": "change"}, "has a column of that name"),
        ({"group": "arm", "by": "arm"}, "each grouping column once"),
        ({"conf_level": 2}, "conf_level == 2"),
        ({"endpoint": -1}, "endpoint is"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        change_from_baseline(small(), **({"endpoint": 60} | options))


def test_tables_and_instruments_that_are_absent_are_named() -> None:
    frames = tables()
    del frames["outcomes"]
    with pytest.raises(DataError, match="outcomes"):
        change_from_baseline(Dataset(**frames))
    with pytest.raises(VocabularyError, match="did you mean 'masi'"):
        change_from_baseline(small(), instrument="masii")


def test_a_simulated_clinic_agrees_with_plain_pandas() -> None:
    demo = simulate(400, seed=4)
    found = change_from_baseline(demo, instrument="masi", group="sex", reference="female")
    rows = found.explain()
    counted = rows[rows["in_denominator"]]
    assert len(counted) > 20
    assert (counted["change"] == counted["value"] - counted["baseline"]).all()
    means = counted.groupby("sex")["change"].mean()
    for sex in means.index:
        assert found.cell(sex=sex, estimand="mean_change")["estimate"] == pytest.approx(means[sex])
