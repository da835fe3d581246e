"""Sessions planned and received: means side by side, and how many courses came to each session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from matplotlib.ticker import MaxNLocator

from mesostats.layout import amount, by_columns, conf_level, count, labels_of, most_frequent
from mesostats.plots.marks import (
    GREY,
    NEUTRAL,
    ROW_INCHES,
    Look,
    beside,
    key_above,
    looks,
    nothing,
    points,
    rows_named,
    scaled,
    series_of,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from mesostats.results import Result

_MOST_CURVES: Final = 4


def received_size(result: Result, most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    by = by_columns(result)
    rows = min(most, len(result.estimates[by].drop_duplicates())) if by else 1
    return 10.5, max(3.8, 2.2 + ROW_INCHES * rows)


def received_sessions(ax: Axes, result: Result, most: int) -> None:
    """Draw planned and received sessions a course at the left, the share that came to each session at the right."""
    by = by_columns(result)
    frame = result.estimates
    received = frame[frame["estimand"].eq("received_sessions")]
    if not received["denominator"].gt(0).any():
        nothing(ax)
        return
    sizes = received.assign(numerator=received["denominator"])
    kept, left_out = most_frequent(sizes, by, most) if by else (sizes, 0)
    received = received.loc[kept.index]
    left, right = beside(ax, (1.15, 1.0), share_rows=False)
    _means(left, result, frame, received)
    if left_out:
        left.set_xlabel(
            f"{left.get_xlabel()}\nthe {len(received)} largest of {len(received) + left_out} groups"
        )
    _came(right, result, frame, received)
    key_above(left)


def _means(ax: Axes, result: Result, frame: pd.DataFrame, received: pd.DataFrame) -> None:
    """Draw planned and received sessions a course, joined; the share received at the right."""
    by = by_columns(result)
    order = received.reset_index(drop=True)
    looking = (
        ("planned_sessions", Look(GREY, "D", "-"), "planned"),
        ("received_sessions", looks(1)[0], "received"),
    )
    ends = []
    for estimand, look, name in looking:
        rows = _matched(order, frame[frame["estimand"].eq(estimand)], by)
        points(ax, rows, rows.index.to_numpy(float), look, name=name)
        ends.append(rows["estimate"])
    ax.hlines(order.index, ends[1], ends[0], color="0.8", linewidth=5, zorder=0)
    shares = _matched(order, frame[frame["estimand"].eq("received_share")], by)
    for place, row in shares.iterrows():
        text = f"{amount(row['estimate'], 'received_share')} %"
        writing: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": "small"}
        ax.annotate(
            text, (1, place), (5, 0), xycoords=ax.get_yaxis_transform(), annotation_clip=False, **writing
        )
    ax.annotate(
        "received", (1, 1), (5, 2), xycoords="axes fraction", textcoords="offset points", fontsize="x-small"
    )
    names = [labels_of(result, by, row) or "All courses" for _, row in order.iterrows()]
    counts = [f" (n = {count(row['denominator'])})" for _, row in order.iterrows()]
    rows_named(ax, [name + number for name, number in zip(names, counts, strict=True)])
    ax.set_xlim(left=0)
    level = conf_level(result)
    ax.set_xlabel("Sessions a course" + (f"\n(with {level} interval)" if level else ""))
    ax.grid(axis="x", color=NEUTRAL)
    ax.set_axisbelow(True)


def _matched(order: pd.DataFrame, rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return the rows of some groups in their order."""
    if not by:
        return rows.reset_index(drop=True)
    return order[by].merge(rows, on=by, how="left")


def _came(ax: Axes, result: Result, frame: pd.DataFrame, received: pd.DataFrame) -> None:
    """Draw how many courses came to each session, a line a group; of many groups those of the largest."""
    by = by_columns(result)
    # A curve ends with the last session that a course of the group came to.
    rows = frame[frame["estimand"].eq("received_at_least") & frame["numerator"].gt(0)]
    if by:
        largest = received.sort_values("denominator", ascending=False, kind="stable").head(_MOST_CURVES)
        rows = received[received.index.isin(largest.index)][by].merge(rows, on=by)
    if rows.empty:
        nothing(ax)
        return
    several = list(series_of(result, scaled(rows), by))
    for each in several:
        look = each.look
        marks: dict[str, Any] = {"marker": look.marker, "linestyle": look.line, "color": look.color, "ms": 4}
        ax.plot(
            each.rows["time"], each.rows["estimate"], label=each.name, linewidth=1.0, clip_on=False, **marks
        )
    ax.set_ylim(0, 102)
    ax.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    ax.set_xlabel("Session")
    ax.set_ylabel(f"Came to it, % of {rows['unit'].iloc[0]}", fontsize="small")
    ax.grid(axis="y", color=NEUTRAL)
    ax.set_axisbelow(True)
    if len(several) > 1:
        ax.legend(frameon=False, fontsize="x-small", loc="best")
