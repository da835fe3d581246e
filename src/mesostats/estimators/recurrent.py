"""Events that repeat: the mean number of events a subject by a time, and its comparison between groups."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy import stats

from mesostats.estimators.arguments import amounts, check_conf_level, check_same_length, counts
from mesostats.estimators.logrank import label_codes, quadratic_form
from mesostats.estimators.rates import effective_limits

if TYPE_CHECKING:
    from typing import Self

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

_METHOD: Final = (
    "Nelson-Aalen mean cumulative function, Lawless-Nadeau variance x n/(n - 1), Garwood interval at the effective number "
    "of events, t quantile"
)


@dataclass(frozen=True, eq=False)
class RecurrentTotals:
    """What the mean cumulative function needs of all subjects: sums at each distinct time, in ascending order.

    With n(t) subjects at risk at t, A_i(t) is the sum of 1/n over the events of subject i up to t. A database can take the
    sums in two passes (n first), so that a registry's events never come to memory.

    Parameters
    ----------
    time
        The distinct times of events and of ends of observation, ascending; this and all others have shape (m,).
    leaving
        Subjects whose observation ends at the time, after the events of that time.
    events
        Events at the time.
    squares
        Sum of A_i(t)² - A_i(t-)² over the subjects with an event at the time.
    gathered
        Sum of A_i(t) over the subjects whose observation ends at the time.

    Raises
    ------
    ValueError
        If the vectors differ in length, a value is missing, infinite or negative, or the times do not ascend.

    Examples
    --------
    Two subjects, observed for 4 and 6 days; the first has events on days 2 and 4, the second on day 6.

    >>> totals = RecurrentTotals.from_arrays([2, 4, 6], [0, 0, 1], [4, 6])
    >>> totals.time, totals.events, totals.gathered
    (array([2., 4., 6.]), array([1., 1., 1.]), array([0., 1., 1.]))
    """

    time: npt.NDArray[np.float64]
    leaving: npt.NDArray[np.float64]
    events: npt.NDArray[np.float64]
    squares: npt.NDArray[np.float64]
    gathered: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        checked = {field.name: amounts(getattr(self, field.name), field.name) for field in fields(self)}
        check_same_length(**checked)
        if np.any(np.diff(checked["time"]) <= 0):
            msg = "time must ascend, without ties: give one element a distinct time"
            raise ValueError(msg)
        for name, vector in checked.items():
            object.__setattr__(self, name, vector)

    @classmethod
    def from_arrays(cls, time: npt.ArrayLike, subject: npt.ArrayLike, end: npt.ArrayLike) -> Self:
        """Take the sums from the events and the subjects.

        Parameters
        ----------
        time
            Time of each event, shape (e,); several events of a subject at one time count each.
        subject
            The subject that each event belongs to: its place in `end`, from 0, shape (e,).
        end
            The time at which the observation of each subject ends, shape (n,); every one begins at 0.

        Returns
        -------
        RecurrentTotals
            The sums at each distinct time.

        Raises
        ------
        ValueError
            If an argument is not as described, or an event comes after its subject's end.
        """
        moments, owner, ends = _events(time, subject, end)
        distinct = np.unique(np.concatenate([moments, ends]))
        place, last = np.searchsorted(distinct, moments), np.searchsorted(distinct, ends)
        leaving = np.bincount(last, minlength=len(distinct))
        at_risk = np.cumsum(leaving[::-1])[::-1]
        size = len(distinct)
        order = np.lexsort((place, owner))
        added = 1 / at_risk[place[order]]
        reached = np.cumsum(added)
        # The running sum starts anew with each subject: what stood before its first event is taken off.
        counted = np.bincount(owner, minlength=len(ends))
        first = np.cumsum(counted) - counted
        reached = reached - np.repeat(np.concatenate([[0.0], reached])[first], counted)
        gathered = np.bincount(owner[order], weights=added, minlength=len(ends))
        squares = np.bincount(place[order], weights=reached**2 - (reached - added) ** 2, minlength=size)
        sums = (leaving, np.bincount(place, minlength=size), squares)
        columns = (*sums, np.bincount(last, weights=gathered, minlength=size))
        return cls(distinct, *(column.astype(np.float64) for column in columns))


def mean_cumulative_function(
    time: npt.ArrayLike, subject: npt.ArrayLike, end: npt.ArrayLike, *, conf_level: float = 0.95
) -> pd.DataFrame:
    """Estimate the mean number of events a subject up to each time (Nelson-Aalen).

    Parameters
    ----------
    time
        Time of each event, shape (e,), at least 0; several events of a subject at one time count each.
    subject
        The subject that each event belongs to: its place in `end`, from 0, shape (e,).
    end
        The time at which the observation of each subject ends, shape (n,), also of those without an event; every one
        begins at 0, and is still at risk at its end.
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row a distinct time of an event or an end: ``time, at_risk, events, censored, estimate, std_error, conf_low,
        conf_high, conf_level, method, note``. ``estimate`` is the mean number of events by that time, ``at_risk``
        the number of subjects just before it. Of one subject standard error and limits are NaN. No rows if there is
        nobody.

    Raises
    ------
    ValueError
        If an argument is not as described, or an event comes after its subject's end.

    Notes
    -----
    M(t) is the sum of d/n over the times up to t. The variance is the sum over subjects of the square of
    sum (d_i - Y_i·d/n)/n, with d_i a subject's own events and Y_i whether it is at risk: valid however alike the events
    of a subject are (Lawless and Nadeau), and that of R's ``survival::survfit`` with ``id``; times N/(N - 1), with N all
    subjects. The interval is Garwood's at the effective number of events x = M²/variance · (z/t)², with Student's t on
    N - 1 degrees of freedom: χ²(a; 2x)/2 and χ²(1 - a; 2x + 2)/2, times M/x, as in `clustered_rate`. The end of
    observation must have nothing to do with the events to come.

    References
    ----------
    Lawless JF, Nadeau C (1995). Some simple robust methods for the analysis of recurrent events.
    doi:10.1080/00401706.1995.10484300

    Garwood F (1936). Fiducial limits for the Poisson distribution. doi:10.1093/biomet/28.3-4.437

    Examples
    --------
    Three subjects, observed for 4, 6 and 6 days, with events on days 2 and 4 (first) and 6 (second): 1/3, 2/3, 2/3 + 1/2.

    >>> found = mean_cumulative_function([2, 4, 6], [0, 0, 1], [4, 6, 6])
    >>> found[["time", "at_risk", "events", "estimate"]].round(4)
       time  at_risk  events  estimate
    0   2.0        3       1    0.3333
    1   4.0        3       1    0.6667
    2   6.0        2       1    1.1667
    """
    return mean_cumulative_curve(RecurrentTotals.from_arrays(time, subject, end), conf_level=conf_level)


def mean_cumulative_curve(totals: RecurrentTotals, *, conf_level: float = 0.95) -> pd.DataFrame:
    """Estimate the mean number of events a subject up to each time from sums over subjects.

    Parameters
    ----------
    totals
        The sums at each distinct time.
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        As `mean_cumulative_function`.

    Raises
    ------
    ValueError
        If `conf_level` is not as described.

    Examples
    --------
    >>> totals = RecurrentTotals.from_arrays([2, 4, 6], [0, 0, 1], [4, 6, 6])
    >>> mean_cumulative_curve(totals)["estimate"].round(4).tolist()
    [0.3333, 0.6667, 1.1667]
    """
    check_conf_level(conf_level)
    at_risk = np.cumsum(totals.leaving[::-1])[::-1]
    step = totals.events / at_risk
    mean, spent = np.cumsum(step), np.cumsum(step / at_risk)
    # A subject's residual at t is A(t) - H(min(t, end)), with H the sum of d/n²: squared, and summed over those who
    # have left (H stays at their end) and those who have not.
    has_left = np.concatenate([[0.0], np.cumsum(totals.gathered)])[:-1]
    frozen = np.concatenate([[0.0], np.cumsum(totals.gathered * spent)])[:-1]
    left_squared = np.concatenate([[0.0], np.cumsum(totals.leaving * spent**2)])[:-1]
    crossed = spent * (mean - has_left) + frozen
    variance = np.cumsum(totals.squares) - 2 * crossed + left_squared + at_risk * spent**2
    # No subject differs from the others: nothing is left of the variance but rounding.
    variance = np.where(variance > _NOTHING * np.maximum(mean, _NOTHING) ** 2, variance, 0.0)
    subjects = float(totals.leaving.sum())
    df = subjects - 1 if subjects > 1 else np.nan
    variance = np.where(mean > 0, variance * subjects / df, 0.0)
    effective = mean**2 / np.where(variance > 0, variance, np.nan)
    low, high = effective_limits(effective, np.full(len(mean), df), (1 - conf_level) / 2)
    return pd.DataFrame(
        {
            "time": totals.time,
            "at_risk": at_risk.astype(np.int64),
            "events": totals.events.astype(np.int64),
            "censored": totals.leaving.astype(np.int64),
            "estimate": mean,
            "std_error": np.sqrt(variance),
            "conf_low": low * mean / effective,
            "conf_high": high * mean / effective,
            "conf_level": conf_level,
            "method": _METHOD,
            "note": np.select(
                [mean == 0, np.isnan(variance), variance == 0],
                [
                    "no event so far: the interval cannot be estimated",
                    "one subject: no variance to see",
                    "all subjects had the same events: no variance to see",
                ],
                default="",
            ),
        }
    )


_NOTHING: Final = 1e-14


def compare_mean_functions(
    time: npt.ArrayLike,
    subject: npt.ArrayLike,
    end: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
) -> pd.DataFrame:
    """Test whether the mean number of events by each time is the same in all groups (robust pseudo-score test).

    Parameters
    ----------
    time, subject, end
        As for `mean_cumulative_function`.
    group
        The group's label of each subject, shape (n,).
    weights
        How many subjects each element of `end` stands for, whole numbers, shape (n,); 1 each if not given. More than 1
        is for subjects without an event: subjects with events are told apart.

    Returns
    -------
    pandas.DataFrame
        One row: ``statistic, df, p_value, method, note``. NaN where there is one group, no event, or too few subjects
        with events to see a variance.

    Raises
    ------
    ValueError
        If an argument is not as described, or an element with events stands for several subjects.

    Notes
    -----
    The statistic is u'V⁻u: u is the log-rank sum of observed minus expected events over the times, V the sum over
    subjects of the outer squares of their own parts of it, which needs no Poisson assumption. It is the robust score
    test of R's ``survival::coxph`` with ``ties = "breslow"`` and ``cluster``. With few subjects it is conservative.

    References
    ----------
    Cook RJ, Lawless JF, Nadeau C (1996). Robust tests for treatment comparisons based on recurrent event responses.
    doi:10.2307/2532900

    Examples
    --------
    Five events of two subjects and two of four, all observed for 6 days. By hand: u = 5 - 7/3, V = 684/324.

    >>> time, subject = [1, 2, 3, 2, 4, 5, 1], [0, 0, 0, 1, 2, 3, 1]
    >>> compare_mean_functions(time, subject, [6] * 6, list("aabbbb"))[["statistic", "df"]].round(4)
       statistic  df
    0     3.3684   1
    """
    moments, owner, ends = _events(time, subject, end)
    persons = np.ones(len(ends), dtype=np.int64) if weights is None else counts(weights, "weights")
    labels = np.asarray(group)
    check_same_length(end=ends, group=labels, weights=persons)
    if np.any(persons[owner] != 1):
        msg = "weights must be 1 for every subject with an event"
        raise ValueError(msg)
    codes, _ = label_codes(labels, "group")
    present = np.unique(codes[persons > 0])
    if not len(moments) or len(present) <= 1:
        notes = {0: "no observations", 1: "one group: nothing to compare"}
        return _test(np.nan, 0, notes.get(len(present), "no events"))
    residual = _residuals(moments, owner, ends, codes, persons)
    statistic, rank = quadratic_form(residual.T @ persons, (residual * persons[:, np.newaxis]).T @ residual)
    return _test(
        statistic, rank, "" if rank else "the events could not have fallen otherwise: nothing to compare"
    )


def _test(statistic: float, rank: int, note: str) -> pd.DataFrame:
    known = rank > 0
    return pd.DataFrame(
        {
            "statistic": [statistic if known else np.nan],
            "df": [rank],
            "p_value": [float(stats.chi2.sf(statistic, rank)) if known else np.nan],
            "method": ["robust score test of mean functions"],
            "note": [note],
        }
    )


def _residuals(time: Floats, owner: Integers, end: Floats, group: Integers, persons: Integers) -> Floats:
    """Return each subject's part in the score of each group, shape (n, groups)."""
    moments, place = np.unique(time, return_inverse=True)
    size = int(group.max()) + 1
    # How many event times each subject is at risk for: all up to its end.
    seen = np.searchsorted(moments, end, side="right")
    leaving = np.zeros((len(moments) + 1, size))
    np.add.at(leaving, (seen, group), persons)
    at_risk = leaving[::-1].cumsum(axis=0)[::-1][1:]
    total = at_risk.sum(axis=1)
    share = at_risk / total[:, np.newaxis]
    hazard = np.bincount(place, minlength=len(moments)) / total
    spent = np.concatenate([np.zeros((1, size)), np.cumsum(share * hazard[:, np.newaxis], axis=0)])
    mean = np.concatenate([[0.0], np.cumsum(hazard)])
    events = np.bincount(owner, minlength=len(end))
    expected = np.stack(
        [np.bincount(owner, weights=share[place, column], minlength=len(end)) for column in range(size)],
        axis=1,
    )
    own = np.eye(size)[group]
    residual: Floats = own * (events - mean[seen])[:, np.newaxis] - expected + spent[seen]
    return residual


def _events(
    time: npt.ArrayLike, subject: npt.ArrayLike, end: npt.ArrayLike
) -> tuple[Floats, Integers, Floats]:
    """Return the events' times and subjects, and the subjects' ends, checked."""
    moments, owner, ends = amounts(time, "time"), counts(subject, "subject"), amounts(end, "end")
    check_same_length(time=moments, subject=owner)
    if np.any(owner >= len(ends)):
        msg = (
            f"subject has {np.sum(owner >= len(ends))} values that are no place in end, which has {len(ends)}"
        )
        raise ValueError(msg)
    late = moments > ends[owner]
    if late.any():
        msg = f"{late.sum()} events come after the end of their subject (first at position {late.argmax()})"
        raise ValueError(msg)
    return moments, owner, ends
