"""Limits of a difference or a ratio, recovered from the limits of its two parts (MOVER)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Limits:
    """Estimates of at least 0 with their confidence limits, all of shape (m,)."""

    estimate: Floats
    low: Floats
    high: Floats


def difference_limits(part: Limits, reference: Limits) -> tuple[Floats, Floats]:
    """Return the limits of the difference of two independent estimates.

    Parameters
    ----------
    part, reference
        The two estimates, with limits at the level that the difference is to have.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper limits.

    Notes
    -----
    The distance to the lower limit is sqrt((p - l)² + (u₀ - p₀)²), to the upper one sqrt((u - p)² + (p₀ - l₀)²).

    References
    ----------
    Newcombe RG (1998). Interval estimation for the difference between independent proportions: comparison of eleven
    methods. doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I

    Zou GY, Donner A (2008). Construction of confidence limits about effect measures: a general approach.
    doi:10.1002/sim.3095

    Examples
    --------
    By hand: 0.5 - 0.2 = 0.3, minus sqrt(0.3² + 0.4²) = 0.5, plus sqrt(0.3² + 0.04²).

    >>> part = Limits(np.array([0.5]), np.array([0.2]), np.array([0.8]))
    >>> low, high = difference_limits(part, Limits(np.array([0.2]), np.array([0.16]), np.array([0.6])))
    >>> low.round(4), high.round(4)
    (array([-0.2]), array([0.6027]))
    """
    difference = part.estimate - reference.estimate
    below = np.hypot(part.estimate - part.low, reference.high - reference.estimate)
    above = np.hypot(part.high - part.estimate, reference.estimate - reference.low)
    return difference - below, difference + above


def ratio_limits(part: Limits, reference: Limits) -> tuple[Floats, Floats]:
    """Return the limits of the ratio of two independent estimates.

    Parameters
    ----------
    part, reference
        The two estimates, with limits at the level that the ratio is to have.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper limits. The upper limit is infinite where the lower limit of the reference is 0.

    Notes
    -----
    The limits are the ratios r at which a limit of the difference p - r·p₀ is 0: the lower one is
    l(2p - l) / (p·p₀ + sqrt((p·p₀)² - l(2p - l)·u₀(2p₀ - u₀))), the upper one its inverse with the two parts swapped.
    An interval of the ratio therefore excludes 1 exactly where that of the difference excludes 0.

    References
    ----------
    Donner A, Zou GY (2012). Closed-form confidence intervals for functions of the normal mean and standard deviation.
    doi:10.1177/0962280210383082

    Examples
    --------
    Where the limits of the reference are its estimate, those of the ratio are those of the part, divided by it.

    >>> sure = Limits(np.array([0.5]), np.array([0.5]), np.array([0.5]))
    >>> low, high = ratio_limits(Limits(np.array([0.2]), np.array([0.1]), np.array([0.4])), sure)
    >>> low.round(4), high.round(4)
    (array([0.2]), array([0.8]))
    """
    inverse = _lower_ratio(reference, part)
    high = np.divide(1.0, inverse, out=np.where(np.isnan(inverse), np.nan, np.inf), where=inverse > 0)
    return _lower_ratio(part, reference), high


def _lower_ratio(part: Limits, reference: Limits) -> Floats:
    product = part.estimate * reference.estimate
    low = part.low * (2 * part.estimate - part.low)
    high = reference.high * (2 * reference.estimate - reference.high)
    # Rounding may bring a root of 0 below 0.
    root = np.sqrt(np.maximum(product**2 - low * high, 0.0))
    whole = product + root
    return np.divide(low, whole, out=whole * 0, where=whole > 0)
