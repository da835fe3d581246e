"""Shares that add up to the whole, as stacked bars: the states of slots, and what became of courses."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.layout import count, kind_columns, label, labels_of, most_frequent, shared, telling
from mesostats.plots.marks import LABEL_WIDTH, ROW_INCHES, key_above, nothing, rows_named, scaled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mesostats.results import Result

_LOOKS: Final[dict[str, dict[str, str]]] = {
    "on_time": {"facecolor": "#0b5394", "hatch": "", "text": "white"},
    "early": {"facecolor": "#9fc5e8", "hatch": "///", "text": "black"},
    "late": {"facecolor": "#f6b26b", "hatch": "\\\\\\", "text": "black"},
    "missed": {"facecolor": "#f3f3f3", "hatch": "", "text": "black"},
    "completed": {"facecolor": "#0b5394", "hatch": "", "text": "white"},
    "ongoing": {"facecolor": "#9fc5e8", "hatch": "///", "text": "black"},
    "dropped_out": {"facecolor": "#f6b26b", "hatch": "", "text": "black"},
    "better_beyond_error": {"facecolor": "#0b5394", "hatch": "", "text": "white"},
    "within_error": {"facecolor": "#f3f3f3", "hatch": "", "text": "black"},
    "worse_beyond_error": {"facecolor": "#f6b26b", "hatch": "///", "text": "black"},
}
"""Dark to light, so that the parts differ in grey too."""

_PARTS: Final = {
    "adherence": ("on_time", "early", "late", "missed"),
    "disposition": ("completed", "ongoing", "dropped_out"),
    "change_beyond_error": ("better_beyond_error", "within_error", "worse_beyond_error"),
}
"""The shares of each analysis that add up to the whole."""
_HUNDRED: Final = 100.0
_FEW: Final = 3
_LEAST_NAMED: Final = 4.5  # per cent: a narrower part has no room for its number


def stacked_size(result: Result, most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    frame = _whole(result)
    keys = _keys(result)
    rows = min(most, len(frame[keys].drop_duplicates())) if keys else 1
    return 9.0, 1.8 + 1.25 * ROW_INCHES * rows


def stacked_bars(ax: Axes, result: Result, most: int) -> None:
    """Draw a bar a group, parted by the shares that add up to it; a line is the interval of the first."""
    keys, frame = _keys(result), _whole(result)
    unknown = frame[frame["estimate"].isna() & frame["estimand"].eq(_states(result)[0])]
    frame = frame[frame["denominator"].gt(0) & frame["estimate"].notna()]
    sizes = frame.assign(numerator=frame["denominator"])
    kept, left_out = most_frequent(sizes, keys, most) if keys else (sizes, 0)
    frame = scaled(frame.loc[kept.index])
    if frame.empty:
        notes = [note for note in dict.fromkeys(unknown["note"]) if note]
        nothing(ax, why="; ".join(notes[:_FEW]) + ("; \N{HORIZONTAL ELLIPSIS}" if len(notes) > _FEW else ""))
        return
    row_of = frame.groupby(keys, sort=False, dropna=False).ngroup() if keys else frame["denominator"] * 0
    firsts = frame[~row_of.duplicated()]
    start = pd.Series(0.0, sorted(row_of.unique()))
    for state in _states(result):
        own = frame[frame["estimand"].eq(state)]
        rows = own.set_index(row_of[own.index])
        _part(ax, rows, start, label(result, "estimand", state), _LOOKS[state])
        start = start.add(rows["estimate"].fillna(0.0), fill_value=0.0)
    _interval(ax, frame[frame["estimand"].eq(_states(result)[0])], row_of)
    for place, (_, first) in enumerate(firsts.iterrows()):
        ax.annotate(
            _number(result, first),
            (1, place),
            (6, 0),
            xycoords=ax.get_yaxis_transform(),
            textcoords="offset points",
            va="center",
            fontsize="small",
            annotation_clip=False,
        )
    apart = telling(frame, keys) if result.spec["analysis"] == "change_beyond_error" else keys
    names = (
        [labels_of(result, apart, row) for _, row in firsts.iterrows()] if apart else [f"All {_unit(frame)}"]
    )
    rows_named(ax, names, width=LABEL_WIDTH)
    ax.set_xlim(0, _HUNDRED)
    ax.set_xlabel("\n".join([_foot(result, frame, left_out), *_without(result, unknown)]))
    key_above(ax)


def _number(result: Result, row: pd.Series[Any]) -> str:
    """Return how many a bar is of, and of how many due where others are missing."""
    text = f"N = {count(row['denominator'])}"
    if result.spec["analysis"] == "change_beyond_error" and row["n_missing"] > 0:
        text += f" of {count(row['denominator'] + row['n_missing'])} due"
    return text


def _without(result: Result, rows: pd.DataFrame) -> list[str]:
    """Name the groups of which the shares are not known."""
    keys = [name for name in _keys(result) if name != "error"]
    names = (
        [labels_of(result, keys, row) for _, row in rows[rows["denominator"].gt(0)].iterrows()]
        if keys
        else []
    )
    return [fill(f"not known: {'; '.join(names)}", 110)] if names else []


def _keys(result: Result) -> list[str]:
    return [name for name in result.groups if name != "reason"]


def _states(result: Result) -> tuple[str, ...]:
    return _PARTS[str(result.spec["analysis"])]


def _whole(result: Result) -> pd.DataFrame:
    """Return the rows of the shares that add up to the whole."""
    frame = result.estimates[result.estimates["estimand"].isin(_states(result))]
    return frame[frame["reason"].eq("all reasons")] if "reason" in result.groups else frame


def _unit(frame: pd.DataFrame) -> str:
    return str(frame["unit"].iloc[0])


def _part(ax: Axes, rows: pd.DataFrame, start: pd.Series[Any], name: str, look: dict[str, str]) -> None:
    """Draw one part of each bar with its per cent, where there is room."""
    widths = rows["estimate"].fillna(0.0)
    left = start.reindex(rows.index).fillna(0.0)
    shade: dict[str, Any] = {"facecolor": look["facecolor"], "hatch": look["hatch"], "edgecolor": "0.35"}
    ax.barh(rows.index, widths, 0.72, left=left, label=name, linewidth=0.5, **shade)
    behind = {"facecolor": look["facecolor"], "edgecolor": "none", "pad": 0.8}
    for place, width, begin in zip(rows.index, widths, left, strict=True):
        if width >= _LEAST_NAMED:
            at = begin + width / 2
            text: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": "small", "bbox": behind}
            ax.text(at, float(place), f"{width:.0f}", color=look["text"], **text)


def _interval(ax: Axes, rows: pd.DataFrame, row_of: pd.Series[Any]) -> None:
    """Draw the interval of the first share beneath the middle of its bar."""
    places = row_of[rows.index].astype(float) + 0.27
    ax.hlines(places, rows["conf_low"], rows["conf_high"], color="white", linewidth=3.4, zorder=3)
    ax.hlines(places, rows["conf_low"], rows["conf_high"], color="black", linewidth=1.6, zorder=4)


def _foot(result: Result, frame: pd.DataFrame, left_out: int) -> str:
    """Return what the axis shows, and what stands beside the bars."""
    first = label(result, "estimand", _states(result)[0]).lower()
    levels = frame["conf_level"].dropna().unique()
    line = f" (line: {_HUNDRED * levels[0]:g} % interval of {first})" if len(levels) else ""
    kind = "due " if result.spec["analysis"] == "adherence" else ""
    notes = [f"% of {kind}{_unit(frame)}{line}"]
    if result.spec["analysis"] == "change_beyond_error":
        notes += filter(None, [shared(result, frame, _keys(result))])
    if left_out:
        number = len(frame[kind_columns(result) or _keys(result)].drop_duplicates())
        notes.append(f"the {number} largest of {number + left_out} groups; the others in the table")
    extra = result.estimates[result.estimates["estimand"].eq("unscheduled")]
    visits = extra["numerator"].sum()
    if visits > 0:
        notes.append(f"{count(visits)} {'visit' if visits == 1 else 'visits'} held no slot of a plan")
    return "\n".join(notes)
