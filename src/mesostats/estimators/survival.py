"""Time to a first event under right censoring: the curve, its quantiles, its area, and steps of a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
from scipy import stats

from mesostats.estimators.arguments import (
    amounts,
    binomial_counts,
    check_choice,
    check_conf_level,
    check_same_length,
    counts,
    indicators,
)
from mesostats.estimators.proportions import proportion

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

ConfType = Literal["log-log", "log"]

_CONF_TYPES: Final = ("log-log", "log")
_TIE: Final = 1e-8  # two probabilities nearer than this are the same; cumulative products round
_NO_EVENT: Final = "no event so far: the interval cannot be estimated"
_NOBODY_LEFT: Final = "nobody left: standard error and interval are not defined"


def kaplan_meier(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    *,
    conf_level: float = 0.95,
    conf_type: ConfType = "log-log",
) -> pd.DataFrame:
    """Estimate the survival function (Kaplan-Meier).

    Parameters
    ----------
    time
        Time to the event or to censoring, shape (n,), at least 0, ties allowed.
    event
        Whether the event happened (True or 1) or the time is censored, shape (n,).
    weights
        How many persons each element stands for, whole numbers, shape (n,); 1 each if not given. An element with
        weight 0 is left out.
    conf_level
        Two-sided confidence level, between 0 and 1.
    conf_type
        The scale of the interval: ``"log-log"`` (log of -log S) or ``"log"``.

    Returns
    -------
    pandas.DataFrame
        One row a distinct time: ``time, at_risk, events, censored, estimate, std_error, conf_low, conf_high, conf_level,
        method, note``. ``estimate`` is the probability to be free of the event after that time, ``at_risk`` the
        number of persons just before it. No rows if there is nobody.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    S(t) is the product of (1 - d/n) over the times up to t; the standard error of S is Greenwood's,
    S·sqrt(sum d/(n(n - d))). A person who is censored at a time is still at risk for the events at it. Before the
    first event the log-log limits are NaN (the log limits are 1); once nobody is left the standard error and the
    limits are NaN. All of this is as in R's ``survival::survfit``.

    References
    ----------
    Kaplan EL, Meier P (1958). Nonparametric estimation from incomplete observations. doi:10.1080/01621459.1958.10501452

    Borgan Ø, Liestøl K (1990). A note on confidence intervals and bands for the survival function based on
    transformations. Scandinavian Journal of Statistics 17, 35-41.

    Examples
    --------
    >>> curve = kaplan_meier([2, 5, 5, 8], [1, 1, 0, 1])
    >>> curve[["time", "at_risk", "events", "censored", "estimate"]]
       time  at_risk  events  censored  estimate
    0   2.0        4       1         0      0.75
    1   5.0        3       1         1      0.50
    2   8.0        1       1         0      0.00
    """
    check_conf_level(conf_level)
    check_choice(conf_type, _CONF_TYPES, "conf_type")
    curve = _risk_table(time, event, weights)
    survival, log_variance = _greenwood(curve["events"].to_numpy(), curve["at_risk"].to_numpy())
    low, high = _limits(survival, log_variance, conf_level, conf_type=conf_type)
    return curve.assign(
        estimate=survival,
        std_error=survival * np.sqrt(log_variance),
        conf_low=low,
        conf_high=high,
        conf_level=conf_level,
        method=f"Kaplan-Meier, Greenwood {conf_type} interval",
        note=np.select([survival == 1, survival == 0], [_NO_EVENT, _NOBODY_LEFT], default=""),
    )


def _risk_table(time: npt.ArrayLike, event: npt.ArrayLike, weights: npt.ArrayLike | None) -> pd.DataFrame:
    """Count who is at risk, has the event and is censored at each distinct time."""
    moments, happened = amounts(time, "time"), indicators(event, "event")
    persons = np.ones(len(moments), dtype=np.int64) if weights is None else counts(weights, "weights")
    check_same_length(time=moments, event=happened, weights=persons)
    present = persons > 0
    distinct, place = np.unique(moments[present], return_inverse=True)
    leaving, events = (
        np.bincount(place, weights=number[present], minlength=len(distinct)).astype(np.int64)
        for number in (persons, persons * happened)
    )
    at_risk = np.cumsum(leaving[::-1])[::-1]
    return pd.DataFrame(
        {"time": distinct, "at_risk": at_risk, "events": events, "censored": leaving - events}
    )


def _greenwood(events: npt.NDArray[np.int64], at_risk: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return the cumulative product of 1 - d/n and the variance of its logarithm, NaN once the product is 0."""
    present = np.where(at_risk > 0, at_risk, np.nan)
    staying = np.where(at_risk > events, at_risk - events, np.nan)
    survival = np.cumprod((at_risk - events) / present, dtype=np.float64)
    return survival, np.cumsum(events / (present * staying), dtype=np.float64)


def _limits(
    survival: Floats, log_variance: Floats, conf_level: float, *, conf_type: ConfType
) -> tuple[Floats, Floats]:
    half: Floats = float(stats.norm.isf((1 - conf_level) / 2)) * np.sqrt(log_variance)
    if conf_type == "log":
        return survival * np.exp(-half), np.minimum(survival * np.exp(half), 1.0)
    return log_log_limits(survival, log_variance, conf_level)


def log_log_limits(probability: Floats, log_variance: Floats, conf_level: float) -> tuple[Floats, Floats]:
    """Return limits on the scale log(-log p) from the variance of log p; NaN where p is 0 or 1."""
    half: Floats = float(stats.norm.isf((1 - conf_level) / 2)) * np.sqrt(log_variance)
    inside: Floats = np.where((probability > 0) & (probability < 1), probability, np.nan)
    fold: Floats = np.exp(half / -np.log(inside))
    return inside**fold, inside ** (1 / fold)


def quantile(km: pd.DataFrame, q: npt.ArrayLike = 0.5) -> pd.DataFrame:
    """Read quantiles of the event time off a Kaplan-Meier curve.

    Parameters
    ----------
    km
        A frame from `kaplan_meier`.
    q
        The share of persons with the event, a number or shape (m,), between 0 and 1: 0.5 asks for the median.

    Returns
    -------
    pandas.DataFrame
        One row an element of `q`: ``q, estimate, conf_low, conf_high, conf_level, method, note``. What the curve or
        its limit does not reach is NaN, and the note says so.

    Raises
    ------
    ValueError
        If `q` is not strictly between 0 and 1.

    Notes
    -----
    The quantile is the first time at which S is at most 1 - q; where S is exactly 1 - q over an interval, its middle.
    The limits are the same quantiles of the curve's lower and upper limits (Brookmeyer and Crowley), on the scale
    that the curve was computed with. As in R's ``quantile.survfit``.

    References
    ----------
    Brookmeyer R, Crowley J (1982). A confidence interval for the median survival time. doi:10.2307/2530286

    Examples
    --------
    Weeks of remission under 6-mercaptopurine (Freireich 1963, doi:10.1182/blood.V21.6.699.699); the median is 23:

    >>> weeks = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    >>> relapse = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    >>> quantile(kaplan_meier(weeks, relapse))[["q", "estimate", "conf_low", "conf_high", "note"]]
         q  estimate  conf_low  conf_high                     note
    0  0.5      23.0      13.0        NaN  upper limit not reached
    """
    shares = amounts(q, "q")
    if np.any((shares <= 0) | (shares >= 1)):
        msg = f"q has {np.sum((shares <= 0) | (shares >= 1))} values that are not above 0 and below 1"
        raise ValueError(msg)
    time = km["time"].to_numpy(dtype=np.float64)
    estimate, low, high = (
        np.array([_first_time(time, km[column].to_numpy(dtype=np.float64), 1 - share) for share in shares])
        for column in ("estimate", "conf_low", "conf_high")
    )
    return pd.DataFrame(
        {
            "q": shares,
            "estimate": estimate,
            "conf_low": low,
            "conf_high": high,
            "conf_level": _constant(km, "conf_level", np.nan),
            "method": f"Brookmeyer-Crowley, {_constant(km, 'method', 'Kaplan-Meier')}",
            "note": np.select(
                [np.full(len(shares), km.empty), np.isnan(estimate), np.isnan(low), np.isnan(high)],
                ["no observations", "not reached", "lower limit not reached", "upper limit not reached"],
                default="",
            ),
        }
    )


def _first_time(time: Floats, curve: Floats, level: float) -> float:
    """Return the time at which a falling curve reaches a level, the middle if it stays on it, NaN if it never does."""
    reached = np.flatnonzero(curve <= level + _TIE)
    if not len(reached):
        return np.nan
    passed = np.flatnonzero(curve < level - _TIE)
    last = passed[0] if len(passed) else len(time) - 1
    stays = abs(curve[reached[0]] - level) <= _TIE
    return float((time[reached[0]] + time[last]) / 2 if stays else time[reached[0]])


def _constant(km: pd.DataFrame, column: str, default: object) -> object:
    """Return the value that all rows of a curve share, or a default for a curve of nobody."""
    return default if km.empty else km[column].iloc[0]


def restricted_mean(km: pd.DataFrame, tau: npt.ArrayLike) -> pd.DataFrame:
    """Estimate the mean time free of the event up to a horizon: the area under a Kaplan-Meier curve.

    Parameters
    ----------
    km
        A frame from `kaplan_meier`.
    tau
        The horizon, a number or shape (m,), above 0, in the unit of time of `km`.

    Returns
    -------
    pandas.DataFrame
        One row an element of `tau`: ``tau, estimate, std_error, conf_low, conf_high, conf_level, method, note``. All NaN
        where `tau` is past the last observed time; the interval is NaN where no event stands before `tau`.

    Raises
    ------
    ValueError
        If `tau` is missing, infinite, or not above 0.

    Notes
    -----
    The variance is the sum over event times t of A(t)²·d/(n(n - d)), with A(t) the area from t to tau; the interval
    is normal, cut at 0 and tau. Estimate and standard error are as in R's ``print(survfit, rmean = tau)``.

    References
    ----------
    Royston P, Parmar MKB (2013). Restricted mean survival time: an alternative to the hazard ratio for the design and
    analysis of randomized trials with a time-to-event outcome. doi:10.1186/1471-2288-13-152

    Examples
    --------
    Events at 2, 5 and 8 and one censored at 5: the area to 8 is 2·1 + 3·0.75 + 3·0.5 = 5.75.

    >>> curve = kaplan_meier([2, 5, 5, 8], [1, 1, 0, 1])
    >>> float(restricted_mean(curve, 8)["estimate"].iloc[0])
    5.75
    """
    horizons = amounts(tau, "tau")
    if np.any(horizons == 0):
        msg = "tau == 0, must be above 0"
        raise ValueError(msg)
    last = km["time"].max() if len(km) else -np.inf
    areas = np.array([_area(km, horizon) for horizon in horizons]).reshape(-1, 2)
    areas[horizons > last] = np.nan
    estimate, std_error = areas[:, 0], areas[:, 1]
    level = float(km["conf_level"].iloc[0]) if len(km) else np.nan
    half = stats.norm.isf((1 - level) / 2) * np.where(std_error > 0, std_error, np.nan)
    return pd.DataFrame(
        {
            "tau": horizons,
            "estimate": estimate,
            "std_error": std_error,
            "conf_low": np.maximum(estimate - half, 0),
            "conf_high": np.minimum(estimate + half, horizons),
            "conf_level": level,
            "method": "restricted mean, area under Kaplan-Meier, normal interval",
            "note": np.select(
                [np.full(len(horizons), km.empty), horizons > last, std_error == 0],
                [
                    "no observations",
                    "tau is past the last observed time",
                    "no event before tau: variance unseen",
                ],
                default="",
            ),
        }
    )


def _area(km: pd.DataFrame, tau: float) -> tuple[float, float]:
    """Return the area under the curve from 0 to tau and its standard error."""
    before = km[km["time"] <= tau]
    edges = np.concatenate([[0.0], before["time"], [tau]])
    areas = np.diff(edges) * np.concatenate([[1.0], before["estimate"]])
    to_come = np.cumsum(areas[::-1])[::-1][1:]
    at_risk, events = before["at_risk"].to_numpy(), before["events"].to_numpy()
    # Where the last person has the event no area is left: the term is 0.
    staying = np.where(at_risk > events, at_risk - events, np.inf)
    return float(areas.sum()), float(np.sqrt(np.sum(to_come**2 * events / (at_risk * staying))))


def discrete_hazard(
    events: npt.ArrayLike, at_risk: npt.ArrayLike, *, conf_level: float = 0.95
) -> pd.DataFrame:
    """Estimate the hazard at each step of a schedule, and who is retained after it (a life table).

    Parameters
    ----------
    events
        How many were lost at each step, in the order of the steps, shape (m,).
    at_risk
        How many could have been lost at it: those retained so far whose step is due, shape (m,).
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row a step. The hazard: ``step`` (from 1), ``estimate, std_error, conf_low, conf_high, conf_level, numerator,
        denominator`` with Wilson's interval. The share retained after the step: ``retention, retention_std_error,
        retention_low, retention_high``. Then ``method`` and ``note``. Where nobody is at risk the hazard is NaN, and
        so is the retention from there on.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    Retention is the product of (1 - d/n) with Greenwood's variance and a log-log interval, as in `kaplan_meier`; the
    hazards of the steps are conditional on having come so far.

    References
    ----------
    Cutler SJ, Ederer F (1958). Maximum utilization of the life table method in analyzing survival.
    doi:10.1016/0021-9681(58)90126-7

    Examples
    --------
    >>> table = discrete_hazard([5, 9, 0], [50, 45, 20])
    >>> table[["step", "estimate", "retention", "note"]]
       step  estimate  retention note
    0     1       0.1       0.90
    1     2       0.2       0.72
    2     3       0.0       0.72
    """
    lost, present = binomial_counts(events=events, at_risk=at_risk)
    hazard = proportion(lost, present, conf_level=conf_level)
    retention, log_variance = _greenwood(lost, present)
    low, high = _limits(retention, log_variance, conf_level, conf_type="log-log")
    hazard.insert(0, "step", np.arange(1, len(hazard) + 1))
    return hazard.drop(columns=["method", "note"]).assign(
        retention=retention,
        retention_std_error=retention * np.sqrt(log_variance),
        retention_low=low,
        retention_high=high,
        method="Wilson score interval; life-table retention, Greenwood log-log interval",
        note=np.select(
            [present == 0, np.isnan(retention), retention == 1, retention == 0],
            [
                "nobody at risk",
                "retention unknown: nobody was at risk at an earlier step",
                _NO_EVENT,
                _NOBODY_LEFT,
            ],
            default="",
        ),
    )
