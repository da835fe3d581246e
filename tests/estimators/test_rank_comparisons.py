"""Win probabilities and rank tests against R's pROC and coin, and against counts of all pairs."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesostats.estimators.rank_comparisons import newcombe_limits, van_elteren, win_probability

REFERENCE = Path(__file__).parents[1] / "reference"
COURSES = pd.read_csv(REFERENCE / "graded_courses.csv")
EXPECTED = pd.read_csv(REFERENCE / "rank_comparisons.csv").set_index("test")
GRADES = st.lists(st.integers(0, 4), min_size=2, max_size=12)


@pytest.mark.parametrize(("test", "strata"), [("wilcoxon", None), ("van_elteren", COURSES["clinic"])])
def test_ranks_are_those_of_coin_and_proc(test: str, strata: pd.Series | None) -> None:
    expected = EXPECTED.loc[test]
    tested = van_elteren(COURSES["grade"], COURSES["arm"], strata=strata, reference="control").iloc[0]
    # coin takes the first level, active, as the group.
    assert tested["statistic"] == pytest.approx(expected["statistic"], rel=1e-8)
    assert tested["p_value"] == pytest.approx(expected["p_value"], rel=1e-8)
    wins = win_probability(COURSES["grade"], COURSES["arm"], strata=strata, reference="control").iloc[0]
    assert wins["estimate"] == pytest.approx(expected["area"], rel=1e-8)
    assert wins["std_error"] == pytest.approx(expected["std_error"], rel=1e-8)
    assert wins["strata_used"] == (1 if strata is None else 3)


@given(own=GRADES, other=GRADES)
def test_the_estimate_counts_all_pairs(own: list[int], other: list[int]) -> None:
    found = win_probability([*own, *other], ["a"] * len(own) + ["b"] * len(other), reference="b").iloc[0]
    pairs = [(x > y) + (x == y) / 2 for x in own for y in other]
    assert found["estimate"] == pytest.approx(np.mean(pairs))
    swapped = win_probability([*own, *other], ["b"] * len(own) + ["a"] * len(other), reference="b").iloc[0]
    assert swapped["estimate"] == pytest.approx(1 - found["estimate"])
    for low, high in (("conf_low", "conf_high"), ("conf_high", "conf_low")):
        assert swapped[low] == pytest.approx(1 - found[high], nan_ok=True, abs=1e-9)


def test_the_variance_of_the_rank_sum_is_that_of_all_permutations() -> None:
    # All 20 ways to choose 3 of 6 grades.
    grade = np.array([2, 3, 1, 1, 2, 0])
    ranks = pd.Series(grade).rank().to_numpy()
    sums = [ranks[list(chosen)].sum() for chosen in combinations(range(6), 3)]
    found = van_elteren(grade, list("aaabbb"), reference="b").iloc[0]
    assert found["statistic"] == pytest.approx((ranks[:3].sum() - np.mean(sums)) / np.std(sums))


def test_clusters_of_alike_observations_count_once() -> None:
    # Each observation twice: without clusters the variance halves (nearly), with them it is that of the single ones.
    grade, group = [0, 1, 2, 1, 3, 2, 4, 1], list("bbbbaaaa")
    doubled = win_probability(
        np.repeat(grade, 2), np.repeat(group, 2), clusters=np.repeat(np.arange(8), 2), reference="b"
    ).iloc[0]
    influence_sum = win_probability(grade, group, reference="b").iloc[0]
    # k/(k - 1) = 8/7 of the sum over clusters; DeLong has n/(n - 1) = 4/3 in each group.
    assert doubled["std_error"] ** 2 * 7 / 8 == pytest.approx(influence_sum["std_error"] ** 2 * 3 / 4)
    assert doubled["df"] == 7


def test_a_patient_in_both_groups_is_its_own_control() -> None:
    # Both grades of a patient go together: the difference is seen far better than between strangers.
    rng = np.random.default_rng(3)
    level = rng.integers(0, 4, 40)
    grade, group = np.concatenate([level, level + (np.arange(40) % 3 == 0)]), np.repeat(["b", "a"], 40)
    paired = win_probability(grade, group, clusters=np.tile(np.arange(40), 2), reference="b").iloc[0]
    strangers = win_probability(grade, group, reference="b").iloc[0]
    assert paired["estimate"] == strangers["estimate"]
    assert paired["std_error"] < 0.5 * strangers["std_error"]


def test_no_overlap_has_newcombes_interval() -> None:
    row = win_probability([3, 4, 5, 0, 1, 2], list("aaabbb"), reference="b").iloc[0]
    assert (row["estimate"], row["conf_high"]) == (1, 1)
    # At the lower limit t: (1 - t)² = z²·V(t), with m = 2 and n·n₀ = 9.
    t, z = row["conf_low"], 1.959963984540054
    variance = t * (1 - t) * (1 + 2 * (1 - t) / (2 - t) + 2 * t / (1 + t)) / 9
    assert (1 - t) ** 2 == pytest.approx(z**2 * variance)
    assert "Newcombe" in row["note"]
    assert newcombe_limits(0.0, 3, 3, conf_level=0.95) == (0.0, pytest.approx(1 - t))


def test_groups_of_one_have_the_variance_of_the_test() -> None:
    # One patient a group in each of five strata: the test's variance is all there is.
    grade = [1, 0, 2, 1, 3, 1, 0, 2, 4, 1]
    group, strata = ["a", "b"] * 5, np.repeat(np.arange(5), 2)
    row = win_probability(grade, group, strata=strata, reference="b").iloc[0]
    tested = van_elteren(grade, group, strata=strata, reference="b").iloc[0]
    assert row["estimate"] == pytest.approx(0.8)
    assert row["statistic"] == pytest.approx(tested["statistic"])
    # The sign test of 4 wins and 1 defeat, without continuity correction: 3/sqrt(5).
    assert tested["statistic"] == pytest.approx(3 / np.sqrt(5))
    assert "a group of one in 5 of 5 strata" in row["note"]


def test_strata_without_a_group_are_left_out_visibly() -> None:
    grade, group, strata = [0, 1, 2, 1, 5, 5], list("bbaaaa"), [1, 1, 1, 1, 2, 2]
    row = win_probability(grade, group, strata=strata, reference="b").iloc[0]
    alone = win_probability(grade[:4], group[:4], reference="b").iloc[0]
    assert row["estimate"] == alone["estimate"]
    assert (row["strata"], row["strata_used"], row["denominator"]) == (2, 1, 2)
    assert "1 of 2 strata left out" in row["note"]


@pytest.mark.parametrize(
    ("grade", "group", "strata", "note"),
    [
        ([1, 1, 1, 1], "aabb", None, "no variance is seen"),
        ([0, 1, 2, 3], "aabb", [1, 1, 2, 2], "no stratum holds both groups"),
    ],
)
def test_nothing_to_compare(grade: list[int], group: str, strata: list[int] | None, note: str) -> None:
    row = win_probability(grade, list(group), strata=strata, reference="b").iloc[0]
    assert np.isnan(row["conf_low"])
    assert note in row["note"]
    tested = van_elteren(grade, list(group), strata=strata, reference="b").iloc[0]
    assert np.isnan(tested["p_value"])
    assert tested["note"] != ""


def test_one_cluster_has_no_interval() -> None:
    row = win_probability([0, 1, 2, 1], list("abab"), clusters=[1, 1, 1, 1], reference="b").iloc[0]
    assert np.isfinite(row["estimate"])
    assert np.isnan(row["p_value"])


def test_frequencies_are_alike_observations() -> None:
    counted = COURSES.groupby(["arm", "clinic", "grade"], as_index=False).size()
    arguments = {"reference": "control"}
    for estimator, names in (
        (win_probability, ["estimate", "std_error", "df"]),
        (van_elteren, ["statistic"]),
    ):
        one = estimator(COURSES["grade"], COURSES["arm"], strata=COURSES["clinic"], **arguments)
        few = estimator(
            counted["grade"],
            counted["arm"],
            strata=counted["clinic"],
            frequencies=counted["size"],
            **arguments,
        )
        assert few[names].iloc[0].tolist() == pytest.approx(one[names].iloc[0].tolist())
