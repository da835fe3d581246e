"""Plain counting recovers the truth of simulated clinics, and hand calculation agrees with it.

Counts are compared with the truth within four standard errors. Sessions and courses of a patient are not independent, so
a ratio's standard error is that of a ratio of patients' totals: the root of the sum of (y - r m)², over the sum of m.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mesostats.simulation import Scenario, Simulation, load_scenario, simulate_tables
from mesostats.simulation.model import compile_model
from mesostats.simulation.truth import true_values
from mesostats.vocabulary import load_vocabulary

STANDARD_ERRORS = 4


def closed(name: str) -> Scenario:
    """Return a scenario that is followed up for so long that no course is cut."""
    scenario = load_scenario(name)
    calendar = scenario.calendar.model_copy(update={"follow_up_days": 1300})
    return scenario.model_copy(update={"calendar": calendar})


class Counted:
    """A simulated clinic as pandas frames, with the columns that counting needs."""

    def __init__(self, made: Simulation) -> None:
        self.truth = made.truth
        frames = {name: table.to_pandas(date_as_object=False) for name, table in made.tables.items()}
        self.courses, self.outcomes, self.products = frames["courses"], frames["outcomes"], frames["products"]
        sessions = frames["sessions"].merge(
            self.courses[["course_id", "patient_id", "clinic_id", "protocol"]]
        )
        self.sessions = sessions[sessions["status"] == "attended"]
        self.events = frames["adverse_events"]
        held = self.sessions.groupby("course_id").size()
        self.courses["held"] = self.courses["course_id"].map(held)
        self.courses["completed"] = self.courses["held"] == self.courses["planned_sessions"]
        bad = self.truth.query("quantity == 'bad_lot'")["lot"].item()
        used = self.products.loc[self.products["lot"] == bad, "session_id"]
        self.with_bad_lot = self.sessions["session_id"].isin(used)
        self.bad_clinic = self.sessions.loc[self.with_bad_lot, "clinic_id"].iloc[0]

    def true(self, quantity: str, **group: object) -> float:
        rows = self.truth[self.truth["quantity"] == quantity]
        for name in (
            "indication",
            "arm",
            "protocol",
            "session",
            "term",
            "care_rule",
            "anaesthetic",
            "reason",
        ):
            rows = rows[rows[name] == group[name]] if name in group else rows[rows[name].isna()]
        return rows["value"].item()


@pytest.fixture(scope="module")
def textbook() -> Counted:
    return Counted(simulate_tables(20_000, seed=11, scenario=closed("textbook")))


@pytest.fixture(scope="module")
def typical() -> Counted:
    return Counted(simulate_tables(20_000, seed=12, scenario=closed("typical")))


@pytest.fixture(scope="module")
def cut() -> Counted:
    return Counted(simulate_tables(20_000, seed=13))


def assert_ratio(yes: pd.Series, patient: pd.Series, expected: float) -> None:
    """Check a proportion of rows, clustered in patients, against its true value."""
    totals = (
        pd.DataFrame({"y": yes.astype(float), "m": 1.0, "patient": patient})
        .groupby("patient")[["y", "m"]]
        .sum()
    )
    ratio = totals["y"].sum() / totals["m"].sum()
    error = np.sqrt(((totals["y"] - ratio * totals["m"]) ** 2).sum()) / totals["m"].sum()
    assert 0 < error < 0.06
    assert abs(ratio - expected) < STANDARD_ERRORS * error


# --- the truth, by plain counting --------------------------------------------------------------------------------------


def test_truth_of_response_is_recovered_where_every_endpoint_is_recorded(textbook: Counted) -> None:
    responds = responders(textbook)
    courses = textbook.courses
    assert responds.index.equals(pd.Index(courses["course_id"]))
    for indication, of_it in courses.groupby("indication"):
        yes = of_it["course_id"].map(responds)
        assert_ratio(yes, of_it["patient_id"], textbook.true("response", indication=indication))
        for arm, of_arm in of_it.dropna(subset="arm").groupby("arm"):
            expected = textbook.true("response", indication=indication, arm=arm)
            assert_ratio(yes[of_arm.index], of_arm["patient_id"], expected)


def test_truth_of_response_among_completers_and_evaluable_is_recovered(
    textbook: Counted, typical: Counted
) -> None:
    for clinic, quantity in ((textbook, "response_completers"), (typical, "response_evaluable")):
        courses = clinic.courses.assign(yes=clinic.courses["course_id"].map(responders(clinic)).astype(float))
        among = (
            courses[courses["completed"]]
            if quantity == "response_completers"
            else courses.dropna(subset="yes")
        )
        for indication, of_it in among.groupby("indication"):
            assert_ratio(of_it["yes"], of_it["patient_id"], clinic.true(quantity, indication=indication))


def test_truth_shows_that_completers_and_evaluable_overstate_response(typical: Counted) -> None:
    for indication in typical.courses["indication"].unique():
        truth = typical.true("response", indication=indication)
        assert typical.true("response_completers", indication=indication) > truth + 0.02
        assert typical.true("response_evaluable", indication=indication) > truth + 0.02


def test_truth_of_response_difference_is_that_of_the_arms(typical: Counted) -> None:
    for indication in ("wrinkles", "melasma", "hair_loss_aga"):
        by_arm = [typical.true("response", indication=indication, arm=arm) for arm in "AB"]
        difference = typical.true("response_difference", indication=indication, arm="A - B")
        assert difference == pytest.approx(by_arm[0] - by_arm[1])


def test_truth_of_lasting_response_is_recovered(textbook: Counted) -> None:
    later = scored(textbook)
    later = later[later["days_after"] > 28]
    later = later[later["course_id"].map(responders(textbook))]
    assert_ratio(later["responds"], later["patient_id"], textbook.true("response_lasting"))


def test_truth_of_retention_and_hazard_is_recovered(typical: Counted) -> None:
    for by in ("protocol", "indication"):
        for code, courses in typical.courses.groupby(by):
            for session in range(2, int(courses["planned_sessions"].iloc[0]) + 1):
                group = {by: code, "session": session}
                assert_ratio(
                    courses["held"] >= session, courses["patient_id"], typical.true("retention", **group)
                )
                at_risk = courses[courses["held"] >= session - 1]
                expected = typical.true("dropout_hazard", **group)
                assert_ratio(at_risk["held"] < session, at_risk["patient_id"], expected)


def test_truth_of_hazard_is_recovered_under_administrative_censoring(cut: Counted) -> None:
    """A slot counts once its window and grace are over at the cut, whatever happened: censoring is then independent."""
    for protocol, sessions in cut.sessions.groupby("protocol"):
        plan = load_vocabulary().protocols[protocol]
        phases = [phase for phase in plan.phases for _ in range(phase.sessions)]
        for number, phase in enumerate(phases[1:], start=2):
            before = sessions[sessions["session_number"] == number - 1]
            due = before["date"] + pd.Timedelta(days=phase.interval_days[1] + phase.grace)
            before = before[due <= pd.Timestamp(load_scenario("typical").calendar.cutoff)]
            dropped = before["course_id"].map(cut.courses.set_index("course_id")["held"]) < number
            expected = cut.true("dropout_hazard", protocol=protocol, session=number)
            assert_ratio(dropped, before["patient_id"], expected)


def test_truth_of_reasons_is_recovered(textbook: Counted) -> None:
    for protocol, courses in textbook.courses.groupby("protocol"):
        for reason in courses["end_reason"].dropna().unique():
            expected = textbook.true("dropout_reason", protocol=protocol, reason=reason)
            assert_ratio(courses["end_reason"] == reason, courses["patient_id"], expected)


def test_truth_of_reasons_adds_up_to_dropout(textbook: Counted) -> None:
    for protocol, planned in (("short_course", 5), ("weekly_to_monthly", 10)):
        reasons = textbook.truth.query("quantity == 'dropout_reason' and protocol == @protocol")[
            "value"
        ].sum()
        assert reasons == pytest.approx(1 - textbook.true("retention", protocol=protocol, session=planned))


def test_truth_of_events_per_session_is_recovered_where_somebody_asked(typical: Counted) -> None:
    sessions = typical.sessions[typical.sessions["adverse_events_asked"] == "yes"]
    for term, yes in had_event(typical, sessions):
        sound = sessions["clinic_id"] != typical.bad_clinic
        assert_ratio(yes[sound], sessions["patient_id"][sound], typical.true("event_per_session", term=term))


def test_truth_of_serious_events_is_recovered(typical: Counted) -> None:
    sessions = typical.sessions[typical.sessions["adverse_events_asked"] == "yes"]
    sessions = sessions[sessions["clinic_id"] != typical.bad_clinic]
    serious = typical.events.loc[typical.events["serious"] == "yes", "session_id"]
    expected = typical.true("serious_event_per_session", term="any")
    assert_ratio(sessions["session_id"].isin(serious), sessions["patient_id"], expected)


@pytest.mark.parametrize(
    ("quantity", "unit"), [("event_per_course", "course_id"), ("event_per_patient", "patient_id")]
)
def test_truth_of_events_per_course_and_patient_is_recovered(
    quantity: str, unit: str, textbook: Counted
) -> None:
    sessions = textbook.sessions[textbook.sessions["clinic_id"] != textbook.bad_clinic]
    for term, yes in had_event(textbook, sessions):
        ever = yes.groupby(sessions[unit]).any()
        patient = sessions.groupby(unit)["patient_id"].first()
        assert_ratio(ever, patient, textbook.true(quantity, term=term))


@pytest.mark.parametrize(("rule", "term"), [("avoided_nsaid", "bruising"), ("avoided_sun", "pigment_change")])
def test_truth_of_exposure_risk_difference_is_recovered(rule: str, term: str, textbook: Counted) -> None:
    sessions = textbook.sessions
    yes = dict(had_event(textbook, sessions))[term]
    broken = sessions[rule] == "no"
    # Linearized: each session adds (y minus its group's risk) / the group's size, with the group's sign.
    risk = yes.groupby(broken).mean()
    sign = np.where(broken, 1, -1) / broken.groupby(broken).transform("size")
    scores = ((yes - broken.map(risk)) * sign).groupby(sessions["patient_id"]).sum()
    error = np.sqrt((scores**2).sum())
    expected = textbook.true("exposure_risk_difference", term=term, care_rule=rule)
    assert abs(risk[True] - risk[False] - expected) < STANDARD_ERRORS * error < expected


def test_truth_of_painless_sessions_is_recovered(typical: Counted) -> None:
    sessions = typical.sessions.dropna(subset="pain_nrs")
    for anaesthetic, of_it in sessions.groupby("anaesthetic"):
        expected = typical.true("painless_session", anaesthetic=anaesthetic)
        assert_ratio(of_it["pain_nrs"] <= 1, of_it["patient_id"], expected)


def test_bad_lot_infects_and_is_used_in_one_clinic_for_its_period(textbook: Counted) -> None:
    sessions = textbook.sessions[textbook.with_bad_lot]
    infected = dict(had_event(textbook, sessions))["infection"]
    dates = sessions["date"]
    assert set(sessions["clinic_id"]) == {textbook.bad_clinic}
    assert (dates.max() - dates.min()).days < load_scenario("textbook").lots.days
    assert_ratio(infected, sessions["patient_id"], textbook.true("bad_lot", term="infection"))


def test_infections_begin_15_to_59_days_after_the_session(textbook: Counted) -> None:
    infections = textbook.events[textbook.events["term"] == "infection"].merge(
        textbook.sessions, on="session_id"
    )
    lag = (infections["onset_date"] - infections["date"]).dt.days
    assert lag.between(15, 59).all()
    assert lag.max() - lag.min() > 30


def test_endpoints_of_responders_and_others_are_all_that_the_range_allows(textbook: Counted) -> None:
    values = scored(textbook)
    for code, of_it in values.groupby("instrument"):
        instrument = load_vocabulary().instruments[code]
        assert of_it["value"].between(instrument.minimum, instrument.maximum).all()
        assert of_it["baseline"].notna().all()
        assert of_it["responds"].nunique() == 2


# --- the truth, by hand ------------------------------------------------------------------------------------------------


def test_true_values_of_a_small_model_by_hand() -> None:
    """One class, one side effect of probability p, hazard h whatever happened, five sessions: geometric sums."""
    p, h = 0.2, 0.1
    truth = true_values(compile_model(small_scenario(p, h), load_vocabulary()), None)
    value = truth.set_index("quantity")["value"]
    retention = truth[(truth["quantity"] == "retention") & truth["protocol"].notna()]["value"]
    np.testing.assert_allclose(retention, [(1 - h) ** k for k in range(5)])
    # Courses of k sessions: h (1 - h)^(k-1) for k < 5, (1 - h)^4 for all five; free of events: (1 - p)^k.
    length = [h * (1 - h) ** (k - 1) for k in range(1, 5)] + [(1 - h) ** 4]
    free = sum(share * (1 - p) ** k for k, share in enumerate(length, start=1))
    assert value["event_per_course"].to_list() == pytest.approx([1 - free] * 2)
    # A tenth of patients have two courses.
    assert value["event_per_patient"].to_list() == pytest.approx([1 - 0.9 * free - 0.1 * free**2] * 2)
    assert value["event_per_session"].to_list() == pytest.approx([p] * 2)


def test_true_values_of_dropout_after_side_effects_by_hand() -> None:
    """With side effects tripling the odds of leaving, a course free of them leaves at the lower hazard."""
    p, h, factor = 0.2, 0.1, 3.0
    scenario = small_scenario(p, h)
    dropout = scenario.dropout.model_copy(update={"odds_ratio_side_effect": factor})
    truth = true_values(
        compile_model(scenario.model_copy(update={"dropout": dropout}), load_vocabulary()), None
    )
    raised = factor * h / (1 - h + factor * h)
    mean = (1 - p) * h + p * raised
    retention = truth[(truth["quantity"] == "retention") & truth["protocol"].notna()]["value"]
    np.testing.assert_allclose(retention, [(1 - mean) ** k for k in range(5)])
    # Free of events and k sessions long: each of k sessions calm, each of k - 1 times stayed at the lower hazard.
    free = sum((1 - p) ** k * (1 - h) ** (k - 1) * h for k in range(1, 5)) + (1 - p) ** 5 * (1 - h) ** 4
    per_course = truth[truth["quantity"] == "event_per_course"]["value"].to_list()
    assert per_course == pytest.approx([1 - free] * 2)


# --- counting ----------------------------------------------------------------------------------------------------------


def scored(clinic: Counted) -> pd.DataFrame:
    """Return assessments from the last session on, with baseline, and whether they meet the instrument's rule."""
    first = clinic.sessions.groupby("course_id")["date"].min()
    last = clinic.sessions.groupby("course_id")["date"].max()
    outcomes = clinic.outcomes.merge(clinic.courses[["course_id", "patient_id"]])
    before = outcomes[outcomes["date"] <= outcomes["course_id"].map(first)]
    outcomes["baseline"] = outcomes["course_id"].map(before.set_index("course_id")["value"])
    after = outcomes["date"] - outcomes["course_id"].map(last)
    outcomes["days_after"] = after.dt.days
    late = outcomes[outcomes["days_after"] > 0]
    return late.assign(responds=meets_rule(late))


def meets_rule(values: pd.DataFrame) -> pd.Series:
    """Apply the published rules, written out here once more: all these instruments fall when things get better."""
    code, value, better = values["instrument"], values["value"], values["baseline"] - values["value"]
    return (
        (code.isin(["fine_lines", "cr_pcss", "cr_smfrs"]) & (better >= 1))
        | (code.isin(["hdss", "nrs_pain"]) & (better >= 2))
        | ((code == "masi") & (better >= 0.5 * values["baseline"]))
        | ((code == "pull_test") & (value <= 2))
    )


def responders(clinic: Counted) -> pd.Series:
    """Return whether each course with baseline and endpoint (within 28 days) is a responder."""
    values = scored(clinic)
    endpoints = values[(values["days_after"] <= 28) & values["baseline"].notna()]
    return endpoints.set_index("course_id")["responds"]


def had_event(clinic: Counted, sessions: pd.DataFrame) -> list[tuple[str, pd.Series]]:
    """Return for each term, and for any, whether sessions had it."""
    terms = clinic.truth.query("quantity == 'event_per_session'")["term"]
    found = {term: set(of_it["session_id"]) for term, of_it in clinic.events.groupby("term")}
    found["any"] = set(clinic.events["session_id"])
    return [(term, sessions["session_id"].isin(found.get(term, set()))) for term in terms]


def small_scenario(probability: float, hazard: float) -> Scenario:
    """Return one indication with one recipe and protocol, one skin class, one side effect, no exposures."""
    typical = load_scenario("typical")
    patients = typical.patients.model_dump() | {"reactivity": [{"share": 1, "odds_ratio": 1}]}
    dropout = typical.dropout.model_dump() | {"odds_ratio_side_effect": 1, "odds_ratio_improving": 1}
    dropout |= {"hazard": {"short_course": {"course": hazard}}}
    content = typical.model_dump() | {
        "indications": {"cellulite": typical.indications["cellulite"].model_dump()},
        "patients": patients,
        "dropout": dropout,
        "exposures": [],
        "side_effects": {"redness": {"probability": probability, "mean_days": 2}},
        "bad_lot": None,
    }
    return Scenario.model_validate(content)
