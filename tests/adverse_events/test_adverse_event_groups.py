"""Side-effect rates by time at risk, by columns of sessions and products, and of chosen kinds, counted by hand.

The clinic is `counted_clinic`. Days at risk to 60 days after the last session: P1 from 1 January to 30 April
(C1 to 11 March, C2 from 1 March), 121; P2 71 (to 15 March); P3 81 (to 21 April); P4 61 (to 1 April); P6 61 (to 5 April).
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from counted_clinic import bounds, clinic, counts, tables

from mesostats.adverse_events.comparisons import compare_adverse_events
from mesostats.adverse_events.durations import event_durations
from mesostats.adverse_events.exposure_effects import exposure_effect
from mesostats.adverse_events.onsets import onset_after_session
from mesostats.adverse_events.rates import adverse_event_rates
from mesostats.simulation import simulate

MONTH = 365.25 / 12
PRODUCTS = pd.DataFrame(
    [
        ("S1", "vitamin", "L1"),
        ("S1", "mineral", "L1"),  # another substance of the same lot: the session counts once
        ("S2", "vitamin", "L2"),
        ("S3", "vitamin", "L1"),
        ("S4", "vitamin", "L1"),
        ("S8", "vitamin", "L2"),
        ("S8", "mineral", "L3"),
        ("S9", "vitamin", None),
    ],
    columns=["session_id", "substance", "lot"],
)


def days(found: Any, estimand: str, **cell: Any) -> list[tuple[float, float]]:
    """Return events and days at risk: the estimate, its lower and its upper bound."""
    return [(y, pytest.approx(n * MONTH)) for y, n in bounds(found, estimand, **cell)]


def test_time_at_risk_of_all_events_goes_on_after_an_event() -> None:
    found = adverse_event_rates(clinic(), per="patient_month", events="all")
    # E1, E2, E3, E4, E7, E13 (P1), E11 (P3), E14 (P4) in 121 + 81 + 61 + 61 days; P2's 71 are unknown.
    assert days(found, "events_per_patient_month") == [(8, 324), (8, 395), (9, 395)]
    row = found.cell(estimand="events_per_patient_month")
    assert row["unit"] == "patient-months"
    assert row["n_missing"] == 1
    assert row["estimate"] == pytest.approx(8 / (324 / MONTH))


def test_time_at_risk_of_first_events_ends_with_the_day_of_the_event() -> None:
    found = adverse_event_rates(clinic(), per="patient_month")
    # P1 on day 1 (E1), P3 on day 12 (E11), P4 on day 2 (E14), P6 never in 61 days; P2's 71 are unknown: without an event all
    # of them, or one event on the first.
    assert days(found, "first_events_per_patient_month") == [(3, 76), (3, 147), (4, 77)]
    # Garwood's limits of 3 events are 0.618672 and 8.767273 (table of Poisson limits).
    row = found.cell(estimand="first_events_per_patient_month")
    assert row["conf_low"] * row["denominator"] == pytest.approx(0.618672, rel=1e-5)
    assert row["conf_high"] * row["denominator"] == pytest.approx(8.767273, rel=1e-5)
    behind = found.explain(estimand="first_events_per_patient_month")
    assert behind.loc[behind["in_denominator"], "patient_months"].sum() == pytest.approx(76 / MONTH)
    assert behind["in_numerator"].sum() == 3


def test_time_at_risk_ends_at_the_data_cut() -> None:
    # By 20 February: P1 51 days, P2 47, P3 20, P4 20, P6 16. Of P4's and P3's events both were known by then.
    found = adverse_event_rates(clinic().with_cutoff("2024-02-20"), per="patient_month", events="all")
    assert days(found, "events_per_patient_month")[1] == (6, 154)


def test_time_at_risk_for_each_kind_is_its_own() -> None:
    found = adverse_event_rates(clinic(), per="patient_month", of="term")
    # Redness: P1 on day 2; the others to the end. E4's term and day are not known: P1's time is not cut short.
    assert days(found, "first_events_per_patient_month", term="redness")[0] == (1, 324 - 119)
    assert days(found, "first_events_per_patient_month", term="uncoded")[0] == (1, 324)
    assert days(found, "first_events_per_patient_month", term="swelling")[0] == (0, 324)


def test_patients_of_a_practitioner_have_the_events_of_the_sessions() -> None:
    found = adverse_event_rates(clinic(), by="practitioner_id")
    # D1 held S1, S3 (P1) and S4 (P2, unknown); D2 S2 (P1, who spoke up), S5 (P2) and S6 (P3, asked, nothing).
    assert bounds(found, "incidence_proportion", practitioner_id="D1") == [(1, 1), (1, 2), (2, 2)]
    assert bounds(found, "incidence_proportion", practitioner_id="D2") == [(1, 2), (1, 3), (2, 3)]
    # S8 (P3, nothing: E11 is of the no-show S7), S9 (P4, E14), S12 (P6, nothing).
    assert bounds(found, "incidence_proportion", practitioner_id="not recorded") == [(1, 3)] * 3
    assert found.spec["excluded_events"]["no attended session to ascribe it to"] == 2  # E4, E11


def test_time_at_risk_of_a_practitioner_goes_from_session_to_session() -> None:
    found = adverse_event_rates(clinic(), by="practitioner_id", per="patient_month", events="all")
    # D1: P1 10 days to S2 and 61 after S3, with E1, E2, E13; P2 10 days. D2: P1 61 with E3, E7, P3 20 to S8; P2 61.
    assert days(found, "events_per_patient_month", practitioner_id="D1") == [(3, 71), (3, 81), (4, 81)]
    assert days(found, "events_per_patient_month", practitioner_id="D2") == [(2, 81), (2, 142), (3, 142)]
    first = adverse_event_rates(clinic(), by="practitioner_id", per="patient_month")
    # D1: P1 on day 1. D2: P1's E3 on the day after S2, P3 20 days.
    assert days(first, "first_events_per_patient_month", practitioner_id="D1")[0] == (1, 1)
    assert days(first, "first_events_per_patient_month", practitioner_id="D2")[0] == (1, 22)


def test_sessions_and_patients_by_lot() -> None:
    given = clinic(products=PRODUCTS)
    found = adverse_event_rates(given, by="lot", per="session")
    # L1: S1 and S3 with events, S4 unknown. L2: S2 with, S8 without. L3: S8. Without a lot: S5 unknown, S6, S9 with, S12.
    assert bounds(found, "session_proportion", lot="L1") == [(2, 2), (2, 3), (3, 3)]
    assert bounds(found, "session_proportion", lot="L2") == [(1, 2)] * 3
    assert bounds(found, "session_proportion", lot="L3") == [(0, 1)] * 3
    assert bounds(found, "session_proportion", lot="not recorded") == [(1, 3), (1, 4), (2, 4)]
    by_patient = adverse_event_rates(given, by=["lot", "arm"], of="term", only="redness")
    assert counts(by_patient, lot="L1", arm="A", term="redness", estimand="incidence_proportion") == (1, 1)
    assert set(by_patient.estimates["term"]) == {"redness"}


def test_phase_of_the_schedule_is_that_of_the_slot_held() -> None:
    courses = tables()["courses"].assign(protocol="weekly_to_monthly")
    found = adverse_event_rates(clinic(courses=courses), by="phase", per="session")
    # The first four slots are weekly, and no course has more than two sessions; the second visits hold slots too.
    assert set(found.estimates["phase"]) == {"weekly"}
    assert bounds(found, "session_proportion", phase="weekly") == [(4, 7), (4, 9), (6, 9)]
    none = adverse_event_rates(clinic(), by="phase", per="session")
    assert set(none.estimates["phase"]) == {"not recorded"}


def test_phases_stand_in_the_order_of_the_schedule() -> None:
    given = simulate(100, seed=1)
    known = [phase.name for phase in given.vocabulary.protocols["weekly_to_monthly"].phases]
    assert known != sorted(known)
    rates = adverse_event_rates(given, by=["protocol", "phase"], of="term", per="session").estimates
    own = rates[rates["protocol"].eq("weekly_to_monthly")]["phase"]
    assert list(dict.fromkeys(own)) == known
    compared = compare_adverse_events(given, group="phase", per="session", of="class").estimates
    order = list(dict.fromkeys(compared["phase"]))
    assert [name for name in order if name in known] == known
    exposed = exposure_effect(given, outcome="bruising", exposure="phase", reference="monthly").estimates
    order = list(dict.fromkeys(exposed["phase"]))
    assert order[0] == "monthly"
    assert [name for name in order[1:] if name in known] == known[:-1]


def test_phases_of_a_column_of_ones_own_are_sorted_as_any() -> None:
    sessions = tables()["sessions"].assign(phase=["weekly", *["monthly"] * (len(tables()["sessions"]) - 1)])
    found = adverse_event_rates(clinic(sessions=sessions), by="phase", per="session")
    assert list(dict.fromkeys(found.estimates["phase"])) == ["monthly", "weekly"]


def test_kinds_of_another_column_of_the_events() -> None:
    events = tables()["adverse_events"].assign(site=["face", "neck", "face", *[None] * 10])
    given = clinic(adverse_events=events)
    rows = adverse_event_rates(given, of="site").estimates.query("estimand == 'incidence_proportion'")
    # E1, E3 face and E2 neck (P1); the others, of P1, P3 and P4, are not recorded.
    assert rows.set_index("site")["numerator"].to_dict() == {"face": 1, "neck": 1, "not recorded": 3}
    assert adverse_event_rates(given, of="site", only="neck").estimates["site"].unique().tolist() == ["neck"]
    with pytest.raises(ValueError, match="no event of site 'nek'; did you mean 'neck'"):
        adverse_event_rates(given, of="site", only="nek")


def test_lots_need_products() -> None:
    with pytest.raises(ValueError, match="no column 'lot'"):
        adverse_event_rates(clinic(), by="lot")


@pytest.mark.parametrize("per", ["patient", "course", "session", "patient_month"])
@pytest.mark.parametrize("by", [None, "arm", "practitioner_id"])
def test_bounds_hold_the_estimate(per: Any, by: Any) -> None:
    found = adverse_event_rates(clinic(), by=by, per=per)
    wide = found.estimates.assign(
        end=found.estimates["estimand"].str.extract("_(lower|upper)$")[0].fillna("main"), group=""
    ).pivot_table(index=[*found.groups, "group"], columns="end", values="estimate")
    assert (wide["lower"] <= wide["main"]).all()
    assert (wide["main"] <= wide["upper"]).all()


def test_a_frame_in_the_place_of_a_clinic_is_named() -> None:
    with pytest.raises(TypeError, match=r"clinic is a Dataset .* found DataFrame"):
        adverse_event_rates(pd.DataFrame())  # type: ignore[arg-type]


@pytest.mark.parametrize("analysis", [event_durations, onset_after_session])
@pytest.mark.parametrize("column", ["days", "over"])
def test_events_are_explained_by_a_column_of_any_name(analysis: Any, column: str) -> None:
    courses = tables()["courses"].rename(columns={"arm": column})
    found = analysis(clinic(courses=courses), by=column)
    plain = analysis(clinic(), by="arm")
    for value in ("A", "B"):
        ours, theirs = found.explain(**{column: value}), plain.explain(arm=value)
        assert ours[column].eq(value).all()
        assert ours["in_denominator"].tolist() == theirs["in_denominator"].tolist()
