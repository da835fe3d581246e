"""Tables of who left: disposition, flow, what preceded stopping, and retention under other choices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.layout import (
    MISSING,
    by_columns,
    conf_level,
    count,
    label,
    labels_of,
    out_of,
    out_of_with_share,
    p_text,
    with_interval,
)
from mesostats.tables.grid import Grid, rows_by
from mesostats.tables.notes import cutoff_line, method_line, population_line

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from mesostats.results import Result
    from mesostats.tables.sheet import Sheet

MOST_BESIDE: Final = 4
"""Groups that stand side by side; more stand in blocks."""
_ALL: Final = "all reasons"
_EVERYWHERE: Final = "all phases"
_AFTER: Final = "after the plan"
_REASON: Final = "reason"
_DIFFERENCE: Final = "stopped - came"
_STATES: Final = ("completed", "ongoing", "dropped_out")

Group = tuple[str, pd.DataFrame]


def disposition_sheet(result: Result, _most: int) -> Sheet:
    """Return the sheet of what became of courses: states and reasons as rows, groups side by side or in blocks.

    Parameters
    ----------
    result
        What `disposition` returned.

    Returns
    -------
    Sheet
    """
    names = _pairs(result.estimates, ["estimand", _REASON])
    rows = [
        (key, label(result, "estimand", key[0]) if key[1] == _ALL else label(result, _REASON, key[1]))
        for key in names
    ]
    level = conf_level(result)
    head = f"% ({level} CI)" if level else "%"
    sources = [*method_line(result.estimates["method"].unique()), population_line(result, "courses")]
    columns = {"n/N": out_of, head: with_interval}
    return _by_group(result, rows, ["estimand", _REASON], columns, sources=sources, noted=head)


def flow_sheet(result: Result, _most: int) -> Sheet:
    """Return the sheet of the flow: its steps as rows under their phases, groups side by side; of many groups in blocks.

    Parameters
    ----------
    result
        What `patient_flow` returned.

    Returns
    -------
    Sheet
        States and reasons that no course had in a phase are left out.
    """
    keys = ["phase", "estimand", _REASON]
    frame = result.estimates
    somewhere = frame.groupby(keys, sort=False)["numerator"].transform("sum")
    needless = frame[_REASON].ne(_ALL) | (frame["estimand"].isin(_STATES) & frame["phase"].ne(_EVERYWHERE))
    steps = sorted(_pairs(frame[~(needless & somewhere.eq(0))], keys), key=_stage)
    beside = len(groups_of(result)) <= MOST_BESIDE
    rows = [(key, _step_name(result, key, alone=beside)) for key in steps]
    sources = [
        population_line(result, "courses; registered counts patients"),
        *result.spec.get("rules", [])[:1],
    ]
    heads = {key: _phase_name(result, key) for key in steps} if beside else {}
    return _by_group(result, rows, keys, {"n/N (%)": out_of_with_share}, sources=sources, heads=heads)


def _stage(key: tuple[Any, ...]) -> int:
    """Return where a step stands: the start, the phases in their order, what follows the plan, and all in all."""
    phase, estimand, _ = key
    if phase == _EVERYWHERE:
        return 3 if estimand in _STATES else 0
    return 2 if phase == _AFTER else 1


def _phase_name(result: Result, key: tuple[Any, ...]) -> str:
    return ("Start", label(result, "phase", key[0]), "After the plan", "In all")[_stage(key)]


def _step_name(result: Result, key: tuple[Any, ...], *, alone: bool) -> str:
    """Return what a step of the flow is called: what happened, or why; with its phase where no heading names it."""
    _, estimand, reason = key
    if reason != _ALL:
        return label(result, _REASON, reason)
    name = label(result, "estimand", estimand)
    return name if alone or not _stage(key) else f"{_phase_name(result, key)}: {name.lower()}"


def _by_group(
    result: Result,
    rows: list[tuple[tuple[Any, ...], str]],
    keys: list[str],
    columns: dict[str, Any],
    *,
    sources: list[str],
    noted: str = "",
    heads: Mapping[Any, str] | None = None,
) -> Sheet:
    """Return a sheet with rows of steps or states and some columns a group: side by side, or of many groups in blocks."""
    groups = groups_of(result)
    beside = len(groups) <= MOST_BESIDE
    own = {name: rows_by(frame, keys) for name, frame in groups}
    named = dict(rows)
    if beside:
        present: list[Hashable] = [key for key in named if any(key in found for found in own.values())]
        grid = Grid(present)
        for name, found in own.items():
            for head, text in columns.items():
                grid.write((name, head), found, text, noted=head == noted, always=True)
        steps: list[Any] = list(present)
        blocks = [heads[key] for key in steps] if heads else []
    else:
        placed = [(name, key) for name, found in own.items() for key in named if key in found]
        grid = Grid(placed)
        everything = {(name, key): row for name, found in own.items() for key, row in found.items()}
        for head, text in columns.items():
            grid.write(("", head), everything, text, noted=head == noted, always=True)
        blocks, steps = [name for name, _ in placed], [key for _, key in placed]
    reason = keys.index(_REASON)
    indented = tuple(place for place, key in enumerate(steps) if key[reason] != _ALL)
    return grid.sheet(
        {"": [named[key] for key in steps]}, [*sources, cutoff_line(result)], blocks=blocks, indented=indented
    )


def _pairs(frame: pd.DataFrame, columns: list[str]) -> list[tuple[Any, ...]]:
    return list(dict.fromkeys(frame[columns].itertuples(index=False, name=None)))


def groups_of(result: Result) -> list[Group]:
    """Return each group with its name and its rows, without tests across groups; everybody where there are no groups."""
    by, frame = by_columns(result), result.estimates
    if not by:
        return [("", frame)]
    parts = frame[frame[by[0]].ne("all groups")].groupby(by, sort=False, dropna=False)
    return [(labels_of(result, by, rows.iloc[0]), rows) for _, rows in parts]


def stopping_sheet(result: Result, _most: int) -> Sheet:
    """Return the sheet of what preceded stopping: a row what preceded, those who stopped beside those who came.

    Parameters
    ----------
    result
        What `before_stopping` returned.

    Returns
    -------
    Sheet
    """
    by, frame = by_columns(result), result.estimates
    keys = list(dict.fromkeys(zip(*(frame[name] for name in [*by, "estimand"]), strict=True)))
    grid = Grid(keys)
    level = conf_level(result)
    interval = f" ({level} CI)" if level else ""
    for state in dict.fromkeys(frame["next_session"]):
        own = frame[frame["next_session"].eq(state)]
        rows = {tuple(row[name] for name in [*by, "estimand"]): row for _, row in own.iterrows()}
        name = label(result, "next_session", state)
        if state != _DIFFERENCE:
            grid.write((name, "n/N"), rows, out_of, always=True)
            grid.write((name, f"%{interval}"), rows, with_interval, noted=True, always=True)
            grid.write((name, "not known"), rows, lambda row: count(row["n_missing"]))
        else:
            grid.write(("Difference", f"points{interval}"), rows, _points, noted=True, always=True, bold=True)
            grid.write(("Difference", "p"), rows, lambda row: p_text(row["p_value"]))
    first = frame.drop_duplicates([*by, "estimand"]) if by else frame
    blocks = [labels_of(result, by, row) for _, row in first.iterrows()] if by else []
    sources = [
        *method_line(frame["method"].unique()),
        population_line(result, "sessions, which of those who stopped are courses"),
    ]
    return grid.sheet(
        {"What preceded": [label(result, "estimand", key[-1]) for key in keys]},
        [*sources, cutoff_line(result)],
        blocks=blocks,
    )


def _points(row: pd.Series[Any]) -> str:
    """Return a difference of shares in points, under whatever name it stands."""
    return with_interval(pd.concat([row.drop("estimand"), pd.Series({"estimand": "risk_difference"})]))


def scenario_sheet(result: Result, _most: int) -> Sheet:
    """Return the sheet of retention under other choices: a row a choice, groups side by side or in blocks.

    Parameters
    ----------
    result
        What `dropout_sensitivity` returned.

    Returns
    -------
    Sheet
    """
    by, frame = by_columns(result), result.estimates
    kept, changes = (frame[frame["estimand"].eq(name)] for name in ("retention", "change_from_base"))
    groups = groups_of(result)
    beside = len(groups) <= MOST_BESIDE
    keys = ["scenario"] if beside else [*by, "scenario"]
    grid = Grid(list(rows_by(kept, keys)))
    level = conf_level(result)
    for name, rows in groups if beside else [("", frame)]:
        own = rows_by(rows[rows.index.isin(kept.index)], keys)
        change = rows_by(rows[rows.index.isin(changes.index)], keys)
        grid.write((name, "dropped out/analysed"), own, out_of, always=True)
        if rows["n_missing"].gt(0).any():
            grid.write((name, "not analysed"), own, lambda row: count(row["n_missing"]))
        grid.write(
            (name, f"kept, % ({level} CI)" if level else "kept, %"),
            own,
            with_interval,
            noted=True,
            always=True,
        )
        grid.write((name, "change, points"), change, _signed)
    names = [key[-1] if isinstance(key, tuple) else key for key in grid.keys]
    sources = [
        "Changes are from the base case, of the same courses: no interval.",
        *method_line(kept["method"].unique()),
    ]
    sources += [
        rule for rule in result.spec.get("rules", []) if rule.startswith(("Base case", "In sessions"))
    ]
    sources.append(population_line(result, "courses", counted="Analysed"))
    blocks = [] if beside else [labels_of(result, by, row) for row in rows_by(kept, keys).values()]
    return grid.sheet(
        {"Choice": [label(result, "scenario", name) for name in names]},
        [*sources, cutoff_line(result)],
        blocks=blocks,
        strong=tuple(place for place, name in enumerate(names) if name == "base"),
    )


def _signed(row: pd.Series[Any]) -> str:
    if pd.isna(row["estimate"]):
        return MISSING
    points = round(100 * row["estimate"], 1)
    return f"{points:+.1f}" if points else "0.0"
