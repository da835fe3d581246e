"""Coverage of the intervals of two groups compared within strata."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from draws import PATIENTS, PROBABILITIES
from tally import CONF_LEVEL, Coverage

from mesostats.estimators.differences import weighted_score_limits
from mesostats.estimators.stratified import stratified_risk_difference, stratified_risk_ratio
from mesostats.estimators.stratified_odds import stratified_odds_ratio
from mesostats.estimators.two_groups import TwoGroups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt
    from report import Row

    Integers = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

REPLICATES = 1_500
STRATA = np.array([0.4, 0.8, 1.2, 1.6])
"""Four strata of a fourth of the patients each, with unlike risks in the reference group, as multiples of p."""
FACTORS = (1.0, 1.5)


def risks(rng: np.random.Generator) -> Iterator[Row]:
    """Draw four strata in which the groups differ alike, on the scale of each estimator."""
    for n, p, factor in itertools.product(PATIENTS, PROBABILITIES, FACTORS):
        base = p * STRATA
        shift, odds = (factor - 1) * p, factor * base / (1 - base)
        by_difference = _tables(rng, n, base + shift, base)
        yield {
            "n": n,
            "mean p": p,
            "effect": factor,
            "difference: Mantel-Haenszel, Sato": _coverage(stratified_risk_difference, by_difference, shift),
            "difference: stratified Miettinen-Nurminen": Coverage.of_limits(
                *_score_limits(by_difference), shift
            ),
            "ratio: Greenland-Robins": _coverage(
                stratified_risk_ratio, _tables(rng, n, factor * base, base), factor
            ),
            "odds ratio: Robins-Breslow-Greenland": _coverage(
                stratified_odds_ratio, _tables(rng, n, odds / (1 + odds), base), factor
            ),
        }


def _tables(rng: np.random.Generator, n: int, group: Floats, reference: Floats) -> Integers:
    """Return events and patients of group and reference, shape (replicates, 4, strata)."""
    size = np.full((REPLICATES, len(STRATA)), n // len(STRATA))
    return np.stack([rng.binomial(size, group), size, rng.binomial(size, reference), size], axis=1)


def _score_limits(tables: Integers) -> tuple[Floats, Floats]:
    """Return the limits of ``method="miettinen_nurminen"`` for all tables at once."""
    groups = TwoGroups(*tables.transpose(1, 0, 2))
    weights = groups.n * groups.reference_n / (groups.n + groups.reference_n)
    low, high = weighted_score_limits(groups, weights, conf_level=CONF_LEVEL)
    first = stratified_risk_difference(*tables[0], method="miettinen_nurminen")
    assert np.allclose(first[["conf_low", "conf_high"]], [[low[0], high[0]]], atol=1e-9)
    return low, high


def _coverage(estimator: Callable[..., pd.DataFrame], tables: Integers, truth: float) -> Coverage:
    return Coverage.of(pd.concat([estimator(*each) for each in tables]), truth)
