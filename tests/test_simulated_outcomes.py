"""Side effects and response of simulated clinics against a plain count in Python."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from mesostats.adverse_events.rates import adverse_event_rates
from mesostats.dataset import Dataset
from mesostats.estimators import ClusterTotals, clustered_proportion, clustered_rate
from mesostats.outcomes.responders import response
from mesostats.results import ESTIMATE_COLUMNS
from mesostats.schedule import course_states
from mesostats.simulation import simulate

if TYPE_CHECKING:
    from mesostats.results import Result

Unit = tuple[tuple[str, ...], str, str]  # group, patient, session (empty where patients are counted)
RANKS = ["not recorded", "mild", "moderate", "severe", "life_threatening", "fatal"]
NUMBERS = ["estimate", "std_error", "conf_low", "conf_high"]
ESTIMANDS = ("response_treated", "response_with_baseline", "response_evaluable", "response_completers")
DAY = pd.Timedelta(days=1)


@cache
def rough() -> Dataset:
    """Return a clinic whose events lost sessions, onsets, severities and codes, and began too early or too late."""
    source, rng = simulate(250, seed=5), np.random.default_rng(5)
    events = source.table("adverse_events")

    def some(share: float) -> Any:
        return rng.random(len(events)) < share

    shift = pd.to_timedelta(np.where(some(0.15), rng.integers(-90, 200, len(events)), 0), unit="D")
    events = events.assign(
        onset_date=(events["onset_date"] + shift).mask(some(0.05)),
        session_id=events["session_id"].mask(some(0.3)),
        severity=events["severity"].mask(some(0.1)),
        serious=np.where(some(0.2), "yes", "no"),
        related=events["related"].mask(some(0.3), "unlikely"),
        term=events["term"].mask(some(0.05)),
        verbatim=None,
    )
    patients = source.table("patients")
    outcomes = source.table("outcomes")
    return Dataset(
        patients=patients.assign(sex=patients["sex"].where(patients.index % 7 > 0)),
        courses=source.table("courses"),
        sessions=source.table("sessions"),
        outcomes=outcomes.assign(
            value=outcomes["value"].where(outcomes.index % 11 > 0, 99)
        ),  # past most ranges
        adverse_events=events,
        cutoff=source.cutoff - dt.timedelta(days=40),
    )


@cache
def records(clinic: Dataset, name: str) -> list[dict[str, Any]]:
    """Return a table's rows with None for what is missing."""
    frame = clinic.table(name)
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


@cache
def attended(clinic: Dataset) -> dict[str, list[tuple[Any, str]]]:
    """Return, a course, day and id of its attended sessions by the data cut, in order."""
    held = defaultdict(list)
    for row in records(clinic, "sessions"):
        if row["status"] == "attended" and row["date"].date() <= clinic.cutoff:
            held[row["course_id"]].append((row["date"], row["session_id"]))
    return {course: sorted(days) for course, days in held.items()}


def units_by_session(clinic: Dataset, by: tuple[str, ...], per: str) -> dict[str, tuple[Unit, bool]]:
    """Return the unit that each attended session belongs to, and whether somebody asked."""
    patients = {row["patient_id"]: row for row in records(clinic, "patients")}
    courses = {row["course_id"]: row for row in records(clinic, "courses")}
    held = {session for days in attended(clinic).values() for _, session in days}
    found = {}
    for row in records(clinic, "sessions"):
        if row["session_id"] in held:
            course = courses[row["course_id"]]
            known = patients[course["patient_id"]] | course | row
            group = tuple("not recorded" if known[name] is None else str(known[name]) for name in by)
            unit = (group, course["patient_id"], row["session_id"] if per == "session" else "")
            found[row["session_id"]] = (unit, row["adverse_events_asked"] == "yes")
    return found


def session_of(event: dict[str, Any], days: list[tuple[Any, str]], clinic: Dataset, per: str) -> str | None:
    """Return a session whose unit an emergent event belongs to; None where no unit counts it."""
    onset = event["onset_date"]
    if not days:
        return None
    if onset is not None and not days[0][0] <= onset <= min(
        pd.Timestamp(clinic.cutoff), days[-1][0] + 60 * DAY
    ):
        return None
    if per == "patient":
        return days[0][1]
    if event["session_id"] is not None:
        return str(event["session_id"])
    before = [session for day, session in days if onset is not None and day <= onset]
    return before[-1] if before else None


def kind_of(event: dict[str, Any], of: str, classes: dict[str, str]) -> str | None:
    """Return the kind of an event, None where it is not of the kinds asked for."""
    if of == "serious":
        return "serious" if event["serious"] == "yes" else None
    if of == "related":
        return "related" if event["related"] in {"possible", "probable", "related"} else None
    return {
        "any": "any",
        "term": event["term"] or "uncoded",
        "class": classes.get(event["term"], "uncoded"),
        "severity": event["severity"] or "not recorded",
    }[of]


def counted(
    clinic: Dataset, by: tuple[str, ...], of: str, per: str, *, events: str
) -> tuple[dict[Unit, bool], dict[Unit, Counter[str]]]:
    """Return, a unit, whether it is known, and its events of each kind (each once, where first events are counted)."""
    days, units = attended(clinic), units_by_session(clinic, by, per)
    classes = {code: entry.term_class for code, entry in clinic.vocabulary.adverse_events.items()}
    known: dict[Unit, bool] = defaultdict(bool)
    for unit, asked in units.values():
        known[unit] |= asked
    found: dict[Unit, Counter[str]] = defaultdict(Counter)
    for event in records(clinic, "adverse_events"):
        session = session_of(event, days.get(event["course_id"], []), clinic, per)
        if session in units:
            unit, kind = units[session][0], kind_of(event, of, classes)
            known[unit] = True
            found[unit][kind or ""] += 1
    if events == "first":
        for kinds in found.values():
            if of == "severity":
                worst = max(kinds, key=RANKS.index)
                kinds.clear()
                kinds[worst] = 1
            kinds.update({kind: 1 - number for kind, number in kinds.items()})
    return known, found


def by_patient(
    known: dict[Unit, bool], found: dict[Unit, Counter[str]], group: tuple[str, ...], kind: str, bound: str
) -> tuple[list[float], list[float]]:
    """Return, a patient of the group, events (or units with one) and units that count for a bound."""
    hits: Counter[str] = Counter()
    trials: Counter[str] = Counter()
    for unit, is_known in known.items():
        if unit[0] == group:
            trials[unit[1]] += int(is_known or bound != "")
            hits[unit[1]] += found[unit][kind] + int(bound == "upper" and not is_known)
    return [float(hits[each]) for each in trials], [float(each) for each in trials.values()]


ARM = ("arm",)
CASES = [
    *(("any", per, events, ARM) for per in ("patient", "session") for events in ("first", "all")),
    *(("severity", per, events, ARM) for per in ("patient", "session") for events in ("first", "all")),
    ("term", "patient", "first", ARM),
    ("term", "session", "all", ()),
    ("class", "patient", "all", ()),
    ("class", "session", "first", ("anaesthetic", "sex")),
    ("serious", "session", "all", ARM),
    ("related", "patient", "all", ARM),
    ("severity", "patient", "first", ("sex", "indication")),
]


@pytest.mark.parametrize(("of", "per", "events", "by"), CASES)
def test_adverse_event_rates_are_the_plain_counts(
    of: Any, per: Any, events: Any, by: tuple[str, ...]
) -> None:
    found = adverse_event_rates(rough(), by=by, of=of, per=per, events=events)
    known, hits = counted(rough(), by, of, per, events=events)
    kind_column = {"term": "term", "class": "term_class", "severity": "severity"}.get(of)
    groups = {unit[0] for unit in known}
    assert {tuple(row) for row in found.estimates[[*by]].drop_duplicates().to_numpy().tolist()} == groups
    for row in found.estimates.to_dict("records"):
        group, kind = tuple(row[name] for name in by), row[kind_column] if kind_column else of
        # Where all events count, one event each stands in the place of the upper bound.
        bound = row["estimand"].removesuffix("_one_each")
        bound = "upper" if bound != row["estimand"] else bound.rpartition("_")[2]
        y, n = by_patient(known, hits, group, kind, bound if bound in {"lower", "upper"} else "")
        assert (row["numerator"], row["denominator"]) == (sum(y), sum(n))
        assert row["n_missing"] == sum(unit[0] == group and not is_known for unit, is_known in known.items())
        if (per, events) != ("patient", "first"):
            estimator = clustered_rate if events == "all" else clustered_proportion
            assert [row[name] for name in NUMBERS] == pytest.approx(
                estimator(ClusterTotals.from_arrays(y, n))[NUMBERS].iloc[0].tolist(), nan_ok=True
            )
    assert_bounds_hold(found)


def assert_bounds_hold(found: Result) -> None:
    """The estimate lies between its bounds, of which repeated events have a lower one only; nothing is below zero."""
    keys = found.groups
    rows = found.estimates[~found.estimates["estimand"].str.endswith("_one_each")]
    wide = rows.assign(
        end=rows["estimand"].str.extract("_(lower|upper)$")[0].fillna("main"), all=""
    ).pivot_table(index=[*keys, "all"], columns="end", values="estimate", dropna=False)
    assert (wide["lower"].le(wide["main"]) | wide["main"].isna()).all()
    if found.spec["arguments"]["events"] == "first":
        assert (wide["lower"] <= wide["upper"]).all()
        assert (wide["main"].le(wide["upper"]) | wide["main"].isna()).all()
    assert wide["lower"].ge(0).all()


def test_rough_clinic_holds_what_is_tested() -> None:
    excluded = adverse_event_rates(rough(), per="session").spec["excluded_events"]
    assert set(excluded) == {
        "course without an attended session by the data cut",
        "onset after the data cut",
        "onset before the first attended session",
        "onset more than 60 days after the last attended session",
        "no attended session to ascribe it to",
    }
    assert set(rough().table("courses")["arm"].dropna()) == {"A", "B"}


def test_explained_rows_of_a_large_clinic_add_up() -> None:
    found = adverse_event_rates(rough(), by="indication", of="related", per="session", events="all")
    for row in found.estimates.to_dict("records"):
        rows = found.explain(indication=row["indication"], estimand=row["estimand"])
        assert (rows["events"].sum(), rows["in_denominator"].sum()) == (row["numerator"], row["denominator"])
    assert list(found.estimates) == ["indication", *ESTIMATE_COLUMNS]


# --- response ---------------------------------------------------------------------------------------------------------


def responded(rule: Any, instrument: Any, baseline: float | None, value: float | None) -> bool | None:
    """Score in decimal numbers; None where the course cannot be evaluated."""
    sign = 1 if instrument.direction == "lower_is_better" else -1
    least = Decimal(str(rule.threshold))
    if value is None:
        return None
    if rule.kind == "level":
        return sign * (least - Decimal(str(value))) >= 0
    if baseline is None or (rule.kind == "percent" and baseline <= 0):
        return None
    start = Decimal(str(baseline))
    better = sign * (start - Decimal(str(value)))
    return better * 100 >= least * start if rule.kind == "percent" else better >= least


def plain_response(
    clinic: Dataset, by: tuple[str, ...], endpoint: int | None, window: int
) -> dict[Any, list[int]]:
    """Return, a group and instrument, numerator and denominator of each estimand, and the number missing."""
    patients = {row["patient_id"]: row for row in records(clinic, "patients")}
    states = course_states(clinic).set_index("course_id")["state"]
    cut, days = pd.Timestamp(clinic.cutoff), attended(clinic)
    assessed = defaultdict(list)
    for row in sorted(records(clinic, "outcomes"), key=lambda row: (row["date"], row["outcome_id"])):
        scale = clinic.vocabulary.instruments[row["instrument"]]
        if row["date"] <= cut and scale.minimum <= row["value"] <= scale.maximum:
            assessed[row["course_id"], row["instrument"]].append((row["date"], row["value"]))
    used = sorted({row["instrument"] for row in records(clinic, "outcomes")})
    found: dict[Any, list[int]] = defaultdict(lambda: [0] * 9)
    for course in records(clinic, "courses"):
        if course["course_id"] not in days:
            continue
        first, last = days[course["course_id"]][0][0], days[course["course_id"]][-1][0]
        held = patients[course["patient_id"]] | course
        group = tuple("not recorded" if held[name] is None else str(held[name]) for name in by)
        for instrument in (clinic.vocabulary.instruments[code] for code in used):
            if course["indication"] not in instrument.indications:
                continue
            cell = found[(*group, instrument.code)]
            state = states[course["course_id"]]
            closes = last if endpoint is None else first + endpoint * DAY
            due = max(last, first + plan_days(clinic, course) * DAY) if endpoint is None else closes
            if due + window * DAY > cut or (endpoint is None and state == "ongoing"):
                continue
            seen = assessed[course["course_id"], instrument.code]
            before = [value for day, value in seen if day <= first]
            after = [
                (abs(day - closes), -place, value) for place, (day, value) in enumerate(seen) if day > first
            ]
            near = [each for each in after if each[0] <= window * DAY]
            if endpoint is None:  # the last, and none before the last session
                near = [
                    (0 * DAY, -p, v)
                    for p, (d, v) in enumerate(seen)
                    if first < d and last <= d <= last + window * DAY
                ]
            baseline, value = (before[-1] if before else None), (min(near)[2] if near else None)
            hit = responded(instrument.responder, instrument, baseline, value)
            usable = (
                instrument.responder.kind == "level"
                or responded(instrument.responder, instrument, baseline, baseline) is not None
            )
            flags = [True, usable, hit is not None, hit is not None and state == "completed"]
            for place, flag in enumerate(flags):
                cell[2 * place] += int(flag and hit is True)
                cell[2 * place + 1] += int(flag)
            cell[8] += int(hit is None)
    return found


def plan_days(clinic: Dataset, course: dict[str, Any]) -> int:
    """Return the days from the first to the last planned session, if each comes on the last day of its window."""
    protocol = clinic.vocabulary.protocols.get(course["protocol"])
    if protocol is None:
        return 0
    phases = [phase for phase in protocol.phases for _ in range(phase.sessions)]
    planned = int(course["planned_sessions"] or len(phases))
    phases += [phases[-1]] * planned
    return int(sum(phase.interval_days[1] for phase in phases[1:planned]))


@pytest.mark.parametrize("by", [("indication",), ("arm", "sex")])
@pytest.mark.parametrize(("endpoint", "window"), [(None, 60), (30, 14), (None, 14)])
def test_response_is_the_plain_count(by: tuple[str, ...], endpoint: int | None, window: int) -> None:
    found = response(rough(), by=by, endpoint=endpoint or "end_of_course", window=window)
    expected = plain_response(rough(), by, endpoint, window)
    counts = found.estimates.set_index([*found.groups, "estimand"])[["numerator", "denominator", "n_missing"]]
    assert len(counts) == 4 * len(expected)
    for cell, numbers in expected.items():
        for place, estimand in enumerate(ESTIMANDS):
            key = (*cell, estimand)
            assert counts.loc[key].tolist() == [numbers[2 * place], numbers[2 * place + 1], numbers[8]]


def test_response_denominators_are_nested_and_explained() -> None:
    found = response(rough(), by="indication")
    wide = found.estimates.pivot_table(index=found.groups, columns="estimand", values="denominator")
    for smaller, larger in zip(ESTIMANDS[1:], ESTIMANDS, strict=False):
        assert (wide[smaller] <= wide[larger]).all()
    for row in found.estimates.to_dict("records"):
        rows = found.explain(**{name: row[name] for name in (*found.groups, "estimand")})
        assert rows["in_numerator"].sum() == row["numerator"]
        assert rows["in_denominator"].sum() == row["denominator"]
