"""Logistic regression of observations in clusters by generalized estimating equations, for few clusters and for many.

The equations of an exchangeable correlation need only sums over each cluster, so that nothing loops over clusters and
alike observations of a cluster can be one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import expit

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_ITERATIONS: Final = 40
_TOLERANCE: Final = 1e-10
_STEEPEST: Final = (
    36.0  # log odds beyond which a probability cannot be told from 0 or 1: coefficients run away
)
_BLOCK: Final = 4_000_000  # numbers in memory at once for the matrices of single clusters
_FULL_LEVERAGE: Final = 1e-7


@dataclass(frozen=True, eq=False)
class ClusteredRows:
    """Observations in the order of their clusters.

    Parameters
    ----------
    design
        Shape (n, p), of full column rank.
    outcome
        0 or 1, shape (n,).
    frequency
        How many alike observations of the cluster a row stands for, shape (n,).
    starts
        The first row of each cluster, shape (k,).
    """

    design: Floats
    outcome: Floats
    frequency: Floats
    starts: npt.NDArray[np.int64]

    @property
    def parameters(self) -> int:
        """The number of columns of the design."""
        return int(self.design.shape[1])

    @property
    def sizes(self) -> Floats:
        """Observations in each cluster, shape (k,)."""
        return self.total(self.frequency)

    def total(self, values: Floats) -> Floats:
        """Return the sums over each cluster of values of shape (n, …)."""
        return np.asarray(np.add.reduceat(values, self.starts, axis=0))


@dataclass(frozen=True, eq=False)
class LogisticFit:
    """A fitted marginal logistic model.

    Parameters
    ----------
    coefficients
        Shape (p,).
    correlation
        The working correlation of two observations of a cluster.
    """

    coefficients: Floats
    correlation: float


@dataclass(frozen=True, eq=False)
class _Equations:
    """The estimating equations at some coefficients: sums over the whole sample, and each cluster's share."""

    shrink: Floats
    deviation: Floats
    residual: Floats
    leaning: Floats
    surplus: Floats
    bread: Floats
    score: Floats


def fit_logistic(rows: ClusteredRows) -> LogisticFit | None:
    """Fit a logistic model as if all observations were independent (maximum likelihood).

    Parameters
    ----------
    rows
        The observations.

    Returns
    -------
    LogisticFit or None
        None where no finite coefficients solve the equations, as under separation.
    """
    share = np.average(rows.outcome, weights=rows.frequency)
    start = np.zeros(rows.parameters)
    if 0 < share < 1:
        start[0] = np.log(share / (1 - share))
    return _solve(rows, LogisticFit(start, 0.0), exchangeable=False)


def fit_exchangeable(rows: ClusteredRows, independent: LogisticFit) -> LogisticFit | None:
    """Fit a logistic model with the same working correlation between any two observations of a cluster.

    Parameters
    ----------
    rows
        The observations.
    independent
        The model of `fit_logistic`, to begin at.

    Returns
    -------
    LogisticFit or None
        None where the equations are not solved, or the correlation is not one that clusters of these sizes can have, or
        there are too few pairs of observations to estimate it.

    Notes
    -----
    The scale is sum r²/(N - p) of the Pearson residuals r, the correlation the sum of their products over all pairs within
    clusters, over the scale and the number of pairs less p: the moment estimators of Liang and Zeger as in R's
    ``gee::gee``.

    References
    ----------
    Liang KY, Zeger SL (1986). Longitudinal data analysis using generalized linear models. doi:10.1093/biomet/73.1.13
    """
    return _solve(rows, independent, exchangeable=True)


def covariance(rows: ClusteredRows, fit: LogisticFit) -> Floats:
    """Return the bias-reduced robust covariance of the coefficients.

    Parameters
    ----------
    rows
        The observations.
    fit
        The model fitted to them.

    Returns
    -------
    numpy.ndarray
        Shape (p, p).

    Notes
    -----
    With M = D'V⁻¹D and u = D'V⁻¹(y - mu) of each cluster and B the sum of M, the covariance is
    B⁻¹ (sum of (I - M·B⁻¹)⁻¹ u u' (I - B⁻¹·M)⁻¹) B⁻¹, which is Mancl and DeRouen's: their residuals
    (I - H)⁻¹(y - mu) with H = D·B⁻¹·D'V⁻¹ give D'V⁻¹(I - H)⁻¹ = (I - M·B⁻¹)⁻¹ D'V⁻¹. Where a cluster alone
    determines a direction of the coefficients its residual there is 0 whatever the data, and that direction is left out.

    References
    ----------
    Mancl LA, DeRouen TA (2001). A covariance estimator for GEE with improved small-sample properties.
    doi:10.1111/j.0006-341X.2001.00126.x
    """
    equations = _equations(rows, fit)
    root = np.linalg.cholesky(equations.bread)
    columns = solve_triangular(root, rows.design.T, lower=True).T
    leaning = solve_triangular(root, equations.leaning.T, lower=True).T
    meat = np.zeros_like(root)
    for first, last in _blocks(rows):
        chosen = slice(rows.starts[first], rows.starts[last] if last < len(rows.starts) else None)
        part = columns[chosen]
        within = rows.starts[first:last] - rows.starts[first]
        weighted = (rows.frequency * equations.deviation**2)[chosen, None] * part
        scores = np.add.reduceat(
            (rows.frequency * equations.deviation * equations.residual)[chosen, None] * part, within
        )
        matrices = np.add.reduceat(weighted[:, :, None] * part[:, None, :], within)
        shrink, lean = equations.shrink[first:last], leaning[first:last]
        matrices -= (shrink[:, None] * lean)[:, :, None] * lean[:, None, :]
        scores -= (shrink * equations.surplus[first:last])[:, None] * lean
        factor = 1 - fit.correlation
        adjusted = without_own_pull(matrices / factor, scores / factor)
        meat += adjusted.T @ adjusted
    half = solve_triangular(root, meat, lower=True, trans="T")
    return np.asarray(solve_triangular(root, half.T, lower=True, trans="T"))


def _blocks(rows: ClusteredRows) -> Iterator[tuple[int, int]]:
    """Yield ranges of clusters whose matrices fit in memory together."""
    held = np.append(rows.starts, len(rows.outcome)) * rows.parameters**2 // _BLOCK
    edges = [0, *(np.flatnonzero(np.diff(held[:-1])) + 1).tolist(), len(rows.starts)]
    yield from pairwise(edges)


def without_own_pull(matrices: Floats, scores: Floats) -> Floats:
    """Solve (I - M) v = u for each cluster, leaving out directions that the cluster alone determines.

    Parameters
    ----------
    matrices
        M of each cluster, symmetric with eigenvalues from 0 to 1, shape (k, p, p).
    scores
        u of each cluster, shape (k, p).

    Returns
    -------
    numpy.ndarray
        v of each cluster, shape (k, p).
    """
    values, vectors = np.linalg.eigh(matrices)
    left = np.where(1 - values > _FULL_LEVERAGE, 1 - values, np.inf)
    along = np.einsum("kij,ki->kj", vectors, scores) / left
    return np.asarray(np.einsum("kij,kj->ki", vectors, along))


def _solve(rows: ClusteredRows, start: LogisticFit, *, exchangeable: bool) -> LogisticFit | None:
    fit = start
    for _ in range(_ITERATIONS):
        if exchangeable:
            correlation = _correlation(rows, fit.coefficients)
            if correlation is None:
                return None
            fit = LogisticFit(fit.coefficients, correlation)
        equations = _equations(rows, fit)
        try:
            step = np.linalg.solve(equations.bread, equations.score)
        except np.linalg.LinAlgError:
            return None
        fit = LogisticFit(fit.coefficients + step, fit.correlation)
        if not np.abs(rows.design @ fit.coefficients).max() < _STEEPEST:  # nor where it is no number
            return None
        if np.abs(step).max() < _TOLERANCE:
            return fit
    return None


def _equations(rows: ClusteredRows, fit: LogisticFit) -> _Equations:
    """Return the equations of working covariance A^½ R A^½, with R⁻¹ = (I - c·11')/(1 - correlation)."""
    deviation, residual = _pearson(rows, fit.coefficients)
    shrink = fit.correlation / (1 + (rows.sizes - 1) * fit.correlation)
    frequency, design = rows.frequency, rows.design
    leaning = rows.total((frequency * deviation)[:, None] * design)
    surplus = rows.total(frequency * residual)
    bread = design.T @ ((frequency * deviation**2)[:, None] * design) - leaning.T @ (
        shrink[:, None] * leaning
    )
    score = design.T @ (frequency * deviation * residual) - leaning.T @ (shrink * surplus)
    factor = 1 - fit.correlation
    return _Equations(shrink, deviation, residual, leaning, surplus, bread / factor, score / factor)


def _pearson(rows: ClusteredRows, coefficients: Floats) -> tuple[Floats, Floats]:
    """Return the standard deviation of each outcome and its residual in standard deviations."""
    predictor = rows.design @ coefficients
    deviation = np.sqrt(expit(predictor) * expit(-predictor))
    gap = np.where(rows.outcome == 1, expit(-predictor), -expit(predictor))
    return deviation, gap / np.maximum(deviation, np.finfo(float).tiny)


def _correlation(rows: ClusteredRows, coefficients: Floats) -> float | None:
    """Return the moment estimate of the common correlation, None where there is none that clusters can have."""
    _, residual = _pearson(rows, coefficients)
    squares = rows.frequency @ residual**2
    sizes = rows.sizes
    observations, pairs = sizes.sum() - rows.parameters, sizes @ (sizes - 1) / 2 - rows.parameters
    if observations <= 0 or pairs <= 0 or squares == 0:
        return None
    products = (np.sum(rows.total(rows.frequency * residual) ** 2) - squares) / 2
    correlation = float(products / pairs / (squares / observations))
    return correlation if -1 / max(sizes.max() - 1, 1) < correlation < 1 else None
