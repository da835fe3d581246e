"""Time to a first event under right censoring: the curve, and steps of a schedule."""

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
_NO_EVENT: Final = "no event so far: exact limit from those still at risk"
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
    S·sqrt(sum d/(n(n - d))). A person who is censored at a time is still at risk for the events at it. Once nobody is
    left the standard error and the limits are NaN. All of this is as in R's ``survival::survfit``.

    Before the first event R has no limits on the log-log scale, and 1 on the log scale. Here the upper limit is 1 and
    the lower one a^(1/n), with a = (1 - conf_level)/2: the n at risk were all watched so far, none had the event, and
    this is Clopper and Pearson's limit of 0 of n.

    References
    ----------
    Kaplan EL, Meier P (1958). Nonparametric estimation from incomplete observations. doi:10.1080/01621459.1958.10501452

    Borgan Ø, Liestøl K (1990). A note on confidence intervals and bands for the survival function based on
    transformations. Scandinavian Journal of Statistics 17, 35-41.

    Clopper CJ, Pearson ES (1934). The use of confidence or fiducial limits illustrated in the case of the binomial.
    doi:10.1093/biomet/26.4.404

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
    at_risk = curve["at_risk"].to_numpy()
    survival, log_variance = _greenwood(curve["events"].to_numpy(), at_risk)
    low, high = _limits(survival, log_variance, at_risk, conf_level=conf_level, conf_type=conf_type)
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
    survival: Floats,
    log_variance: Floats,
    at_risk: npt.NDArray[np.int64],
    *,
    conf_level: float,
    conf_type: ConfType,
) -> tuple[Floats, Floats]:
    low, high = log_log_limits(survival, log_variance, conf_level)
    if conf_type == "log":
        half: Floats = float(stats.norm.isf((1 - conf_level) / 2)) * np.sqrt(log_variance)
        low, high = survival * np.exp(-half), np.minimum(survival * np.exp(half), 1.0)
    none = survival == 1
    return np.where(none, lowest_without_event(at_risk, conf_level), low), np.where(none, 1.0, high)


def log_log_limits(
    probability: Floats, log_variance: Floats, conf_level: float, *, df: float = np.inf
) -> tuple[Floats, Floats]:
    """Return limits on the scale log(-log p) from the variance of log p; NaN where p is 0 or 1."""
    half: Floats = float(stats.t.isf((1 - conf_level) / 2, df)) * np.sqrt(log_variance)
    inside: Floats = np.where((probability > 0) & (probability < 1), probability, np.nan)
    fold: Floats = np.exp(half / -np.log(inside))
    return inside**fold, inside ** (1 / fold)


def lowest_without_event(at_risk: npt.NDArray[np.int64], conf_level: float) -> Floats:
    """Return the exact lower limit of a probability to be free of an event that nobody at risk has had so far."""
    low: Floats = ((1 - conf_level) / 2) ** (1 / np.where(at_risk > 0, at_risk, np.nan))
    return low


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
    Retention is the product of (1 - d/n) with Greenwood's variance and a log-log interval, before the first loss exact, as
    in `kaplan_meier`; the hazards of the steps are conditional on having come so far.

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
    low, high = _limits(retention, log_variance, present, conf_level=conf_level, conf_type="log-log")
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
