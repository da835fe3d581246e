"""Event rates a unit of exposure (time, sessions), for single and for repeated events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
from scipy import special, stats
from scipy.optimize import elementwise

from mesostats.estimators.arguments import amounts, check_choice, check_conf_level, check_same_length, counts

if TYPE_CHECKING:
    import numpy.typing as npt

    from mesostats.estimators.clusters import ClusterTotals

    Floats = npt.NDArray[np.float64]

RateMethod = Literal["garwood", "mid_p"]

_METHOD_TEXTS: Final = {
    "garwood": "Garwood exact Poisson interval",
    "mid_p": "mid-p Poisson interval",
}
_FEWEST: Final = 0.5  # degrees of freedom; with fewer, one of two clusters has 79 % of the exposure or more


def rate(
    events: npt.ArrayLike,
    exposure: npt.ArrayLike,
    *,
    conf_level: float = 0.95,
    method: RateMethod = "garwood",
) -> pd.DataFrame:
    """Estimate rates of events that are independent of each other, such as first events.

    Parameters
    ----------
    events
        Numbers of events, a number or shape (m,); whole.
    exposure
        The time or number of sessions at risk, of the same shape; the rate is a unit of it.
    conf_level
        Two-sided confidence level, between 0 and 1.
    method
        ``"garwood"`` (exact, conservative) or ``"mid_p"`` (counts half of the observed number's probability: closer
        to the nominal level, not guaranteed).

    Returns
    -------
    pandas.DataFrame
        One row an element: ``estimate, std_error, conf_low, conf_high, conf_level, numerator, denominator, method,
        note``. Where the exposure is 0 the numbers are NaN and the note says so.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    The number of events x is taken as Poisson. Garwood's limits of its mean are chi-squared quantiles,
    χ²(a; 2x)/2 and χ²(1 - a; 2x + 2)/2, with a = (1 - conf_level)/2. The mid-p limits solve
    P(X > x) + P(X = x)/2 = a and P(X < x) + P(X = x)/2 = a. The lower limit at no events is 0; the upper limit stays two-sided.
    Events that repeat within patients vary more than Poisson: use `clustered_rate`.

    References
    ----------
    Garwood F (1936). Fiducial limits for the Poisson distribution. doi:10.1093/biomet/28.3-4.437

    Cohen GR, Yang SY (1994). Mid-P confidence intervals for the Poisson expectation. doi:10.1002/sim.4780132102

    Examples
    --------
    Without events the exact upper limit is -log(0.025)/10 = 0.3689, the mid-p one -log(0.05)/10 = 0.2996.

    >>> rate([0, 10], [10.0, 10.0])[["estimate", "conf_low", "conf_high"]].round(4)
       estimate  conf_low  conf_high
    0       0.0    0.0000     0.3689
    1       1.0    0.4795     1.8390
    >>> float(rate(0, 10.0, method="mid_p")["conf_high"].iloc[0].round(4))
    0.2996
    """
    check_choice(method, _METHOD_TEXTS, "method")
    check_conf_level(conf_level)
    seen, at_risk = counts(events, "events"), amounts(exposure, "exposure")
    check_same_length(events=seen, exposure=at_risk)
    divisor = np.where(at_risk > 0, at_risk, np.nan)
    limits = _garwood_limits if method == "garwood" else _mid_p_limits
    low, high = limits(seen.astype(np.float64), conf_level)
    return pd.DataFrame(
        {
            "estimate": seen / divisor,
            "std_error": np.sqrt(seen) / divisor,
            "conf_low": low / divisor,
            "conf_high": high / divisor,
            "conf_level": conf_level,
            "numerator": seen,
            "denominator": at_risk,
            "method": _METHOD_TEXTS[method],
            "note": np.where(at_risk > 0, "", "no exposure"),
        }
    )


def _garwood_limits(events: Floats, conf_level: float) -> tuple[Floats, Floats]:
    return _exact_limits(events, (1 - conf_level) / 2)


def _exact_limits(events: Floats, tail: Floats | float) -> tuple[Floats, Floats]:
    """Exact limits of a Poisson mean; the Poisson tail is an incomplete gamma function."""
    low = np.where(events > 0, special.gammaincinv(np.where(events > 0, events, 1), tail), 0.0)
    high = np.asarray(special.gammainccinv(events + 1, tail), dtype=np.float64)
    return low, high


def _mid_p_limits(events: Floats, conf_level: float) -> tuple[Floats, Floats]:
    """Mid-p limits of a Poisson mean; they lie within the exact ones, which bracket the search."""
    tail = (1 - conf_level) / 2

    def at_least(mean: Floats, x: Floats) -> Floats:
        return (special.gammainc(x, mean) + special.gammainc(x + 1, mean)) / 2 - tail

    def at_most(mean: Floats, x: Floats) -> Floats:
        return (special.gammaincc(x, mean) + special.gammaincc(x + 1, mean)) / 2 - tail

    if not len(events):
        return events, events
    some = np.maximum(
        events, 1
    )  # no events need no search: the lower limit is 0, the upper solves exp(-mean)/2 = tail
    bracket = _garwood_limits(some, conf_level)
    low = elementwise.find_root(at_least, bracket, args=(some,)).x
    high = elementwise.find_root(at_most, bracket, args=(some,)).x
    return np.where(events > 0, low, 0.0), np.where(events > 0, high, -np.log(2 * tail))


def clustered_rate(totals: ClusterTotals, *, conf_level: float = 0.95) -> pd.DataFrame:
    """Estimate rates of events that repeat within patients.

    Parameters
    ----------
    totals
        The sums over the patients of m groups, with events as successes and exposure as trials.
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row a group: ``estimate, std_error, conf_low, conf_high, conf_level, df, numerator, denominator, method,
        note, design_effect``. With one cluster, or one that has nearly all exposure, the interval is NaN.

    Raises
    ------
    ValueError
        If `conf_level` is not between 0 and 1.

    Notes
    -----
    The rate r = sum y_i / sum n_i is a ratio of means over clusters. With k' = (sum n_i)² / sum n_i² (Kish's effective number
    of clusters; k where exposures are equal), its variance is (k'/(k' - 1))²·sum (y_i - r·n_i)² / (sum n_i)², for
    equal exposures that of the jackknife. The design effect is that variance over the Poisson variance sum y_i / (sum n_i)²,
    but not below 1: a few patients with equal rates are no proof that events are more regular than chance.
    The interval is Garwood's at the effective number of events x = sum y_i / design effect · (z/t)², with Student's t on
    k' - 1 degrees of freedom: χ²(a; 2x)/2 and χ²(1 - a; 2x + 2)/2, times r/x. (It is to the exact Poisson interval what Korn and
    Graubard's is to the exact binomial one; a Wald interval of the logarithm misses too often above when few patients have most
    events.) Without events nothing can be said of their clustering: the interval is then Garwood's for independent events,
    and the note says so.

    References
    ----------
    Korn EL, Graubard BI (1998). Confidence intervals for proportions with small expected number of positive counts
    estimated from survey data. Survey Methodology 24, 193-201.

    Stukel TA, Glynn RJ, Fisher ES, Sharp SM, Lu-Yao G, Wennberg JE (1994). Standardized rates of recurrent outcomes.
    doi:10.1002/sim.4780131709

    Examples
    --------
    Four patients, 10 months each, with 6, 1, 1 and 0 events. By hand: r = 8/40, the squared residuals sum to
    16 + 1 + 1 + 4 = 22, the variance is (4/3)²·22/1600 = 0.02444, the Poisson variance 8/1600 = 0.005.

    >>> from mesostats.estimators import ClusterTotals
    >>> result = clustered_rate(ClusterTotals.from_arrays([6, 1, 1, 0], [10, 10, 10, 10]))
    >>> result[["estimate", "std_error", "df", "design_effect"]].round(4)
       estimate  std_error   df  design_effect
    0       0.2     0.1563  3.0         4.8889
    """
    check_conf_level(conf_level)
    estimate, clusters = totals.ratio, totals.clusters
    divisor = np.where(totals.trials > 0, totals.trials, np.nan)
    df = np.where(
        clusters > 1, divisor**2 / np.where(clusters > 1, totals.trials_squared, np.nan) - 1, np.nan
    )
    df = np.where(df >= _FEWEST, df, np.nan)
    variance = (
        totals.ratio_variance
        * (clusters - 1)
        / np.where(clusters > 0, clusters, np.nan)
        * ((df + 1) / df) ** 2
    )
    poisson = np.where(estimate > 0, estimate / divisor, np.nan)
    design_effect = np.maximum(variance / poisson, 1)
    silent = (estimate == 0) & (clusters > 1)
    low, high = effective_limits(totals.successes / design_effect, df, (1 - conf_level) / 2)
    scale = design_effect / divisor
    none_high = _garwood_limits(np.zeros(len(divisor)), conf_level)[1] / divisor
    return pd.DataFrame(
        {
            "estimate": estimate,
            "std_error": np.where(silent, 0.0, np.sqrt(design_effect * poisson)),
            "conf_low": np.where(silent, 0.0, low * scale),
            "conf_high": np.where(silent, none_high, high * scale),
            "conf_level": conf_level,
            "df": df,
            "numerator": totals.successes,
            "denominator": totals.trials,
            "method": np.where(
                silent,
                _METHOD_TEXTS["garwood"],
                "Garwood interval at the effective number of events, t quantile",
            ),
            "note": _notes(clusters, df, silent=silent),
            "design_effect": design_effect,
        }
    )


def effective_limits(events: Floats, df: Floats, tail: Floats | float) -> tuple[Floats, Floats]:
    """Return the limits of the mean of an effective number of events, widened for few clusters.

    Parameters
    ----------
    events
        The effective numbers of events, shape (m,); they need not be whole.
    df
        Degrees of freedom of Student's t, of the same shape; NaN stays NaN.
    tail
        The probability beyond each limit, one for all or of the same shape.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper limits, shape (m,); NaN without events.
    """
    widened = events * (stats.norm.isf(tail) / stats.t.isf(tail, df)) ** 2
    known = np.isfinite(widened) & (widened > 0)
    low, high = _exact_limits(np.where(known, widened, 1.0), tail)
    unit = np.where(known, events / np.where(known, widened, 1.0), np.nan)
    return low * unit, high * unit


def _notes(clusters: Floats, df: Floats, *, silent: npt.NDArray[np.bool_]) -> npt.NDArray[np.str_]:
    return np.select(
        [clusters == 0, clusters == 1, silent, np.isnan(df)],
        [
            "no exposure",
            "one cluster: the variance between clusters is unknown",
            "no events: exact interval for independent events, their clustering cannot be seen",
            "one cluster has nearly all exposure: the variance between clusters is unknown",
        ],
        default="",
    )
