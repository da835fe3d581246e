"""Plots: marks stand where the numbers are, on the axes given and nowhere else."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from mesostats.plots import plot
from mesostats.results import Result, contract


def made(rows: list[dict[str, Any]], groups: list[str], **spec: Any) -> Result:
    base = {"analysis": "made", "title": "A question", "cutoff": "2025-06-30", "primary": rows[0]["estimand"]}
    return Result(contract(pd.DataFrame(rows), groups), base | spec, lambda _: pd.DataFrame())


def share(estimate: float, **more: Any) -> dict[str, Any]:
    row = {"estimand": "share", "estimate": estimate, "conf_low": estimate - 0.1, "conf_high": estimate + 0.1}
    return row | {"conf_level": 0.95, "numerator": 5, "denominator": 10, "unit": "courses"} | more


def words(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_forest_marks_stand_at_estimate_and_interval() -> None:
    ax = plot(made([share(0.25, arm="A"), share(0.5, arm="B")], ["arm"]), ax=Figure().subplots())
    assert ax.lines[0].get_xdata().tolist() == [25, 50]
    lines = next(each for each in ax.collections if isinstance(each, LineCollection))
    np.testing.assert_allclose([segment[:, 0] for segment in lines.get_segments()], [[15, 35], [40, 60]])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["A", "B"]
    assert words(ax).count("5/10") == 2
    assert ax.get_xlabel() == "% of courses (with 95 % interval)"


def test_series_differ_in_colour_and_marker() -> None:
    rows = [share(0.2, arm=arm, term=term) for arm in "AB" for term in ("rash", "pain")]
    ax = plot(made(rows, ["arm", "term"]), ax=Figure().subplots())
    assert len({line.get_color() for line in ax.lines}) == 2
    assert len({line.get_marker() for line in ax.lines}) == 2
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["A", "B"]


def test_curve_steps_from_100_and_counts_who_is_at_risk() -> None:
    rows = [
        share(0.8, estimand="retention", time=10.0, denominator=20),
        share(0.5, estimand="retention", time=30.0, denominator=9),
    ]
    ax = plot(made(rows, [], arguments={"time": "day"}), ax=Figure().subplots())
    assert ax.lines[0].get_xdata().tolist() == [0, 10, 30]
    assert ax.lines[0].get_ydata().tolist() == [100, 80, 50]
    assert ax.get_xlabel() == "Day"
    at_risk = {text.xy[0]: text.get_text() for text in ax.texts if text.get_text().strip() != "At risk"}
    assert at_risk[0] == "20"
    assert len(at_risk) > 3
    assert all(number == ("20" if time <= 10 else "9") for time, number in at_risk.items())


def test_curves_differ_in_colour_and_line() -> None:
    rows = [share(0.8, estimand="retention", arm=arm, time=float(k)) for arm in "ABC" for k in (1, 2)]
    ax = plot(made(rows, ["arm"]), ax=Figure().subplots())
    assert len({line.get_color() for line in ax.lines}) == 3
    assert len({line.get_linestyle() for line in ax.lines}) == 3


def test_sessions_show_every_estimand_or_the_primary_one_by_group() -> None:
    rows = [
        share(0.2, arm=arm, estimand=e, time=float(k))
        for arm in "AB"
        for e in ("hazard", "kept")
        for k in (1, 2)
    ]
    grouped = plot(made(rows, ["arm"]), ax=Figure().subplots())
    assert [text.get_text() for text in grouped.get_legend().get_texts()] == ["A", "B"]
    alone = [row for row in rows if row["arm"] == "A"]
    single = plot(made(alone, []), ax=Figure().subplots())
    assert [text.get_text() for text in single.get_legend().get_texts()] == ["Hazard", "Kept"]


def test_result_without_rows_says_so() -> None:
    full = made([share(0.2, arm="A")], ["arm"])
    empty = Result(full.estimates.iloc[:0], full.spec, full.explain)
    assert words(plot(empty, ax=Figure().subplots())) == ["nothing to show"]


def test_not_estimable_is_said() -> None:
    ax = plot(made([share(0.2, arm="A"), share(np.nan, arm="B")], ["arm"]), ax=Figure().subplots())
    assert " not estimable" in words(ax)


def test_many_rows_show_the_most_frequent() -> None:
    rows = [share(k / 100, term=f"t{k}") for k in range(50)]
    ax = plot(made(rows, ["term"]), ax=Figure().subplots())
    assert len(ax.get_yticklabels()) == 30
    assert ax.get_yticklabels()[0].get_text() == "T49"
    assert "20 more in the table" in ax.get_xlabel()


def test_given_axes_leave_pyplot_and_settings_alone() -> None:
    before = dict(mpl.rcParams)
    figures = plt.get_fignums()
    axes = Figure().subplots()
    result = made([share(0.25, arm="A")], ["arm"])
    frame = result.estimates.copy()
    assert plot(result, ax=axes) is axes
    assert plt.get_fignums() == figures
    assert dict(mpl.rcParams) == before
    pd.testing.assert_frame_equal(result.estimates, frame)


def test_without_axes_a_figure_is_made() -> None:
    ax = plot(made([share(0.25, arm="A")], ["arm"]))
    assert ax.figure.number in plt.get_fignums()
    plt.close(ax.figure)
