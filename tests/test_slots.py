"""Session states against hand calculation and a row-by-row oracle."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesostats.dataset import Dataset
from mesostats.schedule import course_states
from mesostats.simulation import simulate
from mesostats.slots import session_states

DAY_0 = dt.date(2024, 1, 1)
COLUMNS = ["course_id", "slot", "phase", "session_id", "date", "due_from", "due_until", "state", "anchor"]

# The shipped protocols: each slot's phase, and its shortest and longest interval to the session before.
SLOTS = {
    "short_course": [("course", 1, 7)] * 5,
    "weekly_to_monthly": [("weekly", 7, 10)] * 4 + [("fortnightly", 12, 16)] * 2 + [("monthly", 26, 35)] * 4,
}


class Course(NamedTuple):
    """A course in days after 2024-01-01, with the days of its attended sessions."""

    attended: tuple[int, ...] = ()
    protocol: str | None = "short_course"
    planned: int | None = None
    start: int | None = 0
    status: str | None = None


class Slot(NamedTuple):
    """A slot or an unscheduled visit, in days after 2024-01-01."""

    slot: int | None
    phase: str | None
    day: int | None
    due: tuple[int, int] | None
    state: str


def date(day: int | None) -> dt.date | None:
    return None if day is None else DAY_0 + dt.timedelta(days=day)


def make_clinic(courses: dict[str, Course], cut: int) -> Dataset:
    rows = [
        (name, "P1", "melasma", each.protocol, each.planned, date(each.start), each.status)
        for name, each in courses.items()
    ]
    names = ["course_id", "patient_id", "indication", "protocol", "planned_sessions", "start_date", "status"]
    visits = [(name, date(day)) for name, each in courses.items() for day in each.attended]
    sessions = pd.DataFrame(visits, columns=["course_id", "date"])
    ids = [f"S{place:04d}" for place in range(len(sessions))]
    return Dataset(
        patients=pd.DataFrame({"patient_id": ["P1"]}),
        courses=pd.DataFrame(rows, columns=names),
        sessions=sessions.assign(session_id=ids, status="attended"),
        cutoff=date(cut),
    )


def slots_of(clinic: Dataset) -> dict[str, list[Slot]]:
    """Return what `session_states` says of each course."""

    def day(value: pd.Timestamp) -> int | None:
        return None if pd.isna(value) else (value.date() - DAY_0).days

    found: dict[str, list[Slot]] = {}
    for row in session_states(clinic).itertuples():
        due: Any = None if pd.isna(row.due_until) else (day(row.due_from), day(row.due_until))
        slot = None if pd.isna(row.slot) else int(row.slot)
        phase = None if pd.isna(row.phase) else row.phase
        found.setdefault(row.course_id, []).append(Slot(slot, phase, day(row.date), due, row.state))
    return found


# --- by hand: the data cut is day 40; short_course wants slot 1 on the start or up to 7 days later, then 1 to 7 days ---


def unscheduled(day: int) -> Slot:
    return Slot(None, None, day, None, "unscheduled")


CASES = {
    "in each state": (
        Course((3, 4, 11, 20, 20), start=0),
        [
            Slot(1, "course", 3, (0, 7), "on_time"),
            Slot(2, "course", 4, (4, 10), "on_time"),  # the first day of the window is in it
            Slot(3, "course", 11, (5, 11), "on_time"),  # so is the last
            Slot(4, "course", 20, (12, 18), "late"),
            Slot(5, "course", None, (21, 27), "missed"),
            unscheduled(20),
        ],
    ),
    "early by a day": (
        Course((0, 6, 16), protocol="weekly_to_monthly", planned=3),
        [
            Slot(1, "weekly", 0, (0, 10), "on_time"),
            Slot(2, "weekly", 6, (7, 10), "early"),
            Slot(3, "weekly", 16, (13, 16), "on_time"),  # anchored on day 6, the session held, not on day 7
        ],
    ),
    "before the agreed start": (
        Course((8,), start=10, planned=1),
        [Slot(1, "course", 8, (10, 17), "early")],
    ),
    # Slot 2 is due 1 to 7 days after day 36; each further one another 1 to 7 days on.
    "windows still open at the cut": (
        Course((36,), start=33, planned=4),
        [
            Slot(1, "course", 36, (33, 40), "on_time"),
            *(
                Slot(2, "course", None, (37, 43), "not_yet_due"),
                Slot(3, "course", None, (38, 50), "not_yet_due"),
            ),
            Slot(4, "course", None, (39, 57), "not_yet_due"),
        ],
    ),
    # The window of slot 2 closes on the day of the cut: there is still time. That of the next case closed the day before.
    "window closes on the cut": (
        Course((33,), start=33, planned=2),
        [Slot(1, "course", 33, (33, 40), "on_time"), Slot(2, "course", None, (34, 40), "not_yet_due")],
    ),
    "window closed the day before the cut": (
        Course((32,), start=32, planned=2),
        [Slot(1, "course", 32, (32, 39), "on_time"), Slot(2, "course", None, (33, 39), "missed")],
    ),
    # Nobody came: slot 1 within 7 days of day 20; slot 2 between 1 day after its first and 7 days after its last day.
    "never came": (
        Course(start=20, planned=3),
        [
            *(Slot(1, "course", None, (20, 27), "missed"), Slot(2, "course", None, (21, 34), "missed")),
            Slot(3, "course", None, (22, 41), "not_yet_due"),
        ],
    ),
    # The last weekly session was on day 10: fortnightly 12 to 16 days later, then monthly ones of 26 to 35 days.
    "windows across phases": (
        Course((0, 1, 2, 10), protocol="weekly_to_monthly", planned=7),
        [
            *(Slot(1, "weekly", 0, (0, 10), "on_time"), Slot(2, "weekly", 1, (7, 10), "early")),
            *(Slot(3, "weekly", 2, (8, 11), "early"), Slot(4, "weekly", 10, (9, 12), "on_time")),
            Slot(5, "fortnightly", None, (22, 26), "missed"),
            Slot(6, "fortnightly", None, (34, 42), "not_yet_due"),
            Slot(7, "monthly", None, (60, 77), "not_yet_due"),
        ],
    ),
    "more planned than the protocol has": (
        Course((1, 2, 3, 4, 5, 6), planned=7),
        [
            *(Slot(place, "course", place, (place, place + 6), "on_time") for place in range(2, 7)),
            Slot(7, "course", None, (7, 13), "missed"),
        ],
    ),
    "past the plan": (
        Course((1, 2, 3), start=1, planned=2),
        [Slot(1, "course", 1, (1, 8), "on_time"), Slot(2, "course", 2, (2, 8), "on_time"), unscheduled(3)],
    ),
    "no protocol": (Course((1, 2), protocol=None, planned=4), [unscheduled(1), unscheduled(2)]),
    "no start date": (
        Course((1, 2), start=None, planned=2),
        [Slot(2, "course", 2, (2, 8), "on_time"), unscheduled(1)],
    ),
    "recorded as completed": (
        Course((1, 2), start=1, status="completed"),
        [Slot(1, "course", 1, (1, 8), "on_time"), Slot(2, "course", 2, (2, 8), "on_time")],
    ),
    "recorded as discontinued": (
        Course((30,), start=30, planned=3, status="discontinued"),
        [
            Slot(1, "course", 30, (30, 37), "on_time"),
            *(Slot(2, "course", None, (31, 37), "missed"), Slot(3, "course", None, (32, 44), "not_yet_due")),
        ],
    ),
    "visit after the cut": (
        Course((34, 41), start=34, planned=2),
        [Slot(1, "course", 34, (34, 41), "on_time"), Slot(2, "course", None, (35, 41), "not_yet_due")],
    ),
}
# Slot 1 of this case is held on day 1 within its own window: 0 to 7.
CASES["more planned than the protocol has"][1].insert(0, Slot(1, "course", 1, (0, 7), "on_time"))


@pytest.fixture(scope="module")
def by_hand() -> Dataset:
    return make_clinic({name: case[0] for name, case in CASES.items()}, 40)


@pytest.fixture(scope="module")
def found(by_hand: Dataset) -> dict[str, list[Slot]]:
    return slots_of(by_hand)


@pytest.mark.parametrize("name", CASES)
def test_session_states_by_hand(found: dict[str, list[Slot]], name: str) -> None:
    assert found[name] == CASES[name][1]


def test_session_states_cases_show_every_state() -> None:
    shown = {slot.state for _, slots in CASES.values() for slot in slots}
    assert shown == {"on_time", "early", "late", "missed", "not_yet_due", "unscheduled"}


def test_session_states_names_each_attended_session_once(by_hand: Dataset) -> None:
    visits = by_hand.table("sessions")
    expected = visits.loc[visits["date"].dt.date <= date(40), "session_id"]
    states = session_states(by_hand)
    assert sorted(states["session_id"].dropna()) == sorted(expected)
    assert states["session_id"].notna().eq(states["date"].notna()).all()
    assert states["session_id"].isna().eq(states["state"].isin(["missed", "not_yet_due"])).all()


def test_session_states_open_the_window_that_course_states_shows(by_hand: Dataset) -> None:
    states = session_states(by_hand).merge(course_states(by_hand), on="course_id")
    following = states[states["slot"] == states["next_slot"]]
    assert len(following) > 5
    for name in ("due_from", "due_until", "phase"):
        assert following[f"{name}_x"].eq(following[f"{name}_y"]).all()


def test_session_states_books_in_vain_hold_no_slot() -> None:
    clinic = make_clinic({"C": Course((1, 2, 3), start=1, planned=2)}, 40)
    visits = clinic.table("sessions").assign(status=["attended", "no_show", "cancelled"])
    spoilt = Dataset(
        patients=clinic.table("patients"), courses=clinic.table("courses"), sessions=visits, cutoff=date(40)
    )
    assert slots_of(spoilt)["C"] == [
        Slot(1, "course", 1, (1, 8), "on_time"),
        Slot(2, "course", None, (2, 8), "missed"),
    ]


@pytest.mark.parametrize("courses", [{}, {"C": Course(protocol=None)}], ids=["no course", "nothing planned"])
def test_session_states_without_a_slot(courses: dict[str, Course]) -> None:
    states = session_states(make_clinic(courses, 40))
    assert list(states.columns) == COLUMNS
    assert states.empty


# --- an oracle: one course at a time, slot after slot -----------------------------------------------------------------------


def naive_slots(course: Course, cut: int) -> list[Slot]:
    """Walk along the plan of a course that began by the cut: sessions held, then windows projected from the last."""
    plan = SLOTS.get(course.protocol or "", [])
    planned = course.planned or len(plan)
    plan = [plan[min(place, len(plan) - 1)] for place in range(planned)] if plan else []
    seen = sorted(day for day in course.attended if day <= cut)
    held = sorted(set(seen))
    found, extra = [], [day for place, day in enumerate(seen) if day in seen[:place]]
    earliest = latest = course.start
    for place, day in enumerate(held):
        if place >= len(plan) or earliest is None or latest is None:
            extra.append(day)
        else:
            phase, shortest, longest = plan[place]
            due = (earliest + (shortest if place else 0), latest + longest)
            state = "early" if day < due[0] else "late" if day > due[1] else "on_time"
            found.append(Slot(place + 1, phase, day, due, state))
        earliest = latest = day
    goes_on = any(day > cut for day in course.attended)
    if (course.status == "completed" and not goes_on) or earliest is None or latest is None:
        return found + [unscheduled(day) for day in sorted(extra)]
    for place in range(len(held), len(plan)):
        phase, shortest, longest = plan[place]
        earliest, latest = earliest + (shortest if place else 0), latest + longest
        found.append(
            Slot(place + 1, phase, None, (earliest, latest), "missed" if latest < cut else "not_yet_due")
        )
    return found + [unscheduled(day) for day in sorted(extra)]


def begun(course: Course, cut: int) -> bool:
    return any(day <= cut for day in course.attended) or (course.start is not None and course.start <= cut)


day = st.integers(0, 90)
course = st.builds(
    Course,
    attended=st.lists(day, max_size=12).map(tuple),
    protocol=st.sampled_from(["short_course", "weekly_to_monthly", None]),
    planned=st.none() | st.integers(1, 12),
    start=day,
    status=st.sampled_from([None, "ongoing", "completed", "discontinued"]),
)


@settings(max_examples=3, deadline=None)
@given(courses=st.lists(course, min_size=15, max_size=40), cut=st.integers(0, 130))
def test_session_states_agree_with_the_oracle(courses: list[Course], cut: int) -> None:
    named = {f"C{place}": each for place, each in enumerate(courses)}
    expected = {name: naive_slots(each, cut) for name, each in named.items() if begun(each, cut)}
    found = slots_of(make_clinic(named, cut))
    assert found == {name: slots for name, slots in expected.items() if slots}


def test_session_states_agree_with_the_oracle_on_simulated_clinics() -> None:
    clinic = simulate(300, seed=3)
    visits = clinic.table("sessions").query("status == 'attended'").groupby("course_id")["date"].agg(list)
    cut = (clinic.cutoff - DAY_0).days
    expected = {}
    for row in clinic.table("courses").itertuples():
        days = tuple((when.date() - DAY_0).days for when in visits.get(row.course_id, []))
        start, planned = (row.start_date.date() - DAY_0).days, int(row.planned_sessions)
        status = None if pd.isna(row.status) else row.status
        known = Course(days, protocol=row.protocol, planned=planned, start=start, status=status)
        if begun(known, cut):
            expected[row.course_id] = naive_slots(known, cut)
    assert slots_of(clinic) == {name: slots for name, slots in expected.items() if slots}


def test_session_states_of_a_clinic_that_keeps_its_windows() -> None:
    # In the textbook clinics every session after the first is held within its window; the first has a date of its own.
    states = session_states(simulate(200, seed=4, scenario="textbook"))
    held = states[states["date"].notna() & (states["slot"] > 1)]
    assert len(held) > 500
    assert set(held["state"]) == {"on_time"}
