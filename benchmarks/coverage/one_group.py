"""Coverage of the intervals of one group's proportion or rate."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from draws import CORRELATIONS, FRAILTIES, PATIENTS, PROBABILITIES, frail_patients, prone_patients, totals
from scipy import stats
from tally import Coverage

from mesostats.estimators import clustered_proportion, clustered_rate, proportion, rate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from report import Row

REPLICATES = 4_000
_Z = stats.norm.isf(0.025)


def proportions(_: np.random.Generator) -> Iterator[Row]:
    """Sum the binomial probabilities of the counts whose interval holds the proportion."""
    for n, p in itertools.product(PATIENTS, PROBABILITIES):
        counts = np.arange(n + 1)
        chance = stats.binom.pmf(counts, n, p)
        share = counts / n
        half = _Z * np.sqrt(share * (1 - share) / n)
        yield {
            "n": n,
            "p": p,
            "Wilson": Coverage.of(proportion(counts, np.full(n + 1, n)), p, chance),
            "Wald": Coverage.of_limits(share - half, share + half, p, chance),
        }


def rates(_: np.random.Generator) -> Iterator[Row]:
    """Sum the Poisson probabilities of the counts whose interval holds the rate."""
    for n, per_patient in itertools.product(PATIENTS, PROBABILITIES):
        mean = n * per_patient
        counts = np.arange(int(stats.poisson.isf(1e-12, mean)) + 1)
        chance, exposure = stats.poisson.pmf(counts, mean), np.full(len(counts), n)
        half = _Z * np.sqrt(counts) / n
        yield {
            "exposure": n,
            "rate": per_patient,
            "Garwood": Coverage.of(rate(counts, exposure), per_patient, chance),
            "Wald": Coverage.of_limits(counts / n - half, counts / n + half, per_patient, chance),
        }


def clustered_proportions(rng: np.random.Generator) -> Iterator[Row]:
    """Draw beta-binomial patients."""
    for n, p, correlation in itertools.product(PATIENTS, PROBABILITIES, CORRELATIONS):
        drawn = prone_patients(rng, (REPLICATES, n), p=p, correlation=correlation)
        yield {
            "n": n,
            "p": p,
            "ICC": correlation,
            "clustered": Coverage.of(clustered_proportion(drawn), p),
            "naive Wilson": Coverage.of(proportion(drawn.successes, drawn.trials), p),
        }


def clustered_rates(rng: np.random.Generator) -> Iterator[Row]:
    """Draw Poisson patients with a gamma frailty."""
    for n, per_session, variance in itertools.product(PATIENTS, PROBABILITIES, FRAILTIES):
        drawn = totals(*frail_patients(rng, (REPLICATES, n), rate=per_session, variance=variance))
        yield {
            "n": n,
            "rate": per_session,
            "frailty": variance,
            "clustered": Coverage.of(clustered_rate(drawn), per_session),
            "naive Garwood": Coverage.of(rate(drawn.successes, drawn.trials), per_session),
        }
