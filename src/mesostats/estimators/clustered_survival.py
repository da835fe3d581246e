"""Time to an event where the times of one patient are alike: Kaplan-Meier with a standard error by patients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from mesostats.estimators.arguments import amounts, check_same_length, indicators
from mesostats.estimators.logrank import label_codes
from mesostats.estimators.survival import kaplan_meier, log_log_limits, lowest_without_event

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

_METHOD: Final = "Kaplan-Meier, standard error by clusters (infinitesimal jackknife, k/(k - 1)), log-log interval, t quantile"
_NOTHING: Final = 1e-14


def clustered_kaplan_meier(
    time: npt.ArrayLike, event: npt.ArrayLike, cluster: npt.ArrayLike, *, conf_level: float = 0.95
) -> pd.DataFrame:
    """Estimate the survival function where several times belong to one cluster, most often a patient.

    Parameters
    ----------
    time
        Time to the event or to censoring, shape (n,), at least 0, ties allowed.
    event
        Whether the event happened (True or 1) or the time is censored, shape (n,).
    cluster
        The label of the cluster that each time belongs to, shape (n,).
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        As `kaplan_meier`, for `quantile` to read: one row a distinct time; then ``clusters_at_risk``, the clusters with
        a time still to come just before it. With one cluster the standard error is NaN after the first event.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    The estimate is that of `kaplan_meier`. The variance of log S is k/(k - 1) times the sum over the k clusters of the
    square of the sum, over the cluster's times and the event times s up to t, of (d_i - Y_i·d/n)/(n - d): but for the
    factor, without which it is too small with few clusters, the infinitesimal jackknife of R's ``survival::survfit`` with
    ``cluster``, and with one time a cluster Greenwood's. The log-log interval has Student's t on k - 1 degrees of freedom.
    Before the first event it is exact as in `kaplan_meier`, with the clusters still at risk in place of the persons.

    References
    ----------
    Williams RL (1995). Product-limit survival functions with correlated survival times. doi:10.1007/BF00985768

    Examples
    --------
    >>> curve = clustered_kaplan_meier([2, 5, 5, 8], [1, 1, 0, 1], ["a", "a", "b", "b"])
    >>> curve[["time", "at_risk", "estimate", "std_error"]].round(4)
       time  at_risk  estimate  std_error
    0   2.0        4      0.75       0.25
    1   5.0        3      0.50       0.50
    2   8.0        1      0.00        NaN
    """
    moments, happened = amounts(time, "time"), indicators(event, "event")
    labels = np.asarray(cluster)
    check_same_length(time=moments, event=happened, cluster=labels)
    curve = kaplan_meier(moments, happened, conf_level=conf_level)
    codes, names = label_codes(labels, "cluster")
    clusters, survival = len(names), curve["estimate"].to_numpy()
    factor = clusters / (clusters - 1) if clusters > 1 else np.nan
    none = survival == 1
    variance = np.where(none, 0.0, factor * _log_variance(curve, moments, happened, codes))
    seen = variance > _NOTHING
    low, high = log_log_limits(survival, np.where(seen, variance, np.nan), conf_level, df=clusters - 1)
    at_risk = _clusters_at_risk(curve, moments, codes)
    return curve.assign(
        std_error=np.where(survival > 0, survival * np.sqrt(variance), np.nan),
        conf_low=np.where(none, lowest_without_event(at_risk, conf_level), low),
        conf_high=np.where(none, 1.0, high),
        method=_METHOD,
        note=np.where(
            none | seen | (survival == 0), curve["note"], "one cluster, or all alike: no variance to see"
        ),
        clusters_at_risk=at_risk,
    )


def _clusters_at_risk(curve: pd.DataFrame, time: Floats, cluster: Integers) -> Integers:
    """Count the clusters with a time still to come just before each distinct time."""
    last = np.zeros(int(cluster.max(initial=-1)) + 1)
    np.maximum.at(last, cluster, time)
    leaving = np.bincount(np.searchsorted(curve["time"].to_numpy(), last), minlength=len(curve))
    return np.cumsum(leaving[::-1])[::-1]


def _log_variance(curve: pd.DataFrame, time: Floats, event: Integers, cluster: Integers) -> Floats:
    """Return the clustered variance of log S at each distinct time, without a small-sample factor.

    A time i that lies ahead has the influence -G(t), with G the sum of d/(n(n - d)); once past it keeps
    b_i = d_i/(n - d) - G(t_i). Of a cluster with k times ahead the square is (B - k·G)², with B the sum of the b_i past:
    B², B·k and k² change at the cluster's own times only.
    """
    events, at_risk = curve["events"].to_numpy(np.float64), curve["at_risk"].to_numpy(np.float64)
    staying = np.where(at_risk > events, at_risk - events, np.inf)  # at 0 there is no logarithm to vary
    spent = np.cumsum(events / (at_risk * staying))
    place = np.searchsorted(curve["time"].to_numpy(), time)
    order = np.lexsort((place, cluster))
    place, owner = place[order], cluster[order]
    kept = event[order] / staying[place] - spent[place]
    members = np.bincount(owner)
    first = np.cumsum(members) - members
    gathered = _running(kept, first, members)
    ahead = (np.repeat(first + members, members) - np.arange(len(owner)) - 1).astype(np.float64)
    before = gathered - kept

    def total(change: Floats, start: float = 0.0) -> Floats:
        return start + np.cumsum(np.bincount(place, weights=change, minlength=len(spent)), dtype=np.float64)

    past = total(gathered**2 - before**2)
    crossed = total(gathered * ahead - before * (ahead + 1))
    still = total(ahead**2 - (ahead + 1) ** 2, float(np.sum(members.astype(np.float64) ** 2)))
    variance: Floats = past - 2 * spent * crossed + spent**2 * still
    return np.maximum(variance, 0.0)


def _running(values: Floats, first: Integers, members: Integers) -> Floats:
    """Return the running sum of values, anew from the first of each cluster."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    running: Floats = total[1:] - np.repeat(total[first], members)
    return running
