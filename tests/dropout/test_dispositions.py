"""What became of courses, their flow through the phases, and the phases that lose them: by hand, against plain pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesostats.dropout.dispositions import disposition
from mesostats.dropout.patient_flows import patient_flow
from mesostats.dropout.phase_hazards import hazard_by_phase
from mesostats.dropout.retention import dropout_by_session
from mesostats.results import ESTIMATE_COLUMNS, Result
from mesostats.schedule import course_states, slot_table
from mesostats.simulation import simulate
from mesostats.vocabulary import load_vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesostats.dataset import Dataset

ANALYSES: list[Callable[..., Result]] = [disposition, patient_flow, hazard_by_phase]

# The weekly phase has 4 sessions 7 to 10 days apart, the fortnightly 2 (12 to 16), the monthly 4 (26 to 35); the grace is
# twice the longest interval. The data cut is day 200.
MONTHLY = "weekly_to_monthly"
PHASES = {MONTHLY: ["weekly", "fortnightly", "monthly"], "short_course": ["course"]}
COURSES: list[dict[str, Any]] = [
    {"days": [0, 8, 16, 24], "start_date": 0},  # overdue for the first fortnightly session
    {"days": [0, 8], "start_date": 0, "status": "discontinued", "end_date": 12, "end_reason": "cost"},
    {"days": [0, 8, 16, 24, 38, 52, 80], "start_date": 0, "status": "discontinued", "end_reason": "cost"},
    {"days": [180, 188], "start_date": 180},  # ongoing in the weekly phase
    {"days": [0, 8, 16, 24, 38, 52, 80, 110, 140, 170], "start_date": 0},  # completed
    {"days": [0, 8, 16], "start_date": 0, "status": "completed", "end_date": 20},  # completed early
    {"days": [], "start_date": 0},  # never came: overdue
]
PATIENTS = ["P1", "P1", "P2", "P3", "P4", "P5", "P6"]


@pytest.fixture(scope="module")
def clinic(build: Callable[..., Dataset]) -> Dataset:
    courses = [
        {**course, "protocol": MONTHLY, "patient_id": patient, "arm": "A"}
        for course, patient in zip(COURSES, PATIENTS, strict=True)
    ]
    others = [
        {"days": [10, 14], "start_date": 10, "protocol": None, "patient_id": "P7", "arm": "B"},
        {"days": [], "start_date": 300, "protocol": MONTHLY, "patient_id": "P8", "arm": "B"},  # not begun
    ]
    return build([*courses, *others], cut=200)


def counts(result: Result, estimand: str, **cell: str) -> list[tuple[float, float]]:
    rows = result.estimates[result.estimates["estimand"] == estimand]
    for column, value in cell.items():
        rows = rows[rows[column] == value]
    return [*zip(rows["numerator"], rows["denominator"], strict=True)]


def test_disposition_by_hand(clinic: Dataset) -> None:
    found = disposition(clinic, by="arm")
    every = {"arm": "A", "reason": "all reasons"}
    assert counts(found, "treated", **every) == [(6, 7)]
    assert counts(found, "completed", **every) == [(2, 7)]
    assert counts(found, "ongoing", **every) == [(1, 7)]
    assert counts(found, "dropped_out", **every) == [(4, 7)]
    assert counts(found, "dropped_out", arm="A", reason="cost") == [(2, 7)]
    assert counts(found, "dropped_out", arm="A", reason="overdue") == [(2, 7)]
    # Without a protocol nothing is overdue. A reason of the other group has a row here too.
    assert counts(found, "ongoing", arm="B", reason="all reasons") == [(1, 1)]
    assert counts(found, "dropped_out", arm="B", reason="cost") == [(0, 1)]
    assert found.explain(arm="A", estimand="dropped_out", reason="cost")["in_numerator"].sum() == 2


def test_patient_flow_by_hand(clinic: Dataset) -> None:
    flow = patient_flow(clinic)

    def number(estimand: str, phase: str = "all phases", reason: str = "all reasons") -> float:
        return float(flow.cell(protocol=MONTHLY, phase=phase, reason=reason, estimand=estimand)["numerator"])

    assert number("registered") == 7  # six with a course that started, and P8
    assert [number(name) for name in ("started", "attended_first_session")] == [7, 6]
    ends = ("due", "reached", "completed", "ongoing", "dropped_out")
    assert [number(name, "weekly") for name in ends] == [7, 6, 1, 1, 2]
    assert [number(name, "fortnightly") for name in ends] == [3, 2, 0, 0, 1]
    assert [number(name, "monthly") for name in ends] == [2, 2, 0, 0, 1]
    assert [number(name, "after the plan") for name in ends[2:]] == [1, 0, 0]
    assert [number("dropped_out", phase, "cost") for phase in ("weekly", "fortnightly", "monthly")] == [
        1,
        0,
        1,
    ]
    assert [number(name) for name in ends[2:]] == [2, 1, 4]
    # The course without a protocol has a phase of its own.
    none = {"protocol": "not recorded", "phase": "not recorded", "reason": "all reasons"}
    assert [flow.cell(**none, estimand=name)["numerator"] for name in ends] == [1, 1, 0, 1, 0]
    assert patient_flow(clinic, by=None).cell(estimand="registered")["numerator"] == 8


def test_hazard_by_phase_by_hand(clinic: Dataset) -> None:
    found = hazard_by_phase(clinic, by="arm", follow_up="all")
    # Weekly: 4 + 3 (the second missed its third) + 4 + 2 + 4 + 3 sessions, and the first of who never came. Fortnightly: the
    # first course missed its first, two came to both. Monthly: the third came to one and missed the next, the fifth to four.
    assert counts(found, "dropout_hazard", arm="A", phase="weekly") == [(2, 21)]
    assert counts(found, "dropout_hazard", arm="A", phase="fortnightly") == [(1, 5)]
    assert counts(found, "dropout_hazard", arm="A", phase="monthly") == [(1, 6)]
    assert counts(found, "share_of_dropouts", arm="A") == [(2, 4), (1, 4), (1, 4)]
    assert counts(found, "dropout_hazard", arm="B", phase="not recorded") == [(0, 2)]
    waiting = found.estimates.query("arm == 'A' and estimand == 'dropout_hazard'")["n_missing"]
    assert waiting.tolist() == [1, 0, 0]
    assert found.estimates.query("arm == 'A'")["phase"].tolist() == ["weekly", "fortnightly", "monthly"] * 2


def test_hazard_by_phase_is_clustered_in_patients(build: Callable[..., Dataset]) -> None:
    # Five patients with four due sessions each, of which 2, 0, 0, 1 and 0 were missed by their courses; by hand p = 3/20,
    # the residuals are 1.4, -0.6, -0.6, 0.4 and -0.6, squared 3.2, so the variance is 5/4 · 3.2/400 = 0.01.
    twice = [{"days": [0], "start_date": 0, "patient_id": "P1"}] * 2
    once = [
        {"days": [0, 1, 2], "start_date": 0, "patient_id": "P4"},
    ]
    none = [
        {
            "days": [0, 1, 2, 3],
            "start_date": 0,
            "patient_id": name,
            "status": "completed",
            "end_date": 5,
        }
        for name in ("P2", "P3", "P5")
    ]
    row = hazard_by_phase(build([*twice, *once, *none])).cell(phase="course", estimand="dropout_hazard")
    assert (row["numerator"], row["denominator"]) == (3, 20)
    # The binomial variance 0.15·0.85/20 = 0.006375 is smaller: the design effect is 0.01/0.006375.
    assert row["std_error"] == pytest.approx(0.1, rel=1e-12)
    assert row["df"] == 4


# --- properties -----------------------------------------------------------------------------------------------------------


@settings(max_examples=5, deadline=None)
@given(n=st.integers(1, 200), seed=st.integers(0, 10_000), by=st.sampled_from(["protocol", "sex", None]))
def test_disposition_and_flow_agree_and_add_up(n: int, seed: int, by: str | None) -> None:
    clinic = simulate(n, seed=seed)
    groups = [by] if by else []
    states = course_states(clinic).merge(clinic.table("patients"), on="patient_id")
    found, flow = disposition(clinic, by=by).estimates, patient_flow(clinic, by=by).estimates
    every = found[found["reason"] == "all reasons"].set_index([*groups, "estimand"])["numerator"]
    total = flow[(flow["phase"] == "all phases") & (flow["reason"] == "all reasons")]
    total = total.set_index([*groups, "estimand"])["numerator"]
    for names, expected in states.groupby([*groups, "state"]).size().items():
        assert every[names] == total[names] == expected
    for frame in (found, flow[flow["phase"] == "all phases"]):
        lost = frame[frame["estimand"] == "dropped_out"]
        single = lost[lost["reason"] != "all reasons"]["numerator"].sum()
        assert single == lost[lost["reason"] == "all reasons"]["numerator"].sum()
    phases = flow[(flow["phase"] != "all phases") & (flow["reason"] == "all reasons")]
    inside = phases.groupby("estimand")["numerator"].sum()
    for state in ("completed", "ongoing", "dropped_out"):
        assert inside[state] == (states["state"] == state).sum()


def test_flow_is_one_line_within_a_protocol() -> None:
    flow = patient_flow(simulate(1_000, seed=8)).estimates.query("reason == 'all reasons'")
    table = flow.pivot_table(index=["protocol", "phase"], columns="estimand", values="numerator", sort=False)
    for protocol, phases in PHASES.items():
        own = table.loc[protocol].loc[phases]
        left = own[["completed", "ongoing", "dropped_out"]].sum(axis="columns")
        onward = (own["due"] - left).to_numpy()
        after = table.loc[(protocol, "after the plan"), ["completed", "ongoing", "dropped_out"]].sum()
        np.testing.assert_array_equal(onward, [*own["due"].iloc[1:], after])
        assert own["due"].iloc[0] == table.loc[(protocol, "all phases"), "started"]
        assert (own["reached"] <= own["due"]).all()
        assert left.min() > 0


def test_hazards_by_phase_add_up_the_steps() -> None:
    clinic = simulate(2_000, seed=4)
    steps = dropout_by_session(clinic, by="protocol").estimates.query("estimand == 'dropout_hazard'")
    slots = slot_table(load_vocabulary().protocols.values())[["protocol", "slot", "phase"]]
    steps = steps.merge(slots, left_on=["protocol", "time"], right_on=["protocol", "slot"])
    columns = ["numerator", "denominator", "n_missing"]
    expected = steps.groupby(["protocol", "phase"])[columns].sum()
    found = hazard_by_phase(clinic, by="protocol").estimates.query("estimand == 'dropout_hazard'")
    pd.testing.assert_frame_equal(
        found.set_index(["protocol", "phase"])[columns].sort_index(), expected.sort_index()
    )
    assert found.query("phase == 'monthly'")["estimate"].item() > found["estimate"].min()


@pytest.mark.parametrize("by", [None, "arm", "protocol"])
@pytest.mark.parametrize("analysis", ANALYSES)
def test_explain_adds_up_to_every_cell(
    clinic: Dataset, analysis: Callable[..., Result], by: str | None
) -> None:
    result = analysis(clinic, by=by)
    names = [*result.groups, "estimand"]
    assert [*result.estimates.columns] == [*result.groups, *ESTIMATE_COLUMNS]
    for row in result.estimates.to_dict("records"):
        rows = result.explain(**{name: row[name] for name in names})
        assert rows["in_denominator"].sum() == row["denominator"], row
        assert rows["in_numerator"].sum() == row["numerator"], row
        assert not (rows["in_numerator"] & ~rows["in_denominator"]).any()
        assert rows["excluded"].eq("").eq(rows["in_denominator"]).all()


ONE = [{"days": [2], "start_date": 1, "arm": "A"}]
DONE = [{"days": [1, 3, 5, 7, 9], "start_date": 1, "arm": arm} for arm in "AB"]
GONE = [{"days": [], "start_date": 1, "arm": arm} for arm in "AB"]
WAITING = [{"days": [], "start_date": 98, "arm": arm} for arm in "AB"]


@pytest.mark.parametrize("analysis", ANALYSES)
@pytest.mark.parametrize("courses", [[], ONE, DONE, GONE, WAITING], ids=["", "one", "all", "none", "due"])
def test_limits_have_rows_with_notes(
    build: Callable[..., Dataset], courses: list[Any], analysis: Callable[..., Result]
) -> None:
    clinic = build(courses)
    for by in (None, "arm", ["arm", "protocol"]):
        found = analysis(clinic, by=by).estimates
        assert found.loc[found["estimate"].isna(), "note"].ne("").all()
        if courses:
            assert set(clinic.table("courses")["arm"]) == set(
                found["arm"] if by else ["A", *"AB"[: len(courses)]]
            )
        if by is None and analysis is not hazard_by_phase:
            assert not found.empty


@pytest.mark.parametrize("analysis", ANALYSES)
@pytest.mark.parametrize(
    ("by", "message"),
    [("phase", "cannot group by 'phase'"), ("arms", "no column 'arms'"), (["arm", "arm"], "each grouping")],
)
def test_arguments_are_checked(
    clinic: Dataset, analysis: Callable[..., Result], by: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        analysis(clinic, by=by)
