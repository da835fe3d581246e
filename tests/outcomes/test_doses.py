"""Response by sessions received: counts by hand, and a clinic in which sessions have no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from watched_clinic import tables, watched

from mesostats.dataset import Dataset
from mesostats.outcomes.doses import response_by_sessions

if TYPE_CHECKING:
    from mesostats.results import Result

START = pd.Timestamp("2024-01-01")


def assert_explained(found: Result) -> None:
    for row in found.estimates.to_dict("records"):
        if not row["estimand"].endswith(("_test", "_difference")):
            rows = found.explain(**{name: row[name] for name in [*found.groups, "estimand"]})
            assert rows["in_denominator"].sum() == row["denominator"]
            assert rows["in_numerator"].sum() == row["numerator"]
            assert rows["excluded"].eq("").eq(rows["in_denominator"]).all()


def clinic_without_effect(n: int, seed: int) -> Dataset:
    """Return courses of six weekly visits. Half respond, whatever is done to them.

    A visit before the landmark day 28 is skipped at random by anybody. Whoever does not respond gives up more often: each of the
    weeks after the first visit loses 4 % of responders and 20 % of the others. All are assessed on day 60.
    """
    rng = np.random.default_rng(seed)
    responds = rng.random(n) < 0.5
    lost = rng.random((n, 6)) < np.where(responds, 0.04, 0.2)[:, None]
    lost[:, 0] = False
    there = ~np.logical_or.accumulate(lost, axis=1)
    skipped = rng.random((n, 6)) < 0.3
    skipped[:, [0, 4, 5]] = False  # day 28 and 35 are kept by whoever is still there
    course, week = np.nonzero(there & ~skipped)
    ids = np.char.add("C", np.arange(n).astype("str"))
    frame = pd.DataFrame(
        {"course_id": ids, "patient_id": ids, "indication": "melasma", "status": "completed"}
    )
    values = pd.DataFrame({"course_id": np.repeat(ids, 2), "day": np.tile([0, 60], n)})
    values["value"] = np.where(values["day"] == 0, 20.0, np.repeat(np.where(responds, 5.0, 20.0), 2))
    return Dataset(
        patients=pd.DataFrame({"patient_id": ids}),
        courses=frame.assign(start_date=START),
        sessions=pd.DataFrame(
            {
                "session_id": np.arange(len(course)).astype("str"),
                "course_id": ids[course],
                "date": START + pd.to_timedelta(week * 7, unit="D"),
                "status": "attended",
            }
        ),
        outcomes=values.assign(
            outcome_id=np.arange(2 * n).astype("str"),
            date=START + pd.to_timedelta(values["day"], unit="D"),
            instrument="masi",
        ).drop(columns="day"),
        cutoff="2024-12-31",
    )


def test_counts_by_hand() -> None:
    found = response_by_sessions(watched(), landmark_day=12, naive=True)
    # A session after day 12: C01, C02, C03, C06, C07, C08, C09, all with two sessions by then; C04, C05, C10 had ended.
    # At the end C01, C02, C08 respond, C03 and C07 do not; C06 has no baseline, C09 no assessment.
    row = found.cell(sessions="2", estimand="response_evaluable")
    assert (row["numerator"], row["denominator"], row["n_missing"]) == (3, 5, 2)
    row = found.cell(sessions="2", estimand="response_treated")
    assert (row["numerator"], row["denominator"]) == (3, 7)
    assert "alike" in found.cell(estimand="evaluable_trend_test")["note"]
    # By the final number: C10 responded after two, C04 did not; C05 with one was not assessed.
    naive = found.estimates.query("estimand == 'naive_response_evaluable'").set_index("sessions")
    assert naive["numerator"].to_dict() == {"1": 0, "2": 1, "3": 3}
    assert naive["denominator"].to_dict() == {"1": 0, "2": 2, "3": 5}
    assert naive["note"].str.startswith("misleads").all()
    assert_explained(found)
    rows = found.explain(estimand="response_evaluable").set_index("course_id")
    assert rows.loc["C04", "excluded"] == "ended by the landmark"
    assert rows.loc["C09", "excluded"] == "no usable baseline or no assessment at the endpoint"


def test_naive_is_given_on_request_only() -> None:
    assert not response_by_sessions(watched()).estimates["estimand"].str.startswith("naive_").any()


def test_without_effect_the_landmark_is_unbiased_and_the_naive_is_not() -> None:
    found = response_by_sessions(clinic_without_effect(8000, 1), landmark_day=27, naive=True)
    trend = found.cell(sessions="all groups", estimand="evaluable_trend_difference")
    assert abs(trend["estimate"]) <= 4 * trend["std_error"]
    assert trend["std_error"] < 0.01
    naive = found.cell(sessions="all groups", estimand="naive_evaluable_trend_difference")
    assert naive["conf_low"] > 0.05  # each session seems to bring five points and more
    assert found.cell(sessions="all groups", estimand="naive_evaluable_trend_test")["p_value"] < 1e-6
    assert found.cell(sessions="all groups", estimand="evaluable_trend_test")["p_value"] > 1e-3
    # With each number of sessions by the landmark as many respond: those still there, 0.5·0.96⁴ of 0.5·(0.96⁴ + 0.8⁴).
    shares = found.estimates.query("estimand == 'response_evaluable' and sessions != 'all groups'")
    truth = 0.96**4 / (0.96**4 + 0.8**4)
    assert ((shares["estimate"] - truth).abs() <= 4 * shares["std_error"]).all()
    assert shares["sessions"].tolist() == ["1", "2", "3", "4"]


def test_size_of_the_trend_test() -> None:
    rejected = [
        response_by_sessions(clinic_without_effect(150, seed), landmark_day=27).cell(
            sessions="all groups", estimand="evaluable_trend_test"
        )["p_value"]
        < 0.05
        for seed in range(25)
    ]
    assert sum(rejected) <= 5  # of 25 at 5 %: more than 5 once in 800


def test_degenerate_clinics() -> None:
    outcomes = tables()["outcomes"]
    nobody = response_by_sessions(watched(outcomes=outcomes.assign(value=20.0)), landmark_day=12)
    assert nobody.cell(sessions="2", estimand="response_evaluable")["estimate"] == 0
    without = response_by_sessions(
        watched(outcomes=outcomes[outcomes["date"] > "2024-01-01"]), landmark_day=12
    )
    assert without.cell(sessions="2", estimand="response_evaluable")["note"] == "no observations"
    late = response_by_sessions(watched(), landmark_day=300)
    assert late.estimates["denominator"].eq(0).all()
    assert late.estimates["note"].eq("no course was still in treatment at the landmark").all()
    refused = response_by_sessions(
        watched(
            outcomes=outcomes.assign(instrument="hair_density"),
            courses=tables()["courses"].assign(indication="hair_loss_aga"),
        )
    )
    assert refused.estimates["note"].str.contains("no accepted responder rule").all()


def test_repeated_patients_are_clusters() -> None:
    courses = tables()["courses"].assign(patient_id=["P1", "P1"] + [f"P{each}" for each in range(3, 11)])
    found = response_by_sessions(watched(courses=courses), landmark_day=5)
    assert "effective sample size" in found.cell(sessions="1", estimand="response_evaluable")["method"]
    assert "patient-clustered" in found.cell(sessions="all groups", estimand="evaluable_trend_test")["method"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"landmark_day": 0}, "found 0"),
        ({"landmark_day": 2.5}, "whole number of days"),
        ({"landmark_day": 30, "endpoint": 30}, "must begin after the landmark"),
        (
            {"landmark_day": 14, "endpoint": 20, "window": 14},
            "day 20 less 14, must begin after the landmark on day 14",
        ),
        ({"endpoint": "last_observation"}, "may come before the landmark"),
        ({"conf_level": 2}, "conf_level"),
        ({"by": "sessions"}, "cannot group by 'sessions'"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        response_by_sessions(watched(), **arguments)  # type: ignore[arg-type]
