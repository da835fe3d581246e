"""Side effects over time, of a clinic small enough to be counted by hand, and of simulated ones."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from mesostats.adverse_events.durations import event_durations
from mesostats.adverse_events.estimator_panel import adverse_event_estimators
from mesostats.adverse_events.first_events import cumulative_incidence, time_to_first_event
from mesostats.adverse_events.onsets import onset_after_session
from mesostats.adverse_events.rates import adverse_event_rates
from mesostats.adverse_events.repeated_events import mean_cumulative_events
from mesostats.dataset import Dataset
from mesostats.errors import DataError
from mesostats.results import ESTIMATE_COLUMNS, Result
from mesostats.simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Callable

ANALYSES: list[Callable[..., Result]] = [
    cumulative_incidence,
    time_to_first_event,
    mean_cumulative_events,
    event_durations,
    onset_after_session,
    adverse_event_estimators,
]

PATIENTS = {
    # patient: the courses, as (course, arm, sessions, asked, status)
    "P1": [("C1", "A", ["2024-01-01", "2024-01-11"], "yes", "completed")],  # day 71 is the last: 11 + 60
    "P2": [("C2", "A", ["2024-02-01"], "yes", "discontinued")],  # day 61
    "P3": [("C3", "A", ["2024-12-01"], "yes", None)],  # ongoing, censored at the cut: day 31
    "P4": [("C4", "B", ["2024-03-01"], "no", "completed")],  # day 61; spoke up
    "P5": [
        ("C5", "B", ["2024-12-20"], "yes", "discontinued")
    ],  # window not over by the cut: censored on day 12
    "P6": [("C6", "B", ["2024-04-01"], "no", "completed")],  # nobody asked
    "P7": [("C7", "B", ["2024-05-01"], "yes", "completed")],  # day 61
    "P8": [  # day 153 is 1 June; the second course goes on without an end: censored on day 213
        ("C8", "A", ["2024-01-01"], "yes", "completed"),
        ("C9", "A", ["2024-06-01"], "yes", None),
    ],
}
EVENTS = [
    # event, course, session, term, onset, end, severity, outcome
    ("E1", "C1", "C1-1", "bruising", "2024-01-03", "2024-01-05", "mild", "recovered"),
    ("E2", "C1", None, "bruising", "2024-01-03", None, "severe", "recovered"),
    ("E3", "C1", None, "redness", "2024-01-20", None, "mild", "not_recovered"),
    ("E4", "C3", "C3-1", "bruising", "2024-12-10", "2025-01-05", "mild", "recovered"),
    ("E5", "C4", "C4-1", "bruising", "2024-03-01", "2024-03-05", "mild", "recovered"),
    ("E6", "C7", "C7-1", "rash", None, "2024-05-20", "mild", "recovered"),
    ("E7", "C9", "C9-1", "redness", "2024-06-03", "2024-06-10", "fatal", "fatal"),
    ("E8", "C2", "C2-1", "rash", "2024-04-02", None, "mild", None),  # day 62: after the window
]


def tables() -> dict[str, pd.DataFrame]:
    courses, sessions = [], []
    for patient, own in PATIENTS.items():
        for course, arm, dates, asked, status in own:
            ended = dates[-1] if status else None
            courses.append((course, patient, arm, dates[0], status, ended))
            sessions += [
                (f"{course}-{number}", course, date, asked) for number, date in enumerate(dates, start=1)
            ]
    names = ["course_id", "patient_id", "arm", "start_date", "status", "end_date"]
    events = ["event_id", "course_id", "session_id", "term", "onset_date", "end_date", "severity", "outcome"]
    return {
        "patients": pd.DataFrame({"patient_id": [*PATIENTS]}),
        "courses": pd.DataFrame(courses, columns=names).assign(indication="melasma"),
        "sessions": pd.DataFrame(
            sessions, columns=["session_id", "course_id", "date", "adverse_events_asked"]
        ).assign(status="attended"),
        "adverse_events": pd.DataFrame(EVENTS, columns=events),
    }


@cache
def clinic() -> Dataset:
    return Dataset(**tables(), cutoff="2024-12-31")  # type: ignore[arg-type]


def curve(result: Result, estimand: str, **cell: str) -> dict[float, float]:
    """Return estimate by time."""
    rows = result.estimates[result.estimates["estimand"] == estimand]
    for column, value in cell.items():
        rows = rows[rows[column] == value]
    return dict(zip(rows["time"], rows["estimate"], strict=True))


def assert_explained(result: Result) -> None:
    """Every row's counts are the sums of the rows behind it."""
    for row in result.estimates.to_dict("records"):
        cell = {name: row[name] for name in [*result.groups, "estimand"]}
        rows = result.explain(**cell, **({} if np.isnan(row["time"]) else {"time": row["time"]}))
        counted = "days_at_risk" if row["unit"] == "patient-days" else "in_denominator"
        happened = "events" if "events" in rows else "in_numerator"
        assert rows[counted].sum() == row["denominator"]
        assert rows[happened].sum() == (0 if np.isnan(row["numerator"]) else row["numerator"])
        assert rows["excluded"].eq("").eq(rows["in_denominator"]).all()


def test_cumulative_incidence_is_that_counted_by_hand() -> None:
    found = cumulative_incidence(clinic(), by="arm")
    # A: P1 has it on day 3, P3 on day 10; P2 leaves on day 61; P8 has it on day 155.
    assert curve(found, "cumulative_incidence", arm="A") == pytest.approx(
        {3: 1 / 4, 10: 1 / 2, 61: 1 / 2, 155: 3 / 4}
    )
    dropped = curve(found, "cumulative_incidence_dropped_out", arm="A")
    assert dropped == pytest.approx({3: 0, 10: 0, 61: 1 / 4, 155: 1 / 4})
    assert set(curve(found, "cumulative_incidence_completed", arm="A").values()) == {0}
    # B: P4 on day 1, P5 censored on day 12; of P6 nobody knows, of P7 not when.
    assert curve(found, "cumulative_incidence", arm="B") == pytest.approx({1: 1 / 2, 12: 1 / 2})
    assert curve(found, "cumulative_incidence_lower", arm="B") == pytest.approx(
        {1: 1 / 3, 12: 1 / 3, 61: 1 / 3}
    )
    assert curve(found, "cumulative_incidence_upper", arm="B") == pytest.approx({1: 2 / 3, 12: 2 / 3})
    assert found.cell(arm="A", estimand="cumulative_incidence", time=155)["n_missing"] == 0
    assert found.cell(arm="B", estimand="cumulative_incidence", time=12)["n_missing"] == 2
    assert found.spec["excluded_events"] == {"onset more than 60 days after the last attended session": 1}
    assert_explained(found)


def test_a_kind_of_event_comes_whatever_came_before() -> None:
    found = cumulative_incidence(clinic(), by="arm", of="term", only="redness")
    assert found.groups == ["arm", "term"]
    # P1 on day 20, P3 censored on 31, P2 left on 61, P8 on 155: S is 3/4, 3/4, 3/8, 0.
    assert curve(found, "cumulative_incidence", arm="A") == pytest.approx(
        {20: 1 / 4, 31: 1 / 4, 61: 1 / 4, 155: 5 / 8}
    )
    none = curve(found, "cumulative_incidence", arm="B")
    assert none == {12: 0, 61: 0}  # P4, P7 complete on day 61
    assert curve(found, "cumulative_incidence_completed", arm="B") == pytest.approx({12: 0, 61: 1})
    assert_explained(found)


def test_all_terms_of_the_vocabulary_have_curves() -> None:
    found = cumulative_incidence(clinic(), of="term")
    assert set(found.estimates["term"]) == {*clinic().vocabulary.adverse_events}
    by_severity = cumulative_incidence(clinic(), of="severity").estimates
    last = by_severity.query("estimand == 'cumulative_incidence'").groupby("severity")["numerator"].sum()
    # The first of each severity: P1 mild and severe; P3, P4 mild; P7 mild on an unknown day; P8 fatal.
    assert last.to_dict() == {"mild": 3, "moderate": 0, "severe": 1, "life_threatening": 0, "fatal": 1}


def test_time_to_first_event_takes_ends_as_censoring() -> None:
    found = time_to_first_event(clinic(), by="arm")
    assert curve(found, "event_free", arm="A") == pytest.approx({3: 3 / 4, 10: 1 / 2, 61: 1 / 2, 155: 0})
    # S is 1/2 from day 10 until day 155: the middle.
    assert found.cell(arm="A", estimand="median_time_to_first_event")["estimate"] == 82.5
    assert curve(found, "event_free_lower", arm="B") == pytest.approx({1: 1 / 3, 12: 1 / 3})
    assert curve(found, "event_free_upper", arm="B") == pytest.approx({1: 2 / 3, 12: 2 / 3, 61: 2 / 3})
    test = found.cell(arm="all groups", estimand="logrank_test")
    # One event of B on day 1, when 4 of A and 2 of B are at risk; then B has one, until day 12: on days 3 and 10 of
    # 4 and 3, then alone. Expected in A: 4/6 + 3... by hand: 4/6 + 4/5 + 3/4 + 1; variance 2/9 + 4/25 + 3/16.
    difference = 3 - (4 / 6 + 4 / 5 + 3 / 4 + 1)
    assert test["statistic"] == pytest.approx(difference**2 / (2 / 9 + 4 / 25 + 3 / 16))
    assert (test["df"], test["numerator"], test["denominator"]) == (1, 4, 6)
    assert_explained(found)


def test_mean_cumulative_events_are_those_counted_by_hand() -> None:
    found = mean_cumulative_events(clinic(), by="arm")
    # A: two events of P1 on day 3, one of P3 on day 10, of P1 on day 20, of four; of P8 alone on day 155.
    expected = {3: 1 / 2, 10: 3 / 4, 20: 1, 31: 1, 61: 1, 71: 1, 155: 2, 213: 2}
    assert curve(found, "mean_cumulative_events", arm="A") == pytest.approx(expected)
    assert curve(found, "mean_cumulative_events", arm="B") == pytest.approx({1: 1 / 3, 12: 1 / 3, 61: 1 / 3})
    rows = found.estimates[found.estimates["arm"] == "B"]
    assert rows["note"].str.contains("1 events of unknown onset not counted").all()
    assert rows["n_missing"].eq(1).all()
    assert_explained(found)


def test_event_durations_are_those_counted_by_hand() -> None:
    found = event_durations(clinic(), by="arm")
    # A: E1 3 days; E2 over on an unknown day; E3 open when P1 was last seen on 11 March: 52; E4 open at the cut: 22; E7
    # ended with death after 8. Of 3, 8+, 22+, 52+ one resolves.
    assert curve(found, "unresolved", arm="A") == pytest.approx({3: 3 / 4, 8: 3 / 4, 22: 3 / 4, 52: 3 / 4})
    assert curve(found, "unresolved", arm="B") == {5: 0}
    assert found.cell(arm="A", estimand="median_duration")["note"] == "not reached"
    assert found.cell(arm="B", estimand="median_duration")["estimate"] == 5
    missing = found.explain(arm="A").set_index("event_id")["excluded"]
    assert missing[missing != ""].to_dict() == {"E2": "over on an unknown day"}
    assert found.estimates.groupby("arm")["n_missing"].max().to_dict() == {"A": 1, "B": 1}
    assert_explained(found)


def test_an_event_that_ends_before_its_onset_is_not_analysed() -> None:
    changed = tables()
    changed["adverse_events"].loc[0, "end_date"] = "2024-01-02"
    found = event_durations(Dataset(**changed, cutoff="2024-12-31"), by="arm")  # type: ignore[arg-type]
    assert found.explain(arm="A").set_index("event_id").loc["E1", "excluded"] == "ended before its onset"


def test_onset_after_session_is_that_counted_by_hand() -> None:
    found = onset_after_session(clinic())
    # Days after the session: E1 2, E2 2 (the session before), E3 9 (the second), E4 9, E5 0, E7 2; E6 unknown.
    rows = found.estimates[found.estimates["estimand"] == "onset_share"].set_index("time")
    assert rows["numerator"].to_dict() == {0: 1, 1: 0, 3: 3, 7: 0, 14: 2, 30: 0, 60: 0}
    assert rows["denominator"].eq(6).all()
    assert rows["n_missing"].eq(1).all()
    assert rows.loc[7, "note"].startswith("days 4 to 7")
    quartiles = [
        found.cell(estimand=name)["estimate"]
        for name in ("onset_quartile_1", "median_onset", "onset_quartile_3")
    ]
    assert quartiles == [2, 2, 9]
    assert_explained(found)
    later = onset_after_session(clinic(), follow_up_days=90).estimates
    assert later["time"].max() == 90


def test_onset_before_the_session_is_not_analysed() -> None:
    changed = tables()
    changed["adverse_events"].loc[2, "session_id"] = "C1-2"
    changed["adverse_events"].loc[2, "onset_date"] = "2024-01-10"
    found = onset_after_session(Dataset(**changed, cutoff="2024-12-31"))  # type: ignore[arg-type]
    assert found.explain().set_index("event_id").loc["E3", "excluded"] == "onset before its session"


@pytest.mark.parametrize("analysis", ANALYSES)
def test_analyses_of_event_times_keep_the_contract(analysis: Callable[..., Result]) -> None:
    found = analysis(clinic(), by="arm", of="severity")
    assert list(found.estimates.columns) == ["arm", "severity", *ESTIMATE_COLUMNS]
    assert found.spec["analysis"] == analysis.__name__
    assert found.spec["cutoff"] == "2024-12-31"
    assert {"title", "arguments", "population", "rules", "primary", "references", "labels"} <= {*found.spec}
    assert (found.estimates["estimand"] == found.spec["primary"]).any()
    unknown = found.estimates["estimate"].isna() & found.estimates["statistic"].isna()
    assert found.estimates.loc[unknown, "note"].ne("").all()


@pytest.mark.parametrize("analysis", ANALYSES)
def test_analyses_of_event_times_refuse_wrong_arguments(analysis: Callable[..., Result]) -> None:
    with pytest.raises(
        ValueError, match="group by columns of patients and courses, found 'practitioner_id' of sessions"
    ):
        analysis(clinic(), by="practitioner_id")
    with pytest.raises(ValueError, match="no column 'arms'"):
        analysis(clinic(), by="arms")
    with pytest.raises(ValueError, match="bruising"):
        analysis(clinic(), of="term", only="brusing")
    with pytest.raises(ValueError, match="follow_up_days"):
        analysis(clinic(), follow_up_days=-1)
    with pytest.raises(ValueError, match="conf_level == 95"):
        analysis(clinic(), conf_level=95)
    silent = {name: table for name, table in tables().items() if name != "adverse_events"}
    with pytest.raises(DataError, match="adverse_events"):
        analysis(Dataset(**silent, cutoff="2024-12-31"))  # type: ignore[arg-type]


@pytest.mark.parametrize("analysis", ANALYSES)
@pytest.mark.parametrize("kept", [[], ["P2"], ["P6"]])
def test_clinics_without_patients_or_events_have_rows_with_notes(
    analysis: Callable[..., Result], kept: list[str]
) -> None:
    """Nobody; one patient without an event; one whom nobody asked, but nobody else either."""
    whole = tables()
    courses = whole["courses"]
    courses = courses[courses["patient_id"].isin(kept)]
    own = {"patients": whole["patients"][whole["patients"]["patient_id"].isin(kept)], "courses": courses}
    own |= {
        name: whole[name][whole[name]["course_id"].isin(courses["course_id"])]
        for name in ("sessions", "adverse_events")
    }
    found = analysis(Dataset(**own, cutoff="2024-12-31"), by=None)  # type: ignore[arg-type]
    assert len(found.estimates) >= 1
    primary = found.estimates[found.estimates["estimand"] == found.spec["primary"]]
    assert primary["numerator"].fillna(0).eq(0).all()
    assert primary["note"].ne("").all() or primary["conf_low"].notna().all()
    by_arm = analysis(Dataset(**own, cutoff="2024-12-31"), by="arm")  # type: ignore[arg-type]
    assert list(by_arm.estimates.columns) == ["arm", *ESTIMATE_COLUMNS]


@cache
def finished() -> Dataset:
    """Return a simulated clinic as it is known long after the last session: nobody is censored."""
    clinic = simulate(150, seed=11)
    states = clinic.table("courses")
    states["status"] = states["status"].where(
        states["status"].isin(["completed", "discontinued"]), "completed"
    )
    states["end_date"] = states["end_date"].fillna(clinic.table("sessions")["date"].max())
    own = {name: clinic.table(name) for name in clinic.names} | {"courses": states}
    return Dataset(**own, cutoff="2035-01-01")  # type: ignore[arg-type]


@pytest.mark.parametrize(("by", "of"), [("sex", "any"), ("indication", "term"), (None, "class")])
def test_without_censoring_the_last_estimate_is_the_incidence_proportion(by: str | None, of: Any) -> None:
    clinic = finished()
    proportions = adverse_event_rates(clinic, by=by, of=of).estimates.query(
        "estimand == 'incidence_proportion'"
    )
    found = cumulative_incidence(clinic, by=by, of=of)
    curves = found.estimates.query("estimand == 'cumulative_incidence'")
    last = curves.sort_values("time").groupby(found.groups or "estimand")["estimate"].last()
    expected = proportions.set_index(found.groups or "estimand")["estimate"]
    if not found.groups:
        assert last.tolist() == pytest.approx(expected.tolist())
    else:
        np.testing.assert_allclose(last.loc[expected.index], expected, atol=1e-12)
    assert expected.max() > 0.1


def test_one_minus_kaplan_meier_is_never_below_the_cumulative_incidence() -> None:
    found = cumulative_incidence(simulate(300, seed=4), by="sex")
    km = time_to_first_event(simulate(300, seed=4), by="sex")
    for sex in ("female", "male"):
        incidence, free = curve(found, "cumulative_incidence", sex=sex), curve(km, "event_free", sex=sex)
        assert [*incidence] == [*free]
        assert all(incidence[day] <= 1 - free[day] + 1e-12 for day in incidence)


def test_data_cut_moves_what_is_known() -> None:
    # By 31 January P1 and P8 of arm A have begun; P1's events are known, and nobody's window is over.
    found = cumulative_incidence(clinic().with_cutoff("2024-01-31"))
    assert curve(found, "cumulative_incidence") == pytest.approx({3: 1 / 2, 31: 1 / 2})


def test_a_patient_of_two_groups_is_followed_in_each() -> None:
    changed = tables()
    changed["courses"].loc[changed["courses"]["course_id"] == "C9", "arm"] = "B"
    found = time_to_first_event(Dataset(**changed, cutoff="2024-12-31"), by="arm")  # type: ignore[arg-type]
    # P8 completed in A on day 61 without an event; in B the third day of the second course is day 3.
    assert found.explain(arm="A").set_index("patient_id").loc["P8", ["time", "end"]].tolist() == [
        61,
        "completed",
    ]
    assert found.explain(arm="B").set_index("patient_id").loc["P8", ["time", "end"]].tolist() == [3, "event"]
