"""What became of the courses: a bar a state, the reasons of those given up beneath theirs, a panel a group."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.layout import by_columns, count, label, labels_of, out_of_with_share
from mesostats.plots.marks import NEUTRAL, ROW_INCHES, beside, panel_name, rows_named, scaled
from mesostats.plots.shares import stacked_bars, stacked_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mesostats.results import Result

_MOST_PANELS: Final = 4
_ALL: Final = "all reasons"
_REASON: Final = "reason"
_LOOKS: Final = {"completed": "#0b5394", "ongoing": "#9fc5e8", "dropped_out": "#f6b26b"}
_REST: Final = "0.6"
_INDENT: Final = "\N{EN DASH} "
_ROOM: Final = 1.62
_WHOLE: Final = 100.0
_NAME_WIDTH: Final = 30


def disposition_size(result: Result, most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    groups = _groups(result)
    if len(groups) > _MOST_PANELS:
        return stacked_size(result, most)
    rows = len(result.estimates[["estimand", _REASON]].drop_duplicates())
    return 5.2 + 2.3 * len(groups), 1.7 + 0.8 * ROW_INCHES * rows


def disposition_bars(ax: Axes, result: Result, most: int) -> None:
    """Draw a bar a state and a reason for few groups; for many a stacked bar a group."""
    groups = _groups(result)
    if len(groups) > _MOST_PANELS:
        stacked_bars(ax, result, most)
        return
    by = by_columns(result)
    kinds = list(dict.fromkeys(result.estimates[["estimand", _REASON]].itertuples(index=False, name=None)))
    panels = beside(ax, [1.0] * len(groups), share_values=True)
    for panel, rows in zip(panels, groups, strict=True):
        _bars(panel, scaled(rows), kinds)
        first = rows.iloc[0]
        name = labels_of(result, by, first) if by else ""
        if name:
            panel_name(panel, fill(name, _NAME_WIDTH))
        panel.set_xlabel(f"% of {count(first['denominator'])} {first['unit']}")
    ax.set_xlim(0, _ROOM * _highest(result))
    ax.set_xticks([tick for tick in ax.get_xticks() if 0 <= tick <= _WHOLE])
    ax.set_xlim(0, _ROOM * _highest(result))
    rows_named(ax, [_name(result, *kind) for kind in kinds], width=40)


def _groups(result: Result) -> list[pd.DataFrame]:
    by = by_columns(result)
    if not by:
        return [result.estimates]
    return [rows for _, rows in result.estimates.groupby(by, sort=False, dropna=False)]


def _highest(result: Result) -> float:
    top = scaled(result.estimates)[["estimate", "conf_high"]].max().max()
    return max(float(top), 1.0) if pd.notna(top) else 100.0


def _name(result: Result, estimand: str, reason: str) -> str:
    if reason == _ALL:
        return label(result, "estimand", estimand)
    return _INDENT + label(result, _REASON, reason)


def _bars(ax: Axes, rows: pd.DataFrame, kinds: list[tuple[Any, ...]]) -> None:
    """Draw the bars of one group with their intervals, and n/N (%) beside them."""
    places = {kind: place for place, kind in enumerate(kinds)}
    for _, row in rows.iterrows():
        kind = (row["estimand"], row[_REASON])
        place, of_reason = places[kind], kind[1] != _ALL
        shade: dict[str, Any] = {"color": _LOOKS.get(kind[0], _REST), "edgecolor": "0.35", "linewidth": 0.5}
        hatch = "///" if of_reason else ""
        ax.barh(
            place,
            0.0 if pd.isna(row["estimate"]) else row["estimate"],
            0.5 if of_reason else 0.74,
            hatch=hatch,
            **shade,
        )
        ax.hlines(place, row["conf_low"], row["conf_high"], color="black", linewidth=1.2)
        ends = [each for each in (row["estimate"], row["conf_high"]) if pd.notna(each)]
        unscaled = row.copy()
        unscaled["estimate"] = row["numerator"] / row["denominator"] if row["denominator"] else float("nan")
        ax.annotate(
            out_of_with_share(unscaled).replace(")", " %)"),
            (max(ends, default=0.0), place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize="x-small",
            fontweight="normal" if of_reason else "bold",
        )
    ax.grid(axis="x", color=NEUTRAL)
    ax.set_axisbelow(True)
