"""Comparison of survival between groups by the log-rank test, stratified or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy import stats

from mesostats.estimators.arguments import amounts, check_same_length, counts, indicators

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

_FLAT: Final = 1e-12  # an eigenvalue smaller than this, relative to the largest, carries no information


@dataclass(frozen=True, eq=False)
class _Scores:
    """Observed and expected events of each group, and the covariance of their difference."""

    groups: pd.Index
    persons: Integers
    observed: Integers
    expected: Floats
    covariance: Floats


def logrank(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    strata: npt.ArrayLike | None = None,
) -> pd.DataFrame:
    """Test whether survival is the same in all groups.

    Parameters
    ----------
    time
        Time to the event or to censoring, shape (n,), at least 0, ties allowed.
    event
        Whether the event happened (True or 1) or the time is censored, shape (n,).
    group
        The group's label of each element, shape (n,).
    weights
        How many persons each element stands for, whole numbers, shape (n,); 1 each if not given.
    strata
        Labels within which the groups are compared, shape (n,).

    Returns
    -------
    pandas.DataFrame
        One row: ``statistic, df, p_value, method, note``. NaN where there is one group, no event, or no time at which
        events could have fallen otherwise.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    The statistic is u'V⁻u, with u the observed minus expected events of the groups and V its hypergeometric
    covariance, both summed over strata; df is the rank of V, most often the number of groups less 1. Groups that were
    never at risk when an event happened do not count. As in R's ``survival::survdiff``.

    References
    ----------
    Mantel N (1966). Evaluation of survival data and two new rank order statistics arising in its consideration.
    Cancer Chemotherapy Reports 50, 163-170.

    Peto R, Peto J (1972). Asymptotically efficient rank invariant test procedures. doi:10.2307/2344317

    Examples
    --------
    Events at 1, 2 | 3, 4. By hand: the variance is 1/4 + 2/9, observed minus expected 2 - (1/2 + 1/3) = 7/6.

    >>> logrank([1, 2, 3, 4], [1, 1, 1, 1], ["a", "a", "b", "b"])[["statistic", "df"]].round(4)
       statistic  df
    0     2.8824   1
    """
    scores = _scores(time, event, group, weights=weights, strata=strata)
    statistic, rank = quadratic_form(scores.observed - scores.expected, scores.covariance)
    known = rank > 0
    return pd.DataFrame(
        {
            "statistic": [statistic if known else np.nan],
            "df": [rank],
            "p_value": [float(stats.chi2.sf(statistic, rank)) if known else np.nan],
            "method": ["log-rank test" if strata is None else "stratified log-rank test"],
            "note": [_note(scores, known=known)],
        }
    )


def logrank_groups(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    strata: npt.ArrayLike | None = None,
) -> pd.DataFrame:
    """Return what the log-rank test compares: the observed and the expected events of each group.

    Parameters
    ----------
    time, event, group, weights, strata
        As for `logrank`.

    Returns
    -------
    pandas.DataFrame
        One row a group, in sorted order: ``group, persons, observed, expected``.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> logrank_groups([1, 2, 3, 4], [1, 1, 1, 1], ["a", "a", "b", "b"]).round(4)
      group  persons  observed  expected
    0     a        2         2    0.8333
    1     b        2         2    3.1667
    """
    scores = _scores(time, event, group, weights=weights, strata=strata)
    return pd.DataFrame(
        {
            "group": scores.groups,
            "persons": scores.persons,
            "observed": scores.observed,
            "expected": scores.expected,
        }
    )


def _scores(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None,
    strata: npt.ArrayLike | None,
) -> _Scores:
    """Sum the strata's scores."""
    moments, happened = amounts(time, "time"), indicators(event, "event")
    persons = np.ones(len(moments), dtype=np.int64) if weights is None else counts(weights, "weights")
    labels = np.asarray(group)
    layers = np.zeros(len(moments), dtype=np.int64) if strata is None else np.asarray(strata)
    check_same_length(time=moments, event=happened, group=labels, weights=persons, strata=layers)
    here = persons > 0
    codes, groups = label_codes(labels[here], "group")
    layer_codes, layer_kinds = label_codes(layers[here], "strata")
    moments, happened, persons = moments[here], happened[here], persons[here]
    size = len(groups)
    parts = [
        _stratum(moments[rows], happened[rows], codes[rows], weights=persons[rows], size=size)
        for rows in (layer_codes == layer for layer in range(len(layer_kinds)))
    ]
    return _Scores(
        groups,
        _sums(codes, persons, size),
        _sums(codes, persons * happened, size),
        sum((expected for expected, _ in parts), np.zeros(size)),
        sum((covariance for _, covariance in parts), np.zeros((size, size))),
    )


def _sums(codes: Integers, values: Integers, size: int) -> Integers:
    """Add up the values under each code."""
    return np.bincount(codes, weights=values, minlength=size).astype(np.int64)


def label_codes(labels: npt.NDArray[np.generic], name: str) -> tuple[Integers, pd.Index]:
    """Return the place of each label among the sorted distinct ones, and these; a missing label is refused."""
    codes, kinds = pd.factorize(pd.Index(labels), sort=True)
    if np.any(codes < 0):
        msg = f"{name} has {np.sum(codes < 0)} missing values"
        raise ValueError(msg)
    return codes.astype(np.int64), kinds


def _stratum(
    time: Floats, event: Integers, group: Integers, *, weights: Integers, size: int
) -> tuple[Floats, Floats]:
    """Return the expected events of each group in one stratum and the covariance of observed minus expected."""
    moments, place = np.unique(time, return_inverse=True)
    shape = (len(moments), size)
    cell = place * size + group
    leaving = np.bincount(cell, weights=weights, minlength=len(moments) * size).reshape(shape)
    deaths = np.bincount(place, weights=weights * event, minlength=len(moments))
    at_risk = leaving[::-1].cumsum(axis=0)[::-1]
    total = at_risk.sum(axis=1)
    share = at_risk / total[:, np.newaxis]
    # One person at risk: the event can fall on nobody else, so the term is 0.
    spread = deaths * (total - deaths) / np.where(total > 1, total - 1, np.inf)
    return deaths @ share, np.diag(spread @ share) - (share * spread[:, np.newaxis]).T @ share


def quadratic_form(difference: Floats, covariance: Floats) -> tuple[float, int]:
    """Return u'V⁻u and the rank of V, which is singular because the differences sum to 0."""
    if not len(difference):
        return np.nan, 0
    values, vectors = np.linalg.eigh(covariance)
    kept = values > max(_FLAT * values[-1], 0.0)
    return float(np.sum((vectors.T @ difference)[kept] ** 2 / values[kept])), int(kept.sum())


def _note(scores: _Scores, *, known: bool) -> str:
    if not len(scores.groups):
        return "no observations"
    if len(scores.groups) == 1:
        return "one group: nothing to compare"
    if not scores.observed.any():
        return "no events"
    if not known:
        return "the events could not have fallen otherwise: nothing to compare"
    if not scores.expected.all():
        return "a group was never at risk when an event happened: it does not count"
    return ""
