"""Rubin's rules and imputation draws against R (mice), hand calculation and properties."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mesostats.estimators import proportion
from mesostats.estimators.imputed_proportions import imputed_proportion
from mesostats.estimators.multiple_imputation import linear_draws, logistic_draws, rubin

REFERENCE = Path(__file__).parents[1] / "reference"
OBSERVED = pd.read_csv(REFERENCE / "missing_outcomes.csv")
DRAWS = 4000


def one_set(name: str) -> pd.DataFrame:
    return OBSERVED[OBSERVED["set"] == name].reset_index(drop=True)


def design(data: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    sites = [(data["site"] == site).to_numpy(float) for site in ("face", "neck")]
    return np.column_stack([np.ones(len(data)), data["left"], data["baseline"], *sites])


def completed(data: pd.DataFrame, known: pd.Series[Any], drawn: Any) -> Any:
    """Return the share of each completed data set."""
    return (known[data["observed"] == 1].sum() + drawn.sum(axis=0)) / len(data)


def assert_same_distribution(shares: Any, expected: pd.Series[Any]) -> None:
    """Mean and variance agree within four standard errors of both simulations (variances: of normal draws)."""
    error = np.sqrt(shares.var(ddof=1) / len(shares) + expected["between"] / expected["imputations"])
    assert abs(shares.mean() - expected["mean"]) < 4 * error
    spread = np.sqrt(2 / len(shares) + 2 / expected["imputations"])
    assert abs(np.log(shares.var(ddof=1) / expected["between"])) < 4 * spread


# --- Rubin's rules ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", pd.read_csv(REFERENCE / "rubin.csv")["name"])
def test_rubins_rules_agree_with_mice(name: str) -> None:
    expected = pd.read_csv(REFERENCE / "rubin.csv").set_index("name").loc[name]
    given = pd.read_csv(REFERENCE / "rubin_imputations.csv").query("name == @name")
    found = rubin(given["estimate"], given["variance"], df_complete=expected["df_complete"]).iloc[0]
    for column in expected.index.drop("df_complete"):
        assert found[column] == pytest.approx(expected[column], rel=1e-10), column


def test_several_quantities_are_pooled_at_once() -> None:
    both = rubin([[1.0, 0.1], [2.0, 0.3], [3.0, 0.2]], np.ones((3, 2)), conf_level=0.9)
    alone = rubin([0.1, 0.3, 0.2], [1.0, 1.0, 1.0], conf_level=0.9)
    pd.testing.assert_frame_equal(both.iloc[[1]].reset_index(drop=True), alone)


def test_estimates_that_agree_have_the_complete_data_interval() -> None:
    # No variance between: T = U = 0.04 and df = 30·31/33, the complete-data df by Barnard and Rubin's (d + 1)/(d + 3).
    found = rubin([0.5, 0.5], [0.04, 0.04], df_complete=30).iloc[0]
    assert (found["std_error"], found["between"], found["df"]) == (
        pytest.approx(0.2),
        0,
        pytest.approx(930 / 33),
    )
    assert rubin([0.5, 0.5], [0.04, 0.04])["df"].item() == np.inf


def test_without_any_variance_there_is_no_interval() -> None:
    found = rubin([0.0, 0.0], [0.0, 0.0]).iloc[0]
    assert found[["std_error", "conf_low", "conf_high", "df"]].isna().all()
    assert found["note"] == "no variance within or between the imputations"


def test_wrong_input_of_rubins_rules_is_refused() -> None:
    for estimates, variances, why in (
        ([1.0], [1.0], "at least 2"),
        ([1.0, 2.0], [1.0], "at least 2"),
        ([1.0, 2.0], [[1.0], [1.0], [1.0]], "differ in shape"),
        ([1.0, np.nan], [1.0, 1.0], "1 missing or infinite"),
        ([1.0, 2.0], [1.0, -1.0], "1 negative"),
    ):
        with pytest.raises(ValueError, match=why):
            rubin(estimates, variances)


# --- draws --------------------------------------------------------------------------------------------------------


def few() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "few_responders.csv")


@pytest.mark.parametrize("name", ["clinic", "clustered", "few"])
def test_logistic_draws_agree_with_mcmcpack(name: str) -> None:
    expected = pd.read_csv(REFERENCE / "imputed_shares_logistic.csv").set_index("set").loc[name]
    data = few() if name == "few" else one_set(name)
    drawn, augmented = logistic_draws(
        design(data),
        data["responded"].to_numpy(float),
        data["observed"].to_numpy(bool),
        imputations=DRAWS,
        rng=np.random.default_rng(3),
    )
    assert not augmented
    assert_same_distribution(completed(data, data["responded"], drawn), expected)


def test_few_responders_are_pulled_less_than_by_mice() -> None:
    # mice draws normally about the estimate of data with pseudo-observations, half of which respond.
    shares = pd.read_csv(REFERENCE / "imputed_shares_logistic.csv").set_index("set").loc["few"]
    data = few()
    observed = data.loc[data["observed"] == 1, "responded"].mean()
    found = imputed_proportion(
        data["responded"], data["observed"], data[["left", "baseline", "site"]], imputations=DRAWS
    ).iloc[0]
    assert abs(found["estimate"] - observed) < 0.5 * abs(shares["mean_mice"] - observed)
    assert "8 with the outcome for 4 coefficients of the imputation model: see the bounds" in found["note"]


@pytest.mark.parametrize("name", ["clinic", "clustered"])
def test_linear_draws_agree_with_mice(name: str) -> None:
    expected = pd.read_csv(REFERENCE / "imputed_shares_linear.csv").set_index("set").loc[name]
    data = one_set(name)
    score = pd.read_csv(REFERENCE / "missing_scores.csv").query("set == @name")["score"].to_numpy(float)
    observed = data["observed"].to_numpy(bool)
    drawn = linear_draws(design(data), score, observed, imputations=DRAWS, rng=np.random.default_rng(3))
    met = pd.Series((score <= 14).astype(float))
    assert_same_distribution(completed(data, met, drawn <= 14), expected)


def test_draws_of_a_mean_have_the_posterior_of_a_normal_sample() -> None:
    # Ten observed of mean 0 and variance 110/9, no covariates: a missing one is t with 9 df about 0, scale² 110/9·(1 + 1/10).
    values = np.append(np.arange(-5.0, 6.0)[np.arange(11) != 5], np.nan)
    observed = np.arange(11) < 10
    drawn = linear_draws(np.ones((11, 1)), values, observed, imputations=20_000, rng=np.random.default_rng(5))
    scale = np.sqrt(110 / 9 * 1.1)
    assert stats.kstest(drawn[0], stats.t(9, scale=scale).cdf).pvalue > 0.001


# --- proportions --------------------------------------------------------------------------------------------------


def test_imputed_proportion_is_rubins_rule_of_its_completed_shares() -> None:
    data = one_set("clinic")
    covariates = data[["left", "baseline", "site"]]
    found = imputed_proportion(data["responded"], data["observed"], covariates, imputations=4000).iloc[0]
    expected = pd.read_csv(REFERENCE / "imputed_shares_logistic.csv").set_index("set").loc["clinic"]
    n, p, between = len(data), expected["mean"], expected["between"]
    # Rubin by hand from mice's mean and variance: each completed set has variance q(1 - q)/n, their mean is (p(1 - p) - B)/n.
    total = (p * (1 - p) - between) / n + between
    assert found["estimate"] == pytest.approx(p, abs=0.003)
    assert found["std_error"] == pytest.approx(np.sqrt(total), rel=0.03)
    assert found["effective_n"] == pytest.approx(p * (1 - p) / total, rel=0.06)
    (fraction,) = re.findall(r"fraction of missing information ([0-9.]+)", found["note"])
    # With 4,000 imputations what is added for the degrees of freedom is small.
    assert float(fraction) == pytest.approx(between / total, abs=0.03)
    assert (found["numerator"], found["denominator"], found["n_missing"]) == (
        data["responded"].sum(),
        data["observed"].sum(),
        (data["observed"] == 0).sum(),
    )


def test_nothing_missing_is_the_plain_proportion_with_t() -> None:
    found = imputed_proportion([1] * 12 + [0] * 28, [1] * 40).iloc[0]
    plain = proportion(12, 40).iloc[0]
    assert [found["estimate"], found["std_error"]] == pytest.approx([plain["estimate"], plain["std_error"]])
    assert found["df"] == pytest.approx(39 * 40 / 42)
    assert found["conf_low"] < plain["conf_low"]  # t instead of the normal


def test_clusters_widen_the_interval() -> None:
    data = one_set("clustered").assign(responded=lambda frame: (frame["cluster"] % 2).astype(float))
    alone, together = (
        imputed_proportion(data["responded"], data["observed"], data[["left"]], clusters=clusters).iloc[0]
        for clusters in (None, data["cluster"])
    )
    assert together["estimate"] == pytest.approx(alone["estimate"], abs=0.02)
    assert together["std_error"] > 1.2 * alone["std_error"]


def test_the_seed_decides_the_draws() -> None:
    data = one_set("small")
    first, same, other = (
        imputed_proportion(data["responded"], data["observed"], data[["left"]], seed=seed)
        for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first, same)
    assert first["estimate"].item() != other["estimate"].item()


def test_separation_adds_pseudo_observations() -> None:
    left = pd.DataFrame({"left": [0] * 20 + [1] * 20})
    observed = [1] * 18 + [0] * 2 + [1] * 8 + [0] * 12
    responded = [1] * 18 + [0] * 22  # all who stayed, nobody who left
    found = imputed_proportion(responded, observed, left).iloc[0]
    assert "pseudo-observations" in found["note"]
    assert found["estimate"] == pytest.approx(0.5, abs=0.05)
    assert 0 < found["conf_low"] < found["conf_high"] < 1


def test_all_observed_alike_are_imputed_nearly_alike() -> None:
    found = imputed_proportion([1] * 30, [1] * 20 + [0] * 10).iloc[0]
    # Two half observations: the odds are 20.5 to 0.5, the missing third responds with about 0.95.
    assert 0.95 < found["estimate"] < 1
    assert found["conf_high"] <= 1


@pytest.mark.parametrize("at_least", [None, 1.0])
def test_what_cannot_be_imputed_is_nan_with_a_note(at_least: float | None) -> None:
    for outcome, why in (([], "no observations"), ([1, 0, 1], "no outcome was observed")):
        found = imputed_proportion(outcome, [0] * len(outcome), at_least=at_least).iloc[0]
        assert found["note"] == why
        assert found[["estimate", "std_error", "conf_low", "conf_high"]].isna().all()


def test_too_few_measurements_are_nan_and_one_cluster_has_no_interval() -> None:
    few = imputed_proportion([1.5, 2.0, 0.0], [1, 1, 0], pd.DataFrame({"x": [1, 2, 3]}), at_least=1.0).iloc[0]
    assert "too few observed outcomes" in few["note"]
    assert np.isnan(few["estimate"])
    single = imputed_proportion([1, 0, 0, 0], [1, 1, 1, 0], clusters=["P1"] * 4).iloc[0]
    assert np.isfinite(single["estimate"])
    assert np.isnan(single["conf_low"])
    assert "one cluster" in single["note"]


def test_wrong_input_is_refused() -> None:
    for number in (1, 2.5, True):
        with pytest.raises(ValueError, match="imputations is a whole number of at least 2"):
            imputed_proportion([1, 0], [1, 1], imputations=number)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="other than 0 and 1"):
        imputed_proportion([2, 0], [1, 1])


def test_a_measurement_meets_its_rule_up_to_rounding() -> None:
    # 4.1 - 2.1 falls short of 2 in binary numbers, and is a response.
    found = imputed_proportion([4.1 - 2.1 - 2, -1.0, 3.0], [1, 1, 1], at_least=0.0).iloc[0]
    assert found["numerator"] == 2


@pytest.mark.parametrize("at_least", [None, 1.0])
@pytest.mark.parametrize("levels", [("a", "b", "z"), ("b", "z", "a"), ("z", "b", "a")])
def test_level_that_nobody_was_observed_in_is_imputed_as_the_average(
    levels: tuple[str, ...], at_least: float | None
) -> None:
    # Observed: 5 of 50 and 45 of 50 respond, on average one half; of the third level nobody was observed.
    low, high, unseen = levels
    level = pd.DataFrame({"level": [unseen] * 40 + [low] * 50 + [high] * 50})
    responded = [0.0] * 40 + [1.0] * 5 + [0.0] * 45 + [1.0] * 45 + [0.0] * 5
    outcome = responded if at_least is None else [2 * each for each in responded]
    found = imputed_proportion(outcome, [0] * 40 + [1] * 100, level, at_least=at_least, imputations=400).iloc[
        0
    ]
    assert found["estimate"] == pytest.approx(0.5, abs=0.03)
    assert f"'level' = {unseen}" in found["note"]
