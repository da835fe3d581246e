"""Repeated observations within patients, reduced to the few sums that clustered estimators need.

The sums can be taken by a database in one pass, so that a registry's rows never come to memory.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mesostats.estimators.arguments import amounts, check_same_length

if TYPE_CHECKING:
    from typing import Self

    import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class ClusterTotals:
    """Sums over the clusters of each of m groups; a cluster is most often a patient.

    For cluster i, n_i is the number of trials (sessions, or time at risk for a rate) and y_i the number of successes
    (or events) in it. Clusters without any trial and any success are not counted.

    Parameters
    ----------
    clusters
        k, the number of clusters; this and all others have shape (m,).
    trials
        Sum of n_i.
    successes
        Sum of y_i.
    trials_squared
        Sum of n_i².
    successes_squared
        Sum of y_i².
    product
        Sum of n_i·y_i.
    successes_squared_per_trial
        Sum of y_i²/n_i; only `clustered_proportion` uses it, for the intracluster correlation.

    Raises
    ------
    ValueError
        If the vectors differ in length, or a value is missing, infinite or negative.

    Examples
    --------
    Two patients: 1 of 2 sessions and 0 of 4 sessions with a bruise.

    >>> totals = ClusterTotals.from_arrays([1, 0], [2, 4])
    >>> totals.clusters, totals.trials, totals.product
    (array([2.]), array([6.]), array([2.]))
    """

    clusters: npt.NDArray[np.float64]
    trials: npt.NDArray[np.float64]
    successes: npt.NDArray[np.float64]
    trials_squared: npt.NDArray[np.float64]
    successes_squared: npt.NDArray[np.float64]
    product: npt.NDArray[np.float64]
    successes_squared_per_trial: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        checked = {field.name: amounts(getattr(self, field.name), field.name) for field in fields(self)}
        check_same_length(**checked)
        for name, vector in checked.items():
            object.__setattr__(self, name, vector)

    @classmethod
    def from_arrays(
        cls, successes: npt.ArrayLike, trials: npt.ArrayLike, group: npt.ArrayLike | None = None
    ) -> Self:
        """Take the sums from one value a cluster.

        Parameters
        ----------
        successes
            y_i, shape (k,).
        trials
            n_i, shape (k,).
        group
            The group that each cluster belongs to, shape (k,); all in one group if not given.

        Returns
        -------
        ClusterTotals
            One element a group, in the sorted order of the groups.

        Raises
        ------
        ValueError
            If lengths differ, a value is missing, infinite or negative, or a cluster has successes but no trials.
        """
        y, n = amounts(successes, "successes"), amounts(trials, "trials")
        labels = np.zeros(len(y)) if group is None else np.asarray(group)
        check_same_length(successes=y, trials=n, group=labels)
        if np.any((n == 0) & (y > 0)):
            msg = f"{np.sum((n == 0) & (y > 0))} clusters have successes but no trials: give them trials or leave them out"
            raise ValueError(msg)
        codes, kinds = pd.factorize(labels, sort=True)
        if np.any(codes < 0):
            msg = f"group has {np.sum(codes < 0)} missing values"
            raise ValueError(msg)
        size = max(len(kinds), 1)  # no cluster at all is one group in which nothing was observed
        per_trial = np.divide(y**2, n, out=np.zeros(len(y)), where=n > 0)
        terms = [n > 0, n, y, n**2, y**2, n * y, per_trial]
        return cls(*(np.bincount(codes, weights=term, minlength=size).astype(np.float64) for term in terms))

    def take(self, places: npt.ArrayLike) -> Self:
        """Return the sums of some of the groups, by their places."""
        chosen = np.asarray(places)
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @property
    def alone(self) -> npt.NDArray[np.bool_]:
        """Whether every cluster has exactly one trial, so that nothing is clustered, shape (m,); False without clusters."""
        each = (self.trials == self.clusters) & (self.trials_squared == self.clusters)
        return np.asarray(each & (self.clusters > 0), dtype=np.bool_)

    @property
    def ratio(self) -> npt.NDArray[np.float64]:
        """Successes per trial, shape (m,); NaN where there is no trial."""
        return self.successes / np.where(self.trials > 0, self.trials, np.nan)

    @property
    def ratio_variance(self) -> npt.NDArray[np.float64]:
        """Linearised variance of `ratio`, shape (m,); NaN where there are fewer than two clusters.

        Notes
        -----
        k/(k - 1) · sum (y_i - r·n_i)² / (sum n_i)², with r = sum y_i / sum n_i: the variance of a ratio of means over
        clusters drawn independently (Taylor linearisation).
        """
        ratio = self.ratio
        spread = self.successes_squared - 2 * ratio * self.product + ratio**2 * self.trials_squared
        # Equal clusters leave a spread of zero, of which rounding may make a small negative number.
        spread = np.maximum(spread, 0.0)
        return self._correction * spread / self.trials**2

    @property
    def _correction(self) -> npt.NDArray[np.float64]:
        """k/(k - 1), the small-sample factor."""
        return self.clusters / np.where(self.clusters > 1, self.clusters - 1, np.nan)
