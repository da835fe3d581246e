"""Dropout by reason: cumulative incidences over sessions or days, beside what one minus Kaplan-Meier would claim."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import MaxNLocator

from mesostats.layout import by_columns, conf_level, label, labels_of, most_frequent, p_text, time_name
from mesostats.plots.beneath import at_risk_beneath
from mesostats.plots.ends import apart
from mesostats.plots.marks import (
    NEUTRAL,
    Look,
    key_above,
    looks,
    nothing,
    panel_name,
    scaled,
    tiled,
)
from mesostats.plots.phases import make_room, phase_bands

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mesostats.results import Result

_REASON: Final = "reason"
_ALL: Final = "all reasons"
_RIGHT: Final = "cumulative_incidence"
_NAIVE: Final = "one_minus_kaplan_meier"
_MOST_CURVES: Final = 5
_MOST_PANELS: Final = 6
_MOST_GROUPS: Final = 4
_COLUMNS: Final = 3
_ROOM: Final = 1.1
_LEAST: Final = 2.0  # per cent
_NAME_WIDTH: Final = 24
_HATCHES: Final = ("", "///", "...", "\\\\\\", "xx", "++", "oo", "--")
_WARNING: Final = "dashed: 1 - Kaplan-Meier, which takes the other reasons as censoring: too high"


def reasons_size(result: Result, _most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    if not by_columns(result):
        return 9.0, 5.4
    rows = int(np.ceil(min(_MOST_PANELS, len(_ranked(result))) / _COLUMNS))
    return 10.5, 2.0 + 2.5 * max(1, rows)


def reason_curves(ax: Axes, result: Result, most: int) -> None:
    """Draw the cumulative incidence of each reason; with groups a panel a reason, a curve a group."""
    reasons = _ranked(result)
    if not reasons:
        nothing(ax)
    elif by_columns(result):
        _panels(ax, result, reasons[: min(most, _MOST_PANELS)], len(reasons))
    else:
        _overlaid(ax, result, reasons[: min(most, _MOST_CURVES)], len(reasons))


def _ranked(result: Result) -> list[Any]:
    """Return the reasons for which a course was given up, the most frequent first; all of them where there is one."""
    own = _of(result, _RIGHT)
    own = own[own[_REASON].ne(_ALL)]
    often = own.groupby(_REASON, sort=False)["numerator"].sum()
    return list(often[often > 0].sort_values(ascending=False, kind="stable").index)


def _of(result: Result, estimand: str) -> pd.DataFrame:
    frame = result.estimates
    return frame[frame["estimand"].eq(estimand) & frame["estimate"].notna()]


def _overlaid(ax: Axes, result: Result, reasons: list[Any], number: int) -> None:
    """Draw the reasons of everybody in one panel, named at the ends of the curves."""
    ends: dict[str, tuple[float, Any]] = {}
    for reason, look in zip(reasons, looks(len(reasons)), strict=True):
        _pair(ax, result, {_REASON: reason}, look)
        last = (
            scaled(_of(result, _RIGHT).query(f"{_REASON} == @reason"))
            .sort_values("time")["estimate"]
            .iloc[-1]
        )
        ends[fill(label(result, _REASON, reason), _NAME_WIDTH)] = (float(last), look.color)
    _scaled_axes([ax], result, bands=True)
    phase_bands(ax, result, start=0.0)
    apart(ax, ends)
    units = _of(result, _RIGHT)["unit"].iloc[0]
    ax.set_ylabel(f"Given up for the reason by then, % of {units}\n(line: Aalen-Johansen)")
    more = f"; the {len(reasons)} most frequent of {number} reasons" if len(reasons) < number else ""
    ax.set_xlabel(_time(result), fontsize="small", labelpad=1)
    at_risk_beneath(ax, [("", _at_risk_of(result, {}))], remark=_WARNING + more)


def _panels(ax: Axes, result: Result, reasons: list[Any], number: int) -> None:
    """Draw a panel a reason, the groups as curves, Gray's test in the corner."""
    groups, left_out = _groups(result)
    rows = int(np.ceil(len(reasons) / _COLUMNS))
    grid = tiled(ax, rows, min(len(reasons), _COLUMNS))
    for place, panel in enumerate(grid):
        panel.tick_params(labelbottom=True, labelsize="small")
        if place >= len(reasons):
            panel.set_axis_off()
            continue
        for (name, cell), look in zip(groups, looks(len(groups)), strict=True):
            _pair(panel, result, cell | {_REASON: reasons[place]}, look, name=name)
        test = _gray(result, reasons[place])
        panel_name(panel, fill(label(result, _REASON, reasons[place]), 34) + test)
    width = min(len(reasons), _COLUMNS)
    for line in range(rows):  # reasons stand by frequency: those of a line are of one size
        _scaled_axes(grid[line * width : min((line + 1) * width, len(reasons))], result, bands=False)
    units = _of(result, _RIGHT)["unit"].iloc[0]
    for panel in grid[:: min(len(reasons), _COLUMNS)]:
        panel.set_ylabel(f"% of {units}", fontsize="small")
    notes = [_time(result) + (" (each line of panels has its own scale)" if rows > 1 else ""), _WARNING]
    notes += [f"the {len(reasons)} most frequent of {number} reasons"] if len(reasons) < number else []
    notes += [f"the {len(groups)} largest of {len(groups) + left_out} groups"] if left_out else []
    lowest = grid[min(len(reasons), len(grid)) - 1 - (len(reasons) - 1) % min(len(reasons), _COLUMNS)]
    curves = [(name, _at_risk_of(result, cell)) for name, cell in groups]
    at_risk_beneath(lowest, curves, remark="\n".join(notes))
    key_above(ax)


def _groups(result: Result) -> tuple[list[tuple[str, dict[str, Any]]], int]:
    """Return the name and the cell of each group drawn, and how many are not."""
    by = by_columns(result)
    own = _of(result, _RIGHT)
    own = own[own[_REASON].ne(_ALL)]
    sizes = own.assign(numerator=own["denominator"].where(~own.duplicated(by), 0.0))
    kept, left_out = most_frequent(sizes, by, _MOST_GROUPS)
    firsts = kept.drop_duplicates(by)
    return [
        (labels_of(result, by, row), {name: row[name] for name in by}) for _, row in firsts.iterrows()
    ], left_out


def _pair(ax: Axes, result: Result, cell: dict[str, Any], look: Look, *, name: str = "") -> None:
    """Draw one incidence as a line, and what one minus Kaplan-Meier claims as a thin dashed one."""
    for estimand, style, width in ((_RIGHT, look.line if name else "-", 1.7), (_NAIVE, (0, (4, 2)), 0.9)):
        rows = _of(result, estimand)
        for column, value in cell.items():
            rows = rows[rows[column].eq(value)]
        rows = scaled(rows.sort_values("time"))
        if rows.empty:
            continue
        times, values = [0.0, *rows["time"]], [0.0, *rows["estimate"]]
        if time_name(result) == "Session":  # the last value holds up to the next session
            times, values = [*times, times[-1] + 1], [*values, values[-1]]
        shown = name if estimand == _RIGHT and name else None
        ax.step(times, values, where="post", color=look.color, linestyle=style, linewidth=width, label=shown)


def _scaled_axes(panels: list[Axes], result: Result, *, bands: bool) -> None:
    """Give panels one scale, as long and as high as the longest and highest of their curves."""
    drawn = [line for panel in panels for line in panel.lines if np.size(line.get_xdata())]
    right = max((float(np.max(line.get_xdata())) for line in drawn), default=1.0)
    highest = max((float(np.nanmax(line.get_ydata())) for line in drawn), default=0.0)
    top = max(_ROOM * highest, _LEAST)
    for panel in panels:
        panel.set_xlim(0, right or 1.0)
        panel.set_ylim(0, top)
        if bands:
            make_room(panel, result)
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        panel.grid(axis="y", color=NEUTRAL)
        panel.set_axisbelow(True)


def _at_risk_of(result: Result, cell: dict[str, Any]) -> pd.DataFrame:
    """Return the rows of a group whose denominators are those at risk: the same for all of its reasons."""
    rows = _of(result, _RIGHT)
    for column, value in cell.items():
        rows = rows[rows[column].eq(value)]
    return rows[rows[_REASON].eq(rows[_REASON].iloc[0])]


def _gray(result: Result, reason: Any) -> str:
    """Quote the test across groups of one reason, adjusted over the reasons."""
    tests = result.estimates[
        result.estimates["estimand"].eq("gray_test") & result.estimates[_REASON].eq(reason)
    ]
    if tests.empty or pd.isna(tests["p_value"].iloc[0]):
        return ""
    row = tests.iloc[0]
    return f"\nGray's test p {p_text(row['p_value'])}, adjusted {p_text(row['p_adjusted'])}"


def _time(result: Result) -> str:
    return "Session of the schedule" if time_name(result) == "Session" else "Days from the first session"


def stacked_reasons(ax: Axes, result: Result, _most: int) -> None:
    """Draw the incidences of all reasons on top of one another: together they are all courses given up."""
    reasons = _ranked(result)
    frame = scaled(_of(result, _RIGHT))
    if not reasons or by_columns(result):
        nothing(ax)
        return
    wide = frame.pivot_table(index="time", columns=_REASON, values="estimate", sort=False)[
        reasons
    ].sort_index()
    times = [0.0, *wide.index]
    if time_name(result) == "Session":
        times.append(times[-1] + 1)
    below = np.zeros(len(times))
    ends: dict[str, tuple[float, Any]] = {}
    for place, (reason, color) in enumerate(
        zip(reasons, sns.color_palette("colorblind", len(reasons)), strict=True)
    ):
        values = [0.0, *wide[reason]]
        above = below + np.array([*values, values[-1]][: len(times)])
        hatch = _HATCHES[place % len(_HATCHES)]
        look: dict[str, Any] = {
            "facecolor": color,
            "alpha": 0.55,
            "hatch": hatch,
            "edgecolor": "0.3",
            "linewidth": 0.4,
        }
        ax.fill_between(times, below, above, step="post", **look)
        ends[fill(label(result, _REASON, reason), _NAME_WIDTH)] = (float((below[-1] + above[-1]) / 2), "0.15")
        below = above
    ax.set_xlim(0, times[-1] or 1.0)
    ax.set_ylim(0, max(_ROOM * float(below.max()), _LEAST))
    make_room(ax, result)
    phase_bands(ax, result, start=0.0)
    apart(ax, ends)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    units = _of(result, _RIGHT)["unit"].iloc[0]
    level = conf_level(result)
    ax.set_ylabel(f"Given up by then, % of {units}" + ("\n(intervals: see the table)" if level else ""))
    ax.set_xlabel(_time(result))
