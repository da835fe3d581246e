"""Every result of the schedule, dropout and outcome analyses can be shown, also where nothing can be estimated."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import course_results as later
import numpy as np
import outcome_results as outcomes
import pytest
import schedule_results as made
from matplotlib.figure import Figure

from mesostats.plots import plot
from mesostats.tables import table

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from mesostats.results import Result

RESULTS = {
    "adherence": made.adherence_result,
    "gaps": made.gaps_result,
    "hazard": made.steps_result,
    "hazard_groups": lambda: made.steps_result(groups=2),
    "model": made.model_result,
    "predicted": made.predicted_result,
    "reasons": made.reasons_result,
    "reasons_groups": lambda: made.reasons_result(3),
    "scenarios": made.scenario_result,
    "stopping": made.stopping_result,
    "disposition": lambda: made.disposition_result(2),
    "disposition_many": lambda: made.disposition_result(6),
    "received": made.received_result,
    "returns": made.return_result,
    "flow": lambda: made.flow_result(2),
    "histories": made.histories_result,
    "response": outcomes.response_result,
    "methods": outcomes.methods_result,
    "methods_many": lambda: outcomes.methods_result(9),
    "tipping": outcomes.tipping_result,
    "threshold": outcomes.threshold_result,
    "compared": outcomes.compared_result,
    "compared_groups": lambda: outcomes.compared_result(3, instruments=1),
    "compared_pairs": outcomes.pairwise_result,
    "subgroups": outcomes.subgroup_result,
    "grades": outcomes.grades_result,
    "grades_many": lambda: outcomes.grades_result(many=True),
    "change": outcomes.change_result,
    "change_alone": lambda: outcomes.change_result(grouped=False),
    "visits": outcomes.visits_result,
    "visits_alone": lambda: outcomes.visits_result(grouped=False),
    "visits_not_fitted": lambda: outcomes.visits_result(fitted=False),
    "error": outcomes.error_result,
    "error_not_known": lambda: outcomes.error_result(known=False),
    "times": later.times_result,
    "times_many": lambda: later.times_result(12),
    "lasting": later.lasting_result,
    "doses": lambda: later.doses_result(naive=True),
    "baseline": later.baseline_result,
    "baseline_many": lambda: later.baseline_result(11),
}
NUMBERS = ["estimate", "std_error", "conf_low", "conf_high", "p_value", "p_adjusted"]


def nothing(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.iloc[:0]


def no_number(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**dict.fromkeys(NUMBERS, np.nan), note="not possible")


def no_count(frame: pd.DataFrame) -> pd.DataFrame:
    return no_number(frame).assign(numerator=np.nan, denominator=np.nan)


def no_event(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(estimate=0.0, conf_low=0.0, numerator=0.0)


def nobody(frame: pd.DataFrame) -> pd.DataFrame:
    return no_number(frame).assign(numerator=0.0, denominator=0.0)


def first_row(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.iloc[:1]


def last_row(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.iloc[-1:]


def at_day_0(frame: pd.DataFrame) -> pd.DataFrame:
    timed = frame[frame["time"].notna()] if frame["time"].notna().any() else frame
    keys = [*frame.columns[: list(frame.columns).index("estimand")], "estimand"]
    return timed.assign(time=timed["time"] * 0).drop_duplicates(keys)


CHANGES = [nothing, no_number, no_count, no_event, nobody, first_row, last_row, at_day_0]


def changed(name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Result:
    result: Any = RESULTS[name]()
    return replace(result, estimates=change(result.estimates).reset_index(drop=True))


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", RESULTS)
def test_results_without_estimates_are_drawn_without_a_warning(
    name: str, change: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    figure = Figure(figsize=(9, 6), layout="constrained")
    result = changed(name, change)
    before = result.estimates.copy()
    ax = plot(result, ax=figure.subplots())
    figure.canvas.draw()
    assert ax.get_title(loc="left") == "A question"
    assert before.equals(result.estimates)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", RESULTS)
def test_results_without_estimates_have_a_table(
    name: str, change: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    html = table(changed(name, change)).as_raw_html()
    assert "A question" in html
    assert "Data cut: 2025-06-30" in html
    assert ">nan<" not in html.lower()


@pytest.mark.parametrize("name", RESULTS)
def test_results_that_hold_nothing_say_so(name: str) -> None:
    ax = plot(changed(name, nothing), ax=Figure().subplots())
    assert [text.get_text() for text in ax.texts] == ["nothing to show"]
    assert "nothing to show" in table(changed(name, nothing)).as_raw_html()


@pytest.mark.parametrize("name", RESULTS)
def test_pictures_are_made_without_axes_too(name: str) -> None:
    from matplotlib import pyplot as plt  # noqa: PLC0415 - only here

    ax = plot(RESULTS[name]())
    ax.figure.canvas.draw()
    assert ax.figure.number in plt.get_fignums()
    plt.close(ax.figure)
