"""The flow of patients and courses through the schedule: the numbers of a CONSORT diagram, from the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.dropout.end_reasons import ALL_REASONS, REASON_RULE, in_order, reason_labels, with_reason
from mesostats.dropout.phase_hazards import PHASE, phase_spans
from mesostats.dropout.times import TAKEN, course_rows, dropout_spec, groups_of, of_group
from mesostats.engine import collect
from mesostats.populations import NOT_RECORDED, grouping, started_courses, with_groups
from mesostats.results import Result, contract, stack
from mesostats.schedule import slot_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from mesostats.dataset import Dataset

REASON: Final = "reason"
ALL_PHASES: Final = "all phases"
"""What stands in the column ``phase`` of a number that belongs to no phase."""
AFTER: Final = "after the plan"
"""The phase of courses whose planned sessions were all attended."""

_DROPPED: Final = "dropped_out"
_STATES: Final = ("completed", "ongoing", _DROPPED)
_PLACE: Final = ("attended", "planned", "next_slot", PHASE, "state", REASON)
_METHOD: Final = "count; the estimate is its share of the courses started"
_RULES: Final = (
    "Due in a phase: all sessions of the phases before were attended, and the course plans a session of it.",
    "A course ends, or waits, in the phase of its next session; 'after the plan' where it has none.",
    "Due in a phase less those that completed, go on or dropped out in it are those due in the next, within a protocol.",
    "States are those of `course_states`.",
    "Recorded as discontinued after all planned sessions: dropped out 'after the plan' here, completed in `retention`.",
)


def patient_flow(clinic: Dataset, *, by: str | Sequence[str] | None = "protocol") -> Result:
    """Count how patients and courses flow through the schedule.

    Parameters
    ----------
    clinic
        A data set.
    by
        Columns of patients or courses. A flow is one line within a protocol only.

    Returns
    -------
    Result
        By group, ``phase`` and ``reason``, in the order of the flow. For ``all phases``: ``registered`` (patients of the
        group; where a grouping column belongs to courses, those with a course in it), ``started`` (courses by the data
        cut), ``attended_first_session``, ``completed``, ``ongoing``, ``dropped_out``, and ``dropped_out`` for each reason. For each
        phase of the group's protocols: ``due`` (came as far as the phase), ``reached`` (attended its first session),
        and the courses that were ``completed``, are ``ongoing`` or have ``dropped_out`` (for each reason too) in it. The number is the
        numerator; the denominator of courses is those started. No intervals: a flow describes these courses.

    Raises
    ------
    ValueError
        If ``by`` is not a column or bears a name that the analysis needs.

    Notes
    -----
    A dropout belongs to the phase of the session that was missed, as in `hazard_by_phase`: whoever came to all weekly
    sessions and to no monthly one dropped out in the monthly phase. A course without a protocol has the phase ``not
    recorded``.

    References
    ----------
    Schulz KF, Altman DG, Moher D (2010). CONSORT 2010 statement: updated guidelines for reporting parallel group
    randomised trials. doi:10.1136/bmj.c332

    Examples
    --------
    >>> import mesostats as ms
    >>> flow = patient_flow(ms.simulate(200, seed=1))
    >>> short = {"protocol": "short_course", "phase": "course", "reason": "all reasons"}
    >>> due = flow.cell(**short, estimand="due")["numerator"]
    >>> bool(due == flow.cell(**short | {"phase": "all phases"}, estimand="started")["numerator"])
    True
    """
    columns = grouping(by, taken=TAKEN)
    courses = with_reason(started_courses(clinic, columns))
    keys = dict.fromkeys((*columns, "protocol", *_PLACE))
    counts = _placed(collect(courses.group_by(*keys).agg(courses=nw.len())))
    reasons = in_order(counts.loc[counts["state"] == _DROPPED, REASON], clinic)
    firsts, people = _first_slots(clinic), _registered(clinic, columns)
    frames = []
    for group, patients in _groups(people, counts, columns):
        own = of_group(counts, columns, group)
        steps = _steps(_phases(own["protocol"], firsts), reasons)
        rows = [step | {"numerator": own.loc[_at(own, step, firsts), "courses"].sum()} for step in steps]
        found = _registered_row(patients) + [row | _share(row, own["courses"].sum()) for row in rows]
        frames.append(pd.DataFrame(found).assign(**dict(zip(columns, group, strict=True))))
    estimates = contract(stack(frames), [*columns, PHASE, REASON])
    spec = _spec(clinic, columns)
    return Result(estimates, spec, lambda cell: _explain(courses, (people, firsts), columns, cell))


def _placed(places: pd.DataFrame) -> pd.DataFrame:
    """Say of courses without a next slot in a phase whether they are past the plan or have no schedule."""
    past = places["planned"].notna() & (places["next_slot"] > places["planned"])
    return places.assign(**{PHASE: places[PHASE].fillna(NOT_RECORDED).mask(past, AFTER)})


def _first_slots(clinic: Dataset) -> pd.DataFrame:
    """Return the first slot of each phase (column) of each protocol (row); phases in the order of the protocols."""
    spans = phase_spans(clinic)
    firsts = spans.pivot_table(index="protocol", columns=PHASE, values="first_slot", aggfunc="min")
    return firsts[spans[PHASE].unique()]


def _phases(protocols: pd.Series[str], firsts: pd.DataFrame) -> list[str]:
    """Return the phases of some protocols in order; for a course without a known protocol a phase of its own."""
    known = firsts.loc[firsts.index.isin(protocols)].dropna(axis="columns", how="all")
    unknown = [] if protocols.isin(firsts.index).all() else [NOT_RECORDED]
    return [*known.columns, *unknown]


def _steps(phases: Sequence[str], reasons: Sequence[str]) -> list[dict[str, Any]]:
    """Return the numbers of the flow of courses, in order."""
    overall = [_step(name) for name in ("started", "attended_first_session")]
    within = [
        step
        for phase in phases
        for step in (_step("due", phase), _step("reached", phase), *_ends(phase, reasons))
    ]
    return [*overall, *within, *_ends(AFTER, reasons), *_ends(ALL_PHASES, reasons)]


def _step(estimand: str, phase: str = ALL_PHASES, reason: str = ALL_REASONS) -> dict[str, Any]:
    return {PHASE: phase, REASON: reason, "estimand": estimand}


def _ends(phase: str, reasons: Sequence[str]) -> list[dict[str, Any]]:
    """Return how courses end or wait in a phase."""
    states = [_step(state, phase) for state in _STATES]
    return [*states, *(_step(_DROPPED, phase, reason) for reason in reasons)]


def _at(places: pd.DataFrame, step: Mapping[str, Any], firsts: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return which courses a number of the flow counts.

    Parameters
    ----------
    places
        ``protocol, attended, planned, phase`` (where it stands), ``state, reason``.
    step
        ``phase, reason, estimand``.
    firsts
        The first slot of each phase of each protocol.
    """
    estimand, phase, reason = (step[name] for name in ("estimand", PHASE, REASON))
    attended = places["attended"].to_numpy(float)
    if estimand == "started":
        return np.full(len(places), fill_value=True)
    if estimand == "attended_first_session":
        return np.asarray(attended >= 1)
    if estimand in {"due", "reached"}:
        unscheduled = pd.Series(1.0, places.index).mask(places["protocol"].isin(firsts.index))
        starts = unscheduled if phase == NOT_RECORDED else places["protocol"].map(firsts[phase])
        first, planned = (values.to_numpy(float) for values in (starts, places["planned"]))
        return np.asarray((attended >= first - (estimand == "due")) & ~(planned < first))
    found = places["state"] == estimand
    for column, value, every in ((PHASE, phase, ALL_PHASES), (REASON, reason, ALL_REASONS)):
        found &= (places[column] == value) | (value == every)
    return np.asarray(found, dtype=np.bool_)


def _share(row: Mapping[str, Any], started: float) -> dict[str, Any]:
    note = "" if started else "no course started"
    share = row["numerator"] / started if started else np.nan
    return {
        "estimate": share,
        "denominator": started,
        "unit": "courses",
        "n_missing": 0,
        "method": _METHOD,
        "note": note,
    }


def _registered(clinic: Dataset, columns: Sequence[str]) -> nw.LazyFrame[Any]:
    """Return the patients of each group; by a column of courses, those with a course in it."""
    homes = {clinic.table_of(column, among=("patients", "courses")) for column in columns}
    if homes <= {"patients"}:
        return with_groups(clinic.lazy("patients").select("patient_id"), clinic, columns)
    courses = clinic.lazy("courses").select("course_id", "patient_id")
    return with_groups(courses, clinic, columns).select(*columns, "patient_id").unique()


def _groups(
    people: nw.LazyFrame[Any], counts: pd.DataFrame, columns: Sequence[str]
) -> list[tuple[tuple[Any, ...], int]]:
    """Return each group and its registered patients; a group of courses of which nobody is registered too."""
    found = dict(groups_of(people, columns))
    if columns:
        others = counts[[*columns]].drop_duplicates().itertuples(index=False, name=None)
        found = dict.fromkeys(others, 0) | found
    return sorted(found.items())


def _registered_row(patients: int) -> list[dict[str, Any]]:
    count = {"numerator": patients, "denominator": patients, "unit": "patients", "n_missing": 0}
    share = {"estimate": 1.0 if patients else np.nan, "note": "" if patients else "no patient"}
    return [_step("registered") | count | share | {"method": "count"}]


def _spec(clinic: Dataset, columns: Sequence[str]) -> dict[str, Any]:
    title = "Flow of patients and courses through the schedule"
    spec = dropout_spec(clinic, "patient_flow", title, arguments={"by": list(columns)}, columns=columns)
    slots = slot_table(clinic.vocabulary.protocols.values())
    phases = dict(zip(slots[PHASE], slots["phase_label"], strict=True))
    patients = {"patients": "registered patients; by a column of courses, those with such a course"}
    return spec | {
        "population": spec["population"] | patients,
        "rules": [*_RULES, REASON_RULE],
        "primary": "started",
        "references": ["Schulz KF, Altman DG, Moher D. BMJ 2010;340:c332. doi:10.1136/bmj.c332"],
        "labels": spec["labels"] | {PHASE: phases, REASON: reason_labels(clinic)},
    }


def _explain(
    courses: nw.LazyFrame[Any],
    known: tuple[nw.LazyFrame[Any], pd.DataFrame],
    columns: Sequence[str],
    cell: Mapping[str, Any],
) -> pd.DataFrame:
    """Return one row a started course, or a registered patient, and whether the cell counts it."""
    people, firsts = known
    step = _step("started") | {name: cell[name] for name in (PHASE, REASON, "estimand") if name in cell}
    if step["estimand"] == "registered":
        for column in columns:
            people = people.filter(nw.col(column) == cell[column]) if column in cell else people
        rows = collect(people).sort_values("patient_id", ignore_index=True)
        return rows.assign(in_denominator=True, in_numerator=True, excluded="")
    rows = _placed(course_rows(courses, columns, cell, more=("protocol", *_PLACE)))
    counted = _at(rows, step, firsts)
    shown = rows[REASON].where(rows["state"] == _DROPPED, "")
    return rows.assign(**{REASON: shown}, in_denominator=True, in_numerator=counted, excluded="")
