"""Cumulative incidence against R (survfit on a factor), hand calculation and properties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesostats.estimators import kaplan_meier
from mesostats.estimators.competing import aalen_johansen

REFERENCE = Path(__file__).parents[1] / "reference"
ENDS = pd.read_csv(REFERENCE / "competing_ends.csv")
CURVES = pd.read_csv(REFERENCE / "aalen_johansen.csv")
COLUMNS = [
    *["cause", "time", "at_risk", "events", "censored", "estimate", "std_error", "conf_low", "conf_high"],
    *["conf_level", "method", "note"],
]

NO_EVENT = "no event of this kind so far: exact limit from those still at risk"

person = st.tuples(st.integers(0, 12), st.integers(0, 3), st.integers(0, 4))
people = st.lists(person, min_size=1, max_size=30)


def unzipped(people: list[tuple[int, int, int]]) -> list[np.ndarray]:
    return [np.array(part) for part in zip(*people, strict=True)]


@pytest.mark.parametrize(
    ("name", "conf_level"), list(CURVES[["set", "conf_level"]].drop_duplicates().itertuples(index=False))
)
def test_aalen_johansen_agrees_with_r(name: str, conf_level: float) -> None:
    rows = ENDS[ENDS["set"] == name]
    expected = CURVES.query("set == @name and conf_level == @conf_level").reset_index(drop=True)
    found = aalen_johansen(rows["time"], rows["event"], rows["weight"], causes=[1, 2], conf_level=conf_level)
    assert len(found) == len(expected) > 0
    # While a cause has not come survfit() has no limits: there, those of binom.test().
    none = expected["exact_low"].notna()
    assert expected.loc[none, ["conf_low", "conf_high"]].isna().all(axis=None)
    assert (found["note"] == NO_EVENT).tolist() == none.tolist()
    limits = {"conf_low": 0.0, "conf_high": 1 - expected["exact_low"]}
    expected = expected.assign(**{name: expected[name].mask(none, limit) for name, limit in limits.items()})
    for column in ["cause", "time", "at_risk", "events", "estimate", "std_error", "conf_low", "conf_high"]:
        np.testing.assert_allclose(
            found[column], expected[column], rtol=1e-8, atol=1e-12, err_msg=column, equal_nan=True
        )


def test_aalen_johansen_by_hand() -> None:
    # Four: cause 1 at 1; cause 2 at 2; censored at 2 (still at risk at it); cause 1 at 3.
    found = aalen_johansen([1, 2, 2, 3], [1, 2, 0, 1])
    own = found[found["cause"] == 1]
    assert list(found.columns) == COLUMNS
    assert own["at_risk"].tolist() == [4, 3, 1]
    assert own["censored"].tolist() == [0, 1, 0]
    # 1/4, then S(2) = 3/4·2/3 = 1/2, all of which goes at 3.
    assert own["estimate"].tolist() == pytest.approx([1 / 4, 1 / 4, 3 / 4])
    assert found.loc[found["cause"] == 2, "estimate"].tolist() == pytest.approx([0, 1 / 4, 1 / 4])
    # F(1 - F)/n while nobody was censored.
    assert own["std_error"].iloc[0] == pytest.approx(np.sqrt(1 / 4 * 3 / 4 / 4))


def test_aalen_johansen_notes_where_the_interval_is_not_defined() -> None:
    found = aalen_johansen([1, 2], [1, 1], causes=[1, 2])
    assert found["note"].tolist() == [
        "",
        "everybody had the event: the interval is not defined",
        *[NO_EVENT] * 2,
    ]
    assert found["std_error"].tolist() == pytest.approx([np.sqrt(1 / 8), 0, 0, 0])
    assert found["conf_low"].isna().tolist() == [False, True, False, False]
    # Of two, and then of one, none had it: by hand 1 - 0.025^(1/2) and 1 - 0.025.
    assert found["conf_high"].tolist()[2:] == pytest.approx([1 - 0.025**0.5, 0.975])


def test_aalen_johansen_of_nobody_is_an_empty_curve() -> None:
    for found in (
        aalen_johansen([], []),
        aalen_johansen([], [], causes=[1]),
        aalen_johansen([1], [1], [0], causes=[1]),
    ):
        assert found.empty
        assert list(found.columns) == COLUMNS


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([1, 2], [1]), {}, "lengths differ: time has 2, event has 1"),
        (([1, -2], [1, 0]), {}, "time has 1 negative values"),
        (([1, 2], [1, 0.5]), {}, "event has 1 values that are not whole"),
        (([1, 2], [1, 0]), {"causes": [0]}, "causes holds 0, which is the code for censored"),
        (([1, 2], [1, 0]), {"conf_level": 95}, "conf_level == 95"),
    ],
)
def test_aalen_johansen_refuses_wrong_arguments(arguments: tuple, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        aalen_johansen(*arguments, **options)


@given(people=people)
def test_aalen_johansen_of_all_causes_adds_up_to_one_minus_kaplan_meier(people: list) -> None:
    time, event, weight = unzipped(people)
    found = aalen_johansen(time, event, weight, causes=[1, 2, 3])
    together = found.groupby("time")["estimate"].sum()
    survival = kaplan_meier(time, event > 0, weight)
    np.testing.assert_allclose(together, 1 - survival["estimate"], atol=1e-12)


@given(people=people)
def test_aalen_johansen_of_one_cause_has_the_standard_error_of_kaplan_meier(people: list) -> None:
    time, event, _ = unzipped(people)
    found = aalen_johansen(time, event > 0, causes=[1])
    survival = kaplan_meier(time, event > 0)
    inside = survival["estimate"].between(0, 1, inclusive="neither").to_numpy()
    np.testing.assert_allclose(found["std_error"][inside], survival["std_error"][inside], rtol=1e-8)


@given(people=people)
def test_aalen_johansen_without_censoring_is_the_share_with_the_cause(people: list) -> None:
    time, event, _ = unzipped(people)
    found = aalen_johansen(time, event + 1, causes=[1])
    share = np.array([np.mean((time <= t) & (event == 0)) for t in found["time"]])
    np.testing.assert_allclose(found["estimate"], share, atol=1e-12)
    np.testing.assert_allclose(found["std_error"], np.sqrt(share * (1 - share) / len(time)), atol=1e-9)


@given(people=people)
def test_aalen_johansen_with_weights_is_that_of_repeated_rows(people: list) -> None:
    time, event, weight = unzipped(people)
    weighted = aalen_johansen(time, event, weight, causes=[1, 2])
    repeated = aalen_johansen(np.repeat(time, weight), np.repeat(event, weight), causes=[1, 2])
    pd.testing.assert_frame_equal(weighted, repeated)


@given(people=people, factor=st.integers(2, 20))
def test_aalen_johansen_narrows_when_everybody_is_counted_more(people: list, factor: int) -> None:
    time, event, _ = unzipped(people)
    once, more = (aalen_johansen(time, event, np.full(len(time), times), causes=[1]) for times in (1, factor))
    inside = once["note"] == ""
    np.testing.assert_allclose(once["estimate"], more["estimate"], atol=1e-12)
    width = (once["conf_high"] - once["conf_low"])[inside]
    assert (width > (more["conf_high"] - more["conf_low"])[inside]).all()
    assert (once["conf_low"][inside] <= once["estimate"][inside]).all()
    assert (once["estimate"][inside] <= once["conf_high"][inside]).all()


def test_aalen_johansen_leaves_its_input_unchanged() -> None:
    time, event = np.array([3.0, 1.0]), np.array([1, 2])
    aalen_johansen(time, event)
    assert time.tolist() == [3.0, 1.0]
    assert event.tolist() == [1, 2]
