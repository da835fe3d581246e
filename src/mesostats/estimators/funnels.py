"""Units against the overall proportion: exact control limits of a funnel plot, with allowance for over-dispersion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy import stats

from mesostats.estimators.arguments import binomial_counts, check_conf_level, counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from mesostats.estimators.clusters import ClusterTotals

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

_TINY: Final = float(np.finfo(np.float64).tiny)  # the smallest tail whose normal quantile is finite
_METHOD: Final = "exact binomial test against the overall proportion"
_GIVEN: Final = "exact binomial test against a given proportion"


def funnel(
    events: npt.ArrayLike,
    n: npt.ArrayLike,
    *,
    target: float | None = None,
    design_effect: float = 1.0,
    overdispersion: bool = True,
    winsorise: float = 0.1,
    conf_level: Sequence[float] = (0.95, 0.998),
) -> pd.DataFrame:
    """Compare the proportions of units, such as practitioners, with the overall proportion.

    Parameters
    ----------
    events
        Numbers of observations with an event, shape (m,); whole.
    n
        Numbers of observations, shape (m,).
    target
        The proportion to compare with; all events over all observations if not given.
    design_effect
        By how much observations that come in clusters inflate the binomial variance of a unit, at least 1
        (`pooled_design_effect`).
    overdispersion
        Whether differences between units beyond chance are allowed for.
    winsorise
        The share of z scores at either end that are drawn in before over-dispersion is estimated, at least 0, below 0.5.
    conf_level
        The levels of the control limits.

    Returns
    -------
    pandas.DataFrame
        One row a unit: ``estimate, numerator, denominator, target, expected`` (number of events), ``statistic`` (z score),
        ``p_value`` (two-sided), ``design_effect, overdispersion``, for every level ``low_0.95, high_0.95, …`` (the control
        limits at the unit's n), ``method, note``. Without observations, and where the target is 0 or 1, statistic and
        p value are NaN and the note says why.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    A naive z score is the normal quantile of the mid-p value, P(X < x) + P(X = x)/2 for X binomial(n, target), over the
    root of the design effect. The over-dispersion factor φ is the mean square of the z scores after those below the
    quantile `winsorise` and above its mirror are set to these quantiles, but not below 1. The statistic is the naive z
    score over √φ (Spiegelhalter's multiplicative model), here on the scale of exact tails, so that small units keep
    their skewed limits. The p value takes the exact tail in the place of the mid-p value, doubles it and is not below
    what the statistic says: with design effect and φ at 1 it is the exact test's, which is conservative.

    A unit is part of the overall proportion that it is compared with, and of φ: with a handful of units both hide a
    deviation in part. The direction is conservative.

    References
    ----------
    Spiegelhalter DJ (2005). Funnel plots for comparing institutional performance. doi:10.1002/sim.1970

    Examples
    --------
    Twenty practitioners of a hundred sessions: nineteen with 8, 9 or 10 bruises, one with 30.

    >>> found = funnel([*[8, 9, 10] * 6, 9, 30], [100] * 20)
    >>> found.loc[[0, 19], ["estimate", "statistic", "overdispersion", "high_0.998"]].round(3)
        estimate  statistic  overdispersion  high_0.998
    0       0.08     -0.649             1.0       0.199
    19      0.30      5.519             1.0       0.199
    """
    _check(target, design_effect, winsorise)
    observed, trials = binomial_counts(events=events, n=n)
    total = trials.sum()
    overall = (observed.sum() / total if total else np.nan) if target is None else target
    varied = 0 < overall < 1
    seen = (trials > 0) & varied
    naive = np.where(seen, _z_scores(observed, trials, overall), np.nan) / np.sqrt(design_effect)
    factor = _overdispersion(naive[seen], winsorise) if overdispersion else 1.0
    found = {
        "estimate": observed / np.where(trials > 0, trials, np.nan),
        "numerator": observed,
        "denominator": trials,
        "target": overall,
        "expected": trials * overall,
        "statistic": naive / np.sqrt(factor),
        "p_value": np.where(seen, _p_values(observed, trials, overall, design_effect * factor), np.nan),
        "design_effect": design_effect,
        "overdispersion": factor,
    }
    for level in conf_level:
        limits = funnel_limits(trials, overall, variance_factor=design_effect * factor, conf_level=level)
        found |= {f"{end}_{level:g}": limits[end].to_numpy() for end in ("low", "high")}
    alike = "no event at all" if overall == 0 else "every observation has an event" if overall == 1 else ""
    note = np.where(trials > 0, alike, "no observations")
    return pd.DataFrame(found).assign(method=_method(target, design_effect, factor), note=note)


def funnel_limits(
    n: npt.ArrayLike, target: float, *, variance_factor: float = 1.0, conf_level: float = 0.95
) -> pd.DataFrame:
    """Return the control limits of a proportion by the number of observations: the lines of a funnel plot.

    Parameters
    ----------
    n
        Numbers of observations, shape (m,); whole.
    target
        The proportion that units are compared with; NaN gives NaN.
    variance_factor
        By how much the variance is above the binomial: design effect times over-dispersion, at least 1.
    conf_level
        The share of units within the limits if all have the target's proportion.

    Returns
    -------
    pandas.DataFrame
        One row an element: ``n, low, high``; NaN where n = 0.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    The limit at the tail probability p is (r - a)/n, cut to [0, 1], with r the smallest number for which P(X ≤ r) ≥ p and
    a = (P(X ≤ r) - p)/P(X = r), for X binomial(n, target): Spiegelhalter's interpolation of the discrete distribution.
    With a variance factor v, p is Φ(±z√v) in the place of Φ(±z). Where the target is 1, both limits are 1.

    References
    ----------
    Spiegelhalter DJ (2005). Funnel plots for comparing institutional performance. doi:10.1002/sim.1970

    Examples
    --------
    By hand, for X binomial(2, 0.5) with P(X ≤ 0, 1, 2) = 0.25, 0.75, 1: at p = 0.9, r = 2 and a = 0.1/0.25, hence
    (2 - 0.4)/2; at p = 0.1, r = 0 and a = 0.15/0.25, hence a limit below 0, which is cut.

    >>> funnel_limits([2], 0.5, conf_level=0.8).round(4)
       n  low  high
    0  2  0.0   0.8
    """
    check_conf_level(conf_level)
    _check_target(target)
    _check_factor(variance_factor, "variance_factor")
    trials = counts(n, "n")
    z = stats.norm.isf((1 - conf_level) / 2) * np.sqrt(variance_factor)
    low, high = _limits(trials, target, float(stats.norm.sf(z)))
    return pd.DataFrame({"n": trials, "low": low, "high": high})


def pooled_design_effect(totals: ClusterTotals) -> float:
    """Return by how much clusters within units inflate the binomial variance, over all units.

    Parameters
    ----------
    totals
        The sums over the clusters (patients) of m units.

    Returns
    -------
    float
        At least 1; 1 where no unit has both two clusters and observations that differ.

    Notes
    -----
    The sum over units of the linearised variance of the number of events, about the unit's own proportion, over the sum of
    n·p(1 - p)·n/(n - 1), the unbiased binomial variance. Differences between units do not enter it.

    References
    ----------
    Rao JNK, Scott AJ (1992). A simple method for the analysis of clustered binary data. doi:10.2307/2532311

    Examples
    --------
    Two units of two patients with two sessions each, events in all or none: each unit has a variance of
    2/(2 - 1)·(1 + 1) = 4 in the place of 4·0.5·0.5·4/3 = 4/3.

    >>> from mesostats.estimators.clusters import ClusterTotals
    >>> pooled_design_effect(ClusterTotals.from_arrays([2, 0, 2, 0], [2, 2, 2, 2], ["A", "A", "B", "B"]))
    3.0
    """
    ratio = totals.ratio
    usable = (totals.clusters > 1) & (ratio > 0) & (ratio < 1)
    n, p = totals.trials[usable], ratio[usable]
    binomial = float(np.sum(n**2 / (n - 1) * p * (1 - p)))
    clustered = float(np.sum((totals.ratio_variance * totals.trials**2)[usable]))
    return max(1.0, clustered / binomial) if binomial > 0 else 1.0


def _z_scores(observed: Integers, trials: Integers, target: float) -> Floats:
    """Return the normal quantiles of the mid-p values, from the smaller tail, which rounding spares."""
    half = stats.binom.pmf(observed, trials, target) / 2
    below = stats.binom.cdf(observed - 1, trials, target) + half
    above = stats.binom.sf(observed, trials, target) + half
    tail = np.maximum(np.minimum(below, above), _TINY)
    return np.asarray(np.where(below < above, -1, 1) * stats.norm.isf(tail), dtype=np.float64)


def _p_values(observed: Integers, trials: Integers, target: float, factor: float) -> Floats:
    """Return two-sided p values from the smaller exact tail, its normal quantile shrunk by the root of the factor."""
    below = stats.binom.cdf(observed, trials, target)
    above = stats.binom.sf(observed - 1, trials, target)
    z = stats.norm.isf(np.maximum(np.minimum(below, above), _TINY)) / np.sqrt(factor)
    return np.asarray(np.minimum(2 * stats.norm.sf(z), 1.0), dtype=np.float64)


def _overdispersion(z: Floats, winsorise: float) -> float:
    if len(z) == 0:
        return 1.0
    low, high = np.quantile(z, [winsorise, 1 - winsorise])
    return max(1.0, float(np.mean(np.clip(z, low, high) ** 2)))


def _limits(trials: Integers, target: float, tail: float) -> tuple[Floats, Floats]:
    """Interpolate the binomial quantiles between whole numbers, each from its own tail, which rounding spares."""
    n = np.where(trials > 0, trials, np.nan)
    low = np.nan_to_num(stats.binom.ppf(tail, trials, target))
    # Counted from the other end, since scipy's isf breaks down in far tails.
    high = trials - np.nan_to_num(stats.binom.ppf(tail, trials, 1 - target))
    below = stats.binom.cdf(low, trials, target) - tail
    above = tail - stats.binom.sf(high, trials, target)
    low, high = (
        (r - excess / np.maximum(stats.binom.pmf(r, trials, target), _TINY)) / n
        for r, excess in ((low, below), (high, above))
    )
    if target == 1:  # a certain event leaves nothing between
        return n / n, n / n
    return np.clip(low, 0, 1), np.clip(high, 0, 1)


def _method(target: float | None, design_effect: float, factor: float) -> str:
    parts = [_METHOD if target is None else _GIVEN]
    if round(design_effect, 2) > 1:
        parts.append(f"design effect {design_effect:.2f}")
    if round(factor, 2) > 1:
        parts.append(f"over-dispersion {factor:.2f} (Spiegelhalter)")
    return ", ".join(parts)


def _check(target: float | None, design_effect: float, winsorise: float) -> None:
    if target is not None:
        _check_target(target)
    _check_factor(design_effect, "design_effect")
    if not 0 <= winsorise < 0.5:  # noqa: PLR2004 - half at either end is all
        msg = f"winsorise == {winsorise}, must be at least 0 and below 0.5"
        raise ValueError(msg)


def _check_target(target: float) -> None:
    if target < 0 or target > 1:
        msg = f"target == {target}, must be between 0 and 1"
        raise ValueError(msg)


def _check_factor(factor: float, name: str) -> None:
    if not 1 <= factor < np.inf:
        msg = f"{name} == {factor}, must be finite and at least 1"
        raise ValueError(msg)
