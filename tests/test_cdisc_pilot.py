"""A real trial through the shipped mapping, held against its published tables.

The published numbers are those of the CDISC pilot study report (table 14-5.01 for adverse events; disposition: 58, 25 and
27 completed of 86, 84 and 84). The other expected numbers are counted here in the raw files, by pandas alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyreadstat
import pytest

from mesostats.mapping import read

if TYPE_CHECKING:
    from mesostats.dataset import Dataset

DATA = (
    Path(os.environ.get("MESOSTATS_REAL_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
    / "cdisc-pilot"
)

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(),
    reason="the CDISC pilot data are not there; set MESOSTATS_REAL_DATA to the folder that holds them",
)

ARMS = ["placebo", "low_dose", "high_dose"]


@pytest.fixture(scope="module")
def trial() -> Dataset:
    return read(DATA, mapping="cdisc_pilot")


@pytest.fixture(scope="module")
def courses(trial: Dataset) -> pd.DataFrame:
    return trial.table("courses").set_index("course_id")


def raw(name: str) -> pd.DataFrame:
    return pyreadstat.read_xport(str(DATA / f"{name}.xpt"))[0]


def test_courses_are_the_published_arms_and_completers(trial: Dataset, courses: pd.DataFrame) -> None:
    assert len(trial.table("patients")) == 254
    assert courses["arm"].value_counts()[ARMS].tolist() == [86, 84, 84]
    completed = courses.loc[courses["status"] == "completed", "arm"]
    assert completed.value_counts()[ARMS].tolist() == [58, 25, 27]
    assert set(courses["status"]) == {"completed", "discontinued"}


def test_courses_end_for_the_recorded_reasons(trial: Dataset, courses: pd.DataFrame) -> None:
    reasons = courses["end_reason"].value_counts().to_dict()
    recorded = raw("adsl")["DCDECOD"].value_counts()
    assert reasons["adverse_event"] == recorded["ADVERSE EVENT"]
    assert reasons["withdrew"] == recorded["WITHDRAWAL BY SUBJECT"]
    assert sum(reasons.values()) == 254 - 110
    assert set(reasons) <= set(trial.vocabulary.codes("discontinuation_reasons"))
    assert courses["end_reason"].isna().equals(courses["status"] == "completed")


def test_courses_start_with_treatment(courses: pd.DataFrame) -> None:
    start = pd.to_datetime(raw("adsl").set_index("USUBJID")["TRTSDT"])
    assert (courses["start_date"] == start.reindex(courses.index)).all()


def test_sessions_are_the_planned_visits_at_the_site(trial: Dataset, courses: pd.DataFrame) -> None:
    sessions = trial.table("sessions")
    visits = raw("sv")
    # By name, where the mapping goes by number.
    planned = ["BASELINE", *(f"WEEK {week}" for week in (2, 4, 6, 8, 12, 16, 20, 24, 26))]
    assert sessions["visit"].value_counts().to_dict() == {
        name: int((visits["VISIT"] == name).sum()) for name in planned
    }
    numbers = sessions.groupby("visit")["session_number"].unique()
    assert [numbers[name].tolist() for name in planned] == [[number] for number in range(1, 11)]
    assert trial.vocabulary.protocols["cdisc_pilot"].sessions == 10
    first = sessions[sessions["session_number"] == 1].set_index("course_id")["date"]
    assert (first == courses["start_date"].reindex(first.index)).all()
    assert sessions["session_id"].is_unique


def test_visits_of_the_last_week_are_those_of_the_completers(trial: Dataset, courses: pd.DataFrame) -> None:
    sessions = trial.table("sessions")
    ten = set(sessions.loc[sessions["session_number"] == 10, "course_id"])
    assert set(courses.index[courses["status"] == "completed"]) <= ten
    # One patient of the 111 left because of an adverse event at the last visit.
    assert courses.loc[sorted(ten), "end_reason"].value_counts().to_dict() == {"adverse_event": 1}


def test_adverse_events_are_the_published_counts(trial: Dataset, courses: pd.DataFrame) -> None:
    events = trial.table("adverse_events")
    arm = events["course_id"].map(courses["arm"])
    assert events["course_id"].groupby(arm).nunique()[ARMS].tolist() == [65, 77, 76]
    assert arm.value_counts()[ARMS].tolist() == [281, 412, 433]
    assert events["event_id"].is_unique


def test_adverse_events_left_out_began_before_treatment_or_at_no_known_day(trial: Dataset) -> None:
    """Letting the onset decide would count the 11 events of unknown day as emergent, which the trial did not."""
    source = raw("adae")
    left_out = source[source["TRTEMFL"] == "N"]
    onset, start = (pd.to_datetime(left_out[column]) for column in ("ASTDT", "TRTSDT"))
    assert ((onset < start).sum(), onset.isna().sum(), len(left_out)) == (54, 11, 65)
    assert len(trial.table("adverse_events")) == len(source) - 65
    assert not trial.table("adverse_events")["onset_date"].isna().any()


def test_adverse_events_hold_only_known_codes(trial: Dataset) -> None:
    events = trial.table("adverse_events")
    assert set(events["severity"]) == {"mild", "moderate", "severe"}
    assert events["serious"].value_counts().to_dict() == {"no": 1123, "yes": 3}
    assert set(events["related"].dropna()) == {"not_related", "unlikely", "possible", "probable"}
    assert events["outcome"].value_counts()["fatal"] == 3
    dermatologic = events["special_interest"] == "DERMATOLOGIC EVENTS"
    source = raw("adae")
    assert dermatologic.sum() == ((source["TRTEMFL"] == "Y") & (source["CQ01NAM"] != "")).sum()


def test_outcomes_are_the_observed_assessments(trial: Dataset, courses: pd.DataFrame) -> None:
    outcomes = trial.table("outcomes")
    source = pd.read_csv(DATA / "adqsadas.csv", keep_default_na=False, dtype="string")
    observed = source[source["DTYPE"] == ""]
    assert len(outcomes) == len(observed) == len(source) - (source["DTYPE"] == "LOCF").sum()
    assert outcomes["value"].sum() == pytest.approx(observed["AVAL"].astype("float64").sum())
    # Study day 1 is the first day of treatment, and all assessments lie on or after it: day n is n - 1 days later.
    days = (outcomes["date"] - outcomes["course_id"].map(courses["start_date"])).dt.days + 1
    assert sorted(days) == sorted(observed["ADY"].astype("int64"))
    assert outcomes["outcome_id"].is_unique


def test_baseline_means_by_arm_are_those_of_the_efficacy_population(
    trial: Dataset, courses: pd.DataFrame
) -> None:
    """Table 14-3.01: baseline ADAS-Cog 24.1 (12.19), 24.4 (12.92), 21.3 (11.74) in 79, 81 and 74 patients."""
    efficacy = set(raw("adsl").query("EFFFL == 'Y'")["USUBJID"])
    outcomes = trial.table("outcomes")
    baseline = outcomes[(outcomes["visit"] == "Baseline") & outcomes["course_id"].isin(efficacy)]
    values = baseline["value"].groupby(baseline["course_id"].map(courses["arm"]))
    assert values.count()[ARMS].tolist() == [79, 81, 74]
    assert values.mean()[ARMS].round(1).tolist() == [24.1, 24.4, 21.3]
    assert values.std()[ARMS].round(2).tolist() == [12.19, 12.92, 11.74]
