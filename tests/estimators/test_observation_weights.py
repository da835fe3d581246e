"""Proportions with missing outcomes against R (mice, stacked equations), hand calculation, properties and known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from mesostats.estimators import ClusterTotals, clustered_proportion
from mesostats.estimators.finite_logistic import fit_finite
from mesostats.estimators.incomplete_covariates import filled, unseen_level
from mesostats.estimators.observation_weights import weighted_proportion
from mesostats.estimators.partial_identification import identification_interval
from mesostats.estimators.proportions import proportion

REFERENCE = Path(__file__).parents[1] / "reference"
OBSERVED = pd.read_csv(REFERENCE / "missing_outcomes.csv")
NUMBERS = ["estimate", "std_error", "conf_low", "conf_high", "df"]


def one_set(name: str) -> pd.DataFrame:
    return OBSERVED[OBSERVED["set"] == name].reset_index(drop=True)


def weighted(data: pd.DataFrame, **options: Any) -> pd.Series[Any]:
    given_options = {"clusters": data["cluster"]} | options
    covariates = data[["left", "baseline", "site"]]
    return weighted_proportion(data["responded"], data["observed"], covariates, **given_options).iloc[0]


@pytest.mark.parametrize("name", ["clinic", "clustered", "small"])
def test_weighted_proportion_agrees_with_r(name: str) -> None:
    expected = pd.read_csv(REFERENCE / "observation_weights.csv").set_index("set").loc[name]
    found = weighted(one_set(name))
    # R differentiates the stacked equations numerically: 1e-6.
    np.testing.assert_allclose(found[NUMBERS].astype(float), expected[NUMBERS].astype(float), rtol=1e-6)
    words = f"weights {expected['smallest']:.2f} to {expected['largest']:.2f}, effective sample size {expected['effective']:.1f}"
    assert found["note"] == words


def test_pseudo_observations_are_those_of_mice() -> None:
    expected = pd.read_csv(REFERENCE / "augmented_logistic.csv").set_index("term")
    data = one_set("separated")
    design = np.column_stack([np.ones(len(data)), data["left"], data["baseline"]])
    fit = fit_finite(design, data["observed"].to_numpy(float))
    assert fit is not None
    assert fit.augmented
    rows = expected.loc[["constant", "left", "baseline"]]
    np.testing.assert_allclose(fit.coefficients, rows["coefficient"], rtol=1e-6)
    np.testing.assert_allclose(
        np.sqrt(np.diag(np.linalg.inv(fit.information))), rows["model_error"], rtol=1e-6
    )


def test_separation_where_everybody_who_stayed_was_observed_is_noted() -> None:
    data = one_set("separated")
    found = weighted(data)
    assert "pseudo-observations" in found["note"]
    # The stayed weigh about 1, the left by the inverse of the share observed among them: poststratification.
    stayed = data["left"] == 0
    means = [data.loc[rows, "responded"].mean() for rows in (stayed, ~stayed)]
    assert found["estimate"] == pytest.approx(
        np.average(means, weights=[stayed.sum(), (~stayed).sum()]), abs=0.02
    )


def test_without_covariates_the_observed_stand_for_all() -> None:
    # 12 of 30 responded, 20 are missing. By hand: the share is 0.4, its variance 0.4·0.6/30·50/49 (the weights are estimated).
    found = weighted_proportion([1] * 12 + [0] * 38, [1] * 30 + [0] * 20).iloc[0]
    assert found["estimate"] == pytest.approx(0.4)
    assert found["std_error"] == pytest.approx(np.sqrt(0.4 * 0.6 / 30 * 50 / 49))
    assert (found["numerator"], found["denominator"], found["n_missing"], found["df"]) == (12, 30, 20, 49)


def test_nothing_missing_is_the_clustered_proportion() -> None:
    data = one_set("clustered").assign(observed=1)
    data["responded"] = (data["baseline"] > 21).astype(int)
    sums = data.groupby("cluster")["responded"].agg(["sum", "size"])
    plain = clustered_proportion(ClusterTotals.from_arrays(sums["sum"], sums["size"])).iloc[0]
    found = weighted_proportion(data["responded"], data["observed"], clusters=data["cluster"]).iloc[0]
    for name in NUMBERS:
        assert found[name] == pytest.approx(plain[name]), name
    assert found["n_missing"] == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_failures_mirror_successes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = pd.DataFrame({"x": rng.normal(size=80)})
    outcome, observed = rng.random(80) < 0.4, rng.random(80) < expit(1 + x["x"].to_numpy())
    one, other = (
        weighted_proportion(value.astype(float), observed, x).iloc[0] for value in (outcome, ~outcome)
    )
    assert one["estimate"] == pytest.approx(1 - other["estimate"])
    assert one["conf_low"] == pytest.approx(1 - other["conf_high"])


def test_weights_take_away_what_a_covariate_selects() -> None:
    """In 40,000 whose chance to be observed and to respond both fall with x, the weighted share is the whole sample's."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=40_000)
    outcome = (rng.random(40_000) < expit(-0.5 - x)).astype(float)
    observed = rng.random(40_000) < expit(0.8 - x)
    found = weighted_proportion(outcome, observed, pd.DataFrame({"x": x})).iloc[0]
    truth = outcome.mean()
    assert abs(found["estimate"] - truth) < 3 * found["std_error"]
    assert outcome[observed].mean() - truth > 10 * found["std_error"]


@pytest.mark.parametrize(
    ("outcome", "observed", "covariates", "clusters", "why"),
    [
        ([], [], None, None, "no observations"),
        ([1, 0, 1], [0, 0, 0], None, None, "no outcome was observed"),
        ([1, 0, 1, 0], [1, 1, 0, 0], {"left": [0, 0, 1, 1]}, None, "where 'left' = 1: no weight"),
        ([1, 0, 1, 0], [1, 1, 1, 0], {"site": ["a", "a", "a", "b"]}, None, "where 'site' = b: no weight"),
        (
            [1, 0, 1],
            [1, 1, 0],
            {"x": [1.0, 2.0, 3.0], "z": [1.0, 4.0, 9.0]},
            None,
            "3 clusters are too few for 3",
        ),
    ],
)
def test_what_cannot_be_weighted_is_nan_with_a_note(
    outcome: list[int], observed: list[int], covariates: Any, clusters: Any, why: str
) -> None:
    frame = None if covariates is None else pd.DataFrame(covariates)
    found = weighted_proportion(outcome, observed, frame, clusters=clusters).iloc[0]
    assert why in found["note"]
    assert found[["estimate", "std_error", "conf_low", "conf_high"]].isna().all()
    assert found["denominator"] + found["n_missing"] == len(outcome)


def test_one_cluster_has_an_unknown_variance() -> None:
    found = weighted_proportion([1, 0, 1, 0], [1, 1, 1, 0], clusters=["P1"] * 4).iloc[0]
    assert found["estimate"] == pytest.approx(2 / 3)
    assert found[["std_error", "conf_low", "conf_high", "df"]].isna().all()
    assert "one cluster: the variance between clusters is unknown" in found["note"]


def test_all_alike_has_an_interval_at_the_effective_size() -> None:
    # Nobody of 10 observed responded: Wilson's upper limit q²/(n + q²) at n = 10 with t on 19 degrees of freedom.
    found = weighted_proportion([0] * 20, [1] * 10 + [0] * 10).iloc[0]
    q = 2.093024054
    assert (found["estimate"], found["conf_low"]) == (0, pytest.approx(0, abs=1e-12))
    assert found["conf_high"] == pytest.approx(q**2 / (10 + q**2))


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_all_alike_with_uneven_weights_is_exactly_at_the_edge(outcome: float) -> None:
    data = one_set("clinic")
    found = weighted(data.assign(responded=outcome))
    assert found["estimate"] == outcome
    assert found["std_error"] == 0
    assert 0 <= found["conf_low"] < found["conf_high"] <= 1
    assert found["conf_high"] - found["conf_low"] > 0.02


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="outcome has 1 missing values where there must be one"):
        weighted_proportion([1, np.nan], [1, 1])
    with pytest.raises(ValueError, match="outcome has 1 values other than 0 and 1"):
        weighted_proportion([2, 0], [1, 1])
    with pytest.raises(ValueError, match="clusters has 1 missing"):
        weighted_proportion([1, 0], [1, 1], clusters=["P1", None])
    with pytest.raises(ValueError, match="lengths differ"):
        weighted_proportion([1, 0], [1, 1, 0])
    with pytest.raises(ValueError, match="covariate 'x' has 1 infinite"):
        weighted_proportion([1, 0], [1, 1], pd.DataFrame({"x": [np.inf, 1]}))


def test_covariates_are_filled_and_not_changed() -> None:
    given_frame = pd.DataFrame({"age": [20.0, np.nan, 40.0], "empty": [np.nan] * 3, "site": ["a", None, "b"]})
    before = given_frame.copy(deep=True)
    found = filled(given_frame, np.array([True, False, True]))
    assert found.columns.tolist() == [
        "age",
        "site",
    ]  # without the age nobody was observed: no column that says so
    assert found["age"].tolist() == [20, 30, 40]
    pd.testing.assert_frame_equal(given_frame, before)
    assert unseen_level(found, np.array([True, False, True])) == "'site' = not recorded"


def test_identification_intervals_agree_with_r() -> None:
    expected = pd.read_csv(REFERENCE / "identification_intervals.csv")
    low, high = identification_interval(expected["lowest"], expected["highest"], expected["n"])
    np.testing.assert_allclose(low, expected["conf_low"], rtol=1e-8)
    np.testing.assert_allclose(high, expected["conf_high"], rtol=1e-8)


def test_identification_interval_without_anything_missing_is_wilsons() -> None:
    low, high = identification_interval([0.0, 0.25, 1.0], [0.0, 0.25, 1.0], [20, 20, 20], conf_level=0.9)
    plain = proportion([0, 5, 20], [20, 20, 20], conf_level=0.9)
    np.testing.assert_allclose(low, plain["conf_low"], atol=1e-12)
    np.testing.assert_allclose(high, plain["conf_high"], atol=1e-12)


def test_identification_interval_of_nobody_is_nan_and_of_wrong_shares_refused() -> None:
    low, high = identification_interval(0, 1, 0)
    assert np.isnan([low, high]).all()
    with pytest.raises(ValueError, match="the first not above the second"):
        identification_interval(0.5, 0.4, 10)
