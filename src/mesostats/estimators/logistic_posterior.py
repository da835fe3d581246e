"""Coefficients of a logistic model drawn as the data leave them uncertain, also where few have the outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from mesostats.estimators.finite_logistic import FiniteFit

    Floats = npt.NDArray[np.float64]

_PROPOSALS: Final = 4000
_FEWEST: Final = 8  # proposals a draw, however many rows there are
_PRODUCTS: Final = 20_000_000  # rows times proposals
_BLOCK: Final = 2_000_000  # of these at a time
_ROUNDS: Final = 4
_DF: Final = 5  # of the proposals: their tails must be longer than those of the posterior
_ENOUGH: Final = 0.25
_WIDE: Final = 20  # effective proposals a coefficient from which the next round takes its shape
_PLENTY: Final = 10_000


def coefficient_draws(fit: FiniteFit, number: int, rng: np.random.Generator) -> Floats:
    """Draw coefficients of a logistic model from their posterior distribution under a flat prior.

    Parameters
    ----------
    fit
        From `finite_logistic.fit_finite`: its likelihood, with that of the pseudo-observations where there are any.
    number
        How many are drawn, at least 1.
    rng
        The source of chance.

    Returns
    -------
    numpy.ndarray
        Shape (p, number).

    Notes
    -----
    The usual draws are normal about the estimate. Where few have the outcome the likelihood is skewed, with its longer tail towards
    fewer; a normal distribution has as much on the other side, and probabilities p coefficients in n observations of
    which a share s has the outcome come out too near to one half, by about p(1/2 - s)/n. Under a flat prior on the coefficients
    the expected score is 0, so that over the observations the mean of the probabilities drawn is the observed share.

    Sampling, importance resampling (Rubin 1987, p. 192): proposals from a multivariate t distribution on 5 degrees of freedom about the
    estimate, weighted by likelihood over density, of which `number` are drawn by their weights. Where few proposals carry the weight,
    the next round (of at most four) takes mean and covariance from them (adaptive importance sampling). Where
    10,000 or more have each outcome, normal draws, which are then the same.

    References
    ----------
    Rubin DB (1987). Multiple Imputation for Nonresponse in Surveys. doi:10.1002/9780470316696

    Bugallo MF, Elvira V, Martino L, Luengo D, Miguez J, Djuric PM (2017). Adaptive importance sampling: the past, the present,
    and the future. doi:10.1109/MSP.2017.2699226

    Examples
    --------
    Without covariates a flat prior on the logit makes the probability of 3 in 10 a Beta(3, 7): its mean is 0.3. Normal draws
    about the logit would have a mean of 0.32.

    >>> from scipy.special import expit
    >>> from mesostats.estimators.finite_logistic import fit_finite
    >>> fit = fit_finite(np.ones((10, 1)), np.array([1.0] * 3 + [0.0] * 7))
    >>> drawn = expit(coefficient_draws(fit, 20_000, np.random.default_rng(1)))
    >>> bool(0.297 < drawn.mean() < 0.303)
    True
    """
    root = np.asarray(np.linalg.inv(np.linalg.cholesky(fit.information)).T, dtype=np.float64)
    outcomes = fit.weights @ fit.outcome, fit.weights @ (1 - fit.outcome)
    if min(outcomes) >= _PLENTY:
        return np.asarray(fit.coefficients[:, None] + root @ rng.standard_normal((len(root), number)))
    size = int(np.clip(_PRODUCTS / len(fit.design), _FEWEST * number, max(_PROPOSALS, _FEWEST * number)))
    found = _Proposals.drawn(fit, fit.coefficients, root, size, rng)
    for _ in range(_ROUNDS - 1):
        if found.effective >= _ENOUGH * size:
            break
        found = _Proposals.drawn(fit, *found.shape(), size, rng)
    return np.asarray(found.coefficients[:, rng.choice(size, number, p=found.weight)])


@dataclass(frozen=True, eq=False)
class _Proposals:
    """Coefficients, shape (p, m), and the weight of each in the posterior distribution, shape (m,), which sum to 1."""

    coefficients: Floats
    weight: Floats

    @classmethod
    def drawn(
        cls, fit: FiniteFit, centre: Floats, root: Floats, size: int, rng: np.random.Generator
    ) -> _Proposals:
        """Draw from a t distribution about a centre, and weigh by the likelihood over its density."""
        normal = rng.standard_normal((len(centre), size))
        scale = rng.chisquare(_DF, size) / _DF
        coefficients = centre[:, None] + root @ (normal / np.sqrt(scale))
        density = -(_DF + len(centre)) / 2 * np.log1p((normal**2).sum(axis=0) / scale / _DF)
        return cls(coefficients, _normed(_log_likelihood(fit, coefficients) - density))

    @property
    def effective(self) -> float:
        """How many proposals of the same weight would tell as much."""
        return _effective(self.weight)

    def shape(self) -> tuple[Floats, Floats]:
        """Return the centre and a root of the covariance, with weights tempered until enough proposals have their say."""
        weight, wanted = self.weight, min(_WIDE * len(self.coefficients), len(self.weight) / 2)
        logs, power = np.log(np.maximum(self.weight, np.finfo(np.float64).tiny)), 1.0
        while _effective(weight) < wanted:
            power *= 0.8
            weight = _normed(power * logs)
        centre = self.coefficients @ weight
        apart = self.coefficients - centre[:, None]
        covariance = (apart * weight) @ apart.T
        return centre, np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)


def _effective(weight: Floats) -> float:
    return float(1 / np.sum(weight**2))


def _normed(logs: Floats) -> Floats:
    weight = np.exp(logs - logs.max())
    return np.asarray(weight / weight.sum())


def _log_likelihood(fit: FiniteFit, coefficients: Floats) -> Floats:
    """Return the log-likelihood of each column of coefficients, a block of columns at a time."""
    found = (fit.weights * fit.outcome) @ fit.design @ coefficients
    step = max(_BLOCK // len(fit.design), 1)
    for start in range(0, coefficients.shape[1], step):
        block = slice(start, start + step)
        found[block] -= fit.weights @ np.logaddexp(0.0, fit.design @ coefficients[:, block])
    return np.asarray(found)
