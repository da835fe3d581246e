"""Binary regression with a hazard's link for observations in clusters: maximum likelihood and robust covariances.

Alike observations share a row of the design matrix, so that the fit needs only events and trials of each pattern, and the
covariance one small row an observation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import expit, log_expit

from mesostats.estimators.gee import without_own_pull

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

Link = Literal["cloglog", "logit"]
Robust = Literal["bias_reduced", "hc1"]

_ITERATIONS: Final = 60
_HALVINGS: Final = 10
_TOLERANCE: Final = 1e-10
_RISE: Final = 1e-9  # of the log likelihood: what rounding may take from it in a step
_REACH: Final = {"cloglog": (-36.0, 5.0), "logit": (-36.0, 36.0)}
"""Beyond these values of the predictor a hazard cannot be told from 0 or 1: coefficients run away."""
_STEEPEST: Final = 6.0  # exp(exp(6)) is still a number
_LIGHT: Final = 0.5  # leverage of a cluster up to which I - M is far from singular
_BLOCK: Final = 4_000_000  # numbers in memory at once for the matrices of single clusters


@dataclass(frozen=True, eq=False)
class PatternRows:
    """Observations in the order of their clusters, each of one of a few patterns.

    Parameters
    ----------
    design
        Shape (m, p): a row a pattern, the first column ones, of full column rank over the patterns in use.
    pattern
        The pattern of each observation, shape (n,).
    event
        0 or 1, shape (n,).
    frequency
        How many alike observations of its cluster each stands for, shape (n,).
    starts
        The first observation of each cluster, shape (k,).
    """

    design: Floats
    pattern: Integers
    event: Floats
    frequency: Floats
    starts: Integers

    @cached_property
    def trials(self) -> Floats:
        """Observations of each pattern, shape (m,)."""
        return np.bincount(self.pattern, self.frequency, len(self.design)).astype(np.float64)

    @cached_property
    def events(self) -> Floats:
        """Events of each pattern, shape (m,)."""
        return np.bincount(self.pattern, self.frequency * self.event, len(self.design)).astype(np.float64)


def fit_hazard(rows: PatternRows, link: Link) -> Floats | None:
    """Fit the hazard by maximum likelihood (Fisher scoring with step halving).

    Parameters
    ----------
    rows
        The observations.
    link
        ``cloglog`` or ``logit``.

    Returns
    -------
    numpy.ndarray or None
        The coefficients, shape (p,); None where no finite ones maximise the likelihood, as under separation.
    """
    share = float(rows.events.sum() / rows.trials.sum())
    if not 0 < share < 1:
        return None
    coefficients = np.zeros(rows.design.shape[1])
    coefficients[0] = np.log(-np.log1p(-share)) if link == "cloglog" else np.log(share / (1 - share))
    low, high = _REACH[link]
    for _ in range(_ITERATIONS):
        score, information = _equations(rows, coefficients, link)
        try:
            step = np.asarray(np.linalg.solve(information, score), dtype=np.float64)
        except np.linalg.LinAlgError:
            return None
        coefficients = coefficients + _shortened(rows, coefficients, step, link=link)
        predictor = (rows.design @ coefficients)[rows.trials > 0]
        if not (predictor.min() > low and predictor.max() < high):  # nor where it is no number
            return None
        if np.abs(step).max() < _TOLERANCE:
            return coefficients
    return None


def robust_covariance(
    rows: PatternRows, coefficients: Floats, *, link: Link, robust: Robust = "bias_reduced"
) -> Floats:
    """Return the cluster-robust covariance of the coefficients.

    Parameters
    ----------
    rows
        The observations, of at least two clusters.
    coefficients
        Those of `fit_hazard`, shape (p,).
    link
        Their link.
    robust
        ``bias_reduced`` or ``hc1``.

    Returns
    -------
    numpy.ndarray
        Shape (p, p).

    Notes
    -----
    With u the score of each cluster, M its part of the expected information and B the sum of M, ``bias_reduced`` is Mancl
    and DeRouen's B⁻¹ (sum of (I - M·B⁻¹)⁻¹ u u' (I - B⁻¹·M)⁻¹) B⁻¹ (see `gee.covariance`), ``hc1`` is
    k/(k - 1)·(n - 1)/(n - p)·B⁻¹ (sum of u u') B⁻¹ for k clusters and n observations.

    References
    ----------
    Mancl LA, DeRouen TA (2001). A covariance estimator for GEE with improved small-sample properties.
    doi:10.1111/j.0006-341X.2001.00126.x

    Zeileis A, Köll S, Graham N (2020). Various versatile variances: an object-oriented implementation of clustered
    covariances in R. doi:10.18637/jss.v095.i01
    """
    predictor = rows.design @ coefficients
    slope, weight = _slopes(predictor, link), _weights(predictor, link)
    root = np.linalg.cholesky((rows.design.T * (rows.trials * weight)) @ rows.design)
    columns = solve_triangular(root, rows.design.T, lower=True).T
    meat = np.zeros_like(root)
    for first, last in _blocks(rows):
        chosen = slice(rows.starts[first], rows.starts[last] if last < len(rows.starts) else None)
        within = rows.starts[first:last] - rows.starts[first]
        pattern, event, frequency = rows.pattern[chosen], rows.event[chosen], rows.frequency[chosen]
        part = columns[pattern]
        residual = np.where(event == 1, slope[1][pattern], slope[0][pattern])
        scores = np.add.reduceat((frequency * residual)[:, None] * part, within)
        if robust == "bias_reduced":
            weighted = (frequency * weight[pattern])[:, None] * part
            matrices = np.add.reduceat(weighted[:, :, None] * part[:, None, :], within)
            scores = _bias_reduced(matrices, scores)
        meat += scores.T @ scores
    if robust == "hc1":
        clusters, observations = len(rows.starts), rows.trials.sum()
        meat *= clusters / (clusters - 1) * (observations - 1) / (observations - len(root))
    half = solve_triangular(root, meat, lower=True, trans="T")
    return np.asarray(solve_triangular(root, half.T, lower=True, trans="T"))


def _bias_reduced(matrices: Floats, scores: Floats) -> Floats:
    """Solve (I - M) v = u for each cluster; the few that pull hard on the fit, with care for those that determine it."""
    heavy = np.trace(matrices, axis1=1, axis2=2) > _LIGHT
    adjusted = np.empty_like(scores)
    adjusted[heavy] = without_own_pull(matrices[heavy], scores[heavy])
    rest = np.eye(scores.shape[1]) - matrices[~heavy]
    adjusted[~heavy] = np.linalg.solve(rest, scores[~heavy][:, :, None])[:, :, 0]
    return adjusted


def hazard_of(predictor: Floats, link: Link) -> Floats:
    """Return the hazard of a linear predictor."""
    return np.asarray(-np.expm1(-np.exp(predictor)) if link == "cloglog" else expit(predictor))


def cumulative_step(predictor: Floats, link: Link) -> tuple[Floats, Floats]:
    """Return -log(1 - hazard) of a linear predictor, and its derivative."""
    if link == "cloglog":
        return np.exp(predictor), np.exp(predictor)
    return np.asarray(-log_expit(-predictor)), np.asarray(expit(predictor))


def _equations(rows: PatternRows, coefficients: Floats, link: Link) -> tuple[Floats, Floats]:
    """Return the score and the expected information."""
    predictor = rows.design @ coefficients
    without, having = _slopes(predictor, link)
    score = rows.design.T @ (rows.events * having + (rows.trials - rows.events) * without)
    return score, (rows.design.T * (rows.trials * _weights(predictor, link))) @ rows.design


def _slopes(predictor: Floats, link: Link) -> tuple[Floats, Floats]:
    """Return the derivative of the log likelihood of an observation without, and of one with, the event."""
    if link == "logit":
        return -expit(predictor), expit(-predictor)
    total = np.exp(np.minimum(predictor, _STEEPEST))
    return -total, total / np.expm1(total)


def _weights(predictor: Floats, link: Link) -> Floats:
    """Return the expected information of an observation: (d hazard/d predictor)² / (hazard·(1 - hazard))."""
    if link == "logit":
        return np.asarray(expit(predictor) * expit(-predictor))
    total = np.exp(np.minimum(predictor, _STEEPEST))
    return np.asarray(total**2 / np.expm1(total))


def _log_likelihood(rows: PatternRows, coefficients: Floats, link: Link) -> float:
    predictor = rows.design @ coefficients
    if link == "logit":
        having, without = log_expit(predictor), log_expit(-predictor)
    else:
        total = np.exp(np.clip(predictor, -700, _STEEPEST))
        having, without = np.log(-np.expm1(-total)), -total
    return float(rows.events @ having + (rows.trials - rows.events) @ without)


def _shortened(rows: PatternRows, coefficients: Floats, step: Floats, *, link: Link) -> Floats:
    """Halve a step until the likelihood does not fall."""
    before = _log_likelihood(rows, coefficients, link)
    for _ in range(_HALVINGS):
        if _log_likelihood(rows, coefficients + step, link) >= before - _RISE * abs(before):
            break
        step = step / 2
    return step


def _blocks(rows: PatternRows) -> Iterator[tuple[int, int]]:
    """Yield ranges of clusters whose matrices fit in memory together."""
    held = np.append(rows.starts, len(rows.pattern)) * rows.design.shape[1] ** 2 // _BLOCK
    edges = [0, *(np.flatnonzero(np.diff(held[:-1])) + 1).tolist(), len(rows.starts)]
    yield from pairwise(edges)
