"""Rate ratios and differences against R (poisson.test, uniroot, glmmTMB, sandwich), hand calculation and properties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesostats.estimators import negative_binomial
from mesostats.estimators.negative_binomial import negative_binomial_rate_ratio
from mesostats.estimators.rate_ratios import rate_difference, rate_ratio
from mesostats.estimators.two_groups import COMPARISON_COLUMNS

REFERENCE = Path(__file__).parents[1] / "reference"
COUNTS = ["x", "t", "x0", "t0"]
LIMITS = ["conf_low", "conf_high"]
METHODS = ["exact", "mid_p"]

part = st.tuples(st.integers(0, 60), st.floats(0.1, 1000))
pairs = st.tuples(part, part).map(lambda pair: (*pair[0], *pair[1]))


def reference(conf_level: float) -> pd.DataFrame:
    cases = pd.read_csv(REFERENCE / "rate_comparisons.csv")
    cases = cases[np.isclose(cases["conf_level"], conf_level)]
    assert len(cases) == 9
    return cases


@pytest.mark.parametrize("conf_level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(
    ("method", "columns"),
    [("exact", ["conf_low", "conf_high", "p_value"]), ("mid_p", ["mid_low", "mid_high", "mid_p"])],
)
def test_rate_ratio_agrees_with_r(conf_level: float, method: str, columns: list[str]) -> None:
    cases = reference(conf_level)
    found = rate_ratio(*(cases[name] for name in COUNTS), method=method, conf_level=conf_level)
    for column, wanted in zip([*LIMITS, "p_value", "estimate"], [*columns, "estimate"], strict=True):
        np.testing.assert_allclose(found[column], cases[wanted], rtol=1e-8, atol=1e-12, err_msg=column)


@pytest.mark.parametrize("conf_level", [0.8, 0.95, 0.99])
def test_rate_difference_agrees_with_r(conf_level: float) -> None:
    cases = reference(conf_level)
    found = rate_difference(*(cases[name] for name in COUNTS), conf_level=conf_level)
    names = {
        "estimate": "difference",
        "std_error": "difference_se",
        "conf_low": "score_low",
        "conf_high": "score_high",
        "statistic": "score_z",
        "p_value": "score_p",
    }
    for column, wanted in names.items():
        np.testing.assert_allclose(found[column], cases[wanted], rtol=1e-8, atol=1e-12, err_msg=column)


def test_rate_ratio_agrees_with_published_limits() -> None:
    # Breast cancer after fluoroscopy, Rothman and Greenland (1998), Modern Epidemiology, table 14-1: 41 cases in 28010
    # woman-years against 15 in 19017; R's example(poisson.test) prints 1.005722 to 3.609300 with an older search.
    row = rate_ratio(41, 28010, 15, 19017).iloc[0]
    assert row["estimate"] == pytest.approx(41 / 28010 * 19017 / 15)
    assert row["conf_low"] == pytest.approx(1.0057, abs=1e-4)
    assert row["conf_high"] == pytest.approx(3.6093, abs=1e-4)


def test_rate_ratio_at_zero_events_solves_the_binomial_by_hand() -> None:
    # No event in 10 months, 4 in 20: (1 - p)^4 = 0.025 gives p = 0.602365, r = p/(1 - p)·2; mid-p: (1 - p)^4 = 0.05.
    exact, mid = (rate_ratio(0, 10, 4, 20, method=method).iloc[0] for method in METHODS)
    assert exact["conf_high"] == pytest.approx(2 * (0.025**-0.25 - 1))
    assert mid["conf_high"] == pytest.approx(2 * (0.05**-0.25 - 1))
    assert (exact["estimate"], exact["conf_low"], mid["conf_low"]) == (0, 0, 0)
    # The test's tables: P(0) = (2/3)^4 = 16/81, and P(4) = 1/81, P(3) = 8/81 on the other side are at most as likely.
    assert exact["p_value"] == pytest.approx(25 / 81)
    assert mid["p_value"] == pytest.approx(16 / 81)


@pytest.mark.parametrize("method", METHODS)
def test_rate_ratio_says_what_it_cannot_tell(method: str) -> None:
    found = rate_ratio([0, 4, 0, 0, 2], [9, 9, 9, 0, 9], [4, 0, 0, 4, 1], [9, 9, 9, 9, 9], method=method)
    assert tuple(found.columns) == COMPARISON_COLUMNS
    assert found["estimate"].tolist()[:2] == [0, np.inf]
    assert found["conf_low"].tolist()[1] == pytest.approx(1 / found["conf_high"].tolist()[0])
    assert found.loc[2:3, ["estimate", *LIMITS, "p_value"]].isna().all(axis=None)
    assert found["std_error"].isna().tolist() == [True, True, True, True, False]
    assert found["std_error"].iloc[4] == pytest.approx(np.sqrt(1 / 2 + 1 / 1))
    assert found["note"].tolist() == [
        "no event in the group: only the upper limit says something",
        "no event in the reference group: only the lower limit says something",
        "no event in either group: their ratio is unknown",
        "no exposure in the group",
        "",
    ]


def test_rate_difference_without_exposure_is_missing_with_a_note() -> None:
    found = rate_difference([0, 1, 0], [0, 2, 0], [1, 0, 0], [2, 0, 0])
    assert found[["estimate", "std_error", *LIMITS, "statistic", "p_value"]].isna().all(axis=None)
    assert found["note"].tolist() == [
        "no exposure in the group",
        "no exposure in the reference group",
        "no exposure in either group",
    ]


def test_rate_comparisons_of_no_elements_are_an_empty_frame() -> None:
    for estimator in (rate_ratio, rate_difference):
        found = estimator([], [], [], [])
        assert tuple(found.columns) == COMPARISON_COLUMNS
        assert found.empty


@settings(max_examples=40, deadline=None)
@given(pair=pairs, method=st.sampled_from(METHODS), conf_level=st.floats(0.5, 0.999))
def test_rate_ratio_inverts_when_the_groups_swap(
    pair: tuple[int, float, int, float], method: str, conf_level: float
) -> None:
    columns = ["estimate", "conf_low", "conf_high", "p_value"]
    found = rate_ratio(*pair, method=method, conf_level=conf_level)[columns].to_numpy()[0]
    swapped = rate_ratio(*pair[2:], *pair[:2], method=method, conf_level=conf_level)[columns].to_numpy()[0]
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(found[:3], 1 / swapped[[0, 2, 1]], rtol=1e-7)
    assert found[3] == pytest.approx(swapped[3], nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(pair=pairs)
def test_mid_p_interval_lies_within_the_exact_one_and_agrees_with_its_test(
    pair: tuple[int, float, int, float],
) -> None:
    exact, mid = (rate_ratio(*pair, method=method).iloc[0] for method in METHODS)
    if not np.isnan(exact["estimate"]):
        assert exact["conf_low"] <= mid["conf_low"] <= exact["estimate"] * (1 + 1e-9)
        assert exact["estimate"] <= mid["conf_high"] * (1 + 1e-9)
        assert mid["conf_high"] <= exact["conf_high"]
        assert (mid["p_value"] < 0.05) == (mid["conf_low"] > 1 or mid["conf_high"] < 1)


@settings(max_examples=40, deadline=None)
@given(pair=pairs, levels=st.tuples(st.floats(0.5, 0.99), st.floats(0.5, 0.99)))
def test_rate_difference_negates_holds_its_estimate_and_widens(
    pair: tuple[int, float, int, float], levels: tuple[float, float]
) -> None:
    narrow, wide = (rate_difference(*pair, conf_level=level).iloc[0] for level in sorted(levels))
    swapped = rate_difference(*pair[2:], *pair[:2], conf_level=min(levels)).iloc[0]
    slack = 1e-9 * (1 + narrow["conf_high"] - narrow["conf_low"])
    assert wide["conf_low"] - slack <= narrow["conf_low"] <= narrow["estimate"] + slack
    assert narrow["estimate"] - slack <= narrow["conf_high"] <= wide["conf_high"] + slack
    assert narrow["conf_low"] == pytest.approx(-swapped["conf_high"])
    assert narrow["statistic"] == pytest.approx(-swapped["statistic"])


@settings(max_examples=40, deadline=None)
@given(pair=pairs)
def test_rate_difference_excludes_zero_exactly_where_the_test_rejects(
    pair: tuple[int, float, int, float],
) -> None:
    row = rate_difference(*pair).iloc[0]
    assert (row["p_value"] < 0.05) == (row["conf_low"] > 0 or row["conf_high"] < 0)


@settings(max_examples=40, deadline=None)
@given(pair=pairs, unit=st.sampled_from([1 / 365.25, 12.0]))
def test_rate_comparisons_follow_the_unit_of_exposure(
    pair: tuple[int, float, int, float], unit: float
) -> None:
    scaled = (pair[0], pair[1] * unit, pair[2], pair[3] * unit)
    ratios = [rate_ratio(*each)[LIMITS].to_numpy()[0] for each in (pair, scaled)]
    differences = [rate_difference(*each)[LIMITS].to_numpy()[0] for each in (pair, scaled)]
    np.testing.assert_allclose(ratios[0], ratios[1], rtol=1e-7)
    np.testing.assert_allclose(differences[0], differences[1] * unit, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("estimator", [rate_ratio, rate_difference])
def test_rate_comparisons_refuse_wrong_arguments(estimator: object) -> None:
    with pytest.raises(ValueError, match="events has 1 values that are not whole"):
        estimator(0.5, 2, 1, 2)
    with pytest.raises(ValueError, match="reference_exposure has 1 negative"):
        estimator(1, 2, 1, -2)
    with pytest.raises(ValueError, match="exposure has 1, reference_events has 2"):
        estimator([1], [2], [1, 1], [2, 2])
    with pytest.raises(ValueError, match="conf_level == 0"):
        estimator(1, 2, 1, 2, conf_level=0)
    with pytest.raises(ValueError, match="method 'wald' is unknown"):
        estimator(1, 2, 1, 2, method="wald")


def counts_of(name: str) -> tuple[pd.Series, pd.Series, pd.Series]:
    cases = pd.read_csv(REFERENCE / "repeated_counts.csv")
    chosen = cases[cases["set"] == name]
    return chosen["y"], chosen["t"], chosen["group"]


@pytest.mark.parametrize("name", ["epilepsy", "quine", "rare"])
def test_negative_binomial_rate_ratio_agrees_with_glmmtmb(name: str) -> None:
    wanted = pd.read_csv(REFERENCE / "negative_binomial.csv").query("set == @name").sort_values("group")
    found = negative_binomial_rate_ratio(*counts_of(name), reference=wanted["reference"].iloc[0])
    assert found["group"].tolist() == wanted["group"].tolist()
    logs = np.log(found["estimate"])
    np.testing.assert_allclose(logs, wanted["log_ratio"], rtol=1e-6)
    # The standard errors of R have no small-sample factor.
    plain = found["std_error"] * np.sqrt(wanted["df"] / wanted["patients"]).to_numpy()
    np.testing.assert_allclose(plain, wanted["std_error"], rtol=1e-6)
    assert found["df"].tolist() == wanted["df"].tolist()
    np.testing.assert_allclose(found["dispersion"], wanted["dispersion"], rtol=1e-6)
    for limit in LIMITS:
        np.testing.assert_allclose(found[limit], wanted[limit], rtol=1e-6)
    # glmmTMB itself stops at a relative 1e-8 of the likelihood and differentiates its Hessian numerically.
    np.testing.assert_allclose(logs, wanted["tmb_log_ratio"], rtol=1e-4)
    np.testing.assert_allclose(plain, wanted["tmb_std_error"], rtol=1e-4)
    assert set(found["method"]) == {"negative binomial regression, variance x N/(N - groups), t quantile"}
    assert set(found["note"]) == {""}


def test_negative_binomial_falls_to_robust_poisson_where_events_vary_no_more_than_chance() -> None:
    wanted = pd.read_csv(REFERENCE / "negative_binomial.csv").query("set == 'regular'").iloc[0]
    found = negative_binomial_rate_ratio(*counts_of("regular"), reference="a").iloc[0]
    assert np.log(found["estimate"]) == pytest.approx(wanted["log_ratio"], abs=1e-8)
    assert found["std_error"] == pytest.approx(wanted["std_error"], rel=1e-8)
    assert found["df"] == wanted["df"] == 22
    assert found[LIMITS].tolist() == pytest.approx(wanted[LIMITS].tolist(), rel=1e-7)
    assert found["method"] == "Poisson regression, robust (sandwich) variance, t quantile"
    assert found["note"] == "events vary no more than Poisson"
    assert np.isnan(found["dispersion"])


def test_negative_binomial_falls_to_robust_poisson_where_the_fit_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(negative_binomial, "_GRADIENT", 0.0)
    found = negative_binomial_rate_ratio(*counts_of("epilepsy"), reference="placebo").iloc[0]
    assert found["note"] == "the negative binomial fit did not converge"
    assert found["method"].startswith("Poisson regression, robust")
    assert found["df"] == 57
    assert found[["std_error", *LIMITS, "p_value"]].notna().all()


def test_negative_binomial_finds_the_simulated_ratio_and_dispersion() -> None:
    rng = np.random.default_rng(11)
    group, exposure = np.arange(20_000) % 2, rng.uniform(1, 5, 20_000)
    events = rng.poisson(exposure * np.where(group == 1, 0.6, 0.3) * rng.gamma(0.5, 2.0, 20_000))
    row = negative_binomial_rate_ratio(events, exposure, group, reference=0).iloc[0]
    assert row["conf_low"] < 2 < row["conf_high"]
    assert row["dispersion"] == pytest.approx(2, abs=0.15)


def test_negative_binomial_says_what_it_cannot_tell() -> None:
    events = [4, 0, 0, 0, 0, 0, 5, 0, 0, 0]
    groups = ["a", "a", "a", "b", "b", "c", "c", "c", "d", "e"]
    exposure = [5, 5, 5, 5, 5, 5, 5, 5, 0, 5]
    found = negative_binomial_rate_ratio(events, exposure, groups, reference="a").set_index("group")
    left = "1 patients without exposure left out"
    assert found["note"].to_dict() == {
        "b": f"{left}; no event in one of the groups: no interval of this method",
        "c": left,
        "d": f"{left}; no exposure in one of the groups",
        "e": f"{left}; no event in one of the groups: no interval of this method",
    }
    assert found["estimate"].tolist()[:2] == pytest.approx([0, (5 / 15) / (4 / 15)], rel=1e-5)
    assert found.loc[["b", "d", "e"], [*LIMITS, "p_value"]].isna().all(axis=None)
    assert found.loc["c", LIMITS].notna().all()
    silent = negative_binomial_rate_ratio(events, exposure, groups, reference="e").set_index("group")
    assert silent["estimate"].tolist()[0] == np.inf
    assert silent.loc["b", "note"].endswith("no event in either group: their ratio is unknown")


def test_negative_binomial_of_one_patient_a_group_has_no_interval() -> None:
    row = negative_binomial_rate_ratio([3, 1], [10, 10], ["a", "b"], reference="b").iloc[0]
    assert row["estimate"] == pytest.approx(3)
    assert row[["std_error", *LIMITS, "p_value"]].isna().all()
    assert row["note"].endswith("the variance between the patients of a group is unknown")


@pytest.mark.parametrize(
    ("arguments", "reference_name", "message"),
    [
        (([1], [0], ["a"]), "a", "1 patients have events but no exposure"),
        (([1, 1], [1, 1], ["a", None]), "a", "group has 1 missing"),
        (([1], [1], ["a"]), "b", "reference is none of the 1 groups"),
        (([1, 2], [1], ["a"]), "a", "events has 2, exposure has 1"),
    ],
)
def test_negative_binomial_refuses_wrong_arguments(
    arguments: tuple[list[object], ...], reference_name: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        negative_binomial_rate_ratio(*arguments, reference=reference_name)


def test_rate_comparisons_leave_their_inputs_unchanged() -> None:
    counts = [np.array(each) for each in ([0, 2], [0.0, 5.0], [1, 5], [3.0, 5.0])]
    rate_ratio(*counts)
    rate_difference(*counts)
    negative_binomial_rate_ratio(counts[0], counts[1], np.array(["a", "b"]), reference="a")
    assert [each.tolist() for each in counts] == [[0, 2], [0, 5], [1, 5], [3, 5]]
