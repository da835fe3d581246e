"""The engine: DuckDB behind narwhals, or the caller's Spark.

Frames and files of every kind become lazy relations on one DuckDB connection, with one meaning of missing (NULL). Analyses
reduce there with narwhals expressions; only small results come back as pandas frames.
"""

from __future__ import annotations

import datetime as dt
import glob
import tempfile
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

import duckdb
import narwhals as nw
import pandas as pd
import pyarrow as pa

from mesostats.errors import DataError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Kind = Literal["string", "integer", "number", "date"]

ROW = "_row"
"""Hidden column: the row of the source, from 1; null where the engine keeps no order."""
TEXT = "_text_"
"""Prefix of hidden columns: what stood in a cell that could not be read as its column's type."""

_EPOCH_ORDINAL = dt.date(1970, 1, 1).toordinal()
_SQL_TYPES: dict[Kind, str] = {"string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "date": "DATE"}
_INTEGERS = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
)
_PARSERS: dict[Kind, str] = {
    "integer": r"CASE WHEN regexp_full_match({t}, '[-+]?\d+(\.0*)?') THEN try_cast(split_part({t}, '.', 1) AS BIGINT) END",
    "number": r"CASE WHEN regexp_full_match({t}, '[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?') THEN try_cast({t} AS DOUBLE) END",
    "date": r"CASE WHEN regexp_full_match({t}, '\d{{4}}-\d{{2}}-\d{{2}}([T ].*)?') THEN try_cast(left({t}, 10) AS DATE) END",
}


def identifier(name: str) -> str:
    """Quote a column name for SQL.

    Examples
    --------
    >>> identifier("day of visit")
    '"day of visit"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text for SQL."""
    return "'" + text.replace("'", "''") + "'"


def day_number(date: nw.Expr) -> nw.Expr:
    """Return days since 1970-01-01 of a date expression, as an integer on every backend.

    Durations are not portable between engines; integers are. Days of the years before, with a leap day every fourth year
    but for three of four centuries (Gregorian calendar), and the day of the year.
    """
    before = date.dt.year().cast(nw.Int64) - 1
    leap_days = before // 4 - before // 100 + before // 400
    return before * 365 + leap_days + date.dt.ordinal_day().cast(nw.Int64) - _EPOCH_ORDINAL


def collect(frame: nw.LazyFrame[Any]) -> pd.DataFrame:
    """Bring a small lazy frame back as pandas: integers stay integers where nothing is missing, dates become dates."""
    return frame.collect("pyarrow").to_native().to_pandas(date_as_object=False)  # type: ignore[no-any-return]


def lazy(native: Any) -> nw.LazyFrame[Any]:
    """Wrap a DuckDB relation or a Spark DataFrame."""
    frame: nw.LazyFrame[Any] = nw.from_native(native)
    return frame


def distinct_counts(frame: nw.LazyFrame[Any], key: str, column: str, *, highest: str) -> nw.LazyFrame[Any]:
    """Count the distinct values of a column, which has no nulls, a key.

    DuckDB's own count of distinct values makes a group of each of them; lists cost half as much.

    Parameters
    ----------
    frame
        A lazy frame.
    key, column
        What to count by, and what.
    highest
        Another column, of which the highest value is taken.

    Returns
    -------
    nw.LazyFrame
        ``key, n`` (distinct values), ``first, last`` (the lowest and the highest), and the column ``highest``.
    """
    native, value = frame.to_native(), nw.col(column)
    if is_spark(native):
        most = nw.col(highest).max()
        return frame.group_by(key).agg(most, n=value.n_unique(), first=value.min(), last=value.max())
    counted, other, by = identifier(column), identifier(highest), identifier(key)
    number = f"len(list_distinct(list({counted}))) AS n"
    ends = f"min({counted}) AS first, max({counted}) AS last"
    return lazy(native.aggregate(f"{by}, {number}, {ends}, max({other}) AS {other}", by))


def is_spark(frame: Any) -> bool:
    """Return whether a native frame is a Spark DataFrame, without importing Spark."""
    return type(frame).__module__.startswith("pyspark.sql")


class Engine:
    """One DuckDB connection; its tables live as long as it does."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute(
            f"SET temp_directory = {literal(tempfile.gettempdir() + '/mesostats-duckdb')}"
        )
        # Rows are numbered when they are stored (`numbered`); keeping their order after that would cost a core.
        self.connection.execute("SET preserve_insertion_order = false")
        # DuckDB would draw its bar into what the caller prints. In Jupyter it has none without ipywidgets, and refuses.
        with suppress(duckdb.InvalidInputException):
            self.connection.execute("SET enable_progress_bar = false")
        # No network at run time: DuckDB must not fetch extensions by itself.
        self.connection.execute("SET autoinstall_known_extensions = false")
        self._numbers = count()

    def keep(self, relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
        """Store a relation's rows, so that its query runs once."""
        name = f"kept_{next(self._numbers)}"
        relation.create(name)
        return self.connection.table(name)

    def materialise(self, frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        """Compute a lazy frame once and keep its rows on the engine (in DuckDB, or cached on Spark)."""
        native = frame.to_native()
        if isinstance(native, duckdb.DuckDBPyRelation):
            return lazy(self.keep(native))
        return lazy(native.cache())

    def frame(self, data: Any, *, table: str = "") -> Any:
        """Return the caller's frame as a relation with a row number, or as it is where it lives on Spark.

        Parameters
        ----------
        data
            A pandas, Polars or narwhals frame, a PyArrow table, a DuckDB relation, or a Spark DataFrame.
        table
            The table's name, for the message.

        Raises
        ------
        TypeError
            If it is none of these.
        SchemaError
            If two columns differ only in case: DuckDB would rename one of them silently.
        """
        native = nw.to_native(data, pass_through=True)
        if is_spark(native):
            return native
        if isinstance(native, duckdb.DuckDBPyRelation):
            native = native.to_arrow_table()
        elif isinstance(native, pd.DataFrame):
            native = _arrow(native)
        elif type(native).__module__.startswith("polars"):
            native = native.lazy().collect().to_arrow()
        if not isinstance(native, pa.Table):
            msg = f"a table is a pandas, Polars, PyArrow, DuckDB or Spark frame, found {type(data).__name__}"
            raise TypeError(msg)
        check_column_names(table, native.column_names)
        return self.numbered(self.connection.from_arrow(native))

    def numbered(self, relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
        """Store a relation with the number of each row, its texts without outer blanks; an empty text is missing."""
        kinds = zip(relation.columns, relation.types, strict=True)
        parts = [_trimmed(name) if str(kind) == "VARCHAR" else identifier(name) for name, kind in kinds]
        self.connection.execute("SET preserve_insertion_order = true")
        try:
            return self.keep(relation.project(", ".join([*parts, f"row_number() OVER () AS {ROW}"])))
        finally:
            self.connection.execute("SET preserve_insertion_order = false")

    def small(self, table: pd.DataFrame, like: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        """Put a small pandas frame on the engine on which the frame ``like`` lives, to join with it."""
        native = like.to_native()
        if is_spark(native):
            return lazy(native.sparkSession.createDataFrame(_arrow(table).to_pandas()))
        return lazy(self.connection.from_arrow(_arrow(table)))

    def parquet(self, path: Path) -> duckdb.DuckDBPyRelation:
        """Return a lazy relation over a Parquet file, or a folder of them; it is never loaded whole."""
        parts = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
        paths = [glob.escape(str(part)) for part in parts]
        if not paths:
            msg = f"folder '{path.name}' holds no Parquet file"
            raise DataError(msg)
        try:
            relation = self.connection.read_parquet(paths, file_row_number=True)
        except (duckdb.Error, RuntimeError, UnicodeError):  # the last two: column names that are no text
            msg = f"'{path.name}' is not a readable Parquet file"
            raise DataError(msg) from None
        return relation.project(f"* EXCLUDE (file_row_number), file_row_number + 1 AS {ROW}")


def _arrow(frame: pd.DataFrame) -> pa.Table:
    """Convert a pandas frame; a column of mixed types becomes text, which validation then speaks about."""
    columns = [str(column) for column in frame.columns]
    arrays = [_array(frame.iloc[:, place]) for place in range(len(columns))]
    return pa.Table.from_arrays(arrays, names=columns)


def _array(series: pd.Series[Any]) -> Any:
    # Arrow would take the integers of a column of dates for days or microseconds since 1970.
    mixed = pd.api.types.infer_dtype(series, skipna=True) in {"mixed", "mixed-integer"}
    try:
        array = pa.Array.from_pandas(
            series.map(str, na_action="ignore").astype("string") if mixed else series
        )
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        array = pa.Array.from_pandas(series.map(str, na_action="ignore").astype("string"))
    return array.cast(pa.string()) if pa.types.is_null(array.type) else array


def check_column_names(table: str, columns: list[str]) -> None:
    """Refuse column names that SQL engines cannot tell apart, or that mesostats keeps for itself.

    Raises
    ------
    SchemaError
    """
    seen: dict[str, str] = {}
    for column in columns:
        if column.startswith("_"):
            msg = f"table '{table}' has a column '{column}': names that begin with _ are reserved; rename it"
            raise SchemaError(msg)
        if column.lower() in seen:
            msg = f"table '{table}' has columns '{seen[column.lower()]}' and '{column}', which differ only in case; rename one"
            raise SchemaError(msg)
        seen[column.lower()] = column


def typed(source: Any, kinds: Mapping[str, Kind]) -> nw.LazyFrame[Any]:
    """Give a source its columns' types; a cell that cannot be read becomes null and keeps its text in a hidden column.

    Parameters
    ----------
    source
        A DuckDB relation with a row number, or a Spark DataFrame (which must have the types already).
    kinds
        The kind of each canonical column; those that the source lacks become nulls.

    Returns
    -------
    nw.LazyFrame
        Canonical columns in order, then extra columns, then the hidden ones.
    """
    if is_spark(source):
        return _typed_spark(source, kinds)
    found = dict(zip(source.columns, source.types, strict=True))
    parts, hidden = [], []
    for name, kind in kinds.items():
        if name not in found:
            parts.append(f"CAST(NULL AS {_SQL_TYPES[kind]}) AS {identifier(name)}")
            continue
        value, text = _reading(identifier(name), str(found[name]), kind)
        parts.append(f"{value} AS {identifier(name)}")
        if text is not None:
            hidden.append(f"CASE WHEN ({value}) IS NULL THEN {text} END AS {identifier(TEXT + name)}")
    parts += [_extra(name, str(found[name])) for name in found if name not in kinds and name != ROW]
    return lazy(source.project(", ".join([*parts, ROW, *hidden])))


def is_text(source: Any, kinds: Mapping[str, Kind]) -> bool:
    """Return whether a relation holds texts that `typed` has to parse."""
    if is_spark(source):
        return False
    found = dict(zip(source.columns, source.types, strict=True))
    return any(str(found.get(name)) == "VARCHAR" for name, kind in kinds.items() if kind != "string")


def _trimmed(name: str) -> str:
    column = identifier(name)
    return f"nullif(trim({column}), '') AS {column}"


def _extra(name: str, found: str) -> str:
    """Return an extra column: enumerations as text, NaN as null, the rest as it is."""
    column = identifier(name)
    if found.startswith("ENUM"):
        return f"CAST({column} AS VARCHAR) AS {column}"
    if found in {"FLOAT", "DOUBLE"}:
        return f"CASE WHEN NOT isnan({column}) THEN {column} END AS {column}"
    return column


def _reading(column: str, found: str, kind: Kind) -> tuple[str, str | None]:
    """Return the SQL that reads a column of type ``found`` as ``kind``, and the text of what it could not read."""
    number = found in _INTEGERS or found in {"FLOAT", "DOUBLE"} or found.startswith(("DECIMAL", "HUGEINT"))
    if kind == "string" and found == "BOOLEAN":
        return f"CASE WHEN {column} THEN 'yes' WHEN NOT {column} THEN 'no' END", None
    if kind == "string":
        return (column if found == "VARCHAR" else f"CAST({column} AS VARCHAR)"), None
    if kind == "date" and (found == "DATE" or found.startswith("TIMESTAMP")):
        return (column if found == "DATE" else f"CAST({column} AS DATE)"), None
    if kind in {"integer", "number"} and found in _INTEGERS:
        return f"CAST({column} AS {_SQL_TYPES[kind]})", None
    if number and kind == "number":
        value = f"CAST({column} AS DOUBLE)"
        return f"CASE WHEN isfinite({value}) THEN {value} END", _numeric_text(column)
    if number and kind == "integer":
        value = f"CAST({column} AS DOUBLE)"
        whole = f"isfinite({value}) AND {value} = floor({value}) AND abs({value}) < 9e15"
        return f"CASE WHEN {whole} THEN CAST({column} AS BIGINT) END", _numeric_text(column)
    text = f"nullif(trim(CAST({column} AS VARCHAR)), '')"
    return _PARSERS[kind].format(t=text), text


def _numeric_text(column: str) -> str:
    """Return the text of a number that is not NaN: NaN is missing, infinity is a defect."""
    return f"CASE WHEN NOT isnan(CAST({column} AS DOUBLE)) THEN CAST({column} AS VARCHAR) END"


def _typed_spark(source: Any, kinds: Mapping[str, Kind]) -> nw.LazyFrame[Any]:
    frame = lazy(source)
    found = frame.collect_schema()
    parts = []
    types: dict[Kind, Any] = {"string": nw.String, "integer": nw.Int64, "number": nw.Float64, "date": nw.Date}
    for name, kind in kinds.items():
        if name not in found:
            parts.append(nw.lit(None).cast(types[kind]).alias(name))
            continue
        dtype = found[name]
        fits = {
            "string": dtype == nw.String,
            "integer": dtype.is_integer(),
            "number": dtype.is_numeric(),
            "date": isinstance(dtype, nw.Date | nw.Datetime) or dtype == nw.Date,
        }[kind]
        if not fits:
            msg = f"Spark column '{name}' is {dtype}, expected {kind}; cast it before handing the frame over"
            raise SchemaError(msg)
        value = nw.col(name).cast(types[kind])
        if kind == "number":
            value = nw.when(~value.is_nan()).then(value)
        parts.append(value.alias(name))
    extra = [nw.col(name) for name in found.names() if name not in kinds]
    return frame.select(*parts, *extra, nw.lit(None).cast(nw.Int64).alias(ROW))
