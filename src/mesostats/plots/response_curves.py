"""When response came: step curves of interval-censored times, dropout without response beside them, followed beneath."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from mesostats.layout import conf_level, labels_of, shared, short, time_name
from mesostats.plots.beneath import Numbers, numbers_beneath
from mesostats.plots.marks import NEUTRAL, Look, beside, key_above, looks, nothing, panel_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mesostats.results import Result

_RESPONDED, _SEEN, _LEFT = "responded", "responded_as_seen", "dropped_out_before_response"
_MOST: Final = 7
_MOST_BANDS: Final = 3
_FULL: Final = 102.0


def response_curve_size(result: Result, _most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    return 11.0, 4.6 + 0.17 * min(_MOST, len(_blocks(result)))


def response_curves(ax: Axes, result: Result, _most: int) -> None:
    """Draw the share that had responded by each time, and at the right those who dropped out without a response."""
    blocks = _blocks(result)
    if not blocks:
        nothing(ax)
        return
    shown = blocks[:_MOST]
    main, side = beside(ax, (2.0, 1.0), share_rows=False)
    names = short(result.estimates, result.groups)
    beneath = []
    least = float(result.spec.get("least_at_risk", 0.0))
    ends = [_until(rows, least) for rows in shown]
    longest = max(ends) or 1.0
    ticks = _ticks(longest, result)
    for rows, end, look in zip(shown, ends, looks(len(shown)), strict=True):
        name = labels_of(result, names, rows.iloc[0]) or "Responded"
        _steps(main, _held(_of(rows, _RESPONDED), end), look, name, band=len(shown) <= _MOST_BANDS)
        if len(shown) == 1:
            late = Look("0.45", "", ":")
            _steps(main, _held(_of(rows, _SEEN), end), late, "As seen at assessments (late)", band=False)
        _steps(side, _held(_of(rows, _LEFT), end), look, "", band=False)
        seen = _of(rows, _SEEN)
        beneath.append(
            Numbers(name if len(shown) > 1 else "", {tick: _followed(seen, tick) for tick in ticks})
        )
    for panel, text in ((main, "Responded by then"), (side, "Dropped out without response")):
        panel.set_xlim(0, 1.02 * longest)
        panel.set_ylim(0, _FULL)
        panel_name(panel, text)
        panel.grid(axis="y", color=NEUTRAL)
        panel.set_axisbelow(True)
        panel.set_xlabel(time_name(result), fontsize="small", labelpad=1)
    main.set_xticks(ticks)
    side.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    level = conf_level(result)
    band = (
        f"\n(band: {level} interval)"
        if level and len(shown) <= _MOST_BANDS
        else "\n(intervals: see the table)"
    )
    main.set_ylabel(f"% of courses assessed{band}", fontsize="small")
    numbers_beneath(main, "Not seen to respond", beneath, remark=_remark(result, len(blocks)))
    if len(shown) > 1 or len(main.lines) > 1:
        key_above(main)


def _blocks(result: Result) -> list[pd.DataFrame]:
    """Return the rows of each cell with a curve, the largest first where there are too many."""
    frame = result.estimates[result.estimates["time"].notna()]
    groups = result.groups
    parts = [rows for _, rows in frame.groupby(groups, sort=False, dropna=False)] if groups else [frame]
    parts = [rows for rows in parts if _of(rows, _RESPONDED)["estimate"].notna().any()]
    if len(parts) <= _MOST:
        return parts
    return sorted(parts, key=lambda rows: -float(_of(rows, _RESPONDED)["denominator"].max()))


def _of(rows: pd.DataFrame, estimand: str) -> pd.DataFrame:
    return rows[rows["estimand"].eq(estimand)].sort_values("time", kind="stable")


def _until(rows: pd.DataFrame, least: float) -> float:
    """Return the last time at which at least a share of the courses was still followed, before which curves end."""
    seen = _of(rows, _SEEN)
    enough = seen[seen["denominator"] >= least * seen["denominator"].max()]
    return float((enough if len(enough) else rows)["time"].max())


def _held(curve: pd.DataFrame, end: float) -> pd.DataFrame:
    """Return a curve up to the end, its last value held until then."""
    own = curve[curve["time"] <= end]
    if own.empty or own["time"].max() >= end:
        return own
    return pd.concat([own, own.iloc[[-1]].assign(time=end)], ignore_index=True)


def _steps(ax: Axes, rows: pd.DataFrame, look: Look, name: str, *, band: bool) -> None:
    """Draw one step curve from 0, with its interval where few curves leave room."""
    if rows.empty:
        return
    times = np.concatenate([[0.0], rows["time"]])
    values = {
        side: np.concatenate([[0.0], 100 * rows[side]]) for side in ("estimate", "conf_low", "conf_high")
    }
    style: dict[str, Any] = {"where": "post", "color": look.color, "linestyle": look.line}
    ax.step(times, values["estimate"], label=name or None, **style)
    ax.plot(
        times[-1:],
        values["estimate"][-1:],
        marker=look.marker or None,
        color=look.color,
        markersize=5,
        clip_on=False,
    )
    if band:
        ax.fill_between(
            times,
            values["conf_low"],
            values["conf_high"],
            step="post",
            color=look.color,
            alpha=0.15,
            linewidth=0,
        )


def _ticks(longest: float, result: Result) -> list[float]:
    """Return the places of ticks, whole numbers up to the last time."""
    found = MaxNLocator(6, integer=True).tick_values(0, longest)
    ticks = [float(tick) for tick in found if 0 <= tick <= longest]
    return ticks if time_name(result) == "Day" or len(ticks) > 1 else [0.0, longest]


def _followed(seen: pd.DataFrame, time: float) -> str:
    """Return how many were still followed without a response seen just before a time."""
    later = seen[seen["time"] >= time]
    return "0" if later.empty else f"{later['denominator'].iloc[0]:,.0f}"


def _remark(result: Result, cells: int) -> str:
    parts = [shared(result, result.estimates, result.groups)]
    least = result.spec.get("least_at_risk")
    parts += [f"curves end where fewer than {100 * least:.0f} % were still followed"] if least else []
    parts += [f"the {_MOST} largest of {cells} groups; the others in the table"] if cells > _MOST else []
    return "; ".join(filter(None, parts))
