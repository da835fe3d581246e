"""Differences of two proportions, with intervals that hold at the size of a clinic and at zero events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from scipy import stats

from mesostats.estimators.arguments import check_choice, check_conf_level
from mesostats.estimators.bisection import crossing
from mesostats.estimators.mover import Limits, difference_limits
from mesostats.estimators.proportions import proportion
from mesostats.estimators.two_groups import TwoGroups, comparison_frame

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

RiskDifferenceMethod = Literal["miettinen_nurminen", "newcombe"]

_METHOD_TEXTS: Final = {
    "miettinen_nurminen": "Miettinen-Nurminen score interval and test",
    "newcombe": "Newcombe hybrid score interval, Miettinen-Nurminen score test",
}
_POLISH: Final = 1e-6  # a larger correction than rounding can call for is no correction


def risk_difference(
    events: npt.ArrayLike,
    n: npt.ArrayLike,
    reference_events: npt.ArrayLike,
    reference_n: npt.ArrayLike,
    *,
    method: RiskDifferenceMethod = "miettinen_nurminen",
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Compare two proportions by their difference.

    Parameters
    ----------
    events
        Patients with the event in the group, a number or shape (m,); whole.
    n
        Patients in the group, of the same shape.
    reference_events, reference_n
        The same in the reference group.
    method
        The interval: ``"miettinen_nurminen"`` (score; agrees with the test) or ``"newcombe"`` (from the two Wilson
        intervals, his method 10).
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row a comparison: `COMPARISON_COLUMNS`. The estimate is the group's proportion minus the reference's;
        ``statistic`` is the signed score statistic z of no difference, ``df`` is NaN (normal reference). Where a group
        is empty the numbers are NaN and the note says so. Where nobody or everybody has the event, statistic 0 and
        p = 1.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    The score interval holds every difference δ with |p - p₀ - δ| ≤ z·sqrt(V(δ)), where V(δ) =
    (q(1 - q)/n + q₀(1 - q₀)/n₀)·N/(N - 1), N = n + n₀, and q = q₀ + δ, q₀ are the maximum likelihood proportions
    under δ, a root of a cubic in closed form. At δ = 0 this is the "N - 1" chi-squared test, so that
    p < 1 - `conf_level` exactly where the interval excludes 0. Newcombe's interval need not agree with the test in
    every table.

    The standard error is sqrt(p(1 - p)/n + p₀(1 - p₀)/n₀); it is reported, and is not what the interval is built on.

    References
    ----------
    Miettinen O, Nurminen M (1985). Comparative analysis of two rates. doi:10.1002/sim.4780040211

    Newcombe RG (1998). Interval estimation for the difference between independent proportions: comparison of eleven
    methods. doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I

    Campbell I (2007). Chi-squared and Fisher-Irwin tests of two-by-two tables with small sample recommendations.
    doi:10.1002/sim.2832

    Examples
    --------
    Newcombe (1998), table II, examples a and e: methods 6 and 10.

    >>> risk_difference([56, 0], [70, 10], [48, 0], [80, 20])[["estimate", "conf_low", "conf_high"]].round(4)
       estimate  conf_low  conf_high
    0       0.2    0.0528     0.3382
    1       0.0   -0.1658     0.2844
    >>> risk_difference(56, 70, 48, 80, method="newcombe")[["conf_low", "conf_high"]].round(4)
       conf_low  conf_high
    0    0.0524     0.3339
    """
    check_choice(method, _METHOD_TEXTS, "method")
    check_conf_level(conf_level)
    groups = TwoGroups.from_counts(events, n, reference_events, reference_n)
    limits = _score_limits if method == "miettinen_nurminen" else _newcombe_limits
    low, high = limits(groups, conf_level)
    statistic = _score_test(groups)
    return comparison_frame(
        {
            "estimate": groups.risk - groups.reference_risk,
            "std_error": np.sqrt(_variance(groups) + _variance(groups.swapped)),
            "conf_low": low,
            "conf_high": high,
            "conf_level": conf_level,
            "statistic": statistic,
            "p_value": 2 * stats.norm.sf(np.abs(statistic)),
            **groups.numbers,
            "method": _METHOD_TEXTS[method],
            "note": groups.notes,
        }
    )


def _variance(groups: TwoGroups) -> Floats:
    return np.asarray(
        groups.risk * (1 - groups.risk) / np.where(groups.n > 0, groups.n, np.nan), dtype=np.float64
    )


def _score_test(groups: TwoGroups) -> Floats:
    """Return z of no difference: 0 where nobody or everybody has the event, as nothing then differs."""
    _, n, _, reference_n = groups.floats
    total = np.where(groups.compared, n + reference_n, np.nan)
    pooled = groups.pooled_risk
    precision = np.where(groups.compared, n * reference_n * (total - 1) / total**2, np.nan)
    spread = np.where(pooled * (1 - pooled) == 0, np.inf, pooled * (1 - pooled))
    difference = groups.risk - groups.reference_risk
    return np.asarray(difference * np.sqrt(precision / spread), dtype=np.float64)


def _newcombe_limits(groups: TwoGroups, conf_level: float) -> tuple[Floats, Floats]:
    parts = (
        proportion(each.events, each.n, conf_level=conf_level)[["estimate", "conf_low", "conf_high"]]
        for each in (groups, groups.swapped)
    )
    return difference_limits(*(Limits(*each.to_numpy().T) for each in parts))


def _score_limits(groups: TwoGroups, conf_level: float) -> tuple[Floats, Floats]:
    tables = groups.reshaped(-1, 1)
    return weighted_score_limits(tables, np.ones(tables.n.shape), conf_level=conf_level)


def weighted_score_limits(tables: TwoGroups, weights: Floats, *, conf_level: float) -> tuple[Floats, Floats]:
    """Return the score limits of weighted means of risk differences.

    Parameters
    ----------
    tables
        Counts of shape (m, s): m comparisons in s strata each.
    weights
        Weights of the strata's differences, of the same shape; each row is divided by its sum.
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper limits, shape (m,).

    Notes
    -----
    The limits solve (sum w(p - p₀) - δ)² = z²·sum w²·V(δ), with V as in `risk_difference` within each stratum.
    """
    quantile = float(stats.norm.isf((1 - conf_level) / 2))
    shares = weights / weights.sum(axis=1, keepdims=True)
    low = _lower_score_limit(tables, shares, quantile)
    # The group's upper limit is the lower limit of the groups swapped: the two are then alike to the last digit.
    return low, -_lower_score_limit(tables.swapped, shares, quantile)


def _lower_score_limit(tables: TwoGroups, shares: Floats, quantile: float) -> Floats:
    estimate = np.sum(shares * (tables.risk - tables.reference_risk), axis=1)

    def is_below(difference: Floats) -> npt.NDArray[np.bool_]:
        variance = np.sum(shares**2 * _constrained_variance(tables, difference[:, np.newaxis]), axis=1)
        return np.asarray(estimate - difference > quantile * np.sqrt(variance))

    return crossing(is_below, np.where(np.isnan(estimate), np.nan, -1.0), estimate)


def _constrained_variance(tables: TwoGroups, difference: Floats) -> Floats:
    """Return the variance of the difference of proportions if the true one were `difference`."""
    empty = ~tables.compared
    _, n, _, reference_n = (np.where(empty, np.nan, counted) for counted in tables.floats)
    risk, reference_risk = constrained_risks(tables, difference)
    variance = risk * (1 - risk) / n + reference_risk * (1 - reference_risk) / reference_n
    return np.asarray(variance * (n + reference_n) / (n + reference_n - 1), dtype=np.float64)


def constrained_risks(tables: TwoGroups, difference: Floats) -> tuple[Floats, Floats]:
    """Return the maximum likelihood proportions of both groups, given their difference.

    Parameters
    ----------
    tables
        Counts of any shape.
    difference
        The difference that the proportions are to have, of that shape or one that spreads to it.

    Returns
    -------
    tuple of numpy.ndarray
        The proportions of the group and of the reference group; NaN where either is empty.
    """
    reference_risk = _constrained_reference_risk(tables, difference)
    return np.clip(reference_risk + difference, 0.0, 1.0), reference_risk


def _constrained_reference_risk(tables: TwoGroups, difference: Floats) -> Floats:
    """Return the maximum likelihood proportion of the reference group, given the difference.

    It is the middle root of p³ + 3a·p² + b·p + c (Miettinen and Nurminen 1985, appendix I).
    """
    events, n, reference_events, reference_n = tables.floats
    total = np.where(tables.compared, n + reference_n, np.nan)
    seen = events + reference_events
    a = ((n + 2 * reference_n) * difference - total - seen) / (3 * total)
    b = ((reference_n * difference - total - 2 * reference_events) * difference + seen) / total
    c = reference_events * difference * (1 - difference) / total
    q = a**3 - a * b / 2 + c / 2
    r = np.copysign(np.sqrt(np.maximum(a**2 - b / 3, 0.0)), q)
    cosine = np.divide(q, r**3, out=np.zeros_like(q), where=r != 0)
    root = 2 * r * np.cos((np.pi + np.arccos(np.clip(cosine, -1.0, 1.0))) / 3) - a
    root = _polished(root, a, b, c=c)
    return np.clip(root, np.maximum(0.0, -difference), np.minimum(1.0, 1 - difference))


def _polished(root: Floats, a: Floats, b: Floats, *, c: Floats) -> Floats:
    """Take back by Newton's step what cancellation lost: with rare events two roots lie close together."""
    for _ in range(2):
        slope = 3 * root**2 + 6 * a * root + b
        step = np.divide(
            ((root + 3 * a) * root + b) * root + c, slope, out=np.zeros_like(root), where=slope != 0
        )
        root = np.where(np.abs(step) < _POLISH, root - step, root)
    return root
