"""The cells of a result whose rows are of several instruments: what tells them apart, and what they share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mesostats.layout.wording import heading, label, labels_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from mesostats.results import Result

INSTRUMENT: Final = "instrument"
"""The column that names the instrument."""
_HIGHER: Final = "Higher is better"
_LOWER: Final = "Lower is better"


def telling(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Return the columns whose values differ: those that tell the rows of a frame apart.

    Parameters
    ----------
    frame
        Rows of `Result.estimates`.
    columns
        Grouping columns.

    Returns
    -------
    list of str
        None where all rows are of the same cell.
    """
    return [name for name in columns if len(frame[name].drop_duplicates()) > 1]


def short(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Return the columns that tell rows apart; without the instrument where the others do so alone.

    Parameters
    ----------
    frame
        Rows of `Result.estimates`.
    columns
        Grouping columns.

    Returns
    -------
    list of str
    """
    found = telling(frame, columns)
    others = [name for name in found if name != INSTRUMENT]
    cells = len(frame[found].drop_duplicates()) if found else 0
    return others if others and len(frame[others].drop_duplicates()) == cells else found


def shared(result: Result, frame: pd.DataFrame, columns: Sequence[str]) -> str:
    """Return in words what all rows of a frame have in common.

    Parameters
    ----------
    result
        The result, with its labels.
    frame
        Some of its rows.
    columns
        Grouping columns.

    Returns
    -------
    str
        The labels of the columns with one value, joined.
    """
    if frame.empty:
        return ""
    apart = telling(frame, columns)
    return labels_of(result, [name for name in columns if name not in apart], frame.iloc[0])


def heading_of(result: Result, columns: Sequence[str]) -> str:
    """Return what heads the names of cells: the columns that tell them apart, joined."""
    return " \N{MIDDLE DOT} ".join(heading(result, name) for name in columns)


def lower_is_better(result: Result, instrument: str) -> bool | None:
    """Tell whether a lower value of an instrument is better, as the result's rules say; None where they do not.

    Parameters
    ----------
    result
        A result of changes.
    instrument
        The instrument's code.
    """
    name = label(result, INSTRUMENT, instrument)
    for rule in result.spec.get("rules", []):
        if rule.startswith((_LOWER, _HIGHER)) and name in rule:
            return bool(rule.startswith(_LOWER))
    return None


def in_words(result: Result, text: str) -> str:
    """Return a sentence with the labels of groups in place of their codes.

    Parameters
    ----------
    result
        The result, with its labels; the codes are those of its grouping columns and of the reference.
    text
        A sentence of its ``spec``.

    Returns
    -------
    str
    """
    codes: dict[str, str] = {}
    for name in result.groups:
        values = [value for value in result.estimates[name].unique() if isinstance(value, str)]
        codes |= {value: label(result, name, value) for value in values}
    group, reference = (result.spec["arguments"].get(name) for name in ("group", "reference"))
    if group and isinstance(reference, str):
        codes[reference] = label(result, str(group), reference)
    known = "|".join(re.escape(code) for code in sorted(codes, key=len, reverse=True))
    return re.sub(rf"(?<!\w)({known})(?!\w)", lambda found: codes[found[0]], text) if known else text
