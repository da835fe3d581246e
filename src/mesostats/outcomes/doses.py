"""Response by the number of sessions received by a landmark day: no course is given credit for having lasted longer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.assessments import END_OF_COURSE
from mesostats.attendance import attended_visits
from mesostats.estimators.arguments import check_conf_level
from mesostats.estimators.clustering import with_clustering_note
from mesostats.estimators.clusters import ClusterTotals
from mesostats.estimators.proportions import clustered_proportion, proportion
from mesostats.estimators.trends import proportion_trend
from mesostats.outcomes.denominators import STRATEGIES
from mesostats.outcomes.questions import question
from mesostats.outcomes.seen_responses import each_group, rows_of
from mesostats.populations import labels
from mesostats.results import ALL_GROUPS, Result, contract, stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.assessments import Endpoint
    from mesostats.dataset import Dataset
    from mesostats.outcomes.questions import EndpointChoice, Question
    from mesostats.vocabulary import ResponderRule

SESSIONS: Final = "sessions"
_TAKEN: Final = frozenset({SESSIONS, "by_landmark", "in_all", "visit", "place", "n"})
_FLAGS: Final = {"treated": "due", "evaluable": "evaluable"}
_NAIVE: Final = "naive_"
_NAIVE_NOTE: Final = "misleads: grouped by the final number of sessions, which responders who stay have more of (immortal time)"
_NOBODY: Final = "no course was still in treatment at the landmark"
_RULES: Final = (
    "Sessions: days with an attended session up to the landmark; what came later is not used.",
    "In treatment at the landmark: a session was attended after it. Courses given up or completed by then are not analysed.",
    "Trend: by how much response differs for each further session received by the landmark. It is adjusted for nothing.",
)


def response_by_sessions(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    instrument: str | Sequence[str] | None = None,
    rule: ResponderRule | Mapping[str, ResponderRule] | None = None,
    landmark_day: int = 14,
    endpoint: EndpointChoice = END_OF_COURSE,
    window: int | None = None,
    naive: bool = False,
    conf_level: float = 0.95,
) -> Result:
    """Estimate response by the number of sessions received by a landmark, in courses still in treatment then.

    Parameters
    ----------
    clinic
        A data set with outcomes.
    by
        Columns of patients or courses, such as the protocol.
    instrument, rule, endpoint, window
        As of `response`; but the window of an endpoint on a day begins after the landmark, and the last observation, which may
        be an earlier one, is refused.
    landmark_day
        Days after the first attended session.
    naive
        Also give ``naive_…``: response by the final number of sessions, which misleads (see Notes).
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        By group, ``instrument`` and ``sessions`` (received by the landmark): ``response_treated`` (missing as non-response)
        and ``response_evaluable``. Under ``all groups`` of sessions, for each denominator, ``…_trend_difference`` (change
        of the share a session) and ``…_trend_test`` (Cochran-Armitage). Unit: courses; ``n_missing``: courses due
        without an evaluable endpoint.

    Raises
    ------
    DataError
        If the table outcomes is absent.
    VocabularyError
        If an instrument is not in the vocabulary.
    ValueError
        If an argument is not as described.

    Notes
    -----
    To group courses by their final number of sessions is to sort them by how long they lasted: whoever responds stays and
    comes to more sessions, whoever does not leaves with few. More sessions then go with more response even where sessions
    do nothing; the time that a course had to last in order to get there is called immortal. A landmark analysis takes
    the sessions received by a day, and only courses still in treatment then, whose response is read later: what comes
    after the landmark cannot decide in which group a course is. It is still a comparison of those who came often with those
    who came seldom, who may differ in other ways.

    In treatment at the landmark are courses with a session after it: dropouts are dated by their last attended session, as
    `retention` does, so that those who left just after the landmark, before another session, are not analysed.

    Where patients have several courses, intervals and tests are clustered in patients.

    References
    ----------
    Anderson JR, Cain KC, Gelber RD (1983). Analysis of survival by tumor response. doi:10.1200/JCO.1983.1.11.710

    Suissa S (2008). Immortal time bias in pharmaco-epidemiology. doi:10.1093/aje/kwm324

    Armitage P (1955). Tests for linear trends in proportions and frequencies. doi:10.2307/3001775

    Examples
    --------
    >>> import mesostats as ms
    >>> found = response_by_sessions(ms.simulate(500, seed=1), instrument="fine_lines", landmark_day=21)
    >>> trend = found.cell(sessions="all groups", estimand="evaluable_trend_difference")
    >>> bool(-1 <= trend["conf_low"] <= trend["estimate"] <= trend["conf_high"] <= 1)
    True
    """
    check_conf_level(conf_level)
    asked = question(
        clinic, by=by, instrument=instrument, rule=rule, endpoint=endpoint, window=window, taken=_TAKEN
    )
    _check_landmark(landmark_day, asked.endpoint)
    dosed, groups = _dosed(clinic, asked, landmark_day), [*asked.columns, "instrument"]
    courses = _rows(dosed, groups)
    frames = []
    for names, own in each_group(courses, groups):
        refusal = asked.refusals.get(names["instrument"], "")
        rows = _refused(own, refusal) if refusal else _group_rows(own, naive=naive, conf_level=conf_level)
        frames.append(rows.assign(**names))
    keys = [*groups, SESSIONS]
    estimates = contract(stack(frames).assign(unit="courses"), keys)
    arguments = asked.arguments | {"landmark_day": landmark_day, "naive": naive, "conf_level": conf_level}
    spec = _spec(clinic, arguments, asked)
    return Result(estimates, spec, lambda cell: _explain(dosed, groups, cell))


def _check_landmark(landmark_day: int, endpoint: Endpoint) -> None:
    """Refuse a landmark that is no day, or after which the response need not lie."""
    if isinstance(landmark_day, bool) or landmark_day != int(landmark_day) or landmark_day < 1:
        msg = f"landmark_day is a whole number of days above 0, found {landmark_day!r}"
        raise ValueError(msg)
    if endpoint.carried:
        msg = "the last observation may come before the landmark: ask for 'end_of_course' or a day"
        raise ValueError(msg)
    if endpoint.day is not None and endpoint.day - endpoint.window <= landmark_day:
        msg = (
            f"the endpoint's window, day {endpoint.day} less {endpoint.window}, must begin after the landmark on "
            f"day {landmark_day}"
        )
        raise ValueError(msg)


def _dosed(clinic: Dataset, asked: Question, landmark_day: int) -> nw.LazyFrame[Any]:
    """Return scored courses with ``by_landmark`` and ``in_all``, the days with an attended session by then and in all."""
    courses = asked.courses(clinic)
    starts = courses.select("course_id", "first_day").unique()
    visits = attended_visits(clinic).select("course_id", "place", visit=nw.col("day").cast(nw.Int64))
    early = nw.when(nw.col("visit") <= nw.col("first_day") + landmark_day).then(nw.col("place"))
    counted = visits.join(starts, on="course_id", how="inner").group_by("course_id")
    received = counted.agg(by_landmark=early.max(), in_all=nw.col("place").max())
    return clinic.engine.materialise(courses.join(received, on="course_id", how="inner"))


def _rows(dosed: nw.LazyFrame[Any], groups: list[str]) -> pd.DataFrame:
    """Bring the courses home with the reason why one is not analysed."""
    own = [
        "course_id",
        "instrument",
        "patient_id",
        "kind",
        "by_landmark",
        "in_all",
        "responder",
        *_FLAGS.values(),
    ]
    rows = rows_of(dosed, [*own, *groups])
    excluded = np.select(
        [rows["due"] == 0, rows["kind"] == "none", rows["in_all"] <= rows["by_landmark"]],
        ["endpoint not due by the data cut", "the instrument is not scored", "ended by the landmark"],
        default="",
    )
    return rows.assign(excluded=excluded, **{SESSIONS: rows["by_landmark"].astype("int64").astype("str")})


def _refused(courses: pd.DataFrame, refusal: str) -> pd.DataFrame:
    names = [f"response_{name}" for name in _FLAGS]
    return pd.DataFrame({"estimand": names, SESSIONS: ALL_GROUPS, "note": refusal, "n_missing": len(courses)})


def _group_rows(courses: pd.DataFrame, *, naive: bool, conf_level: float) -> pd.DataFrame:
    """Return the shares and trends of one group."""
    followed = courses[courses["excluded"] == ""].assign(score=lambda frame: frame["by_landmark"])
    frames = [_shares_and_trend(followed, name, conf_level) for name in _FLAGS]
    if naive:
        every = courses[courses["due"] == 1]
        every = every.assign(
            score=every["in_all"], **{SESSIONS: every["in_all"].astype("int64").astype("str")}
        )
        misled = _shares_and_trend(every, "evaluable", conf_level)
        notes = ["; ".join(filter(None, (_NAIVE_NOTE, note))) for note in misled["note"]]
        frames.append(misled.assign(estimand=_NAIVE + misled["estimand"], note=notes))
    return stack(frames)


def _shares_and_trend(courses: pd.DataFrame, name: str, conf_level: float) -> pd.DataFrame:
    """Return response by sessions over one denominator, its trend and the test."""
    counted = courses[courses[_FLAGS[name]] == 1]
    patients = counted["patient_id"] if counted["patient_id"].duplicated().any() else None
    trend = proportion_trend(counted["responder"], counted["score"], clusters=patients, conf_level=conf_level)
    trend = trend.assign(**{SESSIONS: ALL_GROUPS}, n_missing=float((courses["evaluable"] == 0).sum()))
    if courses.empty:
        trend = trend.assign(note=_NOBODY)
    slope = trend.assign(estimand=f"{name}_trend_difference", statistic=np.nan, p_value=np.nan)
    test = trend.assign(estimand=f"{name}_trend_test")
    test[["estimate", "std_error", "conf_low", "conf_high"]] = np.nan
    shares = [
        _share(own, name, conf_level).assign(**{SESSIONS: str(score)})
        for score, own in courses.groupby("score", sort=True)
    ]
    return stack([*shares, slope, test])


def _share(courses: pd.DataFrame, name: str, conf_level: float) -> pd.DataFrame:
    """Return the share of responders; clustered where patients repeat."""
    counted = courses[courses[_FLAGS[name]] == 1]
    if counted["patient_id"].duplicated().any():
        sums = counted.groupby("patient_id")["responder"].agg(["sum", "size"])
        totals = ClusterTotals.from_arrays(sums["sum"], sums["size"])
        found = with_clustering_note(clustered_proportion(totals, conf_level=conf_level))
    else:
        found = proportion(int(counted["responder"].sum()), len(counted), conf_level=conf_level)
    return found.assign(
        estimand=f"response_{name}",
        method=found["method"] + "; " + STRATEGIES[name],
        n_missing=float((courses["evaluable"] == 0).sum()),
    )


def _explain(dosed: nw.LazyFrame[Any], groups: list[str], cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a course and instrument of the cell, with its sessions and why it does not count."""
    for column in groups:
        if column in cell:
            dosed = dosed.filter(nw.col(column) == cell[column])
    rows, name = _rows(dosed, groups), str(cell.get("estimand", "response_evaluable"))
    if name.startswith(_NAIVE):
        ended = rows["excluded"] == "ended by the landmark"
        rows = rows.assign(excluded=rows["excluded"].mask(ended, ""))
        rows[SESSIONS] = rows["in_all"].astype("int64").astype("str")
    if cell.get(SESSIONS, ALL_GROUPS) != ALL_GROUPS:
        rows = rows[rows[SESSIONS] == cell[SESSIONS]].reset_index(drop=True)
    flag = _FLAGS["treated" if "treated" in name else "evaluable"]
    unread = (rows["excluded"] == "") & (rows[flag] == 0)
    excluded = (
        rows["excluded"].mask(unread, "no usable baseline or no assessment at the endpoint").astype("str")
    )
    inside = excluded == ""
    shown = [*dict.fromkeys([*groups, SESSIONS, "course_id", "patient_id"])]
    return rows[shown].assign(
        in_denominator=inside, in_numerator=inside & (rows["responder"] == 1), excluded=excluded
    )


def _spec(clinic: Dataset, arguments: dict[str, Any], asked: Question) -> dict[str, Any]:
    day = arguments["landmark_day"]
    naive = [f"naive_…: {_NAIVE_NOTE}."] if arguments["naive"] else []
    return {
        "analysis": "response_by_sessions",
        "title": f"Response by sessions received in the first {day} days, courses still in treatment then",
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {"courses": f"courses with an attended session after day {day}, whose endpoint is due"},
        "rules": [*_RULES, *naive, *asked.rules],
        "primary": "response_treated",
        "references": [
            "Anderson JR, Cain KC, Gelber RD. J Clin Oncol 1983;1:710-719. doi:10.1200/JCO.1983.1.11.710",
            "Suissa S. Am J Epidemiol 2008;167:492-499. doi:10.1093/aje/kwm324",
            "Armitage P. Biometrics 1955;11:375-386. doi:10.2307/3001775",
        ],
        "labels": labels(clinic, [*arguments["by"], "instrument"]),
    }
