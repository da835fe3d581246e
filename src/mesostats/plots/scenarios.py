"""Retention under other choices, and what preceded stopping: points with intervals, differences beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.layout import (
    amount,
    by_columns,
    conf_level,
    label,
    labels_of,
    most_frequent,
    out_of,
    p_text,
    time_name,
)
from mesostats.plots.marks import (
    GREY,
    NEUTRAL,
    ROW_INCHES,
    beside,
    counts_at_right,
    key_above,
    looks,
    nothing,
    points,
    rows_named,
    rows_parted,
    scaled,
    series_of,
    shifts,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mesostats.results import Result

_SCENARIO: Final = "scenario"
_BASE: Final = "base"
_STATE: Final = "next_session"
_DIFFERENCE: Final = "stopped - came"
_MOST_SERIES: Final = 4
_MARGIN: Final = 8.0  # per cent
_INDENT: Final = "\N{EN DASH} "


def scenario_size(result: Result, _most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    by = by_columns(result)
    groups = min(_MOST_SERIES, len(result.estimates[by].drop_duplicates())) if by else 1
    return 9.0, 1.9 + ROW_INCHES * result.estimates[_SCENARIO].nunique() * max(1.0, 0.6 * groups)


def scenario_dots(ax: Axes, result: Result, _most: int) -> None:
    """Draw retention under each choice with its interval; a line is the base case of each group."""
    by = by_columns(result)
    frame = result.estimates[result.estimates["estimand"].eq("retention")].reset_index(drop=True)
    if frame.empty:
        nothing(ax)
        return
    sizes = frame.assign(numerator=frame["denominator"])
    kept, left_out = most_frequent(sizes, by, _MOST_SERIES) if by else (sizes, 0)
    frame = frame.loc[kept.index]
    order = {scenario: place for place, scenario in enumerate(dict.fromkeys(frame[_SCENARIO]))}
    row_of = frame[_SCENARIO].map(order)
    several = list(series_of(result, frame, by))
    for each, shift in zip(several, shifts(len(several)), strict=True):
        rows = scaled(each.rows)
        base = rows.loc[rows[_SCENARIO].eq(_BASE), "estimate"]
        for value in base.dropna():
            ax.axvline(value, color=each.look.color if by else GREY, linestyle=":", linewidth=1.0, zorder=1)
        points(ax, rows, row_of[rows.index] + shift, each.look, name=each.name)
    names = [label(result, _SCENARIO, scenario) for scenario in order]
    rows_named(ax, names, width=40)
    _fit(ax, scaled(frame))
    counts_at_right(ax, several, row_of)
    time = f"{time_name(result).lower()} {frame['time'].iloc[0]:g}"
    level = conf_level(result)
    text = f"Retention at {time}, % of courses" + (
        f" (with {level} interval; dotted: base case)" if level else ""
    )
    if left_out:
        text += f"\nthe {_MOST_SERIES} largest of {_MOST_SERIES + left_out} groups; the others in the table"
    ax.set_xlabel(f"{text}\nn/N: dropped out by then, of the courses analysed")
    ax.grid(axis="x", color=NEUTRAL)
    ax.set_axisbelow(True)
    if len(several) > 1:
        rows_parted(ax)
        key_above(ax)


def _fit(ax: Axes, rows: pd.DataFrame) -> None:
    """Show the stretch of the axis that the intervals take, with room; all of it where there is nothing."""
    low, high = rows[["conf_low", "estimate"]].min().min(), rows[["conf_high", "estimate"]].max().max()
    ax.set_xlim(*((max(0.0, low - _MARGIN), min(100.0, high + _MARGIN)) if pd.notna(low) else (0.0, 100.0)))


def stopping_size(result: Result, _most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    rows = len(_rows(result)[0])
    return 10.5, 2.1 + 1.25 * ROW_INCHES * rows


def stopping_pairs(ax: Axes, result: Result, most: int) -> None:
    """Draw what preceded stopping beside what preceded coming to the same session, joined; their difference at the right."""
    names, row_of = _rows(result)
    frame = scaled(result.estimates)
    if not frame["estimate"].notna().any():
        nothing(ax)
        return
    row_of = row_of[row_of < most]
    frame = frame.loc[row_of.index]
    left, right = beside(ax, (1.3, 1.0))
    states = [state for state in dict.fromkeys(frame[_STATE]) if state != _DIFFERENCE]
    wide = (
        frame[frame[_STATE].ne(_DIFFERENCE)]
        .assign(_place=row_of)
        .groupby("_place")["estimate"]
        .agg(["min", "max"])
    )
    left.hlines(wide.index, wide["min"], wide["max"], color="0.8", linewidth=5, zorder=0)
    for state, look, shift in zip(states, looks(len(states)), shifts(len(states), 0.3), strict=True):
        rows = frame[frame[_STATE].eq(state)]
        points(left, rows, row_of[rows.index] + shift, look, name=label(result, _STATE, state))
        _counts(left, rows, row_of[rows.index] + shift, look.color)
    rows = frame[frame[_STATE].eq(_DIFFERENCE)]
    points(right, rows, row_of[rows.index], looks(3)[2])
    right.axvline(0, color="0.3", linewidth=1.0, zorder=1)
    for place, (_, row) in zip(row_of[rows.index], rows.iterrows(), strict=True):
        _at_right(
            right, place, f"{amount(row['estimate'] / 100, 'risk_difference')}   p {p_text(row['p_value'])}"
        )
    level = conf_level(result)
    interval = f"\n(with {level} interval)" if level else ""
    left.set_xlim(left=0)
    left_out = len(names) - len(names[:most])
    more = f"\n{left_out} rows are not shown; they are in the table" if left_out else ""
    weighted = "\nthose who came weighted to the same sessions, n/N as counted"
    left.set_xlabel(f"% of those of whom it is known (n/N){interval}{weighted}{more}")
    right.set_xlabel(f"Stopped less came, percentage points{interval}\nof those with a match; p: t test")
    rows_named(left, names[:most])
    for tick in left.get_yticklabels():
        of_group = by_columns(result) and not tick.get_text().startswith(_INDENT)
        tick.set_fontweight("bold" if of_group else "normal")
    for panel in (left, right):
        panel.grid(axis="x", color=NEUTRAL)
        panel.set_axisbelow(True)
    rows_parted(left, right)
    key_above(left)


def _rows(result: Result) -> tuple[list[str], pd.Series[Any]]:
    """Return the names of the rows, groups as headings, and the row of each estimate: what preceded, in each group."""
    by, frame = by_columns(result), result.estimates
    names: list[str] = []
    row_of = pd.Series(-1, index=frame.index)
    for _, block in frame.groupby(by, sort=False, dropna=False) if by else [((), frame)]:
        names += [labels_of(result, by, block.iloc[0])] if by else []
        for estimand, rows in block.groupby("estimand", sort=False):
            row_of[rows.index] = len(names)
            names.append((_INDENT if by else "") + label(result, "estimand", estimand))
    return names, row_of


def _counts(ax: Axes, rows: pd.DataFrame, places: pd.Series[Any], color: Any) -> None:
    """Write n/N beside each point's interval."""
    for place, (_, row) in zip(places, rows.iterrows(), strict=True):
        ends = [each for each in (row["conf_high"], row["estimate"]) if pd.notna(each)]
        if ends:
            look: dict[str, Any] = {
                "textcoords": "offset points",
                "va": "center",
                "fontsize": "x-small",
                "color": color,
            }
            ax.annotate(out_of(row), (max(ends), place), (5, 0), **look)


def _at_right(ax: Axes, place: float, text: str) -> None:
    look: dict[str, Any] = {
        "textcoords": "offset points",
        "va": "center",
        "fontsize": "small",
        "annotation_clip": False,
    }
    ax.annotate(text, (1, place), (6, 0), xycoords=ax.get_yaxis_transform(), **look)
