"""What was known of each course before its endpoint, for models of who was assessed and of what was missed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw

from mesostats.adverse_events.counted import counted_events, counting_of
from mesostats.attendance import attended_visits
from mesostats.engine import collect
from mesostats.populations import grouping, treated_courses, with_groups
from mesostats.schemas import table_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from mesostats.assessments import Endpoint
    from mesostats.dataset import Dataset
    from mesostats.outcomes.questions import Question

DROPPED_OUT: Final = "dropped_out"
SESSIONS: Final = "sessions"
SIDE_EFFECT: Final = "side_effect"
BASELINE: Final = "baseline"
MEANINGS: Final = {
    DROPPED_OUT: "whether the course was given up (the schedule and the recorded end decide, not the assessment)",
    SESSIONS: "sessions attended",
    SIDE_EFFECT: "whether any side effect had begun",
    BASELINE: "the instrument's value at baseline (the mean of the cell where it was not recorded)",
}
"""The covariates of a course's history, in words."""
MARGIN: Final = "_margin"
"""By how much an outcome exceeds the responder rule: a course responds where it is 0 or more."""
_TABLES: Final = ("patients", "courses")
_IDS: Final = frozenset({"course_id", "patient_id"})


def default_covariates(clinic: Dataset, by: Sequence[str]) -> tuple[str, ...]:
    """Return dropout, sessions, side effects and baseline; and indication and arm where they are not grouped by."""
    effects = (SIDE_EFFECT,) if "adverse_events" in clinic.names else ()
    rest = tuple(name for name in ("indication", "arm") if name not in by and clinic.recorded(name))
    return (DROPPED_OUT, SESSIONS, *effects, BASELINE, *rest)


def check_covariates(
    clinic: Dataset, covariates: str | Sequence[str] | None, by: Sequence[str]
) -> tuple[str, ...]:
    """Return the covariates asked for, the default ones if none are named.

    Raises
    ------
    DataError
        If side effects are asked for, and adverse_events is absent.
    ValueError
        If a covariate is named twice, is no column of patients or courses, or identifies a row.
    """
    if covariates is None:
        return default_covariates(clinic, by)
    columns = grouping(covariates)
    if SIDE_EFFECT in columns:
        clinic.require("adverse_events")
    for column in columns:
        if column in MEANINGS:
            continue
        clinic.table_of(column, among=_TABLES)
        if column in _IDS:
            msg = f"'{column}' identifies a row; a covariate is a column that rows share"
            raise ValueError(msg)
    return columns


def course_histories(
    clinic: Dataset, scored: nw.LazyFrame[Any], asked: Question, covariates: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return one row a course due and instrument that is scored, with its covariates.

    Parameters
    ----------
    clinic
        The data set.
    scored
        From `assessments.scored_courses`.
    asked
        The question that it answers.
    covariates
        From `check_covariates`.

    Returns
    -------
    tuple
        The rows, sorted: grouping columns, ``instrument, course_id, patient_id, evaluable, responder``, `MARGIN`, and covariates
        under names that no column of the data has; and these names.

    Notes
    -----
    At the end of a course what is known is that up to its last attended session; for an endpoint on a day, that up to the day on
    which its window opens.
    """
    names = {column: f"_covariate_{place}" for place, column in enumerate(covariates)}
    rows = scored.filter(nw.col("due") == 1, nw.col("kind") != "none")
    rows = rows.with_columns(_margin().alias(MARGIN), _horizon(asked.endpoint).alias("_until"))
    if BASELINE in names:
        rows = rows.with_columns(nw.col("baseline").alias(names[BASELINE]))
    if DROPPED_OUT in names:
        rows = _with_dropout(rows, clinic, asked.endpoint, names[DROPPED_OUT])
    if SESSIONS in names:
        rows = _with_sessions(rows, clinic, names[SESSIONS])
    if SIDE_EFFECT in names:
        rows = _with_side_effect(rows, clinic, names[SIDE_EFFECT])
    rows = _with_columns(rows, clinic, {name: names[name] for name in names if name not in MEANINGS})
    keys = [*asked.columns, "instrument", "course_id"]
    found = collect(
        rows.select(*keys, "patient_id", "evaluable", "responder", MARGIN, *names.values())
    ).sort_values(keys, ignore_index=True)
    return found, names


def _margin() -> nw.Expr:
    threshold = nw.col("threshold")
    return (
        nw.when(nw.col("kind") == "level")
        .then((threshold - nw.col("value")) * nw.col("lower_is_better"))
        .when((nw.col("kind") == "percent") & (nw.col("baseline") > 0))
        .then(nw.col("improvement") * 100 / nw.col("baseline") - threshold)
        .when(nw.col("kind") == "absolute")
        .then(nw.col("improvement") - threshold)
    )


def _horizon(endpoint: Endpoint) -> nw.Expr:
    """Return the last day whose events are known before the endpoint."""
    if endpoint.day is None:
        return nw.col("last_day")
    return nw.col("first_day") + (endpoint.day - endpoint.window)


def _with_dropout(
    rows: nw.LazyFrame[Any], clinic: Dataset, endpoint: Endpoint, name: str
) -> nw.LazyFrame[Any]:
    """Add whether the course was given up: for an endpoint on a day, before its window opens."""
    gone = nw.col("ended") == "dropped_out"
    if endpoint.day is not None:
        missed = treated_courses(clinic, ()).select("course_id", _missed=nw.col("first_missed_day"))
        rows = rows.join(missed, on="course_id", how="left")
        gone = gone & (nw.col("_missed") <= nw.col("_until"))
    return rows.with_columns(nw.when(gone).then(nw.lit(1.0)).otherwise(nw.lit(0.0)).alias(name))


def _with_sessions(rows: nw.LazyFrame[Any], clinic: Dataset, name: str) -> nw.LazyFrame[Any]:
    """Add the days with an attended session so far."""
    visits = attended_visits(clinic).select("course_id", "day", "place")
    until = rows.select("course_id", "_until").unique()
    held = visits.join(until, on="course_id", how="inner").filter(nw.col("day") <= nw.col("_until"))
    held = held.group_by("course_id").agg(nw.col("place").max().cast(nw.Float64).alias(name))
    return rows.join(held, on="course_id", how="left").with_columns(nw.col(name).fill_null(0.0))


def _with_side_effect(rows: nw.LazyFrame[Any], clinic: Dataset, name: str) -> nw.LazyFrame[Any]:
    """Add whether any treatment-emergent event had begun."""
    events = counted_events(clinic, counting_of(clinic, None, "any", per="course"))
    first = events.group_by("course_id").agg(_begun=nw.col("onset").min())
    begun = nw.col("_begun") <= nw.col("_until")
    return rows.join(first, on="course_id", how="left").with_columns(
        nw.when(begun).then(nw.lit(1.0)).otherwise(nw.lit(0.0)).alias(name)
    )


def _with_columns(rows: nw.LazyFrame[Any], clinic: Dataset, names: dict[str, str]) -> nw.LazyFrame[Any]:
    """Add columns of patients and courses: numbers as they are, all others as texts."""
    numbers = [column for column in names if _is_number(clinic, column)]
    texts = [column for column in names if column not in numbers]
    if texts:
        ids = rows.select("course_id", "patient_id").unique()
        groups = with_groups(ids, clinic, texts, tables=_TABLES)
        named = [nw.col(column).alias(names[column]) for column in texts]
        rows = rows.join(groups.select("course_id", *named), on="course_id", how="left")
    for column in numbers:
        table = clinic.table_of(column, among=_TABLES)
        key = str(table_schema(table).key)
        number = nw.col(column).cast(nw.Float64).alias(names[column])
        rows = rows.join(clinic.lazy(table).select(key, number), on=key, how="left")
    return rows


def _is_number(clinic: Dataset, column: str) -> bool:
    table = clinic.table_of(column, among=_TABLES)
    return bool(clinic.lazy(table).collect_schema()[column].is_numeric())
