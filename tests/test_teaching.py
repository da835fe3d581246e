"""What a lesson shows: errors against a known truth, as a table and as pictures."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure

from mesostats.teaching import Recovery, compare_with_truth, error_table, plot_coverage, plot_errors

FOUND = pd.Series({"estimate": 0.11, "conf_low": 0.09, "conf_high": 0.13, "method": "any"})
SHARE = compare_with_truth("event rows", "how often?", truth=0.10, wrong=0.25, right=FOUND)
RATIO = Recovery("immortal time", "by what?", 2.0, 0.5, 1.7, 1.5, 1.9, scale="ratio")


def test_compare_with_truth_keeps_the_right_estimate_and_its_interval() -> None:
    assert Recovery("event rows", "how often?", 0.10, 0.25, 0.11, 0.09, 0.13) == SHARE


def test_error_is_a_difference_of_shares_and_relative_of_ratios() -> None:
    assert SHARE.error(0.25) == pytest.approx(0.15)
    assert RATIO.error(0.5) == pytest.approx(-0.75)  # (0.5 - 2) / 2
    assert RATIO.error(RATIO.truth) == SHARE.error(SHARE.truth) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"truth": 0.0}, "truth == 0.0, must be above 0"),
        ({"truth": float("nan")}, "truth == nan"),
        ({"truth": 0.1, "scale": "odds"}, "scale is one of share, ratio, found 'odds'"),
    ],
)
def test_compare_with_truth_refuses(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare_with_truth("a", "b", wrong=0.2, right=FOUND, **arguments)


def test_error_table_shows_estimates_and_errors_in_their_units() -> None:
    html = error_table(SHARE, RATIO).as_raw_html()
    texts = (
        *("10.0 %", "25.0 %", "+15.0 points", "11.0 % (9.0\N{EN DASH}13.0)", "+1.0 points"),
        *("2.00", "0.50", "-75.0 %", "1.70 (1.50\N{EN DASH}1.90)", "-15.0 %"),
    )
    assert all(f">{text}<" in html for text in texts)
    assert "in percentage points" in html
    assert "in % of the truth" in html


def test_error_table_of_one_is_headed_by_its_question_and_explains_its_scale_only() -> None:
    html = error_table(SHARE).as_raw_html()
    assert "how often?" in html
    assert "in % of the truth" not in html
    assert html == error_table(SHARE).as_raw_html()


def test_errors_are_plotted_as_multiples_of_the_truth() -> None:
    axes = plot_errors(SHARE, RATIO, ax=Figure().subplots())
    right, wrong = (line for line in axes.lines if line.get_label() in {"right analysis", "wrong analysis"})
    assert right.get_xdata() == pytest.approx([1.1, 0.85])  # 0.11 / 0.10, 1.7 / 2
    assert wrong.get_xdata() == pytest.approx([2.5, 0.25])
    assert [text.get_text() for text in axes.get_yticklabels()] == ["event rows", "immortal time"]
    assert {"10.0 %", "25.0 %", "2.00", "0.50"} <= {text.get_text() for text in axes.texts}
    low, high = axes.get_xlim()
    assert low < 0.25
    assert high > 2.5


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(ValueError, match="there is nothing to show"):
        error_table()
    with pytest.raises(ValueError, match="there is nothing to show"):
        plot_errors()


def test_coverage_marks_the_intervals_that_miss_and_counts_all() -> None:
    estimates = {"estimate": [0.2, 0.4, 0.6], "conf_low": [0.1, 0.3, 0.55]}
    right = pd.DataFrame(estimates | {"conf_high": [0.6, 0.6, 0.7]}, index=[7, 8, 9])
    wrong = right.assign(conf_high=[0.3, 0.5, 0.7])
    given = right.copy()
    first = plot_coverage(0.5, wrong=wrong, right=right, most=2, ax=Figure().subplots())
    _, second = first.figure.axes
    assert [panel.texts[0].get_text() for panel in (first, second)] == [
        "wrong analysis: 1 of 3 hold the truth",  # only [0.3, 0.5], whose end is the truth
        "right analysis: 2 of 3 hold the truth",
    ]
    held, missed = (line for line in first.lines if line.get_marker() in {".", "X"})
    assert held.get_xdata() == pytest.approx([40.0])
    assert missed.get_xdata() == pytest.approx([20.0])
    assert first.get_ylabel() == "the first 2 of 3 clinics"
    pd.testing.assert_frame_equal(right, given)


def test_coverage_of_frames_that_do_not_match_is_refused() -> None:
    frame = pd.DataFrame({"estimate": [0.5], "conf_low": [0.4], "conf_high": [0.6]})
    with pytest.raises(ValueError, match="a row a clinic, found 1 and 0"):
        plot_coverage(0.5, wrong=frame, right=frame.head(0))
