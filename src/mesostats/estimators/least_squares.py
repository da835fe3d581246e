"""Linear models by least squares, and the variances of their contrasts for independent and for clustered errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

_LEVERAGE: Final = 1e-10  # 1 - leverage below which a cluster determines a direction alone
_CONSTANT: Final = 1e-20  # share of the outcome's sum of squares that a perfect fit leaves
_NO_VARIATION: Final = "the model explains all: no variation to estimate a standard error from"
_TOO_FEW: Final = "no more observations than coefficients: no standard error"


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """A linear model fitted by least squares.

    Parameters
    ----------
    columns
        The design, shape (n, p).
    residual
        Shape (n,).
    coefficients
        Shape (p,).
    inverse
        Of the cross products of the design, shape (p, p).
    """

    columns: Floats
    residual: Floats
    coefficients: Floats
    inverse: Floats

    def contrast(self, weights: Floats) -> tuple[float, float, float]:
        """Return a combination of coefficients, its standard error and degrees of freedom, for independent errors.

        Parameters
        ----------
        weights
            Of the coefficients, shape (p,).
        """
        freedom = len(self.residual) - self.columns.shape[1]
        scale = self.residual @ self.residual / freedom if freedom > 0 else np.nan
        return (
            float(weights @ self.coefficients),
            float(np.sqrt(scale * (weights @ self.inverse @ weights))),
            freedom,
        )

    def clustered(self, weights: Floats, cluster: Integers) -> tuple[float, float, float]:
        """Return the same from the bias-reduced covariance (CR2) with Satterthwaite's degrees of freedom.

        Parameters
        ----------
        weights
            Of the coefficients, shape (p,).
        cluster
            Whose each observation is, from 0, shape (n,).

        Notes
        -----
        The projections of clusters on the contrast are p_i = (I - H)_i' a_i with a_i = A_i X_i B c, so that p_i'p_j is
        |a_i|² (i = j) - u_i'B u_j with u_i = X_i'a_i: no matrix of clusters by clusters is needed.
        """
        lean = self.columns @ (self.inverse @ weights)
        squares, pulls, scores = [], [], []
        for rows in _blocks(cluster):
            part = self.columns[rows]
            weighted = np.einsum("kij,kj->ki", self._adjustments(part), lean[rows])
            squares.append((weighted**2).sum(axis=1))
            pulls.append(np.einsum("ki,kip->kp", weighted, part))
            scores.append((weighted * self.residual[rows]).sum(axis=1))
        square, pull, score = (np.concatenate(each) for each in (squares, pulls, scores))
        product = pull @ self.inverse
        shared = self.inverse @ (pull.T @ pull)
        total = square.sum() - shared.trace()
        spread = (square**2).sum() - 2 * square @ (product * pull).sum(axis=1) + (shared @ shared).trace()
        freedom = total**2 / spread if spread > 0 else np.nan
        return float(weights @ self.coefficients), float(np.sqrt(score @ score)), float(freedom)

    @property
    def without_spread(self) -> str:
        """Why there is no standard error; empty where there is one."""
        if len(self.residual) <= self.columns.shape[1]:
            return _TOO_FEW
        fitted = self.columns @ self.coefficients
        left = self.residual @ self.residual
        return _NO_VARIATION if left <= _CONSTANT * (fitted @ fitted + left) else ""

    def _adjustments(self, part: Floats) -> Floats:
        """Return (I - H)^(-1/2) of each cluster, 0 along directions that the cluster alone determines."""
        leverage = np.einsum("kip,pq,kjq->kij", part, self.inverse, part, optimize=True)
        values, vectors = np.linalg.eigh(np.eye(part.shape[1]) - leverage)
        roots = np.where(values > _LEVERAGE, np.maximum(values, _LEVERAGE) ** -0.5, 0.0)
        return np.asarray(np.einsum("kij,kj,klj->kil", vectors, roots, vectors, optimize=True))


def least_squares(values: Floats, columns: Floats) -> LeastSquares:
    """Fit a linear model.

    Parameters
    ----------
    values
        Shape (n,).
    columns
        The design, shape (n, p), of full column rank.

    Returns
    -------
    LeastSquares

    Examples
    --------
    The mean of 1, 2 and 6, and its standard error: the root of 14/2/3.

    >>> model = least_squares(np.array([1.0, 2.0, 6.0]), np.ones((3, 1)))
    >>> [round(each, 6) for each in model.contrast(np.ones(1))]
    [3.0, 1.527525, 2]
    """
    inverse = np.asarray(np.linalg.inv(columns.T @ columns))
    coefficients = inverse @ (columns.T @ values)
    residual = values - columns @ coefficients
    return LeastSquares(columns, residual, coefficients, inverse)


def _blocks(cluster: Integers) -> Iterator[Integers]:
    """Yield the rows of clusters of one size, shape (clusters, size)."""
    order = np.argsort(cluster, kind="stable")
    starts = np.flatnonzero(np.diff(cluster[order], prepend=-1))
    sizes = np.diff([*starts, len(order)])
    for size in np.unique(sizes):
        yield order[starts[sizes == size][:, None] + np.arange(size)]
