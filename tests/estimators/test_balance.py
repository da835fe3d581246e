"""Standardized differences against R and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesostats.estimators.balance import standardized_mean_difference, standardized_share_difference

ROWS = pd.read_csv(Path(__file__).parents[1] / "reference" / "share_difference.csv")


@pytest.mark.parametrize("name", ROWS["set"].unique())
def test_shares_are_those_of_yang_and_dalton(name: str) -> None:
    rows = ROWS[ROWS["set"] == name]
    found = standardized_share_difference(rows[["first", "second"]].to_numpy().T)
    assert found["estimate"].item() == pytest.approx(rows["estimate"].iloc[0], rel=1e-10)


@given(st.permutations(range(4)))
def test_the_order_of_levels_does_not_matter(order: list[int]) -> None:
    table = np.array([[4, 9, 2, 15], [8, 8, 8, 8]])
    turned = standardized_share_difference(table[:, order])["estimate"].item()
    assert turned == pytest.approx(standardized_share_difference(table)["estimate"].item())


def test_the_largest_pair_is_found() -> None:
    # 2 against 8 with deviations 1 and 3: 6/sqrt(5); the others are 3/sqrt(1) and 3/sqrt(5).
    found = standardized_mean_difference([2, 5, 8], [1, 1, 3]).iloc[0]
    assert found["estimate"] == pytest.approx(3.0)
    assert (found["first"], found["second"]) == (0, 1)
    both = standardized_mean_difference([2, 8], [1, 3])["estimate"].item()
    assert both == pytest.approx(6 / np.sqrt(5))


def test_a_level_that_neither_has_changes_nothing() -> None:
    plain = standardized_share_difference([[30, 10], [20, 20]])["estimate"].item()
    assert standardized_share_difference([[30, 0, 10], [20, 0, 20]])["estimate"].item() == pytest.approx(
        plain
    )


@pytest.mark.parametrize(
    ("table", "estimate", "note"),
    [
        ([[10, 0], [0, 10]], np.nan, "no variation"),
        ([[10, 0], [10, 0]], 0.0, ""),
        ([[10, 5], [0, 0]], np.nan, "fewer than two groups"),
    ],
)
def test_degenerate_shares(table: list[list[int]], estimate: float, note: str) -> None:
    found = standardized_share_difference(table).iloc[0]
    assert found["estimate"] == pytest.approx(estimate, nan_ok=True)
    assert note in found["note"]


def test_degenerate_means_and_arguments() -> None:
    assert standardized_mean_difference([1, 1], [0, 0])["estimate"].item() == 0
    assert np.isnan(standardized_mean_difference([1, 2], [0, 0])["estimate"].item())
    assert "fewer than two" in standardized_mean_difference([1, np.nan], [1, np.nan])["note"].item()
    with pytest.raises(ValueError, match="2: groups and levels"):
        standardized_share_difference([1, 2])
    with pytest.raises(ValueError, match="negative"):
        standardized_mean_difference([1, 2], [1, -1])
