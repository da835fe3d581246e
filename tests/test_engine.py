"""The engine: every kind of frame means the same, nothing is guessed, days are integers."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesostats.engine import ROW, TEXT, Engine, check_column_names, collect, day_number, lazy, typed
from mesostats.errors import DataError, SchemaError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def engine() -> Engine:
    return Engine()


def _read(engine: Engine, frame: object, kinds: dict[str, str]) -> pd.DataFrame:
    return collect(typed(engine.frame(frame), kinds))


@pytest.mark.parametrize(
    "make",
    [
        pd.DataFrame,
        pl.DataFrame,
        pl.LazyFrame,
        pa.table,
        lambda columns: nw.from_native(pl.DataFrame(columns)),
    ],
    ids=["pandas", "polars", "polars-lazy", "pyarrow", "narwhals"],
)
def test_frame_reads_every_kind_of_frame_alike(engine: Engine, make: object) -> None:
    columns = {"course_id": ["C1", " ", None], "depth_mm": [1.5, None, 2.0]}
    read = _read(engine, make(columns), {"course_id": "string", "depth_mm": "number"})
    assert read["course_id"].tolist()[0] == "C1"
    assert read["course_id"].isna().tolist() == [False, True, True]  # an empty text is missing
    assert read["depth_mm"].isna().tolist() == [False, True, False]
    assert read[ROW].tolist() == [1, 2, 3]


def test_frame_of_another_type_is_refused(engine: Engine) -> None:
    with pytest.raises(TypeError, match="found list"):
        engine.frame([1, 2])


def test_nan_of_pandas_is_missing_and_infinity_is_a_defect(engine: Engine) -> None:
    read = _read(engine, pd.DataFrame({"depth_mm": [np.nan, np.inf, 1.0]}), {"depth_mm": "number"})
    assert read["depth_mm"].isna().tolist() == [True, True, False]
    assert read[TEXT + "depth_mm"].isna().tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("2024-03-04", "date", dt.date(2024, 3, 4)),
        ("2024-03-04T10:15:00", "date", dt.date(2024, 3, 4)),
        ("03/04/2024", "date", None),
        ("2024-02-30", "date", None),
        ("45355", "date", None),
        ("20240304", "date", None),
        ("12", "integer", 12),
        ("12.0", "integer", 12),
        ("12.5", "integer", None),
        ("1e3", "number", 1000.0),
        ("-.5", "number", -0.5),
        ("2,5", "number", None),
        ("nan", "number", None),
        ("1_000", "number", None),
        ("0x10", "number", None),
    ],
)
def test_typed_reads_texts_strictly(engine: Engine, text: str, kind: str, value: object) -> None:
    read = _read(engine, pd.DataFrame({"x": [text]}), {"x": kind}).iloc[0]
    if value is None:
        assert pd.isna(read["x"])
        assert read[TEXT + "x"] == text
    else:
        assert read["x"] == (pd.Timestamp(value) if kind == "date" else value)
        assert pd.isna(read[TEXT + "x"])


def test_typed_keeps_a_whole_float_as_integer_and_names_the_other(engine: Engine) -> None:
    read = _read(engine, pd.DataFrame({"n": [2.0, 2.5, np.nan]}), {"n": "integer"})
    assert read["n"].tolist()[0] == 2
    assert read[TEXT + "n"].tolist()[1] == "2.5"
    assert read[TEXT + "n"].isna().tolist() == [True, False, True]


def test_typed_turns_booleans_into_yes_and_no(engine: Engine) -> None:
    read = _read(engine, pd.DataFrame({"asked": [True, False, None]}), {"asked": "string"})
    assert read["asked"].tolist()[:2] == ["yes", "no"]
    assert pd.isna(read["asked"].iloc[2])


def test_typed_adds_absent_columns_and_keeps_extra_ones(engine: Engine) -> None:
    frame = pd.DataFrame({"extra": pd.Categorical(["a"]), "more": [np.nan]})
    read = _read(engine, frame, {"date": "date", "n": "integer"})
    assert list(read.columns) == ["date", "n", "extra", "more", ROW]
    assert read["extra"].tolist() == ["a"]
    assert read[["date", "n", "more"]].isna().all(axis=None)


def test_a_column_of_mixed_types_becomes_text(engine: Engine) -> None:
    read = _read(engine, pd.DataFrame({"n": [1, "two"]}), {"n": "integer"})
    assert read["n"].tolist()[0] == 1
    assert read[TEXT + "n"].tolist()[1] == "two"


def test_the_callers_frame_is_unchanged(engine: Engine) -> None:
    frame = pd.DataFrame({"n": [1.0, np.nan], "t": [" a", None]})
    before = frame.copy(deep=True)
    _read(engine, frame, {"n": "integer", "t": "string"})
    pd.testing.assert_frame_equal(frame, before)


@given(st.dates(dt.date(1800, 1, 1), dt.date(2200, 12, 31)))
def test_day_number_equals_the_calendar(day: dt.date) -> None:
    frame = nw.from_native(pa.table({"d": [day]}))
    number = frame.select(day_number(nw.col("d")))["d"][0]
    assert number == (day - dt.date(1970, 1, 1)).days


def test_day_number_on_duckdb_around_leap_days(engine: Engine) -> None:
    days = pd.date_range("1999-12-25", "2004-03-05").date
    frame = lazy(engine.frame(pa.table({"d": days})))
    numbers = collect(frame.select(day_number(nw.col("d")), ROW)).sort_values(ROW)["d"]
    assert numbers.diff().dropna().eq(1).all()
    assert numbers.iloc[0] == (days[0] - dt.date(1970, 1, 1)).days


@pytest.mark.parametrize(
    ("columns", "message"),
    [(["n", "N"], "differ only in case"), (["_row"], "reserved")],
)
def test_check_column_names_refuses_what_sql_cannot_tell_apart(columns: list[str], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        check_column_names("sessions", columns)


def test_parquet_stays_lazy_and_numbers_its_rows(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "sessions.parquet"
    folder.mkdir()
    for part in (1, 2):
        pd.DataFrame({"x": [part]}).to_parquet(folder / f"part{part}.parquet")
    read = engine.parquet(folder)
    assert sorted(read.columns) == [ROW, "x"]
    assert sorted(row[0] for row in read.project("x").fetchall()) == [1, 2]


@pytest.mark.parametrize("content", [b"", b"PAR1 not really"])
def test_parquet_that_is_none_is_one_clear_line(engine: Engine, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sessions.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"'sessions\.parquet' is not a readable Parquet file"):
        engine.parquet(path)


def test_empty_parquet_folder_is_one_clear_line(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no Parquet file"):
        engine.parquet(tmp_path)
