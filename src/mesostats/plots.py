"""Plots: a `Result` in, the `matplotlib.axes.Axes` out. They compute nothing and draw on one figure only."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

from mesostats.layout import (
    Layout,
    conf_level,
    is_curve,
    is_share,
    label,
    labels_of,
    lay_out,
    out_of,
    time_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

    from mesostats.results import Result

_MARKERS: Final = "osD^vPX*"
_LINES: Final[list[Any]] = ["-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 3))]
_MOST_ROWS: Final = 30
_MOST_BANDS: Final = 3
_AT_RISK: Final = 6
_ROW_INCHES: Final = 0.34
_SPREAD: Final = 0.6
_LINE_POINTS: Final = 11
_TITLE_WIDTH: Final = 70
_LABEL_WIDTH: Final = 32


class _Series(NamedTuple):
    """One set of marks: what it is called, its rows, and how it looks."""

    name: str
    rows: pd.DataFrame
    color: Any
    marker: str
    line: Any


def plot(result: Result, *, ax: Axes | None = None) -> Axes:
    """Plot a result.

    Parameters
    ----------
    result
        What an analysis returned.
    ax
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        Points with intervals, a row a group; a curve with its interval and the numbers at risk, where the result has
        times; points a session, where it has several estimands at each. Colours are safe for colour-blind eyes, and
        markers and line styles tell the same.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> from mesostats.results import Result, contract
    >>> row = {"arm": ["A"], "estimand": ["response"], "estimate": [0.625], "numerator": [35], "denominator": [56]}
    >>> spec = {"analysis": "response", "title": "Who responded?", "cutoff": "2025-06-30"}
    >>> result = Result(contract(pd.DataFrame(row), ["arm"]), spec, lambda cell: pd.DataFrame())
    >>> axes = plot(result, ax=Figure().subplots())
    >>> axes.get_yticklabels()[0].get_text()
    'A'
    """
    layout = lay_out(result)
    if ax is None:
        ax = _new_axes(layout)
    if layout.frame.empty:
        ax.text(0.5, 0.5, "nothing to show", transform=ax.transAxes, ha="center", va="center", color="0.4")
    elif not layout.steps:
        _forest(ax, result, layout)
    elif is_curve(layout):
        _curves(ax, result, layout)
    else:
        _points_by_session(ax, result, layout)
    title = fill(result.spec["title"], _TITLE_WIDTH)
    ax.set_title(title, loc="left", fontsize="medium", fontweight="bold", pad=16)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _new_axes(layout: Layout) -> Axes:
    rows, series, blocks = (
        len(layout.frame[columns].drop_duplicates()) if columns else 1
        for columns in (layout.sections + layout.rows, layout.series, layout.sections)
    )
    forest = 1.6 + _ROW_INCHES * min(rows, _MOST_ROWS) * max(1, series / 2)
    height = 4.2 + 0.16 * blocks if layout.steps else forest
    _, ax = plt.subplots(figsize=(8.5, height), layout="constrained")
    return ax


def _series(result: Result, frame: pd.DataFrame, columns: list[str]) -> Iterator[_Series]:
    """Give each set of marks its name, colour, marker and line."""
    blocks = list(frame.groupby(columns, sort=False, dropna=False)) if columns else [((), frame)]
    colors = sns.color_palette("colorblind", len(blocks))
    for place, (_, rows) in enumerate(blocks):
        name = labels_of(result, columns, rows.iloc[0])
        yield _Series(name, rows, colors[place], _MARKERS[place % len(_MARKERS)], _LINES[place % len(_LINES)])


def _percent(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the estimates on the axis' scale."""
    factor = frame["estimand"].map(lambda name: 100.0 if is_share(name) else 1.0)
    return frame.assign(**{name: frame[name] * factor for name in ("estimate", "conf_low", "conf_high")})


def _value_label(frame: pd.DataFrame, result: Result) -> str:
    """Return what the axis of values shows: the share of which units, or the name of the rate."""
    units = " and ".join(unit for unit in frame["unit"].unique() if unit)
    share = bool(frame["estimand"].map(is_share).all())
    measure = f"% of {units}" if share else label(result, "estimand", frame["estimand"].iloc[0])
    level = conf_level(result)
    return f"{measure} (with {level} interval)" if level else measure


def _forest(ax: Axes, result: Result, layout: Layout) -> None:
    """Draw a row a group: a point and its interval a series, n/N at the right for the first series."""
    frame, left_out = _most_frequent(layout)
    keys = layout.sections + layout.rows
    row_of = frame.groupby(keys, sort=False, dropna=False).ngroup()
    firsts = frame[~row_of.duplicated()]
    series = list(_series(result, frame, layout.series))
    shifts = np.linspace(-_SPREAD / 2, _SPREAD / 2, len(series)) if len(series) > 1 else [0.0]
    for each, shift in zip(series, shifts, strict=True):
        _marks(ax, _percent(each.rows), row_of[each.rows.index] + shift, each)
    _counts_at_right(ax, series[0], row_of, several=len(series) > 1)
    names = [fill(labels_of(result, keys, row), _LABEL_WIDTH) for _, row in firsts.iterrows()]
    ax.set_yticks(range(len(firsts)), names, fontsize="small")
    ax.set_ylim(len(firsts) - 0.4, -0.6)
    ax.grid(axis="x", color="0.9")
    ax.set_axisbelow(True)
    note = f"; the {len(firsts)} most frequent, {left_out} more in the table" if left_out else ""
    ax.set_xlabel(_value_label(frame, result) + note)
    if frame["estimand"].map(is_share).all():
        ax.set_xlim(left=min(0.0, ax.get_xlim()[0] if (frame["conf_low"] < 0).any() else 0.0))
    if len(series) > 1:
        ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1.12, 1))


def _most_frequent(layout: Layout) -> tuple[pd.DataFrame, int]:
    """Keep at most `_MOST_ROWS` rows, those with the largest estimates; return them and how many were left out."""
    keys = layout.sections + layout.rows
    largest = layout.frame.groupby(keys, sort=False, dropna=False)["estimate"].transform("max")
    firsts = layout.frame.assign(_largest=largest).drop_duplicates(keys)
    if len(firsts) <= _MOST_ROWS:
        return layout.frame, 0
    kept = firsts.nlargest(_MOST_ROWS, "_largest")[keys]
    return kept.merge(layout.frame, on=keys, how="left"), len(firsts) - _MOST_ROWS


def _marks(ax: Axes, rows: pd.DataFrame, places: pd.Series[Any], look: _Series) -> None:
    """Draw points with horizontal intervals."""
    ax.hlines(places, rows["conf_low"], rows["conf_high"], color=look.color, linewidth=1.6)
    marks: dict[str, Any] = {"linestyle": "none", "marker": look.marker, "color": look.color}
    ax.plot(rows["estimate"], places, label=look.name, clip_on=False, zorder=3, **marks)
    for place in places[rows["estimate"].isna()]:
        ax.text(0, place, " not estimable", va="center", fontsize="x-small", color="0.4")


def _counts_at_right(ax: Axes, series: _Series, row_of: pd.Series[Any], *, several: bool) -> None:
    """Write n/N of a series at the right, in its colour where there are several."""
    color = series.color if several else "0.3"
    head = f"n/N, {series.name.lower()}" if several else "n/N"
    ax.text(1.01, 1.0, head, transform=ax.transAxes, va="bottom", fontsize="x-small", color=color)
    places = row_of[series.rows.index]
    for place, (_, row) in zip(places, series.rows.iterrows(), strict=True):
        ax.text(
            1.01,
            place,
            out_of(row),
            transform=ax.get_yaxis_transform(),
            va="center",
            fontsize="small",
            color=color,
        )


def _curves(ax: Axes, result: Result, layout: Layout) -> None:
    """Draw a step curve a group, its interval where few groups leave room, and the numbers at risk beneath."""
    series = list(_series(result, _percent(layout.frame), layout.sections))
    for each in series:
        rows = _from_start(each.rows)
        ax.step(
            rows["time"],
            rows["estimate"],
            where="post",
            color=each.color,
            linestyle=each.line,
            label=each.name,
        )
        if len(series) <= _MOST_BANDS:
            ax.fill_between(
                rows["time"],
                rows["conf_low"],
                rows["conf_high"],
                step="post",
                color=each.color,
                alpha=0.15,
                linewidth=0,
            )
    ax.set_ylim(0, 102)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_locator(MaxNLocator(_AT_RISK, integer=True))
    _numbers_at_risk(ax, series)
    unit = layout.frame["unit"].iloc[0]
    band = (
        f" (band: {conf_level(result)} interval)"
        if len(series) <= _MOST_BANDS
        else " (intervals: see the table)"
    )
    ax.set_ylabel(
        f"{label(result, 'estimand', layout.frame['estimand'].iloc[0])}, % of {unit}{band}", fontsize="small"
    )
    ax.set_xlabel(time_name(result), fontsize="small", labelpad=1)
    if len(series) > 1:
        ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1.01, 1))


def _from_start(rows: pd.DataFrame) -> pd.DataFrame:
    """Begin a curve of retention at 100 % at time 0."""
    if rows["time"].min() <= 0 or rows["estimand"].iloc[0] != "retention":
        return rows
    start = pd.DataFrame({"time": [0.0], "estimate": [100.0], "conf_low": [100.0], "conf_high": [100.0]})
    return pd.concat([start, rows], ignore_index=True)


def _numbers_at_risk(ax: Axes, series: list[_Series]) -> None:
    """Write beneath the axis how many are at risk just before each tick."""
    low, high = ax.get_xlim()
    ticks = [tick for tick in ax.get_xticks() if low <= tick <= high]
    look: dict[str, Any] = {
        "xycoords": ax.get_xaxis_transform(),
        "textcoords": "offset points",
        "fontsize": "x-small",
        "va": "top",
    }
    ax.annotate("At risk ", (low, 0), xytext=(-10, -34), ha="right", **look)
    for line, each in enumerate(series):
        drop = -34 - _LINE_POINTS * (line + (len(series) > 1))
        if len(series) > 1:
            ax.annotate(f"{each.name} ", (low, 0), xytext=(-10, drop), ha="right", **look)
        for tick in ticks:
            ax.annotate(f"{_at_risk(each.rows, tick):,.0f}", (tick, 0), xytext=(0, drop), ha="center", **look)


def _at_risk(rows: pd.DataFrame, time: float) -> float:
    """Return how many are at risk just before a time: those of the next time that the result holds."""
    later = rows[rows["time"] >= time].sort_values("time")
    return 0.0 if later.empty else float(later["denominator"].iloc[0])


def _points_by_session(ax: Axes, result: Result, layout: Layout) -> None:
    """Draw points with intervals at each session: every estimand, or the primary one for each group."""
    frame, columns = _percent(layout.frame), ["estimand"]
    if layout.sections:
        frame, columns = frame[frame["estimand"].eq(result.spec["primary"])], layout.sections
    series = list(_series(result, frame, columns))
    for place, each in enumerate(series):
        times = each.rows["time"] + (place - (len(series) - 1) / 2) * 0.5 / max(len(series), 2)
        ax.vlines(times, each.rows["conf_low"], each.rows["conf_high"], color=each.color, linewidth=1.4)
        ax.plot(
            times,
            each.rows["estimate"],
            linestyle=each.line,
            linewidth=0.8,
            marker=each.marker,
            color=each.color,
            label=each.name,
            clip_on=False,
            zorder=3,
        )
    ax.set_xlabel(time_name(result))
    ax.set_ylabel(_value_label(frame, result))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylim(0, 102)
    ax.grid(axis="y", color="0.9")
    ax.set_axisbelow(True)
    title = label(result, "estimand", result.spec["primary"]) if layout.sections else None
    ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1.01, 1), title=title)
