"""The forest: a row a group, points with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mesostats.layout import Layout, is_share, kind_columns, labels_of, lay_out, most_frequent, quantity
from mesostats.plots.marks import (
    NEUTRAL,
    ROW_INCHES,
    counts_at_right,
    key_above,
    points,
    rows_named,
    rows_parted,
    scaled,
    series_of,
    shifts,
    value_label,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from mesostats.results import Result

_WIDTH: Final = 8.5
_MOST_SERIES: Final = 8
_ROOM: Final = 0.25


def forest_size(result: Result, most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    layout = _layout(result)
    rows, series = (
        len(layout.frame[columns].drop_duplicates()) if columns else 1
        for columns in (layout.sections + layout.rows, layout.series)
    )
    return _WIDTH, 1.6 + 0.16 * (series > 1) + ROW_INCHES * min(rows, most) * max(1, 0.45 * series)


def forest(ax: Axes, result: Result, most: int) -> None:
    """Draw a row a group: a point and its interval a series, n/N at the right."""
    layout = _layout(result)
    keys = layout.sections + layout.rows
    frame, left_out = _limited(layout, keys, most)
    row_of = frame.groupby(keys, sort=False, dropna=False).ngroup()
    firsts = frame[~row_of.duplicated()]
    several = list(series_of(result, frame, layout.series))
    for each, shift in zip(several, shifts(len(several)), strict=True):
        points(ax, scaled(each.rows), row_of[each.rows.index] + shift, each.look, name=each.name)
    rows_named(ax, [labels_of(result, keys, row) for _, row in firsts.iterrows()])
    counts_at_right(ax, several, row_of)
    ax.grid(axis="x", color=NEUTRAL)
    note = f"\n{len(firsts)} most frequent, {left_out} more in the table" if left_out else ""
    hidden = _groups_left_out(result, layout)
    ax.set_xlabel(value_label(frame, result) + note + hidden)
    if frame["estimand"].map(lambda name: quantity(name).kind == "points").all():
        ax.axvline(0, color="0.3", linewidth=1.0, zorder=1)
        low, high = ax.get_xlim()
        ax.set_xlim(low, max(high, _ROOM * (high - low)))  # for what cannot be estimated, which stands at 0
    if frame["estimand"].map(lambda name: is_share(name) or quantity(name).kind == "rate").all():
        ax.set_xlim(left=0.0)
    if len(several) > 1:
        rows_parted(ax)
        key_above(ax)


def _layout(result: Result) -> Layout:
    """Lay out as for a table; but groups that would head blocks there are series here, since marks need less room."""
    layout = lay_out(result)
    if result.spec["analysis"] == "care_rule_effects":  # few rules, each of its own term: long names, so rows
        return Layout(layout.frame, [], result.groups[:-1], ["estimand"], steps=False)
    one_measure = len(layout.frame["estimand"].unique()) == 1
    if not layout.sections or not one_measure or kind_columns(result):
        return layout
    sizes = layout.frame.assign(numerator=layout.frame["denominator"])
    frame, _ = most_frequent(sizes, layout.sections, _MOST_SERIES)
    return Layout(layout.frame.loc[frame.index], [], layout.rows, layout.sections, steps=False)


def _groups_left_out(result: Result, layout: Layout) -> str:
    """Say how many groups are not drawn."""
    columns = lay_out(result).sections
    total = len(result.estimates[columns].drop_duplicates()) if columns else 0
    drawn = len(layout.frame[columns].drop_duplicates()) if columns else 0
    return f"\nthe {drawn} largest of {total} groups; the others in the table" if drawn < total else ""


def _limited(layout: Layout, keys: list[str], most: int) -> tuple[pd.DataFrame, int]:
    """Keep the rows that came most often; those of many rows in the order of their frequency."""
    frame, left_out = most_frequent(layout.frame, keys, most)
    if not left_out:
        return frame, 0
    grouped = frame.groupby(keys, sort=False, dropna=False)
    ranked = frame.assign(
        _often=-grouped["numerator"].transform("sum"), _largest=-grouped["estimate"].transform("max")
    )
    return ranked.sort_values(["_often", "_largest"], kind="stable"), left_out
