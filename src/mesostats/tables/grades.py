"""The table of grades compared: how many courses of each group have which grade, and how the groups differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from mesostats.layout import (
    INSTRUMENT,
    Pairing,
    conf_level,
    label,
    labels_of,
    out_of_with_share,
    p_text,
    shared,
    telling,
    with_interval,
)
from mesostats.results import contract
from mesostats.tables.grid import Grid
from mesostats.tables.notes import correction, cutoff_line, left_out_line, method_line, population_line

if TYPE_CHECKING:
    from mesostats.results import Result
    from mesostats.tables.sheet import Sheet

_OF_TREATED: Final = "share_of_treated"
_COMPARED: Final = {
    "common_odds_ratio": "Common odds ratio",
    "adjusted_common_odds_ratio": "Adjusted common odds ratio",
    "win_probability": "Win probability, %",
}
_TESTS: Final = {
    "common_odds_ratio": "p, common odds ratio",
    "adjusted_common_odds_ratio": "p, adjusted common odds ratio",
    "van_elteren_test": "p, ranks",
    "proportionality_test": "p, odds proportional",
}
_GRADE: Final = "grade"
_MOST_GRADES: Final = 12


def grades_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of grades: a row a grade, groups side by side, their comparisons beneath.

    Parameters
    ----------
    result
        What `compare_grades` returned.
    most
        How many grades are shown at most.

    Returns
    -------
    Sheet
    """
    found = Pairing(result)
    frame = result.estimates
    cells = list(dict.fromkeys(pair.cell for pair in found.pairs)) or _cells(found)
    frame = _few(result)
    grades = list(dict.fromkeys(frame.loc[frame["estimand"].eq(_OF_TREATED), _GRADE]))
    measures = [name for name in (*_COMPARED, *_TESTS) if frame["estimand"].eq(name).any()]
    rows = [("", grade) for grade in grades[:most]]
    rows += [("estimate", name) for name in _COMPARED if name in measures]
    rows += [("p", name) for name in _TESTS if name in measures]
    keys = [(cell, *row) for cell in cells for row in rows]
    grid = Grid(keys)
    reference = result.spec["arguments"].get("reference")
    groups = list(dict.fromkeys(frame[found.group]))
    for group in sorted(groups, key=lambda each: each == reference):
        _write_group(grid, found, frame, group)
    level = conf_level(result)
    interval = f" ({level} CI)" if level else ""
    shown = telling(frame, found.cells)
    return grid.sheet(
        {"": [_row_name(result, kind, value, interval) for _, kind, value in keys]},
        [*left_out_line(min(most, len(grades)), max(0, len(grades) - most), "grades"), *_sources(result)],
        blocks=[_block(found, shown, cell, compared=bool(kind)) for cell, kind, _ in keys],
        subtitle=shared(result, frame, [name for name in found.cells if name != INSTRUMENT]),
    )


def _few(result: Result) -> pd.DataFrame:
    """Return the estimates; where changes are of many sizes, with the counts of all better, unchanged and worse."""
    frame = result.estimates
    sizes = pd.to_numeric(frame[_GRADE], errors="coerce")
    if sizes.nunique() <= _MOST_GRADES or result.spec["arguments"].get("scale") != "change":
        return frame
    counted = frame["estimand"].eq(_OF_TREATED) & sizes.notna()
    signs = np.sign(sizes[counted]).map({-1.0: "worse", 0.0: "unchanged", 1.0: "better"})
    keys = [name for name in result.groups if name != _GRADE]
    own = frame[counted].assign(**{_GRADE: signs})
    numbers = own.groupby([*keys, _GRADE, "estimand"], sort=False, dropna=False, as_index=False).agg(
        numerator=("numerator", "sum"), denominator=("denominator", "max"), unit=("unit", "first")
    )
    order = numbers[_GRADE].map({"better": 0, "unchanged": 1, "worse": 2})
    numbers = numbers.iloc[order.argsort(kind="stable")]
    sums = numbers.assign(
        estimate=numbers["numerator"] / numbers["denominator"].where(numbers["denominator"] > 0)
    )
    return contract(pd.concat([sums, frame[~counted]], ignore_index=True), result.groups)


def _cells(found: Pairing) -> list[tuple[Any, ...]]:
    frame = found.result.estimates
    return list(dict.fromkeys(frame[found.cells].itertuples(index=False, name=None)))


def _write_group(grid: Grid, found: Pairing, frame: pd.DataFrame, group: Any) -> None:
    """Write a group's column: of each grade n/N and per cent of all treated, then its comparison."""
    reference = found.result.spec["arguments"].get("reference")
    name = found.name(group) + (" (reference)" if group == reference else "")
    own = frame[frame[found.group].eq(group)]
    texts: dict[Any, str] = {}
    notes: dict[Any, str] = {}
    for _, row in own.iterrows():
        cell = tuple(row[each] for each in found.cells)
        estimand = str(row["estimand"])
        if estimand == _OF_TREATED:
            texts[cell, "", row[_GRADE]] = out_of_with_share(row)
        if estimand in _COMPARED:
            texts[cell, "estimate", estimand] = with_interval(row)
            notes[cell, "estimate", estimand] = str(row["note"])
        if estimand in _TESTS:
            adjusted = f" (adjusted {p_text(row['p_adjusted'])})" if pd.notna(row["p_adjusted"]) else ""
            texts[cell, "p", estimand] = p_text(row["p_value"]) + adjusted
            notes[cell, "p", estimand] = str(row["note"])
    if group == reference:
        texts |= {key: "" for key in grid.keys if isinstance(key, tuple) and key[1]}
    grid.put((name, "n/N (%)"), texts, always=True)
    column = grid.columns[-1].key
    grid.notes += [(notes[key], column, place) for place, key in enumerate(grid.keys) if key in notes]


def _row_name(result: Result, kind: str, value: Any, interval: str) -> str:
    if kind == "estimate":
        return f"{_COMPARED[value]}{interval}"
    return _TESTS[value] if kind else label(result, _GRADE, value)


def _block(found: Pairing, shown: list[str], cell: tuple[Any, ...], *, compared: bool) -> str:
    """Return what heads a block: the cell where there are several, and whether it compares."""
    values = pd.Series(dict(zip(found.cells, cell, strict=True)))
    reference = found.name(found.result.spec["arguments"].get("reference"))
    parts = [labels_of(found.result, shown, values), f"Against {reference}" if compared else "Of all treated"]
    return " \N{MIDDLE DOT} ".join(filter(None, parts))


def _sources(result: Result) -> list[str]:
    frame, spec = result.estimates, result.spec
    told = ("Above 1", "Courses whose group")
    lines = [rule for rule in spec.get("rules", []) if rule.startswith(told)]
    if not _few(result).equals(frame):
        lines.append(
            "Grades: better, unchanged and worse are sums; the result's estimates hold every size of change."
        )
    lines += method_line(frame["method"].unique())
    lines.append(population_line(result, "courses"))
    if spec.get("family"):
        lines.append(f"p adjusted ({correction(result)}) within a family: {spec['family']}.")
    return [*lines, cutoff_line(result)]
