"""Comparisons within strata against R (metafor::rma.mh, mantelhaen.test, score equations by uniroot), properties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import StratifiedTable

from mesostats.estimators.differences import risk_difference
from mesostats.estimators.stratified import stratified_risk_difference, stratified_risk_ratio
from mesostats.estimators.stratified_odds import cochran_mantel_haenszel, stratified_odds_ratio
from mesostats.estimators.two_groups import COMPARISON_COLUMNS

REFERENCE = Path(__file__).parents[1] / "reference"
COUNTS = ["x", "n", "x0", "n0"]
SETS = ["clinics", "bcg", "berkeley", "rabbits", "sparse", "one_sided"]
LIMITS = ["conf_low", "conf_high"]
ESTIMATORS = [
    stratified_risk_difference,
    stratified_risk_ratio,
    stratified_odds_ratio,
    cochran_mantel_haenszel,
]

tally = st.integers(1, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
strata = st.lists(st.tuples(tally, tally).map(lambda pair: (*pair[0], *pair[1])), min_size=1, max_size=6).map(
    lambda rows: [list(column) for column in zip(*rows, strict=True)]
)


def counted(name: str) -> list[pd.Series]:
    cases = pd.read_csv(REFERENCE / "strata.csv")
    return [cases.loc[cases["set"] == name, column] for column in COUNTS]


def expected(name: str, conf_level: float) -> pd.Series:
    cases = pd.read_csv(REFERENCE / "stratified.csv")
    return cases[(cases["set"] == name) & np.isclose(cases["conf_level"], conf_level)].iloc[0]


def assert_close(found: pd.Series, columns: list[str], wanted: list[float]) -> None:
    np.testing.assert_allclose(found[columns].astype(float), wanted, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("conf_level", [0.9, 0.95])
@pytest.mark.parametrize("name", SETS)
def test_stratified_risk_difference_agrees_with_r(name: str, conf_level: float) -> None:
    wanted = expected(name, conf_level)
    found = stratified_risk_difference(*counted(name), conf_level=conf_level).iloc[0]
    assert_close(
        found,
        ["estimate", "std_error", *LIMITS, "p_value"],
        list(wanted[["rd", "rd_se", "rd_low", "rd_high", "rd_p"]]),
    )

    score = stratified_risk_difference(
        *counted(name), method="miettinen_nurminen", conf_level=conf_level
    ).iloc[0]
    assert_close(score, ["estimate", *LIMITS], list(wanted[["rd", "mn_low", "mn_high"]]))
    assert score["statistic"] ** 2 == pytest.approx(wanted["cmh"], rel=1e-8)
    assert score["p_value"] == pytest.approx(wanted["cmh_p"], rel=1e-8)
    assert (found["strata"], found["strata_used"]) == (wanted["strata"], wanted["strata"])


@pytest.mark.parametrize("conf_level", [0.9, 0.95])
@pytest.mark.parametrize("name", SETS[:-1])
def test_stratified_ratios_agree_with_r(name: str, conf_level: float) -> None:
    wanted = expected(name, conf_level)
    columns = ["estimate", "std_error", *LIMITS, "p_value"]
    risks = stratified_risk_ratio(*counted(name), conf_level=conf_level).iloc[0]
    odds = stratified_odds_ratio(*counted(name), conf_level=conf_level).iloc[0]
    for found, what in ((risks, "rr"), (odds, "or")):
        rest = list(wanted[[f"{what}_se", f"{what}_low", f"{what}_high", f"{what}_p"]])
        assert_close(found, columns, [np.exp(wanted[f"log_{what}"]), *rest])
    assert odds["estimate"] == pytest.approx(wanted["mantelhaen_or"], rel=1e-8)
    assert odds["strata_used"] == wanted["mixed"]


@pytest.mark.parametrize("name", SETS)
def test_cochran_mantel_haenszel_agrees_with_r(name: str) -> None:
    wanted = expected(name, 0.95)
    plain = cochran_mantel_haenszel(*counted(name)).iloc[0]
    corrected = cochran_mantel_haenszel(*counted(name), correction=True).iloc[0]
    assert_close(plain, ["statistic", "p_value"], list(wanted[["cmh", "cmh_p"]]))
    assert_close(corrected, ["statistic", "p_value"], list(wanted[["cmh_corrected", "cmh_corrected_p"]]))
    assert_close(
        plain, ["homogeneity_statistic", "homogeneity_p_value"], list(wanted[["tarone", "tarone_p"]])
    )
    assert plain["df"] == 1
    assert plain["homogeneity_df"] == wanted["mixed"] - 1


def test_cochran_mantel_haenszel_agrees_with_statsmodels() -> None:
    x, n, x0, n0 = (each.to_numpy() for each in counted("bcg"))
    tables = StratifiedTable(np.array([[x, n - x], [x0, n0 - x0]], dtype=float))
    found = cochran_mantel_haenszel(x, n, x0, n0).iloc[0]
    null, equal = tables.test_null_odds(), tables.test_equal_odds(adjust=True)
    assert found["statistic"] == pytest.approx(null.statistic)
    assert found["homogeneity_statistic"] == pytest.approx(equal.statistic)
    assert found["homogeneity_p_value"] == pytest.approx(equal.pvalue)
    assert found[LIMITS].tolist() == pytest.approx(list(tables.oddsratio_pooled_confint()))


def test_cochran_mantel_haenszel_agrees_with_published_values() -> None:
    # Admissions to Berkeley by sex in six departments, example(mantelhaen.test) without the correction: the common odds
    # ratio of admission, women to men, is 1.1053 (its inverse 0.9047); M² with the correction is 1.4269, p = 0.2323.
    found = cochran_mantel_haenszel(*counted("berkeley"), correction=True).iloc[0]
    assert found["estimate"] == pytest.approx(0.9047, abs=5e-5)
    assert found["statistic"] == pytest.approx(1.4269, abs=5e-5)
    assert found["p_value"] == pytest.approx(0.2323, abs=5e-5)


def test_correction_does_not_pass_zero() -> None:
    # 1 of 3 against 1 of 4: the excess is 1 - 6/7 = 1/7, less than the correction, which R then leaves out.
    plain, corrected = (
        cochran_mantel_haenszel([1], [3], [1], [4], correction=each).iloc[0] for each in (False, True)
    )
    # v = 3·4·2·5/(49·6)
    assert plain["statistic"] == pytest.approx((1 / 7) ** 2 / (120 / 294))
    assert corrected["statistic"] == plain["statistic"]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_strata_with_an_empty_group_are_left_out_visibly(estimator: object) -> None:
    found = estimator([4, 3, 6, 0], [10, 5, 20, 0], [2, 0, 4, 0], [10, 0, 20, 0]).iloc[0]
    alone = estimator([4, 6], [10, 20], [2, 4], [10, 20]).iloc[0]
    numbers = ["estimate", "std_error", *LIMITS, "statistic", "p_value", "numerator", "denominator"]
    assert found[numbers].tolist() == alone[numbers].tolist()
    assert (found["strata"], found["strata_used"]) == (4, 2)
    assert found["note"] == "2 of 4 strata left out: nobody in one of the groups"
    assert alone["note"] == ""
    assert (found["numerator"], found["denominator"]) == (10, 30)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_no_stratum_that_compares_is_missing_with_a_note(estimator: object) -> None:
    for given_counts in (([1, 0], [3, 0], [0, 2], [0, 3]), ([], [], [], [])):
        found = estimator(*given_counts).iloc[0]
        assert found[["estimate", "std_error", *LIMITS, "statistic", "p_value"]].isna().all()
        assert found["note"].endswith("no stratum to compare the groups in")
        assert found["strata_used"] == 0
    columns = list(estimator([1], [3], [2], [3]).columns)
    assert columns[: len(COMPARISON_COLUMNS) + 2] == [*COMPARISON_COLUMNS, "strata", "strata_used"]


def test_score_interval_without_strata_to_compare_is_missing() -> None:
    found = stratified_risk_difference([1], [3], [0], [0], method="miettinen_nurminen").iloc[0]
    assert found[["estimate", *LIMITS, "p_value"]].isna().all()


def test_strata_without_events() -> None:
    nothing = ([0, 0], [10, 20], [0, 0], [10, 20])
    sato = stratified_risk_difference(*nothing).iloc[0]
    assert sato["estimate"] == 0
    assert sato[["std_error", *LIMITS, "p_value"]].isna().all()
    assert sato["note"] == "variance 0: no interval and no test of this method"

    score = stratified_risk_difference(*nothing, method="miettinen_nurminen").iloc[0]
    assert -0.2 < score["conf_low"] < 0 < score["conf_high"] < 0.2
    assert (score["p_value"], score["note"]) == (1, "")

    risks = stratified_risk_ratio(*nothing).iloc[0]
    assert np.isnan(risks["estimate"])
    assert risks["note"] == "no event in either group: their ratio is unknown"

    odds = cochran_mantel_haenszel(*nothing).iloc[0]
    assert odds["note"] == (
        "2 of 2 strata left out: nobody or everybody has the event; no stratum to compare the groups in"
    )


def test_events_in_one_group_only_leave_a_test_but_no_interval() -> None:
    found = cochran_mantel_haenszel(*counted("one_sided")).iloc[0]
    assert found["estimate"] == np.inf
    assert found[["std_error", *LIMITS, "homogeneity_p_value"]].isna().all()
    assert found["note"] == "the odds ratio is 0 or infinite: no interval; no test of homogeneity"
    assert 0 < found["p_value"] < 1
    for estimator in (stratified_risk_ratio, stratified_odds_ratio):
        row = estimator(*counted("one_sided")).iloc[0]
        assert row["estimate"] == np.inf
        assert row["note"] == "the ratio is 0 or infinite: no interval and no test of this method"


def test_everybody_with_the_event_has_risk_ratio_one_and_no_interval() -> None:
    found = stratified_risk_ratio([3, 4], [3, 4], [5, 6], [5, 6]).iloc[0]
    assert found["estimate"] == pytest.approx(1)
    assert found["note"] == "variance 0: no interval and no test of this method"


@settings(max_examples=40, deadline=None)
@given(table=st.tuples(tally, tally).map(lambda pair: (*pair[0], *pair[1])), conf_level=st.floats(0.5, 0.99))
def test_score_interval_of_a_single_stratum_is_that_of_the_table(
    table: tuple[int, int, int, int], conf_level: float
) -> None:
    found = stratified_risk_difference(
        *([each] for each in table), method="miettinen_nurminen", conf_level=conf_level
    ).iloc[0]
    alone = risk_difference(*table, conf_level=conf_level).iloc[0]
    columns = ["estimate", *LIMITS, "statistic", "p_value"]
    np.testing.assert_allclose(
        found[columns].astype(float), alone[columns].astype(float), rtol=1e-9, atol=1e-12
    )


@settings(max_examples=40, deadline=None)
@given(counts=strata, method=st.sampled_from(["mantel_haenszel", "miettinen_nurminen"]))
def test_stratified_risk_difference_negates_when_the_groups_swap(
    counts: list[list[int]], method: str
) -> None:
    found = stratified_risk_difference(*counts, method=method).iloc[0]
    swapped = stratified_risk_difference(*counts[2:], *counts[:2], method=method).iloc[0]
    numbers = ["estimate", *LIMITS, "statistic"]
    mirror = [-swapped[name] for name in ("estimate", "conf_high", "conf_low", "statistic")]
    np.testing.assert_allclose(found[numbers].astype(float), mirror, rtol=1e-7, atol=1e-9)
    if not np.isnan(found["conf_low"]):
        assert -1 <= found["conf_low"] <= found["estimate"] + 1e-12
        assert found["estimate"] - 1e-12 <= found["conf_high"] <= 1


@settings(max_examples=40, deadline=None)
@given(counts=strata, estimator=st.sampled_from([stratified_risk_ratio, stratified_odds_ratio]))
def test_stratified_ratios_invert_when_the_groups_swap(counts: list[list[int]], estimator: object) -> None:
    found = estimator(*counts)[["estimate", *LIMITS]].to_numpy()[0]
    swapped = estimator(*counts[2:], *counts[:2])[["estimate", "conf_high", "conf_low"]].to_numpy()[0]
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(found, 1 / swapped, rtol=1e-7)


@settings(max_examples=40, deadline=None)
@given(counts=strata)
def test_score_interval_excludes_zero_exactly_where_cochran_mantel_haenszel_rejects(
    counts: list[list[int]],
) -> None:
    row = stratified_risk_difference(*counts, method="miettinen_nurminen").iloc[0]
    association = cochran_mantel_haenszel(*counts).iloc[0]
    rejected = row["conf_low"] > 0 or row["conf_high"] < 0
    assert (row["p_value"] < 0.05) == rejected
    if association["strata_used"] > 0:
        assert row["p_value"] == pytest.approx(association["p_value"], rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(counts=strata)
def test_cochran_mantel_haenszel_does_not_depend_on_the_order_of_the_strata(counts: list[list[int]]) -> None:
    found = cochran_mantel_haenszel(*counts).iloc[0]
    turned = cochran_mantel_haenszel(*(each[::-1] for each in counts)).iloc[0]
    for name in ("estimate", "statistic", "homogeneity_statistic"):
        assert found[name] == pytest.approx(turned[name], rel=1e-6, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_stratified_estimators_refuse_wrong_arguments(estimator: object) -> None:
    with pytest.raises(ValueError, match="events is above n"):
        estimator([3], [2], [1], [2])
    with pytest.raises(ValueError, match="n has 2, reference_n has 1"):
        estimator([1, 1], [2, 2], [1], [2])
    with pytest.raises(ValueError, match="conf_level == 2"):
        estimator([1], [2], [1], [2], conf_level=2)


def test_stratified_risk_difference_refuses_an_unknown_method() -> None:
    with pytest.raises(ValueError, match="method 'sato' is unknown"):
        stratified_risk_difference([1], [2], [1], [2], method="sato")


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_stratified_estimators_leave_their_inputs_unchanged(estimator: object) -> None:
    counts = [np.array(each) for each in ([0, 2], [0, 5], [1, 5], [3, 5])]
    estimator(*counts)
    assert [each.tolist() for each in counts] == [[0, 2], [0, 5], [1, 5], [3, 5]]
