"""Tables of when response came, and how long it lasted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.layout import (
    MISSING,
    amount,
    conf_level,
    count,
    heading_of,
    labels_of,
    out_of,
    p_text,
    shared,
    span,
    telling,
    time_name,
    with_interval,
)
from mesostats.tables.grid import Grid, rows_by
from mesostats.tables.notes import cutoff_line, left_out_line, method_line, population_line, without_codes

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from mesostats.results import Result
    from mesostats.tables.sheet import Sheet

_RESPONDED: Final = "responded"
_SEEN: Final = "responded_as_seen"
_LEFT: Final = "dropped_out_before_response"
_DAYS: Final = (14.0, 30.0, 60.0, 90.0, 120.0, 180.0, 270.0, 365.0, 730.0)
_SESSIONS: Final = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0)
_WITHIN: Final = re.compile(r"between ([\d.]+) and ([\d.]+)")
_CHANGED: Final = re.compile(r"(\d+) lost the response, (\d+) gained it")
_RANGES: Final = "A median that is a range lies somewhere within it: between assessments nobody looked."
_MOST_TIMES: Final = 3


def time_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of the time to response: a row a cell, the median, and the share that had responded by some times.

    Parameters
    ----------
    result
        What `time_to_response` returned.
    most
        How many rows are shown at most.

    Returns
    -------
    Sheet
    """
    frame = result.estimates
    keys = list(rows_by(frame, result.groups)) if result.groups else [0]
    kept = keys[:most]
    grid = Grid(kept)
    curves = {name: _curves(frame, result.groups, name) for name in (_RESPONDED, _SEEN, _LEFT)}
    medians = {
        name: rows_by(frame[frame["estimand"].eq(name)], result.groups)
        for name in ("median_response", "median_response_as_seen")
    }
    level, unit = conf_level(result), time_name(result).lower()
    interval = f" ({level} CI)" if level else ""
    grid.put(
        ("", "responders seen/assessed"), {key: _seen(own) for key, own in curves[_SEEN].items()}, always=True
    )
    grid.write(
        ("", f"Median, {unit}s{interval}"), medians["median_response"], _median, noted=True, always=True
    )
    for time in _times(curves[_SEEN], time_name(result)):
        rows = {
            key: row
            for key, own in curves[_RESPONDED].items()
            if (row := _by(own, time, curves[_SEEN].get(key))) is not None
        }
        grid.write((f"Responded by {unit}, %{interval}", f"{time:g}"), rows, _share, noted=True)
    lasts = {key: own.iloc[-1] for key, own in curves[_LEFT].items()}
    grid.write(
        ("", "Dropped out without response, %"), lasts, lambda row: amount(row["estimate"], row["estimand"])
    )
    late = f"Median as seen (late), {unit}s{interval}"
    grid.write(("", late), medians["median_response_as_seen"], _median)
    grid.notes = [(_own_note(note), column, place) for note, column, place in grid.notes]
    sources = [*left_out_line(len(kept), len(keys) - len(kept), "rows"), *_time_sources(result)]
    return _sheet(grid, result, kept, sources)


def _curves(frame: pd.DataFrame, columns: Sequence[str], estimand: str) -> dict[Any, pd.DataFrame]:
    """Return the steps of one curve of each cell, in time."""
    rows = frame[frame["estimand"].eq(estimand) & frame["time"].notna()].sort_values("time", kind="stable")
    if not columns:
        return {0: rows} if len(rows) else {}
    blocks = rows.groupby(list(columns), sort=False, dropna=False)
    return {key if len(columns) > 1 else key[0]: own for key, own in blocks}


def _seen(rows: pd.DataFrame) -> str:
    """Return how many courses were seen to respond, of those assessed."""
    return f"{count(rows['numerator'].sum())}/{count(rows['denominator'].max())}"


def _times(curves: dict[Any, pd.DataFrame], name: str) -> list[float]:
    """Return some times that the curves reach: of days or sessions, round ones."""
    longest = max((float(own["time"].max()) for own in curves.values()), default=0.0)
    known = [time for time in (_SESSIONS if name == "Session" else _DAYS) if time <= longest]
    step = -(-len(known) // _MOST_TIMES) or 1
    return known[::-1][::step][::-1]


def _by(rows: pd.DataFrame, time: float, followed: pd.DataFrame | None) -> pd.Series[Any] | None:
    """Return the step of a curve that holds at a time; none where nobody was followed so far."""
    if followed is None or followed["time"].max() < time:
        return None
    before = rows[rows["time"] <= time]
    if len(before):
        return before.iloc[-1]
    return (
        rows.iloc[0].mask(rows.columns.isin(["conf_low", "conf_high"])).where(rows.columns != "estimate", 0.0)
    )


def _share(row: pd.Series[Any]) -> str:
    return with_interval(row)


def _median(row: pd.Series[Any]) -> str:
    """Return a median with its interval; what was not reached is said in words."""
    if pd.notna(row["estimate"]):
        within = _WITHIN.search(str(row["note"]))
        middle = amount(row["estimate"], row["estimand"])
        return with_interval(row).replace(middle, span(*within.groups()), 1) if within else with_interval(row)
    if row["denominator"] == 0 or pd.isna(row["denominator"]):
        return MISSING
    low = amount(row["conf_low"], row["estimand"])
    return "not reached" if low == MISSING else f"not reached ({span(low, 'not reached')})"


def _own_note(note: str) -> str:
    """Leave out of a note what the column or the cell says."""
    told = ("not reached", "late: ", "upper limit not reached", "between ")
    return "; ".join(
        part for part in note.split("; ") if not part.startswith(told) and not _CHANGED.match(part)
    )


def _changed(row: pd.Series[Any]) -> str:
    """Return how many lost the response and how many gained it."""
    found = _CHANGED.match(str(row["note"]))
    return f"{found[1]} lost, {found[2]} gained" if found else MISSING


def _time_sources(result: Result) -> list[str]:
    told = ("A first response", "Courses without", "responded_before")
    lines = [
        _RANGES,
        without_codes(" ".join(rule for rule in result.spec.get("rules", []) if rule.startswith(told))),
    ]
    shown = result.estimates["estimand"].isin([_RESPONDED, _LEFT, "median_response"])
    lines += method_line(result.estimates.loc[shown, "method"].unique())
    missing = result.estimates.loc[result.estimates["estimand"].eq("median_response"), "n_missing"].sum()
    if missing > 0:
        lines.append(
            f"Left out: {count(missing)} treated courses without a usable baseline, or never assessed after it."
        )
    lines.append(population_line(result, "courses", counted="responders seen/assessed"))
    return [*filter(None, lines), cutoff_line(result)]


def _sheet(grid: Grid, result: Result, kept: Sequence[Hashable], sources: list[str]) -> Sheet:
    """Return the sheet with a row a cell."""
    frame = result.estimates
    first = rows_by(frame.drop_duplicates(result.groups) if result.groups else frame.head(1), result.groups)
    names = telling(frame, result.groups)
    return grid.sheet(
        {heading_of(result, names): [labels_of(result, names, first[key]) or "All courses" for key in kept]},
        sources,
        subtitle=shared(result, frame, result.groups),
    )


def durability_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of durability: a row a cell, who was assessed later, and who still responded.

    Parameters
    ----------
    result
        What `durability` returned.
    most
        How many rows are shown at most.

    Returns
    -------
    Sheet
    """
    frame = result.estimates
    keys = list(rows_by(frame, result.groups)) if result.groups else [0]
    kept = keys[:most]
    grid = Grid(kept)
    rows = {name: rows_by(own, result.groups) for name, own in frame.groupby("estimand", sort=False)}
    level = conf_level(result)
    interval = f" ({level} CI)" if level else ""
    assessed, still = rows.get("assessed_later", {}), rows.get("still_responding", {})
    low, high = rows.get("still_responding_lower", {}), rows.get("still_responding_upper", {})
    grid.write(("", "assessed later/responders"), assessed, out_of, always=True)
    grid.write(("Still responding", "n/N"), still, out_of, always=True)
    grid.write(("Still responding", f"%{interval}"), still, with_interval, noted=True, always=True, bold=True)
    bounds = {
        key: span(amount(low[key]["estimate"], "share"), amount(high[key]["estimate"], "share"))
        for key in low
        if key in high and pd.notna(low[key]["estimate"])
    }
    grid.put(("Still responding", "bounds, %"), bounds)
    pair = "Later less end of course, all assessed twice"
    difference = rows.get("paired_difference", {})
    grid.write((pair, "N"), difference, lambda row: count(row["denominator"]))
    grid.put((pair, "response"), {key: _changed(row) for key, row in difference.items()})
    grid.write((pair, f"points{interval}"), difference, with_interval, noted=True)
    grid.write((pair, "p"), difference, lambda row: p_text(row["p_value"]))
    grid.write(
        ("", f"Median kept, days{interval}"), rows.get("median_kept_response", {}), _median, noted=True
    )
    grid.notes = [(_own_note(note), column, place) for note, column, place in grid.notes]
    rules = [rule for rule in result.spec.get("rules", []) if rule.startswith(("Endpoint:", "Later:"))]
    sources = [
        *left_out_line(len(kept), len(keys) - len(kept), "rows"),
        " ".join(rules),
        *method_line(frame["method"].unique()),
        _RANGES,
        "Bounds: if none, and if all, of the responders not assessed later still responded.",
        population_line(result, "courses"),
    ]
    return _sheet(grid, result, kept, [*filter(None, sources), cutoff_line(result)])
