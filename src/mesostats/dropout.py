"""Retention and dropout across the schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.engine import collect
from mesostats.estimators import discrete_hazard, kaplan_meier, proportion, quantile
from mesostats.follow_up import with_follow_up
from mesostats.populations import POPULATIONS, group_sizes, grouping, labels, started_courses
from mesostats.results import Result, contract, stack
from mesostats.schedule import TIMELINE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mesostats.dataset import Dataset
    from mesostats.follow_up import FollowUp

DropoutDate = Literal["last_attended", "first_missed"]

_OWN: Final = ("time", "event", "excluded", "courses", "reached", "final", "outcome", "horizon")
_TAKEN: Final = {*TIMELINE_COLUMNS, *_OWN} - {"course_id", "patient_id", "protocol"}

_RULES: Final = (
    "Completed and ongoing courses are censored; a course whose next session is not overdue by more than the grace is ongoing.",
    "With follow_up='settled', a session counts once its window and grace were over before the data cut, for whoever came or not.",
    "Courses are taken as independent; a patient with several courses counts with each.",
)
_REFERENCES: Final = (
    "Kaplan EL, Meier P. J Am Stat Assoc 1958;53:457-481. doi:10.1080/01621459.1958.10501452",
)


def retention(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    time: Literal["session", "day"] = "session",
    dropout_date: DropoutDate = "last_attended",
    follow_up: FollowUp = "settled",
    conf_level: float = 0.95,
) -> Result:
    """Estimate how many courses are kept, session by session or day by day (Kaplan-Meier).

    Parameters
    ----------
    clinic
        A data set.
    by
        Columns of patients or courses.
    time
        ``session``: the probability to attend the k-th planned session; ``day``: to be still in treatment so many days
        after the first session.
    dropout_date
        With days: a course drops out on the day of its ``last_attended`` session, or on the day on which the window of
        its ``first_missed`` session closed (or its recorded end, where that came before).
    follow_up
        ``settled``: only sessions whose window and grace were over by the data cut, for whoever came and whoever did not
        (see `mesostats.follow_up`); ``all``: all that was recorded by the cut, which is optimistic while courses go on.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        Estimands ``retention`` (one row a time; denominator: at risk just before, numerator: dropped out at it) and
        ``median_retention`` (in sessions or days). Unit: courses. ``n_missing``: courses of the group that are not in
        the analysis: nothing of them is settled, or (with days) they never attended.

    Raises
    ------
    ValueError
        If an argument is not one of those above, or ``by`` is not a column or bears a name that the analysis needs.

    Notes
    -----
    In sessions, a course with m attended sessions that dropped out fails at session m + 1; one that is ongoing or
    completed is censored after session m, all as far as settled. In days, an ongoing course is censored at its last
    attended session (``last_attended``) or at the earlier of the data cut and the end of its next window
    (``first_missed``); with settled follow-up nobody is followed past the last day on which a dropout would be known: until then
    it is known to be kept. Standard errors are Greenwood's, intervals on the log(-log) scale; before the first dropout
    they are exact, from those still at risk.

    References
    ----------
    Kaplan EL, Meier P (1958). Nonparametric estimation from incomplete observations. doi:10.1080/01621459.1958.10501452

    Examples
    --------
    >>> import mesostats as ms
    >>> kept = ms.retention(ms.simulate(200, seed=1), by="protocol", time="session")
    >>> first = kept.cell(protocol="short_course", estimand="retention", time=1)
    >>> bool(first["estimate"] > 0.9)
    True
    """
    columns = grouping(by, taken=_TAKEN)
    _check(time, ("session", "day"), "time")
    _check(dropout_date, ("last_attended", "first_missed"), "dropout_date")
    _check(follow_up, ("settled", "all"), "follow_up")
    courses = with_follow_up(started_courses(clinic, columns), clinic, follow_up)
    courses = _by_session(courses) if time == "session" else _by_day(courses, dropout_date)
    keys = ("reached", "outcome") if time == "session" else ("time", "event")
    counts = collect(courses.filter(nw.col("excluded") == "").group_by(*columns, *keys).agg(courses=nw.len()))
    frames = []
    for group, size in _groups(courses, columns):
        own = _of_group(counts, columns, group)
        curve = _session_curve(own, conf_level) if time == "session" else _day_curve(own, conf_level)
        rows = pd.concat([_curve_rows(curve), _median_row(curve, conf_level, time)], ignore_index=True)
        frames.append(
            rows.assign(**dict(zip(columns, group, strict=True)), n_missing=size - int(own["courses"].sum()))
        )
    estimates = contract(stack(frames).assign(unit="courses"), columns)
    arguments: dict[str, Any] = {
        "by": list(columns),
        "time": time,
        "dropout_date": dropout_date,
        "follow_up": follow_up,
    }
    arguments |= {"conf_level": conf_level}
    spec = _spec(clinic, "retention", _TITLES[time], arguments, columns)
    return Result(estimates, spec, lambda cell: _explain_retention(courses, columns, cell))


_TITLES: Final = {
    "session": "Retention: probability to attend each planned session",
    "day": "Retention: probability to be still in treatment by days since the first session",
}


def dropout_by_session(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    follow_up: FollowUp = "settled",
    conf_level: float = 0.95,
) -> Result:
    """Estimate, at each step of the schedule, how many of those due came, dropped out, and are kept.

    Parameters
    ----------
    clinic
        A data set.
    by
        Columns of patients or courses.
    follow_up
        ``settled`` sessions only, or ``all``; see `retention`.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        ``time`` is the session number. Estimands: ``attendance`` (attended of those due), ``dropout_hazard`` (dropped
        out of those due), ``retention`` (cumulative). Unit: courses. ``n_missing``: courses that had come so far
        and whose next session is not settled (with ``all``: not yet due, or not overdue by more than the grace). Where nobody is due yet,
        session 1 stands with NaN and a note.

    Raises
    ------
    ValueError
        If ``by`` is not a column or bears a name that the analysis needs, or ``conf_level`` is not between 0 and 1.

    Notes
    -----
    Session k is due for a course that attended it, and for one that dropped out after k - 1 sessions. A course that is
    completed or ongoing after k - 1 sessions is not due at k: it is censored. Hazards have Wilson intervals, the
    cumulative product Greenwood's variance and a log(-log) interval, before the first dropout an exact one.

    References
    ----------
    Cutler SJ, Ederer F (1958). Maximum utilization of the life table method in analyzing survival.
    doi:10.1016/0021-9681(58)90126-7

    Examples
    --------
    >>> import mesostats as ms
    >>> steps = ms.dropout_by_session(ms.simulate(200, seed=1))
    >>> row = steps.cell(estimand="attendance", time=1)
    >>> row["unit"], float(row["estimate"])  # a simulated course is in the data from its first session on
    ('courses', 1.0)
    """
    columns = grouping(by, taken=_TAKEN)
    _check(follow_up, ("settled", "all"), "follow_up")
    courses = with_follow_up(started_courses(clinic, columns), clinic, follow_up)
    counts = collect(courses.group_by(*columns, "reached", "outcome").agg(courses=nw.len()))
    frames = []
    for group, _ in _groups(courses, columns):
        own = _of_group(counts, columns, group)
        rows = _step_rows(_steps(own), _session_curve(own, conf_level), conf_level)
        frames.append(rows.assign(**dict(zip(columns, group, strict=True))))
    estimates = contract(stack(frames).assign(unit="courses"), columns)
    arguments = {"by": list(columns), "follow_up": follow_up, "conf_level": conf_level}
    title = "Dropout at each session of the schedule"
    spec = _spec(clinic, "dropout_by_session", title, arguments, columns)
    return Result(estimates, spec, lambda cell: _explain_step(courses, columns, cell))


def _by_session(courses: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Add ``time`` in sessions, ``event`` and why a course is not analysed (``excluded``)."""
    event = nw.when(nw.col("outcome") == "dropped_out").then(nw.lit(1)).otherwise(nw.lit(0))
    timed = courses.with_columns(event=event).with_columns(time=nw.col("reached") + nw.col("event"))
    due = nw.when(nw.col("time") > 0).then(nw.lit(""))
    return timed.with_columns(excluded=due.otherwise(nw.lit("not even the first session is due and settled")))


def _by_day(courses: nw.LazyFrame[Any], dropout_date: str) -> nw.LazyFrame[Any]:
    """Add ``time`` in days since the first session, ``event`` and why a course is not analysed (``excluded``)."""
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
        event=nw.when(dropped & (last <= horizon)).then(nw.lit(1)).otherwise(nw.lit(0)),
        excluded=excluded,
    )


def _groups(courses: nw.LazyFrame[Any], columns: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Yield each group of the population and its size; groups without an analysed course too."""
    for row in group_sizes(courses, columns).itertuples(index=False):
        yield tuple(row)[:-1], int(row[-1])


def _of_group(counts: pd.DataFrame, columns: Sequence[str], group: tuple[Any, ...]) -> pd.DataFrame:
    for column, value in zip(columns, group, strict=True):
        counts = counts[counts[column] == value]
    return counts


_NOBODY: Final = "no course to analyse"


def _curve_rows(curve: pd.DataFrame) -> pd.DataFrame:
    """Return the curve in the contract's names, or one row that says why there is none."""
    if curve["at_risk"].sum() == 0:
        return pd.DataFrame({"estimand": ["retention"], "denominator": [0.0], "note": [_NOBODY]})
    return curve.rename(columns={"events": "numerator", "at_risk": "denominator"}).assign(
        estimand="retention"
    )


def _median_row(curve: pd.DataFrame, conf_level: float, time: str) -> pd.DataFrame:
    row: dict[str, Any] = {
        "estimand": "median_retention",
        "conf_level": conf_level,
        "note": f"median in {time}s",
    }
    if curve["at_risk"].sum() == 0:
        return pd.DataFrame([row | {"note": _NOBODY}])
    median = quantile(curve, 0.5).iloc[0]
    reached = {
        "numerator": curve["events"].sum(),
        "denominator": curve["at_risk"].iloc[0],
        "method": median["method"],
    }
    limits = {name: median[name] for name in ("estimate", "conf_low", "conf_high")}
    notes = "; ".join(part for part in (row["note"], median["note"]) if part)
    return pd.DataFrame([row | reached | limits | {"note": notes}])


def _steps(counts: pd.DataFrame) -> pd.DataFrame:
    """Return, a session number from 1: due, attended, dropped, not_yet_due."""
    attended, courses = counts["reached"].to_numpy(int), counts["courses"].to_numpy(int)
    dropped, ongoing = (counts["outcome"].eq(state).to_numpy() for state in ("dropped_out", "ongoing"))
    last = int((attended + dropped).max(initial=1))
    steps = pd.DataFrame({"session": np.arange(1, last + 1)})
    came = [int(courses[attended >= k].sum()) for k in steps["session"]]
    lost = [int(courses[dropped & (attended == k - 1)].sum()) for k in steps["session"]]
    waiting = [int(courses[ongoing & (attended == k - 1)].sum()) for k in steps["session"]]
    return steps.assign(attended=came, dropped=lost, not_yet_due=waiting, due=np.add(came, lost))


def _day_curve(counts: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    return kaplan_meier(counts["time"], counts["event"], counts["courses"], conf_level=conf_level)


def _session_curve(counts: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    """Return Kaplan-Meier over the sessions of the schedule, one row each, in the columns of `kaplan_meier`."""
    steps = _steps(counts)
    table = discrete_hazard(steps["dropped"], steps["due"], conf_level=conf_level)
    return pd.DataFrame(
        {
            "time": steps["session"],
            "at_risk": steps["due"],
            "events": steps["dropped"],
            "estimate": table["retention"],
            "std_error": table["retention_std_error"],
            "conf_low": table["retention_low"],
            "conf_high": table["retention_high"],
            "conf_level": conf_level,
            "method": "Kaplan-Meier, Greenwood log-log interval",
            "note": table["note"],
        }
    )


def _step_rows(steps: pd.DataFrame, curve: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    shared = {"time": steps["session"], "n_missing": steps["not_yet_due"]}
    attendance = proportion(steps["attended"], steps["due"], conf_level=conf_level)
    hazard = proportion(steps["dropped"], steps["due"], conf_level=conf_level)
    kept = curve.rename(columns={"events": "numerator", "at_risk": "denominator"}).drop(columns="time")
    named = {"attendance": attendance, "dropout_hazard": hazard, "retention": kept}
    return pd.concat(
        [rows.assign(estimand=name, **shared) for name, rows in named.items()], ignore_index=True
    )


_UNIT_COLUMNS: Final = ("course_id", "patient_id", "attended", "state", "rule")


def _units(
    courses: nw.LazyFrame[Any], columns: Sequence[str], cell: Mapping[str, Any], more: Sequence[str]
) -> pd.DataFrame:
    for column in columns:
        if column in cell:
            courses = courses.filter(nw.col(column) == cell[column])
    rows = collect(courses.select(*_UNIT_COLUMNS, *columns, *more))
    return rows.sort_values("course_id", ignore_index=True)


def _explain_retention(
    courses: nw.LazyFrame[Any], columns: Sequence[str], cell: Mapping[str, Any]
) -> pd.DataFrame:
    """Return one row a course: at risk, and dropped out, at the cell's time (at any time where none is given)."""
    rows = _units(courses, columns, cell, ("time", "event", "excluded"))
    analysed = rows["excluded"] == ""
    at = cell.get("time")
    at_risk = analysed if at is None or pd.isna(at) else analysed & (rows["time"] >= at)
    failed = at_risk & (rows["event"] == 1)
    failed = failed if at is None or pd.isna(at) else failed & (rows["time"] == at)
    gone = analysed & ~at_risk
    excluded = rows["excluded"].mask(gone, "censored or dropped out before this time")
    return rows.assign(in_denominator=at_risk, in_numerator=failed, excluded=excluded)


def _explain_step(
    courses: nw.LazyFrame[Any], columns: Sequence[str], cell: Mapping[str, Any]
) -> pd.DataFrame:
    """Return one row a course: due, and dropped out (or attended), at the cell's session."""
    rows = _units(courses, columns, cell, ("reached", "outcome"))
    if "time" not in cell:
        msg = "name the session: explain(..., time=3)"
        raise ValueError(msg)
    session = int(cell["time"])
    came = rows["reached"] >= session
    lost = (rows["outcome"] == "dropped_out") & (rows["reached"] == session - 1)
    due = came | lost
    why = np.select(
        [due, rows["reached"] < session - 1, rows["outcome"] == "completed"],
        ["", "not known to have come as far as this session", "completed before this session"],
        default="not settled by the data cut: the window and the grace were not over",
    )
    counted = came if cell.get("estimand") == "attendance" else lost
    return rows.assign(in_denominator=due, in_numerator=counted, excluded=why)


def _spec(
    clinic: Dataset, analysis: str, title: str, arguments: dict[str, Any], columns: Sequence[str]
) -> dict[str, Any]:
    return {
        "analysis": analysis,
        "title": title,
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {"courses": POPULATIONS["treated" if arguments.get("time") == "day" else "started"]},
        "rules": list(_RULES),
        "primary": "retention",
        "references": list(_REFERENCES),
        "labels": labels(clinic, columns),
    }


def _check(value: str, known: tuple[str, ...], name: str) -> None:
    if value not in known:
        msg = f"{name} is one of {', '.join(known)}, found '{value}'"
        raise ValueError(msg)
