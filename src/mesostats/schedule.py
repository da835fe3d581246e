"""Schedule: protocol → planned slots; the state of each session and of each course at the data cut.

A course's protocol plans slots. The first is due from the start date on; each further one within its phase's interval after
the session held before it. Slots not yet reached are projected from the last held session with the same intervals. Only
attended sessions up to the data cut hold a slot; a second visit on one day holds none (*unscheduled*).
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import pandas as pd

from mesostats.attendance import attended_counts
from mesostats.engine import collect, day_number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesostats.dataset import Dataset
    from mesostats.vocabulary import Protocol

EPOCH = dt.date(1970, 1, 1)

COURSE_RULES = {
    "recorded_completed": "recorded as completed",
    "recorded_discontinued": "recorded as discontinued",
    "all_attended": "all planned sessions attended",
    "no_schedule": "no protocol or start date: never overdue",
    "overdue": "next session overdue by more than the grace",
    "not_overdue": "next session not overdue by more than the grace",
}
"""The rules that decide a course's state, in the order in which they are asked."""

INDICATION: Final = "_indication"
"""The column of the timeline with the indication: nearly every analysis groups by it, and a join costs more than a column."""

TIMELINE_COLUMNS = (
    *(
        "course_id",
        "patient_id",
        "protocol",
        "planned",
        "attended",
        "asked",
        "start_day",
        "first_day",
        "last_day",
    ),
    *("next_slot", "phase", "due_from", "due_until", "grace", "end_day", "reason", "state", "rule"),
    *("last_attended_day", "first_missed_day", "_plan", INDICATION),
)
"""The columns of `course_timeline`, in order."""

_COURSE_COLUMNS = (
    *(
        "course_id",
        "patient_id",
        "protocol",
        "planned",
        "attended",
        "first_session",
        "last_session",
        "next_slot",
    ),
    *("phase", "due_from", "due_until", "grace", "state", "rule", "reason"),
    *("dropout_last_attended", "dropout_first_missed"),
)


def cutoff_day(clinic: Dataset) -> int:
    """Return the data-cut date as days since 1970-01-01."""
    return (clinic.cutoff - EPOCH).days


def slot_table(protocols: Iterable[Protocol], *, longest: int = 0) -> pd.DataFrame:
    """Return the planned slots of protocols.

    Parameters
    ----------
    protocols
        With phases in order.
    longest
        Slots that each protocol has at least: its last phase goes on where a course plans more sessions.

    Returns
    -------
    pandas.DataFrame
        ``protocol, slot`` (from 1), ``phase, phase_label, shortest, longest`` (days after the session before; the first
        slot is due from the start date on), ``grace`` (days), ``earliest, latest`` (days after slot 1, summed).

    Examples
    --------
    >>> from mesostats.vocabulary import load_vocabulary
    >>> slots = slot_table([load_vocabulary().protocols["weekly_to_monthly"]])
    >>> slots.loc[slots["slot"].isin([1, 2, 5]), ["slot", "phase", "shortest", "longest", "earliest", "latest"]]
       slot        phase  shortest  longest  earliest  latest
    0     1       weekly       0.0     10.0       0.0     0.0
    1     2       weekly       7.0     10.0       7.0    10.0
    4     5  fortnightly      12.0     16.0      33.0    46.0
    """
    rows = []
    for protocol in protocols:
        phases = [phase for phase in protocol.phases for _ in range(phase.sessions)]
        phases += [protocol.phases[-1]] * (longest - len(phases))
        earliest = latest = 0.0
        for slot, phase in enumerate(phases, start=1):
            shortest, slowest = phase.interval_days
            if slot > 1:
                earliest, latest = earliest + shortest, latest + slowest
            first = 0.0 if slot == 1 else shortest
            rows.append(
                (protocol.code, slot, phase.name, phase.label, first, slowest, phase.grace, earliest, latest)
            )
    columns = [
        "protocol",
        "slot",
        "phase",
        "phase_label",
        "shortest",
        "longest",
        "grace",
        "earliest",
        "latest",
    ]
    return pd.DataFrame(rows, columns=columns).astype(
        {"protocol": "str", "phase": "str", "phase_label": "str"}
    )


def plan_slots(clinic: Dataset, *, longest: int = 0) -> pd.DataFrame:
    """Return `slot_table` of the clinic's protocols, each under the key ``_plan`` that the timeline has too."""
    slots = slot_table(clinic.vocabulary.protocols.values(), longest=longest)
    return slots.assign(_plan=pd.factorize(slots["protocol"])[0].astype("int64"))


def course_timeline(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return one row a course that started by the data cut, on the engine and computed once.

    Returns
    -------
    nw.LazyFrame
        ``course_id, patient_id, protocol, planned`` (sessions), ``attended`` (days with an attended session),
        ``asked`` (1 where somebody asked about side effects in any of them),
        ``start_day, first_day, last_day`` (of attended sessions), ``next_slot, phase`` (of the next slot), ``due_from, due_until``
        (its window), ``grace, end_day, reason`` (as recorded by the data cut), ``state`` (completed, ongoing,
        dropped_out), ``rule`` (a key of `COURSE_RULES`), ``last_attended_day, first_missed_day`` (the dropout date by
        either rule; null unless dropped out, the latter never before the last attended session), and ``_plan``
        (the key of the protocol in `plan_slots`; null where there is none) and ``_indication``. Days are integers since 1970-01-01.
    """
    return clinic.derive(
        "course_timeline", lambda: _with_state(_with_next_slot(_with_sessions(clinic), clinic), clinic)
    )


def _with_sessions(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return courses with their count and days of attended sessions, and what was recorded by the data cut."""
    later = clinic.lazy("sessions").filter(nw.col("status") == "attended", nw.col("date") > clinic.cutoff)
    later = later.group_by("course_id").agg(later=nw.len())
    # A course that goes on after the cut had not ended by it, nor need it have begun, where the date was not recorded.
    past = nw.col("later").is_null()
    known = (nw.col("end_date") <= clinic.cutoff) | (nw.col("end_date").is_null() & past)
    courses = clinic.lazy("courses").join(later, on="course_id", how="left")
    courses = courses.select(
        "course_id",
        "patient_id",
        "protocol",
        "planned_sessions",
        nw.col("indication").alias(INDICATION),
        past.alias("past"),
        day_number(nw.col("start_date")).alias("start_day"),
        nw.when(known).then(nw.col("status")).alias("recorded"),
        nw.when(known).then(day_number(nw.col("end_date"))).alias("end_day"),
        nw.when(known).then(nw.col("end_reason")).alias("reason"),
    )
    joined = courses.join(attended_counts(clinic), on="course_id", how="left")
    joined = joined.with_columns(nw.col("attended", "asked").fill_null(0))
    started = (nw.col("start_day") <= cutoff_day(clinic)) | (nw.col("start_day").is_null() & nw.col("past"))
    return joined.filter(started | (nw.col("attended") > 0)).drop("past")


def _with_next_slot(courses: nw.LazyFrame[Any], clinic: Dataset) -> nw.LazyFrame[Any]:
    """Add the window of each course's next slot; a course that plans more than its protocol goes on in the last phase."""
    slots = plan_slots(clinic)
    totals = slots.groupby(["protocol", "_plan"], as_index=False).agg(protocol_sessions=("slot", "max"))
    windows = slots[["_plan", "slot", "phase", "shortest", "longest", "grace"]].rename(
        columns={"slot": "window_slot"}
    )
    next_slot = nw.col("next_slot")
    courses = courses.join(clinic.engine.small(totals, courses), on="protocol", how="left").with_columns(
        nw.coalesce("planned_sessions", "protocol_sessions").alias("planned"),
        (nw.col("attended") + 1).alias("next_slot"),
    )
    courses = courses.with_columns(
        nw.when(next_slot > nw.col("protocol_sessions"))
        .then("protocol_sessions")
        .otherwise(next_slot)
        .alias("window_slot"),
        nw.coalesce("last_day", "start_day").alias("anchor"),
    )
    courses = courses.join(clinic.engine.small(windows, courses), on=["_plan", "window_slot"], how="left")
    planned = nw.col("planned").is_null() | (next_slot <= nw.col("planned"))
    return courses.with_columns(
        nw.when(planned).then(nw.col("anchor") + nw.col("shortest")).alias("due_from"),
        nw.when(planned).then(nw.col("anchor") + nw.col("longest")).alias("due_until"),
        nw.when(planned).then(nw.col("phase")).alias("phase"),
    )


def _with_state(courses: nw.LazyFrame[Any], clinic: Dataset) -> nw.LazyFrame[Any]:
    cut = nw.lit(cutoff_day(clinic))
    overdue = cut - nw.col("due_until")
    rule = (
        nw.when(nw.col("recorded") == "completed")
        .then(nw.lit("recorded_completed"))
        .when(nw.col("recorded") == "discontinued")
        .then(nw.lit("recorded_discontinued"))
        .when(nw.col("attended") >= nw.col("planned"))
        .then(nw.lit("all_attended"))
        .when(overdue.is_null())
        .then(nw.lit("no_schedule"))
        .when(overdue > nw.col("grace"))
        .then(nw.lit("overdue"))
        .otherwise(nw.lit("not_overdue"))
    )
    completed = nw.col("rule").is_in(["recorded_completed", "all_attended"])
    dropped = nw.col("rule").is_in(["recorded_discontinued", "overdue"])
    missed = nw.max_horizontal(nw.min_horizontal("due_until", "end_day", cut), "last_day")
    state = (
        nw.when(completed)
        .then(nw.lit("completed"))
        .when(dropped)
        .then(nw.lit("dropped_out"))
        .otherwise(nw.lit("ongoing"))
    )
    return (
        courses.with_columns(rule=rule)
        .with_columns(
            state=state,
            last_attended_day=nw.when(dropped).then(nw.col("last_day")),
            first_missed_day=nw.when(dropped).then(missed.cast(nw.Int64)),
        )
        .select(TIMELINE_COLUMNS)
    )


def course_states(clinic: Dataset) -> pd.DataFrame:
    """Return the state of each course at the data cut, and the rule that decided it.

    Parameters
    ----------
    clinic
        A data set.

    Returns
    -------
    pandas.DataFrame
        One row a course that started by the data cut: ``course_id, patient_id, protocol, planned, attended``
        (sessions), ``first_session, last_session`` (dates), ``next_slot, phase, due_from, due_until`` (the next slot and
        its window; empty without a protocol and past the plan), ``grace`` (days), ``state`` (completed, ongoing, dropped_out), ``rule`` (in
        words), ``reason`` (as recorded), ``dropout_last_attended, dropout_first_missed`` (dates).

    Notes
    -----
    The rules are asked in the order of `COURSE_RULES`. What the clinic recorded comes first: completed, or discontinued
    (also after all planned sessions). Without a record, a course with all planned sessions attended is completed, and one
    whose next session is overdue by more than the protocol's grace has dropped out. One
    that is not overdue, or has no protocol, is ongoing: it is censored. A record counts if its date is not after the
    data cut; one without a date counts unless the course has attended sessions after the cut.

    A course started by the data cut if its start date is not after it, or a session was held by then. One without a start
    date is taken as started, unless all its attended sessions are after the cut.

    Examples
    --------
    >>> import mesostats as ms
    >>> states = course_states(ms.simulate(100, seed=1))
    >>> sorted(states["state"].unique())
    ['completed', 'dropped_out', 'ongoing']
    """
    states = collect(course_timeline(clinic)).sort_values("course_id", ignore_index=True)
    dates = {
        "first_session": "first_day",
        "last_session": "last_day",
        "due_from": "due_from",
        "due_until": "due_until",
        "dropout_last_attended": "last_attended_day",
        "dropout_first_missed": "first_missed_day",
    }
    states = states.assign(
        **{name: as_date(states[day]) for name, day in dates.items()},
        next_slot=states["next_slot"].astype("Int64").where(states["phase"].notna()),
        rule=states["rule"].map(COURSE_RULES).astype("str"),
    )
    return states[[*_COURSE_COLUMNS]]


def as_date(days: pd.Series[Any]) -> pd.Series[Any]:
    """Turn days since 1970-01-01 into dates."""
    return pd.to_datetime(days, unit="D").astype("datetime64[s]")
