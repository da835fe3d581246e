"""Tables of change: from baseline, by visit from a mixed model, and beyond measurement error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.layout import (
    MISSING,
    amount,
    conf_level,
    count,
    heading,
    heading_of,
    labels_of,
    out_of,
    p_text,
    shared,
    telling,
    time_name,
    with_interval,
)
from mesostats.tables.grid import Grid, rows_by
from mesostats.tables.notes import (
    correction,
    cutoff_line,
    left_out_line,
    method_line,
    population_line,
    without_codes,
)

if TYPE_CHECKING:
    from mesostats.results import Result
    from mesostats.tables.sheet import Sheet

_DIFFERENCE: Final = "ls_mean_difference"
_LS_MEAN: Final = "ls_mean_change"
_CHANGE: Final = "mean_change"
_BEYOND: Final = {
    "better_beyond_error": "Better",
    "within_error": "Within the error",
    "worse_beyond_error": "Worse",
}
_EXPECTED: Final = {
    "mean_change_chosen": "Mean change",
    "regression_to_mean": "expected without treatment",
    "change_beyond_regression": "beyond it",
}
_AGAINST: Final = "against "


def change_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of change from baseline: a row a cell, or a group under its cell with its comparison.

    Parameters
    ----------
    result
        What `change_from_baseline` returned.
    most
        How many rows are shown at most.

    Returns
    -------
    Sheet
    """
    frame = result.estimates
    keys = list(rows_by(frame, result.groups))
    kept = keys[:most]
    grid = Grid(kept)
    rows = {name: rows_by(own, result.groups) for name, own in frame.groupby("estimand", sort=False)}
    level = conf_level(result)
    interval = f" ({level} CI)" if level else ""
    changes = rows.get(_CHANGE, {})
    grid.write(("", "assessed/due"), changes, _assessed, always=True)
    for name, head in (("mean_baseline_evaluable", "Baseline"), ("mean_value", "Endpoint")):
        grid.write(("Of those assessed: mean", f"{head}{interval}"), rows.get(name, {}), with_interval)
    grid.write(
        ("Of those assessed: mean", f"Change{interval}"),
        changes,
        with_interval,
        noted=True,
        always=True,
        bold=_LS_MEAN not in rows,
    )
    if _LS_MEAN not in rows:
        grid.write(("", "p"), changes, lambda row: p_text(row["p_value"]))
    _write_model(grid, rows, interval)
    return _laid_out(grid, result, kept, left_out=len(keys) - len(kept))


def _assessed(row: pd.Series[Any]) -> str:
    """Return how many were assessed, of those due."""
    if pd.isna(row["denominator"]) or pd.isna(row["n_missing"]):
        return count(row["denominator"])
    return f"{count(row['denominator'])}/{count(row['denominator'] + row['n_missing'])}"


def _write_model(grid: Grid, rows: dict[Any, dict[Any, pd.Series[Any]]], interval: str) -> None:
    """Write the least-squares means and their differences, where there are any."""
    means, differences = rows.get(_LS_MEAN, {}), rows.get(_DIFFERENCE, {})
    grid.write(("Model", "LS mean change (SE)"), means, _with_error, noted=True, always=bool(means))
    head = ("Model", f"Difference{interval}")
    grid.write(head, differences, with_interval, noted=True, always=bool(differences), bold=True)
    grid.write(("Model", "p"), differences, lambda row: p_text(row["p_value"]))
    grid.write(("Model", "adjusted p"), differences, lambda row: p_text(row["p_adjusted"]))
    # Whom a group is compared with is its row, and the sheet's head: no footnote.
    grid.notes = [
        ("; ".join(part for part in note.split("; ") if not part.startswith(_AGAINST)), key, place)
        for note, key, place in grid.notes
    ]


def _with_error(row: pd.Series[Any]) -> str:
    """Return an estimate with its standard error."""
    estimate = amount(row["estimate"], row["estimand"])
    return estimate if estimate == MISSING else f"{estimate} ({amount(row['std_error'], row['estimand'])})"


def _laid_out(grid: Grid, result: Result, kept: list[Any], *, left_out: int) -> Sheet:
    """Return the sheet: groups as rows in blocks by cell, or without groups a row a cell."""
    frame = result.estimates
    group = result.spec["arguments"].get("group")
    first = rows_by(frame, result.groups)
    cells = telling(frame, [name for name in result.groups if name != group])
    if group:
        names = [_group_name(result, first[key]) for key in kept]
        blocks = [labels_of(result, cells, first[key]) for key in kept] if cells else []
        head = heading(result, group)
    else:
        names = [labels_of(result, cells, first[key]) or "All courses" for key in kept]
        blocks, head = [], heading_of(result, cells)
    sources = [*left_out_line(len(kept), left_out, "rows"), *_sources(result)]
    subtitle = shared(result, frame, [name for name in result.groups if name != group])
    return grid.sheet({head: names}, sources, blocks=blocks, subtitle=subtitle)


def _group_name(result: Result, row: pd.Series[Any]) -> str:
    group = str(result.spec["arguments"]["group"])
    name = labels_of(result, [group], row)
    return f"{name} (reference)" if row[group] == result.spec["arguments"].get("reference") else name


def _sources(result: Result) -> list[str]:
    """Return what stands beneath: what the sign means, how it was computed and of whom."""
    spec = result.spec
    told = (
        "A change is",
        "Lower is",
        "Higher is",
        "Model:",
        "Visits:",
        "Groups compared",
        "A published error",
    )
    lines = [without_codes(" ".join(rule for rule in spec.get("rules", []) if rule.startswith(told)))]
    lines += method_line(result.estimates["method"].unique())
    lines.append(population_line(result, "courses", counted="assessed/due"))
    if spec.get("family") and result.estimates["p_adjusted"].notna().any():
        lines.append(f"p adjusted ({correction(result)}) within a family: {spec['family']}.")
    return [*filter(None, lines), cutoff_line(result)]


def visit_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of change by visit: a block a visit, groups as rows.

    Parameters
    ----------
    result
        What `change_by_visit` returned.
    most
        How many rows are shown at most.

    Returns
    -------
    Sheet
    """
    frame = result.estimates[result.estimates["time"].notna()]
    group = result.spec["arguments"].get("group")
    cells = [name for name in result.groups if name != group]
    keys = ["_cell", "time", *([group] if group else [])]
    frame = frame.assign(_cell=frame.groupby(cells, sort=False, dropna=False).ngroup())
    ordered = frame.drop_duplicates(keys).sort_values(["_cell", "time"], kind="stable")
    kept = list(rows_by(ordered, keys))[:most]
    grid = Grid(kept)
    rows = {name: rows_by(own, keys) for name, own in frame.groupby("estimand", sort=False)}
    level = conf_level(result)
    interval = f" ({level} CI)" if level else ""
    grid.write(("Observed", "assessed/due"), rows.get("mean_value", {}), _assessed, always=True)
    grid.write(("Observed", f"Mean value{interval}"), rows.get("mean_value", {}), with_interval, always=True)
    grid.write(("Observed", f"Mean change{interval}"), rows.get(_CHANGE, {}), with_interval, noted=True)
    _write_model(grid, rows, interval)
    first = rows_by(ordered, keys)
    apart = telling(frame, cells)
    visits = [
        f"{time_name(result)} {first[key]['time']:g}" if first[key]["time"] else "Baseline" for key in kept
    ]
    by_cell = [labels_of(result, apart, first[key]) for key in kept]
    blocks = [" \N{MIDDLE DOT} ".join(filter(None, pair)) for pair in zip(by_cell, visits, strict=True)]
    names = [_group_name(result, first[key]) for key in kept] if group else visits
    return grid.sheet(
        {heading(result, group) if group else time_name(result): names},
        [*left_out_line(len(kept), len(ordered) - len(kept), "rows"), *_sources(result)],
        blocks=blocks if group else by_cell if apart else [],
        subtitle=shared(result, frame, cells),
    )


def error_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of change beyond measurement error: a row a cell and error, regression to the mean beside it.

    Parameters
    ----------
    result
        What `change_beyond_error` returned.
    most
        How many rows are shown at most.

    Returns
    -------
    Sheet
    """
    frame = result.estimates
    keys = list(rows_by(frame, result.groups))
    kept = keys[:most]
    grid = Grid(kept)
    rows = {name: rows_by(own, result.groups) for name, own in frame.groupby("estimand", sort=False)}
    level = conf_level(result)
    interval = f" ({level} CI)" if level else ""
    first = rows_by(frame, result.groups)
    better = rows.get("better_beyond_error", {})
    grid.put(("", "error"), {key: str(row["error"]) for key, row in first.items()}, always=True)
    grid.write(("", "assessed/due"), better, _assessed, always=True)
    for place, (name, head) in enumerate(_BEYOND.items()):
        own = rows.get(name, {})
        grid.write((head, "n/N"), own, out_of)
        grid.write(
            (head, f"%{interval}"), own, with_interval, noted=not place, bold=not place, always=not place
        )
    spanner = "Of those with a baseline worse than the mean"
    grid.write(
        (spanner, "courses"), rows.get("mean_change_chosen", {}), lambda row: count(row["denominator"])
    )
    for name, head in _EXPECTED.items():
        grid.write(
            (spanner, f"{head}{interval}"),
            rows.get(name, {}),
            with_interval,
            noted=name != "mean_change_chosen",
        )
    grid.write(("", f"Mee-Chua effect{interval}"), rows.get("mee_chua_effect", {}), with_interval, noted=True)
    names = telling(frame, [name for name in result.groups if name != "error"])
    # The row names the instrument: one footnote for all that lack the same.
    grid.notes = [
        (re.sub(r"of '\w+'", "of the instrument", note), key, place) for note, key, place in grid.notes
    ]
    return grid.sheet(
        {heading_of(result, names): [labels_of(result, names, first[key]) or "All courses" for key in kept]},
        [*left_out_line(len(kept), len(keys) - len(kept), "rows"), *_sources(result)],
        subtitle=shared(result, frame, [name for name in result.groups if name != "error"]),
    )
