"""When courses moved on from phase to phase, by hand."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesostats.dataset import Dataset
from mesostats.visits.switches import SWITCH_RULES, phase_switches

if TYPE_CHECKING:
    from pathlib import Path

DAY_0 = dt.date(2024, 1, 1)
WINDOWS = {"weekly": (7, 10), "fortnightly": (12, 16), "monthly": (26, 35)}
FIRST_SLOT = {"fortnightly": 5, "monthly": 7}

OVERLAY = """
entries:
  overlapping:
    label: Two phases that overlap
    source: S1
    phases:
      - {name: close, label: Close, sessions: 3, interval_days: [5, 10]}
      - {name: wide, label: Wide, sessions: 3, interval_days: [8, 20]}
"""


def make_clinic(
    gaps: dict[str, list[int]],
    *,
    protocol: str | None = "weekly_to_monthly",
    planned: int | None = None,
    **more: Any,
) -> Dataset:
    """Make a clinic whose courses have these days between their sessions."""
    visits = []
    for name, each in gaps.items():
        days = [0]
        for gap in each:
            days.append(days[-1] + gap)
        visits += [(name, DAY_0 + dt.timedelta(days=day)) for day in days]
    sessions = pd.DataFrame(visits, columns=["course_id", "date"]).assign(status="attended")
    courses = pd.DataFrame({"course_id": list(gaps), "patient_id": "P1", "indication": "melasma"})
    courses = courses.assign(protocol=protocol, planned_sessions=planned, start_date=DAY_0)
    return Dataset(
        patients=pd.DataFrame({"patient_id": ["P1"]}),
        courses=courses,
        sessions=sessions.assign(session_id=[f"S{place}" for place in range(len(sessions))]),
        **{"cutoff": dt.date(2026, 1, 1), **more},
    )


def judged(clinic: Dataset) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Return, a course and phase: state, planned slot, detected slot, slots later, went back."""
    found: dict[str, dict[str, tuple[Any, ...]]] = {}
    for row in phase_switches(clinic).itertuples():
        values = [row.planned_slot, row.detected_slot, row.slots_later, row.went_back]
        shown = tuple(None if pd.isna(value) else value for value in values)
        assert row.rule == SWITCH_RULES[row.state]
        found.setdefault(row.course_id, {})[row.phase if isinstance(row.phase, str) else ""] = (
            row.state,
            *shown,
        )
    return found


# Weekly gaps are 7 to 10 days, fortnightly ones 12 to 16, monthly ones 26 to 35; slots 5 and 7 begin the later phases.
CASES = {
    "as planned": (
        [7, 8, 10, 12, 16, 26, 35],
        {"fortnightly": ("switched", 5, 5, 0, False), "monthly": ("switched", 7, 7, 0, False)},
    ),
    "earlier": (
        [7, 14, 30],
        {"fortnightly": ("switched", 5, 3, -2, False), "monthly": ("switched", 7, 4, -3, False)},
    ),
    "weekly to the end": (
        [7, 7, 7, 7, 7, 7, 7],
        {"fortnightly": ("not_seen", 5, None, None, None), "monthly": ("not_seen", 7, None, None, None)},
    ),
    "straight to monthly": (
        [7, 7, 30, 30],
        {"fortnightly": ("skipped", 5, None, None, None), "monthly": ("switched", 7, 4, -3, False)},
    ),
    # The gap of 14 days comes after that of 30: the course fell back, it did not move into the fortnightly phase.
    "back from monthly": (
        [7, 30, 14],
        {"fortnightly": ("skipped", 5, None, None, None), "monthly": ("switched", 7, 3, -4, True)},
    ),
    "a missed appointment": (
        [7, 14, 7, 7],
        {"fortnightly": ("switched", 5, 3, -2, True), "monthly": ("not_seen", 7, None, None, None)},
    ),
    "gaps between the windows": (
        [7, 11, 20, 60],
        {"fortnightly": ("not_seen", 5, None, None, None), "monthly": ("not_seen", 7, None, None, None)},
    ),
    "one session": (
        [],
        {"fortnightly": ("not_seen", 5, None, None, None), "monthly": ("not_seen", 7, None, None, None)},
    ),
    # A second visit on a day is no session of its own, and no gap.
    "two visits on a day": (
        [7, 0, 14],
        {"fortnightly": ("switched", 5, 3, -2, False), "monthly": ("not_seen", 7, None, None, None)},
    ),
}


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, tuple[Any, ...]]]:
    return judged(make_clinic({name: case[0] for name, case in CASES.items()}))


@pytest.mark.parametrize("name", CASES)
def test_phase_switches_by_hand(found: dict[str, dict[str, tuple[Any, ...]]], name: str) -> None:
    assert found[name] == CASES[name][1]


def test_the_switch_is_dated_by_the_session_that_ends_the_gap() -> None:
    rows = phase_switches(make_clinic({"C": [7, 14]})).set_index("phase")
    assert rows.loc["fortnightly", "detected_date"].date() == DAY_0 + dt.timedelta(days=21)


def test_a_plan_that_ends_before_a_phase_has_no_slot_for_it() -> None:
    found = judged(make_clinic({"C": [7, 14]}, planned=4))
    assert found["C"]["fortnightly"] == ("switched", None, 3, None, False)


@pytest.mark.parametrize(
    ("protocol", "state"), [(None, "no_protocol"), ("own", "no_protocol"), ("short_course", "one_phase")]
)
def test_courses_with_nothing_to_switch_to_have_one_row_that_says_so(
    protocol: str | None, state: str
) -> None:
    assert judged(make_clinic({"C": [7, 14]}, protocol=protocol)) == {
        "C": {"": (state, None, None, None, None)}
    }


def test_windows_that_overlap_leave_gaps_ambiguous(tmp_path: Path) -> None:
    (tmp_path / "protocols.yaml").write_text(OVERLAY, encoding="utf-8")
    courses = {"in both": [6, 9, 10], "in one": [6, 9, 15], "neither": [6, 30]}
    found = judged(make_clinic(courses, protocol="overlapping", vocabulary=tmp_path))
    assert found["in both"]["wide"] == ("ambiguous", 4, None, None, None)
    assert found["in one"]["wide"] == ("switched", 4, 4, 0, False)
    assert found["neither"]["wide"] == ("not_seen", 4, None, None, None)


def test_what_came_after_the_cut_is_not_seen() -> None:
    early = make_clinic({"C": [7, 14]}, cutoff=DAY_0 + dt.timedelta(days=20))
    assert judged(early)["C"]["fortnightly"] == ("not_seen", 5, None, None, None)
    assert phase_switches(make_clinic({"C": [7]}, cutoff=DAY_0 - dt.timedelta(days=1))).empty


def naive(gaps: list[int], phase: str) -> tuple[str, int | None, bool | None]:
    """Walk along the gaps: the state, the slot of the switch, and whether the course went back."""
    order = list(WINDOWS)
    spoken = [
        [order.index(name) for name, (low, high) in WINDOWS.items() if low <= gap <= high] for gap in gaps
    ]
    own = order.index(phase)
    for place, said in enumerate(spoken):
        if said and said[0] > own:
            return "skipped", None, None
        if said and said[0] == own:
            back = any(later and later[0] < own for later in spoken[place + 1 :])
            return "switched", place + 2, back
    return "not_seen", None, None


@settings(max_examples=5, deadline=None)
@given(
    clinic=st.lists(
        st.lists(st.sampled_from([6, 7, 10, 11, 12, 16, 20, 26, 35, 36]), max_size=9),
        min_size=20,
        max_size=40,
    )
)
def test_phase_switches_agree_with_a_walk_along_the_gaps(clinic: list[list[int]]) -> None:
    named = {f"C{place}": gaps for place, gaps in enumerate(clinic)}
    for name, phases in judged(make_clinic(named)).items():
        assert set(phases) == set(FIRST_SLOT)
        for phase, (state, planned, slot, later, back) in phases.items():
            assert planned == FIRST_SLOT[phase]
            assert (state, slot, back) == naive(named[name], phase)
            assert later == (None if slot is None else slot - planned)
