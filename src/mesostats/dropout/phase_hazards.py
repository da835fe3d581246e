"""Which phase of the schedule loses people: dropouts per due session, phase by phase."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.dropout.times import (
    RULES,
    TAKEN,
    check_choices,
    dropout_spec,
    followed_courses,
    timed_courses,
)
from mesostats.engine import collect
from mesostats.estimators import ClusterTotals, clustered_proportion
from mesostats.estimators.clustering import with_clustering_note
from mesostats.populations import NOT_RECORDED, cluster_sums, grouping
from mesostats.results import Result, check_groups, contract, stack
from mesostats.schedule import slot_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.dataset import Dataset
    from mesostats.follow_up import FollowUp

PHASE: Final = "phase"
ENDLESS: Final = 1_000_000_000
"""The last slot of a protocol's last phase, which goes on where a course plans more sessions."""

_TAKEN: Final = TAKEN | {"first_slot", "last_slot", "due", "lost", "waiting", "all_lost", "session"}
_UNITS: Final = {"dropout_hazard": "sessions", "share_of_dropouts": "courses"}


def phase_spans(clinic: Dataset) -> pd.DataFrame:
    """Return the slots that each phase of each protocol covers, in order.

    Returns
    -------
    pandas.DataFrame
        ``protocol, phase, first_slot, last_slot``; the last phase of a protocol goes on without an end.
    """
    slots = slot_table(clinic.vocabulary.protocols.values())
    began = slots[["protocol", PHASE]].ne(slots[["protocol", PHASE]].shift()).any(axis="columns")
    runs = slots.assign(run=began.cumsum()).groupby(["run", "protocol", PHASE], as_index=False)
    spans = runs.agg(first_slot=("slot", "min"), last_slot=("slot", "max")).drop(columns="run")
    final = ~spans["protocol"].duplicated(keep="last")
    return spans.assign(last_slot=spans["last_slot"].mask(final, ENDLESS))


def hazard_by_phase(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    follow_up: FollowUp = "settled",
    conf_level: float = 0.95,
) -> Result:
    """Estimate how many of the sessions that were due in each phase of the schedule lost a course.

    Parameters
    ----------
    clinic
        A data set.
    by
        Columns of patients or courses.
    follow_up
        ``settled`` sessions only, or ``all``; see `retention`.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        By group and ``phase`` (of the protocols in the group, in their order): ``dropout_hazard`` (dropouts of the sessions
        due in the phase; unit: sessions) and ``share_of_dropouts`` (dropouts in the phase of all dropouts of the group; unit:
        courses). ``n_missing``: courses that wait for a session of the phase which is not settled (with ``all``: not yet
        overdue). A course without a protocol has the phase ``not recorded``.

    Raises
    ------
    ValueError
        If ``by`` is not a column or bears a name that the analysis needs.

    Notes
    -----
    A session is due as in `dropout_by_session`: for a course that attended it, and for one that dropped out after the session
    before. A dropout belongs to the phase of the session that was missed. Phases of one name in several protocols are one;
    group by the protocol to tell them apart. A hazard is per session, not per week: phases with longer intervals
    expose a course for longer. Intervals are clustered in patients.

    Examples
    --------
    >>> import mesostats as ms
    >>> found = hazard_by_phase(ms.simulate(300, seed=1), by="protocol")
    >>> hazards = found.estimates.query("estimand == 'dropout_hazard' and protocol == 'weekly_to_monthly'")
    >>> hazards["phase"].tolist()
    ['weekly', 'fortnightly', 'monthly']
    """
    columns = grouping(by, taken=_TAKEN)
    check_groups(columns)
    check_choices(follow_up=follow_up)
    courses = followed_courses(clinic, columns, follow_up)
    phased = _phased(timed_courses(courses, time="session", dropout_date="last_attended"), clinic)
    keys = [*columns, PHASE]
    grid = _grid(collect(courses.select(*dict.fromkeys((*columns, "protocol"))).unique()), columns, clinic)
    grid = _with_sums(grid, phased, columns)
    frames = [
        with_clustering_note(clustered_proportion(_totals(grid, estimand), conf_level=conf_level))
        .reset_index(drop=True)
        .assign(**{name: grid[name] for name in keys}, estimand=estimand, unit=unit)
        .assign(n_missing=grid["waiting"] if estimand == "dropout_hazard" else 0.0)
        for estimand, unit in _UNITS.items()
    ]
    estimates = contract(stack(frames), keys)
    arguments = {"by": list(columns), "follow_up": follow_up, "conf_level": conf_level}
    spec = _spec(clinic, arguments, columns)
    return Result(estimates, spec, lambda cell: _explain(phased, columns, cell))


def _phased(courses: nw.LazyFrame[Any], clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return one row a course and phase: the sessions ``due`` in it, whether it was ``lost`` there, or is ``waiting``."""
    spans = clinic.engine.small(phase_spans(clinic), courses)
    joined = courses.drop(PHASE).join(spans, on="protocol", how="left")
    first, last = nw.col("first_slot"), nw.col("last_slot")
    joined = joined.with_columns(
        nw.col(PHASE).fill_null(NOT_RECORDED),
        first.fill_null(1).cast(nw.Int64),
        last.fill_null(ENDLESS).cast(nw.Int64),
    )
    reached, waits = nw.min_horizontal(nw.col("time"), last), nw.col("reached") + 1

    def here(slot: nw.Expr, holds: nw.Expr) -> nw.Expr:
        return nw.when((slot >= first) & (slot <= last) & holds).then(nw.lit(1)).otherwise(nw.lit(0))

    return joined.with_columns(
        due=nw.when(reached >= first).then(reached - first + 1).otherwise(nw.lit(0)).cast(nw.Int64),
        lost=here(nw.col("time"), nw.col("event") == 1),
        waiting=here(waits, nw.col("ended") == "ongoing"),
    )


def _with_sums(grid: pd.DataFrame, phased: nw.LazyFrame[Any], columns: Sequence[str]) -> pd.DataFrame:
    """Add to each group and phase the sums over patients; all dropouts of a group are those in any of its phases."""
    keys = [*columns, PHASE]
    own = phased.group_by(*keys, "patient_id").agg(nw.col("due", "lost", "waiting").sum())
    everywhere = phased.group_by(*columns, "patient_id").agg(all_lost=nw.col("lost").sum())
    due, lost, all_lost = (nw.col(name).cast(nw.Float64) for name in ("due", "lost", "all_lost"))
    shares = cluster_sums(all_lost, lost, "share_of_dropouts")
    patients = own.join(everywhere, on=[*columns, "patient_id"], how="left")
    sums = patients.group_by(*keys).agg(
        *cluster_sums(due, lost, "dropout_hazard"), *shares, nw.col("waiting").sum()
    )
    grid = grid.merge(collect(sums), on=keys, how="left")
    # A patient without a course that has the phase is in the denominator too, with dropouts in other phases only.
    wholes = [f"share_of_dropouts_{name}" for name in ("clusters", "trials", "trials_squared")]
    whole = cluster_sums(all_lost, all_lost, "share_of_dropouts")
    totals = collect(everywhere.group_by(*columns).agg(*whole) if columns else everywhere.select(*whole))
    grid, totals = grid.drop(columns=wholes), totals[[*columns, *wholes]]
    grid = grid.merge(totals, on=[*columns]) if columns else grid.merge(totals, how="cross")
    return grid.assign(**{name: grid[name].astype(float).fillna(0.0) for name in grid.columns.drop(keys)})


def _totals(grid: pd.DataFrame, prefix: str) -> ClusterTotals:
    return ClusterTotals(
        **{part.name: grid[f"{prefix}_{part.name}"].to_numpy(float) for part in fields(ClusterTotals)}
    )


def _grid(protocols: pd.DataFrame, columns: Sequence[str], clinic: Dataset) -> pd.DataFrame:
    """Return each group with the phases of its protocols, in their order; those without a protocol last."""
    spans = phase_spans(clinic)[["protocol", PHASE]].drop_duplicates()
    grid = protocols.merge(spans, on="protocol", how="left")
    order = {phase: place for place, phase in enumerate([*spans[PHASE].unique(), NOT_RECORDED])}
    grid = grid.assign(**{PHASE: grid[PHASE].fillna(NOT_RECORDED)})[[*columns, PHASE]].drop_duplicates()
    return grid.sort_values(
        [*columns, PHASE],
        key=lambda values: values.map(order) if values.name == PHASE else values,
        ignore_index=True,
    )


def _spec(clinic: Dataset, arguments: dict[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    title = "Dropout by phase of the schedule"
    spec = dropout_spec(clinic, "hazard_by_phase", title, arguments=arguments, columns=columns)
    slots = slot_table(clinic.vocabulary.protocols.values())
    phases = dict(zip(slots[PHASE], slots["phase_label"], strict=True))
    return spec | {
        "rules": [
            *RULES[:2],
            "A dropout belongs to the phase of the session that was missed.",
            "A hazard is per due session: a phase with longer intervals exposes a course for longer.",
        ],
        "primary": "dropout_hazard",
        "references": ["Korn EL, Graubard BI. Surv Methodol 1998;24:193-201."],
        "labels": spec["labels"] | {PHASE: phases},
    }


def _explain(phased: nw.LazyFrame[Any], columns: Sequence[str], cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return the due sessions, or the dropouts, behind a cell."""
    for column in columns:
        if column in cell:
            phased = phased.filter(nw.col(column) == cell[column])
    shown = dict.fromkeys(
        ("course_id", "patient_id", *columns, PHASE, "first_slot", "due", "lost", "waiting")
    )
    rows = collect(phased.select(*shown)).sort_values(["course_id", "first_slot"], ignore_index=True)
    in_phase = rows[PHASE] == cell[PHASE] if PHASE in cell else pd.Series(data=True, index=rows.index)
    names = [
        "course_id",
        "patient_id",
        *[name for name in columns if name not in {"course_id", "patient_id"}],
    ]
    if cell.get("estimand") == "share_of_dropouts":
        return _dropouts(rows.assign(here=rows["lost"].where(in_phase, 0)), names)
    return _due_sessions(rows[in_phase], [*names, PHASE])


def _dropouts(rows: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return one row a course: dropped out in any phase, and in the cell's."""
    courses = rows.groupby(names, as_index=False, sort=False)[["lost", "here"]].sum()
    lost = courses["lost"] > 0
    return courses.drop(columns=["lost", "here"]).assign(
        in_denominator=lost, in_numerator=courses["here"] > 0, excluded=np.where(lost, "", "did not drop out")
    )


def _due_sessions(rows: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return one row a due session; a course without one in the phase has a row that says why."""
    due = rows.loc[rows.index.repeat(rows["due"].clip(lower=1))]
    place, counted = due.groupby(level=0).cumcount(), due["due"] > 0
    why = np.where(
        due["waiting"] == 1,
        "the session that it waits for is not settled",
        "ended, or is known, before this phase only",
    )
    session = (due["first_slot"] + place).where(counted).astype("Int64")
    last = (due["lost"] == 1) & (place == due["due"] - 1)
    shown = due[names].assign(session=session, in_denominator=counted, in_numerator=last)
    return shown.assign(excluded=np.where(counted, "", why)).reset_index(drop=True)
