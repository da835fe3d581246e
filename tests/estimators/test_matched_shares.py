"""Shares of cases beside others of the same strata: against R's vcovCL, by hand, properties and degenerate data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesostats.estimators import ClusterTotals, clustered_proportion, proportion
from mesostats.estimators.matched_shares import matched_shares

REFERENCE = Path(__file__).parents[1] / "reference"
OBSERVED = pd.read_csv(REFERENCE / "hazard_observations.csv")
NUMBERS = ["estimate", "std_error", "conf_low", "conf_high"]


def shares(data: pd.DataFrame, **options: Any) -> pd.DataFrame:
    found = matched_shares(
        data["bruise"] == "yes", data["event"], data["step"], clusters=data["patient"], **options
    )
    return found.set_index("group")


def one_set(name: str) -> pd.DataFrame:
    data = OBSERVED[OBSERVED["set"] == name]
    both = set(data.loc[data["event"] == 1, "step"]) & set(data.loc[data["event"] == 0, "step"])
    return data[data["step"].isin(both)].reset_index(drop=True)


@pytest.mark.parametrize("name", ["clinic", "few"])
def test_shares_agree_with_r(name: str) -> None:
    expected = pd.read_csv(REFERENCE / "matched_shares.csv").set_index("set").loc[name]
    found = shares(one_set(name))
    assert found["estimate"].tolist() == pytest.approx(
        expected[["cases", "others", "difference"]].tolist(), rel=1e-8
    )
    others = found.loc["others", ["conf_low", "conf_high"]].tolist()
    assert others == pytest.approx(expected[["others_low", "others_high"]].tolist(), rel=1e-8)
    columns = ["std_error", "df", "statistic", "p_value"]
    assert found.loc["difference", columns].tolist() == pytest.approx(expected[columns].tolist(), rel=1e-8)
    # Zou and Donner 2008, with the correlation from R.
    cases, other = found.loc["cases"], found.loc["others"]
    a, b = cases["estimate"] - cases["conf_low"], other["conf_high"] - other["estimate"]
    reach = np.sqrt(a**2 + b**2 - 2 * expected["correlation"] * a * b)
    assert found.loc["difference", "conf_low"] == pytest.approx(expected["difference"] - reach, rel=1e-8)


def test_share_of_cases_is_the_clustered_proportion() -> None:
    data = one_set("clinic")
    cases = data[data["event"] == 1].assign(hit=lambda d: d["bruise"] == "yes")
    sums = cases.groupby("patient")["hit"].agg(["sum", "count"])
    expected = clustered_proportion(ClusterTotals.from_arrays(sums["sum"], sums["count"])).iloc[0]
    found = shares(data).loc["cases"]
    for column in [*NUMBERS, "numerator", "denominator", "df"]:
        assert found[column] == pytest.approx(expected[column], rel=1e-12, nan_ok=True), column


def test_one_stratum_of_single_observations_is_two_proportions() -> None:
    # Of 40 cases 10, of 60 others 30; each a cluster of its own: at the plain sample size with Student's t.
    hit = [1] * 10 + [0] * 30 + [1] * 30 + [0] * 30
    case = [1] * 40 + [0] * 60
    found = matched_shares(hit, case, ["a"] * 100, clusters=range(100)).set_index("group")
    assert found["estimate"].tolist() == pytest.approx([0.25, 0.5, -0.25])
    variance = 0.25 * 0.75 / 40 + 0.25 / 60
    assert found.loc["difference", "std_error"] ** 2 == pytest.approx(variance * 100 / 99, rel=1e-10)
    plain = proportion([30], [60])
    assert found.loc["others", "conf_low"] == pytest.approx(plain["conf_low"].item(), abs=5e-3)


@settings(max_examples=10, deadline=None)
@given(st.integers(2, 5))
def test_counting_alike_rows_narrows_nothing_and_changes_nothing(times: int) -> None:
    data = one_set("few")
    repeated = data.loc[data.index.repeat(times)].reset_index(drop=True)
    counted = shares(data, frequencies=np.full(len(data), times))
    pd.testing.assert_frame_equal(counted, shares(repeated), rtol=1e-10)
    # Rows repeated within their clusters bring no information.
    assert counted["std_error"].to_numpy()[1:] == pytest.approx(
        shares(data)["std_error"].to_numpy()[1:], rel=1e-9
    )


def test_swapping_the_outcome_flips_the_difference() -> None:
    data = one_set("clinic")
    there = shares(data).loc["difference"]
    other = matched_shares(
        data["bruise"] != "yes", data["event"], data["step"], clusters=data["patient"]
    ).set_index("group")
    assert other.loc["difference", "estimate"] == pytest.approx(-there["estimate"], rel=1e-10)
    assert other.loc["difference", "conf_low"] == pytest.approx(-there["conf_high"], rel=1e-9)
    assert other.loc["difference", "p_value"] == pytest.approx(there["p_value"], rel=1e-9)


def test_matching_removes_what_the_strata_make() -> None:
    # In stratum 1 everybody has the outcome, in stratum 2 nobody; cases lie in the first more often.
    hit = [1] * 8 + [0] * 2 + [1] * 10 + [0] * 40
    case = [1] * 10 + [0] * 50
    stratum = [1] * 8 + [2] * 2 + [1] * 10 + [2] * 40
    found = matched_shares(hit, case, stratum, clusters=range(60)).set_index("group")
    assert found["estimate"].tolist() == pytest.approx([0.8, 0.8, 0.0])
    assert found.loc["others", ["numerator", "denominator"]].tolist() == [10, 50]


def test_cases_without_others_are_told() -> None:
    found = matched_shares([1, 0, 1, 0, 1], [1, 1, 0, 0, 1], [1, 1, 1, 1, 9], clusters=range(5)).set_index(
        "group"
    )
    assert found.loc["cases", ["numerator", "denominator"]].tolist() == [2, 3]
    assert found.loc["difference", ["numerator", "denominator"]].tolist() == [1, 2]
    assert found.loc["difference", "estimate"] == 0
    assert found.loc["difference", "note"] == "1 cases in strata without others are in no comparison"


@pytest.mark.parametrize(
    ("case", "stratum", "note"),
    [([0, 0, 0], [1, 1, 1], "no cases"), ([1, 1, 0], [1, 1, 2], "nobody in the strata of the cases")],
)
def test_nothing_to_compare_is_nan_with_a_note(case: list[int], stratum: list[int], note: str) -> None:
    found = matched_shares([1, 0, 1], case, stratum, clusters=[1, 2, 3]).set_index("group")
    assert found.loc[["others", "difference"], NUMBERS].isna().all(axis=None)
    assert found.loc[["others", "difference"], "note"].str.contains(note).all()


def test_no_rows_at_all() -> None:
    found = matched_shares([], [], [], clusters=[])
    assert found[NUMBERS].isna().all(axis=None)
    assert (found["denominator"] == 0).all()


def test_all_alike_has_no_test() -> None:
    found = matched_shares([1] * 6, [1, 1, 1, 0, 0, 0], [1] * 6, clusters=range(6)).set_index("group")
    assert found["estimate"].tolist() == [1, 1, 0]
    assert np.isnan(found.loc["difference", "p_value"])
    assert found.loc["others", "conf_high"] == 1
    assert "all observations are alike" in found.loc["others", "note"]


def test_one_cluster_has_no_interval() -> None:
    found = matched_shares([1, 0, 1, 0], [1, 1, 0, 0], [1] * 4, clusters=[7] * 4)
    assert found[["conf_low", "conf_high", "p_value"]].isna().all(axis=None)
    assert found["estimate"].tolist() == [0.5, 0.5, 0.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outcome": [2, 0]}, "outcome has 1 values other than 0 and 1"),
        ({"stratum": [None, 1]}, "stratum has 1 missing"),
        ({"clusters": [1]}, "lengths differ"),
        ({"conf_level": 1}, "conf_level == 1"),
    ],
)
def test_wrong_arguments_are_refused(change: dict[str, Any], message: str) -> None:
    given_: dict[str, Any] = {"outcome": [1, 0], "case": [1, 0], "stratum": [1, 1], "clusters": [1, 2]}
    with pytest.raises(ValueError, match=message):
        matched_shares(**(given_ | change))
