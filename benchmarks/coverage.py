"""How often the default 95 % intervals hold the true value (``make coverage``).

Proportions of patients: exact, summed over the binomial distribution. Proportions and rates of sessions clustered in
patients, and Kaplan-Meier retention: simulated. The naive interval that takes sessions as independent stands beside.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from scipy import stats

from mesostats.estimators import ClusterTotals, clustered_proportion, clustered_rate, kaplan_meier, proportion

PATIENTS = (20, 40, 200)
PROBABILITIES = (0.02, 0.1, 0.4)
CORRELATIONS = (0.0, 0.2)
FRAILTIES = (0.0, 1.0, 2.0)
REPLICATES = 4_000
CURVES = 1_000
SESSIONS = (2, 10)


def _covered(found: pd.DataFrame, truth: float) -> np.ndarray:
    return ((found["conf_low"] <= truth) & (truth <= found["conf_high"])).to_numpy()


def proportions() -> pd.DataFrame:
    """Return the exact coverage of Wilson's interval."""
    rows = []
    for n, p in itertools.product(PATIENTS, PROBABILITIES):
        counts = np.arange(n + 1)
        held = _covered(proportion(counts, np.full(n + 1, n)), p)
        rows.append({"patients": n, "p": p, "Wilson": float(stats.binom.pmf(counts, n, p) @ held)})
    return pd.DataFrame(rows)


def clustered_proportions(rng: np.random.Generator) -> pd.DataFrame:
    """Return the coverage for sessions in patients, beta-binomial with an intraclass correlation."""
    rows = []
    for n, p, icc in itertools.product(PATIENTS, PROBABILITIES, CORRELATIONS):
        trials = rng.integers(*SESSIONS, size=(REPLICATES, n))
        precision = (1 - icc) / icc if icc else np.inf
        chance = (
            rng.beta(p * precision, (1 - p) * precision, size=trials.shape)
            if icc
            else np.full(trials.shape, p)
        )
        hits = rng.binomial(trials, chance)
        group = np.repeat(np.arange(REPLICATES), n)
        totals = ClusterTotals.from_arrays(hits.ravel(), trials.ravel(), group)
        naive = proportion(hits.sum(axis=1), trials.sum(axis=1))
        ours = _covered(clustered_proportion(totals), p).mean()
        rows.append(
            {"patients": n, "p": p, "ICC": icc, "clustered": ours, "naive Wilson": _covered(naive, p).mean()}
        )
    return pd.DataFrame(rows)


def clustered_rates(rng: np.random.Generator) -> pd.DataFrame:
    """Return the coverage for events per session, Poisson with a gamma frailty of the patient."""
    rows = []
    for n, rate, variance in itertools.product(PATIENTS, PROBABILITIES, FRAILTIES):
        trials = rng.integers(*SESSIONS, size=(REPLICATES, n))
        frailty = rng.gamma(1 / variance, variance, size=trials.shape) if variance else np.ones(trials.shape)
        events = rng.poisson(rate * frailty * trials)
        totals = ClusterTotals.from_arrays(
            events.ravel(), trials.ravel(), np.repeat(np.arange(REPLICATES), n)
        )
        held = _covered(clustered_rate(totals), rate).mean()
        rows.append(
            {"patients": n, "events a session": rate, "frailty variance": variance, "clustered": held}
        )
    return pd.DataFrame(rows)


def retention(rng: np.random.Generator) -> pd.DataFrame:
    """Return the coverage of the log-log interval of Kaplan-Meier at session 5, with a fifth censored at random."""
    rows = []
    for n, hazard in itertools.product(PATIENTS, (0.05, 0.1, 0.2)):
        truth, held = (1 - hazard) ** 5, []
        for _ in range(CURVES):
            lost, left = rng.geometric(hazard, n), np.where(rng.random(n) < 0.2, rng.integers(1, 6, n), 6)
            curve = kaplan_meier(np.minimum(lost, left), lost <= left)
            at = curve[curve["time"] <= 5].tail(1)
            held.append(_covered(at, truth).any())
        rows.append({"courses": n, "hazard": hazard, "Kaplan-Meier": np.mean(held)})
    return pd.DataFrame(rows)


def main() -> None:
    """Print the tables."""
    rng = np.random.default_rng(20260101)
    for title, table in (
        ("Patients with an event: Wilson (exact)", proportions()),
        ("Sessions with an event, clustered in patients", clustered_proportions(rng)),
        ("Events per session, clustered in patients", clustered_rates(rng)),
        ("Retention at session 5", retention(rng)),
    ):
        print(f"\n{title}\n{table.round(3).to_string(index=False)}")


if __name__ == "__main__":
    main()
