"""Findings: what one rule found in one column, the first rows listed and all of them counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import pandas as pd

from mesostats.engine import ROW, collect
from mesostats.validation.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mesostats.validation.rules import Rule

LISTED: Final = 1000
"""How many rows a rule lists of one column; all are counted."""

_MASK: Final = "…"


@dataclass(frozen=True)
class Finding:
    """What one rule found in one column of one table.

    Parameters
    ----------
    rule
        The rule.
    table, column
        Where.
    listed
        The first rows: ``row``, ``key`` and what the rule's templates name.
    n
        The number of all rows.
    """

    rule: Rule
    table: str
    column: str
    listed: pd.DataFrame
    n: int

    def defects(self) -> pd.DataFrame:
        """Return the listed rows as defects, with the rule's texts filled in."""
        records = [
            {name: show(value) for name, value in each.items()} | {"column": self.column}
            for each in self.listed.to_dict("records")
        ]
        return pd.DataFrame(
            {
                "table": self.table,
                "row": self.listed["row"].astype("Int64").array,
                "key": self.listed["key"].astype("string").array,
                "rule": self.rule.code,
                "number": pd.array([self.rule.number] * len(records), dtype="Int64"),
                "severity": self.rule.severity,
                "column": self.column,
                "found": [self.rule.found.format_map(each) for each in records],
                "action": [self.rule.action.format_map(each) for each in records],
            }
        )


class _Masked(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return _MASK


def masked(template: str, column: str) -> str:
    """Return a template without the values of the row.

    Examples
    --------
    >>> masked("Correct the value; {column} is {limits}.", "pain_nrs")
    'Correct the value; pain_nrs is ….'
    """
    return template.format_map(_Masked(column=column))


def show(value: Any) -> str:
    """Return a value as a person reads it: dates without a time, whole numbers without a point, missing as ``?``.

    Examples
    --------
    >>> show(pd.Timestamp("2024-03-04")), show(3.0), show(None)
    ('2024-03-04', '3', '?')
    """
    if pd.isna(value):
        return "?"
    if isinstance(value, pd.Timestamp):
        return str(value)[:10]
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def marks(key: str | None) -> list[nw.Expr]:
    """Return the two columns that point at a row: its number and its key."""
    name = nw.lit(None).cast(nw.String) if key is None else nw.col(key)
    return [nw.col(ROW).alias("row"), name.alias("key")]


def look(
    code: str, table: str, column: str, rows: nw.LazyFrame[Any], *, values: Mapping[str, str] | None = None
) -> Iterator[Finding]:
    """Run a rule's query and yield its finding, if there is one.

    Parameters
    ----------
    code
        The rule.
    table, column
        Where it looks.
    rows
        The rows that break the rule: ``row``, ``key`` and what the rule's templates name.
    values
        What the templates name and is the same in each row.
    """
    listed = collect(rows.sort("row", "key").head(LISTED + 1))
    if listed.empty:
        return
    n = len(listed) if len(listed) <= LISTED else int(collect(rows.select(n=nw.len()))["n"].iloc[0])
    yield Finding(RULES[code], table, column, listed.head(LISTED).assign(**(values or {})), n)
