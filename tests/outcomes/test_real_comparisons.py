"""Response of the arms of a real trial, compared: plain counts in its files, and R's tests of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from mesostats.estimators import risk_difference
from mesostats.mapping import read
from mesostats.outcomes.comparisons import compare_response
from mesostats.outcomes.grades import compare_grades
from mesostats.outcomes.subgroups import subgroup_response

if TYPE_CHECKING:
    from mesostats.dataset import Dataset
    from mesostats.results import Result

HERE = Path(__file__).parents[1]
DATA = Path(os.environ.get("MESOSTATS_REAL_DATA", HERE.parent / ".." / "shared" / "data")) / "cdisc-pilot"
EXPECTED = pd.read_csv(HERE / "reference" / "real_trial_response.csv")
RANKS = pd.read_csv(HERE / "reference" / "real_trial_ranks.csv")

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(),
    reason="the CDISC pilot data are not there; set MESOSTATS_REAL_DATA to the folder that holds them",
)


@pytest.fixture(scope="module")
def trial() -> Dataset:
    return read(DATA, mapping="cdisc_pilot")


@pytest.fixture(scope="module", params=["treated", "evaluable"])
def compared(trial: Dataset, request: pytest.FixtureRequest) -> Result:
    return compare_response(
        trial,
        reference="placebo",
        endpoint=168,
        denominator=request.param,
        strata="sex",
        adjust=["baseline", "sex"],
    )


def pairs(result: Result) -> list[tuple[pd.Series, pd.DataFrame]]:
    """Return what R found for each arm, and our rows of it."""
    over = EXPECTED[EXPECTED["denominator"] == result.spec["arguments"]["denominator"]]
    found = result.estimates[result.estimates["reference"] == "placebo"]
    return [(row, found[found["arm"] == row["arm"]].set_index("estimand")) for _, row in over.iterrows()]


def test_counts_are_those_of_the_files(compared: Result) -> None:
    for expected, found in pairs(compared):
        difference = found.loc["risk_difference"]
        assert (difference["numerator"], difference["denominator"]) == (expected["events"], expected["n"])
        counted = [expected[name] for name in ("events", "n", "placebo_events", "placebo_n")]
        alone = risk_difference(*counted).iloc[0]
        for name in ("estimate", "conf_low", "conf_high", "p_value"):
            assert difference[name] == pytest.approx(alone[name])


def test_fishers_test_and_the_strata_are_those_of_r(compared: Result) -> None:
    for expected, found in pairs(compared):
        assert found.loc["odds_ratio", "p_value"] == pytest.approx(expected["fisher_p"], rel=1e-8)
        pooled = found.loc["stratified_odds_ratio"]
        for name, wanted in (
            ("estimate", "sex_odds"),
            ("conf_low", "sex_low"),
            ("conf_high", "sex_high"),
            ("p_value", "sex_p"),
        ):
            assert pooled[name] == pytest.approx(expected[wanted], rel=1e-8)


def test_adjusted_risks_are_those_of_the_standardized_model(compared: Result) -> None:
    # Each patient is a cluster: the estimates are those of glm(); R has no Mancl-DeRouen covariance for them.
    for expected, found in pairs(compared):
        difference = found.loc["adjusted_risk_difference"]
        assert difference["estimate"] == pytest.approx(expected["adjusted_difference"], rel=1e-6)
        assert found.loc["adjusted_risk_ratio", "estimate"] == pytest.approx(
            expected["adjusted_ratio"], rel=1e-6
        )
        assert difference["conf_low"] < 0 < difference["conf_high"]


def test_sites_are_strata_of_which_some_compare_nothing(trial: Dataset) -> None:
    found = compare_response(trial, reference="placebo", endpoint=168, strata="clinic_id")
    for expected, rows in pairs(found):
        pooled = rows.loc["stratified_odds_ratio"]
        assert pooled["estimate"] == pytest.approx(expected["site_odds"], rel=1e-8)
        assert pooled["p_value"] == pytest.approx(expected["site_p"], rel=1e-8)
        assert "strata left out" in pooled["note"]


def test_sexes_are_subgroups(trial: Dataset) -> None:
    found = subgroup_response(trial, reference="placebo", subgroups="sex", endpoint=168).estimates
    levels = found[(found["subgroup"] == "sex") & (found["estimand"] == "response_treated")]
    whole = found[(found["subgroup"] == "overall") & (found["estimand"] == "response_treated")]
    for column in ("numerator", "denominator"):
        summed = levels.groupby("arm")[column].sum()
        assert summed.to_dict() == whole.set_index("arm")[column].to_dict()
    tests = found[found["estimand"].str.startswith("interaction")]
    assert len(tests) == 4
    assert tests["p_value"].between(0, 1).all()


def test_improvement_by_ranks_is_wilcoxons(trial: Dataset) -> None:
    found = compare_grades(trial, instrument="adas_cog", reference="placebo", endpoint=168)
    for _, expected in RANKS.iterrows():
        wins = found.cell(arm=expected["arm"], reference="placebo", estimand="win_probability")
        assert wins["estimate"] == pytest.approx(expected["win_probability"], rel=1e-8)
        assert wins["denominator"] == expected["n"]
        tested = found.cell(arm=expected["arm"], reference="placebo", estimand="van_elteren_test")
        assert tested["p_value"] == pytest.approx(expected["p_value"], rel=1e-8)
        odds = found.cell(arm=expected["arm"], reference="placebo", estimand="common_odds_ratio")
        assert (odds["estimate"] > 1) == (expected["win_probability"] > 0.5)
        assert np.isfinite(odds["std_error"])
        test = found.cell(arm=expected["arm"], reference="placebo", estimand="proportionality_test")
        assert test["note"] == "fewer than 5 courses a grade: not to be relied on"
