"""Change over repeated visits: which assessment each visit takes, and the model fed by plain pandas."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mesostats.dataset import Dataset
from mesostats.estimators.visit_means import visit_means
from mesostats.outcomes.repeated_changes import change_by_visit
from mesostats.results import ESTIMATE_COLUMNS
from mesostats.simulation import simulate

START = pd.Timestamp("2024-01-01")


def clinic(
    assessed: list[tuple[str, int, float]],
    sessions: dict[str, list[int]],
    *,
    cutoff: str = "2025-12-31",
    arms: dict[str, str] | None = None,
    **columns: Any,
) -> Dataset:
    """Return a clinic from (course, day, value) and the days of each course's sessions; day 0 is 2024-01-01."""
    courses = pd.DataFrame({"course_id": [*sessions], "patient_id": ["P" + course for course in sessions]})
    courses = courses.assign(
        indication="melasma",
        start_date=START,
        status="completed",
        arm=courses["course_id"].map(arms or dict.fromkeys(sessions, "A")),
    ).assign(**columns)
    held = [(course, day) for course, days in sessions.items() for day in days]
    visits = pd.DataFrame(held, columns=["course_id", "day"])
    outcomes = pd.DataFrame(assessed, columns=["course_id", "day", "value"])
    return Dataset(
        patients=courses[["patient_id"]].drop_duplicates(),
        courses=courses,
        sessions=pd.DataFrame(
            {
                "session_id": "S" + visits.index.astype(str),
                "course_id": visits["course_id"],
                "date": START + pd.to_timedelta(visits["day"], unit="D"),
                "status": "attended",
            }
        ),
        outcomes=pd.DataFrame(
            {
                "outcome_id": "O" + outcomes.index.astype(str),
                "course_id": outcomes["course_id"],
                "date": START + pd.to_timedelta(outcomes["day"], unit="D"),
                "instrument": "masi",
                "value": outcomes["value"],
            }
        ),
        cutoff=cutoff,
    )


def values(found: Any, course: str) -> dict[int, float]:
    rows = found.explain()
    return rows[rows["course_id"] == course].set_index("visit")["value"].to_dict()


SESSIONS = {"C1": [0, 14, 28]}


@pytest.mark.parametrize(
    ("assessed", "window", "expected"),
    [
        ([(25, 9.0), (32, 8.0)], 14, {30: 8.0, 60: np.nan}),  # the nearest
        ([(28, 9.0), (32, 8.0)], 14, {30: 8.0, 60: np.nan}),  # of two as near the later
        ([(45, 9.0)], 14, {30: np.nan, 60: np.nan}),  # in the middle, out of both windows
        ([(45, 9.0)], "nearest", {30: np.nan, 60: 9.0}),  # as near to both: the later visit
        ([(44, 9.0)], "nearest", {30: 9.0, 60: np.nan}),
        ([(1, 9.0), (200, 7.0)], "nearest", {30: 9.0, 60: 7.0}),
        ([(0, 9.0)], "nearest", {30: np.nan, 60: np.nan}),  # the baseline
        ([(30, 99.0)], 14, {30: np.nan, 60: np.nan}),  # no value that the instrument can take
    ],
)
def test_a_day_takes_the_nearest_assessment(
    assessed: list[tuple[int, float]], window: Any, expected: dict[int, float]
) -> None:
    made = clinic([("C1", -3, 20.0), *(("C1", *each) for each in assessed)], SESSIONS)
    found = change_by_visit(made, visits=[30, 60], window=window)
    assert values(found, "C1") == pytest.approx(expected, nan_ok=True)


def test_a_number_of_sessions_takes_the_last_assessment_before_the_next() -> None:
    made = clinic(
        [
            ("C1", 0, 20.0),
            ("C1", 3, 18.0),
            ("C1", 14, 16.0),
            ("C1", 20, 14.0),
            ("C1", 50, 12.0),
            ("C1", 200, 1.0),
        ],
        SESSIONS,
    )
    found = change_by_visit(made, visits=[1, 2, 3], time="session")
    # Day 14 is that of the second session: assessed before it. Day 200 is too long after the last session.
    assert values(found, "C1") == {1: 16.0, 2: 14.0, 3: 12.0}
    wide = change_by_visit(made, visits=[1, 2, 3], time="session", window=200)
    assert values(wide, "C1")[3] == 1.0


def test_a_visit_counts_once_it_is_due() -> None:
    sessions = {"C1": [0, 14], "C2": [100, 114]}
    made = clinic(
        [("C1", 0, 20.0), ("C1", 60, 10.0), ("C2", 100, 30.0), ("C2", 160, 15.0)],
        sessions,
        cutoff="2024-06-10",
    )  # day 161: the window about day 60 of C2 closes on day 174
    row = change_by_visit(made, visits=[60]).cell(time=60, estimand="mean_change")
    assert [row["estimate"], row["denominator"], row["n_missing"]] == [-10, 1, 0]
    rows = change_by_visit(made, visits=[60]).explain(time=60)
    assert rows.set_index("course_id")["excluded"].to_dict() == {
        "C1": "",
        "C2": "visit not due by the data cut",
    }


def test_those_who_left_are_missing_at_the_sessions_that_they_did_not_reach() -> None:
    sessions = {"C1": [0, 14, 28], "C2": [0], "C3": [0, 14]}
    made = clinic(
        [("C1", 0, 20.0), ("C1", 40, 10.0), ("C2", 0, 30.0), ("C3", 0, 10.0)],
        sessions,
        status=["completed", "discontinued", "completed"],
        planned_sessions=3,
    )
    row = change_by_visit(made, visits=[3], time="session").cell(time=3, estimand="mean_change")
    assert [row["denominator"], row["n_missing"]] == [1, 1]  # C3 was completed with fewer: nothing is missing
    start = change_by_visit(made, visits=[3], time="session").cell(time=0, estimand="mean_value")
    assert [start["estimate"], start["denominator"]] == [20, 3]


@cache
def demo() -> Dataset:
    rng = np.random.default_rng(6)
    n = 60
    names = [f"C{k:02}" for k in range(n)]
    base = rng.normal(24, 5, n).round(1)
    arm = np.where(np.arange(n) % 2 == 0, "A", "B")
    error = rng.normal(size=(n, 1)) + rng.normal(size=(n, 3))
    change = -4 + 2 * error - np.outer(arm == "B", [0, 1, 2]) - 0.2 * (base[:, None] - 24)
    assessed = [(name, 0, float(b)) for name, b in zip(names, base, strict=True)]
    for k, name in enumerate(names):
        last = rng.integers(1, 4)
        assessed += [(name, 28 * (v + 1), float(round(base[k] + change[k, v], 2))) for v in range(last)]
    return clinic(
        assessed,
        {name: [0, 14, 28] for name in names},
        arms=dict(zip(names, arm, strict=True)),
        clinic_id=[f"K{k % 3}" for k in range(n)],
    )


def test_the_model_is_the_estimator_fed_by_plain_pandas() -> None:
    found = change_by_visit(
        demo(), visits=[28, 56, 84], by=None, group="arm", reference="A", adjust="clinic_id", conf_level=0.9
    )
    outcomes, courses = demo().table("outcomes"), demo().table("courses").set_index("course_id")
    outcomes = outcomes.assign(day=(outcomes["date"] - START).dt.days)
    base = outcomes[outcomes["day"] == 0].set_index("course_id")["value"]
    rows = outcomes[outcomes["day"] > 0].assign(
        baseline=lambda frame: frame["course_id"].map(base),
        arm=lambda frame: frame["course_id"].map(courses["arm"]),
        clinic_id=lambda frame: frame["course_id"].map(courses["clinic_id"]),
    )
    expected = visit_means(
        rows["value"] - rows["baseline"],
        rows["arm"],
        rows[["baseline", "clinic_id"]],
        subject=rows["course_id"],
        visit=rows["day"],
        reference="A",
        by_visit=["baseline"],
        conf_level=0.9,
    )
    names = {"ls_mean": "ls_mean_change", "ls_mean_difference": "ls_mean_difference"}
    for row in expected.itertuples():
        cell = found.cell(arm=row.group, time=row.visit, estimand=names[str(row.estimand)])
        for column in ("estimate", "std_error", "df", "conf_low", "conf_high", "p_value", "denominator"):
            assert cell[column] == pytest.approx(getattr(row, column), rel=1e-6)
    means = (rows["value"] - rows["baseline"]).groupby([rows["arm"], rows["day"]]).agg(["mean", "size"])
    for (arm, day), each in means.iterrows():  # type: ignore[misc]
        cell = found.cell(arm=arm, time=day, estimand="mean_change")
        assert [cell["estimate"], cell["denominator"]] == pytest.approx([each["mean"], each["size"]])
        assert cell["n_missing"] == 30 - each["size"]
    assert found.estimates.columns.tolist() == ["arm", "instrument", *ESTIMATE_COLUMNS]
    assert "missing at random" in found.cell(arm="B", time=84, estimand="ls_mean_difference")["method"]


def test_p_values_are_adjusted_for_the_groups_of_a_visit() -> None:
    found = change_by_visit(
        demo(), visits=[28, 84], group="clinic_id", reference="K0", multiplicity="holm"
    ).estimates.query("estimand == 'ls_mean_difference'")
    for _, family in found.groupby("time"):
        ordered = family.sort_values("p_value")
        first, second = ordered["p_value"]
        assert ordered["p_adjusted"].tolist() == pytest.approx(
            [min(2 * first, 1), min(max(2 * first, second), 1)]
        )


@pytest.mark.parametrize("unknown", [None, "unknown", "not_asked"])
def test_those_whose_group_is_not_recorded_are_in_no_model(unknown: str | None) -> None:
    tables = {name: demo().table(name) for name in ("patients", "sessions", "outcomes")}
    courses = demo().table("courses")
    lost = courses["clinic_id"] == "K2"
    made, less = (
        Dataset(**tables, courses=rows, cutoff=demo().cutoff)
        for rows in (
            courses.assign(clinic_id=courses["clinic_id"].astype(object).mask(lost, unknown)),
            courses.assign(clinic_id=courses["clinic_id"].mask(lost, "K2")),
        )
    )
    options: dict[str, Any] = {"visits": [28, 84], "by": None, "group": "clinic_id", "reference": "K0"}
    found = change_by_visit(made, **options)
    own = found.estimates[found.estimates["clinic_id"] == (unknown or "not recorded")]
    assert sorted(own["estimand"].unique()) == ["mean_change", "mean_value"]
    # The observed means are those of the group under its name; the model is that of the others alone.
    named = change_by_visit(less, **options).cell(clinic_id="K2", time=84, estimand="mean_change")
    row = own[(own["time"] == 84) & (own["estimand"] == "mean_change")].iloc[0]
    assert row["estimate"] == pytest.approx(named["estimate"])
    outcomes = tables["outcomes"]
    kept = outcomes[outcomes["course_id"].isin(courses.loc[~lost, "course_id"])]
    alone = change_by_visit(
        Dataset(**(tables | {"outcomes": kept}), courses=courses, cutoff=made.cutoff), **options
    )
    for time in (28, 84):
        pair = [
            each.cell(clinic_id="K1", time=time, estimand="ls_mean_difference")[
                ["estimate", "std_error", "p_adjusted"]
            ]
            for each in (found, alone)
        ]
        assert pair[0].tolist() == pytest.approx(pair[1].tolist(), rel=1e-6)
    assert any("counted, not compared" in rule for rule in found.spec["rules"])


def test_explain_returns_the_rows_behind_each_number() -> None:
    found = change_by_visit(demo(), visits=[28, 84], group="arm", reference="A")
    for row in found.estimates.to_dict("records"):
        rows = found.explain(**{name: row[name] for name in [*found.groups, "estimand", "time"]})
        counted = rows[rows["in_denominator"]]
        assert len(counted) == row["denominator"]
        if row["estimand"] == "mean_change":
            assert counted["change"].mean() == pytest.approx(row["estimate"])
        if row["estimand"] == "mean_value":
            assert counted["value"].mean() == pytest.approx(row["estimate"])


def test_without_groups_there_is_a_trajectory() -> None:
    found = change_by_visit(demo(), visits=[28, 56, 84])
    assert found.estimates.columns.tolist() == ["indication", "instrument", *ESTIMATE_COLUMNS]
    assert found.estimates["estimand"].value_counts().to_dict() == {
        "mean_value": 4,
        "mean_change": 3,
        "ls_mean_change": 3,
    }
    assert found.spec["primary"] == "ls_mean_change"


def test_several_courses_of_a_patient_are_told_of() -> None:
    made = demo()
    courses = made.table("courses")
    courses["patient_id"] = courses["patient_id"].where(courses["course_id"] != "C01", "PC00")
    again = Dataset(
        patients=made.table("patients"),
        courses=courses,
        sessions=made.table("sessions"),
        outcomes=made.table("outcomes"),
        cutoff=made.cutoff,
    )
    note = change_by_visit(again, visits=[28, 56]).cell(time=28, estimand="ls_mean_change")["note"]
    assert note == "1 patients with several courses, taken as independent"


@pytest.mark.parametrize(
    ("assessed", "words"),
    [
        ([("C1", 0, 20.0), ("C1", 30, 10.0)], "too few|cannot be estimated"),
        ([(f"C{k}", 30, 10.0) for k in range(1, 5)], "cannot be estimated"),  # no baseline
        ([(f"C{k}", 0, 10.0) for k in range(1, 5)], "cannot be estimated"),  # nobody came again
        (
            [(f"C{k}", day, 10.0 + k * day) for k in range(1, 5) for day in (0, 30 if k % 2 else 60)],
            "",  # two visits that no course had both
        ),
    ],
)
def test_what_cannot_be_modelled_is_nan_with_a_note(
    assessed: list[tuple[str, int, float]], words: str
) -> None:
    sessions = {f"C{k}": [0, 14] for k in range(1, 5)}
    found = change_by_visit(
        clinic(assessed, sessions, arms={"C1": "A", "C2": "A", "C3": "B", "C4": "B"}),
        visits=[30, 60],
        group="arm",
        reference="A",
    ).estimates
    modelled = found[found["estimand"].str.startswith("ls_")]
    assert len(modelled) == 6
    assert modelled["estimate"].isna().all()
    assert (modelled["note"].str.contains(words) & (modelled["note"] != "")).all()


def test_an_instrument_without_a_direction_is_not_read() -> None:
    made = demo()
    outcomes = made.table("outcomes").assign(instrument="gais", value=3)
    tables = {name: made.table(name) for name in ("patients", "courses", "sessions")}
    found = change_by_visit(
        Dataset(**tables, outcomes=outcomes, cutoff=made.cutoff), visits=[28, 56], group="arm"
    )
    assert found.estimates["estimate"].isna().all()
    assert found.estimates["note"].str.contains("direction of 'gais' is not declared").all()
    assert (found.estimates["denominator"] > 0).all()


def test_nobody_with_the_instrument_is_an_empty_result() -> None:
    assert change_by_visit(demo(), visits=[28], instrument="fine_lines", group="arm").estimates.empty


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"visits": []}, "visits are whole numbers above 0"),
        ({"visits": [60, 30]}, "in increasing order"),
        ({"visits": [0, 30]}, "above 0"),
        ({"visits": [30.5]}, "whole numbers"),
        ({"time": "week"}, "time 'week' is unknown"),
        ({"window": -1}, "window is a number of days"),
        ({"window": "nearest", "time": "session"}, "window 'nearest' is for days"),
        ({"covariance": "ar1"}, "covariance 'ar1' is unknown"),
        ({"group": "arm", "reference": "Z"}, "no group of arm is 'Z'"),
        ({"by": "visit"}, "has a column of that name"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        change_by_visit(demo(), **({"visits": [28, 56]} | options))


def test_a_simulated_clinic_has_a_model_for_each_indication() -> None:
    found = change_by_visit(simulate(1500, seed=2), visits=[2, 4], time="session", group="sex").estimates
    modelled = found[(found["estimand"] == "ls_mean_difference") & found["estimate"].notna()]
    assert modelled["indication"].nunique() >= 4
    assert modelled["df"].between(3, 100).all()
    assert modelled["conf_low"].lt(modelled["conf_high"]).all()
