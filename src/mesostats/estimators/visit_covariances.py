"""Structures of the covariance of a subject's visits, each with parameters that need no bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_EDGE: Final = (
    8.0  # logarithm of a standard deviation, in those of the outcome: beyond it the covariance is singular
)


class Structure(Protocol):
    """How parameters without bounds make the covariance matrix of the visits."""

    def start(self, covariance: Floats) -> Floats:
        """Return parameters of a matrix near a positive definite one."""

    def matrix(self, parameters: Floats) -> Floats:
        """Return the covariance matrix, shape (visits, visits)."""

    def gradient(self, parameters: Floats, slope: Floats) -> Floats:
        """Return derivatives by the parameters of what has the derivatives ``slope`` by the entries of the matrix."""

    def bounds(self) -> list[tuple[float, float]]:
        """Return limits that no regular covariance matrix reaches."""


@dataclass(frozen=True)
class Unstructured:
    """Any positive definite matrix, by its Cholesky root with the logarithms of the diagonal."""

    visits: int

    def start(self, covariance: Floats) -> Floats:
        """Return the root of the matrix itself."""
        root = np.linalg.cholesky(covariance)
        np.fill_diagonal(root, np.log(root.diagonal()))
        return np.asarray(root[np.tril_indices(self.visits)])

    def matrix(self, parameters: Floats) -> Floats:
        """Return L L' of the root."""
        root = self._root(parameters)
        return np.asarray(root @ root.T)

    def gradient(self, parameters: Floats, slope: Floats) -> Floats:
        """Return 2·slope·L below the diagonal, times L on it."""
        root = self._root(parameters)
        found = 2 * slope @ root
        np.fill_diagonal(found, found.diagonal() * root.diagonal())
        return np.asarray(found[np.tril_indices(self.visits)])

    def bounds(self) -> list[tuple[float, float]]:
        """Bound the diagonal."""
        rows, columns = np.tril_indices(self.visits)
        return [(-_EDGE, _EDGE) if same else (-1e3, 1e3) for same in rows == columns]

    def _root(self, parameters: Floats) -> Floats:
        root = np.zeros((self.visits, self.visits))
        root[np.tril_indices(self.visits)] = parameters
        np.fill_diagonal(root, np.exp(root.diagonal()))
        return root


@dataclass(frozen=True)
class CompoundSymmetry:
    """A standard deviation a visit and one correlation between any two visits (SAS: CSH)."""

    visits: int

    def start(self, covariance: Floats) -> Floats:
        """Return the standard deviations and a correlation of 0, or the mean one where there is room for it."""
        deviations = np.sqrt(covariance.diagonal())
        if self.visits == 1:
            return np.log(deviations)
        correlations = covariance / np.outer(deviations, deviations)
        mean = (correlations.sum() - self.visits) / (self.visits * (self.visits - 1))
        share = np.clip((mean - self._least) / (1 - self._least), 0.05, 0.95)
        return np.append(np.log(deviations), np.log(share / (1 - share)))

    def matrix(self, parameters: Floats) -> Floats:
        """Return the matrix."""
        deviations = np.exp(parameters[: self.visits])
        found = np.outer(deviations, deviations) * (self._correlation(parameters) if self.visits > 1 else 1.0)
        np.fill_diagonal(found, deviations**2)
        return np.asarray(found)

    def gradient(self, parameters: Floats, slope: Floats) -> Floats:
        """Return derivatives by the logarithms of the deviations, and by the logit of the correlation's range."""
        found = 2 * (slope * self.matrix(parameters)).sum(axis=1)
        if self.visits == 1:
            return np.asarray(found)
        deviations = np.exp(parameters[: self.visits])
        products = slope * np.outer(deviations, deviations)
        share = (self._correlation(parameters) - self._least) / (1 - self._least)
        pull = (products.sum() - products.trace()) * (1 - self._least) * share * (1 - share)
        return np.append(found, pull)

    def bounds(self) -> list[tuple[float, float]]:
        """Bound all."""
        return [(-_EDGE, _EDGE)] * self.visits + [(-30.0, 30.0)] * (self.visits > 1)

    @property
    def _least(self) -> float:
        return -1 / (self.visits - 1)

    def _correlation(self, parameters: Floats) -> float:
        share = 1 / (1 + np.exp(-parameters[-1]))
        return float(self._least + (1 - self._least) * share)
