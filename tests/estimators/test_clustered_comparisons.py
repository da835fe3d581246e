"""Comparisons of clustered observations against R (limits of one group, put together), hand calculation and truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesostats.estimators.clustered_comparisons import (
    clustered_rate_ratio,
    clustered_risk_difference,
    clustered_risk_ratio,
)
from mesostats.estimators.clusters import ClusterTotals
from mesostats.estimators.proportions import clustered_proportion
from mesostats.estimators.rates import clustered_rate
from mesostats.estimators.two_groups import COMPARISON_COLUMNS

REFERENCE = Path(__file__).parents[1] / "reference"
LIMITS = ["conf_low", "conf_high"]
ESTIMATORS = [clustered_risk_difference, clustered_risk_ratio, clustered_rate_ratio]

clusters = st.lists(
    st.integers(1, 9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=2, max_size=30
).map(lambda pairs: ClusterTotals.from_arrays(*zip(*pairs, strict=True)))


def pairs(what: str, conf_level: float) -> tuple[ClusterTotals, ClusterTotals, pd.DataFrame]:
    """Return the two sides of all pairs of R's sets, and what R made of them."""
    cases = pd.read_csv(REFERENCE / "clustered_comparisons.csv")
    cases = cases[(cases["what"] == what) & np.isclose(cases["conf_level"], conf_level)]
    given_sets = pd.read_csv(REFERENCE / {"proportion": "clusters.csv", "rate": "exposures.csv"}[what])
    totals = ClusterTotals.from_arrays(given_sets["y"], given_sets["n"], given_sets["set"])
    places = pd.Index(sorted(given_sets["set"].unique()))
    sides = (totals.take(places.get_indexer(cases[name])) for name in ("set", "reference"))
    return *sides, cases


@pytest.mark.parametrize("conf_level", [0.9, 0.95])
def test_clustered_risk_comparisons_agree_with_r(conf_level: float) -> None:
    totals, reference, cases = pairs("proportion", conf_level)
    assert len(cases) == 72  # each of nine sets with every other

    difference = clustered_risk_difference(totals, reference, conf_level=conf_level)
    ratio = clustered_risk_ratio(totals, reference, conf_level=conf_level)

    names = {"estimate": "difference", "std_error": "difference_se", "conf_low": "difference_low"}
    for column, wanted in {**names, "conf_high": "difference_high"}.items():
        np.testing.assert_allclose(difference[column], cases[wanted], rtol=1e-8, atol=1e-12, err_msg=column)
    for column, wanted in {"estimate": "ratio", "conf_low": "ratio_low", "conf_high": "ratio_high"}.items():
        np.testing.assert_allclose(ratio[column], cases[wanted], rtol=1e-7, atol=1e-12, err_msg=column)


@pytest.mark.parametrize("conf_level", [0.9, 0.95])
def test_clustered_rate_ratio_agrees_with_r(conf_level: float) -> None:
    totals, reference, cases = pairs("rate", conf_level)
    assert len(cases) == 20  # each of five sets with every other
    found = clustered_rate_ratio(totals, reference, conf_level=conf_level)
    for column, wanted in {"estimate": "ratio", "conf_low": "ratio_low", "conf_high": "ratio_high"}.items():
        # The rate of two patients has limits beyond those between which R searches: they are as good as 0 and infinite.
        np.testing.assert_allclose(
            np.minimum(found[column], 1e15),
            np.minimum(cases[wanted], 1e15),
            rtol=1e-6,
            atol=1e-12,
            err_msg=column,
        )


def test_clustered_risk_difference_by_hand() -> None:
    # 4, 0, 0, 1, 0 of 4 sessions in five patients (effective n 5, see clustered_proportion) against none in five
    # patients. t(4) = 2.776445, t²/5 = 1.541730; Wilson's centre (0.25 + 0.770865)/2.541730 = 0.401642, half width
    # 2.776445·sqrt(0.0375 + 7.708646/100)/2.541730 = 0.369766; upper limit without events 1.541730/2.541730 = 0.606567.
    totals = ClusterTotals.from_arrays([4, 0, 0, 1, 0], [4] * 5)
    silent = ClusterTotals.from_arrays([0] * 5, [4] * 5)
    row = clustered_risk_difference(totals, silent).iloc[0]
    assert row["conf_low"] == pytest.approx(0.25 - np.hypot(0.25 - 0.031876, 0.606567), abs=2e-6)
    assert row["conf_high"] == pytest.approx(0.771408, abs=2e-6)
    assert row["note"].startswith("reference group: all observations are alike")
    assert row[["statistic", "df"]].isna().all()
    counted = ["numerator", "denominator", "reference_numerator", "reference_denominator"]
    assert row[counted].tolist() == [5, 20, 0, 20]


@settings(max_examples=40, deadline=None)
@given(first=clusters, second=clusters)
def test_p_value_is_the_level_at_which_the_interval_ends_at_no_difference(
    first: ClusterTotals, second: ClusterTotals
) -> None:
    p_value = clustered_risk_difference(first, second)["p_value"].iloc[0]
    assert 0 < p_value <= 1
    if p_value < 0.999:
        narrow, wide = (
            clustered_risk_difference(first, second, conf_level=1 - each * p_value).iloc[0]
            for each in (1.0001, 0.9999)
        )
        assert narrow["conf_low"] > 0 or narrow["conf_high"] < 0
        assert wide["conf_low"] <= 0 <= wide["conf_high"]


@settings(max_examples=40, deadline=None)
@given(first=clusters, second=clusters, conf_level=st.floats(0.5, 0.99))
def test_clustered_difference_and_ratio_agree_on_whether_there_is_a_difference(
    first: ClusterTotals, second: ClusterTotals, conf_level: float
) -> None:
    difference = clustered_risk_difference(first, second, conf_level=conf_level).iloc[0]
    ratio = clustered_risk_ratio(first, second, conf_level=conf_level).iloc[0]
    if not np.isnan(ratio["estimate"]):
        assert ratio["p_value"] == difference["p_value"]
        assert (difference["conf_low"] > 1e-9) <= (ratio["conf_low"] > 1)
        assert (difference["conf_high"] < -1e-9) <= (ratio["conf_high"] < 1)
        assert ratio["conf_low"] <= ratio["estimate"] * (1 + 1e-9)
        assert ratio["estimate"] <= ratio["conf_high"] * (1 + 1e-9)
    assert -1 <= difference["conf_low"] <= difference["estimate"] <= difference["conf_high"] <= 1


@settings(max_examples=40, deadline=None)
@given(first=clusters, second=clusters, estimator=st.sampled_from(ESTIMATORS))
def test_clustered_comparisons_mirror_when_the_groups_swap(
    first: ClusterTotals, second: ClusterTotals, estimator: object
) -> None:
    columns = ["estimate", *LIMITS, "p_value"]
    found = estimator(first, second)[columns].to_numpy()[0]
    swapped = estimator(second, first)[columns].to_numpy()[0]
    with np.errstate(divide="ignore"):
        mirror = -swapped if estimator is clustered_risk_difference else 1 / swapped
    np.testing.assert_allclose(found[:3], mirror[[0, 2, 1]], rtol=1e-8, atol=1e-12)
    assert found[3] == pytest.approx(swapped[3], nan_ok=True)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_one_cluster_or_none_leaves_an_estimate_without_an_interval(estimator: object) -> None:
    some = ClusterTotals.from_arrays([1, 0, 2, 1, 0, 3], [3] * 6, [1, 1, 1, 2, 2, 2])
    lone = ClusterTotals([1, 0], [3, 0], [1, 0], [9, 0], [1, 0], [3, 0], [1 / 3, 0])
    found = estimator(lone, some)
    assert found[[*LIMITS, "p_value", "std_error"]].isna().all(axis=None)
    assert found["estimate"].isna().tolist() == [False, True]
    assert found["note"].str.startswith("group: ").all()
    assert found["note"].iloc[0].startswith("group: one cluster: the variance between clusters is unknown")
    assert tuple(found.columns) == COMPARISON_COLUMNS


@pytest.mark.parametrize("estimator", [clustered_risk_ratio, clustered_rate_ratio])
def test_clustered_ratios_say_what_they_cannot_tell(estimator: object) -> None:
    silent, some = (
        ClusterTotals.from_arrays([0] * 4, [5] * 4),
        ClusterTotals.from_arrays([1, 0, 2, 0], [5] * 4),
    )
    none, infinite, unknown = (
        estimator(*each).iloc[0] for each in ((silent, some), (some, silent), (silent, silent))
    )
    assert (none["estimate"], none["conf_low"]) == (0, 0)
    assert np.isfinite(none["conf_high"])
    assert (infinite["estimate"], infinite["conf_high"]) == (np.inf, np.inf)
    assert infinite["conf_low"] == pytest.approx(1 / none["conf_high"])
    assert none["note"].endswith("only the upper limit says something")
    assert infinite["note"].endswith("only the lower limit says something")
    assert unknown["note"].endswith("no event in either group: their ratio is unknown")
    assert unknown[["estimate", *LIMITS, "p_value", "std_error"]].isna().all()


def test_limits_of_the_comparison_use_those_of_the_groups() -> None:
    # Where the reference is known exactly, the difference has the group's own interval, shifted.
    totals = ClusterTotals.from_arrays([3, 1, 0, 2, 2, 0], [4] * 6)
    many = ClusterTotals.from_arrays([1, 3] * 500_000, [4] * 1_000_000)
    own, other = clustered_proportion(totals).iloc[0], clustered_rate(totals).iloc[0]
    difference = clustered_risk_difference(totals, many).iloc[0]
    ratio = clustered_rate_ratio(totals, many).iloc[0]
    for limit in LIMITS:
        assert difference[limit] == pytest.approx(own[limit] - 0.5, abs=1e-4)
        assert ratio[limit] == pytest.approx(other[limit] / 0.5, rel=1e-2)


def test_repeated_sessions_of_patients_do_not_make_false_alarms() -> None:
    # 400 pairs of groups of 25 patients, 6 sessions each, beta-binomial with proportion 0.1 and intracluster
    # correlation 0.2 in both: of 5 % true alarms, up to 0.05 + 3·sqrt(0.05·0.95/400) = 0.083 may be seen; independent
    # sessions would give more than 0.15.
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(400), 25)
    sides = (
        ClusterTotals.from_arrays(
            rng.binomial(6, rng.beta(0.4, 3.6, len(group))), np.full(len(group), 6), group
        )
        for _ in range(2)
    )
    found = clustered_risk_difference(*sides)
    assert np.mean(found["p_value"] < 0.05) < 0.083
    assert np.mean((found["conf_low"] <= 0) & (found["conf_high"] >= 0)) > 0.917


def test_p_values_of_great_differences_stay_numbers() -> None:
    totals = ClusterTotals.from_arrays([5, 4] * 5000, [5] * 10_000)
    reference = ClusterTotals.from_arrays([0, 1] * 5000, [5] * 10_000)
    for estimator in ESTIMATORS:
        assert 0 < estimator(totals, reference)["p_value"].iloc[0] < 1e-40


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_clustered_comparisons_refuse_wrong_arguments(estimator: object) -> None:
    one = ClusterTotals.from_arrays([1, 0], [2, 2])
    two = ClusterTotals.from_arrays([1, 0], [2, 2], ["a", "b"])
    with pytest.raises(ValueError, match="totals has 1, reference has 2"):
        estimator(one, two)
    with pytest.raises(ValueError, match="conf_level == 1"):
        estimator(one, one, conf_level=1)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_clustered_comparisons_leave_their_inputs_unchanged(estimator: object) -> None:
    totals, reference = (ClusterTotals.from_arrays(each, [2, 3]) for each in ([1, 0], [2, 1]))
    estimator(totals, reference)
    assert (totals.successes.tolist(), totals.trials_squared.tolist()) == ([1], [13])
    assert (reference.successes.tolist(), reference.product.tolist()) == ([3], [7])
