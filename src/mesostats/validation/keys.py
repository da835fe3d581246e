"""Keys: each row once, each reference with its row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw

from mesostats.engine import ROW
from mesostats.schemas import table_schema
from mesostats.validation.findings import look, marks
from mesostats.validation.tables import checked, is_empty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesostats.dataset import Dataset
    from mesostats.validation.findings import Finding


def check_keys(clinic: Dataset, table: str) -> Iterator[Finding]:
    """Look for rows that stand twice.

    Parameters
    ----------
    clinic
        The clinic.
    table
        One of its tables.

    Yields
    ------
    Finding
        ``duplicate_row`` for each exact copy of an earlier row, ``duplicate_key`` for each further content under one key.
    """
    key = table_schema(table).key
    if key is None:
        return
    frame, repeated = checked(clinic, table), _repeated(clinic, table)
    if is_empty(repeated):
        return
    twice = frame.join(repeated, on=key, how="semi")
    content = [name for name in frame.collect_schema().names() if name != ROW]
    first_copy, first_key = nw.col(ROW).min().over(*content), nw.col(ROW).min().over(key)
    copies = nw.len().over(*content)
    marked = twice.with_columns(_first_copy=first_copy, _first_key=first_key, _copies=copies)
    # Spark keeps no row numbers: there each of the rows is listed, as none is the first.
    unnumbered = nw.col(ROW).is_null()
    copy = (nw.col(ROW) > nw.col("_first_copy")) | (unnumbered & (nw.col("_copies") > 1))
    other = ~copy & ((nw.col(ROW) > nw.col("_first_key")) | unnumbered)
    rows, others = (
        marked.filter(keep).select(*marks(key), other=origin)
        for keep, origin in ((copy.fill_null(value=False), "_first_copy"), (other, "_first_key"))
    )
    yield from look("duplicate_row", table, key, rows)
    yield from look("duplicate_key", table, key, others)


def _repeated(clinic: Dataset, table: str) -> nw.LazyFrame[Any]:
    """Return the keys of a table that stand in more than one row, looked up once."""
    key = str(table_schema(table).key)

    def build() -> nw.LazyFrame[Any]:
        counts = checked(clinic, table).filter(~nw.col(key).is_null()).group_by(key).agg(_n=nw.len())
        return counts.filter(nw.col("_n") > 1).select(key)

    return clinic.derive(f"validation_repeated_{table}", build)


def one_a_key(clinic: Dataset, table: str) -> nw.LazyFrame[Any]:
    """Return a table with the first row of each key, so that joining to it repeats nothing.

    Parameters
    ----------
    clinic
        The clinic.
    table
        One of its tables that has a key.

    Returns
    -------
    nw.LazyFrame
        With its hidden columns.
    """
    return _thinned(clinic, table, [str(table_schema(table).key)])


def without_copies(clinic: Dataset, table: str) -> nw.LazyFrame[Any]:
    """Return a table without the exact copies of a row; rows of other content under one key stay.

    Parameters
    ----------
    clinic
        The clinic.
    table
        One of its tables that has a key.

    Returns
    -------
    nw.LazyFrame
        With its hidden columns.
    """
    columns = checked(clinic, table).collect_schema().names()
    return _thinned(clinic, table, [name for name in columns if name != ROW])


def _thinned(clinic: Dataset, table: str, same: list[str]) -> nw.LazyFrame[Any]:
    key, frame, repeated = str(table_schema(table).key), checked(clinic, table), _repeated(clinic, table)
    if is_empty(repeated):
        return frame
    single = frame.join(repeated, on=key, how="anti")
    first = frame.join(repeated, on=key, how="semi").unique(same, keep="first", order_by=[ROW])
    return nw.concat([single, first.select(single.collect_schema().names())], how="vertical")


def check_references(clinic: Dataset, table: str) -> Iterator[Finding]:
    """Look for references to rows that are not there.

    Parameters
    ----------
    clinic
        The clinic.
    table
        One of its tables.

    Yields
    ------
    Finding
        ``unknown_reference``, one a column.
    """
    schema, frame = table_schema(table), checked(clinic, table)
    for column, target in schema.references.items():
        known = checked(clinic, target).select(nw.col(str(table_schema(target).key)).alias(column))
        lost = frame.filter(~nw.col(column).is_null()).join(known, on=column, how="anti")
        rows = lost.select(*marks(schema.key), value=nw.col(column))
        yield from look("unknown_reference", table, column, rows, values={"target": target})
