"""Retention and dropout across the schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.dropout.curves import (
    common_horizon,
    curve_rows,
    logrank_row,
    median_row,
    restricted_mean_row,
    retention_curve,
    session_curve,
)
from mesostats.dropout.phase_bands import phase_bands
from mesostats.dropout.times import (
    RULES,
    TAKEN,
    analysed_counts,
    check_choices,
    course_rows,
    dropout_spec,
    followed_courses,
    groups_of,
    of_group,
    timed_courses,
)
from mesostats.engine import collect
from mesostats.estimators import proportion
from mesostats.populations import grouping, known_groups, uncompared, without_unknown_groups
from mesostats.results import ALL_GROUPS, Result, contract, stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.dataset import Dataset
    from mesostats.dropout.times import DropoutDate, TimeScale
    from mesostats.follow_up import FollowUp

_KAPLAN_MEIER: Final = (
    "Kaplan EL, Meier P. J Am Stat Assoc 1958;53:457-481. doi:10.1080/01621459.1958.10501452"
)
_MANTEL: Final = "Mantel N. Cancer Chemother Rep 1966;50:163-170."
_ROYSTON: Final = "Royston P, Parmar MKB. BMC Med Res Methodol 2013;13:152. doi:10.1186/1471-2288-13-152"
_TITLES: Final = {
    "session": "Retention: probability to attend each planned session",
    "day": "Retention: probability to be still in treatment by days since the first session",
}


def retention(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    time: TimeScale = "session",
    dropout_date: DropoutDate = "last_attended",
    follow_up: FollowUp = "settled",
    strata: str | Sequence[str] | None = None,
    tau: float | None = None,
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
    strata
        Columns of patients or courses within whose values the test compares the groups.
    tau
        The horizon of the restricted mean, in sessions (a whole number) or days. By default the longest up to which every
        group is followed.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        Estimands ``retention`` (one row a time; denominator: at risk just before, numerator: dropped out at it),
        ``median_retention`` (in sessions or days), ``restricted_mean`` (the mean number of sessions or days kept, of the
        first ``tau``, which stands under ``time``; numerator: dropped out by then) and, with ``by``, ``logrank_test``,
        whose row bears ``all groups`` and which leaves out courses whose group is not recorded. Unit: courses. ``n_missing``:
        courses that are not in the analysis: nothing of them is settled, or (with days) they never attended.

    Raises
    ------
    ValueError
        If an argument is not one of those above, or ``by`` or ``strata`` is not a column or bears a name that the
        analysis needs.

    Notes
    -----
    In sessions, a course with m attended sessions that dropped out fails at session m + 1; one that is ongoing or
    completed is censored after session m, all as far as settled. Whoever came to all planned sessions completed the
    course, also where it was recorded as discontinued afterwards (`disposition` counts it as dropped out). In days, an ongoing course is censored at its last
    attended session (``last_attended``) or at the earlier of the data cut and the end of its next window
    (``first_missed``); with settled follow-up nobody is followed past the last day on which a dropout would be known: until then
    it is known to be kept. Standard errors are Greenwood's, intervals on the log(-log) scale; before the first dropout
    they are exact, from those still at risk. The restricted mean is the sum of the retention at sessions 1 to tau, or the area
    under the curve to day tau; past the last time at risk it is not given.

    References
    ----------
    Kaplan EL, Meier P (1958). Nonparametric estimation from incomplete observations. doi:10.1080/01621459.1958.10501452

    Mantel N (1966). Evaluation of survival data and two new rank order statistics arising in its consideration. Cancer
    Chemotherapy Reports 50, 163-170.

    Royston P, Parmar MKB (2013). Restricted mean survival time. doi:10.1186/1471-2288-13-152

    Examples
    --------
    >>> import mesostats as ms
    >>> kept = ms.retention(ms.simulate(200, seed=1), by="protocol", time="session")
    >>> first = kept.cell(protocol="short_course", estimand="retention", time=1)
    >>> bool(first["estimate"] > 0.9)
    True
    """
    check_choices(time=time, dropout_date=dropout_date, follow_up=follow_up)
    columns, layers = _columns(by, strata)
    _check_tau(tau, time)
    courses = followed_courses(clinic, [*columns, *layers], follow_up)
    courses = timed_courses(courses, time=time, dropout_date=dropout_date)
    counts = analysed_counts(courses, [*columns, *layers, "time", "event"])
    found = list(groups_of(courses, columns))
    curves = [
        retention_curve(of_group(counts, columns, group), time, conf_level=conf_level) for group, _ in found
    ]
    horizon = common_horizon(curves) if tau is None else float(tau)
    frames = []
    for (group, size), curve in zip(found, curves, strict=True):
        rows = [
            curve_rows(curve),
            median_row(curve, time, conf_level=conf_level),
            restricted_mean_row(curve, time, tau=horizon, conf_level=conf_level),
        ]
        lost = size - int(of_group(counts, columns, group)["courses"].sum())
        frames.append(stack(rows).assign(**dict(zip(columns, group, strict=True)), n_missing=lost))
    if columns and found:
        compared = counts[known_groups(counts, columns)]
        test = logrank_row(compared, columns, layers, everybody=ALL_GROUPS)
        frames.append(test.assign(n_missing=sum(size for _, size in found) - compared["courses"].sum()))
    estimates = contract(stack(frames).assign(unit="courses"), columns)
    arguments: dict[str, Any] = {
        "by": list(columns),
        "time": time,
        "dropout_date": dropout_date,
        "follow_up": follow_up,
    }
    arguments |= {"strata": list(layers), "tau": horizon, "conf_level": conf_level}
    spec = _retention_spec(clinic, arguments, columns)
    return Result(estimates, spec, lambda cell: _explain_retention(courses, columns, cell, horizon))


def _columns(
    by: str | Sequence[str] | None, strata: str | Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the grouping columns and those of the strata."""
    columns, layers = grouping(by, taken=TAKEN), grouping(strata, taken=TAKEN)
    grouping([*columns, *layers])
    if layers and not columns:
        msg = "strata= belongs to the test across groups: name the groups with by="
        raise ValueError(msg)
    return columns, layers


def _check_tau(tau: float | None, time: TimeScale) -> None:
    """Refuse a horizon that is no time."""
    if tau is None:
        return
    if not 0 < tau < np.inf:
        msg = f"tau == {tau}, must be above 0"
        raise ValueError(msg)
    if time == "session" and tau != int(tau):
        msg = f"tau counts sessions: a whole number, found {tau}"
        raise ValueError(msg)


def _retention_spec(clinic: Dataset, arguments: dict[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    population = "treated" if arguments["time"] == "day" else "started"
    spec = dropout_spec(
        clinic,
        "retention",
        _TITLES[arguments["time"]],
        arguments=arguments,
        columns=columns,
        population=population,
    )
    references = [_KAPLAN_MEIER, _MANTEL, _ROYSTON] if columns else [_KAPLAN_MEIER, _ROYSTON]
    bands = phase_bands(clinic) if arguments["time"] == "session" else {}
    rules = [*RULES, *([uncompared("courses")] if columns else [])]
    return spec | bands | {"rules": rules, "primary": "retention", "references": references}


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
    columns = grouping(by, taken=TAKEN)
    check_choices(follow_up=follow_up)
    courses = followed_courses(clinic, columns, follow_up)
    counts = collect(courses.group_by(*columns, "reached", "outcome").agg(courses=nw.len()))
    frames = []
    for group, _ in groups_of(courses, columns):
        rows = _step_rows(_steps(of_group(counts, columns, group)), conf_level)
        frames.append(rows.assign(**dict(zip(columns, group, strict=True))))
    estimates = contract(stack(frames).assign(unit="courses"), columns)
    arguments = {"by": list(columns), "follow_up": follow_up, "conf_level": conf_level}
    title = "Dropout at each session of the schedule"
    spec = dropout_spec(clinic, "dropout_by_session", title, arguments=arguments, columns=columns)
    spec |= {"rules": list(RULES), "primary": "retention", "references": [_KAPLAN_MEIER]}
    spec |= phase_bands(clinic)
    return Result(estimates, spec, lambda cell: _explain_step(courses, columns, cell))


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


def _step_rows(steps: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    shared = {"time": steps["session"], "n_missing": steps["not_yet_due"]}
    attendance = proportion(steps["attended"], steps["due"], conf_level=conf_level)
    hazard = proportion(steps["dropped"], steps["due"], conf_level=conf_level)
    curve = session_curve(steps, conf_level=conf_level)
    kept = curve.rename(columns={"events": "numerator", "at_risk": "denominator"}).drop(columns="time")
    named = {"attendance": attendance, "dropout_hazard": hazard, "retention": kept}
    return pd.concat(
        [rows.assign(estimand=name, **shared) for name, rows in named.items()], ignore_index=True
    )


def _explain_retention(
    courses: nw.LazyFrame[Any], columns: Sequence[str], cell: Mapping[str, Any], tau: float
) -> pd.DataFrame:
    """Return one row a course: at risk, and dropped out, at the cell's time (at any time where none is given)."""
    tested, averaged = (cell.get("estimand") == name for name in ("logrank_test", "restricted_mean"))
    rows = course_rows(courses, columns, cell, more=("time", "event", "excluded"), everybody=tested)
    if tested:
        rows = without_unknown_groups(rows, columns)
    analysed = rows["excluded"] == ""
    at = cell.get("time", tau if averaged else None)
    lost = analysed & (rows["event"] == 1)
    if averaged:
        at_risk, failed = analysed, lost & (rows["time"] <= at)
    elif at is None or pd.isna(at):
        at_risk, failed = analysed, lost
    else:
        at_risk, failed = analysed & (rows["time"] >= at), lost & (rows["time"] == at)
    gone = analysed & ~at_risk
    excluded = rows["excluded"].mask(gone, "censored or dropped out before this time")
    return rows.assign(in_denominator=at_risk, in_numerator=failed, excluded=excluded)


def _explain_step(
    courses: nw.LazyFrame[Any], columns: Sequence[str], cell: Mapping[str, Any]
) -> pd.DataFrame:
    """Return one row a course: due, and dropped out (or attended), at the cell's session."""
    rows = course_rows(courses, columns, cell, more=("reached", "outcome"))
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
