"""Restricted maximum likelihood of a linear model whose errors are correlated between the visits of a subject.

The likelihood needs only sums of products over the subjects who were seen at the same visits, so that no step of the fit
depends on the number of subjects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import minimize

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from mesostats.estimators.visit_covariances import Structure

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

_EDGE: Final = (
    8.0  # logarithm of a standard deviation, in those of the outcome: beyond it the covariance is singular
)
_STEP: Final = 1e-5  # of the central differences of the gradient: their relative error is about 1e-10
_POLISH: Final = 30
_DECREMENT: Final = 1e-18  # what a further Newton step would add to the log-likelihood
_CONVERGED: Final = 1e-10
_SINGULAR: Final = 1e-10  # least eigenvalue of the correlations
_NEARLY_SINGULAR: Final = 1e-4  # the same, where the likelihood has no regular maximum
_FAR: Final = 1e100
_TOO_MANY: Final = "too few subjects for so many visits (fewer visits, or compound_symmetry, may do)"


@dataclass(frozen=True, eq=False)
class Pattern:
    """The subjects seen at the same visits.

    Parameters
    ----------
    visits
        Shape (s,).
    subjects
        How many there are.
    products
        Sums over the subjects of z z' for each two of the visits, where z are a row of the design and the outcome: shape
        (s, s, p + 1, p + 1).
    """

    visits: Integers
    subjects: int
    products: Floats


def patterns(rows: Floats, subject: Integers, visit: Integers) -> list[Pattern]:
    """Sum observations up over the subjects who were seen at the same visits.

    Parameters
    ----------
    rows
        Design and outcome, shape (n, p + 1).
    subject, visit
        From 0, shape (n,); no two observations have both in common.

    Returns
    -------
    list of Pattern
    """
    order = np.lexsort((visit, subject))
    sorted_rows, who = rows[order], subject[order]
    seen = np.zeros((subject.max() + 1, visit.max() + 1), dtype=bool)
    seen[subject, visit] = True
    kinds, kind = np.unique(seen, axis=0, return_inverse=True)
    found = []
    for place, present in enumerate(kinds):
        visits = np.flatnonzero(present)
        if not len(visits):
            continue
        own = sorted_rows[kind[who] == place].reshape(-1, len(visits), rows.shape[1])
        stacked = np.moveaxis(own, 0, 1)
        found.append(Pattern(visits, len(own), np.einsum("aip,biq->abpq", stacked, stacked, optimize=True)))
    return found


@dataclass(frozen=True, eq=False)
class _State:
    """The likelihood at a covariance matrix."""

    value: float
    slope: Floats
    coefficients: Floats
    covariance: Floats


@dataclass(frozen=True, eq=False)
class RemlFit:
    """A model fitted by restricted maximum likelihood, or as far as it went.

    Parameters
    ----------
    coefficients
        Shape (p,).
    covariance
        Of the coefficients, shape (p, p).
    visits
        The covariance matrix of the visits, shape (visits, visits).
    value
        Minus the log-likelihood, without the constant (n - p)/2·log(2π).
    parameters
        Of the covariance of the visits, shape (q,).
    variances
        Their asymptotic covariance, shape (q, q): the inverse of the observed information; NaN where there is a problem.
    problem
        Why the fit cannot be used; empty where it can.
    structure, sums
        What was fitted, and to what.
    """

    coefficients: Floats
    covariance: Floats
    visits: Floats
    value: float
    parameters: Floats
    variances: Floats
    problem: str
    structure: Structure
    sums: Sequence[Pattern]

    def degrees_of_freedom(self, contrast: Floats) -> float:
        """Return Satterthwaite's degrees of freedom of a contrast of the coefficients.

        Parameters
        ----------
        contrast
            Shape (p,).

        Notes
        -----
        2 v²/(g' A g), where v is the variance of the contrast, g its derivatives by the parameters of the covariance of the
        visits and A the inverse of the observed information of these parameters. It does not depend on how the
        covariance is parametrised.
        """
        lean = self.covariance @ contrast
        slope = np.zeros_like(self.visits)
        for each in self.sums:
            inner = np.einsum("abpq,p,q->ab", each.products[:, :, :-1, :-1], lean, lean, optimize=True)
            place = np.ix_(each.visits, each.visits)
            weight = np.linalg.inv(self.visits[place])
            slope[place] += weight @ inner @ weight
        gradient = self.structure.gradient(self.parameters, slope)
        spread = float(gradient @ self.variances @ gradient)
        variance = float(contrast @ lean)
        return 2 * variance**2 / spread if spread > 0 else np.inf


def fit_reml(sums: Sequence[Pattern], structure: Structure, start: Floats) -> RemlFit:
    """Fit the model.

    Parameters
    ----------
    sums
        As of `patterns`; the outcome of about unit variance.
    structure
        Of the covariance of the visits.
    start
        A positive definite matrix to begin at; its diagonal is tried where that leads nowhere.

    Returns
    -------
    RemlFit
        The first one without a problem, else the one of the largest likelihood.
    """
    fits = []
    for matrix in (start, np.diag(start.diagonal())):
        fits.append(_fit_from(sums, structure, matrix))
        if not fits[-1].problem:
            return fits[-1]
    return min(fits, key=lambda fit: fit.value)


def _fit_from(sums: Sequence[Pattern], structure: Structure, start: Floats) -> RemlFit:
    """Fit the model from one matrix: quasi-Newton steps, then Newton steps."""
    limits = structure.bounds()
    low, high = np.array(limits).T

    def objective(parameters: Floats) -> tuple[float, Floats]:
        inside = np.clip(parameters, low, high)
        try:
            state = _evaluate(sums, structure.matrix(inside))
        except np.linalg.LinAlgError:  # a step too far: the search turns back
            return _FAR, np.zeros_like(parameters)
        return state.value, structure.gradient(inside, state.slope)

    rough = minimize(objective, structure.start(start), jac=True, method="BFGS", options={"gtol": 1e-3})
    parameters, hessian, decrement = _polish(objective, np.clip(rough.x, low, high), limits)
    matrix = structure.matrix(parameters)
    state = _evaluate(sums, matrix)
    problem = _problem(parameters, limits, matrix, hessian, decrement)
    variances = np.full_like(hessian, np.nan) if problem else np.asarray(np.linalg.inv(hessian))
    return RemlFit(
        coefficients=state.coefficients,
        covariance=state.covariance,
        visits=matrix,
        value=state.value,
        parameters=parameters,
        variances=variances,
        problem=problem,
        structure=structure,
        sums=sums,
    )


def _evaluate(sums: Sequence[Pattern], matrix: Floats) -> _State:
    """Return minus the restricted log-likelihood, its derivatives by the entries of the matrix, and the coefficients."""
    size = sums[0].products.shape[-1]
    information, logarithms = np.zeros((size, size)), 0.0
    weights = []
    for each in sums:
        part = matrix[np.ix_(each.visits, each.visits)]
        weights.append(np.linalg.inv(part))
        logarithms += each.subjects * np.linalg.slogdet(part)[1]
        information += np.tensordot(weights[-1], each.products, axes=2)
    covariance = np.asarray(np.linalg.inv(information[:-1, :-1]))
    coefficients = covariance @ information[:-1, -1]
    left = information[-1, -1] - information[-1, :-1] @ coefficients
    value = (logarithms + np.linalg.slogdet(information[:-1, :-1])[1] + left) / 2
    residual = np.append(-coefficients, 1.0)
    spread = np.outer(residual, residual)
    spread[:-1, :-1] += covariance
    slope = np.zeros_like(matrix)
    for each, weight in zip(sums, weights, strict=True):
        inner = np.tensordot(each.products, spread, axes=2)
        slope[np.ix_(each.visits, each.visits)] += (each.subjects * weight - weight @ inner @ weight) / 2
    return _State(float(value), slope, coefficients, covariance)


def _polish(
    objective: Callable[[Floats], tuple[float, Floats]], start: Floats, limits: list[tuple[float, float]]
) -> tuple[Floats, Floats, float]:
    """Take Newton steps until they gain nothing; return the parameters, the Hessian there and the last gain foreseen."""
    parameters, (value, gradient) = start, objective(start)
    hessian = _hessian(objective, parameters)
    decrement = np.inf
    for _ in range(_POLISH):
        if not _positive(hessian):
            break
        step = np.linalg.solve(hessian, gradient)
        decrement = float(gradient @ step)
        if decrement < _DECREMENT:
            break
        trial = np.clip(parameters - step, *np.array(limits).T)
        found = objective(trial)
        if not found[0] <= value:
            break
        parameters, (value, gradient) = trial, found
        hessian = _hessian(objective, parameters)
    return parameters, hessian, decrement


def _hessian(objective: Callable[[Floats], tuple[float, Floats]], parameters: Floats) -> Floats:
    """Return central differences of the gradient, made symmetric."""
    steps = _STEP * np.eye(len(parameters))
    rows = [
        (objective(parameters + step)[1] - objective(parameters - step)[1]) / (2 * _STEP) for step in steps
    ]
    found = np.array(rows)
    return np.asarray((found + found.T) / 2)


def _positive(matrix: Floats, least: float = _SINGULAR) -> bool:
    """Return whether a symmetric matrix is positive definite, whatever the scale of its rows."""
    if not np.isfinite(matrix).all() or np.any(matrix.diagonal() <= 0):
        return False
    scale = np.sqrt(matrix.diagonal())
    return bool(np.linalg.eigvalsh(matrix / np.outer(scale, scale)).min() > least)


def _problem(
    parameters: Floats, limits: list[tuple[float, float]], matrix: Floats, hessian: Floats, decrement: float
) -> str:
    """Say why the fit cannot be used; nothing where it can."""
    low, high = np.array(limits).T
    regular = _positive(hessian)
    edge = np.any((parameters <= low + 1e-3) | (parameters >= high - 1e-3))
    if edge or not _positive(matrix, _SINGULAR if regular else _NEARLY_SINGULAR):
        return f"the covariance of the visits is not positive definite: {_TOO_MANY}"
    if not regular:
        return f"the covariance of the visits is not identified: {_TOO_MANY}"
    return "" if decrement < _CONVERGED else "the fit did not converge"
