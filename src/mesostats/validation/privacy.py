"""Direct identifiers: columns and texts that say who a patient is do not belong into the data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import pandas as pd

from mesostats.engine import ROW, collect
from mesostats.schemas import table_schema
from mesostats.validation.findings import Finding
from mesostats.validation.rules import RULES
from mesostats.validation.tables import checked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesostats.dataset import Dataset

_WORDS: Final = frozenset(
    {
        "address",
        "apellido",
        "birthdate",
        "birthday",
        "cognome",
        "dob",
        "email",
        "fax",
        "firstname",
        "forename",
        "fullname",
        "insurance",
        "lastname",
        "mail",
        "mobile",
        "nachname",
        "passport",
        "phone",
        "postcode",
        "prenom",
        "ssn",
        "street",
        "surname",
        "telefon",
        "telephone",
        "vorname",
        "zip",
    }
)
_NAMES: Final = re.compile(
    r"^(patient|first|last|full|family|given|middle|maiden|birth|client)?_?(name|names)$"
)
_BIRTH: Final = re.compile(r"^(date_of_birth|birth_date)$")
_TEXTS: Final = {
    "e-mail addresses": r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z]{2,}",
    # Strict on purpose: numbers of lots, subjects and devices must not pass for phone numbers.
    "phone numbers": (
        r"(^|[^0-9A-Za-z])(\+[0-9][0-9 ()/.-]{7,}[0-9]|\(0?[0-9]{2,4}\)[ /-]?[0-9]{3,}([ -]?[0-9]{2,})+"
        r"|0[0-9]{2,4}[ /][0-9]{3,}([ -]?[0-9]{2,})+|[0-9]{3}-[0-9]{3}-[0-9]{4}"
        r"|([Tt]el|[Pp]hone|[Mm]obile)[^0-9]{0,5}[0-9][0-9 ()/.-]{5,}[0-9])([^0-9]|$)"
    ),
}
_TYPED: Final = {"patients": "patient_id", "adverse_events": "verbatim"}


def check_privacy(clinic: Dataset, table: str) -> Iterator[Finding]:
    """Look for direct identifiers in a table: names of columns, and texts that look like an e-mail address or phone number.

    Parameters
    ----------
    clinic
        The clinic.
    table
        One of its tables.

    Yields
    ------
    Finding
        ``direct_identifier``, one a column; it names the column, never a value.
    """
    named = [column for column in clinic.columns(table) if identifies(column)]
    for column in named:
        yield _finding(table, column, f"a column named {column}")
    yield from _in_texts(clinic, table, named)


def identifies(column: str) -> bool:
    """Return whether a column's name says that it holds a direct identifier.

    Examples
    --------
    >>> identifies("patientPhone"), identifies("last_name"), identifies("product_name")
    (True, True, False)
    """
    snake = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column).lower()).strip("_")
    return bool(_WORDS.intersection(snake.split("_")) or _NAMES.match(snake) or _BIRTH.match(snake))


def _in_texts(clinic: Dataset, table: str, named: list[str]) -> Iterator[Finding]:
    """Look into the texts that a person may have typed: extra columns, verbatims, pseudonyms of patients."""
    frame, canonical = checked(clinic, table), table_schema(table).kinds
    texts = [
        name
        for name, kind in frame.collect_schema().items()
        if kind == nw.String
        and not name.startswith("_")
        and name not in named
        and (name not in canonical or name == _TYPED.get(table))
    ]
    if not texts:
        return
    asked = [(name, what) for name in texts for what in _TEXTS]
    exprs = [each for place, (name, what) in enumerate(asked) for each in _matches(name, _TEXTS[what], place)]
    answers = collect(frame.select(*exprs)).iloc[0]
    for place, (name, what) in enumerate(asked):
        if answers[f"n_{place}"] > 0:
            text = f"texts in {name} that look like {what}, rows: {answers[f'n_{place}']:.0f}"
            yield _finding(table, name, text, row=answers[f"row_{place}"])


def _matches(name: str, pattern: str, place: int) -> list[nw.Expr]:
    """Return the number of rows that match, and the first of them."""
    match = nw.col(name).str.contains(pattern)
    return [
        nw.when(match).then(1).otherwise(0).sum().alias(f"n_{place}"),
        nw.when(match).then(nw.col(ROW)).min().alias(f"row_{place}"),
    ]


def _finding(table: str, column: str, what: str, *, row: Any = None) -> Finding:
    listed = pd.DataFrame({"row": pd.array([row], dtype="Int64"), "key": [None], "what": [what]})
    return Finding(RULES["direct_identifier"], table, column, listed, 1)
