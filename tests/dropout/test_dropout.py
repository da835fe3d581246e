"""Retention and dropout against hand calculation and R's survfit; their contract, their limits, their errors."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from mesostats.dataset import Dataset
from mesostats.dropout.retention import dropout_by_session, retention
from mesostats.populations import NOT_RECORDED
from mesostats.results import ESTIMATE_COLUMNS, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REFERENCE = Path(__file__).parents[1] / "reference"
DAY_0 = dt.date(2024, 1, 1)
ESTIMANDS = ("attendance", "dropout_hazard", "retention")

Row = dict[str, Any]


def date(day: float | None) -> dt.date | None:
    return None if day is None else DAY_0 + dt.timedelta(days=int(day))


def tables(courses: Sequence[Row]) -> dict[str, pd.DataFrame]:
    """Make tables of courses: ``days`` of attended sessions, and columns of courses with dates as days."""
    names = ["protocol", "start_date", "status", "end_date", "arm"]
    frame = pd.DataFrame([{"protocol": "short_course", **each} for each in courses], columns=[*names, "days"])
    frame["course_id"] = [f"C{place:03d}" for place in range(len(courses))]
    for name in ("start_date", "end_date"):
        frame[name] = [date(None if pd.isna(day) else day) for day in frame[name]]
    visits = frame[["course_id", "days"]].explode("days").dropna()
    return {
        "patients": pd.DataFrame({"patient_id": ["P1"]}),
        "courses": frame.drop(columns="days").assign(patient_id="P1", indication="melasma"),
        "sessions": pd.DataFrame(
            {
                "session_id": [f"S{place}" for place in range(len(visits))],
                "course_id": visits["course_id"].astype("str"),
                "date": [date(day) for day in visits["days"]],
                "status": "attended",
            }
        ),
    }


def make_clinic(courses: Sequence[Row], cut: int = 100) -> Dataset:
    return Dataset(**tables(courses), cutoff=date(cut))


def numbers(result: Result, estimand: str, columns: list[str], **cell: Any) -> list[list[float]]:
    rows = result.estimates[result.estimates["estimand"] == estimand]
    for name, value in cell.items():
        rows = rows[rows[name] == value]
    found: list[list[float]] = rows[columns].to_numpy(float).tolist()
    return found


# --- by hand: five sessions 1 to 7 days apart, a grace of 14 days, the data cut on day 100 ----------------------------------

ARM_A = [
    {"days": [10, 14, 18, 22, 26], "start_date": 10},  # completed
    {"days": [60, 64, 68], "start_date": 60},  # window closed on 75, overdue by 25: dropped out
    {"days": [85, 90, 95], "start_date": 85},  # window open to 102: ongoing
    {"days": [], "start_date": 50},  # window closed on 57: dropped out before the first session
    {"days": [], "start_date": 95},  # window open to 102: ongoing
    {"days": [40], "start_date": 40, "status": "discontinued", "end_date": 43},  # dropped out, before 40 + 7
    {"days": [30, 33], "start_date": 30, "status": "completed", "end_date": 35},  # completed after two
]
ARM_B = [{"days": [], "start_date": 95}, {"days": [], "start_date": 99}]  # nobody is due yet
NO_ARM = [{"days": [20, 22, 24, 26, 28], "start_date": 20}]
HAND = [
    *({**each, "arm": "A"} for each in ARM_A),
    *({**each, "arm": "B"} for each in ARM_B),
    *({**each, "arm": None} for each in NO_ARM),
]


@pytest.fixture(scope="module")
def clinic() -> Dataset:
    return make_clinic(HAND)


def test_dropout_by_session_by_hand(clinic: Dataset) -> None:
    steps = dropout_by_session(clinic, by="arm", follow_up="all")
    columns = ["time", "numerator", "denominator", "n_missing", "estimate"]
    # Session 1: five came, the fourth course was lost; the fifth is not due. Session 2: the sixth is lost. Session 3: the
    # seventh was completed before. Session 4: the second is lost, the third not due.
    assert numbers(steps, "attendance", columns, arm="A") == [
        *([1, 5, 6, 1, 5 / 6], [2, 4, 5, 0, 4 / 5], [3, 3, 3, 0, 1], [4, 1, 2, 1, 1 / 2], [5, 1, 1, 0, 1]),
    ]
    assert numbers(steps, "dropout_hazard", columns, arm="A") == [
        *([1, 1, 6, 1, 1 / 6], [2, 1, 5, 0, 1 / 5], [3, 0, 3, 0, 0], [4, 1, 2, 1, 1 / 2], [5, 0, 1, 0, 0]),
    ]
    kept = [5 / 6, 5 / 6 * 4 / 5, 2 / 3, 2 / 3 / 2, 1 / 3]
    found = np.array(numbers(steps, "retention", ["estimate", "numerator", "denominator"], arm="A"))
    np.testing.assert_allclose(found[:, 0], kept, rtol=1e-12)
    assert found[:, 1:].tolist() == [[1, 6], [1, 5], [0, 3], [1, 2], [0, 1]]
    # Greenwood at session 2: (2/3)² (1/(6·5) + 1/(5·4)) = 4/9 · 1/12 = 1/27.
    second = steps.cell(arm="A", estimand="retention", time=2)
    assert second["std_error"] == pytest.approx(27**-0.5, rel=1e-12)
    assert set(steps.estimates["unit"]) == {"courses"}


def test_dropout_by_session_shows_a_group_in_which_nobody_is_due(clinic: Dataset) -> None:
    rows = dropout_by_session(clinic, by="arm", follow_up="all").estimates.query("arm == 'B'")
    assert sorted(rows["estimand"]) == sorted(ESTIMANDS)
    assert rows[["time", "denominator", "n_missing"]].to_numpy().tolist() == [[1, 0, 2]] * 3
    assert rows[["estimate", "conf_low", "conf_high"]].isna().all(axis=None)
    assert rows["note"].ne("").all()


def test_dropout_by_session_shows_those_without_a_group(clinic: Dataset) -> None:
    steps = dropout_by_session(clinic, by="arm", follow_up="all")
    found = numbers(steps, "attendance", ["time", "numerator", "denominator"], arm=NOT_RECORDED)
    assert found == [[session, 1, 1] for session in range(1, 6)]


def test_retention_by_session_by_hand(clinic: Dataset) -> None:
    kept = retention(clinic, by="arm", time="session", follow_up="all")
    # The fifth course of arm A is due at no session yet. The curve falls to 1/2 or below at session 4.
    found = numbers(kept, "retention", ["time", "numerator", "denominator"], arm="A")
    assert found == [[1, 1, 6], [2, 1, 5], [3, 0, 3], [4, 1, 2], [5, 0, 1]]
    estimates = np.ravel(numbers(kept, "retention", ["estimate"], arm="A"))
    np.testing.assert_allclose(estimates, [5 / 6, 2 / 3, 2 / 3, 1 / 3, 1 / 3], rtol=1e-12)
    median = kept.cell(arm="A", estimand="median_retention")
    assert median[["estimate", "numerator", "denominator", "n_missing"]].tolist() == [4, 3, 6, 1]
    assert median["note"].startswith("median in sessions")


# Days from the first to the last attended session: 16 (completed), 8 (event), 10 (ongoing), 0 (event), 3 (completed);
# to the day of the missed session: 75 - 60 = 15 and 43 - 40 = 3 (events), and 100 - 85 = 15 where the window is still open.
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            "last_attended",
            [[0, 1, 5, 4 / 5], [3, 0, 4, 4 / 5], [8, 1, 3, 8 / 15], [10, 0, 2, 8 / 15], [16, 0, 1, 8 / 15]],
        ),
        ("first_missed", [[3, 1, 5, 4 / 5], [15, 1, 3, 8 / 15], [16, 0, 1, 8 / 15]]),
    ],
)
def test_retention_by_day_by_hand(clinic: Dataset, rule: Any, expected: list[list[float]]) -> None:
    kept = retention(clinic, by="arm", time="day", dropout_date=rule, follow_up="all")
    found = numbers(kept, "retention", ["time", "numerator", "denominator", "estimate"], arm="A")
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert set(kept.estimates.query("arm == 'A'")["n_missing"]) == {2}
    median = kept.cell(arm="A", estimand="median_retention")
    assert np.isnan(median["estimate"])
    assert "not reached" in median["note"]


def test_retention_by_day_without_a_treated_course(clinic: Dataset) -> None:
    rows = retention(clinic, by="arm", time="day", follow_up="all").estimates.query("arm == 'B'")
    assert list(rows["estimand"]) == ["retention", "median_retention", "restricted_mean"]
    assert rows["estimate"].isna().all()
    assert rows["n_missing"].tolist() == [2, 2, 2]
    assert rows["note"].ne("").all()


def test_retention_by_day_censors_at_the_cut_while_the_window_is_open() -> None:
    # On day 96 the window of a course last seen on day 95 is open to 102: kept for 96 - 90 = 6 days so far. On day 110 it
    # has closed, and the grace has not: kept for 102 - 90 = 12 days, and nothing is known after that.
    clinic = make_clinic([{"days": [90, 95], "start_date": 90}])
    for cut, days in ((96, 6), (110, 12)):
        kept = retention(
            clinic.with_cutoff(str(date(cut))), time="day", dropout_date="first_missed", follow_up="all"
        )
        assert numbers(kept, "retention", ["time", "numerator", "denominator"]) == [[days, 0, 1]]


# --- R ------------------------------------------------------------------------------------------------------------------


def freireich() -> pd.DataFrame:
    people = pd.read_csv(REFERENCE / "people.csv")
    return people[people["set"] == "freireich"]


def by_days(time: int, event: int) -> Row:
    return {"days": [0, time], "status": "discontinued" if event else "completed", "end_date": time}


def by_sessions(time: int, event: int) -> Row:
    return {"days": list(range(time - event)), "status": "discontinued" if event else "completed"}


@pytest.mark.parametrize(
    ("course", "arguments"),
    [
        (by_days, {"time": "day", "dropout_date": "last_attended"}),
        (by_days, {"time": "day", "dropout_date": "first_missed"}),
        (by_sessions, {"time": "session"}),
    ],
    ids=["last attended", "first missed", "session"],
)
def test_retention_agrees_with_r(course: Callable[[int, int], Row], arguments: dict[str, Any]) -> None:
    # Courses whose times are the weeks of Freireich's trial; tests/reference/make_reference.R made the curve and median.
    rows = [
        {**course(int(time), int(event)), "protocol": None, "start_date": 0}
        for time, event in freireich()[["time", "event"]].to_numpy()
    ]
    kept = retention(make_clinic(rows), follow_up="all", **arguments)
    expected = pd.read_csv(REFERENCE / "kaplan_meier.csv").query(
        "set == 'freireich' and conf_type == 'log-log' and conf_level == 0.95"
    )
    columns = ["time", "numerator", "denominator", "estimate", "std_error", "conf_low", "conf_high"]
    names = {"events": "numerator", "at_risk": "denominator"}
    found = pd.DataFrame(numbers(kept, "retention", columns), columns=columns).set_index("time")
    # Over sessions there is a row for each, also where R has none because nobody dropped out or was censored.
    assert (found.drop(expected["time"])["numerator"] == 0).all()
    expected = expected.rename(columns=names)[columns].set_index("time")
    np.testing.assert_allclose(found.loc[expected.index], expected, rtol=1e-8, atol=1e-12)
    median = kept.cell(estimand="median_retention")
    assert median[["estimate", "conf_low", "conf_high"]].tolist() == [12, 8, 17]


# --- properties -----------------------------------------------------------------------------------------------------------

ANALYSES: dict[str, Callable[..., Result]] = {
    "steps": dropout_by_session,
    "sessions": lambda clinic, **given: retention(clinic, time="session", **given),
    "days": lambda clinic, **given: retention(clinic, time="day", **given),
    "missed": lambda clinic, **given: retention(clinic, time="day", dropout_date="first_missed", **given),
}


@pytest.mark.parametrize("by", [None, "arm", ["arm", "protocol"]])
@pytest.mark.parametrize("name", ANALYSES)
def test_results_obey_the_contract(clinic: Dataset, name: str, by: Any) -> None:
    result = ANALYSES[name](clinic, by=by)
    groups = [by] if isinstance(by, str) else by or []
    assert list(result.estimates.columns) == [*groups, *ESTIMATE_COLUMNS]
    texts = {"estimand", "unit", "method", "note", *groups}
    for column, kind in result.estimates.dtypes.items():
        assert kind == ("str" if column in texts else "float64"), column
    assert result.spec["cutoff"] == "2024-04-10"
    assert result.spec["arguments"]["by"] == groups
    assert set(result.spec["population"]) == {"courses"}
    known = result.estimates["estimate"].notna() | result.estimates["statistic"].notna()
    assert result.estimates.loc[~known, "note"].ne("").all()


@pytest.mark.parametrize("by", [None, "arm"])
@pytest.mark.parametrize("name", ANALYSES)
def test_explain_adds_up_to_every_cell(clinic: Dataset, name: str, by: str | None) -> None:
    result = ANALYSES[name](clinic, by=by)
    for row in result.estimates.to_dict("records"):
        cell = {key: row[key] for key in ("estimand", "time", *result.groups) if not pd.isna(row[key])}
        if pd.isna(row["time"]) and pd.isna(row["numerator"]):
            continue  # a group without an analysed course
        units = result.explain(**cell)
        assert units["in_denominator"].sum() == row["denominator"], cell
        assert units["in_numerator"].sum() == row["numerator"], cell
        assert not (units["in_numerator"] & ~units["in_denominator"]).any()
        assert (units["excluded"] == "").eq(units["in_denominator"]).all()
        assert units["course_id"].is_unique
        sizes = {"A": 7, "B": 2, NOT_RECORDED: 1}
        assert len(units) == (len(HAND) if by is None else sizes.get(row[by], len(HAND)))


def test_conf_level_widens_the_interval(clinic: Dataset) -> None:
    for analysis in ANALYSES.values():
        narrow, wide = (analysis(clinic, conf_level=level).estimates for level in (0.8, 0.95))
        width = [rows["conf_high"] - rows["conf_low"] for rows in (narrow, wide)]
        known = width[1].notna()
        assert (width[0][known] < width[1][known]).all()
        assert set(narrow.loc[known, "conf_level"]) == {0.8}
        assert known.sum() >= 2


def test_inputs_are_unchanged() -> None:
    given_tables = tables(HAND)
    copies = {name: frame.copy() for name, frame in given_tables.items()}
    clinic = Dataset(**given_tables, cutoff=date(100))
    for analysis in ANALYSES.values():
        analysis(clinic, by="arm")
    for name, frame in given_tables.items():
        pd.testing.assert_frame_equal(frame, copies[name])


# --- limits ---------------------------------------------------------------------------------------------------------------


def test_no_course_at_all() -> None:
    clinic = make_clinic([])
    for analysis in ANALYSES.values():
        assert analysis(clinic, by="arm").estimates.empty
        whole = analysis(clinic).estimates
        assert len(whole) > 0
        assert whole["estimate"].isna().all()
        assert whole["note"].ne("").all()


def test_all_completed() -> None:
    clinic = make_clinic([{"days": [1, 3, 5, 7, 9], "start_date": 1}] * 8)
    steps = dropout_by_session(clinic, follow_up="all")
    assert numbers(steps, "retention", ["time", "estimate", "numerator", "denominator"]) == [
        [session, 1, 0, 8] for session in range(1, 6)
    ]
    # Nobody of 8: Wilson's upper limit is z²/(n + z²) with z = 1.959964.
    upper = [row[0] for row in numbers(steps, "dropout_hazard", ["conf_high"])]
    assert upper == pytest.approx([1.959963984540054**2 / (8 + 1.959963984540054**2)] * 5, rel=1e-12)
    kept = retention(clinic, time="day", follow_up="all")
    assert numbers(kept, "retention", ["time", "estimate", "denominator"]) == [[8, 1, 8]]
    assert np.isnan(kept.cell(estimand="median_retention")["estimate"])


def test_all_dropped_out_before_the_first_session() -> None:
    clinic = make_clinic([{"days": [], "start_date": 1}] * 4)
    steps = dropout_by_session(clinic, follow_up="all")
    assert numbers(steps, "attendance", ["time", "estimate", "numerator", "denominator"]) == [[1, 0, 0, 4]]
    assert numbers(steps, "retention", ["time", "estimate"]) == [[1, 0]]
    kept = retention(clinic, time="session", follow_up="all")
    assert numbers(kept, "median_retention", ["estimate"]) == [[1]]
    days = retention(clinic, time="day", follow_up="all").estimates
    assert days["estimate"].isna().all()
    assert days["n_missing"].tolist() == [4, 4, 4]


def test_one_course_that_dropped_out_after_the_first_session() -> None:
    clinic = make_clinic([{"days": [2], "start_date": 1}])
    steps = dropout_by_session(clinic, follow_up="all")
    assert numbers(steps, "dropout_hazard", ["time", "estimate", "denominator"]) == [[1, 0, 1], [2, 1, 1]]
    # Last seen on the day of the first session; its second window closed 7 days later.
    for rule, day in (("last_attended", 0), ("first_missed", 7)):
        kept = retention(clinic, time="day", dropout_date=rule, follow_up="all")  # type: ignore[arg-type]
        assert numbers(kept, "retention", ["time", "estimate"]) == [[day, 0]]


def test_before_the_first_session_nobody_is_lost(clinic: Dataset) -> None:
    # On day 10 one course has been agreed and begun; all others begin later.
    early = dropout_by_session(clinic.with_cutoff(str(date(10))), follow_up="all")
    assert numbers(early, "attendance", ["time", "numerator", "denominator"]) == [[1, 1, 1]]
    assert numbers(early, "dropout_hazard", ["numerator"]) == [[0]]


# --- errors -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("analysis", [retention, dropout_by_session])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"by": "protocl"}, "no column 'protocl' in patients, courses; did you mean 'protocol'"),
        ({"by": "course_id"}, "'course_id' identifies a row"),
        ({"by": ["arm", "arm"]}, "each grouping column once"),
        ({"by": "state"}, "cannot group by 'state'"),
        ({"by": "Excluded"}, "cannot group by 'Excluded'"),
        ({"conf_level": 95}, "conf_level"),
    ],
)
def test_arguments_are_checked(clinic: Dataset, analysis: Any, arguments: Row, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        analysis(clinic, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"time": "week"}, "time is one of session, day, found 'week'"),
        ({"dropout_date": "last"}, "dropout_date is one of last_attended, first_missed, found 'last'"),
    ],
)
def test_retention_refuses_other_choices(clinic: Dataset, arguments: Row, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        retention(clinic, **arguments)


def test_explain_of_a_step_asks_for_the_session(clinic: Dataset) -> None:
    with pytest.raises(ValueError, match=r"name the session: explain\(..., time=3\)"):
        dropout_by_session(clinic).explain(estimand="attendance")
