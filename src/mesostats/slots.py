"""Slots: each planned session and each visit outside the plan, with its state at the data cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import narwhals as nw

from mesostats.attendance import attended_days, attended_sessions, attended_visits, days_repeat, first_of_day
from mesostats.engine import collect, day_number
from mesostats.estimators.arguments import check_choice
from mesostats.schedule import as_date, course_timeline, cutoff_day, plan_slots

if TYPE_CHECKING:
    import pandas as pd

    from mesostats.dataset import Dataset

Anchor = Literal["held", "plan"]
"""What moves a slot: the session really held before it, or nothing but the start date."""

DUE: Final = ("on_time", "early", "late", "missed")
"""The states of slots that were due: those that a session holds, and those whose window closed without one."""

_SLOT_COLUMNS: Final = ("course_id", "slot", "phase", "day", "due_from", "due_until", "state")


def session_states(clinic: Dataset, *, anchor: Anchor = "held") -> pd.DataFrame:
    """Return the state of each planned slot, and of each visit outside the plan, at the data cut.

    Parameters
    ----------
    clinic
        A data set.
    anchor
        ``held``: a slot's window moves with the session really held before it. ``plan``: it stays where the plan from the
        start date puts it.

    Returns
    -------
    pandas.DataFrame
        One row a slot or unscheduled visit: ``course_id, slot`` (empty where unscheduled), ``phase, session_id, date``
        (of the session held, empty where none was), ``due_from, due_until`` (the window), ``state``: on_time, early,
        late (a held session against its window), missed (the window closed before the data cut), not_yet_due,
        unscheduled (a second visit on a day, one past the plan, or one without a window: of a course without a protocol,
        or the first of a course without a start date); and ``anchor`` as given.

    Raises
    ------
    ValueError
        If ``anchor`` is neither of the two.

    Notes
    -----
    Under either anchor the k-th day with an attended session holds slot k; only the windows differ. Of several sessions
    on a day, that with the first id holds the slot.

    ``held``: slot k is due within its phase's interval after session k - 1; slots past the next one are projected from
    the last held session. A delay is seen once, at the session that came late. ``plan``: slot k is due between the sums of
    the shortest and of the longest intervals up to it, counted from the start date (the longest ones with the first
    session's own window). Windows grow along the course, and a delay stays until it is made up. Without a start date the
    first session held takes its place, and the later windows count from that session alone.

    After a course was recorded as completed, no further slots are planned. Those that follow a dropout are: their
    windows close, and they are missed. A recorded end does not undo sessions held after it.

    Examples
    --------
    >>> import mesostats as ms
    >>> slots = session_states(ms.simulate(50, seed=1))
    >>> set(slots["state"]) <= {"on_time", "early", "late", "missed", "not_yet_due", "unscheduled"}
    True
    """
    states = collect(slot_states(clinic, anchor=anchor))
    states = states.sort_values(["course_id", "slot", "day", "session_id"], ignore_index=True)
    dates = {
        name: as_date(states[day]) for name, day in [("date", "day"), ("due_from",) * 2, ("due_until",) * 2]
    }
    columns = ["course_id", "slot", "phase", "session_id", "date", "due_from", "due_until", "state", "anchor"]
    return states.assign(**dates, slot=states["slot"].astype("Int64"), anchor=anchor)[columns]


def slot_states(clinic: Dataset, *, anchor: Anchor = "held") -> nw.LazyFrame[Any]:
    """Return `session_states` on the engine, days as integers since 1970-01-01.

    To name the session of each slot costs more than all else; `planned_slots` does without.
    """
    named = _own_slots(clinic, anchor).join(slot_holders(clinic), on=["course_id", "day"], how="left")
    parts = [frame.select(*_SLOT_COLUMNS, "session_id") for frame in (named, _further_sessions(clinic))]
    return nw.concat(parts, how="vertical")


def session_phases(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return ``session_id, phase`` of the attended sessions that hold a slot of the plan, on the engine."""
    held = slot_states(clinic).filter(~nw.col("session_id").is_null(), ~nw.col("phase").is_null())
    return held.select("session_id", "phase")


def planned_slots(clinic: Dataset, *, anchor: Anchor = "held") -> nw.LazyFrame[Any]:
    """Return each planned slot and each visit outside the plan, on the engine, without the ids of sessions.

    Returns
    -------
    nw.LazyFrame
        ``course_id, slot, phase, day`` (of the session held), ``due_from, due_until, state`` as of `session_states`, days
        as integers since 1970-01-01.

    Raises
    ------
    ValueError
        If ``anchor`` is neither of the two.
    """
    own = _own_slots(clinic, anchor)
    return nw.concat([own, _unscheduled(clinic)], how="vertical") if days_repeat(clinic) else own


def _own_slots(clinic: Dataset, anchor: Anchor) -> nw.LazyFrame[Any]:
    """Return each planned slot, and each day with an attended session outside the plan."""
    check_choice(anchor, get_args(Anchor), "anchor")
    attended_days(clinic)  # once the visits are in order, the timeline need not count their days anew
    most = collect(course_timeline(clinic).select(nw.col("planned").max()))["planned"]
    slots = plan_slots(clinic, longest=int(most.fillna(0).iloc[0]))
    first = slots[slots["slot"] == 1].set_index("_plan")["longest"]
    slots = slots.assign(first_window=slots["_plan"].map(first)).drop(columns=["protocol", "phase_label"])
    table = clinic.engine.small(slots, clinic.lazy("courses"))
    return nw.concat([_held_slots(clinic, table, anchor), _open_slots(clinic, table, anchor)], how="vertical")


def _held_slots(clinic: Dataset, table: nw.LazyFrame[Any], anchor: Anchor) -> nw.LazyFrame[Any]:
    courses = course_timeline(clinic).select("course_id", "_plan", "planned", "start_day", "first_day")
    held = (
        attended_days(clinic)
        .select("course_id", "before", nw.col("day").cast(nw.Int64), slot="place")
        .join(courses, on="course_id", how="inner")
        .join(table, on=["_plan", "slot"], how="left")
    )
    held = held.with_columns(**_held_window() if anchor == "held" else _plan_window())
    in_plan = nw.col("slot") <= nw.col("planned")
    # Without a start date nothing says when the first session was due.
    scheduled = in_plan & ~nw.col("due_until").is_null() & ~nw.coalesce("before", "start_day").is_null()
    state = (
        nw.when(scheduled & (nw.col("day") < nw.col("due_from")))
        .then(nw.lit("early"))
        .when(scheduled & (nw.col("day") > nw.col("due_until")))
        .then(nw.lit("late"))
        .when(scheduled)
        .then(nw.lit("on_time"))
        .otherwise(nw.lit("unscheduled"))
    )
    planned = {
        name: nw.when(scheduled).then(nw.col(name)) for name in ("slot", "phase", "due_from", "due_until")
    }
    return held.with_columns(state=state, **planned).select(_SLOT_COLUMNS)


def _held_window() -> dict[str, nw.Expr]:
    """Return the window of a held slot: its interval after the session before, or after the start."""
    anchor = nw.coalesce("before", "start_day")
    return {"due_from": anchor + nw.col("shortest"), "due_until": anchor + nw.col("longest")}


def _plan_window() -> dict[str, nw.Expr]:
    """Return the window of a slot where the plan puts it: the intervals summed up from the start."""
    start = nw.coalesce("start_day", "first_day")
    slack = nw.when(~nw.col("start_day").is_null()).then(nw.col("first_window")).otherwise(nw.lit(0.0))
    return {"due_from": start + nw.col("earliest"), "due_until": start + nw.col("latest") + slack}


def _open_slots(clinic: Dataset, table: nw.LazyFrame[Any], anchor: Anchor) -> nw.LazyFrame[Any]:
    """Return the planned slots that no session holds: missed, or not yet due."""
    courses = course_timeline(clinic).filter(nw.col("rule") != "recorded_completed")
    courses = courses.select(
        "course_id", "_plan", "planned", "attended", "start_day", "first_day", "last_day"
    )
    reached = table.select("_plan", attended="slot", earliest_held="earliest", latest_held="latest")
    slots = (
        courses.join(reached, on=["_plan", "attended"], how="left")
        .join(table, on="_plan", how="inner")
        .filter(nw.col("slot") > nw.col("attended"), nw.col("slot") <= nw.col("planned"))
    )
    window = _projected_window() if anchor == "held" else _plan_window()
    none = nw.lit(None).cast(nw.Int64)
    state = (
        nw.when(nw.col("due_until") < cutoff_day(clinic))
        .then(nw.lit("missed"))
        .otherwise(nw.lit("not_yet_due"))
    )
    return slots.with_columns(day=none, **window).with_columns(state=state).select(_SLOT_COLUMNS)


def _projected_window() -> dict[str, nw.Expr]:
    """Return the window of an open slot, projected from the last held session.

    Days after it are those of the plan between the two slots; where no session was held, they count from the start date
    and the first slot's own window moves all later ones.
    """
    anchor = nw.coalesce("last_day", "start_day")
    latest = nw.coalesce(nw.col("latest") - nw.col("latest_held"), nw.col("latest") + nw.col("first_window"))
    return {
        "due_from": anchor + nw.col("earliest") - nw.coalesce("earliest_held", nw.lit(0.0)),
        "due_until": anchor + latest,
    }


_OUTSIDE: Final = {
    "slot": nw.lit(None).cast(nw.Int64),
    "phase": nw.lit(None).cast(nw.String),
    "due_from": nw.lit(None).cast(nw.Float64),
    "due_until": nw.lit(None).cast(nw.Float64),
    "state": nw.lit("unscheduled"),
}


def _unscheduled(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return the further visits of a day on which another session holds the slot."""
    courses = course_timeline(clinic).select("course_id")
    further = attended_visits(clinic).filter(~first_of_day()).join(courses, on="course_id", how="inner")
    return further.with_columns(day=nw.col("day").cast(nw.Int64), **_OUTSIDE).select(_SLOT_COLUMNS)


def slot_holders(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return ``course_id, day, session_id``: of each day with an attended session, the one that holds the slot."""

    def build() -> nw.LazyFrame[Any]:
        days = attended_sessions(clinic).group_by("course_id", "date").agg(nw.col("session_id").min())
        return days.select("course_id", "session_id", day=day_number(nw.col("date")))

    return clinic.derive("slot_holders", build)


def _further_sessions(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return `_unscheduled` with the ids of the sessions."""
    started = course_timeline(clinic).select("course_id")
    further = (
        attended_sessions(clinic)
        .select("course_id", "session_id", day=day_number(nw.col("date")))
        .join(slot_holders(clinic), on="session_id", how="anti")
        .join(started, on="course_id", how="inner")
    )
    return further.with_columns(**_OUTSIDE)
