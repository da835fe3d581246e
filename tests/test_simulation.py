"""The simulated clinics: their contract, their chance, their scenarios."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from pandera.io import pandas_io

from mesostats.errors import VocabularyError
from mesostats.schemas import TABLES, table_schema
from mesostats.simulation import Scenario, Simulation, load_scenario, simulate, simulate_tables
from mesostats.simulation.columns import Streams, between, choose, identifiers
from mesostats.simulation.model import compile_model
from mesostats.simulation.outcomes import improvement_limits
from mesostats.vocabulary import load_vocabulary

STANDARD_ERRORS = 4
KEYS = {
    "patients": "patient_id",
    "courses": "course_id",
    "sessions": "session_id",
    "outcomes": "outcome_id",
    "adverse_events": "event_id",
}


@pytest.fixture(scope="module")
def cut() -> Simulation:
    return simulate_tables(20_000, seed=13)


# --- the contract ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLES)
def test_simulate_tables_meets_the_contract(name: str, cut: Simulation) -> None:
    schema, vocabulary = table_schema(name), load_vocabulary()
    frame = cut.tables[name].to_pandas(
        types_mapper=lambda kind: pd.StringDtype("pyarrow") if kind == pa.string() else pd.ArrowDtype(kind)
    )
    checked = pandas_io.from_yaml(schema.text).validate(frame, lazy=True)
    assert list(checked.columns) == list(schema.kinds)
    for column, codes in schema.vocabularies.items():
        assert set(frame[column].dropna()) <= set(vocabulary.codes(codes))


@pytest.mark.parametrize("name", TABLES)
def test_simulate_tables_has_unique_keys_and_known_references(name: str, cut: Simulation) -> None:
    frame = cut.tables[name].to_pandas()
    if name in KEYS:
        assert frame[KEYS[name]].is_unique
        assert frame[KEYS[name]].str.fullmatch(r"[A-Z]\d{6}").all()
    for column, target in table_schema(name).references.items():
        assert frame[column].isin(cut.tables[target][column].to_pandas()).all()


def test_simulate_tables_knows_nothing_after_the_cutoff(cut: Simulation) -> None:
    assert cut.cutoff == dt.date(2025, 6, 30)
    for name, table in cut.tables.items():
        for column in table_schema(name).dates():
            assert max(filter(None, table[column].to_pylist())) <= cut.cutoff


def test_simulate_tables_keeps_the_order_of_time(cut: Simulation) -> None:
    sessions, courses = cut.tables["sessions"].to_pandas(), cut.tables["courses"].to_pandas()
    attended = sessions[sessions["status"] == "attended"]
    first, last = attended.groupby("course_id")["date"].min(), attended.groupby("course_id")["date"].max()
    events = cut.tables["adverse_events"].to_pandas()
    baseline = cut.tables["outcomes"].to_pandas().groupby("course_id")["date"].min()
    assert attended.groupby("course_id")["date"].is_monotonic_increasing.all()
    assert not attended.duplicated(["course_id", "date"]).any()
    assert (courses["start_date"] <= courses["course_id"].map(first)).all()
    assert (courses["end_date"].dropna() >= courses["course_id"].map(last)[courses["end_date"].notna()]).all()
    assert (events["onset_date"] >= events["course_id"].map(first)).all()
    assert (events["end_date"].dropna() >= events["onset_date"][events["end_date"].notna()]).all()
    assert (baseline >= courses.set_index("course_id")["start_date"].reindex(baseline.index)).all()


def test_simulate_tables_numbers_attended_sessions_and_no_others(cut: Simulation) -> None:
    sessions = cut.tables["sessions"].to_pandas()
    attended = sessions["status"] == "attended"
    expected = sessions[attended].groupby("course_id").cumcount() + 1
    assert (sessions.loc[attended, "session_number"] == expected).all()
    record = [
        "session_number",
        "practitioner_id",
        "technique",
        "depth_mm",
        "volume_ml",
        "pain_nrs",
        "adverse_events_asked",
    ]
    assert set(sessions.loc[~attended, "status"]) == {"no_show", "cancelled"}
    assert sessions.loc[~attended, record].isna().all(axis=None)
    assert (
        not cut.tables["products"]["session_id"].to_pandas().isin(sessions.loc[~attended, "session_id"]).any()
    )


def test_simulate_tables_volumes_of_products_add_up_to_the_session(cut: Simulation) -> None:
    products, sessions = cut.tables["products"].to_pandas(), cut.tables["sessions"].to_pandas()
    volume = sessions.set_index("session_id")["volume_ml"].dropna()
    total = products.groupby("session_id")["volume_ml"].sum()
    assert products["lot"].notna().all()
    np.testing.assert_allclose(total.reindex(volume.index), volume, atol=1e-6)


def test_simulate_tables_patient_counts_and_clinics(cut: Simulation) -> None:
    courses = cut.tables["courses"].to_pandas()
    a_patient = courses.groupby("patient_id")
    assert cut.tables["patients"].num_rows == 20_000
    assert courses["patient_id"].nunique() == 20_000
    assert a_patient.size().max() == 2
    assert a_patient["clinic_id"].nunique().eq(1).all()
    sessions = cut.tables["sessions"].to_pandas().merge(courses[["course_id", "clinic_id"]])
    pairs = sessions.dropna(subset="practitioner_id").drop_duplicates(["practitioner_id", "clinic_id"])
    assert pairs["practitioner_id"].is_unique


# --- chance ------------------------------------------------------------------------------------------------------------


def test_simulate_tables_is_reproducible() -> None:
    one, same, other = (simulate_tables(300, seed=seed) for seed in (5, 5, 6))
    for name in TABLES:
        assert one.tables[name].equals(same.tables[name])
        assert not one.tables[name].equals(other.tables[name])
    pd.testing.assert_frame_equal(one.truth, same.truth)


def test_simulate_tables_streams_are_independent() -> None:
    scenario = load_scenario("typical")
    painful = scenario.sessions.model_copy(update={"pain": dict.fromkeys(scenario.sessions.pain, 0.9)})
    one, other = (
        simulate_tables(300, seed=5),
        simulate_tables(300, seed=5, scenario=scenario.model_copy(update={"sessions": painful})),
    )
    assert not one.tables["sessions"]["pain_nrs"].equals(other.tables["sessions"]["pain_nrs"])
    assert one.tables["sessions"].drop("pain_nrs").equals(other.tables["sessions"].drop("pain_nrs"))
    for name in set(TABLES) - {"sessions"}:
        assert one.tables[name].equals(other.tables[name])


def test_streams_differ_by_name() -> None:
    streams = Streams(3)
    assert streams("a").random() != streams("b").random()


def test_choose_has_the_given_weights() -> None:
    drawn = np.bincount(choose(np.random.default_rng(1), [1, 0, 3], 40_000), minlength=3)
    assert drawn[1] == 0
    assert abs(drawn[0] - 10_000) < STANDARD_ERRORS * np.sqrt(40_000 * 0.25 * 0.75)


def test_between_reaches_both_ends_evenly() -> None:
    drawn = np.bincount(between(np.random.default_rng(1), 2, 5, 40_000))
    assert drawn[:2].sum() == 0
    assert len(drawn) == 6
    assert np.abs(drawn[2:] - 10_000).max() < STANDARD_ERRORS * np.sqrt(40_000 * 0.25 * 0.75)


def test_identifiers_grow_with_the_largest() -> None:
    assert identifiers("C", np.array([7]), largest=1_234_567).to_pylist() == ["C0000007"]
    assert identifiers("C", np.array([0, 987_654]), largest=987_654).to_pylist() == ["C000000", "C987654"]
    assert identifiers("C", np.array([5_000_000_000]), largest=5_000_000_000).to_pylist() == ["C5000000000"]


# --- values by the instrument's rule ---


@pytest.mark.parametrize(
    ("code", "baseline", "expected"),
    [
        # least, most, worst improvement in grid steps, from ranges and rules by hand
        ("fine_lines", 3, (1, 3, -1)),  # 0 to 4, one grade better; 4 is one worse
        ("masi", 100, (50, 100, -30)),  # 10.0 of 48 in tenths, 50 % lower; at most 3.0 worse
        ("pull_test", 10, (8, 10, -3)),  # 2 hairs or fewer
        ("hdss", 4, (2, 3, 0)),  # 1 to 4: nothing is worse than 4
    ],
)
def test_improvement_limits_by_hand(code: str, baseline: int, expected: tuple[int, int, int]) -> None:
    model = compile_model(load_scenario("typical"), load_vocabulary())
    stratum = next(each for each in model.strata if each.instrument.code == code)
    least, most, worst, sign = improvement_limits(stratum, np.array([baseline]))
    assert (least.item(), most.item(), worst.item(), sign) == (*expected, -1)


def test_improvement_limits_of_a_score_that_rises() -> None:
    model = compile_model(load_scenario("typical"), load_vocabulary())
    stratum = next(each for each in model.strata if each.instrument.code == "fine_lines")
    rising = stratum.instrument.model_copy(update={"direction": "higher_is_better"})
    limits = improvement_limits(replace(stratum, instrument=rising), np.array([1]))
    assert tuple(np.ravel(each).item() for each in limits) == (1, 3, -1, 1)


def test_simulate_tables_rejects_a_baseline_without_room_to_respond() -> None:
    scenario = load_scenario("typical")
    wrinkles = scenario.indications["wrinkles"]
    low = wrinkles.model_copy(update={"baseline": wrinkles.baseline.model_copy(update={"lowest": 0})})
    scenario = scenario.model_copy(update={"indications": scenario.indications | {"wrinkles": low}})
    with pytest.raises(ValueError, match="'wrinkles': no room for a response"):
        simulate_tables(500, seed=1, scenario=scenario)


# --- arguments and scenarios -------------------------------------------------------------------------------------------


def test_simulate_gives_the_same_tables_as_a_dataset() -> None:
    clinic, made = simulate(200, seed=4), simulate_tables(200, seed=4)
    assert clinic.cutoff == made.cutoff
    pd.testing.assert_frame_equal(clinic.truth, made.truth)
    for name in TABLES:
        table = clinic.table(name)
        assert len(table) == made.tables[name].num_rows
        assert set(table[table.columns[0]]) == set(made.tables[name][0].to_pylist())


def test_simulate_tables_of_one_patient() -> None:
    made = simulate_tables(1, seed=1)
    assert made.tables["patients"]["patient_id"].to_pylist() == ["P000001"]
    assert made.tables["sessions"].num_rows >= 1


def test_simulate_tables_rejects_no_patients() -> None:
    with pytest.raises(ValueError, match="n == 0, must be at least 1"):
        simulate_tables(0, seed=1)


def test_load_scenario_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'typical'"):
        load_scenario("typica")


def test_simulate_tables_rejects_codes_outside_the_vocabulary() -> None:
    scenario = load_scenario("typical")
    strange = {"wrinkels": scenario.indications["wrinkles"]}
    with pytest.raises(VocabularyError, match="did you mean 'wrinkles'"):
        simulate_tables(10, seed=1, scenario=scenario.model_copy(update={"indications": strange}))


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("second_product", 1.5, "less than or equal to 1"),
        (
            "bad_lot",
            {"clinic": 1, "product": "vitamin complx", "period": 1, "term": "infection", "probability": 0.1},
            "vitamin complex",
        ),
        (
            "exposures",
            [{"care_rule": "avoided_sun", "term": "tan", "odds_ratio": 2}],
            "side_effects has no 'tan'",
        ),
        ("lots", {"days": 30, "weeks": 4}, "Extra inputs"),
        ("clinics", {"number": 0, "practitioners_each": 3}, "greater than 0"),
    ],
)
def test_scenario_rejects_what_does_not_fit(part: str, change: object, said: str) -> None:
    content = yaml.safe_load(load_scenario("typical").model_dump_json())
    with pytest.raises(ValueError, match=said):
        Scenario.model_validate(content | {part: change})


def test_compile_model_rejects_a_bad_lot_with_a_side_effect_known_at_the_next_visit() -> None:
    scenario = load_scenario("typical")
    assert scenario.bad_lot is not None
    prompt = scenario.bad_lot.model_copy(update={"term": "redness"})
    with pytest.raises(ValueError, match="'redness' does not"):
        compile_model(scenario.model_copy(update={"bad_lot": prompt}), load_vocabulary())


def test_compile_model_rejects_a_phase_without_hazard() -> None:
    scenario = load_scenario("typical")
    hazard = scenario.dropout.hazard | {"short_course": {"curse": 0.1}}
    dropout = scenario.dropout.model_copy(update={"hazard": hazard})
    with pytest.raises(ValueError, match="no 'course' of 'short_course'; did you mean 'curse'"):
        compile_model(scenario.model_copy(update={"dropout": dropout}), load_vocabulary())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pain": {"gel": 0.1}}, "pain has no"),
        ({"depth_mm": {"lowest": 4, "highest": 1, "step": 1}}, "from lowest to highest"),
        ({"technique": {"manual_needle": 0}}, "not all zero"),
    ],
)
def test_scenario_rejects_sessions_that_do_not_fit(change: dict[str, object], said: str) -> None:
    content = load_scenario("typical").model_dump()
    content["sessions"] |= change
    with pytest.raises(ValueError, match=said):
        Scenario.model_validate(content)


def test_simulate_tables_without_a_bad_lot() -> None:
    scenario = load_scenario("typical").model_copy(update={"bad_lot": None})
    made = simulate_tables(50, seed=1, scenario=scenario)
    assert "bad_lot" not in set(made.truth["quantity"])
    assert isinstance(made.tables["adverse_events"], pa.Table)
