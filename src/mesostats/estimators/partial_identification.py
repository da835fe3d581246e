"""What can be said of a proportion when nothing is supposed about the missing: an interval that holds it wherever it lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from mesostats.estimators.arguments import amounts, check_conf_level, check_same_length
from mesostats.estimators.bisection import crossing
from mesostats.estimators.proportions import wilson_limits

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


def identification_interval(
    lowest: npt.ArrayLike, highest: npt.ArrayLike, n: npt.ArrayLike, *, conf_level: float = 0.95
) -> tuple[Floats, Floats]:
    """Return intervals for proportions of which only the lowest and the highest possible estimate are known.

    Parameters
    ----------
    lowest, highest
        The estimates with all missing as failures, and with all as successes, shape (m,).
    n
        The (effective) sample size, shape (m,); where it is 0 the limits are NaN.
    conf_level
        The probability with which the interval holds the true proportion, wherever between the two it lies.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper limits, shape (m,).

    Raises
    ------
    ValueError
        If an argument is not as described, or a lowest estimate is above the highest.

    Notes
    -----
    The limits are Wilson's lower limit of the lowest estimate and upper limit of the highest one, at Imbens and Manski's quantile c,
    which solves Phi(c + (highest - lowest)/s) - Phi(-c) = `conf_level`, s the larger of the two standard errors. Without anything missing c is
    the two-sided quantile (1.96); with much missing the one-sided one (1.64), since the proportion cannot be at both ends.

    References
    ----------
    Imbens GW, Manski CF (2004). Confidence intervals for partially identified parameters.
    doi:10.1111/j.1468-0262.2004.00555.x

    Examples
    --------
    Of 100, 40 responded, 30 did not and 30 are not known; without anything unknown it is Wilson's interval of 40 of 100.

    >>> low, high = identification_interval([0.4, 0.4], [0.7, 0.4], [100, 100])
    >>> low.round(4), high.round(4)
    (array([0.3231, 0.3094]), array([0.7693, 0.498 ]))
    """
    check_conf_level(conf_level)
    least, most, size = (
        amounts(each, name) for each, name in ((lowest, "lowest"), (highest, "highest"), (n, "n"))
    )
    check_same_length(lowest=least, highest=most, n=size)
    if np.any(least > most) or np.any(most > 1):
        msg = "lowest and highest are proportions, the first not above the second"
        raise ValueError(msg)
    size = np.where(size > 0, size, np.nan)
    spread = np.sqrt(np.maximum(least * (1 - least), most * (1 - most)) / size)
    gap = np.divide(most - least, spread, out=np.full_like(size, np.inf), where=spread > 0)
    gap = np.where((spread == 0) & (most == least), 0.0, gap)
    two_sided = stats.norm.isf((1 - conf_level) / 2)

    def is_short(quantile: Floats) -> npt.NDArray[np.bool_]:
        return np.asarray(stats.norm.cdf(quantile + gap) - stats.norm.cdf(-quantile) < conf_level)

    quantile = crossing(is_short, np.zeros_like(size), np.full_like(size, two_sided))
    return wilson_limits(least, size, quantile)[0], wilson_limits(most, size, quantile)[1]
