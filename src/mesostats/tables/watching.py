"""The table of safety signals: signals first, then by p value; what was found in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.layout import (
    MISSING,
    Watch,
    amount,
    heading,
    label,
    out_of,
    p_text,
    watch,
    with_interval,
)
from mesostats.tables.notes import correction, cutoff_line, footnotes, method_line, population_line, units_of
from mesostats.tables.sheet import Column, Sheet

if TYPE_CHECKING:
    from mesostats.results import Result

_MOST: Final = 20
_ASIDE: Final = re.compile(r"design effect|cluster|ICC|observations")


def watching_sheet(result: Result, most: int | None) -> Sheet:
    """Return the sheet of signals: units with the strongest evidence, observed beside expected.

    Parameters
    ----------
    result
        What `signals` returned.
    most
        How many rows are shown at most; all signals and in all 20 if not given.

    Returns
    -------
    Sheet
    """
    found = watch(result)
    ranked = found.ranked
    rows = ranked.head(max(_MOST, found.alarms) if most is None else most)
    unit = rows["unit"].iloc[0]
    level = conf_level_of(rows)
    texts = pd.DataFrame(
        {
            **{
                f"_stub{place}": [label(result, name, value) for value in rows[name]]
                for place, name in enumerate(result.groups)
            },
            "count": [out_of(row) for _, row in rows.iterrows()],
            "value": [with_interval(row) for _, row in rows.iterrows()],
            "expected": [MISSING if pd.isna(value) else f"{value:,.1f}" for value in rows["expected"]],
            "share": [
                amount(value, row)
                for value, row in zip(rows["expected_share"], rows["estimand"], strict=True)
            ],
            "p": rows["p_value"].map(p_text).to_numpy(),
            "adjusted": rows["p_adjusted"].map(p_text).to_numpy(),
            "finding": [_finding(row) for _, row in rows.iterrows()],
        }
    )
    notes = [(_aside(note), "value", row) for row, note in enumerate(rows["note"])]
    return Sheet(
        texts,
        {f"_stub{place}": heading(result, name) for place, name in enumerate(result.groups)},
        _columns(level, texts),
        footnotes(notes),
        _sources(result, found, rows, unit),
        subtitle=_summary(result, found),
        strong=tuple(row for row, alarm in enumerate(rows["alarm"]) if alarm),
    )


def conf_level_of(rows: pd.DataFrame) -> str:
    """Return the confidence level of the units' own intervals."""
    levels = rows["conf_level"].dropna().unique()
    return f" ({100 * levels[0]:g} % CI)" if len(levels) else ""


def _columns(level: str, texts: pd.DataFrame) -> list[Column]:
    columns = [
        Column("count", "n/N", "Observed"),
        Column("value", f"%{level}", "Observed"),
        Column("expected", "n", "Expected"),
        Column("share", "%", "Expected"),
        Column("p", "p", "Test"),
        Column("adjusted", "adjusted p", "Test"),
        Column("finding", "Finding", wordy=True),
    ]
    return [column for column in columns if column.key != "finding" or texts["finding"].ne("").any()]


def _finding(row: pd.Series[Any]) -> str:
    """Return what the note says of the unit; how its interval was computed stands beneath the table."""
    parts = [part for part in row["note"].split("; ") if part and not _ASIDE.search(part)]
    text = "; ".join(parts)
    if row["alarm"]:
        return "SIGNAL" + text.removeprefix("signal")
    return text[:1].upper() + text[1:]


def _aside(note: str) -> str:
    return "; ".join(part for part in note.split("; ") if _ASIDE.search(part))


def _summary(result: Result, found: Watch) -> str:
    """Say in one line what an auditor asks first."""
    arguments = result.spec["arguments"]
    signals = (
        "No signal" if not found.alarms else f"{found.alarms} signal" + ("s" if found.alarms > 1 else "")
    )
    return f"{signals} among {found.tested:,} tests ({correction(result)}, alpha {arguments['alpha']:g})"


def _sources(result: Result, found: Watch, rows: pd.DataFrame, unit: str) -> list[str]:
    lines = []
    if len(rows) < len(found.ranked):
        lines.append(
            f"{len(rows):,} of {len(found.ranked):,} rows: signals first, then by p value; most= shows more."
        )
    untested = len(found.ranked) - found.tested
    if untested:
        lines.append(f"{untested:,} rows could not be tested: {found.untested}.")
    lines += [rule for rule in result.spec.get("rules", []) if rule.startswith(("Held against", "A signal"))]
    lines += method_line(rows["method"].unique())
    lines.append(population_line(result, units_of(rows) or unit))
    return [*lines, cutoff_line(result)]
