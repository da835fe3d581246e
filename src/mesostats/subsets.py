"""Subsets: some of a clinic's courses, with all that belongs to them, as lazy frames on the engine."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import narwhals as nw

from mesostats.engine import collect
from mesostats.errors import did_you_mean
from mesostats.schemas import TABLES, table_schema

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

Frames = dict[str, nw.LazyFrame[Any]]


def started_between(
    courses: nw.LazyFrame[Any], first: dt.date | None, last: dt.date | None
) -> nw.LazyFrame[Any]:
    """Keep the courses whose start date lies between two days, both included; None leaves a side open.

    Raises
    ------
    ValueError
        If the first day is after the last.
    """
    if first is not None and last is not None and first > last:
        msg = f"started is from a day to a later one, found {first} to {last}"
        raise ValueError(msg)
    start = nw.col("start_date")
    if first is not None:
        courses = courses.filter(start >= first)
    return courses if last is None else courses.filter(start <= last)


def with_values(frame: nw.LazyFrame[Any], column: str, values: Any, *, table: str) -> nw.LazyFrame[Any]:
    """Keep the rows whose column has one of some values.

    Parameters
    ----------
    frame
        The table.
    column
        One of its columns.
    values
        One value, or a list, tuple or set of them; None stands for rows where nothing was recorded.
    table
        The table's name, for the message.

    Raises
    ------
    ValueError
        If no row has one of the values: most likely it was mistyped.
    """
    wanted = list(values) if isinstance(values, list | tuple | set | frozenset) else [values]
    found = collect(frame.select(column).unique())[column]
    known = set(found.dropna())
    for value in wanted:
        if value not in known and not (value is None and found.isna().any()):
            # Codes of a vocabulary may be named in a message; what else stands in a table may be a patient's.
            coded = column in table_schema(table).vocabularies
            hint = did_you_mean(str(value), known) if coded else ""
            msg = f"no row of '{table}' has {column} == {value!r}{hint}"
            raise ValueError(msg)
    tests = [nw.col(column) == value if value is not None else nw.col(column).is_null() for value in wanted]
    return frame.filter(reduce(or_, tests, nw.lit(value=False)))


def belonging_to(courses: nw.LazyFrame[Any], frames: Mapping[str, nw.LazyFrame[Any]]) -> Frames:
    """Return all tables, restricted to what belongs to some courses.

    Parameters
    ----------
    courses
        The courses that are kept.
    frames
        All tables of the clinic.

    Returns
    -------
    dict
        The same tables: patients with a kept course, and what refers to a kept course or its sessions.
    """
    kept: Frames = {"courses": courses}
    for name in (each for each in TABLES if each in frames and each != "courses"):
        key, home = _link(name)
        keys = kept[home].select(key).unique()
        kept[name] = frames[name].join(keys, on=key, how="semi")
    return {name: kept[name] for name in frames}


def _link(table: str) -> tuple[str, str]:
    """Return the column that ties a table to a kept one, and that table."""
    if table == "patients":
        return "patient_id", "courses"
    references = table_schema(table).references
    column = "course_id" if "course_id" in references else "session_id"
    return column, references[column]
