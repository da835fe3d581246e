"""Change from baseline: means with intervals, a strip an instrument, since each has its own unit; and trajectories."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.ticker import FixedLocator

from mesostats.layout import (
    MISSING,
    conf_level,
    count,
    label,
    labels_of,
    lower_is_better,
    p_text,
    shared,
    telling,
    time_name,
    with_interval,
)
from mesostats.plots.beneath import Numbers, numbers_beneath
from mesostats.plots.blocks import columns_at_right
from mesostats.plots.marks import (
    GREY,
    NEUTRAL,
    ROW_INCHES,
    Look,
    key_above,
    looks,
    nothing,
    panel_name,
    points,
    rows_named,
    stacked_below,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes

    from mesostats.results import Result

_LS_MEAN: Final = "ls_mean_change"
_CHANGE: Final = "mean_change"
_DIFFERENCE: Final = "ls_mean_difference"
_MOST_STRIPS: Final = 8
_MOST_PANELS: Final = 4
_MOST_LINES: Final = 6
_LIFT: Final = 0.15
_OBSERVED: Final = Look(GREY, "o", "-")


def _cells(result: Result) -> list[str]:
    group = result.spec["arguments"].get("group")
    return [name for name in result.groups if name not in {group, "error"}]


def _blocks(result: Result, most: int) -> tuple[list[pd.DataFrame], int]:
    """Return the rows of each cell with a mean, the largest where there are too many, and how many are left out."""
    frame, cells = result.estimates, _cells(result)
    parts = [rows for _, rows in frame.groupby(cells, sort=False, dropna=False)] if cells else [frame]
    parts = [rows for rows in parts if rows["estimate"].notna().any()]
    largest = sorted(range(len(parts)), key=lambda place: -float(parts[place]["denominator"].max()))[:most]
    return [parts[place] for place in sorted(largest)], len(parts) - len(largest)


def _groups(result: Result, rows: pd.DataFrame) -> list[Any]:
    """Return the groups of a cell, the reference last."""
    group = result.spec["arguments"].get("group")
    if not group:
        return [None]
    reference = result.spec["arguments"].get("reference")
    return sorted(dict.fromkeys(rows[group]), key=lambda value: value == reference)


def _of_group(result: Result, rows: pd.DataFrame, value: Any) -> pd.DataFrame:
    group = result.spec["arguments"].get("group")
    return rows if value is None or not group else rows[rows[group].eq(value)]


def change_size(result: Result, _most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    blocks, _ = _blocks(result, _MOST_STRIPS)
    rows = sum(len(_groups(result, own)) for own in blocks)
    return 10.5, 1.4 + 0.75 * len(blocks) + 1.15 * ROW_INCHES * rows


def change_strips(ax: Axes, result: Result, _most: int) -> None:
    """Draw the mean change of each group with its interval, observed and from the model; a strip a cell."""
    blocks, left_out = _blocks(result, _MOST_STRIPS)
    if not blocks:
        nothing(ax)
        return
    heights = [len(_groups(result, rows)) + 0.5 for rows in blocks]
    panels = stacked_below(ax, heights, share_values=False, gap=0.6) if len(blocks) > 1 else [ax]
    texts = [_texts(result, rows) for rows in blocks]
    heads = list(dict.fromkeys(head for each in texts for head in each))
    widths = [max(len(text) for each in texts for text in [head, *each.get(head, [])]) for head in heads]
    for place, (panel, rows) in enumerate(zip(panels, blocks, strict=True)):
        _strip(panel, result, rows, first=not place)
        columns = [
            ("" if place else head, texts[place].get(head, [""] * len(_groups(result, rows))))
            for head in heads
        ]
        columns_at_right(panel, range(len(_groups(result, rows))), columns, widths=widths)
    level = conf_level(result)
    lines = [f"change from baseline in the instrument's unit{f' (with {level} interval)' if level else ''}"]
    lines += filter(None, [shared(result, result.estimates, _cells(result))])
    lines += [f"{left_out} more in the table"] if left_out else []
    panels[-1].set_xlabel("\n".join(lines))
    if result.estimates["estimand"].eq(_LS_MEAN).any():
        key_above(ax)


def _strip(ax: Axes, result: Result, rows: pd.DataFrame, *, first: bool) -> None:
    """Draw one cell: a row a group, the numbers at the right."""
    groups = _groups(result, rows)
    look = looks(1)[0]
    modelled = rows["estimand"].eq(_LS_MEAN).any()
    for place, value in enumerate(groups):
        own = _of_group(result, rows, value).set_index("estimand", drop=False)
        lift = _LIFT if modelled else 0.0
        for estimand, mark, name in (
            (_LS_MEAN, look, "LS mean, at the same baseline"),
            (_CHANGE, _OBSERVED if modelled else look, "observed mean"),
        ):
            if estimand in own.index:
                points(
                    ax, own.loc[[estimand]], [place - lift], mark, name=name if first and not place else ""
                )
            lift = -lift
    names = [_name(result, rows, value) for value in groups]
    rows_named(ax, names)
    cell = labels_of(result, telling(result.estimates, _cells(result)), rows.iloc[0])
    panel_name(ax, " ".join(filter(None, [cell, _better(result, rows)])))
    ax.axvline(0, color="0.3", linewidth=1.0, zorder=1)
    values = rows.loc[
        rows["estimand"].isin([_CHANGE, _LS_MEAN]), ["estimate", "conf_low", "conf_high"]
    ].to_numpy(float)
    _reach(ax, values)
    ax.grid(axis="x", color=NEUTRAL)
    ax.set_axisbelow(True)


def _texts(result: Result, rows: pd.DataFrame) -> dict[str, list[str]]:
    """Return the columns of text at the right of one cell."""
    modelled = bool(result.estimates["estimand"].eq(_LS_MEAN).any())
    texts: dict[str, list[str]] = {}
    for value in _groups(result, rows):
        own = _of_group(result, rows, value)
        for head, text in _numbers(result, own, modelled=modelled).items():
            texts.setdefault(head, []).append(text)
    return texts


def _name(result: Result, rows: pd.DataFrame, value: Any) -> str:
    group = result.spec["arguments"].get("group")
    if not group:
        return f"All {rows['unit'].iloc[0]}"
    return label(result, str(group), value)


def _numbers(result: Result, own: pd.DataFrame, *, modelled: bool) -> dict[str, str]:
    """Return what stands at the right of a row: how many were assessed, the change, and the comparison."""
    level = conf_level(result)
    known = {str(row["estimand"]): row for _, row in own.iterrows()}
    change = known.get(_CHANGE)
    due = (
        MISSING
        if change is None
        else f"{count(change['denominator'])}/{count(change['denominator'] + change['n_missing'])}"
    )
    texts = {
        "assessed/due": due,
        f"mean change ({level} CI)": MISSING if change is None else with_interval(change),
    }
    if modelled:
        difference = known.get(_DIFFERENCE)
        texts[f"difference of LS means ({level} CI)"] = (
            "reference" if difference is None else with_interval(difference)
        )
        texts["p"] = "" if difference is None else p_text(difference["p_value"])
    return texts


def _reach(ax: Axes, values: Any) -> None:
    """Show no change and all intervals."""
    finite = values[np.isfinite(values)]
    low, high = min([0.0, *finite]), max([0.0, *finite])
    room = 0.06 * ((high - low) or 1.0)
    ax.set_xlim(low - room, high + room)


def _better(result: Result, rows: pd.DataFrame) -> str:
    """Say on which side of no change better lies."""
    lower = lower_is_better(result, str(rows["instrument"].iloc[0]))
    return {True: "(\N{LEFTWARDS ARROW} better)", False: "(better \N{RIGHTWARDS ARROW})", None: ""}[lower]


def trajectory_size(result: Result, _most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    blocks, _ = _blocks(result, _MOST_PANELS)
    lines = max((len(_groups(result, rows)) for rows in blocks), default=1)
    return 8.5, 1.3 + (3.0 + 0.16 * lines) * max(1, len(blocks))


def trajectories(ax: Axes, result: Result, _most: int) -> None:
    """Draw the mean change by visit, from the model with intervals and as observed, with the numbers assessed beneath."""
    blocks, left_out = _blocks(result, _MOST_PANELS)
    if not blocks:
        nothing(ax)
        return
    lines = max(len(_groups(result, rows)) for rows in blocks)
    gap = 0.5 + 0.055 * lines
    panels = stacked_below(ax, [1.0] * len(blocks), share_values=False, gap=gap) if len(blocks) > 1 else [ax]
    remark = f"{left_out} more in the table" if left_out else ""
    values = list(dict.fromkeys(value for rows in blocks for value in _groups(result, rows)))
    look_of = dict(zip(values, looks(len(values)), strict=True))
    for place, (panel, rows) in enumerate(zip(panels, blocks, strict=True)):
        _trajectory(panel, result, rows, look_of, remark=remark if place == len(blocks) - 1 else "")
    if len(values) > 1:
        here = _groups(result, blocks[0][blocks[0]["time"].notna()])[:_MOST_LINES]
        for value, look in look_of.items():
            if value not in here:  # groups that only other panels have
                name = label(result, str(result.spec["arguments"]["group"]), value)
                ax.plot([], [], label=name, color=look.color, linestyle=look.line, marker=look.marker)
        key_above(ax)


def _trajectory(
    ax: Axes, result: Result, rows: pd.DataFrame, look_of: Mapping[Any, Look], *, remark: str
) -> None:
    """Draw the lines of one cell."""
    timed = rows[rows["time"].notna()]
    groups = _groups(result, timed)[:_MOST_LINES]
    times = sorted(timed["time"].unique())
    gap = (times[-1] - times[0]) / 60 if len(times) > 1 else 1.0
    beneath = []
    for number, value in enumerate(groups):
        own = _of_group(result, timed, value)
        shift = (number - (len(groups) - 1) / 2) * gap
        _line(ax, own, look_of[value], shift, _name(result, rows, value))
        seen = own[own["estimand"].eq("mean_value")]
        beneath.append(
            Numbers(
                _name(result, rows, value),
                {row["time"]: count(row["denominator"]) for _, row in seen.iterrows()},
            )
        )
    ax.axhline(0, color="0.3", linewidth=0.9, zorder=1)
    ax.xaxis.set_major_locator(FixedLocator(times))
    ax.set_xlim(times[0] - 3 * gap, times[-1] + 3 * gap)
    panel_name(ax, fill(labels_of(result, _cells(result), rows.iloc[0]), 84))
    lower = lower_is_better(result, str(rows["instrument"].iloc[0]))
    side = {True: "; down is better", False: "; up is better", None: ""}[lower]
    modelled = rows.loc[rows["estimand"].eq(_LS_MEAN), "estimate"].notna().any()
    level = conf_level(result)
    kinds = (
        f"LS mean (line: {level} interval)\nopen, dotted: observed mean"
        if modelled
        else f"observed mean (line: {level} interval)"
    )
    ax.set_ylabel(f"change from baseline{side}\n{kinds}", fontsize="x-small")
    ax.set_xlabel(time_name(result), fontsize="small", labelpad=1)
    ax.grid(axis="y", color=NEUTRAL)
    ax.set_axisbelow(True)
    numbers_beneath(ax, "Assessed", beneath, remark=remark)


def _line(ax: Axes, rows: pd.DataFrame, look: Look, shift: float, name: str) -> None:
    """Draw one group: least-squares means with intervals as a line, observed means as thin open marks."""
    model = rows[rows["estimand"].eq(_LS_MEAN) & rows["estimate"].notna()].sort_values("time")
    seen = rows[rows["estimand"].eq(_CHANGE) & rows["estimate"].notna()].sort_values("time")
    main = model if len(model) else seen
    start = rows.loc[rows["time"].eq(0), "time"].head(1)
    ends: dict[str, Any] = {"color": look.color, "linestyle": look.line, "marker": look.marker}
    ax.plot(
        [*start, *(main["time"] + shift)],
        [*(0.0 * start), *main["estimate"]],
        label=name or None,
        zorder=3,
        **ends,
    )
    ax.vlines(main["time"] + shift, main["conf_low"], main["conf_high"], color=look.color, linewidth=1.6)
    if len(model):
        marks: dict[str, Any] = {
            "marker": look.marker,
            "markerfacecolor": "white",
            "markersize": 5,
            "linewidth": 0.7,
            "linestyle": ":",
        }
        ax.plot(
            seen["time"] + shift,
            seen["estimate"],
            color=look.color,
            zorder=2,
            **marks,
        )
