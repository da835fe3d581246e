"""The odds ratio of two groups that are compared within strata, and the test of Cochran, Mantel and Haenszel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from mesostats.estimators.arguments import check_conf_level
from mesostats.estimators.strata import (
    association,
    compared_strata,
    inverse,
    log_wald,
    pooled_row,
    quotient,
    ratio_note,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import pandas as pd

    from mesostats.estimators.two_groups import TwoGroups

    Floats = npt.NDArray[np.float64]


def stratified_odds_ratio(
    events: npt.ArrayLike,
    n: npt.ArrayLike,
    reference_events: npt.ArrayLike,
    reference_n: npt.ArrayLike,
    *,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Estimate an odds ratio that is common to several strata.

    Parameters
    ----------
    events, n, reference_events, reference_n
        As for `stratified_risk_difference`.
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        As for `stratified_risk_ratio`. Strata in which nobody or everybody has the event say nothing of the odds
        ratio and are left out as well.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    The estimate is R/S with R = sum r, r = y(n₀ - y₀)/N, and S = sum s, s = y₀(n - y)/N. The variance of its logarithm,
    that of Robins, Breslow and Greenland, is sum u·r/(2R²) + sum (u·s + (1 - u)·r)/(2R·S) + sum (1 - u)·s/(2S²), with
    u = (y + n₀ - y₀)/N. As R's ``mantelhaen.test``.

    References
    ----------
    Mantel N, Haenszel W (1959). Statistical aspects of the analysis of data from retrospective studies of disease.
    doi:10.1093/jnci/22.4.719

    Robins J, Breslow N, Greenland S (1986). Estimators of the Mantel-Haenszel variance consistent in both sparse data
    and large-strata limiting models. doi:10.2307/2531052

    Examples
    --------
    By hand: R = 4·8/20 + 6·16/40 = 4, S = 2·6/20 + 4·14/40 = 2, the variance is
    2.28/32 + 2.85/16 + 0.87/8 = 0.3581.

    >>> stratified_odds_ratio([4, 6], [10, 20], [2, 4], [10, 20])[["estimate", "std_error"]].round(4)
       estimate  std_error
    0       2.0     0.5984
    """
    check_conf_level(conf_level)
    given, used = compared_strata(events, n, reference_events, reference_n, both_outcomes=True)
    found = _common_odds(used, conf_level)
    return pooled_row(given, used, found, [ratio_note(found)])


def cochran_mantel_haenszel(
    events: npt.ArrayLike,
    n: npt.ArrayLike,
    reference_events: npt.ArrayLike,
    reference_n: npt.ArrayLike,
    *,
    correction: bool = False,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Test whether the event goes with the group within strata, and whether it does so alike in all of them.

    Parameters
    ----------
    events, n, reference_events, reference_n
        As for `stratified_risk_difference`.
    correction
        Whether to take Yates' continuity correction, at most 1/2, off the difference.
    conf_level
        Two-sided confidence level of the odds ratio, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row: the estimate, standard error and limits of `stratified_odds_ratio`, with the chi-squared test of
        Cochran, Mantel and Haenszel for ``statistic``, ``df`` and ``p_value``; then ``homogeneity_statistic``,
        ``homogeneity_df`` and ``homogeneity_p_value``, the test of Breslow and Day that all strata have one odds ratio,
        corrected by Tarone. It is NaN, and the note says so, with fewer than two strata or where the common odds ratio
        is 0 or infinite.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    The statistic is (sum y - sum e)² / sum v, with e = n·m/N, v = n·n₀·m(N - m)/(N²(N - 1)) and m = y + y₀. As R's
    ``mantelhaen.test``, without the continuity correction that is R's default. Tarone's test compares y with its
    expectation under the common odds ratio, which leaves the four margins as they are.

    References
    ----------
    Mantel N, Haenszel W (1959). Statistical aspects of the analysis of data from retrospective studies of disease.
    doi:10.1093/jnci/22.4.719

    Tarone RE (1985). On heterogeneity tests based on efficient scores. doi:10.1093/biomet/72.1.91

    Examples
    --------
    By hand: sum y - e = (4 - 3) + (6 - 5) = 2, v = 100·6·14/(400·19) + 400·10·30/(1600·39) = 1.1053 + 1.9231.

    >>> cochran_mantel_haenszel([4, 6], [10, 20], [2, 4], [10, 20])[["statistic", "df", "p_value"]].round(4)
       statistic  df  p_value
    0     1.3209   1   0.2504
    """
    check_conf_level(conf_level)
    given, used = compared_strata(events, n, reference_events, reference_n, both_outcomes=True)
    found = _common_odds(used, conf_level)
    statistic = association(used, correction=correction) ** 2
    homogeneity, df = _tarone(used, found["estimate"]), max(len(used.n) - 1, 0)
    name = "Cochran-Mantel-Haenszel test" + (", continuity-corrected" if correction else "")
    test = {
        "statistic": statistic,
        "df": 1,
        "p_value": float(stats.chi2.sf(statistic, 1)),
        "method": f"{name}; {found['method']}; Breslow-Day test with Tarone's correction",
        "homogeneity_statistic": homogeneity,
        "homogeneity_df": df,
        "homogeneity_p_value": float(stats.chi2.sf(homogeneity, df)) if df else np.nan,
    }
    no_homogeneity = "no test of homogeneity" if np.isnan(homogeneity) else ""
    return pooled_row(given, used, {**found, **test}, [_interval_note(found), no_homogeneity])


def _interval_note(found: Mapping[str, Any]) -> str:
    """Say that the odds ratio has no interval; the test of Cochran, Mantel and Haenszel does not need it."""
    return "the odds ratio is 0 or infinite: no interval" if np.isnan(found["std_error"]) else ""


def _common_odds(used: TwoGroups, conf_level: float) -> dict[str, Any]:
    y, n, y0, n0 = used.floats
    total = n + n0
    concordant, discordant = y * (n0 - y0) / total, y0 * (n - y) / total
    above, below = concordant.sum(), discordant.sum()
    share = (y + n0 - y0) / total
    variance = (
        np.sum(share * concordant) * inverse(above) ** 2 / 2
        + np.sum(share * discordant + (1 - share) * concordant) * inverse(above * below) / 2
        + np.sum((1 - share) * discordant) * inverse(below) ** 2 / 2
    )
    found = log_wald(quotient(above, below), variance, conf_level)
    return {**found, "method": "Mantel-Haenszel odds ratio, Robins-Breslow-Greenland variance"}


def _tarone(used: TwoGroups, odds_ratio: float) -> float:
    """Return the statistic of Breslow and Day with Tarone's correction."""
    y, n, y0, n0 = used.floats
    if len(n) <= 1 or not 0 < odds_ratio < np.inf:
        return np.nan
    expected = _expected_events(used, odds_ratio)
    seen = y + y0
    variance = 1 / (1 / expected + 1 / (n - expected) + 1 / (seen - expected) + 1 / (n0 - seen + expected))
    excess = y - expected
    return float(np.sum(excess**2 / variance) - excess.sum() ** 2 / variance.sum())


def _expected_events(used: TwoGroups, odds_ratio: float) -> Floats:
    """Return the events of the group under an odds ratio and the margins of each stratum: a root of a quadratic."""
    y, n, y0, n0 = used.floats
    seen = y + y0
    linear = odds_ratio * (n + seen) + n0 - seen
    root = np.sqrt(linear**2 - 4 * (odds_ratio - 1) * odds_ratio * n * seen)
    return np.asarray(2 * odds_ratio * n * seen / (linear + root), dtype=np.float64)
