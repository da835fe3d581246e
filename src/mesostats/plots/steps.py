"""Numbers a session of the schedule, and shares of consecutive intervals of days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.ticker import MaxNLocator

from mesostats.layout import days_between, label, lay_out, most_frequent, time_name
from mesostats.plots.marks import NEUTRAL, key_above, scaled, series_of, value_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mesostats.results import Result

_MOST_SERIES: Final = 4
_HATCHES: Final = ("", "///", "...", "xx")
_FULL: Final = 102.0
_ROOM: Final = 1.12


def step_size(_result: Result, _most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    return 8.5, 4.4


def points_by_session(ax: Axes, result: Result, _most: int) -> None:
    """Draw points with intervals at each session: every estimand, or the primary one for each group."""
    layout = lay_out(result)
    frame, columns = scaled(layout.frame), ["estimand"]
    if layout.sections:
        frame, columns = frame[frame["estimand"].eq(frame["estimand"].iloc[0])], layout.sections
    several = list(series_of(result, frame, columns))
    for place, each in enumerate(several):
        look = each.look
        times = each.rows["time"] + (place - (len(several) - 1) / 2) * 0.5 / max(len(several), 2)
        ax.vlines(times, each.rows["conf_low"], each.rows["conf_high"], color=look.color, linewidth=1.4)
        marks = {"linestyle": look.line, "linewidth": 0.8, "marker": look.marker, "color": look.color}
        ax.plot(times, each.rows["estimate"], label=each.name, clip_on=False, zorder=3, **marks)
    ax.set_xlabel(time_name(result))
    ax.set_ylabel(value_label(frame, result))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylim(0, _FULL)
    ax.grid(axis="y", color=NEUTRAL)
    ax.set_axisbelow(True)
    title = label(result, "estimand", frame["estimand"].iloc[0]) if layout.sections else None
    key_above(ax, title=title)


def bars_by_days(ax: Axes, result: Result, _most: int) -> None:
    """Draw a bar with its interval for each interval of days, groups side by side."""
    layout = lay_out(result)
    keys = layout.sections  # each of them is a series of bars
    frame, left_out = most_frequent(layout.frame, keys, _MOST_SERIES) if keys else (layout.frame, 0)
    days = days_between(frame["time"].dropna())
    places = {day: place for place, day in enumerate(days)}
    several = list(series_of(result, scaled(frame[frame["time"].notna()]), layout.sections))
    width = 0.8 / max(len(several), 1)
    for number, each in enumerate(several):
        at = each.rows["time"].map(places) + (number - (len(several) - 1) / 2) * width
        events = each.rows["denominator"].max()
        name = f"{each.name} (N = {events:,.0f})" if layout.sections else f"N = {events:,.0f}"
        shade = {"color": each.look.color, "alpha": 0.55, "edgecolor": "0.2", "linewidth": 0.5}
        ax.bar(at, each.rows["estimate"], 0.92 * width, label=name, hatch=_HATCHES[number], **shade)
        ax.vlines(at, each.rows["conf_low"], each.rows["conf_high"], color="0.2", linewidth=1.2)
        for x, (_, row) in zip(at, each.rows.iterrows(), strict=True):
            top = np.nanmax([row["estimate"], row["conf_high"], 0.0])
            ax.annotate(
                f"{row['numerator']:,.0f}",
                (x, top),
                (0, 2),
                textcoords="offset points",
                ha="center",
                fontsize="x-small",
            )
    ax.set_xticks(range(len(days)), list(days.values()))
    note = (
        f"\n{_MOST_SERIES} of {_MOST_SERIES + left_out} kinds or groups, the most frequent; the others in the table"
        if left_out
        else ""
    )
    ax.set_xlabel("Days after the session (numbers of events above the bars)" + note)
    ax.set_ylabel(value_label(frame, result))
    highest = np.nanmax([0.0, *(each.rows[["estimate", "conf_high"]].max().max() for each in several)])
    ax.set_ylim(0, max(highest * _ROOM, 1.0))
    ax.grid(axis="y", color=NEUTRAL)
    ax.set_axisbelow(True)
    if layout.sections:
        key_above(ax)
