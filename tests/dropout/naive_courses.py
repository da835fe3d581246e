"""A second, naive count of visits and dropouts: loops over courses, straight from what the docstrings say; rough clinics.

The clinics are small and rough: several courses a patient and sessions a day, sessions before the start and after the end,
visits in vain only, no dates, unknown and overlapping protocols, records that contradict the sessions, cuts in the middle.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from typing import Any

import pandas as pd

import mesostats as ms
from mesostats.vocabulary import Vocabulary, load_vocabulary

JANUARY = date(2024, 1, 1).toordinal()
NONE = "not recorded"
COLUMNS = {
    "patients": "patient_id sex",
    "courses": "course_id patient_id indication arm protocol planned_sessions start_date status end_date end_reason",
    "sessions": "session_id course_id date status practitioner_id",
}
# Each phase: name, sessions, shortest and longest interval, grace. The windows of "rough" overlap, and one has no grace.
PROTOCOLS = {
    "short_course": [("course", 5, 1, 7, 14)],
    "weekly_to_monthly": [
        ("weekly", 4, 7, 10, 20),
        ("fortnightly", 2, 12, 16, 32),
        ("monthly", 4, 26, 35, 70),
    ],
    "rough": [("a", 2, 3, 10, 0), ("b", 1, 7, 14, 5), ("weekly", 2, 7, 10, 30)],
}


@cache
def vocabulary() -> Vocabulary:
    shipped = load_vocabulary()
    phases = [
        {"name": name, "label": name, "sessions": sessions, "interval_days": window, "grace_days": grace}
        for name, sessions, *window, grace in PROTOCOLS["rough"]
    ]
    first = shipped.protocols["short_course"]
    rough = type(first)(code="rough", label="Rough", source="made up", phases=phases)
    return replace(shipped, protocols={**shipped.protocols, "rough": rough})


def text_of(day: int | None) -> str | None:
    return None if day is None else date.fromordinal(JANUARY + day).isoformat()


def day_of(value: Any) -> int | None:
    if pd.isna(value):
        return None
    return (date.fromisoformat(value) if isinstance(value, str) else value).toordinal() - JANUARY


def rough_tables(seed: int, *, patients: int = 12) -> tuple[dict[str, pd.DataFrame], str]:
    """Return the tables of a rough clinic and its data cut."""
    draw = random.Random(seed)  # noqa: S311 - clinics, not secrets
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in COLUMNS}
    for number in range(patients):
        patient = f"P{number}"
        if number:  # the first one's courses are of a patient that nobody registered
            rows["patients"].append((patient, draw.choice(["f", "m", None])))
        for place in range(draw.choice([0, 1, 1, 2, 3])):
            course = f"{patient}C{place}"
            start = draw.randrange(120)
            days = _days(draw, start)
            rows["courses"].append((course, patient, *_course(draw, start, days)))
            for day in days:
                held = draw.choice(["attended"] * 7 + ["no_show", "cancelled", None])
                known = None if draw.random() < 0.04 else text_of(day)
                session = f"S{draw.randrange(10**6):06d}-{len(rows['sessions'])}"
                own = draw.choice([course] * 40 + ["C?"])
                rows["sessions"].append((session, own, known, held, draw.choice(["D1", "D2", None])))
    tables = {name: pd.DataFrame(rows[name], columns=COLUMNS[name].split(), dtype=object) for name in COLUMNS}
    return tables, str(text_of(draw.choice([-10, 20, 60, 90, 120, 160, 300, 500])))


def _days(draw: random.Random, start: int) -> list[int]:
    pace = draw.choice(
        [[3, 5, 7], [7, 8, 10], [7, 8, 10, 12, 14, 30], [0, 1, 3, 7, 8, 10, 12, 15, 20, 30, 45]]
    )
    days = [start + draw.choice([-6, 0, 0, 0, 2, 7, 9, 12, 30])]
    for _ in range(draw.randrange(12)):
        days.append(days[-1] + draw.choice(pace))
    draw.shuffle(days)
    return days[: draw.choice([0, 99, 99, 99, 99])]


def _course(draw: random.Random, start: int, days: list[int]) -> tuple[Any, ...]:
    status = draw.choice([None, None, None, "ongoing", "completed", "discontinued"])
    last = max(days, default=start)
    end = draw.choice([None, last, last + 5, start + draw.randrange(150)]) if status != "ongoing" else None
    reason = draw.choice(["adverse_event", "cost", "moved_on", None])
    protocol = draw.choice([*PROTOCOLS, *PROTOCOLS, "elsewhere", None])
    planned = draw.choice([None, None, None, 1, 3, 4, 7, 12])
    begun = None if draw.random() < 0.08 else text_of(start)
    arm = draw.choice(["A", "B", None])
    return (draw.choice(["melasma", "acne"]), arm, protocol, planned, begun, status, text_of(end), reason)


@cache
def clinic_of(seed: int) -> ms.Dataset:
    tables, cut = rough_tables(seed)
    return ms.Dataset(**tables, cutoff=cut, vocabulary=vocabulary())  # type: ignore[arg-type]


@dataclass(frozen=True)
class Slot:
    """A planned session: its phase, days after the session before, and grace."""

    phase: str
    shortest: int
    longest: int
    grace: int


def slot_of(protocol: str, number: int) -> Slot:
    """Return the slot of a protocol; past its end the last phase goes on."""
    slots = [each for each in PROTOCOLS[protocol] for _ in range(each[1])]
    name, _, shortest, longest, grace = slots[min(number, len(slots)) - 1]
    return Slot(name, 0 if number == 1 else shortest, longest, grace)


class Course:
    """One course, as its rows and the data cut have it."""

    def __init__(self, row: dict[str, Any], patient: dict[str, Any], sessions: list[Any], cut: int) -> None:
        self.row, self.cut = {**patient, **row}, cut
        self.id = row["course_id"]
        self.start = day_of(row["start_date"])
        attended = [each for each in sessions if each["status"] == "attended" and each["day"] is not None]
        self.sessions = [each for each in attended if each["day"] <= cut]
        self.goes_on_after_cut = len(self.sessions) < len(attended)
        self.days = sorted({each["day"] for each in self.sessions})
        self.protocol: Any = row["protocol"] if row["protocol"] in PROTOCOLS else None
        self.planned: Any = row["planned_sessions"] or (
            None if self.protocol is None else sum(sessions for _, sessions, *_ in PROTOCOLS[self.protocol])
        )

    @property
    def started(self) -> bool:
        """Whether the course is in the data by the cut: agreed on (no day is no reason against it), or a session of it held."""
        agreed = not self.goes_on_after_cut if self.start is None else self.start <= self.cut
        return agreed or bool(self.days)

    def recorded(self, name: str) -> Any:
        """Return what was recorded of the end by the cut."""
        day = day_of(self.row["end_date"])
        known = not self.goes_on_after_cut if day is None else day <= self.cut
        return self.row[name] if known else None

    def slot(self, number: int) -> Slot | None:
        """Return a planned slot; none past the plan."""
        if self.protocol is None or number > self.planned:
            return None
        return slot_of(self.protocol, number)

    def window(self, number: int) -> tuple[int, int] | None:
        """Return the window of the slot that follows so many sessions held."""
        slot = self.slot(number)
        before: Any = self.start if number == 1 else self.days[number - 2]
        return None if slot is None or before is None else (before + slot.shortest, before + slot.longest)

    @property
    def rule(self) -> str:
        """The first rule that holds."""
        status = self.recorded("status")
        if status in {"completed", "discontinued"}:
            return f"recorded_{status}"
        if self.planned is not None and len(self.days) >= self.planned:
            return "all_attended"
        window, slot = self.window(len(self.days) + 1), self.slot(len(self.days) + 1)
        if window is None or slot is None:
            return "no_schedule"
        return "overdue" if self.cut > window[1] + slot.grace else "not_overdue"

    @property
    def state(self) -> str:
        """Completed, ongoing or dropped_out."""
        ends = {"recorded_completed": "completed", "all_attended": "completed"}
        ends |= {"recorded_discontinued": "dropped_out", "overdue": "dropped_out"}
        return ends.get(self.rule, "ongoing")

    @property
    def next_slot(self) -> int | None:
        """The number of the next planned session."""
        return None if self.slot(len(self.days) + 1) is None else len(self.days) + 1

    @property
    def ends(self) -> tuple[int | None, int | None]:
        """The first and the last day with a session."""
        return min(self.days, default=None), max(self.days, default=None)

    @property
    def dropout_days(self) -> tuple[int | None, int]:
        """The last session, and the day on which the next one was missed: at the end or the cut, if these came before."""
        window, end = self.window(len(self.days) + 1), day_of(self.recorded("end_date"))
        until = min([self.cut, *([window[1]] if window else []), *([] if end is None else [end])])
        return self.ends[1], max([until, *self.days])

    def group(self, by: list[str]) -> tuple[str, ...]:
        """Return the values of grouping columns."""
        return tuple(str(self.row.get(name) or NONE) for name in by)

    @property
    def reason(self) -> str:
        """Why it was given up."""
        return self.recorded("end_reason") or ("overdue" if self.rule == "overdue" else NONE)

    @property
    def phase(self) -> str | None:
        """The phase of the next session."""
        slot = self.slot(len(self.days) + 1)
        return None if slot is None else slot.phase

    @property
    def open_slot(self) -> int | None:
        """The first slot, of those held and the next one, whose window and grace were not over by the cut."""
        for number in range(1, len(self.days) + 2):
            if self.protocol is None:
                return None
            slot = slot_of(self.protocol, number)
            before = self.start if number == 1 else self.days[number - 2]
            if before is not None and before + slot.longest + slot.grace >= self.cut:
                return number
        return None

    def followed(self, follow_up: str) -> tuple[int, str]:
        """Return the sessions that count and the state, as far as settled."""
        reached, state = len(self.days), self.state
        if self.planned is not None and reached >= self.planned:
            state = "completed"
        opened = self.open_slot
        if follow_up == "all" or opened is None:
            return reached, state
        return opened - 1, "completed" if state == "completed" and opened > reached else "ongoing"

    def kept(self, follow_up: str) -> tuple[int, bool] | None:
        """Return the session at which the course fails, or after which it is censored; none where nothing is settled."""
        reached, state = self.followed(follow_up)
        lost = state == "dropped_out"
        return (reached + lost, lost) if reached + lost else None

    def kept_days(self, dropout_date: str, follow_up: str) -> tuple[int, bool] | None:
        """Return the days from the first session to dropout or censoring; none where nothing is known."""
        first, last = self.ends
        longest = [] if self.protocol is None else PROTOCOLS[self.protocol]
        lag = max((days + grace + 1 for *_, days, grace in longest), default=0)
        horizon = self.cut - (lag if follow_up == "settled" else 0)
        if first is None or last is None or first > horizon:
            return None
        whole = self.planned is not None and len(self.days) >= self.planned
        state = "completed" if whole else self.state
        if dropout_date == "first_missed" and state == "dropped_out":
            last = self.dropout_days[1]
        if dropout_date == "first_missed" and state == "ongoing":
            window = self.window(len(self.days) + 1)
            last = max(last, min(horizon, horizon if window is None else window[1]))
        return min(last, horizon) - first, state == "dropped_out" and last <= horizon

    def return_day(self, courses: list[Course], match: str | None) -> tuple[int, bool]:
        """Return the days from the last session to the patient's next course, or to the cut."""
        last = self.days[-1]
        others = [each for each in courses if each.row["patient_id"] == self.row["patient_id"]]
        starts = [
            each.days[0]
            for each in others
            if each.days and (match is None or each.row[match] == self.row[match])
        ]
        later = [day - last for day in starts if day > last]
        return (min(later), True) if later else (self.cut - last, False)

    def phases(self) -> list[tuple[str, int]]:
        """Return the phases of the protocol, each with its first slot."""
        sizes = [] if self.protocol is None else PROTOCOLS[self.protocol]
        firsts = [1 + sum(size for _, size, *_ in sizes[:place]) for place in range(len(sizes))]
        return [(each[0], first) for each, first in zip(sizes, firsts, strict=True)] or [(NONE, 1)]

    def slots(self, anchor: str) -> list[tuple[Any, ...]]:
        """Return slot, phase, session, day, window and state of each planned slot and of each visit outside the plan."""
        found: list[tuple[Any, ...]] = []
        holders: dict[int, str] = {}
        for each in sorted(self.sessions, key=lambda one: (one["day"], one["session_id"])):
            if each["day"] in holders:
                found.append((None, None, each["session_id"], each["day"], None, None, "unscheduled"))
            holders.setdefault(each["day"], each["session_id"])
        for number, day in enumerate(self.days, 1):
            window = self.plan_window(number) if anchor == "plan" else self.window(number)
            if window is None:
                found.append((None, None, holders[day], day, None, None, "unscheduled"))
                continue
            state = "early" if day < window[0] else "late" if day > window[1] else "on_time"
            found.append((number, slot_of(self.protocol, number).phase, holders[day], day, *window, state))
        if self.protocol is None or self.rule == "recorded_completed":
            return found
        for number in range(len(self.days) + 1, self.planned + 1):
            window = self.plan_window(number) if anchor == "plan" else self.projected(number)
            state = "missed" if window and window[1] < self.cut else "not_yet_due"
            found.append(
                (number, slot_of(self.protocol, number).phase, None, None, *(window or (None, None)), state)
            )
        return found

    def plan_window(self, number: int) -> tuple[int, int] | None:
        """Return the window of a slot where the plan puts it."""
        start = self.start if self.start is not None else min(self.days, default=None)
        if start is None or self.slot(number) is None or (self.start is None and number == 1):
            return None
        slots = [slot_of(self.protocol, each) for each in range(1 + (self.start is None), number + 1)]
        return start + sum(each.shortest for each in slots), start + sum(each.longest for each in slots)

    def projected(self, number: int) -> tuple[int, int] | None:
        """Return the window of an open slot, from the last session held."""
        if not self.days:
            return self.plan_window(number)
        slots = [slot_of(self.protocol, each) for each in range(len(self.days) + 1, number + 1)]
        last = self.days[-1]
        return last + sum(each.shortest for each in slots), last + sum(each.longest for each in slots)


class Naive:
    """The started courses of a rough clinic."""

    def __init__(self, tables: dict[str, pd.DataFrame], cut: str) -> None:
        self.cut = int(day_of(cut) or 0)
        rows: dict[str, list[Any]] = {name: table.to_dict("records") for name, table in tables.items()}
        patients = {row["patient_id"]: row for row in rows["patients"]}
        self.patients, self.sessions = rows["patients"], rows["sessions"]
        own: dict[str, list[Any]] = defaultdict(list)
        for row in rows["sessions"]:
            own[row["course_id"]].append(row | {"day": day_of(row["date"])})
        everybody = [
            Course(row, patients.get(row["patient_id"], {}), own[row["course_id"]], self.cut)
            for row in rows["courses"]
        ]
        self.all_courses = everybody
        self.courses = [each for each in everybody if each.started]

    def groups(self, by: list[str]) -> dict[tuple[str, ...], list[Course]]:
        """Return the courses of each group; all of them are one, even where there is none."""
        found: dict[tuple[str, ...], list[Course]] = defaultdict(list, {} if by else {(): []})
        for each in self.courses:
            found[each.group(by)].append(each)
        return found


def naive_incidence(times: list[tuple[float, str]], reason: str, until: float) -> float:
    """Return the Aalen-Johansen incidence of a reason, term by term; times with their reason, empty where censored."""
    found, kept = 0.0, 1.0
    for time in sorted({time for time, why in times if why and time <= until}):
        at_risk = sum(each >= time for each, _ in times)
        ends = Counter(why for each, why in times if each == time and why)
        found += kept * ends[reason] / at_risk
        kept *= 1 - sum(ends.values()) / at_risk
    return found
