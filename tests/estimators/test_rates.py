"""Rates against R (poisson.test, uniroot, survey::svyratio), hand calculation and properties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mesostats.estimators import ClusterTotals, clustered_rate, rate

REFERENCE = Path(__file__).parents[1] / "reference"
METHODS = ["garwood", "mid_p"]
NUMBERS = ["estimate", "std_error", "conf_low", "conf_high"]
COLUMNS = [*NUMBERS, "conf_level", "numerator", "denominator", "method", "note"]

exposures = st.floats(0.1, 1000)
patients = st.lists(st.tuples(st.integers(0, 12), exposures), min_size=2, max_size=30)


def assert_close(found: pd.DataFrame, expected: pd.DataFrame, columns: list[str]) -> None:
    for column in columns:
        np.testing.assert_allclose(found[column], expected[column], rtol=1e-8, atol=1e-14, err_msg=column)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("conf_level", [0.8, 0.95, 0.99])
def test_rate_agrees_with_r(method: str, conf_level: float) -> None:
    cases = pd.read_csv(REFERENCE / "rate.csv").query("method == @method and conf_level == @conf_level")
    assert len(cases) == 9

    found = rate(cases["events"], cases["exposure"], conf_level=conf_level, method=method)

    assert_close(found, cases, NUMBERS)
    assert list(found["numerator"]) == list(cases["events"])
    assert list(found["denominator"]) == list(cases["exposure"])


def test_rate_has_the_columns_and_names_the_method() -> None:
    found = rate([1, 2], [4.0, 4.0])
    assert list(found.columns) == COLUMNS
    assert found.index.equals(pd.RangeIndex(2))
    assert set(found["method"]) == {"Garwood exact Poisson interval"}
    assert set(rate(1, 1, method="mid_p")["method"]) == {"mid-p Poisson interval"}
    assert set(found["note"]) == {""}


def test_rate_without_events_has_the_closed_form_limits() -> None:
    # P(X = 0) = exp(-m): the exact limit solves exp(-m) = 0.025, the mid-p limit exp(-m)/2 = 0.025.
    assert rate(0, 4)["conf_high"].iloc[0] == pytest.approx(-np.log(0.025) / 4)
    assert rate(0, 4, method="mid_p")["conf_high"].iloc[0] == pytest.approx(-np.log(0.05) / 4)
    assert rate(0, 4)["conf_low"].iloc[0] == rate(0, 4, method="mid_p")["conf_low"].iloc[0] == 0.0


@pytest.mark.parametrize("method", METHODS)
def test_rate_without_exposure_is_missing_with_a_note(method: str) -> None:
    found = rate([0, 2, 1], [0, 0, 2], method=method)
    assert found.loc[:1, NUMBERS].isna().all(axis=None)
    assert list(found["note"]) == ["no exposure", "no exposure", ""]
    assert found.loc[2, NUMBERS].notna().all()


@pytest.mark.parametrize("method", METHODS)
def test_rate_of_no_elements_is_an_empty_frame(method: str) -> None:
    found = rate([], [], method=method)
    assert list(found.columns) == COLUMNS
    assert found.empty


@given(events=st.integers(0, 10_000), exposure=exposures, conf_level=st.floats(0.5, 0.999))
def test_rate_intervals_contain_the_estimate_and_nest(
    events: int, exposure: float, conf_level: float
) -> None:
    exact = rate(events, exposure, conf_level=conf_level).iloc[0]
    mid_p = rate(events, exposure, conf_level=conf_level, method="mid_p").iloc[0]
    assert (
        exact["conf_low"] <= mid_p["conf_low"] <= mid_p["estimate"] <= mid_p["conf_high"] < exact["conf_high"]
    )


@given(events=st.integers(0, 500), exposure=exposures)
def test_rate_limits_have_the_tail_probabilities_that_define_them(events: int, exposure: float) -> None:
    exact = rate(events, exposure).iloc[0]
    mid_p = rate(events, exposure, method="mid_p").iloc[0]
    above, below = exact["conf_high"] * exposure, mid_p["conf_high"] * exposure
    assert stats.poisson.cdf(events, above) == pytest.approx(0.025, rel=1e-8)
    half = stats.poisson.pmf(events, below) / 2
    assert stats.poisson.cdf(events, below) - half == pytest.approx(0.025, rel=1e-8)


@given(
    events=st.integers(0, 500), exposure=exposures, factor=st.integers(2, 20), method=st.sampled_from(METHODS)
)
def test_rate_narrows_when_counts_are_scaled(events: int, exposure: float, factor: int, method: str) -> None:
    found = rate([events, factor * events], [exposure, factor * exposure], method=method)
    width = found["conf_high"] - found["conf_low"]
    assert width[1] < width[0]


@given(events=st.integers(0, 500), exposure=exposures)
def test_rate_follows_the_unit_of_exposure(events: int, exposure: float) -> None:
    found = rate([events, events], [exposure, exposure * 30])
    for column in NUMBERS:
        assert found.loc[0, column] == pytest.approx(found.loc[1, column] * 30, rel=1e-10)


@pytest.mark.parametrize(
    ("events", "exposure", "options", "message"),
    [
        ([-1], [5], {}, "events has 1 negative"),
        ([1.5], [5], {}, "events has 1 values that are not whole"),
        ([1], [-5], {}, "exposure has 1 negative"),
        ([1], [np.inf], {}, "exposure has 1 missing or infinite"),
        ([1, 2], [5], {}, "events has 2, exposure has 1"),
        ([1], [5], {"conf_level": 0.0}, r"conf_level == 0.0, must be above 0 and below 1"),
        ([1], [5], {"method": "wald"}, "method 'wald' is unknown; known are 'garwood', 'mid_p'"),
    ],
)
def test_rate_refuses_wrong_arguments(
    events: object, exposure: object, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        rate(events, exposure, **options)


def test_rate_leaves_its_inputs_unchanged() -> None:
    events, exposure = np.array([0, 2]), np.array([0.0, 5.0])
    rate(events, exposure, method="mid_p")
    assert list(events) == [0, 2]
    assert list(exposure) == [0.0, 5.0]


def reference_totals() -> ClusterTotals:
    cases = pd.read_csv(REFERENCE / "exposures.csv")
    return ClusterTotals.from_arrays(cases["y"], cases["n"], cases["set"])


@pytest.mark.parametrize("conf_level", [0.9, 0.95])
def test_clustered_rate_agrees_with_r(conf_level: float) -> None:
    expected = (
        pd.read_csv(REFERENCE / "clustered_rate.csv").query("conf_level == @conf_level").sort_values("set")
    )
    assert len(expected) == 5

    found = clustered_rate(reference_totals(), conf_level=conf_level)

    assert_close(found, expected, [*NUMBERS, "df", "numerator", "denominator", "design_effect"])


def test_cluster_totals_variance_of_a_rate_agrees_with_svyratio() -> None:
    expected = pd.read_csv(REFERENCE / "clustered_rate.csv").query("conf_level == 0.95").sort_values("set")
    np.testing.assert_allclose(
        reference_totals().ratio_variance, expected["ratio_variance"], rtol=1e-8, atol=1e-16
    )


def test_clustered_rate_notes_what_cannot_be_seen() -> None:
    totals = ClusterTotals.from_arrays([0, 0, 3, 2, 1], [4, 5, 3, 2, 5], ["a", "a", "b", "c", "c"])
    found = clustered_rate(totals)
    assert list(found["note"]) == [
        "no events: exact interval for independent events, their clustering cannot be seen",
        "one cluster: the variance between clusters is unknown",
        "",
    ]
    assert list(found["method"].iloc[[0, 2]]) == [
        "Garwood exact Poisson interval",
        "Garwood interval at the effective number of events, t quantile",
    ]
    assert found.loc[0, "conf_high"] == pytest.approx(-np.log(0.025) / 9)
    assert found.loc[1, ["std_error", "conf_low", "conf_high"]].isna().all()
    assert found.loc[1, "estimate"] == 1.0


def test_clustered_rate_of_one_silent_cluster_has_no_interval() -> None:
    found = clustered_rate(ClusterTotals.from_arrays([0], [3])).iloc[0]
    assert found["estimate"] == 0.0
    assert found[["conf_low", "conf_high"]].isna().all()


def test_clustered_rate_of_nobody_is_missing_with_a_note() -> None:
    found = clustered_rate(ClusterTotals.from_arrays([], [])).iloc[0]
    assert found[NUMBERS].isna().all()
    assert found["note"] == "no exposure"


@given(patients=patients)
def test_clustered_rate_interval_contains_the_estimate(patients: list[tuple[int, float]]) -> None:
    events, exposure = zip(*patients, strict=True)
    row = clustered_rate(ClusterTotals.from_arrays(events, exposure)).iloc[0]
    assert row["estimate"] == pytest.approx(sum(events) / sum(exposure))
    effective_clusters = sum(exposure) ** 2 / sum(time**2 for time in exposure)
    if sum(events) > 0 and effective_clusters < 1.5 - 1e-9:
        assert row[["std_error", "conf_low", "conf_high"]].isna().all()
        assert "nearly all exposure" in row["note"]
        return
    assert 0 <= row["conf_low"] <= row["estimate"] < row["conf_high"]
    # Never below the Poisson standard error sqrt(x)/t.
    assert row["std_error"] >= np.sqrt(sum(events)) / sum(exposure) * (1 - 1e-12)


def test_clustered_rate_covers_the_simulated_rate_where_the_exact_interval_does_not() -> None:
    # 60 patients a year with gamma frailty of variance 2 about the rate 1: counts are overdispersed threefold.
    rng = np.random.default_rng(11)
    events = rng.poisson(rng.gamma(0.5, 2.0, (300, 60)))
    trial = np.repeat(np.arange(300), 60)
    found = clustered_rate(ClusterTotals.from_arrays(events.ravel(), np.ones(trial.size), trial))
    naive = rate(events.sum(axis=1), np.full(300, 60))
    covered = found["conf_low"].lt(1) & found["conf_high"].gt(1)
    naively_covered = naive["conf_low"].lt(1) & naive["conf_high"].gt(1)
    assert covered.mean() > 0.9
    assert naively_covered.mean() < 0.85


def test_clustered_rate_refuses_a_wrong_confidence_level() -> None:
    with pytest.raises(ValueError, match=r"conf_level == 1\.5"):
        clustered_rate(reference_totals(), conf_level=1.5)
