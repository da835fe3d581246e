"""Time to response of a clinic read by hand, of degenerate ones, and of simulated ones with a known time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from watched_clinic import tables, watched

from mesostats.dataset import Dataset
from mesostats.errors import DataError
from mesostats.estimators import kaplan_meier
from mesostats.estimators.competing import aalen_johansen
from mesostats.estimators.interval_censored import turnbull
from mesostats.outcomes.response_times import time_to_response
from mesostats.results import ESTIMATE_COLUMNS, Result

# The eight courses with a baseline but C05 and C09, which were never assessed: (left, right].
DAYS = {"C01": (10, 30), "C02": (0, 30), "C03": (30, np.inf), "C04": (25, np.inf)} | {
    "C07": (0, 15),
    "C08": (22, 40),
    "C10": (0, 12),
}
SESSIONS = {"C01": (1, 3), "C02": (0, 3), "C03": (3, np.inf), "C04": (2, np.inf)} | {
    "C07": (0, 2),
    "C08": (0, 3),
    "C10": (0, 2),
}


def curve(found: Result, estimand: str) -> pd.DataFrame:
    return found.estimates[found.estimates["estimand"] == estimand].reset_index(drop=True)


def assert_explained(found: Result) -> None:
    for row in found.estimates.to_dict("records"):
        cell = {name: row[name] for name in [*found.groups, "estimand"]}
        rows = found.explain(**cell | ({} if pd.isna(row["time"]) else {"time": row["time"]}))
        assert rows["in_denominator"].sum() == row["denominator"]
        assert rows["in_numerator"].sum() == row["numerator"]
        assert rows["excluded"].eq("").eq(rows["in_denominator"]).all()


@pytest.mark.parametrize(("time", "intervals"), [("day", DAYS), ("session", SESSIONS)])
def test_intervals_are_those_read_by_hand(time: Any, intervals: dict[str, tuple[float, float]]) -> None:
    found = time_to_response(watched(), time=time)
    rows = found.explain(indication="melasma", instrument="masi", estimand="responded")
    seen = rows[rows["in_denominator"]].set_index("course_id")
    assert dict(zip(seen.index, zip(seen["left"], seen["right"], strict=True), strict=True)) == intervals
    left, right = np.array([*intervals.values()]).T
    expected = turnbull(left, right)
    own = curve(found, "responded")
    assert own["time"].tolist() == expected["time"].tolist()
    for column, other in {"estimate": "estimate", "conf_low": "conf_high", "conf_high": "conf_low"}.items():
        assert own[column].to_numpy() == pytest.approx(1 - expected[other].to_numpy(), nan_ok=True)
    assert own["denominator"].eq(7).all()
    assert own["numerator"].tolist() == [(right <= each).sum() for each in own["time"]]
    assert own["n_missing"].eq(3).all()  # C05, C06, C09
    assert_explained(found)


def test_responses_as_seen_are_kaplan_meiers() -> None:
    found = time_to_response(watched())
    own = curve(found, "responded_as_seen")
    expected = kaplan_meier([30, 30, 30, 25, 15, 40, 12], [1, 1, 0, 0, 1, 1, 1])
    assert own["time"].tolist() == [12, 15, 25, 30, 40]
    assert own["estimate"].to_numpy() == pytest.approx(1 - expected["estimate"].to_numpy())
    assert own["denominator"].tolist() == [7, 6, 5, 4, 1]
    assert own["note"].str.startswith("late").all()
    # A response is never seen before it came: the curve lies below that of the intervals at its times.
    intervals = curve(found, "responded")
    late = [own.loc[own["time"] <= each, "estimate"].max() for each in intervals["time"]]
    assert (intervals["estimate"] >= np.nan_to_num(late) - 1e-9).all()


def test_dropout_forestalls_response() -> None:
    found = time_to_response(watched())
    # C04 left after its assessment on day 25, C05 on day 0; C03 and C09 are censored on day 30 and 0; C06 has no baseline.
    time, end = [30, 30, 30, 25, 0, 15, 40, 0, 12], [1, 1, 0, 2, 2, 1, 1, 0, 1]
    expected = aalen_johansen(time, end, causes=[1, 2])
    for name, cause in {"responded_before_dropout": 1, "dropped_out_before_response": 2}.items():
        own, curves = curve(found, name), expected[expected["cause"] == cause]
        assert own["estimate"].to_numpy() == pytest.approx(curves["estimate"].to_numpy())
        assert own["n_missing"].eq(1).all()
        assert own["denominator"].iloc[0] == 9


def test_contract_and_spec() -> None:
    found = time_to_response(watched(), by=["arm", "indication"])
    assert list(found.estimates) == ["arm", "indication", "instrument", *ESTIMATE_COLUMNS]
    assert found.estimates["unit"].eq("courses").all()
    assert found.spec["primary"] in set(found.estimates["estimand"])
    assert not any(rule.startswith("Endpoint") for rule in found.spec["rules"])
    assert {"A", "B"} == set(found.estimates["arm"])
    assert_explained(found)


def test_patients_with_several_courses_are_clusters() -> None:
    courses = tables()["courses"].assign(patient_id=["P1", "P1"] + [f"P{each}" for each in range(3, 11)])
    found = time_to_response(watched(courses=courses))
    own = curve(found, "responded")
    left, right = np.array([*DAYS.values()]).T
    expected = turnbull(left, right, clusters=[1, 1, 3, 4, 7, 8, 10])
    assert own["std_error"].to_numpy() == pytest.approx(expected["std_error"].to_numpy(), nan_ok=True)
    assert own["method"].str.contains("patient-clustered").all()
    assert "several courses" in curve(found, "responded_before_dropout")["note"].iloc[0]
    assert_explained(found)


def test_nobody_responds() -> None:
    outcomes = tables()["outcomes"].assign(value=20.0)
    found = time_to_response(watched(outcomes=outcomes))
    row = curve(found, "responded").iloc[0]
    assert (row["numerator"], row["denominator"]) == (0, 7)
    assert pd.isna(row["estimate"])
    assert "no response was seen" in row["note"]
    seen = curve(found, "responded_as_seen")
    assert seen["estimate"].eq(0).all()
    # Clopper-Pearson of 0 of 7 at the first time, when all are at risk.
    assert seen["conf_high"].iloc[0] == pytest.approx(1 - 0.025 ** (1 / 7))
    assert (
        found.cell(estimand="median_response")["note"]
        == "no response was seen: see responded_as_seen for its limit"
    )
    assert_explained(found)


def test_all_respond_at_the_first_assessment() -> None:
    outcomes = tables()["outcomes"]
    first = outcomes[outcomes["date"].eq("2024-01-01")]
    later = first.assign(
        outcome_id="L" + first["outcome_id"], value=5.0, date=first["date"] + pd.Timedelta(days=40)
    )
    found = time_to_response(watched(outcomes=pd.concat([first, later], ignore_index=True)))
    row = found.cell(estimand="responded")
    assert (row["time"], row["estimate"], row["numerator"], row["denominator"]) == (40, 1, 9, 9)
    assert found.cell(estimand="median_response")["estimate"] == 20  # somewhere in (0, 40]
    assert found.cell(estimand="median_response_as_seen")["estimate"] == 40


def test_no_baseline_and_one_course() -> None:
    outcomes = tables()["outcomes"]
    after = watched(outcomes=outcomes[outcomes["date"] > "2024-01-01"])
    found = time_to_response(after)
    assert found.estimates["estimate"].isna().all()
    assert found.estimates["denominator"].eq(0).all()
    assert found.estimates["n_missing"].eq(10).all()
    assert len(found.estimates) == 6
    given = {
        name: frame[frame["course_id"] == "C01"] for name, frame in tables().items() if "course_id" in frame
    }
    single = time_to_response(watched(**given))
    assert single.cell(estimand="responded")["estimate"] == 1
    assert single.cell(estimand="responded")["time"] == 30


def test_the_data_cut_hides_what_came_later() -> None:
    found = time_to_response(watched("2024-01-20"))
    rows = found.explain(estimand="responded").set_index("course_id")
    assert rows.loc[rows["in_numerator"]].index.tolist() == ["C07", "C10"]
    assert rows.loc["C01", "right"] == np.inf


def test_an_instrument_without_a_rule_says_why() -> None:
    outcomes = tables()["outcomes"].assign(instrument="hair_density")
    found = time_to_response(
        watched(outcomes=outcomes, courses=tables()["courses"].assign(indication="hair_loss_aga"))
    )
    assert found.estimates["note"].str.contains("no accepted responder rule").all()
    assert len(found.estimates) == 6


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="time 'week' is unknown"):
        time_to_response(watched(), time="week")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="conf_level"):
        time_to_response(watched(), conf_level=95)
    with pytest.raises(ValueError, match="cannot group by 'assessed'"):
        time_to_response(watched(), by="assessed")
    given = tables()
    del given["outcomes"]
    with pytest.raises(DataError, match="'outcomes' is absent"):
        time_to_response(Dataset(**given))  # type: ignore[arg-type]


def test_simulated_truth_lies_in_the_interval_and_above_what_is_seen() -> None:
    # 60 % respond, on an exponential day of mean 40; three visits at random. By day 60: 0.6·(1 - exp(-1.5)) = 0.466.
    rng, n = np.random.default_rng(4), 1500
    day = np.where(rng.random(n) < 0.6, rng.exponential(40, n), np.inf)
    visits = np.sort(rng.integers(1, 120, (n, 3)), axis=1)
    ids = np.arange(n).astype("str")
    start = pd.Timestamp("2024-01-01")
    rows = pd.DataFrame({"course_id": np.repeat(ids, 4), "day": np.c_[np.zeros(n, int), visits].ravel()})
    rows["value"] = np.where(rows["day"] >= np.repeat(day, 4), 5.0, 20.0)
    clinic = Dataset(
        patients=pd.DataFrame({"patient_id": ids}),
        courses=pd.DataFrame(
            {
                "course_id": ids,
                "patient_id": ids,
                "indication": "melasma",
                "start_date": start,
                "status": "completed",
            }
        ),
        sessions=pd.DataFrame({"session_id": ids, "course_id": ids, "date": start, "status": "attended"}),
        outcomes=pd.DataFrame(
            {
                "outcome_id": np.arange(4 * n).astype("str"),
                "course_id": rows["course_id"],
                "date": start + pd.to_timedelta(rows["day"], unit="D"),
                "instrument": "masi",
                "value": rows["value"],
            }
        ),
        cutoff="2024-12-31",
    )
    found = time_to_response(clinic)
    for at in (30, 60, 90):
        truth = 0.6 * (1 - np.exp(-at / 40))
        own, late = (
            rows[rows["time"] <= at].iloc[-1]
            for rows in (curve(found, "responded"), curve(found, "responded_as_seen"))
        )
        assert own["conf_low"] <= truth <= own["conf_high"]
        assert late["conf_high"] < truth  # seen late: too low by far


def test_inputs_are_unchanged() -> None:
    given = tables()
    before = {name: frame.copy() for name, frame in given.items()}
    time_to_response(Dataset(**given, cutoff="2024-12-31"))  # type: ignore[arg-type]
    for name, frame in given.items():
        pd.testing.assert_frame_equal(frame, before[name])
