"""What stands beneath a table: footnotes to its cells, and how it was computed, of whom, by when."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.layout import MISSING, amount, bounds, span
from mesostats.tables.sheet import Footnote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesostats.results import Result

_ALIKE: Final = 3  # as many notes that differ only in numbers stand one by one; more become one with ranges
_NUMBER: Final = re.compile(r"(?<![\w.-])-?\d+(?:\.\d+)?(?![\w-])")
_BOUNDS_NOTE: Final = (
    "Missing: {units} without an answer, because nobody asked; they are not in n/N. Bounds: the estimate if none of them had "
    "the event, and if all of them had (where events repeat, only the first)."
)


def footnotes(notes: Iterable[tuple[str, str, int]]) -> list[Footnote]:
    """Collect the notes of cells: each text once, those that differ in numbers only as one with ranges.

    Parameters
    ----------
    notes
        A note, the key of the column and the row that it belongs to; parts of a note are parted by ``"; "``.

    Returns
    -------
    list of Footnote
    """
    places: dict[str, dict[str, list[int]]] = {}
    for note, key, row in notes:
        for part in filter(None, note.split("; ")):
            places.setdefault(part, {}).setdefault(key, []).append(row)
    found = []
    for merged, parts in _merged(places).items():
        cells: dict[str, list[int]] = {}
        for part in parts:
            for key, rows in places[part].items():
                cells.setdefault(key, []).extend(rows)
        found.append(Footnote(merged, {key: sorted(set(rows)) for key, rows in cells.items()}))
    return found


def concise(texts: Iterable[str]) -> list[str]:
    """Return distinct texts, those that differ in numbers only as one with ranges.

    Examples
    --------
    >>> concise(["effect 1.2", "effect 1.4", "effect 2.0", "effect 1.1", "none"])
    ['effect 1.1 to 2.0', 'none']
    """
    return list(_merged(dict.fromkeys(filter(None, texts))))


def _merged(texts: Iterable[str]) -> dict[str, list[str]]:
    """Return the texts to show, each with those that it stands for."""
    alike: dict[str, list[str]] = {}
    for text in texts:
        alike.setdefault(_NUMBER.sub("#", text), []).append(text)
    shown: dict[str, list[str]] = {}
    for template, members in alike.items():
        if len(members) > _ALIKE:
            shown[_with_ranges(template, members)] = members
        else:
            shown |= {member: [member] for member in members}
    return shown


def _with_ranges(template: str, members: list[str]) -> str:
    columns = zip(*(_NUMBER.findall(member) for member in members), strict=True)
    ranges = [(min(column, key=float), max(column, key=float)) for column in columns]
    texts = iter(low if low == high else f"{low} to {high}" for low, high in ranges)
    return re.sub("#", lambda _: next(texts), template)


def bounds_texts(result: Result, frame: pd.DataFrame) -> list[str | None]:
    """Return the bounds of each estimate of a frame as text, where it has them."""
    limits: dict[tuple[Any, ...], str] = {}
    for estimand in frame["estimand"].unique():
        for *key, low, high in bounds(result, estimand).itertuples(index=False):
            texts = amount(low, estimand), amount(high, estimand)
            both = span(*texts) if low != high else MISSING
            limits[estimand, *map(_comparable, key)] = (
                both if pd.notna(high) else f"\N{GREATER-THAN OR EQUAL TO} {texts[0]}"
            )
    keys = frame[["estimand", *result.groups, "time"]].itertuples(index=False)
    return [limits.get(tuple(map(_comparable, key))) for key in keys]


def _comparable(value: Any) -> Any:
    return None if pd.isna(value) else value


def method_line(methods: Iterable[str]) -> list[str]:
    """Return the line that names what was computed; none where nothing is named."""
    parts = concise(part for method in methods for part in method.split("; "))
    return ["Method: " + "; ".join(parts) + "."] if parts else []


def population_line(result: Result, units: str, *, counted: str = "n/N") -> str:
    """Return the line that says what is counted, and who belongs to the population."""
    population = "; ".join(
        without_codes(text.rstrip(".") if text.startswith(name) else f"{name}: {text}".rstrip("."))
        for name, text in result.spec.get("population", {}).items()
    )
    return f"{counted} counts {units or 'units'}." + (f" Population: {population}." if population else "")


def bounds_line(units: str) -> str:
    """Return the line that explains missing answers and bounds."""
    counted = "patients" if units.startswith("patient-") else units or "units"
    return _BOUNDS_NOTE.format(units=counted)


def left_out_line(shown: int, left_out: int, what: str) -> list[str]:
    """Return the line that says how many rows are not shown; none where all are."""
    if not left_out:
        return []
    total = shown + left_out
    return [
        f"The {shown:,} most frequent of {total:,} {what}; most={total} shows the other {left_out:,} too."
    ]


def without_codes(text: str) -> str:
    """Return a sentence with its codes as words.

    Examples
    --------
    >>> without_codes("the same courses as mean_baseline")
    'the same courses as mean baseline'
    """
    return re.sub(r"(?<=\w)_(?=\w)", " ", text)


def correction(result: Result) -> str:
    """Return how p values were adjusted, under the names of its authors."""
    return str(result.spec["arguments"].get("multiplicity", "")).replace("_", "-").title()


def cutoff_line(result: Result) -> str:
    """Return the line that names the data cut."""
    return f"Data cut: {result.spec['cutoff']}."


def units_of(frame: pd.DataFrame) -> str:
    """Return what the denominators of some estimates count."""
    return ", ".join(unit for unit in frame["unit"].unique() if unit)
