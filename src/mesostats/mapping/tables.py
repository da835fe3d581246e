"""A mapping applied: the files of an export → relations with the canonical columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from mesostats.engine import ROW, identifier, literal
from mesostats.errors import DataError, MappingError, did_you_mean
from mesostats.files import find_file, read_file
from mesostats.mapping import expressions
from mesostats.mapping.model import Column
from mesostats.schemas import table_schema

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mesostats.engine import Engine, Kind
    from mesostats.mapping.model import Checkboxes, Condition, Join, Mapping, Rows, TableMapping

_ORIGIN = "_origin_"
_KEY = "_key_"


@dataclass(frozen=True)
class _Source:
    """Rows to map, and where they come from, for messages."""

    place: str
    relation: duckdb.DuckDBPyRelation

    @property
    def types(self) -> dict[str, str]:
        types = dict(zip(self.relation.columns, map(str, self.relation.types), strict=True))
        types.pop(ROW)
        return types

    def text(self, column: str) -> str:
        types = self.types
        if column not in types:
            msg = f"{self.place}: there is no column '{column}'{did_you_mean(column, types)}"
            raise MappingError(msg)
        return expressions.as_text(column, types[column])

    def project(self, parts: Iterable[str]) -> _Source:
        return _Source(self.place, self.relation.project(", ".join(parts)))

    def kept(self, conditions: list[Condition]) -> _Source:
        if not conditions:
            return self
        tests = [expressions.kept(each, self.text(each.column)) for each in conditions]
        return _Source(self.place, self.relation.filter(" AND ".join(tests)))

    def with_boxes(self, checkboxes: Checkboxes) -> _Source:
        self._check_new([checkboxes.column])
        codes = [
            expressions.checked(self.text(box), checkboxes.checked, code)
            for box, code in checkboxes.boxes.items()
        ]
        name = identifier(checkboxes.column)
        boxes = self.project(["*", f"unnest([{', '.join(codes)}]) AS {name}"])
        return _Source(self.place, boxes.relation.filter(f"{name} IS NOT NULL"))

    def joined(self, join: Join, other: _Source) -> _Source:
        """Return the rows with columns of another source, matched by keys as text."""
        self._check_new(join.columns)
        keys = [f"{other.text(key)} AS {_KEY}{place}" for place, key in enumerate(join.on.values())]
        columns = [f"{identifier(other.name(old))} AS {identifier(new)}" for new, old in join.columns.items()]
        right = other.project([*keys, *columns])
        right.check_keys(len(keys), list(join.on.values()))
        matches = [f"{self.text(key)} = {_KEY}{place}" for place, key in enumerate(join.on)]
        both = self.relation.set_alias("l").join(
            right.relation.set_alias("r"), " AND ".join(matches), how="left"
        )
        return _Source(
            self.place, both.project(", ".join(["l.*", *(identifier(new) for new in join.columns)]))
        )

    def name(self, column: str) -> str:
        self.text(column)
        return column

    def check_keys(self, count: int, names: list[str]) -> None:
        keys = ", ".join(f"{_KEY}{place}" for place in range(count))
        groups = self.relation.aggregate(f"count(*) AS n, {keys}", keys).filter("n > 1")
        missing = " AND ".join(f"{_KEY}{place} IS NOT NULL" for place in range(count))
        [(repeated,)] = groups.filter(missing).aggregate("count(*)").fetchall()
        if repeated:
            msg = (
                f"{self.place}: {repeated} keys of {', '.join(names)} have several rows, a join needs one; "
                "add keep, or a key column"
            )
            raise DataError(msg)

    def _check_new(self, names: Iterable[str]) -> None:
        known = {column.casefold() for column in self.types} | {ROW}
        for name in names:
            if name.casefold() in known:
                msg = f"{self.place}: the new column '{name}' is in the file already; give it another name"
                raise MappingError(msg)
            known.add(name.casefold())


class Export:
    """A foreign export: its files, each read once, and the tables that a mapping makes of them.

    Parameters
    ----------
    source
        The folder, or the one file.
    mapping
        What to make of it.
    engine
        Where the tables live.
    """

    def __init__(self, source: Path, mapping: Mapping, engine: Engine) -> None:
        self._folder, self._mapping, self._engine = source, mapping, engine
        self._read: dict[tuple[Path, str | None], duckdb.DuckDBPyRelation] = {}

    def table(self, name: str) -> duckdb.DuckDBPyRelation:
        """Return one canonical table, its texts still to be typed.

        Raises
        ------
        MappingError
            If the mapping names a column that its file does not have.
        DataError
            If a file cannot be read.
        """
        table = self._mapping.tables[name]
        try:
            source = self._source(name, table)
            columns, extra = table.columns, _extra(table, source)
            mapped = self._mapped(source, name, columns, extra, table.constants)
            return self._engine.keep(_once(mapped.relation, table))
        except duckdb.Error:
            # The engine's message may quote a cell.
            msg = f"table '{name}' cannot be mapped as declared; check its date formats and templates"
            raise MappingError(msg) from None

    def _source(self, name: str, table: TableMapping) -> _Source:
        source = self._rows(table, f"table '{name}'")
        for join in table.join:
            other = self._rows(join, f"join of table '{name}'").kept(join.keep)
            source = source.joined(join, other)
        if table.checkboxes is not None:
            source = source.with_boxes(table.checkboxes)
        return source.kept(table.keep)

    def _rows(self, rows: Rows, place: str) -> _Source:
        path = find_file(self._folder, rows.file)
        if (path, rows.sheet) not in self._read:
            self._read[path, rows.sheet] = read_file(
                path,
                self._engine,
                sheet=rows.sheet,
                encoding=self._mapping.encoding,
                delimiter=self._mapping.delimiter,
            )
        return _Source(f"{place}, file '{path.name}'", self._read[path, rows.sheet])

    def _mapped(
        self,
        source: _Source,
        name: str,
        columns: dict[str, Column],
        extra: dict[str, Column],
        constants: dict[str, str],
    ) -> _Source:
        """Take each column's steps: first the texts, then dates and numbers of them."""
        kinds = table_schema(name).kinds
        wanted = columns | extra
        texts = [f"{_text(source, column)} AS {identifier(new)}" for new, column in wanted.items()]
        texts += [
            f"{source.text(day)} AS {identifier(_ORIGIN + new)}" for new, day in _origins(wanted).items()
        ]
        texts += [f"{literal(value)} AS {identifier(new)}" for new, value in constants.items()]
        staged = source.project([*texts, ROW])
        values = [
            self._value(staged, new, column, kinds.get(new, "string")) for new, column in wanted.items()
        ]
        return staged.project([*values, *map(identifier, constants), ROW])

    def _value(self, staged: _Source, new: str, column: Column, kind: Kind) -> str:
        name = identifier(new)
        if staged.types[new] != "VARCHAR":
            return name
        if kind == "date":
            date_format = column.date_format or self._mapping.date_format
            if column.study_day_from is not None:
                origin = expressions.as_date(identifier(_ORIGIN + new), date_format)
                return f"{expressions.as_day_of(name, origin)} AS {name}"
            return f"{expressions.as_date(name, date_format)} AS {name}"
        if kind in {"integer", "number"}:
            decimal = column.decimal or self._mapping.decimal
            return f"{expressions.as_number(name, decimal, column.unit_factor)} AS {name}"
        return name


def _text(source: _Source, column: Column) -> str:
    """Return a column's cells: as they are where they have a type of their own and nothing is to be done, else as text."""
    if column.template is not None:
        return expressions.recoded(f"({expressions.from_template(column.template, source.text)})", column)
    name = column.source or ""
    text = source.text(name)
    typed = source.types[name]
    is_date = typed == "DATE" or typed.startswith("TIMESTAMP")
    untouched = column.plain or (is_date and column.model_fields_set <= {"source", "date_format"})
    return identifier(name) if untouched and typed != "VARCHAR" else expressions.recoded(text, column)


def _origins(columns: dict[str, Column]) -> dict[str, str]:
    return {
        new: column.study_day_from for new, column in columns.items() if column.study_day_from is not None
    }


def _extra(table: TableMapping, source: _Source) -> dict[str, Column]:
    """Return the extra columns; those that would hide a canonical one are refused."""
    if isinstance(table.extra, dict):
        extra = table.extra
    else:
        used = {column.source for column in table.columns.values()}
        names = [name for name in source.types if name not in used] if table.extra else []
        extra = {name: Column.model_validate(name) for name in names}
    taken = {name.casefold() for name in (*table.columns, *table.constants)}
    for name in extra:
        if name.casefold() in taken:
            msg = f"{source.place}: the extra column '{name}' is mapped already; give it another name"
            raise MappingError(msg)
        taken.add(name.casefold())
    return extra


def _once(relation: duckdb.DuckDBPyRelation, table: TableMapping) -> duckdb.DuckDBPyRelation:
    """Count rows once that are equal in all columns but the earliest and latest dates."""
    if not table.unique:
        return relation
    chosen = dict.fromkeys([*table.earliest, ROW], "min") | dict.fromkeys(table.latest, "max")
    parts = [
        f"{chosen[name]}({identifier(name)}) AS {identifier(name)}" if name in chosen else identifier(name)
        for name in relation.columns
    ]
    groups = [identifier(name) for name in relation.columns if name not in chosen]
    return relation.aggregate(", ".join(parts), ", ".join(groups))
