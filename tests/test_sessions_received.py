"""Planned and received sessions, by hand and against plain counts."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from mesostats.dataset import Dataset
from mesostats.estimators import ClusterTotals, clustered_proportion
from mesostats.schedule import course_states
from mesostats.simulation import simulate
from mesostats.visits.received import sessions_received

DAY_0 = dt.date(2024, 1, 1)


def make_clinic(
    courses: list[tuple[str, list[int], str | None]], *, protocol: str | None = "short_course"
) -> Dataset:
    """Make courses from (patient, days attended, status); the data cut is day 200."""
    visits = [
        (f"C{place}", DAY_0 + dt.timedelta(days=day)) for place, each in enumerate(courses) for day in each[1]
    ]
    sessions = pd.DataFrame(visits, columns=["course_id", "date"]).assign(status="attended")
    rows = [(f"C{place}", patient, status) for place, (patient, _, status) in enumerate(courses)]
    table = pd.DataFrame(rows, columns=["course_id", "patient_id", "status"])
    return Dataset(
        patients=pd.DataFrame({"patient_id": sorted({row[0] for row in courses})}, dtype="str"),
        courses=table.assign(indication="melasma", protocol=protocol, start_date=DAY_0),
        sessions=sessions.assign(session_id=[f"S{place}" for place in range(len(sessions))]),
        cutoff=DAY_0 + dt.timedelta(days=200),
    )


# Five sessions are planned. P1 came to 5 and to 2 (overdue), P2 to 2 on three visits, P3 to none; P4 goes on.
BY_HAND = [
    ("P1", [0, 3, 6, 9, 12], None),
    ("P1", [20, 23], None),
    ("P2", [0, 4, 4], "discontinued"),
    ("P3", [], None),
    ("P4", [195, 198], None),
]


def test_means_by_hand() -> None:
    found = sessions_received(make_clinic(BY_HAND)).estimates.set_index(["estimand"])
    means = found.loc[["planned_sessions", "received_sessions", "received_share"]]
    assert means["numerator"].tolist() == [20, 9, 9]
    assert means["denominator"].tolist() == [4, 4, 20]
    received = found.loc["received_sessions"]
    # r = 9/4; residuals of P1 7 - 2r = 2.5, P2 2 - r = -0.25, P3 -r = -2.25: squares sum to 11.375.
    error = np.sqrt(3 / 2 * 11.375) / 4
    assert received["std_error"] == pytest.approx(error)
    # R: qt(.975, 2) = 4.30265272974946; 2.25 - 4.3 * 1.03 lies below 0, where no mean can be.
    assert received["conf_high"] == pytest.approx(2.25 + 4.30265272974946 * error)
    assert received["conf_low"] == 0
    assert received["n_missing"] == 1


def test_distribution_by_hand() -> None:
    found = sessions_received(make_clinic(BY_HAND)).estimates
    exactly, at_least = (
        found[found["estimand"] == name].set_index("time")["numerator"].to_dict()
        for name in ("received_exactly", "received_at_least")
    )
    assert exactly == {0: 1, 1: 0, 2: 2, 3: 0, 4: 0, 5: 1}
    assert at_least == {1: 3, 2: 3, 3: 1, 4: 1, 5: 1}


def test_started_courses_count_those_that_go_on() -> None:
    found = sessions_received(make_clinic(BY_HAND), courses="started")
    row = found.cell(estimand="received_sessions")
    assert (row["numerator"], row["denominator"], row["n_missing"]) == (11, 5, 0)


def test_sessions_past_the_plan_do_not_make_up_for_others() -> None:
    clinic = make_clinic([("P1", [0, 1, 2, 3, 4, 5, 6], None), ("P2", [0], None)])
    row = sessions_received(clinic).cell(estimand="received_share")
    assert (row["numerator"], row["denominator"]) == (5 + 1, 10)


def test_without_a_plan_only_what_was_received_is_known() -> None:
    clinic = make_clinic([("P1", [0, 3], "completed"), ("P2", [0], "discontinued")], protocol=None)
    found = sessions_received(clinic)
    planned = found.cell(estimand="planned_sessions")
    assert (planned["denominator"], planned["n_missing"], planned["note"]) == (0, 2, "no observations")
    assert found.cell(estimand="received_sessions")["estimate"] == 1.5


@pytest.mark.parametrize("by", [None, "indication"])
@pytest.mark.parametrize("courses", [[], [("P1", [199], None)]], ids=["no course", "all go on"])
def test_nobody_to_count(courses: list[tuple[str, list[int], str | None]], by: str | None) -> None:
    found = sessions_received(make_clinic(courses), by=by).estimates
    assert found["estimate"].isna().all()
    assert by is not None or len(found) > 3


def test_shares_are_those_of_the_clustered_estimator() -> None:
    clinic = simulate(300, seed=4)
    states = course_states(clinic)
    ended = states[states["state"] != "ongoing"]
    by_patient = ended.assign(hit=ended["attended"] >= 3).groupby("patient_id")["hit"].agg(["sum", "size"])
    expected = clustered_proportion(ClusterTotals.from_arrays(by_patient["sum"], by_patient["size"])).iloc[0]
    row = sessions_received(clinic).cell(estimand="received_at_least", time=3)
    for name in ("estimate", "std_error", "conf_low", "conf_high", "numerator", "denominator"):
        assert row[name] == pytest.approx(expected[name])
    assert row["n_missing"] == (states["state"] == "ongoing").sum()


def test_explain_shows_the_courses_of_each_number() -> None:
    found = sessions_received(simulate(150, seed=5), by="protocol")
    for row in found.estimates.query("estimand in ['received_exactly', 'received_at_least']").to_dict(
        "records"
    ):
        courses = found.explain(protocol=row["protocol"], estimand=row["estimand"], time=row["time"])
        assert courses["in_denominator"].sum() == row["denominator"]
        assert courses["in_numerator"].sum() == row["numerator"]
        assert (~courses["in_denominator"]).sum() == row["n_missing"]


def test_arguments_are_checked() -> None:
    clinic = make_clinic(BY_HAND)
    with pytest.raises(ValueError, match="courses"):
        sessions_received(clinic, courses="all")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cannot group by 'planned'"):
        sessions_received(clinic, by="planned")
