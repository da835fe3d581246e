"""The table of response by sessions received: a row a number of sessions, the trend in the head of its block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.layout import (
    MISSING,
    conf_level,
    labels_of,
    out_of,
    p_statement,
    shared,
    telling,
    with_interval,
)
from mesostats.results import ALL_GROUPS
from mesostats.tables.grid import Grid, rows_by
from mesostats.tables.notes import cutoff_line, left_out_line, method_line, population_line

if TYPE_CHECKING:
    from mesostats.results import Result
    from mesostats.tables.sheet import Sheet

_SESSIONS: Final = "sessions"
_COLUMNS: Final = {
    "response_treated": "Treated",
    "response_evaluable": "Evaluable",
    "naive_response_treated": "Naive, treated: misleads",
    "naive_response_evaluable": "Naive: misleads",
}


def doses_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of response by sessions received.

    Parameters
    ----------
    result
        What `response_by_sessions` returned.
    most
        How many rows are shown at most.

    Returns
    -------
    Sheet
    """
    frame = result.estimates
    cells = [name for name in result.groups if name != _SESSIONS]
    numbers = frame[frame[_SESSIONS].ne(ALL_GROUPS)].drop_duplicates(result.groups)
    place = numbers.groupby(cells, sort=False, dropna=False).ngroup() if cells else numbers["denominator"] * 0
    ordered = numbers.assign(_cell=place, _n=numbers[_SESSIONS].astype(float)).sort_values(["_cell", "_n"])
    kept = list(rows_by(ordered, result.groups))[:most]
    grid = Grid(kept)
    level = conf_level(result)
    head = f"% ({level} CI)" if level else "%"
    for estimand, name in _COLUMNS.items():
        own = rows_by(frame[frame["estimand"].eq(estimand) & frame[_SESSIONS].ne(ALL_GROUPS)], result.groups)
        spanner = f"{name} (primary)" if estimand == result.spec["primary"] else name
        bold = estimand == result.spec["primary"]
        if own:
            grid.write((spanner, "n/N"), own, out_of, always=True, bold=bold)
            grid.write((spanner, head), own, with_interval, noted=True, always=True, bold=bold)
    first = rows_by(ordered, result.groups)
    apart = telling(frame, cells)
    return grid.sheet(
        {"Sessions received": [str(first[key][_SESSIONS]) for key in kept]},
        [*left_out_line(len(kept), len(ordered) - len(kept), "rows"), *_sources(result)],
        blocks=[_block(result, cells, apart, first[key]) for key in kept],
        subtitle=shared(result, frame, cells),
    )


def _block(result: Result, cells: list[str], apart: list[str], row: pd.Series[Any]) -> str:
    """Return what heads a cell: its name, and the trend over the primary denominator."""
    name = labels_of(result, apart, row) or "All courses"
    primary = str(result.spec["primary"]).removeprefix("response_")
    frame = result.estimates
    own = frame[frame[_SESSIONS].eq(ALL_GROUPS)]
    for column in cells:
        own = own[own[column].eq(row[column])]
    slope = own[own["estimand"].eq(f"{primary}_trend_difference")]
    test = own[own["estimand"].eq(f"{primary}_trend_test")]
    if slope.empty or pd.isna(slope["estimate"].iloc[0]):
        why = slope["note"].iloc[0] if len(slope) else ""
        return f"{name}: {why}" if why else name
    p = (
        f"; trend {p_statement(test['p_value'].iloc[0])}"
        if len(test) and pd.notna(test["p_value"].iloc[0])
        else ""
    )
    text = with_interval(slope.iloc[0])
    return f"{name}: {text} points for each further session{p}" if text != MISSING else name


def _sources(result: Result) -> list[str]:
    rules = result.spec.get("rules", [])
    lines = [
        " ".join(
            rule
            for rule in rules
            if rule.startswith(("Sessions:", "In treatment", "Trend:", "Naive", "naive"))
        )
    ]
    lines += method_line(result.estimates["method"].unique())
    lines.append(population_line(result, "courses"))
    return [*filter(None, lines), cutoff_line(result)]
