"""Trends of proportions against R, by hand, and on data without one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mesostats.estimators.trends import proportion_trend

ROWS = pd.read_csv(Path(__file__).parents[1] / "reference" / "proportion_trend.csv")


@pytest.mark.parametrize("name", ROWS["set"].unique())
def test_trend_is_that_of_prop_trend_test(name: str) -> None:
    rows = ROWS[ROWS["set"] == name]
    outcome = np.concatenate(
        [np.repeat([1, 0], [x, n - x]) for x, n in zip(rows["x"], rows["n"], strict=True)]
    )
    found = proportion_trend(outcome, np.repeat(rows["score"], rows["n"])).iloc[0]
    expected = rows.iloc[0]
    for column in ("estimate", "std_error", "p_value"):
        assert found[column] == pytest.approx(expected[column], rel=1e-8)
    assert abs(found["statistic"]) == pytest.approx(expected["statistic"], rel=1e-8)
    assert np.sign(found["statistic"]) == np.sign(found["estimate"])


def test_clusters_by_hand() -> None:
    # Patients a (x 1, y 0; x 1, y 0), b (x 2, y 1), c (x 4, y 1): mean x 2, p 1/2; U = 1/2·2 + 0 + 1 = 2 in parts 1, 0, 1.
    found = proportion_trend([0, 0, 1, 1], [1, 1, 2, 4], clusters=[*"aabc"]).iloc[0]
    assert found["estimate"] == pytest.approx(2 / 6)  # sum of squares 1 + 1 + 0 + 4
    assert found["statistic"] == pytest.approx(2 / np.sqrt(3 / 2 * 2))
    assert found["df"] == 2
    # Slopes without a: undefined? x 2 and 4 with y 1 and 1: 0; without b: x 1, 1, 4: 1/3; without c: x 1, 1, 2: 1.
    slopes = np.array([0, 1 / 3, 1])
    assert found["std_error"] == pytest.approx(np.sqrt(2 / 3 * np.sum((slopes - slopes.mean()) ** 2)))


def test_twins_in_one_cluster_tell_no_more_than_one() -> None:
    rng = np.random.default_rng(3)
    x, k = rng.integers(1, 6, 200), np.arange(200)
    y = (rng.random(200) < 0.2 + 0.1 * x).astype(int)
    once = proportion_trend(y, x, clusters=k).iloc[0]
    twice = proportion_trend(np.repeat(y, 2), np.repeat(x, 2), clusters=np.repeat(k, 2)).iloc[0]
    naive = proportion_trend(np.repeat(y, 2), np.repeat(x, 2)).iloc[0]
    assert twice["estimate"] == pytest.approx(once["estimate"])
    # Apart from the lower bound, which that of one each may have reached, errors are the same; taken as independent, 1/√2.
    assert 0.9 < twice["std_error"] / once["std_error"] <= 1 + 1e-9
    assert 0.9 < once["statistic"] / twice["statistic"] <= 1 + 1e-9
    assert naive["std_error"] < 0.8 * twice["std_error"]
    assert once["conf_low"] < 0.1 < once["conf_high"]


def test_size_holds_where_few_have_an_extreme_score() -> None:
    # 3 of 60 far from the others, no trend: the 5 % test and the 95 % interval err at most 5 % of the time, give or take.
    rng, x = np.random.default_rng(5), np.r_[np.full(57, 4), np.full(3, 2)]
    rows = pd.concat(
        [proportion_trend((rng.random(60) < 0.5).astype(int), x) for _ in range(400)], ignore_index=True
    )
    missed = (rows["conf_low"] > 0) | (rows["conf_high"] < 0)
    assert (rows["p_value"] < 0.05).mean() < 0.1
    assert missed.mean() < 0.1


def test_alike_at_a_rare_score_is_no_certainty() -> None:
    # None of 5 at score 4 and 5 of 28 at score 5: test and interval agree that it may be chance.
    found = proportion_trend([0] * 5 + [1] * 5 + [0] * 23, [4] * 5 + [5] * 28).iloc[0]
    assert found["p_value"] > 0.2
    assert found["conf_low"] < 0 < found["conf_high"]


@pytest.mark.parametrize(
    ("outcome", "score", "note"),
    [
        ([], [], "no observations"),
        ([1, 0], [2, 2], "all scores are alike"),
        ([1, 1], [1, 2], "all outcomes are alike"),
    ],
)
def test_without_a_trend_to_see(outcome: list[int], score: list[int], note: str) -> None:
    found = proportion_trend(outcome, score).iloc[0]
    assert np.isnan(found["estimate"])
    assert note in found["note"]


def test_one_cluster_and_wrong_arguments() -> None:
    found = proportion_trend([0, 1], [1, 2], clusters=["a", "a"]).iloc[0]
    assert found["estimate"] == 1
    assert np.isnan(found["conf_low"])
    assert "one cluster" in found["note"]
    with pytest.raises(ValueError, match="lengths differ"):
        proportion_trend([0, 1], [1])
