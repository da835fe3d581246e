"""Slots: each planned session and each visit outside the plan, with its state at the data cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw

from mesostats.engine import collect, day_number
from mesostats.schedule import as_date, attended_sessions, course_timeline, cutoff_day, slot_table

if TYPE_CHECKING:
    import pandas as pd

    from mesostats.dataset import Dataset


def session_states(clinic: Dataset) -> pd.DataFrame:
    """Return the state of each planned slot, and of each visit outside the plan, at the data cut.

    Parameters
    ----------
    clinic
        A data set.

    Returns
    -------
    pandas.DataFrame
        One row a slot or unscheduled visit: ``course_id, slot`` (empty where unscheduled), ``phase, session_id, date``
        (of the session held, empty where none was), ``due_from, due_until`` (the window), ``state``: on_time, early,
        late (a held session against its window), missed (the window closed before the data cut), not_yet_due,
        unscheduled (a second visit on a day, one past the plan, or one without a window: of a course without a protocol,
        or the first of a course without a start date).

    Notes
    -----
    Windows are anchored to the session held before; those of slots past the next one are projected from the last held
    session. After a course was recorded as completed, no further slots are planned.

    Examples
    --------
    >>> import mesostats as ms
    >>> slots = session_states(ms.simulate(50, seed=1))
    >>> set(slots["state"]) <= {"on_time", "early", "late", "missed", "not_yet_due", "unscheduled"}
    True
    """
    states = collect(slot_states(clinic)).sort_values(["course_id", "slot", "day"], ignore_index=True)
    dates = {
        name: as_date(states[day]) for name, day in [("date", "day"), ("due_from",) * 2, ("due_until",) * 2]
    }
    columns = ["course_id", "slot", "phase", "session_id", "date", "due_from", "due_until", "state"]
    return states.assign(**dates, slot=states["slot"].astype("Int64"))[columns]


def slot_states(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return `session_states` on the engine, days as integers since 1970-01-01."""
    planned = course_timeline(clinic).select(nw.col("planned").max())
    most = collect(planned)["planned"].fillna(0).astype(int).iloc[0]
    slots = slot_table(clinic.vocabulary.protocols.values(), longest=int(most))
    table = clinic.engine.small(slots, clinic.lazy("courses"))
    held = _held_slots(clinic, table)
    return nw.concat([held, _open_slots(clinic, table), _unscheduled(clinic)], how="vertical")


def session_phases(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return ``session_id, phase`` of the attended sessions that hold a slot of the plan, on the engine."""
    return slot_states(clinic).filter(~nw.col("session_id").is_null()).select("session_id", "phase")


_SLOT_COLUMNS = ("course_id", "slot", "phase", "session_id", "day", "due_from", "due_until", "state")


def _held_days(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return one row a course and day with an attended session: the session that holds the slot, and its number."""
    days = attended_sessions(clinic).group_by("course_id", "date").agg(nw.col("session_id").min())
    days = days.with_columns(day=day_number(nw.col("date")))
    return days.with_columns(
        slot=nw.col("day").cum_count().over("course_id", order_by="day"),
        before=nw.col("day").shift(1).over("course_id", order_by="day"),
    )


def _held_slots(clinic: Dataset, table: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    courses = course_timeline(clinic).select("course_id", "protocol", "planned", "start_day")
    held = (
        _held_days(clinic)
        .join(courses, on="course_id", how="inner")
        .join(table, on=["protocol", "slot"], how="left")
        .with_columns(anchor=nw.coalesce("before", "start_day"))
        .with_columns(
            due_from=nw.col("anchor") + nw.col("shortest"), due_until=nw.col("anchor") + nw.col("longest")
        )
    )
    in_plan = nw.col("slot") <= nw.col("planned")
    scheduled = in_plan & ~nw.col("due_until").is_null()
    state = (
        nw.when(in_plan & (nw.col("day") < nw.col("due_from")))
        .then(nw.lit("early"))
        .when(in_plan & (nw.col("day") > nw.col("due_until")))
        .then(nw.lit("late"))
        .when(scheduled)
        .then(nw.lit("on_time"))
        .otherwise(nw.lit("unscheduled"))
    )
    planned = {
        name: nw.when(scheduled).then(nw.col(name)) for name in ("slot", "phase", "due_from", "due_until")
    }
    return held.with_columns(state=state, **planned).select(_SLOT_COLUMNS)


def _open_slots(clinic: Dataset, table: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Return the planned slots that no session holds: missed, or not yet due.

    Days after the last held session are those of the plan between the two slots; where no session was held, they count
    from the start date and the first slot's own window moves all later ones.
    """
    courses = (
        course_timeline(clinic)
        .filter(nw.col("rule") != "recorded_completed")
        .drop("phase", "due_from", "due_until")
    )
    reached = table.select("protocol", attended="slot", earliest_held="earliest", latest_held="latest")
    first = table.filter(nw.col("slot") == 1).select("protocol", first_window="longest")
    slots = (
        courses.join(reached, on=["protocol", "attended"], how="left")
        .join(first, on="protocol", how="left")
        .join(table, on="protocol", how="inner")
        .filter(nw.col("slot") > nw.col("attended"), nw.col("slot") <= nw.col("planned"))
    )
    anchor = nw.coalesce("last_day", "start_day")
    latest = nw.coalesce(nw.col("latest") - nw.col("latest_held"), nw.col("latest") + nw.col("first_window"))
    return (
        slots.with_columns(
            due_from=anchor + nw.col("earliest") - nw.coalesce("earliest_held", nw.lit(0.0)),
            due_until=anchor + latest,
            session_id=nw.lit(None).cast(nw.String),
            day=nw.lit(None).cast(nw.Int64),
        )
        .with_columns(
            state=nw.when(nw.col("due_until") < cutoff_day(clinic))
            .then(nw.lit("missed"))
            .otherwise(nw.lit("not_yet_due"))
        )
        .select(_SLOT_COLUMNS)
    )


def _unscheduled(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return the further visits of a day on which another session holds the slot."""
    holders = _held_days(clinic).select("session_id")
    none = nw.lit(None).cast(nw.Float64)
    return (
        attended_sessions(clinic)
        .join(holders, on="session_id", how="anti")
        .with_columns(
            slot=nw.lit(None).cast(nw.Int64),
            phase=nw.lit(None).cast(nw.String),
            day=day_number(nw.col("date")),
            due_from=none,
            due_until=none,
            state=nw.lit("unscheduled"),
        )
        .select(_SLOT_COLUMNS)
    )
