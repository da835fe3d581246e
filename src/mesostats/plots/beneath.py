"""Numbers beneath an axis: a row a group, a number at each tick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

LINE_POINTS: Final = 11
_FIRST: Final = -34


class Numbers(NamedTuple):
    """A row of numbers: what it is called, and the text at each place of the axis."""

    name: str
    texts: Mapping[float, str]


def numbers_beneath(ax: Axes, head: str, rows: Sequence[Numbers], *, remark: str = "") -> None:
    """Write rows of numbers beneath an axis.

    Parameters
    ----------
    ax
        The axes, with their limits set.
    head
        What the numbers are.
    rows
        The rows; the only one stands beside the head.
    remark
        A sentence below the rows.
    """
    low, _ = ax.get_xlim()
    look: dict[str, Any] = {
        "xycoords": ax.get_xaxis_transform(),
        "textcoords": "offset points",
        "fontsize": "x-small",
        "va": "top",
        "annotation_clip": False,
    }
    ax.annotate(f"{head} ", (low, 0), xytext=(-10, _FIRST), ha="right", **look)
    drop = _FIRST
    for line, row in enumerate(rows):
        drop = _FIRST - LINE_POINTS * (line + (len(rows) > 1))
        if len(rows) > 1:
            ax.annotate(f"{row.name} ", (low, 0), xytext=(-10, drop), ha="right", **look)
        for place, text in row.texts.items():
            ax.annotate(text, (place, 0), xytext=(0, drop), ha="center", **look)
    if remark:
        ax.annotate(remark, (low, 0), xytext=(0, drop - 1.5 * LINE_POINTS), ha="left", style="italic", **look)


def at_risk_beneath(ax: Axes, curves: Sequence[tuple[str, pd.DataFrame]], *, remark: str = "") -> None:
    """Write beneath an axis how many are at risk just before each of its ticks.

    Parameters
    ----------
    ax
        The axes, with their limits set.
    curves
        The name of each curve, and its rows of `Result.estimates`.
    remark
        A sentence below the numbers.
    """
    low, high = ax.get_xlim()
    ticks = [tick for tick in ax.get_xticks() if low <= tick <= high]
    rows = [Numbers(name, {tick: f"{_at_risk(own, tick):,.0f}" for tick in ticks}) for name, own in curves]
    numbers_beneath(ax, "At risk", rows, remark=remark)


def _at_risk(rows: pd.DataFrame, time: float) -> float:
    """Return how many are at risk just before a time: those of the next time that the result holds."""
    later = rows[rows["time"] >= time].sort_values("time")
    return 0.0 if later.empty else float(later["denominator"].iloc[0])
