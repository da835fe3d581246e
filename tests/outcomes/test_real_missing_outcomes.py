"""Missing outcomes in a real trial (CDISC pilot study), against plain counts and models of its own files.

Response here is an improvement of 4 points or more on the ADAS-Cog at week 24 (day 168 ± 14 after the first dose).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyreadstat
import pytest
import statsmodels.api as sm

from mesostats.estimators import risk_difference
from mesostats.mapping import read
from mesostats.outcomes.missing_outcomes import response_scenarios
from mesostats.outcomes.responders import response
from mesostats.outcomes.tipping_points import tipping_point

if TYPE_CHECKING:
    from mesostats.dataset import Dataset

DATA = (
    Path(os.environ.get("MESOSTATS_REAL_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
    / "cdisc-pilot"
)
ARMS = {"Placebo": "placebo", "Xanomeline Low Dose": "low_dose", "Xanomeline High Dose": "high_dose"}
WEEK_24: dict[str, Any] = {"instrument": "adas_cog", "endpoint": 168}

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(),
    reason="the CDISC pilot data are not there; set MESOSTATS_REAL_DATA to the folder that holds them",
)


@pytest.fixture(scope="module")
def trial() -> Dataset:
    return read(DATA, mapping="cdisc_pilot")


@pytest.fixture(scope="module")
def patients() -> pd.DataFrame:
    """Return one row a treated patient: arm, age, baseline, and the value nearest to day 168 after the first dose."""
    people = pyreadstat.read_xport(str(DATA / "adsl.xpt"))[0]
    people = people[people["SAFFL"] == "Y"].set_index("USUBJID")
    scores = pd.read_csv(DATA / "adqsadas.csv")
    scores = scores[scores["DTYPE"].isna() & scores["AVAL"].notna()]
    days = scores["ADY"].where(scores["ADY"] < 0, scores["ADY"] - 1)  # there is no study day 0
    scores = scores.assign(day=days).sort_values("day")
    before = scores[scores["day"] <= 0].groupby("USUBJID")["AVAL"].last()
    near = scores[(scores["day"] - 168).abs() <= 14]
    near = near.assign(off=(near["day"] - 168).abs()).sort_values(["off", "day"], ascending=[True, False])
    found = pd.DataFrame({"arm": people["TRT01A"].map(ARMS), "age": people["AGE"].astype(float)})
    return found.assign(baseline=before, value=near.groupby("USUBJID")["AVAL"].first())


def test_counts_are_those_of_the_files(trial: Dataset, patients: pd.DataFrame) -> None:
    found = response_scenarios(trial, by="arm", **WEEK_24)
    for arm, rows in patients.groupby("arm"):
        improved = (rows["baseline"] - rows["value"] >= 4).sum()
        assessed = (rows["baseline"].notna() & rows["value"].notna()).sum()
        counted = {"observed": (improved, assessed), "nonresponder": (improved, len(rows))}
        counted["highest"] = (improved + len(rows) - assessed, len(rows))
        for name, numbers in counted.items():
            row = found.cell(arm=arm, estimand=f"response_{name}")
            assert (row["numerator"], row["denominator"]) == numbers, (arm, name)


def test_weights_are_those_of_a_logistic_model(trial: Dataset, patients: pd.DataFrame) -> None:
    found = response(trial, by="arm", missing="ipw", covariates=["baseline", "age"], **WEEK_24)
    for arm, rows in patients.groupby("arm"):
        seen = rows["value"].notna() & rows["baseline"].notna()
        design = sm.add_constant(rows[["baseline", "age"]].fillna(rows["baseline"].mean()))
        chance = sm.GLM(seen.astype(float), design, sm.families.Binomial()).fit(tol=1e-12).fittedvalues
        improved = rows["baseline"] - rows["value"] >= 4
        expected = np.average(improved[seen], weights=1 / chance[seen])
        assert found.cell(arm=arm)["estimate"] == pytest.approx(expected, rel=1e-6)


def test_no_method_shows_a_difference_and_much_would_have_to_differ(
    trial: Dataset, patients: pd.DataFrame
) -> None:
    found = tipping_point(trial, group="arm", reference="placebo", **WEEK_24)
    assert found.spec["conclusions"] == ["no difference shown"] * 2
    improved = (patients["baseline"] - patients["value"] >= 4).groupby(patients["arm"]).sum()
    sizes = patients["arm"].value_counts()
    row = found.cell(arm="high_dose", response_of_missing=1.0, response_of_missing_reference=0.0)
    missing = patients["value"].isna().groupby(patients["arm"]).sum()
    plain = risk_difference(
        improved["high_dose"] + missing["high_dose"],
        sizes["high_dose"],
        improved["placebo"],
        sizes["placebo"],
    )
    assert row["p_value"] == pytest.approx(plain["p_value"].item())
    assert row["p_value"] < 0.001
