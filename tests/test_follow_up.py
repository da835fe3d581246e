"""Follow-up: a session counts once its window and grace are over, for whoever came and for whoever did not."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesostats.dataset import Dataset
from mesostats.dropout.retention import dropout_by_session, retention
from mesostats.engine import collect
from mesostats.follow_up import with_follow_up
from mesostats.populations import started_courses
from mesostats.schedule import slot_table
from mesostats.simulation import simulate
from mesostats.vocabulary import load_vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY_0 = dt.date(2024, 1, 1)
STANDARD_ERRORS = 4


def _date(day: int) -> dt.date:
    return DAY_0 + dt.timedelta(days=day)


def make_clinic(courses: Sequence[dict[str, Any]], *, cut: int) -> Dataset:
    rows = [
        {
            "course_id": f"C{place}",
            "patient_id": "P1",
            "indication": "melasma",
            "protocol": each.get("protocol", "short_course"),
            "start_date": _date(each["start"]),
            "status": each.get("status"),
            "end_date": _date(each["end"]) if "end" in each else None,
        }
        for place, each in enumerate(courses)
    ]
    days = [(f"C{place}", _date(day)) for place, each in enumerate(courses) for day in each["days"]]
    sessions = pd.DataFrame(days, columns=["course_id", "date"]).assign(status="attended")
    sessions["session_id"] = [f"S{place}" for place in range(len(sessions))]
    return Dataset(
        patients=pd.DataFrame({"patient_id": ["P1"]}),
        courses=pd.DataFrame(rows),
        sessions=sessions,
        cutoff=_date(cut),
    )


# Short course: 5 sessions, the next within 7 days, a grace of 14: a session is settled when more than 21 days after the one before are over.
HAND = [
    # cut on day 100; session 5 waits until 82 + 21 = 103
    ({"start": 70, "days": [70, 74, 78, 82, 86]}, 4, "ongoing"),
    ({"start": 60, "days": [60, 64, 68, 72, 76]}, 5, "completed"),  # session 5: 72 + 21 = 93
    ({"start": 60, "days": [60, 64, 68]}, 3, "dropped_out"),  # session 4: 68 + 21 = 89
    ({"start": 74, "days": [74, 78]}, 2, "dropped_out"),  # session 3: 78 + 21 = 99
    ({"start": 75, "days": [75, 79]}, 2, "ongoing"),  # session 3: 79 + 21 = 100, on the cut: not over
    # recorded at once, yet whoever went on would not be counted: session 3 waits until 104
    ({"start": 72, "days": [72, 83], "status": "discontinued", "end": 85}, 2, "ongoing"),
    ({"start": 90, "days": [90, 93]}, 0, "ongoing"),  # even session 1 waits: 90 + 21 = 111
    ({"start": 79, "days": []}, 0, "ongoing"),  # session 1: 100
    ({"start": 78, "days": []}, 0, "dropped_out"),  # session 1: 99
    (
        {"start": 70, "days": [70, 74, 78], "status": "completed", "end": 79},
        3,
        "ongoing",
    ),  # session 4 waits until 99: see below
]


def test_settled_slots_by_hand() -> None:
    clinic = make_clinic([each for each, _, _ in HAND[:-1]], cut=100)
    frame = with_follow_up(started_courses(clinic, ()), clinic, "settled")
    found = collect(frame).sort_values("course_id")
    expected = [(reached, outcome) for _, reached, outcome in HAND[:-1]]
    assert list(zip(found["reached"], found["outcome"], strict=True)) == expected


@pytest.mark.parametrize(("cut", "outcome"), [(98, "completed"), (96, "completed"), (95, "ongoing")])
def test_a_recorded_completion_is_settled_with_its_last_session(cut: int, outcome: str) -> None:
    # Session 3 on day 78 is settled after 74 + 21 = 95; no fourth session is due after the completion.
    clinic = make_clinic([HAND[-1][0]], cut=cut)
    found = collect(with_follow_up(started_courses(clinic, ()), clinic, "settled")).iloc[0]
    assert found["outcome"] == outcome
    assert found["reached"] == (3 if outcome == "completed" else 2)


def test_all_takes_what_was_recorded() -> None:
    clinic = make_clinic([each for each, _, _ in HAND], cut=100)
    found = collect(with_follow_up(started_courses(clinic, ()), clinic, "all"))
    assert (found["reached"] == found["attended"]).all()
    assert (found["outcome"] == found["state"]).all()


def test_retention_by_day_ends_at_the_horizon() -> None:
    # Horizon: day 100 - 21 - 1 = 78. C1 and C2 are wholly before it; C0 (day 82 and on) is censored at 78 - 70 = 8 days; C3
    # dropped out after day 78, on the horizon; C6 began after it.
    clinic = make_clinic([HAND[place][0] for place in (0, 1, 2, 3, 6)], cut=100)
    rows = retention(clinic, time="day").explain()
    assert rows["time"].tolist()[:4] == [8, 16, 8, 4]
    assert rows["event"].tolist()[:4] == [0, 0, 1, 1]
    assert rows["excluded"].tolist() == [
        "",
        "",
        "",
        "",
        "began too shortly before the data cut: nothing is settled",
    ]
    assert retention(clinic, time="day").cell(estimand="median_retention")["n_missing"] == 1


def naive(clinic: Dataset) -> list[tuple[str, int, str]]:
    """Return course, reached and outcome, one course at a time."""
    slots = slot_table(load_vocabulary().protocols.values(), longest=40)
    lag = {(row.protocol, row.slot): row.longest + row.grace for row in slots.itertuples()}
    states = collect(started_courses(clinic, ())).set_index("course_id")
    sessions = clinic.table("sessions").query("status == 'attended'")
    cut = (clinic.cutoff - dt.date(1970, 1, 1)).days
    found = []
    for course, row in states.iterrows():
        dates = sessions.loc[
            (sessions["course_id"] == course) & (sessions["date"] <= pd.Timestamp(clinic.cutoff)), "date"
        ]
        days = sorted({(date.date() - dt.date(1970, 1, 1)).days for date in dates})
        anchors = [row["start_day"], *days]
        settled = 0
        for slot, anchor in enumerate(anchors, start=1):
            if anchor + lag[row["protocol"], slot] >= cut:
                break
            settled = slot
        reached = min(len(days), settled)
        done = settled > len(days) or (row["state"] == "completed" and settled == len(days))
        found.append((str(course), reached, row["state"] if done else "ongoing"))
    return sorted(found)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000), back=st.integers(0, 500))
def test_settled_slots_agree_with_the_oracle(seed: int, back: int) -> None:
    clinic = simulate(60, seed=seed)
    clinic = clinic.with_cutoff(clinic.cutoff - dt.timedelta(days=back))
    frame = collect(with_follow_up(started_courses(clinic, ()), clinic, "settled"))
    found = sorted(zip(frame["course_id"], frame["reached"], frame["outcome"], strict=True))
    assert found == naive(clinic)


def test_settled_retention_finds_the_truth_where_all_is_optimistic() -> None:
    # Cut half a year after the first courses began: most of the follow-up is near the cut.
    clinic = simulate(40_000, seed=2)
    clinic = clinic.with_cutoff("2023-12-31")
    true = clinic.truth[clinic.truth["quantity"] == "retention"].dropna(subset="protocol")
    true = true.astype({"session": float}).query("session > 1")
    errors = {}
    for follow_up in ("settled", "all"):
        steps = dropout_by_session(clinic, by="protocol", follow_up=follow_up).estimates
        both = steps[steps["estimand"] == "retention"].merge(
            true[["protocol", "session", "value"]],
            left_on=["protocol", "time"],
            right_on=["protocol", "session"],
        )
        errors[follow_up] = (both["estimate"] - both["value"]) / both["std_error"]
    assert errors["settled"].abs().max() < STANDARD_ERRORS
    assert errors["all"].max() > STANDARD_ERRORS
