"""Gaps: the days from one session to the next, against the windows of the schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np
import pandas as pd
from scipy import stats

from mesostats.attendance import attended_days
from mesostats.engine import collect
from mesostats.estimators import clustered_proportion
from mesostats.estimators.arguments import check_conf_level
from mesostats.estimators.clustering import with_clustering_note
from mesostats.populations import cluster_sums, labels
from mesostats.results import Result, contract, stack
from mesostats.schedule import course_timeline, plan_slots
from mesostats.slots import slot_holders
from mesostats.visits.cells import sum_cells, totals_of
from mesostats.visits.groups import (
    SlotGroups,
    in_order,
    of_cell,
    slot_groups,
    with_course_groups,
    with_session_groups,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.dataset import Dataset

_PLACES: Final = ("below_window", "in_window", "above_window")
_QUANTILES: Final = {"lower_quartile_gap": 0.25, "median_gap": 0.5, "upper_quartile_gap": 0.75}
_TAKEN: Final = {
    *(
        "course_id",
        "patient_id",
        "session_id",
        "slot",
        "day",
        "gap",
        "shortest",
        "longest",
        "windowed",
        "gaps",
        "quantile",
    ),
    *("in_denominator", "in_numerator", "excluded", "_plan", *_PLACES, *_QUANTILES),
}
_METHOD: Final = "inverse of the distribution function, Woodruff interval clustered in patients, t quantile"


def session_gaps(
    clinic: Dataset, *, by: str | Sequence[str] | None = "phase", conf_level: float = 0.95
) -> Result:
    """Describe the days between sessions, and how many lie below, in and above the window of the schedule.

    Parameters
    ----------
    clinic
        A data set.
    by
        Columns of patients, courses or sessions (of the session that ends the gap), and ``phase`` (of its slot).
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        Estimands ``below_window``, ``in_window``, ``above_window``: shares of the gaps that have a window (``n_missing``:
        those that have none); ``lower_quartile_gap``, ``median_gap``, ``upper_quartile_gap`` in days, of all gaps; and
        ``gap_share``, one row a length: ``time`` in days, the share of all gaps and their number (the bars of a
        histogram, without intervals). Unit: gaps.

    Raises
    ------
    ValueError
        If ``by`` is not a column or bears a name that the analysis needs, or ``conf_level`` is not between 0 and 1.

    Notes
    -----
    A gap goes from one day with an attended session to the course's next one, and has the window of the slot that the later
    one holds. Sessions past the plan, and those of courses without a protocol, end gaps without a window (phase ``outside
    the plan``). The q-th quantile is the least number of days that at least a share q of gaps does not exceed. Its interval
    is Woodruff's: the limits of that share, from its variance between patients (k - 1 degrees of freedom), are carried back
    through the distribution; a limit beyond 0 or 1 cannot be carried back and is NaN. The standard error is the
    interval's length over twice the t quantile. (The interval stands about q, not about the share that was found at the
    quantile, as in R's ``svyquantile``: with few possible numbers of days the latter may be far above q.)

    Gaps are those of people who came back: a course that was given up has no gap after its last session.

    References
    ----------
    Woodruff RS (1952). Confidence intervals for medians and other position measures. doi:10.1080/01621459.1952.10483443

    Examples
    --------
    >>> import mesostats as ms
    >>> gaps = session_gaps(ms.simulate(200, seed=1))
    >>> bool(7 <= gaps.cell(phase="weekly", estimand="median_gap")["estimate"] <= 10)
    True
    """
    check_conf_level(conf_level)
    groups = slot_groups(clinic, by, taken=_TAKEN)
    gaps = clinic.derive(f"session_gaps:{groups}", lambda: _gaps(clinic, groups))
    lengths = collect(gaps.group_by(*groups.by, "gap").agg(gaps=nw.len()))
    lengths = lengths.sort_values([*groups.by, "gap"], ignore_index=True)
    cells = _window_cells(gaps, groups)
    frames = [_shares(cells, groups.by, place, conf_level) for place in _PLACES]
    frames += [
        _quantiles(clinic, gaps, lengths, groups.by, share=share, conf_level=conf_level).assign(
            estimand=name, unit="gaps"
        )
        for name, share in _QUANTILES.items()
    ]
    frames.append(_bars(lengths, groups))
    estimates = in_order(contract(stack(frames), groups.by), clinic, groups)
    arguments = {"by": list(groups.by), "conf_level": conf_level}
    return Result(estimates, _spec(clinic, groups, arguments), lambda cell: _explain(gaps, groups, cell))


def _gaps(clinic: Dataset, groups: SlotGroups) -> nw.LazyFrame[Any]:
    """Return one row a gap: the course, patient, groups, slot (of the later session), its window and the days."""
    table = clinic.engine.small(
        plan_slots(clinic, longest=_most_planned(clinic))[["_plan", "slot", "phase", "shortest", "longest"]],
        clinic.lazy("courses"),
    )
    visits = attended_days(clinic).filter(~nw.col("before").is_null())
    plans = course_timeline(clinic).select("course_id", "_plan", "planned")
    visits = visits.select("course_id", "before", nw.col("day").cast(nw.Int64), slot="place")
    gaps = visits.join(plans, on="course_id", how="inner").join(table, on=["_plan", "slot"], how="left")
    planned = nw.col("slot") <= nw.col("planned")
    window = {name: nw.when(planned).then(nw.col(name)) for name in ("phase", "shortest", "longest")}
    gaps = gaps.with_columns(gap=nw.col("day") - nw.col("before"), **window).drop(
        "_plan", "planned", "before"
    )
    if groups.of_sessions:
        gaps = gaps.join(slot_holders(clinic), on=["course_id", "day"], how="left")
    gaps = with_course_groups(with_session_groups(gaps, clinic, groups), clinic, groups)
    return gaps.select("course_id", "patient_id", "slot", "shortest", "longest", "gap", *groups.by)


def _most_planned(clinic: Dataset) -> int:
    most = collect(course_timeline(clinic).select(nw.col("planned").max()))["planned"]
    return int(most.fillna(0).iloc[0])


def _one(condition: nw.Expr) -> nw.Expr:
    return nw.when(condition).then(nw.lit(1.0)).otherwise(nw.lit(0.0))


def _against_window() -> dict[str, nw.Expr]:
    """Return a gap's place against its window: 1 in one of the columns, 0 in all where it has no window."""
    below, above = nw.col("gap") < nw.col("shortest"), nw.col("gap") > nw.col("longest")
    windowed = ~nw.col("longest").is_null()
    inside = windowed & ~below & ~above
    return {"below_window": _one(below), "in_window": _one(inside), "above_window": _one(above)}


def _window_cells(gaps: nw.LazyFrame[Any], groups: SlotGroups) -> pd.DataFrame:
    """Return the sums over patients of gaps below, in and above their window, one row a group."""
    patients = gaps.with_columns(**_against_window()).group_by(*groups.by, "patient_id")
    numbers = patients.agg(nw.col(*_PLACES).sum(), gaps=nw.len().cast(nw.Float64)).with_columns(
        windowed=nw.sum_horizontal(*_PLACES)
    )
    sums = [part for place in _PLACES for part in cluster_sums(nw.col("windowed"), nw.col(place), place)]
    sums.append((nw.col("gaps") - nw.col("windowed")).sum().alias("without"))
    return sum_cells(numbers, groups.by, sums)


def _shares(cells: pd.DataFrame, by: Sequence[str], place: str, conf_level: float) -> pd.DataFrame:
    found = with_clustering_note(clustered_proportion(totals_of(cells, place), conf_level=conf_level))
    keys = {name: cells[name].to_numpy() for name in by}
    return found.assign(**keys, estimand=place, unit="gaps", n_missing=cells["without"].to_numpy())


def _bars(lengths: pd.DataFrame, groups: SlotGroups) -> pd.DataFrame:
    """Return one row a group and length of gap: the share of gaps that are just as long."""
    whole = lengths.groupby([*groups.by])["gaps"].transform("sum") if groups.by else lengths["gaps"].sum()
    bars = lengths.rename(columns={"gap": "time", "gaps": "numerator"})
    return bars.assign(
        estimand="gap_share",
        denominator=whole,
        estimate=bars["numerator"] / whole,
        unit="gaps",
        method="share",
    )


def _quantiles(
    clinic: Dataset,
    gaps: nw.LazyFrame[Any],
    lengths: pd.DataFrame,
    by: Sequence[str],
    *,
    share: float,
    conf_level: float,
) -> pd.DataFrame:
    """Return one row a group: a quantile of its gaps, with Woodruff's interval."""
    if lengths.empty:
        nothing = pd.DataFrame({"note": ["no observations"]})
        return nothing.iloc[:0].assign(**dict.fromkeys(by, "")) if by else nothing
    parts = list(lengths.groupby([*by], sort=True)) if by else [((), lengths)]
    quantiles = pd.DataFrame(
        [(*key, _inverse(part, share)) for key, part in parts], columns=[*by, "quantile"]
    )
    reached = _reached(clinic, gaps, quantiles, by)
    df = reached["reached_clusters"] - 1
    t = stats.t.isf((1 - conf_level) / 2, df.where(df > 0))
    half = t * np.sqrt(totals_of(reached, "reached").ratio_variance)
    limits = [
        [_inverse(part, share + sign * width) for (_, part), width in zip(parts, half, strict=True)]
        for sign in (-1, 1)
    ]
    low, high = (np.array(limit, dtype=float) for limit in limits)
    return quantiles[[*by]].assign(
        estimate=quantiles["quantile"],
        std_error=(high - low) / (2 * t),
        conf_low=low,
        conf_high=high,
        conf_level=conf_level,
        df=df.clip(lower=0),
        denominator=reached["reached_trials"],
        method=_METHOD,
        note=_limit_notes(df.to_numpy(), low, high),
    )


def _inverse(lengths: pd.DataFrame, share: float) -> float:
    """Return the least number of days that at least such a share of gaps does not exceed; NaN beyond 0 and 1."""
    if not 0 < share < 1:  # NaN too
        return np.nan
    below = lengths["gaps"].cumsum().to_numpy() / lengths["gaps"].sum()
    # Rounding must not carry a share that is reached exactly on to the next length.
    return float(lengths["gap"].to_numpy()[np.searchsorted(below, share * (1 - 1e-12))])


def _reached(
    clinic: Dataset, gaps: nw.LazyFrame[Any], quantiles: pd.DataFrame, by: Sequence[str]
) -> pd.DataFrame:
    """Return the sums over patients of gaps that do not exceed their group's quantile, in the order of groups."""
    if by:
        rows = gaps.join(clinic.engine.small(quantiles, gaps), on=[*by], how="inner")
    else:
        rows = gaps.with_columns(quantile=nw.lit(float(quantiles["quantile"].iloc[0])))
    patients = rows.group_by(*by, "patient_id").agg(
        gaps=nw.len().cast(nw.Float64), reached=_one(nw.col("gap") <= nw.col("quantile")).sum()
    )
    sums = sum_cells(patients, by, cluster_sums(nw.col("gaps"), nw.col("reached"), "reached"))
    return quantiles[[*by]].merge(sums, on=[*by], how="left") if by else sums


def _limit_notes(df: Any, low: Any, high: Any) -> list[str]:
    one = "one cluster: the variance between clusters is unknown"
    wide = "too few patients: a limit lies beyond the gaps seen"
    beyond = np.isnan(low) | np.isnan(high)
    return [one if each < 1 else wide if out else "" for each, out in zip(df, beyond, strict=True)]


def _spec(clinic: Dataset, groups: SlotGroups, arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "analysis": "session_gaps",
        "title": "Days between sessions",
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {"gaps": "from one day with an attended session to the next of the same course"},
        "rules": [
            "A gap has the window of the slot that its later session holds; shares are of the gaps that have one.",
            "Quantiles and lengths are of all gaps.",
        ],
        "primary": "in_window",
        "references": [
            "Woodruff RS. J Am Stat Assoc 1952;47:635-646. doi:10.1080/01621459.1952.10483443",
        ],
        "labels": labels(clinic, groups.by),
        "windows": _windows(clinic),
    }


def _windows(clinic: Dataset) -> list[dict[str, Any]]:
    """Return the windows of the phases that the clinic's courses go through: from how many days to how many."""
    known = set(collect(course_timeline(clinic).select("protocol").unique())["protocol"].dropna())
    protocols = [protocol for protocol in clinic.vocabulary.protocols.values() if protocol.code in known]
    return [
        {
            "protocol": protocol.code,
            "phase": phase.name,
            "shortest": float(phase.interval_days[0]),
            "longest": float(phase.interval_days[1]),
        }
        for protocol in protocols
        for phase in protocol.phases
    ]


def _explain(gaps: nw.LazyFrame[Any], groups: SlotGroups, cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a gap: counted in the cell's denominator, and in its numerator (quantiles have none)."""
    estimand = cell.get("estimand", "in_window")
    rows = collect(of_cell(gaps, groups.by, cell).with_columns(**_against_window()))
    rows = rows.sort_values(["course_id", "slot"], ignore_index=True)
    windowed = rows[[*_PLACES]].sum(axis=1) > 0
    counted = windowed if estimand in _PLACES else pd.Series(data=True, index=rows.index)
    if estimand in _PLACES:
        hit = rows[estimand] == 1
    else:
        hit = rows["gap"].eq(cell["time"]) if estimand == "gap_share" and "time" in cell else counted & False
    return rows.drop(columns=[*_PLACES]).assign(
        in_denominator=counted,
        in_numerator=hit,
        excluded=np.where(counted, "", "no window: outside the plan"),
    )
