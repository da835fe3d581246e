"""Coverage where patients have sessions in both groups: unadjusted, and adjusted by a model or by weights."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from draws import CORRELATIONS, FACTORS, PATIENTS, PROBABILITIES, chances, sessions
from scipy.optimize import brentq
from scipy.special import expit
from tally import Coverage

from mesostats.estimators.crude_risks import crude_risks
from mesostats.estimators.differences import risk_difference
from mesostats.estimators.models import standardized_risks

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    from report import Row

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

REPLICATES = 1_000
EFFECT = 0.7  # log odds ratio of the group, by which a risk of 0.02 becomes 0.04
PATIENT, SESSION = 0.5, 0.5  # log odds ratios of the two covariates
FACE = 0.4  # share of sessions


def unadjusted(rng: np.random.Generator) -> Iterator[Row]:
    """Give half of each patient's sessions, at random, an exposure that multiplies the risk."""
    for n, p, factor, correlation in itertools.product(PATIENTS, PROBABILITIES, FACTORS, CORRELATIONS):
        found, tables = [], []
        for _ in range(REPLICATES):
            patient = np.repeat(np.arange(n), sessions(rng, (n,)))
            exposed = rng.integers(0, 2, len(patient))
            own = chances(rng.random(n)[patient], np.where(exposed, factor * p, p), correlation)
            outcome = (rng.random(len(patient)) < own).astype(int)
            found.append(crude_risks(outcome, exposed, clusters=patient, reference=0).iloc[[-1]])
            tables.append([*_count(outcome, exposed == 1), *_count(outcome, exposed == 0)])
        difference = (factor - 1) * p
        yield {
            "n": n,
            "p": factor * p,
            "reference p": p,
            "ICC": correlation,
            "crude difference": Coverage.of(pd.concat(found), difference),
            "naive Miettinen-Nurminen": Coverage.of(risk_difference(*np.transpose(tables)), difference),
        }


def _count(outcome: Integers, chosen: npt.NDArray[np.bool_]) -> tuple[int, int]:
    return int(outcome[chosen].sum()), int(chosen.sum())


@dataclass(frozen=True, eq=False)
class _Confounded:
    """Sessions of which exposure and risk depend on a covariate of the patient and one of the session.

    Parameters
    ----------
    patient
        Whose session it is, shape (m,).
    exposed
        0 or 1, shape (m,).
    outcome
        0 or 1, shape (m,).
    covariates
        m rows.
    logits
        The logit of the risk without exposure, averaged over patients who are equally prone, shape (m,).
    """

    patient: Integers
    exposed: Integers
    outcome: Integers
    covariates: pd.DataFrame
    logits: Floats

    def estimates(self, method: Literal["gee", "iptw"]) -> Floats:
        """Return limits of the risk difference and of the risk ratio, shape (2, 2)."""
        found = standardized_risks(
            self.outcome, self.exposed, self.covariates, clusters=self.patient, reference=0, method=method
        )
        return found[["conf_low", "conf_high"]].to_numpy(dtype=np.float64)[2:]

    @property
    def truths(self) -> Floats:
        """The risk difference and the risk ratio, standardized over these sessions."""
        return _contrasts(expit(self.logits + EFFECT).mean(), expit(self.logits).mean())


def _contrasts(risk: float, reference: float) -> Floats:
    return np.array([risk - reference, risk / reference])


def _confounded(rng: np.random.Generator, n: int, intercept: float, correlation: float) -> _Confounded:
    patient = np.repeat(np.arange(n), sessions(rng, (n,)))
    trait, face = rng.normal(size=n)[patient], rng.random(len(patient)) < FACE
    exposed = (rng.random(len(patient)) < expit(-0.3 + 0.6 * trait + 0.5 * face)).astype(int)
    logits = intercept + PATIENT * trait + SESSION * face
    own = chances(rng.random(n)[patient], expit(logits + EFFECT * exposed), correlation)
    outcome = (rng.random(len(patient)) < own).astype(int)
    covariates = pd.DataFrame({"trait": trait, "area": np.where(face, "face", "back")})
    return _Confounded(patient, exposed, outcome, covariates, logits)


def _mean_risk(intercept: float) -> float:
    """Return the risk over all sessions there could be, by Gauss-Hermite quadrature over the patients' trait."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    logits = intercept + PATIENT * nodes
    risk = FACE * expit(logits + SESSION) + (1 - FACE) * expit(logits)
    return float(weights @ risk / weights.sum())


def adjusted(rng: np.random.Generator) -> Iterator[Row]:
    """Draw confounded exposures; the weights are held against the truth for all patients, the model against the sample's."""
    for n, p, correlation in itertools.product(PATIENTS, PROBABILITIES, CORRELATIONS):
        intercept = float(brentq(lambda value, p=p: _mean_risk(value) - p, -12, 6))
        drawn = [_confounded(rng, n, intercept, correlation) for _ in range(REPLICATES)]
        everybody = _contrasts(_mean_risk(intercept + EFFECT), p)
        model, weighted = (np.array([each.estimates(method) for each in drawn]) for method in ("gee", "iptw"))
        sample = np.array([each.truths for each in drawn])
        yield {
            "n": n,
            "reference p": p,
            "ICC": correlation,
            "difference: GEE": Coverage.of_limits(*model[:, 0].T, sample[:, 0]),
            "ratio: GEE": Coverage.of_limits(*model[:, 1].T, sample[:, 1]),
            "difference: IPTW": Coverage.of_limits(*weighted[:, 0].T, everybody[0]),
            "ratio: IPTW": Coverage.of_limits(*weighted[:, 1].T, everybody[1]),
        }
