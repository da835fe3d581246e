"""Why people stop: a clinic by hand, no immortal time, the truth of simulated clinics, and a real trial against R."""

from __future__ import annotations

import datetime as dt
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mesostats.dataset import Dataset
from mesostats.dropout.model import dropout_model, predicted_retention
from mesostats.dropout.retention import dropout_by_session
from mesostats.errors import DataError, VocabularyError
from mesostats.estimators.hazard_models import discrete_hazard_model
from mesostats.mapping import read
from mesostats.results import ESTIMATE_COLUMNS, Result
from mesostats.simulation import load_scenario, simulate, simulate_tables

DATA = (
    Path(os.environ.get("MESOSTATS_REAL_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
    / "cdisc-pilot"
)
DAY_0 = dt.date(2024, 1, 1)
STANDARD_ERRORS = 3
ALL = (
    "session",
    "phase",
    "side_effect",
    "side_effect_so_far",
    "response",
    "practitioner_id",
    "pain_nrs",
    "sex",
)


def date(day: float | None) -> dt.date | None:
    return None if day is None else DAY_0 + dt.timedelta(days=int(day))


# --- by hand: five sessions 1 to 7 days apart, a grace of 14 days, the data cut on day 200 ------------------------------------

COURSES = [("C1", "P1"), ("C2", "P2"), ("C3", "P2"), ("C4", "P3"), ("C5", "P4")]
SESSIONS = [
    # course, day, asked, practitioner, pain
    ("C1", 10, "yes", "D1", 1),
    ("C1", 15, "yes", "D2", 2),
    ("C1", 20, "yes", "D2", 3),
    ("C1", 25, "no", "D2", None),
    ("C1", 30, "yes", "D9", 5),
    ("C2", 40, "yes", "D1", 6),
    ("C2", 45, "yes", None, 7),  # overdue since day 66: dropped out
    ("C3", 100, None, "D1", 8),  # recorded as discontinued on day 103
    ("C5", 188, "yes", "D1", 9),
    ("C5", 190, "yes", "D1", 9),  # not settled before day 211
]
EVENTS = [
    # course, session, onset
    ("C1", None, 10),  # ascribed to day 10
    ("C1", "C1-15", 18),  # three days later, when the next session could have been held: not known by then
    ("C1", "C1-20", 20),
    ("C2", "C2-45", 46),  # on the first day on which the third session could be held
    ("C2", None, 150),  # more than 60 days after the last session
]
OUTCOMES = [
    # course, day, score: half of the baseline or less is a response
    ("C1", 9, 20.0),
    ("C1", 17, 9.0),
    ("C1", 22, 19.0),  # a response once met stays met
    ("C2", 39, 20.0),
    ("C2", 42, 15.0),
    ("C2", 60, 5.0),  # after the last session: too late to be known
    ("C3", 99, 20.0),
]


def tables() -> dict[str, pd.DataFrame]:
    sessions = pd.DataFrame(
        SESSIONS, columns=["course_id", "day", "adverse_events_asked", "practitioner_id", "pain_nrs"]
    )
    courses = pd.DataFrame(COURSES, columns=["course_id", "patient_id"])
    first = {**sessions.groupby("course_id")["day"].min().to_dict(), "C4": 150}
    events = pd.DataFrame(EVENTS, columns=["course_id", "session_id", "onset_date"])
    outcomes = pd.DataFrame(OUTCOMES, columns=["course_id", "date", "value"])
    return {
        "patients": pd.DataFrame(
            {"patient_id": ["P1", "P2", "P3", "P4"], "sex": ["female", "male", None, "male"]}
        ),
        "courses": courses.assign(
            indication="melasma",
            protocol="short_course",
            start_date=[date(first[each]) for each in courses["course_id"]],
            status=[None, None, "discontinued", None, None],
            end_date=[None, None, date(103), None, None],
        ),
        "sessions": sessions.assign(
            session_id=sessions["course_id"] + "-" + sessions["day"].astype(str),
            date=[date(day) for day in sessions["day"]],
            status="attended",
        ).drop(columns="day"),
        "adverse_events": events.assign(
            event_id=[f"E{place}" for place in range(len(events))],
            term="bruising",
            onset_date=[date(day) for day in events["onset_date"]],
        ),
        "outcomes": outcomes.assign(
            outcome_id=[f"O{place}" for place in range(len(outcomes))],
            instrument="masi",
            date=[date(day) for day in outcomes["date"]],
        ),
    }


@cache
def clinic() -> Dataset:
    return Dataset(**tables(), cutoff=date(200))


def rows_of(found: Result, **cell: Any) -> pd.DataFrame:
    return found.explain(**cell).set_index(["course_id", "session"])


def test_person_sessions_of_a_clinic_by_hand() -> None:
    rows = rows_of(dropout_model(clinic(), covariates=ALL))
    columns = ["in_numerator", "side_effect", "side_effect_so_far", "response", "practitioner_id", "sex"]
    # C4 never came; C5 is not settled; nothing follows the fifth session of C1.
    assert {key: rows.loc[key, columns].tolist() for key in rows.index} == {
        ("C1", 2): [False, "yes", "yes", "not assessed", "D1", "female"],
        ("C1", 3): [False, "no", "yes", "not assessed", "D2", "female"],
        ("C1", 4): [False, "yes", "yes", "yes", "D2", "female"],
        ("C1", 5): [False, "not asked", "yes", "yes", "D2", "female"],
        ("C2", 2): [False, "no", "no", "not assessed", "D1", "male"],
        ("C2", 3): [True, "yes", "no", "no", "not recorded", "male"],
        ("C3", 2): [True, "not asked", "not asked", "not assessed", "D1", "male"],
    }
    assert rows["session_id"].tolist() == ["C1-10", "C1-15", "C1-20", "C1-25", "C2-40", "C2-45", "C3-100"]
    assert (rows["phase"] == "course").all()
    assert rows.loc[("C1", 5), "excluded"] == "pain_nrs not recorded"
    assert rows["pain_nrs"].dropna().tolist() == [1, 2, 3, 6, 7, 8]


def test_all_that_was_recorded_counts_where_that_is_asked() -> None:
    rows = rows_of(dropout_model(clinic(), covariates="side_effect", follow_up="all"))
    assert rows.index.tolist()[-1] == ("C5", 2)
    assert rows["in_numerator"].sum() == 2


def test_counts_of_each_level_by_hand() -> None:
    found = dropout_model(clinic(), covariates=["side_effect", "response", "pain_nrs"])
    levels = found.estimates.set_index(["term", "level"])[["numerator", "denominator", "n_missing"]]
    # The row of C1 at session 5 has no pain score.
    assert levels.loc[("side_effect", "yes")].tolist() == [1, 3, 1]
    assert levels.loc[("side_effect", "no")].tolist() == [0, 2, 1]
    assert levels.loc[("side_effect", "not asked")].tolist() == [1, 1, 1]
    assert levels.loc[("response", "not assessed")].tolist() == [1, 4, 1]
    assert levels.loc[("pain_nrs", "per unit")].tolist() == [2, 6, 1]


@pytest.mark.parametrize(
    ("level", "counts"), [("yes", (1, 3)), ("no", (0, 2)), ("not asked", (1, 2)), ("all levels", (2, 7))]
)
def test_explain_adds_up(level: str, counts: tuple[int, int]) -> None:
    found = dropout_model(clinic(), covariates="side_effect")
    rows = found.explain(term="side_effect", level=level)
    assert (rows["in_numerator"].sum(), rows["in_denominator"].sum()) == counts
    cell = found.estimates.query("term == 'side_effect' and level == @level").iloc[0]
    assert (cell["numerator"], cell["denominator"]) == counts
    assert (rows["excluded"] == "").equals(rows["in_denominator"])


def test_where_no_session_records_asking_all_count_as_asked() -> None:
    frames = tables()
    frames["sessions"] = frames["sessions"].drop(columns="adverse_events_asked")
    rows = rows_of(
        dropout_model(Dataset(**frames, cutoff=date(200)), covariates=["side_effect", "side_effect_so_far"])
    )
    assert set(rows["side_effect"]) == set(rows["side_effect_so_far"]) == {"yes", "no"}


def test_events_of_other_kinds() -> None:
    frames = tables()
    frames["adverse_events"]["serious"] = ["no", "no", "yes", "no", "no"]
    rows = rows_of(
        dropout_model(
            Dataset(**frames, cutoff=date(200)),
            covariates=["side_effect", "side_effect_so_far"],
            of="serious",
        )
    )
    assert rows.index[rows["side_effect"] == "yes"].tolist() == [("C1", 4)]
    assert rows.index[rows["side_effect_so_far"] == "yes"].tolist() == [("C1", 4), ("C1", 5)]


def test_tables_are_not_changed() -> None:
    frames = tables()
    dropout_model(Dataset(**frames, cutoff=date(200)), covariates=ALL)
    for name, frame in tables().items():
        pd.testing.assert_frame_equal(frames[name], frame)


# --- the contract -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulated() -> Dataset:
    return simulate(1_500, seed=4)


def test_result_follows_the_contract(simulated: Dataset) -> None:
    found = dropout_model(simulated)
    assert tuple(found.estimates.columns) == ("term", "level", *ESTIMATE_COLUMNS)
    assert list(found.estimates["term"].unique()) == ["phase", "indication", "side_effect_so_far", "response"]
    assert set(found.estimates["estimand"]) == {"hazard_ratio", "wald_test"}
    assert set(found.estimates["unit"]) == {"sessions"}
    assert found.spec["primary"] == "hazard_ratio"
    assert found.spec["reference_levels"]["side_effect_so_far"] == "no"
    assert found.cell(term="response", level="no", estimand="hazard_ratio")["note"] == "reference"
    assert "delta" not in found.estimates["method"].iloc[0]


def test_due_sessions_are_those_of_dropout_by_session(simulated: Dataset) -> None:
    for follow_up in ("settled", "all"):
        steps = dropout_by_session(simulated, follow_up=follow_up).estimates  # type: ignore[arg-type]
        steps = steps[(steps["estimand"] == "dropout_hazard") & (steps["time"] > 1)]
        found = dropout_model(simulated, covariates="session", follow_up=follow_up)  # type: ignore[arg-type]
        rows = found.estimates[found.estimates["estimand"] == "hazard_ratio"]
        rows = rows.assign(time=rows["level"].astype(float)).sort_values("time")
        for column in ("time", "numerator", "denominator"):
            assert rows[column].tolist() == steps[column].tolist()


def test_estimates_are_those_of_the_explained_rows(simulated: Dataset) -> None:
    """An oracle: the rows that explain shows, without any reduction, in the estimator."""
    covariates = ["phase", "side_effect", "response", "pain_nrs", "practitioner_id"]
    found = dropout_model(simulated, covariates=covariates, link="logit")
    rows = found.explain(level="all levels")
    expected = discrete_hazard_model(
        rows["in_numerator"],
        rows[covariates],
        clusters=rows["patient_id"],
        link="logit",
        reference=found.spec["arguments"]["reference"],
    ).estimates
    keys = ["term", "level", "estimand"]
    columns = [
        "estimate",
        "std_error",
        "conf_low",
        "conf_high",
        "df",
        "p_value",
        "numerator",
        "denominator",
        "n_missing",
    ]
    got = found.estimates.set_index(keys)[columns]
    pd.testing.assert_frame_equal(got, expected.set_index(keys).loc[got.index, columns], rtol=1e-7)


def test_sessions_are_in_the_order_of_the_schedule(simulated: Dataset) -> None:
    rows = dropout_model(simulated, covariates=["session", "phase"], reference={"phase": "weekly"}).estimates
    ratios = rows[rows["estimand"] == "hazard_ratio"]
    assert ratios.loc[ratios["term"] == "session", "level"].tolist() == [str(each) for each in range(2, 11)]
    phases = ratios.loc[ratios["term"] == "phase", "level"].tolist()
    assert phases == ["weekly", "fortnightly", "monthly", "course"]
    # Session and phase of one protocol tell each other apart: what is left out is said.
    assert ratios["note"].str.contains("determined by the covariates before it").any()


def test_without_a_baseline_the_note_says_so(simulated: Dataset) -> None:
    found = dropout_model(simulated, covariates=["side_effect"])
    assert found.estimates["note"].str.contains("the same at all sessions").all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"covariates": "sexx"}, "no column 'sexx'.*did you mean 'sex'"),
        ({"covariates": "end_reason"}, "known only once the course is over"),
        ({"covariates": "status"}, "known only once the course is over"),
        ({"covariates": "session_id"}, "identifies a row"),
        ({"covariates": ["sex", "sex"]}, "once"),
        ({"covariates": "end_date"}, "known only once"),
        ({"covariates": "start_date"}, "at most 100 are compared"),
        ({"follow_up": "none"}, "follow_up is one of settled, all"),
        ({"of": "bruising"}, "of is one of any, serious, related"),
        ({"link": "probit"}, "link 'probit' is unknown"),
        ({"reference": {"response": "never"}}, "no level 'never'"),
        ({"conf_level": 95}, "conf_level == 95"),
    ],
)
def test_wrong_arguments_are_refused(simulated: Dataset, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dropout_model(simulated, **options)


@pytest.mark.parametrize(("table", "column"), [("adverse_events", "side_effect"), ("outcomes", "response")])
def test_a_table_that_is_needed_is_named(table: str, column: str) -> None:
    frames = {name: frame for name, frame in tables().items() if name != table}
    with pytest.raises(DataError, match=table):
        dropout_model(Dataset(**frames, cutoff=date(200)), covariates=["phase", column])
    asked = dropout_model(Dataset(**frames, cutoff=date(200))).spec["arguments"]["covariates"]
    assert {*asked} == {"phase", "indication", "side_effect_so_far", "response"} - {
        column,
        f"{column}_so_far",
    }


def test_nobody_due_is_rows_with_a_note() -> None:
    empty = Dataset(**tables(), cutoff=date(5))
    found = dropout_model(empty).estimates
    assert (found["denominator"] == 0).all()
    assert found["note"].str.contains("nothing to model").all()


def test_one_course_is_rows_with_a_note() -> None:
    frames = tables()
    frames["courses"] = frames["courses"][frames["courses"]["course_id"] == "C2"]
    found = dropout_model(Dataset(**frames, cutoff=date(200)), covariates=["phase", "side_effect"]).estimates
    assert found["std_error"].isna().all()
    assert found["note"].ne("").all()


def test_a_course_without_a_protocol_counts_side_effects_of_a_week() -> None:
    frames = tables()
    frames["courses"]["protocol"] = None
    found = dropout_model(
        Dataset(**frames, cutoff=date(200)), covariates=["phase", "side_effect"], follow_up="all"
    )
    rows = rows_of(found)
    # E2 began three days after day 15; without a protocol C2 is never overdue, and C5 has come to its second session.
    assert rows.loc[("C1", 3), "side_effect"] == "yes"
    assert (rows["phase"] == "not recorded").all()
    assert rows["in_numerator"].sum() == 1


# --- nothing needs the future -------------------------------------------------------------------------------------------------


def test_what_was_known_then_does_not_change_later(simulated: Dataset) -> None:
    """Cut the data earlier: what a row says of the state at its last session is the same."""
    covariates = ["side_effect_so_far", "response", "practitioner_id", "pain_nrs"]
    early = simulated.with_cutoff(simulated.cutoff - dt.timedelta(days=200))
    then, now = (
        rows_of(dropout_model(each, covariates=covariates, follow_up="all")) for each in (early, simulated)
    )
    both = then.index.intersection(now.index)
    assert len(both) > 0.9 * len(then) > 1_000
    pd.testing.assert_frame_equal(then.loc[both, covariates], now.loc[both, covariates])


def with_columns(seed: int, patients: int = 3_000) -> Dataset:
    """Return a simulated clinic with a coin tossed a patient, and how many sessions each course got in the end."""
    made = simulate_tables(patients, seed=seed)
    frames: dict[str, Any] = dict(made.tables)
    rng = np.random.default_rng(seed)
    number = frames["patients"].num_rows
    coin = pa.array(np.where(rng.random(number) < 0.5, "heads", "tails"))
    frames["patients"] = frames["patients"].append_column("coin", coin)
    held = frames["sessions"].to_pandas().query("status == 'attended'").groupby("course_id").size()
    received = frames["courses"]["course_id"].to_pandas().map(held).fillna(0).astype(float)
    frames["courses"] = frames["courses"].append_column("received", pa.array(received))
    return Dataset(**frames, cutoff=made.cutoff)


def test_no_immortal_time() -> None:
    """How many sessions a course received explains all dropout and causes none; a coin explains nothing."""
    found = dropout_model(with_columns(7), covariates=["session", "coin"], reference={"coin": "heads"})
    coin = found.cell(term="coin", level="tails", estimand="hazard_ratio")
    assert abs(np.log(coin["estimate"])) < STANDARD_ERRORS * coin["std_error"]
    future = dropout_model(with_columns(7), covariates=["phase", "received"])
    received = future.cell(term="received", level="per unit", estimand="hazard_ratio")
    # This is what the default covariates keep out: a strong "effect" of the future.
    assert np.log(received["estimate"]) < -10 * received["std_error"]


def test_whoever_stopped_has_no_longer_to_show_a_side_effect() -> None:
    """Each session of everybody is followed by an event: as common before stopping as before coming."""
    made = simulate_tables(800, seed=3, scenario="textbook")
    frames: dict[str, Any] = {
        name: made.tables[name].to_pandas() for name in ("patients", "courses", "sessions")
    }
    held = frames["sessions"].query("status == 'attended'").reset_index(drop=True)
    rng = np.random.default_rng(3)
    wait = pd.to_timedelta(rng.integers(0, 30, len(held)), unit="D")
    frames["adverse_events"] = pd.DataFrame(
        {
            "event_id": [f"E{place}" for place in range(len(held))],
            "course_id": held["course_id"],
            "session_id": held["session_id"],
            "term": "bruising",
            "onset_date": (pd.to_datetime(held["date"]) + wait).dt.date,
        }
    )
    found = dropout_model(Dataset(**frames, cutoff=made.cutoff), covariates=["phase", "side_effect"])
    row = found.cell(term="side_effect", level="yes", estimand="hazard_ratio")
    assert 0.05 < row["denominator"] / found.cell(term="phase", estimand="wald_test")["denominator"] < 0.6
    assert abs(np.log(row["estimate"])) < STANDARD_ERRORS * row["std_error"]


# --- the truth of simulated clinics -------------------------------------------------------------------------------------------


def scenario(*, side_effect: float, improving: float) -> Any:
    """Return clinics that write everything down, where two things multiply the odds of stopping."""
    base = load_scenario("textbook")
    dropout = base.dropout.model_copy(
        update={"odds_ratio_side_effect": side_effect, "odds_ratio_improving": improving}
    )
    assessments = base.assessments.model_copy(update={"interim": 1.0, "visible_after": 0.999})
    events = base.events.model_copy(update={"onset_days": (0, 1)})
    return base.model_copy(
        update={"bad_lot": None, "dropout": dropout, "assessments": assessments, "events": events}
    )


def assert_found(row: pd.Series[Any], truth: float) -> None:
    assert abs(np.log(row["estimate"] / truth)) < STANDARD_ERRORS * row["std_error"]
    assert row["std_error"] < 0.12


def test_odds_ratio_of_a_side_effect_is_the_true_one() -> None:
    made = simulate(5_000, seed=11, scenario=scenario(side_effect=1.8, improving=1.0))
    found = dropout_model(
        made, covariates=["phase", "side_effect"], link="logit", reference={"phase": "weekly"}
    )
    assert_found(found.cell(term="side_effect", level="yes", estimand="odds_ratio"), 1.8)
    # Hazards of 0.06, 0.09 and 0.12 by phase, 0.07 in the short course.
    for phase, hazard in (("fortnightly", 0.09), ("monthly", 0.12), ("course", 0.07)):
        odds = hazard / (1 - hazard) / (0.06 / 0.94)
        assert_found(found.cell(term="phase", level=phase, estimand="odds_ratio"), odds)


def test_odds_ratio_of_a_response_is_the_true_one() -> None:
    made = simulate(5_000, seed=12, scenario=scenario(side_effect=1.0, improving=0.55))
    found = dropout_model(made, covariates=["phase", "response", "side_effect"], link="logit")
    assert_found(found.cell(term="response", level="yes", estimand="odds_ratio"), 0.55)
    assert_found(found.cell(term="side_effect", level="yes", estimand="odds_ratio"), 1.0)


def test_hazard_ratio_of_a_side_effect_is_the_true_one() -> None:
    made = simulate(5_000, seed=13, scenario=scenario(side_effect=1.8, improving=1.0))
    courses = made.table("courses").query("protocol == 'short_course'")
    frames = {name: made.table(name) for name in ("patients", "sessions", "adverse_events")}
    alone = Dataset(**frames, courses=courses, cutoff=made.cutoff)
    found = dropout_model(alone, covariates=["phase", "side_effect"])
    odds = (
        0.07 / 0.93 * 1.8
    )  # of a hazard of 0.07 without: one phase, so that the model holds whatever its link
    truth = np.log1p(odds) / -np.log(0.93)  # log(1 - odds/(1 + odds)) = -log(1 + odds)
    assert_found(found.cell(term="side_effect", level="yes", estimand="hazard_ratio"), truth)


# --- predictions --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["cloglog", "logit"])
def test_predictions_of_a_free_baseline_are_the_life_table(simulated: Dataset, link: Any) -> None:
    courses = simulated.table("courses").query("protocol == 'weekly_to_monthly'")
    frames = {name: simulated.table(name) for name in ("patients", "sessions")}
    alone = Dataset(**frames, courses=courses, cutoff=simulated.cutoff)
    found = predicted_retention(
        alone, {"all": {}}, protocol="weekly_to_monthly", covariates="session", link=link
    )
    steps = dropout_by_session(alone).estimates
    hazards = steps[(steps["estimand"] == "dropout_hazard") & (steps["time"] > 1)]
    assert found.estimates["time"].tolist() == hazards["time"].tolist() == list(range(2, 11))
    np.testing.assert_allclose(found.estimates["estimate"], (1 - hazards["estimate"]).cumprod(), rtol=1e-8)


def test_predictions_are_the_products_of_the_hazards(simulated: Dataset) -> None:
    covariates = ["phase", "side_effect", "pain_nrs", "indication"]
    profiles: dict[str, dict[str, Any]] = {"usual": {}, "hurt": {"side_effect": "yes", "pain_nrs": 8}}
    found = predicted_retention(simulated, profiles, protocol="weekly_to_monthly", covariates=covariates)
    model = dropout_model(simulated, covariates=covariates)
    effect, pain = (
        model.cell(term=term, level=level, estimand="hazard_ratio")["estimate"]
        for term, level in (("side_effect", "yes"), ("pain_nrs", "per unit"))
    )
    usual, hurt = (-np.log(found.cell(profile=name, time=10)["estimate"]) for name in profiles)
    # Hazards are proportional: so are the logarithms of the retention.
    assert hurt / usual == pytest.approx(effect * pain ** (8 - model.spec["means"]["pain_nrs"]), rel=1e-8)
    rows = found.estimates
    assert ((rows["conf_low"] < rows["estimate"]) & (rows["estimate"] < rows["conf_high"])).all()
    assert found.spec["arguments"]["profiles"] == profiles
    assert len(found.explain()) == model.explain()["in_denominator"].size


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ({"side_effects": "yes"}, "names 'side_effects'.*did you mean 'side_effect'"),
        ({"phase": "weekly"}, "which is none of its covariates"),
        ({"side_effect": "maybe"}, "no level 'maybe'"),
    ],
)
def test_wrong_profiles_are_refused(simulated: Dataset, profile: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        predicted_retention(
            simulated, {"one": profile}, protocol="short_course", covariates=["phase", "side_effect"]
        )


def test_an_unknown_protocol_is_refused(simulated: Dataset) -> None:
    with pytest.raises(VocabularyError, match="did you mean 'short_course'"):
        predicted_retention(simulated, {"all": {}}, protocol="short_courses", covariates="phase")


def test_no_profile_is_refused(simulated: Dataset) -> None:
    with pytest.raises(ValueError, match="profiles is empty"):
        predicted_retention(simulated, {}, protocol="short_course", covariates="phase")


# --- a real trial -------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not DATA.is_dir(), reason="the CDISC pilot data are not there; set MESOSTATS_REAL_DATA")
@pytest.mark.parametrize("robust", ["bias_reduced", "hc1"])
@pytest.mark.parametrize("link", ["cloglog", "logit"])
def test_real_trial_agrees_with_r(link: Any, robust: Any) -> None:
    """R: glm() with vcovCL() on person-visits that R made of the transport files."""
    expected = pd.read_csv(Path(__file__).parents[1] / "reference" / "real_trial_dropout_model.csv")
    expected = expected.query("link == @link and robust == @robust").set_index(["term", "level"])
    found = dropout_model(
        read(DATA, mapping="cdisc_pilot"),
        covariates=["phase", "side_effect", "side_effect_so_far", "arm"],
        link=link,
        robust=robust,
        follow_up="all",
        reference={"phase": "two_weekly", "arm": "placebo"},
    )
    rows = found.estimates[found.estimates["estimand"] != "wald_test"].set_index(["term", "level"])
    rows = rows.loc[expected.index]
    assert rows["numerator"].tolist() == expected["dropouts"].tolist()
    assert rows["denominator"].tolist() == expected["due"].tolist()
    columns = ["estimate", "std_error", "conf_low", "conf_high", "statistic", "df", "p_value"]
    np.testing.assert_allclose(rows[columns].to_numpy(float), expected[columns].to_numpy(float), rtol=1e-6)
