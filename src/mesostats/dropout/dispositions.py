"""What became of the courses that were started: how many were treated, completed, go on, and were given up, and why."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.dropout.end_reasons import ALL_REASONS, REASON_RULE, in_order, reason_labels, with_reason
from mesostats.dropout.times import TAKEN, course_rows, dropout_spec
from mesostats.engine import collect
from mesostats.estimators import ClusterTotals, clustered_proportion
from mesostats.estimators.clustering import with_clustering_note
from mesostats.populations import cluster_sums, grouping, started_courses
from mesostats.results import Result, contract

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from mesostats.dataset import Dataset

REASON: Final = "reason"
DROPPED: Final = "dropped_out"
_STATES: Final = ("completed", "ongoing", DROPPED)
_PAST_PLAN: Final = "dropped_out_past_plan"
_RULE: Final = (
    "States are those of `course_states`: as recorded by the data cut, else by the schedule and its grace. A course that was "
    "recorded as discontinued counts as dropped out also where all planned sessions had been attended; `retention` counts such "
    "a course as completed, for it has no session left to drop out of."
)


def disposition(
    clinic: Dataset, *, by: str | Sequence[str] | None = None, conf_level: float = 0.95
) -> Result:
    """Estimate what became of the courses that were started, as shares of them.

    Parameters
    ----------
    clinic
        A data set.
    by
        Columns of patients or courses.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        By group and ``reason``: under ``all reasons`` the estimands ``treated`` (at least one attended session), ``completed``,
        ``ongoing`` and ``dropped_out``, then ``dropped_out`` for each reason. Numerator: such courses; denominator: courses
        that started by the data cut. Unit: courses; intervals are clustered in patients.

    Raises
    ------
    ValueError
        If ``by`` is not a column or bears a name that the analysis needs, or ``conf_level`` is not between 0 and 1.

    Notes
    -----
    Every started course is completed, ongoing or dropped out, as `course_states` says. A course that was recorded as
    discontinued after all planned sessions is among those dropped out (the note says how many); `retention` takes it as
    completed. The shares describe the courses as they stand at the data cut:
    while courses go on, those dropped out are fewer than will be; `retention` and `dropout_reasons` allow for it.

    Examples
    --------
    >>> import mesostats as ms
    >>> found = disposition(ms.simulate(200, seed=1)).estimates.query("reason == 'all reasons'").set_index("estimand")
    >>> states = found.loc[["completed", "ongoing", "dropped_out"]]
    >>> bool(states["numerator"].sum() == states["denominator"].iloc[0])
    True
    """
    columns = grouping(by, taken=TAKEN)
    courses = with_reason(started_courses(clinic, columns))
    lost = collect(courses.filter(nw.col("state") == DROPPED).select(REASON).unique())[REASON]
    kinds = [("treated", ALL_REASONS), *((state, ALL_REASONS) for state in _STATES)]
    kinds += [(DROPPED, reason) for reason in in_order(lost, clinic)]
    sums = _sums(courses, columns, [*kinds, (_PAST_PLAN, ALL_REASONS)])
    estimates = _estimates(sums, columns, kinds, conf_level)
    title = "Disposition: what became of the courses that were started"
    arguments = {"by": list(columns), "conf_level": conf_level}
    spec = dropout_spec(clinic, "disposition", title, arguments=arguments, columns=columns)
    spec |= {
        "rules": [_RULE, REASON_RULE],
        "primary": "completed",
        "references": ["Schulz KF, Altman DG, Moher D. BMJ 2010;340:c332. doi:10.1136/bmj.c332"],
        "labels": spec["labels"] | {REASON: reason_labels(clinic)},
    }
    return Result(estimates, spec, lambda cell: _explain(clinic, columns, cell))


def _holds(estimand: str, reason: str) -> nw.Expr:
    """Return whether a course is of a kind, as an expression."""
    if estimand == "treated":
        return nw.col("attended") > 0
    if estimand == _PAST_PLAN:
        return (nw.col("state") == DROPPED) & (nw.col("attended") >= nw.col("planned"))
    state = nw.col("state") == estimand
    return state if reason == ALL_REASONS else state & (nw.col(REASON) == reason)


def _sums(
    courses: nw.LazyFrame[Any], columns: Sequence[str], kinds: Sequence[tuple[str, str]]
) -> pd.DataFrame:
    """Return one row a group with the sums over patients of each kind, from one pass on the engine."""
    flags = {
        f"kind_{place}": nw.when(_holds(*kind)).then(nw.lit(1.0)).otherwise(nw.lit(0.0))
        for place, kind in enumerate(kinds)
    }
    patients = courses.with_columns(**flags).group_by(*columns, "patient_id")
    patients_sums = patients.agg(nw.len().cast(nw.Float64).alias("started"), nw.col(*flags).sum())
    terms = [
        term for flag in flags for term in cluster_sums(nw.col("started"), nw.col(flag), f"total_{flag}")
    ]
    if columns:
        return collect(patients_sums.group_by(*columns).agg(*terms)).sort_values(
            [*columns], ignore_index=True
        )
    return collect(patients_sums.select(*terms)).fillna(0.0)


def _estimates(
    sums: pd.DataFrame, columns: Sequence[str], kinds: Sequence[tuple[str, str]], conf_level: float
) -> pd.DataFrame:
    frames = []
    for place, (estimand, reason) in enumerate(kinds):
        totals = ClusterTotals(
            **{
                part.name: sums[f"total_kind_{place}_{part.name}"].to_numpy(float)
                for part in fields(ClusterTotals)
            }
        )
        found = with_clustering_note(clustered_proportion(totals, conf_level=conf_level))
        if (estimand, reason) == (DROPPED, ALL_REASONS):
            found = _with_past_plan(found, sums[f"total_kind_{len(kinds)}_successes"].to_numpy(int))
        names = {column: sums[column] for column in columns}
        frames.append(
            found.reset_index(drop=True).assign(
                **names, estimand=estimand, reason=reason, _group=np.arange(len(sums)), _place=place
            )
        )
    stacked = pd.concat(frames).sort_values(["_group", "_place"]).assign(unit="courses", n_missing=0.0)
    return contract(stacked, [*columns, REASON])


def _with_past_plan(found: pd.DataFrame, past: npt.NDArray[np.int_]) -> pd.DataFrame:
    """Add to notes how many of those dropped out had come to all planned sessions."""
    texts = [
        f"{number} of them after all planned sessions: `retention` counts these as completed"
        if number
        else ""
        for number in past
    ]
    notes = ["; ".join(filter(None, pair)) for pair in zip(found["note"], texts, strict=True)]
    return found.assign(note=notes)


def _explain(clinic: Dataset, columns: Sequence[str], cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a started course, and whether it is of the cell's kind."""
    courses = with_reason(started_courses(clinic, columns))
    rows = course_rows(courses, columns, cell, more=(REASON,))
    estimand, reason = str(cell.get("estimand", DROPPED)), str(cell.get(REASON, ALL_REASONS))
    kind = rows["attended"] > 0 if estimand == "treated" else rows["state"] == estimand
    if reason != ALL_REASONS:
        kind &= rows[REASON] == reason
    shown = rows[REASON].where(rows["state"] == DROPPED, "")
    return rows.assign(**{REASON: shown}, in_denominator=True, in_numerator=kind, excluded="")
