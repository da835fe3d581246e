"""Histories of single courses: sessions by day, ends, and which courses are shown."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pytest

from mesostats.dataset import Dataset
from mesostats.dropout.incidence import dropout_reasons
from mesostats.dropout.retention import dropout_by_session, retention
from mesostats.plots import plot
from mesostats.simulation import simulate
from mesostats.tables import table
from mesostats.visits.gaps import session_gaps
from mesostats.visits.histories import course_histories

DAY_0 = dt.date(2024, 1, 1)


def date(day: int | None) -> dt.date | None:
    return None if day is None else DAY_0 + dt.timedelta(days=day)


def clinic_of(courses: dict[str, dict[str, Any]], *, cut: int = 60) -> Dataset:
    """Make a clinic of courses of the short protocol: five sessions, 1 to 7 days apart."""
    visits = [(name, day) for name, course in courses.items() for day in course["days"]]
    ends = [(course.get("status"), date(course.get("end")), course.get("why")) for course in courses.values()]
    frame = pd.DataFrame(ends, columns=["status", "end_date", "end_reason"]).assign(
        course_id=[*courses],
        patient_id=[f"P{name}" for name in courses],
        indication=[course.get("indication", "melasma") for course in courses.values()],
        protocol="short_course",
        start_date=DAY_0,
    )
    return Dataset(
        patients=pd.DataFrame({"patient_id": [f"P{name}" for name in courses]}),
        courses=frame,
        sessions=pd.DataFrame(
            {
                "session_id": [f"S{place}" for place in range(len(visits))],
                "course_id": [name for name, _ in visits],
                "date": [date(day) for _, day in visits],
                "status": "attended",
            }
        ),
        cutoff=date(cut),
    )


COURSES: dict[str, dict[str, Any]] = {
    "done": {"days": [2, 5, 12, 22, 22, 24]},  # 22 is ten days after 12: late; twice on that day
    "gone": {"days": [0, 3], "status": "discontinued", "end": 9, "why": "cost"},
    "lost": {"days": [0, 4]},  # the third is due by day 11; day 60 is past any grace
    "goes_on": {"days": [50, 55]},
    "never": {"days": []},
}


def marks(histories: Any, course: int) -> list[tuple[str, float, float]]:
    rows = histories.estimates[histories.estimates["course"].eq(course)]
    return list(zip(rows["estimand"], rows["time"], rows["numerator"], strict=True))


def test_sessions_are_days_since_the_first_with_their_states() -> None:
    histories = course_histories(clinic_of(COURSES))
    # kept: done 22 days (2 to 24), goes_on 10 (50 to the cut at 60), lost 4, gone 3
    ids = histories.explain().set_index("course")["course_id"].dropna()
    assert [ids[number] for number in (1, 2, 3, 4)] == ["done", "goes_on", "lost", "gone"]
    assert marks(histories, 1) == [
        *(("on_time", 0, 1), ("on_time", 3, 1), ("on_time", 10, 1), ("late", 20, 2), ("on_time", 22, 1)),
        ("completed", 22, 5),
    ]
    assert marks(histories, 2)[-1] == ("ongoing", 10, 2)
    assert marks(histories, 4) == [("on_time", 0, 1), ("on_time", 3, 1), ("dropped_out", 3, 2)]


def test_ends_say_why_and_when_by_either_rule() -> None:
    clinic = clinic_of(COURSES)
    by_last = course_histories(clinic).estimates.query("estimand == 'dropped_out'")
    assert sorted(by_last["note"]) == ["Cost", "overdue, no reason recorded"]
    by_missed = course_histories(clinic, dropout_date="first_missed").estimates.query(
        "estimand == 'dropped_out'"
    )
    # gone: the window after day 3 closed on day 10, but it was recorded as ended on day 9; lost: 4 + 7 = 11
    assert sorted(by_missed["time"]) == [9, 11]


def test_courses_without_a_session_have_no_history_and_no_id_is_shown() -> None:
    histories = course_histories(clinic_of(COURSES))
    assert histories.spec["courses"] == [{"courses": 4, "shown": 4}]
    assert not {"course_id", "patient_id"} & {*histories.estimates.columns}
    html = table(histories).as_raw_html()
    assert not any(name in html for name in ("Pdone", "goes_on", "S0<"))


def test_at_most_so_many_courses_are_shown_evenly_spread() -> None:
    # twenty courses kept 0 to 19 days; four of them: places 2, 7, 12 and 17 of the order from the longest
    courses = {f"C{k:02d}": {"days": [0, k] if k else [0]} for k in range(20)}
    histories = course_histories(clinic_of(courses), most=4)
    assert histories.spec["courses"] == [{"courses": 20, "shown": 4}]
    rows = histories.explain()
    assert rows.loc[rows["in_denominator"], "days"].tolist() == [17, 12, 7, 2]
    assert rows.loc[~rows["in_denominator"], "excluded"].eq("not among the courses shown").all()
    one = histories.explain(course=2)
    assert one.loc[one["in_numerator"], "course_id"].tolist() == ["C12"]


def test_groups_keep_their_share_and_are_counted() -> None:
    courses = {
        f"C{k:02d}": {"days": [0, 3], "indication": "melasma" if k < 15 else "cellulite"} for k in range(20)
    }
    histories = course_histories(clinic_of(courses), by="indication", most=8)
    assert histories.spec["courses"] == [
        {"indication": "cellulite", "courses": 5, "shown": 2},
        {"indication": "melasma", "courses": 15, "shown": 6},
    ]
    assert histories.groups == ["indication", "course"]


def test_histories_of_nobody_are_empty_and_can_be_shown() -> None:
    histories = course_histories(clinic_of({"never": {"days": []}}))
    assert histories.estimates.empty
    assert "nothing to show" in table(histories).as_raw_html()
    figure = plot(histories).figure
    assert [text.get_text() for text in figure.axes[0].texts] == ["nothing to show"]


@pytest.mark.parametrize(
    "wrong", [{"most": 0}, {"dropout_date": "yesterday"}, {"by": "course_id"}, {"by": "course"}]
)
def test_arguments_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"most|dropout_date|course"):
        course_histories(clinic_of(COURSES), **wrong)


def test_results_in_sessions_name_the_phases_of_the_protocols_in_use() -> None:
    clinic = simulate(60, seed=1)
    expected = [
        ("weekly_to_monthly", "weekly", 1, 4, False),
        ("weekly_to_monthly", "fortnightly", 5, 6, False),
        ("weekly_to_monthly", "monthly", 7, 10, True),
        ("short_course", "course", 1, 5, True),
    ]
    for result in (retention(clinic), dropout_by_session(clinic), dropout_reasons(clinic)):
        assert [tuple(band.values()) for band in result.spec["phases"]] == expected
    assert "phases" not in retention(clinic, time="day").spec
    only_short = dropout_by_session(clinic_of(COURSES))
    assert [band["phase"] for band in only_short.spec["phases"]] == ["course"]


def test_gaps_name_the_windows_of_the_protocols_in_use() -> None:
    windows = session_gaps(clinic_of(COURSES)).spec["windows"]
    assert windows == [{"protocol": "short_course", "phase": "course", "shortest": 1.0, "longest": 7.0}]
