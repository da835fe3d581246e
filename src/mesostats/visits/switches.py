"""Phase switches: when a course moved on to the next phase of its schedule, by its gaps, beside when it should have.

The sources let improvement decide: weekly at first and, if the skin improves, every two weeks or once a month. The export
does not say when a clinic changed the rhythm; the days between sessions do, as far as the windows of the phases tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.attendance import attended_days
from mesostats.engine import collect
from mesostats.schedule import as_date, course_timeline, plan_slots

if TYPE_CHECKING:
    from mesostats.dataset import Dataset

SWITCH_RULES: Final = {
    "switched": "a gap lies in the window of this phase and of no other",
    "skipped": "a gap lies in the window of a later phase alone, and none before it in that of this one alone",
    "ambiguous": "no gap lies in the window of this phase alone; some lie in it and in another's too",
    "not_seen": "no gap lies in the window of this phase",
    "one_phase": "the protocol has one phase: there is nothing to switch to",
    "no_protocol": "no protocol, or one that is not in the vocabulary",
}
"""How a course's move into a phase was judged."""

_COLUMNS: Final = (
    *("course_id", "patient_id", "protocol", "phase", "planned_slot", "detected_slot", "detected_date"),
    *("slots_later", "went_back", "state", "rule"),
)


def phase_switches(clinic: Dataset) -> pd.DataFrame:
    """Return, for each course and each phase after the first, when it should have moved on and when its gaps say it did.

    Parameters
    ----------
    clinic
        A data set.

    Returns
    -------
    pandas.DataFrame
        One row a started course and phase after its protocol's first one; one row, without a phase, for courses whose
        protocol has one phase, is unknown or absent. ``course_id, patient_id, protocol, phase``; ``planned_slot`` (the
        first slot of the phase; empty where the course plans fewer sessions); ``detected_slot, detected_date`` (the
        session that ended the first gap of the phase); ``slots_later`` (detected minus planned slot: negative where the
        course moved on earlier than planned); ``went_back`` (a later gap lies in an earlier phase's window alone);
        ``state`` (a key of `SWITCH_RULES`) and ``rule`` (in words).

    Notes
    -----
    A gap is the number of days from one day with an attended session to the course's next one; it belongs to the phase
    whose window, shortest to longest interval, holds it and no other phase's window of the protocol does. The course
    moved into a phase with the first gap that belongs to it; where a gap of a later phase comes first, the phase was
    skipped. Gaps in two windows, or in none, decide nothing.

    What cannot be told: a single missed appointment makes a long gap, which looks like a move into a slower phase
    (``went_back`` shows it, where sessions followed); phases with the same window cannot be told apart; the last session
    held says nothing of the rhythm after it; and why a clinic moved on is not in the gaps.

    Examples
    --------
    >>> import mesostats as ms
    >>> switches = phase_switches(ms.simulate(100, seed=1))
    >>> sorted(switches["phase"].dropna().unique())
    ['fortnightly', 'monthly']
    """
    found = collect(phase_switch_table(clinic))
    found = found.sort_values(["course_id", "planned_slot", "_number"], ignore_index=True, na_position="last")
    reached = found["planned_slot"].where(found["planned_slot"] <= found["planned"])
    return found.assign(
        planned_slot=reached.astype("Int64"),
        detected_slot=found["detected_slot"].astype("Int64"),
        detected_date=as_date(found["detected_day"]),
        slots_later=(found["detected_slot"] - reached).astype("Int64"),
        went_back=found["went_back"].astype("boolean"),
        rule=found["state"].map(SWITCH_RULES).astype("str"),
    )[[*_COLUMNS]]


def phase_switch_table(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return `phase_switches` on the engine.

    Returns
    -------
    nw.LazyFrame
        ``course_id, patient_id, protocol, planned, _number`` (of the phase in its protocol, from 0), ``phase,
        planned_slot, detected_slot, detected_day`` (since 1970-01-01), ``went_back`` (null where nothing was detected)
        and ``state``.
    """
    phases = _phases(clinic)
    courses = course_timeline(clinic).select("course_id", "patient_id", "protocol", "planned", "_plan")
    table = clinic.engine.small(phases, courses)
    signs = _signs(clinic, phases)
    rows = courses.join(table.filter(nw.col("_number") > 0), on="_plan", how="left")
    rows = rows.join(signs, on=["course_id", "_number"], how="left")
    return rows.with_columns(state=_state()).select(
        *("course_id", "patient_id", "protocol", "planned", "_number", "phase", "planned_slot"),
        *("detected_slot", "detected_day", "went_back", "state"),
    )


def _state() -> nw.Expr:
    # A phase is skipped if a later one was seen, and this one was not seen before that.
    skipped = nw.col("detected_slot").is_null() & ~nw.col("later_slot").is_null()
    return (
        nw.when(nw.col("_plan").is_null())
        .then(nw.lit("no_protocol"))
        .when(nw.col("_number").is_null())
        .then(nw.lit("one_phase"))
        .when(skipped)
        .then(nw.lit("skipped"))
        .when(~nw.col("detected_slot").is_null())
        .then(nw.lit("switched"))
        .when(~nw.col("shared_slot").is_null())
        .then(nw.lit("ambiguous"))
        .otherwise(nw.lit("not_seen"))
    )


def _phases(clinic: Dataset) -> pd.DataFrame:
    """Return one row a phase: its protocol's key, its number from 0, its name, its first slot and its window."""
    slots = plan_slots(clinic)
    keys = dict(zip(slots["protocol"], slots["_plan"], strict=True))
    rows = []
    for code, protocol in clinic.vocabulary.protocols.items():
        slot = 1
        for number, phase in enumerate(protocol.phases):
            rows.append((keys[code], number, phase.name, slot, *phase.interval_days))
            slot += phase.sessions
    return pd.DataFrame(rows, columns=["_plan", "_number", "phase", "planned_slot", "shortest", "longest"])


def _gap_table(phases: pd.DataFrame, longest: int) -> pd.DataFrame:
    """Return one row a phase and number of days in its window, up to ``longest``; ``alone`` in no other phase's window."""
    days = pd.DataFrame({"gap": np.arange(1, longest + 1, dtype=np.int64)})
    table = phases.merge(days, how="cross").query("shortest <= gap <= longest")
    alone = ~table.duplicated(["_plan", "gap"], keep=False)
    return table[["_plan", "_number", "gap"]].assign(alone=alone.astype("int64"))


def _signs(clinic: Dataset, phases: pd.DataFrame) -> nw.LazyFrame[Any]:
    """Return, a course and phase, what its gaps say: the first one of the phase alone, and those of its neighbours."""
    visits = attended_days(clinic).filter(~nw.col("before").is_null())
    gaps = visits.with_columns(gap=(nw.col("day") - nw.col("before")).cast(nw.Int64))
    widest = collect(gaps.select(nw.col("gap").max()))["gap"].fillna(0).astype(int).iloc[0]
    table = clinic.engine.small(_gap_table(phases, int(widest)), visits)
    plans = course_timeline(clinic).select("course_id", "_plan")
    gaps = gaps.join(plans, on="course_id", how="inner").join(table, on=["_plan", "gap"], how="inner")
    alone = nw.when(nw.col("alone") == 1)
    seen = gaps.group_by("course_id", "_plan", "_number").agg(
        first_slot=alone.then(nw.col("place")).min(),
        last_slot=alone.then(nw.col("place")).max(),
        detected_day=alone.then(nw.col("day")).min().cast(nw.Int64),
        shared_slot=nw.when(nw.col("alone") == 0).then(nw.col("place")).min(),
    )
    return _compared(seen, clinic, phases)


def _compared(seen: nw.LazyFrame[Any], clinic: Dataset, phases: pd.DataFrame) -> nw.LazyFrame[Any]:
    """Compare each phase of a course with the earlier and later ones; also phases in whose window no gap lies."""
    pairs = phases[["_plan", "_number"]].merge(
        phases[["_plan", "_number"]].rename(columns={"_number": "other"}), on="_plan"
    )
    marks = seen.select(
        "course_id", "_plan", "last_slot", "first_slot", "detected_day", "shared_slot", other="_number"
    )
    both = marks.join(clinic.engine.small(pairs, seen), on=["_plan", "other"], how="inner")
    other, own = nw.col("other"), nw.col("other") == nw.col("_number")
    signs = both.group_by("course_id", "_number").agg(
        own_slot=nw.when(own).then(nw.col("first_slot")).max(),
        own_day=nw.when(own).then(nw.col("detected_day")).max(),
        shared_slot=nw.when(own).then(nw.col("shared_slot")).max(),
        later_slot=nw.when(other > nw.col("_number")).then(nw.col("first_slot")).min(),
        earlier_slot=nw.when(other < nw.col("_number")).then(nw.col("last_slot")).max(),
    )
    # A phase that comes after a later one was not moved into: the course fell back to it.
    detected = nw.when(nw.col("later_slot").is_null() | (nw.col("own_slot") < nw.col("later_slot")))
    signs = signs.with_columns(
        detected_slot=detected.then(nw.col("own_slot")), detected_day=detected.then(nw.col("own_day"))
    )
    back = nw.coalesce("earlier_slot", nw.lit(0)) > nw.col("detected_slot")
    went_back = nw.when(~nw.col("detected_slot").is_null()).then(back)
    return signs.with_columns(went_back=went_back).select(
        *("course_id", "_number", "detected_slot", "detected_day", "shared_slot", "later_slot", "went_back")
    )
