"""The contract of each table, read from ``data/schemas``: columns, kinds, keys, references and vocabularies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml

from mesostats.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesostats.engine import Kind

TABLES = ("patients", "courses", "sessions", "products", "outcomes", "adverse_events")
REQUIRED_TABLES = ("patients", "courses", "sessions")


@dataclass(frozen=True)
class ColumnFactor:
    """A unit in which a column is sometimes recorded by mistake.

    Parameters
    ----------
    factor
        A value in that unit times ``factor`` is the value in the column's own unit.
    unit
        The other unit, for the message.
    within
        The column on which usual values depend.
    """

    factor: float
    unit: str
    within: str


_KINDS: dict[str, Kind] = {
    "string[pyarrow]": "string",
    "int64[pyarrow]": "integer",
    "double[pyarrow]": "number",
    "date32[day][pyarrow]": "date",
}


@dataclass(frozen=True)
class TableSchema:
    """What one table holds.

    Parameters
    ----------
    name, title
        The table and what one of its rows is.
    key
        The column that identifies a row; None where none does.
    references
        Column → the table whose key it holds.
    vocabularies
        Column → the vocabulary whose codes it holds.
    kinds
        Column → string, integer, number or date, in the canonical order.
    required
        Columns that the table must have.
    unit_factors
        Column → the mix-up of units that validation looks for.
    text
        The YAML itself, from which pandera builds the row rules.

    Examples
    --------
    >>> table_schema("outcomes").references
    {'course_id': 'courses'}
    """

    name: str
    title: str
    key: str | None
    references: Mapping[str, str]
    vocabularies: Mapping[str, str]
    kinds: Mapping[str, Kind]
    required: tuple[str, ...]
    unit_factors: Mapping[str, ColumnFactor]
    text: str

    def dates(self) -> list[str]:
        """Return the names of the date columns."""
        return [name for name, kind in self.kinds.items() if kind == "date"]


@cache
def table_schema(name: str) -> TableSchema:
    """Read the contract of the table ``name``.

    Raises
    ------
    SchemaError
        If there is no such table, or its YAML is wrong.
    """
    if name not in TABLES:
        msg = f"there is no table '{name}'; the tables are {', '.join(TABLES)}"
        raise SchemaError(msg)
    text = (files("mesostats.data.schemas") / f"{name}.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    columns: dict[str, dict[str, Any]] = content["columns"]
    metadata: dict[str, Any] = content["metadata"]
    return TableSchema(
        name=name,
        title=content["title"],
        key=metadata["key"],
        references=metadata["references"],
        vocabularies=metadata["vocabularies"],
        kinds={column: _KINDS[spec["dtype"]] for column, spec in columns.items()},
        required=tuple(column for column, spec in columns.items() if spec["required"]),
        unit_factors={
            column: ColumnFactor(**spec) for column, spec in metadata.get("unit_factors", {}).items()
        },
        text=text,
    )
