"""Pictures of the outcome analyses: the texts, counts and marks that a reader sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import course_results as later
import numpy as np
import outcome_results as made
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from mesostats.plots import plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mesostats.results import Result

DASH = "\N{EN DASH}"


def drawn(result: Result, **options: Any) -> Axes:
    figure = Figure(figsize=(10, 6), layout="constrained")
    ax = plot(result, ax=figure.subplots(), **options)
    figure.canvas.draw()
    return ax


def texts(ax: Axes) -> list[str]:
    """Return every text of the whole picture."""
    found = [text.get_text() for panel in ax.figure.axes for text in panel.texts]
    found += [panel.get_xlabel() for panel in ax.figure.axes] + [
        panel.get_ylabel() for panel in ax.figure.axes
    ]
    keys = [panel.get_legend() for panel in ax.figure.axes if panel.get_legend()]
    return found + [text.get_text() for key in keys for text in key.get_texts()]


def row_names(ax: Axes) -> list[str]:
    return [tick.get_text() for tick in ax.get_yticklabels()]


def marks(ax: Axes) -> list[tuple[float, float]]:
    """Return the places of all marks of an axes, without lines of reference."""
    lines = [line for line in ax.lines if line.get_marker() not in {"None", None, ""}]
    return [
        (float(x), float(y))
        for line in lines
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]


def test_response_has_a_row_and_n_of_n_for_every_denominator() -> None:
    ax = drawn(made.response_result())
    rows = ["", "Treated", "With baseline", "Evaluable", "Completers"]
    assert row_names(ax) == [*rows, *rows]
    found = texts(ax)
    assert {"22/63", "22/60", "22/48", "22/40", "18/62", "18/59", "18/33", "18/12"} <= {*found}
    assert f"29.0 (24.0{DASH}34.0)" in found
    assert [text for text in found if "Melasma" in text] == ["Melasma \N{MIDDLE DOT} The score"]
    bold = {
        text.get_text() for text in ax.texts if text.get_fontweight() == "bold" and "/" in text.get_text()
    }
    assert bold == {"22/63", "18/62"}  # of the primary denominator


def test_methods_shade_what_the_missing_leave_possible() -> None:
    ax = drawn(made.methods_result(2))
    shades = [each for each in ax.collections if isinstance(each, PolyCollection)]
    ends = [each.get_paths()[0].get_extents() for each in shades]
    assert [(round(end.x0, 1), round(end.x1, 1)) for end in ends] == [(7.1, 64.3)] * 2  # 6/84 to 54/84
    assert row_names(ax)[1:7] == [
        "Assessed courses only",
        "Missing as non-response",
        "All missing fail",
        "All missing respond",
        "Nothing supposed",
        "Inverse probability weights",
    ]
    assert "6/36 + 48" in texts(ax)
    assert "Arm 0 (84 due)" in texts(ax)
    assert "not estimable" not in " ".join(texts(ax))  # bounds have an interval alone, on purpose


def test_a_tipping_point_names_its_regions_and_says_where_it_tips() -> None:
    ax = drawn(made.tipping_result())
    found = texts(ax)
    assert {"High dose better", "Placebo better", "as the assessed"} <= {*found}
    assert "High dose against Placebo: 48 of 84 not assessed" in found
    assert any("at least 19 of the 48 missing in High dose" in " ".join(text.split()) for text in found)
    hatched = {each.get_hatch() for each in ax.collections if each.get_hatch()}
    assert len(hatched) == 2  # grey readers tell the two regions apart
    star = next(line for line in ax.lines if line.get_marker() == "*")
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (50.0, 40.0)


def test_the_regions_of_a_tipping_point_differ_in_grey() -> None:
    ax = drawn(made.tipping_result())
    faces = {
        tuple(each.get_facecolor()[0][:3]) for each in ax.collections if isinstance(each, PolyCollection)
    }
    greys = sorted(float(np.dot(face, (0.299, 0.587, 0.114))) for face in faces)
    assert len(faces) == 3
    assert greys[-1] - greys[-2] > 0.2  # white against both shades, which the hatches part


def test_a_threshold_is_a_line_that_the_share_crosses() -> None:
    ax = drawn(made.threshold_result())
    assert "threshold 30 %" in texts(ax)
    share = next(line for line in ax.lines if line.get_marker() == "o")
    assert share.get_ydata()[0] == pytest.approx(100 * 18 / 62)
    assert share.get_ydata()[-1] == pytest.approx(100 * 47 / 62)


def test_groups_compared_show_counts_difference_and_p() -> None:
    ax = drawn(made.compared_result())
    assert row_names(ax) == ["The scale", "The score"]
    found = texts(ax)
    assert found.count("5/30 (16.7)") == found.count("13/32 (40.6)") == 2
    assert {"-10.0 (-30.0 to 10.0)", "0.030", "0.060", "B0", "A"} <= {*found}
    _, right = ax.figure.axes
    low, high = right.get_xlim()
    assert low == pytest.approx(-high)  # no difference in the middle


def test_several_groups_stand_under_their_instrument() -> None:
    ax = drawn(made.compared_result(3))
    assert row_names(ax) == ["The scale", "B0", "B1", "B2", "The score", "B0", "B1", "B2"]
    assert (
        drawn(made.compared_result(3), most=2)
        .figure.axes[1]
        .get_xlabel()
        .endswith("4 more comparisons in the table")
    )


def test_pairs_name_both_groups() -> None:
    assert row_names(drawn(made.pairwise_result())) == ["B against A", "C against A", "C against B"]


def test_the_forest_of_subgroups_has_tests_of_interaction_in_its_headings() -> None:
    ax = drawn(made.subgroup_result())
    found = texts(ax)
    assert "Sex (interaction p = 0.218)" in found
    assert "B against A" in found
    assert row_names(ax) == ["", "Overall", "", "Female", "Male"]
    assert found.count("13/32 (40.6)") == 3
    assert any("exploratory" in text for text in found)


def test_grades_are_stacked_up_to_all_treated() -> None:
    ax = drawn(made.grades_result())
    widths: dict[float, float] = {}
    for bar in ax.patches:
        widths[round(bar.get_y(), 3)] = widths.get(round(bar.get_y(), 3), 0.0) + bar.get_width()
    assert list(widths.values()) == pytest.approx([100.0, 100.0])  # those not assessed keep their place
    found = texts(ax)
    assert f"1.24 (0.61{DASH}2.52), p = 0.545" in found
    assert {"Not assessed", "-1", "0", "1", "reference"} <= {*found}


def test_the_waterfall_has_a_bar_a_course_and_room_for_the_missing() -> None:
    ax = drawn(made.grades_result(many=True))
    heights = [bar.get_height() for bar in ax.patches if 0.8 < bar.get_width() < 0.9]
    assert heights == sorted([k - 7.5 for k in range(16)], reverse=True)
    assert "4 not\nassessed" in texts(ax)
    assert "8 better, 0 unchanged, 8 worse" in texts(ax)
    assert ax.get_xlim()[1] > 20  # all 20 that were due
    assert "B (N = 20)" in texts(ax)


def test_few_grades_can_be_drawn_as_a_waterfall_too() -> None:
    ax = drawn(made.grades_result(), kind="waterfall")
    assert "6 better, 4 unchanged, 2 worse" in texts(ax)
    with pytest.raises(ValueError, match="cannot be drawn as 'stacked'"):
        drawn(made.grades_result(many=True), kind="stacked")


def test_change_has_a_strip_an_instrument_with_its_direction() -> None:
    ax = drawn(made.change_result())
    found = texts(ax)
    assert len(ax.figure.axes) == 2
    assert "The scale (\N{LEFTWARDS ARROW} better)" in found
    assert found.count("36/84") == 4
    assert {"-5.00 (-6.00 to -4.00)", "-2.00 (-3.00 to -1.00)", "reference", "0.020"} <= {*found}
    assert {round(x, 6) for x, _ in marks(ax)} == {-5.0, -4.0}


def test_trajectories_have_the_numbers_assessed_beneath() -> None:
    ax = drawn(made.visits_result())
    found = texts(ax)
    assert [found.count(n) for n in ("84", "60", "40")] == [2, 2, 2]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "56", "168"]
    assert "down is better" in ax.get_ylabel()
    assert "open, dotted: observed mean" in ax.get_ylabel()
    assert {round(y, 6) for _, y in marks(ax)} == {
        0.0,
        -3.0,
        -2.0,
        -6.0,
        -4.0,
    }  # the model's, and those observed


def test_trajectories_without_a_model_are_those_observed() -> None:
    ax = drawn(made.visits_result(fitted=False))
    assert "observed mean (line: 95 % interval)" in ax.get_ylabel()
    assert {round(y, 6) for _, y in marks(ax)} == {0.0, -6.0, -4.0}


def test_change_beyond_error_is_stacked_and_says_of_how_many() -> None:
    ax = drawn(made.error_result())
    assert row_names(ax) == ["B", "A"]
    assert {"N = 36 of 84 due", "Better", "Within the error", "Worse"} <= {*texts(ax)}
    unknown = drawn(made.error_result(known=False))
    assert "no measurement error of 'scale' is in the vocabulary" in texts(unknown)


def test_times_are_steps_held_as_long_as_courses_were_followed() -> None:
    ax = drawn(later.times_result(1))
    steps = ax.lines[0]
    assert list(steps.get_xdata()) == [0.0, 30.0, 90.0, 100.0]
    assert list(steps.get_ydata()) == [0.0, 30.0, 60.0, 60.0]
    found = texts(ax)
    assert "As seen at assessments (late)" in found
    assert {"Responded by then", "Dropped out without response", "10", "7"} <= {*found}


def test_curves_end_where_too_few_are_followed() -> None:
    # 10 at risk at day 30, 7 at day 60, 6 at day 100: with a least of 65 % nothing is drawn after day 60.
    ax = drawn(later.times_result(1, least=0.65))
    assert list(ax.lines[0].get_xdata()) == [0.0, 30.0, 60.0]
    assert list(ax.lines[0].get_ydata()) == [0.0, 30.0, 30.0]
    assert ax.get_xlim()[1] < 65
    assert any("curves end where fewer than 65 % were still followed" in text for text in texts(ax))


def test_times_of_many_groups_are_limited_and_counted() -> None:
    found = texts(drawn(later.times_result(12)))
    assert any("the 7 largest of 12 groups" in text for text in found)


def test_lasting_response_is_drawn_on_what_is_possible() -> None:
    ax = drawn(later.lasting_result())
    assert [(round(bar.get_x()), round(bar.get_x() + bar.get_width())) for bar in ax.patches] == [
        (15, 65)
    ] * 2
    assert {round(x) for x, _ in marks(ax)} == {30}
    assert {"10/20", f"30.0 (25.0{DASH}35.0)", "-38.9", "0.016"} <= {*texts(ax)}


def test_doses_have_counts_beneath_and_the_trend_above() -> None:
    ax = drawn(later.doses_result(naive=True))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["4\n2/14", "10\n8/59"]
    found = texts(ax)
    assert any("2.3 (-11.8 to 16.4) points a session\ntrend p = 0.780" in text for text in found)
    assert any("misleads" in text for text in found)


def test_balance_has_the_largest_difference_first() -> None:
    ax = drawn(later.baseline_result())
    assert row_names(ax) == ["Sex", "Age", "Skin type"]
    assert {"0.28", "0.05", "Arm 0 and Arm 1", " not estimable"} <= {*texts(ax)}
    beyond = [line.get_markerfacecolor() for line in ax.lines if line.get_marker() == "o"]
    assert to_rgb(beyond[0]) != (1.0, 1.0, 1.0)  # filled: above 0.1
    assert to_rgb(beyond[1]) == (1.0, 1.0, 1.0)
