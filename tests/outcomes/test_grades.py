"""Comparisons of grades: distributions by hand, odds ratios and ranks by R and by the estimators' own tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from trial_of_arms import Row, trial

from mesostats.errors import VocabularyError
from mesostats.estimators.rank_comparisons import van_elteren, win_probability
from mesostats.outcomes.grades import UNASSESSED, compare_grades
from mesostats.results import ESTIMATE_COLUMNS, Result


def graded(
    grades: dict[str, dict[float | None, int]], *, baseline: float = 3, clinic: str = "x"
) -> list[Row]:
    """Return so many patients of each arm at each grade at the end."""
    return [
        (f"{arm}-{clinic}-{baseline:g}-{grade}-{number}", arm, "female", clinic, baseline, grade)
        for arm, counts in grades.items()
        for grade, size in counts.items()
        for number in range(size)
    ]


# fine_lines: 0 to 4, lower is better; all begin at 3, so that the improvement is 3 less the value.
ROWS = graded({"A": {1: 5, 2: 3, 3: 2, None: 1}, "B": {1: 1, 2: 3, 3: 5, 4: 1}})
A_IMPROVED, B_IMPROVED = [2] * 5 + [1] * 3 + [0] * 2, [2] + [1] * 3 + [0] * 5 + [-1]


def grades(rows: list[Row], **arguments: Any) -> Result:
    given = trial(rows, instrument="fine_lines", indication="wrinkles")
    return compare_grades(given, instrument="fine_lines", **({"reference": "B"} | arguments))


def shares(found: Result, arm: str, estimand: str) -> dict[str, tuple[float, float]]:
    rows = found.estimates[found.estimates["arm"].eq(arm) & found.estimates["estimand"].eq(estimand)]
    return {row["grade"]: (row["numerator"], row["denominator"]) for _, row in rows.iterrows()}


def measure(found: Result, estimand: str) -> Any:
    return found.cell(arm="A", reference="B", estimand=estimand)


def test_the_distribution_of_each_group() -> None:
    found = grades(ROWS)
    assert list(found.estimates) == ["instrument", "arm", "reference", "grade", *ESTIMATE_COLUMNS]
    assert shares(found, "A", "share_of_evaluable") == {
        "-1": (0, 10),
        "0": (2, 10),
        "1": (3, 10),
        "2": (5, 10),
    }
    treated = {"-1": (0, 11), "0": (2, 11), "1": (3, 11), "2": (5, 11)}
    assert shares(found, "A", "share_of_treated") == treated | {UNASSESSED: (1, 11)}
    assert shares(found, "B", "share_of_evaluable") == {
        "-1": (1, 10),
        "0": (5, 10),
        "1": (3, 10),
        "2": (1, 10),
    }
    assert found.estimates.query("arm == 'A'")["n_missing"].eq(1).all()


def test_values_at_the_endpoint_keep_their_names_and_their_direction() -> None:
    found = grades(ROWS, scale="value")
    assert shares(found, "B", "share_of_evaluable") == {
        "1": (1, 10),
        "2": (3, 10),
        "3": (5, 10),
        "4": (1, 10),
    }
    # All began alike, so that the comparison is that of the improvement: better is above 1/2 although lower is better.
    for name in ("win_probability", "common_odds_ratio"):
        assert measure(found, name)["estimate"] == pytest.approx(measure(grades(ROWS), name)["estimate"])


def test_ranks_are_those_of_the_estimators() -> None:
    found, group = grades(ROWS), ["A"] * 10 + ["B"] * 10
    wins = win_probability(A_IMPROVED + B_IMPROVED, group, reference="B").iloc[0]
    row = measure(found, "win_probability")
    for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value"):
        assert row[name] == pytest.approx(wins[name])
    assert row["estimate"] == pytest.approx(
        np.mean([(a > b) + (a == b) / 2 for a in A_IMPROVED for b in B_IMPROVED])
    )
    tested = van_elteren(A_IMPROVED + B_IMPROVED, group, reference="B").iloc[0]
    assert measure(found, "van_elteren_test")["p_value"] == pytest.approx(tested["p_value"])
    assert row["method"].endswith("observed cases only")


def test_the_common_odds_ratio_is_that_of_polr() -> None:
    # R: d <- data.frame(y = factor(c(2,2,2,2,2,1,1,1,0,0, 2,1,1,1,0,0,0,0,0,-1), ordered = TRUE), g = rep(1:0, each = 10))
    #    fit <- MASS::polr(y ~ g, d, Hess = TRUE, control = list(reltol = 1e-15)); exp(coef(fit)); sqrt(vcov(fit)[1])
    row = measure(grades(ROWS), "common_odds_ratio")
    assert row["estimate"] == pytest.approx(7.33938994340234, rel=1e-6)
    assert row["std_error"] == pytest.approx(0.926272360875641, rel=1e-6)
    proportionality = measure(grades(ROWS), "proportionality_test")
    assert (proportionality["df"], np.isnan(proportionality["p_adjusted"])) == (2, True)


def test_strata_and_baseline_are_allowed_for() -> None:
    # In clinic y all are two grades better off, and most are of arm B: within clinics arm A does better.
    rows = [
        *graded({"A": {1: 1, 3: 6, 4: 2}, "B": {3: 1, 4: 3}}, clinic="x"),
        *graded({"A": {1: 3, 2: 1}, "B": {1: 3, 2: 5, 3: 1}}, clinic="y"),
    ]
    crude, within = grades(rows), grades(rows, strata="clinic_id")
    assert measure(crude, "win_probability")["estimate"] < 0.5
    assert measure(within, "win_probability")["estimate"] > 0.5
    assert measure(within, "van_elteren_test")["statistic"] > 0
    # The strata explain who is better: the adjusted odds ratio turns.
    assert (
        measure(within, "common_odds_ratio")["estimate"]
        < 1
        < measure(within, "adjusted_common_odds_ratio")["estimate"]
    )


def test_explain_gives_the_courses_of_a_grade() -> None:
    found = grades(ROWS)
    for estimand, grade in (("share_of_evaluable", "1"), ("share_of_treated", UNASSESSED)):
        cell = found.cell(arm="A", grade=grade, estimand=estimand)
        rows = found.explain(arm="A", grade=grade, estimand=estimand)
        assert rows["in_numerator"].sum() == cell["numerator"]
        assert rows["in_denominator"].sum() == cell["denominator"]
    compared = found.explain(arm="B")
    assert compared["in_denominator"].sum() == 10


def test_patients_with_several_courses_are_clusters() -> None:
    rows = [(patient.replace("-4", "-5"), *rest) for patient, *rest in ROWS]
    twice = [row for row in rows for _ in range(2)]
    found = grades(twice)  # type: ignore[arg-type]
    wins, odds = measure(found, "win_probability"), measure(found, "common_odds_ratio")
    assert wins["estimate"] == pytest.approx(measure(grades(ROWS), "win_probability")["estimate"])
    assert wins["df"] == 19  # 20 evaluable patients
    assert "cluster-robust" in odds["method"]
    assert odds["estimate"] == pytest.approx(measure(grades(ROWS), "common_odds_ratio")["estimate"])
    test = measure(found, "van_elteren_test")
    assert np.isnan(test["p_value"])
    assert "several courses" in test["note"]


def test_separation_and_one_grade() -> None:
    apart = grades(graded({"A": {0: 4, 1: 4}, "B": {3: 4, 4: 4}}))
    odds = measure(apart, "common_odds_ratio")
    assert np.isnan(odds["estimate"])
    assert "no finite solution" in odds["note"]
    assert measure(apart, "win_probability")["estimate"] == 1
    assert measure(apart, "win_probability")["conf_low"] > 0.5
    alike = grades(graded({"A": {2: 4}, "B": {2: 4}}))
    assert "the same grade" in measure(alike, "common_odds_ratio")["note"]
    assert np.isnan(measure(alike, "van_elteren_test")["p_value"])


def test_an_arm_that_nobody_assessed() -> None:
    found = grades(graded({"A": {None: 4}, "B": {2: 4, 3: 1}}))
    for name in ("common_odds_ratio", "win_probability", "van_elteren_test", "proportionality_test"):
        row = measure(found, name)
        assert np.isnan(row["estimate"])
        assert row["note"] == "nobody in one of the groups"
    assert shares(found, "A", "share_of_treated")[UNASSESSED] == (4, 4)
    assert shares(found, "A", "share_of_evaluable")["1"] == (0, 0)


def test_one_group_has_a_distribution_alone() -> None:
    found = grades(graded({"A": {2: 4, 3: 1}}), reference=None)
    assert {*found.estimates["estimand"]} == {"share_of_evaluable", "share_of_treated"}


@pytest.mark.parametrize(
    ("instrument", "message"),
    [("gais", "direction of 'gais' is not declared"), ("finelines", "did you mean 'fine_lines'")],
)
def test_an_instrument_needs_a_direction(instrument: str, message: str) -> None:
    given = trial(ROWS, instrument="gais", indication="wrinkles")
    with pytest.raises((ValueError, VocabularyError), match=message):
        compare_grades(given, instrument=instrument, reference="B")


def test_a_scale_of_many_values_is_no_ordinal_scale() -> None:
    rows: list[Row] = [(f"P{place}", "AB"[place % 2], "female", "x", 40.0, place / 2) for place in range(51)]
    with pytest.raises(ValueError, match="51 different grades"):
        compare_grades(trial(rows), instrument="masi", reference="B")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": "ratio"}, "scale 'ratio' is unknown"),
        ({"reference": "C"}, "no group of arm is 'C'"),
        ({"strata": "arm"}, "each grouping column once"),
        ({"conf_level": 0}, "conf_level"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        grades(ROWS, **arguments)
