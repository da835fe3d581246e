"""How often intervals hold the truth, as one number a method and scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

CONF_LEVEL = 0.95
FLOOR = 0.93
"""Coverage below it is marked."""


@dataclass(frozen=True)
class Coverage:
    """What became of the intervals of a method in a scenario, as shares of all runs.

    Parameters
    ----------
    held
        Intervals that hold the truth.
    low
        Intervals that lie wholly below the truth.
    high
        Intervals that lie wholly above it.
    """

    held: float
    low: float
    high: float

    @classmethod
    def of_limits(
        cls,
        low: npt.ArrayLike,
        high: npt.ArrayLike,
        truth: npt.ArrayLike,
        weights: npt.ArrayLike | None = None,
    ) -> Self:
        """Compare limits, one pair a run, with the truth.

        Parameters
        ----------
        low, high
            The limits, shape (m,); NaN where no interval was given.
        truth
            One number, or one a run.
        weights
            The probability of each run, shape (m,); all alike if not given.
        """
        below, above = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
        given = ~(np.isnan(below) | np.isnan(above))
        # Limits that meet the truth exactly may be rounded past it.
        slack = 1e-12 * np.maximum(np.abs(truth), 1e-3)
        too_low, too_high = above < np.asarray(truth) - slack, below > np.asarray(truth) + slack
        shares = np.full(below.shape, 1 / below.size) if weights is None else np.asarray(weights)
        return cls(
            held=float(shares @ (given & ~too_low & ~too_high)),
            low=float(shares @ (given & too_low)),
            high=float(shares @ (given & too_high)),
        )

    @classmethod
    def of(cls, found: pd.DataFrame, truth: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Self:
        """Compare the limits in a frame of estimates, one row a run, with the truth."""
        return cls.of_limits(found["conf_low"], found["conf_high"], truth, weights)

    @property
    def given(self) -> float:
        """The share of runs that gave an interval."""
        return self.held + self.low + self.high

    @property
    def among_given(self) -> float:
        """The share of the intervals given that hold the truth."""
        return self.held / self.given if self.given > 0 else np.nan

    @property
    def falls_short(self) -> bool:
        """Whether fewer of the intervals given than `FLOOR` hold the truth."""
        return bool(round(self.among_given, 3) < FLOOR)

    @property
    def often_wrong(self) -> bool:
        """Whether more intervals are wrong than `FLOOR` allows, counted over all runs."""
        return self.low + self.high > 1 - FLOOR
