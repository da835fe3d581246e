"""Comparisons of response: counts by hand, numbers of R and of the estimators' own tests, degenerate trials."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from trial_of_arms import Row, arms, counted, trial

from mesostats.dataset import Dataset
from mesostats.estimators import ClusterTotals, clustered_risk_difference, crude_risks
from mesostats.outcomes.comparisons import compare_response
from mesostats.outcomes.responders import response
from mesostats.results import ESTIMATE_COLUMNS, Result
from mesostats.simulation import simulate
from mesostats.vocabulary import ResponderRule

SHARES = ("response_treated", "response_with_baseline", "response_evaluable", "response_completers")
MEASURES = {
    *("risk_difference", "risk_ratio", "odds_ratio"),
    *("number_needed_to_benefit", "number_needed_to_harm"),
}
SITES = counted(
    {
        ("A", "female", "x"): (8, 4, 1),
        ("A", "male", "y"): (5, 10, 2),
        ("B", "female", "x"): (3, 9, 0),
        ("B", "male", "y"): (2, 13, 3),
    }
)


def compare(rows: list[Row], **arguments: Any) -> Result:
    return compare_response(trial(rows), **({"reference": "B"} | arguments))


def row(found: Result, estimand: str, arm: str = "A", reference: str = "B") -> pd.Series[Any]:
    own = "" if estimand.startswith("response_") else reference
    return found.cell(arm=arm, reference=own, estimand=estimand)


def test_the_four_denominators_of_each_group_stay_in_sight() -> None:
    found = compare(arms((6, 2, 4), (2, 6, 1)))
    assert list(found.estimates) == ["instrument", "arm", "reference", *ESTIMATE_COLUMNS]
    counts = [(row(found, name)["numerator"], row(found, name)["denominator"]) for name in SHARES]
    assert counts == [(6, 12), (6, 12), (6, 8), (6, 8)]
    assert {*found.estimates["estimand"]} == {*SHARES} | MEASURES
    assert found.estimates.query("arm == 'A'")["n_missing"].eq(4).all()
    assert found.estimates.query("arm == 'B'")["n_missing"].eq(1).all()
    assert found.spec["rates"] == "response_treated"


def test_a_comparison_is_that_of_r() -> None:
    # Newcombe (1998), table II, example a: 56 of 70 and 48 of 80, methods 6 and 10.
    rows = arms((56, 14, 0), (48, 32, 0))
    score, hybrid = (compare(rows, method=method) for method in ("miettinen_nurminen", "newcombe"))
    assert row(score, "risk_difference")[["conf_low", "conf_high"]].round(4).tolist() == [0.0528, 0.3382]
    assert row(hybrid, "risk_difference")[["conf_low", "conf_high"]].round(4).tolist() == [0.0524, 0.3339]
    # The reciprocals of 0.2 (0.0528 to 0.3382).
    needed = row(score, "number_needed_to_benefit")
    assert needed["estimate"] == pytest.approx(5)
    assert (needed["conf_low"], needed["conf_high"]) == (
        pytest.approx(1 / 0.3382, rel=1e-3),
        pytest.approx(1 / 0.0528, rel=1e-3),
    )
    assert np.isnan(row(score, "number_needed_to_harm")["conf_low"])
    # R: fisher.test(matrix(c(56, 14, 48, 32), 2)); its root finder stops 1e-4 from the exact estimate and limits.
    odds = row(score, "odds_ratio")
    assert odds["p_value"] == pytest.approx(0.0125211297492092)
    assert odds[["estimate", "conf_low", "conf_high"]].tolist() == pytest.approx(
        [2.64919027064138, 1.20911815005875, 6.04056145383802], rel=1e-3
    )
    assert "ICH E9(R1) composite strategy" in odds["method"]


def test_the_denominator_is_chosen() -> None:
    found = compare(arms((6, 2, 4), (2, 6, 1)), denominator="evaluable")
    difference = row(found, "risk_difference")
    assert difference["estimate"] == pytest.approx(6 / 8 - 2 / 8)
    assert difference["method"].endswith("observed cases only")
    assert row(compare(arms((6, 2, 4), (2, 6, 1))), "risk_difference")["estimate"] == pytest.approx(
        6 / 12 - 2 / 9
    )


def test_explain_gives_the_courses_of_the_group() -> None:
    found = compare(arms((6, 2, 4), (2, 6, 1)), denominator="evaluable")
    for name in ("response_treated", "response_evaluable", "risk_difference"):
        cell = row(found, name)
        rows = found.explain(arm="A", estimand=name)
        assert rows["in_denominator"].sum() == cell["denominator"]
        assert rows["in_numerator"].sum() == cell["numerator"]
    assert rows.loc[~rows["in_denominator"], "excluded"].eq("no assessment at the endpoint").all()


def test_strata_are_pooled() -> None:
    # By hand, treated: A 8/13 and 5/17, B 3/12 and 2/18; weights 13·12/25 and 17·18/35.
    weights, differences = np.array([6.24, 306 / 35]), np.array([8 / 13 - 3 / 12, 5 / 17 - 2 / 18])
    found = compare(SITES, strata="clinic_id")
    assert row(found, "stratified_risk_difference")["estimate"] == pytest.approx(
        np.average(differences, weights=weights)
    )
    assert "Sato" in row(found, "stratified_risk_difference")["method"]
    # R: mantelhaen.test(array(c(8, 5, 3, 9, 5, 12, 2, 16), c(2, 2, 2)), correct = FALSE).
    odds = row(found, "stratified_odds_ratio")
    assert odds[["estimate", "conf_low", "conf_high", "statistic", "p_value"]].tolist() == pytest.approx(
        [4.01777777777778, 1.1571869355817, 13.9498103333584, 4.94950026301946, 0.0260982113287344]
    )
    test = row(found, "homogeneity_test")
    assert np.isnan(test["estimate"])
    assert 0 < test["p_value"] < 1
    assert np.isnan(test["p_adjusted"])
    assert found.spec["primary"] == "stratified_risk_difference"
    benefit = row(found, "number_needed_to_benefit")
    assert benefit["estimate"] == pytest.approx(1 / row(found, "stratified_risk_difference")["estimate"])


@pytest.mark.parametrize("adjustment", ["gee", "iptw"])
def test_adjustment_for_what_is_balanced_changes_nothing(adjustment: str) -> None:
    # Each arm has the same share of both sexes, so that the weights, and a model with both, leave the crude difference.
    rows = counted(
        {
            ("A", "female", "x"): (8, 4, 0),
            ("A", "male", "x"): (4, 8, 0),
            ("B", "female", "x"): (6, 6, 0),
            ("B", "male", "x"): (2, 10, 0),
        }
    )
    found = compare(rows, adjust="sex", adjustment=adjustment)
    adjusted = row(found, "adjusted_risk_difference")
    assert adjusted["estimate"] == pytest.approx(12 / 24 - 8 / 24, abs=5e-3 if adjustment == "gee" else 1e-9)
    assert adjusted["conf_low"] < adjusted["estimate"] < adjusted["conf_high"]
    assert found.spec["primary"] == "adjusted_risk_difference"
    ratio = row(found, "adjusted_risk_ratio")
    assert ratio["estimate"] == pytest.approx(1.5, rel=0.02)


def test_baseline_is_a_covariate_that_removes_confounding() -> None:
    # Within each baseline both arms respond alike; arm A has more of the low ones, which respond more often.
    rows = [
        *counted({("A", "female", "low"): (12, 4, 0), ("B", "female", "low"): (6, 2, 0)}, baseline=10),
        *counted({("A", "female", "high"): (2, 6, 0), ("B", "female", "high"): (4, 12, 0)}, baseline=30),
    ]
    found = compare(rows, adjust="baseline")
    assert row(found, "risk_difference")["estimate"] == pytest.approx(14 / 24 - 10 / 24)
    assert row(found, "adjusted_risk_difference")["estimate"] == pytest.approx(0, abs=1e-9)


def test_a_covariate_that_some_lack_leaves_them_out() -> None:
    rows = arms((6, 6, 0), (4, 8, 0))
    given = trial(rows)
    patients = given.table("patients")
    ages = pd.Series([np.nan, *(20 + (np.arange(len(patients) - 1) * 7) % 30)])
    other = type(given)(
        patients=patients.assign(age=ages),
        **{name: given.table(name) for name in given.names if name != "patients"},
        cutoff="2024-12-31",
    )
    found = compare_response(other, reference="B", adjust="age")
    assert row(found, "adjusted_risk_difference")["denominator"] == 11
    assert row(found, "risk_difference")["denominator"] == 12


def test_patients_with_several_courses_are_clusters() -> None:
    rows: list[Row] = [
        (patient, arm, "female", "x", 20, 10 if hit else 20)
        for patient, arm, hits in (
            *(("P1", "A", (1, 1)), ("P2", "A", (1, 0)), ("P3", "A", (1,)), ("P4", "A", (0, 0, 0))),
            *(("P5", "B", (0, 0)), ("P6", "B", (1,)), ("P7", "B", (0, 0)), ("P8", "B", (0,))),
        )
        for hit in hits
    ]
    found = compare(rows)
    own = ClusterTotals.from_arrays([2, 1, 1, 0], [2, 2, 1, 3])
    other = ClusterTotals.from_arrays([0, 1, 0, 0], [2, 1, 2, 1])
    expected = clustered_risk_difference(own, other).iloc[0]
    numbers = ["estimate", "std_error", "conf_low", "conf_high", "p_value"]
    assert row(found, "risk_difference")[numbers].tolist() == pytest.approx(expected[numbers].tolist())
    odds = row(found, "odds_ratio")
    assert np.isfinite(odds["estimate"])
    assert np.isnan(odds["p_value"])
    assert "several courses" in odds["note"]
    pooled = compare(rows, strata="sex")
    assert row(pooled, "stratified_risk_difference")["estimate"] == pytest.approx(4 / 8 - 1 / 6)
    assert row(pooled, "stratified_risk_difference")["df"] == 7  # eight patients
    for name in ("stratified_odds_ratio", "homogeneity_test"):
        assert np.isnan(row(pooled, name)["p_value"])
    assert "several courses" in row(pooled, "stratified_odds_ratio")["note"]


def test_a_patient_with_a_course_in_each_arm_is_told_and_paired() -> None:
    hits = [("P1", 1, 0), ("P2", 1, 0), ("P3", 0, 0), ("P4", 1, 1), ("P5", 1, 0), ("P6", 0, 1)]
    rows: list[Row] = [
        (patient, arm, "female", "x", 20, 10 if hit else 20)
        for patient, *both in hits
        for arm, hit in zip("AB", both, strict=True)
    ]
    found = row(compare(rows), "risk_difference")
    outcomes = [hit for _, *both in hits for hit in both]
    expected = crude_risks(outcomes, list("AB") * 6, clusters=np.repeat(range(6), 2), reference="B")
    wanted = expected[expected["estimand"] == "risk_difference"].iloc[0]
    for name in ("estimate", "std_error", "conf_low", "conf_high", "df", "p_value"):
        assert found[name] == pytest.approx(wanted[name])
    assert "patients with courses in both groups: 6" in found["note"]
    ratio = row(compare(rows), "risk_ratio")
    assert ratio["estimate"] == pytest.approx(2)
    assert np.isnan(ratio["conf_low"])


THREE = counted(
    {
        ("A", "female", "x"): (9, 3, 0),
        ("B", "female", "x"): (3, 9, 0),
        ("C", "female", "x"): (6, 8, 0),
        (None, "female", "x"): (1, 1, 0),
    }
)


def test_pairs_share_a_family() -> None:
    found = compare(THREE, pairwise=True, multiplicity="holm")
    tested = found.estimates.query("estimand == 'risk_difference'")
    assert {*zip(tested["arm"], tested["reference"], strict=True)} == {("A", "B"), ("C", "B"), ("C", "A")}
    ordered = tested.sort_values("p_value")
    by_hand = np.minimum(np.maximum.accumulate(ordered["p_value"] * [3, 2, 1]), 1)
    assert ordered["p_adjusted"].tolist() == pytest.approx(by_hand.tolist())
    assert "all groups (or pairs)" in found.spec["family"]
    with_reference = compare(THREE)
    assert with_reference.estimates["reference"].unique().tolist() == ["", "B"]


def test_the_largest_known_group_is_the_default_reference() -> None:
    found = compare(THREE, reference=None)
    assert {*found.estimates["reference"]} == {"", "C"}
    # Courses whose arm is not recorded are counted, not compared.
    unknown = found.estimates.query("arm == 'not recorded'")
    assert unknown["estimand"].tolist() == [*SHARES]
    assert unknown["denominator"].eq(2).all()


def test_groups_are_compared_within_the_values_of_by() -> None:
    found = compare(SITES, by="clinic_id")
    difference = found.cell(clinic_id="y", arm="A", reference="B", estimand="risk_difference")
    assert difference["estimate"] == pytest.approx(5 / 17 - 2 / 18)
    assert (difference["numerator"], difference["denominator"]) == (5, 17)


def test_what_groups_are_compared_within_may_also_be_adjusted_for() -> None:
    found = compare(SITES, by="clinic_id", adjust=["clinic_id", "sex"])
    adjusted = found.cell(clinic_id="y", arm="A", reference="B", estimand="adjusted_risk_difference")
    assert adjusted["estimate"] == pytest.approx(5 / 17 - 2 / 18)
    assert "'sex' has one value: left out" in adjusted["note"]
    assert "Adjusted for clinic_id, sex by a logistic GEE" in " ".join(found.spec["rules"])


@pytest.mark.parametrize("by", [None, "skin_type"])
def test_shares_are_those_of_response(by: str | None) -> None:
    clinic = simulate(250, seed=4)
    found = compare_response(clinic, group="sex", by=by).estimates
    own = found[found["reference"] == ""].drop(columns="reference")
    wanted = response(clinic, by=[*([by] if by else []), "sex"]).estimates
    keys = [*([by] if by else []), "sex", "instrument", "estimand"]
    both = wanted.merge(own, on=keys, suffixes=("", "_own"), how="left")
    for name in ("estimate", "conf_low", "conf_high", "numerator", "denominator", "n_missing"):
        np.testing.assert_allclose(both[name], both[f"{name}_own"])


def two_indications() -> Dataset:
    """Return the melasma of 12 patients (8 respond by masi) and the wrinkles of 10 (3 by fine_lines, 5 assessed by gais too)."""
    melasma = trial(arms((5, 1, 0), (3, 2, 1)))
    lines = [
        (f"L{place}", "AB"[place % 2], "male", "y", 3.0, 2.0 if place < 3 else 3.0) for place in range(10)
    ]
    wrinkles = trial(lines, instrument="fine_lines", indication="wrinkles")
    tables = {}
    for name in ("patients", "courses", "sessions", "outcomes"):
        second = wrinkles.table(name)
        ids = [column for column in ("course_id", "session_id", "outcome_id") if column in second]
        second = second.assign(**{column: "second " + second[column] for column in ids})
        tables[name] = pd.concat([melasma.table(name), second], ignore_index=True)
    gais = tables["outcomes"].query("instrument == 'fine_lines'").head(5)
    gais = gais.assign(instrument="gais", outcome_id="gais " + gais["outcome_id"])
    tables["outcomes"] = pd.concat([tables["outcomes"], gais], ignore_index=True)
    return Dataset(**tables, cutoff="2024-12-31")  # type: ignore[arg-type]


def test_indications_are_compared_by_their_own_instruments() -> None:
    found = compare_response(two_indications(), group="indication", reference="wrinkles", instrument="own")
    difference = found.cell(indication="melasma", reference="wrinkles", estimand="risk_difference")
    assert difference["estimate"] == pytest.approx(8 / 12 - 3 / 10)
    assert difference["instrument"] == "own"
    assert found.spec["instruments"] == {"fine_lines": 10, "masi": 12}
    assert found.spec["unscored"] == 0
    assert "(fine_lines, masi)" in " ".join(found.spec["rules"])
    rows = found.explain(indication="wrinkles", estimand="response_treated")
    assert (rows["in_numerator"].sum(), rows["in_denominator"].sum()) == (3, 10)
    # Without it no instrument has both indications.
    apart = compare_response(two_indications(), group="indication")
    assert apart.spec["not_compared"] == ["fine_lines", "masi"]
    with pytest.raises(ValueError, match="different scales"):
        compare_response(two_indications(), group="indication", instrument="own", adjust="baseline")


def test_substances_are_compared_with_courses_without_them() -> None:
    # C0 … C5 respond, C6 … C11 do not; C11 has no product recorded.
    received = {f"C{place}": ["acid"] for place in (0, 1, 2, 3, 6)}
    received |= {"C4": ["acid", "vitamin"], "C5": ["vitamin"]}
    received |= {f"C{place}": ["vitamin"] for place in (7, 8, 9, 10)}
    given = trial(arms((6, 6, 0), (0, 0, 0)), products=received)
    found = compare_response(given, group="substance")
    counts = {
        name: tuple(found.cell(substance=name, estimand="response_treated")[["numerator", "denominator"]])
        for name in ("acid", "without acid", "vitamin", "without vitamin")
    }
    assert counts == {"acid": (5, 6), "without acid": (1, 5), "vitamin": (2, 6), "without vitamin": (4, 5)}
    row_of_acid = found.cell(substance="acid", reference="without acid", estimand="risk_difference")
    assert row_of_acid["estimate"] == pytest.approx(5 / 6 - 1 / 5)
    assert found.spec["unrecorded"] == 1
    rows = found.explain(substance="without acid", estimand="risk_difference")
    assert sorted(rows["course_id"]) == ["C10", "C5", "C7", "C8", "C9"]
    for arguments in ({"reference": "acid"}, {"pairwise": True}):
        with pytest.raises(ValueError, match="a column of products"):
            compare_response(given, group="substance", **arguments)  # type: ignore[arg-type]


def test_one_empty_arm_and_no_course_at_all_in_a_cell() -> None:
    rows = [*SITES, *counted({("C", "female", "x"): (2, 2, 0)})]
    found = compare(rows, by="clinic_id", adjust="sex", strata="sex")
    for name in ("risk_difference", "stratified_risk_difference", "adjusted_risk_difference"):
        empty = found.cell(clinic_id="y", arm="C", reference="B", estimand=name)
        assert np.isnan(empty["estimate"])
        assert empty["note"] != ""
    share = found.cell(clinic_id="y", arm="C", reference="", estimand="response_treated")
    assert (share["denominator"], share["numerator"]) == (0, 0)


@pytest.mark.parametrize(
    ("own", "other", "tested"), [((5, 0, 0), (6, 0, 0), True), ((0, 5, 0), (0, 6, 0), False)]
)
def test_all_and_none_respond(
    *, own: tuple[int, int, int], other: tuple[int, int, int], tested: bool
) -> None:
    found = compare(arms(own, other), adjust="sex", strata="sex")
    difference = row(found, "risk_difference")
    assert difference["estimate"] == 0
    assert difference["conf_low"] < 0 < difference["conf_high"]
    assert pd.notna(difference["p_value"]) == tested
    assert row(found, "number_needed_to_benefit")["note"] != ""
    adjusted = row(found, "adjusted_risk_difference")
    assert np.isnan(adjusted["conf_low"])
    assert "finite odds" in adjusted["note"]
    if not tested:
        assert "nothing to test" in difference["note"]


def test_one_group_has_nothing_to_be_compared_with() -> None:
    found = compare_response(trial(counted({("A", "female", "x"): (3, 2, 0)})), strata="sex", adjust="sex")
    assert found.estimates["estimand"].tolist() == [*SHARES]
    assert found.estimates["p_adjusted"].isna().all()
    assert found.spec["not_compared"] == ["masi"]


def test_a_group_that_is_never_recorded_is_shown() -> None:
    found = compare_response(trial(counted({(None, "female", "x"): (3, 2, 0)})))
    assert found.estimates["arm"].unique().tolist() == ["not recorded"]


def test_an_instrument_that_is_not_scored_has_a_reason() -> None:
    given = trial(arms((3, 3, 0), (2, 4, 0)), instrument="gais", indication="wrinkles")
    found = compare_response(given, reference="B", instrument="gais").estimates
    assert found[["estimate", "numerator", "p_value", "p_adjusted"]].isna().all().all()
    assert found["note"].str.contains("direction of 'gais' is not declared").all()
    assert found["denominator"].max() == 6


def test_a_rule_of_ones_own() -> None:
    found = compare(arms((6, 2, 4), (2, 6, 1)), rule=ResponderRule(kind="percent", threshold=60))
    assert found.estimates["numerator"].eq(0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reference": "C"}, "no group of arm is 'C'"),
        ({"group": "armm"}, "did you mean 'arm'"),
        ({"denominator": "all"}, "denominator 'all' is unknown"),
        ({"method": "wald"}, "method 'wald' is unknown"),
        ({"adjustment": "ols", "adjust": "sex"}, "adjustment 'ols' is unknown"),
        ({"multiplicity": "bonferroni"}, "multiplicity 'bonferroni' is unknown"),
        ({"by": "arm"}, "each grouping column once"),
        ({"strata": "arm"}, "each grouping column once"),
        ({"adjust": "age"}, "no column 'age'"),
        ({"adjust": ["sex", "arm"]}, "cannot be adjusted for"),
        ({"conf_level": 2}, "conf_level"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare(SITES, **arguments)


def test_a_column_of_products_with_a_taken_name_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot group by 'unit'"):
        compare_response(simulate(50, seed=1), group="unit", instrument="masi")
