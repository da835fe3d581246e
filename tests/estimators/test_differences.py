"""Risk differences against R (likelihood equation by uniroot, prop.test, chisq.test), published tables, properties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesostats.estimators.bisection import crossing
from mesostats.estimators.differences import risk_difference
from mesostats.estimators.mover import Limits, difference_limits, ratio_limits
from mesostats.estimators.two_groups import COMPARISON_COLUMNS

REFERENCE = Path(__file__).parents[1] / "reference"
COUNTS = ["x", "n", "x0", "n0"]
METHODS = ["miettinen_nurminen", "newcombe"]
NUMBERS = ["estimate", "std_error", "conf_low", "conf_high", "statistic", "p_value"]

tally = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
tables = st.tuples(tally, tally).map(lambda pair: (*pair[0], *pair[1]))


@pytest.mark.parametrize("conf_level", [0.8, 0.95, 0.99])
def test_risk_difference_agrees_with_r(conf_level: float) -> None:
    cases = pd.read_csv(REFERENCE / "risk_difference.csv").query("conf_level == @conf_level")
    assert len(cases) == 21
    counted = [cases[name] for name in COUNTS]

    found = risk_difference(*counted, conf_level=conf_level)
    hybrid = risk_difference(*counted, method="newcombe", conf_level=conf_level)

    for column in NUMBERS:
        np.testing.assert_allclose(found[column], cases[column], rtol=1e-8, atol=1e-12, err_msg=column)
    np.testing.assert_allclose(hybrid["conf_low"], cases["newcombe_low"], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(hybrid["conf_high"], cases["newcombe_high"], rtol=1e-8, atol=1e-12)
    for column in ["estimate", "std_error", "statistic", "p_value"]:
        np.testing.assert_array_equal(hybrid[column], found[column])


def test_risk_difference_agrees_with_published_limits() -> None:
    # Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I, table II, examples a to h,
    # methods 6 (Miettinen-Nurminen) and 10 (his own).
    counted = [
        [56, 9, 6, 5, 0, 0, 10, 10],
        [70, 10, 7, 56, 10, 10, 10, 10],
        [48, 3, 2, 0, 0, 0, 0, 0],
        [80, 10, 7, 29, 20, 10, 20, 10],
    ]
    score, hybrid = (risk_difference(*counted, method=method) for method in METHODS)
    assert score["conf_low"].round(4).tolist() == [
        *[0.0528, 0.1700, 0.0342, -0.0326],
        *[-0.1658, -0.2879, 0.7156, 0.6636],
    ]
    assert score["conf_high"].round(4).tolist() == [
        *[0.3382, 0.8406, 0.8534, 0.1933],
        *[0.2844, 0.2879, 1.0, 1.0],
    ]
    assert hybrid["conf_low"].round(4).tolist() == [
        *[0.0524, 0.1705, 0.0582, -0.0381],
        *[-0.1611, -0.2775, 0.6791, 0.6075],
    ]
    assert hybrid["conf_high"].round(4).tolist() == [
        *[0.3339, 0.8090, 0.8062, 0.1926],
        *[0.2775, 0.2775, 1.0, 1.0],
    ]


def test_risk_difference_of_nobody_with_the_event_solves_the_quadratic() -> None:
    # With no events the likelihood under d < 0 is greatest at p = 0, p0 = -d; d² = z²·(-d)(1 + d)/n0·N/(N - 1) gives
    # -d = a/(1 + a) with a = z²/20·30/29 = 0.198696, hence -0.165760; above with n = 10: a = 0.397393, 0.284381.
    row = risk_difference(0, 10, 0, 20).iloc[0]
    assert row["conf_low"] == pytest.approx(-0.165760, abs=1e-6)
    assert row["conf_high"] == pytest.approx(0.284381, abs=1e-6)
    assert (row["estimate"], row["statistic"], row["p_value"]) == (0, 0, 1)


def test_risk_difference_has_the_columns_and_names_the_method() -> None:
    found = risk_difference(pd.Series([1, 2], index=[7, 9]), [4, 4], [0, 1], [5, 5])
    assert tuple(found.columns) == COMPARISON_COLUMNS
    assert found.index.equals(pd.RangeIndex(2))
    assert set(found["method"]) == {"Miettinen-Nurminen score interval and test"}
    assert set(found["note"]) == {""}
    assert found["df"].isna().all()
    counted = ["numerator", "denominator", "reference_numerator", "reference_denominator"]
    assert found[counted].to_numpy().tolist() == [[1, 4, 0, 5], [2, 4, 1, 5]]


@pytest.mark.parametrize("method", METHODS)
def test_risk_difference_of_an_empty_group_is_missing_with_a_note(method: str) -> None:
    found = risk_difference([0, 1, 0, 1], [0, 2, 0, 2], [1, 0, 0, 1], [2, 0, 0, 2], method=method)
    assert found.loc[:2, NUMBERS].isna().all(axis=None)
    assert found.loc[3, NUMBERS].notna().all()
    assert found["note"].tolist() == [
        "nobody in the group",
        "nobody in the reference group",
        "nobody in either group",
        "",
    ]


def test_risk_difference_of_no_elements_is_an_empty_frame() -> None:
    found = risk_difference([], [], [], [])
    assert tuple(found.columns) == COMPARISON_COLUMNS
    assert found.empty


@settings(max_examples=40, deadline=None)
@given(table=tables, method=st.sampled_from(METHODS), conf_level=st.floats(0.5, 0.999))
def test_risk_difference_negates_when_the_groups_swap(
    table: tuple[int, int, int, int], method: str, conf_level: float
) -> None:
    found = risk_difference(*table, method=method, conf_level=conf_level).iloc[0]
    swapped = risk_difference(*table[2:], *table[:2], method=method, conf_level=conf_level).iloc[0]
    assert found["conf_low"] == pytest.approx(-swapped["conf_high"], abs=1e-12)
    assert found["conf_high"] == pytest.approx(-swapped["conf_low"], abs=1e-12)
    assert found["statistic"] == pytest.approx(-swapped["statistic"])
    assert found["p_value"] == pytest.approx(swapped["p_value"])


@settings(max_examples=40, deadline=None)
@given(table=tables, method=st.sampled_from(METHODS))
def test_risk_difference_lies_within_its_limits_which_lie_within_one(
    table: tuple[int, int, int, int], method: str
) -> None:
    row = risk_difference(*table, method=method).iloc[0]
    assert -1 <= row["conf_low"] <= row["estimate"] <= row["conf_high"] <= 1
    assert row["conf_low"] < row["conf_high"]
    assert 0 <= row["p_value"] <= 1


@settings(max_examples=40, deadline=None)
@given(
    table=tables,
    method=st.sampled_from(METHODS),
    levels=st.tuples(st.floats(0.5, 0.99), st.floats(0.5, 0.99)),
)
def test_risk_difference_interval_widens_with_the_level(
    table: tuple[int, int, int, int], method: str, levels: tuple[float, float]
) -> None:
    narrow, wide = (
        risk_difference(*table, method=method, conf_level=level).iloc[0] for level in sorted(levels)
    )
    assert wide["conf_low"] <= narrow["conf_low"] + 1e-12
    assert wide["conf_high"] >= narrow["conf_high"] - 1e-12


@settings(max_examples=40, deadline=None)
@given(table=tables, conf_level=st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_score_interval_excludes_zero_exactly_where_the_test_rejects(
    table: tuple[int, int, int, int], conf_level: float
) -> None:
    row = risk_difference(*table, conf_level=conf_level).iloc[0]
    assert (row["p_value"] < 1 - conf_level) == (row["conf_low"] > 0 or row["conf_high"] < 0)


@settings(max_examples=40, deadline=None)
@given(table=tables)
def test_score_limits_do_not_depend_on_which_outcome_is_the_event(table: tuple[int, int, int, int]) -> None:
    x, n, x0, n0 = table
    found, mirror = risk_difference(*table).iloc[0], risk_difference(n - x, n, n0 - x0, n0).iloc[0]
    assert found["conf_low"] == pytest.approx(-mirror["conf_high"], abs=1e-9)


def test_score_limits_of_a_registry_keep_their_digits() -> None:
    # 10 million patients each, 100 and 60 events: nearly Poisson, for which the limits m of the difference in events
    # solve (40 - m)² = z²·(x + y), with x = y + m and 100/x + 60/y = 2 the means of greatest likelihood.
    row = risk_difference(100, 10_000_000, 60, 10_000_000).iloc[0]
    for limit in row[["conf_low", "conf_high"]].to_numpy(dtype=float) * 1e7:
        y = (160 - 2 * limit + np.sqrt((160 - 2 * limit) ** 2 + 8 * 60 * limit)) / 4
        assert 100 / (y + limit) + 60 / y == pytest.approx(2)
        assert abs(40 - limit) / np.sqrt(2 * y + limit) == pytest.approx(1.959964, rel=1e-4)


@pytest.mark.parametrize(
    ("counted", "options", "message"),
    [
        (([3], [2], [1], [2]), {}, "events is above n in 1 elements"),
        (([1], [2], [3], [2]), {}, "reference_events is above reference_n in 1 elements"),
        (([1, 1], [2, 2], [1], [2]), {}, "n has 2, reference_n has 1"),
        (([-1], [2], [1], [2]), {}, "events has 1 negative"),
        (([0.5], [2], [1], [2]), {}, "events has 1 values that are not whole"),
        (([1], [2], [1], [2]), {"conf_level": 1}, "conf_level == 1"),
        (([1], [2], [1], [2]), {"method": "newcomb"}, "method 'newcomb' is unknown; did you mean 'newcombe'"),
    ],
)
def test_risk_difference_refuses_wrong_arguments(
    counted: tuple[list[int], ...], options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        risk_difference(*counted, **options)


def test_risk_difference_leaves_its_inputs_unchanged() -> None:
    counted = [np.array(each) for each in ([0, 2], [0, 5], [1, 5], [3, 5])]
    risk_difference(*counted)
    assert [each.tolist() for each in counted] == [[0, 2], [0, 5], [1, 5], [3, 5]]


def test_crossing_finds_the_end_where_a_condition_never_or_always_holds() -> None:
    found = crossing(lambda x: x < np.array([-5.0, 5.0, 0.3]), [0.0, 0.0, 0.0], [1.0, 1.0, 1.0])
    np.testing.assert_allclose(found, [0, 1, 0.3], atol=1e-15)
    assert np.isnan(crossing(lambda x: x < 1, [np.nan], [2.0])).all()


def test_ratio_limits_are_where_the_difference_touches_zero() -> None:
    part = Limits(np.array([0.3]), np.array([0.1]), np.array([0.5]))
    other = Limits(np.array([0.2]), np.array([0.15]), np.array([0.45]))
    low, high = ratio_limits(part, other)
    for limit, side in ((low, 0), (high, 1)):
        scaled = Limits(*(limit * each for each in (other.estimate, other.low, other.high)))
        assert difference_limits(part, scaled)[side] == pytest.approx(0, abs=1e-12)
