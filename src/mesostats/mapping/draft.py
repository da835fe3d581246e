"""A first draft of a mapping, from the column names of a foreign file."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from mesostats.engine import Engine
from mesostats.files import is_file, read_header
from mesostats.schemas import REQUIRED_TABLES, TABLES, TableSchema, table_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALIKE = 0.8
_WORD = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+|\d+")

_HEAD = """\
# A draft from the column names of {name}: check every line.
# "# column: ?" had no column of a like name; fill it in, move it under constants, or delete it.
# Recodes, dates and rows to keep are described in the documentation of mesostats.mapping.model.
"""


def draft(file: str | Path) -> str:
    """Draft a mapping from a foreign file's column names; no cell of the file is shown.

    Parameters
    ----------
    file
        A CSV, Parquet, xlsx or SAS transport file.

    Returns
    -------
    str
        YAML: each canonical column with the source column of the most similar name, or a comment where there is none.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    path = Path(file)
    is_file(path)
    header = read_header(path, Engine())
    lines = [line for name in TABLES for line in _table(table_schema(name), path.name, header)]
    return "\n".join([_HEAD.format(name=path.name).rstrip(), "tables:", *lines, ""])


def _table(schema: TableSchema, file: str, header: list[str]) -> Iterator[str]:
    """Give the lines of one table; as comments where the file says nothing of a table that not every clinic has."""
    found = {column: _nearest(column, header) for column in schema.kinds}
    wanted = schema.name in REQUIRED_TABLES or all(found[column] for column in schema.required)
    mark = "  " if wanted else "  # "
    yield f"{mark}{schema.name}:  # {schema.title}"
    yield f"{mark}  file: {_scalar(file)}"
    yield f"{mark}  columns:"
    for column, source in found.items():
        need = "  (required)" if column in schema.required else ""
        yield f"{mark}    {column}: {_scalar(source)}" if source else f"  #     {column}: ?{need}"


def _nearest(column: str, header: list[str]) -> str | None:
    """Return the source column whose words are nearest to those of a canonical one, if they are near enough."""
    if not header:
        return None
    best = max(header, key=lambda name: (_likeness(column, name), _ratio(column, name.lower())))
    return best if _likeness(column, best) >= _ALIKE else None


def _likeness(column: str, name: str) -> float:
    """Return how well each word of a canonical column is found among the words of a source column, 0 to 1."""
    words = [word.lower() for word in _WORD.findall(name)]
    wanted = column.split("_")
    return sum(max((_ratio(word, other) for other in words), default=0) for word in wanted) / len(wanted)


def _ratio(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def _scalar(text: str) -> str:
    """Return a text as YAML writes it on one line."""
    return yaml.safe_dump(text, width=10**6, allow_unicode=True).removesuffix("...\n").strip()
