"""Files → a data set: the clinic's own tables as they are, or a foreign export through a mapping."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from mesostats.dataset import Dataset
from mesostats.engine import ROW, Engine, identifier, literal
from mesostats.errors import DataError
from mesostats.files import find_table, is_file, is_workbook, read_file, sheets
from mesostats.mapping.loading import load_mapping, mapping_path
from mesostats.mapping.tables import Export
from mesostats.schemas import REQUIRED_TABLES, TABLES

if TYPE_CHECKING:
    import datetime as dt

    from mesostats.mapping.model import Mapping
    from mesostats.vocabulary import Vocabulary


def read(
    source: str | Path,
    *,
    mapping: str | Path | None = None,
    vocabulary: Vocabulary | str | Path | None = None,
    cutoff: dt.date | str | None = None,
) -> Dataset:
    """Read a clinic's files.

    Parameters
    ----------
    source
        A folder with one file a table (``patients.csv``, ``courses.parquet``, ``sessions.xlsx``, …; Parquet may be a
        folder of parts), or one workbook with a sheet a table. With a mapping: the folder or file of the export.
    mapping
        A mapping file, or the name of a shipped mapping, for files that are not in the canonical form.
    vocabulary
        A loaded vocabulary or an overlay; that of the mapping by default.
    cutoff
        The data-cut date; that of the mapping, or the latest date in the data, by default.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        If a file is absent or cannot be read.
    MappingError, SchemaError, VocabularyError
        If the mapping, a table's columns or the vocabulary overlay are wrong or do not fit the files.

    Notes
    -----
    Cells of text files are read as text and typed once; what cannot be read stays known and is reported by validation.
    """
    folder, engine = Path(source), Engine()
    if mapping is None:
        return _dataset(folder, engine, _canonical(folder, engine), vocabulary=vocabulary, cutoff=cutoff)
    content = load_mapping(mapping)
    if vocabulary is None and content.vocabulary is not None:
        vocabulary = _overlay(mapping_path(mapping), content.vocabulary)
    tables = _mapped(folder, content, engine)
    cutoff = cutoff or content.cutoff
    return _dataset(folder, engine, tables, vocabulary=vocabulary, cutoff=cutoff, endpoint=content.endpoint)


def _dataset(source: Path, engine: Engine, tables: dict[str, Any], **settings: Any) -> Dataset:
    try:
        return Dataset(**tables, **settings, engine=engine)
    except duckdb.Error:
        # Parquet is read lazily, so that a damaged part shows only here.
        msg = f"a file of '{source.name}' is damaged and cannot be read to its end; export it again"
        raise DataError(msg) from None


def _mapped(source: Path, mapping: Mapping, engine: Engine) -> dict[str, Any]:
    is_file(source)
    export = Export(source, mapping, engine)
    return {name: export.table(name) for name in mapping.tables}


def _overlay(mapping: Path, vocabulary: str) -> str | Path:
    """Return the overlay of a mapping: the folder beside it, else a shipped one."""
    shipped = Path(str(files("mesostats.data") / "vocabulary" / vocabulary))
    beside = mapping.parent / vocabulary
    return next((folder for folder in (beside, shipped) if folder.is_dir()), vocabulary)


def _canonical(source: Path, engine: Engine) -> dict[str, Any]:
    if is_file(source):
        return _from_workbook(source, engine)
    paths = {name: find_table(source, name) for name in TABLES}
    for name in REQUIRED_TABLES:
        if paths[name] is None:
            msg = (
                f"folder '{source.name}' has no file of the table '{name}': expected {name}.csv, .parquet, .xlsx or .xpt; "
                "files in another form need a mapping"
            )
            raise DataError(msg)
    return {name: _table(path, engine) for name, path in paths.items() if path is not None}


def _from_workbook(path: Path, engine: Engine) -> dict[str, Any]:
    if not is_workbook(path):
        msg = f"'{path.name}' is one file: give the folder of the tables, a workbook with a sheet a table, or a mapping"
        raise DataError(msg)
    found = {sheet.casefold(): sheet for sheet in sheets(path)}
    return {name: read_file(path, engine, sheet=found[name]) for name in TABLES if name in found}


def _table(path: Path, engine: Engine) -> duckdb.DuckDBPyRelation:
    relation = read_file(path, engine)
    if path.suffix.lower() != ".csv":
        return relation
    # `Dataset.write` sets a ' before what a spreadsheet would run; it is no part of the text.
    quoted = literal("^'([=+@-])")
    parts = [
        f"regexp_replace({identifier(column)}, {quoted}, '\\1') AS {identifier(column)}"
        for column in relation.columns
        if column != ROW
    ]
    return relation.project(", ".join([*parts, ROW]))
