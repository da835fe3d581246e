"""Gray's test against R (cmprsk::cuminc), hand calculation and properties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesostats.estimators.gray import gray

REFERENCE = Path(__file__).parents[1] / "reference"
ENDS = pd.read_csv(REFERENCE / "competing_ends.csv")
TESTS = pd.read_csv(REFERENCE / "gray.csv")

person = st.tuples(st.integers(0, 8), st.integers(0, 2), st.integers(0, 3), st.sampled_from("abc"))
people = st.lists(person, min_size=1, max_size=25)


@pytest.mark.parametrize(
    ("name", "stratified", "cause"), list(TESTS[["set", "stratified", "cause"]].itertuples(index=False))
)
def test_gray_agrees_with_r(name: str, stratified: int, cause: int) -> None:
    expected = TESTS.query("set == @name and stratified == @stratified and cause == @cause").iloc[0]
    rows = ENDS[ENDS["set"] == name]
    found = gray(
        rows["time"],
        rows["event"],
        rows["group"],
        cause=cause,
        weights=rows["weight"],
        strata=rows["stratum"] if stratified else None,
    ).iloc[0]
    assert found["statistic"] == pytest.approx(expected["statistic"], rel=1e-8)
    assert found["df"] == expected["df"]
    assert found["p_value"] == pytest.approx(expected["p_value"], rel=1e-7)
    assert found["method"] == ("stratified Gray's test" if stratified else "Gray's test")


def test_gray_counts_those_whom_a_competing_end_took() -> None:
    found = gray([1, 2, 3, 4], [2, 1, 1, 0], ["a", "a", "b", "b"], cause=1).iloc[0]
    # R: cmprsk::cuminc(1:4, c(2, 1, 1, 0), c(1, 1, 2, 2))$Tests
    # The one of a that the competing end took at 1 stays: at 2 either group has two standing, and u is 1 - 1/2.
    assert found["statistic"] == pytest.approx(0.8)
    assert found["p_value"] == pytest.approx(0.371093369522698)


@pytest.mark.parametrize(
    ("time", "event", "group", "note"),
    [
        ([1, 2], [1, 2], ["a", "a"], "one group: nothing to compare"),
        ([1, 2], [0, 2], ["a", "b"], "no events"),
        ([2, 2], [1, 1], ["a", "b"], "the events could not have fallen otherwise: nothing to compare"),
        ([], [], [], "no observations"),
    ],
)
def test_gray_without_information_is_missing_with_a_note(
    time: list[int], event: list[int], group: list[str], note: str
) -> None:
    found = gray(time, event, group).iloc[0]
    assert np.isnan(found["statistic"])
    assert np.isnan(found["p_value"])
    assert found["df"] == 0
    assert found["note"] == note


@given(people=people)
def test_gray_with_weights_is_that_of_repeated_rows(people: list) -> None:
    time, event, weight, group = (np.array(part) for part in zip(*people, strict=True))
    weighted = gray(time, event, group, weights=weight)
    repeated = gray(np.repeat(time, weight), np.repeat(event, weight), np.repeat(group, weight))
    pd.testing.assert_frame_equal(weighted, repeated)


@given(people=people)
def test_gray_does_not_depend_on_the_names_of_the_groups(people: list) -> None:
    time, event, _, group = (np.array(part) for part in zip(*people, strict=True))
    renamed = np.array([{"a": "z", "b": "y", "c": "x"}[label] for label in group])
    first, second = gray(time, event, group).iloc[0], gray(time, event, renamed).iloc[0]
    assert first["df"] == second["df"]
    np.testing.assert_allclose(first["statistic"], second["statistic"], rtol=1e-6, atol=1e-9)


def test_gray_refuses_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="cause == 0"):
        gray([1], [1], ["a"], cause=0)
    with pytest.raises(ValueError, match="group has 1 missing values"):
        gray([1, 2], [1, 1], ["a", None])
    with pytest.raises(ValueError, match="lengths differ"):
        gray([1, 2], [1, 1], ["a"])
