"""Comparisons of grades against R's polr and its sandwich, published formulas, and tables computed by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mesostats.estimators.ordinal import proportional_odds

REFERENCE = Path(__file__).parents[1] / "reference"
HOUSING = pd.read_csv(REFERENCE / "graded_housing.csv")
COURSES = pd.read_csv(REFERENCE / "graded_courses.csv")
MODELS = pd.read_csv(REFERENCE / "proportional_odds.csv").set_index(["model", "coefficient"])
TESTS = pd.read_csv(REFERENCE / "proportionality.csv").set_index("model")


def housing(*, adjusted: bool = False) -> pd.DataFrame:
    group, covariates = ("influence", HOUSING[["type", "contact"]]) if adjusted else ("contact", None)
    return proportional_odds(
        HOUSING["grade"], HOUSING[group], covariates, frequencies=HOUSING["frequency"], reference="low"
    ).set_index("group")


def courses(*, adjusted: bool = False, clustered: bool = False) -> pd.Series:
    covariates = COURSES[["clinic", "baseline"]] if adjusted else None
    clusters = COURSES["patient"] if clustered else None
    found = proportional_odds(
        COURSES["grade"], COURSES["arm"], covariates, clusters=clusters, reference="control"
    )
    return found.iloc[0]


@pytest.mark.parametrize(
    ("adjusted", "model", "groups"),
    [
        (False, "housing", {"high": "ContHigh"}),
        (True, "housing_adjusted", {"medium": "InflMedium", "high": "InflHigh"}),
    ],
)
def test_odds_ratios_are_those_of_polr(*, adjusted: bool, model: str, groups: dict[str, str]) -> None:
    # 1e-6: polr stops where BFGS no longer climbs.
    found = housing(adjusted=adjusted)
    assert set(found.index) == set(groups)
    for group, coefficient in groups.items():
        expected = MODELS.loc[(model, coefficient)]
        assert found.loc[group, "estimate"] == pytest.approx(expected["estimate"], rel=1e-6)
        assert found.loc[group, "std_error"] == pytest.approx(expected["std_error"], rel=1e-6)


@pytest.mark.parametrize("adjusted", [False, True])
@pytest.mark.parametrize("clustered", [False, True])
def test_standard_errors_of_courses_are_those_of_polr_and_its_sandwich(
    *, adjusted: bool, clustered: bool
) -> None:
    model = "courses" + "_adjusted" * adjusted + "_clustered" * clustered
    found, expected = courses(adjusted=adjusted, clustered=clustered), MODELS.loc[(model, "armactive")]
    assert found["estimate"] == pytest.approx(expected["estimate"], rel=1e-6)
    assert found["std_error"] == pytest.approx(expected["std_error"], rel=1e-6)
    patients = COURSES["patient"].nunique()
    assert found["df"] == (patients - expected["parameters"]) if clustered else np.isnan(found["df"])


def test_the_test_of_proportionality_is_the_score_test() -> None:
    for model, found in (
        ("housing", housing().iloc[0]),
        ("housing_adjusted", housing(adjusted=True).iloc[0]),
        ("courses", courses()),
        ("courses_adjusted", courses(adjusted=True)),
    ):
        expected = TESTS.loc[model]
        assert found["proportionality_statistic"] == pytest.approx(expected["statistic"], rel=1e-6)
        assert found["proportionality_df"] == expected["df"]
        if np.isfinite(expected["pearson"]):  # the larger model is saturated
            assert found["proportionality_statistic"] == pytest.approx(expected["pearson"], rel=1e-6)


def test_two_grades_are_a_two_by_two_table() -> None:
    # 6 of 8 and 4 of 12: the odds ratio is 6·8/(2·4), its variance 1/6 + 1/2 + 1/4 + 1/8; there is nothing to be proportional.
    found = proportional_odds([1, 0, 1, 0], list("aabb"), frequencies=[6, 2, 4, 8], reference="b").iloc[0]
    assert found["estimate"] == pytest.approx(6)
    assert found["std_error"] == pytest.approx(np.sqrt(1 / 6 + 1 / 2 + 1 / 4 + 1 / 8))
    assert np.isnan(found["proportionality_p_value"])


def test_only_the_order_of_grades_counts() -> None:
    found = courses()
    other = proportional_odds(
        np.exp(COURSES["grade"]), COURSES["arm"], reference="control", conf_level=0.95
    ).iloc[0]
    assert other["estimate"] == pytest.approx(found["estimate"])
    turned = proportional_odds(-COURSES["grade"], COURSES["arm"], reference="control").iloc[0]
    assert turned["estimate"] == pytest.approx(1 / found["estimate"])
    swapped = proportional_odds(COURSES["grade"], COURSES["arm"], reference="active").iloc[0]
    assert swapped["estimate"] == pytest.approx(1 / found["estimate"])
    assert swapped["std_error"] == pytest.approx(found["std_error"])


def test_frequencies_are_alike_observations() -> None:
    counted = COURSES.groupby(["patient", "arm", "grade"], as_index=False).size()
    found = proportional_odds(
        counted["grade"],
        counted["arm"],
        clusters=counted["patient"],
        frequencies=counted["size"],
        reference="control",
    ).iloc[0]
    expected = courses(clustered=True)
    for name in ("estimate", "std_error", "denominator", "df"):
        assert found[name] == pytest.approx(expected[name])


def test_clusters_of_one_are_independent_observations() -> None:
    alone = proportional_odds(
        COURSES["grade"], COURSES["arm"], clusters=COURSES.index, reference="control"
    ).iloc[0]
    assert alone["std_error"] == pytest.approx(courses()["std_error"])
    assert alone["method"] == courses()["method"]


@pytest.mark.parametrize(
    ("grade", "group", "note"),
    [
        ([2, 3, 0, 1], "aabb", "no finite solution"),  # all of a above all of b
        ([1, 1, 1, 1], "aabb", "the same grade"),
        ([0, 1, 2], "bbb", "one group"),
    ],
)
def test_what_cannot_be_estimated_is_unknown(grade: list[int], group: str, note: str) -> None:
    found = proportional_odds(grade, list(group), reference="b")
    assert found["estimate"].isna().all()
    assert found["p_value"].isna().all()
    assert found["note"].str.contains(note).all()


def test_one_empty_group_after_missing_covariates() -> None:
    covariates = pd.DataFrame({"baseline": [np.nan, np.nan, 1.0, 2.0]})
    row = proportional_odds([0, 1, 0, 1], list("aabb"), covariates, reference="b").iloc[0]
    assert np.isnan(row["estimate"])
    assert (row["n_missing"], row["denominator"]) == (2, 0)
    assert "nobody in 'a'" in row["note"]


def test_covariates_that_tell_the_groups_are_refused() -> None:
    covariates = pd.DataFrame({"clinic": ["x", "x", "x", "y", "y", "y"]})
    row = proportional_odds([0, 1, 2, 0, 1, 2], list("aaabbb"), covariates, reference="b").iloc[0]
    assert np.isnan(row["estimate"])
    assert "who is in which group" in row["note"]


def test_few_clusters_have_an_estimate_alone() -> None:
    row = proportional_odds(
        [0, 1, 2, 1, 2, 0], list("aabbab"), clusters=[1, 1, 2, 2, 3, 3], reference="b"
    ).iloc[0]
    assert np.isfinite(row["estimate"])
    assert np.isnan(row["conf_low"])
    assert "too few" in row["note"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"grade": ["low", "high"]}, "code grades as ranks"),
        ({"grade": [1.0, np.nan]}, "missing or infinite"),
        ({"reference": "c"}, "not among the groups"),
        ({"group": ["a", None]}, "group has 1 missing"),
        ({"group": ["a", "b", "b"]}, "lengths differ"),
        ({"conf_level": 1.0}, "conf_level"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, object], message: str) -> None:
    given: dict[str, object] = {"grade": [0, 1], "group": ["a", "b"], "reference": "b"} | arguments
    with pytest.raises(ValueError, match=message):
        proportional_odds(given.pop("grade"), given.pop("group"), **given)  # type: ignore[arg-type]


def test_the_callers_frames_are_not_changed() -> None:
    covariates, grade = COURSES[["clinic", "baseline"]].copy(), COURSES["grade"].to_numpy().copy()
    proportional_odds(grade, COURSES["arm"], covariates, reference="control")
    pd.testing.assert_frame_equal(covariates, COURSES[["clinic", "baseline"]])
    assert (grade == COURSES["grade"]).all()
