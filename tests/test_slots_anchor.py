"""Slots that stay where the plan puts them, beside those that move; what a data cut may do; input that is out of order."""

from __future__ import annotations

import datetime as dt
from itertools import accumulate
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesostats.dataset import Dataset
from mesostats.schedule import course_states
from mesostats.simulation import simulate
from mesostats.slots import session_states

DAY_0 = dt.date(2024, 1, 1)
DUE = ["on_time", "early", "late", "missed"]
WEEKLY = [(7, 10)] * 4 + [(12, 16)] * 2 + [(26, 35)] * 4
SHORT = [(1, 7)] * 5
PLANS = {"weekly_to_monthly": WEEKLY, "short_course": SHORT}


def date(day: int) -> dt.date:
    return DAY_0 + dt.timedelta(days=day)


def make_clinic(attended: dict[str, list[int]], *, cut: int, **courses: Any) -> Dataset:
    """Make a clinic from the days of attended sessions; further columns of courses as given."""
    visits = [(name, date(day)) for name, days in attended.items() for day in days]
    sessions = pd.DataFrame(visits, columns=["course_id", "date"]).assign(status="attended")
    table = pd.DataFrame({"course_id": list(attended), "patient_id": "P1", "indication": "melasma"})
    return Dataset(
        patients=pd.DataFrame({"patient_id": ["P1"]}),
        courses=table.assign(**{"protocol": "short_course", "start_date": DAY_0, **courses}),
        sessions=sessions.assign(session_id=[f"S{place:04d}" for place in range(len(sessions))]),
        cutoff=date(cut),
    )


def shown(clinic: Dataset, anchor: Any = "plan") -> list[tuple[Any, ...]]:
    rows = session_states(clinic, anchor=anchor)
    assert (rows["anchor"] == anchor).all()
    days = [
        [
            None if pd.isna(each) else (each.date() - DAY_0).days
            for each in (row.date, row.due_from, row.due_until)
        ]
        for row in rows.itertuples()
    ]
    slots = [None if pd.isna(slot) else int(slot) for slot in rows["slot"]]
    return [(slot, *each, state) for slot, each, state in zip(slots, days, rows["state"], strict=True)]


# Five sessions, 1 to 7 days apart, from day 0: slot k is due from day k - 1 to day 7k where the plan is kept.


def test_slots_stay_where_the_plan_puts_them() -> None:
    clinic = make_clinic({"C": [2, 8, 24]}, cut=30)
    assert shown(clinic) == [
        (1, 2, 0, 7, "on_time"),
        (2, 8, 1, 14, "on_time"),
        (3, 24, 2, 21, "late"),
        (4, None, 3, 28, "missed"),
        (5, None, 4, 35, "not_yet_due"),
    ]
    # The same sessions against windows that move with them: 24 is late by the session of day 8, slot 4 waits for it.
    assert shown(clinic, "held") == [
        (1, 2, 0, 7, "on_time"),
        (2, 8, 3, 9, "on_time"),
        (3, 24, 9, 15, "late"),
        (4, None, 25, 31, "not_yet_due"),
        (5, None, 26, 38, "not_yet_due"),
    ]


def test_a_delay_stays_until_it_is_made_up() -> None:
    # Day 9 is late for slot 1; the next four follow by one day each and are in the plan's windows again from slot 2 on.
    states = [row[-1] for row in shown(make_clinic({"C": [9, 10, 11, 12, 13]}, cut=50))]
    assert states == ["late", "on_time", "on_time", "on_time", "on_time"]


def test_sessions_too_close_together_are_early_by_the_plan() -> None:
    # Weekly at the shortest from day 0: 7, 14, 21. Sessions on days 0, 5 and 12 are 2 days ahead.
    clinic = make_clinic({"C": [0, 5, 12]}, cut=15, protocol="weekly_to_monthly", planned_sessions=3)
    assert [row[-1] for row in shown(clinic)] == ["on_time", "early", "early"]
    assert [row[-1] for row in shown(clinic, "held")] == ["on_time", "early", "on_time"]


def test_without_a_start_date_the_plan_begins_with_the_first_session() -> None:
    clinic = make_clinic({"C": [4, 9]}, cut=12, start_date=None, planned_sessions=3)
    assert shown(clinic) == [
        (2, 9, 5, 11, "on_time"),
        (3, None, 6, 18, "not_yet_due"),
        (None, 4, None, None, "unscheduled"),
    ]


@st.composite
def kept_plan(draw: st.DrawFn) -> tuple[str, list[int]]:
    protocol = draw(st.sampled_from(sorted(PLANS)))
    plan = PLANS[protocol]
    days = [draw(st.integers(0, plan[0][1]))]
    for low, high in plan[1:]:
        days.append(days[-1] + draw(st.integers(low, high)))
    return protocol, days


@settings(max_examples=3, deadline=None)
@given(courses=st.lists(kept_plan(), min_size=15, max_size=30), cut=st.integers(0, 250))
def test_a_course_on_plan_has_only_slots_on_time(courses: list[tuple[str, list[int]]], cut: int) -> None:
    attended = {f"C{place}": days for place, (_, days) in enumerate(courses)}
    clinic = make_clinic(attended, cut=cut, protocol=[protocol for protocol, _ in courses])
    for anchor in ("plan", "held"):
        states = session_states(clinic, anchor=anchor)  # type: ignore[arg-type]
        assert set(states["state"]) <= {"on_time", "not_yet_due"}
        assert (states["state"] == "on_time").sum() == sum(
            day <= cut for days in attended.values() for day in days
        )


day_lists = st.lists(st.lists(st.integers(0, 90), max_size=9), min_size=15, max_size=30)


@settings(max_examples=3, deadline=None)
@given(courses=day_lists, cut=st.integers(-5, 120), anchor=st.sampled_from(["held", "plan"]))
def test_each_attended_session_holds_one_slot_or_is_unscheduled(
    courses: list[list[int]], cut: int, anchor: Any
) -> None:
    attended = {f"C{place}": days for place, days in enumerate(courses)}
    clinic = make_clinic(attended, cut=cut, planned_sessions=[place % 7 + 1 for place in range(len(courses))])
    states = session_states(clinic, anchor=anchor)
    visits = clinic.table("sessions")
    expected = visits.loc[visits["date"].dt.date <= date(cut), "session_id"]
    assert sorted(states["session_id"].dropna()) == sorted(expected)
    held = states[states["session_id"].notna()]
    assert held["slot"].isna().eq(held["state"] == "unscheduled").all()
    assert not states.dropna(subset="slot").duplicated(["course_id", "slot"]).any()


@settings(max_examples=3, deadline=None)
@given(
    courses=day_lists,
    cut=st.integers(0, 100),
    back=st.integers(1, 60),
    anchor=st.sampled_from(["held", "plan"]),
)
def test_an_earlier_cut_changes_no_slot_that_was_held(
    courses: list[list[int]], cut: int, back: int, anchor: Any
) -> None:
    clinic = make_clinic({f"C{place}": days for place, days in enumerate(courses)}, cut=cut)
    late = session_states(clinic, anchor=anchor)
    early = session_states(clinic.with_cutoff(date(cut - back)), anchor=anchor)
    held = early[early["session_id"].notna()].set_index("session_id").sort_index()
    pd.testing.assert_frame_equal(held, late.set_index("session_id").loc[held.index])
    if anchor == "plan":  # what was missed by then is missed, or was made up for too late
        keys = ["course_id", "slot"]
        after = early[early["state"] == "missed"].merge(late, on=keys, suffixes=("_early", ""))
        assert set(after["state"]) <= {"missed", "late"}


# A window closes 7 days after the session before and the grace is 14: who pauses no more than 21 days is never given up.
unbroken = st.lists(st.integers(0, 21), max_size=4).map(lambda gaps: list(accumulate(gaps)))


def two_states(courses: list[list[int]], cut: int, back: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the states of courses at an earlier cut and at the later one, as far as the earlier one knows them."""
    clinic = make_clinic({f"C{place}": days for place, days in enumerate(courses)}, cut=cut)
    late = course_states(clinic).set_index("course_id")
    early = course_states(clinic.with_cutoff(date(cut - back))).set_index("course_id")
    return early, late.loc[early.index]


@settings(max_examples=3, deadline=None)
@given(courses=st.lists(unbroken, min_size=15, max_size=30), cut=st.integers(0, 110), back=st.integers(1, 80))
def test_an_earlier_cut_makes_no_dropout_of_a_course_that_goes_on(
    courses: list[list[int]], cut: int, back: int
) -> None:
    early, late = two_states(courses, cut, back)
    going = late["state"] == "ongoing"
    assert set(early.loc[going, "state"]) <= {"ongoing"}


@settings(max_examples=3, deadline=None)
@given(courses=day_lists, cut=st.integers(0, 110), back=st.integers(1, 80))
def test_only_a_return_takes_a_dropout_back(courses: list[list[int]], cut: int, back: int) -> None:
    early, late = two_states(courses, cut, back)
    gone = early["state"] == "dropped_out"
    taken_back = gone & (late["state"] != "dropped_out")
    assert (late["attended"] > early["attended"])[taken_back].all()
    stayed = gone & (late["attended"] == early["attended"])
    assert late.loc[stayed, "dropout_first_missed"].equals(early.loc[stayed, "dropout_first_missed"])


# --- input out of order: a rule for each, and no crash --------------------------------------------------------------------


def test_of_two_sessions_on_a_day_the_first_id_holds_the_slot() -> None:
    rows = session_states(make_clinic({"C": [3, 3]}, cut=5)).set_index("session_id")
    assert rows.loc["S0000", "state"] == "on_time"
    assert rows.loc["S0001", "state"] == "unscheduled"


def test_sessions_before_the_course_are_early() -> None:
    assert shown(make_clinic({"C": [-3]}, cut=0, planned_sessions=1)) == [(1, -3, 0, 7, "early")]


def test_bookings_in_vain_alone_leave_all_slots_open() -> None:
    clinic = make_clinic({"C": [3, 9]}, cut=20)
    visits = clinic.table("sessions").assign(status="no_show")
    spoilt = Dataset(
        patients=clinic.table("patients"), courses=clinic.table("courses"), sessions=visits, cutoff=date(20)
    )
    for anchor in ("held", "plan"):
        assert [row[-1] for row in shown(spoilt, anchor)] == [
            "missed",
            "missed",
            "not_yet_due",
            "not_yet_due",
            "not_yet_due",
        ]


@pytest.mark.parametrize("protocol", [None, "unheard_of"])
def test_without_a_known_protocol_visits_are_unscheduled(protocol: str | None) -> None:
    clinic = make_clinic({"C": [1, 9]}, cut=20, protocol=protocol, planned_sessions=4)
    for anchor in ("held", "plan"):
        assert [row[-1] for row in shown(clinic, anchor)] == ["unscheduled"] * 2


def test_before_the_first_session_the_plan_alone_is_seen() -> None:
    clinic = make_clinic({"C": [4]}, cut=1, planned_sessions=2)
    assert (
        shown(clinic)
        == shown(clinic, "held")
        == [(1, None, 0, 7, "not_yet_due"), (2, None, 1, 14, "not_yet_due")]
    )
    assert session_states(clinic.with_cutoff(date(-1)), anchor="plan").empty


def test_sessions_after_the_recorded_end_hold_their_slots() -> None:
    clinic = make_clinic(
        {"C": [1, 5, 9]}, cut=40, status="discontinued", end_date=date(6), planned_sessions=4
    )
    assert [row[-1] for row in shown(clinic, "held")] == ["on_time", "on_time", "on_time", "missed"]


def test_an_unknown_anchor_is_refused() -> None:
    with pytest.raises(ValueError, match="anchor"):
        session_states(simulate(5, seed=1), anchor="start")  # type: ignore[arg-type]
