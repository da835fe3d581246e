"""What speaks for a signal: the funnel of practitioners or clinics, or the permutation test of lots, by kind of event."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from mesostats.adverse_events.counted import KIND
from mesostats.adverse_events.lots import LOT, SUBSTANCE
from mesostats.estimators import ClusterTotals
from mesostats.estimators.cluster_tests import permutation_test
from mesostats.estimators.funnels import funnel, funnel_limits, pooled_design_effect
from mesostats.populations import UNKNOWN

if TYPE_CHECKING:
    from mesostats.adverse_events.lots import LotComparison
    from mesostats.adverse_events.tallies import Tally

_LEVELS: Final = (0.95, 0.998)
_CURVE: Final = 60  # points of a control limit: a smooth line on a page


@dataclass(frozen=True, eq=False)
class Evidence:
    """The tests of all units and kinds of event.

    Parameters
    ----------
    tests
        In the rows of the tally's grid: ``statistic, p_value, test`` (its name), ``why`` (there is none, else empty),
        ``signal`` (in words, if it is one), and what is expected: ``expected`` events of ``trials`` (sessions or
        patients), ``limit_low, limit_high`` (control limits of the proportion).
    funnels
        By kind: ``target, design_effect, overdispersion`` and ``limits``, the lines of the funnel; empty for lots.
    """

    tests: pd.DataFrame
    funnels: dict[str, dict[str, Any]]


def funnel_evidence(counts: Tally) -> Evidence:
    """Hold each unit against the overall proportion of all units that have a name."""
    grid = counts.grid[~counts.grid["_group_0"].isin(UNKNOWN)]
    totals = counts.totals()
    frames, funnels = [], {}
    for kind, rows in grid.groupby(KIND, sort=False):
        part = ClusterTotals(
            **{field.name: getattr(totals, field.name)[rows.index] for field in fields(ClusterTotals)}
        )
        # A patient is one trial of a unit: there is nothing to be alike.
        effect = pooled_design_effect(part) if counts.counting.per == "session" else 1.0
        found = funnel(part.successes, part.trials, design_effect=effect, conf_level=_LEVELS)
        frames.append(_funnel_tests(found, counts.counting.per).set_index(rows.index))
        funnels[str(kind)] = _lines(found)
    return Evidence(_for_all(frames, counts.grid, "_group_0"), funnels)


def _funnel_tests(found: pd.DataFrame, per: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "statistic": found["statistic"],
            "p_value": found["p_value"],
            "expected": found["expected"],
            "trials": found["denominator"].astype(float),
            "limit_low": found["low_0.95"],
            "limit_high": found["high_0.95"],
            "test": found["method"],
            "why": found["note"],
            "signal": [_deviation(row, per) for row in found.to_dict("records")],
        }
    )


def _deviation(row: dict[Any, Any], per: str) -> str:
    direction = "more" if row["statistic"] > 0 else "fewer"
    return (
        f"signal: {direction} than expected, {row['numerator']} of {row['denominator']} {per}s "
        f"with an event against {row['expected']:.1f}"
    )


def _lines(found: pd.DataFrame) -> dict[str, Any]:
    """Return what a funnel plot draws, as plain numbers."""
    first = found.iloc[0]
    n = np.unique(np.geomspace(1, max(int(found["denominator"].max()), 1), _CURVE).round().astype(int))
    lines: dict[str, Any] = {"n": n.tolist()}
    factor = float(first["design_effect"] * first["overdispersion"])
    for level in _LEVELS:
        limits = funnel_limits(n, float(first["target"]), variance_factor=factor, conf_level=level)
        lines |= {f"{end}_{level:g}": limits[end].tolist() for end in ("low", "high")}
    numbers = {name: float(first[name]) for name in ("target", "design_effect", "overdispersion")}
    return {**numbers, "limits": lines}


def lot_evidence(counts: Tally, comparison: LotComparison) -> Evidence:
    """Hold each lot against the patients who did not get it."""
    per, lots = counts.counting.per, [SUBSTANCE, LOT]
    grid = counts.grid[[*lots, KIND]].reset_index(names="row")
    matched = comparison.matched(per=per)
    frames = []
    for kind, rows in grid.groupby(KIND, sort=False):
        units = comparison.units(str(kind)).merge(rows, on=lots)
        trials = rows.merge(matched, on=lots, how="left").set_index("row")["matched"].fillna(0.0)
        if units["score"].any():
            score = units["score"] if per == "session" else units["score"].clip(upper=1)
            found = permutation_test(
                score,
                units["exposed"],
                weights=units["patients"],
                strata=units["stratum"],
                group=units["row"],
            )
            frames.append(_lot_tests(found, trials, per))
        else:
            frames.append(_untested(trials))
    return Evidence(_for_all(frames, counts.grid, LOT), {})


def _lot_tests(found: pd.DataFrame, trials: pd.Series[float], per: str) -> pd.DataFrame:
    return found[["statistic", "p_value", "expected"]].assign(
        trials=trials.reindex(found.index),
        limit_low=np.nan,
        limit_high=np.nan,
        test=found["method"],
        why=found["note"],
        signal=[_excess(row, per) for row in found.to_dict("records")],
    )


def _untested(trials: pd.Series[float]) -> pd.DataFrame:
    """Return the rows of a kind that never came: it cannot be a signal, and other tests need not pay for its tests."""
    numbers = dict.fromkeys(["statistic", "p_value", "limit_low", "limit_high"], np.nan)
    texts = {"test": "not tested", "why": "no event at all", "signal": ""}
    return trials.to_frame("trials").assign(expected=0.0, **numbers, **texts)


def _excess(row: dict[Any, Any], per: str) -> str:
    return (
        f"signal: {row['observed']} {per}s with an event against {row['expected']:.1f} expected, "
        f"{row['units']} patients held against {row['others']}"
    )


def _for_all(frames: list[pd.DataFrame], grid: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return a row for every unit and kind: those without a name are not tested."""
    numbers = ["statistic", "p_value", "expected", "trials", "limit_low", "limit_high"]
    texts = ["test", "why", "signal"]
    found = pd.concat([frame for frame in frames if len(frame)] or [pd.DataFrame(columns=[*numbers, *texts])])
    found = found.reindex(grid.index)
    said = found[texts].astype(object).fillna("")
    said["why"] = said["why"].mask(grid[name].isin(UNKNOWN), "not recorded: not tested")
    return found[numbers].astype(float).join(said)
