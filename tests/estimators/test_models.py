"""Adjusted and crude risks against R (gee, clubSandwich, survey, numDeriv), hand calculation, properties and known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from mesostats.estimators import ClusterTotals, clustered_proportion, gee, models
from mesostats.estimators.crude_risks import crude_risks
from mesostats.estimators.models import standardized_risks
from mesostats.estimators.samples import COLUMNS

REFERENCE = Path(__file__).parents[1] / "reference"
NUMBERS = ["estimate", "std_error", "conf_low", "conf_high"]
TESTS = ["statistic", "df", "p_value"]
OBSERVED = pd.read_csv(REFERENCE / "model_observations.csv")
SETS = list(OBSERVED["set"].unique())


def one_set(name: str) -> pd.DataFrame:
    return OBSERVED[OBSERVED["set"] == name].reset_index(drop=True)


def adjusted(data: pd.DataFrame, **options: Any) -> pd.DataFrame:
    given_options = {"clusters": data["cluster"], "reference": "none"} | options
    return standardized_risks(data["outcome"], data["group"], data[["x", "site"]], **given_options)


def crude(data: pd.DataFrame, **options: Any) -> pd.DataFrame:
    given_options = {"clusters": data["cluster"], "reference": "none"} | options
    return crude_risks(data["outcome"], data["group"], **given_options)


def assert_close(found: pd.DataFrame, expected: pd.DataFrame, columns: list[str], rtol: float) -> None:
    assert found["group"].tolist() == expected["group"].tolist()
    assert found["estimand"].tolist() == expected["estimand"].tolist()
    for column in columns:
        np.testing.assert_allclose(
            found[column].to_numpy(float),
            expected[column].to_numpy(float),
            rtol=rtol,
            atol=1e-10,
            err_msg=column,
        )


# --- against R ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
def test_standardized_risks_agree_with_r(name: str) -> None:
    expected = pd.read_csv(REFERENCE / "standardized_risks.csv").query("set == @name")
    found = adjusted(one_set(name))
    assert_close(found, expected, [*NUMBERS, *TESTS], rtol=1e-6)
    correlation = pd.read_csv(REFERENCE / "model_correlation.csv").set_index("set")["correlation"][name]
    words = f"working correlation {correlation:.3f}"
    assert found["note"].str.contains(words).all() == (name != "alone")
    assert found["method"].str.contains("exchangeable").all() == (name != "alone")


@pytest.mark.parametrize("name", [name for name in SETS if name != "three"])
def test_weighted_risks_agree_with_r(name: str) -> None:
    expected = pd.read_csv(REFERENCE / "weighted_risks.csv").query("set == @name")
    found = adjusted(one_set(name), method="iptw")
    assert_close(found, expected, [*NUMBERS, *TESTS], rtol=1e-6)
    row = expected.iloc[0]
    words = (
        f"effective sample size {row['effective_none']:.1f} ('none'), {row['effective_some']:.1f} ('some')"
    )
    assert found["note"].str.contains(words, regex=False).all()
    assert found["note"].str.contains(f"standardized difference left {row['imbalance']:.3f}").all()


@pytest.mark.parametrize("name", SETS)
def test_crude_differences_agree_with_r(name: str) -> None:
    expected = pd.read_csv(REFERENCE / "crude_differences.csv").query("set == @name")
    found = crude(one_set(name))
    differences = found[found["estimand"] == "risk_difference"]
    expected = expected.assign(estimand="risk_difference")
    assert_close(differences, expected, ["estimate", "std_error", *TESTS], rtol=1e-8)


def test_crude_limits_are_those_of_the_risks_combined() -> None:
    # Zou and Donner 2008 with the correlation of the two risks from survey::svyby.
    expected = pd.read_csv(REFERENCE / "crude_differences.csv").set_index("set").loc["clinic"]
    none, some, difference = (row for _, row in crude(one_set("clinic")).iterrows())
    a, b, c = (
        some["estimate"] - some["conf_low"],
        none["conf_high"] - none["estimate"],
        expected["correlation"],
    )
    low = difference["estimate"] - np.sqrt(a**2 + b**2 - 2 * c * a * b)
    assert difference["conf_low"] == pytest.approx(low, rel=1e-8)
    a, b = some["conf_high"] - some["estimate"], none["estimate"] - none["conf_low"]
    high = difference["estimate"] + np.sqrt(a**2 + b**2 - 2 * c * a * b)
    assert difference["conf_high"] == pytest.approx(high, rel=1e-8)


def test_crude_risks_are_clustered_proportions() -> None:
    data = one_set("three")
    found = crude(data)
    for label in ("none", "much", "some"):
        sums = data[data["group"] == label].groupby("cluster")["outcome"].agg(["sum", "count"])
        alone = clustered_proportion(ClusterTotals.from_arrays(sums["sum"], sums["count"])).iloc[0]
        row = found[(found["group"] == label) & (found["estimand"] == "risk")].iloc[0]
        for column in [*NUMBERS, "df", "numerator", "denominator"]:
            assert row[column] == pytest.approx(alone[column], rel=1e-12), column


@pytest.mark.parametrize("block", [1, 500, 4_000_000])
def test_gee_agrees_with_statsmodels(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Coefficients, correlation and covariance, whatever the number of clusters that are held at once."""
    monkeypatch.setattr(gee, "_BLOCK", block)
    data = one_set("clinic")
    design = np.column_stack([np.ones(len(data)), data["x"] / 10, data["group"] == "some"]).astype(float)
    other = sm.GEE(
        data["outcome"],
        design,
        groups=data["cluster"],
        family=sm.families.Binomial(),
        cov_struct=sm.cov_struct.Exchangeable(),
    ).fit(cov_type="bias_reduced", maxiter=200, ctol=1e-12)
    starts = np.flatnonzero(data["cluster"].diff() != 0)
    rows = gee.ClusteredRows(design, data["outcome"].to_numpy(float), np.ones(len(data)), starts)
    independent = gee.fit_logistic(rows)
    assert independent is not None
    fit = gee.fit_exchangeable(rows, independent)
    assert fit is not None
    np.testing.assert_allclose(fit.coefficients, other.params, rtol=1e-8)
    assert fit.correlation == pytest.approx(other.cov_struct.dep_params, rel=1e-8)
    np.testing.assert_allclose(gee.covariance(rows, fit), other.cov_params(), rtol=1e-7)


# --- by hand --------------------------------------------------------------------------------------------------------------


def table_of(cells: list[tuple[str, str, int, int]]) -> pd.DataFrame:
    """Return one row an observation from (site, group, events, observations)."""
    rows = [
        {"site": site, "group": group, "outcome": int(place < events)}
        for site, group, events, n in cells
        for place in range(n)
    ]
    return pd.DataFrame(rows)


def test_adjustment_is_that_of_direct_standardization_by_hand() -> None:
    # The odds ratio is 4 in both sites, so that the logistic model fits every cell. Of 220, half are faces:
    # (.5 + .2)/2 = .35 without, (.8 + .5)/2 = .65 with. Weighting by the inverse of each cell's share gives the same.
    data = table_of(
        [("face", "yes", 80, 100), ("face", "no", 5, 10), ("back", "yes", 5, 10), ("back", "no", 20, 100)]
    )
    for method in ("gee", "iptw"):
        found = standardized_risks(
            data["outcome"], data["group"], data[["site"]], reference="no", method=method
        )
        np.testing.assert_allclose(found["estimate"], [0.35, 0.65, 0.30, 0.65 / 0.35], rtol=1e-8)
    unadjusted = standardized_risks(data["outcome"], data["group"], reference="no")
    np.testing.assert_allclose(unadjusted["estimate"], [25 / 110, 85 / 110, 60 / 110, 85 / 25], rtol=1e-8)
    assert list(unadjusted["numerator"]) == [25, 85, 85, 85]
    assert set(unadjusted["denominator"]) == {110}


def test_unadjusted_independent_variance_is_the_jackknife_by_hand() -> None:
    # Without covariates Mancl and DeRouen's residuals are (y - p)/(1 - 1/n): the variance of a risk is p(1 - p)/n·(n/(n-1))².
    data = table_of([("", "yes", 6, 20), ("", "no", 3, 30)])
    found = standardized_risks(data["outcome"], data["group"], reference="no")
    variances = [0.1 * 0.9 / 30 * (30 / 29) ** 2, 0.3 * 0.7 / 20 * (20 / 19) ** 2]
    expected = [*variances, sum(variances)]
    np.testing.assert_allclose(found["std_error"][:3] ** 2, expected, rtol=1e-8)
    assert set(found["df"]) == {48}


# --- what rows may be -----------------------------------------------------------------------------------------------------


def test_columns_and_order_of_rows() -> None:
    found = adjusted(one_set("three"))
    assert tuple(found.columns) == COLUMNS
    assert list(found["group"]) == ["none", "much", "some", "much", "some", "much", "some"]
    assert list(found["estimand"]) == ["risk"] * 3 + ["risk_difference"] * 2 + ["risk_ratio"] * 2
    assert found.loc[found["estimand"] != "risk", "note"].str.startswith("against 'none'").all()
    assert found.loc[found["estimand"] == "risk", ["statistic", "p_value"]].isna().all(axis=None)


@pytest.mark.parametrize("method", ["gee", "iptw"])
def test_alike_observations_can_be_counted(method: str) -> None:
    data = one_set("many").assign(x=lambda d: d["x"].round(-1))
    keys = ["cluster", "outcome", "group", "x", "site"]
    counted = data.groupby(keys, as_index=False).size()
    assert len(counted) < len(data) * 0.95
    nothing = counted.head(3).assign(size=0, x=np.nan, cluster=-1)
    counted = pd.concat([counted, nothing], ignore_index=True)
    whole = adjusted(data, method=method)
    folded = adjusted(counted, method=method, frequencies=counted["size"])
    # The scaling of x changes with the weights of rows; the fit does not.
    pd.testing.assert_frame_equal(folded, whole, rtol=1e-7)
    pd.testing.assert_frame_equal(crude(counted, frequencies=counted["size"]), crude(data), rtol=1e-10)


@pytest.mark.parametrize("method", ["gee", "iptw"])
def test_order_units_and_types_of_rows_do_not_matter(method: str) -> None:
    data = one_set("clinic")
    mixed = data.sample(frac=1, random_state=3).assign(
        x=lambda d: 3 - d["x"] / 7,
        site=lambda d: d["site"].astype("category"),
        cluster=lambda d: "patient " + d["cluster"].astype(str),
        outcome=lambda d: d["outcome"].astype(bool),
    )
    pd.testing.assert_frame_equal(adjusted(mixed, method=method), adjusted(data, method=method), rtol=1e-7)


def test_inputs_are_unchanged() -> None:
    data = one_set("clinic")
    before = data.copy(deep=True)
    for method in ("gee", "iptw"):
        adjusted(data, method=method)
    crude(data)
    pd.testing.assert_frame_equal(data, before)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), method=st.sampled_from(["gee", "iptw", "crude"]))
def test_swapping_the_groups_negates_the_difference(seed: int, method: str) -> None:
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"cluster": np.repeat(np.arange(30), 4), "x": rng.normal(size=120)})
    data["group"] = np.where(rng.random(120) < 0.5, "a", "b")
    data["site"] = rng.choice(["face", "neck"], 120)
    data["outcome"] = (rng.random(120) < 0.4).astype(int)

    def difference(reference: str) -> pd.Series[Any]:
        found = (
            crude(data, reference=reference)
            if method == "crude"
            else adjusted(data, reference=reference, method=method)
        )
        return found[found["estimand"] == "risk_difference"].iloc[0]

    one, other = difference("a"), difference("b")
    assert one["estimate"] == pytest.approx(-other["estimate"], abs=1e-8)
    assert one["conf_low"] == pytest.approx(-other["conf_high"], abs=1e-7)
    assert one["p_value"] == pytest.approx(other["p_value"], abs=1e-7)
    assert one["conf_low"] < one["estimate"] < one["conf_high"]


@pytest.mark.parametrize("method", ["gee", "iptw"])
def test_more_confidence_and_fewer_clusters_widen(method: str) -> None:
    data = one_set("many")
    wide, narrow = (adjusted(data, method=method, conf_level=level) for level in (0.99, 0.8))
    twice = adjusted(
        pd.concat([data, data.assign(cluster=data["cluster"] + 1_000)]), method=method, conf_level=0.8
    )
    width = [frame["conf_high"] - frame["conf_low"] for frame in (wide, narrow, twice)]
    assert (width[0] > width[1]).all()
    assert (width[1] > width[2]).all()
    # Doubling the clusters leaves the estimate where the working correlation is estimated the same, to 1 in 1000.
    np.testing.assert_allclose(twice["estimate"], narrow["estimate"], rtol=5e-3)


# --- missing --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["gee", "iptw"])
def test_missing_numbers_are_left_out_and_counted(method: str) -> None:
    data = one_set("clinic")
    holes = data.index % 9 == 0
    found = adjusted(data.assign(x=data["x"].mask(holes)), method=method)
    complete = adjusted(data[~holes], method=method)
    pd.testing.assert_frame_equal(found.drop(columns="n_missing"), complete.drop(columns="n_missing"))
    lost = data[holes]["group"].value_counts()
    assert list(found["n_missing"]) == [lost["none"], lost["some"], holes.sum(), holes.sum()]
    assert (complete["n_missing"] == 0).all()


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_texts_are_a_level(missing: Any) -> None:
    data = one_set("clinic")
    holes = (data["site"] == "arm").to_numpy()
    texts = data["site"].astype(object)
    texts[holes] = missing
    pd.testing.assert_frame_equal(adjusted(data.assign(site=texts)), adjusted(data), rtol=1e-8)


# --- what cannot be estimated -----------------------------------------------------------------------------------------------


def unknown(found: pd.DataFrame, words: str) -> None:
    assert found[[*NUMBERS, "statistic", "p_value"]].isna().all(axis=None)
    assert found["note"].str.contains(words, regex=False).all()
    assert found["numerator"].notna().all()
    assert found["method"].ne("").all()


@pytest.mark.parametrize("outcome", [0, 1])
def test_a_group_with_no_or_only_events_has_no_model(outcome: int) -> None:
    data = one_set("clinic")
    data.loc[data["group"] == "some", "outcome"] = outcome
    unknown(adjusted(data), f"{'only' if outcome else 'no'} events in 'some'")


@pytest.mark.parametrize("outcome", [0, 1])
def test_a_group_with_no_or_only_events_has_a_crude_interval(outcome: int) -> None:
    data = one_set("clinic")
    data.loc[data["group"] == "some", "outcome"] = outcome
    found = crude(data)
    assert list(found["estimate"])[1] == outcome
    difference = found.iloc[2]
    assert difference["conf_low"] < difference["estimate"] < difference["conf_high"]
    weighted = adjusted(data, method="iptw")
    assert weighted["estimate"].iloc[1] == pytest.approx(outcome)
    assert weighted["conf_low"].iloc[1:].isna().all()
    assert weighted["note"].iloc[1:].str.contains("variance unseen").all()


def test_nobody_has_the_outcome() -> None:
    data = one_set("clinic").assign(outcome=0)
    unknown(adjusted(data), "no events in 'none'")
    found = crude(data)
    assert (found["estimate"] == 0).all()
    assert found["conf_low"].iloc[2] < 0 < found["conf_high"].iloc[2]


def test_a_level_without_events_is_named() -> None:
    data = one_set("clinic")
    data.loc[data["site"] == "neck", "outcome"] = 0
    unknown(adjusted(data), "in 'site' a level has no events or only events")
    assert adjusted(data, method="iptw")[NUMBERS].notna().all(axis=None)


def test_separation_by_a_number_is_seen() -> None:
    data = one_set("clinic")
    data["outcome"] = (data["x"] > 40).astype(int)
    unknown(adjusted(data), "the outcome model has no finite solution")


def test_groups_that_do_not_overlap_have_no_weights() -> None:
    data = one_set("clinic")
    data["x"] += 1000 * (data["group"] == "some")
    unknown(adjusted(data, method="iptw"), "the groups do not overlap")


def test_covariates_that_tell_the_group_leave_no_effect() -> None:
    data = one_set("clinic").assign(site=lambda d: d["group"])
    unknown(adjusted(data), "the covariates tell who is in which group")
    unknown(adjusted(data, method="iptw"), "the groups do not overlap")


@pytest.mark.parametrize("method", ["gee", "iptw"])
def test_constant_and_collinear_covariates_are_dropped_visibly(method: str) -> None:
    data = one_set("clinic")
    covariates = data[["x", "site"]].assign(twice=data["x"] * 2 + 1, one=7.0, same="all")
    covariates["nowhere"] = pd.Series([None] * len(data), dtype=object)
    found = standardized_risks(
        data["outcome"],
        data["group"],
        covariates,
        clusters=data["cluster"],
        reference="none",
        method=method,
    )
    pd.testing.assert_frame_equal(
        found.drop(columns="note"), adjusted(data, method=method).drop(columns="note"), rtol=1e-8
    )
    for words in (
        "'one' has one value",
        "'same' has one value",
        "'nowhere' has one value",
        "'twice': columns",
    ):
        assert found["note"].str.contains(words, regex=False).all()


@pytest.mark.parametrize("method", ["gee", "iptw"])
def test_fewer_clusters_than_coefficients(method: str) -> None:
    data = one_set("clinic").assign(cluster=lambda d: d.index % 4)
    unknown(adjusted(data, method=method), "4 clusters are too few")


@pytest.mark.parametrize("method", ["gee", "iptw"])
def test_a_group_of_one_cluster(method: str) -> None:
    data = one_set("clinic").assign(group=lambda d: np.where(d["cluster"] == 3, "some", "none"))
    unknown(adjusted(data, method=method), "one cluster in 'some'")


@pytest.mark.parametrize("method", ["gee", "iptw"])
def test_a_level_of_one_cluster_does_no_harm(method: str) -> None:
    """A cluster that alone tells a coefficient has a leverage of 1, which must not make the covariance infinite."""
    data = one_set("many")
    lonely = data.assign(site=data["site"].where(data["cluster"] != 7, "own"))
    assert 0 < lonely.loc[lonely["site"] == "own", "outcome"].mean() < 1
    found, before = (adjusted(each, method=method) for each in (lonely, data))
    np.testing.assert_allclose(found["std_error"], before["std_error"], rtol=0.1)


def test_one_group_has_a_risk_and_no_contrast() -> None:
    data = one_set("clinic").assign(group="none")
    for found in (adjusted(data), crude(data)):
        assert list(found["estimand"]) == ["risk"]
        assert found["estimate"].iloc[0] == pytest.approx(data["outcome"].mean(), abs=0.02)
        assert found["conf_low"].iloc[0] < found["estimate"].iloc[0] < found["conf_high"].iloc[0]
    unknown(adjusted(data, method="iptw"), "one group: nothing to weight")


def test_no_complete_observation_in_a_group() -> None:
    data = one_set("clinic")
    for gone in (data["group"] == "some", data["group"] != ""):
        found = adjusted(data.assign(x=data["x"].mask(gone)))
        assert found[NUMBERS].isna().all(axis=None)
        assert found["note"].str.contains("no complete observation in").all()
        assert found["n_missing"].iloc[2] == gone.sum()


def test_impossible_correlation_falls_back_to_independence() -> None:
    # In 40 pairs exactly one of two has the event: a correlation near -1, which the clusters of six cannot have. Of the
    # pairs 20 of 40 have it in each group; of the sixes 1 of 3 in a and 2 of 3 in b: 30/70 and 40/70.
    pairs = pd.DataFrame(
        {"cluster": np.repeat(np.arange(40), 2), "outcome": [1, 0] * 40, "group": ["a", "b", "b", "a"] * 20}
    )
    sixes = pd.DataFrame(
        {
            "cluster": np.repeat(np.arange(40, 50), 6),
            "outcome": [1, 0, 1, 0, 0, 1] * 10,
            "group": list("aabbab") * 10,
        }
    )
    data = pd.concat([pairs, sixes])
    found = standardized_risks(data["outcome"], data["group"], clusters=data["cluster"], reference="a")
    assert found["method"].str.contains("independence working correlation").all()
    np.testing.assert_allclose(found["estimate"], [30 / 70, 40 / 70, 10 / 70, 4 / 3], atol=1e-9)
    assert found[NUMBERS].notna().all(axis=None)


def with_hits(none: list[int], some: list[int], outcome: int) -> pd.DataFrame:
    """Return the sessions of a clinic of which a few, by their places within the two groups, have an outcome no other has."""
    data = one_set("clinic")
    place = data.groupby("group").cumcount()
    hit = place.isin(none) & (data["group"] == "none") | place.isin(some) & (data["group"] == "some")
    return data.assign(outcome=np.where(hit, outcome, 1 - outcome))


@pytest.mark.parametrize("outcome", [0, 1])
@pytest.mark.parametrize("method", ["gee", "iptw"])
def test_fewer_than_five_events_have_estimates_alone(
    method: str, outcome: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inference = ["std_error", "conf_low", "conf_high", "statistic", "p_value"]
    four, five = (with_hits(none, [10, 30], outcome) for none in ([10, 30], [10, 20, 30]))
    assert (five["outcome"] == outcome).sum() == 5

    def unadjusted(data: pd.DataFrame) -> pd.DataFrame:
        columns = (data["outcome"], data["group"])
        return standardized_risks(*columns, clusters=data["cluster"], reference="none", method=method)

    found = unadjusted(four)
    # Without covariates the weighted risks are those of the groups.
    if method == "iptw":
        crude_risk = four.groupby("group")["outcome"].mean()
        np.testing.assert_allclose(found["estimate"][:2], crude_risk[["none", "some"]])
    assert found["estimate"].notna().all()
    assert found[inference].isna().all(axis=None)
    words = "observations without the event" if outcome == 0 else "events"
    assert found["note"].str.contains(f"fewer than 5 {words} in all: no interval").all()
    enough = unadjusted(five)
    assert enough[["conf_low", "conf_high"]].notna().all(axis=None)
    assert not enough["note"].str.contains("fewer than").any()
    # With a lower threshold the four have intervals, about the same estimates.
    monkeypatch.setattr(models, "_FEWEST", 4)
    bold = unadjusted(four)
    np.testing.assert_array_equal(bold["estimate"], found["estimate"])
    assert bold[["conf_low", "conf_high"]].notna().all(axis=None)


def test_clusters_that_do_not_differ_show_no_variance() -> None:
    data = pd.DataFrame(
        {"cluster": np.repeat(np.arange(40), 4), "outcome": [1, 0] * 80, "group": ["a", "a", "b", "b"] * 40}
    )
    found = standardized_risks(
        data["outcome"], data["group"], clusters=data["cluster"], reference="a", method="iptw"
    )
    np.testing.assert_allclose(found["estimate"], [0.5, 0.5, 0, 1], atol=1e-9)
    assert found[["std_error", "conf_low", "conf_high", "p_value"]].isna().all(axis=None)
    assert found["note"].str.contains("clusters do not differ: variance unseen").all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outcome": [2, 0, 1]}, "outcome has 1 values other than 0 and 1"),
        ({"outcome": [1, 0]}, "lengths differ"),
        ({"group": ["a", None, "b"]}, "group has 1 missing values"),
        ({"clusters": [1, None, 2]}, "clusters has 1 missing values"),
        ({"reference": "c"}, "reference 'c' is not among the groups"),
        ({"group": ["a", "b", "c"], "method": "iptw"}, "compares two groups, found 3"),
        ({"method": "gae"}, "method 'gae' is unknown"),
        ({"conf_level": 1.0}, "conf_level == 1.0"),
        ({"covariates": pd.DataFrame({"x": [1.0, np.inf, 2.0]})}, "'x' has 1 infinite"),
        (
            {"covariates": pd.DataFrame({"x": pd.to_datetime(["2024-01-01"] * 3)})},
            "must hold numbers or texts",
        ),
        ({"covariates": pd.DataFrame([[1, 2]] * 3, columns=["x", "x"])}, "each covariate once"),
        ({"frequencies": [1, 1, 1], "clusters": None}, "give clusters too"),
        ({"frequencies": [1, -1, 1]}, "frequencies has 1 negative"),
    ],
)
def test_wrong_arguments_are_refused(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "outcome": [1, 0, 1],
        "group": ["a", "b", "a"],
        "covariates": None,
        "clusters": [1, 2, 3],
        "reference": "a",
    } | change
    outcome, group, covariates = (arguments.pop(name) for name in ("outcome", "group", "covariates"))
    with pytest.raises(ValueError, match=message):
        standardized_risks(outcome, group, covariates, **arguments)


# --- known truth ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def confounded() -> tuple[pd.DataFrame, float]:
    """Sessions of 3000 patients: those with thin skin bruise more and take aspirin more; and the true difference."""
    rng = np.random.default_rng(8)
    cluster = np.repeat(np.arange(3_000), 5)
    thin = (rng.random(3_000) < 0.3)[cluster]
    site = rng.choice(["face", "back", "leg"], len(cluster))
    takes = rng.random(len(cluster)) < expit(-1.5 + 2 * thin + 0.8 * (site == "face"))

    def risk(aspirin: Any) -> Any:
        return expit(-2 + 0.7 * aspirin + 1.5 * thin + 0.5 * (site == "face"))

    data = pd.DataFrame(
        {
            "cluster": cluster,
            "x": thin.astype(float),
            "site": site,
            "group": np.where(takes, "yes", "none"),
            "outcome": (rng.random(len(cluster)) < risk(takes)).astype(int),
        }
    )
    return data, float(np.mean(risk(1) - risk(0)))


@pytest.mark.parametrize("method", ["gee", "iptw"])
def test_adjustment_finds_the_truth_that_the_crude_difference_misses(
    confounded: tuple[pd.DataFrame, float], method: str
) -> None:
    data, truth = confounded
    found = adjusted(data, method=method).query("estimand == 'risk_difference'").iloc[0]
    assert abs(found["estimate"] - truth) < 3 * found["std_error"]
    plain = crude(data).query("estimand == 'risk_difference'").iloc[0]
    assert plain["conf_low"] > truth + 3 * plain["std_error"]
