"""Mixed models for repeated measures against R, and against t tests where these are the exact answer.

The references are those of R's nlme::gls() (corSymm or corCompSymm with varIdent, REML), refined by Newton steps on a
likelihood that make_changes.R writes down anew; Satterthwaite's degrees of freedom are derived there by numDeriv.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mesostats.estimators.kenward_roger import kenward_roger
from mesostats.estimators.repeated_measures import fit_repeated_measures
from mesostats.estimators.visit_means import visit_means

REFERENCE = Path(__file__).parents[1] / "reference"
COVARIANCES = ("unstructured", "compound_symmetry")
SETS = ("clinic", "trial", "small", "scale", "full")


@cache
def observed(name: str) -> pd.DataFrame:
    rows = pd.read_csv(REFERENCE / "repeated_observations.csv")
    return rows[rows["set"] == name].reset_index(drop=True)


def fitted(rows: pd.DataFrame, **options: object) -> pd.DataFrame:
    chosen: dict[str, object] = {"reference": "a_control", "by_visit": ["base"]} | options
    return visit_means(
        rows["change"],
        rows["arm"],
        rows[["site", "base"]],
        subject=rows["subject"],
        visit=rows["visit"],
        **chosen,  # type: ignore[arg-type]
    )


def treatment_design(rows: pd.DataFrame) -> np.ndarray:
    """Return R's model.matrix(~ arm * visit + site + base * visit) up to the order of its columns."""
    arm = pd.get_dummies(rows["arm"], drop_first=True, dtype=float).to_numpy()
    visit = pd.get_dummies(rows["visit"], drop_first=True, dtype=float).to_numpy()
    site = pd.get_dummies(rows["site"], drop_first=True, dtype=float).to_numpy()
    base = rows[["base"]].to_numpy()
    crossed = [(one[:, :, None] * visit[:, None, :]).reshape(len(rows), -1) for one in (arm, base)]
    return np.column_stack([np.ones(len(rows)), arm, visit, site, base, *crossed])


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("name", SETS)
def test_means_differences_and_degrees_of_freedom_are_those_of_r(name: str, covariance: str) -> None:
    found = fitted(observed(name), covariance=covariance)
    reference = pd.read_csv(REFERENCE / "repeated_means.csv").rename(columns={"arm": "group"})
    reference = reference[(reference["set"] == name) & (reference["covariance"] == covariance)]
    both = found.merge(reference, on=["group", "visit", "estimand"], suffixes=("", "_r"), validate="1:1")
    assert len(both) == len(found) == len(reference)
    for column, tolerance in (("estimate", 1e-6), ("std_error", 1e-6), ("df", 1e-4)):
        assert both[column].tolist() == pytest.approx(both[f"{column}_r"].tolist(), rel=tolerance)
    # What follows from these three, by R: estimate + c(-1, 1) * qt(.975, df) * se; 2 * pt(-abs(estimate / se), df)
    margin = stats.t.ppf(0.975, both["df_r"]) * both["std_error_r"]
    assert both["conf_low"].tolist() == pytest.approx((both["estimate_r"] - margin).tolist(), rel=1e-5)
    assert both["p_value"].tolist() == pytest.approx(
        (2 * stats.t.cdf(-np.abs(both["estimate_r"] / both["std_error_r"]), both["df_r"])).tolist(), rel=1e-4
    )
    assert not both["n_missing"].any()


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("name", SETS)
def test_likelihood_and_covariance_of_visits_are_those_of_r(name: str, covariance: str) -> None:
    rows = observed(name)
    fit = fit_repeated_measures(
        rows["change"],
        treatment_design(rows),
        subject=rows["subject"],
        visit=rows["visit"],
        covariance=covariance,  # type: ignore[arg-type]
    )
    likelihoods = pd.read_csv(REFERENCE / "repeated_fits.csv").set_index(["set", "covariance"])
    matrices = pd.read_csv(REFERENCE / "repeated_covariances.csv").query(
        "set == @name and covariance == @covariance"
    )
    assert fit.log_likelihood == pytest.approx(
        likelihoods.loc[(name, covariance), "log_likelihood"], rel=1e-8
    )
    expected = matrices.pivot_table(index="row", columns="column", values="value").to_numpy()
    assert fit.visit_covariance == pytest.approx(expected, rel=1e-5)
    assert fit.note == ""


def balanced(subjects: int = 12, visits: int = 3, *, seed: int = 5) -> pd.DataFrame:
    """Return two arms of whom everybody came to every visit."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(subjects, visits)) @ rng.normal(size=(visits, visits)) + rng.normal(
        size=(subjects, 1)
    )
    return pd.DataFrame(
        {
            "subject": np.repeat(np.arange(subjects), visits),
            "visit": np.tile(np.arange(visits), subjects),
            "arm": np.repeat(np.where(np.arange(subjects) % 3 == 0, "a", "b"), visits),
            "value": values.ravel(),
        }
    )


@pytest.mark.parametrize("small_sample", ["satterthwaite", "kenward_roger"])
def test_complete_balanced_data_give_the_t_test_at_each_visit(small_sample: Any) -> None:
    """With all visits observed the unstructured model is a pooled t test a visit: n - 2 degrees of freedom, by either method."""
    rows = balanced()
    found = visit_means(
        rows["value"],
        rows["arm"],
        subject=rows["subject"],
        visit=rows["visit"],
        reference="a",
        small_sample=small_sample,
    )
    for visit, at in rows.groupby("visit"):
        test = stats.ttest_ind(at.loc[at["arm"] == "b", "value"], at.loc[at["arm"] == "a", "value"])
        row = found[(found["visit"] == visit) & (found["estimand"] == "ls_mean_difference")].iloc[0]
        assert row["statistic"] == pytest.approx(test.statistic, rel=1e-7)
        assert row["p_value"] == pytest.approx(test.pvalue, rel=1e-6)
        assert row["df"] == pytest.approx(10, rel=1e-6)


def test_the_change_between_two_visits_of_one_group_is_the_paired_t_test() -> None:
    wide = balanced().pivot_table(index="subject", columns="visit", values="value")
    fit = fit_repeated_measures(
        wide.to_numpy().ravel(),
        np.tile(np.eye(3), (12, 1)),
        subject=np.repeat(range(12), 3),
        visit=[1, 2, 3] * 12,
    )
    test = stats.ttest_rel(wide[2], wide[0])
    estimate, error, freedom = fit.contrast([-1, 0, 1])
    assert estimate / error == pytest.approx(test.statistic, rel=1e-7)
    assert freedom == pytest.approx(11, rel=1e-6)
    assert fit.visit_covariance == pytest.approx(np.cov(wide.to_numpy().T), rel=1e-6)


@pytest.mark.parametrize("name", SETS)
def test_kenward_and_roger_widen_the_standard_errors_of_incomplete_data(name: str) -> None:
    plain, adjusted = (
        fitted(observed(name), small_sample=kind) for kind in ("satterthwaite", "kenward_roger")
    )
    assert adjusted["estimate"].to_numpy() == pytest.approx(plain["estimate"].to_numpy(), rel=1e-9)
    assert adjusted["df"].to_numpy() == pytest.approx(plain["df"].to_numpy(), rel=1e-5)
    ratio = adjusted["std_error"] / plain["std_error"]
    assert (ratio > 1).all()
    assert (ratio < 1.1).all()


def test_kenward_and_rogers_covariance_is_that_of_its_formula() -> None:
    """The sums over subjects written down one by one, with whole matrices; the spread of the entries is taken as given."""
    rows = observed("small")
    design = treatment_design(rows)
    fit = fit_repeated_measures(rows["change"], design, subject=rows["subject"], visit=rows["visit"])
    found = kenward_roger(fit._scaled)  # type: ignore[arg-type]
    scaled, visits = design / fit._scales, fit.visit_covariance / fit._unit**2
    phi = fit.covariance * np.outer(fit._scales, fit._scales) / fit._unit**2
    slopes, squares = np.zeros((6, *phi.shape)), np.zeros((6, 6, *phi.shape))
    for _, own in rows.groupby("subject"):
        seen = own["visit"].to_numpy() - 1
        x, weight = scaled[own.index], np.linalg.inv(visits[np.ix_(seen, seen)])
        units = []
        for a, b in zip(*np.tril_indices(3), strict=True):
            whole = np.zeros((3, 3))
            whole[a, b] = whole[b, a] = 1
            units.append(weight @ whole[np.ix_(seen, seen)] @ weight)
        for i, first in enumerate(units):
            slopes[i] -= x.T @ first @ x
            for j, second in enumerate(units):
                squares[i, j] += x.T @ first @ np.linalg.inv(weight) @ second @ x
    bend = sum(
        found.spread[i, j] * (squares[i, j] - slopes[i] @ phi @ slopes[j]) for i in range(6) for j in range(6)
    )
    assert found.adjusted == pytest.approx(phi + 2 * phi @ bend @ phi, rel=1e-6)


def test_one_visit_is_least_squares_with_its_own_degrees_of_freedom() -> None:
    rows = observed("clinic").query("visit == 1")
    found = fitted(rows)
    design = np.column_stack(
        [
            np.ones(len(rows)),
            rows["arm"] == "b_active",
            rows["site"] == "south",
            rows["site"] == "west",
            rows["base"],
        ]
    )
    beta, left, _, _ = np.linalg.lstsq(design.astype(float), rows["change"].to_numpy(), rcond=None)
    freedom = len(rows) - 5
    error = np.sqrt(left[0] / freedom * np.linalg.inv(design.astype(float).T @ design.astype(float))[1, 1])
    row = found[found["estimand"] == "ls_mean_difference"].iloc[0]
    assert [row["estimate"], row["std_error"], row["df"]] == pytest.approx(
        [beta[1], error, freedom], rel=1e-6
    )


def test_two_visits_make_both_structures_the_same_model() -> None:
    first, second = (fitted(observed("scale"), covariance=kind) for kind in COVARIANCES)
    columns = ["estimate", "std_error", "df"]
    assert first[columns].to_numpy() == pytest.approx(second[columns].to_numpy(), rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(shift=st.floats(-50, 50), scale=st.sampled_from([1e-3, 0.5, 7.0, 1e4]))
def test_other_units_change_nothing_but_the_units(shift: float, scale: float) -> None:
    rows = observed("small")
    before, after = fitted(rows), fitted(rows.assign(change=scale * rows["change"] + shift))
    means = before["estimand"].eq("ls_mean").to_numpy()
    assert after["estimate"].to_numpy() == pytest.approx(
        scale * before["estimate"].to_numpy() + shift * means, rel=1e-5, abs=1e-6 * (scale + abs(shift))
    )
    assert after["df"].to_numpy() == pytest.approx(before["df"].to_numpy(), rel=1e-5)


def test_the_order_of_rows_and_the_names_of_groups_do_not_matter() -> None:
    rows = observed("trial")
    mixed = rows.sample(frac=1, random_state=3)
    given_rows = mixed.copy(deep=True)
    first, second = fitted(rows), fitted(mixed)
    numbers = ["estimate", "std_error", "df", "denominator"]
    assert first[numbers].to_numpy() == pytest.approx(second[numbers].to_numpy(), rel=1e-6)
    pd.testing.assert_frame_equal(mixed, given_rows)
    turned = fitted(rows, reference="c_high").set_index(["group", "visit", "estimand"])["estimate"]
    straight = first.set_index(["group", "visit", "estimand"])["estimate"]
    for visit in (1, 2, 3, 4):
        away = straight["c_high", visit, "ls_mean_difference"]
        assert turned["a_control", visit, "ls_mean_difference"] == pytest.approx(-away, rel=1e-6)


def test_truth_is_recovered_where_leaving_depends_on_what_was_seen() -> None:
    """Those who got worse leave: the observed mean of the last visit is far off, the model's is not."""
    rng = np.random.default_rng(20)
    n = 6000
    values = rng.multivariate_normal([0, 0], [[4, 3.2], [3.2, 4]], size=n)
    stays = values[:, 0] < rng.normal(0.5, 1, size=n)
    rows = pd.DataFrame(
        {"subject": np.r_[0:n, np.flatnonzero(stays)], "visit": np.repeat([1, 2], [n, stays.sum()])}
    ).assign(value=np.r_[values[:, 0], values[stays, 1]], arm="all")
    found = visit_means(
        rows["value"], rows["arm"], subject=rows["subject"], visit=rows["visit"], reference="all"
    )
    last = found[found["visit"] == 2].iloc[0]
    assert values[stays, 1].mean() < -0.6
    assert abs(last["estimate"]) < 3 * last["std_error"] < 0.15
    assert last["std_error"] > 2 / np.sqrt(n)


def test_a_visit_that_an_arm_lacks_has_a_note_and_leaves_the_others_alone() -> None:
    rows = observed("trial").query("not (arm == 'c_high' and visit == 4)")
    found = fitted(rows)
    lacking = found[(found["group"] == "c_high") & (found["visit"] == 4)]
    assert lacking["estimate"].isna().all()
    assert lacking["note"].str.contains("cannot be estimated from the observed visits").all()
    assert found.drop(lacking.index)["estimate"].notna().all()
    assert lacking["denominator"].tolist() == [0.0, 0.0]


def test_levels_that_only_one_arm_has_leave_the_means_but_not_all_differences() -> None:
    """A site that only treats one arm: its effect and the arm's cannot be told apart, as SAS says Non-est."""
    rows = observed("clinic")
    rows = rows.assign(site=np.where(rows["arm"] == "b_active", "east", "north"))
    found = fitted(rows)
    assert found["estimate"].isna().all()
    assert found["note"].str.contains("cannot be estimated").all()
    kept = fitted(rows.assign(site=np.where(rows["subject"] == 1, "east", "north")))
    assert kept["estimate"].notna().all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[rows["subject"].isin([1, 2, 3])], "too few"),
        (lambda rows: rows[(rows["subject"] % 2 == 0) == (rows["visit"] == 3)], "no subject in common"),
        (lambda rows: rows.assign(change=0.0), "no variation"),
        (lambda rows: rows.assign(change=np.where(rows["visit"] == 2, 3.0, rows["change"])), "no variation"),
        (lambda rows: rows.assign(change=rows.groupby("subject")["change"].transform("first")), "covariance"),
    ],
)
def test_what_cannot_be_fitted_is_nan_with_a_note(change: object, words: str) -> None:
    rows = change(observed("clinic"))  # type: ignore[operator]
    found = visit_means(
        rows["change"],
        rows["arm"],
        subject=rows["subject"],
        visit=rows["visit"],
        reference=rows["arm"].iloc[0],
    )
    numbers = found[["estimate", "std_error", "df", "p_value", "conf_low", "conf_high"]]
    assert numbers.isna().all(axis=None)
    assert found["note"].str.contains(words).all()
    assert (found["denominator"] >= 0).all()


def test_nothing_observed_is_nan_with_a_note() -> None:
    rows = observed("small").assign(change=np.nan)
    found = fitted(rows)
    assert found["estimate"].isna().all()
    assert found["n_missing"].to_numpy()[:3] == pytest.approx(
        rows[rows["arm"] == "a_control"]["visit"].value_counts()[[1, 2, 3]]
    )
    assert (found["note"] != "").all()


def test_rows_without_a_number_are_counted_as_missing() -> None:
    rows = observed("trial").copy()
    lost = rows.index[(rows["arm"] == "a_control") & (rows["visit"] == 2)][:3]
    rows.loc[lost[:2], "change"] = np.nan
    rows.loc[lost[2], "base"] = np.nan
    found = fitted(rows).set_index(["group", "visit", "estimand"])
    assert found.loc[("a_control", 2, "ls_mean"), "n_missing"] == 3
    assert found.loc[("b_low", 2, "ls_mean"), "n_missing"] == 0
    assert found.loc[("b_low", 2, "ls_mean_difference"), "n_missing"] == 3
    whole = fitted(rows.drop(lost)).set_index(["group", "visit", "estimand"])
    assert found["estimate"].to_numpy() == pytest.approx(whole["estimate"].to_numpy(), rel=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reference": "a_contrl"}, "did you mean 'a_control'"),
        ({"by_visit": ["bas"]}, "by_visit 'bas' is no covariate; did you mean 'base'"),
        ({"covariance": "toeplitz"}, "covariance 'toeplitz' is unknown"),
        ({"small_sample": "kr"}, "small_sample 'kr' is unknown"),
        (
            {"small_sample": "kenward_roger", "covariance": "compound_symmetry"},
            "needs covariance 'unstructured'",
        ),
        ({"weights": "equals"}, "weights 'equals' is unknown"),
        ({"conf_level": 1.0}, "conf_level == 1.0"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted(observed("small"), **options)


def test_a_visit_twice_and_dependent_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="two observations at a visit"):
        fit_repeated_measures([1.0, 2.0], np.ones((2, 1)), subject=[1, 1], visit=[1, 1])
    with pytest.raises(ValueError, match="columns that others determine"):
        fit_repeated_measures([1.0, 2.0, 4.0], np.ones((3, 2)), subject=[1, 2, 3], visit=[1, 1, 1])
    with pytest.raises(ValueError, match="must be finite"):
        fit_repeated_measures([1.0, np.nan], np.ones((2, 1)), subject=[1, 2], visit=[1, 1])
