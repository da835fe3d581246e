"""Populations: who is counted, and by which grouping columns. Denominators come from here, never from event rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw

from mesostats.engine import collect
from mesostats.errors import did_you_mean
from mesostats.schedule import INDICATION, course_timeline
from mesostats.schemas import TABLES, table_schema
from mesostats.slots import session_phases

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import pandas as pd

    from mesostats.dataset import Dataset

NOT_RECORDED = "not recorded"
"""The group of those whose grouping column is empty: they are counted, and seen."""

UNKNOWN: Final = (NOT_RECORDED, "not_asked", "unknown")
"""Groups of those whose group nobody knows: they have their rows, and are compared with nobody."""

GROUP_UNKNOWN: Final = "its group is not recorded: in no comparison"
"""Why `explain` leaves a row out of a test across groups."""

PHASE = "phase"
"""The grouping column that sessions have from the schedule, where no table has one of that name."""

POPULATIONS = {
    "started": "courses that started by the data cut",
    "treated": "courses with at least one attended session by the data cut",
}


def grouping(by: str | Sequence[str] | None, *, taken: Collection[str] = ()) -> tuple[str, ...]:
    """Return grouping columns as a tuple.

    Parameters
    ----------
    by
        No, one or several columns.
    taken
        Names in lower case that the analysis needs for columns of its own.

    Raises
    ------
    ValueError
        If a column is named twice, or its name is taken (engines do not tell upper from lower case), or has a dot in it (which
        engines read as a table and its column).
    """
    columns = () if by is None else (by,) if isinstance(by, str) else tuple(by)
    clash = [column for column in columns if column.lower() in taken]
    if clash:
        msg = f"cannot group by '{clash[0]}': the analysis has a column of that name; rename yours"
        raise ValueError(msg)
    dotted = [column for column in columns if "." in column]
    if dotted:
        msg = f"cannot group by '{dotted[0]}': a dot separates a table from its column; rename yours"
        raise ValueError(msg)
    if len({column.lower() for column in columns}) < len(columns):
        msg = f"each grouping column once, found {list(columns)}"
        raise ValueError(msg)
    return columns


def group_values(column: str) -> nw.Expr:
    """Return a grouping column as text, with those who lack it as a group of their own."""
    return nw.col(column).cast(nw.String).fill_null(NOT_RECORDED).alias(column)


def known_groups(rows: pd.DataFrame, columns: Sequence[str]) -> pd.Series[bool]:
    """Return which rows belong to a group that is known in all its columns, so that it can be compared."""
    return ~rows[[*columns]].isin(UNKNOWN).any(axis="columns")


def uncompared(units: str) -> str:
    """Return the rule of all comparisons, in words, for the units that are counted."""
    return (
        f"{units.capitalize()} whose group is not recorded, not asked or unknown are counted, not compared."
    )


def without_unknown_groups(rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return a test's rows, with a reason in ``excluded`` where they have none and nobody knows their group."""
    unknown = rows["excluded"].eq("") & ~known_groups(rows, columns)
    return rows.assign(excluded=rows["excluded"].mask(unknown, GROUP_UNKNOWN))


def check_reference(reference: str, groups: Collection[str], *, column: str) -> None:
    """Refuse a group to compare with that is not there, or of which nobody knows who is in it.

    Raises
    ------
    ValueError
        If it is not among the groups, or one of `UNKNOWN`.
    """
    known = sorted({*groups} - {*UNKNOWN})
    if reference in UNKNOWN:
        msg = f"'{reference}' of {column} is no group to compare with: nobody knows who is in it; name one of {known}"
        raise ValueError(msg)
    if reference not in known:
        msg = f"no group of {column} is '{reference}'{did_you_mean(reference, known)}"
        raise ValueError(msg)


def with_groups(
    frame: nw.LazyFrame[Any],
    clinic: Dataset,
    by: Sequence[str],
    *,
    tables: tuple[str, ...] = ("patients", "courses"),
) -> nw.LazyFrame[Any]:
    """Add grouping columns to a frame that has the keys of their tables.

    Parameters
    ----------
    frame
        With ``patient_id`` for columns of patients, ``course_id`` for courses, ``session_id`` for sessions and products.
    clinic
        The data set.
    by
        Columns of ``tables``.
    tables
        The tables that may hold them, in the order in which they are asked.

    Raises
    ------
    ValueError
        If a column is in none of the tables, or identifies a row.
    """
    if not by:
        return frame
    wanted: dict[str, list[str]] = {}
    for column in by:
        table = _table_of(clinic, column, tables)
        if column in {table_schema(name).key for name in TABLES}:
            msg = f"'{column}' identifies a row; group by a column that rows share"
            raise ValueError(msg)
        wanted.setdefault(table, []).append(column)
    there = frame.collect_schema().names()
    frame = frame.drop([column for column in by if column in there])
    if INDICATION in there and "indication" in wanted.get("courses", []):
        wanted["courses"].remove("indication")
        frame = frame.with_columns(indication=nw.col(INDICATION))
    for table, columns in wanted.items():
        if not columns:
            continue
        rows = session_phases(clinic) if table == PHASE else clinic.lazy(table)
        key = "session_id" if table in {PHASE, "products"} else str(table_schema(table).key)
        values = rows.select(key, *(group_values(column) for column in columns))
        # A session with several products belongs to the group of each, once.
        frame = frame.join(values.unique() if table == "products" else values, on=key, how="left")
    return frame.with_columns(*(nw.col(column).fill_null(NOT_RECORDED) for column in by))


def _table_of(clinic: Dataset, column: str, tables: tuple[str, ...]) -> str:
    """Return the table that holds a column; the phase of the schedule is known of sessions without one."""
    if (
        column == PHASE
        and "sessions" in tables
        and not any(column in clinic.columns(table) for table in tables if table in clinic.names)
    ):
        return PHASE
    return clinic.table_of(column, among=tables)


def schedule_order(clinic: Dataset) -> Callable[[pd.Series[Any]], pd.Series[Any]]:
    """Return the key that sorts groups: phases of the schedule as protocols have them, all else by its values.

    Parameters
    ----------
    clinic
        The clinic; where one of its tables has a column ``phase``, its values are sorted as any.
    """
    own = any(PHASE in clinic.columns(table) for table in clinic.names)
    phases = [phase.name for protocol in clinic.vocabulary.protocols.values() for phase in protocol.phases]
    places = {name: place for place, name in enumerate(dict.fromkeys(phases))}

    def key(column: pd.Series[Any]) -> pd.Series[Any]:
        return column if own or column.name != PHASE else column.map(places).fillna(len(places))

    return key


def started_courses(clinic: Dataset, by: Sequence[str]) -> nw.LazyFrame[Any]:
    """Return the course timeline of all courses that started by the data cut, with their groups."""
    return with_groups(course_timeline(clinic), clinic, by)


def treated_courses(clinic: Dataset, by: Sequence[str]) -> nw.LazyFrame[Any]:
    """Return the course timeline of the courses with an attended session by the data cut, with their groups."""
    treated = course_timeline(clinic).filter(nw.col("attended") > 0)  # before a group may bear such a name
    return with_groups(treated, clinic, by)


def group_sizes(courses: nw.LazyFrame[Any], by: Sequence[str]) -> pd.DataFrame:
    """Return one row a group with its number of courses, sorted; one row where there is no grouping."""
    sizes = collect(courses.group_by(by).agg(courses=nw.len()) if by else courses.select(courses=nw.len()))
    return sizes.sort_values([*by], ignore_index=True) if by else sizes


def labels(clinic: Dataset, columns: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the vocabulary's label of each code, for the columns that hold codes."""
    names = {column: name for table in TABLES for column, name in table_schema(table).vocabularies.items()}
    return {
        column: {code: entry.label for code, entry in getattr(clinic.vocabulary, names[column]).items()}
        for column in columns
        if column in names
    }


def cluster_sums(trials: nw.Expr, successes: nw.Expr, prefix: str) -> list[nw.Expr]:
    """Return the sums over patients that make `estimators.ClusterTotals`, from one row a patient.

    Parameters
    ----------
    trials, successes
        A patient's numbers; a patient without trials is not counted.
    prefix
        The sums are named ``{prefix}_{field of ClusterTotals}``.
    """
    present = nw.when(trials > 0)
    terms = {
        "clusters": present.then(nw.lit(1.0)).otherwise(nw.lit(0.0)),
        "trials": trials,
        "successes": successes,
        "trials_squared": trials**2,
        "successes_squared": successes**2,
        "product": trials * successes,
        "successes_squared_per_trial": present.then(successes**2 / trials).otherwise(nw.lit(0.0)),
    }
    return [expression.sum().alias(f"{prefix}_{name}") for name, expression in terms.items()]
