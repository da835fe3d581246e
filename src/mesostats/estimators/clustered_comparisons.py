"""Two groups compared by observations that come in clusters, such as sessions or repeated events within patients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import stats

from mesostats.estimators.arguments import check_conf_level, check_same_length
from mesostats.estimators.bisection import crossing
from mesostats.estimators.mover import Limits, difference_limits, ratio_limits
from mesostats.estimators.proportions import clustered_proportion, wilson_limits
from mesostats.estimators.rates import clustered_rate, effective_limits
from mesostats.estimators.two_groups import comparison_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt
    import pandas as pd

    from mesostats.estimators.clusters import ClusterTotals

    Floats = npt.NDArray[np.float64]
    Texts = npt.NDArray[np.str_]

_NEAR_ONE: Final = 1e-9  # p values nearer to 1 than this are 1
_LOG_SMALLEST: Final = (
    -115.0
)  # the smallest p value is 1e-50: the squares of its t quantiles are still numbers


def clustered_risk_difference(
    totals: ClusterTotals, reference: ClusterTotals, *, conf_level: float = 0.95
) -> pd.DataFrame:
    """Compare two proportions of observations that come in clusters by their difference.

    Parameters
    ----------
    totals
        The sums over the clusters (patients) of m groups.
    reference
        The same of the m reference groups, with other patients.
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row a comparison: `COMPARISON_COLUMNS`. The numerators and denominators are sums of observations;
        ``statistic`` and ``df`` are NaN, as the p value comes from the interval. With fewer than two clusters in a
        group there is no interval and no p value, and the note says so.

    Raises
    ------
    ValueError
        If an argument is not as described, or a cluster has more successes than trials.

    Notes
    -----
    The interval is Newcombe's for two proportions, put together from the two groups' intervals of
    `clustered_proportion`: Wilson's at the effective sample size, each with its own k - 1 degrees of freedom. It was
    chosen by simulation over the plain difference with linearised variance and Satterthwaite's degrees of freedom: with
    20 to 40 patients a group, 3 to 9 sessions each, proportions of 0.02 to 0.4 and an intracluster correlation of 0.2,
    it covered 0.94 to 0.99, the plain one 0.91 to 0.99.

    The p value is the least 1 - `conf_level` at which the interval excludes 0. The standard error is the root of the
    summed squared standard errors of the two proportions; it is reported, and is not what the interval is built on.

    References
    ----------
    Newcombe RG (1998). Interval estimation for the difference between independent proportions: comparison of eleven
    methods. doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I

    Zou GY, Donner A (2008). Construction of confidence limits about effect measures: a general approach.
    doi:10.1002/sim.3095

    Korn EL, Graubard BI (1998). Confidence intervals for proportions with small expected number of positive counts
    estimated from survey data. Survey Methodology 24, 193-201.

    Examples
    --------
    Five patients with four sessions each, bruises in 4, 0, 0, 1 and 0 of them, and five with none. By hand: the
    effective sample sizes are 5 and 5, with t = 2.776 the two intervals are 0.0319 to 0.7714 and 0 to 0.6066,
    and the lower limit is 0.25 - sqrt(0.2181² + 0.6066²).

    >>> from mesostats.estimators import ClusterTotals
    >>> bruised = ClusterTotals.from_arrays([4, 0, 0, 1, 0], [4, 4, 4, 4, 4])
    >>> spared = ClusterTotals.from_arrays([0, 0, 0, 0, 0], [4, 4, 4, 4, 4])
    >>> clustered_risk_difference(bruised, spared)[["estimate", "conf_low", "conf_high"]].round(4)
       estimate  conf_low  conf_high
    0      0.25   -0.3946     0.7714
    """
    _check(totals, reference, conf_level)
    part, other = _proportions(totals), _proportions(reference)
    low, high = difference_limits(*_both(part, other, 1 - conf_level))
    found = {
        "estimate": part.estimate - other.estimate,
        "std_error": np.hypot(part.std_error, other.std_error),
        "conf_low": low,
        "conf_high": high,
        "conf_level": conf_level,
        "method": "Newcombe hybrid score interval at the effective sample sizes, t quantiles",
    }
    found["p_value"] = _p_values(part, other)
    return _comparison(totals, reference, found, _part_notes(part, other))


def clustered_risk_ratio(
    totals: ClusterTotals, reference: ClusterTotals, *, conf_level: float = 0.95
) -> pd.DataFrame:
    """Compare two proportions of observations that come in clusters by their ratio.

    Parameters
    ----------
    totals, reference, conf_level
        As for `clustered_risk_difference`.

    Returns
    -------
    pandas.DataFrame
        As for `clustered_risk_difference`, with the same p value. ``std_error`` is that of the logarithm of the ratio,
        NaN where a group has no success. Without successes in the group the estimate and the lower limit are 0, without
        successes in the reference group the estimate and the upper limit are infinite, and the note says so; without
        any, the numbers are NaN.

    Raises
    ------
    ValueError
        If an argument is not as described, or a cluster has more successes than trials.

    Notes
    -----
    The limits are the ratios at which those of the difference of one proportion and the ratio times the other are 0
    (`mover.ratio_limits`), so that the interval excludes 1 exactly where that of the difference excludes 0.

    References
    ----------
    Donner A, Zou GY (2012). Closed-form confidence intervals for functions of the normal mean and standard deviation.
    doi:10.1177/0962280210383082

    Examples
    --------
    >>> from mesostats.estimators import ClusterTotals
    >>> often = ClusterTotals.from_arrays([4, 0, 0, 1, 1], [4, 4, 4, 4, 4])
    >>> seldom = ClusterTotals.from_arrays([1, 0, 0, 1, 0], [4, 4, 4, 4, 4])
    >>> clustered_risk_ratio(often, seldom)["estimate"].round(4).tolist()
    [3.0]
    """
    _check(totals, reference, conf_level)
    part, other = _proportions(totals), _proportions(reference)
    method = "MOVER of two Wilson score intervals at the effective sample sizes, t quantiles"
    found = _ratio(part, other, conf_level, method=method)
    return _comparison(totals, reference, found, [*_part_notes(part, other), _end_notes(part, other)])


def clustered_rate_ratio(
    totals: ClusterTotals, reference: ClusterTotals, *, conf_level: float = 0.95
) -> pd.DataFrame:
    """Compare two rates of events that repeat within patients by their ratio.

    Parameters
    ----------
    totals
        The sums over the patients of m groups, with events as successes and exposure as trials.
    reference
        The same of the m reference groups, with other patients.
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        As for `clustered_risk_ratio`. Where a group has no event, the note says that its interval takes events as
        independent.

    Raises
    ------
    ValueError
        If `conf_level` is not between 0 and 1, or lengths differ.

    Notes
    -----
    The interval is put together from the two groups' intervals of `clustered_rate` (`mover.ratio_limits`), each with
    its own degrees of freedom; the p value is the least 1 - `conf_level` at which it excludes 1. The standard error
    does not enter the interval.

    References
    ----------
    Donner A, Zou GY (2012). Closed-form confidence intervals for functions of the normal mean and standard deviation.
    doi:10.1177/0962280210383082

    Stukel TA, Glynn RJ, Fisher ES, Sharp SM, Lu-Yao G, Wennberg JE (1994). Standardized rates of recurrent outcomes.
    doi:10.1002/sim.4780131709

    Examples
    --------
    >>> from mesostats.estimators import ClusterTotals
    >>> often = ClusterTotals.from_arrays([6, 1, 1, 0], [10, 10, 10, 10])
    >>> seldom = ClusterTotals.from_arrays([1, 0, 1, 0], [10, 10, 10, 10])
    >>> float(clustered_rate_ratio(often, seldom)["estimate"].iloc[0])
    4.0
    """
    _check(totals, reference, conf_level)
    part, other = _rates(totals), _rates(reference)
    method = "MOVER of two Garwood intervals at the effective numbers of events, t quantiles"
    found = _ratio(part, other, conf_level, method=method)
    return _comparison(totals, reference, found, [*_part_notes(part, other), _end_notes(part, other)])


def _check(totals: ClusterTotals, reference: ClusterTotals, conf_level: float) -> None:
    check_conf_level(conf_level)
    check_same_length(totals=totals.clusters, reference=reference.clusters)


@dataclass(frozen=True, eq=False)
class _Part:
    """The estimates of one of two sets of groups, and their limits at any level."""

    estimate: Floats
    std_error: Floats
    note: Texts
    limits: Callable[[Floats], tuple[Floats, Floats]]
    """The two limits by 1 - conf_level, shape (m,)."""


def _proportions(totals: ClusterTotals) -> _Part:
    found = clustered_proportion(totals)
    estimate, effective_n = (found[name].to_numpy() for name in ("estimate", "effective_n"))
    df = np.where(totals.alone, np.inf, found["df"])

    def limits(level: Floats) -> tuple[Floats, Floats]:
        return wilson_limits(estimate, effective_n, _quantile(level, df))

    return _Part(estimate, found["std_error"].to_numpy(), _texts(found), limits)


def _rates(totals: ClusterTotals) -> _Part:
    found = clustered_rate(totals)
    estimate, df, effect = (found[name].to_numpy() for name in ("estimate", "df", "design_effect"))
    exposure = np.where(totals.clusters > 1, totals.trials, np.nan)

    def limits(level: Floats) -> tuple[Floats, Floats]:
        low, high = effective_limits(totals.successes / effect, df, level / 2)
        none_high = -np.log(level / 2) / exposure  # Garwood's upper limit without events
        silent, unit = estimate == 0, effect / exposure
        return np.where(silent, exposure * 0, low * unit), np.where(silent, none_high, high * unit)

    return _Part(estimate, found["std_error"].to_numpy(), _texts(found), limits)


def _texts(found: pd.DataFrame) -> Texts:
    return found["note"].to_numpy(dtype=np.str_)


def _quantile(level: Floats, df: Floats) -> Floats:
    return np.asarray(stats.t.isf(level / 2, np.where(df > 0, df, np.nan)), dtype=np.float64)


def _both(part: _Part, other: _Part, level: npt.ArrayLike) -> tuple[Limits, Limits]:
    levels = np.broadcast_to(np.asarray(level, dtype=np.float64), part.estimate.shape)
    first, second = (Limits(each.estimate, *each.limits(levels)) for each in (part, other))
    return first, second


def _p_values(part: _Part, other: _Part) -> Floats:
    """Return the least level at which the limits of the difference exclude 0; 1 where they never do."""

    def holds_zero(log_level: Floats) -> npt.NDArray[np.bool_]:
        low, high = difference_limits(*_both(part, other, np.exp(log_level)))
        return np.asarray((low <= 0) & (high >= 0))

    start = np.where(np.isnan(part.std_error + other.std_error), np.nan, _LOG_SMALLEST)
    # At a level of 1 itself the limits of a rate are 0/0.
    found = np.exp(crossing(holds_zero, start, np.full(len(start), -_NEAR_ONE)))
    return np.where(np.isnan(start), np.nan, np.where(found > 1 - 2 * _NEAR_ONE, 1.0, found))


def _ratio(part: _Part, other: _Part, conf_level: float, *, method: str) -> Mapping[str, object]:
    low, high = ratio_limits(*_both(part, other, 1 - conf_level))
    silent = (part.estimate == 0) & (other.estimate == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = part.estimate / other.estimate
    relative = (each.std_error / np.where(each.estimate > 0, each.estimate, np.nan) for each in (part, other))
    return {
        "estimate": estimate,
        "std_error": np.hypot(*relative),
        "conf_low": np.where(silent, np.nan, low),
        "conf_high": np.where(silent, np.nan, high),
        "conf_level": conf_level,
        "p_value": np.where(silent, np.nan, _p_values(part, other)),
        "method": method,
    }


def _comparison(
    totals: ClusterTotals, reference: ClusterTotals, found: Mapping[str, object], notes: list[Texts]
) -> pd.DataFrame:
    numbers = {
        "statistic": np.nan,
        "numerator": totals.successes,
        "denominator": totals.trials,
        "reference_numerator": reference.successes,
        "reference_denominator": reference.trials,
    }
    rows = zip(*notes, strict=True)
    return comparison_frame({**found, **numbers, "note": ["; ".join(filter(None, row)) for row in rows]})


def _part_notes(part: _Part, other: _Part) -> list[Texts]:
    """Say of each group what its own estimate says."""
    named = ((part, "group: "), (other, "reference group: "))
    return [np.where(each.note == "", "", np.char.add(name, each.note)) for each, name in named]


def _end_notes(part: _Part, other: _Part) -> Texts:
    none, other_none = part.estimate == 0, other.estimate == 0
    texts = [
        "no event in either group: their ratio is unknown",
        "only the upper limit says something",
        "only the lower limit says something",
    ]
    return np.select([none & other_none, none, other_none], texts, default="")
