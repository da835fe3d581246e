"""The proportional odds model: its likelihood, solved by Newton's method, and the score test of its assumption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import expit, logit

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_ITERATIONS: Final = 60
_HALVINGS: Final = 30
_TOLERANCE: Final = 1e-10
_STEEPEST: Final = (
    36.0  # log odds beyond which a probability cannot be told from 0 or 1: coefficients run away
)
_SINGULAR: Final = 1e-10  # of the largest eigenvalue of the scaled information


@dataclass(frozen=True, eq=False)
class GradedRows:
    """Observations with a grade.

    Parameters
    ----------
    design
        Shape (n, p), without a column of ones, of full column rank beside one.
    grade
        The place of each observation's grade among the grades that occur, 0 … grades - 1, shape (n,).
    frequency
        How many alike observations a row stands for, shape (n,).
    grades
        How many grades occur, 2 or more.
    """

    design: Floats
    grade: npt.NDArray[np.int64]
    frequency: Floats
    grades: int

    @property
    def parameters(self) -> int:
        """Thresholds and coefficients."""
        return int(self.grades - 1 + self.design.shape[1])

    def edges(self, grade: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Return how the upper and the lower edge of grades depend on the parameters, shape (n, parameters) each."""
        steps = np.arange(self.grades - 1)
        inner_upper, inner_lower = grade < self.grades - 1, grade > 0
        upper = np.column_stack([grade[:, None] == steps, -self.design * inner_upper[:, None]])
        lower = np.column_stack([grade[:, None] - 1 == steps, -self.design * inner_lower[:, None]])
        return upper.astype(np.float64), lower.astype(np.float64)


@dataclass(frozen=True, eq=False)
class CumulativeFit:
    """A fitted proportional odds model.

    Parameters
    ----------
    coefficients
        Thresholds, then the log odds ratios of a higher grade, shape (parameters,).
    scores
        Each row's share in the derivative of the log-likelihood, counted once, shape (n, parameters).
    information
        Minus the second derivative, shape (parameters, parameters).
    """

    coefficients: Floats
    scores: Floats
    information: Floats


def fit_cumulative(rows: GradedRows) -> CumulativeFit | None:
    """Fit a proportional odds model by maximum likelihood.

    Parameters
    ----------
    rows
        The observations.

    Returns
    -------
    CumulativeFit or None
        None where no finite coefficients maximise the likelihood, as under separation.

    Notes
    -----
    log P(grade ≤ k)/P(grade > k) = threshold k - design · coefficients. The log-likelihood is concave in all parameters, so
    that Newton's steps, halved where they overshoot, find its only maximum.

    References
    ----------
    McCullagh P (1980). Regression models for ordinal data. doi:10.1111/j.2517-6161.1980.tb01109.x

    Pratt JW (1981). Concavity of the log likelihood. doi:10.1080/01621459.1981.10477613
    """
    below = np.cumsum(np.bincount(rows.grade, weights=rows.frequency, minlength=rows.grades))
    point = np.append(logit(below[:-1] / below[-1]), np.zeros(rows.design.shape[1]))
    upper, lower = rows.edges(rows.grade)
    height = _log_likelihood(rows, upper @ point, lower @ point)
    for _ in range(_ITERATIONS):
        scores, information = _derivatives(rows, upper, lower, point)
        if _singular(information):
            return None
        step: Floats = np.linalg.solve(information, rows.frequency @ scores).astype(np.float64)
        point, height = _climbed(rows, upper, lower, point, step, height)
        if np.abs(rows.design @ point[rows.grades - 1 :]).max(initial=0) > _STEEPEST:
            return None
        if np.abs(step).max() < _TOLERANCE:
            return CumulativeFit(point, *_derivatives(rows, upper, lower, point))
    return None


def proportionality_score(rows: GradedRows, fit: CumulativeFit, tested: int) -> float:
    """Return the score statistic of equal odds ratios at all thresholds.

    Parameters
    ----------
    rows
        The observations, all independent.
    fit
        The proportional odds model fitted to them.
    tested
        How many columns, the last ones of the design, may have odds ratios of their own at each threshold.

    Returns
    -------
    float
        Chi-squared with tested · (grades - 2) degrees of freedom; NaN where the information is singular.

    Notes
    -----
    u'I⁻¹u with the derivative u and the expected information I of the larger model at the fit of the smaller one. For one
    column that tells two groups apart the larger model is saturated, and the statistic is Pearson's of the fit.

    References
    ----------
    Peterson B, Harrell FE (1990). Partial proportional odds models for ordinal response variables. doi:10.2307/2347760
    """
    size = rows.parameters + tested * (rows.grades - 2)
    score, information = np.zeros(size), np.zeros((size, size))
    for grade in range(rows.grades):
        here = np.full(len(rows.grade), grade)
        upper, lower = (
            _own_odds(rows, edge, place, tested)
            for edge, place in zip(rows.edges(here), (grade, grade - 1), strict=True)
        )
        above, under = _edge_values(here, rows, fit.coefficients, (upper, lower))
        chance = above - under
        slope = (above * (1 - above))[:, None] * upper - (under * (1 - under))[:, None] * lower
        score += ((rows.frequency * (rows.grade == grade)) / chance) @ slope
        information += slope.T @ ((rows.frequency / chance)[:, None] * slope)
    return float("nan") if _singular(information) else float(score @ np.linalg.solve(information, score))


def _own_odds(rows: GradedRows, edge: Floats, place: int, tested: int) -> Floats:
    """Add, for each threshold but the first, what its own odds ratios change at an edge."""
    shares = [-rows.design[:, -tested:] * (place == step) for step in range(1, rows.grades - 1)]
    return np.column_stack([edge, *shares])


def _edge_values(
    grade: npt.NDArray[np.int64], rows: GradedRows, point: Floats, edges: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Return the probabilities of a grade at most this one, and below it."""
    upper, lower = (edge[:, : len(point)] @ point for edge in edges)
    return np.where(grade == rows.grades - 1, 1.0, expit(upper)), np.where(grade == 0, 0.0, expit(lower))


def _log_likelihood(rows: GradedRows, upper: Floats, lower: Floats) -> float:
    last, first = rows.grade == rows.grades - 1, rows.grade == 0
    chance = np.where(last, 1.0, expit(upper)) - np.where(first, 0.0, expit(lower))
    # Of a last grade 1 - expit(x) would lose its digits.
    chance = np.where(last, expit(-lower), chance)
    return -np.inf if np.any(chance <= 0) else float(rows.frequency @ np.log(chance))


def _derivatives(rows: GradedRows, upper: Floats, lower: Floats, point: Floats) -> tuple[Floats, Floats]:
    """Return each row's score, and minus the second derivative of the log-likelihood."""
    last, first = rows.grade == rows.grades - 1, rows.grade == 0
    above, under = expit(upper @ point), expit(lower @ point)
    chance = np.where(last, 1 - under, np.where(first, above, above - under))
    rise, fall = np.where(last, 0.0, above * (1 - above)), np.where(first, 0.0, under * (1 - under))
    up, down = rise / chance, -fall / chance
    scores = up[:, None] * upper + down[:, None] * lower
    # d² log(F(a) - F(b)) in the two edges a and b; f' = f(1 - 2F) of the logistic distribution.
    curves = up * (1 - 2 * above) - up**2, down * (1 - 2 * under) - down**2, -up * down
    weights = [(rows.frequency * curve)[:, None] for curve in curves]
    mixed = upper.T @ (weights[2] * lower)
    second = upper.T @ (weights[0] * upper) + lower.T @ (weights[1] * lower) + mixed + mixed.T
    return scores, -second


def _climbed(
    rows: GradedRows, upper: Floats, lower: Floats, point: Floats, step: Floats, height: float
) -> tuple[Floats, float]:
    """Return where a step, halved until the likelihood does not fall, leads to."""
    for halving in range(_HALVINGS):
        there = point + step / 2**halving
        reached = _log_likelihood(rows, upper @ there, lower @ there)
        if reached >= height - abs(height) * np.finfo(float).eps * 8:
            return there, reached
    return point, height


def _singular(information: Floats) -> bool:
    scale = np.sqrt(np.maximum(information.diagonal(), 0))
    if not np.all(scale > 0) or not np.isfinite(information).all():
        return True
    values = np.linalg.eigvalsh(information / np.outer(scale, scale))
    return bool(values[0] <= _SINGULAR * values[-1])
