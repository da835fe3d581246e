"""Course states against hand calculation, a row-by-row oracle and what a data cut may not do."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import Any, NamedTuple

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesostats.dataset import Dataset
from mesostats.schedule import COURSE_RULES, course_states, slot_table
from mesostats.simulation import simulate
from mesostats.vocabulary import load_vocabulary

DAY_0 = dt.date(2024, 1, 1)
CUT = 100

# Each slot's shortest and longest interval to the session before (slot 1: to the start) and its grace, as the shipped
# protocols give them: the grace is twice the longest interval.
SLOTS = {
    "short_course": [(0, 7, 14)] + [(1, 7, 14)] * 4,
    "weekly_to_monthly": [(0, 10, 20)] + [(7, 10, 20)] * 3 + [(12, 16, 32)] * 2 + [(26, 35, 70)] * 4,
}


class Course(NamedTuple):
    """A course in days after 2024-01-01; ``attended`` and ``vain`` are days of visits that were held, or not."""

    attended: tuple[int, ...] = ()
    vain: tuple[int, ...] = ()
    protocol: str | None = "short_course"
    planned: int | None = None
    start: int | None = 0
    status: str | None = None
    end: int | None = None
    reason: str | None = None


def date(day: int | None) -> dt.date | None:
    return None if day is None else DAY_0 + dt.timedelta(days=day)


def day_number(value: pd.Timestamp) -> int | None:
    return None if pd.isna(value) else (value.date() - DAY_0).days


def tables(courses: dict[str, Course]) -> dict[str, pd.DataFrame]:
    rows = [
        (name, f"P-{name}", "melasma", *each[2:4], date(each.start), each.status, date(each.end), each.reason)
        for name, each in courses.items()
    ]
    names = ["course_id", "patient_id", "indication", "protocol", "planned_sessions", "start_date", "status"]
    visits = [
        (name, date(day), status)
        for name, each in courses.items()
        for status, days in (("attended", each.attended), ("no_show", each.vain))
        for day in days
    ]
    sessions = pd.DataFrame(visits, columns=["course_id", "date", "status"])
    return {
        "patients": pd.DataFrame({"patient_id": [f"P-{name}" for name in courses]}),
        "courses": pd.DataFrame(rows, columns=[*names, "end_date", "end_reason"]),
        "sessions": sessions.assign(session_id=[f"S{place}" for place in range(len(sessions))]),
    }


def states_of(courses: dict[str, Course], cut: int = CUT) -> pd.DataFrame:
    return course_states(Dataset(**tables(courses), cutoff=date(cut))).set_index("course_id")


# --- the rules, by hand: data cut on day 100; short_course has slots of 1 to 7 days and a grace of 14 ---------------------

FIVE = (10, 14, 18, 22, 26)


class Case(NamedTuple):
    """A course, and by hand: days attended, the rule, and the day of dropout by the last attended and first missed session."""

    course: Course
    attended: int
    rule: str
    last: int | None = None
    missed: int | None = None


STATE = {
    **dict.fromkeys(("recorded_completed", "all_attended"), "completed"),
    **dict.fromkeys(("recorded_discontinued", "overdue"), "dropped_out"),
    **dict.fromkeys(("no_schedule", "not_overdue"), "ongoing"),
}
DONE, GONE = {"status": "completed"}, {"status": "discontinued"}
WEEKLY, LEFT = "weekly_to_monthly", "recorded_discontinued"

CASES = {
    "completed by record": Case(Course((10, 14, 20), **DONE, end=20), 3, "recorded_completed"),
    "completed by an undated record": Case(Course((96, CUT), **DONE), 2, "recorded_completed"),
    "came to all five": Case(Course(FIVE), 5, "all_attended"),
    "came to all five, then discontinued": Case(Course(FIVE, **GONE, end=30), 5, LEFT, 26, 30),
    # Slot 3 closes on 14 + 7 = 21; the record of day 16 came before, the one of day 40 did not.
    "gone before the window closed": Case(Course((10, 14), **GONE, end=16), 2, LEFT, 14, 16),
    "gone after the window closed": Case(Course((10, 14), **GONE, end=40), 2, LEFT, 14, 21),
    "gone by an undated record": Case(Course((10, 14), **GONE), 2, LEFT, 14, 21),
    # Nobody misses a session before the last one attended.
    "gone before the last visit": Case(Course((10, 14), **GONE, end=12), 2, LEFT, 14, 14),
    # The window closes on 98 + 7 = 105: missed by the cut at the latest.
    "gone, window still open": Case(Course((98,), **GONE), 1, LEFT, 98, 100),
    "overdue by 15": Case(Course((78,)), 1, "overdue", 78, 85),  # 100 - (78 + 7) = 15 > 14
    "overdue by 14": Case(Course((79,)), 1, "not_overdue"),  # 100 - (79 + 7) = 14
    "ongoing by record, overdue by 15": Case(Course((78,), status="ongoing"), 1, "overdue", 78, 85),
    "never came": Case(Course(start=50), 0, "overdue", None, 57),  # slot 1 closes on 50 + 7
    "booked in vain only": Case(Course(start=50, vain=(52, 60)), 0, "overdue", None, 57),
    "came, then booked in vain": Case(Course((78,), vain=(99,)), 1, "overdue", 78, 85),
    "agreed five days ago": Case(Course(start=95), 0, "not_overdue"),
    "no protocol": Case(Course((10,), protocol=None), 1, "no_schedule"),
    "unknown protocol": Case(Course((10,), protocol="own"), 1, "no_schedule"),
    "no protocol, both planned": Case(Course((10, 12), protocol=None, planned=2), 2, "all_attended"),
    "no protocol, gone": Case(Course((10,), protocol=None, **GONE), 1, LEFT, 10, 100),
    "two planned of the five": Case(Course((10, 12), planned=2), 2, "all_attended"),
    # The last phase goes on: slot 6 closes on 26 + 7.
    "seven planned, not five": Case(Course(FIVE, planned=7), 5, "overdue", 26, 33),
    "more attended than planned": Case(Course((*FIVE, 30)), 6, "all_attended"),
    # Slot 5 is the first fortnightly one: it closes on 52 + 16 = 68, and 100 - 68 = 32 is not more than 2 x 16.
    "fortnightly, overdue by 32": Case(Course((28, 36, 44, 52), protocol=WEEKLY), 4, "not_overdue"),
    "fortnightly, overdue by 33": Case(Course((27, 35, 43, 51), protocol=WEEKLY), 4, "overdue", 51, 67),
    # Slot 3 is weekly: it closes on 69 + 10 = 79, and 100 - 79 = 21 is more than 2 x 10.
    "weekly, overdue by 21": Case(Course((61, 69), protocol=WEEKLY), 2, "overdue", 69, 79),
    "two visits on a day": Case(Course((90, 90, 92)), 2, "not_overdue"),
    "goes on after the cut": Case(Course((97, 103)), 1, "not_overdue"),
    "gone after the cut": Case(Course((97,), **GONE, end=105), 1, "not_overdue"),
    # 100 - (60 + 7) = 33: on day 100 nobody could know of day 105.
    "completed after the cut, overdue at it": Case(Course((60,), **DONE, end=105), 1, "overdue", 60, 67),
    "undated record after the cut": Case(Course((97, 103), **DONE), 1, "not_overdue"),
    "treated before the agreed start": Case(Course((99,), start=105), 1, "not_overdue"),
    "no start date, never came": Case(Course(start=None), 0, "no_schedule"),
    "no start date, came twice": Case(Course((10, 14), start=None), 2, "overdue", 14, 21),
}
NOT_BEGUN = {
    "starts after the cut": Course(start=101),
    "starts after the cut and was booked in vain before": Course(start=101, vain=(99,)),
    "no start date, first session after the cut": Course((103,), start=None),
}


@pytest.fixture(scope="module")
def states() -> pd.DataFrame:
    return states_of({name: case[0] for name, case in CASES.items()} | NOT_BEGUN)


@pytest.mark.parametrize("name", CASES)
def test_course_states_by_hand(states: pd.DataFrame, name: str) -> None:
    case, found = CASES[name], states.loc[name]
    assert (found["attended"], found["rule"]) == (case.attended, COURSE_RULES[case.rule])
    assert found["state"] == STATE[case.rule]
    dropout = (day_number(found["dropout_last_attended"]), day_number(found["dropout_first_missed"]))
    assert dropout == (case.last, case.missed)


def test_course_states_cases_use_every_rule() -> None:
    assert {case.rule for case in CASES.values()} == set(COURSE_RULES)


def test_course_states_leaves_out_courses_that_had_not_begun(states: pd.DataFrame) -> None:
    assert set(states.index) == set(CASES)


def test_course_states_shows_the_next_window_if_there_is_one(states: pd.DataFrame) -> None:
    # Four of ten attended, the last on day 52: slot 5 is due 12 to 16 days later, with a grace of 32.
    found = states.loc["fortnightly, overdue by 32"]
    assert (found["planned"], found["next_slot"], found["phase"]) == (10, 5, "fortnightly")
    assert [found["due_from"].date(), found["due_until"].date()] == [date(64), date(68)]
    assert found["grace"] == 32
    assert [found["first_session"].date(), found["last_session"].date()] == [date(28), date(52)]
    finished = states.loc[["came to all five", "two planned of the five"]]
    assert finished[["phase", "due_from", "due_until"]].isna().all(axis=None)


def test_course_states_shows_a_reason_only_once_it_was_recorded() -> None:
    course = Course((97,), status="discontinued", end=105, reason="cost")
    assert states_of({"C": course}, 105).loc["C", "reason"] == "cost"
    assert pd.isna(states_of({"C": course}, 104).loc["C", "reason"])


# --- tables at their limits ----------------------------------------------------------------------------------------------

COLUMNS = [
    *("course_id", "patient_id", "protocol", "planned", "attended", "first_session", "last_session"),
    *("next_slot", "phase", "due_from", "due_until", "grace", "state", "rule", "reason"),
    *("dropout_last_attended", "dropout_first_missed"),
]
DATES = [*COLUMNS[5:7], *COLUMNS[9:11], *COLUMNS[-2:]]


@pytest.mark.parametrize("courses", [{}, {"C": Course(FIVE)}], ids=["none", "completed"])
def test_course_states_keeps_its_columns_and_dates(courses: dict[str, Course]) -> None:
    found = course_states(Dataset(**tables(courses), cutoff=date(CUT)))
    assert list(found.columns) == COLUMNS
    assert set(found[DATES].dtypes.astype(str)) == {"datetime64[s]"}
    assert len(found) == len(courses)


def test_course_states_before_the_first_session() -> None:
    # Agreed on day 0, first session on day 5; the cut on day 3 sees only the agreement, that of day -1 nothing.
    course = {"C": Course((5, 10), status="completed", end=10)}
    seen = states_of(course, 3).loc["C"]
    assert (seen["attended"], seen["state"]) == (0, "ongoing")
    assert states_of(course, -1).empty


def test_course_states_leaves_the_callers_frames_alone() -> None:
    given_tables = tables({name: case[0] for name, case in CASES.items()})
    copies = {name: frame.copy() for name, frame in given_tables.items()}
    course_states(Dataset(**given_tables, cutoff=date(CUT)))
    for name, frame in given_tables.items():
        pd.testing.assert_frame_equal(frame, copies[name])


# --- an oracle: the rules again, one course at a time ----------------------------------------------------------------------


class State(NamedTuple):
    """What the oracle says of a course, days after 2024-01-01."""

    attended: int
    state: str
    rule: str
    due: tuple[int, int] | None
    last: int | None
    missed: int | None


def naive_state(course: Course, cut: int) -> State | None:
    """Follow the definitions of a course's state, or return None for a course that had not begun."""
    days = sorted({day for day in course.attended if day <= cut})
    goes_on = any(day > cut for day in course.attended)
    if not days and (goes_on if course.start is None else course.start > cut):
        return None
    known = not goes_on if course.end is None else course.end <= cut
    status = course.status if known else None
    slots = SLOTS.get(course.protocol or "", [])
    planned = course.planned or len(slots) or None
    anchor = days[-1] if days else course.start
    due, grace = None, 0
    if slots and anchor is not None and len(days) < (planned or 0):
        shortest, longest, grace = slots[min(len(days), len(slots) - 1)]
        due = (anchor + shortest, anchor + longest)
    if status == "completed":
        rule = "recorded_completed"
    elif status == "discontinued":
        rule = "recorded_discontinued"
    elif planned is not None and len(days) >= planned:
        rule = "all_attended"
    elif due is None:
        rule = "no_schedule"
    else:
        rule = "overdue" if cut - due[1] > grace else "not_overdue"
    state = STATE[rule]
    if state != "dropped_out":
        return State(len(days), state, rule, due, None, None)
    limits = [cut] + ([due[1]] if due else []) + ([course.end] if known and course.end is not None else [])
    return State(len(days), state, rule, due, days[-1] if days else None, max([min(limits), *days[-1:]]))


def observed_states(clinic: Dataset) -> dict[str, State]:
    """Return what `course_states` says, in the oracle's terms."""
    words = {text: key for key, text in COURSE_RULES.items()}
    found = {}
    for row in course_states(clinic).itertuples():
        due: Any = None if pd.isna(row.due_until) else (day_number(row.due_from), day_number(row.due_until))
        dropout = (day_number(row.dropout_last_attended), day_number(row.dropout_first_missed))
        found[row.course_id] = State(row.attended, row.state, words[row.rule], due, *dropout)
    return found


def expected_states(courses: dict[str, Course], cut: int) -> dict[str, State]:
    return {name: state for name, course in courses.items() if (state := naive_state(course, cut))}


def courses_of(clinic: Dataset) -> dict[str, Course]:
    """Return a clinic's courses as the oracle takes them."""
    visits: dict[str, dict[bool, list[Any]]] = {}
    for row in clinic.table("sessions").itertuples():
        held = visits.setdefault(row.course_id, {True: [], False: []})
        held[row.status == "attended"].append(day_number(row.date))
    found = {}
    for row in clinic.table("courses").itertuples():
        attended, vain = (tuple(visits.get(row.course_id, {}).get(held, ())) for held in (True, False))
        status = None if pd.isna(row.status) else row.status
        planned, start, end = int(row.planned_sessions), day_number(row.start_date), day_number(row.end_date)
        found[row.course_id] = Course(attended, vain, row.protocol, planned, start, status, end)
    return found


@pytest.fixture(scope="module")
def simulated() -> Dataset:
    return simulate(400, seed=7)


@pytest.fixture(scope="module")
def by_cut(simulated: Dataset) -> dict[int, dict[str, State]]:
    """Return the simulated clinic's course states at three data cuts, by days after 2024-01-01."""
    last = (simulated.cutoff - DAY_0).days
    return {
        last - back: observed_states(simulated.with_cutoff(simulated.cutoff - dt.timedelta(days=back)))
        for back in (300, 60, 0)
    }


def test_course_states_agree_with_the_oracle_on_simulated_clinics(
    simulated: Dataset, by_cut: dict[int, dict[str, State]]
) -> None:
    courses = courses_of(simulated)
    for cut, found in by_cut.items():
        assert found == expected_states(courses, cut)
    assert {state.rule for found in by_cut.values() for state in found.values()} >= {
        *("recorded_completed", "recorded_discontinued", "all_attended", "overdue", "not_overdue"),
    }


day = st.integers(0, 120)
course = st.builds(
    Course,
    attended=st.lists(day, max_size=12).map(tuple),
    vain=st.lists(day, max_size=2).map(tuple),
    protocol=st.sampled_from(["short_course", "weekly_to_monthly", None]),
    planned=st.none() | st.integers(1, 12),
    start=st.none() | day,
    status=st.sampled_from([None, "ongoing", "completed", "discontinued"]),
    end=st.none() | day,
)
clinics = st.lists(course, min_size=15, max_size=40).map(
    lambda made: {f"C{i}": each for i, each in enumerate(made)}
)


@settings(max_examples=4, deadline=None)
@given(courses=clinics, cut=st.integers(-5, 130))
def test_course_states_agree_with_the_oracle(courses: dict[str, Course], cut: int) -> None:
    clinic = Dataset(**tables(courses), cutoff=date(cut))
    assert observed_states(clinic) == expected_states(courses, cut)


# --- what a data cut may not do --------------------------------------------------------------------------------------------


def test_an_earlier_cut_adds_no_session_and_no_dropout(by_cut: dict[int, dict[str, State]]) -> None:
    # In this clinic nobody comes back later than the grace, so that no dropout is ever taken back.
    cuts = list(by_cut.values())
    for early, late in pairwise(cuts):
        assert set(early) <= set(late)
        for name, before in early.items():
            assert before.attended <= late[name].attended
            if before.state == "dropped_out":
                after = late[name]
                assert (after.state, after.last, after.missed) == (before.state, before.last, before.missed)
            if before.state == "completed":
                assert late[name].state == "completed"


@st.composite
def kept_plans(draw: st.DrawFn) -> Course:
    """Make a course in which every planned session is attended within its window."""
    protocol = draw(st.sampled_from(sorted(SLOTS)))
    start = at = draw(st.integers(0, 60))
    days = []
    for shortest, longest, _ in SLOTS[protocol]:
        at += draw(st.integers(shortest, longest))
        days.append(at)
    return Course(
        tuple(days), protocol=protocol, start=start, status=draw(st.sampled_from([None, "completed"]))
    )


@settings(max_examples=2, deadline=None)
@given(courses=st.lists(kept_plans(), min_size=15, max_size=30), cut=st.integers(0, 200))
def test_the_cut_alone_makes_no_dropout(courses: list[Course], cut: int) -> None:
    found = states_of({f"C{place}": each for place, each in enumerate(courses)}, cut)
    finished = {f"C{place}" for place, each in enumerate(courses) if max(each.attended) <= cut}
    assert not (found["state"] == "dropped_out").any()
    assert set(found.index[found["state"] == "completed"]) == finished


# --- slots of protocols ------------------------------------------------------------------------------------------------------


def test_slot_table_adds_up_the_intervals() -> None:
    slots = slot_table([load_vocabulary().protocols["weekly_to_monthly"]])
    # Weekly 7 to 10 three times after slot 1, fortnightly 12 to 16 twice, monthly 26 to 35 four times.
    assert list(slots["earliest"]) == [0, 7, 14, 21, 33, 45, 71, 97, 123, 149]
    assert list(slots["latest"]) == [0, 10, 20, 30, 46, 62, 97, 132, 167, 202]
    assert list(slots["grace"]) == [20] * 4 + [32] * 2 + [70] * 4


def test_slot_table_goes_on_in_the_last_phase_and_cuts_no_protocol_short() -> None:
    slots = slot_table(load_vocabulary().protocols.values(), longest=7)
    assert slots.groupby("protocol").size().to_dict() == {"short_course": 7, "weekly_to_monthly": 10}
    assert list(slots.loc[slots["protocol"] == "short_course", "latest"]) == [0, 7, 14, 21, 28, 35, 42]
