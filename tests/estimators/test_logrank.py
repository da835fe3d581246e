"""The log-rank test against R (survdiff), a published table, hand calculation and properties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesostats.estimators import logrank, logrank_groups

REFERENCE = Path(__file__).parents[1] / "reference"
PEOPLE = pd.read_csv(REFERENCE / "people.csv")
LOGRANK = pd.read_csv(REFERENCE / "logrank.csv")

person = st.tuples(st.integers(0, 12), st.booleans(), st.integers(0, 4), st.sampled_from("abc"))
people = st.lists(person, min_size=1, max_size=25)


def assert_close(
    found: pd.DataFrame, expected: pd.DataFrame, columns: list[str], *, atol: float = 1e-12
) -> None:
    for column in columns:
        np.testing.assert_allclose(found[column], expected[column], rtol=1e-8, atol=atol, err_msg=column)


@pytest.mark.parametrize(
    ("name", "stratified"), list(LOGRANK[["set", "stratified"]].drop_duplicates().itertuples(index=False))
)
def test_logrank_agrees_with_r(name: str, stratified: int) -> None:
    expected = LOGRANK.query("set == @name and stratified == @stratified").reset_index(drop=True)
    rows = PEOPLE[PEOPLE["set"] == name]
    arguments = (rows["time"], rows["event"], rows["group"])
    options = {"weights": rows["weight"], "strata": rows["stratum"] if stratified else None}

    found = logrank(*arguments, **options)

    assert_close(found, expected.head(1), ["statistic", "df"])
    np.testing.assert_allclose(found["p_value"], expected["p_value"].head(1), rtol=1e-7)
    assert found["method"].iloc[0] == ("stratified log-rank test" if stratified else "log-rank test")
    assert_close(
        logrank_groups(*arguments, **options), expected, ["group", "persons", "observed", "expected"]
    )


def test_logrank_agrees_with_the_published_remission_test() -> None:
    # Kleinbaum and Klein, Survival Analysis, chapter 2: log-rank 16.79, expected 19.25 and 10.75.
    rows = PEOPLE[PEOPLE["set"] == "freireich"]
    assert logrank(rows["time"], rows["event"], rows["group"])["statistic"].iloc[0] == pytest.approx(
        16.79, abs=0.005
    )
    groups = logrank_groups(rows["time"], rows["event"], rows["group"])
    assert list(groups["expected"].round(2)) == [19.25, 10.75]


@pytest.mark.parametrize(
    ("time", "event", "group", "note"),
    [
        ([1, 2], [1, 1], ["a", "a"], "one group: nothing to compare"),
        ([1, 2], [0, 0], ["a", "b"], "no events"),
        ([2, 2], [1, 1], ["a", "b"], "the events could not have fallen otherwise: nothing to compare"),
        ([], [], [], "no observations"),
    ],
)
def test_logrank_without_information_is_missing_with_a_note(
    time: list[int], event: list[int], group: list[str], note: str
) -> None:
    found = logrank(time, event, group).iloc[0]
    assert np.isnan(found["statistic"])
    assert np.isnan(found["p_value"])
    assert found["df"] == 0
    assert found["note"] == note


def test_logrank_notes_a_group_that_was_never_at_risk() -> None:
    found = logrank([1, 2, 3, 4, 0.5], [1, 1, 1, 1, 0], ["a", "a", "b", "b", "c"]).iloc[0]
    assert found["note"] == "a group was never at risk when an event happened: it does not count"
    assert found["df"] == 1


@given(people=people)
def test_logrank_does_not_depend_on_the_names_of_the_groups(people: list[tuple[int, bool, int, str]]) -> None:
    time, event, weight, group = (np.array(part) for part in zip(*people, strict=True))
    renamed = np.array([{"a": 3, "b": 1, "c": 2}[name] for name in group])
    first, second = logrank(time, event, group, weights=weight), logrank(time, event, renamed, weights=weight)
    assert_close(first, second, ["statistic", "df", "p_value"], atol=1e-8)


@given(people=people)
def test_logrank_observed_and_expected_have_the_same_sum(people: list[tuple[int, bool, int, str]]) -> None:
    time, event, weight, group = (np.array(part) for part in zip(*people, strict=True))
    found = logrank_groups(time, event, group, weights=weight, strata=time % 2)
    assert found["observed"].sum() == pytest.approx(found["expected"].sum())
    assert found["persons"].sum() == weight.sum()


def test_logrank_is_uniform_where_groups_are_alike() -> None:
    # 400 trials of two groups with the same exponential times: p below 0.1 in about 40 of them (sd 6).
    rng = np.random.default_rng(5)
    time, event = rng.exponential(1.0, (400, 60)), rng.random((400, 60)) < 0.7
    group = np.tile([0, 1], 30)
    small = [logrank(time[i], event[i], group)["p_value"].iloc[0] < 0.1 for i in range(400)]
    assert 20 < sum(small) < 62


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([1, 2], [1, 1], ["a", None]), {}, "group has 1 missing"),
        (([1, 2], [1, 1], ["a"]), {}, "group has 1"),
        (([1, 2], [1, 1], ["a", "b"]), {"strata": [1]}, "strata has 1"),
        (([1, 2], [1, 1], ["a", "b"]), {"weights": [1, -1]}, "weights has 1 negative"),
        (([1, 2], [1, 3], ["a", "b"]), {}, "event has 1 values other than 0 and 1"),
    ],
)
def test_logrank_refuses_wrong_arguments(
    arguments: tuple[object, ...], options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        logrank(*arguments, **options)


def test_logrank_of_groups_that_never_meet_adds_their_strata() -> None:
    # Groups a and b meet in one stratum, c and d in the other: two independent comparisons of 1 degree of freedom each.
    # By hand as in the docstring: (7/6)²/(1/4 + 2/9) in each.
    time, event = [1, 2, 3, 4] * 2, [1] * 8
    found = logrank(time, event, list("aabbccdd"), strata=[1] * 4 + [2] * 4).iloc[0]
    assert found["statistic"] == pytest.approx(2 * (7 / 6) ** 2 / (1 / 4 + 2 / 9))
    assert found["df"] == 2


def test_logrank_leaves_its_inputs_unchanged() -> None:
    time, event, group = np.array([3.0, 1.0, 2.0]), np.array([True, False, True]), np.array(["a", "b", "a"])
    logrank(time, event, group)
    assert list(time) == [3.0, 1.0, 2.0]
    assert list(event) == [True, False, True]
    assert list(group) == ["a", "b", "a"]
