"""The forest of a dropout model: a row a level, terms as headings, ratios on a logarithmic axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.layout import conf_level, label, out_of, p_statement, p_text, readable, with_interval
from mesostats.plots.log_axis import arrows, clipped, log_axis
from mesostats.plots.marks import GREY, LABEL_WIDTH, NEUTRAL, ROW_INCHES, looks, nothing, points, rows_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mesostats.results import Result

_TEST: Final = "wald_test"
_INDENT: Final = "   "
_HEADS: Final = (("dropouts/due", 8.0), ("ratio (CI)", 78.0), ("p", 172.0))
_WIDTH: Final = 9.5
_WIDEST_TERM: Final = 22


def ratios_size(result: Result, most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    rows, _ = _rows(result, most)
    return _WIDTH, 1.8 + 0.85 * ROW_INCHES * (len(rows) + rows["term"].nunique())


def ratio_forest(ax: Axes, result: Result, most: int) -> None:
    """Draw each level's ratio against its reference with its interval; the numbers at the right."""
    rows, left_out = _rows(result, most)
    if rows.empty:
        nothing(ax)
        return
    names, heads, places = _lines(result, rows)
    rows = rows.assign(_place=places)
    look = looks(1)[0]
    compared = rows[rows["note"].ne("reference")]
    log_axis(ax, compared)
    drawn = clipped(ax, compared)
    ax.axvline(1.0, color="0.3", linewidth=1.0, zorder=1)
    points(ax, drawn, drawn["_place"], look, zero=1.0)
    arrows(ax, drawn, drawn["_place"], look)
    reference = rows[rows["note"].eq("reference")]
    ax.plot(
        [1.0] * len(reference), reference["_place"], "o", mfc="white", color=GREY, linestyle="none", zorder=3
    )
    rows_named(ax, names, width=LABEL_WIDTH + 12)
    for tick, place in zip(ax.get_yticklabels(), range(len(names)), strict=True):
        tick.set_fontweight("bold" if place in heads else "normal")
        tick.set_horizontalalignment("left")
    ax.tick_params(axis="y", length=0, pad=_letters(names))
    _numbers(ax, rows, heads)
    name = readable(str(result.spec["primary"]))
    level = conf_level(result)
    text = (
        f"{name} of dropping out at the next session (log scale{f'; with {level} interval' if level else ''})"
    )
    ax.set_xlabel(text + (f"\n{left_out} levels are not shown; they are in the table" if left_out else ""))
    ax.grid(axis="x", color=NEUTRAL)
    ax.set_axisbelow(True)


def _letters(names: list[str]) -> float:
    """Return how far the names stand from the axis, in points, so that they can begin at one edge."""
    return 5.6 * max(min(len(name), LABEL_WIDTH + 12) for name in names)


def _rows(result: Result, most: int) -> tuple[pd.DataFrame, int]:
    """Return the rows of levels, at most so many, and how many are left out."""
    frame = result.estimates[result.estimates["estimand"].ne(_TEST)]
    return frame.head(most), max(0, len(frame) - most)


def _lines(result: Result, rows: pd.DataFrame) -> tuple[list[str], dict[int, str], list[float]]:
    """Return the names of all lines, the lines of the terms' headings with their tests, and the line of each level."""
    tests = result.estimates[result.estimates["estimand"].eq(_TEST)].set_index("term")["p_value"]
    names: list[str] = []
    heads: dict[int, str] = {}
    places: list[float] = []
    for term, own in rows.groupby("term", sort=False):
        p = tests.get(term, float("nan"))
        heads[len(names)] = p_statement(p) if pd.notna(p) and len(own) > 1 else ""
        names.append(readable(str(term).removesuffix("_id")))
        for _, row in own.iterrows():
            places.append(float(len(names)))
            names.append(_INDENT + label(result, str(term), row["level"]))
    return names, heads, places


def _numbers(ax: Axes, rows: pd.DataFrame, heads: dict[int, str]) -> None:
    """Write counts, ratio and p value of each level at the right, the tests of whole terms in the headings."""
    look: dict[str, Any] = {"textcoords": "offset points", "fontsize": "small", "annotation_clip": False}
    for text, offset in _HEADS:
        ax.annotate(
            text,
            (1, 1),
            (offset, 2),
            xycoords="axes fraction",
            va="bottom",
            **(look | {"fontsize": "x-small"}),
        )
    across = ax.get_yaxis_transform()
    for _, row in rows.iterrows():
        reference = row["note"] == "reference"
        ratio = "1 (reference)" if reference else with_interval(row)
        for text, (_, offset) in zip(
            (out_of(row), ratio, "" if reference else p_text(row["p_value"])), _HEADS, strict=True
        ):
            ax.annotate(text, (1, row["_place"]), (offset, 0), xycoords=across, va="center", **look)
    for place, text in heads.items():
        if text:
            ax.annotate(
                f"all levels: {text}",
                (1, place),
                (_HEADS[1][1], 0),
                xycoords=across,
                va="center",
                color=GREY,
                **look,
            )
