"""What a clinic's data offer to choose from: values to filter on, columns to group by."""

from __future__ import annotations

from collections import Counter
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import pandas as pd

from mesostats.engine import collect
from mesostats.layout import readable
from mesostats.populations import NOT_RECORDED, PHASE, labels
from mesostats.schemas import TABLES, table_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mesostats.dataset import Dataset
    from mesostats.entries import Instrument
    from mesostats.exploring.questions import Question

FILTERS: Final = ("indication", "protocol", "arm", "clinic_id")
"""The columns of courses that the panel filters on, where the data have two values or more."""

_MOST_GROUPS: Final = 12
_NO_GROUPS: Final = frozenset(
    {"status", "end_reason", "session_number", "pain_nrs", "downtime_days", "concentration", "unit"}
)
"""What a course or session came to (to group by it would be to look into the future), and measures of an amount."""
_KEYS: Final = frozenset(str(table_schema(name).key) for name in TABLES)
_PEOPLE: Final = ("courses", "patients")
_GROUPED: Final = (*_PEOPLE, "sessions", "products")
_MOST_GRADES: Final = 50


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


class Offers:
    """What a clinic has to group by, to compare and to read: it is asked once, the clinic whole, whatever is filtered later.

    Parameters
    ----------
    clinic
        The clinic.
    """

    def __init__(self, clinic: Dataset) -> None:
        self._clinic = clinic
        self._columns: dict[str, list[str]] = {
            name: _grouping_columns(clinic, name) for name in _GROUPED if name in clinic.names
        }

    @property
    def endpoint(self) -> int | None:
        """The day on which response is read, where the clinic's mapping declares one."""
        return self._clinic.endpoint

    def groups(self, question: Question) -> dict[str, str | None]:
        """Return what the reader chooses → the column, for the tables whose columns a question can group by."""
        phase = {readable_column(PHASE): PHASE} if question.phase else {}
        return {"no groups": None} | phase | self.columns(question.by_tables)

    def columns(self, tables: tuple[str, ...] = _PEOPLE) -> dict[str, str | None]:
        """Return what the reader chooses → the column, for all columns of some tables that part them into groups."""
        columns = [name for table in tables for name in self._columns.get(table, [])]
        return {
            readable_column(each): each for each in dict.fromkeys([*FILTERS, *columns]) if each in columns
        }

    def compared(self, tables: tuple[str, ...] = _PEOPLE) -> dict[str, str | None]:
        """Return what the reader chooses → the column, for columns that tell groups apart: arms first."""
        columns = self.columns(tables)
        arms = {label: column for label, column in columns.items() if column == "arm"}
        return arms | columns

    def levels(self, column: str | None) -> dict[str, Any]:
        """Return what the reader chooses → the value, for what was recorded in a column; empty without a column."""
        return {} if column is None else self._levels(column)

    @cached_property
    def _levels(self) -> Callable[[str], dict[str, Any]]:
        def levels(column: str) -> dict[str, Any]:
            frame = self._clinic.lazy(self._clinic.table_of(column, among=_GROUPED))
            values = collect(frame.select(column).drop_nulls().unique())[column]
            return _options(pd.Index(values), labels(self._clinic, [column]).get(column, {}))

        return cache(levels)

    @cached_property
    def instruments(self) -> dict[str, str]:
        """What the reader chooses → the instrument, for all that the outcomes hold."""
        if "outcomes" not in self._clinic.names:
            return {}
        found = set(collect(self._clinic.lazy("outcomes").select("instrument").unique())["instrument"])
        known = self._clinic.vocabulary.instruments
        return {known[code].label: code for code in known if code in found}

    @cached_property
    def graded(self) -> dict[str, str]:
        """What the reader chooses → the instrument, for those that say which way is better and have few grades, the fewest first."""
        known = self._clinic.vocabulary.instruments
        there = [code for code in self.instruments.values() if known[code].direction is not None]
        few = sorted(
            (each for each in there if _grades(known[each]) <= _MOST_GRADES),
            key=lambda each: _grades(known[each]),
        )
        return {known[code].label: code for code in few}

    @cached_property
    def protocols(self) -> dict[str, Any]:
        """What the reader chooses → the protocol, for those of the courses that the vocabulary knows."""
        found = self._levels("protocol") if "protocol" in self._clinic.columns("courses") else {}
        return {label: code for label, code in found.items() if code in self._clinic.vocabulary.protocols}

    @cached_property
    def sessions(self) -> tuple[int, ...]:
        """The numbers of the sessions after the first that the protocols plan."""
        known = self._clinic.vocabulary.protocols
        planned = [known[code].sessions for code in self.protocols.values()]
        return tuple(range(2, max(planned, default=6) + 1))


def _grades(instrument: Instrument) -> float:
    if instrument.minimum is None or instrument.maximum is None:
        return float("inf")
    return instrument.maximum - instrument.minimum + 1


def _grouping_columns(clinic: Dataset, table: str) -> list[str]:
    """Return the columns of a table that part it into 2 to 12 groups: neither keys nor dates nor measured numbers."""
    frame = clinic.lazy(table)
    kinds = frame.collect_schema()
    candidates = [
        column
        for column in clinic.columns(table)
        if column not in _KEYS | _NO_GROUPS and (kinds[column] == nw.String or kinds[column].is_integer())
    ]
    counts = collect(frame.select(nw.col(*candidates).n_unique())).iloc[0]
    return [column for column in candidates if 1 < counts[column] <= _MOST_GROUPS]


def readable_column(column: str) -> str:
    """Return a column's name as words, without the ending of an id."""
    return readable(column.removesuffix("_id"))
