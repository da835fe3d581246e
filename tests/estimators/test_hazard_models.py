"""Discrete-time hazard models against R (glm, sandwich, clubSandwich), hand calculation, properties and degenerate data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mesostats.estimators import hazard_fits, kaplan_meier
from mesostats.estimators.hazard_models import HazardModel, discrete_hazard_model
from mesostats.estimators.hazard_ratios import ALL_LEVELS

REFERENCE = Path(__file__).parents[1] / "reference"
OBSERVED = pd.read_csv(REFERENCE / "hazard_observations.csv")
RATIOS = ["estimate", "std_error", "conf_low", "conf_high", "statistic", "df", "p_value"]
CASES = [
    (name, link, robust)
    for name in ("clinic", "few", "silent")
    for link in ("cloglog", "logit")
    for robust in ("bias_reduced", "hc1")
]


def one_set(name: str) -> pd.DataFrame:
    return OBSERVED[OBSERVED["set"] == name].reset_index(drop=True)


def model(data: pd.DataFrame, **options: Any) -> HazardModel:
    chosen = {"clusters": data["patient"], "reference": {"phase": "weekly", "bruise": "no"}} | options
    return discrete_hazard_model(data["event"], data[["phase", "bruise", "age"]], **chosen)


def reference(table: str, case: tuple[str, str, str]) -> pd.DataFrame:
    name, link, robust = case
    found = pd.read_csv(REFERENCE / f"{table}.csv")
    return found[(found["set"] == name) & (found["link"] == link) & (found["robust"] == robust)]


def row(found: HazardModel, term: str, level: str) -> pd.Series[Any]:
    rows = found.estimates
    return rows[(rows["term"] == term) & (rows["level"] == level)].iloc[0]


# --- against R ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_ratios_agree_with_r(case: tuple[str, str, str]) -> None:
    found = model(one_set(case[0]), link=case[1], robust=case[2])
    expected = reference("hazard_models", case).set_index(["term", "level"])[RATIOS]
    got = found.estimates.set_index(["term", "level"]).loc[expected.index]
    np.testing.assert_allclose(got[RATIOS].to_numpy(float), expected.to_numpy(float), rtol=1e-6)
    assert set(got["estimand"]) == {"hazard_ratio" if case[1] == "cloglog" else "odds_ratio"}


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_tests_agree_with_r(case: tuple[str, str, str]) -> None:
    found = model(one_set(case[0]), link=case[1], robust=case[2]).estimates
    tests = found[found["estimand"] == "wald_test"].set_index("term")
    expected = reference("hazard_tests", case).set_index("term")
    columns = ["statistic", "df", "p_value"]
    got = tests.loc[expected.index, columns].to_numpy(float)
    np.testing.assert_allclose(got, expected[columns].to_numpy(float), rtol=1e-6)
    assert (tests["level"] == ALL_LEVELS).all()


def steps_of(profiles: tuple[str, ...] = ("no", "yes")) -> pd.DataFrame:
    phases = np.repeat(["weekly", "fortnightly", "monthly"], 2)
    frames = [
        pd.DataFrame({"profile": each, "phase": phases, "bruise": each, "age": 45.0}) for each in profiles
    ]
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_predicted_retention_agrees_with_r(case: tuple[str, str, str]) -> None:
    found = model(one_set(case[0]), link=case[1], robust=case[2]).retention(steps_of())
    expected = reference("hazard_retention", case)
    assert found["profile"].tolist() == expected["profile"].tolist()
    assert found["step"].tolist() == expected["step"].tolist()
    columns = ["hazard", "estimate", "std_error", "conf_low", "conf_high"]
    np.testing.assert_allclose(found[columns], expected[columns], rtol=1e-6)


@pytest.mark.parametrize(("link", "family"), [("cloglog", sm.families.links.CLogLog()), ("logit", None)])
def test_coefficients_agree_with_statsmodels(link: Any, family: Any) -> None:
    data = one_set("clinic")
    design = pd.get_dummies(data[["phase", "bruise"]]).drop(columns=["phase_weekly", "bruise_no"])
    design = sm.add_constant(design.assign(age=data["age"]).astype(float))
    other = sm.GLM(data["event"], design, family=sm.families.Binomial(family)).fit(tol=1e-12)
    found = model(data, link=link)
    for term, level in (("phase", "monthly"), ("bruise", "yes"), ("bruise", "not asked")):
        assert row(found, term, level)["estimate"] == pytest.approx(
            np.exp(other.params[f"{term}_{level}"]), rel=1e-7
        )
    assert row(found, "age", "per unit")["estimate"] == pytest.approx(np.exp(other.params["age"]), rel=1e-8)


# --- by hand --------------------------------------------------------------------------------------------------------------


def two_by_two(a: int, n: int, b: int, m: int) -> tuple[list[int], pd.DataFrame]:
    """Return b of m events at level "no", and a of n at level "yes"."""
    events = [1] * a + [0] * (n - a) + [1] * b + [0] * (m - b)
    return events, pd.DataFrame({"bruise": ["yes"] * n + ["no"] * m})


def test_ratios_of_a_single_covariate_by_hand() -> None:
    events, frame = two_by_two(20, 50, 10, 50)
    options: dict[str, Any] = {"clusters": range(100), "reference": {"bruise": "no"}}
    hazard = discrete_hazard_model(events, frame, **options)
    assert row(hazard, "bruise", "yes")["estimate"] == pytest.approx(np.log(0.6) / np.log(0.8), rel=1e-9)
    odds = discrete_hazard_model(events, frame, link="logit", robust="hc1", **options)
    found = row(odds, "bruise", "yes")
    assert found["estimate"] == pytest.approx((20 / 30) / (10 / 40), rel=1e-9)
    # The sandwich of a saturated model is Woolf's variance, here times 100/99·99/98.
    woolf = 1 / 20 + 1 / 30 + 1 / 10 + 1 / 40
    assert found["std_error"] ** 2 == pytest.approx(woolf * 100 / 98, rel=1e-8)
    assert found["df"] == 98
    assert (found["numerator"], found["denominator"]) == (20, 50)


def test_bias_reduced_variance_of_a_saturated_model_by_hand() -> None:
    # Each residual is divided by 1 - 1/n of its level: the variance of each log odds by (1 - 1/50)².
    events, frame = two_by_two(20, 50, 10, 50)
    found = discrete_hazard_model(
        events, frame, clusters=range(100), link="logit", reference={"bruise": "no"}
    )
    woolf = (1 / 20 + 1 / 30 + 1 / 10 + 1 / 40) * (50 / 49) ** 2
    assert row(found, "bruise", "yes")["std_error"] ** 2 == pytest.approx(woolf, rel=1e-8)


def test_test_of_one_level_is_the_square_of_its_t() -> None:
    found = model(one_set("clinic"))
    alone, test = row(found, "age", "per unit"), row(found, "age", ALL_LEVELS)
    assert test["statistic"] == pytest.approx(alone["statistic"] ** 2, rel=1e-8)
    assert test["p_value"] == pytest.approx(alone["p_value"], rel=1e-6)
    assert test["note"] == f"F test with 1 and {alone['df']:.0f} degrees of freedom"


def test_reference_has_a_row_with_ratio_1() -> None:
    found = model(one_set("clinic"))
    base = row(found, "bruise", "no")
    assert base["estimate"] == 1
    assert np.isnan(base["std_error"])
    assert base["note"] == "reference"
    assert found.references == {"phase": "weekly", "bruise": "no"}
    assert found.means["age"] == pytest.approx(one_set("clinic")["age"].mean())
    assert row(found, "bruise", "yes")["note"] == "against 'no'"


def test_retention_of_a_free_baseline_is_kaplan_meier() -> None:
    """A model with the step alone is the life table: its predictions are Kaplan-Meier's, whatever the link."""
    data = one_set("clinic")
    last = data.groupby("patient").tail(1)
    curve = kaplan_meier(last["step"], last["event"])
    steps = data["step"].astype(str)
    for link in ("cloglog", "logit"):
        found = discrete_hazard_model(
            data["event"], steps.to_frame("step"), clusters=data["patient"], link=link
        ).retention(pd.DataFrame({"profile": "all", "step": [str(each) for each in range(1, 10)]}))
        np.testing.assert_allclose(found["estimate"], curve["estimate"], rtol=1e-8)


# --- properties -----------------------------------------------------------------------------------------------------------

SMALL = st.integers(1, 9)


@settings(max_examples=20, deadline=None)
@given(SMALL, SMALL, SMALL, SMALL, st.sampled_from(["cloglog", "logit"]))
def test_swapping_the_reference_inverts_the_ratio(a: int, b: int, c: int, d: int, link: Any) -> None:
    events, frame = two_by_two(a, a + b, c, c + d)
    there, back = (
        row(
            discrete_hazard_model(
                events, frame, clusters=range(len(events)), link=link, reference={"bruise": base}
            ),
            "bruise",
            other,
        )
        for base, other in (("no", "yes"), ("yes", "no"))
    )
    assert there["estimate"] * back["estimate"] == pytest.approx(1, rel=1e-7)
    assert there["std_error"] == pytest.approx(back["std_error"], rel=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.floats(0.1, 30), st.floats(-50, 50))
def test_the_unit_of_a_number_scales_its_ratio_only(factor: float, shift: float) -> None:
    data = one_set("few")
    plain = model(data)
    scaled = model(data.assign(age=data["age"] * factor + shift))
    assert np.log(row(scaled, "age", "per unit")["estimate"]) * factor == pytest.approx(
        np.log(row(plain, "age", "per unit")["estimate"]), rel=1e-6
    )
    same = row(scaled, "bruise", "yes")[RATIOS].astype(float)
    np.testing.assert_allclose(same, row(plain, "bruise", "yes")[RATIOS].astype(float), rtol=1e-6)


def test_order_and_names_of_clusters_do_not_matter() -> None:
    data = one_set("clinic")
    mixed = data.sample(frac=1, random_state=3).assign(patient=lambda d: "P" + d["patient"].astype(str))
    pd.testing.assert_frame_equal(
        model(mixed.reset_index(drop=True)).estimates, model(data).estimates, rtol=1e-7
    )


@pytest.mark.parametrize("robust", ["bias_reduced", "hc1"])
def test_alike_rows_can_be_counted(robust: Any) -> None:
    data = one_set("clinic").assign(age=lambda d: d["age"].round(-1))
    keys = ["patient", "event", "phase", "bruise", "age"]
    counted = data.groupby(keys, as_index=False).size()
    assert len(counted) < len(data) * 0.95
    nothing = counted.head(2).assign(size=0, age=np.nan, phase="never")
    counted = pd.concat([counted, nothing], ignore_index=True)
    found = model(counted, frequencies=counted["size"], robust=robust).estimates
    pd.testing.assert_frame_equal(found, model(data, robust=robust).estimates, rtol=1e-7)


@pytest.mark.parametrize("block", [1, 700])
def test_blocks_of_clusters_do_not_matter(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = model(one_set("clinic")).estimates
    monkeypatch.setattr(hazard_fits, "_BLOCK", block)
    pd.testing.assert_frame_equal(model(one_set("clinic")).estimates, expected, rtol=1e-9)


def test_inputs_are_not_changed() -> None:
    data, frame = one_set("few"), one_set("few")
    model(data)
    pd.testing.assert_frame_equal(data, frame)


# --- what cannot be estimated ---------------------------------------------------------------------------------------------


def test_a_level_without_events_is_set_aside_with_a_note() -> None:
    found = row(model(one_set("silent")), "phase", "rare")
    assert np.isnan(found[["estimate", "std_error", "conf_low", "p_value"]].astype(float)).all()
    assert "no event at this level" in found["note"]
    assert found["numerator"] == 0
    assert found["denominator"] > 0


def test_a_reference_without_events_gives_way() -> None:
    data = one_set("silent")
    found = model(data, reference={"phase": "rare", "bruise": "no"})
    assert "'rare' cannot be the reference" in row(found, "phase", "monthly")["note"]
    assert found.references["phase"] != "rare"


def test_a_level_with_only_events_is_set_aside() -> None:
    data = one_set("clinic")
    data.loc[data["event"].eq(1) & data["step"].eq(3), "phase"] = "left"
    found = model(data)
    assert "only events at this level" in row(found, "phase", "left")["note"]
    kept = model(data[data["phase"] != "left"].reset_index(drop=True))
    np.testing.assert_allclose(
        row(found, "bruise", "yes")[RATIOS].astype(float), row(kept, "bruise", "yes")[RATIOS].astype(float)
    )
    gone = found.retention(steps_of(("no",)).assign(phase=["weekly", "left", *["monthly"] * 4]))
    assert gone["estimate"].tolist()[1:] == [0] * 5


def test_nobody_is_lost_at_a_level_without_events() -> None:
    kept = model(one_set("silent")).retention(steps_of(("no",)).assign(phase="rare"))
    assert kept["estimate"].tolist() == [1.0] * 6
    assert kept["conf_low"].isna().all()
    assert kept["note"].str.contains("no event so far").all()


def test_separation_by_several_covariates_is_said() -> None:
    # Neither covariate alone tells who stops, a number that both determine does.
    data = one_set("few").assign(age=lambda d: d["event"] * 10 + d["patient"] / 100)
    found = model(data).estimates
    ratios = found[(found["estimand"] == "hazard_ratio") & (found["note"] != "reference")]
    assert ratios.loc[~ratios["note"].str.startswith("reference"), "estimate"].isna().all()
    assert found["note"].str.contains("no finite solution").all()


@pytest.mark.parametrize("link", ["cloglog", "logit"])
@pytest.mark.parametrize("value", [0, 1])
def test_no_events_and_only_events(value: int, link: Any) -> None:
    data = one_set("few").assign(event=value)
    found = model(data, link=link).estimates
    assert found["note"].str.contains("nothing to model").all()
    assert found.loc[found["level"] == "yes", "estimate"].isna().all()
    assert found.loc[found["level"] == ALL_LEVELS, "numerator"].eq(value * len(data)).all()


def test_no_rows_at_all() -> None:
    found = model(one_set("few").head(0)).estimates
    assert found.loc[found["estimand"] == "wald_test", "note"].str.contains("nothing to model").all()


@pytest.mark.parametrize("robust", ["bias_reduced", "hc1"])
def test_one_cluster_has_ratios_without_intervals(robust: Any) -> None:
    found = row(model(one_set("clinic").assign(patient=1), robust=robust), "bruise", "yes")
    whole = row(model(one_set("clinic")), "bruise", "yes")
    assert found["estimate"] == pytest.approx(whole["estimate"], rel=1e-9)
    assert found[["std_error", "conf_low", "conf_high", "p_value"]].isna().all()
    assert "1 cluster is too few" in found["note"]


def test_a_level_of_one_cluster_has_no_variance() -> None:
    data = one_set("clinic")
    chosen = data.groupby("patient")["event"].transform("sum").eq(1) & data["step"].gt(1)
    someone = data.loc[chosen, "patient"].iloc[0]
    data.loc[data["patient"] == someone, "bruise"] = "alone"
    assert 0 < data.loc[data["bruise"] == "alone", "event"].mean() < 1
    found = model(data)
    alone = row(found, "bruise", "alone")
    assert np.isfinite(alone["estimate"])
    assert np.isnan(alone["std_error"])
    assert "of one cluster" in alone["note"]
    assert row(found, "bruise", ALL_LEVELS)["df"] == 2
    assert found.retention(steps_of(("alone",)))["conf_low"].isna().all()


def test_collinear_columns_are_left_out_with_a_note() -> None:
    data = one_set("clinic")
    frame = data[["phase"]].assign(same=data["phase"].str.upper(), age=data["age"], twice=2 * data["age"])
    found = discrete_hazard_model(
        data["event"], frame, clusters=data["patient"], reference={"phase": "weekly", "same": "WEEKLY"}
    )
    alone = discrete_hazard_model(
        data["event"], frame[["phase", "age"]], clusters=data["patient"], reference={"phase": "weekly"}
    )
    for level in ("MONTHLY", "FORTNIGHTLY"):
        assert np.isnan(row(found, "same", level)["estimate"])
        assert "determined by the covariates before it" in row(found, "same", level)["note"]
    assert "determined" in row(found, "twice", "per unit")["note"]
    assert row(found, "same", ALL_LEVELS)["note"] == "no level to test"
    assert row(found, "phase", "monthly")["estimate"] == pytest.approx(
        row(alone, "phase", "monthly")["estimate"], rel=1e-9
    )


def test_covariates_with_one_value_are_left_out() -> None:
    data = one_set("clinic").assign(bruise="no", age=40.0)
    found = model(data)
    assert row(found, "bruise", "no")["note"] == "'bruise' has one value: left out"
    assert row(found, "age", "per unit")["note"] == "'age' has one value: left out"
    assert np.isfinite(row(found, "phase", "monthly")["std_error"])


def test_no_covariates_give_the_common_hazard() -> None:
    data = one_set("clinic")
    found = discrete_hazard_model(data["event"], data[[]], clusters=data["patient"])
    assert found.estimates.empty
    steps = found.retention(pd.DataFrame({"profile": ["all"] * 2}))
    assert steps["estimate"].tolist() == pytest.approx(
        [(1 - data["event"].mean()) ** each for each in (1, 2)]
    )
    assert (steps["conf_low"] < steps["estimate"]).all()


def test_missing_numbers_are_counted_and_missing_texts_a_level() -> None:
    data = one_set("clinic")
    holes = data.assign(
        age=data["age"].mask(data["patient"] < 4), bruise=data["bruise"].mask(data["patient"].between(4, 30))
    )
    found = model(holes)
    assert set(found.estimates["n_missing"]) == {float((data["patient"] < 4).sum())}
    assert row(found, "bruise", "not recorded")["denominator"] == data["patient"].between(4, 30).sum()
    whole = model(holes[holes["age"].notna()].fillna({"bruise": "not recorded"}).reset_index(drop=True))
    pd.testing.assert_frame_equal(
        found.estimates.drop(columns="n_missing"), whole.estimates.drop(columns="n_missing")
    )


# --- arguments ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"link": "probit"}, "link 'probit' is unknown"),
        ({"robust": "hc3"}, "robust 'hc3' is unknown"),
        ({"conf_level": 95}, "conf_level == 95"),
        ({"clusters": [1, 2]}, "lengths differ"),
        ({"frequencies": [0.5] * 3}, "frequencies has 3 values that are not whole"),
        ({"reference": {"phases": "weekly"}}, "no covariate with levels; did you mean 'phase'"),
        ({"reference": {"age": "45"}}, "'age', which is no covariate with levels"),
        ({"reference": {"phase": "weakly"}}, "no level 'weakly' to compare with; did you mean 'weekly'"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model(one_set("clinic"), **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phase": "weakly"}, "'phase' has no level 'weakly'; did you mean 'weekly'"),
        ({"age": np.nan}, "missing or infinite"),
    ],
)
def test_wrong_profiles_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model(one_set("clinic")).retention(steps_of().assign(**change))


@pytest.mark.parametrize("column", ["age", "profile"])
def test_profiles_without_a_column_are_refused(column: str) -> None:
    with pytest.raises(ValueError, match=f"no column '{column}'"):
        model(one_set("clinic")).retention(steps_of().drop(columns=column))


def test_interval_widens_with_the_level() -> None:
    narrow, wide = (
        row(model(one_set("clinic"), conf_level=level), "age", "per unit") for level in (0.9, 0.99)
    )
    assert wide["conf_low"] < narrow["conf_low"] < narrow["conf_high"] < wide["conf_high"]
    quantile = stats.t.isf(0.05, narrow["df"])
    assert np.log(narrow["conf_high"] / narrow["estimate"]) == pytest.approx(quantile * narrow["std_error"])
