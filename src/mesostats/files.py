"""Foreign files as relations on an engine: CSV, Parquet, xlsx and SAS transport files.

The cells of a CSV stay text, those of the other formats keep their types; each row carries its record number. What cannot
be read is one clear `DataError`, never a traceback, and never holds what stands in a cell.
"""

from __future__ import annotations

import codecs
import csv
import glob
import re
import tempfile
import warnings
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import openpyxl
import pandas as pd
import pyreadstat

from mesostats.engine import ROW
from mesostats.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesostats.engine import Engine

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".xlsx", ".xlsm", ".xpt")
"""The files that can be read; ``.parquet`` may be a folder of parts."""

_TEXTS = frozenset({".csv", ".tsv", ".txt"})
_WORKBOOKS = frozenset({".xlsx", ".xlsm"})
_DELIMITERS = ",;\t|"
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def find_table(folder: Path, name: str) -> Path | None:
    """Return the file of the table ``name`` in a folder, or None.

    Raises
    ------
    DataError
        If two files could be it.
    """
    found = [path for path in _readable(folder) if path.stem.casefold() == name.casefold()]
    if len(found) > 1:
        names = " and ".join(f"'{path.name}'" for path in found)
        msg = f"two files for the table '{name}': {names}; keep one"
        raise DataError(msg)
    return found[0] if found else None


def find_file(source: Path, pattern: str) -> Path:
    """Return the one file of a folder whose name fits a pattern; where ``source`` is itself a file, that file.

    Raises
    ------
    DataError
        If no file fits, or several do.
    """
    candidates = [source] if is_file(source) else _readable(source)
    found = [path for path in candidates if fnmatch(path.name.casefold(), pattern.casefold())]
    if not found:
        msg = f"'{source.name}' holds no file '{pattern}'{did_you_mean(pattern, (path.name for path in candidates))}"
        raise DataError(msg)
    if len(found) > 1:
        names = ", ".join(f"'{path.name}'" for path in found)
        msg = f"several files in '{source.name}' fit '{pattern}': {names}; name one"
        raise DataError(msg)
    return found[0]


def is_file(source: Path) -> bool:
    """Return whether a source is one file (a folder of Parquet parts counts as one), and not a folder of files.

    Raises
    ------
    DataError
        If it is not there.
    """
    if not source.exists():
        msg = f"'{source}' is not there; give a folder of files, or a file"
        raise DataError(msg)
    return source.is_file() or source.suffix.lower() == ".parquet"


def _readable(folder: Path) -> list[Path]:
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        msg = f"folder '{folder.name}' cannot be read: {error.strerror}"
        raise DataError(msg) from None
    return [
        path for path in paths if path.suffix.lower() in SUFFIXES and not path.name.startswith((".", "~$"))
    ]


def read_file(
    path: Path,
    engine: Engine,
    *,
    sheet: str | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
) -> duckdb.DuckDBPyRelation:
    """Read one file as a relation with record numbers.

    Parameters
    ----------
    path
        A file with one of `SUFFIXES`, or a folder of Parquet parts.
    engine
        Where the relation lives.
    sheet
        The sheet of a workbook; its first one by default.
    encoding
        Of a text file or a SAS transport file; a byte order mark is believed before it.
    delimiter
        Of a text file; by default the one of comma, semicolon, tab and bar that its header line holds most often.

    Returns
    -------
    duckdb.DuckDBPyRelation
        The columns of the file and ``_row``, the record number from 1.

    Raises
    ------
    DataError
        If the file cannot be read; the message names the file, what was found and what to do.
    """
    suffix = path.suffix.lower()
    if suffix in _TEXTS:
        return _read_text(path, engine, encoding=encoding, delimiter=delimiter)
    if suffix == ".parquet":
        relation = engine.parquet(path)
        _check_header(path, [column for column in relation.columns if column != ROW])
        return relation
    if suffix in _WORKBOOKS:
        return engine.frame(_read_sheet(path, sheet))  # type: ignore[no-any-return]
    if suffix == ".xpt":
        return engine.frame(_read_transport(path, encoding))  # type: ignore[no-any-return]
    msg = f"'{path.name}' is of no kind that can be read; save it as one of {', '.join(SUFFIXES)}"
    raise DataError(msg)


def read_header(path: Path, engine: Engine) -> list[str]:
    """Return the column names of a file; a text file is not read further.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    if path.suffix.lower() in _TEXTS:
        return _header(path, _encoding(path, "utf-8"), None)[0]
    return [column for column in read_file(path, engine).columns if column != ROW]


def sheets(path: Path) -> list[str]:
    """Return the names of a workbook's sheets.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    with _workbook(path) as book:
        return list(book.sheetnames)


def is_workbook(path: Path) -> bool:
    """Return whether a file is a workbook, by its name.

    Examples
    --------
    >>> is_workbook(Path("clinic.xlsx"))
    True
    """
    return path.suffix.lower() in _WORKBOOKS


def _check_header(path: Path, header: list[str]) -> None:
    """Refuse columns without a name, or that SQL could not tell apart."""
    if not any(header):
        msg = f"'{path.name}' is empty: its first row must name the columns"
        raise DataError(msg)
    seen: dict[str, int] = {}
    for place, name in enumerate(header, start=1):
        if not name:
            msg = f"'{path.name}': column {place} has no name; name it or delete it"
            raise DataError(msg)
        if name.casefold() == ROW:
            msg = f"'{path.name}': the column name '{name}' is reserved; rename it"
            raise DataError(msg)
        if name.casefold() in seen:
            msg = f"'{path.name}': columns {seen[name.casefold()]} and {place} are both called '{name}'; rename one"
            raise DataError(msg)
        seen[name.casefold()] = place


def _read_text(
    path: Path, engine: Engine, *, encoding: str, delimiter: str | None
) -> duckdb.DuckDBPyRelation:
    encoding = _encoding(path, encoding)
    header, delimiter = _header(path, encoding, delimiter)
    with _as_utf8(path, encoding) as readable:
        try:
            relation = engine.connection.read_csv(
                glob.escape(str(readable)),
                delimiter=delimiter,
                quotechar='"',
                escapechar='"',
                header=True,
                columns=dict.fromkeys(header, "VARCHAR"),
                auto_detect=False,
                strict_mode=True,
            )
            return engine.numbered(relation)
        except duckdb.Error as error:
            # The engine's own message quotes the line, and with it a patient.
            raise DataError(_text_fault(path.name, str(error))) from None


def _encoding(path: Path, declared: str) -> str:
    """Return the encoding of a text file: a byte order mark is proof, the declaration comes after it."""
    try:
        with path.open("rb") as handle:
            start = handle.read(4)
    except OSError as error:
        msg = f"'{path.name}' cannot be read: {error.strerror}"
        raise DataError(msg) from None
    return next((encoding for mark, encoding in _MARKS.items() if start.startswith(mark)), declared)


def _header(path: Path, encoding: str, delimiter: str | None) -> tuple[list[str], str]:
    """Return the column names of a text file, and its delimiter."""
    try:
        with path.open(encoding=encoding, newline="") as handle:
            if delimiter is None:
                first = re.sub(r'"[^"]*"', "", handle.readline())
                delimiter = max(_DELIMITERS, key=first.count)
                handle.seek(0)
            header = [name.strip() for name in next(csv.reader(handle, delimiter=delimiter, strict=True), [])]
    except UnicodeError:
        raise DataError(_wrong_encoding(path.name, encoding)) from None
    except csv.Error:
        msg = f"'{path.name}': the header line cannot be read as CSV; save the file as CSV again"
        raise DataError(msg) from None
    _check_header(path, header)
    return header, delimiter


def _wrong_encoding(name: str, encoding: str) -> str:
    return (
        f"'{name}' is not {encoding} text; save it as CSV in UTF-8, "
        "or declare its encoding in a mapping (encoding: cp1252, for example)"
    )


@contextmanager
def _as_utf8(path: Path, encoding: str) -> Iterator[Path]:
    """Give the path of the same text in UTF-8: the file itself, or a copy that is deleted afterwards."""
    if encoding.lower().replace("_", "-") in {"utf-8", "utf8", "utf-8-sig"} and not _old_line_ends(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="mesostats-") as folder:
        copy = Path(folder) / "copy.csv"
        try:
            with (
                path.open(encoding=encoding) as source,
                copy.open("w", encoding="utf-8", newline="\n") as target,
            ):
                while block := source.read(1 << 20):
                    target.write(block)
        except UnicodeError:
            raise DataError(_wrong_encoding(path.name, encoding)) from None
        yield copy


def _old_line_ends(path: Path) -> bool:
    """Return whether lines end in a bare carriage return, as old spreadsheets write them."""
    with path.open("rb") as handle:
        start = handle.read(1 << 16)
    return b"\r" in start and b"\n" not in start


def _text_fault(name: str, message: str) -> str:
    """Say in our words, without the line itself, what the engine found."""
    line = re.search(r"on Line: (\d+)", message)
    where = f"'{name}', line {line[1]}" if line else f"'{name}'"
    if "Invalid unicode" in message:
        return f"{where}: {_wrong_encoding(name, 'utf-8')}"
    cells = re.findall(r"Expected Number of Columns: (\d+) Found: (\d+)", message)
    if cells:
        expected, found = cells[-1]
        return (
            f"{where}: {found} cells where the header has {expected}; "
            'put a cell that holds the delimiter or a line end in "double quotes"'
        )
    if "unterminated quote" in message:
        return f'{where}: a quote is opened and not closed, or text follows it; double it inside a cell ("")'
    return f"{where}: cannot be read as CSV (mixed line ends, or a cell of more than 2 MB?); save it as CSV again"


@contextmanager
def _workbook(path: Path) -> Iterator[Any]:
    with warnings.catch_warnings():
        # openpyxl warns of styles and validations, which no table needs.
        warnings.simplefilter("ignore")
        try:
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        except Exception:  # noqa: BLE001 - on foreign bytes the parsers below raise errors of any kind
            msg = f"'{path.name}' is not a readable workbook; save it as xlsx again"
            raise DataError(msg) from None
        try:
            yield book
        finally:
            book.close()


def _read_sheet(path: Path, sheet: str | None) -> pd.DataFrame:
    with _workbook(path) as book:
        known = [each.title for each in book.worksheets]
        if not known or (sheet is not None and sheet not in known):
            msg = f"workbook '{path.name}' has no sheet '{sheet or 1}'{did_you_mean(sheet or '', known)}"
            raise DataError(msg)
        try:
            page = book[sheet or known[0]]
            page.reset_dimensions()  # some programs write wrong ones, and rows would be lost
            rows = [list(row) for row in page.iter_rows(values_only=True)]
        except Exception:  # noqa: BLE001 - as above: cells are parsed only now
            msg = f"sheet '{sheet or known[0]}' of '{path.name}' cannot be read; save the workbook again"
            raise DataError(msg) from None
    return _framed(path, rows)


def _framed(path: Path, rows: list[list[Any]]) -> pd.DataFrame:
    """Return the rows of a sheet under their header; blank rows and the blank columns behind the last are no data."""
    header = ["" if cell is None else str(cell).strip() for cell in rows[0]] if rows else []
    while header and not header[-1]:
        header.pop()
    _check_header(path, header)
    width = len(header)
    for place, row in enumerate(rows[1:], start=2):
        if any(cell is not None for cell in row[width:]):
            msg = f"'{path.name}', row {place}: a cell stands right of the last named column; name it or delete it"
            raise DataError(msg)
    body = [(row + [None] * width)[:width] for row in rows[1:] if any(cell is not None for cell in row)]
    return pd.DataFrame(body, columns=pd.Index(header), dtype=object)


def _read_transport(path: Path, encoding: str) -> pd.DataFrame:
    try:
        frame, _ = pyreadstat.read_xport(str(path), encoding=None if encoding == "utf-8" else encoding)
    except Exception:  # noqa: BLE001 - the C library reports foreign bytes by errors of many kinds
        msg = (
            f"'{path.name}' is not a readable SAS transport file (version 5 or 8); export it again, or as CSV"
        )
        raise DataError(msg) from None
    _check_header(path, [str(column) for column in frame.columns])
    return frame
