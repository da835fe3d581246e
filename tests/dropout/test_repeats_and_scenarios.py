"""Who came back for a repeat course, and how far retention depends on the choices made: by hand, and at the limits."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from mesostats.dropout.repeat_courses import return_for_repeat
from mesostats.dropout.retention import retention
from mesostats.dropout.scenarios import dropout_sensitivity
from mesostats.results import ESTIMATE_COLUMNS
from mesostats.simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesostats.dataset import Dataset


def _done(patient: str, last: int, **more: Any) -> dict[str, Any]:
    days = [last - 8, last - 6, last - 4, last - 2, last]
    return {"days": days, "start_date": last - 8, "patient_id": patient, "arm": "A", **more}


def _next(patient: str, day: int, **more: Any) -> dict[str, Any]:
    return {"days": [day], "start_date": day, "patient_id": patient, "arm": "A", **more}


# All completed on day 20 but for P6; the data cut is day 220: P6 was followed for 60 days only.
REPEATS = [
    _done("P1", 20),
    _next("P1", 120),  # after 100 days: in the window
    _done("P2", 20),
    _next("P2", 70),  # after 50 days: before the window
    _done("P3", 20),
    _next("P3", 215),  # after 195 days: after the window
    _done("P4", 20),  # not back
    _done("P5", 20),
    _next("P5", 130, indication="wrinkles"),  # another indication
    _done("P6", 160),  # not yet due
    {"days": [], "start_date": 0, "status": "completed", "end_date": 1, "patient_id": "P7", "arm": "A"},
]


@pytest.fixture(scope="module")
def repeats(build: Callable[..., Dataset]) -> Dataset:
    return build(REPEATS, cut=220)


def test_return_for_repeat_by_hand(repeats: Dataset) -> None:
    found = return_for_repeat(repeats, by="arm")
    curve = found.estimates.query("estimand == 'returned'")
    # Six followed; one back on day 50; one censored on day 60; of four one back on day 100; one of three on day 195.
    shares = [1 / 6, 1 / 6, 1 - 5 / 6 * 3 / 4, 1 - 5 / 6 * 3 / 4 * 2 / 3, 1 - 5 / 6 * 3 / 4 * 2 / 3]
    assert curve["time"].tolist() == [50, 60, 100, 195, 200]
    np.testing.assert_allclose(curve["estimate"], shares, rtol=1e-12)
    assert curve["denominator"].tolist() == [6, 5, 4, 3, 2]
    assert set(curve["n_missing"]) == {1}
    inside = found.cell(arm="A", estimand="returned_in_window")
    assert inside[["time", "numerator", "denominator"]].tolist() == [180, 1, 6]
    assert inside["estimate"] == pytest.approx(5 / 6 / 4, rel=1e-12)
    before = found.cell(arm="A", estimand="returned_before_window")
    assert before["estimate"] == pytest.approx(1 / 6, rel=1e-12)


def test_return_for_any_indication_and_another_window(repeats: Dataset) -> None:
    any_course = return_for_repeat(repeats, match=None)
    # P5 came back after 110 days: of the four at risk on day 100 one came, of the three on day 110 one.
    assert any_course.cell(estimand="returned_in_window")["numerator"] == 2
    assert any_course.cell(estimand="returned_in_window")["estimate"] == pytest.approx(5 / 6 * 1 / 2)
    early = return_for_repeat(repeats, window_days=(30, 60))
    assert early.cell(estimand="returned_in_window")["estimate"] == pytest.approx(1 / 6)
    assert early.cell(estimand="returned_before_window")["estimate"] == 0


def test_return_for_repeat_says_where_the_window_was_not_reached(build: Callable[..., Dataset]) -> None:
    recent = return_for_repeat(build([_done("P1", 80), _done("P2", 90)]))
    rows = recent.estimates.query("estimand != 'returned'")
    assert rows["estimate"].isna().all()
    assert rows["note"].str.contains("nobody was followed to the window's end").all()
    nobody = return_for_repeat(build([_next("P1", 95)]), by="arm").estimates
    assert nobody.empty
    whole = return_for_repeat(build([_next("P1", 95)])).estimates
    assert whole["note"].eq("no completed course to analyse").all()
    back = return_for_repeat(build([_done("P1", 10), _next("P1", 40)])).cell(
        estimand="returned_before_window"
    )
    assert back["estimate"] == 1  # nobody is left to follow: it is known


def test_a_course_that_began_before_the_end_is_no_repeat(build: Callable[..., Dataset]) -> None:
    found = return_for_repeat(build([_done("P1", 50), _next("P1", 45), _next("P1", 50)], cut=400))
    assert found.estimates.query("estimand == 'returned'")["numerator"].sum() == 0


def test_returns_of_simulated_clinics_are_those_of_plain_pandas() -> None:
    clinic = simulate(2_000, seed=2)
    result = return_for_repeat(clinic, match=None, window_days=(1, 400))
    rows = result.explain()
    sessions = clinic.table("sessions").query("status == 'attended'")
    spans = sessions.groupby("course_id")["date"].agg(["min", "max"])
    courses = clinic.table("courses")[["course_id", "patient_id"]].join(spans, on="course_id").dropna()
    pairs = rows.merge(courses, on=["course_id"]).merge(
        courses, left_on="patient_id_x", right_on="patient_id"
    )
    later = pairs[pairs["min_y"] > pairs["max_x"]]
    days = (later["min_y"] - later["max_x"]).dt.days.groupby(later["course_id_x"]).min()
    back = rows[rows["event"] == 1].set_index("course_id")["time"]
    assert len(back) > 50
    assert back.sort_index().to_dict() == days.sort_index().to_dict()


@pytest.mark.parametrize("window", [(180, 90), (0, 90), (90.5, 180), (90,)])
def test_return_for_repeat_refuses_windows(repeats: Dataset, window: Any) -> None:
    with pytest.raises(ValueError, match="window_days is"):
        return_for_repeat(repeats, window_days=window)


def test_explain_of_returns_adds_up(repeats: Dataset) -> None:
    result = return_for_repeat(repeats, by="arm")
    for row in result.estimates.to_dict("records"):
        rows = result.explain(arm=row["arm"], estimand=row["estimand"], time=row["time"])
        assert rows["in_denominator"].sum() == row["denominator"]
        assert rows["in_numerator"].sum() == row["numerator"]
        assert rows["excluded"].eq("").eq(rows["in_denominator"]).all()


# --- sensitivity: five sessions 1 to 7 days apart, a grace of 14 days, the data cut on day 100 -----------------------------

CHOICES = [
    {"days": [0, 4, 8, 12, 16], "start_date": 0, "arm": "A"},  # completed
    {
        "days": [0, 4],
        "start_date": 0,
        "arm": "A",
    },  # overdue since day 11, by 89 days: dropped out with any grace
    {
        "days": [60, 64],
        "start_date": 60,
        "arm": "A",
    },  # window closed on 71: overdue by 29, past a grace of 14 and 28 only
    {"days": [88, 92], "start_date": 88, "arm": "A"},  # ongoing; not settled
]


def test_dropout_sensitivity_by_hand(build: Callable[..., Dataset]) -> None:
    found = dropout_sensitivity(build(CHOICES), at=3, by="arm", earlier_cuts=[25])
    rows = found.estimates.query("estimand == 'retention'").set_index("scenario")
    assert [*rows.index] == [
        *("base", "first_missed", "grace_x2", "grace_x3", "cut_25_days_earlier", "follow_up_all")
    ]
    # Base: two of three lost at session 3 (the fourth course is known up to its first sessions only). With a grace of 42 the third
    # course is ongoing, as it is on day 75.
    assert rows["numerator"].tolist() == [2, 2, 2, 1, 1, 2]
    assert rows["estimate"].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1 / 2, 1 / 2, 1 / 3])
    changes = found.estimates.query("estimand == 'change_from_base'").set_index("scenario")["estimate"]
    assert changes["grace_x3"] == pytest.approx(1 / 6)
    assert changes.drop(["grace_x3", "cut_25_days_earlier"]).abs().max() == 0
    assert [*found.estimates.columns] == ["arm", "scenario", *ESTIMATE_COLUMNS]


def test_dropout_sensitivity_by_day_moves_with_the_dropout_date(build: Callable[..., Dataset]) -> None:
    found = dropout_sensitivity(build(CHOICES), at=8, time="day")
    rows = found.estimates.query("estimand == 'retention'").set_index("scenario")
    # Last attended on day 4 of treatment, the window missed on day 11: at day 8 still kept.
    assert rows.loc["base", "estimate"] == pytest.approx(1 / 3)
    assert rows.loc["first_missed", "estimate"] == 1


@pytest.mark.parametrize(("time", "at"), [("session", 4), ("day", 20)])
def test_dropout_sensitivity_is_retention_under_each_choice(time: Any, at: int) -> None:
    clinic = simulate(400, seed=6)
    found = dropout_sensitivity(clinic, at=at, time=time, by="protocol").estimates
    found = found[found["estimand"] == "retention"].set_index(["scenario", "protocol"])
    earlier = clinic.with_cutoff(clinic.cutoff - dt.timedelta(days=90))
    cases = {
        "base": retention(clinic, by="protocol", time=time),
        "first_missed": retention(clinic, by="protocol", time=time, dropout_date="first_missed"),
        "follow_up_all": retention(clinic, by="protocol", time=time, follow_up="all"),
        "cut_90_days_earlier": retention(earlier, by="protocol", time=time),
    }
    columns = ["estimate", "std_error", "conf_low", "conf_high"]
    for name, result in cases.items():
        curve = result.estimates[result.estimates["estimand"] == "retention"]
        expected = curve[curve["time"] <= at].groupby("protocol")[columns].last()
        pd.testing.assert_frame_equal(
            found.loc[name, columns].sort_index().rename_axis("protocol"), expected, check_exact=True
        )
    assert clinic.vocabulary.protocols["short_course"].phases[0].grace == 14  # the caller's is unchanged


@pytest.mark.parametrize("courses", [[], CHOICES[:1], [{"days": [], "start_date": 99, "arm": "A"}]])
def test_dropout_sensitivity_at_its_limits(build: Callable[..., Dataset], courses: list[Any]) -> None:
    clinic = build(courses)
    for at, time in ((3, "session"), (9, "session"), (0, "day"), (500, "day")):
        for by in (None, "arm"):
            found = dropout_sensitivity(clinic, at=at, time=time, by=by).estimates  # type: ignore[arg-type]
            assert found.loc[found["estimate"].isna(), "note"].ne("").all()
            assert len(found) == (0 if not courses and by else 13)


def test_explain_of_scenarios_adds_up(build: Callable[..., Dataset]) -> None:
    result = dropout_sensitivity(build(CHOICES), at=3, by="arm")
    for row in result.estimates.to_dict("records"):
        rows = result.explain(arm="A", scenario=row["scenario"], estimand=row["estimand"])
        assert rows["in_denominator"].sum() == row["denominator"]
        assert rows["in_numerator"].sum() == row["numerator"]
        assert rows["excluded"].eq("").eq(rows["in_denominator"]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"at": 0}, "at is a session, from 1; found 0"),
        ({"at": 2.5}, "at is a session"),
        ({"at": -1, "time": "day"}, "at is a day, from 0; found -1"),
        ({"at": 3, "grace": [0]}, "grace holds different factors above 0"),
        ({"at": 3, "grace": [2, 2]}, "grace holds different"),
        ({"at": 3, "earlier_cuts": [0]}, "earlier_cuts holds"),
        ({"at": 3, "by": "scenario"}, "cannot group by 'scenario'"),
        ({"at": 3, "time": "week"}, "time is one of session, day"),
    ],
)
def test_dropout_sensitivity_checks_its_arguments(
    build: Callable[..., Dataset], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        dropout_sensitivity(build(CHOICES), **arguments)
