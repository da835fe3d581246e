"""The report as a whole: order, counts, many defects, degenerate and random tables, other engines."""

from __future__ import annotations

import math
import sys
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from small_clinic import Tables, cell, clean_tables, rules, spoiled

from mesostats.dataset import Dataset
from mesostats.errors import MesostatsError
from mesostats.schemas import TABLES, table_schema
from mesostats.simulation import simulate, simulate_tables
from mesostats.validation import validate
from mesostats.validation.rows import failures, row_rules
from mesostats.validation.rules import RULES

COLUMNS = ["table", "row", "key", "rule", "number", "severity", "column", "found", "action"]


def many_defects(tables: Tables) -> None:
    cell("products", 1, lot=None)(tables)
    cell("sessions", 9, volume_ml=3.0)(tables)
    cell("adverse_events", 1, term=None, verbatim="none")(tables)
    cell("courses", 1, pregnancy="yes")(tables)


def test_defects_stand_in_order_of_severity_table_and_row() -> None:
    report = spoiled(many_defects)
    assert report.defects.columns.to_list() == COLUMNS
    assert report.defects["rule"].to_list() == [
        "treated_despite_contraindication",
        "dose_without_visit",
        "missing_lot",
        "no_event",
    ]
    assert report.counts["n"].to_list() == [1, 1, 1, 1]
    assert repr(report) == "<ValidationReport: 2 errors, 1 warning, 1 note.>"


def test_validate_changes_nothing_and_says_the_same_twice() -> None:
    tables = clean_tables()
    many_defects(tables)
    before = {name: frame.copy() for name, frame in tables.items()}
    clinic = Dataset(**tables)
    first, second = validate(clinic), validate(clinic)
    assert_frame_equal(first.defects, second.defects)
    for name, frame in tables.items():
        assert_frame_equal(frame, before[name])


def test_rule_lists_the_first_thousand_and_counts_all() -> None:
    def change(tables: Tables) -> None:
        row = tables["products"].tail(1)
        tables["products"] = pd.concat([row] * 1500, ignore_index=True).assign(
            lot=None, substance_class="vitamins"
        )

    report = spoiled(change)
    counts = report.counts.set_index("rule")
    assert counts.loc["missing_lot", ["n", "n_listed"]].to_list() == [1500, 1000]
    assert counts.loc["unknown_code", ["n", "n_listed"]].to_list() == [1500, 1000]
    listed = report.defects[report.defects["rule"] == "missing_lot"]["row"]
    assert listed.to_list() == list(range(1, 1001))


def test_all_twelve_defects_have_a_rule() -> None:
    assert {rule.number for rule in RULES.values()} - {None} == set(range(1, 13))


def test_validate_finds_the_twelve_planted_defects_and_nothing_else() -> None:
    simulation = simulate_tables(120, seed=3, scenario="textbook", defects=True)
    report = validate(simulate(120, seed=3, scenario="textbook", defects=True))
    assert set(report.counts["number"].dropna()) == set(range(1, 13))
    assert report.counts["number"].notna().all()
    # The free text of defect 9 names two side effects, each of which becomes a row of its own.
    found = report.defects.assign(key=report.defects["key"].str.split("/").str[0]).drop_duplicates(
        ["number", "key"]
    )
    planted = simulation.planted.set_axis(["number", "table", "key", "description"], axis="columns")
    where = ["number", "table", "key"]
    assert sorted(found[where].to_numpy().tolist()) == sorted(planted[where].to_numpy().tolist())


def test_simulated_clinic_with_perfect_records_is_clean() -> None:
    assert validate(simulate(120, seed=4, scenario="textbook")).counts.empty


def test_empty_tables_are_clean() -> None:
    tables = {name: frame.head(0) for name, frame in clean_tables().items()}
    assert validate(Dataset(**tables, cutoff="2024-01-01")).defects.empty


def test_columns_without_a_value_miss_what_is_required() -> None:
    tables = {name: frame.assign(**dict.fromkeys(frame.columns)) for name, frame in clean_tables().items()}
    report = validate(Dataset(**tables, cutoff="2024-01-01"))
    missing = report.defects[report.defects["rule"] == "missing_value"]
    for name in tables:
        schema = table_schema(name)
        required = {column for column in schema.required if column != "value"}
        assert set(missing.loc[missing["table"] == name, "column"]) == required
    assert rules(report) == {"missing_value", "missing_lot", "event_uncoded"}


def test_large_tables_follow_the_same_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables above a size are read from their source each time; the result is the same."""
    small = spoiled(many_defects)
    monkeypatch.setattr("mesostats.validation.tables._SMALL", 0)
    assert_frame_equal(spoiled(many_defects).defects, small.defects)


def test_failures_takes_frames_of_plain_objects() -> None:
    """On Spark the batches arrive as objects and floats, without row numbers."""
    clinic = Dataset(**clean_tables())
    batch = clinic.table("sessions").astype(object).assign(_row=None)
    batch.loc[3, "status"] = "gone"
    found = pd.concat(failures(iter([batch, batch.head(3)]), row_rules(clinic, "sessions")))
    assert found[["key", "rule", "column", "value"]].to_numpy().tolist() == [
        ["S4", "unknown_code", "status", "gone"]
    ]
    assert found["row"].isna().all()


@pytest.mark.filterwarnings("ignore:PySpark does not yet:FutureWarning", "ignore::ResourceWarning")
def test_validate_runs_on_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    sql = pytest.importorskip("pyspark.sql")
    try:
        session = (
            sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
        )
    except Exception:  # noqa: BLE001 - whatever keeps Java from starting
        pytest.skip("Spark does not start here")
    tables = clean_tables()
    many_defects(tables)
    frames = {}
    for name, table in Dataset(**tables)._frames.items():
        columns = [column for column in table.collect_schema().names() if not column.startswith("_")]
        rows = table.select(columns).to_native().fetchall()
        sql_types = {"string": "string", "integer": "bigint", "number": "double", "date": "date"}
        kinds = table_schema(name).kinds
        schema = ", ".join(f"{column} {sql_types[kinds[column]]}" for column in columns)
        frames[name] = session.createDataFrame(rows, schema=schema)
    spark = validate(Dataset(**frames))
    compared = ["table", "key", "rule", "column", "found"]
    expected = spoiled(many_defects).defects[compared]
    assert sorted(map(str, spark.defects[compared].to_numpy())) == sorted(map(str, expected.to_numpy()))


junk = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.booleans(),
    st.sampled_from(
        ["0000-01-01", "9999-12-31", "1,5", "-", "=1", "1e999", "attended", "yes", "S1", "C1", "masi", "{x}"]
    ),
    st.dates(),
    st.datetimes(),
)


@st.composite
def random_tables(draw: st.DrawFn) -> dict[str, pd.DataFrame]:
    tables = {}
    for name in TABLES:
        schema, n = table_schema(name), draw(st.integers(0, 4))
        optional = draw(st.sets(st.sampled_from([*schema.kinds, "own", "other remark"]), max_size=4))
        columns = dict.fromkeys([*schema.required, *optional])
        tables[name] = pd.DataFrame(
            {column: draw(st.lists(junk, min_size=n, max_size=n)) for column in columns}
        )
    return tables


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables=random_tables())
def test_random_tables_raise_nothing_but_named_errors(tables: dict[str, Any]) -> None:
    try:
        report = validate(Dataset(**tables, cutoff="2024-01-01"))
    except (MesostatsError, ValueError):
        return
    assert not math.isnan(report.counts["n"].sum())
    assert report.to_html().startswith("<div")
    assert len(report.redacted().defects) == len(report.defects)
