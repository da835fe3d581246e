"""The intervals that a nonparametric maximum of the likelihood of interval-censored times gives mass to, and that mass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import optimize

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

GAP: Final = 1e-9
"""How far below its maximum the log-likelihood a person may stay."""
_CYCLES: Final = 5000
_HALVINGS: Final = 30
_CLOSED, _END, _OPEN = 0, 1, 2  # at one time a closed beginning comes before an end, and an open one after it


@dataclass(frozen=True, eq=False)
class Support:
    """The m innermost intervals, and which of them each of n observations covers.

    Parameters
    ----------
    begins, ends
        Of the intervals, shape (m,), in order.
    first, stop
        An observation covers the intervals from ``first`` up to, without, ``stop``; shape (n,).
    """

    begins: Floats
    ends: Floats
    first: Integers
    stop: Integers

    def probability(self, cumulative: Floats) -> Floats:
        """Return each observation's probability from the cumulative mass, shape (m + 1,) with 0 first."""
        found: Floats = cumulative[self.stop] - cumulative[self.first]
        return found

    def covering(self, values: Floats) -> Floats:
        """Return, an interval each, the sum of values over the observations that cover it."""
        size = len(self.begins) + 1
        change = np.bincount(self.first, values, size) - np.bincount(self.stop, values, size)
        total: Floats = np.cumsum(change)[:-1]
        return total

    def membership(self, intervals: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
        """Return which of some intervals each observation covers, shape (n, intervals)."""
        return (self.first[:, None] <= intervals) & (intervals < self.stop[:, None])


def support(left: Floats, right: Floats) -> Support:
    """Return the innermost intervals of observations (left, right], or [left, left] where both ends are the same.

    Parameters
    ----------
    left, right
        Shape (n,), left at most right; right may be infinite.
    """
    exact = left == right
    begins = np.column_stack([left, np.where(exact, _CLOSED, _OPEN)])
    ends = np.column_stack([right, np.full(len(right), _END)])
    marks, place = np.unique(np.concatenate([begins, ends]), axis=0, return_inverse=True)
    place = place.reshape(-1)
    is_end = marks[:, 1] == _END
    start = np.flatnonzero(~is_end[:-1] & is_end[1:])
    return Support(
        begins=marks[start, 0],
        ends=marks[start + 1, 0],
        first=np.searchsorted(start, place[: len(left)], side="left").astype(np.int64),
        stop=np.searchsorted(start + 1, place[len(left) :], side="right").astype(np.int64),
    )


def most_likely_mass(found: Support, persons: Floats, *, gap: float = GAP) -> tuple[Floats, float]:
    """Return the mass of each interval that makes the observations most likely, and how far from the maximum it may be.

    Parameters
    ----------
    found
        From `support`.
    persons
        How many persons each observation stands for, above 0, shape (n,).
    gap
        How far below its maximum the log-likelihood a person may stay.

    Returns
    -------
    tuple
        The mass, shape (m,), and max d_j/n - 1 (see `turnbull`), which bounds what the log-likelihood a person could gain.
    """
    share, size = persons / persons.sum(), len(found.begins)
    cumulative = np.linspace(0.0, 1.0, size + 1)
    excess = np.inf
    for _ in range(_CYCLES):
        cumulative = _convex_minorant_step(found, share, cumulative)
        pull = found.covering(share / found.probability(cumulative))
        excess = float(pull.max() - 1)
        if excess <= gap:
            break
        mass = np.diff(cumulative) * pull  # expectation-maximisation
        cumulative = np.concatenate([[0.0], np.cumsum(mass)])
        cumulative /= cumulative[-1]
    return np.diff(cumulative), max(excess, 0.0)


def _convex_minorant_step(found: Support, share: Floats, cumulative: Floats) -> Floats:
    """Improve the cumulative mass by one iterative-convex-minorant step: Newton's with a diagonal, kept in order."""
    size = len(cumulative)
    if size <= 2:  # noqa: PLR2004 - one interval has all the mass
        return cumulative
    probability = found.probability(cumulative)
    slope = np.bincount(found.stop, share / probability, size) - np.bincount(
        found.first, share / probability, size
    )
    bend = np.bincount(found.stop, share / probability**2, size) + np.bincount(
        found.first, share / probability**2, size
    )
    inner = slice(1, -1)
    target = cumulative[inner] + slope[inner] / bend[inner]
    ordered = np.clip(optimize.isotonic_regression(target, weights=bend[inner]).x, 0.0, 1.0)
    goal = np.concatenate([[0.0], ordered, [1.0]])
    now = float(share @ np.log(probability))
    step = 1.0
    for _ in range(_HALVINGS):
        trial = cumulative + step * (goal - cumulative)
        reached = found.probability(trial)
        if reached.min() > 0 and float(share @ np.log(reached)) >= now:
            return trial
        step /= 2
    return cumulative
