"""How long response lasted: those who still responded, of those assessed, between the bounds for all responders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.layout import (
    amount,
    conf_level,
    labels_of,
    out_of,
    p_text,
    shared,
    telling,
    with_interval,
)
from mesostats.plots.blocks import columns_at_right
from mesostats.plots.marks import NEUTRAL, ROW_INCHES, looks, nothing, points, rows_named, scaled

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

    from mesostats.results import Result

_STILL, _LATER, _PAIR = "still_responding", "assessed_later", "paired_difference"
_LOWER, _UPPER = "still_responding_lower", "still_responding_upper"
_HUNDRED: Final = 100.0


def durability_size(result: Result, most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    return 11.0, 1.9 + 1.25 * ROW_INCHES * min(most, len(_cells(result)))


def _cells(result: Result) -> list[pd.DataFrame]:
    frame = result.estimates
    return (
        [rows for _, rows in frame.groupby(result.groups, sort=False, dropna=False)]
        if result.groups
        else [frame]
    )


def lasting_shares(ax: Axes, result: Result, most: int) -> None:
    """Draw, a row a cell, the share of responders that still respond, and grey what those not assessed leave possible."""
    cells = _cells(result)
    shown = [_firsts(rows) for rows in cells[:most]]
    if not any(_LATER in rows and rows[_LATER]["denominator"] > 0 for rows in shown):
        nothing(ax)
        return
    for place, rows in enumerate(shown):
        if _LOWER in rows and _UPPER in rows:
            low, high = (_HUNDRED * float(rows[name]["estimate"]) for name in (_LOWER, _UPPER))
            ax.barh(place, high - low, 0.5, left=low, color="0.88", zorder=1)
        if _STILL in rows:
            points(ax, scaled(pd.DataFrame([rows[_STILL]])), [place], looks(1)[0])
    names = telling(result.estimates, result.groups)
    rows_named(ax, [labels_of(result, names, own.iloc[0]) or "All courses" for own in cells[:most]], width=46)
    columns_at_right(ax, list(range(len(shown))), _columns(result, shown))
    ax.set_xlim(0, _HUNDRED)
    level = conf_level(result)
    lines = ["% of responders that still responded later"]
    lines.append(f"point: of those assessed later{f', with {level} interval' if level else ''}")
    lines.append("grey: possible for all responders, whatever became of those not assessed")
    lines += [text for text in [shared(result, result.estimates, result.groups)] if text]
    lines += [f"{len(cells) - most} more in the table"] if len(cells) > most else []
    ax.set_xlabel("\n".join(lines))
    ax.grid(axis="x", color=NEUTRAL)
    ax.set_axisbelow(True)


def _firsts(frame: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    """Return the row of each estimand of one cell; of a curve its first."""
    firsts = frame.drop_duplicates("estimand")
    return {str(row["estimand"]): row for _, row in firsts.iterrows()}


def _columns(result: Result, cells: list[dict[str, pd.Series[Any]]]) -> list[tuple[str, list[str]]]:
    """Return the numbers at the right: who was assessed, who still responds, and the change in pairs."""
    level = conf_level(result)

    def texts(estimand: str, text: Callable[[pd.Series[Any]], str]) -> list[str]:
        return [text(rows[estimand]) if estimand in rows else "" for rows in cells]

    return [
        ("assessed/responders", texts(_LATER, out_of)),
        (f"still responding, % ({level} CI)", texts(_STILL, with_interval)),
        ("later less end of course, points", texts(_PAIR, lambda row: amount(row["estimate"], _PAIR))),
        ("p", texts(_PAIR, lambda row: p_text(row["p_value"]))),
    ]
