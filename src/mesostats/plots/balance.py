"""How far groups differ at baseline: standardized differences, the largest first (the love plot)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mesostats.layout import heading, label
from mesostats.plots.blocks import columns_at_right
from mesostats.plots.marks import NEUTRAL, ROW_INCHES, looks, nothing, rows_named

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from mesostats.results import Result

_DIFFERENCE: Final = "standardized_difference"
_SMALL: Final = 0.1


def balance_size(result: Result, most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    return 8.5, 1.9 + 0.85 * ROW_INCHES * min(most, len(_rows(result)))


def balance_dots(ax: Axes, result: Result, most: int) -> None:
    """Draw the standardized difference of each variable against the line of what is often called imbalance."""
    rows = _rows(result)
    shown = rows.head(most)
    if shown["estimate"].notna().sum() == 0:
        why = (
            "no standardized difference could be estimated"
            if len(rows)
            else "there are no two groups to compare"
        )
        nothing(ax, why=why)
        return
    places, look = range(len(shown)), looks(1)[0]
    ax.hlines(places, 0, shown["estimate"], color="0.8", linewidth=1.4, zorder=1)
    beyond = shown["estimate"] > _SMALL
    for flag, face in ((True, look.color), (False, "white")):
        at = [place for place, flagged in zip(places, beyond, strict=True) if flagged == flag]
        ax.plot(
            shown["estimate"].iloc[at],
            at,
            "o",
            color=look.color,
            markerfacecolor=face,
            clip_on=False,
            zorder=3,
        )
    for place, value in enumerate(shown["estimate"]):
        if value != value:  # noqa: PLR0124 - NaN is not itself
            ax.text(0, place, " not estimable", va="center", fontsize="x-small", color="0.4")
    ax.axvline(_SMALL, color="0.3", linestyle="--", linewidth=1.0)
    names = result.spec.get("labels", {}).get("variable", {})
    rows_named(ax, [str(names.get(name) or heading(result, name)) for name in shown["variable"]], width=46)
    between = [_between(result, note) for note in shown["note"]]
    values = [f"{value:.2f}" if value == value else "" for value in shown["estimate"]]  # noqa: PLR0124 - NaN is not itself
    columns_at_right(ax, list(places), [("", values), ("largest between", between)])
    ax.set_xlim(0, max(0.25, 1.08 * float(shown["estimate"].max())))
    left_out = len(rows) - len(shown)
    note = f"\n{left_out} more variables in the table" if left_out else ""
    ax.set_xlabel(
        f"standardized difference between groups, in standard deviations\n(dashed: {_SMALL:g}, often called imbalance){note}"
    )
    ax.grid(axis="x", color=NEUTRAL)
    ax.set_axisbelow(True)


def _between(result: Result, note: str) -> str:
    """Return between which groups a difference is, with their labels."""
    by = [name for name in result.groups if name not in {"variable", "level"}]
    found = re.fullmatch(r"between (.+) and (.+)", note)
    if found is None:
        return ""
    return " and ".join(_labelled(result, by, each) for each in found.groups())


def _labelled(result: Result, by: list[str], group: str) -> str:
    """Return a group under its labels: the codes of several columns are joined by dots."""
    codes = group.split(" \N{MIDDLE DOT} ")
    if len(codes) != len(by):
        return label(result, by[0], group) if len(by) == 1 else group
    return " \N{MIDDLE DOT} ".join(label(result, name, code) for name, code in zip(by, codes, strict=True))


def _rows(result: Result) -> pd.DataFrame:
    """Return the standardized difference of each variable, the largest first, those not estimable last."""
    frame = result.estimates[result.estimates["estimand"].eq(_DIFFERENCE)]
    return frame.sort_values("estimate", ascending=False, kind="stable", na_position="last")
