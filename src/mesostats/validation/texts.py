"""Cells that could not be read as their column's type: dates in another format, decimal commas, plain text."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw

from mesostats.engine import TEXT, collect
from mesostats.schemas import table_schema
from mesostats.validation.findings import look, marks
from mesostats.validation.tables import checked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesostats.dataset import Dataset
    from mesostats.validation.findings import Finding

_EXPECTED: Final = {
    "date": "a day of the calendar as YYYY-MM-DD",
    "number": "a number",
    "integer": "a whole number",
}
_ISO: Final = r"^\d{4}-\d{2}-\d{2}([T ].*)?$"
_SERIAL: Final = r"^\d{1,6}(\.0*)?$"
_PARTS: Final = r"^(\d{1,4})[./\- ](\d{1,2})[./\- ](\d{1,4})(?:[T ,].*)?$"
_COMMA: Final = r"^[-+]?\d+,\d+$"
_SPREADSHEET_EPOCH: Final = dt.date(1899, 12, 30)
_CENTURY: Final = 2000


def check_texts(clinic: Dataset, table: str) -> Iterator[Finding]:
    """Say what stands in the cells of a table that could not be read.

    Parameters
    ----------
    clinic
        The clinic.
    table
        One of its tables.

    Yields
    ------
    Finding
        Of the rules ``ambiguous_date``, ``decimal_comma`` and ``wrong_type``.
    """
    frame, schema = checked(clinic, table), table_schema(table)
    for name in _unread(frame):
        column = name.removeprefix(TEXT)
        kind, text = schema.kinds[column], nw.col(name)
        cells = frame.filter(~text.is_null()).select(*marks(schema.key), text.alias("value"))
        special = nw.col("value").str.contains(r"\d") & ~nw.col("value").str.contains(_ISO)
        code = "ambiguous_date"
        if kind != "date":
            special, code = nw.col("value").str.contains(_COMMA), "decimal_comma"
        if kind != "integer":
            for finding in look(code, table, column, cells.filter(special)):
                yield _with_readings(finding)
            cells = cells.filter(~special)
        yield from look("wrong_type", table, column, cells, values={"expected": _EXPECTED[kind]})


def _unread(frame: nw.LazyFrame[Any]) -> list[str]:
    """Return the hidden columns that hold any text."""
    hidden = [name for name in frame.collect_schema().names() if name.startswith(TEXT)]
    if not hidden:
        return []
    counts = collect(frame.select(nw.col(*hidden).count())).iloc[0]
    return [name for name in hidden if counts[name] > 0]


def _with_readings(finding: Finding) -> Finding:
    values = finding.listed["value"]
    listed = finding.listed.assign(
        readings=[readings(value) for value in values],
        reading=[value.replace(",", ".") for value in values],
    )
    return type(finding)(finding.rule, finding.table, finding.column, listed, finding.n)


def readings(text: str) -> str:
    """Return the days that an ambiguous date could mean, in words.

    Parameters
    ----------
    text
        What stands in the cell.

    Examples
    --------
    >>> readings("03/04/2024")
    '2024-03-04 or 2024-04-03'
    >>> readings("25.12.2023")
    '2023-12-25'
    >>> readings("45355")
    '2024-03-04 (the number of a day in a spreadsheet)'
    """
    if re.match(_SERIAL, text):
        day = _SPREADSHEET_EPOCH + dt.timedelta(days=int(text.partition(".")[0]))
        return f"{day} (the number of a day in a spreadsheet)"
    parts = re.match(_PARTS, text)
    if parts is None:
        return "several days"
    days = sorted({str(day) for day in _days(*(int(part) for part in parts.groups()))})
    return " or ".join(days) or "no day of the calendar"


def _days(first: int, second: int, third: int) -> Iterator[dt.date]:
    """Yield the day under each order of year, month and day that the calendar allows."""
    orders = [(third, second, first), (third, first, second), (first, second, third)]
    longest = max(first, third)
    for year, month, day in orders:
        if longest > 31 and year != longest:  # noqa: PLR2004 - no day of a month: this is the year
            continue
        try:
            yield dt.date(year + _CENTURY if year < 100 else year, month, day)  # noqa: PLR2004 - two digits
        except ValueError:
            continue
