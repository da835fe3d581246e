"""Risk differences and risk ratios of two groups that are compared within strata, such as clinics or indications."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from mesostats.estimators.arguments import check_choice, check_conf_level
from mesostats.estimators.differences import weighted_score_limits
from mesostats.estimators.strata import (
    FLAT,
    association,
    compared_strata,
    inverse,
    log_wald,
    pooled_row,
    quotient,
    ratio_note,
    two_sided,
    wald_limits,
)

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from mesostats.estimators.two_groups import TwoGroups

    Floats = npt.NDArray[np.float64]

StratifiedDifferenceMethod = Literal["mantel_haenszel", "miettinen_nurminen"]

_METHOD_TEXTS: Final = {
    "mantel_haenszel": "Mantel-Haenszel, Sato variance",
    "miettinen_nurminen": "Miettinen-Nurminen score interval and test, Mantel-Haenszel weights",
}
_RISK_RATIO_TEXT: Final = "Mantel-Haenszel, Greenland-Robins variance"


def stratified_risk_difference(
    events: npt.ArrayLike,
    n: npt.ArrayLike,
    reference_events: npt.ArrayLike,
    reference_n: npt.ArrayLike,
    *,
    method: StratifiedDifferenceMethod = "mantel_haenszel",
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Estimate a risk difference that is common to several strata.

    Parameters
    ----------
    events
        Patients with the event in the group, one number a stratum, shape (s,); whole.
    n
        Patients in the group, of the same shape.
    reference_events, reference_n
        The same in the reference group.
    method
        The interval and the test: ``"mantel_haenszel"`` (Wald with Sato's variance, valid for few large and for many
        small strata) or ``"miettinen_nurminen"`` (score; agrees with the test, and holds with few or no events). The
        estimate is the same.
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row: `COMPARISON_COLUMNS`, then ``strata`` (how many were given) and ``strata_used``. Strata in which either
        group is empty compare nothing: they are left out of all numbers, and the note says how many. Where no stratum
        is left the numbers are NaN; where Sato's variance is 0, as without any event, its interval is.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    The estimate is sum w(p - p₀) / sum w with w = n·n₀/N. Sato's variance is (d·sum P + sum Q) / (sum w)², with d the
    estimate, P = (n²·y₀ - n₀²·y + n·n₀(n₀ - n)/2)/N² and Q = (y(n₀ - y₀) + y₀(n - y))/(2N), where y, y₀ are the events.
    The score limits solve (sum w(p - p₀) - δ·sum w)² = z²·sum w²·V(δ) with Miettinen and Nurminen's V (see
    `risk_difference`) within each stratum; with these weights the test of δ = 0 is that of Cochran, Mantel and Haenszel,
    and a single stratum gives back `risk_difference`.

    References
    ----------
    Sato T, Greenland S, Robins JM (1989). On the variance estimator for the Mantel-Haenszel risk difference. Biometrics
    45, 1323-1324. doi:10.2307/2531784

    Miettinen O, Nurminen M (1985). Comparative analysis of two rates. doi:10.1002/sim.4780040211

    Laud PJ (2017). Equal-tailed confidence intervals for comparison of rates. doi:10.1002/pst.1813

    Examples
    --------
    Two clinics; by hand: w = 5 and 10, (5·0.2 + 10·0.1)/15 = 0.1333, sum P = -1, sum Q = 1.1 + 1.9, the variance is
    (3 - 0.1333)/225 = 0.01274.

    >>> found = stratified_risk_difference([4, 6], [10, 20], [2, 4], [10, 20])
    >>> found[["estimate", "std_error", "p_value", "strata", "strata_used"]].round(4)
       estimate  std_error  p_value  strata  strata_used
    0    0.1333     0.1129   0.2375       2            2
    """
    check_choice(method, _METHOD_TEXTS, "method")
    check_conf_level(conf_level)
    given, used = compared_strata(events, n, reference_events, reference_n)
    estimate, std_error = _mean_difference(used), _sato_error(used)
    if method == "mantel_haenszel":
        statistic = estimate / std_error
        low, high = np.clip(wald_limits(estimate, std_error, conf_level), -1.0, 1.0)
        note = "variance 0: no interval and no test of this method" if np.isnan(std_error) else ""
    else:
        statistic, (low, high), note = association(used), _score_limits(used, conf_level), ""
    found = {
        "estimate": estimate,
        "std_error": std_error,
        "conf_low": low,
        "conf_high": high,
        "conf_level": conf_level,
        "statistic": statistic,
        "p_value": two_sided(statistic),
        "method": _METHOD_TEXTS[method],
    }
    return pooled_row(given, used, found, [note])


def stratified_risk_ratio(
    events: npt.ArrayLike,
    n: npt.ArrayLike,
    reference_events: npt.ArrayLike,
    reference_n: npt.ArrayLike,
    *,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Estimate a risk ratio that is common to several strata.

    Parameters
    ----------
    events, n, reference_events, reference_n
        As for `stratified_risk_difference`.
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        As for `stratified_risk_difference`. ``std_error`` is that of the logarithm of the ratio, ``statistic`` its
        quotient z. Where one of the groups has no event in any stratum the ratio is 0 or infinite without an interval;
        where neither has one it is NaN.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    The estimate is R/S with R = sum y·n₀/N and S = sum y₀·n/N; the variance of its logarithm, that of Greenland and
    Robins, is sum (n·n₀(y + y₀)/N² - y·y₀/N) / (R·S), valid for few large and for many small strata.

    References
    ----------
    Greenland S, Robins JM (1985). Estimation of a common effect parameter from sparse follow-up data.
    doi:10.2307/2530643

    Examples
    --------
    By hand: R = 4·10/20 + 6·20/40 = 5, S = 2·10/20 + 4·20/40 = 3, the variance is
    (1.1 + 1.9)/15 = 0.2.

    >>> stratified_risk_ratio([4, 6], [10, 20], [2, 4], [10, 20])[["estimate", "std_error"]].round(4)
       estimate  std_error
    0    1.6667     0.4472
    """
    check_conf_level(conf_level)
    given, used = compared_strata(events, n, reference_events, reference_n)
    y, n1, y0, n0 = used.floats
    total = n1 + n0
    above, below = np.sum(y * n0 / total), np.sum(y0 * n1 / total)
    variance = np.sum(n1 * n0 * (y + y0) / total**2 - y * y0 / total) * inverse(above * below)
    found = log_wald(quotient(above, below), variance, conf_level)
    return pooled_row(given, used, {**found, "method": _RISK_RATIO_TEXT}, [ratio_note(found)])


def _weights(used: TwoGroups) -> Floats:
    _, n, _, reference_n = used.floats
    return np.asarray(n * reference_n / (n + reference_n), dtype=np.float64)


def _mean_difference(used: TwoGroups) -> float:
    weights = _weights(used)
    return (
        quotient(1.0, weights.sum()) * float(weights @ (used.risk - used.reference_risk))
        if len(weights)
        else np.nan
    )


def _sato_error(used: TwoGroups) -> float:
    """Return Sato's standard error; NaN where the variance is 0, from which nothing could be concluded."""
    y, n, y0, n0 = used.floats
    total = n + n0
    slope = np.sum((n**2 * y0 - n0**2 * y + n * n0 * (n0 - n) / 2) / total**2)
    level = np.sum((y * (n0 - y0) + y0 * (n - y)) / (2 * total))
    variance = _mean_difference(used) * slope + level
    return float(np.sqrt(variance) / _weights(used).sum()) if variance > FLAT * level else np.nan


def _score_limits(used: TwoGroups, conf_level: float) -> tuple[float, float]:
    if not len(used.n):
        return np.nan, np.nan
    weights = _weights(used)[np.newaxis]
    low, high = weighted_score_limits(used.reshaped(1, -1), weights, conf_level=conf_level)
    return float(low[0]), float(high[0])
