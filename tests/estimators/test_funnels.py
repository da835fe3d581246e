"""Funnels against R (qbinom, pbinom, quantile), hand calculation and properties."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mesostats.estimators.clusters import ClusterTotals
from mesostats.estimators.funnels import funnel, funnel_limits, pooled_design_effect

REFERENCE = Path(__file__).parents[1] / "reference"
LIMITS = ["low_0.95", "high_0.95", "low_0.998", "high_0.998"]
COLUMNS = [
    *("estimate", "numerator", "denominator", "target", "expected", "statistic", "p_value", "design_effect"),
    *("overdispersion", *LIMITS, "method", "note"),
]

tallies = st.lists(
    st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=2, max_size=20
)


def funnel_cases() -> dict[str, pd.DataFrame]:
    return dict(iter(pd.read_csv(REFERENCE / "funnel.csv").groupby("set")))


@pytest.mark.parametrize(
    "name", ["even", "wild", "wild_clustered", "wild_strict", "rare", "given", "alone", "far"]
)
def test_funnel_agrees_with_r(name: str) -> None:
    cases = funnel_cases()[name]
    first = cases.iloc[0]
    options: dict[str, Any] = {} if np.isnan(first["given"]) else {"target": float(first["given"])}

    found = funnel(
        cases["events"],
        cases["n"],
        design_effect=float(first["design_effect"]),
        winsorise=float(first["winsorise"]),
        overdispersion=bool(first["allow"]),
        **options,
    )

    for column in ["estimate", "target", "statistic", "p_value", "overdispersion", *LIMITS]:
        np.testing.assert_allclose(found[column], cases[column], rtol=1e-8, atol=1e-12, err_msg=column)
    assert list(found["numerator"]) == list(cases["events"])
    assert list(found["denominator"]) == list(cases["n"])


def test_the_reference_holds_both_kinds_of_dispersion() -> None:
    factors = {name: cases["overdispersion"].iloc[0] for name, cases in funnel_cases().items()}
    assert factors["even"] == factors["wild_strict"] == 1
    assert factors["wild"] > 5


def test_funnel_limits_agree_with_r() -> None:
    cases = pd.read_csv(REFERENCE / "funnel_limits.csv")
    assert len(cases) == 405
    for (target, factor, level), part in cases.groupby(["target", "variance_factor", "conf_level"]):
        found = funnel_limits(part["n"], target, variance_factor=factor, conf_level=level)
        np.testing.assert_allclose(
            found[["low", "high"]], part[["low", "high"]], rtol=1e-8, atol=1e-12, equal_nan=True
        )


def test_funnel_has_the_columns_and_names_the_method() -> None:
    found = funnel([3, 40, 12], [50, 60, 70], design_effect=1.5)
    assert list(found.columns) == COLUMNS
    assert (
        found["method"]
        .iloc[0]
        .startswith(
            "exact binomial test against the overall proportion, design effect 1.50, over-dispersion "
        )
    )
    given = funnel([3, 4], [50, 60], target=0.1, overdispersion=False)
    assert set(given["method"]) == {"exact binomial test against a given proportion"}


def test_p_value_without_allowances_is_twice_the_exact_tail() -> None:
    # By hand: P(X >= 3) for X binomial(3, 0.5) is 1/8; P(X <= 1) is 1/2, and doubled not above 1.
    found = funnel([3, 1], [3, 3], target=0.5, overdispersion=False)
    np.testing.assert_allclose(found["p_value"], [0.25, 1.0])


def test_overdispersion_is_the_mean_square_of_drawn_in_z_scores() -> None:
    # Large units, so that the z score is the normal one: (x - 5000)/50 = -4, -2, 0, 2, 4 at n = 10000. A quarter drawn in at
    # either end: all of -4, -2, 2, 4 become -2 and 2; the mean square is 16/5.
    found = funnel([4800, 4900, 5000, 5100, 5200], [10_000] * 5, target=0.5, winsorise=0.25)
    np.testing.assert_allclose(found["overdispersion"], 16 / 5, rtol=1e-3)
    np.testing.assert_allclose(found["statistic"], np.array([-4, -2, 0, 2, 4]) / np.sqrt(3.2), atol=2e-3)


def test_overdispersion_keeps_alarms_at_their_rate() -> None:
    """Units whose true proportions differ a little: naive limits of 99.8 % are broken often, these are not."""
    rng = np.random.default_rng(5)
    broken, naive = [], []
    for _ in range(40):
        truth = rng.beta(20, 180, size=50)
        events = rng.binomial(800, truth)
        found = funnel(events, [800] * 50)
        strict = funnel(events, [800] * 50, overdispersion=False)
        broken.append((found["estimate"].gt(found["high_0.998"])).mean())
        naive.append((strict["estimate"].gt(strict["high_0.998"])).mean())
    assert np.mean(naive) > 0.03
    assert np.mean(broken) < np.mean(naive) / 3


@settings(max_examples=40, deadline=None)
@given(tallies, st.floats(1, 5))
def test_swapping_events_and_their_absence_flips_the_sign(
    tally: list[tuple[int, int]], effect: float
) -> None:
    events, n = (np.array(each) for each in zip(*tally, strict=True))
    found, swapped = funnel(events, n, design_effect=effect), funnel(n - events, n, design_effect=effect)
    np.testing.assert_allclose(found["statistic"], -swapped["statistic"], atol=1e-6, equal_nan=True)
    np.testing.assert_allclose(found["p_value"], swapped["p_value"], rtol=1e-6, equal_nan=True)


@settings(max_examples=40, deadline=None)
@given(tallies)
def test_allowances_only_ever_raise_p_values(tally: list[tuple[int, int]]) -> None:
    events, n = (np.array(each) for each in zip(*tally, strict=True))
    strict = funnel(events, n, overdispersion=False)["p_value"].dropna()
    allowed = funnel(events, n, design_effect=2.0)["p_value"].dropna()
    assert (allowed >= strict * (1 - 1e-9)).all()
    assert strict.between(0, 1).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 2000), st.floats(0.001, 0.999), st.floats(1, 10))
def test_limits_hold_the_target_and_widen_with_variance(n: int, target: float, factor: float) -> None:
    limits = funnel_limits([n], target).iloc[0]
    wider = funnel_limits([n], target, variance_factor=factor).iloc[0]
    assert wider["low"] <= limits["low"] + 1e-12
    assert limits["high"] <= wider["high"] + 1e-12
    assert 0 <= limits["low"] <= limits["high"] <= 1
    # Interpolation lies within one count of the exact quantile.
    assert abs(limits["high"] * n - stats.binom.ppf(0.975, n, target)) <= 1


def test_degenerate_input_is_told_apart() -> None:
    nobody, none, every = funnel([0, 2], [0, 9]), funnel([0, 0], [5, 9]), funnel([5, 9], [5, 9])
    assert nobody["note"].tolist() == ["no observations", ""]
    assert np.isnan(nobody.loc[0, ["estimate", "statistic", "p_value", *LIMITS]].astype(float)).all()
    assert abs(nobody.loc[1, "statistic"]) < 0.1  # alone it is the overall proportion, but for the skewness
    assert none["note"].tolist() == ["no event at all"] * 2
    assert every["note"].tolist() == ["every observation has an event"] * 2
    for found, end in ((none, 0.0), (every, 1.0)):
        assert found[["statistic", "p_value"]].isna().all(axis=None)
        assert found[LIMITS].eq(end).all(axis=None)
    assert funnel([0, 0], [0, 0])["target"].isna().all()
    assert funnel([], []).empty


def test_a_unit_far_out_has_a_finite_statistic() -> None:
    found = funnel([100_000, 0], [100_000, 100_000], target=0.001, overdispersion=False)
    assert np.isfinite(found["statistic"]).all()
    assert found["p_value"].iloc[0] < 1e-300


def test_pooled_design_effect_does_not_see_differences_between_units() -> None:
    # Patients with 2 sessions each have the event in both or in none.
    # By hand, unit A: p = 1/2, residuals ±1, variance 2/1·2 = 4 against 4·1/4·4/3 = 4/3. Unit B: p = 1/4, residuals -1/2
    # (3 times) and 3/2, variance 4/3·3 = 4 against 8·3/16·8/7 = 12/7. Together 8 over 64/21.
    totals = ClusterTotals.from_arrays([2, 0, 0, 0, 0, 2], [2] * 6, ["A", "A", "B", "B", "B", "B"])
    assert pooled_design_effect(totals) == pytest.approx(8 * 21 / 64)


def test_pooled_design_effect_is_one_where_nothing_is_seen() -> None:
    assert (
        pooled_design_effect(ClusterTotals.from_arrays([1, 3], [3, 4], ["A", "B"])) == 1
    )  # one patient each
    assert pooled_design_effect(ClusterTotals.from_arrays([0, 0], [3, 4])) == 1
    assert pooled_design_effect(ClusterTotals.from_arrays([1, 1], [2, 2])) == 1  # less than chance
    # One session each: there is no clustering.
    single = ClusterTotals.from_arrays([1, 0, 0, 0, 1, 1, 0], [1] * 7, [*"AAAABBB"])
    assert pooled_design_effect(single) == pytest.approx(1)


def test_inputs_are_not_changed() -> None:
    events, n = np.array([1, 9, 4]), np.array([20, 20, 20])
    funnel(events, n)
    assert events.tolist() == [1, 9, 4]
    assert n.tolist() == [20, 20, 20]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": 1.2}, "target == 1.2, must be between 0 and 1"),
        ({"winsorise": 0.5}, "winsorise == 0.5, must be at least 0 and below 0.5"),
        ({"design_effect": 0.9}, "design_effect == 0.9, must be finite and at least 1"),
        ({"conf_level": (0.95, 1.0)}, "conf_level == 1.0"),
    ],
)
def test_funnel_refuses_wrong_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        funnel([1, 2], [5, 5], **options)


def test_funnel_refuses_more_events_than_observations() -> None:
    with pytest.raises(ValueError, match="events is above n in 1 elements"):
        funnel([1, 6], [5, 5])
