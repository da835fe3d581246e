"""The planted defects: the twelve, each on a course of its own, and nothing else."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from mesostats.simulation import Simulation, simulate, simulate_tables
from mesostats.validation import validate
from mesostats.vocabulary import load_vocabulary

KEYS = {
    "patients": "patient_id",
    "courses": "course_id",
    "sessions": "session_id",
    "outcomes": "outcome_id",
    "adverse_events": "event_id",
}


# --- planted defects ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def planted() -> Simulation:
    return simulate_tables(500, seed=3, defects=True)


def test_defects_are_the_twelve_each_on_its_own_course(planted: Simulation) -> None:
    assert planted.planted["defect"].to_list() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10, 11, 12]
    courses = [
        planted.tables[row.table]
        .to_pandas()
        .set_index(KEYS[row.table])
        .get("course_id", pd.Series({row.key: row.key}))
        for row in planted.planted.itertuples()
    ]
    own = [
        pd.Series(each).loc[[key]].iloc[0] for each, key in zip(courses, planted.planted["key"], strict=True)
    ]
    assert len(set(own)) == 13


def test_defects_change_only_the_planted_rows(planted: Simulation) -> None:
    clean = simulate_tables(500, seed=3, scenario="textbook")
    assert clean.planted.empty
    for name, key in KEYS.items():
        before, after = (made.tables[name].to_pandas().set_index(key) for made in (clean, planted))
        if name == "outcomes":
            after["value"] = after["value"].astype(float)
        after = after[~after.index.duplicated()].astype(str).fillna("")
        before = before.astype(str).fillna("")
        changed = after.index[(after != before).any(axis=1)]
        noted = planted.planted[(planted.planted["table"] == name) & (planted.planted["defect"] != 1)]
        assert set(changed) == set(noted["key"])
    assert planted.tables["sessions"].num_rows == clean.tables["sessions"].num_rows + 1
    assert planted.tables["products"].equals(clean.tables["products"])


def test_defects_are_what_they_say(planted: Simulation) -> None:
    key = planted.planted.drop_duplicates("defect").set_index("defect")["key"]
    tables = {name: planted.tables[name].to_pandas().set_index(column) for name, column in KEYS.items()}
    sessions, events, outcomes = tables["sessions"], tables["adverse_events"], tables["outcomes"]
    first = sessions[sessions["status"] == "attended"].groupby("course_id")["date"].min()
    assert len(sessions.loc[[key[1]]].drop_duplicates()) == 1
    assert len(sessions.loc[[key[1]]]) == 2
    assert events.loc[key[2], "onset_date"] < first[events.loc[key[2], "course_id"]]
    assert outcomes.loc[key[3], "date"] == "03/04/2024"
    assert (
        sessions.loc[key[4], "session_number"]
        > sessions["session_number"][sessions["course_id"] == sessions.loc[key[4], "course_id"]]
        .drop(key[4])
        .max()
    )
    assert gap_before(sessions, key[5]) == 2
    assert dt.date.fromisoformat(outcomes.loc[key[6], "date"]) > first[outcomes.loc[key[6], "course_id"]]
    assert (
        float(outcomes.loc[key[7], "value"])
        > load_vocabulary().instruments[outcomes.loc[key[7], "instrument"]].maximum
    )
    assert sessions.loc[key[8], "depth_mm"] == 0.2
    assert events.loc[key[9], ["term", "verbatim"]].fillna("").to_list() == ["", "slight redness + bruise"]
    assert pd.isna(sessions.loc[key[10], "adverse_events_asked"])
    assert not (events["session_id"] == key[10]).any()
    assert sessions.loc[key[11], ["status", "volume_ml"]].to_list() == ["no_show", 3]
    assert tables["courses"].loc[key[12], "pregnancy"] == "yes"


def test_defects_need_a_clinic_large_enough() -> None:
    with pytest.raises(ValueError, match="too few patients"):
        simulate_tables(8, seed=1, defects=True)


def test_textbook_has_nothing_unrecorded_and_every_visit_in_its_window() -> None:
    made = simulate_tables(5_000, seed=2, scenario="textbook")
    courses, sessions = (
        made.tables[name].to_pandas(date_as_object=False) for name in ("courses", "sessions")
    )
    sessions = sessions[sessions["status"] == "attended"].merge(courses[["course_id", "protocol"]])
    gap = sessions.groupby("course_id")["date"].diff().dt.days
    for code, protocol in load_vocabulary().protocols.items():
        phases = [phase for phase in protocol.phases for _ in range(phase.sessions)]
        for number, phase in enumerate(phases[1:], start=2):
            of_slot = gap[(sessions["protocol"] == code) & (sessions["session_number"] == number)]
            assert of_slot.agg(["min", "max"]).to_list() == list(phase.interval_days)
    assert (sessions["adverse_events_asked"] == "yes").all()
    assert not courses["status"].isna().any()
    assert courses.loc[courses["status"] == "discontinued", "end_reason"].notna().all()
    assert set(courses["pregnancy"]) == {"no"}


def test_defects_are_what_validation_finds(planted: Simulation) -> None:
    clinic = simulate(500, seed=3, defects=True)
    found = validate(clinic).defects
    # A text with two side effects becomes two events, E000001/1 and E000001/2.
    rows = set(zip(found["number"], found["table"], found["key"].str.split("/").str[0], strict=True))
    assert rows == set(zip(*(planted.planted[name] for name in ("defect", "table", "key")), strict=True))


def test_textbook_has_no_defect() -> None:
    assert validate(simulate(2_000, seed=2, scenario="textbook")).defects.empty


def gap_before(sessions: pd.DataFrame, key: str) -> int:
    """Return the days between a session and the attended one before it in its course."""
    own = sessions[
        (sessions["course_id"] == sessions.loc[key, "course_id"]) & (sessions["status"] == "attended")
    ]
    place = own.index.get_loc(key)
    return (own["date"].iloc[place] - own["date"].iloc[place - 1]).days
