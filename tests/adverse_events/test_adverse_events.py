"""Side-effect rates of clinics small enough to be counted by hand."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from counted_clinic import bounds, clinic, counts, tables

from mesostats.adverse_events.rates import adverse_event_rates
from mesostats.dataset import Dataset
from mesostats.errors import DataError
from mesostats.results import ESTIMATE_COLUMNS, Result


def assert_explained(result: Result) -> None:
    """Every cell's counts are the sums of the rows behind it."""
    number = "events" if result.spec["arguments"]["events"] == "all" else "in_numerator"
    for row in result.estimates.to_dict("records"):
        rows = result.explain(**{name: row[name] for name in [*result.groups, "estimand"]})
        assert rows["in_denominator"].sum() == row["denominator"]
        assert rows[number].sum() == row["numerator"]
        assert not rows.loc[~rows["in_denominator"], "in_numerator"].any()
        assert rows["excluded"].eq("").eq(rows["in_denominator"]).all()


@pytest.mark.parametrize(
    ("per", "events", "expected"),
    [
        ("patient", "first", [(3, 4), (3, 5), (4, 5)]),  # P1, P3, P4 of P1, P3, P4, P6; P2 is missing
        ("patient", "all", [(8, 4), (8, 5), (9, 5)]),
        ("course", "first", [(4, 5), (4, 6), (5, 6)]),  # C1, C2, C4, C5 of these and C8; C3 is missing
        ("course", "all", [(8, 5), (8, 6), (9, 6)]),
        ("session", "first", [(4, 7), (4, 9), (6, 9)]),  # S1, S2, S3, S9
        ("session", "all", [(6, 7), (6, 9), (8, 9)]),  # E1, E2 | E3, E7 | E13 | E14
    ],
)
def test_rates_have_the_counts_of_the_clinic(per: Any, events: Any, expected: list[tuple[int, int]]) -> None:
    found = adverse_event_rates(clinic(), per=per, events=events)
    assert bounds(found, found.spec["primary"]) == expected
    assert found.estimates["unit"].eq(f"{per}s").all()
    assert found.estimates["n_missing"].eq({"patient": 1, "course": 1, "session": 2}[per]).all()
    assert found.estimates["estimate"].tolist() == pytest.approx([y / n for y, n in expected])
    assert_explained(found)


def test_excluded_events_are_counted_by_reason() -> None:
    reasons = {
        "no such course": 1,
        "course without an attended session by the data cut": 1,
        "onset after the data cut": 1,
        "onset before the first attended session": 1,
        "onset more than 60 days after the last attended session": 1,
    }
    assert adverse_event_rates(clinic()).spec["excluded_events"] == reasons
    by_session = adverse_event_rates(clinic(), per="session").spec["excluded_events"]
    assert by_session == reasons | {"no attended session to ascribe it to": 2}  # E4, E11


def test_follow_up_days_move_the_end_of_the_emergent_window() -> None:
    # With 61 days E6 counts too: 9 events. With none, E3 and E7 no longer do (S2 is the last session): 6; neither does
    # E14, the day after S9, nor E11, which came before S8 and stays: 5 = E1, E2, E4, E11, E13.
    found = [
        adverse_event_rates(clinic(), events="all", follow_up_days=days).cell(estimand="events_per_patient")
        for days in (61, 0)
    ]
    assert [row["numerator"] for row in found] == [9, 5]
    # Without E14 it is not known of P4 either: P1, P3, P6 are left.
    assert [row["denominator"] for row in found] == [4, 3]


def test_data_cut_hides_what_came_later() -> None:
    # By 31 January P1 (S1, S2) and P2 (S4, S5) were treated; of P1's events E1 to E4 were known.
    found = adverse_event_rates(clinic().with_cutoff("2024-01-31"), events="all")
    assert bounds(found, "events_per_patient") == [(4, 1), (4, 2), (5, 2)]
    assert found.spec["excluded_events"] == {
        "no such course": 1,
        "course without an attended session by the data cut": 5,  # E8; E10, E11 of C4; E13 of C2; E14 of C5
        "onset after the data cut": 2,  # E6, E7
        "onset before the first attended session": 1,
    }


def test_terms_have_rows_with_and_without_events() -> None:
    found = adverse_event_rates(clinic(), of="term")
    rows = found.estimates.query("estimand == 'incidence_proportion'").set_index("term")
    hits = {"bruising": 2, "redness": 1, "nodule": 1, "itching": 1, "uncoded": 1}
    assert rows.loc[rows["numerator"] > 0, "numerator"].to_dict() == hits
    assert set(rows.index) == {*clinic().vocabulary.adverse_events, "uncoded"}
    assert rows["denominator"].eq(4).all()
    # Wilson at 0 of 4: upper limit z²/(n + z²) with z² = 3.841459.
    assert rows.loc["swelling", "conf_high"] == pytest.approx(3.841459 / 7.841459, rel=1e-6)
    assert rows.loc["swelling", "conf_low"] == 0
    behind = found.explain(term="redness", estimand="incidence_proportion_upper").set_index("patient_id")
    assert behind["in_numerator"].to_dict() == {"P1": True, "P2": True, "P3": False, "P4": False, "P6": False}


def test_classes_are_those_of_the_terms() -> None:
    found = adverse_event_rates(clinic(), of="class").estimates
    rows = found.query("estimand == 'incidence_proportion'").set_index("term_class")["numerator"]
    # expected_local: P1, P3 (bruising), P4 (itching); special_interest: P1's nodule.
    expected = {
        "expected_local": 3,
        "systemic_or_skin": 0,
        "special_interest": 1,
        "important": 0,
        "uncoded": 1,
    }
    assert rows.to_dict() == expected


def test_a_term_that_the_vocabulary_lacks_takes_the_class_of_the_data() -> None:
    events = tables()["adverse_events"].assign(term_class=None)
    events.loc[events["event_id"] == "E14", ["term", "term_class"]] = ["chills", "own_class"]
    found = adverse_event_rates(clinic(adverse_events=events), of="class")
    assert counts(found, term_class="own_class", estimand="incidence_proportion") == (1, 4)


def test_severity_counts_a_patient_once_at_the_worst() -> None:
    found = adverse_event_rates(clinic(), of="severity")
    rows = found.estimates.query("estimand == 'incidence_proportion'").set_index("severity")["numerator"]
    # P1: severe (E2); P3: mild (E11); P4: not recorded (E14).
    none = {"moderate": 0, "life_threatening": 0, "fatal": 0}
    assert rows.to_dict() == none | {"severe": 1, "mild": 1, "not recorded": 1}
    assert_explained(found)


def test_severity_of_all_events_counts_each_at_its_own() -> None:
    found = adverse_event_rates(clinic(), of="severity", events="all")
    rows = found.estimates.query("estimand == 'events_per_patient'").set_index("severity")["numerator"]
    # mild E1, E7, E11; moderate E3, E13; severe E2; not recorded E4, E14. Together 8, as of any event.
    none = {"life_threatening": 0, "fatal": 0}
    assert rows.to_dict() == none | {"mild": 3, "moderate": 2, "severe": 1, "not recorded": 2}
    assert_explained(found)


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        ("serious", [(1, 4), (1, 5), (2, 5)]),  # E2, though E2 is not the only one that is known of P4
        ("related", [(2, 4), (2, 5), (3, 5)]),  # E1, E13 (P1), E11 (P3)
    ],
)
def test_a_patient_with_any_event_is_known(of: Any, expected: list[tuple[int, int]]) -> None:
    found = adverse_event_rates(clinic(), of=of)
    assert bounds(found, "incidence_proportion") == expected
    assert_explained(found)


def test_groups_of_courses_count_a_patient_in_each() -> None:
    found = adverse_event_rates(clinic(), by="arm")
    assert bounds(found, "incidence_proportion", arm="A") == [(1, 2), (1, 3), (2, 3)]  # P1, P2, P6
    assert bounds(found, "incidence_proportion", arm="B") == [(2, 2)] * 3  # P1, P4
    assert bounds(found, "incidence_proportion", arm="not recorded") == [(1, 1)] * 3  # P3
    assert found.cell(arm="A", estimand="incidence_proportion")["n_missing"] == 1
    assert found.groups == ["arm"]
    assert_explained(found)


def test_groups_of_patients_and_of_sessions() -> None:
    by_sex = adverse_event_rates(clinic(), by="sex")
    assert bounds(by_sex, "incidence_proportion", sex="female") == [(1, 2), (1, 3), (2, 3)]  # P1, P2, P6
    assert counts(by_sex, sex="not recorded", estimand="incidence_proportion") == (1, 1)
    by_doctor = adverse_event_rates(clinic(), by=["practitioner_id", "arm"], per="session", of="related")
    cell = {"practitioner_id": "D1", "arm": "A"}
    assert bounds(by_doctor, "session_proportion", **cell) == [(1, 1), (1, 2), (2, 2)]  # E1 of S1; S4 unknown
    assert counts(by_doctor, **(cell | {"practitioner_id": "D2"}), estimand="session_proportion") == (0, 1)
    assert_explained(by_doctor)


@pytest.mark.parametrize(("per", "events"), [("patient", "first"), ("session", "first"), ("session", "all")])
def test_where_nobody_recorded_having_asked_all_count(per: Any, events: Any) -> None:
    unused = clinic(sessions=tables(asked=False)["sessions"])
    found = adverse_event_rates(unused, per=per, events=events)
    main, lower, upper = bounds(found, found.spec["primary"])
    # All 5 patients or 9 sessions count; those without events (P2, P6; S4, S5, S6, S8, S12) are the bounds' doubt.
    expected = {"patient": {"first": (3, 5)}, "session": {"first": (4, 9), "all": (6, 9)}}
    doubt = {"patient": 2, "session": 5}[per]
    assert main == lower == expected[per][events]
    assert upper == (main[0] + doubt, main[1])
    assert "all count as asked" in found.cell(estimand=found.spec["primary"])["note"]
    assert_explained(found)


def test_where_all_were_asked_there_are_no_bounds() -> None:
    asked = tables()["sessions"].assign(adverse_events_asked="yes")
    found = adverse_event_rates(clinic(sessions=asked), of="any")
    assert found.estimates["estimand"].tolist() == ["incidence_proportion"]
    assert counts(found, estimand="incidence_proportion") == (3, 5)
    assert found.estimates["n_missing"].item() == 0


def test_explain_names_the_patients_and_why_one_is_left_out() -> None:
    rows = adverse_event_rates(clinic()).explain(estimand="incidence_proportion").set_index("patient_id")
    assert rows["events"].to_dict() == {"P1": 6, "P2": 0, "P3": 1, "P4": 1, "P6": 0}
    assert rows.index[~rows["in_denominator"]].tolist() == ["P2"]
    assert rows.loc["P2", "excluded"] == "nobody asked about side effects"


def test_no_events_at_all() -> None:
    found = adverse_event_rates(clinic(adverse_events=tables()["adverse_events"].iloc[:0]), of="term")
    # Asked were P1, P3 and P6; P2 and P4 are unknown.
    rows = found.estimates.query("estimand == 'incidence_proportion'")
    assert rows["numerator"].eq(0).all()
    assert rows["denominator"].eq(3).all()
    assert found.spec["excluded_events"] == {}


def test_nobody_treated_is_a_row_that_says_so() -> None:
    sessions = tables()["sessions"].assign(status="cancelled")
    row = adverse_event_rates(clinic(sessions=sessions)).estimates.iloc[0]
    assert row["denominator"] == 0
    assert pd.isna(row["estimate"])
    assert "no observations" in row["note"]


def test_one_patient_has_no_clustered_interval() -> None:
    first = {
        name: frame[frame["course_id"] == "C1"]
        for name, frame in tables().items()
        if "course_id" in frame and name != "patients"
    }
    row = adverse_event_rates(clinic(**first), per="session").cell(estimand="session_proportion")
    assert (row["numerator"], row["denominator"]) == (2, 2)
    assert pd.isna(row["conf_low"])
    assert "one cluster" in row["note"]


def test_result_keeps_the_contract_and_the_inputs() -> None:
    given = tables()
    before = {name: frame.copy() for name, frame in given.items()}
    found = adverse_event_rates(Dataset(**given, cutoff="2024-12-31"), by="arm", of="term", per="session")  # type: ignore[arg-type]
    assert list(found.estimates) == ["arm", "term", *ESTIMATE_COLUMNS]
    assert found.spec["population"]["sessions"] == "attended sessions by the data cut"
    for name, frame in given.items():
        pd.testing.assert_frame_equal(frame, before[name])


@pytest.mark.parametrize(
    "column", ["state", "attended", "severity", "onset", "asked", "known", "main_trials"]
)
def test_grouping_on_a_column_named_as_one_of_the_events_or_the_timeline(column: str) -> None:
    courses = tables()["courses"].rename(columns={"arm": column})
    found = adverse_event_rates(clinic(courses=courses), by=column)
    assert counts(found, **{column: "A"}, estimand="incidence_proportion_upper") == (2, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"of": "terms"}, "of is one of any, term"),
        ({"per": "month"}, "per 'month' is unknown"),
        ({"events": "last"}, "events 'last' is unknown"),
        ({"method": "wald"}, "method 'wald' is unknown"),
        ({"method": "wald", "per": "session"}, "method 'wald' is unknown"),
        ({"follow_up_days": -1}, "not negative, found -1"),
        ({"conf_level": 95}, "conf_level"),
        ({"by": "armm"}, "did you mean 'arm'"),
        ({"by": "course_id"}, "identifies a row"),
        ({"by": ["arm", "arm"]}, "once"),
        ({"by": "estimate"}, "no column 'estimate'"),
        ({"only": "bruising"}, "only= names one kind"),
        ({"of": "term", "only": "bruisin"}, "did you mean 'bruising'"),
        ({"by": "Severity", "of": "severity"}, "cannot group by 'Severity'"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        adverse_event_rates(clinic(), **arguments)


def test_absent_table_is_named() -> None:
    given = tables()
    del given["adverse_events"]
    with pytest.raises(DataError, match="'adverse_events' is absent"):
        adverse_event_rates(Dataset(**given))  # type: ignore[arg-type]
