"""Row rules: each cell against its table's contract, by pandera, a record batch (on Spark: a partition) at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import pandas as pd
import pyarrow as pa

from mesostats.engine import ROW, TEXT, is_spark
from mesostats.errors import did_you_mean
from mesostats.schemas import table_schema
from mesostats.validation.contracts import broken, pandera, schema_from
from mesostats.validation.findings import LISTED, Finding, show
from mesostats.validation.rules import RULES
from mesostats.validation.tables import checked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mesostats.dataset import Dataset

_BATCH: Final = 200_000
_ANSWERS: Final = ("yes", "no", "not_asked")
_ANSWER_COLUMNS: Final = {"courses": "contraindications", "sessions": "care_rules"}
_BOUNDS: Final = {
    "greater_than": ("above", "min_value"),
    "greater_than_or_equal_to": ("at least", "min_value"),
    "less_than": ("below", "max_value"),
    "less_than_or_equal_to": ("at most", "max_value"),
}
_CASES: Final = ["row", "key", "rule", "column", "value"]
_SPARK_CASES: Final = "row bigint, key string, rule string, column string, value string"


@dataclass(frozen=True)
class RowRules:
    """The row rules of one table, as plain data that travel to a Spark worker.

    Parameters
    ----------
    table
        The table.
    codes
        Pairs of a column and the codes that it may hold, beyond those in the table's contract.
    """

    table: str
    codes: tuple[tuple[str, tuple[str, ...]], ...]


def row_rules(clinic: Dataset, table: str) -> RowRules:
    """Return the row rules of a table with the clinic's vocabulary."""
    schema, vocabulary = table_schema(table), clinic.vocabulary
    codes = {
        column: vocabulary.codes(name)
        for column, name in schema.vocabularies.items()
        if name not in vocabulary.open
    }
    if table in _ANSWER_COLUMNS:
        columns = clinic.columns(table)
        own = [name for name in vocabulary.codes(_ANSWER_COLUMNS[table]) if name not in schema.kinds]
        codes |= {name: _ANSWERS for name in own if name in columns}
    return RowRules(table, tuple(codes.items()))


@cache
def _schema(rules: RowRules) -> pandera.DataFrameSchema:
    """Build the pandera schema of the columns that have anything to check."""
    schema = schema_from(table_schema(rules.table).text)
    for column, codes in rules.codes:
        allowed = pandera.Check.isin(codes)
        if column in schema.columns:
            schema = schema.update_column(column, checks=[*schema.columns[column].checks, allowed])
        else:
            own = pandera.Column("string[pyarrow]", checks=allowed, nullable=True, required=True)
            schema = schema.add_columns({column: own})
    idle = [name for name, each in schema.columns.items() if not each.checks and each.nullable]
    return schema.remove_columns(idle)


def check_rows(clinic: Dataset, table: str) -> Iterator[Finding]:
    """Check each row of a table against its contract.

    Parameters
    ----------
    clinic
        The clinic.
    table
        One of its tables.

    Yields
    ------
    Finding
        Of the rules ``missing_value``, ``unknown_code`` and ``out_of_range``, one a column.
    """
    rules = row_rules(clinic, table)
    frame = checked(clinic, table)
    native = _checked_columns(frame, rules).to_native()
    if is_spark(native):
        found = native.mapInPandas(partial(failures, rules=rules), schema=_SPARK_CASES)
        yield from _spark_findings(rules, found.cache())
        return
    reader = native.to_arrow_reader(_BATCH)
    batches = (batch.to_pandas(types_mapper=_arrow_types) for batch in reader)
    yield from _findings(rules, failures(batches, rules))


def _checked_columns(frame: nw.LazyFrame[Any], rules: RowRules) -> nw.LazyFrame[Any]:
    """Select what the rules read: an overlay's own columns may come in any type, and are read as text."""
    there, schema, key = frame.collect_schema().names(), _schema(rules), table_schema(rules.table).key
    canonical = table_schema(rules.table).kinds
    columns = dict.fromkeys([*schema.columns, *([key] if key else []), ROW])
    own = [nw.col(name).cast(nw.String) for name in columns if name not in canonical and name != ROW]
    hidden = [TEXT + name for name in schema.columns if TEXT + name in there]
    return frame.select(*(name for name in columns if name in canonical or name == ROW), *own, *hidden)


def _arrow_types(kind: pa.DataType) -> Any:
    return pd.StringDtype("pyarrow") if pa.types.is_string(kind) else pd.ArrowDtype(kind)


def failures(batches: Iterable[pd.DataFrame], rules: RowRules) -> Iterator[pd.DataFrame]:
    """Check batches of rows; this is what runs on a Spark worker too.

    Parameters
    ----------
    batches
        Frames with the columns to check, the key, the hidden row number and the hidden texts.
    rules
        The rules of their table.

    Yields
    ------
    pandas.DataFrame
        One row a failing cell: ``row, key, rule, column, value``.
    """
    schema = _schema(rules)
    types = {name: str(column.dtype) for name, column in schema.columns.items()}
    for batch in batches:
        typed = batch.reset_index(drop=True).astype(types)
        cases = broken(schema, typed)
        if cases is not None:
            yield _cases(cases, typed, table_schema(rules.table).key)


def _cases(cases: pd.DataFrame, batch: pd.DataFrame, key: str | None) -> pd.DataFrame:
    """Return pandera's failure cases as rows of the table, without cells whose text could not be read at all."""
    cases = cases.assign(column=cases["column"].astype(str), index=cases["index"].astype(int))
    unread = pd.Series(data=False, index=cases.index)
    for column in cases["column"].unique():
        if TEXT + column in batch:
            texts = batch[TEXT + column].notna()
            unread |= (cases["column"] == column) & texts.reindex(cases["index"]).to_numpy(dtype=bool)
    cases = cases[~unread]
    places = cases["index"].to_numpy()
    names = cases["check"].astype(str)
    rule = names.map(lambda name: _rule(name.split("(")[0]))
    return pd.DataFrame(
        {
            "row": batch[ROW].astype("Int64").array[places],
            "key": batch[key].astype("string").array[places] if key else pd.NA,
            "rule": rule.array,
            "column": cases["column"].array,
            "value": [show(value) for value in cases["failure_case"]],
        }
    ).astype({"key": "string"})[_CASES]


def _rule(check: str) -> str:
    return {"not_nullable": "missing_value", "isin": "unknown_code"}.get(check, "out_of_range")


def _findings(rules: RowRules, found: Iterable[pd.DataFrame]) -> Iterator[Finding]:
    """Gather batches: the first rows of each rule and column, and the number of all."""
    listed: dict[tuple[str, str], pd.DataFrame] = {}
    counts: dict[tuple[str, str], int] = {}
    for batch in found:
        for (code, column), part in batch.groupby(["rule", "column"], sort=False):
            place = (str(code), str(column))
            counts[place] = counts.get(place, 0) + len(part)
            listed[place] = pd.concat([listed[place], part] if place in listed else [part]).head(LISTED)
    for (code, column), part in listed.items():
        yield Finding(RULES[code], rules.table, column, _explained(rules, column, part), counts[code, column])


def _spark_findings(rules: RowRules, found: Any) -> Iterator[Finding]:
    for group in found.groupBy("rule", "column").count().collect():
        part = found.filter((found["rule"] == group["rule"]) & (found["column"] == group["column"]))
        listed = _explained(rules, group["column"], part.limit(LISTED).toPandas())
        yield Finding(RULES[group["rule"]], rules.table, group["column"], listed, group["count"])


def _explained(rules: RowRules, column: str, part: pd.DataFrame) -> pd.DataFrame:
    """Add what the rules' texts name: the nearest code, the limits of the column."""
    checks = _schema(rules).columns[column].checks
    codes = [code for check in checks if check.name == "isin" for code in check.statistics["allowed_values"]]
    bounds = [(*_BOUNDS[check.name], check.statistics) for check in checks if check.name in _BOUNDS]
    near = {value: did_you_mean(value, codes) for value in part["value"].unique()}
    limits = " and ".join(f"{words} {statistics[name]:g}" for words, name, statistics in bounds)
    return part.assign(near=[near[value] for value in part["value"]], limits=limits)
