"""Adherence: how many of the planned sessions that were due were held on time, early or late, or missed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np

from mesostats.engine import collect
from mesostats.estimators import clustered_proportion
from mesostats.estimators.arguments import check_conf_level
from mesostats.estimators.clustering import with_clustering_note
from mesostats.populations import PHASE, POPULATIONS, cluster_sums, group_sizes, labels, started_courses
from mesostats.results import Result, contract, stack
from mesostats.slots import DUE, planned_slots, slot_states
from mesostats.visits.cells import sum_cells, totals_of
from mesostats.visits.groups import (
    OUTSIDE,
    SlotGroups,
    in_order,
    of_cell,
    slot_groups,
    with_course_groups,
    with_session_groups,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from mesostats.dataset import Dataset
    from mesostats.slots import Anchor

_HELD: Final = ("on_time", "early", "late")
_STATES: Final = (*DUE, "not_yet_due", "unscheduled")
_TAKEN: Final = {
    *("slot", "day", "due_from", "due_until", "state"),
    *("due", "visits", "in_denominator", "in_numerator", "excluded", *_STATES),
}
_ANCHORS: Final = {
    "held": "A slot's window moves with the session really held before it.",
    "plan": "A slot's window stays where the plan from the start date puts it.",
}
_RULES: Final = (
    "A slot is due once a session holds it, or its window closed before the data cut; slots not yet due are n_missing.",
    "The planned slots that follow a dropout are due as their windows close, and missed.",
    "Unscheduled visits hold no slot: they are counted apart, among all attended visits.",
)
_OF_SESSIONS: Final = (
    "By a column of sessions, slots without a session are the group 'not held': the shares of the other groups are of "
    "slots held."
)


def adherence(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = "phase",
    anchor: Anchor = "held",
    conf_level: float = 0.95,
) -> Result:
    """Estimate which shares of the slots that were due were held on time, early or late, or missed.

    Parameters
    ----------
    clinic
        A data set.
    by
        Columns of patients, courses or sessions, and ``phase`` (of the schedule, where no table has such a column). Slots
        that nobody held have no session: by a column of sessions (a practitioner) they form the group ``not held``.
    anchor
        ``held``: a slot's window moves with the session held before it; ``plan``: it stays where the plan from the start
        date puts it (see `session_states`).
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        Estimands ``on_time``, ``early``, ``late``, ``missed``: shares of the due slots of started courses (unit: slots;
        ``n_missing``: slots not yet due); they add up to 1. Then ``unscheduled``: the share of attended visits that hold
        no slot (unit: visits); by phase these are those of the phase ``outside the plan``.

    Raises
    ------
    ValueError
        If an argument is not one of those above, or ``by`` bears a name that the analysis needs.

    Notes
    -----
    Intervals are clustered in patients: Wilson's at the effective sample size (`estimators.clustered_proportion`). Courses
    without a protocol, or with an unknown one, have no slots: their visits are unscheduled. Sessions booked in vain hold
    no slot. A dropout makes all its later slots missed; `retention` tells who stays, adherence how the plan was kept.

    References
    ----------
    Korn EL, Graubard BI (1998). Confidence intervals for proportions with small expected number of positive counts
    estimated from survey data. Survey Methodology 24, 193-201.

    Examples
    --------
    >>> import mesostats as ms
    >>> kept = adherence(ms.simulate(200, seed=1), by="protocol")
    >>> shares = kept.estimates.query("unit == 'slots'").groupby("protocol")["estimate"].sum()
    >>> [round(share, 9) for share in shares]
    [1.0, 1.0]
    """
    check_conf_level(conf_level)
    groups = slot_groups(clinic, by, taken=_TAKEN)
    counts = _patient_counts(clinic, groups, anchor)
    due = _due_cells(counts, clinic, groups)
    visits = _visit_cells(counts, groups)
    frames = [
        _shares(due, groups.by, state, unit="slots", conf_level=conf_level).assign(
            n_missing=due["not_yet_due"]
        )
        for state in DUE
    ]
    frames.append(_shares(visits, groups.by, "unscheduled", unit="visits", conf_level=conf_level))
    estimates = in_order(contract(stack(frames), groups.by), clinic, groups)
    arguments = {"by": list(groups.by), "anchor": anchor, "conf_level": conf_level}
    return Result(
        estimates, _spec(clinic, groups, arguments), lambda cell: _explain(clinic, groups, anchor, cell)
    )


def _patient_counts(clinic: Dataset, groups: SlotGroups, anchor: Anchor) -> nw.LazyFrame[Any]:
    """Return one row a group and patient: the number of slots and visits in each state, kept on the engine."""

    def build() -> nw.LazyFrame[Any]:
        slots = (
            slot_states(clinic, anchor=anchor) if groups.of_sessions else planned_slots(clinic, anchor=anchor)
        )
        slots = with_session_groups(slots, clinic, groups)
        numbers = [
            nw.when(nw.col("state") == state).then(nw.lit(1)).count().alias(state) for state in _STATES
        ]
        # Courses come first: their groups then are joined to far fewer rows.
        courses = slots.group_by("course_id", *groups.of_slots).agg(*numbers)
        courses = with_course_groups(courses, clinic, groups)
        return courses.group_by(*groups.by, "patient_id").agg(nw.col(*_STATES).sum())

    return clinic.derive(f"adherence:{groups}:{anchor}", build)


def _due_cells(counts: nw.LazyFrame[Any], clinic: Dataset, groups: SlotGroups) -> pd.DataFrame:
    """Return the sums over patients of each state among due slots, one row a group."""
    number = {state: nw.col(state).cast(nw.Float64) for state in _STATES}
    patients = counts.filter(nw.sum_horizontal(*DUE, "not_yet_due") > 0)
    patients = patients.with_columns(**number, due=nw.sum_horizontal(*DUE).cast(nw.Float64))
    sums = [part for state in DUE for part in cluster_sums(nw.col("due"), nw.col(state), state)]
    cells = sum_cells(patients, groups.by, [*sums, nw.col("not_yet_due").sum()])
    if groups.of_slots:
        return cells
    # Groups of courses without a slot are seen too.
    everybody = group_sizes(started_courses(clinic, groups.by), groups.by).drop(columns="courses")
    return (everybody.merge(cells, how="left", on=[*groups.by]) if groups.by else cells).fillna(0.0)


def _visit_cells(counts: nw.LazyFrame[Any], groups: SlotGroups) -> pd.DataFrame:
    """Return the sums over patients of unscheduled among attended visits; all phases of the schedule in one."""
    others = [column for column in groups.by if not (groups.phase and column == PHASE)]
    visits = nw.sum_horizontal(*_HELD, "unscheduled").sum().cast(nw.Float64)
    patients = counts.group_by(*others, "patient_id").agg(
        visits=visits, unscheduled=nw.col("unscheduled").sum().cast(nw.Float64)
    )
    sums = cluster_sums(nw.col("visits"), nw.col("unscheduled"), "unscheduled")
    cells = sum_cells(patients.filter(nw.col("visits") > 0), others, sums)
    return cells.assign(**{PHASE: OUTSIDE}) if groups.phase else cells


def _shares(
    cells: pd.DataFrame, by: Sequence[str], state: str, *, unit: str, conf_level: float
) -> pd.DataFrame:
    found = with_clustering_note(clustered_proportion(totals_of(cells, state), conf_level=conf_level))
    return found.assign(**{name: cells[name].to_numpy() for name in by}, estimand=state, unit=unit)


def _spec(clinic: Dataset, groups: SlotGroups, arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "analysis": "adherence",
        "title": "Adherence: due sessions held on time, early or late, or missed",
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {
            "slots": "planned sessions, due by the data cut, of courses that started by it",
            "visits": "attended sessions by the data cut",
            "courses": POPULATIONS["started"],
        },
        "rules": [_ANCHORS[arguments["anchor"]], *_RULES, *([_OF_SESSIONS] if groups.of_sessions else [])],
        "primary": "on_time",
        "references": ["Korn EL, Graubard BI. Survey Methodology 1998;24:193-201."],
        "labels": labels(clinic, groups.by),
    }


def _explain(clinic: Dataset, groups: SlotGroups, anchor: Anchor, cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a slot or visit: counted among those due (or among visits), and in the cell's state."""
    estimand = cell.get("estimand", "on_time")
    slots = slot_states(clinic, anchor=anchor).with_columns(of_plan=nw.col(PHASE))
    slots = with_course_groups(with_session_groups(slots, clinic, groups), clinic, groups)
    by = [
        column for column in groups.by if not (groups.phase and column == PHASE and estimand == "unscheduled")
    ]
    columns = ["course_id", "patient_id", "slot", "session_id", "state", *groups.by]
    rows = collect(of_cell(slots, by, cell).select(*columns))
    rows = rows.sort_values(["course_id", "slot", "session_id"], ignore_index=True)
    counted = rows["state"].isin([*_HELD, "unscheduled"] if estimand == "unscheduled" else DUE)
    why = np.where(
        rows["state"] == "unscheduled", "unscheduled: holds no slot", "not yet due by the data cut"
    )
    if estimand == "unscheduled":
        why = np.full(len(rows), "no session was held")
    return rows.assign(
        slot=rows["slot"].astype("Int64"),
        in_denominator=counted,
        in_numerator=rows["state"] == estimand,
        excluded=np.where(counted, "", why),
    )
