"""The swimmer plot: a bar a course, its sessions as marks, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from mesostats.layout import by_columns, count, labels_of
from mesostats.plots.marks import NEUTRAL, key_above, nothing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mesostats.results import Result

_COURSE: Final = "course"
_ENDS: Final = ("completed", "ongoing", "dropped_out")
_ROW: Final = 0.185  # inches
_REASON_LETTERS: Final = 34
_ROOM: Final = 1.03


class _Mark(NamedTuple):
    name: str
    marker: str
    color: int | None  # of the colour-blind palette; None: black
    size: float


_VISITS: Final = {
    "on_time": _Mark("session on time", "o", 0, 5.0),
    "early": _Mark("early", "<", 2, 6.5),
    "late": _Mark("late", ">", 3, 6.5),
    "unscheduled": _Mark("outside the plan", "D", None, 4.0),
}
_LAST: Final = {
    "completed": _Mark("completed", "s", None, 5.0),
    "dropped_out": _Mark("dropped out (reason beside)", "X", None, 6.5),
    "ongoing": _Mark("still going on at the data cut", "$\\rightarrow$", None, 9.0),
}


def swimmer_size(result: Result, most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    number = min(most, result.estimates[_COURSE].nunique())
    by = by_columns(result)
    groups = len(result.estimates[by].drop_duplicates()) if by else 0
    return 9.5, 1.9 + _ROW * (number + 1.4 * groups)


def swimmers(ax: Axes, result: Result, most: int) -> None:
    """Draw each course from its first session to its end, the longest of each group first."""
    frame = _chosen(result.estimates, most)
    if not frame["estimand"].isin(_ENDS).any():
        nothing(ax)
        return
    places, heads = _places(result, frame)
    frame = frame.assign(_place=frame[_COURSE].map(places))
    ends = frame[frame["estimand"].isin(_ENDS)]
    ax.barh(ends["_place"], ends["time"], 0.62, color="0.86", zorder=1)
    palette = sns.color_palette("colorblind")
    for marks, offset in ((_VISITS, 0.0), (_LAST, 8.0)):
        for estimand, mark in marks.items():
            own = frame[frame["estimand"].eq(estimand)]
            color = "black" if mark.color is None else palette[mark.color]
            if len(own):
                _marks(ax, own, mark, color, offset)
    _reasons(ax, ends[ends["estimand"].eq("dropped_out")])
    for place, head in heads:
        ax.text(0, place, head, fontsize="small", fontweight="bold", va="center")
    ax.set_yticks(list(places.values()), [str(number) for number in places], fontsize="x-small")
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(max(places.values()) + 0.8, min([*places.values(), *(place for place, _ in heads)]) - 0.9)
    ax.set_xlim(0, max(_ROOM * ends["time"].max(), 1.0))
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    ax.set_ylabel("Course (numbered for this picture)")
    ax.set_xlabel("Days from the first session" + _foot(result, ends))
    ax.grid(axis="x", color=NEUTRAL)
    ax.set_axisbelow(True)
    key_above(ax)


def _chosen(frame: pd.DataFrame, most: int) -> pd.DataFrame:
    """Keep at most so many courses, at evenly spread places."""
    numbers = frame[_COURSE].unique()
    if len(numbers) <= most:
        return frame
    kept = numbers[((np.arange(most) + 0.5) * len(numbers) / most).astype(int)]
    return frame[frame[_COURSE].isin(kept)]


def _places(result: Result, frame: pd.DataFrame) -> tuple[dict[Any, float], list[tuple[float, str]]]:
    """Return the row of each course, and the rows and texts of the groups' names."""
    by = by_columns(result)
    ends = frame[frame["estimand"].isin(_ENDS)]
    sizes = pd.DataFrame(result.spec["courses"])
    places: dict[Any, float] = {}
    heads: list[tuple[float, str]] = []
    row = 0.0
    for _, rows in ends.groupby(by, sort=False, dropna=False) if by else [((), ends)]:
        if by:
            of_group = sizes.merge(rows[by].head(1), on=by)["courses"]
            total = f" of {count(of_group.iloc[0])}" if len(of_group) else ""
            heads.append((row, f"{labels_of(result, by, rows.iloc[0])}: {len(rows)}{total} courses"))
            row += 1.0
        for number in rows[_COURSE]:
            places[number] = row
            row += 1.0
        row += 0.4
    return places, heads


def _marks(ax: Axes, rows: pd.DataFrame, mark: _Mark, color: Any, offset: float) -> None:
    """Draw the marks of one kind, those of ends a little to the right of the bar."""
    if not offset:
        look: dict[str, Any] = {
            "markeredgecolor": "white",
            "markeredgewidth": 0.4,
            "linestyle": "none",
            "zorder": 3,
        }
        ax.plot(
            rows["time"],
            rows["_place"],
            marker=mark.marker,
            color=color,
            ms=mark.size,
            label=mark.name,
            clip_on=False,
            **look,
        )
        return
    shift = ScaledTranslation(offset / 72, 0, ax.figure.dpi_scale_trans)
    look = {
        "markeredgewidth": 0.3,
        "linestyle": "none",
        "zorder": 4,
        "clip_on": False,
        "transform": ax.transData + shift,
    }
    ax.plot(
        rows["time"], rows["_place"], marker=mark.marker, color=color, ms=mark.size, label=mark.name, **look
    )


def _reasons(ax: Axes, rows: pd.DataFrame) -> None:
    """Write beside the end of a course why it was given up."""
    for _, row in rows.iterrows():
        text = str(row["note"])
        short = (
            text if len(text) <= _REASON_LETTERS else f"{text[: _REASON_LETTERS - 1]}\N{HORIZONTAL ELLIPSIS}"
        )
        ax.annotate(
            short[:1].upper() + short[1:],
            (row["time"], row["_place"]),
            (14, 0),
            textcoords="offset points",
            va="center",
            fontsize="x-small",
            color="0.25",
            annotation_clip=False,
        )


def _foot(result: Result, ends: pd.DataFrame) -> str:
    """Say how many courses there are, and how those shown were chosen."""
    total = sum(each["courses"] for each in result.spec["courses"])
    if len(ends) == total:
        return f"\nall {count(total)} courses, ordered by the days kept"
    return f"\n{len(ends)} of {count(total)} courses, evenly spread over all ordered by the days kept; {count(total - len(ends))} not shown"
