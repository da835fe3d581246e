"""Visits and dropouts of rough clinics against those of `naive_courses`."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from naive_courses import (
    NONE,
    PROTOCOLS,
    Course,
    Naive,
    clinic_of,
    day_of,
    naive_incidence,
    rough_tables,
    slot_of,
)

import mesostats as ms
from mesostats.schedule import COURSE_RULES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesostats.results import Result

BY = [[], ["protocol"], ["arm"], ["sex"], ["arm", "sex"], ["indication"]]
EXPLAINED = 6
SUMMED = {
    "planned_sessions": ("planned", "in_denominator"),
    "received_sessions": ("attended", "in_denominator"),
    "received_share": ("in_both", "planned"),
}
STATES = ("completed", "ongoing", "dropped_out")


def naive_of(seed: int) -> tuple[ms.Dataset, Naive, list[str], random.Random]:
    draw = random.Random(seed)  # noqa: S311
    return clinic_of(seed), Naive(*rough_tables(seed)), draw.choice(BY), draw


def known(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(None if pd.isna(each) else each for each in values)


def rows_of(found: Result, **cell: Any) -> dict[Any, dict[str, Any]]:
    """Return the rows of one estimand (and reason) by their groups."""
    rows = found.estimates
    for name, value in cell.items():
        rows = rows[rows[name] == value]
    names = [name for name in found.groups if name not in cell]
    return {tuple(row[name] for name in names): row for row in rows.to_dict("records")}


def assert_explained(found: Result, draw: random.Random) -> None:
    """Check that the rows behind a number add up to its counts, for some of the numbers."""
    rows = found.estimates.to_dict("records")
    for row in draw.sample(rows, min(len(rows), EXPLAINED)):
        cell = {name: row[name] for name in [*found.groups, "estimand"]}
        behind = found.explain(**cell, **({} if pd.isna(row["time"]) else {"time": row["time"]}))
        # Means of sessions are of courses: their sums of sessions stand in columns of their own.
        own = behind[behind["in_denominator"]].assign(
            in_both=lambda all_: all_.filter(["planned", "attended"]).min(axis=1)
        )
        counted, whole = SUMMED.get(row["estimand"], ("in_numerator", "in_denominator"))
        assert pd.isna(row["numerator"]) or own[counted].sum() == row["numerator"], cell
        assert pd.isna(row["denominator"]) or own[whole].sum() == row["denominator"], cell


@pytest.mark.parametrize("seed", range(8))
def test_states_of_courses_are_those_told_one_by_one(seed: int) -> None:
    clinic, naive, _, _ = naive_of(seed)
    found = ms.course_states(clinic).to_dict("records")
    names = ["course_id", "planned", "attended", "next_slot", "phase", "state", "rule"]
    days = ["first_session", "last_session", "due_from", "due_until"]
    days += ["dropout_last_attended", "dropout_first_missed"]
    rows = {known([*(row[name] for name in names), *(day_of(row[name]) for name in days)]) for row in found}
    assert rows == {
        (
            *(each.id, each.planned, len(each.days), each.next_slot, each.phase, each.state),
            *(COURSE_RULES[each.rule], *each.ends, *(each.window(len(each.days) + 1) or (None, None))),
            *(each.dropout_days if each.state == "dropped_out" else (None, None)),
        )
        for each in naive.courses
    }


@pytest.mark.parametrize("anchor", ["held", "plan"])
@pytest.mark.parametrize("seed", range(20, 24))
def test_states_of_slots_and_adherence_are_those_told_one_by_one(seed: int, anchor: Any) -> None:
    clinic, naive, by, draw = naive_of(seed)
    found = ms.session_states(clinic, anchor=anchor).to_dict("records")
    rows = Counter(
        (
            *known(row[name] for name in ("course_id", "slot", "phase", "session_id")),
            *(day_of(row[name]) for name in ("date", "due_from", "due_until")),
            row["state"],
        )
        for row in found
    )
    slots = [(each, *slot) for each in naive.courses for slot in each.slots(anchor)]
    assert rows == Counter((each.id, *slot) for each, *slot in slots)
    of_slots = draw.choice([["phase"], ["practitioner_id"], []])
    kept = ms.adherence(clinic, by=[*by, *of_slots], anchor=anchor)
    practitioner = {each["session_id"]: each["practitioner_id"] or NONE for each in naive.sessions}
    counts: Counter[Any] = Counter()
    for each, _, phase, session, *_, state in slots:
        own = {"phase": phase or "outside the plan", "practitioner_id": practitioner.get(session, "not held")}
        counts[(*each.group(by), *(own[name] for name in of_slots)), state] += 1
        counts[
            each.group(by) + tuple(own[name] if name == "practitioner_id" else "" for name in of_slots),
            "visit",
        ] += session is not None
    for state in ("on_time", "early", "late", "missed"):
        for group, row in rows_of(kept, estimand=state).items():
            due = sum(counts[group, each] for each in ("on_time", "early", "late", "missed"))
            expected = (counts[group, state], due, counts[group, "not_yet_due"])
            assert (row["numerator"], row["denominator"], row["n_missing"]) == expected
    for group, row in rows_of(kept, estimand="unscheduled").items():
        whole = (*group[:-1], "") if of_slots == ["phase"] else group
        assert (row["numerator"], row["denominator"]) == (
            counts[group, "unscheduled"],
            counts[whole, "visit"],
        )
    assert sum(row["numerator"] for row in rows_of(kept, estimand="unscheduled").values()) == sum(
        number for (_, state), number in counts.items() if state == "unscheduled"
    )
    assert_explained(kept, draw)


def times_of(courses: list[Course], time: str, dropout_date: str, follow_up: str) -> list[tuple[int, str]]:
    """Return how long each analysed course was kept, and its reason where it was given up then."""
    times = [
        each.kept_days(dropout_date, follow_up) if time == "day" else each.kept(follow_up) for each in courses
    ]
    return [
        (kept[0], each.reason if kept[1] else "")
        for each, kept in zip(courses, times, strict=True)
        if kept is not None
    ]


@pytest.mark.parametrize("seed", range(40, 48))
def test_retention_and_reasons_are_those_counted_one_by_one(seed: int) -> None:
    clinic, naive, by, draw = naive_of(seed)
    time, follow_up = ("session", "day")[seed % 2], draw.choice(["settled", "all"])
    dropout_date = draw.choice(["last_attended", "first_missed"])
    chosen: dict[str, Any] = {"by": by, "time": time, "dropout_date": dropout_date, "follow_up": follow_up}
    kept, given_up = ms.retention(clinic, **chosen), ms.dropout_reasons(clinic, **chosen)
    assert set(rows_of(kept, estimand="median_retention")) == set(naive.groups(by))
    for group, courses in naive.groups(by).items():
        times = times_of(courses, time, dropout_date, follow_up)
        lost = len(courses) - len(times)
        for row in rows_in(kept, by, group, "retention"):
            at, gone = row["time"], sum(kept == row["time"] and why != "" for kept, why in times)
            if pd.isna(at):
                assert not times
                continue
            assert (row["numerator"], row["denominator"]) == (gone, sum(each >= at for each, _ in times))
            assert row["n_missing"] == lost
            together = sum(naive_incidence(times, why, at) for why in {why for _, why in times} - {""})
            assert row["estimate"] == pytest.approx(1 - together, abs=1e-12)
        for row in rows_in(given_up, by, group, "cumulative_incidence"):
            if row["reason"] != "all reasons" and not pd.isna(row["time"]):
                assert row["estimate"] == pytest.approx(
                    naive_incidence(times, row["reason"], row["time"]), abs=1e-12
                )
                assert row["numerator"] == times.count((row["time"], row["reason"]))
        reasons = {row["reason"] for row in rows_in(given_up, by, group, "cumulative_incidence")}
        assert {why for _, why in times} - {""} <= reasons
    for found in (kept, given_up):
        assert_explained(found, draw)


def rows_in(found: Result, by: list[str], group: tuple[str, ...], estimand: str) -> list[dict[str, Any]]:
    rows = found.estimates[found.estimates["estimand"] == estimand]
    for name, value in zip(by, group, strict=True):
        rows = rows[rows[name] == value]
    return rows.to_dict("records")


@pytest.mark.parametrize("seed", range(60, 66))
def test_steps_and_phases_are_those_counted_one_by_one(seed: int) -> None:
    clinic, naive, by, draw = naive_of(seed)
    follow_up: Any = draw.choice(["settled", "all"])
    steps, phases = (
        each(clinic, by=by, follow_up=follow_up) for each in (ms.dropout_by_session, ms.hazard_by_phase)
    )
    cells: Counter[Any] = Counter()
    for each in naive.courses:
        group, (reached, state) = each.group(by), each.followed(follow_up)
        for number in range(1, reached + 1 + (state == "dropped_out")):
            phase = slot_of(each.protocol, number).phase if each.protocol else NONE
            for place in (number, phase):
                cells[group, place, "due"] += 1
                cells[group, place, "came"] += number <= reached
        phase = slot_of(each.protocol, reached + 1).phase if each.protocol else NONE
        for place in (reached + 1, phase):
            cells[group, place, state] += 1
        cells[group, "all", state] += 1
    for row in steps.estimates.query("denominator > 0").to_dict("records"):
        cell = (tuple(row[name] for name in by), row["time"])
        counted = {"attendance": "came"}.get(row["estimand"], "dropped_out")
        assert (row["numerator"], row["denominator"]) == (cells[*cell, counted], cells[*cell, "due"])
        assert row["n_missing"] == cells[*cell, "ongoing"]
    for (*names, phase), row in rows_of(phases, estimand="dropout_hazard").items():
        cell = (tuple(names), phase)
        counts = (row["numerator"], row["denominator"], row["n_missing"])
        assert counts == tuple(cells[*cell, each] for each in ("dropped_out", "due", "ongoing"))
    for (*names, phase), row in rows_of(phases, estimand="share_of_dropouts").items():
        counts = (row["numerator"], row["denominator"])
        assert counts == (
            cells[tuple(names), phase, "dropped_out"],
            cells[tuple(names), "all", "dropped_out"],
        )
    lost = sum(row["numerator"] for row in rows_of(phases, estimand="dropout_hazard").values())
    assert lost == sum(
        number for (_, place, state), number in cells.items() if (place, state) == ("all", "dropped_out")
    )
    for found in (steps, phases):
        assert_explained(found, draw)


@pytest.mark.parametrize("seed", range(80, 86))
def test_dispositions_and_flows_are_those_counted_one_by_one(seed: int) -> None:
    clinic, naive, by, draw = naive_of(seed)
    ends, flow = ms.disposition(clinic, by=by), ms.patient_flow(clinic, by=by)
    cells: Counter[Any] = Counter()
    for each in naive.courses:
        group, came, phase = each.group(by), len(each.days), each.phase or NONE
        phase = "after the plan" if each.planned is not None and came >= each.planned else phase
        own = Counter({("all phases", "all reasons", "started"): 1})
        own["all phases", "all reasons", "attended_first_session"] = int(came > 0)
        for place in ("all phases", phase):
            own[place, "all reasons", each.state] = 1
            if each.state == "dropped_out":
                own[place, each.reason, each.state] = 1
        for name, first in each.phases():
            if each.planned is None or first <= each.planned:
                own[name, "all reasons", "due"] |= int(came >= first - 1)
                own[name, "all reasons", "reached"] |= int(came >= first)
        for cell, number in own.items():
            cells[group, *cell] += number
    for row in flow.estimates.query("estimand != 'registered'").to_dict("records"):
        group = tuple(row[name] for name in by)
        assert row["numerator"] == cells[group, row["phase"], row["reason"], row["estimand"]], row
        assert row["denominator"] == cells[group, "all phases", "all reasons", "started"]
    shown = {
        (tuple(row[name] for name in by), row["phase"], row["reason"], row["estimand"])
        for row in flow.estimates.to_dict("records")
    }
    assert {cell for cell, number in cells.items() if number} <= shown
    for row in ends.estimates.to_dict("records"):
        group = tuple(row[name] for name in by)
        name = "attended_first_session" if row["estimand"] == "treated" else row["estimand"]
        assert row["numerator"] == cells[group, "all phases", row["reason"], name]
        assert row["denominator"] == cells[group, "all phases", "all reasons", "started"]
    assert set(naive.groups(by)) == {
        tuple(row[name] for name in by) for row in ends.estimates.to_dict("records")
    }
    for found in (ends, flow):
        assert_explained(found, draw)


@pytest.mark.parametrize("seed", range(100, 105))
def test_sessions_received_are_those_counted_one_by_one(seed: int) -> None:
    clinic, naive, by, draw = naive_of(seed)
    which = draw.choice(["ended", "started"])
    received = ms.sessions_received(clinic, by=by, courses=which)
    for group, courses in naive.groups(by).items():
        own = [each for each in courses if which == "started" or each.state != "ongoing"]
        planned = [each for each in own if each.planned is not None]
        expected = {
            "planned_sessions": (
                sum(each.planned for each in planned),
                len(planned),
                len(own) - len(planned),
            ),
            "received_sessions": (sum(len(each.days) for each in own), len(own), len(courses) - len(own)),
            "received_share": (
                sum(min(len(each.days), each.planned) for each in planned),
                sum(each.planned for each in planned),
            ),
        }
        for name, counts in expected.items():
            (row,) = rows_in(received, by, group, name)
            found = (row["numerator"], row["denominator"], row["n_missing"])
            assert found[: len(counts)] == counts
        for row in rows_in(received, by, group, "received_exactly"):
            assert row["numerator"] == sum(len(each.days) == row["time"] for each in own)
        for row in rows_in(received, by, group, "received_at_least"):
            assert row["numerator"] == sum(len(each.days) >= row["time"] for each in own)
    assert_explained(received, draw)


@pytest.mark.parametrize("seed", range(106, 110))
def test_gaps_are_those_counted_one_by_one(seed: int) -> None:
    clinic, naive, by, draw = naive_of(seed)
    gaps = ms.session_gaps(clinic, by=[*by, "phase"])
    cells: Counter[Any] = Counter()
    lengths: dict[Any, list[int]] = {}
    for each in naive.courses:
        for number in range(2, len(each.days) + 1):
            gap, slot = each.days[number - 1] - each.days[number - 2], each.slot(number)
            cell = (*each.group(by), "outside the plan" if slot is None else slot.phase)
            place = "in_window" if slot and slot.shortest <= gap <= slot.longest else "above_window"
            cells[cell, "below_window" if slot and gap < slot.shortest else place if slot else "none"] += 1
            lengths.setdefault(cell, []).append(gap)
    for row in gaps.estimates.to_dict("records"):
        cell = tuple(row[name] for name in gaps.groups)
        windowed = sum(cells[cell, each] for each in ("below_window", "in_window", "above_window"))
        own_gaps = sorted(lengths.get(cell, []))
        if row["estimand"].endswith("_window"):
            assert (row["numerator"], row["denominator"]) == (cells[cell, row["estimand"]], windowed)
            assert row["n_missing"] == cells[cell, "none"]
        elif row["estimand"] == "gap_share" and own_gaps:
            assert (row["numerator"], row["denominator"]) == (own_gaps.count(row["time"]), len(own_gaps))
        elif row["estimand"] == "median_gap" and own_gaps:
            assert row["estimate"] == own_gaps[(len(own_gaps) + 1) // 2 - 1]
    assert sum(cells.values()) == gaps.estimates.query("estimand == 'gap_share'")["numerator"].sum()
    assert_explained(gaps, draw)


@pytest.mark.parametrize("seed", range(114, 118))
def test_phase_switches_are_those_told_one_by_one(seed: int) -> None:
    clinic, naive, _, _ = naive_of(seed)
    rows = ms.phase_switches(clinic).dropna(subset="phase")
    found = {
        tuple(known(row))
        for row in rows[["course_id", "phase", "planned_slot", "state"]].itertuples(index=False)
    }
    expected = set()
    for each in naive.courses:
        windows = [(phase[2], phase[3]) for phase in PROTOCOLS.get(each.protocol, [])]
        gaps = [later - day for day, later in pairwise(each.days)]
        fits = [[place for place, (low, high) in enumerate(windows) if low <= gap <= high] for gap in gaps]
        for place, (phase, first) in enumerate(each.phases()[1:], 1):
            own = [number for number, fit in enumerate(fits) if fit == [place]]
            past = [number for number, fit in enumerate(fits) if len(fit) == 1 and fit[0] > place]
            unsure = "ambiguous" if any(place in fit for fit in fits) else "not_seen"
            seen = "switched" if own and own < (past or [len(fits)]) else "skipped" if past else unsure
            expected.add((each.id, phase, first if first <= each.planned else None, seen))
    assert found == expected


@pytest.mark.parametrize("seed", [110, 111, 112])
def test_returns_and_person_sessions_are_those_counted_one_by_one(seed: int) -> None:
    clinic, naive, by, draw = naive_of(seed)
    window, match = draw.choice([(1, 20), (10, 40)]), draw.choice([None, "indication"])
    back = ms.return_for_repeat(clinic, by=by, window_days=window, match=match)
    for (*names, estimand), row in rows_of_estimands(back).items():
        done = [
            each for each in naive.courses if each.group(by) == tuple(names) and each.state == "completed"
        ]
        followed = [each.return_day(naive.courses, match) for each in done if each.days]
        days = [day for day, came in followed if came]
        inside = {
            "returned_in_window": sum(window[0] <= day <= window[1] for day in days),
            "returned_before_window": sum(day < window[0] for day in days),
        }
        if estimand in inside:
            assert not followed or row["numerator"] == inside[estimand]
            assert row["denominator"] == len(followed)
        elif not pd.isna(row["time"]):
            still = sum(day >= row["time"] for day, _ in followed)
            assert (row["numerator"], row["denominator"]) == (days.count(row["time"]), still)
        assert row["n_missing"] == len(done) - len(followed)
    model = ms.dropout_model(clinic, covariates=["session"]).estimates
    model = model.query("estimand == 'hazard_ratio' and denominator > 0")
    due: Counter[Any] = Counter()
    for each in naive.courses:
        reached, state = each.followed("settled")
        for number in range(2, reached + 1 + (state == "dropped_out" and reached > 0)):
            due[str(number), "due"] += 1
            due[str(number), "lost"] += number > reached
    rows = {row["level"]: (row["numerator"], row["denominator"]) for row in model.to_dict("records")}
    assert rows == {level: (due[level, "lost"], due[level, "due"]) for level, kind in due if kind == "due"}
    assert_explained(back, draw)


def rows_of_estimands(found: Result) -> dict[Any, dict[str, Any]]:
    """Return rows by group and estimand; of a curve the last one."""
    return {
        (*(row[name] for name in found.groups), row["estimand"]): row
        for row in found.estimates.to_dict("records")
    }
