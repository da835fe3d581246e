"""Dropout at each session of the schedule: the hazard with its interval, over the phases; and phase by phase."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mesostats.layout import by_columns, conf_level, labels_of, most_frequent, out_of
from mesostats.plots.beneath import Numbers, numbers_beneath
from mesostats.plots.marks import (
    NEUTRAL,
    ROW_INCHES,
    Series,
    beside,
    counts_at_right,
    key_above,
    nothing,
    points,
    rows_named,
    rows_parted,
    scaled,
    series_of,
    shifts,
)
from mesostats.plots.phases import make_room, phase_bands

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from mesostats.results import Result

_HAZARD: Final = "dropout_hazard"
_SHARE: Final = "share_of_dropouts"
_MOST_SERIES: Final = 4
_MOST_COUNTS: Final = 14
_ROOM: Final = 1.08
_LEAST: Final = 5.0  # per cent: a picture of hardly any dropouts is not blown up


def session_hazard_size(result: Result, _most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    by = by_columns(result)
    groups = min(_MOST_SERIES, len(result.estimates[by].drop_duplicates())) if by else 1
    return 9.0, 4.6 + 0.16 * groups


def session_hazard(ax: Axes, result: Result, _most: int) -> None:
    """Draw the dropouts of the courses due at each session, with intervals, over the phases of the schedule."""
    frame = result.estimates[result.estimates["estimand"].eq(_HAZARD)]
    frame, left_out = _largest(result, frame)
    if not frame["estimate"].notna().any():
        nothing(ax)
        return
    several = list(series_of(result, scaled(frame), by_columns(result)))
    for each, shift in zip(several, shifts(len(several), 0.4), strict=True):
        _hazards(ax, each, shift)
    sessions = sorted(frame["time"].unique())
    ax.set_xlim(min(sessions) - 0.6, max(sessions) + 0.6)
    highest = np.nanmax(scaled(frame)[["estimate", "conf_high"]].to_numpy(float))
    ax.set_ylim(0, _ROOM * max(highest, _LEAST))
    make_room(ax, result)
    phase_bands(ax, result, start=-0.5)
    ax.set_xlabel("Session of the schedule", fontsize="small", labelpad=1)
    ax.set_xticks(sessions[:: int(np.ceil(len(sessions) / _MOST_COUNTS))])
    interval = f"\n(with {conf_level(result)} interval)" if conf_level(result) else ""
    ax.set_ylabel(f"Dropped out, % of {frame['unit'].iloc[0]} due{interval}")
    ax.grid(axis="y", color=NEUTRAL)
    ax.set_axisbelow(True)
    rows = [Numbers(each.name, _counts(each)) for each in several]
    numbers_beneath(ax, "Dropped out/due", rows, remark=left_out)
    if len(several) > 1:
        key_above(ax)


def _hazards(ax: Axes, each: Series, shift: float) -> None:
    times = each.rows["time"] + shift
    ax.vlines(times, each.rows["conf_low"], each.rows["conf_high"], color=each.look.color, linewidth=1.6)
    marks: dict[str, Any] = {"marker": each.look.marker, "color": each.look.color, "zorder": 3}
    ax.plot(
        times,
        each.rows["estimate"],
        linestyle=each.look.line,
        linewidth=0.8,
        label=each.name,
        clip_on=False,
        **marks,
    )


def _counts(each: Series) -> dict[float, str]:
    """Return dropouts of those due at each session; of a long schedule at some only."""
    step = int(np.ceil(len(each.rows) / _MOST_COUNTS))
    return {row["time"]: out_of(row) for _, row in each.rows.iloc[::step].iterrows()}


def _largest(result: Result, frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Keep the largest groups that one picture can hold; return them and what to say of the others."""
    by = by_columns(result)
    if not by:
        return frame, ""
    sizes = frame.assign(numerator=frame.groupby(by, dropna=False)["denominator"].transform("max"))
    sizes["numerator"] = sizes["numerator"].where(~sizes.duplicated(by), 0.0)
    kept, left_out = most_frequent(sizes, by, _MOST_SERIES)
    remark = f"the {_MOST_SERIES} largest of {_MOST_SERIES + left_out} groups; the others in the table"
    return frame.loc[kept.index], remark if left_out else ""


def phase_hazard_size(result: Result, _most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    by = by_columns(result)
    groups = min(_MOST_SERIES, len(result.estimates[by].drop_duplicates())) if by else 1
    return 10.0, 1.9 + ROW_INCHES * result.estimates["phase"].nunique() * max(1.2, 0.6 * groups)


def phase_hazard(ax: Axes, result: Result, _most: int) -> None:
    """Draw the hazard of each phase at the left, and the phase's share of all dropouts at the right."""
    hazards = result.estimates[result.estimates["estimand"].eq(_HAZARD)]
    if hazards.empty:
        nothing(ax)
        return
    hazards, left_out = _largest(result, hazards)
    by = by_columns(result)
    phases = list(dict.fromkeys(hazards["phase"]))
    kept = result.estimates.merge(hazards[by].drop_duplicates(), on=by) if by else result.estimates
    panels = beside(ax, (1.0, 1.0))
    heads = ("Dropped out, % of sessions due", "Share of the dropouts, % of them")
    for panel, estimand, head in zip(panels, (_HAZARD, _SHARE), heads, strict=True):
        rows = kept[kept["estimand"].eq(estimand)].reset_index(drop=True)
        _dots(panel, result, rows, phases)
        level = conf_level(result)
        panel.set_xlabel(head + (f"\n(with {level} interval)" if level else ""))
    left = panels[0]
    named = kept.drop_duplicates("phase").set_index("phase", drop=False).loc[phases]
    rows_named(left, [labels_of(result, ["phase"], row) for _, row in named.iterrows()])
    if left_out:
        left.set_xlabel(f"{left.get_xlabel()}\n{left_out}")
    if by:
        rows_parted(*panels)
        key_above(left)


def _dots(ax: Axes, result: Result, rows: pd.DataFrame, phases: list[Any]) -> None:
    """Draw a point and its interval a phase and group; n/N at the right of each where groups are few."""
    several = list(series_of(result, rows, by_columns(result))) if len(rows) else []
    for each, shift in zip(several, shifts(len(several)), strict=True):
        places = each.rows["phase"].map({phase: place for place, phase in enumerate(phases)})
        points(ax, scaled(each.rows), places + shift, each.look, name=each.name)
    ax.set_xlim(left=0)
    ax.grid(axis="x", color=NEUTRAL)
    ax.set_axisbelow(True)
    if len(several) == 1:
        row_of = rows["phase"].map({phase: place for place, phase in enumerate(phases)})
        counts_at_right(ax, several, row_of)
