"""Random patients: sessions whose outcomes agree within a patient, and events of patients of unlike frailty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from mesostats.estimators import ClusterTotals

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

PATIENTS = (20, 40, 200)
PROBABILITIES = (0.02, 0.1, 0.4)
FACTORS = (1, 2)
"""A group is compared with a reference of its own probability or rate, and of half of it."""
CORRELATIONS = (0.0, 0.2)
FRAILTIES = (0.0, 1.0, 2.0)


def sessions(rng: np.random.Generator, shape: tuple[int, ...]) -> Integers:
    """Return two to nine sessions a patient."""
    return rng.integers(2, 10, size=shape)


def chances(quantiles: Floats, p: npt.ArrayLike, correlation: float) -> Floats:
    """Return patients' own probabilities, beta distributed with a mean and an intracluster correlation.

    Parameters
    ----------
    quantiles
        Where in the distribution the patients stand, between 0 and 1: patients at the same place are equally prone
        whatever their means are.
    p
        The means, to be broadcast with `quantiles`.
    correlation
        The correlation of two sessions of a patient; 0 gives the means themselves.
    """
    means = np.broadcast_to(
        np.asarray(p, dtype=np.float64), np.broadcast_shapes(quantiles.shape, np.shape(p))
    )
    if correlation == 0:
        return means
    precision = (1 - correlation) / correlation
    return np.asarray(special.betaincinv(means * precision, (1 - means) * precision, quantiles))


def prone_patients(
    rng: np.random.Generator, shape: tuple[int, int], *, p: float, correlation: float
) -> ClusterTotals:
    """Return the sums over beta-binomial patients, shape (replicates, patients)."""
    trials = sessions(rng, shape)
    precision = (1 - correlation) / correlation if correlation else np.inf
    own = rng.beta(p * precision, (1 - p) * precision, size=shape) if correlation else np.full(shape, p)
    return totals(rng.binomial(trials, own), trials)


def frail_patients(
    rng: np.random.Generator, shape: tuple[int, int], *, rate: float, variance: float
) -> tuple[Integers, Integers]:
    """Return events and sessions of Poisson patients with a gamma frailty, shape (replicates, patients)."""
    exposure = sessions(rng, shape)
    return rng.poisson(rate * frailties(rng, shape, variance) * exposure), exposure


def frailties(rng: np.random.Generator, shape: tuple[int, ...], variance: float) -> Floats:
    """Return gamma frailties of mean 1."""
    return rng.gamma(1 / variance, variance, size=shape) if variance else np.ones(shape)


def totals(hits: Integers, trials: Integers) -> ClusterTotals:
    """Return the sums over the patients of each replicate."""
    replicate = np.repeat(np.arange(len(hits)), hits.shape[1])
    return ClusterTotals.from_arrays(hits.ravel(), trials.ravel(), replicate)
