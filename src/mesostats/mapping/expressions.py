"""The SQL of one mapped column: texts in, expressions out.

What cannot be read as a date or a number stays as its text, so that typing keeps it for validation to report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesostats.engine import identifier, literal
from mesostats.mapping.model import PLACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesostats.mapping.model import Column, Condition

_FRACTIONS = ("FLOAT", "DOUBLE", "DECIMAL")
_EARLIEST_YEAR = 1000  # a year of two digits read by %Y would be one of the first century
_SLUG = r"trim(regexp_replace(lower({text}), '[^\p{{L}}\p{{N}}]+', '_', 'g'), '_')"


def as_text(column: str, kind: str) -> str:
    r"""Return a column of the SQL type ``kind`` as trimmed text: empty is null, whole numbers have no decimal point.

    Examples
    --------
    >>> as_text("SEX", "VARCHAR")
    'nullif(trim("SEX"), \'\')'
    """
    name = identifier(column)
    if kind == "VARCHAR":
        return f"nullif(trim({name}), '')"
    text = f"CAST({name} AS VARCHAR)"
    if kind.startswith(_FRACTIONS):
        number = f"CAST({name} AS DOUBLE)"
        whole = f"{number} = floor({number}) AND abs({number}) < 9e15"
        return f"CASE WHEN isnan({number}) THEN NULL WHEN {whole} THEN CAST(CAST({name} AS BIGINT) AS VARCHAR) ELSE {text} END"
    if kind.startswith("TIMESTAMP"):
        return f"regexp_replace({text}, ' 00:00:00$', '')"
    return f"nullif(trim({text}), '')"


def from_template(template: str, text: Callable[[str], str]) -> str:
    """Return the SQL of a template; ``text`` gives that of a source column. Null where a part is null.

    Examples
    --------
    >>> from_template("{site}-{number}", lambda column: column)
    "site || '-' || number"
    """
    parts = PLACE.split(template)
    pieces = [
        text(part) if place % 2 else literal(part) for place, part in enumerate(parts) if place % 2 or part
    ]
    return " || ".join(pieces)


def recoded(text: str, column: Column) -> str:
    """Return a text recoded, what is not listed transformed or replaced, and what is empty by the default."""
    rest = {"lower": f"lower({text})", "slug": _SLUG.format(text=text), None: text}[column.transform]
    if column.otherwise is not None:
        rest = f"CASE WHEN {text} IS NOT NULL THEN {_value(column.otherwise)} END"
    if column.recode:
        cases = " ".join(
            f"WHEN {literal(raw.strip())} THEN {_value(code)}" for raw, code in column.recode.items()
        )
        rest = f"CASE {text} {cases} ELSE {rest} END"
    if column.default is not None:
        rest = f"CASE WHEN {text} IS NULL THEN {_value(column.default)} ELSE {rest} END"
    return rest


def as_date(name: str, date_format: str | None) -> str:
    """Return a column of text as ISO dates by a declared format; what does not fit it stays as it is."""
    if date_format is None:
        return name
    if date_format == "excel":
        # Day 60 of a spreadsheet is 29 February 1900, which never was: only later days count from 1899-12-30.
        serial = f"try_cast(split_part({name}, '.', 1) AS INTEGER)"
        fits = f"regexp_full_match({name}, '\\d{{2,6}}(\\.\\d*)?') AND {serial} > 60"
        return f"CASE WHEN {fits} THEN CAST(DATE '1899-12-30' + {serial} AS VARCHAR) ELSE {name} END"
    parsed = f"try_strptime({name}, {literal(date_format)})"
    fits = f"year({parsed}) >= {_EARLIEST_YEAR}"
    return f"CASE WHEN {fits} THEN strftime({parsed}, '%Y-%m-%d') ELSE {name} END"


def as_day_of(day: str, origin: str) -> str:
    """Return CDISC study days as ISO dates: day 1 is the origin, day -1 the day before; there is no day 0."""
    number = f"try_cast({day} AS INTEGER)"
    first = f"try_cast(left({origin}, 10) AS DATE)"
    fits = f"{number} <> 0 AND {first} IS NOT NULL"
    moved = f"CAST({first} + {number} - CAST({number} > 0 AS INTEGER) AS VARCHAR)"
    return f"CASE WHEN {fits} THEN {moved} ELSE 'day ' || {day} END"


def as_number(name: str, decimal: str, factor: float | None) -> str:
    """Return a column of text as numbers with a decimal point, times a factor.

    Where the comma is declared, a point is ambiguous (1.234 may be a thousand): such a cell is quoted, so that it is not
    read as a number.
    """
    if decimal == ",":
        point = f"CASE WHEN regexp_matches({name}, '^[-+]?[0-9.,]*\\.[0-9.,]*$') THEN '\"' || {name} || '\"'"
        name = f"({point} ELSE replace({name}, ',', '.') END)"
    if factor is None:
        return name
    product = f"CAST(try_cast({name} AS DOUBLE) * {factor!r} AS VARCHAR)"
    return f"coalesce({product}, {name})"


def kept(condition: Condition, text: str) -> str:
    """Return the SQL of one condition on a text."""
    if condition.null:
        return f"{text} IS NULL"
    if condition.not_null:
        return f"{text} IS NOT NULL"
    if condition.not_in is not None:
        return f"({text} IS NULL OR NOT {_among(text, condition.not_in)})"
    values = condition.one_of if condition.one_of is not None else [condition.equals or ""]
    return _among(text, values)


def _among(text: str, values: list[str]) -> str:
    return f"coalesce(list_contains([{', '.join(literal(value.strip()) for value in values)}]::VARCHAR[], {text}), false)"


def checked(text: str, values: list[str], code: str) -> str:
    """Return the SQL that is the code of a check box where it is checked, else null."""
    return f"CASE WHEN {_among(text, values)} THEN {literal(code)} END"


def _value(text: str) -> str:
    return literal(text) if text.strip() else "NULL"
