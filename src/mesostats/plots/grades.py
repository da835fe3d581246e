"""Grades compared: stacked bars of all treated, and the waterfall of change; those not assessed keep their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns

from mesostats.layout import Pair, Pairing, amount, count, label, labels_of, p_statement, span, telling
from mesostats.plots.blocks import columns_at_right, in_blocks, name_blocks
from mesostats.plots.marks import NEUTRAL, ROW_INCHES, beside, key_above, nothing, panel_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mesostats.results import Result

MOST_GRADES: Final = 12
"""Of more grades no stacked bar can be read."""
_OF_TREATED: Final = "share_of_treated"
_MEASURES: Final = ("adjusted_common_odds_ratio", "common_odds_ratio")
_GRADE: Final = "grade"
_MOST_PANELS: Final = 4
_LEAST_NAMED: Final = 4.5  # per cent
_DARK: Final = 0.55
_BETTER, _WORSE = "#0b5394", "#f6b26b"


class _Group(NamedTuple):
    """One group of one cell, with the counts of its grades."""

    pair: Pair
    rows: pd.DataFrame


def grades_of(result: Result) -> list[str]:
    """Return the grades of a result, without those not assessed."""
    frame = result.estimates[result.estimates["estimand"].eq(_OF_TREATED)]
    return [str(grade) for grade in dict.fromkeys(frame[_GRADE]) if _is_number(grade)]


def _is_number(grade: Any) -> bool:
    return bool(pd.notna(pd.to_numeric(grade, errors="coerce")))


def _groups(found: Pairing) -> list[_Group]:
    """Return the groups of each cell, the reference last."""
    frame = found.result.estimates
    own = frame[frame["estimand"].eq(_OF_TREATED)]
    parts = [
        _Group(Pair(tuple(rows[name].iloc[0] for name in found.cells), rows[found.group].iloc[0], ""), rows)
        for _, rows in own.groupby([*found.cells, found.group], sort=False, dropna=False)
    ]
    reference = found.result.spec["arguments"].get("reference")
    cells = {cell: place for place, cell in enumerate(dict.fromkeys(part.pair.cell for part in parts))}
    return sorted(parts, key=lambda part: (cells[part.pair.cell], part.pair.group == reference))


def stacked_grades_size(result: Result, most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    return 10.0, 2.0 + 1.3 * ROW_INCHES * min(most, len(_groups(Pairing(result))))


def stacked_grades(ax: Axes, result: Result, most: int) -> None:
    """Draw a bar a group, parted by the grades of all treated; the odds ratio of each comparison beside it."""
    found = Pairing(result)
    groups = _groups(found)[:most]
    if not groups or not any(group.rows["denominator"].gt(0).any() for group in groups):
        nothing(ax)
        return
    names = telling(result.estimates, found.cells)
    cells = [pd.Series(dict(zip(found.cells, group.pair.cell, strict=True))) for group in groups]
    rows = in_blocks(
        [labels_of(result, names, cell) for cell in cells], [found.name(group.pair.group) for group in groups]
    )
    name_blocks(ax, rows, inside=True)
    starts = dict.fromkeys(range(len(groups)), 0.0)
    grades = list(dict.fromkeys(str(grade) for group in groups for grade in group.rows[_GRADE]))
    numbers = [grade for grade in grades if _is_number(grade)]
    colors = dict(zip(numbers, sns.color_palette("cividis", len(numbers)), strict=True))
    for grade in [*numbers, *(each for each in grades if each not in numbers)]:
        name = label(result, _GRADE, grade)
        for number, group in enumerate(groups):
            own = group.rows[group.rows[_GRADE].eq(grade)]
            width = 100 * float(own["estimate"].fillna(0.0).sum())
            _part(ax, rows.places[number], (starts[number], width), colors.get(grade), "" if number else name)
            starts[number] += width
    _beside_bars(ax, found, groups, rows.places)
    ax.set_xlim(0, 100)
    first = groups[0].rows
    ax.set_xlabel(
        f"% of all treated {first['unit'].iloc[0]} whose endpoint is due; grades from worst to best"
        if _changes(result)
        else f"% of all treated {first['unit'].iloc[0]} whose endpoint is due"
    )
    key_above(ax, title="Improvement since baseline" if _changes(result) else "Value at the endpoint")


def _changes(result: Result) -> bool:
    return bool(result.spec["arguments"].get("scale") == "change")


def _part(ax: Axes, place: float, at: tuple[float, float], color: Any, name: str) -> None:
    """Draw one part of a bar with its per cent, where there is room; those not assessed are hatched."""
    start, width = at
    shade: dict[str, Any] = {
        "facecolor": color if color is not None else "white",
        "edgecolor": "0.35",
        "linewidth": 0.5,
    }
    shade["hatch"] = "" if color is not None else "////"
    ax.barh(place, width, 0.72, left=start, label=name or None, **shade)
    if width >= _LEAST_NAMED:
        light = color is None or sum(color) / 3 > _DARK
        box = {"facecolor": "white" if color is None else color, "edgecolor": "none", "pad": 0.8}
        look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": "small", "bbox": box}
        ax.text(start + width / 2, place, f"{width:.0f}", color="black" if light else "white", **look)


def _beside_bars(ax: Axes, found: Pairing, groups: list[_Group], places: list[int]) -> None:
    """Write N, and each comparison's common odds ratio with its p value, at the right of the bars."""
    known = [name for name in _MEASURES if name in set(found.result.estimates["estimand"])]
    reference = found.result.spec["arguments"].get("reference")
    columns = [("N", [count(group.rows["denominator"].max()) for group in groups])]
    if known:
        measure = found.of(known[0])
        texts = []
        for group in groups:
            row = measure.get(group.pair._replace(reference=reference))
            texts.append("reference" if group.pair.group == reference else _odds(row))
        columns.append((f"{known[0].replace('_', ' ')} (CI)", texts))
    columns_at_right(ax, places, columns)


def _odds(row: pd.Series[Any] | None) -> str:
    if row is None:
        return ""
    if pd.isna(row["estimate"]):
        return "not estimable"
    low, high = (amount(row[side], row["estimand"]) for side in ("conf_low", "conf_high"))
    return f"{amount(row['estimate'], row['estimand'])} ({span(low, high)}), {p_statement(row['p_value'])}"


def waterfall_size(result: Result, _most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    return max(6.0, 1.0 + 3.4 * min(_MOST_PANELS, len(_groups(Pairing(result))))), 4.6


def waterfall(ax: Axes, result: Result, _most: int) -> None:
    """Draw each course's improvement, the best first, a panel a group; those not assessed keep their place at the right."""
    found = Pairing(result)
    groups = [group for group in _groups(found) if group.rows["denominator"].gt(0).any()]
    if not groups:
        nothing(ax)
        return
    shown = groups[:_MOST_PANELS]
    panels = (
        beside(ax, [float(group.rows["denominator"].max()) for group in shown]) if len(shown) > 1 else [ax]
    )
    names = telling(result.estimates, found.cells)
    for panel, group in zip(panels, shown, strict=True):
        _fall(panel, group)
        cell = pd.Series(dict(zip(found.cells, group.pair.cell, strict=True)))
        parts = [labels_of(result, names, cell), found.name(group.pair.group)]
        panel_name(panel, f"{', '.join(filter(None, parts))} (N = {count(group.rows['denominator'].max())})")
    ax.set_ylabel("improvement since baseline\n(in the instrument's unit; up is better)")
    left_out = len(groups) - len(shown)
    note = f"\n{left_out} more groups in the table" if left_out else ""
    panels[len(panels) // 2].set_xlabel(f"courses due, the best first; a bar is one course{note}")


def _fall(ax: Axes, group: _Group) -> None:
    """Draw the bars of one group."""
    numbers = group.rows[group.rows[_GRADE].map(_is_number)]
    times = numbers["numerator"].fillna(0).to_numpy(int)
    values = np.sort(np.repeat(numbers[_GRADE].to_numpy(float), times))[::-1]
    due = int(group.rows["denominator"].max())
    shades = np.where(values > 0, _BETTER, np.where(values < 0, _WORSE, "0.4"))
    places = np.arange(1, len(values) + 1)
    ax.bar(places, values, 0.86, color=list(shades), edgecolor="0.25", linewidth=0.3)
    zeros = places[values == 0]
    ax.plot(zeros, np.zeros(len(zeros)), "|", color="0.2", markersize=7)
    ax.axhline(0, color="0.2", linewidth=0.9)
    missing = due - len(values)
    if missing > 0:
        ax.axvspan(
            len(values) + 0.5,
            due + 0.5,
            facecolor="white",
            hatch="////",
            edgecolor="0.8",
            linewidth=0,
            zorder=0,
        )
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        middle = len(values) + 0.5 + missing / 2
        look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": "small", "bbox": box}
        ax.text(middle, 0.5, f"{missing} not\nassessed", transform=ax.get_xaxis_transform(), **look)
    better, worse = int((values > 0).sum()), int((values < 0).sum())
    text = f"{better} better, {len(values) - better - worse} unchanged, {worse} worse"
    ax.text(0.99, 0.98, text, transform=ax.transAxes, ha="right", va="top", fontsize="x-small")
    ax.set_xlim(0.3, due + 0.7)
    ax.grid(axis="y", color=NEUTRAL)
    ax.set_axisbelow(True)
