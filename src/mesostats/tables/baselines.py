"""The baseline table ("Table 1"): variables and their levels as rows, groups side by side, how far they differ at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.layout import (
    MISSING,
    amount,
    count,
    heading,
    is_share,
    label,
    labels_of,
)
from mesostats.results import ALL_GROUPS
from mesostats.tables.grid import Grid
from mesostats.tables.notes import cutoff_line, method_line, population_line

if TYPE_CHECKING:
    from mesostats.results import Result
    from mesostats.tables.sheet import Sheet

Key = tuple[str, str, Any]
Values = dict[tuple[str, str, Any], "pd.Series[Any]"]

_MOST_BESIDE: Final = 8
_HEAD, _MEAN, _MEDIAN, _LEVEL, _MISSING = "head", "mean", "median", "level", "missing"
_DIFFERENCE: Final = "standardized_difference"


def baseline_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of the baseline table.

    Parameters
    ----------
    result
        What `baseline_table` returned.
    most
        How many variables are shown at most.

    Returns
    -------
    Sheet
    """
    frame = result.estimates
    variables = list(dict.fromkeys(frame["variable"]))
    kept = variables[:most]
    keys = [key for variable in kept for key in _rows_of(frame, variable)]
    grid = Grid(keys)
    by = [name for name in result.groups if name not in {"variable", "level"}]
    groups = _groups(frame, by)
    for name, own in groups[:_MOST_BESIDE]:
        _write_group(grid, result, name, own)
    if by:
        everybody = frame[(frame[by] == ALL_GROUPS).all(axis=1)]
        _write_group(grid, result, None, everybody)
        _write_differences(grid, everybody)
    named = {place for place, (_, kind, _) in enumerate(keys) if kind == _HEAD}
    return grid.sheet(
        {"": [_row_name(result, key) for key in keys]},
        _sources(result, left_out=len(groups) - _MOST_BESIDE, variables=len(variables) - len(kept)),
        strong=tuple(sorted(named)),
        indented=tuple(place for place in range(len(keys)) if place not in named),
    )


def _rows_of(frame: pd.DataFrame, variable: str) -> list[Key]:
    """Return the rows of one variable: its name, mean and median or its levels, and the missing where there are any."""
    own = frame[frame["variable"].eq(variable)]
    levels = list(dict.fromkeys(own.loc[own["estimand"].eq("share"), "level"]))
    if pd.to_numeric(pd.Series(levels, dtype=object), errors="coerce").notna().all():
        levels.sort(key=float)
    rows: list[Key] = [(variable, _HEAD, "")]
    rows += [(variable, _LEVEL, level) for level in levels] if levels else []
    if own["estimand"].eq("mean").any():
        rows += [(variable, _MEAN, ""), (variable, _MEDIAN, "")]
    missing = own.loc[own["estimand"].eq("missing"), "numerator"]
    return rows + ([(variable, _MISSING, "")] if missing.gt(0).any() else [])


def _groups(frame: pd.DataFrame, by: list[str]) -> list[tuple[Any, pd.DataFrame]]:
    """Return the groups with their rows, the largest first where there are too many to stand side by side."""
    if not by:
        return [(None, frame)]
    parts = frame[~(frame[by] == ALL_GROUPS).all(axis=1)].groupby(by, sort=False, dropna=False)
    groups = [(rows.iloc[0], rows) for _, rows in parts]
    if len(groups) <= _MOST_BESIDE:
        return groups
    return sorted(groups, key=lambda each: -_size(each[1]))


def _size(rows: pd.DataFrame) -> float:
    """Return how many there are in a group: all, also those without a value."""
    sizes = rows.loc[rows["estimand"].eq("missing"), "denominator"]
    return float(sizes.max()) if len(sizes) else float("nan")


def _write_group(grid: Grid, result: Result, first: Any, rows: pd.DataFrame) -> None:
    """Write the column of one group."""
    by = [name for name in result.groups if name not in {"variable", "level"}]
    name = labels_of(result, by, first) if first is not None and by else "All"
    values: Values = {(row["variable"], row["estimand"], row["level"]): row for _, row in rows.iterrows()}
    texts = {key: _text(values, key) for key in grid.keys if isinstance(key, tuple)}
    grid.put(("", f"{name} (N = {count(_size(rows))})"), texts, always=True)


def _text(values: Values, key: Any) -> str:
    """Return what a cell holds: n (%), mean (SD), median with quartiles, or how many are missing."""
    variable, kind, level = key
    if kind == _HEAD:
        return ""
    if kind == _MEAN:
        return _pair(values, variable, "mean", "standard_deviation")
    if kind == _MEDIAN:
        middle, low, high = (
            _number(values, variable, name) for name in ("median", "lower_quartile", "upper_quartile")
        )
        return MISSING if middle == MISSING else f"{middle} [{low}, {high}]"
    row = values.get((variable, "share" if kind == _LEVEL else "missing", level))
    if row is None:
        return MISSING
    return f"{count(row['numerator'])} ({amount(row['estimate'], 'share')})"


def _pair(values: Values, variable: str, outer: str, inner: str) -> str:
    first, second = (_number(values, variable, name) for name in (outer, inner))
    return MISSING if first == MISSING else f"{first} ({second})"


def _number(values: Values, variable: str, estimand: str) -> str:
    row = values.get((variable, estimand, ""))
    return MISSING if row is None else amount(row["estimate"], estimand)


def _write_differences(grid: Grid, rows: pd.DataFrame) -> None:
    """Write the standardized differences beside the names of the variables."""
    found = rows[rows["estimand"].eq(_DIFFERENCE)]
    own = {str(row["variable"]): row for _, row in found.iterrows()}
    if not own:
        return
    texts: dict[Any, str] = dict.fromkeys(grid.keys, "")
    notes: list[tuple[str, int]] = []
    for place, key in enumerate(grid.keys):
        if isinstance(key, tuple) and key[1] == _HEAD and key[0] in own:
            row = own[key[0]]
            texts[key] = amount(row["estimate"], _DIFFERENCE)
            if pd.isna(row["estimate"]):
                notes.append((str(row["note"]), place))
    grid.put(("", "Standardized difference"), texts, always=True)
    grid.notes += [(note, grid.columns[-1].key, place) for note, place in notes]


def _row_name(result: Result, key: Key) -> str:
    variable, kind, level = key
    if kind == _HEAD:
        known = result.spec.get("labels", {}).get("variable", {})
        return str(known.get(variable) or heading(result, variable))
    if kind == _LEVEL:
        return label(result, "level", level)
    return {_MEAN: "Mean (SD)", _MEDIAN: "Median [Q1, Q3]", _MISSING: "Missing, n (%)"}[kind]


def _sources(result: Result, *, left_out: int, variables: int) -> list[str]:
    frame = result.estimates
    lines = ["Levels: n (% of those recorded)."] if frame["estimand"].map(is_share).any() else []
    lines += list(result.spec.get("rules", []))
    lines += method_line(frame.loc[frame["estimand"].eq(_DIFFERENCE), "method"].unique())
    unit = str(frame["unit"].iloc[0]) if len(frame) else "units"
    lines.append(population_line(result, unit, counted="N"))
    if left_out > 0:
        lines.append(f"The {_MOST_BESIDE} largest groups; {left_out} more are in the result's estimates.")
    if variables > 0:
        lines.append(f"{variables} more variables are in the result's estimates.")
    return [*lines, cutoff_line(result)]
