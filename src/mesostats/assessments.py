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
from mesostats.schedule import cutoff_day, plan_slots

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
        "minimum",
        "maximum",
    }
    | {"baseline", "value", "improvement", "due", "with_baseline", "evaluable", "completer", "responder"}
)
"""Names of columns of `scored_courses`: none of them can be grouped by."""
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
    indications = clinic.lazy("courses").select(
        "course_id", suits=nw.col("indication").fill_null(NOT_RECORDED)
    )
    courses = with_groups(courses.join(indications, on="course_id", how="inner"), clinic, by)
    suited = clinic.engine.small(_suited(courses, scorings), courses)
    pairs = clinic.engine.materialise(courses.join(suited, on="suits", how="inner"))
    read = _baseline_and_endpoint(_assessments(clinic, pairs), endpoint)
    scored = pairs.join(read, on=["course_id", "instrument"], how="left")
    scored = scored.with_columns(due=_flag(_due(endpoint, cutoff_day(clinic))))
    scored = scored.with_columns(
        improvement=(nw.col("baseline") - nw.col("value")) * nw.col("lower_is_better")
    )
    return clinic.engine.materialise(_with_response(scored).drop("suits"))


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
        *("course_id", "patient_id", "first_day", "last_day"),
        ended="state",
        plan_day=nw.max_horizontal("last_day", nw.col("first_day") + nw.col("latest")),
    )


def _suited(courses: nw.LazyFrame[Any], scorings: Sequence[Scoring]) -> pd.DataFrame:
    """Return the pairs of an indication in the data and an instrument for it, with the numbers of its rule."""
    found = collect(courses.select("suits").unique())["suits"].sort_values()
    rows = [
        (indication, each.instrument.code, *_numbers(each))
        for each in scorings
        for indication in found
        if not each.instrument.indications or indication in each.instrument.indications
    ]
    columns = ["suits", "instrument", "lower_is_better", "kind", "threshold", "minimum", "maximum"]
    texts = dict.fromkeys(("suits", "instrument", "kind"), "str")
    return pd.DataFrame(rows, columns=columns).astype(
        texts | dict.fromkeys(columns[4:], "float") | {columns[2]: "float"}
    )


def _numbers(each: Scoring) -> tuple[float, str, float, float, float]:
    instrument, rule = each.instrument, each.rule
    direction = 1.0 if instrument.direction == "lower_is_better" else -1.0
    limits = (
        -float("inf") if instrument.minimum is None else instrument.minimum,
        float("inf") if instrument.maximum is None else instrument.maximum,
    )
    return (direction, rule.kind if rule else "none", rule.threshold if rule else 0.0, *limits)


def _assessments(clinic: Dataset, pairs: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Return the assessments up to the data cut whose value the instrument can take."""
    value = nw.col("value")
    outcomes = clinic.lazy("outcomes").filter(nw.col("date") <= clinic.cutoff, ~value.is_null())
    outcomes = outcomes.select(
        "course_id", "instrument", "outcome_id", "value", day=day_number(nw.col("date"))
    )
    windows = pairs.select("course_id", "instrument", "first_day", "last_day", "minimum", "maximum")
    joined = outcomes.join(windows, on=["course_id", "instrument"], how="inner")
    return joined.filter(value >= nw.col("minimum"), value <= nw.col("maximum"))


def _baseline_and_endpoint(assessed: nw.LazyFrame[Any], endpoint: Endpoint) -> nw.LazyFrame[Any]:
    """Take each course's ``baseline`` and ``value`` at the endpoint, in one pass over the assessments.

    The baseline is the last assessment on or before the first attended session; the endpoint comes after that day.
    """
    day, first = nw.col("day"), nw.col("first_day")
    if endpoint.day is None:
        span = day - nw.col("last_day")
        started = day > first if endpoint.carried else span >= 0
        inside, distance = started & (span <= endpoint.window), nw.lit(0)
    else:
        off = (day - first - endpoint.day).abs()
        inside, distance = off <= endpoint.window, nw.when(day > first).then(-off).otherwise(nw.lit(0))
    role = nw.when(day <= first).then(nw.lit("baseline")).when(inside).then(nw.lit("endpoint"))
    keys = ["course_id", "instrument"]
    chosen = (
        assessed.with_columns(role=role, distance=distance)
        .filter(~nw.col("role").is_null())
        .unique([*keys, "role"], keep="last", order_by=["distance", "day", "outcome_id"])
    )
    is_baseline = nw.col("role") == "baseline"
    return chosen.group_by(*keys).agg(
        nw.when(is_baseline).then(nw.col("value")).max().alias("baseline"),
        nw.when(~is_baseline).then(nw.col("value")).max().alias("value"),
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
    courses = treated_courses(clinic, ()).select("course_id", "first_day", "last_day")
    indications = clinic.lazy("courses").select(
        "course_id", suits=nw.col("indication").fill_null(NOT_RECORDED)
    )
    courses = courses.join(indications, on="course_id", how="inner")
    suited = clinic.engine.small(_suited(courses, scorings), courses)
    pairs = courses.join(suited, on="suits", how="inner").drop("suits")
    assessed, keys = _assessments(clinic, pairs), ["course_id", "instrument"]
    before = assessed.filter(nw.col("day") <= nw.col("first_day"))
    baseline = before.unique(keys, keep="last", order_by=["day", "outcome_id"]).select(
        *keys, baseline=nw.col("value")
    )
    rules_of = pairs.select(*keys, "lower_is_better", "kind", "threshold")
    later = assessed.filter(nw.col("day") > nw.col("first_day"))
    later = later.unique([*keys, "day"], keep="last", order_by=["outcome_id"]).select(*keys, "day", "value")
    scored = later.join(rules_of, on=keys, how="inner").join(baseline, on=keys, how="left")
    scored = scored.with_columns(
        improvement=(nw.col("baseline") - nw.col("value")) * nw.col("lower_is_better"),
        due=nw.lit(1),
        ended=nw.lit(""),
    )
    return _with_response(scored).filter(nw.col("evaluable") == 1).select(*keys, "day", "responder")


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
