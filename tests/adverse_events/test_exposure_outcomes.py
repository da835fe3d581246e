"""Exposure and outcome: a clinic counted by hand, the truth of simulated clinics, and confounding that is planted."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from mesostats.adverse_events.exposure_effects import care_rule_effects, exposure_effect
from mesostats.dataset import Dataset
from mesostats.errors import DataError
from mesostats.estimators.crude_risks import crude_risks
from mesostats.estimators.models import standardized_risks
from mesostats.results import ESTIMATE_COLUMNS, Result
from mesostats.simulation import simulate

ESTIMANDS = [
    "crude_risk",
    "crude_risk_difference",
    "adjusted_risk",
    "adjusted_risk_difference",
    "adjusted_risk_ratio",
]

SESSIONS = [
    # session, course, date, status, asked, kept the rule, technique, depth
    ("S1", "C1", "2024-01-01", "attended", "yes", "no", "gun", 2.0),
    ("S2", "C1", "2024-01-11", "attended", "yes", "yes", "gun", 2.0),
    (
        "S3",
        "C1",
        "2024-01-21",
        "attended",
        "no",
        "yes",
        "gun",
        2.0,
    ),  # nobody asked, but an event was recorded
    ("S4", "C2", "2024-02-01", "attended", "yes", "yes", "needle", 1.5),
    ("S5", "C2", "2024-02-11", "attended", "yes", "not_asked", "needle", 1.5),
    ("S6", "C2", "2024-02-21", "attended", "yes", None, "needle", 1.5),
    ("S7", "C3", "2024-01-05", "attended", "yes", "no", None, 1.0),
    ("S8", "C3", "2024-01-15", "attended", "no", "no", "gun", 1.0),  # nobody asked
    ("S9", "C3", "2024-01-25", "no_show", None, None, None, None),
    ("S10", "C4", "2024-03-01", "attended", "yes", "yes", "gun", None),  # depth missing
    ("S11", "C4", "2024-03-11", "attended", "yes", "no", "gun", 3.0),
    ("S12", "C4", "2024-03-21", "attended", None, "not_asked", "gun", 3.0),  # nobody asked either
]
EVENTS = [
    # event, course, session, term, onset, severity, serious
    ("E1", "C1", "S1", "bruising", "2024-01-01", "mild", "no"),
    ("E2", "C1", "S1", "bruising", "2024-01-02", "severe", "yes"),
    ("E3", "C1", None, "redness", "2024-01-22", "mild", "no"),  # after S3
    ("E4", "C3", "S7", "bruising", "2024-01-05", "mild", "no"),
    ("E5", "C4", "S10", "bruising", "2024-03-01", "mild", "no"),
    ("E6", "C2", "S5", "bruising", "2024-02-11", "mild", "no"),  # its exposure is not known
    ("E7", "C4", "S11", "bruising", "2024-07-01", "mild", "no"),  # too late
]
# In the denominators: broken S1, S7, S11 (bruises in S1, S7); kept S2, S3, S4, S10 (a bruise in S10).
# Left out: S8 and S12 (nobody asked), S5 and S6 (exposure). Without a depth: S10.


def tables(*, asked: bool = True) -> dict[str, pd.DataFrame]:
    columns = "session_id course_id date status adverse_events_asked avoided_nsaid technique depth_mm"
    sessions = pd.DataFrame(SESSIONS, columns=columns.split())
    events = "event_id course_id session_id term onset_date severity serious"
    return {
        "patients": pd.DataFrame({"patient_id": ["P1", "P2", "P3"], "sex": ["female", "male", "female"]}),
        "courses": pd.DataFrame(
            {
                "course_id": ["C1", "C2", "C3", "C4"],
                "patient_id": ["P1", "P1", "P2", "P3"],
                "start_date": ["2024-01-01", "2024-02-01", "2024-01-05", "2024-03-01"],
                "indication": ["melasma", "wrinkles", "melasma", "melasma"],
            }
        ),
        "sessions": sessions if asked else sessions.drop(columns="adverse_events_asked"),
        "adverse_events": pd.DataFrame(EVENTS, columns=events.split()),
    }


@cache
def small_clinic() -> Dataset:
    return Dataset(**tables(), cutoff="2024-12-31")


def effect(clinic: Dataset, **options: Any) -> Result:
    asked: dict[str, Any] = {"outcome": "bruising", "exposure": "avoided_nsaid"} | options
    return exposure_effect(clinic, **asked)


# --- by hand ----------------------------------------------------------------------------------------------------------------


def test_crude_risks_of_a_clinic_counted_by_hand() -> None:
    found = effect(small_clinic())
    broken, kept = (found.cell(avoided_nsaid=value, estimand="crude_risk") for value in ("no", "yes"))
    assert (broken["numerator"], broken["denominator"], broken["n_missing"]) == (2, 3, 1)  # S8
    assert (kept["numerator"], kept["denominator"], kept["n_missing"]) == (1, 4, 0)
    difference = found.cell(avoided_nsaid="yes", estimand="crude_risk_difference")
    assert difference["estimate"] == pytest.approx(1 / 4 - 2 / 3)
    assert difference["n_missing"] == 4  # S5, S6, S8, S12
    assert found.spec["excluded"] == {
        "avoided_nsaid not asked or not recorded": 2,
        "nobody asked about side effects": 2,
    }
    assert found.spec["excluded_events"] == {"onset more than 60 days after the last attended session": 1}


def test_result_follows_the_contract() -> None:
    found = effect(small_clinic(), adjust="technique")
    assert tuple(found.estimates.columns) == ("avoided_nsaid", *ESTIMATE_COLUMNS)
    assert list(found.estimates["estimand"].unique()) == ESTIMANDS
    assert set(found.estimates["unit"]) == {"sessions"}
    assert found.spec["analysis"] == "exposure_effect"
    assert found.spec["primary"] in ESTIMANDS
    assert found.spec["arguments"]["adjust"] == ["technique"]
    assert "Adjusted for technique." in found.spec["rules"]
    assert any("unmeasured confounding is not excluded" in rule for rule in found.spec["rules"])
    assert found.spec["title"].startswith("Bruising by avoiding aspirin")
    assert found.cell(avoided_nsaid="yes", estimand="adjusted_risk_difference")["note"] != ""


def test_without_adjustment_the_rules_say_so() -> None:
    rules = effect(small_clinic()).spec["rules"]
    assert any(rule.startswith("Adjusted for nothing") for rule in rules)


@pytest.mark.parametrize("value", ["no", "yes"])
@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_explain_adds_up_to_numerator_and_denominator(value: str, estimand: str) -> None:
    found = effect(small_clinic(), adjust=["depth_mm", "indication"])
    rows = found.estimates.query("avoided_nsaid == @value and estimand == @estimand")
    if rows.empty:
        assert value == "no"
        return
    explained = found.explain(avoided_nsaid=value, estimand=estimand)
    assert explained["in_denominator"].sum() == rows["denominator"].iloc[0]
    assert explained["in_numerator"].sum() == rows["numerator"].iloc[0]
    assert (explained["excluded"] == "").equals(explained["in_denominator"])


def test_explain_shows_who_was_left_out_and_why() -> None:
    explained = effect(small_clinic(), adjust=["depth_mm", "indication"]).explain().set_index("session_id")
    assert explained["excluded"].to_dict() == {
        **dict.fromkeys(["S1", "S2", "S3", "S4", "S7", "S11"], ""),
        **dict.fromkeys(["S5", "S6"], "avoided_nsaid not asked or not recorded"),
        **dict.fromkeys(["S8", "S12"], "nobody asked about side effects"),
        "S10": "depth_mm not recorded",
    }
    assert explained.loc["S4", ["indication", "depth_mm", "avoided_nsaid"]].tolist() == [
        "wrinkles",
        1.5,
        "yes",
    ]
    assert list(explained.index[explained["in_numerator"]]) == ["S1", "S7"]


def test_missing_numbers_are_missing_from_the_adjusted_estimates_only() -> None:
    found = effect(small_clinic(), adjust="depth_mm")
    assert found.cell(avoided_nsaid="yes", estimand="crude_risk")["denominator"] == 4
    kept = found.cell(avoided_nsaid="yes", estimand="adjusted_risk")
    assert (kept["denominator"], kept["numerator"], kept["n_missing"]) == (3, 0, 1)
    assert found.spec["excluded"]["depth_mm not recorded"] == 1


@pytest.mark.parametrize(
    ("of", "outcome", "broken", "kept"),
    [
        ("any", "any", 2, 2),
        ("serious", "serious", 1, 0),
        ("severity", "severe", 1, 0),
        ("class", "expected_local", 2, 2),
    ],
)
def test_outcomes_of_other_kinds(of: str, outcome: str, broken: int, kept: int) -> None:
    found = effect(small_clinic(), of=of, outcome=outcome)
    assert found.cell(avoided_nsaid="no", estimand="crude_risk")["numerator"] == broken
    assert found.cell(avoided_nsaid="yes", estimand="crude_risk")["numerator"] == kept


def test_patients_as_units() -> None:
    # Bruised: P1, P2, P3, all asked.
    found = effect(small_clinic(), exposure="sex", reference="male", per="patient")
    risk = found.cell(sex="female", estimand="crude_risk")
    assert (risk["numerator"], risk["denominator"], risk["unit"]) == (2, 2, "patients")
    assert found.cell(sex="male", estimand="crude_risk")["denominator"] == 1


def test_courses_as_units_are_compared_by_their_own_columns() -> None:
    found = effect(small_clinic(), per="course", exposure="indication", reference="wrinkles", adjust="sex")
    # Melasma: C1 (E1, E2), C3 (E4), C4 (E5), all asked; wrinkles: C2 (E6).
    melasma = found.cell(indication="melasma", estimand="crude_risk")
    assert (melasma["numerator"], melasma["denominator"], melasma["unit"]) == (3, 3, "courses")
    wrinkles = found.cell(indication="wrinkles", estimand="crude_risk")
    assert (wrinkles["numerator"], wrinkles["denominator"]) == (1, 1)
    rows = found.explain(indication="melasma", estimand="adjusted_risk")
    assert rows["course_id"].tolist() == ["C1", "C3", "C4"]


def test_unused_column_of_questions_counts_all_and_says_so() -> None:
    found = effect(Dataset(**tables(asked=False), cutoff="2024-12-31"))
    assert found.cell(avoided_nsaid="no", estimand="crude_risk")["denominator"] == 4  # with S8
    assert found.estimates["note"].str.contains("no session records that anybody asked").all()


def test_an_outcome_that_never_came_is_a_row() -> None:
    found = effect(small_clinic(), outcome="nausea", adjust="technique")
    assert (found.estimates["numerator"] == 0).all()
    crude = found.cell(avoided_nsaid="yes", estimand="crude_risk_difference")
    assert crude["conf_low"] < 0 < crude["conf_high"]
    adjusted = found.cell(avoided_nsaid="yes", estimand="adjusted_risk_difference")
    assert np.isnan(adjusted["estimate"])
    assert "no events" in adjusted["note"]


# --- arguments --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outcome": "brusing"}, "did you mean 'bruising'"),
        ({"of": "any"}, "of 'any' is one outcome"),
        ({"exposure": "avoided_nsaids"}, "did you mean 'avoided_nsaid'"),
        ({"exposure": "session_id"}, "identifies a row"),
        ({"adjust": "techniqe"}, "did you mean 'technique'"),
        ({"adjust": "avoided_nsaid"}, "cannot be adjusted for"),
        ({"adjust": ["technique", "technique"]}, "once"),
        ({"reference": "never"}, "reference 'never' is not among the groups"),
        ({"per": "patient_month"}, "per 'patient_month' is unknown"),
        ({"per": "patient"}, "no column 'avoided_nsaid' in patients"),
        ({"method": "matching"}, "method 'matching' is unknown"),
        ({"follow_up_days": -1}, "not negative"),
        ({"conf_level": 95}, "conf_level == 95"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        effect(small_clinic(), **options)


def test_a_clinic_without_events_is_refused() -> None:
    frames = {name: frame for name, frame in tables().items() if name != "adverse_events"}
    with pytest.raises(DataError, match="adverse_events"):
        effect(Dataset(**frames))


def test_an_exposure_with_too_many_values_is_refused() -> None:
    clinic = simulate(200, seed=1)
    with pytest.raises(ValueError, match=r"has \d+ values, at most 20 are compared"):
        effect(clinic, exposure="volume_ml", reference="1.0")


# --- simulated clinics ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulated() -> Dataset:
    return simulate(5_000, seed=5)


@pytest.mark.parametrize("method", ["gee", "iptw"])
@pytest.mark.parametrize(("term", "rule"), [("bruising", "avoided_nsaid"), ("pigment_change", "avoided_sun")])
def test_simulated_truth_is_found(simulated: Dataset, term: str, rule: str, method: Any) -> None:
    true = simulated.truth.query(
        "quantity == 'exposure_risk_difference' and term == @term and care_rule == @rule"
    )
    found = exposure_effect(
        simulated,
        outcome=term,
        exposure=rule,
        adjust=["indication", "technique", "session_number"],
        reference="yes",
        method=method,
    )
    for estimand in ("crude_risk_difference", "adjusted_risk_difference"):
        row = found.cell(estimand=estimand)
        assert abs(row["estimate"] - true["value"].item()) < 4 * row["std_error"]
        assert row["p_value"] < 1e-6


def test_reduction_on_the_engine_agrees_with_the_tables(simulated: Dataset) -> None:
    """An oracle: pandas joins, one row a session, and the estimators on them."""
    sessions = simulated.table("sessions").query("status == 'attended'")
    sessions = sessions.merge(
        simulated.table("courses")[["course_id", "patient_id", "indication"]], on="course_id"
    )
    events = simulated.table("adverse_events")
    bruised = events.loc[events["term"] == "bruising", "session_id"]
    heard = sessions["session_id"].isin(events["session_id"])
    sessions = sessions[(sessions["adverse_events_asked"] == "yes") | heard]
    sessions = sessions[sessions["avoided_nsaid"].isin(["yes", "no"])]
    hit = sessions["session_id"].isin(bruised).astype(int)
    options: dict[str, Any] = {"clusters": sessions["patient_id"], "reference": "no"}
    crude = crude_risks(hit, sessions["avoided_nsaid"], **options)
    covariates = sessions[["indication", "practitioner_id", "session_number"]].astype(
        {"session_number": float}
    )
    adjusted = standardized_risks(hit, sessions["avoided_nsaid"], covariates, **options)

    found = effect(simulated, adjust=list(covariates)).estimates

    numbers = ["estimate", "std_error", "conf_low", "conf_high", "df", "p_value", "numerator", "denominator"]
    expected = pd.concat([crude, adjusted], ignore_index=True)
    pd.testing.assert_frame_equal(found[numbers], expected[numbers], rtol=1e-7)


def confounded_clinic(patients: int) -> tuple[Dataset, float]:
    """Return a clinic where one practitioner treats more of those who took aspirin, and bruises more; and the true difference."""
    rng = np.random.default_rng(4)
    n = patients * 4
    patient = np.repeat(np.arange(patients), 4)
    rough = (rng.random(patients) < 0.4)[patient]
    took = rng.random(n) < np.where(rough, 0.6, 0.15)
    frailty = rng.normal(0, 0.5, patients)[patient]

    def risk(aspirin: Any) -> Any:
        return expit(-2.2 + 0.6 * aspirin + 1.6 * rough + frailty)

    bruised = rng.random(n) < risk(took)
    ids = np.array([f"P{each:05d}" for each in range(patients)])
    session = np.array([f"S{each:06d}" for each in range(n)])
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.tile(np.arange(4) * 10, patients), unit="D")
    frames = {
        "patients": pd.DataFrame({"patient_id": ids}),
        "courses": pd.DataFrame(
            {"course_id": ids, "patient_id": ids, "indication": "wrinkles", "start_date": "2024-01-01"}
        ),
        "sessions": pd.DataFrame(
            {
                "session_id": session,
                "course_id": ids[patient],
                "date": day,
                "status": "attended",
                "adverse_events_asked": "yes",
                "practitioner_id": np.where(rough, "D2", "D1"),
                "avoided_nsaid": np.where(took, "no", "yes"),
            }
        ),
        "adverse_events": pd.DataFrame(
            {
                "event_id": session[bruised],
                "course_id": ids[patient][bruised],
                "session_id": session[bruised],
                "term": "bruising",
                "onset_date": day[bruised],
            }
        ),
    }
    return Dataset(**frames), float(np.mean(risk(1) - risk(0)))


@pytest.mark.parametrize("method", ["gee", "iptw"])
def test_adjustment_removes_planted_confounding(method: Any) -> None:
    clinic, truth = confounded_clinic(2_000)
    found = effect(clinic, adjust="practitioner_id", reference="yes", method=method)
    adjusted = found.cell(estimand="adjusted_risk_difference")
    crude = found.cell(estimand="crude_risk_difference")
    assert abs(adjusted["estimate"] - truth) < 3 * adjusted["std_error"]
    assert adjusted["conf_low"] <= truth <= adjusted["conf_high"]
    assert crude["conf_low"] > truth + 3 * crude["std_error"]


def test_clinic_is_unchanged_and_answers_the_same_again(simulated: Dataset) -> None:
    before = simulated.table("sessions")
    first, second = (effect(simulated, adjust=["phase", "sex"]).estimates for _ in range(2))
    pd.testing.assert_frame_equal(first, second, rtol=1e-12)
    pd.testing.assert_frame_equal(simulated.table("sessions"), before)


def test_care_rules_are_those_that_are_said_to_prevent_something_and_were_recorded() -> None:
    found = care_rule_effects(small_clinic())
    # Of the two rules with a `prevents` only avoided_nsaid was recorded: broken S1, S7, S11, kept S2, S3, S4, S10.
    assert found.spec["not_compared"] == {"avoided_sun": "not recorded"}
    cell = {"care_rule": "avoided_nsaid", "term": "bruising", "estimand": "crude_risk"}
    broken, kept = found.cell(kept="no", **cell), found.cell(kept="yes", **cell)
    assert (broken["numerator"], broken["denominator"]) == (2, 3)
    assert (kept["numerator"], kept["denominator"]) == (1, 4)
    rows = found.explain(care_rule="avoided_nsaid", term="bruising", kept="no", estimand="crude_risk")
    assert rows.loc[rows["in_denominator"], "session_id"].tolist() == ["S1", "S7", "S11"]
    assert found.spec["arguments"]["adjust"] == [
        "indication",
        "technique",
    ]  # session numbers were not recorded


def test_a_rule_that_was_always_kept_is_not_compared() -> None:
    given = tables()
    given["sessions"]["avoided_nsaid"] = "yes"
    found = care_rule_effects(Dataset(**given, cutoff="2024-12-31"))
    assert found.estimates.empty
    assert found.spec["not_compared"]["avoided_nsaid"] == "never broken"


def test_care_rule_effects_recover_the_truth(simulated: Dataset) -> None:
    found = care_rule_effects(simulated)
    for rule, term in (("avoided_nsaid", "bruising"), ("avoided_sun", "pigment_change")):
        row = found.cell(care_rule=rule, term=term, kept="yes", estimand="adjusted_risk_difference")
        alone = exposure_effect(
            simulated, outcome=term, exposure=rule, adjust=["indication", "technique", "session_number"]
        ).cell(**{rule: "yes"}, estimand="adjusted_risk_difference")
        assert row["estimate"] == alone["estimate"] < 0
