"""The analyses of a real trial, against its published tables, plain counts in its files, and R's survfit().

CDISC pilot study (CDISCPILOT01), table 14-5.01: patients with a treatment-emergent adverse event 65 of 86 (placebo), 77 of
84 (low dose), 76 of 84 (high dose); 281, 412 and 433 events.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from mesostats.adverse_events.rates import adverse_event_rates
from mesostats.dropout.retention import retention
from mesostats.mapping import read
from mesostats.outcomes.responders import response
from mesostats.schedule import course_states

if TYPE_CHECKING:
    from mesostats.dataset import Dataset

DATA = (
    Path(os.environ.get("MESOSTATS_REAL_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
    / "cdisc-pilot"
)
ARMS = {"Placebo": "placebo", "Xanomeline Low Dose": "low_dose", "Xanomeline High Dose": "high_dose"}

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(),
    reason="the CDISC pilot data are not there; set MESOSTATS_REAL_DATA to the folder that holds them",
)


@pytest.fixture(scope="module")
def trial() -> Dataset:
    return read(DATA, mapping="cdisc_pilot")


@pytest.fixture(scope="module")
def emergent() -> pd.DataFrame:
    events = pyreadstat.read_xport(str(DATA / "adae.xpt"))[0]
    return events[events["TRTEMFL"] == "Y"].assign(arm=lambda frame: frame["TRTA"].map(ARMS))


def by_arm(frame: pd.DataFrame, estimand: str, column: str = "numerator") -> list[float]:
    rows = frame[frame["estimand"] == estimand].set_index("arm")
    return rows.loc[[*ARMS.values()], column].tolist()


def test_completed_courses_are_the_published_ones(trial: Dataset) -> None:
    states = course_states(trial)
    arm = states["course_id"].map(trial.table("courses").set_index("course_id")["arm"])
    completed = (states["state"] == "completed").groupby(arm).sum()
    assert len(states) == 254
    assert completed[[*ARMS.values()]].tolist() == [58, 25, 27]
    # One of those who left came to all ten visits first: there was no visit left to drop out of.
    left = states[states["rule"] == "recorded as discontinued"]
    assert (left["attended"] >= left["planned"]).sum() == 1
    assert not (states["state"] == "ongoing").any()


def test_patients_with_an_adverse_event_are_the_published_ones(trial: Dataset) -> None:
    found = adverse_event_rates(trial, by="arm").estimates
    assert by_arm(found, "incidence_proportion") == [65, 77, 76]
    assert by_arm(found, "incidence_proportion", "denominator") == [86, 84, 84]
    # R: prop.test(65, 86, correct = FALSE)$conf.int
    placebo = found.query("arm == 'placebo' and estimand == 'incidence_proportion'").iloc[0]
    assert placebo[["conf_low", "conf_high"]].tolist() == pytest.approx(
        [0.655371270592, 0.834380349401], abs=1e-10
    )


def test_all_events_are_the_published_ones(trial: Dataset) -> None:
    found = adverse_event_rates(trial, by="arm", events="all")
    assert by_arm(found.estimates, "events_per_patient") == [281, 412, 433]
    assert found.spec["excluded_events"] == {}  # the mapping keeps those that the trial judged emergent


def test_terms_are_the_counts_in_the_file(trial: Dataset, emergent: pd.DataFrame) -> None:
    found = adverse_event_rates(trial, by="arm", of="term").estimates
    rows = found[found["estimand"] == "incidence_proportion"].set_index(["arm", "term"])["numerator"]
    expected = emergent.groupby(["arm", "AEDECOD"])["USUBJID"].nunique()
    assert len(rows) == 3 * emergent["AEDECOD"].nunique()  # terms that an arm lacks have rows too
    assert rows[rows > 0].sort_index().to_dict() == expected.to_dict()


def test_serious_and_worst_severity_are_the_counts_in_the_file(
    trial: Dataset, emergent: pd.DataFrame
) -> None:
    serious = adverse_event_rates(trial, by="arm", of="serious").estimates
    expected = emergent[emergent["AESER"] == "Y"].groupby("arm")["USUBJID"].nunique()
    assert by_arm(serious, "incidence_proportion") == [expected.get(arm, 0) for arm in ARMS.values()]
    worst = adverse_event_rates(trial, by="arm", of="severity").estimates
    rows = worst[worst["estimand"] == "incidence_proportion"].set_index(["arm", "severity"])["numerator"]
    rank = emergent["AESEV"].map({"MILD": 1, "MODERATE": 2, "SEVERE": 3})
    patients = rank.groupby([emergent["arm"], emergent["USUBJID"]]).max().groupby("arm").value_counts()
    for (arm, level), number in patients.items():
        assert rows[arm, ["mild", "moderate", "severe"][level - 1]] == number
    assert rows.sum() == 65 + 77 + 76


def test_related_events_are_the_counts_in_the_file(trial: Dataset, emergent: pd.DataFrame) -> None:
    found = adverse_event_rates(trial, by="arm", of="related", events="all").estimates
    expected = emergent["AEREL"].isin(["POSSIBLE", "PROBABLE"]).groupby(emergent["arm"]).sum()
    assert by_arm(found, "events_per_patient") == expected[[*ARMS.values()]].tolist()


def plain_responders() -> pd.DataFrame:
    """Return, a patient, arm, baseline and the ADAS-Cog nearest to day 168 within 14 days, from the files."""
    patients = pyreadstat.read_xport(str(DATA / "adsl.xpt"))[0].set_index("USUBJID")
    visits = pyreadstat.read_xport(str(DATA / "sv.xpt"))[0]
    first = pd.to_datetime(visits[visits["VISITNUM"] == 3].set_index("USUBJID")["SVSTDTC"])
    scores = pd.read_csv(DATA / "adqsadas.csv", keep_default_na=False)
    scores = scores[scores["DTYPE"] == ""].assign(value=lambda frame: frame["AVAL"].astype(float))
    start = pd.to_datetime(scores["USUBJID"].map(patients["TRTSDT"]))
    day = (start + pd.to_timedelta(scores["ADY"].astype(int) - 1, unit="D")) - scores["USUBJID"].map(first)
    scores = scores.assign(day=day.dt.days).sort_values("day")
    baseline = scores[scores["day"] <= 0].groupby("USUBJID")["value"].last()
    near = scores.assign(off=(scores["day"] - 168).abs()).query("day > 0 and off <= 14")
    # The nearest, and of two as near the later: sorted by distance, then by day from the last.
    value = near.sort_values(["off", "day"], ascending=[True, False]).groupby("USUBJID")["value"].first()
    return pd.DataFrame({"arm": patients["TRT01A"].map(ARMS), "baseline": baseline, "value": value})


def test_responders_at_week_24_are_the_counts_in_the_file(trial: Dataset) -> None:
    found = response(trial, by="arm", endpoint=168)
    plain = plain_responders()
    evaluable = plain.dropna()
    responders = (evaluable["baseline"] - evaluable["value"] >= 4).groupby(evaluable["arm"]).sum()
    for estimand in ("response_treated", "response_with_baseline", "response_evaluable"):
        assert by_arm(found.estimates, estimand) == responders[[*ARMS.values()]].tolist()
    assert by_arm(found.estimates, "response_treated", "denominator") == [86, 84, 84]
    for estimand, rows in (
        ("response_with_baseline", plain.dropna(subset="baseline")),
        ("response_evaluable", evaluable),
    ):
        sizes = rows.groupby("arm").size()[[*ARMS.values()]].tolist()
        assert by_arm(found.estimates, estimand, "denominator") == sizes
    assert responders.sum() > 10
    assert found.spec["not_due"] == 0


@pytest.mark.parametrize("kind", ["session", "day"])
def test_retention_is_that_of_survfit(trial: Dataset, kind: str) -> None:
    # The trial is over: all that was recorded counts, up to its last day.
    found = retention(trial, by="arm", time=kind, follow_up="all").estimates  # type: ignore[arg-type]
    reference = pd.read_csv(Path(__file__).parent / "reference" / "real_trial_retention.csv").query(
        "kind == @kind"
    )
    curves = found[found["estimand"] == "retention"].set_index(["arm", "time"])
    expected = reference.set_index(["arm", "time"])
    more = curves.drop(expected.index)  # sessions at which nobody dropped out or was censored
    assert (more["numerator"] == 0).all()
    assert kind == "session" or more.empty
    curves = curves.loc[expected.index]
    assert curves["denominator"].tolist() == expected["at_risk"].tolist()
    assert curves["numerator"].tolist() == expected["events"].tolist()
    assert curves["estimate"].tolist() == pytest.approx(expected["estimate"].tolist(), rel=1e-8)
    assert curves["std_error"].tolist() == pytest.approx(expected["std_error"].tolist(), rel=1e-8)
    inside = expected["events"].cumsum().gt(0) & expected["estimate"].between(0, 1, inclusive="neither")
    for limit in ("conf_low", "conf_high"):
        assert np.allclose(curves.loc[inside, limit], expected.loc[inside, limit], rtol=1e-8)
    medians = found[found["estimand"] == "median_retention"].set_index("arm")
    published = reference.groupby("arm")[["median", "median_low", "median_high"]].first()
    got = medians.loc[published.index, ["estimate", "conf_low", "conf_high"]].to_numpy()
    assert np.allclose(got, published.to_numpy(), equal_nan=True)
