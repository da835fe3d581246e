"""Coverage of the intervals of two groups compared, with independent patients: exact, summed over all pairs of counts."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from draws import FACTORS, PATIENTS, PROBABILITIES
from scipy import stats
from tally import Coverage

from mesostats.estimators.differences import risk_difference
from mesostats.estimators.rate_ratios import rate_difference, rate_ratio
from mesostats.estimators.ratios import odds_ratio, risk_ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt
    import pandas as pd
    from report import Row

    Floats = npt.NDArray[np.float64]
    Estimator = Callable[..., pd.DataFrame]

_RARE = 1e-9  # pairs of counts with a smaller probability in every scenario are left out
_Z = stats.norm.isf(0.025)


class _Limits(NamedTuple):
    low: Floats
    high: Floats


class _Pairs(NamedTuple):
    """The pairs of counts that can occur, and their probability under each factor and probability."""

    x: npt.NDArray[np.int64]
    y: npt.NDArray[np.int64]
    chances: dict[tuple[float, int], Floats]


def _pairs(largest: int, chance: Callable[[npt.NDArray[np.int64], float], Floats]) -> _Pairs:
    x, y = np.divmod(np.arange((largest + 1) ** 2), largest + 1)
    counts = np.arange(largest + 1)
    chances = {
        (p, factor): np.outer(chance(counts, factor * p), chance(counts, p)).ravel()
        for p, factor in itertools.product(PROBABILITIES, FACTORS)
    }
    kept = np.max(list(chances.values()), axis=0) > _RARE
    return _Pairs(x[kept], y[kept], {key: each[kept] for key, each in chances.items()})


def _wald(estimate: Floats, variance: Floats) -> _Limits:
    half = _Z * np.sqrt(variance)
    return _Limits(estimate - half, estimate + half)


def _log_wald(estimate: Floats, variance: Floats) -> _Limits:
    """Return limits on the log scale; NaN where the ratio is 0, infinite or unknown."""
    known = np.isfinite(estimate) & (estimate > 0)
    found = _wald(np.log(np.where(known, estimate, np.nan)), np.where(known, variance, np.nan))
    return _Limits(np.exp(found.low), np.exp(found.high))


def _naive_risks(x: Floats, y: Floats, n: int) -> tuple[_Limits, _Limits, _Limits]:
    """Return the textbook Wald limits of the difference, the risk ratio and the odds ratio."""
    p, q = x / n, y / n
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = _wald(p - q, (p * (1 - p) + q * (1 - q)) / n)
        risks = _log_wald(p / q, 1 / x - 1 / n + 1 / y - 1 / n)
        odds = _log_wald(p * (1 - q) / (q * (1 - p)), 1 / x + 1 / (n - x) + 1 / y + 1 / (n - y))
    return difference, risks, odds


def risks(_: np.random.Generator) -> Iterator[Row]:
    """Compare two groups of n patients by difference, risk ratio and odds ratio."""
    for n in PATIENTS:
        x, y, chances = _pairs(n, lambda counts, p, n=n: stats.binom.pmf(counts, n, p))
        sizes = np.full(len(x), n)
        ours = [each(x, sizes, y, sizes) for each in (risk_difference, risk_ratio, odds_ratio)]
        naive = _naive_risks(x.astype(float), y.astype(float), n)
        for (p, factor), chance in chances.items():
            group = factor * p
            truths = (group - p, group / p, group * (1 - p) / (p * (1 - group)))
            held = [Coverage.of(*each, chance) for each in zip(ours, truths, strict=True)]
            textbook = [
                Coverage.of_limits(*limits, truth, chance)
                for limits, truth in zip(naive, truths, strict=True)
            ]
            yield {
                "n": n,
                "p": group,
                "reference p": p,
                "difference: Miettinen-Nurminen": held[0],
                "Wald": textbook[0],
                "risk ratio: Koopman": held[1],
                "log Wald": textbook[1],
                "odds ratio: exact conditional": held[2],
                "Woolf": textbook[2],
            }


def rates(_: np.random.Generator) -> Iterator[Row]:
    """Compare two groups with an exposure of n each by rate ratio and rate difference."""
    for n in PATIENTS:
        largest = int(stats.poisson.isf(1e-12, max(FACTORS) * max(PROBABILITIES) * n))
        x, y, chances = _pairs(largest, lambda counts, rate, n=n: stats.poisson.pmf(counts, n * rate))
        exposure = np.full(len(x), n)
        ratio, difference = (each(x, exposure, y, exposure) for each in (rate_ratio, rate_difference))
        naive = _wald((x - y) / n, (x + y) / n**2)
        with np.errstate(divide="ignore", invalid="ignore"):
            naive_ratio = _log_wald(x / y, 1 / x + 1 / y)
        for (rate, factor), chance in chances.items():
            yield {
                "exposure": n,
                "rate": factor * rate,
                "reference rate": rate,
                "ratio: exact conditional": Coverage.of(ratio, factor, chance),
                "log Wald": Coverage.of_limits(*naive_ratio, factor, chance),
                "difference: Miettinen-Nurminen": Coverage.of(difference, (factor - 1) * rate, chance),
                "Wald": Coverage.of_limits(*naive, (factor - 1) * rate, chance),
            }
