"""A second, naive count of outcomes: loops over courses and assessments, straight from what the docstrings say; rough clinics.

The clinics are small and rough: several courses a patient in different groups, several assessments a day, before, between and
after all windows, values out of range, missing and zero, no baseline, unsuited, unruled, undeclared and unknown instruments,
several substances a session, courses that go on at a cut in the middle, groups that nobody recorded.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from naive_courses import NONE, Course, Naive, day_of, text_of

import mesostats as ms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.results import Result

INDICATIONS = ["melasma", "wrinkles", "hair_loss_aga", "hyperhidrosis"]


@dataclass(frozen=True)
class Scale:
    """An instrument: its indications (none: any), range, direction (1: lower is better) and rule, as domain.md has them."""

    suits: tuple[str, ...]
    low: float
    high: float
    sign: int
    kind: str | None = None
    threshold: float = 0

    def improved(self, baseline: float, value: float) -> float:
        """Return by how much a value is better."""
        return self.sign * (baseline - value)

    def usable(self, baseline: float | None) -> bool:
        """Whether the rule can be applied."""
        if self.kind == "level":
            return True
        return baseline is not None and (self.kind != "percent" or baseline > 0)

    def responds(self, baseline: float | None, value: float) -> bool:
        """Whether the rule is met; values are whole numbers or quarters, so that nothing is lost in the comparison."""
        if self.kind == "level":
            return self.sign * (self.threshold - value) >= 0
        assert baseline is not None
        if self.kind == "percent":
            return 100 * self.improved(baseline, value) >= self.threshold * baseline
        return self.improved(baseline, value) >= self.threshold


INFINITE = float("inf")
SCALES = {
    "fine_lines": Scale(("wrinkles",), 0, 4, 1, "absolute", 1),
    "wsrs": Scale(("wrinkles",), 1, 5, 1),
    "masi": Scale(("melasma",), 0, 48, 1, "percent", 50),
    "hair_density": Scale(("hair_loss_aga", "hair_loss_other"), 0, INFINITE, -1),
    "hair_change_7pt": Scale(("hair_loss_aga", "hair_loss_other"), -3, 3, -1),
    "pull_test": Scale(("hair_loss_aga", "hair_loss_other"), 0, 60, 1, "level", 2),
    "hdss": Scale(("hyperhidrosis",), 1, 4, 1, "absolute", 2),
    "gravimetry": Scale(("hyperhidrosis",), 0, INFINITE, 1, "percent", 50),
    "dlqi": Scale((), 0, 30, 1, "absolute", 4),
    "gais": Scale((), -INFINITE, INFINITE, 0),
}
RULED = [name for name, scale in SCALES.items() if scale.kind]
DIRECTED = [name for name, scale in SCALES.items() if scale.sign]
VALUES = {
    "masi": [-2, 0, 0, 5, 10, 12, 20, 20, 24, 40, 48, 49],
    "hair_density": [0, 80, 95, 100.25, 120, 150],
    "hair_change_7pt": [-4, -3, -1, 0, 1, 2, 3],
    "pull_test": [0, 1, 2, 3, 6, 60, 61],
    "gravimetry": [-1, 0, 20, 50, 50.5, 80, 100, 101],
    "dlqi": [0, 3, 4, 8, 12, 12, 30, 31],
}
GRADES = [0, 1, 1, 2, 2, 3, 3, 4, 5]
COLUMNS = {
    "patients": "patient_id sex birth_year",
    "courses": "course_id patient_id indication arm clinic_id protocol planned_sessions start_date status end_date end_reason",
    "sessions": "session_id course_id date status practitioner_id",
    "products": "session_id substance",
    "outcomes": "outcome_id course_id date instrument value",
    "adverse_events": "event_id course_id session_id term onset_date",
}
Tables = dict[str, pd.DataFrame]


def rough_tables(seed: int, *, patients: int = 16) -> tuple[Tables, str]:
    """Return the tables of a rough clinic and its data cut."""
    draw = random.Random(seed)  # noqa: S311 - clinics, not secrets
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in COLUMNS}
    for number in range(patients):
        patient = f"P{number}"
        if number:  # the first one's courses are of a patient that nobody registered
            rows["patients"].append(
                (patient, draw.choice(["f", "m", None]), draw.choice([1960, 1975, 1990, None]))
            )
        for place in range(draw.choice([0, 1, 1, 1, 2, 3])):
            _add_course(draw, rows, f"{patient}C{place}", patient)
    tables = {name: pd.DataFrame(rows[name], columns=COLUMNS[name].split(), dtype=object) for name in COLUMNS}
    tables["outcomes"]["value"] = tables["outcomes"]["value"].astype(float)
    return tables, str(text_of(draw.choice([-10, 60, 120, 160, 300, 500, 500, 500])))


def _add_course(
    draw: random.Random, rows: dict[str, list[tuple[Any, ...]]], course: str, patient: str
) -> None:
    start, indication = draw.randrange(90), draw.choice(INDICATIONS)
    days = [start + draw.choice([0, 0, 0, 2, 9])]
    for _ in range(draw.choice([0, 1, 2, 4, 4, 6])):
        days.append(days[-1] + draw.choice([0, 3, 7, 7, 8, 14]))
    days = draw.choice([days, days, days, days, []])
    last = max(days, default=start)
    status = draw.choice([None, "ongoing", "completed", "completed", "discontinued"])
    end = draw.choice([None, last, last + 5]) if status in {"completed", "discontinued"} else None
    arm, site = draw.choice(["A", "A", "B", "B", None]), draw.choice(["K1", "K2", "K2", None])
    plan = draw.choice(["short_course", "weekly_to_monthly", None]), draw.choice([None, 3, 4])
    rows["courses"].append(
        (course, patient, indication, arm, site, *plan, text_of(start), status, text_of(end), None)
    )
    for day in days:
        session = f"S{draw.randrange(10**6):06d}-{len(rows['sessions'])}"
        held = draw.choice(["attended"] * 9 + ["no_show"])
        rows["sessions"].append((session, course, text_of(day), held, draw.choice(["D1", "D2", None])))
        for substance in draw.choice([[], ["tranexamic_acid"], ["vitamin", "mineral"], ["vitamin", None]]):
            rows["products"].append((session, substance))
        if draw.random() < 0.2:
            event = (f"E{len(rows['adverse_events'])}", course, session, "redness", text_of(day))
            rows["adverse_events"].append(event)
    suited = [name for name, scale in SCALES.items() if not scale.suits or indication in scale.suits]
    for instrument in [*draw.sample(suited, draw.randrange(1, len(suited) + 1)), "masi", "zzz"]:
        for day in _assessment_days(draw, days or [start]):
            number = f"O{draw.randrange(10**6):06d}-{len(rows['outcomes'])}"
            value = draw.choice([*VALUES.get(instrument, GRADES), None])
            known = None if draw.random() < 0.03 else text_of(day)
            rows["outcomes"].append((number, course, known, instrument, value))


def _assessment_days(draw: random.Random, days: list[int]) -> list[int]:
    first, last = days[0], max(days)
    before = draw.choice([[], [first], [first, first], [first - 9, first], [first - 3]])
    within = draw.sample(sorted({*days, first + 1, first + 7, first + 14, first + 21}), draw.randrange(3))
    offsets = [0, 1, 10, 30, 30, 31, 60, 61, 90, 91, 120, 120, 180, 181, 200]
    return [*before, *within, *(last + each for each in draw.choices(offsets, k=draw.randrange(8)))]


@cache
def clinic_of(seed: int) -> ms.Dataset:
    tables, cut = rough_tables(seed)
    return ms.Dataset(**tables, cutoff=cut)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Ending:
    """When the outcome is read: a day after the first session; or None, at the end of the course, or carried."""

    day: int | None = None
    window: int = 60
    carried: bool = False

    @property
    def arguments(self) -> dict[str, Any]:
        """The same, as arguments of an analysis."""
        named = "last_observation" if self.carried else "end_of_course"
        return {"endpoint": named if self.day is None else self.day, "window": self.window}


ENDINGS = [Ending(), Ending(window=30), Ending(carried=True), Ending(14, 7), Ending(30, 14), Ending(60, 0)]


@dataclass(frozen=True)
class FirstResponse:
    """When a course was last assessed, was first seen to respond or is censored, and how it left."""

    assessed: int | None
    ended: int
    left: int
    cause: str
    responded: bool = False


class Watched:
    """One treated course with one instrument."""

    def __init__(self, course: Course, scale: Scale, seen: list[tuple[int, str, float]]) -> None:
        self.course, self.scale = course, scale
        self.first, self.last, self.cut = course.days[0], course.days[-1], course.cut
        self.seen = sorted(each for each in seen if scale.low <= each[2] <= scale.high)
        before = [value for day, _, value in self.seen if day <= self.first]
        self.baseline = before[-1] if before else None
        self.after = [(day, value) for day, _, value in self.seen if day > self.first]

    def due(self, ending: Ending) -> bool:
        """Whether the window of the endpoint is over, of the course and of one that keeps to the plan."""
        if ending.day is None:
            later = range(2, int(self.course.planned) + 1) if self.course.protocol else ()
            plan = self.first + sum(slot.longest for k in later if (slot := self.course.slot(k)))
            return self.course.state != "ongoing" and max(self.last, plan) + ending.window <= self.cut
        return self.first + ending.day + ending.window <= self.cut

    def value(self, ending: Ending) -> float | None:
        """Return the value at the endpoint."""
        best: tuple[int, float] | None = None
        for day, value in self.after:
            off = 0 if ending.day is None else abs(day - self.first - ending.day)
            if ending.day is not None:
                inside = off <= ending.window
            else:
                inside = day <= self.last + ending.window and (ending.carried or day >= self.last)
            if inside and (best is None or off <= best[0]):  # they come in order: of two as near, the later
                best = (off, value)
        return None if best is None else best[1]

    def flags(self, ending: Ending) -> dict[str, bool]:
        """Return in which denominators it is, and whether it responded."""
        due, value = self.due(ending), self.value(ending)
        based = due and self.scale.usable(self.baseline)
        evaluable = based and value is not None and self.scale.kind is not None
        responds = evaluable and value is not None and self.scale.responds(self.baseline, value)
        completes = evaluable and self.course.state == "completed"
        return {
            "treated": due,
            "with_baseline": based,
            "evaluable": evaluable,
            "completers": completes,
            "responder": responds,
        }

    def pair(self, ending: Ending) -> tuple[float, float] | None:
        """Return baseline and value, where the course is due and has both."""
        value = self.value(ending)
        if not self.due(ending) or self.baseline is None or value is None:
            return None
        return self.baseline, value

    def responses(self) -> list[tuple[int, bool]]:
        """Return the days of assessments that can be scored, each with whether it responds."""
        if self.scale.kind is None or not self.scale.usable(self.baseline):
            return []
        return [(day, self.scale.responds(self.baseline, value)) for day, value in self.after]

    def sessions_before(self, day: int) -> int:
        """Return the attended sessions before a day."""
        return sum(each < day for each in self.course.days)

    def at_visit(
        self, visit: int, visits: list[int], window: Any
    ) -> tuple[float | None, float | None] | None:
        """Return baseline and value at a visit; nothing where it was not due."""
        if window == "session":
            held, planned = len(self.course.days), self.course.planned
            closed = self.last + 30 <= self.cut
            missed = self.course.state == "dropped_out" and (planned is None or visit <= planned)
            due = held > visit or (held == visit and closed) or (held < visit and missed)
            seen = [
                value
                for day, value in self.after
                if self.sessions_before(day) == visit and day <= self.last + 30
            ]
            return (self.baseline, seen[-1] if seen else None) if due else None
        place = visits.index(visit)
        middles = [(one + two) / 2 for one, two in pairwise(visits)]
        closing = [*middles, 2 * visits[-1] - middles[-1]][place] if window == "nearest" else visit + window
        if self.first + closing > self.cut:
            return None
        best: tuple[int, float] | None = None
        for day, value in self.after:
            off = abs(day - self.first - visit)
            nearest = min(visits, key=lambda each: (abs(day - self.first - each), -each))
            inside = nearest == visit and (window == "nearest" or off <= window)
            if inside and (best is None or off <= best[0]):
                best = (off, value)
        return self.baseline, None if best is None else best[1]

    def first_response(self, time: str) -> FirstResponse:
        """Return when a response was first seen, in days or in sessions before the assessment."""
        seen = [
            (day - self.first if time == "day" else self.sessions_before(day), met)
            for day, met in self.by_day()
        ]
        first = min((at for at, met in seen if met), default=None)
        assessed = max((at for at, _ in seen), default=None)
        if first is not None:
            return FirstResponse(assessed, first, first, "response", responded=True)
        stays = assessed or 0
        dropped = self.course.state == "dropped_out"
        last = self.last - self.first if time == "day" else len(self.course.days)
        return FirstResponse(
            assessed, stays, max(stays, last) if dropped else stays, "dropout" if dropped else ""
        )

    def by_day(self) -> list[tuple[int, bool]]:
        """Return the last assessment of each day, and whether it responds."""
        return list(dict(self.responses()).items())

    def later(self, window: tuple[int, int]) -> bool | None:
        """Return whether the last assessment in a later window responds."""
        seen = [met for day, met in self.responses() if window[0] <= day - self.last <= window[1]]
        return seen[-1] if seen else None


class Clinic:
    """The treated courses of a rough clinic with each instrument that suits them."""

    def __init__(self, tables: Tables, cut: str) -> None:
        self.naive = Naive(tables, cut)
        self.treated = [each for each in self.naive.courses if each.days]
        self.products = tables["products"].to_dict("records")
        rows = [
            (row["course_id"], row["instrument"], day_of(row["date"]), row["outcome_id"], row["value"])
            for row in tables["outcomes"].to_dict("records")
        ]
        self.rows = [
            each for each in rows if each[2] is not None and each[2] <= self.naive.cut and pd.notna(each[4])
        ]

    def watched(self, instrument: str) -> list[Watched]:
        """Return the treated courses whose indication the instrument is for."""
        scale = SCALES[instrument]
        return [
            Watched(course, scale, [each[2:] for each in self.rows if each[:2] == (course.id, instrument)])
            for course in self.treated
            if not scale.suits or course.row["indication"] in scale.suits
        ]

    def groups(self, instrument: str, by: list[str]) -> dict[tuple[str, ...], list[Watched]]:
        """Return these by group."""
        found: dict[tuple[str, ...], list[Watched]] = {}
        for each in self.watched(instrument):
            found.setdefault(each.course.group(by), []).append(each)
        return found

    def received(self, course: Course) -> set[str]:
        """Return the substances of a course's attended sessions."""
        held = {each["session_id"] for each in course.sessions}
        return {row["substance"] or NONE for row in self.products if row["session_id"] in held}


BY = [[], ["indication"], ["arm"], ["sex", "arm"], ["clinic_id"]]
DENOMINATORS = ["treated", "with_baseline", "evaluable", "completers"]
UNKNOWN = float("nan")
Numbers = tuple[float, ...]


def naive_of(seed: int) -> tuple[ms.Dataset, Clinic, random.Random]:
    return clinic_of(seed), Clinic(*rough_tables(seed)), random.Random(seed)  # noqa: S311


def rows_of(found: Result, names: Sequence[str], numbers: Sequence[str], estimands: Sequence[str]) -> Any:
    """Return the numbers of some estimands by their groups, the estimand last."""
    rows = found.estimates[found.estimates["estimand"].isin(estimands)]
    keys = rows[[*names, "estimand"]].itertuples(index=False, name=None)
    return dict(zip(keys, rows[[*numbers]].itertuples(index=False, name=None), strict=True))


def assert_same(found: Mapping[Any, Numbers], expected: Mapping[Any, Numbers]) -> None:
    """Check that no row is lost or added, and every number."""
    assert set(found) == set(expected)
    wrong = {
        key: (found[key], numbers)
        for key, numbers in expected.items()
        if not np.allclose(np.array(found[key], float), np.array(numbers, float), rtol=1e-9, equal_nan=True)
    }
    assert wrong == {}


def assert_explained(found: Result, draw: random.Random, skip: Sequence[str] = ()) -> None:
    """Check that the rows behind a number add up to its counts, for some of the numbers."""
    rows = [row for row in found.estimates.to_dict("records") if row["estimand"] not in skip]
    for row in draw.sample(rows, min(len(rows), 8)):
        cell = {name: row[name] for name in [*found.groups, "estimand"]}
        behind = found.explain(**cell, **({} if pd.isna(row["time"]) else {"time": row["time"]}))
        assert pd.isna(row["numerator"]) or behind["in_numerator"].sum() == row["numerator"], cell
        assert pd.isna(row["denominator"]) or behind["in_denominator"].sum() == row["denominator"], cell


def recorded(clinic: ms.Dataset) -> list[str]:
    return [name for name in SCALES if name in set(clinic.table("outcomes")["instrument"])]


def share(hits: float, size: float) -> float:
    return hits / size if size else UNKNOWN


def mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else UNKNOWN


def counts(own: list[Watched], ending: Ending, name: str) -> Numbers:
    """Return numerator, denominator and those not evaluable of one denominator."""
    flags = [each.flags(ending) for each in own]
    inside = [each for each in flags if each[name]]
    missing = sum(each["treated"] and not each["evaluable"] for each in flags)
    return sum(each["responder"] for each in inside), len(inside), missing
