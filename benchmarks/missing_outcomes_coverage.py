"""How often the 95 % intervals of weighted and of imputed proportions hold the truth, where outcomes are missing at random.

``python benchmarks/missing_outcomes_coverage.py [samples]`` prints, a setting, the truth, bias and coverage of both, their mean widths,
and the coverage of the weighted interval without its limit (the effective sample size of the weights). About 2,000
samples a setting tell coverage within .01.

Of n courses a share is given up. The share that responds and the share that is assessed differ between the two states, which
the models know, beside a covariate that matters for nothing.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
from scipy import stats

from mesostats.estimators.imputed_proportions import imputed_proportion
from mesostats.estimators.observation_weights import weighted_proportion
from mesostats.estimators.proportions import wilson_limits

# Courses, share given up; share that responds and share that is assessed: of those who stayed, of those given up.
SETTINGS = (
    (40, 0.40, (0.50, 0.30), (0.90, 0.50)),
    (60, 0.40, (0.50, 0.20), (0.90, 0.40)),
    (84, 0.64, (0.10, 0.10), (0.90, 0.25)),
    (84, 0.64, (0.20, 0.10), (0.90, 0.25)),
    (84, 0.64, (0.40, 0.30), (0.90, 0.25)),
    (150, 0.50, (0.50, 0.30), (0.95, 0.25)),
    (200, 0.50, (0.10, 0.04), (0.90, 0.30)),
)


def one_sample(
    rng: np.random.Generator,
    n: int,
    given_up: float,
    responds: tuple[float, float],
    seen: tuple[float, float],
) -> dict[str, float]:
    """Return the errors of one sample's estimates, and whether their intervals hold the truth."""
    left = (rng.random(n) < given_up).astype(float)
    outcome = (rng.random(n) < np.where(left == 1, responds[1], responds[0])).astype(float)
    observed = rng.random(n) < np.where(left == 1, seen[1], seen[0])
    covariates = pd.DataFrame({"left": left, "noise": rng.normal(size=n)})
    true = given_up * responds[1] + (1 - given_up) * responds[0]
    weighted = weighted_proportion(outcome, observed, covariates).iloc[0]
    imputed = imputed_proportion(
        outcome, observed, covariates, imputations=20, seed=int(rng.integers(2**31))
    ).iloc[0]
    variance, binomial = weighted["std_error"] ** 2, weighted["estimate"] * (1 - weighted["estimate"])
    size = binomial / variance if variance > 0 else weighted["effective_n"]
    low, high = wilson_limits(
        np.array([weighted["estimate"]]), np.array([size]), float(stats.t.isf(0.025, weighted["df"]))
    )
    found = {"weighted unlimited": float(low[0] <= true <= high[0])}
    for name, row in (("weighted", weighted), ("imputed", imputed)):
        found[f"{name} bias"] = row["estimate"] - true
        found[f"{name} coverage"] = float(row["conf_low"] <= true <= row["conf_high"])
        found[f"{name} width"] = row["conf_high"] - row["conf_low"]
    return found if np.isfinite(weighted["estimate"]) else dict.fromkeys(found, np.nan)


def main() -> None:
    """Print the table."""
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    rows = []
    for place, setting in enumerate(SETTINGS):
        rng = np.random.default_rng(place)
        means = pd.DataFrame([one_sample(rng, *setting) for _ in range(samples)]).mean()
        rows.append(pd.concat([pd.Series({"n": setting[0], "given up": setting[1]}), means]))
    print(f"{samples} samples a setting")
    print(pd.DataFrame(rows).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
