"""How far apart groups are in what they were before treatment, in standard deviations: standardized differences."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from mesostats.estimators.arguments import amounts, check_same_length, counts

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_MEANS: Final = "difference of means over the root mean square of both standard deviations"
_SHARES: Final = "Mahalanobis distance of the shares of all levels but one (Yang and Dalton)"
_TOO_FEW: Final = "fewer than two groups with values"
_NO_SPREAD: Final = "no variation within the groups: the difference cannot be standardized"


def standardized_mean_difference(mean: npt.ArrayLike, sd: npt.ArrayLike) -> pd.DataFrame:
    """Return the largest standardized difference of means between any two groups.

    Parameters
    ----------
    mean
        The mean of each group, shape (groups,); NaN for a group without values.
    sd
        The standard deviation of each, at least 0, shape (groups,); NaN where there are fewer than two values.

    Returns
    -------
    pandas.DataFrame
        One row: ``estimate`` (0 or more), ``first, second`` (the places of the two groups, -1 where there are none),
        ``method, note``.

    Raises
    ------
    ValueError
        If lengths differ or a standard deviation is negative.

    Notes
    -----
    |m₁ - m₂|/sqrt((s₁² + s₂²)/2). It does not grow with the number of patients, as a test does. Above 0.1 is often called
    imbalance. Groups with one value have no standard deviation and are left out.

    References
    ----------
    Austin PC (2009). Balance diagnostics for comparing the distribution of baseline covariates between treatment groups.
    doi:10.1002/sim.3697

    Examples
    --------
    >>> float(standardized_mean_difference([50, 44, 48], [8, 4, 6])["estimate"].round(4).iloc[0])  # 6/sqrt((64 + 16)/2)
    0.9487
    """
    means, spreads = np.array(mean, dtype=np.float64, ndmin=1), np.array(sd, dtype=np.float64, ndmin=1)
    known = ~(np.isnan(means) | np.isnan(spreads))
    amounts(spreads[known], "sd")
    check_same_length(mean=means, sd=spreads)

    def distance(a: int, b: int) -> float:
        pooled = np.sqrt((spreads[a] ** 2 + spreads[b] ** 2) / 2)
        return (
            float(abs(means[a] - means[b]) / pooled)
            if pooled > 0
            else _undefined(same=bool(means[a] == means[b]))
        )

    return _largest(distance, np.flatnonzero(known), _MEANS)


def standardized_share_difference(tallies: npt.ArrayLike) -> pd.DataFrame:
    """Return the largest standardized difference of a category's shares between any two groups.

    Parameters
    ----------
    tallies
        How many of each group have each level, whole numbers, shape (groups, levels).

    Returns
    -------
    pandas.DataFrame
        As of `standardized_mean_difference`. A group without values is left out.

    Raises
    ------
    ValueError
        If `tallies` does not hold counts of groups and levels.

    Notes
    -----
    With the shares p₁ and p₂ of all levels but one, sqrt((p₁ - p₂)ᵀ S⁻¹ (p₁ - p₂)); S has (p₁ₖ(1 - p₁ₖ) + p₂ₖ(1 - p₂ₖ))/2 on its
    diagonal and -(p₁ₖp₁ₗ + p₂ₖp₂ₗ)/2 off it. Which level is left out does not matter; with two levels it is
    |p₁ - p₂|/sqrt((p₁(1 - p₁) + p₂(1 - p₂))/2).

    References
    ----------
    Yang D, Dalton JE (2012). A unified approach to measuring the effect size between two groups using SAS. SAS Global
    Forum 2012, paper 335.

    Examples
    --------
    30 of 40 women in one group and 20 of 40 in the other: 0.25/sqrt((0.1875 + 0.25)/2).

    >>> float(standardized_share_difference([[30, 10], [20, 20]])["estimate"].round(4).iloc[0])
    0.5345
    """
    given = np.array(tallies)
    if given.ndim != 2:  # noqa: PLR2004 - groups and levels
        msg = f"tallies has {given.ndim} dimensions, must have 2: groups and levels"
        raise ValueError(msg)
    table = counts(given.reshape(-1), "tallies").reshape(given.shape)
    sizes = table.sum(axis=1)
    shares = table / np.where(sizes > 0, sizes, 1)[:, None]

    def distance(a: int, b: int) -> float:
        present = (table[a] + table[b]) > 0
        first, second = shares[a][present][1:], shares[b][present][1:]
        pooled = sum(np.diag(p) - np.outer(p, p) for p in (first, second)) / 2
        if not len(first):
            return 0.0
        if np.linalg.matrix_rank(pooled) < len(first):
            return _undefined(same=np.array_equal(first, second))
        return float(np.sqrt((first - second) @ np.linalg.solve(pooled, first - second)))

    return _largest(distance, np.flatnonzero(sizes > 0), _SHARES)


def _undefined(*, same: bool) -> float:
    """Return 0 where groups without spread are the same, else NaN."""
    return 0.0 if same else np.nan


def _largest(
    distance: Callable[[int, int], float], groups: npt.NDArray[np.intp], method: str
) -> pd.DataFrame:
    """Return the largest of the distances between pairs; NaN if one cannot be standardized."""
    found = {(int(a), int(b)): distance(int(a), int(b)) for a, b in combinations(groups, 2)}
    row = {"estimate": np.nan, "first": -1, "second": -1, "method": method, "note": "" if found else _TOO_FEW}
    if any(np.isnan(value) for value in found.values()):
        row |= {"note": _NO_SPREAD}
    elif found:
        pair = max(found, key=lambda each: found[each])
        row |= {"estimate": found[pair], "first": pair[0], "second": pair[1]}
    return pd.DataFrame([row])
