"""Signals: units in their funnel, and the strongest evidence as observed against expected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import seaborn as sns

from mesostats.layout import (
    conf_level,
    is_share,
    kind_columns,
    label,
    labels_of,
    out_of,
    p_text,
    watch,
)
from mesostats.plots.marks import GREY, NEUTRAL, ROW_INCHES, key_above, nothing, rows_named, scaled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mesostats.results import Result

_MOST: Final = 15
_NAME_WIDTH: Final = 48
_NOTEWORTHY: Final = 0.05
_LIMITS: Final = (("0.998", "-", "99.8 % limits"), ("0.95", "--", "95 % limits"))
_PERCENT: Final = 100.0
_WHOLE: Final = 102.0


def funnel_size(_result: Result, _most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    return 8.5, 5.0


def funnel(ax: Axes, result: Result, _most: int) -> None:
    """Draw the units by size, with the overall share and control limits; of several kinds that with the strongest evidence."""
    found, kinds = watch(result).ranked, kind_columns(result)
    tested = found[found["p_value"].notna()]
    if tested.empty:
        nothing(ax)
        return
    kind: Any = tested[kinds[0]].iloc[0] if kinds else None
    rows = scaled(tested[tested[kinds[0]].eq(kind)] if kinds else tested)
    lines = _lines(result, kind)
    if lines:
        _limits(ax, lines)
    alarm = rows["alarm"].astype(bool)
    _units(ax, rows[~alarm], "o", GREY, "no signal")
    _units(ax, rows[alarm], "^", sns.color_palette("colorblind")[3], "signal")
    outside = (rows["estimate"] / _PERCENT).gt(rows["limit_high"]) | (rows["estimate"] / _PERCENT).lt(
        rows["limit_low"]
    )
    # The limits of a very small unit lie within what it can reach by chance: its p value decides.
    for _, row in rows[(outside & rows["p_value"].le(_NOTEWORTHY)) | alarm].iterrows():
        name = label(result, result.groups[0], row[result.groups[0]]) + (" (signal)" if row["alarm"] else "")
        weight = "bold" if row["alarm"] else "normal"
        at = (row["denominator"], row["estimate"])
        ax.annotate(name, at, (6, 3), textcoords="offset points", fontsize="small", fontweight=weight)
    high = max(rows["estimate"].max(), lines["target"] * _PERCENT * 2 if lines else 0.0)
    ax.set_ylim(0, min(_WHOLE, 1.15 * high + 1))
    ax.set_xlim(0, 1.12 * rows["denominator"].max())
    what = f"{label(result, kinds[0], kind)}: " if kinds else ""
    others = tested[kinds[0]].nunique() - 1 if kinds else 0
    more = f"\nthe kind of event with the strongest evidence; {others} more in the table" if others else ""
    ax.set_ylabel(f"{what}% of {rows['unit'].iloc[0]} with an event")
    ax.set_xlabel(f"Number of {rows['unit'].iloc[0]} (n){more}")
    ax.grid(color=NEUTRAL)
    ax.set_axisbelow(True)
    key_above(ax)


def _lines(result: Result, kind: Any) -> dict[str, Any]:
    """Return the funnel of one kind of event; that of all where there are no kinds."""
    funnels = result.spec.get("funnel", {})
    found: dict[str, Any] = funnels.get(kind, {}) if kind is not None else next(iter(funnels.values()), {})
    return found


def _limits(ax: Axes, lines: dict[str, Any]) -> None:
    """Draw the overall share and the control limits."""
    sizes = lines["limits"]["n"]
    for level, style, name in _LIMITS:
        for place, side in enumerate(("low", "high")):
            values = [_PERCENT * value for value in lines["limits"][f"{side}_{level}"]]
            key = name if place == 0 else None
            ax.plot(sizes, values, linestyle=style, color="0.45", linewidth=1.1, label=key)
    target = _PERCENT * lines["target"]
    ax.axhline(target, color="0.2", linewidth=1.0, linestyle=":", label=f"all units: {target:.1f} %")


def _units(ax: Axes, rows: pd.DataFrame, marker: str, color: Any, name: str) -> None:
    if len(rows):
        marks: dict[str, Any] = {"linestyle": "none", "marker": marker, "color": color, "markersize": 7}
        ax.plot(rows["denominator"], rows["estimate"], label=name, zorder=3, **marks)


def evidence_size(result: Result, _most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    return 10.0, 1.9 + ROW_INCHES * min(_MOST, max(len(watch(result).ranked), 1))


def evidence(ax: Axes, result: Result, most: int) -> None:
    """Draw observed and expected shares of the units with the strongest evidence, n/N and p at the right."""
    rows = watch(result).ranked.head(min(most, _MOST))
    drawn = scaled(rows)
    color = sns.color_palette("colorblind")[3]
    alarm = rows["alarm"].astype(bool)
    for own, marker, shade, name in (
        (~alarm, "o", GREY, "observed"),
        (alarm, "^", color, "observed: signal"),
    ):
        if own.any():
            ax.hlines(
                rows.index[own],
                drawn.loc[own, "conf_low"],
                drawn.loc[own, "conf_high"],
                color=shade,
                linewidth=1.6,
            )
            marks: dict[str, Any] = {"linestyle": "none", "marker": marker, "color": shade, "markersize": 7}
            ax.plot(drawn.loc[own, "estimate"], rows.index[own], label=name, clip_on=False, zorder=3, **marks)
    expected = _PERCENT * rows["expected_share"]
    ax.plot(
        expected, rows.index, "|", color="0.1", markersize=13, markeredgewidth=2, label="expected", zorder=4
    )
    names = [labels_of(result, result.groups, row) for _, row in rows.iterrows()]
    named = [f"SIGNAL: {name}" if signal else name for name, signal in zip(names, alarm, strict=True)]
    rows_named(ax, named, width=_NAME_WIDTH)
    for text, signal in zip(ax.get_yticklabels(), alarm, strict=True):
        text.set_fontweight("bold" if signal else "normal")
    _at_right(ax, rows)
    level, unit = conf_level(result).partition(" and ")[0], rows["unit"].iloc[0]
    more = len(watch(result).ranked) - len(rows)
    note = f"\n{len(rows)} with the strongest evidence, {more:,} more in the result" if more else ""
    ax.set_xlabel(f"% of {unit} with an event (with {level} interval){note}")
    if rows["estimand"].map(is_share).all():
        ax.set_xlim(0, _WHOLE if drawn[["estimate", "conf_high"]].max().max() > _WHOLE / 2 else None)
    ax.grid(axis="x", color=NEUTRAL)
    key_above(ax)


def _at_right(ax: Axes, rows: pd.DataFrame) -> None:
    """Write n/N, the expected number and the adjusted p value of each row."""
    columns = {
        "n/N": [out_of(row) for _, row in rows.iterrows()],
        "expected": [f"{value:,.1f}" if pd.notna(value) else "" for value in rows["expected"]],
        "adjusted p": [p_text(value) for value in rows["p_adjusted"]],
    }
    offset = 8
    for head, texts in columns.items():
        look: dict[str, Any] = {"textcoords": "offset points", "annotation_clip": False, "color": "0.3"}
        ax.annotate(
            head, (1, 1), (offset, 2), xycoords="axes fraction", va="bottom", fontsize="x-small", **look
        )
        for place, text in enumerate(texts):
            across = ax.get_yaxis_transform()
            ax.annotate(text, (1, place), (offset, 0), xycoords=across, va="center", fontsize="small", **look)
        offset += 52
