"""Return for a repeat course: the share that came back by each day, and the window in which it was meant."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.layout import by_columns, labels_of, out_of, with_interval
from mesostats.plots.curves import curves
from mesostats.plots.marks import nothing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mesostats.results import Result

_WINDOW: Final = "#d9ead3"
_MOST_TOLD: Final = 4


def return_curves(ax: Axes, result: Result, most: int) -> None:
    """Draw the share that came back by each day, the window shaded; how many came back in it is told."""
    returned = result.estimates["estimand"].eq("returned") & result.estimates["estimate"].notna()
    if not returned.any():
        nothing(ax)
        return
    curves(ax, replace(result, estimates=result.estimates[returned].reset_index(drop=True)), most)
    first, last = result.spec["arguments"]["window_days"]
    low, high = ax.get_xlim()
    ax.axvspan(first, min(last, high), color=_WINDOW, zorder=0, linewidth=0)
    ax.set_xlim(low, high)
    ax.set_xlabel("Days from the end of the completed course", fontsize="small", labelpad=1)
    told = "\n".join(_told(result))
    ax.set_ylim(0, ax.get_ylim()[1] * (1.12 + 0.06 * len(told.splitlines())))
    look: dict[str, Any] = {"transform": ax.transAxes, "fontsize": "small", "va": "top", "ha": "left"}
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2.0}
    ax.text(0.012, 0.97, f"Shaded: the window, day {first:g} to {last:g}\n{told}", bbox=box, **look)


def _told(result: Result) -> list[str]:
    """Return how many came back in the window, a line a group."""
    by = by_columns(result)
    rows = result.estimates[result.estimates["estimand"].eq("returned_in_window")]
    if len(rows) > _MOST_TOLD:
        return ["how many came back in it stands in the table"]
    lines = []
    for _, row in rows.iterrows():
        name = labels_of(result, by, row)
        found = f"{with_interval(row)} %" if pd.notna(row["estimate"]) else row["note"]
        lines.append(f"{name + ': ' if name else ''}{out_of(row)} came back in it, {found}")
    return lines
