"""Coverage of the intervals of two groups compared by sessions or repeated events of their patients."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from draws import (
    CORRELATIONS,
    FACTORS,
    FRAILTIES,
    PATIENTS,
    PROBABILITIES,
    frail_patients,
    prone_patients,
    totals,
)
from tally import Coverage

from mesostats.estimators.clustered_comparisons import (
    clustered_rate_ratio,
    clustered_risk_difference,
    clustered_risk_ratio,
)
from mesostats.estimators.differences import risk_difference
from mesostats.estimators.negative_binomial import negative_binomial_rate_ratio
from mesostats.estimators.rate_ratios import rate_ratio
from mesostats.estimators.ratios import risk_ratio

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    from report import Row

    Integers = npt.NDArray[np.int64]

REPLICATES = 2_000
FITS = 1_000  # of the negative binomial model, and of the exact interval beside it


def risks(rng: np.random.Generator) -> Iterator[Row]:
    """Draw two groups of beta-binomial patients."""
    for n, p, factor, correlation in itertools.product(PATIENTS, PROBABILITIES, FACTORS, CORRELATIONS):
        group, reference = (
            prone_patients(rng, (REPLICATES, n), p=each, correlation=correlation) for each in (factor * p, p)
        )
        pooled = (group.successes, group.trials, reference.successes, reference.trials)
        difference = (factor - 1) * p
        yield {
            "n": n,
            "p": factor * p,
            "reference p": p,
            "ICC": correlation,
            "difference: clustered": Coverage.of(clustered_risk_difference(group, reference), difference),
            "naive Miettinen-Nurminen": Coverage.of(risk_difference(*pooled), difference),
            "ratio: clustered": Coverage.of(clustered_risk_ratio(group, reference), factor),
            "naive Koopman": Coverage.of(risk_ratio(*pooled), factor),
        }


def rates(rng: np.random.Generator) -> Iterator[Row]:
    """Draw two groups of Poisson patients with a gamma frailty."""
    for n, rate, factor, variance in itertools.product(PATIENTS, PROBABILITIES, FACTORS, FRAILTIES):
        groups = [
            frail_patients(rng, (REPLICATES, n), rate=each, variance=variance)
            for each in (factor * rate, rate)
        ]
        group, reference = (totals(*each) for each in groups)
        pooled = (
            each[:FITS] for each in (group.successes, group.trials, reference.successes, reference.trials)
        )
        yield {
            "n": n,
            "rate": factor * rate,
            "reference rate": rate,
            "frailty": variance,
            "ratio: clustered": Coverage.of(clustered_rate_ratio(group, reference), factor),
            "negative binomial": Coverage.of(_negative_binomial(*groups), factor),
            "naive exact": Coverage.of(rate_ratio(*pooled), factor),
        }


def _negative_binomial(
    group: tuple[Integers, Integers], reference: tuple[Integers, Integers]
) -> pd.DataFrame:
    events, exposure = (np.hstack(each)[:FITS] for each in zip(group, reference, strict=True))
    labels = np.repeat([1, 0], events.shape[1] // 2)
    return pd.concat(
        [
            negative_binomial_rate_ratio(*patients, labels, reference=0)
            for patients in zip(events, exposure, strict=True)
        ]
    )
