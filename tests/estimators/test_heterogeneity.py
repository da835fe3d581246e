"""Whether differences are alike in subgroups: against a weighted regression in R, and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mesostats.estimators.heterogeneity import difference_heterogeneity

LEVELS = pd.read_csv(Path(__file__).parents[1] / "reference" / "heterogeneity.csv")
COUNTS = [LEVELS[name] for name in ("y", "n", "y0", "n0")]


def test_the_statistic_is_that_of_the_weighted_regression() -> None:
    row = difference_heterogeneity(*COUNTS).iloc[0]
    assert row["statistic"] == pytest.approx(LEVELS["statistic"][0], rel=1e-8)
    assert row["p_value"] == pytest.approx(LEVELS["p_value"][0], rel=1e-8)
    assert row["df"] == 3


def test_swapping_the_groups_changes_nothing() -> None:
    swapped = difference_heterogeneity(*COUNTS[2:], *COUNTS[:2]).iloc[0]
    assert swapped["statistic"] == pytest.approx(LEVELS["statistic"][0])


def test_equal_levels_are_alike() -> None:
    assert difference_heterogeneity([5, 5], [10, 10], [2, 2], [9, 9])["statistic"].item() == pytest.approx(0)


def test_a_design_effect_divides_the_statistic() -> None:
    row = difference_heterogeneity(*COUNTS, design_effects=2.0, reference_design_effects=[2.0] * 4).iloc[0]
    assert row["statistic"] == pytest.approx(LEVELS["statistic"][0] / 2)


def test_levels_without_a_group_are_left_out() -> None:
    counts = [[*values, extra] for values, extra in zip(COUNTS, (3, 5, 0, 0), strict=True)]
    row = difference_heterogeneity(*counts).iloc[0]
    assert row["statistic"] == pytest.approx(LEVELS["statistic"][0])
    assert (row["levels"], row["levels_used"]) == (5, 4)
    assert "1 of 5 levels left out" in row["note"]


@pytest.mark.parametrize("counts", [([1], [2], [0], [2]), ([1, 1], [2, 2], [0, 0], [2, 0]), ([], [], [], [])])
def test_one_level_has_no_test(counts: tuple[list[int], ...]) -> None:
    row = difference_heterogeneity(*counts).iloc[0]
    assert np.isnan(row["statistic"])
    assert np.isnan(row["p_value"])
    assert "fewer than two levels" in row["note"]


def test_lengths_are_checked() -> None:
    with pytest.raises(ValueError, match="lengths differ"):
        difference_heterogeneity(*COUNTS, design_effects=[1.0, 2.0])
