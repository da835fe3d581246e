"""Time to the first of several ends, of which one forestalls the others: cumulative incidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from mesostats.estimators.arguments import amounts, check_conf_level, check_same_length, counts
from mesostats.estimators.survival import log_log_limits, lowest_without_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

_METHOD: Final = (
    "Aalen-Johansen, Greenwood-type variance (= infinitesimal jackknife), log-log interval of the incidence"
)


def aalen_johansen(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    *,
    causes: Sequence[int] | None = None,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Estimate the cumulative incidence of each of several competing ends (Aalen-Johansen).

    Parameters
    ----------
    time
        Time to the first end or to censoring, shape (n,), at least 0, ties allowed.
    event
        Which end it was: 0 for censored, else the code of the cause, a whole number, shape (n,).
    weights
        How many persons each element stands for, whole numbers, shape (n,); 1 each if not given. An element with
        weight 0 is left out.
    causes
        The codes that get rows, also where they never came; those found if not given. All codes compete, whether
        they get rows or not.
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row a cause and distinct time: ``cause, time, at_risk, events, censored, estimate, std_error, conf_low,
        conf_high, conf_level, method, note``. ``estimate`` is the probability that the cause has come by that time,
        ``at_risk`` the number of persons just before it, ``events`` those whom the cause took at it. No rows if there
        is nobody.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    F_k(t) is the sum over times s up to t of S(s-)·d_k/n, with S the probability to be free of every cause and n at
    risk. At a tie all causes come before censoring. The variance sums, over the times s, S(s-)²/n² times
    d_k - n·h_k² - 2·r·(d_k - n·h_k·h) + r²·(d - n·h²), with d the ends of all causes, h = d/n, h_k = d_k/n and
    r = (F_k(t) - F_k(s))/S(s): the variance of a multinomial step. It equals the infinitesimal jackknife of R's
    ``survival::survfit`` on a factor, and F(1 - F)/n where nobody is censored. The interval is on the scale
    log(-log F), as there with ``conf.type = "log-log"``. (``cmprsk::cuminc`` has Aalen's variance, which has n - 1 in
    place of n, and differs in small samples.)

    While a cause has not come, R has no limits. Here they are 0 and 1 - a^(1/n), with a = (1 - conf_level)/2: the n at risk
    were all watched so far without it, and this is Clopper and Pearson's limit of 0 of n, as in `kaplan_meier`.

    References
    ----------
    Aalen OO, Johansen S (1978). An empirical transition matrix for non-homogeneous Markov chains based on censored
    observations. Scandinavian Journal of Statistics 5, 141-150.

    Allignol A, Schumacher M, Beyersmann J (2010). A note on variance estimation of the Aalen-Johansen estimator of the
    cumulative incidence function in competing risks. doi:10.1002/bimj.200900039

    Examples
    --------
    One of four has the event at 2; one leaves at 3; of the two left, one has it at 5: 1/4 + 2/4·1/2.

    >>> found = aalen_johansen([2, 3, 5, 8], [1, 2, 1, 0], causes=[1])
    >>> found[["cause", "time", "at_risk", "events", "estimate"]]
       cause  time  at_risk  events  estimate
    0      1   2.0        4       1      0.25
    1      1   3.0        3       0      0.25
    2      1   5.0        2       1      0.50
    3      1   8.0        1       0      0.50
    """
    check_conf_level(conf_level)
    moments, kinds, persons = _persons(time, event, weights)
    shown = _shown(causes, kinds)
    distinct, place = np.unique(moments, return_inverse=True)
    leaving = _tally(place, persons, len(distinct))
    ended = _tally(place[kinds > 0], persons[kinds > 0], len(distinct))
    at_risk = _at_risk(leaving)
    frames = []
    for cause in shown:
        events = _tally(place[kinds == cause], persons[kinds == cause], len(distinct))
        incidence, variance = _incidence(events, ended, at_risk)
        low, high, note = _limits(incidence, variance, at_risk, conf_level)
        frame = {"cause": cause, "time": distinct, "at_risk": at_risk, "events": events}
        frame |= {"censored": leaving - ended, "estimate": incidence, "std_error": np.sqrt(variance)}
        frame |= {
            "conf_low": low,
            "conf_high": high,
            "conf_level": conf_level,
            "method": _METHOD,
            "note": note,
        }
        frames.append(pd.DataFrame(frame))
    return pd.concat(frames, ignore_index=True) if frames else _nobody()


def _nobody() -> pd.DataFrame:
    """Return the curve of nobody: the columns without rows."""
    columns = ["cause", "time", "at_risk", "events", "censored", "estimate", "std_error"]
    return pd.DataFrame(columns=[*columns, "conf_low", "conf_high", "conf_level", "method", "note"])


def _persons(
    time: npt.ArrayLike, event: npt.ArrayLike, weights: npt.ArrayLike | None
) -> tuple[Floats, Integers, Integers]:
    """Return times, codes of ends and numbers of persons, without elements that stand for nobody."""
    moments, kinds = amounts(time, "time"), counts(event, "event")
    persons = np.ones(len(moments), dtype=np.int64) if weights is None else counts(weights, "weights")
    check_same_length(time=moments, event=kinds, weights=persons)
    here = persons > 0
    return moments[here], kinds[here], persons[here]


def _shown(causes: Sequence[int] | None, kinds: Integers) -> list[int]:
    """Return the codes that get rows."""
    if causes is None:
        return [int(kind) for kind in np.unique(kinds) if kind > 0]
    asked = counts(list(causes), "causes")
    if np.any(asked == 0):
        msg = "causes holds 0, which is the code for censored"
        raise ValueError(msg)
    return [int(cause) for cause in dict.fromkeys(asked.tolist())]


def _tally(place: npt.NDArray[np.intp], persons: Integers, size: int) -> Integers:
    return np.bincount(place, weights=persons, minlength=size).astype(np.int64)


def _at_risk(leaving: Integers) -> Integers:
    """Return who is there just before each time, from who leaves at it."""
    return np.cumsum(leaving[::-1])[::-1]


def just_before(values: Floats, first: float) -> Floats:
    """Return what stood just before each time; times run along the first axis."""
    return np.concatenate([np.full((1, *values.shape[1:]), first), values])[:-1]


def _incidence(events: Integers, ended: Integers, at_risk: Integers) -> tuple[Floats, Floats]:
    """Return the cumulative incidence of one cause and its variance at each time."""
    free: Floats = np.cumprod(1 - ended / at_risk, dtype=np.float64)
    before = just_before(free, 1.0)
    incidence = np.cumsum(before * events / at_risk)
    # (F(t) - F(s)) is expanded, so that each sum over s up to t is a cumulative one. After everybody had an end F stays.
    scale = np.divide(before, free * at_risk, out=np.zeros(len(free)), where=ended < at_risk)
    own = (before / at_risk) ** 2 * (events - events**2 / at_risk)
    mixed = before / at_risk * scale * (events - events * ended / at_risk)
    all_causes = scale**2 * (ended - ended**2 / at_risk)
    variance = (
        np.cumsum(own)
        - 2 * (incidence * np.cumsum(mixed) - np.cumsum(mixed * incidence))
        + incidence**2 * np.cumsum(all_causes)
        - 2 * incidence * np.cumsum(all_causes * incidence)
        + np.cumsum(all_causes * incidence**2)
    )
    # At 0 and 1 nothing is left to vary; elsewhere rounding may leave a small negative number.
    inside = (incidence > 0) & (incidence < 1 - _ONE)
    return np.minimum(incidence, 1.0), np.where(inside, np.maximum(variance, 0.0), 0.0)


_ONE: Final = 1e-12  # an incidence nearer to 1 than this is 1; cumulative sums round


def _limits(
    incidence: Floats, variance: Floats, at_risk: Integers, conf_level: float
) -> tuple[Floats, Floats, npt.NDArray[np.str_]]:
    """Return the limits on the scale log(-log F), and a note where they are exact or there are none."""
    none, certain = incidence == 0, incidence >= 1 - _ONE
    inside = np.where(~none & ~certain, incidence, np.nan)
    low, high = log_log_limits(inside, variance / inside**2, conf_level)
    low, high = np.where(none, 0.0, low), np.where(none, 1 - lowest_without_event(at_risk, conf_level), high)
    note = np.select(
        [none, certain],
        [
            "no event of this kind so far: exact limit from those still at risk",
            "everybody had the event: the interval is not defined",
        ],
        default="",
    )
    return low, high, note
