"""Risk and odds ratios against R (uniroot on the score and the hypergeometric equations, fisher.test) and properties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mesostats.estimators.ratios import fisher_p, odds_ratio, risk_ratio
from mesostats.estimators.two_groups import COMPARISON_COLUMNS

REFERENCE = Path(__file__).parents[1] / "reference"
COUNTS = ["x", "n", "x0", "n0"]
ESTIMATES = ["estimate", "conf_low", "conf_high"]

tally = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
tables = st.tuples(tally, tally).map(lambda pair: (*pair[0], *pair[1]))
RATIOS = [risk_ratio, odds_ratio]


def reference(name: str, conf_level: float) -> pd.DataFrame:
    cases = pd.read_csv(REFERENCE / name)
    cases = cases[np.isclose(cases["conf_level"], conf_level)]
    assert len(cases) == 21
    return cases


@pytest.mark.parametrize("conf_level", [0.8, 0.95, 0.99])
def test_risk_ratio_agrees_with_r(conf_level: float) -> None:
    cases = reference("risk_ratio.csv", conf_level)
    found = risk_ratio(*(cases[name] for name in COUNTS), conf_level=conf_level)
    for column in [*ESTIMATES, "std_error", "statistic", "p_value"]:
        np.testing.assert_allclose(found[column], cases[column], rtol=1e-8, atol=1e-12, err_msg=column)


@pytest.mark.parametrize("conf_level", [0.8, 0.95, 0.99])
def test_odds_ratio_agrees_with_r(conf_level: float) -> None:
    cases = reference("odds_ratio.csv", conf_level)
    found = odds_ratio(*(cases[name] for name in COUNTS), conf_level=conf_level)
    for column in [*ESTIMATES, "p_value"]:
        np.testing.assert_allclose(found[column], cases[column], rtol=1e-8, atol=1e-12, err_msg=column)


def test_odds_ratio_agrees_with_fisher_test_as_far_as_that_searches() -> None:
    # fisher.test() stops uniroot() at 1e-4 of 1/odds or of the odds: its wide limits are off by up to 2 percent.
    cases = reference("odds_ratio.csv", 0.95).dropna(subset="estimate")
    found = odds_ratio(*(cases[name] for name in COUNTS))
    np.testing.assert_allclose(found["estimate"], cases["fisher_estimate"], rtol=1e-3)
    np.testing.assert_allclose(found["conf_low"], cases["fisher_low"], rtol=2e-2)
    np.testing.assert_allclose(found["conf_high"], cases["fisher_high"], rtol=2e-2)


@settings(max_examples=40, deadline=None)
@given(table=tables)
def test_fisher_p_agrees_with_scipy(table: tuple[int, int, int, int]) -> None:
    x, n, x0, n0 = table
    expected = stats.fisher_exact([[x, n - x], [x0, n0 - x0]]).pvalue
    assert fisher_p(*table)[0] == pytest.approx(expected, rel=1e-8)


def test_fisher_p_agrees_with_published_values() -> None:
    # The lady who tastes tea: 34 of 70 tables. Fisher's convictions of like-sex twins, 10 of 13 monozygotic and 2 of 17
    # dizygotic (example(fisher.test)): the two-sided p value is 0.0005367 (by hand below). The 12 convicted among 30:
    # P(10) + P(11) + P(12) with 13 monozygotic, and P(0) on the other side, which is as unlikely: (286·136 + 78·17 + 13
    # + 6188)/86493225.
    assert fisher_p([3, 10], [4, 13], [1, 2], [4, 17]) == pytest.approx(
        [34 / 70, (286 * 136 + 78 * 17 + 13 + 6188) / 86493225]
    )


def test_fisher_p_counts_tables_that_tie() -> None:
    # Two equal groups: the tables mirror each other, and both tails count. 1 of 9 against 5 of 9: the tables with 0, 1,
    # 5 and 6 events: 2·(84 + 9·126)/18564.
    assert fisher_p(1, 9, 5, 9)[0] == pytest.approx(2 * (84 + 9 * 126) / 18564)


def test_fisher_p_of_an_empty_group_is_missing_and_of_equal_outcomes_one() -> None:
    found = fisher_p([0, 0, 5], [0, 5, 5], [1, 0, 7], [3, 7, 7])
    assert np.isnan(found[0])
    assert found[1:].tolist() == [1, 1]


def test_odds_ratio_of_a_large_registry_is_the_ratio_of_the_odds() -> None:
    # Far from the ends the conditional estimate and the cross-product ratio agree to about 1/events.
    row = odds_ratio(60_000, 1_000_000, 40_000, 900_000).iloc[0]
    assert row["estimate"] == pytest.approx(60_000 / 940_000 / (40_000 / 860_000), rel=1e-5)
    # Woolf's interval: exp(± 1.96·sqrt(1/60000 + 1/940000 + 1/40000 + 1/860000))
    fold = np.exp(1.959964 * np.sqrt(1 / 60_000 + 1 / 940_000 + 1 / 40_000 + 1 / 860_000))
    assert row["conf_low"] == pytest.approx(row["estimate"] / fold, rel=1e-4)
    assert row["conf_high"] == pytest.approx(row["estimate"] * fold, rel=1e-4)


@pytest.mark.parametrize("ratio", RATIOS)
def test_ratios_have_the_columns_and_say_what_they_cannot_tell(ratio: object) -> None:
    found = ratio([0, 4, 0, 0, 1], [9, 9, 9, 0, 9], [4, 0, 0, 4, 2], [9, 9, 9, 9, 9])
    assert tuple(found.columns) == COMPARISON_COLUMNS
    assert found["estimate"].iloc[:2].tolist() == [0, np.inf]
    assert found["conf_low"].iloc[0] == 0
    assert found["conf_high"].iloc[1] == np.inf
    assert 0 < found["conf_high"].iloc[0] < 1.5
    assert found["conf_low"].iloc[1] == pytest.approx(1 / found["conf_high"].iloc[0])
    assert found.loc[2:3, ESTIMATES].isna().all(axis=None)
    assert found["note"].tolist() == [
        "estimate at the lower end: only the upper limit says something",
        "estimate at the upper end: only the lower limit says something",
        "no event in either group: their ratio is unknown",
        "nobody in the group",
        "",
    ]


def test_ratios_where_everybody_has_the_event() -> None:
    # The risks are equal and 1; the ratio of the odds is unknown.
    assert risk_ratio(5, 5, 7, 7)["estimate"].tolist() == [1]
    found = odds_ratio(5, 5, 7, 7).iloc[0]
    assert np.isnan(found["estimate"])
    assert found["note"] == "everybody has the event: the ratio of the odds is unknown"


@pytest.mark.parametrize("ratio", RATIOS)
def test_ratios_of_no_elements_are_an_empty_frame(ratio: object) -> None:
    found = ratio([], [], [], [])
    assert tuple(found.columns) == COMPARISON_COLUMNS
    assert found.empty


@settings(max_examples=40, deadline=None)
@given(table=tables, ratio=st.sampled_from(RATIOS), conf_level=st.floats(0.5, 0.999))
def test_ratios_invert_when_the_groups_swap(
    table: tuple[int, int, int, int], ratio: object, conf_level: float
) -> None:
    found = ratio(*table, conf_level=conf_level)[ESTIMATES].to_numpy()[0]
    swapped = ratio(*table[2:], *table[:2], conf_level=conf_level)[ESTIMATES].to_numpy()[0, [0, 2, 1]]
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(found, 1 / swapped, rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    table=tables, ratio=st.sampled_from(RATIOS), levels=st.tuples(st.floats(0.5, 0.99), st.floats(0.5, 0.99))
)
def test_ratio_intervals_hold_the_estimate_and_widen_with_the_level(
    table: tuple[int, int, int, int], ratio: object, levels: tuple[float, float]
) -> None:
    narrow, wide = (ratio(*table, conf_level=level).iloc[0] for level in sorted(levels))
    if not np.isnan(narrow["estimate"]):
        assert wide["conf_low"] <= narrow["conf_low"] * (1 + 1e-9)
        assert narrow["conf_low"] <= narrow["estimate"] * (1 + 1e-9)
        assert narrow["estimate"] <= narrow["conf_high"] * (1 + 1e-9)
        assert narrow["conf_high"] <= wide["conf_high"] * (1 + 1e-9)


@settings(max_examples=40, deadline=None)
@given(table=tables, conf_level=st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_score_interval_of_the_risk_ratio_excludes_one_exactly_where_the_test_rejects(
    table: tuple[int, int, int, int], conf_level: float
) -> None:
    row = risk_ratio(*table, conf_level=conf_level).iloc[0]
    assert (row["p_value"] < 1 - conf_level) == (row["conf_low"] > 1 or row["conf_high"] < 1)


def test_risk_ratio_agrees_with_published_limits() -> None:
    # Koopman 1984, doi:10.2307/2531405: 36 of 40 against 16 of 80, 2.94 to 7.15.
    row = risk_ratio(36, 40, 16, 80).iloc[0]
    assert (round(row["conf_low"], 2), round(row["conf_high"], 2)) == (2.94, 7.15)


@pytest.mark.parametrize("ratio", RATIOS)
def test_ratios_refuse_wrong_arguments(ratio: object) -> None:
    with pytest.raises(ValueError, match="events is above n"):
        ratio(3, 2, 1, 2)
    with pytest.raises(ValueError, match="conf_level == 0"):
        ratio(1, 2, 1, 2, conf_level=0)
    with pytest.raises(ValueError, match="method 'wald' is unknown"):
        ratio(1, 2, 1, 2, method="wald")


@pytest.mark.parametrize("ratio", [*RATIOS, fisher_p])
def test_ratios_leave_their_inputs_unchanged(ratio: object) -> None:
    counted = [np.array(each) for each in ([0, 2], [0, 5], [1, 5], [3, 5])]
    ratio(*counted)
    assert [each.tolist() for each in counted] == [[0, 2], [0, 5], [1, 5], [3, 5]]
