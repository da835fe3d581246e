"""The CONSORT diagram: numbers that add up, and text that stays within its box."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from schedule_results import flow_result, flow_rows, made

from mesostats.plots import plot
from mesostats.plots.wrapping import text_inches, wrapped


def words(ax: Any) -> list[str]:
    return [text.get_text().strip() for text in ax.texts]


def boxes(ax: Any) -> list[Rectangle]:
    return [patch for patch in ax.patches if isinstance(patch, Rectangle)]


def test_each_step_shows_who_was_due_and_who_left() -> None:
    shown = words(plot(flow_result(), ax=Figure().subplots()))
    assert shown == [
        *("100 courses started", "100 patients registered"),
        *("Weekly: 100 due", "100 came to its first session"),
        *("Dropped out: 30", "Cost: 20", "Moved: 10", "Still going on: 10"),
        *("Monthly: 60 due", "55 came to its first session"),
        *("Dropped out: 20", "Cost: 20"),
        *("40 completed the plan", "In all: 40 completed, 50 dropped out, 10", "going on"),
    ]
    # 100 due - 30 dropped out - 10 going on = 60 due; 60 - 20 = 40 completed
    assert not any("dashed" in each for each in shown)


def test_groups_stand_side_by_side_under_all_courses() -> None:
    shown = words(plot(flow_result(3), ax=Figure().subplots()))
    assert shown[:2] == ["300 courses started", "in 3 groups"]
    assert [each for each in shown if each.startswith("Arm")] == ["Arm 0", "Arm 1", "Arm 2"]
    assert shown.count("Weekly: 100 due") == 3


def test_many_groups_show_the_largest_and_say_so() -> None:
    shown = words(plot(flow_result(6), ax=Figure().subplots()))
    assert sum(each.startswith("Arm") for each in shown) == 4
    assert shown[:2] == ["600 courses started", "in 6 groups"]
    assert "the 4 largest of 6 groups; the others in the table" in " ".join(shown)


def test_phases_of_several_protocols_are_not_said_to_follow_one_another() -> None:
    phases = {"weekly": (100, 100, {"cost": 30}, 0), "course": (100, 100, {"cost": 10}, 0)}
    shown = " ".join(
        words(
            plot(
                made(flow_rows({}, phases=phases), ["phase", "reason"], "patient_flow"),
                ax=Figure().subplots(),
            )
        )
    )
    assert "dashed: courses of several protocols" in shown


def test_rare_reasons_are_summed() -> None:
    lost = {f"reason_{k}": 20 - k for k in range(12)}
    phases = {"weekly": (300, 300, lost, 0)}
    shown = words(
        plot(made(flow_rows({}, phases=phases), ["phase", "reason"], "patient_flow"), ax=Figure().subplots())
    )
    # seven are shown: 20 to 14; the other five had 13 + 12 + 11 + 10 + 9 = 55
    assert [each for each in shown if each.startswith("Reason")] == [
        f"Reason {k}: {20 - k}" for k in range(7)
    ]
    assert "5 other reasons: 55" in shown


@pytest.mark.parametrize("groups", [1, 2, 3, 4])
def test_text_stays_within_its_box_also_where_reasons_are_long(groups: int) -> None:
    long = "moved_to_another_town_too_far_from_the_clinic_to_come_every_week_and_Donaudampfschifffahrtsgesellschaftskapitaen"
    ax = plot(flow_result(groups, reason=long))
    figure = ax.figure
    figure.canvas.draw()
    frames = [box.get_window_extent() for box in boxes(ax)]
    everything = figure.bbox
    for text in ax.texts:
        extent = text.get_window_extent()
        assert everything.x0 <= extent.x0, text
        assert extent.x1 <= everything.x1, text
        assert any(
            frame.x0 - 1 <= extent.x0
            and extent.x1 <= frame.x1 + 1
            and frame.y0 - 1 <= extent.y0
            and extent.y1 <= frame.y1 + 1
            for frame in frames
        ), text.get_text()
    for number, one in enumerate(frames):
        assert not any(one.overlaps(other) for other in frames[number + 1 :])


def test_small_axes_get_small_letters() -> None:
    small, large = Figure(figsize=(3, 3)).subplots(), Figure(figsize=(12, 12)).subplots()
    sizes = [plot(flow_result(2), ax=ax).texts[0].get_fontsize() for ax in (small, large)]
    assert sizes[0] < sizes[1] == 8.0


def test_dollar_signs_are_no_formula() -> None:
    result = flow_result()
    labels = {"reason": {"cost": "Costs $40 more, $50 in all"}}
    ax = plot(replace(result, spec={**result.spec, "labels": labels}))
    ax.figure.canvas.draw()
    assert any("$40" in each for each in words(ax))


def test_wrapped_lines_are_no_wider_than_asked() -> None:
    text = "a course that was given up because an unpronounceableandendlesslylongword came between"
    for bold in (False, True):
        lines = wrapped(text, 1.2, 8.0, indent="  ", bold=bold)
        assert all(text_inches(line, 8.0, bold=bold) <= 1.2 for line in lines)
        assert re.sub(r"[\s-]", "", "".join(lines)) == text.replace(" ", "")
