"""Predicted retention: a step curve a profile of covariates, over the phases of the schedule."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from matplotlib.ticker import MaxNLocator

from mesostats.layout import conf_level
from mesostats.plots.ends import apart
from mesostats.plots.marks import NEUTRAL, nothing, scaled, series_of
from mesostats.plots.phases import make_room, phase_bands

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mesostats.plots.marks import Series
    from mesostats.results import Result

_MOST_BANDS: Final = 3
_FULL: Final = 102.0
_NAME_WIDTH: Final = 24


def prediction_size(_result: Result, _most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    return 9.0, 4.8


def predictions(ax: Axes, result: Result, _most: int) -> None:
    """Draw the predicted share that comes to each session, a curve a profile, named at its end."""
    frame = result.estimates[result.estimates["estimate"].notna()]
    if frame.empty:
        nothing(ax)
        return
    several = list(series_of(result, scaled(frame), result.groups))
    for each in several:
        _curve(ax, each, band=len(several) <= _MOST_BANDS)
    ax.set_xlim(1, max(frame["time"].max(), 1) + 1)
    ax.set_ylim(0, _FULL)
    make_room(ax, result)
    phase_bands(ax, result, start=0.0)
    ends = {
        fill(each.name, _NAME_WIDTH): (float(each.rows["estimate"].iloc[-1]), each.look.color)
        for each in several
    }
    apart(ax, ends)
    ax.xaxis.set_major_locator(MaxNLocator(12, integer=True))
    ax.set_xlabel("Session of the schedule")
    level = conf_level(result)
    shown = f"band: {level} interval" if len(several) <= _MOST_BANDS else "intervals: see the table"
    ax.set_ylabel(
        "Predicted to come, % of courses\nthat came to the first session" + (f" ({shown})" if level else "")
    )
    ax.grid(axis="y", color=NEUTRAL)
    ax.set_axisbelow(True)


def _curve(ax: Axes, each: Series, *, band: bool) -> None:
    """Draw one profile's steps from the first session to the end of the last."""
    first = {"time": [1.0], "estimate": [100.0], "conf_low": [100.0], "conf_high": [100.0]}
    last = each.rows.iloc[[-1]].assign(time=each.rows["time"].max() + 1)
    rows = pd.concat([pd.DataFrame(first), each.rows, last], ignore_index=True)
    look: dict[str, Any] = {"color": each.look.color, "linestyle": each.look.line}
    ax.step(rows["time"], rows["estimate"], where="post", label=each.name, **look)
    if band:
        shade: dict[str, Any] = {"color": each.look.color, "alpha": 0.14, "linewidth": 0}
        ax.fill_between(rows["time"], rows["conf_low"], rows["conf_high"], step="post", **shade)
