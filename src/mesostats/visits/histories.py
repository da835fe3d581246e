"""Histories of single courses: when each session was held, how it kept to its window, and how the course ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.engine import collect
from mesostats.estimators.arguments import check_choice
from mesostats.populations import NOT_RECORDED, grouping, labels, treated_courses
from mesostats.results import Result, contract
from mesostats.schedule import TIMELINE_COLUMNS, cutoff_day
from mesostats.slots import slot_states

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.dataset import Dataset

DropoutDate = Literal["last_attended", "first_missed"]

COURSE: Final = "course"
"""The grouping column that numbers the courses shown."""

_TAKEN: Final = {*TIMELINE_COLUMNS, COURSE, "in_denominator", "in_numerator", "excluded", "days", "asked"} - {
    "protocol"
}
_VISITS: Final = ("on_time", "early", "late", "unscheduled")
_TIMELINE: Final = ("course_id", "first_day", "last_day", "attended", "planned", "state", "rule", "reason")
_RULES: Final = (
    "Day 0 is the day of the first attended session; courses without one have no history.",
    "A course that goes on is followed to the data cut, a completed one to its last session.",
    "Courses are ordered by the days kept; where not all are shown, those shown stand evenly spread in this order.",
    "Sessions are on time, early or late against the window that the session before them opened.",
)


def course_histories(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    most: int = 40,
    dropout_date: DropoutDate = "last_attended",
) -> Result:
    """Return the histories of single courses: their sessions day by day, and how they ended (for a swimmer plot).

    Parameters
    ----------
    clinic
        A data set.
    by
        Columns of patients or courses.
    most
        How many courses are returned at most, 1 or more.
    dropout_date
        Where a course that was given up ends: at its ``last_attended`` session, or on the day on which the window of its
        ``first_missed`` session closed.

    Returns
    -------
    Result
        By group and ``course``, a number from 1 in place of the course's id (`Result.explain` returns the ids). One row a day with
        attended sessions: estimand ``on_time``, ``early``, ``late`` or ``unscheduled``, ``time`` the days since the
        first session; the estimate is the number of days with a session so far, the numerator the sessions of the day. One
        row for the end: estimand ``completed``, ``ongoing`` or ``dropped_out``, ``time`` and estimate the days kept, numerator
        the sessions attended, denominator those planned, ``note`` the reason. Unit: sessions. ``spec["courses"]``
        holds the number of courses, and of those shown, of each group.

    Raises
    ------
    ValueError
        If an argument is not one of those above, or ``by`` is not a column or bears a name that the analysis needs.

    Notes
    -----
    Where there are more than ``most`` courses, those at evenly spread places of all courses, ordered by group, days kept
    and first day, are returned: a systematic sample, the same at every call, in which short and long courses and large
    and small groups keep their shares. A picture of it shows what courses look like; it is no estimate.

    Examples
    --------
    >>> import mesostats as ms
    >>> from mesostats.visits.histories import course_histories
    >>> histories = course_histories(ms.simulate(200, seed=1), most=12)
    >>> int(histories.estimates["course"].nunique()), histories.spec["courses"][0]["shown"]
    (12, 12)
    """
    check_choice(dropout_date, get_args(DropoutDate), "dropout_date")
    if most < 1:
        msg = f"most == {most}, must be 1 or more: it is how many courses are returned"
        raise ValueError(msg)
    columns = grouping(by, taken=_TAKEN)
    courses = _courses(clinic, columns, dropout_date)
    shown = _evenly(courses, most).assign(**{COURSE: lambda frame: np.arange(1, len(frame) + 1)})
    rows = pd.concat([_visits(clinic, shown, columns), _ends(shown, clinic, columns)], ignore_index=True)
    rows = rows.sort_values([COURSE, "time", "place"], kind="stable", ignore_index=True)
    estimates = contract(rows.assign(unit="sessions", n_missing=0.0), [*columns, COURSE])
    arguments = {"by": list(columns), "most": most, "dropout_date": dropout_date}
    spec = _spec(clinic, arguments) | {"courses": _sizes(courses, shown, columns)}
    return Result(estimates, spec, lambda cell: _explain(courses, shown, columns, cell))


def _courses(clinic: Dataset, columns: Sequence[str], dropout_date: DropoutDate) -> pd.DataFrame:
    """Return one row a treated course with its groups and the days it was kept, in the order of the picture."""
    end = "last_attended_day" if dropout_date == "last_attended" else "first_missed_day"
    treated = treated_courses(clinic, columns)
    until = (
        nw.when(nw.col("state") == "ongoing")
        .then(nw.lit(cutoff_day(clinic)))
        .when(nw.col("state") == "dropped_out")
        .then(nw.col(end))
        .otherwise(nw.col("last_day"))
    )
    wanted = dict.fromkeys(("patient_id", *_TIMELINE, *columns))
    found = collect(treated.with_columns(days=until - nw.col("first_day")).select(*wanted, "days"))
    order = [*columns, "days", "first_day", "course_id"]
    ascending = [*[True] * len(columns), False, True, True]
    return found.sort_values(order, ascending=ascending, ignore_index=True)


def _evenly(courses: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return at most so many rows, at evenly spread places."""
    if len(courses) <= most:
        return courses
    places = (np.arange(most) + 0.5) * len(courses) / most
    return courses.iloc[places.astype(int)].reset_index(drop=True)


def _visits(clinic: Dataset, shown: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return one row a day with attended sessions of the courses shown."""
    chosen = nw.col("course_id").is_in(shown["course_id"].tolist())
    held = slot_states(clinic).filter(chosen, ~nw.col("day").is_null())
    days = collect(held.select("course_id", "day", "state", "session_id"))
    days = days.assign(place=days["state"].map({state: place for place, state in enumerate(_VISITS)}))
    days = days.sort_values(["course_id", "day", "place"], kind="stable")
    # A further session of a day holds no slot: the day is what the first one made of it.
    days = days.groupby(["course_id", "day"], as_index=False).agg(
        estimand=("state", "first"), numerator=("session_id", "size")
    )
    rows = days.merge(shown[["course_id", COURSE, "first_day", *columns]], on="course_id")
    number = rows.sort_values("day").groupby("course_id").cumcount() + 1
    return rows.assign(time=rows["day"] - rows["first_day"], estimate=number, place=0, method="count")


def _ends(shown: pd.DataFrame, clinic: Dataset, columns: Sequence[str]) -> pd.DataFrame:
    """Return one row a course: how and when it ended."""
    listed = {code: entry.label for code, entry in clinic.vocabulary.discontinuation_reasons.items()}
    recorded = shown["reason"].map(lambda code: listed.get(code, str(code)), na_action="ignore")
    unrecorded = np.where(shown["rule"] == "overdue", "overdue, no reason recorded", NOT_RECORDED)
    reasons = recorded.astype(object).where(recorded.notna(), unrecorded)
    return shown[[*columns, COURSE]].assign(
        estimand=shown["state"],
        time=shown["days"],
        estimate=shown["days"],
        numerator=shown["attended"],
        denominator=shown["planned"],
        place=1,
        method="days from the first session",
        note=reasons.where(shown["state"] == "dropped_out", ""),
    )


def _sizes(courses: pd.DataFrame, shown: pd.DataFrame, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return, a group, how many courses it has and how many of them are shown."""
    if not columns:
        return [{"courses": len(courses), "shown": len(shown)}]
    sizes = courses.groupby([*columns], as_index=False).agg(courses=("course_id", "size"))
    part = shown.groupby([*columns], as_index=False).agg(shown=("course_id", "size"))
    both = sizes.merge(part, on=[*columns], how="left").fillna({"shown": 0}).astype({"shown": int})
    return [{str(name): value for name, value in row.items()} for row in both.to_dict("records")]


def _spec(clinic: Dataset, arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "analysis": "course_histories",
        "title": "Courses from their first session on",
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {"courses": "courses with at least one attended session by the data cut"},
        "rules": list(_RULES),
        "primary": "on_time",
        "references": [
            "Chia PL, Gedye C, Boutros PC, et al. J Natl Cancer Inst 2016;108:djw031. doi:10.1093/jnci/djw031"
        ],
        "labels": labels(clinic, arguments["by"]),
    }


def _explain(
    courses: pd.DataFrame, shown: pd.DataFrame, columns: Sequence[str], cell: Mapping[str, Any]
) -> pd.DataFrame:
    """Return one row a treated course: its id, whether it is shown, and under which number."""
    rows = courses.merge(shown[["course_id", COURSE]], on="course_id", how="left")
    for column in columns:
        if column in cell:
            rows = rows[rows[column] == cell[column]]
    rows = rows.assign(**{COURSE: rows[COURSE].astype("Int64")})
    is_shown = rows[COURSE].notna()
    counted = (rows[COURSE] == cell[COURSE]).fillna(value=False).astype(bool) if COURSE in cell else is_shown
    why = np.where(is_shown, "another course", "not among the courses shown")
    named = ["course_id", "patient_id", *columns, COURSE, "state", "attended", "planned", "days"]
    return (
        rows[[*dict.fromkeys(named)]]
        .assign(in_denominator=counted, in_numerator=counted, excluded=np.where(counted, "", why))
        .reset_index(drop=True)
    )
