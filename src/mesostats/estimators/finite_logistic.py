"""Logistic models that must give a probability to everybody, also where a covariate separates the outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from mesostats.estimators.covariates import independent
from mesostats.estimators.gee import ClusteredRows, fit_logistic

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FiniteFit:
    """A logistic model with finite coefficients.

    Parameters
    ----------
    coefficients
        Shape (p,).
    information
        Shape (p, p); its inverse is the model's own covariance of the coefficients.
    augmented
        Whether pseudo-observations were needed.
    design, outcome, weights
        What was fitted, with the pseudo-observations: shapes (m, p), (m,) and (m,).
    """

    coefficients: Floats
    information: Floats
    augmented: bool
    design: Floats
    outcome: Floats
    weights: Floats


def fit_finite(design: Floats, outcome: Floats, *, among: Floats | None = None) -> FiniteFit | None:
    """Fit a logistic model by maximum likelihood; where that has no finite solution, with a few pseudo-observations.

    Parameters
    ----------
    design
        Shape (n, p); the first column is 1. Columns that others determine, as where a level does not occur, are left to the
        pseudo-observations.
    outcome
        0 or 1, shape (n,).
    among
        The rows whose means and standard deviations place the pseudo-observations, shape (m, p); `design` if not given.

    Returns
    -------
    FiniteFit or None
        None where even the pseudo-observations leave no solution (a column without any variation).

    Notes
    -----
    A covariate that separates the outcomes (all of one level have it, say) has no finite maximum-likelihood coefficient. Then, for
    every column but the first, four pseudo-observations are added: at half a standard deviation above and below the column's mean, kept
    within its range, the other columns at their means, each with and without the outcome. Together they weigh as much as p
    observations, of which the observed share has the outcome (half, where all are alike): White, Daniel and Royston's device,
    with weights that pull probabilities towards the overall share, where those of R's ``mice`` pull them towards one half.

    References
    ----------
    White IR, Daniel R, Royston P (2010). Avoiding bias due to perfect prediction in multiple imputation of incomplete
    categorical variables. doi:10.1016/j.csda.2010.04.005

    Examples
    --------
    Nobody without the covariate has the outcome: there is no finite odds ratio.

    >>> design = np.array([[1.0, 0.0]] * 4 + [[1.0, 1.0]] * 4)
    >>> fit = fit_finite(design, np.array([0.0, 0, 0, 0, 0, 1, 1, 1]))
    >>> fit.augmented, fit.coefficients.round(3)
    (True, array([-3.096,  4.132]))
    """
    undetermined = not independent(design).all()
    alone = np.ones(len(outcome))
    found = None if undetermined else _fitted(design, outcome, alone, augmented=False)
    if found is not None:
        return found
    share = float(outcome.mean()) if 0 < outcome.sum() < len(outcome) else 0.5
    added, sides, extra = _pseudo_observations(design if among is None else among, share)
    rows, outcomes = np.concatenate([design, added]), np.concatenate([outcome, sides])
    return _fitted(rows, outcomes, np.concatenate([alone, extra]), augmented=True)


def information(design: Floats, coefficients: Floats, weights: Floats) -> Floats:
    """Return the information matrix of a logistic model, shape (p, p)."""
    chance = expit(design @ coefficients)
    return np.asarray(design.T @ ((weights * chance * (1 - chance))[:, None] * design))


def _fitted(design: Floats, outcome: Floats, weights: Floats, *, augmented: bool) -> FiniteFit | None:
    if not 0 < weights @ outcome < weights.sum():
        return None
    found = fit_logistic(ClusteredRows(design, outcome, weights, np.array([0])))
    if found is None:
        return None
    precision = information(design, found.coefficients, weights)
    return FiniteFit(found.coefficients, precision, augmented, design, outcome, weights)


def _pseudo_observations(design: Floats, share: float) -> tuple[Floats, Floats, Floats]:
    """Return the rows, outcomes and weights of the pseudo-observations, of which a share has the outcome."""
    columns = design.shape[1]
    middle, spread = design.mean(axis=0), design.std(axis=0, ddof=1) if len(design) > 1 else 0.0
    shifts = np.kron(np.eye(columns)[1:], np.array([[0.5], [-0.5]])) * spread if columns > 1 else 0.0
    rows = np.atleast_2d(np.clip(middle + shifts, design.min(axis=0), design.max(axis=0)))
    outcomes = np.repeat([0.0, 1.0], len(rows))
    return np.tile(rows, (2, 1)), outcomes, np.where(outcomes == 1, share, 1 - share) * columns / len(rows)
