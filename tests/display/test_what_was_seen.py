"""Faults that were seen in pictures once, each with the small result that shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import outcome_results as made
import pytest
import schedule_results as schedule
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mesostats.plots import plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mesostats.results import Result


def drawn(result: Result, **options: Any) -> Axes:
    figure = Figure(figsize=(10, 6), layout="constrained")
    ax = plot(result, ax=figure.subplots(), **options)
    figure.canvas.draw()
    return ax


def written(ax: Axes) -> list[str]:
    return [text.get_text().strip() for panel in ax.figure.axes for text in panel.texts]


def test_dropout_by_reason_has_the_numbers_at_risk() -> None:
    result = schedule.reasons_result()
    ax = drawn(result)
    texts = written(ax)
    own = result.estimates[result.estimates["estimand"].eq("cumulative_incidence")]
    assert "At risk" in texts
    assert f"{own['denominator'].max():,.0f}" in texts[texts.index("At risk") :]
    assert any(text.startswith("dashed: 1 - Kaplan-Meier") for text in texts)


def test_dropout_by_reason_of_groups_has_the_numbers_at_risk_of_each() -> None:
    result = schedule.reasons_result(2)
    texts = written(drawn(result))
    beneath = texts[texts.index("At risk") :]
    by = result.groups[0]
    names = {str(name).replace("_", " ").capitalize() for name in result.estimates[by].unique()} - {
        "All groups"
    }
    assert names <= set(beneath)


def test_panels_of_reasons_stand_in_line() -> None:
    ax = drawn(schedule.reasons_result(2))
    lefts = {round(panel.get_position().x0, 6) for panel in ax.figure.axes if panel.axison}
    columns = min(3, len([panel for panel in ax.figure.axes if panel.axison]))
    assert len(lefts) == columns


@pytest.mark.parametrize("first", ["None", "B and more"])
def test_a_group_has_one_look_in_all_panels_and_the_key_names_all(first: str) -> None:
    rows = []
    for instrument, arms in (("score", (first,)), ("scale", ("B", "A"))):
        for arm in arms:
            cell = {"instrument": instrument, "arm": arm}
            rows.append(made.number("mean_value", 5.0, time=0.0, denominator=9, **cell))
            for time in (28.0, 84.0):
                rows.append(made.number("mean_value", 4.0, time=time, denominator=9, **cell))
                rows.append(made.number("mean_change", -1.0, time=time, denominator=9, **cell))
    arguments = {"by": [], "group": "arm", "reference": "A", "time": "day"}
    ax = drawn(schedule.made(rows, ["instrument", "arm"], "change_by_visit", arguments=arguments))
    key = ax.get_legend()
    assert key is not None
    assert [text.get_text() for text in key.get_texts()] == [first, "B", "A"]
    lines = [line for line in key.get_lines() if isinstance(line, Line2D)]
    assert len({str(line.get_color()) for line in lines}) == 3
    assert len({str(line.get_linestyle()) for line in lines}) == 3


def test_care_rules_are_rows_with_their_names_and_what_cannot_be_estimated_is_clear_of_the_counts() -> None:
    cell = {"kept": "yes", "estimand": "adjusted_risk_difference", "conf_level": 0.95, "unit": "sessions"}
    rows = [
        cell | {"care_rule": "no_sun", "term": "pigment", "denominator": 145, "numerator": 19},
        cell
        | {"care_rule": "no_aspirin", "term": "bruising", "denominator": 2139, "numerator": 200}
        | {"estimate": -0.08, "conf_low": -0.13, "conf_high": -0.04},
    ]
    groups = ["care_rule", "term", "kept"]
    ax = drawn(schedule.made(rows, groups, "care_rule_effects", primary="adjusted_risk_difference"))
    names = [tick.get_text() for tick in ax.get_yticklabels()]
    assert names == ["No sun · Pigment", "No aspirin · Bruising"]
    assert ax.get_legend() is None
    low, high = ax.get_xlim()
    assert high > 0.2 * (high - low)  # " not estimable" begins at 0


def test_onsets_say_how_many_groups_are_not_drawn_also_of_kinds() -> None:
    rows = [
        schedule.share(n, 10, "onset_share", arm=arm, term_class=kind, time=time, unit="events")
        for arm in "ABC"
        for kind in ("local", "systemic")
        for time, n in ((0.0, 3), (1.0, 7))
    ]
    arguments = {"by": ["arm"], "of": "class"}
    ax = drawn(schedule.made(rows, ["arm", "term_class"], "onset_after_session", arguments=arguments))
    assert "4 of 6 kinds or groups" in ax.get_xlabel()


def test_what_preceded_stopping_says_how_many_rows_are_not_drawn() -> None:
    result = schedule.stopping_result()
    assert "not shown" not in drawn(result).get_xlabel()
    assert "rows are not shown; they are in the table" in drawn(result, most=1).get_xlabel()


def curve_rows(arms: str, kinds: tuple[str, ...]) -> list[dict[str, Any]]:
    cells = [{"arm": arm, "term_class": kind} for arm in arms for kind in kinds]
    return [
        schedule.share(2, of, "unresolved", time=time, unit="events", **cell)
        for cell in cells
        for time, of in ((1.0, 20 if cell["term_class"] == "local" else 9), (5.0, 5))
    ]


def test_crowded_curves_keep_to_eight_and_say_once_what_they_share() -> None:
    arguments = {"by": ["arm"], "of": "class"}
    rows = curve_rows("ABCDEFGHIJ", ("local", "systemic"))
    ax = drawn(schedule.made(rows, ["arm", "term_class"], "event_durations", arguments=arguments))
    key = ax.get_legend()
    assert key is not None
    assert key.get_title().get_text() == "Local"
    assert [text.get_text() for text in key.get_texts()] == list("ABCDEFGH")
    assert any(
        "the 8 largest of 10 groups" in text and "1 most frequent of 2 kinds" in text for text in written(ax)
    )


def test_each_exposure_has_its_count() -> None:
    rows = []
    for level, n, of in (("none", 98, 896), ("cold", 39, 421)):
        for side in ("crude", "adjusted"):
            rows.append(schedule.share(n, of, f"{side}_risk", anaesthetic=level, unit="sessions"))
            if level != "none":
                rows.append(
                    schedule.share(n, of, f"{side}_risk_difference", anaesthetic=level, unit="sessions")
                )
    arguments = {"exposure": "anaesthetic", "reference": "none"}
    ax = drawn(schedule.made(rows, ["anaesthetic"], "exposure_effect", arguments=arguments))
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["None (reference), 98/896", "Cold, 39/421"]
