"""Person-sessions: each session that was due, whether the course was given up at it, and what was known before it.

A row stands for session k, from the second on, of a course that had come to k - 1 of them: it is *due* as in
`dropout_by_session`. All that is known of it dates from the session before: nothing needs the future, so that whoever stayed
longer has no more time to show it (immortal time).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw

from mesostats.adverse_events.counted import counted_events, counting_of
from mesostats.assessments import rules, scored_assessments
from mesostats.attendance import attended_sessions
from mesostats.engine import collect, day_number
from mesostats.follow_up import with_follow_up
from mesostats.populations import NOT_RECORDED, PHASE, grouping, with_groups
from mesostats.schedule import course_timeline, slot_table
from mesostats.schemas import table_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from mesostats.dataset import Dataset
    from mesostats.follow_up import FollowUp
    from mesostats.vocabulary import ResponderRule

SESSION, SIDE_EFFECT, SO_FAR, RESPONSE = "session", "side_effect", "side_effect_so_far", "response"
"""Covariates of this module, beside the phase of the schedule and the columns of the data."""
NOT_ASKED: Final = "not asked"
NOT_ASSESSED: Final = "not assessed"
STOPPED, NUMBER = "_stopped", "_number"
"""Columns of the reduction: whether the course was given up at the session, and how many alike rows there are."""
PLAN: Final = "_protocol"
"""The column with the protocol whose session was due, under a name that no grouping column has."""
KINDS: Final = ("any", "serious", "related")
"""Which side effects can be asked about."""
UNPLANNED_DAYS: Final = 7
"""Days after a session in which a side effect counts, where no protocol says when the next one is due."""
RULES: Final = (
    "A session is due for a course that came to it, and for one that was given up before it; the first one is left out.",
    "With follow_up='settled', a session counts once its window and grace were over before the data cut, for whoever came or not.",
    "All covariates are as they were at the last session held: nothing needs the future.",
    "A text that was not recorded is a level of its own, so that no session is lost: its ratio tells of the records, not of a group.",
    "A side effect counts up to the first day on which the next session could be due (without a protocol: 7 days after the last).",
    "A side effect that began after the next session was held, before that day, was not known either.",
    "Side effect so far: any of the course that had begun by the last session held.",
    "Response: any assessment after the first session and up to the last one held met its instrument's responder rule.",
)
"""What a person-session is, in words."""
_AFTERWARDS: Final = ("status", "end_date", "end_reason")
_TABLES: Final = ("sessions", "courses", "patients")
_LEVELS: Final = 100
_IDS: Final = ("course_id", "patient_id", "session_id")


@dataclass(frozen=True)
class Inquiry:
    """What is asked of person-sessions.

    Parameters
    ----------
    covariates
        `SESSION`, the phase, `SIDE_EFFECT`, `SO_FAR`, `RESPONSE`, and columns of sessions, courses and patients.
    numbers
        Those of them that are numbers.
    follow_up
        ``settled`` sessions only, or ``all``.
    of
        Which side effects: one of `KINDS`.
    rule
        Responder rules in place of the vocabulary's.
    """

    covariates: tuple[str, ...]
    numbers: tuple[str, ...]
    follow_up: FollowUp
    of: str
    rule: ResponderRule | Mapping[str, ResponderRule] | None

    @property
    def names(self) -> dict[str, str]:
        """Each covariate under a name that no column of the data has."""
        return {column: f"_covariate_{place}" for place, column in enumerate(self.covariates)}

    @property
    def recorded(self) -> tuple[str, ...]:
        """The covariates that are columns of the data."""
        own = {SESSION, PHASE, SIDE_EFFECT, SO_FAR, RESPONSE}
        return tuple(column for column in self.covariates if column not in own)


def inquire(
    clinic: Dataset,
    covariates: str | Sequence[str] | None,
    *,
    follow_up: FollowUp,
    of: str,
    rule: ResponderRule | Mapping[str, ResponderRule] | None,
) -> Inquiry:
    """Check what is asked, and tell covariates that are numbers from the others.

    Raises
    ------
    DataError
        If side effects or responses are asked for, and their table is absent.
    ValueError
        If a covariate is no column, is known only once a course is over, or identifies a row; or an argument is none of
        those that there are.
    """
    needs = {SIDE_EFFECT: "adverse_events", SO_FAR: "adverse_events", RESPONSE: "outcomes"}
    there = tuple(column for column in (SO_FAR, RESPONSE) if needs[column] in clinic.names)
    columns = (PHASE, "indication", *there) if covariates is None else grouping(covariates)
    for value, known, name in ((follow_up, ("settled", "all"), "follow_up"), (of, KINDS, "of")):
        if value not in known:
            msg = f"{name} is one of {', '.join(known)}, found '{value}'"
            raise ValueError(msg)
    for column, table in needs.items():
        if column in columns:
            clinic.require(table)
    late = [column for column in columns if column in _AFTERWARDS]
    if late:
        msg = f"'{late[0]}' is known only once the course is over: it cannot tell who will stop"
        raise ValueError(msg)
    asked = Inquiry(columns, (), follow_up, of, rule)
    numbers = [
        column
        for column in asked.recorded
        if clinic.lazy(clinic.table_of(column, among=_TABLES)).collect_schema()[column].is_numeric()
    ]
    return Inquiry(columns, tuple(numbers), follow_up, of, rule)


def due_sessions(clinic: Dataset, follow_up: FollowUp) -> nw.LazyFrame[Any]:
    """Return the sessions that were due, from the second on, computed once.

    Returns
    -------
    nw.LazyFrame
        ``course_id, patient_id, session_id`` (of the last session held), ``day`` (of it, since 1970-01-01), ``session`` (the
        number of the one that was due), ``_protocol`` and ``phase`` (of it), ``known_until`` (the last day on which a side effect of the
        session held counts), ``_stopped`` (1 where the course was given up, 0 where it came).
    """
    return clinic.derive(f"due_sessions:{follow_up}", lambda: _due(clinic, follow_up))


def _due(clinic: Dataset, follow_up: FollowUp) -> nw.LazyFrame[Any]:
    courses = with_follow_up(course_timeline(clinic), clinic, follow_up).select(
        "course_id", "patient_id", "protocol", "reached", "outcome"
    )
    held = _held_days(clinic).join(courses, on="course_id", how="inner")
    last = nw.col("held") == nw.col("reached")
    stopped = last & (nw.col("outcome") == "dropped_out")
    due = held.filter((nw.col("held") < nw.col("reached")) | stopped).with_columns(
        nw.when(last).then(nw.lit(1)).otherwise(nw.lit(0)).alias(STOPPED),
        session=(nw.col("held") + 1).cast(nw.Int64),
    )
    most = collect(due.select(most=nw.col("session").max()))["most"].fillna(1).astype(int).iloc[0]
    slots = slot_table(clinic.vocabulary.protocols.values(), longest=int(most))
    table = slots.rename(columns={"slot": "session"})[["protocol", "session", "phase", "shortest"]]
    due = due.join(clinic.engine.small(table, due), on=["protocol", "session"], how="left")
    opens = nw.col("day") + nw.coalesce("shortest", nw.lit(float(UNPLANNED_DAYS)))
    came = nw.when(nw.col(STOPPED) == 0).then(nw.col("following"))
    return due.select(
        *_IDS,
        "day",
        "session",
        STOPPED,
        nw.col("phase").fill_null(NOT_RECORDED),
        nw.col("protocol").fill_null(NOT_RECORDED).alias(PLAN),
        # Whoever came is known for no longer than whoever did not: until the next session could be due.
        known_until=nw.min_horizontal(opens, nw.coalesce(came.cast(nw.Float64), opens)),
    )


def _held_days(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return one row a course and day with an attended session: its number, and the day of the following one."""
    days = attended_sessions(clinic).group_by("course_id", "date").agg(nw.col("session_id").min())
    days = days.with_columns(day=day_number(nw.col("date"))).drop("date")
    return days.with_columns(
        held=nw.col("day").cum_count().over("course_id", order_by="day"),
        following=nw.col("day").shift(-1).over("course_id", order_by="day"),
    )


def with_covariates(clinic: Dataset, asked: Inquiry) -> nw.LazyFrame[Any]:
    """Return the sessions that were due with the covariates of an inquiry, under `Inquiry.names`."""
    due = due_sessions(clinic, asked.follow_up)
    rows = _with_columns(due, clinic, asked)
    names = asked.names
    if SESSION in names:
        rows = rows.with_columns(nw.col("session").cast(nw.String).alias(names[SESSION]))
    if PHASE in names:
        rows = rows.with_columns(nw.col("phase").alias(names[PHASE]))
    if SIDE_EFFECT in names:
        rows = with_side_effect(rows, clinic, asked.of, names[SIDE_EFFECT])
    if SO_FAR in names:
        rows = with_side_effect_so_far(rows, clinic, asked.of, names[SO_FAR])
    if RESPONSE in names:
        rows = with_response(rows, clinic, asked.rule, names[RESPONSE])
    return rows


def _with_columns(due: nw.LazyFrame[Any], clinic: Dataset, asked: Inquiry) -> nw.LazyFrame[Any]:
    """Add columns of the data: of sessions as they were at the last one held."""
    texts = [column for column in asked.recorded if column not in asked.numbers]
    if texts:
        groups = with_groups(due.select(_IDS), clinic, texts, tables=_TABLES)
        named = [nw.col(column).alias(asked.names[column]) for column in texts]
        due = due.join(groups.select("session_id", *named), on="session_id", how="left")
    for column in asked.numbers:
        table = clinic.table_of(column, among=_TABLES)
        key = str(table_schema(table).key)
        number = nw.col(column).cast(nw.Float64).alias(asked.names[column])
        due = due.join(clinic.lazy(table).select(key, number), on=key, how="left")
    return due


def with_side_effect(rows: nw.LazyFrame[Any], clinic: Dataset, of: str, name: str) -> nw.LazyFrame[Any]:
    """Add whether a side effect followed the last session held, as far as it was known when the next one could be due.

    Parameters
    ----------
    rows
        From `due_sessions`.
    clinic
        A data set with adverse events.
    of
        One of `KINDS`.
    name
        The new column: ``yes``, ``no``, or ``not asked`` (where nobody asked, and no event is known; where no session
        records that anybody asked, all count as asked).
    """
    events = counted_events(clinic, counting_of(clinic, None, of, per="session")).select(
        "session_id", "onset"
    )
    days = attended_sessions(clinic).select("session_id", "course_id", day=day_number(nw.col("date")))
    placed = events.join(days, on="session_id", how="inner").select("course_id", "day", "onset")
    keys = ["course_id", "day"]
    joined = placed.join(rows.select(*keys, "known_until"), on=keys, how="inner")
    known = joined.filter(nw.col("onset").is_null() | (nw.col("onset") <= nw.col("known_until")))
    found = clinic.engine.materialise(known.group_by(keys).agg(_events=nw.len()))
    asked = _asked(clinic)
    unused = asked is None
    rows = rows.join(found, on=keys, how="left")
    rows = rows.with_columns(_asked=nw.lit(1)) if asked is None else rows.join(asked, on=keys, how="left")
    heard = nw.lit(value=True) if unused else nw.col("_asked") > 0
    value = (
        nw.when(~nw.col("_events").is_null())
        .then(nw.lit("yes"))
        .when(heard)
        .then(nw.lit("no"))
        .otherwise(nw.lit(NOT_ASKED))
    )
    return rows.with_columns(value.alias(name)).drop("_events", "_asked")


def with_side_effect_so_far(
    rows: nw.LazyFrame[Any], clinic: Dataset, of: str, name: str
) -> nw.LazyFrame[Any]:
    """Add whether any side effect of the course had begun by the last session held.

    It was known at that session, of those who came back and of those who did not alike, also where side effects are written
    down only when the patient comes again.

    Parameters
    ----------
    rows, clinic, of, name
        As for `with_side_effect`; ``not asked`` where nobody had asked so far, and no event is known.
    """
    events = _placed_events(clinic, of).with_columns(begun=nw.coalesce("onset", "day"))
    found = clinic.engine.materialise(events.group_by("course_id").agg(_first=nw.col("begun").min()))
    rows, asked = rows.join(found, on="course_id", how="left"), _asked(clinic)
    if asked is None:
        rows = rows.with_columns(_since=nw.col("day"))
    else:
        since = asked.group_by("course_id").agg(_since=nw.col("day").min())
        rows = rows.join(since, on="course_id", how="left")
    value = (
        nw.when(nw.col("_first") <= nw.col("day"))
        .then(nw.lit("yes"))
        .when(nw.col("_since") <= nw.col("day"))
        .then(nw.lit("no"))
        .otherwise(nw.lit(NOT_ASKED))
    )
    return rows.with_columns(value.alias(name)).drop("_first", "_since")


def _placed_events(clinic: Dataset, of: str) -> nw.LazyFrame[Any]:
    """Return the counted events with the day of the session that they are ascribed to: ``course_id, day, onset``."""
    events = counted_events(clinic, counting_of(clinic, None, of, per="session")).select(
        "session_id", "onset"
    )
    days = attended_sessions(clinic).select("session_id", "course_id", day=day_number(nw.col("date")))
    return events.join(days, on="session_id", how="inner").select("course_id", "day", "onset")


def _asked(clinic: Dataset) -> nw.LazyFrame[Any] | None:
    """Return on which days of a course somebody asked about side effects; None where no session records that."""
    asked = attended_sessions(clinic).filter(nw.col("adverse_events_asked") == "yes")
    if collect(asked.select("session_id").head(1)).empty:
        return None
    days = asked.select("course_id", day=day_number(nw.col("date")))
    return days.group_by("course_id", "day").agg(_asked=nw.len())


def with_response(
    rows: nw.LazyFrame[Any],
    clinic: Dataset,
    rule: ResponderRule | Mapping[str, ResponderRule] | None,
    name: str,
) -> nw.LazyFrame[Any]:
    """Add whether any assessment up to the last session held met its responder rule.

    Parameters
    ----------
    rows
        From `due_sessions`.
    clinic
        A data set with outcomes.
    rule
        Responder rules in place of the vocabulary's.
    name
        The new column: ``yes``, ``no``, or ``not assessed`` (no assessment that could be scored so far).
    """
    found = set(collect(clinic.lazy("outcomes").select("instrument").unique())["instrument"].dropna())
    instruments = [code for code in clinic.vocabulary.instruments if code in found]
    scored = scored_assessments(clinic, rules(clinic, instruments, rule))
    met = nw.when(nw.col("responder") == 1).then(nw.col("day"))
    first = scored.group_by("course_id").agg(_assessed=nw.col("day").min(), _met=met.min())
    rows = rows.join(clinic.engine.materialise(first), on="course_id", how="left")
    value = (
        nw.when(nw.col("_met") <= nw.col("day"))
        .then(nw.lit("yes"))
        .when(nw.col("_assessed") <= nw.col("day"))
        .then(nw.lit("no"))
        .otherwise(nw.lit(NOT_ASSESSED))
    )
    return rows.with_columns(value.alias(name)).drop("_assessed", "_met")


def alike_rows(rows: nw.LazyFrame[Any], asked: Inquiry) -> pd.DataFrame:
    """Return person-sessions with the same patient, covariates and outcome as one row with their number.

    Raises
    ------
    ValueError
        If a covariate has too many levels to compare.
    """
    keys = ["patient_id", STOPPED, *asked.names.values()]
    found = collect(rows.group_by(keys).agg(nw.len().alias(NUMBER))).sort_values(keys, ignore_index=True)
    for column, name in asked.names.items():
        if column not in asked.numbers and found[name].nunique() > _LEVELS:
            msg = f"'{column}' has {found[name].nunique()} values, at most {_LEVELS} are compared; group them first"
            raise ValueError(msg)
    return found


def lacking(asked: Inquiry) -> nw.Expr:
    """Name the first number that keeps a row from the model; nothing where it has all."""
    reason = nw.lit("")
    for column in reversed(asked.numbers):
        reason = (
            nw.when(nw.col(asked.names[column]).is_null())
            .then(nw.lit(f"{column} not recorded"))
            .otherwise(reason)
        )
    return reason
