"""Why courses are given up: the cumulative incidence of dropout for each reason, the others competing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np
import pandas as pd

from mesostats.dropout.end_reasons import ALL_REASONS, REASON_RULE, in_order, reason_labels, with_reason
from mesostats.dropout.phase_bands import phase_bands
from mesostats.dropout.times import (
    COMPLETED,
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
from mesostats.estimators import kaplan_meier
from mesostats.estimators.arguments import check_choice
from mesostats.estimators.competing import aalen_johansen
from mesostats.estimators.gray import gray
from mesostats.populations import grouping, known_groups, uncompared, without_unknown_groups
from mesostats.results import ALL_GROUPS, Result, adjusted_p_values, contract, stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import narwhals as nw

    from mesostats.dataset import Dataset
    from mesostats.dropout.times import DropoutDate, TimeScale
    from mesostats.follow_up import FollowUp

Completion = Literal["censored", "competing"]

REASON: Final = "reason"
_CENSORED: Final = 0
_NOBODY: Final = "no course to analyse"
_INCIDENCE: Final = "cumulative_incidence"
_COMPLETED: Final = "cumulative_incidence_completed"
_TEST: Final = "gray_test"
_NAIVE: Final = "one_minus_kaplan_meier"
_NAIVE_NOTE: Final = (
    "overestimates: takes the other reasons as censoring, as if those who left could still leave for this one"
)
_COMPLETION_RULES: Final = {
    "censored": "Completion is censoring, as in `retention`: the incidences of all reasons and retention sum to 1 at every time.",
    "competing": "Completion is an end of its own: the incidences of all reasons, of completion and those still in treatment sum "
    "to 1.",
}
_TITLES: Final = {
    "session": "Dropout by reason and session of the schedule (cumulative incidence)",
    "day": "Dropout by reason and days since the first session (cumulative incidence)",
}


def dropout_reasons(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    time: TimeScale = "session",
    dropout_date: DropoutDate = "last_attended",
    follow_up: FollowUp = "settled",
    completion: Completion = "censored",
    conf_level: float = 0.95,
) -> Result:
    """Estimate how many courses are given up for each reason by each session or day, with the other reasons competing.

    Parameters
    ----------
    clinic
        A data set.
    by
        Columns of patients or courses.
    time, dropout_date, follow_up
        As for `retention`.
    completion
        What a completed course is: ``censored``, as in `retention` (how many are given up as far as the plan goes), or
        ``competing`` (how many of those who began have been given up by then, completed courses staying in the
        denominator).
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        By group and ``reason`` (and for ``all reasons``): ``cumulative_incidence`` (one row a time; denominator: at risk
        just before, numerator: given up for the reason at it). Beside it, as a warning, ``one_minus_kaplan_meier``, which takes the
        other reasons as censoring and is too high. With ``completion="competing"`` also
        ``cumulative_incidence_completed``, under ``all reasons``. With ``by``, ``gray_test`` of each reason, whose row
        bears ``all groups``, adjusted over the reasons; courses whose group is not recorded are not in it. Unit: courses; ``n_missing`` as for `retention`.

    Raises
    ------
    ValueError
        If an argument is not one of those above, or ``by`` is not a column or bears a name that the analysis needs.

    Notes
    -----
    Reasons are the codes of the data; ``overdue`` is a course that has dropped out because its next session is
    overdue, with no record of an end; ``not recorded`` one that was recorded as discontinued without a reason. A reason
    has a row in every group if any course of the data was given up for it. The Aalen-Johansen estimate is
    sum S(s-)·d_k/n over the times s, with S the retention: so the incidences of all reasons and S sum to 1.

    Of a curve, ``explain`` with a ``time`` gives the courses at risk at that step and those given up at it; without a time, all
    courses and all that were given up.

    References
    ----------
    Aalen OO, Johansen S (1978). An empirical transition matrix for non-homogeneous Markov chains based on censored
    observations. Scandinavian Journal of Statistics 5, 141-150.

    Gray RJ (1988). A class of K-sample tests for comparing the cumulative incidence of a competing risk.
    doi:10.1214/aos/1176350951

    Examples
    --------
    >>> import mesostats as ms
    >>> found = dropout_reasons(ms.simulate(300, seed=1))
    >>> by_session_5 = found.estimates.query("estimand == 'cumulative_incidence' and time == 5").set_index("reason")
    >>> reasons = by_session_5["estimate"].drop("all reasons")
    >>> bool(abs(reasons.sum() - by_session_5.loc["all reasons", "estimate"]) < 1e-12)
    True
    """
    columns = grouping(by, taken=TAKEN)
    check_choices(time=time, dropout_date=dropout_date, follow_up=follow_up)
    check_choice(completion, get_args(Completion), "completion")
    courses = with_reason(followed_courses(clinic, columns, follow_up))
    courses = timed_courses(courses, time=time, dropout_date=dropout_date)
    counts = analysed_counts(courses, [*columns, "time", "event", "ended", REASON])
    reasons = in_order(counts.loc[counts["event"] == 1, REASON], clinic)
    counts = counts.assign(end=_codes(counts, reasons, completion))
    frames = []
    for group, size in groups_of(courses, columns):
        own = of_group(counts, columns, group)
        rows = _group_rows(own, reasons, completion=completion, conf_level=conf_level)
        names = dict(zip(columns, group, strict=True))
        frames.append(rows.assign(**names, n_missing=size - own["courses"].sum()))
    if columns and frames:
        compared = counts[known_groups(counts, columns)]
        lost = sum(size for _, size in groups_of(courses, columns)) - compared["courses"].sum()
        frames.append(_tests(compared, columns, reasons).assign(n_missing=lost))
    estimates = contract(stack(frames).assign(unit="courses"), [*columns, REASON])
    arguments: dict[str, Any] = {"by": list(columns), "time": time, "dropout_date": dropout_date}
    arguments |= {"follow_up": follow_up, "completion": completion, "conf_level": conf_level}
    return Result(estimates, _spec(clinic, arguments, columns), lambda cell: _explain(courses, columns, cell))


def _codes(counts: pd.DataFrame, reasons: Sequence[str], completion: Completion) -> pd.Series[int]:
    """Return the code of each end: the place of the reason from 1, completion after them, 0 for censored."""
    places = {reason: place for place, reason in enumerate(reasons, start=1)}
    ends = counts[REASON].map(places).where(counts["event"] == 1, _CENSORED)
    if completion == "competing":
        ends = ends.mask(counts["ended"] == "completed", len(reasons) + 1)
    return ends.astype("int64")


def _group_rows(
    counts: pd.DataFrame, reasons: Sequence[str], *, completion: Completion, conf_level: float
) -> pd.DataFrame:
    """Return the rows of one group: each reason, each naively, all reasons together, and completion where it competes."""
    time, end, courses = counts["time"], counts["end"], counts["courses"]
    codes = {reason: place for place, reason in enumerate(reasons, start=1)}
    own = aalen_johansen(time, end, courses, causes=[*codes.values()], conf_level=conf_level)
    frames = []
    for reason, code in codes.items():
        frames.append(_named(own[own["cause"] == code], _INCIDENCE, reason))
        frames.append(_named(_naive(counts, code, conf_level), _NAIVE, reason))
    done = end == len(reasons) + 1
    merged = np.select([end == _CENSORED, done], [_CENSORED, 2], default=1)
    together = aalen_johansen(time, merged, courses, causes=[1, 2], conf_level=conf_level)
    frames.append(_named(together[together["cause"] == 1], _INCIDENCE, ALL_REASONS))
    if completion == "competing":
        frames.append(_named(together[together["cause"] == 2], _COMPLETED, ALL_REASONS))  # noqa: PLR2004 - as coded above
    return stack(frames)


def _naive(counts: pd.DataFrame, code: int, conf_level: float) -> pd.DataFrame:
    """Return 1 - Kaplan-Meier of one reason, all other ends as censoring."""
    curve = kaplan_meier(counts["time"], counts["end"] == code, counts["courses"], conf_level=conf_level)
    return curve.assign(
        estimate=1 - curve["estimate"],
        conf_low=1 - curve["conf_high"],
        conf_high=1 - curve["conf_low"],
        method="1 - " + curve["method"],
        note=["; ".join(filter(None, (_NAIVE_NOTE, note))) for note in curve["note"]],
    )


def _named(curve: pd.DataFrame, estimand: str, reason: str) -> pd.DataFrame:
    """Return a curve in the contract's names, or one row that says why there is none."""
    if curve.empty:
        curve = pd.DataFrame({"at_risk": [0], "note": [_NOBODY]})
    named = curve.rename(columns={"events": "numerator", "at_risk": "denominator"})
    return named.assign(estimand=estimand, reason=reason)


def _tests(counts: pd.DataFrame, columns: Sequence[str], reasons: Sequence[str]) -> pd.DataFrame:
    """Return Gray's test of each reason across groups, adjusted for their number."""
    group = counts.groupby([*columns]).ngroup()
    frames = []
    for code, reason in enumerate(reasons, start=1):
        found = gray(counts["time"], counts["end"], group, cause=code, weights=counts["courses"])
        events = counts.loc[counts["end"] == code, "courses"].sum()
        frames.append(found.assign(reason=reason, numerator=events, denominator=counts["courses"].sum()))
    if not frames:
        return pd.DataFrame()
    tests = stack(frames).assign(**dict.fromkeys(columns, ALL_GROUPS), estimand=_TEST)
    return tests.assign(p_adjusted=adjusted_p_values(tests["p_value"], tests["estimand"]))


def _spec(clinic: Dataset, arguments: dict[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    time = arguments["time"]
    population = "treated" if time == "day" else "started"
    spec = dropout_spec(
        clinic, "dropout_reasons", _TITLES[time], arguments=arguments, columns=columns, population=population
    )
    family = "p values of Gray's tests are adjusted (Benjamini-Hochberg) over the reasons."
    completion = _COMPLETION_RULES[arguments["completion"]]
    bands = phase_bands(clinic) if time == "session" else {}
    return (
        spec
        | bands
        | {
            "rules": [
                COMPLETED,
                *RULES[1:],
                REASON_RULE,
                completion,
                *([family, uncompared("courses")] if columns else []),
            ],
            "primary": _INCIDENCE,
            "references": [
                "Aalen OO, Johansen S. Scand J Stat 1978;5:141-150.",
                *(["Gray RJ. Ann Stat 1988;16:1141-1154. doi:10.1214/aos/1176350951"] if columns else []),
            ],
            "labels": spec["labels"] | {REASON: reason_labels(clinic)},
        }
    )


def _explain(courses: nw.LazyFrame[Any], columns: Sequence[str], cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a course: at risk, and given up for the cell's reason, at its time (at any time where none is given)."""
    more = ("time", "ended", REASON, "excluded")
    tested = cell.get("estimand") == _TEST
    rows = course_rows(courses, columns, cell, more=more, everybody=tested)
    if tested:
        rows = without_unknown_groups(rows, columns)
    analysed, at, reason = rows["excluded"] == "", cell.get("time"), cell.get(REASON, ALL_REASONS)
    timed = at is not None and not pd.isna(at)
    at_risk = analysed & (rows["time"] >= at) if timed else analysed
    ended = rows["ended"] == ("completed" if cell.get("estimand") == _COMPLETED else "dropped_out")
    here = at_risk & ended & ((rows["time"] == at) if timed else True)
    if reason != ALL_REASONS:
        here &= rows[REASON] == reason
    gone = rows["excluded"].mask(analysed & ~at_risk, "censored or ended before this time")
    return rows.assign(
        **{REASON: rows[REASON].where(rows["ended"] == "dropped_out", "")},
        in_denominator=at_risk,
        in_numerator=here,
        excluded=gone,
    )
