"""Proportions against R (prop.test, binom.test, qbeta, survey::svyratio, anova), hand calculation and properties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesostats.estimators import ClusterTotals, clustered_proportion, proportion
from mesostats.estimators.clustering import with_clustering_note

REFERENCE = Path(__file__).parents[1] / "reference"
METHODS = ["wilson", "clopper_pearson", "jeffreys", "agresti_coull"]
NUMBERS = ["estimate", "std_error", "conf_low", "conf_high"]
COLUMNS = [*NUMBERS, "conf_level", "numerator", "denominator", "method", "note"]

tallies = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
clusters = st.lists(
    st.integers(1, 9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=2, max_size=30
)


def assert_close(found: pd.DataFrame, expected: pd.DataFrame, columns: list[str]) -> None:
    for column in columns:
        np.testing.assert_allclose(found[column], expected[column], rtol=1e-8, atol=1e-12, err_msg=column)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("conf_level", [0.8, 0.95, 0.99])
def test_proportion_agrees_with_r(method: str, conf_level: float) -> None:
    cases = pd.read_csv(REFERENCE / "proportion.csv").query("method == @method and conf_level == @conf_level")
    assert len(cases) == 15

    found = proportion(cases["count"], cases["n"], conf_level=conf_level, method=method)

    assert_close(found, cases, NUMBERS)
    assert list(found["numerator"]) == list(cases["count"])
    assert list(found["denominator"]) == list(cases["n"])


def test_proportion_agrees_with_published_limits() -> None:
    # Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E, table I, methods 3 and 5.
    counted, n = [81, 15, 0, 1], [263, 148, 20, 29]
    wilson = proportion(counted, n)
    exact = proportion(counted, n, method="clopper_pearson")
    assert list(wilson["conf_low"].round(4)) == [0.2553, 0.0624, 0.0, 0.0061]
    assert list(wilson["conf_high"].round(4)) == [0.3662, 0.1605, 0.1611, 0.1718]
    assert list(exact["conf_low"].round(4)) == [0.2527, 0.0578, 0.0, 0.0009]
    assert list(exact["conf_high"].round(4)) == [0.3676, 0.1617, 0.1684, 0.1776]


def test_proportion_has_the_columns_and_names_the_method() -> None:
    found = proportion(pd.Series([1, 2], index=[7, 9]), pd.Series([4, 4], index=[7, 9]))
    assert list(found.columns) == COLUMNS
    assert found.index.equals(pd.RangeIndex(2))
    assert set(found["method"]) == {"Wilson score interval"}
    assert set(found["note"]) == {""}
    assert set(found["conf_level"]) == {0.95}


@pytest.mark.parametrize("method", METHODS)
def test_proportion_of_nobody_is_missing_with_a_note(method: str) -> None:
    found = proportion([0, 1], [0, 2], method=method)
    assert found.loc[0, NUMBERS].isna().all()
    assert found.loc[0, "note"] == "no observations"
    assert found.loc[1, NUMBERS].notna().all()
    assert found.loc[1, "note"] == ""


@pytest.mark.parametrize("method", METHODS)
def test_proportion_limits_are_exact_at_the_boundary(method: str) -> None:
    found = proportion([0, 7], [7, 7], method=method)
    assert found.loc[0, "conf_low"] == 0.0
    assert found.loc[1, "conf_high"] == 1.0


def test_proportion_of_no_elements_is_an_empty_frame() -> None:
    found = proportion([], [])
    assert list(found.columns) == COLUMNS
    assert found.empty


@given(tally=tallies, method=st.sampled_from(METHODS), conf_level=st.floats(0.5, 0.999))
def test_proportion_interval_contains_the_estimate(
    tally: tuple[int, int], method: str, conf_level: float
) -> None:
    row = proportion(*tally, conf_level=conf_level, method=method).iloc[0]
    assert 0 <= row["conf_low"] <= row["estimate"] <= row["conf_high"] <= 1
    assert row["conf_low"] < row["conf_high"]


@given(tally=tallies, method=st.sampled_from(METHODS))
def test_proportion_mirrors_when_success_and_failure_swap(tally: tuple[int, int], method: str) -> None:
    count, n = tally
    found = proportion([count, n - count], [n, n], method=method)
    np.testing.assert_allclose(found.loc[0, "conf_low"], 1 - found.loc[1, "conf_high"], atol=1e-10)
    np.testing.assert_allclose(found.loc[0, "std_error"], found.loc[1, "std_error"], atol=1e-12)


@given(tally=tallies, method=st.sampled_from(METHODS), factor=st.integers(2, 20))
def test_proportion_narrows_when_counts_are_scaled(tally: tuple[int, int], method: str, factor: int) -> None:
    count, n = tally
    found = proportion([count, factor * count], [n, factor * n], method=method)
    width = found["conf_high"] - found["conf_low"]
    assert width[1] < width[0]


@pytest.mark.parametrize(
    ("count", "n", "options", "message"),
    [
        ([1, 7], [2, 5], {}, r"count is above n in 1 elements \(first at position 1\)"),
        ([-1], [5], {}, "count has 1 negative"),
        ([1], [-5], {}, "n has 1 negative"),
        ([0.5], [5], {}, "count has 1 values that are not whole"),
        ([np.nan], [5], {}, "count has 1 missing or infinite"),
        ([1, 2], [5], {}, "count has 2, n has 1"),
        ([[1, 2]], [[5, 5]], {}, "count has 2 dimensions"),
        (["x"], [5], {}, "count holds .*, must hold numbers"),
        (
            pd.Series([1, None], dtype="Int64"),
            [5, 5],
            {},
            "count has 1 missing or infinite",
        ),
        (np.array([1, "x"], dtype=object), [5, 5], {}, "count holds values that are missing or no numbers"),
        ([1], [5], {"conf_level": 1.0}, r"conf_level == 1.0, must be above 0 and below 1"),
        ([1], [5], {"conf_level": 95}, r"conf_level == 95"),
        ([1], [5], {"conf_level": np.nan}, r"conf_level == nan"),
        ([1], [5], {"method": "wislon"}, "method 'wislon' is unknown; did you mean 'wilson'"),
    ],
)
def test_proportion_refuses_wrong_arguments(
    count: object, n: object, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        proportion(count, n, **options)


def test_proportion_leaves_its_inputs_unchanged() -> None:
    count, n = np.array([0, 2, 5]), np.array([0, 5, 5])
    proportion(count, n)
    assert list(count) == [0, 2, 5]
    assert list(n) == [0, 5, 5]


def reference_totals() -> ClusterTotals:
    cases = pd.read_csv(REFERENCE / "clusters.csv")
    return ClusterTotals.from_arrays(cases["y"], cases["n"], cases["set"])


@pytest.mark.parametrize("conf_level", [0.9, 0.95])
def test_clustered_proportion_agrees_with_r(conf_level: float) -> None:
    expected = (
        pd.read_csv(REFERENCE / "clustered_proportion.csv")
        .query("conf_level == @conf_level")
        .sort_values("set")
    )
    assert len(expected) == 9

    found = clustered_proportion(reference_totals(), conf_level=conf_level)

    columns = [*NUMBERS, "df", "numerator", "denominator", "icc", "design_effect", "effective_n"]
    assert_close(found, expected, columns)


def test_cluster_totals_variance_agrees_with_svyratio() -> None:
    expected = (
        pd.read_csv(REFERENCE / "clustered_proportion.csv").query("conf_level == 0.95").sort_values("set")
    )
    np.testing.assert_allclose(
        reference_totals().ratio_variance, expected["ratio_variance"], rtol=1e-8, atol=1e-16
    )


def test_cluster_totals_are_the_sums_of_each_group() -> None:
    totals = ClusterTotals.from_arrays([1, 0, 2, 3], [2, 4, 2, 3], ["b", "a", "b", "a"])
    # a: (0 of 4), (3 of 3); b: (1 of 2), (2 of 2)
    assert list(totals.clusters) == [2, 2]
    assert list(totals.trials) == [7, 4]
    assert list(totals.successes) == [3, 3]
    assert list(totals.trials_squared) == [25, 8]
    assert list(totals.successes_squared) == [9, 5]
    assert list(totals.product) == [9, 6]
    assert list(totals.successes_squared_per_trial) == [3, 2.5]
    assert list(totals.ratio) == [3 / 7, 3 / 4]


def test_cluster_totals_do_not_count_clusters_without_trials() -> None:
    assert list(ClusterTotals.from_arrays([1, 0, 0], [2, 0, 3]).clusters) == [2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1], [0]), "1 clusters have successes but no trials"),
        (([1, 1], [2]), "successes has 2, trials has 1"),
        (([1, 1], [2, 2], ["a"]), "group has 1"),
        (([1, 1], [2, 2], ["a", None]), "group has 1 missing"),
        (([-1], [2]), "successes has 1 negative"),
    ],
)
def test_cluster_totals_refuse_wrong_arrays(arguments: tuple[list[object], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClusterTotals.from_arrays(*arguments)


def test_cluster_totals_refuse_vectors_of_different_lengths() -> None:
    with pytest.raises(ValueError, match="clusters has 2, trials has 1"):
        ClusterTotals([2, 2], [4], [1], [8], [1], [2], [0.5])


def test_clustered_proportion_notes_what_cannot_be_seen() -> None:
    successes, trials = [0, 0, 3, 1, 2, 1], [4, 5, 3, 1, 5, 4]
    totals = ClusterTotals.from_arrays(
        successes, trials, ["a none", "a none", "b every", "b every", "c one", "d"]
    )
    one, every = "one cluster: the variance between clusters is unknown", "all observations are alike"
    found = clustered_proportion(totals)
    assert found["note"].str.startswith(every).tolist() == [True, True, False, False]
    assert found["note"].tolist()[2:] == [one, one]
    assert found["conf_low"].tolist()[0] == 0.0
    assert found["conf_high"].tolist()[1] == 1.0
    assert found.loc[2:, ["std_error", "conf_low", "conf_high"]].isna().all(axis=None)
    assert found["estimate"].tolist() == [0, 1, 0.4, 0.25]


def test_clustering_is_noted_only_where_it_widens_the_interval() -> None:
    # Each of two patients has one success in two: nothing varies between them, so v = 0, the design effect is 1 and the
    # intracluster correlation (0 - 0.5)/(0 + 0.5) is -1. With 2 and 0 of 2: v = 2/1·2/16 = 0.25 over 0.25/4 is 4.
    totals = ClusterTotals.from_arrays([1, 1, 2, 0], [2, 2, 2, 2], ["alike", "alike", "apart", "apart"])
    found = with_clustering_note(clustered_proportion(totals))
    assert found["icc"].tolist() == pytest.approx([-1, 1])
    # Naive Wilson of 2 of 4 spans 0.150 to 0.850; that of 0.5 of 1 with t = 12.706 on 1 degree of freedom 0.0015 to 0.9985.
    words = (
        "ICC 1.000, design effect 4.00: an interval for independent observations would be 0.70 times as wide"
    )
    assert found["note"].tolist() == ["", words]


@given(hits=st.lists(st.booleans(), min_size=1, max_size=40), conf_level=st.sampled_from([0.8, 0.95]))
def test_one_observation_a_cluster_is_wilsons_interval_and_says_so(
    hits: list[bool], conf_level: float
) -> None:
    row = clustered_proportion(ClusterTotals.from_arrays(hits, [1] * len(hits)), conf_level=conf_level).iloc[
        0
    ]
    plain = proportion(sum(hits), len(hits), conf_level=conf_level).iloc[0]
    for name in NUMBERS:
        assert row[name] == pytest.approx(plain[name], rel=1e-12)
    assert row["method"] == "Wilson score interval, one observation a cluster"
    assert [row["note"], row["effective_n"]] == ["", len(hits)]
    assert np.isnan(row["df"])


def test_clusters_of_one_that_only_sum_to_their_number_are_clustered() -> None:
    # Exposure 0.5 and 1.5: the trials sum to the number of clusters, but these are not of one each.
    found = clustered_proportion(ClusterTotals.from_arrays([0.5, 0.5], [0.5, 1.5])).iloc[0]
    assert found["df"] == 1
    assert "t quantile" in found["method"]


def test_clustered_proportion_of_nobody_is_missing_with_a_note() -> None:
    found = clustered_proportion(ClusterTotals.from_arrays([], [])).iloc[0]
    assert found[["estimate", "std_error", "conf_low", "conf_high", "icc", "effective_n"]].isna().all()
    assert found["note"] == "no observations"
    assert found["denominator"] == 0


def test_clustered_proportion_of_identical_observations_in_clusters_counts_clusters() -> None:
    # 10 patients of 6 sessions, all sessions of a patient alike, 4 of 10 positive. By hand: the residuals are 3.6 (4 times)
    # and -2.4 (6 times), v = 10/9·86.4/3600 = 0.02667, deff = 0.02667/(0.24/60) = 6.667, so n = 60/6.667 = 9.
    found = clustered_proportion(ClusterTotals.from_arrays([6] * 4 + [0] * 6, [6] * 10)).iloc[0]
    assert found["effective_n"] == pytest.approx(9)
    assert found["icc"] == pytest.approx(1)


@given(clusters=clusters)
def test_clustered_proportion_is_never_narrower_than_wilson(clusters: list[tuple[int, int]]) -> None:
    successes, trials = zip(*clusters, strict=True)
    row = clustered_proportion(ClusterTotals.from_arrays(successes, trials)).iloc[0]
    naive = proportion(sum(successes), sum(trials)).iloc[0]
    assert row["estimate"] == pytest.approx(naive["estimate"])
    assert row["conf_low"] <= naive["conf_low"] + 1e-12
    assert row["conf_high"] >= naive["conf_high"] - 1e-12
    assert 0 <= row["conf_low"] <= row["estimate"] <= row["conf_high"] <= 1


@given(clusters=clusters)
def test_clustered_proportion_mirrors_when_success_and_failure_swap(clusters: list[tuple[int, int]]) -> None:
    successes, trials = (np.array(part) for part in zip(*clusters, strict=True))
    row = clustered_proportion(ClusterTotals.from_arrays(successes, trials)).iloc[0]
    mirror = clustered_proportion(ClusterTotals.from_arrays(trials - successes, trials)).iloc[0]
    assert row["conf_low"] == pytest.approx(1 - mirror["conf_high"], abs=1e-8)
    assert row["icc"] == pytest.approx(mirror["icc"], abs=1e-8, nan_ok=True)


def test_clustered_proportion_finds_the_simulated_correlation() -> None:
    # Beta-binomial patients: with Beta(a, b) the intracluster correlation is 1/(a + b + 1) = 0.2, the mean 0.25.
    rng = np.random.default_rng(7)
    sizes = rng.integers(3, 9, 20_000)
    successes = rng.binomial(sizes, rng.beta(1.0, 3.0, 20_000))
    row = clustered_proportion(ClusterTotals.from_arrays(successes, sizes)).iloc[0]
    assert row["icc"] == pytest.approx(0.2, abs=0.02)
    assert row["conf_low"] < 0.25 < row["conf_high"]


def test_clustered_proportion_refuses_more_successes_than_trials() -> None:
    with pytest.raises(ValueError, match="a cluster has more successes than trials"):
        clustered_proportion(ClusterTotals.from_arrays([5, 0, 0], [2, 4, 4]))
    with pytest.raises(ValueError, match="conf_level == 0"):
        clustered_proportion(ClusterTotals.from_arrays([1, 0], [2, 4]), conf_level=0)
