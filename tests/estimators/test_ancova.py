"""Analysis of covariance and clustered means against R (emmeans, clubSandwich) and by hand."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mesostats.estimators.ancova import ancova
from mesostats.estimators.means import MeanTotals, clustered_mean
from mesostats.estimators.regression_to_mean import mee_chua

REFERENCE = Path(__file__).parents[1] / "reference"


@cache
def observed(name: str) -> pd.DataFrame:
    rows = pd.read_csv(REFERENCE / "repeated_observations.csv")
    return rows[rows["set"] == name].reset_index(drop=True)


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("weights", ["equal", "proportional"])
@pytest.mark.parametrize("name", ["clinic", "trial", "small"])
def test_means_and_differences_are_those_of_r(name: str, weights: str, *, clustered: bool) -> None:
    rows = observed(name)
    found = ancova(
        rows["change"],
        rows["arm"],
        rows[["site", "base"]],
        reference="a_control",
        clusters=rows["subject"] if clustered else None,
        weights=weights,  # type: ignore[arg-type]
    )
    reference = pd.read_csv(REFERENCE / "ancova.csv").rename(columns={"arm": "group"})
    reference = reference.query("set == @name and weights == @weights and clustered == @clustered")
    both = found.merge(reference, on=["group", "estimand"], suffixes=("", "_r"), validate="1:1")
    assert len(both) == len(found) == len(reference)
    for column in ("estimate", "std_error", "df"):
        assert both[column].tolist() == pytest.approx(both[f"{column}_r"].tolist(), rel=1e-8)


def test_without_covariates_two_groups_are_the_pooled_t_test() -> None:
    rows = observed("clinic").query("visit == 1")
    found = ancova(rows["change"], rows["arm"], reference="a_control").iloc[-1]
    one, other = (rows.loc[rows["arm"] == arm, "change"] for arm in ("b_active", "a_control"))
    test = stats.ttest_ind(one, other)
    assert found[["statistic", "p_value"]].tolist() == pytest.approx([test.statistic, test.pvalue], rel=1e-9)
    assert found["df"] == len(rows) - 2


def test_one_observation_a_cluster_is_the_welch_test() -> None:
    """CR2 with a cluster each is HC2, which for two groups is s1²/n1 + s2²/n2; Bell and McCaffrey's df assume equal errors."""
    rows = observed("clinic").query("visit == 1")
    found = ancova(rows["change"], rows["arm"], reference="a_control", clusters=rows["subject"]).iloc[-1]
    parts = [rows.loc[rows["arm"] == arm, "change"] for arm in ("b_active", "a_control")]
    assert found["std_error"] == pytest.approx(
        np.sqrt(sum(part.var() / len(part) for part in parts)), rel=1e-9
    )
    n, m = map(len, parts)
    by_hand = (1 / n + 1 / m) ** 2 / (1 / (n**2 * (n - 1)) + 1 / (m**2 * (m - 1)))
    assert found["df"] == pytest.approx(by_hand, rel=1e-9)


def test_copies_of_each_observation_in_a_cluster_add_nothing() -> None:
    rows = observed("small").query("visit == 1")
    twice = pd.concat([rows, rows])
    single, double = (
        ancova(each["change"], each["arm"], each[["base"]], reference="a_control", clusters=each["subject"])
        for each in (rows, twice)
    )
    columns = ["estimate", "std_error", "df"]
    assert single[columns].to_numpy() == pytest.approx(double[columns].to_numpy(), rel=1e-9)


def test_missing_values_are_counted_and_the_frame_is_left_alone() -> None:
    rows = observed("trial").query("visit == 1").copy()
    rows.iloc[:4, rows.columns.get_loc("change")] = np.nan
    given_rows = rows.copy(deep=True)
    found = ancova(rows["change"], rows["arm"], rows[["base"]], reference="a_control")
    means = found[found["estimand"] == "ls_mean"]
    assert means["n_missing"].sum() == 4
    assert means["denominator"].sum() == len(rows) - 4
    pd.testing.assert_frame_equal(rows, given_rows)


def test_what_has_no_spread_or_no_observation_is_nan_with_a_note() -> None:
    flat = ancova([2.0, 2.0, 5.0, 5.0], [*"aabb"], reference="a")
    assert flat["estimate"].tolist() == [2.0, 5.0, 3.0]
    assert flat[["std_error", "p_value", "conf_low"]].isna().all(axis=None)
    assert flat["note"].str.contains("no variation").all()
    few = ancova([2.0, 5.0], [*"ab"], reference="a")
    assert few["std_error"].isna().all()
    assert few["note"].str.contains("no more observations than coefficients").all()
    nobody = ancova([1.0, 2.0, 4.0, np.nan], [*"aaab"], reference="a").set_index(["group", "estimand"])
    assert np.isnan(nobody.loc[("b", "ls_mean"), "estimate"])
    assert nobody.loc[("a", "ls_mean"), "std_error"] > 0
    assert ancova([np.nan, np.nan], [*"ab"], reference="a")["estimate"].isna().all()


def test_a_covariate_that_is_the_group_leaves_nothing_to_estimate() -> None:
    found = ancova([1.0, 2, 3, 5], [*"aabb"], pd.DataFrame({"site": [*"xxyy"]}), reference="a")
    assert found["estimate"].isna().all()
    assert found["note"].str.contains("cannot be estimated").all()


def test_a_wrong_reference_is_named() -> None:
    with pytest.raises(ValueError, match="reference 'c' is not among the groups"):
        ancova([1.0, 2.0], [*"ab"], reference="c")


def test_clustered_mean_of_single_values_is_the_t_interval() -> None:
    values = np.array([1.5, -2.0, 4.0, 0.5, 3.0])
    found = clustered_mean(MeanTotals.from_arrays(values), conf_level=0.9).iloc[0]
    test = stats.ttest_1samp(values, 0)
    interval = test.confidence_interval(0.9)
    assert found[["conf_low", "conf_high"]].tolist() == pytest.approx(
        [interval.low, interval.high], rel=1e-12
    )
    assert found["p_value"] == pytest.approx(test.pvalue, rel=1e-12)


def test_clustered_mean_by_hand() -> None:
    """Patients with (2, 4), (9) and (1, 1, 1): mean 18/6 = 3, sums less 3 times the number 0, 6, -6: 3/2·72/36 = 3."""
    found = clustered_mean(MeanTotals.from_arrays([2, 4, 9, 1, 1, 1], [*"aabccc"])).iloc[0]
    assert found[["estimate", "std_error", "df", "denominator"]].tolist() == pytest.approx(
        [3, np.sqrt(3), 2, 6]
    )


def test_clustered_mean_of_little_has_notes() -> None:
    alike, single, none = (
        clustered_mean(MeanTotals.from_arrays(values)).iloc[0] for values in ([4.1] * 7, [4.1], [])
    )
    assert [alike["estimate"], single["estimate"]] == pytest.approx([4.1, 4.1])
    assert np.isnan([alike["std_error"], single["std_error"], none["estimate"]]).all()
    assert [each["note"].split(":")[0] for each in (alike, single, none)] == [
        "all values alike",
        "one patient",
        "no observation",
    ]
    with pytest.raises(ValueError, match="missing or infinite"):
        MeanTotals.from_arrays([1.0, np.nan])


def test_mee_chua_is_the_intercept_of_a_line_and_finds_no_effect_where_there_is_none() -> None:
    rng = np.random.default_rng(8)
    true = rng.normal(50, 6, size=20000)
    first, second = true + rng.normal(0, 6, size=(2, 20000))
    chosen = first > 58  # patients come when they are at their worst
    found = mee_chua(first[chosen], second[chosen], population_mean=50).iloc[0]
    assert second[chosen].mean() - first[chosen].mean() < -6  # what an untreated clinic would call a success
    assert abs(found["statistic"]) < 3
    line = stats.linregress(first[chosen] - 50, second[chosen] - 50)
    assert found["estimate"] == pytest.approx(line.intercept, rel=1e-9)
    assert found["std_error"] == pytest.approx(line.intercept_stderr, rel=1e-9)
    treated = mee_chua(first[chosen], second[chosen] - 4, population_mean=50).iloc[0]
    assert treated["estimate"] == pytest.approx(found["estimate"] - 4, abs=1e-9)


def test_mee_chua_needs_baselines_that_differ() -> None:
    found = mee_chua([5, 5, np.nan], [4, 3, 2], population_mean=3).iloc[0]
    assert np.isnan(found["estimate"])
    assert found[["denominator", "n_missing"]].tolist() == [2, 1]
    assert "all alike" in found["note"]
    with pytest.raises(ValueError, match="population_mean is a finite number"):
        mee_chua([1.0, 2.0], [2.0, 3.0], population_mean=np.inf)
