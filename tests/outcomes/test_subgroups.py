"""Response within subgroups: counts by hand, interaction tests against the estimators and R, degenerate levels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from trial_of_arms import Row, arms, counted, trial

from mesostats.estimators import cochran_mantel_haenszel
from mesostats.estimators.heterogeneity import difference_heterogeneity
from mesostats.outcomes.subgroups import subgroup_response
from mesostats.results import ESTIMATE_COLUMNS, Result

if TYPE_CHECKING:
    import pandas as pd

# Clinic x: arm A 8 of 13 treated, B 3 of 12; clinic y: 5 of 17 and 2 of 18. Women are in clinic x, men in y; z has no arm B.
ROWS = counted(
    {
        ("A", "female", "x"): (8, 4, 1),
        ("A", "male", "y"): (5, 10, 2),
        ("B", "female", "x"): (3, 9, 0),
        ("B", "male", "y"): (2, 13, 3),
        ("A", "female", "z"): (1, 1, 0),
    }
)


def subgroups(rows: list[Row], **arguments: Any) -> Result:
    given: dict[str, Any] = {"reference": "B", "subgroups": ["clinic_id", "sex"]} | arguments
    return subgroup_response(trial(rows), **given)


def cell(found: Result, level: str, estimand: str, subgroup: str = "clinic_id") -> pd.Series[Any]:
    reference = "" if estimand.startswith("response") else "B"
    return found.cell(subgroup=subgroup, level=level, arm="A", reference=reference, estimand=estimand)


def test_rows_are_those_of_a_forest_plot() -> None:
    found = subgroups(ROWS)
    assert list(found.estimates) == ["subgroup", "level", "instrument", "arm", "reference", *ESTIMATE_COLUMNS]
    differences = found.estimates.query("estimand == 'risk_difference'")
    assert differences[["subgroup", "level"]].values.tolist() == [
        ["overall", "all groups"],
        *[["clinic_id", each] for each in "xyz"],
        *[["sex", each] for each in ("female", "male")],
    ]
    # x, y, z, women, men; over all 14 of 32 and 5 of 30.
    assert differences["estimate"].tolist() == pytest.approx(
        [14 / 32 - 5 / 30, 8 / 13 - 3 / 12, 5 / 17 - 2 / 18, np.nan, 9 / 15 - 3 / 12, 5 / 17 - 2 / 18],
        nan_ok=True,
    )
    share = cell(found, "x", "response_evaluable")
    assert (share["numerator"], share["denominator"], share["n_missing"]) == (8, 12, 1)


def test_interaction_tests_compare_the_levels() -> None:
    found = subgroups(ROWS)
    counts = [8, 5, 1], [13, 17, 2], [3, 2, 0], [12, 18, 0]
    expected = difference_heterogeneity(*counts).iloc[0]
    test = cell(found, "all groups", "interaction_difference_test")
    assert test["statistic"] == pytest.approx(expected["statistic"])
    assert test["p_value"] == pytest.approx(expected["p_value"])
    assert test["df"] == 1
    assert "1 of 3 levels left out" in test["note"]
    odds = cell(found, "all groups", "interaction_odds_test")
    breslow_day = cochran_mantel_haenszel(*counts)["homogeneity_p_value"].item()
    assert odds["p_value"] == pytest.approx(breslow_day)
    sexes = cell(found, "all groups", "interaction_odds_test", "sex")
    # Benjamini-Hochberg of the two columns.
    larger, smaller = max(odds["p_value"], sexes["p_value"]), min(odds["p_value"], sexes["p_value"])
    wanted = sorted([larger, min(2 * smaller, larger)])
    assert sorted([odds["p_adjusted"], sexes["p_adjusted"]]) == pytest.approx(wanted)
    assert found.estimates.query("estimand == 'risk_difference'")["p_adjusted"].isna().all()


def test_a_level_without_an_arm_is_kept_with_a_note() -> None:
    row = cell(subgroups(ROWS), "z", "risk_difference")
    assert row[["estimate", "conf_low", "p_value"]].isna().all()
    assert row["note"] == "nobody in the reference group; fewer than 10 courses in a group"
    assert row["denominator"] == 2


def test_the_reader_is_warned() -> None:
    found = subgroups(ROWS)
    assert "exploratory" in found.spec["warning"]
    assert found.spec["warning"] in found.spec["rules"]
    assert found.spec["primary"] == "risk_difference"


def test_explain_gives_the_courses_of_a_level() -> None:
    found = subgroups(ROWS)
    rows = found.explain(subgroup="clinic_id", level="x", arm="A", estimand="risk_difference")
    assert (rows["in_numerator"].sum(), rows["in_denominator"].sum()) == (8, 13)
    assert rows["clinic_id"].eq("x").all()
    whole = found.explain(subgroup="overall", arm="B", estimand="response_evaluable")
    assert (whole["in_numerator"].sum(), whole["in_denominator"].sum()) == (5, 27)


def test_one_level_has_no_interaction() -> None:
    found = subgroups(arms((6, 6, 0), (3, 9, 0)), subgroups="sex")
    for name in ("interaction_difference_test", "interaction_odds_test"):
        test = cell(found, "all groups", name, "sex")
        assert np.isnan(test["p_value"])
        assert test["note"] != ""
    assert cell(found, "female", "risk_difference", "sex")["estimate"] == pytest.approx(0.25)


def test_levels_in_which_nobody_or_everybody_responds_are_tested() -> None:
    rows = counted(
        {
            ("A", "female", "x"): (12, 0, 0),
            ("B", "female", "x"): (0, 12, 0),
            ("A", "male", "y"): (0, 12, 0),
            ("B", "male", "y"): (0, 12, 0),
        }
    )
    test = cell(subgroups(rows), "all groups", "interaction_difference_test", "sex")
    # By hand: the differences are 1 and 0, the common one 1/2. Under it women respond with 3/4 and 1/4, men with 1/2 and 0; the
    # variances are (3/8 and 1/4)/12·24/23, the statistic is 1 over their sum.
    assert test["statistic"] == pytest.approx(11.5 / (3 / 8 + 1 / 4))


def test_levels_that_are_not_recorded_are_shown_and_not_tested() -> None:
    given = trial(ROWS)
    courses = given.table("courses")
    changed = courses.assign(clinic_id=courses["clinic_id"].where(courses["clinic_id"] != "z"))
    other = type(given)(
        courses=changed,
        **{name: given.table(name) for name in given.names if name != "courses"},
        cutoff="2024-12-31",
    )
    found = subgroup_response(other, reference="B", subgroups="clinic_id")
    assert cell(found, "not recorded", "response_treated")["denominator"] == 2
    assert cell(found, "all groups", "interaction_difference_test")["note"] == ""


def test_courses_of_one_patient_are_not_independent() -> None:
    rows: list[Row] = [
        (f"{arm}{sex}{number}", arm, sex, "x", 20, 10 if number < hits else 20)
        for arm, sex, hits in (("A", "female", 4), ("A", "male", 3), ("B", "female", 1), ("B", "male", 2))
        for number in range(6)
        for _ in range(2)
    ]
    found = subgroups(rows, subgroups="sex")
    alone = difference_heterogeneity([8, 6], [12, 12], [2, 4], [12, 12])["statistic"].item()
    test = cell(found, "all groups", "interaction_difference_test", "sex")
    # All courses of a patient are alike. By hand: k/(k - 1)·sum(y - r·n)²/144 over r(1 - r)/12 is 6/5·2 for each group.
    expected = difference_heterogeneity(
        [8, 6], [12, 12], [2, 4], [12, 12], design_effects=2.4, reference_design_effects=2.4
    )
    assert test["statistic"] == pytest.approx(expected["statistic"].item())
    assert test["statistic"] < alone
    odds = cell(found, "all groups", "interaction_odds_test", "sex")
    assert np.isnan(odds["p_value"])
    assert "several courses" in odds["note"]


def test_an_instrument_that_is_not_scored_has_a_reason() -> None:
    given = trial(ROWS, instrument="gais", indication="wrinkles")
    found = subgroup_response(given, reference="B", subgroups="sex").estimates
    assert found[["estimate", "numerator", "p_value", "p_adjusted"]].isna().all().all()
    assert found["note"].str.contains("direction of 'gais' is not declared").all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reference": "C"}, "no group of arm is 'C'"),
        ({"subgroups": ["sex", "arm"]}, "each grouping column once"),
        ({"subgroups": "sexx"}, "did you mean 'sex'"),
        ({"denominator": "everybody"}, "denominator 'everybody' is unknown"),
        ({"method": "wald"}, "method 'wald' is unknown"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        subgroups(ROWS, **arguments)


def test_a_column_of_many_values_is_refused() -> None:
    rows = [(f"P{place}", "AB"[place % 2], "female", f"clinic {place}", 20.0, 10.0) for place in range(21)]
    with pytest.raises(ValueError, match="21 levels, at most 20"):
        subgroups(rows, subgroups="clinic_id")
