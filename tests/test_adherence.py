"""Adherence by hand, against plain counts of session states, and against the simulated truth."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from mesostats.dataset import Dataset
from mesostats.estimators import ClusterTotals, clustered_proportion
from mesostats.simulation import simulate
from mesostats.simulation.scenario import load_scenario
from mesostats.slots import session_states
from mesostats.visits.adherence import adherence

if TYPE_CHECKING:
    from mesostats.results import Result

DAY_0 = dt.date(2024, 1, 1)
DUE = ["on_time", "early", "late", "missed"]
STANDARD_ERRORS = 4


def make_clinic(attended: dict[str, list[int]], *, cut: int = 40, **courses: Any) -> Dataset:
    """Make one course a patient; five sessions 1 to 7 days apart are planned from day 0."""
    visits = [(name, DAY_0 + dt.timedelta(days=day)) for name, days in attended.items() for day in days]
    sessions = pd.DataFrame(visits, columns=["course_id", "date"]).assign(status="attended")
    sessions = sessions.assign(
        session_id=[f"S{place:03d}" for place in range(len(sessions))],
        practitioner_id=["D1" if place % 2 else "D0" for place in range(len(sessions))],
    )
    patients = [f"P{name}" for name in attended]
    table = pd.DataFrame({"course_id": list(attended), "patient_id": patients, "indication": "melasma"})
    return Dataset(
        patients=pd.DataFrame({"patient_id": patients}, dtype="str"),
        courses=table.assign(**{"protocol": "short_course", "start_date": DAY_0, **courses}),
        sessions=sessions,
        cutoff=DAY_0 + dt.timedelta(days=cut),
    )


def counts(result: Result) -> dict[str, tuple[float, float, float]]:
    rows = result.estimates.set_index("estimand")
    return {name: tuple(rows.loc[name, ["numerator", "denominator", "n_missing"]]) for name in rows.index}


# A: days 3, 4 and 11 are in their windows, 20 is late, slot 5 was due by day 27. B came on day 36: slot 2 is due by day 43.
BY_HAND = {"A": [3, 4, 11, 20, 20], "B": [36]}


def test_shares_by_hand() -> None:
    clinic = make_clinic(BY_HAND, start_date=[DAY_0, DAY_0 + dt.timedelta(days=33)])
    assert counts(adherence(clinic, by=None)) == {
        "on_time": (4, 6, 4),
        "early": (0, 6, 4),
        "late": (1, 6, 4),
        "missed": (1, 6, 4),
        "unscheduled": pytest.approx((1, 6, np.nan), nan_ok=True),
    }


def test_slots_without_a_session_are_a_group_of_their_own_by_practitioner() -> None:
    found = adherence(make_clinic({"A": [3, 4, 11, 20]}), by="practitioner_id")
    rows = found.estimates.pivot_table("numerator", "practitioner_id", "estimand")[DUE]
    assert rows.loc["D0"].tolist() == [2, 0, 0, 0]
    assert rows.loc["D1"].tolist() == [1, 0, 1, 0]
    assert rows.loc["not held"].tolist() == [0, 0, 0, 1]
    assert "not held" in " ".join(found.spec["rules"])


def test_the_anchor_decides_what_is_late() -> None:
    # 24 comes 16 days after day 8 and is late; the next one, on day 30, is in its own window but not in the plan's (to 28).
    clinic = make_clinic({"A": [2, 8, 24, 30]}, planned_sessions=4)
    held, plan = (adherence(clinic, by=None, anchor=anchor) for anchor in ("held", "plan"))  # type: ignore[arg-type]
    assert held.cell(estimand="late")["numerator"] == 1
    assert plan.cell(estimand="late")["numerator"] == 2
    assert held.spec["rules"][0] != plan.spec["rules"][0]


@pytest.fixture(scope="module")
def simulated() -> Dataset:
    return simulate(400, seed=11)


@pytest.mark.parametrize("anchor", ["held", "plan"])
@pytest.mark.parametrize("by", [None, "phase", "indication", "practitioner_id", ["protocol", "phase"]])
def test_adherence_counts_what_session_states_shows(simulated: Dataset, by: Any, anchor: Any) -> None:
    columns = [] if by is None else [by] if isinstance(by, str) else by
    courses = simulated.table("courses")[["course_id", "indication", "protocol"]]
    sessions = simulated.table("sessions")[["session_id", "practitioner_id"]]
    states = session_states(simulated, anchor=anchor).merge(courses, on="course_id")
    states = states.merge(sessions, on="session_id", how="left").fillna({"practitioner_id": "not held"})
    due = states[states["state"].isin(DUE)]
    keys = [*columns, "state"]
    expected = due.groupby(keys).size().rename_axis(index={"state": "estimand"})
    rows = adherence(simulated, by=by, anchor=anchor).estimates.query("unit == 'slots'")
    found = rows.set_index([*columns, "estimand"])["numerator"]
    assert found[found > 0].astype(int).sort_index().to_dict() == expected.sort_index().to_dict()
    assert rows.groupby(columns or "unit")["estimate"].sum().round(12).eq(1).all()
    waiting = (states["state"] == "not_yet_due").sum()
    assert rows.loc[rows["estimand"] == "late", "n_missing"].sum() == waiting


def test_intervals_are_clustered_in_patients(simulated: Dataset) -> None:
    states = session_states(simulated).query("phase == 'monthly' and state in @DUE", local_dict={"DUE": DUE})
    patient = states["course_id"].map(simulated.table("courses").set_index("course_id")["patient_id"])
    by_patient = states.assign(hit=states["state"] == "late").groupby(patient)["hit"].agg(["sum", "size"])
    expected = clustered_proportion(ClusterTotals.from_arrays(by_patient["sum"], by_patient["size"])).iloc[0]
    row = adherence(simulated).cell(phase="monthly", estimand="late")
    for name in ("estimate", "std_error", "conf_low", "conf_high", "df"):
        assert row[name] == pytest.approx(expected[name])


@pytest.mark.parametrize("by", [None, "phase", ["phase", "practitioner_id"], "indication"])
def test_explain_shows_the_slots_of_each_number(simulated: Dataset, by: Any) -> None:
    found = adherence(simulated, by=by)
    rows = found.estimates.sample(min(8, len(found.estimates)), random_state=0)
    for row in rows.to_dict("records"):
        slots = found.explain(**{name: row[name] for name in [*found.groups, "estimand"]})
        assert slots["in_denominator"].sum() == row["denominator"]
        assert slots["in_numerator"].sum() == row["numerator"]
        assert (slots["excluded"] == "").eq(slots["in_denominator"]).all()


def test_phases_stand_in_the_order_of_the_plan(simulated: Dataset) -> None:
    phases = list(dict.fromkeys(adherence(simulated).estimates["phase"]))
    assert phases.index("weekly") < phases.index("fortnightly") < phases.index("monthly")
    assert phases[-1] == "outside the plan"


def test_adherence_finds_the_truth() -> None:
    # Of the sessions held after the first, a share `late` lies after the window and a share `early` before it, where
    # there are days before it; nobody in these clinics comes twice a day.
    timing = load_scenario("typical").timing
    rows = adherence(simulate(6_000, seed=21)).estimates.set_index(["phase", "estimand"])["numerator"]
    for phase in (
        "fortnightly",
        "monthly",
    ):  # the first session, on a date of its own, is in the weekly phase
        held = rows[phase][["on_time", "early", "late"]]
        for state, true in (("early", timing.early), ("late", timing.late)):
            error = np.sqrt(true * (1 - true) / held.sum())
            assert abs(held[state] / held.sum() - true) < STANDARD_ERRORS * error


def test_a_textbook_clinic_has_nobody_early_or_late() -> None:
    rows = adherence(simulate(200, seed=3, scenario="textbook")).estimates.set_index(["phase", "estimand"])
    for phase in ("fortnightly", "monthly"):
        assert rows.loc[(phase, ["early", "late"]), "numerator"].tolist() == [0, 0]


# --- input out of order -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [None, "unheard_of"])
def test_without_a_known_protocol_no_slot_is_due(protocol: str | None) -> None:
    clinic = make_clinic(BY_HAND, protocol=protocol)
    found = adherence(clinic, by="indication").estimates.set_index("estimand")
    assert (found.loc[DUE, "note"] == "no observations").all()
    assert found.loc["unscheduled", ["numerator", "denominator"]].tolist() == [6, 6]


@pytest.mark.parametrize("by", [None, "phase", "indication", "practitioner_id"])
@pytest.mark.parametrize("attended", [{}, {"A": []}], ids=["no course", "no session"])
@pytest.mark.parametrize("cut", [-1, 3])
def test_nobody_due_is_no_estimate(attended: dict[str, list[int]], by: str | None, cut: int) -> None:
    found = adherence(make_clinic(attended, cut=cut), by=by).estimates
    assert found["estimate"].isna().all()
    assert (found["note"] == "no observations").all()


def test_bookings_in_vain_count_as_missed() -> None:
    clinic = make_clinic({"A": [3, 9]}, planned_sessions=2)
    vain = Dataset(
        patients=clinic.table("patients"),
        courses=clinic.table("courses"),
        sessions=clinic.table("sessions").assign(status="no_show"),
        cutoff=clinic.cutoff,
    )
    assert adherence(vain, by=None).cell(estimand="missed")["numerator"] == 2


def test_arguments_are_checked(simulated: Dataset) -> None:
    with pytest.raises(ValueError, match="cannot group by 'slot'"):
        adherence(simulated, by="slot")
    with pytest.raises(ValueError, match="identifies a row"):
        adherence(simulated, by="session_id")
    with pytest.raises(ValueError, match="no column 'lot' in patients, courses, sessions"):
        adherence(simulated, by="lot")
    with pytest.raises(ValueError, match="anchor"):
        adherence(simulated, anchor="start")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="conf_level"):
        adherence(simulated, conf_level=95)
