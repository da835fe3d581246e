"""What pictures show, in words: the picture, the groups, the numbers to quote, and which way is better."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import course_results as later
import outcome_results as made
import pytest
import schedule_results as schedule
from IPython.core.formatters import DisplayFormatter
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from test_saved_tables import RESULTS

from mesostats.plots import alt_text, plot
from mesostats.plots.described_figures import DescribedFigure, description

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesostats.results import Result

DASH = "\N{EN DASH}"
MORE: dict[str, Callable[[], Result]] = {
    "gaps": schedule.gaps_result,
    "grades": made.grades_result,
    "error": made.error_result,
    "predicted": schedule.predicted_result,
    "received": schedule.received_result,
    "return": schedule.return_result,
    "scenarios": schedule.scenario_result,
    "steps": schedule.steps_result,
    "stopping": schedule.stopping_result,
    "threshold": made.threshold_result,
}


def test_few_numbers_are_all_said_with_interval_and_count() -> None:
    assert alt_text(made.response_result()) == (
        "Dots with intervals. A question, by indication (2 groups). Treated, % of courses (with 95 % interval): "
        f"Melasma · The score 29.0 (24.0{DASH}34.0), 18/62; Cellulite · The scale 34.9 (29.9{DASH}39.9), 22/63. "
        "Higher is better."
    )


def test_of_many_numbers_the_highest_and_the_lowest_are_said() -> None:
    rows = [
        schedule.share(n, 10, "incidence_proportion", term=f"term_{n}", unit="patients") for n in (4, 2, 9, 5)
    ]
    rows.append(schedule.share(0, 0, "incidence_proportion", term="rare", unit="patients"))
    result = schedule.made(rows, ["term"], "adverse_event_rates", arguments={"by": [], "of": "term"})
    text = alt_text(result)
    assert (
        f"highest Term 9 90.0 (85.0{DASH}95.0), 9/10; lowest Term 2 20.0 (15.0{DASH}25.0), 2/10; 1 not estimable."
        in text
    )
    assert text.startswith("Forest plot. ")
    assert text.endswith("Lower is better.")


def test_numbers_that_are_all_alike_are_said_once() -> None:
    rows = [schedule.share(2, 10, "incidence_proportion", term=name) for name in "abcd"]
    result = schedule.made(rows, ["term"], "adverse_event_rates", arguments={"by": [], "of": "term"})
    assert "all 4 20.0." in alt_text(result)


def test_values_of_several_instruments_are_not_held_against_each_other() -> None:
    rows = [made.number("mean_change", -n, instrument=f"i{n}") for n in range(1, 6)]
    result = schedule.made(rows, ["instrument"], "change_from_baseline", arguments={"by": []})
    text = alt_text(result)
    assert "highest" not in text
    assert "2 more" in text


def test_curves_are_quoted_at_their_last_time() -> None:
    rows = [
        schedule.share(n, of, "retention", time=time, estimate=kept)
        for time, n, of, kept in ((1.0, 0, 20, 1.0), (2.0, 5, 20, 0.75), (3.0, 3, 15, 0.6), (4.0, 0, 0, 0.6))
    ]
    result = schedule.made(rows, [], "retention", arguments={"by": [], "time": "session"})
    assert "60.0" in alt_text(result)
    assert "at session 3. Higher is better." in alt_text(result)


def test_hazards_are_quoted_at_any_session() -> None:
    text = alt_text(schedule.steps_result())
    assert "Dropout hazard" in text
    assert "Lower is better." in text


@pytest.mark.parametrize("name", [*RESULTS, *MORE])
def test_every_picture_is_described_in_words(name: str) -> None:
    text = alt_text((RESULTS | MORE)[name]())
    assert 40 < len(text) < 700
    assert text.endswith((".", ")"))
    assert "nan" not in text
    assert "_" not in text


def test_each_kind_has_its_own_description() -> None:
    result = made.response_result()
    assert alt_text(result).startswith("Dots with intervals.")
    assert alt_text(result, kind="forest").startswith("Forest plot.")
    with pytest.raises(ValueError, match="cannot be drawn as 'funnel'"):
        alt_text(result, kind="funnel")


def test_an_empty_picture_says_that_it_is_empty_and_why() -> None:
    empty = made.response_result()
    empty = replace(empty, estimates=empty.estimates.iloc[:0])
    assert alt_text(empty) == "Empty picture. A question: there is nothing to show."
    alone = alt_text(later.baseline_result(1))
    assert (
        alone == "Empty picture. A question: there is nothing to show (there are no two groups to compare)."
    )


def test_a_notebook_keeps_the_text_beside_the_picture() -> None:
    axes = plot(made.response_result())
    figure = axes.figure
    assert isinstance(figure, DescribedFigure)
    formatter = DisplayFormatter()
    formatter.formatters["image/png"].for_type(Figure, lambda _: b"png")
    data, metadata = formatter.format(figure)
    plt.close()
    assert data["text/plain"] == alt_text(made.response_result())
    assert data["image/png"] == b"png"
    assert metadata["image/png"]["alt"] == data["text/plain"]


def test_axes_of_the_callers_figure_are_described_too() -> None:
    figure = Figure()
    first, second = figure.subplots(2)
    plot(made.response_result(), ax=first)
    plot(schedule.adherence_result(), ax=second)
    expected = f"{alt_text(made.response_result())} {alt_text(schedule.adherence_result())}"
    assert description(figure) == expected


def test_a_figure_without_a_description_has_that_of_its_titles() -> None:
    figure = Figure()
    assert description(figure) == ""
    figure.subplots().set_title("Mine")
    assert description(figure) == "Mine"
    assert DescribedFigure()._repr_mimebundle_() == ({}, {})
