"""Assessments: each course's baseline and endpoint with each instrument, and whether it responded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import pandas as pd

from mesostats.engine import collect, day_number
from mesostats.errors import did_you_mean
from mesostats.populations import NOT_RECORDED, treated_courses, with_groups
from mesostats.schedule import INDICATION, cutoff_day, plan_slots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesostats.dataset import Dataset
    from mesostats.vocabulary import Instrument, ResponderRule

END_OF_COURSE: Final = "end_of_course"
LAST_OBSERVATION: Final = "last_observation"
TAKEN: Final = frozenset(
    {
        "first_day",
        "last_day",
        "plan_day",
        "ended",
        "suits",
        "instrument",
        "lower_is_better",
        "kind",
        "threshold",
    }
    | {"baseline", "value", "improvement", "due", "with_baseline", "evaluable", "completer", "responder"}
)
"""Names of columns of `scored_courses`: none of them can be grouped by."""
_KEYS: Final = ["course_id", "instrument"]
_SUITED_TYPES: Final = ("str", "str", "float", "str", "float")
_SLACK: Final = 1e-9
"""An improvement that falls short by no more meets the rule: 4.1 - 2.1 is 1.9999999999999996 in binary numbers."""


@dataclass(frozen=True)
class Endpoint:
    """When the outcome is read.

    Parameters
    ----------
    day
        Days after the first attended session, nearest assessment within ``window`` (of two as near, the later); None:
        at the end of the course, the last assessment from its last attended session to ``window`` days after.
    window
        Days.
    carried
        Without a day: the last assessment after the first attended session up to the end of that window, however early.
    """

    day: int | None
    window: int
    carried: bool = False

    def describe(self) -> str:
        """Return the endpoint in words."""
        if self.carried:
            return f"last assessment after the first attended session, up to {self.window} days after the last one"
        if self.day is None:
            return f"last assessment from the last attended session to {self.window} days after it"
        return f"assessment nearest to day {self.day} after the first session, within {self.window} days"


@dataclass(frozen=True)
class Scoring:
    """How one instrument is scored, or why it is not (``refusal``)."""

    instrument: Instrument
    rule: ResponderRule | None
    refusal: str

    @property
    def source(self) -> str:
        """Where the rule comes from."""
        shipped = self.rule is not None and self.rule == self.instrument.responder
        return f"source: {self.instrument.source}" if shipped else "given for this analysis"


def scoring(instrument: Instrument, rule: ResponderRule | None) -> Scoring:
    """Choose the responder rule of an instrument: the caller's, or the vocabulary's where it is confirmed."""
    if instrument.direction is None:
        why = f"the direction of '{instrument.code}' is not declared: add it in a vocabulary overlay"
    elif rule is None and instrument.responder is None:
        why = f"'{instrument.code}' has no accepted responder rule: pass rule="
    elif rule is None and not instrument.confirmed:
        why = f"the responder rule of '{instrument.code}' is not confirmed: pass rule= to use one"
    else:
        why = ""
    return Scoring(instrument, None if why else rule or instrument.responder, why)


def scored_courses(
    clinic: Dataset, by: Sequence[str], scorings: Sequence[Scoring], endpoint: Endpoint
) -> nw.LazyFrame[Any]:
    """Return one row a treated course and instrument that suits its indication.

    Returns
    -------
    nw.LazyFrame
        Grouping columns, ``course_id, patient_id, instrument, ended`` (the course's state), ``baseline, value`` (at the endpoint), and as 0 or 1
        ``due`` (the endpoint's window closed by the data cut; a course's end must have come), ``with_baseline`` (or none
        needed), ``evaluable``, ``completer`` and ``responder`` (0 where not evaluable); ``kind`` of the rule (none
        where the instrument is not scored).
    """
    courses = _planned_courses(clinic)
    read = _baseline_and_endpoint(clinic, scorings, courses, endpoint)
    pairs = _with_rules(with_groups(courses, clinic, by), clinic, scorings)
    scored = pairs.join(read, on=_KEYS, how="left")
    scored = scored.with_columns(due=_flag(_due(endpoint, cutoff_day(clinic))))
    scored = scored.with_columns(
        improvement=(nw.col("baseline") - nw.col("value")) * nw.col("lower_is_better")
    )
    return clinic.engine.materialise(_with_response(scored))


def _with_rules(
    courses: nw.LazyFrame[Any], clinic: Dataset, scorings: Sequence[Scoring]
) -> nw.LazyFrame[Any]:
    """Return one row a course of the timeline and instrument that suits its indication, with the numbers of its rule."""
    suits = nw.col(INDICATION).fill_null(NOT_RECORDED)
    suited = _suited(clinic, scorings)
    return courses.with_columns(suits=suits).join(suited, on="suits", how="inner").drop("suits", INDICATION)


def _planned_courses(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return the treated courses with ``plan_day``: that of the last planned session, if each came as late as its window lets it.

    Without a protocol it is the day of the last attended session.
    """
    courses = treated_courses(clinic, ())
    most = collect(courses.select(nw.col("planned").max()))["planned"].fillna(0).iloc[0]
    slots = plan_slots(clinic, longest=int(most)).rename(columns={"slot": "planned"})
    lengths = clinic.engine.small(slots[["_plan", "planned", "latest"]], courses)
    courses = courses.join(lengths, on=["_plan", "planned"], how="left")
    return courses.select(
        *("course_id", "patient_id", "first_day", "last_day", INDICATION),
        ended="state",
        plan_day=nw.max_horizontal("last_day", nw.col("first_day") + nw.col("latest")),
    )


def _suited(clinic: Dataset, scorings: Sequence[Scoring]) -> nw.LazyFrame[Any]:
    """Return the pairs of an indication in the data and an instrument for it, with the numbers of its rule."""
    courses = clinic.lazy("courses")
    found = collect(courses.select(suits=nw.col("indication").fill_null(NOT_RECORDED)).unique())["suits"]
    rows = [
        (indication, each.instrument.code, *_rule_numbers(each))
        for each in scorings
        for indication in found.sort_values()
        if not each.instrument.indications or indication in each.instrument.indications
    ]
    columns = ["suits", "instrument", "lower_is_better", "kind", "threshold"]
    table = pd.DataFrame(rows, columns=columns).astype(dict(zip(columns, _SUITED_TYPES, strict=True)))
    return clinic.engine.small(table, courses)


def _rule_numbers(each: Scoring) -> tuple[float, str, float]:
    direction = 1.0 if each.instrument.direction == "lower_is_better" else -1.0
    return (direction, each.rule.kind if each.rule else "none", each.rule.threshold if each.rule else 0.0)


def usable_assessments(clinic: Dataset, scorings: Sequence[Scoring]) -> nw.LazyFrame[Any]:
    """Return the assessments up to the data cut whose value the instrument can take.

    Returns
    -------
    nw.LazyFrame
        ``course_id, instrument, outcome_id, value, day`` (since 1970-01-01), of the instruments of the scorings.
    """
    value = nw.col("value")
    outcomes = clinic.lazy("outcomes").filter(nw.col("date") <= clinic.cutoff, ~value.is_null())
    limits = pd.DataFrame(
        [_limits(each.instrument) for each in scorings], columns=["instrument", "low", "high"]
    )
    limits = limits.astype({"instrument": "str", "low": "float", "high": "float"})
    joined = outcomes.join(clinic.engine.small(limits, outcomes), on="instrument", how="inner")
    joined = joined.filter(value >= nw.col("low"), value <= nw.col("high"))
    return joined.select("course_id", "instrument", "outcome_id", "value", day=day_number(nw.col("date")))


def _limits(instrument: Instrument) -> tuple[str, float, float]:
    low = -float("inf") if instrument.minimum is None else instrument.minimum
    high = float("inf") if instrument.maximum is None else instrument.maximum
    return instrument.code, low, high


def _baseline_and_endpoint(
    clinic: Dataset, scorings: Sequence[Scoring], courses: nw.LazyFrame[Any], endpoint: Endpoint
) -> nw.LazyFrame[Any]:
    """Take each course's ``baseline`` and ``value`` at the endpoint.

    The baseline is the last assessment on or before the first attended session; the endpoint comes after that day. Most
    courses have no more than one of each: only the assessments of the others are put in order, which is what costs.
    """
    assessments = usable_assessments(clinic, scorings)
    counts = clinic.engine.materialise(_taken(_with_roles(assessments, courses, endpoint)))
    several = (nw.col("baselines") > 1) | (nw.col("endpoints") > 1)
    crowded = assessments.join(counts.filter(several).select(*_KEYS), on=_KEYS, how="semi")
    last = _with_roles(crowded, courses, endpoint).unique(
        [*_KEYS, "role"], keep="last", order_by=["distance", "day", "outcome_id"]
    )
    parts = [part.select(*_KEYS, "baseline", "value") for part in (counts.filter(~several), _taken(last))]
    return nw.concat(parts, how="vertical")


def _with_roles(
    assessments: nw.LazyFrame[Any], courses: nw.LazyFrame[Any], endpoint: Endpoint
) -> nw.LazyFrame[Any]:
    """Return the assessments that may be a course's baseline (``role`` 0) or its endpoint (1), and how far off it they are."""
    day, first = nw.col("day"), nw.col("first_day")
    if endpoint.day is None:
        span = day - nw.col("last_day")
        started = day > first if endpoint.carried else span >= 0
        inside, distance = started & (span <= endpoint.window), nw.lit(0)
    else:
        off = (day - first - endpoint.day).abs()
        inside, distance = off <= endpoint.window, nw.when(day > first).then(-off).otherwise(nw.lit(0))
    role = nw.when(day <= first).then(nw.lit(0)).when(inside).then(nw.lit(1))
    days = courses.select("course_id", "first_day", "last_day")
    joined = assessments.join(days, on="course_id", how="inner")
    return joined.with_columns(role=role, distance=distance).filter(~nw.col("role").is_null())


def _taken(assessed: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Return the value of each role, and how many assessments may have it; where it is one, that is the one to take."""
    baseline, endpoint = nw.when(nw.col("role") == 0), nw.when(nw.col("role") == 1)
    return assessed.group_by(*_KEYS).agg(
        baseline.then(nw.col("value")).max().alias("baseline"),
        endpoint.then(nw.col("value")).max().alias("value"),
        baseline.then(nw.lit(1)).count().alias("baselines"),
        endpoint.then(nw.lit(1)).count().alias("endpoints"),
    )


def scored_assessments(clinic: Dataset, scorings: Sequence[Scoring]) -> nw.LazyFrame[Any]:
    """Return the assessments after the first attended session that a responder rule can score.

    Returns
    -------
    nw.LazyFrame
        ``course_id, instrument, day`` (since 1970-01-01), ``responder`` (1 where the rule is met, else 0), of instruments that
        suit the course's indication; of several on a day the last one, as at the endpoint. The baseline is the last assessment
        on or before the first attended session.
    """
    courses = _with_rules(treated_courses(clinic, ()), clinic, scorings)
    courses = courses.select(*_KEYS, "first_day", "lower_is_better", "kind", "threshold")
    assessed = usable_assessments(clinic, scorings).join(courses, on=_KEYS, how="inner")
    before = assessed.filter(nw.col("day") <= nw.col("first_day"))
    baseline = before.unique(_KEYS, keep="last", order_by=["day", "outcome_id"]).select(
        *_KEYS, baseline=nw.col("value")
    )
    later = assessed.filter(nw.col("day") > nw.col("first_day"))
    later = later.unique([*_KEYS, "day"], keep="last", order_by=["outcome_id"])
    scored = later.join(baseline, on=_KEYS, how="left").with_columns(
        improvement=(nw.col("baseline") - nw.col("value")) * nw.col("lower_is_better"),
        due=nw.lit(1),
        ended=nw.lit(""),
    )
    return _with_response(scored).filter(nw.col("evaluable") == 1).select(*_KEYS, "day", "responder")


def _due(endpoint: Endpoint, cutoff: int) -> nw.Expr:
    """Return whether the endpoint is due.

    A course that was given up is over sooner than one that keeps to the plan. If it counted as soon as it is over, those that
    began shortly before the data cut would be counted only where they were given up.
    """
    if endpoint.day is None:
        return (nw.col("ended") != "ongoing") & (nw.col("plan_day") + endpoint.window <= cutoff)
    return nw.col("first_day") + (endpoint.day + endpoint.window) <= cutoff


def _with_response(scored: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Score: an improvement of the rule's size."""
    kind, threshold = nw.col("kind"), nw.col("threshold")
    level = kind == "level"
    met = (
        nw.when(level)
        .then((threshold - nw.col("value")) * nw.col("lower_is_better") >= -_SLACK)
        .when(kind == "percent")
        .then(nw.col("improvement") * 100 >= (threshold - _SLACK) * nw.col("baseline"))
        .otherwise(nw.col("improvement") >= threshold - _SLACK)
    )
    usable = ~nw.col("baseline").is_null() & ((kind != "percent") | (nw.col("baseline") > 0))
    return (
        scored.with_columns(with_baseline=_flag((level | usable) & (nw.col("due") == 1)))
        .with_columns(
            evaluable=_flag((nw.col("with_baseline") == 1) & ~nw.col("value").is_null() & (kind != "none"))
        )
        .with_columns(
            completer=_flag((nw.col("evaluable") == 1) & (nw.col("ended") == "completed")),
            responder=_flag((nw.col("evaluable") == 1) & met),
        )
    )


def _flag(condition: nw.Expr) -> nw.Expr:
    return nw.when(condition).then(nw.lit(1)).otherwise(nw.lit(0))


def rules(
    clinic: Dataset, instruments: Sequence[str], rule: ResponderRule | Mapping[str, ResponderRule] | None
) -> list[Scoring]:
    """Return how each instrument is scored.

    Raises
    ------
    VocabularyError
        If an instrument is not in the vocabulary.
    ValueError
        If a rule is given for an instrument that is not analysed.
    """
    chosen = rule if isinstance(rule, Mapping) else dict.fromkeys(instruments, rule)
    unknown = set(chosen) - set(instruments)
    if unknown:
        msg = f"rule= names '{min(unknown)}', which is not analysed{did_you_mean(min(unknown), instruments)}"
        raise ValueError(msg)
    return [scoring(clinic.vocabulary.instrument(name), chosen.get(name)) for name in instruments]
