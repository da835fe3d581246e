"""Response over all denominators, or by what is supposed of the missing: a row each, n/N and interval beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mesostats.layout import (
    MISSING,
    conf_level,
    count,
    label,
    labels_of,
    most_frequent,
    out_of,
    shared,
    telling,
    with_interval,
)
from mesostats.plots.blocks import BLOCK_ROW, Rows, columns_at_right, in_blocks, name_blocks
from mesostats.plots.marks import GREY, NEUTRAL, Look, looks, nothing, points, scaled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from mesostats.results import Result

_LOWEST, _HIGHEST, _BOUNDS = "response_lowest", "response_highest", "response_bounds"
_STAND_FOR_OTHERS: Final = ("response_ipw", "response_imputed")
_HUNDRED: Final = 100.0
_ROOM: Final = 4.0  # per cent
_DUE: Final = " due: "


def response_size(result: Result, most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    frame, _ = _drawn(result, most)
    cells = len(frame[result.groups].drop_duplicates()) if result.groups else 1
    headings = cells if cells > 1 and len(frame) > cells else 0
    return 9.0, 1.7 + BLOCK_ROW * (len(frame) + headings)


def response_dots(ax: Axes, result: Result, most: int) -> None:
    """Draw the share of responders, a row a denominator or method under its cell; what is possible at all is shaded."""
    frame, left_out = _drawn(result, most)
    if frame.empty:
        nothing(ax)
        return
    rows = _rows(result, frame)
    frame = frame.assign(_place=rows.places)
    drawn = scaled(frame)
    _shade(ax, drawn, result)
    kinds = list(dict.fromkeys(frame["estimand"]))
    primary = str(result.spec.get("primary"))
    for estimand, marked in zip(kinds, looks(len(kinds)), strict=True):
        own = drawn[drawn["estimand"].eq(estimand)]
        look = marked._replace(color=looks(1)[0].color if estimand == primary else GREY)
        if estimand == _BOUNDS:
            _open_interval(ax, own, look)
        else:
            points(ax, own, own["_place"], look)
    name_blocks(ax, rows, inside=True)
    level = conf_level(result)
    texts = [("n/N", [_counts(row) for _, row in frame.iterrows()])]
    texts.append((f"% ({level} CI)" if level else "%", [with_interval(row) for _, row in frame.iterrows()]))
    columns_at_right(ax, rows.places, texts, bold=list(frame["estimand"].eq(primary)))
    ax.set_xlim(0, _upper(drawn))
    ax.set_xlabel(_foot(result, frame, left_out))
    ax.grid(axis="x", color=NEUTRAL)
    ax.set_axisbelow(True)


def _drawn(result: Result, most: int) -> tuple[pd.DataFrame, int]:
    """Return the rows of the cells that are drawn, the primary estimand first, and how many cells are left out."""
    frame = result.estimates
    first = frame["estimand"].ne(str(result.spec.get("primary"))) if "strategies" not in result.spec else 0
    order = frame.groupby(result.groups, sort=False, dropna=False).ngroup() if result.groups else 0
    kinds = list(result.spec.get("population", {}))
    ranks = (
        frame["estimand"]
        .str.removeprefix("response_")
        .map({name: place for place, name in enumerate(kinds)})
        .fillna(len(kinds))
    )
    ordered = frame.assign(_cell=order, _first=first, _rank=ranks).sort_values(
        ["_cell", "_first", "_rank"], kind="stable"
    )
    rows = ordered.drop(columns=["_cell", "_first", "_rank"])
    if not result.groups:
        return rows, 0
    each = max(1, frame["estimand"].nunique())
    sizes = rows.assign(numerator=rows["denominator"])
    kept, left_out = most_frequent(sizes, result.groups, max(1, most // each))
    return rows.loc[kept.index], left_out


def _rows(result: Result, frame: pd.DataFrame) -> Rows:
    """Place and name the rows: estimands under their cell; of one estimand a row a cell."""
    names = telling(frame, result.groups)
    if len(frame["estimand"].drop_duplicates()) == 1 and result.groups:
        return in_blocks(
            [""] * len(frame), [labels_of(result, names or result.groups, row) for _, row in frame.iterrows()]
        )
    headings = [_heading(result, names, row) if names else "" for _, row in frame.iterrows()]
    return in_blocks(headings, [label(result, "estimand", name) for name in frame["estimand"]])


def _heading(result: Result, names: list[str], row: pd.Series[Any]) -> str:
    """Return what heads a cell: its name, and of methods how many were due and assessed."""
    name = labels_of(result, names, row)
    parts = [part for part in str(row["note"]).split("; ") if _DUE in part]
    return f"{name} ({parts[0].partition(':')[0]})" if parts else name


def _shade(ax: Axes, rows: pd.DataFrame, result: Result) -> None:
    """Shade, in each cell, all shares that the missing leave possible."""
    keys = result.groups
    blocks = rows.groupby(keys, sort=False, dropna=False) if keys else [((), rows)]
    for _, own in blocks:
        low = own.loc[own["estimand"].eq(_LOWEST), "estimate"].dropna()
        high = own.loc[own["estimand"].eq(_HIGHEST), "estimate"].dropna()
        if len(low) and len(high):
            first, last = own["_place"].min() - 0.5, own["_place"].max() + 0.5
            ends = (low.iloc[0], high.iloc[0])
            ax.fill_betweenx([first, last], *ends, color="0.91", zorder=0, linewidth=0)


def _open_interval(ax: Axes, rows: pd.DataFrame, look: Look) -> None:
    """Draw an interval that has no estimate, with ends."""
    ax.hlines(rows["_place"], rows["conf_low"], rows["conf_high"], color=look.color, linewidth=1.6)
    for side in ("conf_low", "conf_high"):
        ax.plot(rows[side], rows["_place"], "|", color=look.color, markersize=8, zorder=3)


def _counts(row: pd.Series[Any]) -> str:
    text = out_of(row)
    if row["estimand"] in _STAND_FOR_OTHERS and row["n_missing"] > 0 and text != MISSING:
        return f"{text} + {count(row['n_missing'])}"
    return text


def _upper(rows: pd.DataFrame) -> float:
    highest = rows[["estimate", "conf_high"]].max().max()
    return min(_HUNDRED, float(highest) + _ROOM) if highest == highest else _HUNDRED  # noqa: PLR0124 - NaN is not itself


def _foot(result: Result, frame: pd.DataFrame, left_out: int) -> str:
    """Return what the axis shows, and what all rows share."""
    level = conf_level(result)
    lines = [f"% of courses that responded{f' (with {level} interval)' if level else ''}"]
    if frame["estimand"].isin([_LOWEST]).any():
        lines.append(
            "shaded: all that the missing leave possible; + n: courses not assessed that are stood for"
        )
    common = shared(result, frame, result.groups)
    lines += [common] if common else []
    if left_out:
        cells = len(frame[result.groups].drop_duplicates())
        lines.append(f"the {cells} largest of {cells + left_out} groups; the others in the table")
    return "\n".join(lines)
