"""The table of return for a repeat course: the share back by each day, and how many came back in the window."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pandas as pd

from mesostats.layout import by_columns, labels_of, out_of, with_interval
from mesostats.tables.general import general_sheet

if TYPE_CHECKING:
    from mesostats.results import Result
    from mesostats.tables.sheet import Sheet

_PLACES: Final = {"returned_before_window": "before it", "returned_in_window": "in it"}


def return_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of return for a repeat course: the curve's times as rows, the window in the lines beneath.

    Parameters
    ----------
    result
        What `return_for_repeat` returned.
    most
        How many rows of a block are shown at most.

    Returns
    -------
    Sheet
    """
    curve = result.estimates["estimand"].eq("returned")
    spec = {**result.spec, "primary": "returned"}
    sheet = general_sheet(
        replace(result, estimates=result.estimates[curve].reset_index(drop=True), spec=spec), most
    )
    return replace(sheet, sources=[*_window_lines(result), *sheet.sources])


def _window_lines(result: Result) -> list[str]:
    """Return how many completed courses were followed by another before, and in, the window, a line a group."""
    by = by_columns(result)
    first, last = result.spec["arguments"]["window_days"]
    rows = result.estimates[result.estimates["estimand"].isin(_PLACES)]
    lines = []
    for _, own in rows.groupby(by, sort=False, dropna=False) if by else [((), rows)]:
        parts = []
        for estimand, words in _PLACES.items():
            for _, row in own[own["estimand"].eq(estimand)].iterrows():
                share = f"{with_interval(row)} %" if pd.notna(row["estimate"]) else str(row["note"])
                parts.append(f"{words} {out_of(row)}, {share}")
        name = labels_of(result, by, own.iloc[0]) if by and len(own) else ""
        if parts:
            lines.append(f"{name + ': ' if name else ''}came back {'; '.join(parts)}.")
    return [f"The window: day {first:g} to {last:g} after the end of the completed course.", *lines]
