"""Tables of the schedule and dropout analyses: the texts that a reader sees."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from typing import TYPE_CHECKING, Any

from schedule_results import (
    adherence_result,
    disposition_result,
    flow_result,
    gaps_result,
    histories_result,
    made,
    model_result,
    predicted_result,
    reasons_result,
    received_result,
    return_result,
    scenario_result,
    share,
    stopping_result,
)

from mesostats.dropout.incidence import dropout_reasons
from mesostats.simulation import simulate
from mesostats.tables import table

if TYPE_CHECKING:
    from mesostats.results import Result

DASH = "\N{EN DASH}"


def page(result: Result, **options: Any) -> list[list[str]]:
    """Return the texts of all rows of the table, those of headings and notes too."""
    html = table(result, **options).as_raw_html()
    rows = re.findall(r"<tr.*?</tr>", html, re.DOTALL)
    cells = [re.findall(r"<t[dh][^>]*>.*?</t[dh]>", row, re.DOTALL) for row in rows]
    return [[unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in row] for row in cells]


def span(low: str, high: str) -> str:
    return f"({low}{DASH}{high})"


def test_adherence_has_the_states_of_due_slots_side_by_side() -> None:
    rows = page(adherence_result())
    assert rows[1] == ["Phase", "due", "On time", "Early", "Late", "Missed", "not yet due"]
    weekly = ["Weekly", "100", "80", f"80.0 {span('75.0', '85.0')}", "5", f"5.0 {span('0.0', '10.0')}"]
    assert rows[3][:6] == weekly
    assert rows[4][0] == "Monthly"
    assert rows[3][-1] == "7"
    assert ["Visits that held no slot of a plan: 3/130."] in rows
    assert not any(row[0] == "Outside the plan" for row in rows)


def test_visits_without_a_slot_stand_beside_their_group() -> None:
    rows = [
        share(8, 10, "on_time", arm="A", unit="slots"),
        share(1, 9, "unscheduled", arm="A", unit="visits"),
    ]
    found = page(made(rows, ["arm"], "adherence"))
    assert found[1][-1] == "Visits without a slot"
    assert found[3][-1] == "1/9"


def test_gaps_stand_against_their_window_with_their_quartiles() -> None:
    rows = page(gaps_result())
    assert rows[1][:3] == ["Phase", "gaps", "with a window"]
    weekly = next(row for row in rows if row[0] == "Weekly")
    assert weekly[:4] == ["Weekly", "10", "10", "1"]
    assert weekly[-2:] == ["7", f"7{DASH}12"]


def test_received_sessions_are_rows_under_their_means() -> None:
    rows = page(received_result())
    head = f"All courses: planned 4.00 {span('4.00', '4.00')} a course, received 2.80 {span('2.00', '3.60')}"
    assert [f"{head}, 70.0 {span('65.0', '75.0')} % of those planned"] in rows
    assert rows[1][0] == "Sessions received"
    counts = {row[0]: (row[1], row[3]) for row in rows if len(row) == 5 and row[0].isdigit()}
    # nobody came to a fifth session: no row
    assert counts == {
        "0": ("0/10", DASH),
        "1": ("2/10", "10/10"),
        "2": ("3/10", "8/10"),
        "3": ("0/10", "5/10"),
        "4": ("5/10", "5/10"),
    }
    assert ["Left out: 6 courses that go on at the data cut."] in rows


def test_reasons_are_rows_with_their_incidence_by_some_sessions() -> None:
    rows = page(reasons_result())
    assert rows[1] == ["Reason", "given up", "by session 2, %", "by session 3, %", "1 - KM, %"]
    assert ["Cost", "19", "10.0", "20.0", "25.0"] in rows
    assert rows[4] == ["All reasons", "24", "15.0", "25.0", DASH]
    assert any("a warning, not an estimate to quote" in row[0] for row in rows)


def test_reasons_of_groups_stand_side_by_side_at_the_same_session() -> None:
    result = reasons_result(2)
    longer = result.estimates["arm"].ne("arm_0") | result.estimates["time"].ne(3.0)
    rows = page(replace(result, estimates=result.estimates[longer].reset_index(drop=True)))
    # the first group was followed to session 2 only: both are shown there
    assert rows[1] == ["By session 2, the last to which every group was followed"]
    cost = next(row for row in rows if row[0] == "Cost")
    assert cost == ["Cost", "10", "10.0", "10.0", "10", "10.0", "10.0", "0.030", "0.060"]


def test_many_groups_of_reasons_stand_in_blocks() -> None:
    rows = page(reasons_result(5))
    assert [row[0] for row in rows if row[0].startswith("Arm")] == [f"Arm {k}" for k in range(5)]
    assert sum(row == ["Cost", "19", "20.0", "25.0"] for row in rows) == 5


def test_disposition_has_states_and_reasons_as_rows() -> None:
    rows = page(disposition_result(2))
    assert rows[1] == ["", "Arm 0", "Arm 1"]
    cell = ["30/100", f"30.0 {span('25.0', '35.0')}"]
    assert ["Cost", *cell, *cell] in rows
    html = table(disposition_result(2)).as_raw_html()
    assert html.count("padding-left: 24px") == 2
    assert sum(row[0] == "Cost" for row in page(disposition_result(6))) == 6


def test_flow_is_told_phase_by_phase() -> None:
    rows = page(flow_result())
    heads = [row[0] for row in rows if len(row) == 1]
    assert heads[1:6] == ["Start", "Weekly", "Monthly", "After the plan", "In all"]
    assert ["Due", "60/100 (60.0)"] in rows
    assert ["Moved", "10/100 (10.0)"] in rows
    # nobody moved in the second phase, and none completed in a phase: no row
    assert sum(row[0] == "Moved" for row in rows) == 1
    assert sum(row[0] == "Completed" for row in rows) == 2


def test_flow_of_many_groups_names_the_phase_in_each_row() -> None:
    rows = page(flow_result(5))
    assert sum(row == ["Weekly: due", "100/100 (100.0)"] for row in rows) == 5
    assert [row[0] for row in rows if row[0].startswith("Arm")] == [f"Arm {k}" for k in range(5)]


def test_model_marks_the_reference_and_tests_whole_terms() -> None:
    rows = page(model_result())
    assert ["Side effect: p = 0.018 (Wald test of all its levels)"] in rows
    assert ["No", "20/400", "1 (reference)", DASH] in rows
    assert ["Yes", "30/300", f"2.00 {span('1.25', '3.20')}", "0.004"] in rows
    assert any(row[-1].endswith("no dropout") for row in rows)
    assert not any("against" in cell for row in rows for cell in row)


def test_predictions_stand_side_by_side_by_session() -> None:
    rows = page(predicted_result())
    assert rows[1] == ["Session", "Calm", "Bruised"]
    assert rows[3][:2] == ["2", f"81.0 {span('76.0', '86.0')}"]
    told = "Profiles: Calm (all at the reference); Bruised (side effect yes); all else at the reference or the mean."
    assert [told] in rows


def test_scenarios_are_rows_of_one_table() -> None:
    rows = page(scenario_result())
    assert rows[1] == [
        "Choice",
        "dropped out/analysed",
        "not analysed",
        "kept, % (95 % CI)",
        "change, points",
    ]
    assert ["Base case", "25/100", "4", f"75.0 {span('20.0', '30.0')}", DASH] in rows
    assert next(row for row in rows if row[0] == "Grace multiplied by 2")[-1] == "+3.0"


def test_what_preceded_stopping_has_both_sides_and_their_difference() -> None:
    rows = page(stopping_result())
    assert rows[1] == ["What preceded", "Stopped", "Came", "Difference"]
    side = next(row for row in rows if row[0] == "Side effect")
    assert side[1] == "30/50"
    assert side[4:6] == ["20/80", f"25.0 {span('20.0', '30.0')}"]
    assert side[-2:] == ["35.0 (10.0 to 50.0)", "0.002"]
    assert (side[3], side[6]) == ("5", "9")


def test_return_tells_the_window_beneath_its_curve() -> None:
    rows = page(return_result())
    assert rows[1][:2] == ["Day", "Returned (primary)"] or rows[1][:2] == ["Day", "Returned"]
    assert ["60", "1/20", f"5.0 {span('0.0', '10.0')}"] in rows
    expected = (
        f"came back before it 1/20, 5.0 {span('0.0', '10.0')} %; in it 2/20, 10.0 {span('5.0', '15.0')} %."
    )
    assert [expected] in rows


def test_histories_are_rows_without_ids() -> None:
    rows = page(histories_result())
    assert rows[1][0] == "Course"
    assert ["1", "3", "3", "2", "0", "1", "20", "Completed"] in rows
    assert ["2", "2", "3", "1", "1", "0", "5", "Dropped out: Cost"] in rows
    assert ["3 of 5 courses; numbers stand in place of ids."] in rows


def test_missing_of_retention_is_explained_and_the_mean_names_its_horizon() -> None:
    rows = [
        share(9, 100, "retention", time=1.0, n_missing=7.0),
        share(5, 91, "retention", time=2.0, n_missing=7.0),
    ]
    rows.append(
        {
            "estimand": "restricted_mean",
            "time": 2.0,
            "estimate": 116.234,
            "conf_low": 105.846,
            "conf_high": 126.5,
        }
    )
    rows.append({"estimand": "median_retention", "estimate": 140.0})
    found = page(made(rows, [], "retention", arguments={"time": "day"}))
    assert ["Missing (courses of which nothing is settled yet, or that never attended): 7."] in found
    assert any(f"mean of the first 2: 116.2 {span('105.8', '126.5')}" in row[0] for row in found)


def test_reasons_say_that_whoever_came_to_all_sessions_completed() -> None:
    """Disposition counts such a course as given up: the two tables differ by it."""
    sheet = table(dropout_reasons(simulate(60, seed=1))).as_raw_html()
    assert "Whoever came to all planned sessions completed the course" in sheet
