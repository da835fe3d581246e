"""Response by sessions received by a landmark: points with intervals and counts, a panel a cell."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.layout import conf_level, labels_of, out_of, p_statement, shared, telling, with_interval
from mesostats.plots.marks import GREY, NEUTRAL, Look, beside, key_above, looks, nothing, panel_name, scaled
from mesostats.results import ALL_GROUPS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mesostats.results import Result

_SESSIONS: Final = "sessions"
_MOST_PANELS: Final = 4
_NAIVE: Final = "naive_"
_HUNDRED: Final = 100.0
_ROOMY: Final = 6  # ticks


def dose_size(result: Result, _most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    return max(6.0, 1.4 + 3.0 * min(_MOST_PANELS, len(_cells(result)))), 4.6


def dose_points(ax: Axes, result: Result, _most: int) -> None:
    """Draw the share of responders at each number of sessions received by the landmark, and quote the trend."""
    cells = _cells(result)
    if not cells:
        nothing(ax)
        return
    shown = cells[:_MOST_PANELS]
    panels = beside(ax, [1.0] * len(shown)) if len(shown) > 1 else [ax]
    names = telling(result.estimates, _columns(result))
    for place, (panel, rows) in enumerate(zip(panels, shown, strict=True)):
        _panel(panel, result, rows, named=not place)
        name = fill(labels_of(result, names, rows.iloc[0]), 34)
        panel_name(panel, "\n".join(filter(None, [name, _trend(result, rows)])))
    level = conf_level(result)
    ax.set_ylabel(f"% that responded{f' (with {level} interval)' if level else ''}")
    ax.set_ylim(0, _HUNDRED + 2)
    lines = [
        "sessions received by the landmark (beneath: n/N)",
        shared(result, result.estimates, _columns(result)),
    ]
    lines += [f"{len(cells) - len(shown)} more in the table"] if len(cells) > len(shown) else []
    panels[len(panels) // 2].set_xlabel("\n".join(filter(None, lines)))
    key_above(ax)


def _columns(result: Result) -> list[str]:
    return [name for name in result.groups if name != _SESSIONS]


def _cells(result: Result) -> list[pd.DataFrame]:
    """Return the rows of each cell in which several numbers of sessions were received; all cells where there is none."""
    frame, columns = result.estimates, _columns(result)
    parts = [rows for _, rows in frame.groupby(columns, sort=False, dropna=False)] if columns else [frame]
    primary = [_points(rows, str(result.spec["primary"])) for rows in parts]
    known = [rows for rows, own in zip(parts, primary, strict=True) if own["estimate"].notna().any()]
    several = [rows for rows, own in zip(parts, primary, strict=True) if own["estimate"].notna().sum() > 1]
    return several or known


def _points(rows: pd.DataFrame, estimand: str) -> pd.DataFrame:
    own = rows[rows["estimand"].eq(estimand) & rows[_SESSIONS].ne(ALL_GROUPS)]
    return own.assign(_n=own[_SESSIONS].astype(float)).sort_values("_n")


def _panel(ax: Axes, result: Result, rows: pd.DataFrame, *, named: bool) -> None:
    """Draw the points of one cell: over the primary denominator, over those assessed, and the naive ones if asked for."""
    primary = str(result.spec["primary"])
    blue, *_ = looks(1)
    kinds = [(primary, blue, 0.0, primary.removeprefix("response_"))]
    others = [
        name for name in dict.fromkeys(rows["estimand"]) if name.startswith("response_") and name != primary
    ]
    kinds += [(name, Look(GREY, "^", "--"), 0.16, name.removeprefix("response_")) for name in others]
    naive = [name for name in dict.fromkeys(rows["estimand"]) if name.startswith(f"{_NAIVE}response")]
    kinds += [
        (name, Look("0.6", "x", ":"), 0.3, "naive grouping by all sessions: misleads") for name in naive[-1:]
    ]
    ticks: set[float] = set()
    counts: dict[float, str] = {}
    for estimand, look, shift, name in kinds:
        own = scaled(_points(rows, estimand))
        own = own[own["estimate"].notna()]
        ticks |= set(own["_n"])
        at = own["_n"] + shift
        ax.vlines(at, own["conf_low"], own["conf_high"], color=look.color, linewidth=1.5)
        style: dict[str, Any] = {
            "color": look.color,
            "marker": look.marker,
            "linestyle": look.line,
            "linewidth": 0.9,
        }
        ax.plot(at, own["estimate"], label=name if named else None, zorder=3, **style)
        if estimand == primary:
            counts = {row["_n"]: out_of(row) for _, row in own.iterrows()}
    names = [f"{tick:g}\n{counts.get(tick, '')}" for tick in sorted(ticks)]
    ax.set_xticks(sorted(ticks), names, fontsize="small" if len(names) <= _ROOMY else "x-small")
    ax.set_xlim(min(ticks, default=0.0) - 0.7, max(ticks, default=1.0) + 0.7)
    ax.grid(axis="y", color=NEUTRAL)
    ax.set_axisbelow(True)


def _trend(result: Result, rows: pd.DataFrame) -> str:
    """Return the trend over the primary denominator in words."""
    primary = str(result.spec["primary"]).removeprefix("response_")
    slope = rows[rows["estimand"].eq(f"{primary}_trend_difference")]
    test = rows[rows["estimand"].eq(f"{primary}_trend_test")]
    if slope.empty or pd.isna(slope["estimate"].iloc[0]):
        return "no trend to estimate"
    p = p_statement(test["p_value"].iloc[0]) if len(test) and pd.notna(test["p_value"].iloc[0]) else ""
    return f"{with_interval(slope.iloc[0])} points a session\n{f'trend {p}' if p else ''}".rstrip()
