"""The tipping point: what the missing would have to be for the conclusion to change."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from mesostats.layout import conf_level, count, in_words, label, labels_of, telling
from mesostats.plots.marks import NEUTRAL, beside, looks, nothing, panel_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from mesostats.results import Result

_OWN: Final = "response_of_missing"
_OTHER: Final = "response_of_missing_reference"
_MOST_PANELS: Final = 3
_PANEL: Final = 4.2
_HATCHES: Final = {1: "////", -1: "...."}
_SHADES: Final = {1: "#9fc5e8", 0: "white", -1: "#f6b26b"}
_LEVELS: Final = (-60, -40, -20, 0, 20, 40, 60)
_TEXT: Final = 62
_MARGIN: Final = 2.5  # per cent


def tipping_size(result: Result, _most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    panels = min(_MOST_PANELS, len(_cells(result)))
    return max(6.2, 1.0 + _PANEL * panels), 5.4


def tipping_map(ax: Axes, result: Result, _most: int) -> None:
    """Draw the conclusion by what is assumed of the missing of both groups; without groups the share against its threshold."""
    cells = _cells(result)
    if not cells or result.estimates["estimate"].isna().all():
        nothing(ax)
        return
    shown = cells[:_MOST_PANELS]
    panels = beside(ax, [1.0] * len(shown), share_rows=True) if len(shown) > 1 else [ax]
    for panel, rows in zip(panels, shown, strict=True):
        (_map if _OTHER in result.groups else _line)(panel, result, rows)
        name = fill(_name(result, rows), 44 if len(shown) > 1 else 70)
        panel_name(panel, name)
    left_out = len(cells) - len(shown)
    ax.set_ylabel(_height_label(result))
    for panel, rows in zip(panels, shown, strict=True):
        panel.set_xlabel(_width_label(result, rows), fontsize="small")
    if left_out:
        ax.set_ylabel(f"{ax.get_ylabel()}\n({left_out} more in the table)")


def _names(result: Result) -> list[str]:
    return [name for name in result.groups if name not in {_OWN, _OTHER}]


def _cells(result: Result) -> list[pd.DataFrame]:
    """Return the rows of each cell with an estimate, those with most of the missing first where there are many."""
    frame = result.estimates
    parts = [
        rows
        for _, rows in frame.groupby(_names(result), sort=False, dropna=False)
        if rows["estimate"].notna().any()
    ]
    if len(parts) <= _MOST_PANELS:
        return parts
    return sorted(parts, key=lambda rows: -float(rows["denominator"].max()))


def _name(result: Result, rows: pd.DataFrame) -> str:
    """Return what stands above a panel: the cell, and who was not assessed."""
    first = rows.iloc[0]
    apart = telling(result.estimates, _names(result))
    group = result.spec["arguments"].get("group")
    names = [name for name in _names(result) if name in apart or name == group] or _names(result)[-1:]
    text = labels_of(result, names, first)
    if group:
        text += f" against {_reference(result)}"
    return f"{text}: {count(first['n_missing'])} of {count(first['denominator'])} not assessed"


def _reference(result: Result) -> str:
    arguments = result.spec["arguments"]
    return label(result, str(arguments["group"]), arguments["reference"])


def _height_label(result: Result) -> str:
    if _OTHER in result.groups:
        return f"responders among the missing\nof {_reference(result)}, %"
    level = conf_level(result)
    return f"% of courses that responded{f' (band: {level} interval)' if level else ''}"


def _width_label(result: Result, rows: pd.DataFrame) -> str:
    group = result.spec["arguments"].get("group")
    of = labels_of(result, [group], rows.iloc[0]) if group else ""
    text = f"responders among the missing{f' of {of}' if of else ''}, %"
    return "\n".join([text, *_tips(result, rows)])


def _tips(result: Result, rows: pd.DataFrame) -> list[str]:
    """Return the sentence that says where the conclusion of a cell changes, broken into lines."""
    order = [
        tuple(each[name].iloc[0] for name in _names(result))
        for _, each in result.estimates.groupby(_names(result), sort=False, dropna=False)
    ]
    own = tuple(rows[name].iloc[0] for name in _names(result))
    sentences = result.spec.get("tipping", [])
    place = order.index(own)
    if place >= len(sentences):
        return []
    text = sentences[place].partition(". ")[2] or sentences[place]
    return ["", *fill(in_words(result, text), _TEXT).split("\n")]


def _map(ax: Axes, result: Result, rows: pd.DataFrame) -> None:
    """Draw one map: what would be concluded at each pair of assumed shares, and lines of equal difference."""
    wide = rows.assign(_says=_conclusion(rows)).pivot_table(
        index=_OTHER, columns=_OWN, values=["estimate", "_says"], dropna=False
    )
    says, difference = wide["_says"], 100 * wide["estimate"]
    xs, ys = 100 * says.columns.to_numpy(float), 100 * says.index.to_numpy(float)
    across, up = _edges(xs), _edges(ys)
    for side, shade in _SHADES.items():
        where = says.to_numpy() == side
        _tiles(ax, where, across, up, shade, _HATCHES.get(side, ""))
    _boundary(ax, says.to_numpy(), across, up)
    if len(xs) > 1 and len(ys) > 1:
        lines = ax.contour(xs, ys, difference, levels=_LEVELS, colors="0.25", linewidths=0.8, linestyles="--")
        ax.clabel(lines, fmt=lambda value: f"{value:+.0f}" if value else "0", fontsize="x-small")
    _as_assessed(ax, result, rows)
    _sides(ax, result, rows, says.to_numpy(), (xs, ys))
    ax.set_xlim(across[0], across[-1])
    ax.set_ylim(up[0], up[-1])


def _conclusion(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Return 1 where the whole interval is above 0, -1 where it is below, 0 where it holds 0."""
    above, below = rows["conf_low"] > 0, rows["conf_high"] < 0
    return np.where(above, 1.0, np.where(below, -1.0, 0.0))


def _edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where tiles about some values begin and end."""
    if len(values) == 1:
        return np.array([values[0] - 5.0, values[0] + 5.0])
    middles = (values[1:] + values[:-1]) / 2
    first = max(values[0] - (middles[0] - values[0]), -_MARGIN)
    last = min(values[-1] + (values[-1] - middles[-1]), 100.0 + _MARGIN)
    return np.concatenate([[first], middles, [last]])


def _tiles(
    ax: Axes,
    where: NDArray[np.bool_],
    across: NDArray[np.float64],
    up: NDArray[np.float64],
    shade: str,
    hatch: str,
) -> None:
    """Fill the tiles of one conclusion, neighbours of a row as one, so that hatches go on."""
    for row, flags in enumerate(where):
        steps = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
        for first, last in zip(steps[::2], steps[1::2], strict=True):
            ax.fill_between(
                [across[first], across[last]],
                up[row],
                up[row + 1],
                facecolor=shade,
                hatch=hatch,
                edgecolor="0.55",
                linewidth=0.0,
                zorder=0.5,
            )


def _boundary(
    ax: Axes, says: NDArray[np.float64], across: NDArray[np.float64], up: NDArray[np.float64]
) -> None:
    """Draw the tipping line: between tiles of different conclusions."""
    look: dict[str, Any] = {"color": "black", "linewidth": 2.0, "zorder": 2}
    for row, column in np.argwhere(says[:, 1:] != says[:, :-1]):
        ax.plot([across[column + 1]] * 2, [up[row], up[row + 1]], **look)
    for row, column in np.argwhere(says[1:] != says[:-1]):
        ax.plot([across[column], across[column + 1]], [up[row + 1]] * 2, **look)


def _as_assessed(ax: Axes, result: Result, rows: pd.DataFrame) -> None:
    """Mark what the missing would be if they responded as the assessed do."""
    for each in result.spec.get("as_assessed", []):
        here = all(each.get(name) == rows[name].iloc[0] for name in _names(result))
        if here and pd.notna(each.get(_OWN)) and pd.notna(each.get(_OTHER)):
            x, y = 100 * each[_OWN], 100 * each[_OTHER]
            ax.plot(x, y, "*", color="white", markeredgecolor="black", markersize=15, zorder=4, clip_on=False)
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0}
            ax.annotate(
                "as the assessed",
                (x, y),
                (9, 6),
                textcoords="offset points",
                fontsize="small",
                bbox=box,
                zorder=4,
            )


def _sides(
    ax: Axes,
    result: Result,
    rows: pd.DataFrame,
    says: NDArray[np.float64],
    at: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    """Name the regions in their middle."""
    group = str(result.spec["arguments"]["group"])
    names = {
        1.0: f"{labels_of(result, [group], rows.iloc[0])} better",
        -1.0: f"{_reference(result)} better",
        0.0: "no difference\nshown",
    }
    for side, name in names.items():
        places = np.argwhere(says == side)
        if len(places) < 0.04 * says.size:
            continue
        middle = places.mean(axis=0)
        row, column = places[np.abs(places - middle).sum(axis=1).argmin()]
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 2.0}
        look: dict[str, Any] = {
            "ha": "center",
            "va": "center",
            "fontsize": "small",
            "fontweight": "bold",
            "bbox": box,
            "zorder": 3,
        }
        ax.text(at[0][column], at[1][row], name, **look)


def _line(ax: Axes, result: Result, rows: pd.DataFrame) -> None:
    """Draw the share that responded by what is assumed of the missing, and the threshold."""
    own = rows.sort_values(_OWN)
    xs, look = 100 * own[_OWN], looks(1)[0]
    ax.fill_between(
        xs, 100 * own["conf_low"], 100 * own["conf_high"], color=look.color, alpha=0.18, linewidth=0
    )
    ax.plot(xs, 100 * own["estimate"], marker="o", color=look.color, markersize=4)
    threshold = 100 * float(result.spec["arguments"]["threshold"])
    ax.axhline(threshold, color="black", linestyle="--", linewidth=1.2)
    ax.annotate(
        f"threshold {threshold:g} %",
        (1, threshold),
        (-3, 3),
        xycoords=ax.get_yaxis_transform(),
        textcoords="offset points",
        fontsize="small",
        ha="right",
    )
    for each in result.spec.get("as_assessed", []):
        if all(each.get(name) == rows[name].iloc[0] for name in _names(result)) and pd.notna(each.get(_OWN)):
            at = 100 * each[_OWN]
            ax.axvline(at, color="0.45", linestyle=":", linewidth=1.2)
            ax.annotate(
                "as the assessed",
                (at, 0.02),
                (3, 0),
                xycoords=ax.get_xaxis_transform(),
                textcoords="offset points",
                fontsize="small",
            )
    ax.set_ylim(0, 100)
    ax.grid(axis="y", color=NEUTRAL)
    ax.set_axisbelow(True)
