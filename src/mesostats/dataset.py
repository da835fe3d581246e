"""Dataset: a clinic's tables on one engine, with their vocabulary and data-cut date."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import duckdb
import narwhals as nw
import pandas as pd

from mesostats.coding import Coder
from mesostats.engine import (
    ROW,
    TEXT,
    Engine,
    check_column_names,
    collect,
    identifier,
    is_text,
    literal,
    typed,
)
from mesostats.errors import DataError, SchemaError, did_you_mean
from mesostats.schemas import REQUIRED_TABLES, TABLES, table_schema
from mesostats.subsets import belonging_to, started_between, with_values
from mesostats.vocabulary import Vocabulary, load_vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable

CODING = "_coding"
"""Hidden column of adverse_events: null as recorded, else how the verbatim was read: coded, uncoded, no_event."""


class Dataset:
    """A clinic's tables, typed and lazy, on one engine.

    Parameters
    ----------
    patients, courses, sessions
        The tables that every clinic has: pandas, Polars, PyArrow or DuckDB frames, or Spark frames (all of them).
    products, outcomes, adverse_events
        Tables that an analysis may need.
    vocabulary
        A loaded vocabulary or an overlay folder; the shipped vocabulary by default.
    cutoff
        The data-cut date. By default the latest date in the data that is not after today.
    endpoint
        The day after the first session on which reports read response, where the data's mapping declares one.
    truth
        True values, for a simulated clinic.

    Raises
    ------
    DataError
        If a required table is absent.
    SchemaError
        If a table lacks a required column.

    Notes
    -----
    An adverse event without a code is coded from its verbatim, one row an event (`mesostats.coding`); the verbatim stays,
    and validation tells what was done.

    Examples
    --------
    >>> import pandas as pd
    >>> clinic = Dataset(
    ...     patients=pd.DataFrame({"patient_id": ["P1"]}),
    ...     courses=pd.DataFrame(
    ...         {"course_id": ["C1"], "patient_id": ["P1"], "indication": ["melasma"], "start_date": ["2024-01-01"]}
    ...     ),
    ...     sessions=pd.DataFrame(
    ...         {"session_id": ["S1"], "course_id": ["C1"], "date": ["2024-01-03"], "status": ["attended"]}
    ...     ),
    ... )
    >>> clinic.cutoff
    datetime.date(2024, 1, 3)
    """

    def __init__(
        self,
        *,
        patients: Any = None,
        courses: Any = None,
        sessions: Any = None,
        products: Any = None,
        outcomes: Any = None,
        adverse_events: Any = None,
        vocabulary: Vocabulary | str | Path | None = None,
        cutoff: dt.date | str | None = None,
        endpoint: int | None = None,
        truth: pd.DataFrame | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.engine = engine or Engine()
        self.vocabulary = vocabulary if isinstance(vocabulary, Vocabulary) else load_vocabulary(vocabulary)
        self.endpoint = endpoint
        self.truth = truth
        given = (patients, courses, sessions, products, outcomes, adverse_events)
        self._frames = {
            name: self._prepare(name, data)
            for name, data in zip(TABLES, given, strict=True)
            if data is not None
        }
        for name in REQUIRED_TABLES:
            self.require(name)
        self.cutoff = self._latest_date() if cutoff is None else _date(cutoff)
        self._derived: dict[str, Any] = {}

    def _prepare(self, name: str, data: Any) -> nw.LazyFrame[Any]:
        schema = table_schema(name)
        source = data if _numbered(data) else self.engine.frame(data, table=name)
        columns = [column for column in source.columns if column != ROW]
        check_column_names(name, columns)
        for column in schema.required:
            if column not in columns:
                msg = f"table '{name}' has no column '{column}'{did_you_mean(column, columns)}"
                raise SchemaError(msg)
        frame = typed(source, schema.kinds)
        if is_text(source, schema.kinds):
            frame = self.engine.materialise(frame)  # texts are parsed once, not in each query
        return self._coded(frame) if name == "adverse_events" else frame

    def _coded(self, events: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        """Code the verbatims of events without a term: the distinct texts are read once, then joined back."""
        events = events.with_columns(nw.lit(None).cast(nw.String).alias(CODING))
        uncoded = events.filter(nw.col("term").is_null() & ~nw.col("verbatim").is_null())
        texts = collect(uncoded.select("verbatim").unique())["verbatim"]
        if texts.empty:
            return events
        codings = self.engine.small(_codings(texts, Coder(self.vocabulary.adverse_events)), events)
        order = events.collect_schema().names()
        read = (
            uncoded.drop("term", CODING)
            .join(codings, on="verbatim", how="left")
            .with_columns(event_id=nw.concat_str("event_id", "suffix"))
            .select(order)
        )
        rest = events.filter(~nw.col("term").is_null() | nw.col("verbatim").is_null())
        both = nw.concat([rest, read], how="vertical").sort(ROW, "event_id")  # joins keep no order
        return self.engine.materialise(both)

    def _latest_date(self) -> dt.date:
        """Return the latest date that is not after today: a typing error must not move the data cut into the future."""
        today = dt.datetime.now(tz=dt.UTC).date()
        found: list[dt.date] = []
        for name, frame in self._frames.items():
            dates = table_schema(name).dates()
            if dates:
                latest = [
                    nw.when(nw.col(date) <= today).then(nw.col(date)).max().alias(date) for date in dates
                ]
                found += [
                    value.date() for value in collect(frame.select(latest)).iloc[0] if not pd.isna(value)
                ]
        if not found:
            msg = "the data hold no date that can be read; give cutoff= (the data-cut date)"
            raise DataError(msg)
        return max(found)

    @property
    def names(self) -> tuple[str, ...]:
        """The tables that are there."""
        return tuple(self._frames)

    def require(self, name: str) -> None:
        """Raise DataError where the table ``name`` is absent."""
        if name not in self._frames:
            msg = f"the table '{name}' is absent; there are: {', '.join(self._frames) or 'none'}"
            raise DataError(msg)

    def checked(self, name: str) -> nw.LazyFrame[Any]:
        """Return a table with its hidden columns, for validation."""
        self.require(name)
        return self._frames[name]

    def lazy(self, name: str) -> nw.LazyFrame[Any]:
        """Return a table as a narwhals lazy frame on the engine; verbatims that say "none" are no events."""
        return self._rows(name).select(self.columns(name))

    def _rows(self, name: str) -> nw.LazyFrame[Any]:
        """Return a table with its hidden columns, without the verbatims that say "none"."""
        frame = self.checked(name)
        if name == "adverse_events":
            frame = frame.filter(nw.col(CODING).is_null() | (nw.col(CODING) != "no_event"))
        return frame

    def columns(self, name: str) -> list[str]:
        """Return the columns of a table, canonical ones first."""
        return [
            column for column in self.checked(name).collect_schema().names() if not column.startswith("_")
        ]

    def table(self, name: str) -> pd.DataFrame:
        """Return a table as a pandas frame, for one's own questions.

        Raises
        ------
        DataError
            If the table is absent.
        """
        return collect(self.lazy(name))

    def table_of(
        self, column: str, *, among: tuple[str, ...] = ("patients", "courses", "sessions", "products")
    ) -> str:
        """Return the first table of ``among`` that has the column ``column``.

        Raises
        ------
        ValueError
            If none has it; the message names the nearest.
        """
        known: list[str] = []
        for name in among:
            if name in self._frames:
                columns = self.columns(name)
                if column in columns:
                    return name
                known += columns
        msg = f"no column '{column}' in {', '.join(among)}{did_you_mean(column, set(known))}"
        raise ValueError(msg)

    def recorded(self, column: str) -> bool:
        """Return whether any row of the first table with the column (patients, courses, sessions, products) has a value."""
        tables = ("patients", "courses", "sessions", "products")
        homes = [name for name in tables if name in self._frames and column in self.columns(name)]
        return bool(homes) and not collect(self.lazy(homes[0]).drop_nulls(column).head(1)).empty

    def derive(self, key: str, build: Callable[[], nw.LazyFrame[Any]]) -> nw.LazyFrame[Any]:
        """Return a derived frame, computed once and kept on the engine."""
        if key not in self._derived:
            self._derived[key] = self.engine.materialise(build())
        return self._derived[key]  # type: ignore[no-any-return]

    def has_derived(self, key: str) -> bool:
        """Return whether a frame was derived already."""
        return key in self._derived

    def with_cutoff(self, cutoff: dt.date | str) -> Self:
        """Return the same clinic as it was known at another data-cut date."""
        other = object.__new__(type(self))
        other.__dict__ = self.__dict__ | {"cutoff": _date(cutoff), "_derived": {}}
        return other

    def where(
        self, *, started: tuple[dt.date | str | None, dt.date | str | None] | None = None, **values: Any
    ) -> Self:
        """Return the clinic with some of its courses only, and with what belongs to them.

        Parameters
        ----------
        started
            The first and the last start date of the courses that are kept; None leaves a side open.
        **values
            A column of courses or patients, and the value or values that it shall have; None for not recorded.

        Returns
        -------
        Dataset
            The courses that fit all conditions, their patients, sessions, products, outcomes and adverse events. The data cut stays;
            a simulated clinic's truth, which is that of all courses, does not come along. A patient's other courses are
            gone: an analysis across courses no longer sees them.

        Raises
        ------
        ValueError
            If neither table has such a column, no row such a value, or a date is no date.

        Examples
        --------
        >>> import mesostats as ms
        >>> clinic = ms.simulate(100, seed=1)
        >>> melasma = clinic.where(indication="melasma", started=("2024-01-01", None))
        >>> melasma.table("courses")["indication"].unique().tolist()
        ['melasma']
        """
        courses = self._frames["courses"]
        if started is not None:
            first, last = (None if day is None else _date(day) for day in started)
            courses = started_between(courses, first, last)
        for column, wanted in values.items():
            table = self.table_of(column, among=("courses", "patients"))
            rows = with_values(self._frames[table], column, wanted, table=table)
            key = "course_id" if table == "courses" else "patient_id"
            courses = courses.join(rows.select(key).unique(), on=key, how="semi")
        other = object.__new__(type(self))
        frames = belonging_to(courses, self._frames)
        other.__dict__ = self.__dict__ | {"_frames": frames, "_derived": {}, "truth": None}
        return other

    def write(self, folder: str | Path, *, file_format: Literal["parquet", "csv"] = "parquet") -> Path:
        """Write the tables into a folder, all of them or none.

        Parameters
        ----------
        folder
            Made if it is not there; a folder with files of the same tables is refused.
        file_format
            In CSV, a text that a spreadsheet would run as a formula (it begins with ``= + @``, or with ``-`` and is no number) gets a
        leading ``'``. A cell that could not be read is written as it stood, its column as text.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        FileExistsError
            If a table's file is there already.
        """
        target = Path(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        for name in self._frames:
            if (target / f"{name}.{file_format}").exists():
                msg = f"'{target / f'{name}.{file_format}'}' exists already; choose another folder"
                raise FileExistsError(msg)
        scratch = Path(tempfile.mkdtemp(prefix=".mesostats-", dir=target.parent))
        try:
            for name in self._frames:
                self._write_table(name, scratch / f"{name}.{file_format}")
            target.mkdir(exist_ok=True)
            for part in sorted(scratch.iterdir()):
                os.replace(part, target / part.name)  # noqa: PTH105 - atomic on every platform
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return target

    def _write_table(self, name: str, path: Path) -> None:
        frame = self._as_given(name)
        native = frame.to_native()
        if not isinstance(native, duckdb.DuckDBPyRelation):
            native = self.engine.connection.from_arrow(frame.collect("pyarrow").to_native())
        if path.suffix == ".parquet":
            native.write_parquet(str(path))
            return
        kinds = dict(zip(native.columns, native.types, strict=True))
        parts = [
            _neutralised(column) if str(kind) == "VARCHAR" else identifier(column)
            for column, kind in kinds.items()
        ]
        native.project(", ".join(parts)).write_csv(str(path))

    def _as_given(self, name: str) -> nw.LazyFrame[Any]:
        """Return a table in which a cell that could not be read stands as its text; that makes text of its column."""
        rows, columns = self._rows(name), self.columns(name)
        there = rows.collect_schema().names()
        hidden = [TEXT + column for column in columns if TEXT + column in there]
        counts = collect(rows.select(nw.col(*hidden).count())).iloc[0] if hidden else pd.Series(dtype="int64")
        return rows.select(
            nw.coalesce(nw.col(column).cast(nw.String), nw.col(TEXT + column)).alias(column)
            if counts.get(TEXT + column, 0)
            else nw.col(column)
            for column in columns
        )


def _numbered(data: Any) -> bool:
    return isinstance(data, duckdb.DuckDBPyRelation) and ROW in data.columns


def _date(value: dt.date | str) -> dt.date:
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        msg = f"a date is YYYY-MM-DD, found '{value}'"
        raise ValueError(msg) from None


def _codings(texts: pd.Series[str], coder: Coder) -> pd.DataFrame:
    """Return one row a text and event: the term, how it was read, and what makes the event's id unique."""
    rows: list[tuple[str, str | None, str, str]] = []
    for text in texts:
        terms = coder.code(text).terms
        if not terms:
            rows.append((text, None, "no_event", ""))
        for place, term in enumerate(terms, start=1):
            rows.append((text, term, "coded" if term else "uncoded", f"/{place}" if len(terms) > 1 else ""))
    frame = pd.DataFrame(rows, columns=["verbatim", "term", CODING, "suffix"])
    return frame.astype(dict.fromkeys(frame.columns, "string"))


def _neutralised(column: str) -> str:
    name = identifier(column)
    formula = f"regexp_matches({name}, '^-') AND TRY_CAST({name} AS DOUBLE) IS NULL"
    risky = f"regexp_matches({name}, '^[=+@]') OR {formula}"
    return f"CASE WHEN {risky} THEN {literal(chr(39))} || {name} ELSE {name} END AS {name}"
