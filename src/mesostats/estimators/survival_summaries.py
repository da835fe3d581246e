"""What is read off a Kaplan-Meier curve: quantiles of the time, and the mean time up to a horizon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy import stats

from mesostats.estimators.arguments import amounts

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_TIE: Final = 1e-8  # two probabilities nearer than this are the same; cumulative products round


def quantile(km: pd.DataFrame, q: npt.ArrayLike = 0.5) -> pd.DataFrame:
    """Read quantiles of the event time off a Kaplan-Meier curve.

    Parameters
    ----------
    km
        A frame from `kaplan_meier` or `clustered_kaplan_meier`.
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
    that the curve was computed with. So far as in R's ``quantile.survfit``, where no limit can lie before the first
    event: of quantiles below the median of few persons it then often comes after the true value. Here the lower limit is
    the time from which on n were at risk (0 for all), none having had the event so far, with (1 - q)^n at least
    (1 - conf_level)/2, if there was such a time: so few may all be free of the event at the true value. (Of a clustered
    curve n counts clusters.)

    References
    ----------
    Brookmeyer R, Crowley J (1982). A confidence interval for the median survival time. doi:10.2307/2530286

    Examples
    --------
    Weeks of remission under 6-mercaptopurine (Freireich 1963, doi:10.1182/blood.V21.6.699.699); the median is 23:

    >>> from mesostats.estimators import kaplan_meier
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
    low = np.fmin(low, [_first_open_time(km, share) for share in shares])
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


def _first_open_time(km: pd.DataFrame, share: float) -> float:
    """Return the time from which on those at risk may all be free of the event, though a share has it; NaN if none."""
    waiting = km[km["events"].cumsum() == km["events"]]  # the rows up to that of the first event
    at_risk = waiting.get("clusters_at_risk", waiting["at_risk"]).to_numpy(dtype=np.float64)
    begins = np.append(0.0, waiting["time"].to_numpy(dtype=np.float64))
    tail = (1 - waiting["conf_level"].to_numpy(dtype=np.float64)) / 2
    few = np.flatnonzero((at_risk > 0) & ((1 - share) ** at_risk >= tail))
    return float(begins[few[0]]) if len(few) else np.nan


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
        where `tau` is past the last observed time; the interval is NaN where no event stands before `tau`, and of
        one person.

    Raises
    ------
    ValueError
        If `tau` is missing, infinite, or not above 0.

    Notes
    -----
    The variance is N/(N - 1) times the sum over event times t of A(t)²·d/(n(n - d)), with A(t) the area from t to tau
    and N all persons: without censoring that of a mean. The interval has Student's t on N - 1 degrees of freedom, and
    is cut at 0 and tau. Estimate and, but for N/(N - 1), variance are as in R's ``print(survfit, rmean = tau)``.

    References
    ----------
    Royston P, Parmar MKB (2013). Restricted mean survival time: an alternative to the hazard ratio for the design and
    analysis of randomized trials with a time-to-event outcome. doi:10.1186/1471-2288-13-152

    Examples
    --------
    Events at 2, 5 and 8 and one censored at 5: the area to 8 is 2·1 + 3·0.75 + 3·0.5 = 5.75.

    >>> from mesostats.estimators import kaplan_meier
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
    persons = float(km["at_risk"].iloc[0]) if len(km) else np.nan
    df = persons - 1 if persons > 1 else np.nan
    estimate, std_error = areas[:, 0], areas[:, 1] * np.sqrt(persons / df)
    level = float(km["conf_level"].iloc[0]) if len(km) else np.nan
    half = stats.t.isf((1 - level) / 2, df) * np.where(std_error > 0, std_error, np.nan)
    return pd.DataFrame(
        {
            "tau": horizons,
            "estimate": estimate,
            "std_error": std_error,
            "conf_low": np.maximum(estimate - half, 0),
            "conf_high": np.minimum(estimate + half, horizons),
            "conf_level": level,
            "method": "restricted mean, area under Kaplan-Meier, t interval",
            "note": np.select(
                [np.full(len(horizons), km.empty), horizons > last, np.isnan(std_error), std_error == 0],
                [
                    "no observations",
                    "tau is past the last observed time",
                    "one person: variance unseen",
                    "no event before tau: variance unseen",
                ],
                default="",
            ),
        }
    )


def _area(km: pd.DataFrame, tau: float) -> tuple[float, float]:
    """Return the area under the curve from 0 to tau and its standard error, without a small-sample factor."""
    before = km[km["time"] <= tau]
    edges = np.concatenate([[0.0], before["time"], [tau]])
    areas = np.diff(edges) * np.concatenate([[1.0], before["estimate"]])
    to_come = np.cumsum(areas[::-1])[::-1][1:]
    at_risk, events = before["at_risk"].to_numpy(), before["events"].to_numpy()
    # Where the last person has the event no area is left: the term is 0.
    staying = np.where(at_risk > events, at_risk - events, np.inf)
    return float(areas.sum()), float(np.sqrt(np.sum(to_come**2 * events / (at_risk * staying))))
