"""Comparison of cumulative incidence between groups under competing ends by Gray's test, stratified or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from mesostats.estimators.arguments import amounts, check_same_length, counts
from mesostats.estimators.competing import just_before
from mesostats.estimators.logrank import label_codes, quadratic_form

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]


def gray(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    cause: int = 1,
    strata: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
) -> pd.DataFrame:
    """Test whether the cumulative incidence of one of several competing ends is the same in all groups (Gray).

    Parameters
    ----------
    time
        Time to the first end or to censoring, shape (n,), at least 0, ties allowed.
    event
        Which end it was: 0 for censored, else the code of the cause, a whole number, shape (n,).
    group
        The group's label of each element, shape (n,).
    cause
        The code of the end that is compared; every other code but 0 competes with it.
    strata
        Labels within which the groups are compared, shape (n,).
    weights
        How many persons each element stands for, whole numbers, shape (n,); 1 each if not given.

    Returns
    -------
    pandas.DataFrame
        One row: ``statistic, df, p_value, method, note``. NaN where there is one group, no such event, or no time at
        which events could have fallen otherwise.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    The groups' subdistribution hazards are compared: of the events at a time, a group is expected to have a share in
    proportion to n·(1 - F(t-))/S(t-), its persons at risk and those whom another cause took, were they still followed.
    The statistic is u'V⁻u, with u the observed minus expected events and V Gray's estimate of their covariance (his
    weight with rho = 0), both summed over strata; df is the rank of V. As in R's ``cmprsk::cuminc``.

    References
    ----------
    Gray RJ (1988). A class of K-sample tests for comparing the cumulative incidence of a competing risk.
    doi:10.1214/aos/1176350951

    Examples
    --------
    >>> time, event = [1, 2, 3, 4, 5, 6, 7, 8], [1, 1, 2, 1, 2, 0, 1, 0]
    >>> gray(time, event, list("aababbba"))[["statistic", "df", "p_value"]].round(4)
       statistic  df  p_value
    0      2.092   1   0.1481
    """
    if cause < 1:
        msg = f"cause == {cause}, must be the code of an end, 1 or more"
        raise ValueError(msg)
    labels, layers = np.asarray(group), np.zeros(np.size(time)) if strata is None else np.asarray(strata)
    persons = np.ones(np.size(time), dtype=np.int64) if weights is None else counts(weights, "weights")
    moments, kinds = amounts(time, "time"), counts(event, "event")
    check_same_length(time=moments, event=kinds, group=labels, weights=persons, strata=layers)
    here = persons > 0
    group_codes, groups = label_codes(labels[here], "group")
    layer_codes, layer_kinds = label_codes(layers[here], "strata")
    moments, kinds, persons = moments[here], kinds[here], persons[here]
    difference, covariance = np.zeros(len(groups)), np.zeros((len(groups), len(groups)))
    for layer in range(len(layer_kinds)):
        rows = layer_codes == layer
        cells = _Cells.count(moments[rows], kinds[rows], group_codes[rows], persons[rows], cause, len(groups))
        u, v = _gray_scores(cells)
        difference, covariance = difference + u, covariance + v
    happened = bool(np.any(kinds == cause))
    finite = bool(np.isfinite(covariance).all() and np.isfinite(difference).all())
    statistic, rank = quadratic_form(difference, covariance) if finite else (np.nan, 0)
    known = rank > 0 and happened
    return pd.DataFrame(
        {
            "statistic": [statistic if known else np.nan],
            "df": [rank if known else 0],
            "p_value": [float(stats.chi2.sf(statistic, rank)) if known else np.nan],
            "method": ["Gray's test" if strata is None else "stratified Gray's test"],
            "note": [_gray_note(len(groups), happened=happened, known=known)],
        }
    )


@dataclass(frozen=True, eq=False)
class _Cells:
    """Counts a time (first axis) and group (second axis)."""

    at_risk: Floats
    events: Floats
    competing: Floats

    @classmethod
    def count(
        cls, time: Floats, event: Integers, group: Integers, weights: Integers, cause: int, size: int
    ) -> _Cells:
        distinct, place = np.unique(time, return_inverse=True)
        shape = (len(distinct), size)
        cell = place * size + group

        def tally(rows: npt.NDArray[np.bool_]) -> Floats:
            found = np.bincount(cell[rows], weights=weights[rows], minlength=shape[0] * size)
            return found.reshape(shape).astype(np.float64)

        leaving = tally(np.ones(len(time), dtype=bool))
        at_risk = leaving[::-1].cumsum(axis=0)[::-1]
        return cls(at_risk, tally(event == cause), tally((event > 0) & (event != cause)))


def _gray_scores(cells: _Cells) -> tuple[Floats, Floats]:
    """Return observed minus expected events of each group in one stratum, and their covariance."""
    present = cells.at_risk > 0
    at_risk = np.where(present, cells.at_risk, 1.0)
    free: Floats = np.cumprod(1 - (cells.events + cells.competing) / at_risk, axis=0, dtype=np.float64)
    free_before = just_before(free, 1.0)
    own_before = just_before(np.cumsum(free_before * cells.events / at_risk, axis=0, dtype=np.float64), 0.0)
    # Persons at risk, as many as there would be had nobody left: R(t) = n/S(t-).
    standing = np.divide(cells.at_risk, free_before, out=np.zeros_like(at_risk), where=present)
    still = standing * (1 - own_before)
    all_events = cells.events.sum(axis=1)
    share = _share(still)
    difference = (cells.events - all_events[:, np.newaxis] * share)[all_events > 0].sum(axis=0)
    pooled = _share(standing)
    total = standing.sum(axis=1)
    step = np.divide(all_events, total, out=np.zeros_like(total), where=total > 0)
    incidence: Floats = np.cumsum(step, dtype=np.float64)
    covariance = _gray_covariance(
        cells, (free_before, free), standing, pooled, step=step, incidence=incidence
    )
    return difference, covariance


def _share(values: Floats) -> Floats:
    """Divide each time's values by their sum; 0 where it is 0."""
    total = values.sum(axis=1, keepdims=True)
    share: Floats = np.divide(values, total, out=np.zeros_like(values), where=total > 0)
    return share


def _gray_covariance(
    cells: _Cells,
    free: tuple[Floats, Floats],
    standing: Floats,
    pooled: Floats,
    *,
    step: Floats,
    incidence: Floats,
) -> Floats:
    """Return the covariance: each group k's own noise at each time, times what it moves in the scores of all groups."""
    free_before, free_after = free
    all_events = cells.events.sum(axis=1)
    size = standing.shape[1]
    # A[t, i, k]: how the score of group i moves with group k's hazard at t itself; C[t, i, k]: with what came before t.
    moved = standing[:, :, np.newaxis] * (np.eye(size) - pooled[:, np.newaxis, :])
    left = 1 - just_before(incidence, 0.0)
    subhazard = np.divide(step, left, out=np.zeros_like(step), where=left > 0)
    carried = np.cumsum(moved * subhazard[:, np.newaxis, np.newaxis], axis=0)
    to_come = carried[-1] - carried if len(carried) else carried
    ratio = np.divide(
        (1 - incidence)[:, np.newaxis], free_after, out=np.zeros_like(free_after), where=free_after > 0
    )
    present = cells.at_risk > 0
    n = np.where(present, cells.at_risk, 1.0)
    # The pooled hazard's noise in group k, with the correction for ties; then that of the competing ends.
    own_slope = np.where(free_after > 0, 1 - ratio, 1.0)
    ties = _tie_factor(all_events[:, np.newaxis], standing.sum(axis=1)[:, np.newaxis] * free_before)
    own_noise = np.where(present, ties * free_before * step[:, np.newaxis] / n, 0.0)
    counted = present & (free_after > 0)
    other_noise = np.where(
        counted, _tie_factor(cells.competing, cells.at_risk) * free_before**2 * cells.competing / n**2, 0.0
    )
    own = moved + own_slope[:, np.newaxis, :] * to_come
    other = ratio[:, np.newaxis, :] * to_come
    parts = ((own, own_noise), (other, other_noise))
    return sum(
        (np.einsum("tik,tjk,tk->ij", moves, moves, noise) for moves, noise in parts), np.zeros((size, size))
    )


def _tie_factor(events: Floats, persons: Floats) -> Floats:
    """Return 1 - (d - 1)/(n - 1), the part of the variance that is left where d events tie; 1 for one event."""
    tied = (events > 1) & (persons > 1)
    events, persons = np.broadcast_arrays(events, persons)
    return 1 - np.divide(events - 1, persons - 1, out=np.zeros(persons.shape), where=tied)


def _gray_note(groups: int, *, happened: bool, known: bool) -> str:
    if groups == 0:
        return "no observations"
    if groups == 1:
        return "one group: nothing to compare"
    if not happened:
        return "no events"
    return "" if known else "the events could not have fallen otherwise: nothing to compare"
