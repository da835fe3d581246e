"""Groups of slots: by columns of patients, courses and sessions, and by the phase of the schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw

from mesostats.populations import PHASE, group_values, grouping, schedule_order, with_groups
from mesostats.results import check_groups
from mesostats.schedule import INDICATION, course_timeline

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pandas as pd

    from mesostats.dataset import Dataset

NOT_HELD: Final = "not held"
"""The group, by a column of sessions, of slots that no session holds."""

OUTSIDE: Final = "outside the plan"
"""The phase of visits that hold no slot of a plan."""

_TABLES: Final = ("patients", "courses", "sessions")


@dataclass(frozen=True)
class SlotGroups:
    """By what slots are grouped.

    Parameters
    ----------
    by
        All grouping columns, in the order asked for.
    of_courses, of_sessions
        Those of patients and courses, and those of sessions.
    phase
        Whether one of them is the phase of the schedule.
    """

    by: tuple[str, ...]
    of_courses: tuple[str, ...]
    of_sessions: tuple[str, ...]
    phase: bool

    @property
    def of_slots(self) -> tuple[str, ...]:
        """The columns in which the slots of one course may differ."""
        return (*self.of_sessions, *([PHASE] if self.phase else []))


def slot_groups(clinic: Dataset, by: str | Sequence[str] | None, *, taken: Collection[str]) -> SlotGroups:
    """Return by what slots are grouped, the columns checked.

    Parameters
    ----------
    clinic
        The data set.
    by
        Columns of patients, courses or sessions, and ``phase`` (of the schedule, where no table has such a column).
    taken
        Names in lower case that the analysis needs for columns of its own.

    Raises
    ------
    ValueError
        If a column is in none of the tables, identifies a row, is named twice or is taken.
    """
    columns = grouping(by, taken=taken)
    check_groups(columns)
    own = {name: clinic.columns(name) for name in _TABLES}
    phase = PHASE in columns and not any(PHASE in names for names in own.values())
    homes = {
        column: clinic.table_of(column, among=_TABLES)
        for column in columns
        if not (phase and column == PHASE)
    }
    if "session_id" in homes:
        msg = "'session_id' identifies a row; group by a column that rows share"
        raise ValueError(msg)
    of_sessions = tuple(column for column, table in homes.items() if table == "sessions")
    return SlotGroups(columns, tuple(c for c in homes if c not in of_sessions), of_sessions, phase)


def with_session_groups(slots: nw.LazyFrame[Any], clinic: Dataset, groups: SlotGroups) -> nw.LazyFrame[Any]:
    """Add the groups that belong to slots to a frame with ``session_id`` (where they are of sessions) and ``phase``."""
    if not groups.phase and PHASE in groups.by:
        slots = slots.drop(PHASE)  # a column of the data bears that name
    if groups.of_sessions:
        values = clinic.lazy("sessions").select("session_id", *map(group_values, groups.of_sessions))
        slots = slots.join(values, on="session_id", how="left")
        slots = slots.with_columns(nw.col(*groups.of_sessions).fill_null(NOT_HELD))
    return slots.with_columns(nw.col(PHASE).fill_null(OUTSIDE)) if groups.phase else slots


def with_course_groups(frame: nw.LazyFrame[Any], clinic: Dataset, groups: SlotGroups) -> nw.LazyFrame[Any]:
    """Add ``patient_id`` and the groups that belong to courses to a frame with ``course_id``."""
    ids = course_timeline(clinic).select("course_id", "patient_id", INDICATION)
    ids = with_groups(ids, clinic, groups.of_courses).drop(INDICATION)
    return frame.join(ids, on="course_id", how="inner")


def of_cell(frame: nw.LazyFrame[Any], by: Sequence[str], cell: Any) -> nw.LazyFrame[Any]:
    """Return the rows of a cell's groups."""
    for column in by:
        if column in cell:
            frame = frame.filter(nw.col(column) == cell[column])
    return frame


def in_order(estimates: pd.DataFrame, clinic: Dataset, groups: SlotGroups) -> pd.DataFrame:
    """Sort estimates by their groups, phases as protocols have them; rows of a group keep their order."""
    if not groups.by:
        return estimates
    return estimates.sort_values([*groups.by], key=schedule_order(clinic), kind="stable", ignore_index=True)
