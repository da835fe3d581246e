"""Bars of patients by term, parted by their worst severity, a panel a group."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import seaborn as sns

from mesostats.layout import by_columns, label, labels_of, most_frequent
from mesostats.plots.marks import NEUTRAL, ROW_INCHES, beside, key_above, nothing, rows_named, scaled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mesostats.results import Result

_ANY: Final = "any"
_MOST_PANELS: Final = 4
_NAME_WIDTH: Final = 26
_KEYS: Final = ["term_class", "term"]
_NOT_GRADED: Final = "not recorded"


def severity_size(result: Result, most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    terms = len(_terms(result.estimates)[_KEYS].drop_duplicates())
    by = by_columns(result)
    panels = min(_MOST_PANELS, len(result.estimates[by].drop_duplicates())) if by else 1
    return 6.0 + 2.0 * panels, 2.0 + 0.8 * ROW_INCHES * min(terms, most)


def severity_bars(ax: Axes, result: Result, most: int) -> None:
    """Draw a bar a term, as long as the share of patients with it; darker parts are worse."""
    frame, left_out = most_frequent(_terms(result.estimates), _KEYS, most)
    if frame.empty:
        nothing(ax)
        return
    often = frame.groupby(_KEYS, sort=False, dropna=False)["numerator"].sum()
    order = often.sort_values(ascending=False, kind="stable").index
    by = by_columns(result)
    groups = [rows for _, rows in frame.groupby(by, sort=False, dropna=False)] if by else [frame]
    number = len(groups)
    largest = sorted((-rows["denominator"].max(), place) for place, rows in enumerate(groups))[:_MOST_PANELS]
    groups = [groups[place] for place in sorted(place for _, place in largest)]
    several = len(groups) > 1
    panels = beside(ax, [1.0] * len(groups), share_values=True)
    for panel, rows in zip(panels, groups, strict=True):
        _bars(panel, result, scaled(rows), order)
        first = rows.iloc[0]
        head = f"{fill(labels_of(result, by, first), _NAME_WIDTH)}\n" if several else ""
        panel.set_xlabel(f"{head}% of {first['denominator']:,.0f} {first['unit']}", fontsize="small")
    rows_named(ax, [label(result, "term", term) for _, term in order])
    notes = [f"{len(order)} most frequent terms, {left_out} more in the table"] if left_out else []
    if number > _MOST_PANELS:
        notes.append(f"the {_MOST_PANELS} largest of {number} groups")
    if notes:
        ax.set_xlabel(ax.get_xlabel() + "\n" + "; ".join(notes))
    key_above(ax)


def _terms(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of single terms by severity."""
    return frame[frame["term"].ne(_ANY) & frame["severity"].ne(_ANY)]


def _bars(ax: Axes, result: Result, rows: pd.DataFrame, order: pd.Index[Any]) -> None:
    had = rows.groupby("severity", sort=False)["numerator"].sum()
    everywhere = _terms(result.estimates).groupby("severity", sort=False)["numerator"].sum()
    names = [name for name in had.index if everywhere[name] > 0]
    graded = [name for name in names if name != _NOT_GRADED]
    shades = dict(zip(graded, sns.color_palette("YlOrBr", len(graded) + 1)[1:], strict=True))
    start = pd.Series(0.0, order)
    for name in names:
        own = rows[rows["severity"].eq(name)].set_index(_KEYS)["estimate"].reindex(order).fillna(0.0)
        color, hatch = shades.get(name, "white"), "" if name in shades else "////"
        look: dict[str, Any] = {"color": color, "hatch": hatch, "edgecolor": "0.3", "linewidth": 0.5}
        had_some = own.to_numpy() > 0
        if not had_some.any():  # the key shows it all the same
            ax.barh([0], [0.0], label=label(result, "severity", name), color=color, hatch=hatch, linewidth=0)
            continue
        places = np.arange(len(order))[had_some]
        ax.barh(
            places, own[had_some], 0.74, left=start[had_some], label=label(result, "severity", name), **look
        )
        start = start + own
    ax.grid(axis="x", color=NEUTRAL)
    ax.set_axisbelow(True)
