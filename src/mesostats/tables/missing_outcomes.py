"""Tables of what is supposed of courses that were not assessed: methods side by side, and the tipping point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from mesostats.layout import (
    MISSING,
    amount,
    conf_level,
    count,
    in_words,
    label,
    labels_of,
    out_of,
    p_statement,
    p_text,
    shared,
    telling,
    with_interval,
)
from mesostats.tables.grid import Grid, rows_by
from mesostats.tables.notes import cutoff_line, method_line, population_line, without_codes
from mesostats.tables.sheet import Footnote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesostats.results import Result
    from mesostats.tables.sheet import Sheet

_MOST_BESIDE: Final = 3
_STAND_FOR_OTHERS: Final = ("response_ipw", "response_imputed")
_DUE: Final = " due: "
_OWN: Final = "response_of_missing"
_OTHER: Final = "response_of_missing_reference"
_PLACES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
_MOST_COLUMNS: Final = 8
_ABOVE, _BELOW = "\N{BLACK UP-POINTING TRIANGLE}", "\N{BLACK DOWN-POINTING TRIANGLE}"


def methods_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of response by what is supposed of the missing: a row a method, few cells side by side.

    Parameters
    ----------
    result
        What `response_scenarios`, or `response` with ``missing``, returned.
    most
        How many cells are shown at most.

    Returns
    -------
    Sheet
    """
    frame = result.estimates
    cells = list(rows_by(frame, result.groups))[:most]
    names = telling(frame, result.groups)
    beside = len(cells) <= _MOST_BESIDE
    blocks = [
        (_headed(result, names, rows), rows)
        for key, rows in frame.groupby(result.groups, sort=False, dropna=False)
        if (key if len(result.groups) > 1 else key[0]) in cells
    ]
    grid = Grid(
        list(dict.fromkeys(frame["estimand"]))
        if beside
        else [(name, each) for name, rows in blocks for each in rows["estimand"]]
    )
    if beside:
        for name, rows in blocks:
            _write_methods(grid, result, name, rows_by(rows, ["estimand"]))
    else:
        whole = pd.concat([rows.assign(_cell=name) for name, rows in blocks])
        _write_methods(grid, result, "", rows_by(whole, ["_cell", "estimand"]))
    estimands = [str(key[1] if isinstance(key, tuple) else key) for key in grid.keys]
    return grid.sheet(
        {"Supposed of the missing": [label(result, "estimand", each) for each in estimands]},
        _method_sources(result, left_out=len(rows_by(frame, result.groups)) - len(cells)),
        blocks=[] if beside else [str(key[0]) for key in grid.keys if isinstance(key, tuple)],
        subtitle=shared(result, frame, result.groups),
        strong=tuple(place for place, each in enumerate(estimands) if each == result.spec["primary"]),
        footnotes=_strategies(result, estimands),
    )


def _headed(result: Result, names: Sequence[str], rows: pd.DataFrame) -> str:
    """Return what heads a cell: its name, and how many were due, assessed and completed."""
    parts = [part for part in rows["note"].iloc[0].split("; ") if _DUE in part]
    name = labels_of(result, names, rows.iloc[0]) or "All courses"
    return f"{name} ({parts[0]})" if parts else name


def _write_methods(grid: Grid, result: Result, spanner: str, rows: dict[Any, pd.Series[Any]]) -> None:
    level = conf_level(result)
    grid.write((spanner, "n/N"), rows, _counts, always=True)
    grid.write((spanner, f"% ({level} CI)" if level else "%"), rows, with_interval, always=True)
    column = grid.columns[-1].key
    for place, key in enumerate(grid.keys):
        if key in rows:
            parts = [part for part in str(rows[key]["note"]).split("; ") if not _told_elsewhere(part)]
            grid.notes.append(("; ".join(parts), column, place))


def _told_elsewhere(part: str) -> bool:
    """Tell whether a part of a note stands in the head of the cell, or in the footnote to the method."""
    return _DUE in part or part.startswith("no single estimate")


def _counts(row: pd.Series[Any]) -> str:
    """Return n/N, and how many courses more an estimate stands for."""
    text = out_of(row)
    if row["estimand"] in _STAND_FOR_OTHERS and row["n_missing"] > 0 and text != MISSING:
        return f"{text} + {count(row['n_missing'])}"
    return text


def _strategies(result: Result, estimands: list[str]) -> list[Footnote]:
    """Return, a method, what it supposes and how it is computed, as a footnote to its rows."""
    methods = result.estimates.drop_duplicates("estimand").set_index("estimand")["method"]
    found: dict[str, list[int]] = {}
    for place, each in enumerate(estimands):
        strategy = result.spec.get("strategies", {}).get(each, "")
        computed = str(methods[each]).removesuffix(f"; {strategy}")
        text = " ".join(_sentence(part) for part in (strategy, computed) if part)
        found.setdefault(text, []).append(place)
    return [Footnote(text, {"": places}) for text, places in found.items() if text]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _method_sources(result: Result, *, left_out: int) -> list[str]:
    lines = ["+ n: courses not assessed that the estimate stands for as well."]
    lines.append(population_line(result, "courses"))
    told = ("Models of missing", "These use")
    lines += [without_codes(rule) for rule in result.spec.get("rules", []) if rule.startswith(told)]
    if result.spec.get("not_due"):
        lines.append(
            f"Not counted: {result.spec['not_due']:,} courses whose endpoint is not due at the data cut."
        )
    if left_out:
        lines.append(f"{left_out:,} more cells are in the result's estimates.")
    return [*lines, cutoff_line(result)]


def tipping_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of a tipping point: some of its grid, and where the conclusion changes in words.

    Parameters
    ----------
    result
        What `tipping_point` returned.
    most
        How many cells are shown at most.

    Returns
    -------
    Sheet
    """
    cells = [name for name in result.groups if name not in {_OWN, _OTHER}]
    blocks = [
        (rows, _assessed(result, cells, rows))
        for _, rows in result.estimates.groupby(cells, sort=False, dropna=False)
    ][:most]
    two = _OTHER in result.groups
    return _tipping_of_two(result, cells, blocks) if two else _tipping_of_one(result, cells, blocks)


Block = tuple[pd.DataFrame, "dict[str, float]"]


def _assessed(result: Result, cells: list[str], rows: pd.DataFrame) -> dict[str, float]:
    """Return the assumed shares that are those of the assessed, of one cell."""
    for each in result.spec.get("as_assessed", []):
        if all(each.get(name) == rows[name].iloc[0] for name in cells):
            return {name: value for name, value in each.items() if name in {_OWN, _OTHER}}
    return {}


def _tipping_of_two(result: Result, cells: list[str], blocks: list[Block]) -> Sheet:
    """Return a block a cell with a row a share assumed in the group, and a column a share assumed in the reference."""
    reference = label(result, str(result.spec["arguments"]["group"]), result.spec["arguments"]["reference"])
    sides = [_some(rows[_OTHER], known.get(_OTHER)) for rows, known in blocks]
    across = sorted(set().union(*sides))
    across = across if len(across) <= _MOST_COLUMNS else [0.0, 1.0]
    keys = [
        (place, value)
        for place, (rows, known) in enumerate(blocks)
        for value in _some(rows[_OWN], known.get(_OWN))
    ]
    grid = Grid(keys)
    for other in across:
        found = {
            (place, row[_OWN]): row
            for place, (rows, _) in enumerate(blocks)
            for _, row in rows[np.isclose(rows[_OTHER], other)].iterrows()
        }
        known = any(np.isclose(each.get(_OTHER, np.nan), other) for _, each in blocks)
        head = _assumed(other, as_assessed=known)
        grid.write((f"Of the missing in {reference}, supposed to respond", head), found, _tipped, always=True)
    names = [_assumed(value, as_assessed=_is(blocks[place], value)) for place, value in keys]
    return grid.sheet(
        {"Of its missing, supposed to respond": names},
        _tipping_sources(result),
        blocks=[_tipping_head(result, cells, blocks[place][0]) for place, _ in keys],
        subtitle="Difference of response, points (p)",
        strong=tuple(row for row, (place, value) in enumerate(keys) if _is(blocks[place], value)),
    )


def _is(block: Block, value: float) -> bool:
    """Tell whether an assumed share is that of the assessed."""
    return bool(np.isclose(block[1].get(_OWN, np.nan), value))


def _some(shares: pd.Series[Any], assessed: float | None) -> list[float]:
    """Return some of the assumed shares: none, quarters, all, and that of the assessed."""
    known = np.sort(shares.dropna().unique())
    if not len(known):
        return []
    wanted = [*_PLACES, *([assessed] if assessed is not None and pd.notna(assessed) else [])]
    return sorted({float(known[np.abs(known - value).argmin()]) for value in wanted})


def _assumed(share: float, *, as_assessed: bool) -> str:
    text = "none" if share == 0 else "all" if share == 1 else f"{100 * share:.0f} %"
    return f"{text} (as the assessed)" if as_assessed else text


def _tipped(row: pd.Series[Any]) -> str:
    """Return the difference and its p value, marked where its interval does not hold 0."""
    mark = f" {_ABOVE}" if row["conf_low"] > 0 else f" {_BELOW}" if row["conf_high"] < 0 else ""
    p = f" ({p_statement(row['p_value'])})" if pd.notna(row["p_value"]) else ""
    return f"{amount(row['estimate'], row['estimand'])}{p}{mark}"


def _tipping_head(result: Result, cells: list[str], rows: pd.DataFrame) -> str:
    """Return what heads a cell: its name, and how many were not assessed."""
    first = rows.iloc[0]
    apart = telling(result.estimates, cells)
    names = [name for name in cells if name in apart or name == result.spec["arguments"].get("group")]
    name = labels_of(result, names or cells, first)
    return f"{name}: {count(first['n_missing'])} of {count(first['denominator'])} not assessed"


def _tipping_of_one(result: Result, cells: list[str], blocks: list[Block]) -> Sheet:
    """Return a block a cell with a row a share assumed of its missing."""
    keys = [
        (place, value)
        for place, (rows, known) in enumerate(blocks)
        for value in _some(rows[_OWN], known.get(_OWN))
    ]
    rows = {(place, row[_OWN]): row for place, (each, _) in enumerate(blocks) for _, row in each.iterrows()}
    grid = Grid(keys)
    level = conf_level(result)
    grid.write(("", "n/N"), rows, out_of, always=True)
    grid.write(("", f"% ({level} CI)" if level else "%"), rows, with_interval, always=True)
    threshold = result.spec["arguments"].get("threshold")
    grid.write(("", f"p, against {threshold:g}"), rows, lambda row: p_text(row["p_value"]))
    return grid.sheet(
        {
            "Of the missing, supposed to respond": [
                _assumed(value, as_assessed=_is(blocks[place], value)) for place, value in keys
            ]
        },
        _tipping_sources(result),
        blocks=[_tipping_head(result, cells, blocks[place][0]) for place, _ in keys],
        strong=tuple(row for row, (place, value) in enumerate(keys) if _is(blocks[place], value)),
    )


def _tipping_sources(result: Result) -> list[str]:
    lines = [in_words(result, each) for each in result.spec.get("tipping", [])]
    if _OTHER in result.groups:
        lines.append(
            f"{_ABOVE} the whole interval of the difference is above 0; {_BELOW} it is below 0. All assumed shares: in the result's estimates."
        )
    lines += method_line(result.estimates["method"].unique())
    lines.append(population_line(result, "courses", counted="What is not assessed"))
    return [*lines, cutoff_line(result)]
