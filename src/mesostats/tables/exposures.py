"""The table of an exposure's effect: crude beside adjusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.layout import (
    MISSING,
    conf_level,
    label,
    out_of,
    p_text,
    readable,
    with_interval,
)
from mesostats.tables.notes import cutoff_line, footnotes, method_line, population_line, units_of
from mesostats.tables.sheet import Column, Sheet

if TYPE_CHECKING:
    from mesostats.results import Result

_HEADS: Final = {
    "risk": "Risk, %",
    "risk_difference": "Difference, points",
    "risk_ratio": "Ratio",
}
_SIDES: Final = ("crude", "adjusted")


def exposure_sheet(result: Result, _most: int) -> Sheet:
    """Return the sheet of an exposure's effect: a row an exposure, crude and adjusted estimates side by side.

    Parameters
    ----------
    result
        A result with crude and adjusted risks, differences and ratios.

    Returns
    -------
    Sheet
    """
    exposure = result.groups[0]
    reference = result.spec["arguments"]["reference"]
    known = list(dict.fromkeys(result.estimates[exposure]))
    levels = [*(each for each in known if each == reference), *(each for each in known if each != reference)]
    names = [label(result, exposure, each) + (" (reference)" if each == reference else "") for each in levels]
    texts = pd.DataFrame({"_stub": names})
    columns = [Column("count", "n/N")]
    texts["count"] = [out_of(row) for _, row in _rows(result, "crude_risk", levels).iterrows()]
    for side in _SIDES:
        for measure in _HEADS:
            rows = _rows(result, f"{side}_{measure}", levels)
            columns += _filled(texts, rows, f"{side}_{measure}", result)
    place = {level: row for row, level in enumerate(levels)}
    notes = [
        (_without_reference(row["note"]), row["estimand"], place[row[exposure]])
        for _, row in result.estimates.iterrows()
    ]
    return Sheet(texts, {"_stub": readable(exposure)}, columns, footnotes(notes), _sources(result))


def _rows(result: Result, estimand: str, levels: list[Any]) -> pd.DataFrame:
    rows = result.estimates[result.estimates["estimand"].eq(estimand)]
    return rows.set_index(result.groups[0]).reindex(levels).assign(estimand=estimand)


def _filled(texts: pd.DataFrame, rows: pd.DataFrame, estimand: str, result: Result) -> list[Column]:
    """Write the texts of one measure, with its p value where it has one; return its columns."""
    if rows["unit"].isna().all():
        return []
    side, _, measure = estimand.partition("_")
    texts[estimand] = [with_interval(row) for _, row in rows.iterrows()]
    bold = estimand == result.spec.get("primary")
    columns = [Column(estimand, f"{_HEADS[measure]} ({conf_level(result)} CI)", readable(side), bold=bold)]
    texts[f"{estimand}_p"] = rows["p_value"].map(p_text).to_numpy()
    if measure == "risk_difference" and texts[f"{estimand}_p"].ne(MISSING).any():
        columns.append(Column(f"{estimand}_p", "p", readable(side)))
    return columns


def _without_reference(note: str) -> str:
    return "; ".join(part for part in note.split("; ") if not part.startswith("against "))


def _sources(result: Result) -> list[str]:
    spec = result.spec
    estimates = result.estimates
    lines = [
        line.replace("Method", side.capitalize(), 1)
        for side in _SIDES
        for line in method_line(estimates.loc[estimates["estimand"].str.startswith(side), "method"].unique())
    ]
    lines += [rule for rule in spec.get("rules", []) if rule.startswith(("Adjusted for", "What was not"))]
    lines.append(population_line(result, units_of(estimates)))
    if spec.get("excluded"):
        parts = [f"{number:,} {units_of(estimates)}: {why}" for why, number in spec["excluded"].items()]
        lines.append(f"Left out: {'; '.join(parts)}.")
    return [*lines, cutoff_line(result)]
