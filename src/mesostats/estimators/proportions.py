"""Proportions with intervals that hold at the size of a clinic, for independent and for clustered observations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from mesostats.estimators.arguments import binomial_counts, check_choice, check_conf_level

if TYPE_CHECKING:
    import numpy.typing as npt

    from mesostats.estimators.clusters import ClusterTotals

    Floats = npt.NDArray[np.float64]

ProportionMethod = Literal["wilson", "clopper_pearson", "jeffreys", "agresti_coull"]

_METHOD_TEXTS: Final = {
    "wilson": "Wilson score interval",
    "clopper_pearson": "Clopper-Pearson exact interval",
    "jeffreys": "Jeffreys interval with the boundary rule",
    "agresti_coull": "Agresti-Coull interval",
}
_ALONE: Final = f"{_METHOD_TEXTS['wilson']}, one observation a cluster"
_STATSMODELS_NAMES: Final = {
    "clopper_pearson": "beta",
    "jeffreys": "jeffreys",
    "agresti_coull": "agresti_coull",
}


def proportion(
    count: npt.ArrayLike,
    n: npt.ArrayLike,
    *,
    conf_level: float = 0.95,
    method: ProportionMethod = "wilson",
) -> pd.DataFrame:
    """Estimate proportions of independent observations.

    Parameters
    ----------
    count
        Numbers of successes, a number or shape (m,); whole, 0 ≤ count ≤ n.
    n
        Numbers of observations, of the same shape.
    conf_level
        Two-sided confidence level, between 0 and 1.
    method
        The interval: ``"wilson"`` (score), ``"clopper_pearson"`` (exact, conservative), ``"jeffreys"`` (equal-tailed
        Beta(1/2, 1/2) posterior; the lower limit is 0 at count = 0 and the upper limit 1 at count = n) or
        ``"agresti_coull"``.

    Returns
    -------
    pandas.DataFrame
        One row an element: ``estimate, std_error, conf_low, conf_high, conf_level, numerator, denominator, method,
        note``. Where n = 0 the numbers are NaN and the note says so.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    The standard error is sqrt(p(1 - p)/n); it is reported, and is not what the interval is built on. The Wilson limits
    are the roots in p₀ of (p - p₀)² = z²·p₀(1 - p₀)/n.

    References
    ----------
    Wilson EB (1927). Probable inference, the law of succession, and statistical inference. doi:10.1080/01621459.1927.10502953

    Brown LD, Cai TT, DasGupta A (2001). Interval estimation for a binomial proportion. doi:10.1214/ss/1009213286

    Examples
    --------
    The four examples of Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E:

    >>> proportion([81, 15, 0, 1], [263, 148, 20, 29])[["estimate", "conf_low", "conf_high"]].round(4)
       estimate  conf_low  conf_high
    0    0.3080    0.2553     0.3662
    1    0.1014    0.0624     0.1605
    2    0.0000    0.0000     0.1611
    3    0.0345    0.0061     0.1718
    """
    check_choice(method, _METHOD_TEXTS, "method")
    check_conf_level(conf_level)
    successes, trials = binomial_counts(count=count, n=n)
    seen = np.where(trials > 0, trials, np.nan)
    estimate = successes / seen
    low, high = _limits(successes, seen, conf_level, method=method)
    return pd.DataFrame(
        {
            "estimate": estimate,
            "std_error": np.sqrt(estimate * (1 - estimate) / seen),
            "conf_low": low,
            "conf_high": high,
            "conf_level": conf_level,
            "numerator": successes,
            "denominator": trials,
            "method": _METHOD_TEXTS[method],
            "note": np.where(trials > 0, "", "no observations"),
        }
    )


def _limits(
    successes: npt.NDArray[np.int64], trials: Floats, conf_level: float, *, method: ProportionMethod
) -> tuple[Floats, Floats]:
    if method == "wilson":
        return wilson_limits(successes / trials, trials, stats.norm.isf((1 - conf_level) / 2))
    low, high = proportion_confint(successes, trials, alpha=1 - conf_level, method=_STATSMODELS_NAMES[method])
    return np.where(successes == 0, low * 0, low), np.where(successes == trials, 1.0, high)


def wilson_limits(estimate: Floats, n: Floats, quantile: Floats | float) -> tuple[Floats, Floats]:
    """Return Wilson's limits of proportions at any sample size and any quantile.

    Parameters
    ----------
    estimate
        The proportions, shape (m,); NaN stays NaN.
    n
        The numbers of observations, above 0, of the same shape; they need not be whole.
    quantile
        The quantile of the reference distribution, one for all or of the same shape.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper limits, shape (m,).
    """
    shrink = 1 + quantile**2 / n
    centre = (estimate + quantile**2 / (2 * n)) / shrink
    half = quantile * np.sqrt(estimate * (1 - estimate) / n + quantile**2 / (4 * n**2)) / shrink
    # At the two ends the limit is the end itself, which rounding would miss by a little. NaN stays NaN.
    low = np.where(estimate == 0, half * 0, np.maximum(centre - half, 0))
    high = np.where(estimate == 1, half * 0 + 1, np.minimum(centre + half, 1))
    return low, high


def clustered_proportion(totals: ClusterTotals, *, conf_level: float = 0.95) -> pd.DataFrame:
    """Estimate proportions of observations that come in clusters, such as sessions within patients.

    Parameters
    ----------
    totals
        The sums over the clusters of m groups.
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row a group: ``estimate, std_error, conf_low, conf_high, conf_level, df, numerator, denominator, method,
        note, icc, design_effect, effective_n``. ``icc`` is the intracluster correlation, NaN where every cluster has
        one observation or all observations are alike. With one cluster of several observations the interval is NaN.

    Raises
    ------
    ValueError
        If `conf_level` is not as described, or a cluster has more successes than trials.

    Notes
    -----
    With p = sum y_i / sum n_i and its linearised variance v (`ClusterTotals.ratio_variance`), the design effect is
    v / (p(1 - p)/sum n_i), but not below 1, and the effective sample size is sum n_i over the design effect. The
    interval is Wilson's for p at the effective sample size, with the quantile of Student's t on k - 1 degrees of freedom
    in place of the normal's; the standard error is sqrt(p(1 - p)/effective n). Where no observation or every
    observation is a success, the variance between clusters cannot be seen: then the effective sample size is the
    number of clusters, as if the observations in a cluster were all alike, which is conservative. Where every cluster has one
    observation nothing is clustered: the interval is Wilson's for independent observations, as of `proportion`, and has no degrees
    of freedom; ``method`` says so.

    The intracluster correlation is the analysis-of-variance estimator (MSB - MSW)/(MSB + (n₀ - 1)·MSW), which may
    be negative.

    References
    ----------
    Korn EL, Graubard BI (1998). Confidence intervals for proportions with small expected number of positive counts
    estimated from survey data. Survey Methodology 24, 193-201.

    Ukoumunne OC (2002). A comparison of confidence interval methods for the intraclass correlation coefficient in
    cluster randomized trials. doi:10.1002/sim.1330

    Examples
    --------
    Five patients with four sessions each; bruises in 4, 0, 0, 1 and 0 of them. By hand: p = 5/20, the squared
    residuals sum to 9 + 1 + 1 + 0 + 1 = 12, v = 5/4·12/400 = 0.0375, the design effect is 0.0375/(0.1875/20) = 4.

    >>> from mesostats.estimators import ClusterTotals
    >>> result = clustered_proportion(ClusterTotals.from_arrays([4, 0, 0, 1, 0], [4, 4, 4, 4, 4]))
    >>> result[["estimate", "std_error", "design_effect", "effective_n", "df"]].round(4)
       estimate  std_error  design_effect  effective_n   df
    0      0.25     0.1936            4.0          5.0  4.0
    """
    check_conf_level(conf_level)
    _check_successes(totals)
    estimate, trials, clusters = totals.ratio, totals.trials, totals.clusters
    binomial = estimate * (1 - estimate)
    alone = totals.alone
    design_effect = np.maximum(totals.ratio_variance * trials / np.where(binomial > 0, binomial, np.nan), 1)
    design_effect = np.where(alone & (binomial > 0), 1.0, design_effect)
    effective_n = np.where(binomial > 0, trials / design_effect, np.minimum(clusters, trials))
    effective_n = np.where((clusters > 1) | alone, effective_n, np.nan)
    df = np.where((clusters > 0) & ~alone, clusters - 1, np.nan)
    quantile = stats.t.isf((1 - conf_level) / 2, np.where(alone, np.inf, np.where(df > 0, df, np.nan)))
    low, high = wilson_limits(estimate, effective_n, quantile)
    return pd.DataFrame(
        {
            "estimate": estimate,
            "std_error": np.sqrt(binomial / effective_n),
            "conf_low": low,
            "conf_high": high,
            "conf_level": conf_level,
            "df": df,
            "numerator": totals.successes,
            "denominator": trials,
            "method": np.where(
                alone, _ALONE, "Wilson score interval at the effective sample size, t quantile"
            ),
            "note": np.where(alone, "", _cluster_notes(clusters, binomial)),
            "icc": _intracluster_correlation(totals),
            "design_effect": design_effect,
            "effective_n": effective_n,
        }
    )


def _check_successes(totals: ClusterTotals) -> None:
    """Refuse y_i > n_i, as far as the sums show it."""
    slack = 1 + 1e-9  # sums of fractions are rounded
    if np.any(totals.successes > totals.trials) or np.any(
        totals.successes_squared_per_trial > totals.successes * slack
    ):
        msg = "a cluster has more successes than trials: a proportion cannot be taken (see clustered_rate for events)"
        raise ValueError(msg)


def _cluster_notes(clusters: Floats, binomial: Floats) -> npt.NDArray[np.str_]:
    unseen = "all observations are alike: the number of clusters is the effective sample size"
    return np.select(
        [clusters == 0, clusters == 1, binomial == 0],
        ["no observations", "one cluster: the variance between clusters is unknown", unseen],
        default="",
    )


def _intracluster_correlation(totals: ClusterTotals) -> Floats:
    """Compare the mean squares between and within clusters."""
    k, n = totals.clusters, np.where(totals.trials > 0, totals.trials, np.nan)
    between_df, within_df = np.where(k > 1, k - 1, np.nan), np.where(n > k, n - k, np.nan)
    between = (totals.successes_squared_per_trial - totals.successes**2 / n) / between_df
    within = (totals.successes - totals.successes_squared_per_trial) / within_df
    mean_size = (n - totals.trials_squared / n) / between_df
    total = between + (mean_size - 1) * within
    return (between - within) / np.where(total > 0, total, np.nan)
