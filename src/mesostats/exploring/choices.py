"""What a clinic's data offer to choose from: values to filter on, columns to group by."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import pandas as pd

from mesostats.engine import collect
from mesostats.layout import readable
from mesostats.populations import NOT_RECORDED, PHASE, labels
from mesostats.schemas import TABLES, table_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesostats.dataset import Dataset
    from mesostats.exploring.questions import Question

FILTERS: Final = ("indication", "protocol", "arm", "clinic_id")
"""The columns of courses that the panel filters on, where the data have two values or more."""

_MOST_GROUPS: Final = 12
_COME_OUT: Final = frozenset({"status", "end_reason", "session_number", "pain_nrs", "downtime_days"})
"""What a course or session came to: to group by it would be to look into the future."""
_KEYS: Final = frozenset(str(table_schema(name).key) for name in TABLES)
_GROUPED: Final = ("courses", "patients", "sessions", "products")


def filter_options(clinic: Dataset) -> dict[str, dict[str, Any]]:
    """Return, for each column that can be filtered on, what the reader chooses → the value.

    Examples
    --------
    >>> import mesostats as ms
    >>> filter_options(ms.simulate(200, seed=1))["arm"]
    {'A': 'A', 'B': 'B', 'not recorded': None}
    """
    there = [column for column in FILTERS if column in clinic.columns("courses")]
    counts = collect(clinic.lazy("courses").group_by(there).agg(_courses=nw.len()))
    found = {column: counts.groupby(column, dropna=False)["_courses"].sum() for column in there}
    names = labels(clinic, there)
    return {
        column: _options(values.index, names.get(column, {}))
        for column, values in found.items()
        if len(values) > 1
    }


def _options(values: pd.Index[Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return label → value in the order of the labels; what was not recorded comes last."""
    codes = [value for value in values if not pd.isna(value)]
    often = Counter(names.get(code, code) for code in codes)
    shown = {code: str(names.get(code, code)) for code in codes}
    options: dict[str, Any] = {
        text if often[text] == 1 else f"{text} ({code})": code
        for code, text in sorted(shown.items(), key=lambda each: each[::-1])
    }
    return options | ({NOT_RECORDED: None} if values.hasnans else {})


class Groupings:
    """The columns of a clinic that make groups of a size to look at.

    Parameters
    ----------
    clinic
        The clinic, whole: its groups are the same whatever is filtered.
    """

    def __init__(self, clinic: Dataset) -> None:
        self._columns: dict[str, list[str]] = {
            name: _grouping_columns(clinic, name) for name in _GROUPED if name in clinic.names
        }

    def options(self, question: Question) -> dict[str, str | None]:
        """Return what the reader chooses → the column, for the tables whose columns a question can group by."""
        columns = [name for table in question.by_tables for name in self._columns.get(table, [])]
        found = dict.fromkeys([*FILTERS, *columns])
        shown = [column for column in found if column in columns]
        phase = [PHASE] if question.phase else []
        return {"no groups": None} | {readable_column(column): column for column in [*phase, *shown]}


def _grouping_columns(clinic: Dataset, table: str) -> list[str]:
    """Return the columns of a table that part it into 2 to 12 groups: neither keys nor dates nor measured numbers."""
    frame = clinic.lazy(table)
    kinds = frame.collect_schema()
    candidates = [
        column
        for column in clinic.columns(table)
        if column not in _KEYS | _COME_OUT and (kinds[column] == nw.String or kinds[column].is_integer())
    ]
    counts = collect(frame.select(nw.col(*candidates).n_unique())).iloc[0]
    return [column for column in candidates if 1 < counts[column] <= _MOST_GROUPS]


def readable_column(column: str) -> str:
    """Return a column's name as words, without the ending of an id."""
    return readable(column.removesuffix("_id"))
