"""Where a condition stops holding: halving for many intervals at once, with no demand on the values at their ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_HALVINGS: Final = 80  # leaves of an interval of 1000 what no double can tell apart


def crossing(
    holds: Callable[[Floats], npt.NDArray[np.bool_]], low: npt.ArrayLike, high: npt.ArrayLike
) -> Floats:
    """Return the points at which a condition that holds on the left of intervals stops holding.

    Parameters
    ----------
    holds
        Says of points, shape (m,), whether the condition holds there. It is asked inside the intervals only: a score
        statistic that is 0/0 at an end does no harm.
    low, high
        The ends of the intervals, shape (m,). NaN stays NaN.

    Returns
    -------
    numpy.ndarray
        Shape (m,); `low` where the condition holds nowhere, `high` where it holds everywhere.

    Examples
    --------
    >>> crossing(lambda x: x**2 < 2, [0.0], [2.0]).round(6)
    array([1.414214])
    """
    left, right = np.broadcast_arrays(np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64))
    for _ in range(_HALVINGS):
        middle = (left + right) / 2
        before = holds(middle)
        left, right = np.where(before, middle, left), np.where(before, right, middle)
    return np.asarray((left + right) / 2, dtype=np.float64)
