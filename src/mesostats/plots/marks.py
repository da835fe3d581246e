"""What all pictures have in common: colours, markers and lines, panels side by side, keys and intervals."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.transforms import ScaledTranslation

from mesostats.layout import conf_level, is_share, label, labels_of, out_of, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes

    from mesostats.results import Result

LABEL_WIDTH: Final = 32
"""Names of rows are broken at so many letters."""
ROW_INCHES: Final = 0.34
"""How high a row of a picture is."""
GREY: Final = "0.35"
"""The colour of what others are held against."""
NOTHING: Final = "nothing"
"""The id of axes that hold nothing; their label says why."""
NEUTRAL: Final = "0.9"
"""The colour of grid lines."""

_MARKERS: Final = "osD^vPX*"
_LINES: Final[list[Any]] = ["-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 3))]
_MOST_COUNTS: Final = 3
_LETTER_POINTS: Final = 5.4
_KEY_LETTERS: Final = 105
_KEY_POINTS: Final = 15
_TITLE_WIDTH: Final = 80
_PANEL_NAME: Final = "panel name"
_NAME_POINTS: Final = 12.0
_NAME_GAP: Final = 5.0
_BETWEEN: Final = 0.02


class Look(NamedTuple):
    """How one set of marks looks."""

    color: Any
    marker: str
    line: Any


class Series(NamedTuple):
    """One set of marks: what it is called, its rows, and how it looks."""

    name: str
    rows: pd.DataFrame
    look: Look


def looks(number: int) -> list[Look]:
    """Return so many looks that differ in colour, marker and line, safe for colour-blind eyes."""
    colors = sns.color_palette("colorblind", number)
    return [
        Look(colors[place], _MARKERS[place % len(_MARKERS)], _LINES[place % len(_LINES)])
        for place in range(number)
    ]


def series_of(result: Result, frame: pd.DataFrame, columns: list[str]) -> Iterator[Series]:
    """Give each set of marks its name and look."""
    blocks = list(frame.groupby(columns, sort=False, dropna=False)) if columns else [((), frame)]
    for (_, rows), look in zip(blocks, looks(len(blocks)), strict=True):
        yield Series(labels_of(result, columns, rows.iloc[0]), rows, look)


def scaled(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the estimates on the axis' scale: shares in per cent, rates per hundred."""
    factor = frame["estimand"].map(lambda name: quantity(name).factor).astype(float)
    return frame.assign(**{name: frame[name] * factor for name in ("estimate", "conf_low", "conf_high")})


def value_label(frame: pd.DataFrame, result: Result, *, interval: bool = True) -> str:
    """Return what the axis of values shows: the share of which units, or the name of the rate and its unit."""
    units = " and ".join(unit for unit in frame["unit"].unique() if unit and unit != "patient-days")
    first = frame["estimand"].iloc[0]
    if frame["estimand"].map(is_share).all():
        measure = f"% of {units}"
    else:
        measure = f"{label(result, 'estimand', first)} {quantity(first, units).heading}"
    level = conf_level(result)
    return f"{measure} (with {level} interval)" if level and interval else measure


def beside(
    ax: Axes, ratios: Sequence[float], *, share_rows: bool = True, share_values: bool = False
) -> list[Axes]:
    """Part the place of some axes into panels side by side.

    Parameters
    ----------
    ax
        The axes, which become the first panel.
    ratios
        The widths of the panels.
    share_rows, share_values
        Whether they share the vertical axis, and the horizontal one.

    Returns
    -------
    list of matplotlib.axes.Axes
    """
    figure, spec = ax.figure, ax.get_subplotspec()
    more: dict[str, Any] = {"sharey": ax} if share_rows else {}
    more |= {"sharex": ax} if share_values else {}
    if spec is not None:
        grid = spec.subgridspec(1, len(ratios), width_ratios=ratios, wspace=0.06)
        ax.set_subplotspec(grid[0])
        others = [figure.add_subplot(grid[place], **more) for place in range(1, len(ratios))]
    else:
        whole = ax.get_position()
        widths = np.array(ratios) / sum(ratios) * whole.width
        lefts = whole.x0 + np.concatenate([[0.0], np.cumsum(widths)[:-1]])
        ax.set_position((lefts[0], whole.y0, 0.94 * widths[0], whole.height))
        others = [
            figure.add_axes((left, whole.y0, 0.94 * width, whole.height), **more)
            for left, width in zip(lefts[1:], widths[1:], strict=True)
        ]
    for each in others:
        each.spines[["top", "right"]].set_visible(False)
        if share_rows:
            each.tick_params(labelleft=False, left=False)
            each.spines["left"].set_visible(False)
    return [ax, *others]


def stacked_below(
    ax: Axes, heights: Sequence[float], *, share_values: bool = True, gap: float = 0.12
) -> list[Axes]:
    """Part the place of some axes into panels below one another.

    Parameters
    ----------
    ax
        The axes, which become the first panel.
    heights
        The relative heights of the panels.
    share_values
        Whether they share the horizontal axis, which is then labelled beneath the last.
    gap
        How much of a panel's height is left between them, where no layout engine sees to it.

    Returns
    -------
    list of matplotlib.axes.Axes
    """
    figure, spec = ax.figure, ax.get_subplotspec()
    shared: dict[str, Any] = {"sharex": ax} if share_values else {}
    if spec is not None:
        # Where panels have axes of their own, the layout engine leaves room for their ticks and names.
        between = gap if share_values else _BETWEEN
        grid = spec.subgridspec(len(heights), 1, height_ratios=heights, hspace=between)
        ax.set_subplotspec(grid[0])
        others = [figure.add_subplot(grid[place], **shared) for place in range(1, len(heights))]
    else:
        whole = ax.get_position()
        shares = np.array(heights) / sum(heights) * whole.height
        tops = whole.y1 - np.concatenate([[0.0], np.cumsum(shares)[:-1]])
        boxes = [
            (whole.x0, top - (1 - 0.8 * gap) * share, whole.width, (1 - 0.8 * gap) * share)
            for top, share in zip(tops, shares, strict=True)
        ]
        ax.set_position(boxes[0])
        others = [figure.add_axes(box, **shared) for box in boxes[1:]]
    panels = [ax, *others]
    for each in panels:
        each.spines[["top", "right"]].set_visible(False)
    for each in panels[:-1] if share_values else []:
        each.tick_params(labelbottom=False)
    return panels


def tiled(ax: Axes, rows: int, columns: int) -> list[Axes]:
    """Part the place of some axes into rows and columns of panels, which share their axes as far as they can.

    Parameters
    ----------
    ax
        The axes, which become the first panel.
    rows, columns
        How many.

    Returns
    -------
    list of matplotlib.axes.Axes
        Row by row.
    """
    spec = ax.get_subplotspec()
    if spec is None:
        lines = stacked_below(ax, [1.0] * rows)
        return [panel for line in lines for panel in beside(line, [1.0] * columns)]
    grid = spec.subgridspec(rows, columns, wspace=0.06, hspace=0.12)
    ax.set_subplotspec(grid[0])
    panels = [ax]
    for place in range(1, rows * columns):
        first = panels[place - place % columns] if place % columns else None
        panels.append(ax.figure.add_subplot(grid[place], sharex=ax, sharey=first))
        panels[-1].spines[["top", "right", *(["left"] if first else [])]].set_visible(False)
        panels[-1].tick_params(labelleft=not first, left=not first)
    return panels


def panel_name(ax: Axes, name: str) -> None:
    """Name one of several panels above it, where the title leaves room."""
    look: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "fontsize": "small"}
    ax.annotate(name, (0, 1), (0, 4), va="bottom", ha="left", gid=_PANEL_NAME, annotation_clip=False, **look)


def _name_points(ax: Axes) -> float:
    """Return how high the name above a panel is."""
    names = [text.get_text() for text in ax.texts if text.get_gid() == _PANEL_NAME]
    return max((_NAME_POINTS * (name.count("\n") + 1) + _NAME_GAP for name in names), default=0.0)


def key_above(ax: Axes, *, title: str | None = None) -> None:
    """Put the key between the title and the axes, in as many lines as it needs."""
    lift = ScaledTranslation(0, _name_points(ax) / 72, ax.figure.dpi_scale_trans)
    handles, names = ax.get_legend_handles_labels()
    key = ax.legend(
        handles,
        names,
        frameon=False,
        fontsize="small",
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        bbox_transform=ax.transAxes + lift,
        borderaxespad=0.2,
        ncols=_key_columns(names),
        title=title,
        title_fontsize="small",
        alignment="left",
    )
    key.set_in_layout(False)  # it may be wider than the first of several panels


def _key_columns(names: Sequence[str]) -> int:
    """Return how many columns a key has room for."""
    widest = max((len(name) for name in names), default=0) + 6
    return max(1, min(len(names), _KEY_LETTERS // widest))


def finish(ax: Axes, title: str) -> None:
    """Write the title, above the key where there is one."""
    key = ax.get_legend()
    lines = 0.0
    if key is not None:
        names = [text.get_text() for text in key.get_texts()]
        lines = np.ceil(len(names) / _key_columns(names)) + bool(key.get_title().get_text())
    text = fill(title, _TITLE_WIDTH)
    ax.set_title(
        text,
        loc="left",
        fontsize="medium",
        fontweight="bold",
        pad=16 + _KEY_POINTS * lines + _name_points(ax),
    )
    ax.spines[["top", "right"]].set_visible(False)


def nothing(ax: Axes, *, why: str = "") -> None:
    """Say that there is nothing to draw, and why."""
    ax.set_gid(NOTHING)
    ax.set_label(why)
    ax.text(0.5, 0.5, "nothing to show", transform=ax.transAxes, ha="center", va="center", color="0.4")
    if why:
        text = fill(why, _TITLE_WIDTH)
        ax.text(0.5, 0.38, text, transform=ax.transAxes, ha="center", va="top", color="0.4", fontsize="small")
    ax.set_axis_off()


def rows_named(ax: Axes, names: Sequence[str], *, width: int = LABEL_WIDTH) -> None:
    """Name the rows from the top downwards."""
    ax.set_yticks(range(len(names)), [fill(name, width) for name in names], fontsize="small")
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_axisbelow(True)


def rows_parted(*panels: Axes) -> None:
    """Draw lines between the rows, so that marks of several series keep to theirs."""
    for ax in panels:
        low, high = sorted(ax.get_ylim())
        places = np.arange(np.ceil(low) + 0.5, high)
        ax.hlines(places, 0, 1, transform=ax.get_yaxis_transform(), color=NEUTRAL, linewidth=0.8, zorder=0)


def shifts(number: int, spread: float = 0.6) -> list[float]:
    """Return how far the series of a row stand from its middle."""
    return list(np.linspace(-spread / 2, spread / 2, number)) if number > 1 else [0.0] * number


def points(
    ax: Axes, rows: pd.DataFrame, places: Any, look: Look, *, name: str = "", zero: float = 0.0
) -> None:
    """Draw points with horizontal intervals; say where there is none."""
    if rows.empty:
        return
    places = pd.Series(np.asarray(places, dtype=float), rows.index)
    ax.hlines(places, rows["conf_low"], rows["conf_high"], color=look.color, linewidth=1.6)
    marks: dict[str, Any] = {"linestyle": "none", "marker": look.marker, "color": look.color}
    ax.plot(rows["estimate"], places, label=name or None, clip_on=False, zorder=3, **marks)
    for place in places[rows["estimate"].isna()]:
        ax.text(zero, place, " not estimable", va="center", fontsize="x-small", color="0.4")


def counts_at_right(ax: Axes, series: list[Series], row_of: pd.Series[Any]) -> None:
    """Write n/N at the right, a column a series in its colour; of many series none."""
    if len(series) > _MOST_COUNTS:
        return
    offset = 6.0
    for each in series:
        color = each.look.color if len(series) > 1 else "0.3"
        head = f"n/N, {each.name.lower()}" if len(series) > 1 else "n/N"
        texts = [out_of(row) for _, row in each.rows.iterrows()]
        look: dict[str, Any] = {"textcoords": "offset points", "color": color, "annotation_clip": False}
        ax.annotate(
            head, (1, 1), (offset, 2), xycoords="axes fraction", va="bottom", fontsize="x-small", **look
        )
        for place, text in zip(row_of[each.rows.index], texts, strict=True):
            across = ax.get_yaxis_transform()
            ax.annotate(text, (1, place), (offset, 0), xycoords=across, va="center", fontsize="small", **look)
        offset += _LETTER_POINTS * max(len(head) * 0.85, *map(len, texts)) + 8
