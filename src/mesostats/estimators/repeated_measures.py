"""Mixed models for repeated measures: least-squares means by visit of subjects who did not come to every visit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd

from mesostats.estimators.arguments import check_choice, check_same_length
from mesostats.estimators.covariates import independent
from mesostats.estimators.kenward_roger import kenward_roger
from mesostats.estimators.reml import fit_reml, patterns
from mesostats.estimators.visit_covariances import CompoundSymmetry, Unstructured

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from mesostats.estimators.reml import RemlFit
    from mesostats.estimators.visit_covariances import Structure

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

VisitCovariance = Literal["unstructured", "compound_symmetry"]
SmallSample = Literal["satterthwaite", "kenward_roger"]

_STRUCTURES: Final[dict[str, Callable[[int], Structure]]] = {
    "unstructured": Unstructured,
    "compound_symmetry": CompoundSymmetry,
}
NAMES: Final = {
    "unstructured": "unstructured covariance",
    "compound_symmetry": "heterogeneous compound symmetry",
}
SMALL_SAMPLE: Final = {"satterthwaite": "Satterthwaite", "kenward_roger": "Kenward-Roger"}
_CONSTANT: Final = 1e-12  # share of the variance that a visit's residuals keep where they are all alike
_SHRINK: Final = (0.0, 0.1, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True, eq=False)
class RepeatedMeasuresFit:
    """A linear model with correlated errors, fitted by restricted maximum likelihood.

    Parameters
    ----------
    coefficients
        Generalized least squares estimates, shape (p,); NaN where the model could not be fitted.
    covariance
        Of the coefficients, shape (p, p).
    visit_covariance
        Of the errors, by visits in sorted order, shape (visits, visits).
    log_likelihood
        Restricted log-likelihood with the constant -(n - p)/2·log(2π), as SAS reports it.
    note
        Why the model could not be fitted; empty where it could.
    """

    coefficients: Floats
    covariance: Floats
    visit_covariance: Floats
    log_likelihood: float
    note: str
    _scaled: RemlFit | None
    _scales: Floats
    _unit: float

    def contrast(
        self, weights: npt.ArrayLike, *, small_sample: SmallSample = "satterthwaite"
    ) -> tuple[float, float, float]:
        """Return a linear combination of the coefficients, its standard error and degrees of freedom.

        Parameters
        ----------
        weights
            Shape (p,).
        small_sample
            ``satterthwaite``; or ``kenward_roger``, which also adjusts the standard error, for an unstructured covariance.

        Returns
        -------
        tuple of float
            NaN where the model could not be fitted.
        """
        vector = np.asarray(weights, dtype=np.float64)
        if self._scaled is None:
            return (np.nan, np.nan, np.nan)
        estimate, scaled = float(vector @ self.coefficients), vector / self._scales
        if small_sample == "kenward_roger":
            error, freedom = kenward_roger(self._scaled).contrast(scaled)
            return estimate, self._unit * error, freedom
        error = float(np.sqrt(vector @ self.covariance @ vector))
        return estimate, error, self._scaled.degrees_of_freedom(scaled)


def fit_repeated_measures(
    outcome: npt.ArrayLike,
    design: npt.ArrayLike,
    *,
    subject: npt.ArrayLike,
    visit: npt.ArrayLike,
    covariance: VisitCovariance = "unstructured",
) -> RepeatedMeasuresFit:
    """Fit a linear model whose errors are correlated between the visits of a subject.

    Parameters
    ----------
    outcome
        Shape (n,), finite.
    design
        Shape (n, p), of full column rank.
    subject, visit
        Whose observation it is, and at which visit: shape (n,), sortable, without missing values. A subject has at most one
        observation a visit, and need not have all.
    covariance
        ``unstructured``, or ``compound_symmetry`` with a variance a visit.

    Returns
    -------
    RepeatedMeasuresFit
        With NaN and a note where the covariance cannot be estimated.

    Raises
    ------
    ValueError
        If lengths differ, values are missing, a subject has a visit twice, or columns of the design are dependent.

    Notes
    -----
    Maximises the restricted likelihood over the covariance (quasi-Newton steps on its log-Cholesky root, then Newton steps) with
    analytic derivatives; observations missing at random need no imputation. The degrees of freedom of a contrast c are
    2(c'Φc)²/(g'Ag), with g the derivatives of c'Φc by the covariance parameters and A the inverse of their observed
    information, as PROC MIXED with DDFM=SATTERTHWAITE.

    References
    ----------
    Mallinckrodt CH, Clark WS, David SR (2001). Accounting for dropout bias using mixed-effects models.
    doi:10.1081/BIP-100104194

    Kenward MG, Roger JH (1997). Small sample inference for fixed effects from restricted maximum likelihood.
    doi:10.2307/2533558

    Fai AHT, Cornelius PL (1996). Approximate F-tests of multiple degree of freedom hypotheses in generalized least squares
    analyses of unbalanced split-plot experiments. doi:10.1080/00949659608811740

    Examples
    --------
    Two visits of four subjects, all seen: the difference of the means is that of a paired t test, on 3 degrees of freedom.

    >>> design = np.tile(np.eye(2), (4, 1))
    >>> values = [1.0, 2, 2, 4, 4, 5, 3, 6]
    >>> fit = fit_repeated_measures(values, design, subject=[1, 1, 2, 2, 3, 3, 4, 4], visit=[1, 2] * 4)
    >>> np.round(fit.contrast([-1, 1]), 6).tolist()
    [1.75, 0.478714, 3.0]
    """
    check_choice(covariance, _STRUCTURES, "covariance")
    values, columns = np.asarray(outcome, dtype=np.float64), np.asarray(design, dtype=np.float64)
    who, when = _codes(subject, "subject"), _codes(visit, "visit")
    check_same_length(outcome=values, design=columns, subject=who, visit=when)
    if not (np.isfinite(values).all() and np.isfinite(columns).all()):
        msg = "outcome and design must be finite: leave out rows with missing values"
        raise ValueError(msg)
    if len(np.unique(np.column_stack([who, when]), axis=0)) < len(who):
        msg = "a subject has two observations at a visit: keep one"
        raise ValueError(msg)
    if len(columns) and not independent(columns).all():
        msg = "design has columns that others determine: leave them out"
        raise ValueError(msg)
    return _fit(values, columns, who, visit=when, covariance=covariance)


def check_small_sample(small_sample: str, covariance: str) -> None:
    """Refuse an adjustment for small samples that is unknown, or not derived for the covariance.

    Raises
    ------
    ValueError
        If it is.
    """
    check_choice(small_sample, SMALL_SAMPLE, "small_sample")
    if small_sample == "kenward_roger" and covariance != "unstructured":
        msg = f"small_sample 'kenward_roger' needs covariance 'unstructured', found '{covariance}'"
        raise ValueError(msg)


def _fit(
    values: Floats, columns: Floats, who: Integers, *, visit: Integers, covariance: VisitCovariance
) -> RepeatedMeasuresFit:
    """Fit the model in units in which outcome and columns are of size 1."""
    problem = _too_few(columns, who, visit, covariance)
    if problem:
        return _unfitted(columns.shape[1], visit, problem)
    sizes = np.sqrt((columns**2).mean(axis=0))
    scaled = columns / sizes
    first = np.linalg.lstsq(scaled, values, rcond=None)[0]
    residual = values - scaled @ first
    unit = float(np.sqrt((residual**2).mean()))
    problem = _without_variation(residual, values, visit, covariance)
    if problem:
        return _unfitted(columns.shape[1], visit, problem)
    sums = patterns(np.column_stack([scaled, residual / unit]), who, visit)
    structure = _STRUCTURES[covariance](int(visit.max()) + 1)
    fit = fit_reml(sums, structure, _start(residual / unit, who, visit))
    if fit.problem:
        return _unfitted(columns.shape[1], visit, fit.problem)
    freedom = len(values) - columns.shape[1]
    constant = freedom * np.log(unit * np.sqrt(2 * np.pi)) + np.log(sizes).sum()
    return RepeatedMeasuresFit(
        (first + unit * fit.coefficients) / sizes,
        unit**2 * fit.covariance / np.outer(sizes, sizes),
        unit**2 * fit.visits,
        float(-fit.value - constant),
        "",
        fit,
        sizes,
        unit,
    )


def _too_few(columns: Floats, who: Integers, visit: Integers, covariance: VisitCovariance) -> str:
    """Say why there are too few observations; nothing where there are enough."""
    if len(columns) <= columns.shape[1]:
        return f"{len(columns)} observations for {columns.shape[1]} coefficients: too few"
    if covariance != "unstructured":
        return ""
    seen = np.zeros((who.max() + 1, visit.max() + 1))
    seen[who, visit] = 1
    if len(seen) <= seen.shape[1]:
        return f"{len(seen)} subjects for {seen.shape[1]} visits: too few"
    if np.any(seen.T @ seen == 0):
        return "two visits have no subject in common: their covariance cannot be estimated"
    return ""


def _without_variation(residual: Floats, values: Floats, visit: Integers, covariance: VisitCovariance) -> str:
    """Say at how many visits the design explains all; nothing where there is none."""
    counts = np.bincount(visit)
    spread = np.bincount(visit, weights=residual**2) / counts
    alike = spread <= _CONSTANT * np.bincount(visit, weights=values**2) / counts
    if alike.any():
        return (
            f"{alike.sum()} of {len(alike)} visits show no variation: {NAMES[covariance]} cannot be estimated"
        )
    return ""


def _unfitted(parameters: int, visit: Integers, note: str) -> RepeatedMeasuresFit:
    visits = int(visit.max()) + 1 if len(visit) else 0
    return RepeatedMeasuresFit(
        np.full(parameters, np.nan),
        np.full((parameters, parameters), np.nan),
        np.full((visits, visits), np.nan),
        np.nan,
        note,
        None,
        np.ones(parameters),
        np.nan,
    )


def _start(residual: Floats, who: Integers, visit: Integers) -> Floats:
    """Return the covariance of residuals over pairs of visits, drawn to its diagonal until it is positive definite."""
    wide, seen = (np.zeros((who.max() + 1, visit.max() + 1)) for _ in range(2))
    wide[who, visit], seen[who, visit] = residual, 1
    pairs = wide.T @ wide / np.maximum(seen.T @ seen, 1)
    diagonal = np.diag(pairs.diagonal())
    scale = np.sqrt(pairs.diagonal())
    for share in _SHRINK:
        matrix = (1 - share) * pairs + share * diagonal
        if np.linalg.eigvalsh(matrix / np.outer(scale, scale)).min() > 1e-3:  # noqa: PLR2004 - far from singular
            return np.asarray(matrix)
    return np.asarray(diagonal)


def _codes(values: npt.ArrayLike, name: str) -> Integers:
    codes = pd.factorize(pd.Series(values), sort=True)[0]
    if np.any(codes < 0):
        msg = f"{name} has {np.sum(codes < 0)} missing values (first at position {np.argmax(codes < 0)})"
        raise ValueError(msg)
    return codes.astype(np.int64)
