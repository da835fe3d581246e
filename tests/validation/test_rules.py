"""Each rule finds its defect, in its row, and says nothing of clean data.

The defects are planted by hand in a clinic whose every value is written out in `small_clinic`.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from small_clinic import DAYS, Tables, appended, cell, only, rules, spoiled

MISSED: dict[str, Any] = {"depth_mm": None, "volume_ml": None, "pain_nrs": None, "adverse_events_asked": None}


def test_validate_finds_nothing_in_clean_data() -> None:
    report = spoiled(lambda _: None)
    assert report.ok
    assert report.defects.empty
    assert report.counts.empty


# table, row, changed values; the rule, its number and severity, the key of the row, words of `found` and of `action`
CELLS = [
    (
        "sessions",
        2,
        {"status": "atended"},
        "unknown_code",
        None,
        "error",
        "S2",
        "atended",
        "did you mean 'attended'",
    ),
    (
        "outcomes",
        2,
        {"instrument": "masii"},
        "unknown_code",
        None,
        "error",
        "O2",
        "masii",
        "did you mean 'masi'",
    ),
    (
        "courses",
        1,
        {"pregnancy": "maybe"},
        "unknown_code",
        None,
        "error",
        "C1",
        "maybe",
        "known are 'no', 'not_asked', 'yes'",
    ),
    ("sessions", 2, {"pain_nrs": 11}, "out_of_range", None, "error", "S2", "11", "at least 0 and at most 10"),
    ("sessions", 9, {"status": None}, "missing_value", None, "error", "S9", "nothing", "Fill in status"),
    (
        "sessions",
        9,
        {"session_id": " "},
        "missing_value",
        None,
        "error",
        None,
        "nothing",
        "Fill in session_id",
    ),
    (
        "sessions",
        3,
        {"date": "03/04/2024"},
        "ambiguous_date",
        3,
        "error",
        "S3",
        "03/04/2024",
        "2024-03-04 or 2024-04-03",
    ),
    (
        "outcomes",
        1,
        {"date": "10.01.2024"},
        "ambiguous_date",
        3,
        "error",
        "O1",
        "10.01.2024",
        "2024-01-10 or 2024-10-01",
    ),
    ("outcomes", 1, {"date": "45301"}, "ambiguous_date", 3, "error", "O1", "45301", "2024-01-10"),
    (
        "outcomes",
        1,
        {"date": "2024-02-30"},
        "wrong_type",
        None,
        "error",
        "O1",
        "2024-02-30",
        "day of the calendar",
    ),
    ("outcomes", 1, {"date": "soon"}, "wrong_type", None, "error", "O1", "soon", "YYYY-MM-DD"),
    ("outcomes", 1, {"value": "20,5"}, "decimal_comma", 8, "warning", "O1", "20,5", "Write 20.5"),
    ("outcomes", 1, {"value": "low"}, "wrong_type", None, "error", "O1", "low", "a number"),
    ("sessions", 2, {"session_number": "two"}, "wrong_type", None, "error", "S2", "two", "a whole number"),
    ("sessions", 9, {"course_id": "C9"}, "unknown_reference", None, "error", "S9", "C9", "courses"),
    ("products", 8, {"session_id": "S0"}, "unknown_reference", None, "error", None, "S0", "sessions"),
    (
        "sessions",
        1,
        {"date": "2024-01-02"},
        "session_before_course",
        2,
        "error",
        "S1",
        "2024-01-02",
        "Correct",
    ),
    (
        "adverse_events",
        1,
        {"onset_date": "2024-01-09"},
        "event_before_treatment",
        2,
        "error",
        "E1",
        "2024-01-09",
        "Correct",
    ),
    (
        "adverse_events",
        1,
        {"end_date": "2024-01-09"},
        "event_end_before_onset",
        2,
        "error",
        "E1",
        "2024-01-09",
        "Correct",
    ),
    (
        "adverse_events",
        1,
        {"outcome": "not_recovered"},
        "event_unresolved_with_end",
        2,
        "warning",
        "E1",
        "2024-01-12",
        "Correct the outcome",
    ),
    (
        "adverse_events",
        1,
        {"outcome": "fatal", "serious": "no"},
        "fatal_not_serious",
        2,
        "warning",
        "E1",
        "fatal",
        "A death is serious",
    ),
    (
        "adverse_events",
        1,
        {"session_id": "S5"},
        "event_of_another_course",
        2,
        "error",
        "E1",
        "S5",
        "Correct",
    ),
    (
        "courses",
        2,
        {"end_date": "2024-01-07"},
        "course_end_before_start",
        2,
        "error",
        "C2",
        "2024-01-08",
        "Correct",
    ),
    ("outcomes", 2, {"date": "2999-01-01"}, "future_date", 2, "error", "O2", "2999-01-01", "Correct"),
    # 3 February is the fourth session of the weekly phase, 7 to 10 days; 29 January is 3 days after 26 January.
    (
        "sessions",
        4,
        {"date": "2024-01-29"},
        "off_window",
        5,
        "warning",
        "S4",
        "3 days after the session before; protocol weekly_to_monthly plans 7 to 10 in the phase weekly",
        "Check both dates",
    ),
    (
        "sessions",
        4,
        {"session_number": 5},
        "session_number",
        4,
        "warning",
        "S4",
        "number 5",
        "this is number 4",
    ),
    (
        "outcomes",
        1,
        {"date": "2024-01-11"},
        "baseline_missing",
        6,
        "warning",
        "O1",
        "2024-01-11",
        "before treatment",
    ),
    (
        "outcomes",
        1,
        {"value": None},
        "baseline_missing",
        6,
        "warning",
        "O2",
        "2024-02-20",
        "before treatment",
    ),
    ("outcomes", 2, {"value": 48.5}, "outside_instrument", 7, "error", "O2", "48.5", "0 to 48"),
    ("outcomes", 2, {"instrument": "gais"}, "direction_undeclared", 7, "error", None, "gais, 1", "overlay"),
    (
        "sessions",
        2,
        {"depth_mm": 0.2},
        "unit_of_column",
        8,
        "warning",
        "S2",
        "0.2",
        "factor 10 it would be 2.",
    ),
    # 88 cm are 34.6 inches.
    ("outcomes", 4, {"value": 34.6}, "unit_of_instrument", 8, "warning", "O4", "34.6", "in inches"),
    (
        "adverse_events",
        1,
        {"term": None, "verbatim": "slight red skin"},
        "event_coded",
        9,
        "info",
        "E1",
        "red",
        "redness",
    ),
    (
        "adverse_events",
        1,
        {"term": None, "verbatim": "felt odd"},
        "event_uncoded",
        9,
        "warning",
        "E1",
        "odd",
        "by hand",
    ),
    (
        "adverse_events",
        1,
        {"term": None, "verbatim": None},
        "event_uncoded",
        9,
        "warning",
        "E1",
        "?",
        "by hand",
    ),
    (
        "adverse_events",
        1,
        {"term": None, "verbatim": "none"},
        "no_event",
        9,
        "info",
        "E1",
        "none",
        "no side effect",
    ),
    (
        "sessions",
        3,
        {"adverse_events_asked": None},
        "events_not_asked",
        10,
        "warning",
        "S3",
        "empty",
        "Fill in yes",
    ),
    (
        "sessions",
        9,
        {"volume_ml": 3.0},
        "dose_without_visit",
        11,
        "error",
        "S9",
        "no_show with volume_ml 3",
        "status",
    ),
    ("sessions", 9, {"pain_nrs": 0.0}, "dose_without_visit", 11, "error", "S9", "pain_nrs 0", "status"),
    ("products", 8, {"session_id": "S9"}, "dose_without_visit", 11, "error", "S9", "mix", "status"),
    (
        "courses",
        2,
        {"end_reason": None},
        "no_end_reason",
        11,
        "warning",
        "C2",
        "without a reason",
        "end_reason",
    ),
    (
        "courses",
        1,
        {"pregnancy": "yes"},
        "treated_despite_contraindication",
        12,
        "error",
        "C1",
        "Pregnancy: yes",
        "file",
    ),
    ("products", 5, {"lot": " "}, "missing_lot", 12, "warning", "S5", "no lot of mix", "lot"),
]


@pytest.mark.parametrize(
    ("table", "row", "values", "rule", "number", "severity", "key", "found", "action"),
    CELLS,
    ids=[f"{case[3]}-{case[0]}-{'-'.join(case[2])}-{place}" for place, case in enumerate(CELLS)],
)
def test_validate_names_the_defect_of_one_cell(
    *,
    table: str,
    row: int,
    values: dict[str, Any],
    rule: str,
    number: int | None,
    severity: str,
    key: str | None,
    found: str,
    action: str,
) -> None:
    defect = only(spoiled(cell(table, row, **values)), rule)
    expected_row = 2 if rule == "baseline_missing" and key == "O2" else row
    assert (defect["table"], defect["row"], defect["severity"]) == (table, expected_row, severity)
    assert (None if pd.isna(defect["key"]) else defect["key"]) == key
    assert (None if pd.isna(defect["number"]) else defect["number"]) == number
    assert found in defect["found"]
    assert action in defect["action"]


def test_exact_copy_is_one_error_and_breaks_no_other_rule() -> None:
    defect = only(spoiled(appended("sessions")), "duplicate_row")
    assert (defect["row"], defect["key"], defect["found"]) == (10, "S9", "an exact copy of row 9")


def test_same_key_with_other_content_is_another_error() -> None:
    defect = only(spoiled(appended("sessions", technique="other")), "duplicate_key")
    assert (defect["row"], defect["found"]) == (10, "S9 stands in row 9 too, with other content")


@pytest.mark.parametrize("number", [4, 5])
def test_two_sessions_of_one_day_and_area_name_both_rows(number: int) -> None:
    again = {"session_id": "S10", "date": DAYS[3], "status": "attended", "adverse_events_asked": "yes"}
    defect = only(spoiled(appended("sessions", session_number=number, **again)), "same_day_sessions")
    assert (defect["row"], defect["key"], defect["severity"]) == (10, "S10", "warning")
    assert "session S8 in row 8" in defect["found"]


def test_left_and_right_on_one_day_are_two_visits() -> None:
    def change(tables: Tables) -> None:
        sides = tables["courses"].assign(side=["left", "right"], patient_id="P1", area="arm")
        tables["courses"] = sides
        tables["patients"] = tables["patients"].head(1)

    assert spoiled(change).defects.empty


def test_swapped_numbers_are_both_named() -> None:
    def change(tables: Tables) -> None:
        cell("sessions", 2, session_number=3)(tables)
        cell("sessions", 3, session_number=2)(tables)

    defects = spoiled(change).defects
    assert defects[["rule", "key"]].to_numpy().tolist() == [
        ["session_number", "S2"],
        ["session_number", "S3"],
    ]
    assert ["number 2;" in action for action in defects["action"]] == [True, False]


def test_gap_in_the_numbers_is_named_once() -> None:
    def change(tables: Tables) -> None:
        cell("sessions", 3, session_number=4)(tables)
        cell("sessions", 4, session_number=5)(tables)

    defect = only(spoiled(change), "session_number")
    assert defect["key"] == "S3"
    assert "this is number 3" in defect["action"]


def test_numbers_of_all_booked_visits_are_no_defect() -> None:
    """Session 3 of C2 was missed and keeps its number, session 4 is the fourth booked visit."""

    def change(tables: Tables) -> None:
        cell("sessions", 7, status="no_show", **MISSED)(tables)
        tables["products"] = tables["products"].drop(6)
        cell("courses", 2, protocol=None)(tables)

    assert spoiled(change).defects.empty


def test_event_of_a_session_answers_whether_anybody_asked() -> None:
    assert spoiled(cell("sessions", 1, adverse_events_asked=None)).defects.empty


def test_clinic_that_never_records_side_effects_is_not_asked_of_each_session() -> None:
    def change(tables: Tables) -> None:
        del tables["adverse_events"]
        tables["sessions"] = tables["sessions"].drop(columns="adverse_events_asked")

    assert spoiled(change).defects.empty


def test_what_lies_after_an_earlier_data_cut_is_no_defect() -> None:
    assert spoiled(lambda _: None, cutoff="2024-02-19").ok


def test_level_instrument_needs_no_baseline() -> None:
    """The hair pull test is judged by its level alone."""

    def change(tables: Tables) -> None:
        tables["outcomes"] = tables["outcomes"].iloc[[1]].assign(instrument="pull_test", value=2.0)

    assert spoiled(change).defects.empty


def test_successful_treatment_is_no_mix_up_of_units() -> None:
    """Sweat that falls to a fifth is what the treatment is for; one low value between two high ones is suspicious."""

    def change(values: list[float]) -> Any:
        days = pd.date_range("2024-01-09", periods=len(values), freq="20D").strftime("%Y-%m-%d")
        ids = [f"O{place}" for place in range(len(values))]
        frame = pd.DataFrame(
            {"outcome_id": ids, "course_id": "C1", "date": days, "instrument": "gravimetry", "value": values}
        )
        return lambda tables: tables.update(outcomes=frame)

    assert spoiled(change([250.0, 50.0])).defects.empty
    defect = only(spoiled(change([250.0, 46.0, 240.0])), "unit_of_instrument")
    assert defect["key"] == "O1"
    assert "it would be 230." in defect["action"]


def test_inches_in_a_lone_value_show_against_the_area() -> None:
    """Six patients with about 90 cm and one with 36, which are 91 cm in inches."""

    def change(tables: Tables) -> None:
        n = 7
        tables["patients"] = pd.DataFrame({"patient_id": [f"P{place}" for place in range(n)]})
        tables["courses"] = pd.DataFrame(
            {
                "course_id": [f"C{place}" for place in range(n)],
                "patient_id": tables["patients"]["patient_id"],
                "indication": "localized_fat",
                "area": "abdomen",
                "start_date": "2024-01-01",
            }
        )
        tables["outcomes"] = pd.DataFrame(
            {
                "outcome_id": [f"O{place}" for place in range(n)],
                "course_id": tables["courses"]["course_id"],
                "date": "2024-01-02",
                "instrument": "circumference",
                "value": [88.0, 90.0, 36.0, 92.0, 95.0, 86.0, 91.0],
            }
        )
        tables["sessions"] = tables["sessions"].head(0)
        del tables["products"], tables["adverse_events"]

    defect = only(spoiled(change), "unit_of_instrument")
    assert (defect["key"], defect["row"]) == ("O2", 3)


def test_shallow_technique_is_no_mix_up_of_units() -> None:
    def change(tables: Tables) -> None:
        tables["sessions"] = tables["sessions"].assign(
            technique=["microneedles"] * 4 + ["manual_needle"] * 5, depth_mm=[0.3] * 4 + [2.0] * 4 + [None]
        )

    assert spoiled(change).defects.empty


def test_contraindication_without_treatment_is_no_error() -> None:
    def change(tables: Tables) -> None:
        cell("courses", 1, pregnancy="yes")(tables)
        for name, key in (
            ("sessions", "course_id"),
            ("outcomes", "course_id"),
            ("adverse_events", "course_id"),
        ):
            tables[name] = tables[name][tables[name][key] != "C1"]
        tables["products"] = tables["products"].iloc[4:]

    assert spoiled(change).defects.empty


def test_contraindication_of_an_overlay_is_known(tmp_path: Any) -> None:
    (tmp_path / "contraindications.yaml").write_text("entries: {keloid: {label: Keloids, source: own}}")

    def change(tables: Tables) -> None:
        tables["courses"] = tables["courses"].assign(keloid=["yes", "perhaps"])

    defects = spoiled(change, vocabulary=tmp_path).defects
    assert sorted(defects["rule"]) == ["treated_despite_contraindication", "unknown_code"]
    assert set(defects["column"]) == {"keloid"}


def test_open_vocabulary_takes_any_code(tmp_path: Any) -> None:
    (tmp_path / "indications.yaml").write_text("open: true\nentries: {}")
    assert rules(spoiled(cell("courses", 1, indication="rosacea"))) == {"unknown_code"}
    assert spoiled(cell("courses", 1, indication="rosacea"), vocabulary=tmp_path).defects.empty


def test_unreadable_session_date_says_nothing_of_the_course() -> None:
    """Without the first session's date its order, gaps and baseline are unknown, not wrong."""
    assert rules(spoiled(cell("sessions", 1, date="1/10/2024"))) == {"ambiguous_date"}


def test_one_side_effect_of_two_severities_is_shown_with_both_rows() -> None:
    def change(tables: Tables) -> None:
        tables["adverse_events"]["severity"] = ["mild", "mild"]
        appended(
            "adverse_events",
            event_id="E3",
            course_id="C1",
            session_id="S1",
            term="redness",
            onset_date="2024-01-10",
            severity="severe",
        )(tables)

    found = spoiled(change).defects
    assert found["rule"].tolist() == ["event_two_severities"] * 2
    assert found["key"].tolist() == ["E1", "E3"]
    assert found["found"].str.contains("also as").all()
    assert "also as severe" in found["found"].iloc[0]
