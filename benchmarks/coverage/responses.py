"""Coverage of what response analyses alone use: pairs, trends over sessions, and medians of interval-censored times."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from draws import CORRELATIONS, PATIENTS, chances
from scipy import stats
from tally import Coverage

from mesostats.estimators import kaplan_meier, quantile
from mesostats.estimators.interval_censored import turnbull, turnbull_quantile
from mesostats.estimators.paired import paired_difference
from mesostats.estimators.trends import proportion_trend

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    from report import Row

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

PAIRS = 1_000
EXACT = 40
"""Up to so many patients the sum over all tables of pairs is cheap."""
TRENDS = 1_000
MEDIANS = 100
ALIKE = 0.5  # correlation of the two responses of a course
DOSES = np.arange(1, 9)  # sessions received
PLANNED = 4  # visits, on average, in a unit of time
_Z = stats.norm.isf(0.025)
_LIMITS = ["conf_low", "conf_high"]


def pairs(rng: np.random.Generator) -> Iterator[Row]:
    """Respond twice: with p at first, and as many or half as many later."""
    for n in PATIENTS:
        tables, rows = _tables(n) if n <= EXACT else (None, None)
        for p, share in itertools.product((0.1, 0.4, 0.8), (1.0, 0.5)):
            cells = _cells(p, p * share)
            drawn = rng.multinomial(n, cells, PAIRS) if tables is None else tables
            found = pd.concat([_paired(table) for table in drawn]) if rows is None else rows
            weights = stats.multinomial.pmf(drawn, n, cells) if rows is not None else None
            truth = p * share - p
            yield {
                "n": n,
                "p at first": p,
                "p later": p * share,
                "Newcombe, pairs": Coverage.of(found, truth, weights),
                "Wald": Coverage.of_limits(*_wald(drawn, n), truth, weights),
            }


def _cells(first: float, second: float) -> Floats:
    """Return the probabilities of responding twice, at first only, later only, and never."""
    most = min(first, second) - first * second
    both = first * second + min(ALIKE * np.sqrt(first * (1 - first) * second * (1 - second)), most)
    return np.array([both, first - both, second - both, 1 - first - second + both])


def _tables(n: int) -> tuple[Integers, pd.DataFrame]:
    """Return all tables of n pairs, and the interval of each."""
    found = [
        (a, b, c, n - a - b - c) for a in range(n + 1) for b in range(n + 1 - a) for c in range(n + 1 - a - b)
    ]
    return np.array(found), pd.concat([_paired(table) for table in np.array(found)])


def _paired(table: Integers) -> pd.DataFrame:
    before, after = (np.repeat(pattern, table) for pattern in ([1, 1, 0, 0], [1, 0, 1, 0]))
    return paired_difference(before, after)[_LIMITS]


def _wald(tables: Integers, n: int) -> tuple[Floats, Floats]:
    lost, gained = tables[:, 1] / n, tables[:, 2] / n
    half = _Z * np.sqrt((lost + gained - (gained - lost) ** 2) / n)
    return gained - lost - half, gained - lost + half


def trends(rng: np.random.Generator) -> Iterator[Row]:
    """Draw one to three courses a patient with one to eight sessions; the response rises by the slope with each."""
    for n, (p, slope), correlation in itertools.product(
        PATIENTS, ((0.1, 0.0), (0.1, 0.02), (0.4, 0.0), (0.4, 0.08)), CORRELATIONS
    ):
        ours, naive = [], []
        for _ in range(TRENDS):
            patient = np.repeat(np.arange(n), rng.integers(1, 4, n))
            dose = rng.choice(DOSES, len(patient))
            own = chances(rng.random(n)[patient], p + slope * (dose - DOSES.mean()), correlation)
            responded = rng.random(len(patient)) < own
            ours.append(proportion_trend(responded, dose, clusters=patient)[_LIMITS])
            naive.append(proportion_trend(responded, dose)[_LIMITS])
        yield {
            "n": n,
            "mean p": p,
            "slope": slope,
            "ICC": correlation,
            "slope, patients": Coverage.of(pd.concat(ours), slope),
            "slope, courses": Coverage.of(pd.concat(naive), slope),
        }


def medians(rng: np.random.Generator) -> Iterator[Row]:
    """Draw exponential times of mean 1 that are seen at visits only, some of them kept, up to an end of follow-up."""
    for n, kept in itertools.product(PATIENTS, (0.9, 0.5)):
        ours, seen = [], []
        for _ in range(MEDIANS):
            left, right = _seen(rng, n, kept)
            ours.append(turnbull_quantile(turnbull(left, right, seed=int(rng.integers(2**31))))[_LIMITS])
            event = np.isfinite(right)
            seen.append(quantile(kaplan_meier(np.where(event, right, left), event), 0.5)[_LIMITS])
        yield {
            "n": n,
            "visits kept": kept,
            "Turnbull": _open(pd.concat(ours)),
            "Kaplan-Meier at the visit": _open(pd.concat(seen)),
        }


def _seen(rng: np.random.Generator, n: int, kept: float) -> tuple[Floats, Floats]:
    """Return the last visit without the event and the first one with it; visits jitter about their plan, for 3 units of time."""
    plan = np.arange(1, 3 * PLANNED + 1) / PLANNED
    visits = plan + rng.uniform(-0.1, 0.1, (n, len(plan)))
    visits = np.where(rng.random(visits.shape) < kept, visits, np.nan)
    visits = np.where(visits <= rng.uniform(1, 4, (n, 1)), visits, np.nan)
    time = rng.exponential(size=(n, 1))
    left = np.nanmax(np.where(visits < time, visits, 0.0), axis=1)
    right = np.min(np.where(visits >= time, visits, np.inf), axis=1)
    return np.round(left, 2), np.round(right, 2)


def _open(limits: pd.DataFrame) -> Coverage:
    """Hold limits against the median; an upper limit that is not reached is open."""
    low, high = limits.to_numpy(np.float64).T
    return Coverage.of_limits(low, np.where(np.isnan(high) & ~np.isnan(low), np.inf, high), np.log(2))
