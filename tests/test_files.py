from __future__ import annotations

import csv
import datetime as dt
import io
import sys
import unicodedata
from typing import TYPE_CHECKING, Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesostats.engine import ROW, Engine
from mesostats.errors import DataError
from mesostats.files import find_file, find_table, is_file, read_file, read_header, sheets

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


def rows(path: Path, engine: Engine, **arguments: Any) -> list[tuple[Any, ...]]:
    relation = read_file(path, engine, **arguments)
    assert relation.columns[-1] == ROW
    return sorted(relation.fetchall(), key=lambda row: row[-1])


@pytest.mark.parametrize(
    "content",
    [
        b"id,words\n1,a\n2,b\n",
        b"id;words\n1;a\n2;b\n",
        b"id\twords\n1\ta\n2\tb\n",
        b"id|words\n1|a\n2|b",
        b"\xef\xbb\xbfid,words\n1,a\n2,b\n",
        b"id,words\r\n1,a\r\n2,b\r\n",
        b"id,words\r1,a\r2,b\r",
        b"id,words\n1,a\n\n2,b\n\n",
        b' id ,"words"\n"1",a\n"2","b"\n',
        "id,words\n1,a\n2,b\n".encode("utf-16"),
    ],
    ids=["comma", "semicolon", "tab", "bar", "bom", "crlf", "cr", "blank lines", "quoted", "utf-16"],
)
def test_read_file_reads_every_common_form_of_csv(tmp_path: Path, engine: Engine, content: bytes) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes(content)
    assert read_file(path, engine).columns == ["id", "words", ROW]
    assert rows(path, engine) == [("1", "a", 1), ("2", "b", 2)]
    assert read_header(path, engine) == ["id", "words"]


def test_read_file_keeps_line_ends_and_quotes_within_cells(tmp_path: Path, engine: Engine) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes(b'id,words\r\n1,"two\nlines, ""quoted"""\r\n2,x\r\n')
    assert rows(path, engine) == [("1", 'two\nlines, "quoted"', 1), ("2", "x", 2)]


def test_read_file_takes_no_delimiter_from_a_quoted_column_name(tmp_path: Path, engine: Engine) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes(b'id;"pain, itch, heat"\n1;2\n')
    assert read_header(path, engine) == ["id", "pain, itch, heat"]


def test_read_file_reads_a_declared_encoding(tmp_path: Path, engine: Engine) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes("id,words\n1,Rötung €\n".encode("cp1252"))
    assert rows(path, engine, encoding="cp1252") == [("1", "Rötung €", 1)]
    with pytest.raises(DataError, match=r"'export.csv' is not utf-8 text; .* declare its encoding"):
        read_file(path, engine)


def test_read_file_finds_bad_bytes_far_behind_the_header(tmp_path: Path, engine: Engine) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes(b"id,words\n" + b"1,plain\n" * 50_000 + b"2,R\xf6tung\n")
    with pytest.raises(DataError, match=r"'export.csv', line 50002: .* is not utf-8 text"):
        read_file(path, engine)


def test_read_file_reads_names_that_look_like_patterns(tmp_path: Path, engine: Engine) -> None:
    (tmp_path / "export[1].csv").write_bytes(b"id\n1\n")
    (tmp_path / "export1.csv").write_bytes(b"id\n2\n")
    assert rows(tmp_path / "export[1].csv", engine) == [("1", 1)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n1,2\n", "is empty"),
        (b"id,,words\n1,2,3\n", "column 2 has no name"),
        (b"id,words,ID\n1,2,3\n", "columns 1 and 3 are both called 'ID'"),
        (b"id,_row\n1,2\n", "'_row' is reserved"),
        (b"id,words\n1,a\nSECRET\n", "line 3: 1 cells where the header has 2"),
        (b"id,words\n1,a\n2,b\n3,SECRET,c\n", "line 4: 3 cells where the header has 2"),
        (b'id,words\n1,"SECRET\n2,b\n', "line 2: a quote is opened and not closed"),
        (b'id,words\n1,"SECRET" b\n', "line 2: a quote is opened"),
        (b'id,"words" b\n1,2\n', "the header line cannot be read"),
        (b"id,words\r\n1,SECRET\n2,b\r\n", "mixed line ends"),
        (b"id,words\n1," + b"SECRET" * 500_000 + b"\n", "more than 2 MB"),
    ],
)
def test_read_file_says_what_is_wrong_with_a_csv_and_shows_no_cell(
    tmp_path: Path, engine: Engine, content: bytes, message: str
) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"'export.csv'.*{message}") as caught:
        read_file(path, engine)
    assert "SECRET" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("name", ["broken.xlsx", "broken.xpt", "broken.parquet", "broken.csv"])
@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\x00\xff", b"PK\x03\x04\xff", b"PAR1\xff\xffPAR1"])
def test_read_file_names_a_file_that_is_not_what_it_says(
    tmp_path: Path, engine: Engine, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"'{name}'"):
        read_file(path, engine)


def test_read_file_refuses_a_kind_that_it_cannot_read(tmp_path: Path, engine: Engine) -> None:
    with pytest.raises(
        DataError, match=r"'notes.pdf' is of no kind that can be read; save it as one of .csv"
    ):
        read_file(tmp_path / "notes.pdf", engine)


def test_read_file_of_a_missing_file(tmp_path: Path, engine: Engine) -> None:
    for name in ("no.csv", "no.xlsx", "no.xpt", "no.parquet"):
        with pytest.raises(DataError, match=f"'{name}'"):
            read_file(tmp_path / name, engine)


BLANKS = "".join(c for c in map(chr, range(sys.maxunicode)) if unicodedata.category(c) == "Zs")
cells = st.text(st.characters(blacklist_categories=["Cs", "Cc"]) | st.sampled_from('\n",; '), max_size=8)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=5)
)


@given(table=tables, delimiter=st.sampled_from(",;\t|"))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_read_file_loses_no_row_of_a_well_formed_csv(
    tmp_path: Path, engine: Engine, table: list[list[str]], delimiter: str
) -> None:
    path = tmp_path / "export.csv"
    header = [f"c{place}" for place in range(len(table[0]))]
    with path.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(
            [header, *table]
        )
    read = rows(path, engine, delimiter=delimiter)
    # Outer blanks are no part of a text.
    assert [[cell or "" for cell in row[:-1]] for row in read] == [
        [cell.strip(BLANKS) for cell in row] for row in table
    ]


def test_read_file_reads_a_workbook_by_its_types(tmp_path: Path, engine: Engine) -> None:
    book = openpyxl.Workbook()
    book.active.title = "notes"
    sheet = book.create_sheet("visits")
    for row in (
        ["id", "day", "value", "mixed", None],
        [1, dt.datetime(2024, 3, 4), 1.5, 7],  # noqa: DTZ001 - a spreadsheet knows no time zones
        [None, None, None, None],
        [2, None, 2, "x"],
    ):
        sheet.append(row)
    book.save(tmp_path / "clinic.xlsx")
    found = rows(tmp_path / "clinic.xlsx", engine, sheet="visits")
    # The blank row is no record; a column of numbers and words is words.
    assert found == [(1, dt.datetime(2024, 3, 4), 1.5, "7", 1), (2, None, 2.0, "x", 2)]  # noqa: DTZ001
    assert sheets(tmp_path / "clinic.xlsx") == ["notes", "visits"]
    with pytest.raises(DataError, match="no sheet 'visit'; did you mean 'visits'"):
        read_file(tmp_path / "clinic.xlsx", engine, sheet="visit")
    with pytest.raises(DataError, match=r"'clinic.xlsx' is empty"):
        read_file(tmp_path / "clinic.xlsx", engine)


def test_read_file_does_not_take_a_serial_number_among_dates_for_a_date(
    tmp_path: Path, engine: Engine
) -> None:
    """Arrow reads the integer as microseconds since 1970; it must stay what stands in the cell."""
    book = openpyxl.Workbook()
    for row in (["day"], [dt.datetime(2024, 3, 4)], [45000]):  # noqa: DTZ001
        book.active.append(row)
    book.save(tmp_path / "clinic.xlsx")
    assert rows(tmp_path / "clinic.xlsx", engine) == [("2024-03-04 00:00:00", 1), ("45000", 2)]


cell_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8", blacklist_categories=["Cc", "Cs"]), max_size=5),
    st.datetimes(dt.datetime(1900, 3, 1), dt.datetime(9999, 12, 31)),  # noqa: DTZ001
    st.times(),
    st.timedeltas(dt.timedelta(0), dt.timedelta(days=9)),
)


@given(values=st.lists(cell_values, max_size=5))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_read_file_reads_a_workbook_column_of_any_values(
    tmp_path: Path, engine: Engine, values: list[Any]
) -> None:
    book = openpyxl.Workbook()
    for row in [["id", "cell"], *([place, value] for place, value in enumerate(values))]:
        book.active.append(row)
    book.save(tmp_path / "any.xlsx")
    assert [row[0] for row in rows(tmp_path / "any.xlsx", engine)] == list(range(len(values)))


def test_read_file_refuses_a_workbook_cell_without_a_column(tmp_path: Path, engine: Engine) -> None:
    book = openpyxl.Workbook()
    for row in (["id"], [1], [2, "SECRET"]):
        book.active.append(row)
    book.save(tmp_path / "clinic.xlsx")
    with pytest.raises(DataError, match="row 3: a cell stands right of the last named column") as caught:
        read_file(tmp_path / "clinic.xlsx", engine)
    assert "SECRET" not in str(caught.value)


def test_read_file_reads_sas_transport_dates_as_dates(tmp_path: Path, engine: Engine) -> None:
    frame = pd.DataFrame({"USUBJID": ["01", "02"], "AVAL": [1.5, None], "ADT": [dt.date(2014, 1, 2), None]})
    pyreadstat.write_xport(frame, str(tmp_path / "adqs.xpt"), file_format_version=5)
    assert rows(tmp_path / "adqs.xpt", engine) == [("01", 1.5, dt.date(2014, 1, 2), 1), ("02", None, None, 2)]
    assert read_header(tmp_path / "adqs.xpt", engine) == ["USUBJID", "AVAL", "ADT"]


def test_read_file_reads_parquet_parts_lazily_with_their_types(tmp_path: Path, engine: Engine) -> None:
    folder = tmp_path / "visits.parquet"
    folder.mkdir()
    for part, days in enumerate([[1, 2], [3]]):
        pq.write_table(pa.table({"day": days}), folder / f"part-{part}.parquet")
    assert sorted(row[0] for row in read_file(folder, engine).fetchall()) == [1, 2, 3]
    (tmp_path / "empty.parquet").mkdir()
    with pytest.raises(DataError, match=r"'empty.parquet' holds no Parquet file"):
        read_file(tmp_path / "empty.parquet", engine)


def test_find_table_takes_one_file_a_table(tmp_path: Path) -> None:
    for name in ("Sessions.csv", "patients.parquet", "~$patients.xlsx", "sessions.pdf"):
        (tmp_path / name).touch()
    assert find_table(tmp_path, "sessions") == tmp_path / "Sessions.csv"
    assert find_table(tmp_path, "patients") == tmp_path / "patients.parquet"
    assert find_table(tmp_path, "courses") is None
    (tmp_path / "sessions.parquet").touch()
    with pytest.raises(
        DataError, match=r"two files for the table 'sessions': 'Sessions.csv' and 'sessions.parquet'"
    ):
        find_table(tmp_path, "sessions")


def test_find_file_needs_exactly_one(tmp_path: Path) -> None:
    for name in ("clinic_2024-01-01.csv", "clinic_2024-02-01.csv", "sites.csv"):
        (tmp_path / name).touch()
    assert find_file(tmp_path, "clinic_2024-02-*.csv").name == "clinic_2024-02-01.csv"
    assert find_file(tmp_path / "sites.csv", "*") == tmp_path / "sites.csv"
    with pytest.raises(DataError, match=r"several files .* fit 'clinic_\*.csv'"):
        find_file(tmp_path, "clinic_*.csv")
    with pytest.raises(DataError, match=r"no file 'site.csv'; did you mean 'sites.csv'"):
        find_file(tmp_path, "site.csv")


def test_is_file_of_a_missing_source(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not there; give a folder"):
        is_file(tmp_path / "exports")


def _valid(kind: str) -> bytes:
    """Return a small valid file, to be damaged."""
    buffer = io.BytesIO()
    if kind == "xlsx":
        book = openpyxl.Workbook()
        for row in (["id", "value"], [1, 2.5], ["x", None]):
            book.active.append(row)
        book.save(buffer)
    elif kind == "parquet":
        pq.write_table(pa.table({"id": ["a", "b"], "value": [1.0, None]}), buffer)
    else:
        buffer.write(b'id;value\n1;"a ""b"""\n2;x\n')
    return buffer.getvalue()


def complaint(path: Path, engine: Engine) -> str:
    """Return what reading a file complains of, or its name where it could be read; any other error passes through."""
    try:
        read_file(path, engine)
    except DataError as error:
        return str(error)
    return path.name


damage = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=3)), min_size=1, max_size=4
)


def _damaged(content: bytes, changes: list[tuple[float, bytes]]) -> bytes:
    for place, new in changes:
        at = int(place * len(content))
        content = content[:at] + new + content[at + len(new) :]
    return content


@pytest.mark.parametrize("kind", ["xlsx", "parquet", "csv"])
@given(changes=damage)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_read_file_of_a_damaged_file_raises_nothing_but_data_error(
    tmp_path: Path, engine: Engine, kind: str, changes: list[tuple[float, bytes]]
) -> None:
    path = tmp_path / f"damaged.{kind}"
    path.write_bytes(_damaged(_valid(kind), changes))
    assert path.name in complaint(path, engine)


@pytest.mark.parametrize("suffix", ["xlsx", "parquet", "csv", "xpt"])
@given(content=st.binary(max_size=200))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_read_file_of_any_bytes_raises_nothing_but_data_error(
    tmp_path: Path, engine: Engine, suffix: str, content: bytes
) -> None:
    path = tmp_path / f"random.{suffix}"
    path.write_bytes(content)
    assert path.name in complaint(path, engine)


@given(changes=damage)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_read_file_of_a_damaged_transport_file_raises_nothing_but_data_error(
    tmp_path: Path, engine: Engine, changes: list[tuple[float, bytes]]
) -> None:
    path = tmp_path / "damaged.xpt"
    pyreadstat.write_xport(
        pd.DataFrame({"ID": ["a", "b"], "VALUE": [1.0, None]}), str(path), file_format_version=5
    )
    path.write_bytes(_damaged(path.read_bytes(), changes))
    assert path.name in complaint(path, engine)
