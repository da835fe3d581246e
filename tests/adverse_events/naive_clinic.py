"""A second, naive count of side effects: loops over events, straight from what the docstrings say; and rough clinics.

The clinics are small and rough: courses of a patient that overlap in different groups, several sessions on a day, nobody
asked, events of no course, no session or no day, of lots that nobody wrote down, and data cuts in the middle.
"""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd

import mesostats as ms

if TYPE_CHECKING:
    from collections.abc import Iterable

JANUARY = date(2024, 1, 1).toordinal()
MONTH = 365.25 / 12
NONE = "not recorded"
SEVERITIES = ["mild", "moderate", "severe", "life_threatening", "fatal"]
OF_SESSIONS = {"practitioner_id", "avoided_sun", "lot", "substance"}
COLUMNS = {
    "patients": "patient_id sex",
    "courses": "course_id patient_id arm indication start_date status end_date end_reason",
    "sessions": "session_id course_id date status adverse_events_asked practitioner_id avoided_sun",
    "products": "session_id substance lot",
    "adverse_events": "event_id course_id session_id term onset_date end_date severity serious related outcome site",
}


def day_of(value: str | None) -> int | None:
    return None if value is None else date.fromisoformat(value).toordinal() - JANUARY


def text_of(day: int | None) -> str | None:
    return None if day is None else date.fromordinal(JANUARY + day).isoformat()


def rough_tables(seed: int, *, patients: int = 12) -> tuple[dict[str, pd.DataFrame], str]:
    """Return the tables of a rough clinic and its data cut."""
    draw = random.Random(seed)  # noqa: S311 - clinics, not secrets
    asked: list[str | None] = draw.choice([["yes", "no", None], ["yes", "no", None], ["yes"], ["no", None]])
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in COLUMNS}
    for number in range(patients):
        patient = f"P{number}"
        rows["patients"].append((patient, draw.choice(["f", "m", None])))
        for place in range(draw.choice([0, 1, 1, 2, 3])):
            course, start = f"{patient}C{place}", draw.randrange(120)
            rows["courses"].append((course, patient, *_course(draw, start)))
            sessions = [f"{course}S{each}" for each in range(draw.randrange(5))]
            for session in sessions:
                rows["sessions"].append((session, course, *_session(draw, start, asked)))
                lots = [
                    (draw.choice(["v", "m"]), draw.choice(["L1", "L2", None]))
                    for _ in range(draw.randrange(4))
                ]
                rows["products"] += [(session, *lot) for lot in lots]
            for _ in range(draw.choice([0, 0, 1, 2, 4])):
                own = draw.choice([course] * 15 + ["C?"])
                session = draw.choice([None, None, *sessions, *sessions, f"{patient}C0S0", "S?"])
                rows["adverse_events"].append(
                    (f"E{len(rows['adverse_events'])}", own, session, *_event(draw, start))
                )
    tables = {name: pd.DataFrame(rows[name], columns=COLUMNS[name].split(), dtype=object) for name in COLUMNS}
    return tables, str(text_of(draw.choice([60, 120, 400])))


def _course(draw: random.Random, start: int) -> tuple[Any, ...]:
    status = draw.choice([None, "ongoing", "completed", "discontinued"])
    end = start + draw.randrange(150) if status in {"completed", "discontinued"} else None
    reason = draw.choice(["adverse_event", "other", None]) if status == "discontinued" else None
    arm, indication = draw.choice(["A", "A", "B", None]), draw.choice(["melasma", "acne"])
    return arm, indication, text_of(start), status, text_of(end), reason


def _session(draw: random.Random, start: int, asked: list[str | None]) -> tuple[Any, ...]:
    day = start + draw.choice([-3, 0, 0, 5, 7, 14, 21, 40, 80])
    status = draw.choice(["attended"] * 4 + ["no_show", "cancelled"])
    kept = draw.choice(["yes", "no", "not_asked", None])
    return text_of(day), status, draw.choice(asked), draw.choice(["D1", "D2", None]), kept


def _event(draw: random.Random, start: int) -> tuple[Any, ...]:
    onset = draw.choice([None, *[start + draw.randrange(-8, 150) for _ in range(5)]])
    end = draw.choice([None, (start if onset is None else onset) + draw.randrange(-2, 30)])
    return (
        draw.choice(["bruising", "redness", "nodule", "odd", None]),
        text_of(onset),
        text_of(end),
        draw.choice([*SEVERITIES[:3], *SEVERITIES[:3], "fatal", None]),
        draw.choice(["yes", "no", None]),
        draw.choice(["related", "possible", "unlikely", None]),
        draw.choice(["recovered", "not_recovered", "sequelae", "fatal", None]),
        draw.choice(["face", "neck", None]),
    )


@cache
def clinic_of(seed: int) -> ms.Dataset:
    tables, cut = rough_tables(seed)
    return ms.Dataset(**tables, cutoff=cut)  # type: ignore[arg-type]


class Naive:
    """Who was exposed, and what happened to them, one row after the other."""

    def __init__(self, seed: int, follow: int) -> None:
        tables, cut = rough_tables(seed)
        rows = {name: table.to_dict("records") for name, table in tables.items()}
        self.cut, self.follow = int(day_of(cut) or 0), follow
        self.classes = {
            code: term.term_class for code, term in clinic_of(seed).vocabulary.adverse_events.items()
        }
        self.patients = {row["patient_id"]: row for row in rows["patients"]}
        self.courses = {row["course_id"]: row for row in rows["courses"]}
        attended = [
            row | {"day": day_of(row["date"])} for row in rows["sessions"] if row["status"] == "attended"
        ]
        self.sessions = {row["session_id"]: row for row in attended if row["day"] <= self.cut}
        self.held: dict[str, list[Any]] = defaultdict(list)
        for session in self.sessions.values():
            self.held[session["course_id"]].append(session)
        self.products: dict[str, list[Any]] = defaultdict(list)
        for row in rows["products"]:
            self.products[row["session_id"]].append(row)
        days = [
            row | {"onset": day_of(row["onset_date"]), "end": day_of(row["end_date"])}
            for row in rows["adverse_events"]
        ]
        self.left_out = [(why, row) for row in days if (why := self.why_not(row))]
        self.events = [row | {"place": self.session_of(row)} for row in days if not self.why_not(row)]

    def last_day(self, course: str) -> int:
        return int(max(session["day"] for session in self.held[course])) + self.follow

    def why_not(self, event: dict[str, Any]) -> str:
        course, onset = event["course_id"], event["onset"]
        if course not in self.courses:
            return "no such course"
        if not self.held[course]:
            return "course without an attended session by the data cut"
        if onset is None:
            return ""
        if onset > self.cut:
            return "onset after the data cut"
        if onset < min(session["day"] for session in self.held[course]):
            return "onset before the first attended session"
        late = f"onset more than {self.follow} days after the last attended session"
        return late if onset > self.last_day(course) else ""

    def session_of(self, event: dict[str, Any]) -> str | None:
        if event["session_id"] is not None:
            return event["session_id"] if event["session_id"] in self.sessions else None
        known = event["onset"] is not None
        before = [each for each in self.held[event["course_id"]] if known and each["day"] <= event["onset"]]
        return max(((each["day"], each["session_id"]) for each in before), default=(0, None))[1]

    def kinds(self, event: dict[str, Any], of: str) -> tuple[str, ...] | None:
        """Return the kind of an event, and none where it does not count."""
        counts = {
            "any": True,
            "serious": event["serious"] == "yes",
            "related": event["related"] in {"possible", "probable", "related"},
            "fatal": "fatal" in {event["severity"], event["outcome"]},
        }
        if of in counts:
            return () if counts[of] else None
        if of == "class":
            return (self.classes.get(event["term"], "uncoded"),)
        return (event[of] or ("uncoded" if of == "term" else NONE),)

    def groups(self, session: str, by: list[str]) -> set[tuple[str, ...]]:
        own = self.sessions[session]
        course = self.courses[own["course_id"]]
        row = self.patients[course["patient_id"]] | course | own
        return {tuple((row | lot).get(name) or NONE for name in by) for lot in self.products[session] or [{}]}

    def unit(self, session: str, per: str) -> str:
        course = self.sessions[session]["course_id"]
        return {"session": session, "course": course}.get(per) or str(self.courses[course]["patient_id"])

    def units(self, by: list[str], per: str) -> dict[Any, set[str]]:
        """Return the sessions of each group and unit."""
        found: dict[Any, set[str]] = defaultdict(set)
        for session in self.sessions:
            for group in self.groups(session, by):
                found[group, self.unit(session, per)].add(session)
        return found

    def placed(self, by: list[str], per: str) -> list[tuple[Any, dict[str, Any]]]:
        """Return the group and unit of each event, and the event."""
        ascribed = is_ascribed(by, per)
        found = []
        for event in self.events:
            session = event["place"] if ascribed else self.held[event["course_id"]][0]["session_id"]
            if session is not None:
                found += [((group, self.unit(session, per)), event) for group in self.groups(session, by)]
        return found

    def asked(self, by: list[str], per: str) -> tuple[set[Any], set[Any]]:
        """Return the units that count, and those of which nobody knows."""
        said = {session for session, row in self.sessions.items() if row["adverse_events_asked"] == "yes"}
        units, spoke = self.units(by, per), {unit for unit, _ in self.placed(by, per)}
        silent = {unit for unit, sessions in units.items() if not sessions & said and unit not in spoke}
        return ({*units} - silent if said else {*units}), silent

    def days(self, sessions: Iterable[str]) -> set[int]:
        """Return the days at risk: of each session those until the next of the course."""
        found: set[int] = set()
        for session in sessions:
            own = self.sessions[session]
            later = [row["day"] - 1 for row in self.held[own["course_id"]] if row["day"] > own["day"]]
            found |= {*range(own["day"], min([*later, self.last_day(own["course_id"]), self.cut]) + 1)}
        return found

    def excluded(self, by: list[str], of: str, per: str) -> dict[str, int]:
        found: dict[str, int] = defaultdict(int)
        for why, event in self.left_out:
            found[why] += self.kinds(event, of) is not None
        lost = [
            event for event in self.events if event["place"] is None and self.kinds(event, of) is not None
        ]
        if is_ascribed(by, per):
            found["no attended session to ascribe it to"] = len(lost)
        return {why: number for why, number in found.items() if number}

    def observed(self, by: list[str]) -> dict[Any, tuple[int, int]]:
        """Return the first and last day of each group and patient."""
        found = {}
        for unit, sessions in self.units(by, "patient").items():
            last = max(self.last_day(self.sessions[each]["course_id"]) for each in sessions)
            found[unit] = (min(self.sessions[each]["day"] for each in sessions), min(last, self.cut))
        return found


def is_ascribed(by: list[str], per: str) -> bool:
    return per == "session" or bool({*by} & OF_SESSIONS)
