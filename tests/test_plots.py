"""Plots: marks stand where the numbers are, on the axes given and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from mesostats.plots import plot
from mesostats.results import Result, contract

if TYPE_CHECKING:
    from collections.abc import Callable


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


def compared(arms: str = "AP", **spec: Any) -> Result:
    """Compare arms with P: rash is more common by 30 points, pain less common by 10."""
    rows = []
    for arm in arms:
        for term, shares, difference in (("pain", {"P": 0.5}, -0.1), ("rash", {"P": 0.2}, 0.3)):
            reference = shares["P"]
            rate = reference if arm == "P" else reference + difference
            one = share(rate, arm=arm, term=term, unit="patients")
            rows.append(one | {"estimand": "incidence_proportion"})
            if arm != "P":
                rows.append(
                    share(difference, arm=arm, term=term, estimand="risk_difference", unit="patients")
                )
                limits = {"conf_low": 0.5, "conf_high": np.inf if term == "rash" else 1.2}
                ratio = share(rate / reference, arm=arm, term=term, estimand="risk_ratio", unit="patients")
                rows.append(ratio | limits)
    arguments = {"group": "arm", "reference": "P", "of": "term"}
    own = {
        "analysis": "compare_adverse_events",
        "rates": "incidence_proportion",
        "primary": "risk_difference",
    }
    return made(rows, ["arm", "term"], **(own | {"arguments": arguments} | spec))


def names_of_rows(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.get_yticklabels()]


def key(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def marks(ax: Any) -> dict[str, list[float]]:
    """Return where the marks of each series stand, those without a line."""
    return {
        line.get_label(): [round(float(x), 6) for x in line.get_xdata()]
        for line in ax.lines
        if line.get_linestyle() == "None" and len(line.get_xdata())
    }


def test_dot_plot_puts_shares_left_and_differences_right_the_largest_first() -> None:
    left = plot(compared(), ax=Figure().subplots())
    right = left.figure.axes[1]
    assert names_of_rows(left) == ["Rash", "Pain"]
    assert marks(left) == {"A (N = 10)": [40.0, 50.0], "P (N = 10)": [50.0, 20.0]}
    differences = next(line for line in right.lines if line.get_linestyle() == "None")
    np.testing.assert_allclose(differences.get_xdata(), [-10, 30])
    assert differences.get_ydata().tolist() == [1, 0]
    assert right.get_xlabel().startswith("Risk difference against P, percentage points")
    vertical = [
        line for line in right.lines if line.get_linestyle() == "-" and list(line.get_xdata()) == [0, 0]
    ]
    assert len(vertical) == 1


def test_dot_plot_of_several_arms_tells_them_by_colour_and_marker() -> None:
    left = plot(compared("ABP"), ax=Figure().subplots())
    assert key(left) == ["A (N = 10)", "B (N = 10)", "P (N = 10)"]
    own = [line for line in left.lines if line.get_linestyle() == "None"]
    assert len({str(line.get_color()) for line in own}) == 3
    assert own[0].get_marker() != own[1].get_marker()


def test_ratios_stand_on_a_log_axis_and_unbounded_limits_become_arrows() -> None:
    right = plot(compared(), ax=Figure().subplots(), kind="ratios").figure.axes[1]
    assert right.get_xscale() == "log"
    assert [line.get_marker() for line in right.lines].count(">") == 1
    assert right.get_xlabel().startswith("Risk ratio against P (log scale)")


def test_butterfly_mirrors_two_groups() -> None:
    ax = plot(compared(), ax=Figure().subplots(), kind="butterfly")
    widths = [round(float(bar.get_width())) for bar in ax.patches]
    assert widths == [-40, -50, 50, 20]
    assert key(ax) == ["A", "P"]
    assert ax.xaxis.get_major_formatter()(-20.0, 0) == "20"


def test_unknown_kind_names_what_the_result_can_be_drawn_as() -> None:
    with pytest.raises(ValueError, match=r"'butterfly'; it can be drawn as 'dots', 'ratios'$"):
        plot(compared("ABP"), ax=Figure().subplots(), kind="butterfly")
    with pytest.raises(ValueError, match=r"it can be drawn as 'forest'$"):
        plot(made([share(0.2, arm="A")], ["arm"]), ax=Figure().subplots(), kind="funnel")


def test_most_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="most == 0"):
        plot(compared(), ax=Figure().subplots(), most=0)


def watched() -> Result:
    limits = {"n": [10, 40], "low_0.95": [0.0, 0.1], "high_0.95": [0.5, 0.4]}
    limits |= {"low_0.998": [0.0, 0.05], "high_0.998": [0.6, 0.5]}
    funnel = {"any": {"target": 0.25, "limits": limits}}
    rows = []
    for unit, rate, note in (("D1", 0.6, "signal: more"), ("D2", 0.3, "")):
        p = 0.001 if note else 0.7
        seen = share(rate, unit_id=unit, estimand="session_proportion", note=note, p_value=p, p_adjusted=p)
        rows.append(seen | {"denominator": 30, "unit": "sessions"})
        expected = share(0.25, unit_id=unit, estimand="expected_proportion")
        rows.append(expected | {"conf_low": 0.08, "conf_high": 0.42, "unit": "sessions"})
    arguments = {"by": "unit_id", "of": "any"}
    spec = {"analysis": "signals", "arguments": arguments, "primary": "session_proportion", "funnel": funnel}
    return made(rows, ["unit_id"], **spec)


def test_funnel_shows_units_limits_and_names_the_signal_in_words() -> None:
    ax = plot(watched(), ax=Figure().subplots())
    assert marks(ax) == {"signal": [30.0], "no signal": [30.0]}
    assert {"99.8 % limits", "95 % limits", "all units: 25.0 %"} < set(key(ax))
    assert words(ax) == ["D1 (signal)"]
    upper = next(line for line in ax.lines if list(line.get_ydata()) == [50.0, 40.0])
    assert upper.get_linestyle() == "--"


def test_evidence_holds_observed_against_expected() -> None:
    ax = plot(watched(), ax=Figure().subplots(), kind="evidence")
    assert names_of_rows(ax) == ["SIGNAL: D1", "D2"]
    assert marks(ax) == {"observed": [30.0], "observed: signal": [60.0], "expected": [25.0, 25.0]}
    assert {"0.001", "0.700"} <= set(words(ax))


def test_rates_are_drawn_per_hundred() -> None:
    rate = share(0.25, arm="A", estimand="first_events_per_patient_month", unit="patient-months")
    ax = plot(made([rate], ["arm"]), ax=Figure().subplots())
    assert ax.lines[0].get_xdata().tolist() == [25]
    assert ax.get_xlabel() == "First events per 100 patient-months (with 95 % interval)"


def incidence(arms: str = "AB") -> Result:
    ends = ("cumulative_incidence", "cumulative_incidence_completed", "cumulative_incidence_dropped_out")
    rows = [
        share(0.1 * k + 0.1, arm=arm, time=10.0 * k, estimand=end, unit="patients")
        for arm in arms
        for end in ends
        for k in (1, 2)
    ]
    test = {"arm": "all groups", "estimand": "gray_test", "p_value": 0.0002, "statistic": 14.0, "df": 1}
    return made([*rows, test], ["arm"], analysis="cumulative_incidence", arguments={"by": ["arm"]})


def test_incidence_rises_from_0_with_competing_ends_beside_and_its_test() -> None:
    ax = plot(incidence(), ax=Figure().subplots())
    assert ax.lines[0].get_xdata().tolist() == [0, 10, 20]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0, 20, 30])
    assert "Gray's test: p <0.001" in words(ax)
    assert [words(side) for side in ax.figure.axes[1:]] == [
        ["Completed without one, %"],
        ["Dropped out without one, %"],
    ]


def test_competing_ends_of_one_group_are_thin_lines() -> None:
    ax = plot(incidence("A"), ax=Figure().subplots())
    assert len(ax.figure.axes) == 1
    assert key(ax) == ["Had a side effect", "Completed without one", "Dropped out without one"]
    assert ax.lines[1].get_linewidth() < ax.lines[0].get_linewidth()


def test_many_curves_show_the_largest_groups_and_say_so() -> None:
    rows = [share(0.9, estimand="event_free", arm=f"a{k}", time=1.0, denominator=100 + k) for k in range(17)]
    ax = plot(made(rows, ["arm"], arguments={"by": ["arm"]}), ax=Figure().subplots())
    assert key(ax) == [f"A{k}" for k in range(9, 17)]
    assert "the 8 largest of 17 groups; the others in the table" in words(ax)


def test_events_a_patient_are_no_per_cents() -> None:
    row = share(1.5, estimand="mean_cumulative_events", time=3.0, unit="patients")
    ax = plot(made([row], []), ax=Figure().subplots())
    assert ax.lines[0].get_ydata().tolist() == [0, 1.5]
    assert ax.get_ylabel().startswith("Side effects a patient")


def test_onsets_are_bars_by_intervals_of_days() -> None:
    rows = [share(0.5, time=t, estimand="onset_share", unit="events") for t in (0.0, 1.0, 3.0)]
    ax = plot(made(rows, [], analysis="onset_after_session"), ax=Figure().subplots())
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "1", "2\N{EN DASH}3"]
    assert [bar.get_height() for bar in ax.patches] == [50, 50, 50]
    assert words(ax) == ["5", "5", "5"]


def profile() -> Result:
    shares = {"any": 0.5, "mild": 0.4, "severe": 0.1, "fatal": 0.0}
    rows = [
        share(value, term_class="local", term=term, severity=grade, unit="patients")
        | {"numerator": 100 * value, "estimand": "incidence_proportion"}
        for term in ("any", "rash")
        for grade, value in shares.items()
    ]
    return made(rows, ["term_class", "term", "severity"], analysis="adverse_event_profile")


def test_severities_are_parts_of_a_bar_darker_where_worse() -> None:
    ax = plot(profile(), ax=Figure().subplots())
    assert [round(bar.get_width()) for bar in ax.patches] == [40, 10]
    assert key(ax) == ["Mild", "Severe"]
    light, dark = (sum(bar.get_facecolor()[:3]) for bar in ax.patches)
    assert light > dark


def exposure() -> Result:
    rows = [
        share(0.2, kept=kept, estimand=f"{side}_risk", unit="sessions")
        for side in ("crude", "adjusted")
        for kept in ("yes", "no")
    ]
    rows.append(share(-0.1, kept="yes", estimand="adjusted_risk_difference", unit="sessions"))
    return made(rows, ["kept"], analysis="exposure_effect", arguments={"reference": "no"})


def test_exposure_draws_crude_beside_adjusted() -> None:
    left = plot(exposure(), ax=Figure().subplots())
    assert names_of_rows(left) == ["No (reference), 5/10", "Yes, 5/10"]
    assert key(left) == ["Crude", "Adjusted"]
    assert marks(left.figure.axes[1]) == {"Adjusted": [-10.0]}


MADE = [compared, watched, incidence, profile, exposure]


@pytest.mark.parametrize("make", MADE)
def test_degenerate_results_are_drawn_without_a_warning(make: Callable[[], Result]) -> None:
    result = make()
    numbers = dict.fromkeys(["estimate", "conf_low", "conf_high", "p_value", "p_adjusted"], np.nan)
    for frame in (result.estimates.iloc[:0], result.estimates.iloc[:1], result.estimates.assign(**numbers)):
        ax = plot(Result(frame, result.spec, result.explain))
        ax.figure.canvas.draw()
        plt.close(ax.figure)
    assert words(
        plot(Result(result.estimates.iloc[:0], result.spec, result.explain), ax=Figure().subplots())
    ) == ["nothing to show"]


@pytest.mark.parametrize("make", MADE)
def test_panels_keep_to_the_place_of_the_axes_given(make: Callable[[], Result]) -> None:
    figure = Figure()
    above, below = figure.subplots(2)
    place = below.get_position().bounds
    assert plot(make(), ax=above) is above
    assert below.get_position().bounds == place
    assert not below.lines
    free = figure.add_axes((0.1, 0.1, 0.5, 0.2))
    assert plot(make(), ax=free) is free
    assert all(
        ax.get_position().x1 <= 0.61 for ax in figure.axes if ax.get_position().y1 < 0.31 and ax is not below
    )


def test_a_curve_of_no_event_has_a_scale_that_can_be_read() -> None:
    ends = ("cumulative_incidence", "cumulative_incidence_completed", "cumulative_incidence_dropped_out")
    rows = [share(0.0, arm=arm, time=5.0, estimand=end, unit="patients") for arm in "AB" for end in ends]
    rows = [row | {"conf_low": np.nan, "conf_high": np.nan} for row in rows]
    ax = plot(made(rows, ["arm"]), ax=Figure().subplots())
    assert all(panel.get_ylim() == (0, 2) for panel in ax.figure.axes)


def test_only_the_largest_of_many_groups_are_compared_by_kind() -> None:
    result = compared("ABCDEFGP")
    sizes = result.estimates["arm"].map(dict(zip("ABCDEFGP", range(10, 90, 10), strict=True)))
    large = Result(result.estimates.assign(denominator=sizes), result.spec, result.explain)
    left = plot(large, ax=Figure().subplots())
    assert key(left) == [f"{name} (N = {n})" for name, n in zip("CDEFGP", range(30, 90, 10), strict=False)]
    assert "the 5 largest of 7 groups" in left.figure.axes[1].get_xlabel()


def test_comparison_without_kinds_has_a_row_a_group_and_names_the_reference() -> None:
    result = compared()
    frame = result.estimates[result.estimates["term"].eq("rash")].drop(columns="term")
    spec = dict(result.spec) | {"arguments": {"group": "arm", "reference": "P", "of": "any"}}
    left = plot(Result(frame.reset_index(drop=True), spec, result.explain), ax=Figure().subplots())
    assert names_of_rows(left) == ["A", "P"]
    assert words(left.figure.axes[1]) == ["reference"]


def test_the_reference_alone_is_drawn_without_comparisons() -> None:
    left = plot(compared("P"), ax=Figure().subplots())
    assert marks(left) == {"P (N = 10)": [50.0, 20.0]}
    assert not [line for line in left.figure.axes[1].lines if line.get_linestyle() == "None"]
