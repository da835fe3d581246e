"""How long each course was kept, in sessions or in days, and how that time ended: what every analysis of dropout counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import narwhals as nw

from mesostats.engine import collect
from mesostats.follow_up import FollowUp, with_follow_up
from mesostats.populations import POPULATIONS, group_sizes, labels, started_courses
from mesostats.schedule import TIMELINE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from mesostats.dataset import Dataset

TimeScale = Literal["session", "day"]
DropoutDate = Literal["last_attended", "first_missed"]

_OWN: Final = ("time", "event", "ended", "excluded", "courses", "reached", "final", "outcome", "horizon")
TAKEN: Final = {*TIMELINE_COLUMNS, *_OWN} - {"course_id", "patient_id", "protocol"}
"""Names in lower case of the columns that the analyses of dropout have of their own."""

COMPLETED: Final = "Whoever came to all planned sessions completed the course, also where it was recorded as discontinued afterwards."
"""Which courses the time to dropout takes as completed."""
RULES: Final = (
    "Completed and ongoing courses are censored; a course whose next session is not overdue by more than the grace is ongoing. "
    + COMPLETED,
    "With follow_up='settled', a session counts once its window and grace were over before the data cut, for whoever came or not.",
    "Courses are taken as independent; a patient with several courses counts with each.",
)
"""What holds for every analysis of the time to dropout."""

_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "time": get_args(TimeScale),
    "dropout_date": get_args(DropoutDate),
    "follow_up": get_args(FollowUp),
}
_UNIT_COLUMNS: Final = ("course_id", "patient_id", "attended", "state", "rule")


def check_choices(**given: str) -> None:
    """Refuse an argument that is not one of its choices.

    Parameters
    ----------
    **given
        ``time``, ``dropout_date`` or ``follow_up`` with the value that was asked for.

    Raises
    ------
    ValueError
        If a value is not known.
    """
    for name, value in given.items():
        if value not in _CHOICES[name]:
            msg = f"{name} is one of {', '.join(_CHOICES[name])}, found '{value}'"
            raise ValueError(msg)


def followed_courses(clinic: Dataset, columns: Sequence[str], follow_up: FollowUp) -> nw.LazyFrame[Any]:
    """Return the courses that started by the data cut with their groups and how far they were followed."""
    return with_follow_up(started_courses(clinic, columns), clinic, follow_up)


def timed_courses(
    courses: nw.LazyFrame[Any], *, time: TimeScale, dropout_date: DropoutDate
) -> nw.LazyFrame[Any]:
    """Add to followed courses how long each was kept.

    Parameters
    ----------
    courses
        From `followed_courses`.
    time
        ``session``: a course with m attended sessions that dropped out fails at session m + 1; ``day``: days since the first
        attended session.
    dropout_date
        With days, the ``last_attended`` or the ``first_missed`` session.

    Returns
    -------
    nw.LazyFrame
        The courses with ``time``, ``event`` (1 where it ended by dropout), ``ended`` (dropped_out, completed, or ongoing
        where it was censored) and ``excluded`` (why the course is not analysed; empty where it is).
    """
    timed = _by_session(courses) if time == "session" else _by_day(courses, dropout_date)
    return timed.with_columns(event=_is("ended", "dropped_out"))


def _is(column: str, value: str) -> nw.Expr:
    """Return 1 where a column has a value, else 0."""
    return nw.when(nw.col(column) == value).then(nw.lit(1)).otherwise(nw.lit(0))


def _by_session(courses: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    timed = courses.with_columns(ended=nw.col("outcome"))
    timed = timed.with_columns(time=nw.col("reached") + _is("ended", "dropped_out"))
    due = nw.when(nw.col("time") > 0).then(nw.lit(""))
    return timed.with_columns(excluded=due.otherwise(nw.lit("not even the first session is due and settled")))


def _by_day(courses: nw.LazyFrame[Any], dropout_date: DropoutDate) -> nw.LazyFrame[Any]:
    horizon, last = nw.col("horizon"), nw.col("last_day")
    dropped, ongoing = nw.col("final") == "dropped_out", nw.col("final") == "ongoing"
    if dropout_date == "first_missed":
        until = nw.max_horizontal(nw.min_horizontal(horizon, nw.col("due_until")).cast(nw.Int64), last)
        last = nw.when(dropped).then(nw.col("first_missed_day")).when(ongoing).then(until).otherwise(last)
    excluded = (
        nw.when(nw.col("attended") == 0)
        .then(nw.lit("no attended session"))
        .when(nw.col("first_day") > horizon)
        .then(nw.lit("began too shortly before the data cut: nothing is settled"))
        .otherwise(nw.lit(""))
    )
    return courses.with_columns(
        time=nw.min_horizontal(last, horizon) - nw.col("first_day"),
        ended=nw.when(last <= horizon).then(nw.col("final")).otherwise(nw.lit("ongoing")),
        excluded=excluded,
    )


def analysed_counts(courses: nw.LazyFrame[Any], keys: Sequence[str]) -> pd.DataFrame:
    """Return the number of analysed courses (``courses``) for each combination of values of ``keys``."""
    return collect(courses.filter(nw.col("excluded") == "").group_by(*keys).agg(courses=nw.len()))


def groups_of(courses: nw.LazyFrame[Any], columns: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Yield each group of the population and its size; groups without an analysed course too."""
    for row in group_sizes(courses, columns).itertuples(index=False):
        yield tuple(row)[:-1], int(row[-1])


def of_group(counts: pd.DataFrame, columns: Sequence[str], group: tuple[Any, ...]) -> pd.DataFrame:
    """Return the rows of one group."""
    for column, value in zip(columns, group, strict=True):
        counts = counts[counts[column] == value]
    return counts


def course_rows(
    courses: nw.LazyFrame[Any],
    columns: Sequence[str],
    cell: Mapping[str, Any],
    *,
    more: Sequence[str],
    everybody: bool = False,
) -> pd.DataFrame:
    """Return one row a course of a cell's groups.

    Parameters
    ----------
    courses
        With the columns of the timeline, ``columns`` and ``more``.
    columns
        The grouping columns.
    cell
        The values asked for; a column that it does not name is not filtered.
    more
        Further columns to return.
    everybody
        Whether the cell is one of all groups together, whatever its grouping columns say.
    """
    for column in columns:
        if column in cell and not everybody:
            courses = courses.filter(nw.col(column) == cell[column])
    rows = collect(courses.select(*dict.fromkeys((*_UNIT_COLUMNS, *columns, *more))))
    return rows.sort_values("course_id", ignore_index=True)


def dropout_spec(
    clinic: Dataset,
    analysis: str,
    title: str,
    *,
    arguments: dict[str, Any],
    columns: Sequence[str],
    population: str = "started",
) -> dict[str, Any]:
    """Return what the specifications of all analyses of dropout share."""
    return {
        "analysis": analysis,
        "title": title,
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {"courses": POPULATIONS[population]},
        "labels": labels(clinic, columns),
    }
