"""Draws of logistic coefficients: against the posterior distributions that are known, and what the score must be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit

from mesostats.estimators import logistic_posterior
from mesostats.estimators.finite_logistic import FiniteFit, fit_finite
from mesostats.estimators.imputed_proportions import imputed_proportion
from mesostats.estimators.logistic_posterior import coefficient_draws


def fitted(design: np.ndarray, outcome: np.ndarray) -> FiniteFit:
    found = fit_finite(design, outcome)
    assert found is not None
    return found


@pytest.mark.parametrize(("responders", "n"), [(1, 30), (3, 20), (12, 24), (39, 40)])
def test_without_covariates_the_probability_is_beta(responders: int, n: int) -> None:
    # A flat prior on the logit is p⁻¹(1 - p)⁻¹ on the probability: Beta(r, n - r).
    fit = fitted(np.ones((n, 1)), np.repeat([1.0, 0.0], [responders, n - responders]))
    rng = np.random.default_rng(responders)
    drawn = np.concatenate([expit(coefficient_draws(fit, 100, rng)[0]) for _ in range(20)])
    assert stats.kstest(drawn, stats.beta(responders, n - responders).cdf).pvalue > 0.001


def test_two_groups_are_two_betas() -> None:
    group = np.repeat([0.0, 1.0], [30, 20])
    outcome = np.concatenate([np.repeat([1.0, 0.0], [2, 28]), np.repeat([1.0, 0.0], [5, 15])])
    fit = fitted(np.column_stack([np.ones(50), group]), outcome)
    rng = np.random.default_rng(4)
    drawn = np.concatenate([coefficient_draws(fit, 100, rng) for _ in range(20)], axis=1)
    for logits, known in ((drawn[0], stats.beta(2, 28)), (drawn.sum(axis=0), stats.beta(5, 15))):
        assert stats.kstest(expit(logits), known.cdf).pvalue > 0.001
    # The groups are independent: neither tells of the other.
    assert abs(stats.spearmanr(drawn[0], drawn.sum(axis=0)).statistic) < 4 / np.sqrt(2000)


@pytest.mark.parametrize("responders", [1, 2, 4, 8, 30])
def test_the_mean_of_the_drawn_probabilities_is_the_observed_share(responders: int) -> None:
    # The integral of the score over its own likelihood is 0, with the pseudo-observations where there are any.
    rng = np.random.default_rng(responders)
    design = np.column_stack([np.ones(60), rng.random(60) < 0.4, rng.normal(size=60)]).astype(float)
    fit = fitted(design, np.isin(np.arange(60), rng.choice(60, responders, replace=False)).astype(float))
    drawn = np.concatenate([coefficient_draws(fit, 400, rng) for _ in range(25)], axis=1)
    chances = expit(fit.design @ drawn)
    score = (fit.design * fit.weights[:, None]).T @ (fit.outcome[:, None] - chances)
    error = score.std(axis=1) / np.sqrt(10_000 / 10)  # draws of one call are not quite independent
    assert (np.abs(score.mean(axis=1)) < 5 * error).all()
    share = fit.weights @ fit.outcome / fit.weights.sum()
    # Normal draws about the estimate would be off by p(1/2 - share)/n; these are nearer than a quarter of it.
    assert abs(fit.weights @ chances.mean(axis=1) / fit.weights.sum() - share) < max(
        3 * abs(0.5 - share) / 60 / 4, 0.003
    )


def test_many_of_each_outcome_are_drawn_normally(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    design = np.column_stack([np.ones(2000), rng.normal(size=2000)])
    fit = fitted(design, (rng.random(2000) < 0.4).astype(float))
    exact = coefficient_draws(fit, 2000, np.random.default_rng(1))
    monkeypatch.setattr(logistic_posterior, "_PLENTY", 500)
    normal = coefficient_draws(fit, 2000, np.random.default_rng(1))
    for mine, other in zip(exact, normal, strict=True):
        assert mine.mean() == pytest.approx(other.mean(), abs=5 * other.std() / np.sqrt(1000))
        assert mine.std() == pytest.approx(other.std(), rel=0.1)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    design = np.column_stack([np.ones(40), np.linspace(-1, 1, 40)])
    fit = fitted(design, (np.arange(40) % 7 == 0).astype(float))
    whole = coefficient_draws(fit, 10, np.random.default_rng(1))
    monkeypatch.setattr(logistic_posterior, "_BLOCK", 100)
    np.testing.assert_allclose(coefficient_draws(fit, 10, np.random.default_rng(1)), whole)


def test_few_responders_are_noted() -> None:
    rng = np.random.default_rng(3)
    covariates = pd.DataFrame({"left": np.arange(60) % 2, "baseline": rng.normal(size=60).round(2)})
    for responders, noted in ((4, True), (30, False), (56, True)):
        outcome = np.isin(rng.permutation(60), np.arange(responders)).astype(float)
        seen = np.arange(60) >= 6
        note = imputed_proportion(outcome, seen, covariates)["note"].item()
        assert ("for 2 coefficients" in note) == noted
    alone = imputed_proportion([1] + [0] * 19, [1] * 15 + [0] * 5)["note"].item()
    assert "coefficients" not in alone


def test_a_level_of_which_nobody_was_observed_is_imputed_from_the_others() -> None:
    # 3 of the 40 who left responded, nobody who stayed was seen: Beta(3, 37) for all 80.
    covariates = pd.DataFrame({"left": np.repeat([1, 0], [40, 40])})
    outcome, seen = np.repeat([1, 0], [3, 77]), np.repeat([True, False], [40, 40])
    found = imputed_proportion(outcome, seen, covariates, imputations=4000).iloc[0]
    error = stats.beta(3, 37).std() / 2 / np.sqrt(400)
    assert found["estimate"] == pytest.approx(3 / 40, abs=4 * error)
    assert "no outcome was observed where" in found["note"]
    assert "pseudo-observations" not in found["note"]
