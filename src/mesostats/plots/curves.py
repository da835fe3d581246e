"""Curves over time, with the numbers at risk beneath; competing ends beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from mesostats.layout import (
    conf_level,
    is_share,
    kind_columns,
    label,
    labels_of,
    lay_out,
    most_frequent,
    p_statement,
    quantity,
    shared,
    starts_at,
    telling,
    tests,
    time_name,
)
from mesostats.plots.beneath import at_risk_beneath
from mesostats.plots.marks import NEUTRAL, Series, beside, key_above, nothing, scaled, series_of
from mesostats.plots.phases import headroom, make_room, phase_bands

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mesostats.results import Result

_MOST_BANDS: Final = 3
_MOST_CURVES: Final = 8
_MOST_TESTS: Final = 4
_AT_RISK: Final = 6
_MOST_SESSIONS: Final = 14  # so many ticks, and numbers at risk, have room side by side
_ROOM: Final = 1.12
_HEADROOM: Final = 1.25  # with the name of the panel above the curves
_FULL: Final = 102.0
_LEAST: Final = 2.0  # per cent: a curve of hardly any events does not fill the picture


def curve_size(result: Result, _most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    blocks = len(result.estimates[result.groups].drop_duplicates()) if result.groups else 1
    sides = result.estimates["estimand"].str.startswith("cumulative_incidence_").any() and blocks > 1
    return (10.5 if sides else 8.5), 4.4 + 0.2 * min(blocks, _MOST_CURVES)


def curves(ax: Axes, result: Result, _most: int) -> None:
    """Draw a step curve a group, its interval where few groups leave room, and the numbers at risk beneath."""
    layout = lay_out(result)
    frame = layout.frame[layout.frame["time"].notna()]
    if frame.empty:
        nothing(ax)
        return
    names = list(dict.fromkeys(frame["estimand"]))
    frame, left_out = _limited(frame, result, names[0])
    main, *sides = _panels(
        ax, len(names) - 1, groups=len(frame[layout.sections].drop_duplicates()) if layout.sections else 1
    )
    apart = telling(frame, layout.sections) or layout.sections
    shown = [
        each._replace(name=labels_of(result, apart, each.rows.iloc[0]))
        for each in series_of(result, scaled(frame[frame["estimand"].eq(names[0])]), layout.sections)
    ]
    for each in shown:
        _curve(main, _held(each, result), bands=len(shown) <= _MOST_BANDS, start=starts_at(names[0]))
    for place, estimand in enumerate(names[1:]):
        ends = list(series_of(result, scaled(frame[frame["estimand"].eq(estimand)]), layout.sections))
        if sides:
            _side(sides[place], ends, f"{label(result, 'estimand', estimand)}, %")
        else:
            _thin(main, ends[0], label(result, "estimand", estimand), place)
    _scales(main, result, shown, names[0])
    phase_bands(main, result, start=0.0)
    at_risk_beneath(main, [(each.name, each.rows) for each in shown], remark=left_out)
    for panel in (main, *sides):
        panel.set_xlim(main.get_xlim())
        panel.set_xlabel(time_name(result), fontsize="small", labelpad=1)
    _quote_tests(main, result, frame, starts_at(names[0]))
    if len(shown) > 1 or len(names) > 1:
        _rename_alone(main, shown, label(result, "estimand", names[0]))
        key_above(main, title=_in_common(result, frame, layout.sections) or None)


def _in_common(result: Result, frame: pd.DataFrame, columns: list[str]) -> str:
    """Return what all curves have in common, where their names do not say it."""
    return shared(result, frame, columns) if telling(frame, columns) else ""


def _limited(frame: pd.DataFrame, result: Result, estimand: str) -> tuple[pd.DataFrame, str]:
    """Keep the curves that one picture can hold; return them and what to say of the others."""
    kinds = kind_columns(result)
    groups = [name for name in result.groups if name not in kinds]
    own = frame[frame["estimand"].eq(estimand)]
    keys, most = groups, _MOST_CURVES
    if kinds:
        keys, most = (
            kinds,
            max(1, _MOST_CURVES // max(1, len(own[groups].drop_duplicates()) if groups else 1)),
        )
    if not keys:
        return frame, ""
    sizes = own if kinds else own.assign(numerator=own["denominator"].where(~own.duplicated(keys), 0))
    kept, left_out = most_frequent(sizes, keys, most)
    if not left_out:
        return frame, ""
    chosen = pd.MultiIndex.from_frame(frame[keys]).isin(pd.MultiIndex.from_frame(kept[keys]))
    what = "kinds of event" if kinds else "groups"
    which = "most frequent" if kinds else "largest"
    number = len(kept[keys].drop_duplicates())
    if kinds and groups and len(own[groups].drop_duplicates()) > _MOST_CURVES:
        remark = f"the {number} {which} of {number + left_out} {what}"
        frame, more = _largest_groups(frame[chosen], groups, estimand)
        return frame, f"{remark}, {more}; the others in the table"
    return frame[chosen], f"the {number} {which} of {number + left_out} {what}; the others in the table"


def _largest_groups(frame: pd.DataFrame, groups: list[str], estimand: str) -> tuple[pd.DataFrame, str]:
    """Keep the largest groups, so many as one picture can hold; say how many there are."""
    own = frame[frame["estimand"].eq(estimand)]
    sizes = own.assign(numerator=own["denominator"].where(~own.duplicated(groups), 0))
    kept, left_out = most_frequent(sizes, groups, _MOST_CURVES)
    chosen = pd.MultiIndex.from_frame(frame[groups]).isin(pd.MultiIndex.from_frame(kept[groups]))
    return frame[chosen], f"the {_MOST_CURVES} largest of {_MOST_CURVES + left_out} groups"


def _panels(ax: Axes, ends: int, *, groups: int) -> list[Axes]:
    """Return the main panel, and one for each competing end where several groups fill the main one."""
    return beside(ax, [2.2] + [1.0] * ends, share_rows=False) if ends and groups > 1 else [ax]


def _curve(ax: Axes, each: Series, *, bands: bool, start: float | None) -> None:
    rows = _from_start(each.rows, start)
    look = each.look
    ax.step(
        rows["time"], rows["estimate"], where="post", color=look.color, linestyle=look.line, label=each.name
    )
    if bands:
        ax.fill_between(
            rows["time"],
            rows["conf_low"],
            rows["conf_high"],
            step="post",
            color=look.color,
            alpha=0.15,
            linewidth=0,
        )


def _held(each: Series, result: Result) -> Series:
    """Hold the last value of a curve over sessions up to the next session, so that it can be seen."""
    if time_name(result) != "Session" or each.rows.empty:
        return each
    last = each.rows.iloc[[-1]]
    return each._replace(rows=pd.concat([each.rows, last.assign(time=last["time"] + 1)], ignore_index=True))


def _from_start(rows: pd.DataFrame, start: float | None) -> pd.DataFrame:
    """Begin a curve at time 0: all free of it, or nobody had it."""
    if start is None or rows["time"].min() <= 0:
        return rows
    value = start * quantity(rows["estimand"].iloc[0]).factor
    first = {"time": [0.0], "estimate": [value], "conf_low": [value], "conf_high": [value]}
    return pd.concat([pd.DataFrame(first), rows], ignore_index=True)


def _side(ax: Axes, ends: list[Series], name: str) -> None:
    """Draw a competing end of each group."""
    for each in ends:
        _curve(ax, each, bands=False, start=0.0)
    ax.text(0.03, 0.98, name, transform=ax.transAxes, va="top", fontsize="small")
    highest = float(np.nan_to_num(max(each.rows["estimate"].max() for each in ends)))
    ax.set_ylim(0, max(_HEADROOM * highest, _LEAST))
    ax.tick_params(labelsize="small")
    ax.xaxis.set_major_locator(MaxNLocator(3, integer=True))
    ax.grid(axis="y", color=NEUTRAL)
    ax.set_axisbelow(True)


def _thin(ax: Axes, end: Series, name: str, place: int) -> None:
    """Draw a competing end of the only group as a thin line."""
    rows = _from_start(end.rows, 0.0)
    style = (":", "-.")[place % 2]
    ax.step(
        rows["time"], rows["estimate"], where="post", color="0.4", linewidth=1.0, linestyle=style, label=name
    )


def _rename_alone(ax: Axes, shown: list[Series], name: str) -> None:
    """Call the only curve by what it shows, since the others are of other things."""
    if len(shown) == 1:
        ax.lines[0].set_label(name)


def _scales(ax: Axes, result: Result, shown: list[Series], estimand: str) -> None:
    rows = pd.concat([each.rows for each in shown])
    limits = ["estimate", "conf_high"] if len(shown) <= _MOST_BANDS else ["estimate"]
    drawn = [float(np.nanmax(line.get_ydata())) for line in ax.lines if np.isfinite(line.get_ydata()).any()]
    highest = max([float(np.nan_to_num(rows[limits].max().max())), *drawn])
    falling = starts_at(estimand) != 0.0
    top = (
        _FULL
        if falling and is_share(estimand)
        else max(highest * _ROOM, _LEAST if is_share(estimand) else 0.1)
    )
    top = min(top, _FULL) if is_share(estimand) else top
    ax.set_ylim(0, top)
    make_room(ax, result)
    ax.set_xlim(0, max((float(np.max(line.get_xdata())) for line in ax.lines), default=0.0) or 1.0)
    ticks = _MOST_SESSIONS if time_name(result) == "Session" else _AT_RISK
    ax.xaxis.set_major_locator(MaxNLocator(ticks, integer=True))
    ax.grid(axis="y", color=NEUTRAL)
    ax.set_axisbelow(True)
    level = conf_level(result)
    band = f"\n(band: {level} interval)" if len(shown) <= _MOST_BANDS else "\n(intervals: see the table)"
    name, unit = label(result, "estimand", estimand), rows["unit"].dropna().iloc[0]
    measure = f"{name}, % of {unit}" if is_share(estimand) else name
    ax.set_ylabel(measure + (band if level else ""), fontsize="small")


def _quote_tests(ax: Axes, result: Result, frame: pd.DataFrame, start: float | None) -> None:
    """Quote the tests across groups in the corner that curves leave free."""
    found, kinds = tests(result), kind_columns(result)
    if kinds:
        found = found[found[kinds[0]].isin(frame[kinds[0]])]
    lines = []
    for _, row in found.head(_MOST_TESTS).iterrows():
        name = label(result, "estimand", row["estimand"]) + (
            f", {labels_of(result, kinds, row)}" if kinds else ""
        )
        lines.append(
            f"{name}: {p_statement(row['p_value'])}" if pd.notna(row["p_value"]) else f"{name}: {row['note']}"
        )
    if lines:
        top = start == 1.0
        place: dict[str, Any] = {
            "x": 0.985,
            "y": 0.97 - headroom(result) if top else 0.03,
            "va": "top" if top else "bottom",
        }
        background = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 2.0}
        place |= {"ha": "right", "transform": ax.transAxes, "fontsize": "small", "bbox": background}
        ax.text(s="\n".join(lines), **place)
