"""Tables of how the schedule was kept: adherence, gaps, sessions received, histories of courses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mesostats.layout import (
    MISSING,
    amount,
    by_columns,
    conf_level,
    count,
    heading,
    label,
    labels_of,
    most_frequent,
    out_of,
    span,
    with_interval,
)
from mesostats.tables.grid import Grid, rows_by
from mesostats.tables.notes import cutoff_line, left_out_line, method_line, population_line, units_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from mesostats.results import Result
    from mesostats.tables.sheet import Sheet

_STATES: Final = ("on_time", "early", "late", "missed")
_WINDOW: Final = ("below_window", "in_window", "above_window")
_ENDS: Final = ("completed", "ongoing", "dropped_out")


def adherence_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of adherence: a row a group, the states of its due slots side by side.

    Parameters
    ----------
    result
        What `adherence` returned.
    most
        How many groups are shown at most.

    Returns
    -------
    Sheet
    """
    frame = result.estimates
    due = frame[frame["estimand"].eq("on_time") & frame["denominator"].gt(0)]
    due, left_out = _largest(due, result.groups, most)
    keys = list(rows_by(due, result.groups))
    grid = Grid(keys)
    level = _level(result)
    own = {
        state: rows_by(frame[frame["estimand"].eq(state)], result.groups)
        for state in (*_STATES, "unscheduled")
    }
    grid.write(("", "due"), own["on_time"], lambda row: count(row["denominator"]), always=True)
    for state in _STATES:
        name = label(result, "estimand", state)
        grid.write((name, "n"), own[state], lambda row: count(row["numerator"]), always=True)
        grid.write(
            (name, f"%{level}"), own[state], with_interval, noted=True, always=True, bold=state == "on_time"
        )
    if frame.loc[frame["estimand"].eq("on_time"), "n_missing"].gt(0).any():
        grid.write(("", "not yet due"), own["on_time"], lambda row: count(row["n_missing"]))
    visits = frame[frame["estimand"].eq("unscheduled") & frame["denominator"].gt(0)]
    beside = set(rows_by(visits, result.groups)) <= set(keys)
    if beside:
        grid.write(("Visits without a slot", "n/N"), own["unscheduled"], out_of)
    sources = [
        *method_line(frame["method"].unique()),
        population_line(result, "slots", counted="Due, n and %"),
    ]
    if not beside:
        sources.append(
            f"Visits that held no slot of a plan: {count(visits['numerator'].sum())}/{count(visits['denominator'].max())}."
        )
    sources += left_out_line(len(keys), left_out, "groups")
    return grid.sheet(_stubs(result, due), [*sources, cutoff_line(result)])


def gaps_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of gaps: a row a group, its gaps against their windows, and the quartiles of their lengths.

    Parameters
    ----------
    result
        What `session_gaps` returned.
    most
        How many groups are shown at most.

    Returns
    -------
    Sheet
    """
    frame = result.estimates
    medians, left_out = _largest(frame[frame["estimand"].eq("median_gap")], result.groups, most)
    names = (*_WINDOW, "lower_quartile_gap", "median_gap", "upper_quartile_gap")
    own = {name: rows_by(frame[frame["estimand"].eq(name)], result.groups) for name in names}
    bars = frame[frame["estimand"].eq("gap_share")]
    all_gaps = rows_by(bars.drop_duplicates(result.groups) if result.groups else bars, result.groups)
    keys = list(rows_by(medians, result.groups))
    grid, level = Grid(keys), _level(result)
    grid.write(("", "gaps"), all_gaps, lambda row: count(row["denominator"]), always=True)
    grid.write(("", "with a window"), own["in_window"], lambda row: count(row["denominator"]), always=True)
    for place in _WINDOW:
        name = label(result, "estimand", place)
        grid.write((name, "n"), own[place], lambda row: count(row["numerator"]), always=True)
        grid.write((name, f"%{level}"), own[place], with_interval, noted=True, bold=place == "in_window")
    grid.write(("Days", f"median{level}"), own["median_gap"], with_interval, noted=True, always=True)
    upper = own["upper_quartile_gap"]
    limits = {
        key: [row["estimate"], upper[key]["estimate"]]
        for key, row in own["lower_quartile_gap"].items()
        if key in upper
    }
    grid.put(("Days", "quartiles"), {key: _quartiles(ends) for key, ends in limits.items()})
    methods = frame.loc[frame["estimand"].ne("gap_share"), "method"].unique()
    sources = [*method_line(methods), population_line(result, "gaps", counted="n")]
    sources += [
        *result.spec.get("rules", [])[:1],
        "The result's estimates hold the number of gaps of each length.",
    ]
    sources += left_out_line(len(keys), left_out, "groups")
    return grid.sheet(_stubs(result, medians), [*sources, cutoff_line(result)])


def received_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of planned and received sessions: a block a group headed by its means, a row a number of sessions.

    Parameters
    ----------
    result
        What `sessions_received` returned.
    most
        How many groups are shown at most.

    Returns
    -------
    Sheet
    """
    by, frame = by_columns(result), result.estimates
    means, left_out = _largest(frame[frame["estimand"].eq("received_sessions")], by, max(1, most // 5))
    steps = frame[frame["estimand"].str.startswith("received_") & frame["time"].notna()]
    heads = rows_by(means, by)
    wanted = [(key, time) for key in heads for time in sorted(steps["time"].unique())]
    own = {
        name: {(_key(row, by), row["time"]): row for _, row in steps[steps["estimand"].eq(name)].iterrows()}
        for name in ("received_exactly", "received_at_least")
    }
    came = own["received_at_least"]
    keys = [key for key in wanted if not key[1] or (key in came and came[key]["numerator"] > 0)]
    grid, level = Grid(keys), _level(result)
    for name, words in (("received_exactly", "Just so many"), ("received_at_least", "At least so many")):
        grid.write((words, "n/N"), own[name], out_of)
        grid.write((words, f"%{level}"), own[name], with_interval, noted=True)
    texts = {key: _means_text(result, frame, row, by) for key, row in heads.items()}
    sources = [*method_line(frame["method"].unique()), population_line(result, "courses")]
    going = means["n_missing"].sum()
    if going > 0:
        sources.append(f"Left out: {count(going)} courses that go on at the data cut.")
    sources += left_out_line(len(heads), left_out, "groups")
    return grid.sheet(
        {"Sessions received": [f"{time:g}" for _, time in keys]},
        [*sources, cutoff_line(result)],
        blocks=[texts[key] for key, _ in keys],
    )


def _means_text(result: Result, frame: pd.DataFrame, row: pd.Series[Any], by: Sequence[str]) -> str:
    """Return what heads a block: sessions planned and received a course, and the share received."""
    own = frame[frame["time"].isna()]
    for name in by:
        own = own[own[name].eq(row[name])]
    found = {each["estimand"]: with_interval(each) for _, each in own.iterrows()}
    name = labels_of(result, list(by), row) or "All courses"
    planned, received, share = (
        found.get(each, MISSING) for each in ("planned_sessions", "received_sessions", "received_share")
    )
    return f"{name}: planned {planned} a course, received {received}, {share} % of those planned"


def histories_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of single courses: a row a course, its sessions by their state, its days and its end.

    Parameters
    ----------
    result
        What `course_histories` returned.
    most
        How many courses are shown at most.

    Returns
    -------
    Sheet
    """
    frame, by = result.estimates, by_columns(result)
    ends = frame[frame["estimand"].isin(_ENDS)]
    shown = ends.head(most)
    own = rows_by(shown, ["course"])
    grid = Grid(list(own))
    grid.write(("Sessions", "held"), own, lambda row: count(row["numerator"]), always=True)
    grid.write(("Sessions", "planned"), own, lambda row: count(row["denominator"]))
    for state in ("on_time", "early", "late", "unscheduled"):
        days = frame[frame["estimand"].eq(state)].groupby("course").size()
        name = label(result, "estimand", state).lower()
        texts = {number: count(days.get(number, 0)) for number in own}
        if len(days):
            grid.put(("Days with a session", name), texts)
    grid.write(("", "days kept"), own, lambda row: count(row["estimate"]), always=True)
    grid.write(("", "state"), own, lambda row: _state(result, row), always=True, wordy=True)
    total = sum(each["courses"] for each in result.spec["courses"])
    sources = [f"{len(shown):,} of {total:,} courses; numbers stand in place of ids."]
    sources += [*result.spec["rules"][2:3], population_line(result, "sessions", counted="A row")]
    stub = {heading(result, name): [label(result, name, row[name]) for row in own.values()] for name in by}
    return grid.sheet(stub | {"Course": [f"{number:g}" for number in own]}, [*sources, cutoff_line(result)])


def _quartiles(limits: list[float]) -> str:
    return span(*(amount(limit, "median_gap") for limit in limits))


def _state(result: Result, row: pd.Series[Any]) -> str:
    state = label(result, "estimand", row["estimand"])
    return f"{state}: {row['note']}" if row["note"] else state


def _key(row: pd.Series[Any], by: Sequence[str]) -> Any:
    if not by:
        return 0
    return row[by[0]] if len(by) == 1 else tuple(row[name] for name in by)


def _largest(rows: pd.DataFrame, groups: Sequence[str], most: int) -> tuple[pd.DataFrame, int]:
    """Keep the largest groups, in their order, and say how many are left out."""
    if not groups:
        return rows, 0
    kept, left_out = most_frequent(rows.assign(numerator=rows["denominator"]), list(groups), most)
    return rows.loc[kept.index], left_out


def _level(result: Result) -> str:
    level = conf_level(result)
    return f" ({level} CI)" if level else ""


def _stubs(result: Result, rows: pd.DataFrame) -> dict[str, list[str]]:
    """Return the names of the rows, a column a grouping column."""
    if not result.groups:
        return {"": [f"All {units_of(rows)}" for _ in range(len(rows))]}
    return {
        heading(result, name): [label(result, name, value) for value in rows[name]] for name in result.groups
    }
