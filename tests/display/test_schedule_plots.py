"""Pictures of the schedule and dropout analyses: the marks and words that a reader sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from schedule_results import (
    adherence_result,
    disposition_result,
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
    steps_result,
    stopping_result,
)

from mesostats.plots import plot


def words(ax: Any) -> list[str]:
    return [text.get_text().strip() for text in ax.texts]


def panels(ax: Any) -> list[Any]:
    return list(ax.figure.axes)


def names(ax: Any) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def test_hazard_stands_over_the_phases_with_its_counts_beneath() -> None:
    ax = plot(steps_result(), ax=Figure(figsize=(8, 5)).subplots())
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0, 10, 20, 25])
    assert {"Weekly", "Monthly"} <= set(words(ax))
    assert [each for each in words(ax) if "/" in each] == [
        "Dropped out/due",
        "0/100",
        "10/100",
        "18/90",
        "18/72",
    ]
    assert ax.get_ylabel() == "Dropped out, % of courses due\n(with 95 % interval)"
    # shaded from half before the first session of a phase: monthly from 2.5 on
    left = [patch.get_x() for patch in ax.patches if hasattr(patch, "get_x")]
    assert 2.5 in left


def test_hazard_of_groups_differs_in_colour_marker_and_line_and_names_the_largest() -> None:
    ax = plot(steps_result(groups=5), ax=Figure(figsize=(8, 5)).subplots())
    assert len({line.get_marker() for line in ax.lines}) == 4
    assert "the 4 largest of 5 groups; the others in the table" in words(ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [f"Arm {k}" for k in range(4)]


def test_dropout_by_session_can_show_all_its_estimands() -> None:
    ax = plot(steps_result(), ax=Figure().subplots(), kind="points")
    named = {text.get_text() for text in ax.get_legend().get_texts()}
    assert named == {"Retention", "Attendance", "Dropout hazard"}


def test_retention_by_session_names_the_phases_and_holds_its_last_value() -> None:
    steps = [share(n, 100, "retention", time=float(k)) for k, n in ((1, 100), (2, 90), (3, 60))]
    phases = steps_result().spec["phases"]
    ax = plot(
        made(steps, [], "retention", arguments={"time": "session"}, phases=phases), ax=Figure().subplots()
    )
    assert ax.lines[0].get_xdata().tolist() == [0, 1, 2, 3, 4]
    assert ax.lines[0].get_ydata().tolist() == [100, 100, 90, 60, 60]
    assert {"Weekly", "Monthly"} <= set(words(ax))
    assert max(ax.get_yticks()) <= 100 < ax.get_ylim()[1]


def test_phases_of_too_many_protocols_are_not_named() -> None:
    result = steps_result()
    phases = [
        {"protocol": f"p{k}", "phase": f"phase_{k}", "first": 1, "last": 4, "goes_on": True} for k in range(4)
    ]
    ax = plot(
        made(result.estimates.to_dict("records"), [], "dropout_by_session", phases=phases),
        ax=Figure().subplots(),
    )
    assert not any(each.startswith("Phase") for each in words(ax))


def test_phases_show_hazard_and_share_of_dropouts() -> None:
    rows = [share(4, 40, "dropout_hazard", phase="weekly"), share(6, 20, "dropout_hazard", phase="monthly")]
    rows += [
        share(4, 10, "share_of_dropouts", phase="weekly"),
        share(6, 10, "share_of_dropouts", phase="monthly"),
    ]
    ax = plot(made(rows, ["phase"], "hazard_by_phase"), ax=Figure().subplots())
    left, right = panels(ax)
    np.testing.assert_allclose([left.lines[0].get_xdata(), right.lines[0].get_xdata()], [[10, 30], [40, 60]])
    assert names(left) == ["Weekly", "Monthly"]
    assert {"4/40", "6/20"} <= set(words(left))
    assert {"4/10", "6/10"} <= set(words(right))


def test_adherence_bars_add_up_and_tell_the_size() -> None:
    ax = plot(adherence_result(), ax=Figure().subplots())
    bars = [[bar.get_width() for bar in part] for part in ax.containers]
    np.testing.assert_allclose(np.sum(bars, axis=0), [100, 100])
    np.testing.assert_allclose(np.array(bars)[:, 0], [80, 5, 5, 10])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["On time", "Early", "Late", "Missed"]
    assert {"N = 100", "N = 50", "80", "40"} <= set(words(ax))
    assert names(ax) == ["Weekly", "Monthly"]
    assert "3 visits held no slot of a plan" in ax.get_xlabel()
    hatches = {part[0].get_hatch() for part in ax.containers}
    assert len(hatches) == 3  # on time and missed are plain, but dark and light


def test_gaps_stand_against_their_window_and_long_ones_are_counted() -> None:
    ax = plot(gaps_result(), ax=Figure().subplots())
    inside, outside = ax.containers
    assert [(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in inside] == [
        (pytest.approx(7), 60)
    ]
    assert [round(bar.get_x() + bar.get_width() / 2) for bar in outside] == [6, 12]
    # the axis shows 2.2 times the longest window: 22 days
    assert any("1 longer than 22 days" in each for each in words(ax))
    assert "10 gaps; 60.0 % in, 10.0 % below, 30.0 % above the window; median 7 days" in words(ax)
    assert "Weekly" in words(ax)


def test_gaps_of_everybody_are_not_told_apart_by_windows() -> None:
    result = gaps_result()
    frame = result.estimates.drop(columns="phase").to_dict("records")
    windows = [
        *result.spec["windows"],
        {"protocol": "p", "phase": "monthly", "shortest": 26.0, "longest": 35.0},
    ]
    ax = plot(made(frame, [], "session_gaps", windows=windows), ax=Figure().subplots())
    assert len(ax.containers) == 1
    assert {"Weekly", "Monthly", "All gaps"} <= set(words(ax))


def test_model_is_a_forest_with_reference_and_numbers() -> None:
    ax = plot(model_result(), ax=Figure(figsize=(9, 4)).subplots())
    assert ax.get_xscale() == "log"
    assert names(ax) == ["Side effect", "   No", "   Yes", "   Not asked"]
    drawn = [line for line in ax.lines if len(line.get_xdata()) and line.get_linestyle() == "None"]
    assert drawn[0].get_xdata()[0] == 2.0
    assert drawn[0].get_ydata()[0] == 2.0
    assert {"30/300", "2.00 (1.25\N{EN DASH}3.20)", "0.004", "1 (reference)", "all levels: p = 0.018"} <= set(
        words(ax)
    )
    assert "not estimable" in words(ax)


def test_predictions_begin_at_all_and_are_named_at_their_ends() -> None:
    ax = plot(predicted_result(), ax=Figure(figsize=(8, 5)).subplots())
    curve = ax.lines[0]
    np.testing.assert_allclose(curve.get_xdata(), [1, 2, 3, 4, 5])
    np.testing.assert_allclose(curve.get_ydata(), [100, 81, 72.9, 65.61, 65.61])
    named = {text.get_text(): text.get_position()[1] for text in ax.texts}
    # the curves end within two per cent of one another: their names are moved apart
    assert named["Calm"] - named["Bruised"] > 3
    assert {"Weekly", "Monthly"} <= set(named)


def test_reasons_show_what_one_minus_kaplan_meier_would_claim() -> None:
    ax = plot(reasons_result(), ax=Figure(figsize=(8, 5)).subplots())
    cost = [line for line in ax.lines if line.get_ydata()[-1] in {20.0, 25.0} and len(line.get_xdata()) == 4]
    assert [line.get_ydata()[-1] for line in cost] == [20, 25]
    assert cost[0].get_linestyle() == "-" != cost[1].get_linestyle()
    assert {"Cost", "Moved"} <= set(words(ax))
    assert "dashed: 1 - Kaplan-Meier, which takes the other reasons as censoring: too high" in words(ax)


def test_reasons_of_groups_stand_in_panels_with_their_test() -> None:
    ax = plot(reasons_result(2), ax=Figure(figsize=(10, 5)).subplots())
    assert "Cost\nGray's test p 0.030, adjusted 0.060" in words(ax)
    assert "Moved" in words(panels(ax)[1])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Arm 0", "Arm 1"]


def test_stacked_reasons_end_at_all_reasons() -> None:
    ax = plot(reasons_result(), ax=Figure(figsize=(8, 5)).subplots(), kind="stacked")
    tops = [area.get_paths()[0].vertices[:, 1].max() for area in ax.collections[:2]]
    np.testing.assert_allclose(tops, [20, 25])
    with pytest.raises(ValueError, match="cannot be drawn as 'stacked'"):
        plot(reasons_result(2), kind="stacked")


def test_scenarios_stand_beside_the_base_case() -> None:
    ax = plot(scenario_result(), ax=Figure().subplots())
    assert names(ax) == ["Base case", "Grace multiplied by 2"]
    points = next(line for line in ax.lines if line.get_linestyle() == "None")
    np.testing.assert_allclose(points.get_xdata(), [75, 78])
    assert {"25/100", "20/90"} <= set(words(ax))
    assert ax.get_xlabel().startswith("Retention at session 5, % of courses")


def test_stopped_and_came_are_joined_and_their_difference_told() -> None:
    ax = plot(stopping_result(), ax=Figure().subplots())
    left, right = panels(ax)
    assert names(left) == ["Side effect", "Improvement"]
    np.testing.assert_allclose([line.get_xdata() for line in left.lines], [[60, 20], [25, 50]])
    assert {"30/50", "20/80"} <= set(words(left))
    # 30/50 - 20/80 = 35 points; 10/50 - 40/80 = -30 points
    assert {"35.0   p 0.002", "-30.0   p 0.002"} <= set(words(right))
    assert "those who came weighted to the same sessions" in left.get_xlabel()


def test_disposition_bars_of_few_groups_and_stacked_of_many() -> None:
    ax = plot(disposition_result(2), ax=Figure(figsize=(9, 4)).subplots())
    assert names(ax) == [
        "Treated",
        "Completed",
        "Ongoing",
        "Dropped out",
        "\N{EN DASH} Cost",
        "\N{EN DASH} Moved",
    ]
    assert {"50/100 (50.0 %)", "30/100 (30.0 %)", "Arm 0"} <= set(words(ax))
    many = plot(disposition_result(17), ax=Figure(figsize=(9, 9)).subplots())
    assert len(names(many)) == 17
    np.testing.assert_allclose([part[0].get_width() for part in many.containers], [50, 10, 40])


def test_received_sessions_stand_beside_planned_ones() -> None:
    ax = plot(received_result(), ax=Figure().subplots())
    left, right = panels(ax)
    np.testing.assert_allclose([line.get_xdata()[0] for line in left.lines], [4.0, 2.8])
    assert names(left) == ["All courses (n = 10)"]
    assert "70.0 %" in words(left)
    # nobody came to a fifth session: the curve ends at the fourth
    np.testing.assert_allclose(right.lines[0].get_xdata(), [1, 2, 3, 4])
    np.testing.assert_allclose(right.lines[0].get_ydata(), [100, 80, 50, 50])


def test_return_shows_the_window() -> None:
    ax = plot(return_result(), ax=Figure().subplots())
    assert ax.lines[0].get_ydata().tolist() == [0, 5, 15, 20]
    told = next(each for each in words(ax) if each.startswith("Shaded"))
    assert told == "Shaded: the window, day 90 to 180\n2/20 came back in it, 10.0 (5.0\N{EN DASH}15.0) %"


def test_swimmers_show_sessions_ends_and_how_they_were_chosen() -> None:
    ax = plot(histories_result(), ax=Figure().subplots())
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches[:3]], [20, 5, 12])
    keys = [text.get_text() for text in ax.get_legend().get_texts()]
    assert keys[:3] == ["session on time", "early", "late"]
    assert "Cost" in words(ax)
    assert ax.get_xlabel().endswith(
        "3 of 5 courses, evenly spread over all ordered by the days kept; 2 not shown"
    )
    assert names(ax) == ["1", "2", "3"]


def test_swimmers_show_fewer_where_asked() -> None:
    ax = plot(histories_result(), ax=Figure().subplots(), most=1)
    assert names(ax) == ["2"]  # the middle one of three
    assert "1 of 5 courses" in ax.get_xlabel()
