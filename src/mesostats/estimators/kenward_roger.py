"""Kenward and Roger's small-sample covariance of the coefficients of a mixed model, and its degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from mesostats.estimators.reml import Pattern, RemlFit

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class KenwardRoger:
    """What Kenward and Roger's adjustment needs of a fit.

    Parameters
    ----------
    plain
        The covariance of the coefficients as if that of the visits were known, shape (p, p).
    adjusted
        The same with the adjustment for its estimation, shape (p, p).
    slopes
        Derivatives of the inverse of `plain` by the entries of the covariance of the visits, shape (q, p, p).
    spread
        The covariance of these entries: the inverse of their observed information, shape (q, q).
    """

    plain: Floats
    adjusted: Floats
    slopes: Floats
    spread: Floats

    def contrast(self, weights: Floats) -> tuple[float, float]:
        """Return the standard error of a combination of the coefficients, and its degrees of freedom.

        Notes
        -----
        Of a single combination the scale of Kenward and Roger's F is 1, and the degrees of freedom are Satterthwaite's.
        """
        lean = self.plain @ weights
        gradient = np.einsum("p,jpq,q->j", lean, self.slopes, lean, optimize=True)
        spread, variance = float(gradient @ self.spread @ gradient), float(weights @ lean)
        freedom = 2 * variance**2 / spread if spread > 0 else np.inf
        return float(np.sqrt(weights @ self.adjusted @ weights)), freedom


@lru_cache(maxsize=1)  # the contrasts of a fit follow one another
def kenward_roger(fit: RemlFit) -> KenwardRoger:
    """Adjust the covariance of the coefficients for the estimation of an unstructured covariance of visits.

    Parameters
    ----------
    fit
        Without a problem; unstructured, so that the covariance is linear in its parameters, the entries.

    Returns
    -------
    KenwardRoger

    Notes
    -----
    With P_j = -X'V⁻¹V_jV⁻¹X and Q_ij = X'V⁻¹V_iV⁻¹V_jV⁻¹X for the entries' derivatives V_j of V, the adjusted covariance is
    Φ + 2Φ(sum W_ij (Q_ij - P_i Φ P_j))Φ, with W the covariance of the entries by the observed information, as SAS takes it
    (DDFM=KENWARDROGER); second derivatives of V are 0.

    References
    ----------
    Kenward MG, Roger JH (1997). Small sample inference for fixed effects from restricted maximum likelihood.
    doi:10.2307/2533558
    """
    plain = fit.covariance
    units = _entries(len(fit.visits))
    parts = [_turned(each, units, fit.visits) for each in fit.sums]
    slopes = -np.sum([np.einsum("jab,abpq->jpq", part[0], part[2], optimize=True) for part in parts], axis=0)
    spread = _spread(fit, units)
    bend = -np.einsum("ij,ipq,qr,jrs->ps", spread, slopes, plain, slopes, optimize=True)
    for turned, further, products in parts:
        mixed = np.einsum("ij,iab,jbc->ac", spread, turned, further, optimize=True)
        bend += np.tensordot(mixed, products, axes=2)
    adjusted = plain + 2 * plain @ bend @ plain
    return KenwardRoger(plain, (adjusted + adjusted.T) / 2, slopes, spread)


def _turned(each: Pattern, units: Floats, visits: Floats) -> tuple[Floats, Floats, Floats]:
    """Return V⁻¹V_jV⁻¹ and V_jV⁻¹ of a pattern's visits, and the products of its designs."""
    weight = np.linalg.inv(visits[np.ix_(each.visits, each.visits)])
    further = units[:, each.visits][:, :, each.visits] @ weight
    return np.asarray(weight @ further), further, each.products[:, :, :-1, :-1]


def _spread(fit: RemlFit, units: Floats) -> Floats:
    """Return the covariance of the entries from that of the parameters that make them."""
    symmetric = units / units.sum(axis=(1, 2))[:, None, None]  # an entry off the diagonal is there twice
    slopes = np.array([fit.structure.gradient(fit.parameters, unit) for unit in symmetric])
    return np.asarray(slopes @ fit.variances @ slopes.T)


def _entries(visits: int) -> Floats:
    """Return the derivatives of a symmetric matrix by its entries on and below the diagonal, shape (q, visits, visits)."""
    rows, columns = np.tril_indices(visits)
    found = np.zeros((len(rows), visits, visits))
    found[np.arange(len(rows)), rows, columns] = 1
    found[np.arange(len(rows)), columns, rows] = 1
    return found
