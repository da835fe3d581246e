"""Change in a real trial, against the published results of SAS and plain means of its file.

CDISC pilot study (CDISCPILOT01), ADAS-Cog (11), repeated measures at weeks 8, 16 and 24 (table 14-3.11). PROC MIXED of SAS with
site group, visit, treatment by visit and baseline by visit, unstructured covariance, efficacy population, observed rows:
least-squares means at week 24 of 2.3291, 1.7352 and 1.5009 (placebo, low, high dose), differences from placebo of -0.5939
and -0.8282 with p values of .5600 and .4403 by Kenward and Roger's method, DDFM=KR
(https://github.com/atorus-research/CDISC_pilot_replication/issues/6 and notes/divergences.md there).

Table 14-3.01, analysis of covariance of the last observation carried forward to week 24: see the test.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from mesostats.dataset import Dataset
from mesostats.estimators.ancova import ancova
from mesostats.mapping import read
from mesostats.outcomes.changes import change_from_baseline
from mesostats.outcomes.repeated_changes import change_by_visit

if TYPE_CHECKING:
    from mesostats.results import Result

DATA = (
    Path(os.environ.get("MESOSTATS_REAL_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
    / "cdisc-pilot"
)
ARMS = {"Placebo": "placebo", "Xanomeline Low Dose": "low_dose", "Xanomeline High Dose": "high_dose"}

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(),
    reason="the CDISC pilot data are not there; set MESOSTATS_REAL_DATA to the folder that holds them",
)


@pytest.fixture(scope="module")
def efficacy() -> Dataset:
    """Return the trial's patients of the efficacy population."""
    trial = read(DATA, mapping="cdisc_pilot")
    patients = trial.table("patients").query("efficacy == 'Y'")
    courses = trial.table("courses")
    courses = courses[courses["patient_id"].isin(patients["patient_id"])]
    tables = {name: trial.table(name) for name in ("sessions", "outcomes")}
    tables = {name: rows[rows["course_id"].isin(courses["course_id"])] for name, rows in tables.items()}
    return Dataset(
        patients=patients, courses=courses, **tables, vocabulary=trial.vocabulary, cutoff=trial.cutoff
    )


def weekly(efficacy: Dataset, **options: Any) -> Result:
    return change_by_visit(
        efficacy,
        visits=[56, 112, 168],
        window="nearest",
        by=None,
        group="arm",
        reference="placebo",
        adjust="site_group",
        **options,
    )


@pytest.fixture(scope="module")
def repeated(efficacy: Dataset) -> Result:
    return weekly(efficacy)


def scores() -> pd.DataFrame:
    return pd.read_csv(DATA / "adqsadas.csv", keep_default_na=False, dtype={"SITEGR1": str})


def observed() -> pd.DataFrame:
    rows = scores()
    chosen = (rows["DTYPE"] == "") & (rows["ANL01FL"] == "Y") & (rows["EFFFL"] == "Y") & (rows["AVISITN"] > 0)
    return rows[chosen].assign(change=lambda frame: frame["CHG"].astype(float), arm=rows["TRTP"].map(ARMS))


def test_means_at_week_24_are_the_published_ones_of_sas(repeated: Result) -> None:
    published = {"placebo": 2.3291, "low_dose": 1.7352, "high_dose": 1.5009}
    for arm, mean in published.items():
        assert repeated.cell(arm=arm, time=168, estimand="ls_mean_change")["estimate"] == pytest.approx(
            mean, abs=5e-5
        )


def test_differences_at_week_24_are_the_published_ones_of_sas(repeated: Result) -> None:
    for arm, difference in (("low_dose", -0.5939), ("high_dose", -0.8282)):
        row = repeated.cell(arm=arm, time=168, estimand="ls_mean_difference")
        assert row["estimate"] == pytest.approx(difference, abs=5e-5)


def test_p_values_by_kenward_and_roger_are_the_published_ones_of_sas(
    efficacy: Dataset, repeated: Result
) -> None:
    found = weekly(efficacy, small_sample="kenward_roger")
    for arm, p_value in (("low_dose", 0.5600), ("high_dose", 0.4403)):
        row, plain = (
            each.cell(arm=arm, time=168, estimand="ls_mean_difference") for each in (found, repeated)
        )
        assert row["p_value"] == pytest.approx(p_value, abs=5e-5)
        assert row["df"] == pytest.approx(plain["df"])
        assert row["std_error"] > plain["std_error"]


def test_means_and_errors_are_those_of_gls_in_r(repeated: Result) -> None:
    """R: gls(..., corSymm(form = ~ visit | USUBJID), varIdent(form = ~ 1 | visit)); emmeans(fit, ~ TRTPN | AVISITN)."""
    for arm, day, mean, error in (
        ("placebo", 56, 0.56143, 0.479526),
        ("low_dose", 56, 1.61232, 0.470927),
        ("high_dose", 56, 0.75804, 0.494730),
        ("placebo", 112, 1.77008, 0.644000),
        ("low_dose", 112, 1.19330, 0.768625),
        ("high_dose", 112, 1.12190, 0.794675),
        ("placebo", 168, 2.32912, 0.688130),
        ("low_dose", 168, 1.73523, 0.763100),
        ("high_dose", 168, 1.50092, 0.832272),
    ):
        row = repeated.cell(arm=arm, time=day, estimand="ls_mean_change")
        assert [row["estimate"], row["std_error"]] == pytest.approx([mean, error], abs=1e-5)


def test_observed_means_and_their_numbers_are_those_of_the_file(repeated: Result) -> None:
    for (arm, week), changes in observed().groupby(["arm", "AVISITN"])["change"]:  # type: ignore[misc]
        row = repeated.cell(arm=arm, time=7 * week, estimand="mean_change")
        assert row["denominator"] == len(changes)
        # The file holds changes of rounded values.
        assert row["estimate"] == pytest.approx(changes.mean(), abs=1e-6)
    assert repeated.cell(arm="placebo", time=168, estimand="mean_change")["n_missing"] == 79 - 65


def test_change_at_a_day_counts_those_without_an_endpoint(efficacy: Dataset) -> None:
    found = change_from_baseline(
        efficacy, by=None, group="arm", reference="placebo", endpoint=168, adjust="site_group"
    )
    rows = found.explain()
    evaluable = rows[rows["in_denominator"]]
    for arm in ARMS.values():
        row = found.cell(arm=arm, estimand="mean_change")
        assert row["denominator"] == (evaluable["arm"] == arm).sum()
        assert (
            row["denominator"] + row["n_missing"]
            == found.cell(arm=arm, estimand="mean_baseline")["denominator"]
        )
    difference = found.cell(arm="high_dose", estimand="ls_mean_difference")
    assert difference["conf_low"] < -0.8282 < difference["conf_high"]
    assert difference["df"] == len(evaluable) - 3 - 10 - 1  # arms, pooled sites, baseline


def test_covariance_analysis_of_the_carried_values_is_the_published_table() -> None:
    """Table 14-3.01: differences with standard error, 95 % interval and p value; site group weighted as observed."""
    rows = scores()
    rows = rows[(rows["ANL01FL"] == "Y") & (rows["EFFFL"] == "Y") & (rows["AVISITN"] == 24)]
    assert rows.groupby("TRTPN").size().tolist() == [79, 81, 74]
    for dose, reference, published in (
        (54, 0, [-0.5, 0.82, -2.1, 1.1, 0.569]),
        (81, 0, [-1.0, 0.84, -2.7, 0.7, 0.233]),
    ):
        found = ancova(
            rows["CHG"].astype(float),
            rows["TRTPN"],
            rows[["SITEGR1", "BASE"]],
            reference=reference,
            weights="proportional",
        )
        row = found[(found["group"] == dose) & (found["estimand"] == "ls_mean_difference")].iloc[0]
        shown = [
            round(float(row[column]), digits)
            for column, digits in (
                ("estimate", 1),
                ("std_error", 2),
                ("conf_low", 1),
                ("conf_high", 1),
                ("p_value", 3),
            )
        ]
        assert shown == published
