"""The days between sessions as histograms, against the windows of the schedule: a panel a group, days on one axis."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from mesostats.layout import amount, count, labels_of, most_frequent, readable
from mesostats.plots.marks import NEUTRAL, nothing, panel_name, stacked_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mesostats.results import Result

_MOST_PANELS: Final = 6
_BARS: Final = "gap_share"
_HUNDRED: Final = 100.0
_WINDOWS: Final = 2.2  # the axis shows so many times the longest window
_INSIDE: Final = "#0b5394"
_OUTSIDE: Final = "#e69138"
_PLAIN: Final = "0.45"
_WINDOW: Final = "#d9ead3"
_HEADROOM: Final = 1.45
_NAME: Final = 60


class _Window(NamedTuple):
    """A window of the schedule, in days, and the phases that have it."""

    shortest: float
    longest: float
    name: str


def gaps_size(result: Result, _most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    panels = len(_panels(result)[0])
    return 9.0, 1.5 + 1.35 * max(1, panels)


def gap_histograms(ax: Axes, result: Result, _most: int) -> None:
    """Draw how many gaps were how long, the window of each group shaded; bars in it dark, those outside hatched."""
    groups, left_out = _panels(result)
    if not groups:
        nothing(ax)
        return
    end = _end(result, groups)
    panels = stacked_below(ax, [1.0] * len(groups))
    for panel, rows in zip(panels, groups, strict=True):
        _histogram(panel, result, rows, end)
    last = panels[-1]
    last.set_xlim(0, end + 0.5)
    last.xaxis.set_major_locator(MaxNLocator(12, integer=True))
    note = f"\nthe {len(groups)} largest of {len(groups) + left_out} groups; the others in the table"
    last.set_xlabel(
        "Days from one session to the next (shaded: window of the schedule)" + note * bool(left_out)
    )


def _panels(result: Result) -> tuple[list[pd.DataFrame], int]:
    """Return the bars of each group that is drawn, and how many groups are not."""
    bars = result.estimates[result.estimates["estimand"].eq(_BARS)]
    if bars.empty or not result.groups:
        return ([bars] if len(bars) else []), 0
    kept, left_out = most_frequent(bars, result.groups, _MOST_PANELS)
    return [rows for _, rows in kept.groupby(result.groups, sort=False, dropna=False)], left_out


def _windows(result: Result, first: pd.Series[Any]) -> list[_Window]:
    """Return the windows that may belong to a group: those of its phase and protocol."""
    found = result.spec.get("windows", [])
    for column in ("phase", "protocol"):
        if column in result.groups:
            found = [window for window in found if window[column] == first[column]]
    merged: dict[tuple[float, float], list[str]] = {}
    for window in found:
        names = merged.setdefault((window["shortest"], window["longest"]), [])
        names += [readable(window["phase"])] if readable(window["phase"]) not in names else []
    return [_Window(*ends, ", ".join(names)) for ends, names in merged.items()]


def _end(result: Result, groups: list[pd.DataFrame]) -> float:
    """Return the last day that the axis shows: all gaps, or a stretch beyond the windows if few gaps are much longer."""
    longest = max(float(rows["time"].max()) for rows in groups)
    windows = [window.longest for rows in groups for window in _windows(result, rows.iloc[0])]
    return min(longest, np.ceil(_WINDOWS * max(windows))) if windows else longest


def _histogram(ax: Axes, result: Result, rows: pd.DataFrame, end: float) -> None:
    first = rows.iloc[0]
    windows = _windows(result, first)
    shares = rows["estimate"] * _HUNDRED
    top = _HEADROOM * float(np.nan_to_num(shares.max()))
    ax.set_ylim(0, max(top, 1.0))
    for window in windows:
        _shade(ax, window, end, named=len(windows) > 1)
    shown = rows["time"].le(end)
    looks = _looks(rows["time"], windows)
    for look, chosen in looks:
        own = rows[shown & chosen]
        ax.bar(
            own["time"], own["estimate"] * _HUNDRED, 0.86, linewidth=0.4, edgecolor="0.2", zorder=3, **look
        )
    beyond = rows.loc[~shown, "numerator"].sum()
    if beyond:
        text = f"{count(beyond)} longer than {end:g} days \N{RIGHTWARDS ARROW}"
        ax.text(0.995, 0.06, text, transform=ax.transAxes, ha="right", fontsize="x-small", zorder=5)
    ax.text(
        0.995,
        0.95,
        _told(result, first),
        transform=ax.transAxes,
        ha="right",
        va="top",
        fontsize="x-small",
        zorder=5,
    )
    name = shorten(
        labels_of(result, result.groups, first) or "All gaps", _NAME, placeholder="\N{HORIZONTAL ELLIPSIS}"
    )
    panel_name(ax, name)
    ax.set_ylabel("% of gaps", fontsize="small")
    ax.tick_params(labelsize="small")
    ax.yaxis.set_major_locator(MaxNLocator(3))
    ax.grid(axis="y", color=NEUTRAL)
    ax.set_axisbelow(True)


def _shade(ax: Axes, window: _Window, end: float, *, named: bool) -> None:
    """Shade a window; where there are several, name each."""
    low, high = window.shortest - 0.5, window.longest + 0.5
    ax.axvspan(low, high, color=_WINDOW, zorder=0, linewidth=0)
    if named and low < end:
        ax.text(
            (low + min(high, end)) / 2,
            0.80,
            window.name,
            transform=ax.get_xaxis_transform(),
            ha="center",
            va="top",
            fontsize="x-small",
            color="0.3",
        )


def _looks(days: pd.Series[Any], windows: list[_Window]) -> list[tuple[dict[str, Any], pd.Series[Any]]]:
    """Return how bars look, and which: with one window those in it dark; several windows cannot tell whose a gap is."""
    everything = pd.Series(data=True, index=days.index)
    if len(windows) != 1:
        return [({"facecolor": _PLAIN}, everything)]
    inside = days.between(windows[0].shortest, windows[0].longest)
    return [({"facecolor": _INSIDE}, inside), ({"facecolor": _OUTSIDE, "hatch": "////"}, ~inside)]


def _told(result: Result, first: pd.Series[Any]) -> str:
    """Return the shares in, below and above the window and the median of one group."""
    own = result.estimates
    for name in result.groups:
        own = own[own[name].eq(first[name])]
    rows = {row["estimand"]: row for _, row in own[own["estimand"].ne(_BARS)].iterrows()}
    parts = [f"{count(first['denominator'])} gaps"]
    words = {"in_window": "in", "below_window": "below", "above_window": "above"}
    shares = [
        f"{amount(rows[name]['estimate'], name)} % {word}"
        for name, word in words.items()
        if name in rows and pd.notna(rows[name]["estimate"])
    ]
    if shares:
        parts.append(", ".join(shares) + " the window")
    median = rows.get("median_gap")
    if median is not None and pd.notna(median["estimate"]):
        parts.append(f"median {amount(median['estimate'], 'median_gap')} days")
    return "; ".join(parts)
