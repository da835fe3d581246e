"""Time to the first response, which is seen at assessments only: between which two, not when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.assessments import LAST_OBSERVATION
from mesostats.estimators.arguments import check_choice, check_conf_level
from mesostats.estimators.clustered_survival import clustered_kaplan_meier
from mesostats.estimators.competing import aalen_johansen
from mesostats.estimators.interval_censored import LEAST_AT_RISK, turnbull, turnbull_quantile
from mesostats.estimators.survival import kaplan_meier
from mesostats.estimators.survival_summaries import quantile
from mesostats.outcomes.questions import question
from mesostats.outcomes.seen_responses import (
    NO_BASELINE,
    NOT_ASSESSED,
    NOT_SCORED,
    TAKEN,
    TimeScale,
    each_group,
    first_responses,
    in_order,
    rows_of,
)
from mesostats.outcomes.strategies import HYPOTHETICAL
from mesostats.populations import POPULATIONS, labels
from mesostats.results import Result, contract, stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.dataset import Dataset
    from mesostats.outcomes.questions import Question
    from mesostats.vocabulary import ResponderRule

_RESPONDED: Final = "responded"
_AS_SEEN: Final = "responded_as_seen"
_MEDIAN: Final = "median_response"
_MEDIAN_AS_SEEN: Final = "median_response_as_seen"
_COMPETING: Final = "responded_before_dropout"
_DROPOUT: Final = "dropped_out_before_response"
_ESTIMANDS: Final = (_RESPONDED, _AS_SEEN, _MEDIAN, _MEDIAN_AS_SEEN, _COMPETING, _DROPOUT)
_CAUSES: Final = {_COMPETING: 1, _DROPOUT: 2}
_LATE: Final = "late: takes the assessment at which a response was first seen for its time"
_NOBODY: Final = "no course with a usable baseline and an assessment after the first session"
_NO_RESPONSE: Final = "no response was seen: see responded_as_seen for its limit"
_REPEATED: Final = "patients with several courses: taken as independent"
_UNITS: Final = {"day": "days since the first attended session", "session": "attended sessions"}
_RULES: Final = (
    "A first response came after the last assessment without it, and by the first one with it.",
    "Where few were assessed early, these few decide the curve there: one response seen on day 3 may draw those seen on day 30 to it. The interval shows it.",
    f"Courses without a response are censored at their last assessment, dropouts too ({HYPOTHETICAL}).",
    "Where fewer than a tenth of the courses were still followed, notes say so, and plots end (Pocock, Clayton and Altman 2002).",
    "responded_before_dropout and dropped_out_before_response: dropout without a response competes; courses never assessed count (ICH E9(R1) while-on-treatment strategy).",
    "Denominators of responded and the medians: courses assessed; of the other curves, those at risk just before the time.",
)


def time_to_response(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = "indication",
    instrument: str | Sequence[str] | None = None,
    rule: ResponderRule | Mapping[str, ResponderRule] | None = None,
    time: TimeScale = "day",
    conf_level: float = 0.95,
) -> Result:
    """Estimate how soon courses first respond, in days or in sessions.

    Parameters
    ----------
    clinic
        A data set with outcomes.
    by
        Columns of patients or courses.
    instrument, rule
        As of `response`.
    time
        ``day``: days since the first attended session; ``session``: attended sessions before the assessment (one on the day of
        the assessment comes after it).
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        By group and ``instrument``. Curves, one row a time: ``responded`` (the share that had responded by then, from
        interval-censored times; numerator: courses seen to respond by then), ``responded_as_seen`` (1 - Kaplan-Meier at the
        assessment where the response was first seen, which is late), ``responded_before_dropout`` and
        ``dropped_out_before_response`` (Aalen-Johansen; numerators: such ends at the time). Medians: ``median_response``,
        ``median_response_as_seen``. Unit: courses. ``n_missing``: treated courses without a usable baseline or, but for the
        competing curves, without an assessment.

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
    Response is seen at assessments only. ``responded`` is the nonparametric maximum of the likelihood of the intervals
    from the last assessment without to the first with response (`estimators.turnbull`); it is determined at the times in
    the result and not between them. All curves but the competing ones take courses that left without a response for
    courses that go on like the others; where one leaves because nothing happens, too many seem to respond. The competing curves
    let dropout forestall response: their time is the first responding assessment, or the later of the last attended session
    and the last assessment of a course that dropped out. Completed and ongoing courses without response are censored at
    their last assessment. In sessions, a later assessment after the same number of sessions replaces an earlier one without
    response. Where patients have several courses, intervals are clustered in patients (but for the competing curves).

    References
    ----------
    Turnbull BW (1976). The empirical distribution function with arbitrarily grouped, censored and truncated data.
    doi:10.1111/j.2517-6161.1976.tb01597.x

    Lindsey JC, Ryan LM (1998). Tutorial in biostatistics: methods for interval-censored data.
    doi:10.1002/(SICI)1097-0258(19980130)17:2<219::AID-SIM735>3.0.CO;2-O

    Examples
    --------
    >>> import mesostats as ms
    >>> found = time_to_response(ms.simulate(300, seed=1), instrument="masi")
    >>> curve = found.estimates.query("estimand == 'responded'")
    >>> bool(curve["estimate"].is_monotonic_increasing)
    True
    """
    check_choice(time, get_args(TimeScale), "time")
    check_conf_level(conf_level)
    asked = question(
        clinic, by=by, instrument=instrument, rule=rule, endpoint=LAST_OBSERVATION, window=None, taken=TAKEN
    )
    seen, groups = first_responses(clinic, asked, time), [*asked.columns, "instrument"]
    courses = _courses(seen, [*groups, "patient_id"])
    frames = []
    for names, own in each_group(courses, groups):
        rows = _group_rows(own, asked.refusals.get(names["instrument"], ""), conf_level)
        frames.append(rows.assign(**names))
    estimates = contract(stack(frames).assign(unit="courses"), groups)
    estimates = in_order(estimates, groups, _ESTIMANDS)
    arguments = {name: asked.arguments[name] for name in ("by", "instrument")}
    arguments |= {"time": time, "conf_level": conf_level}
    spec = _spec(clinic, arguments, asked)
    return Result(estimates, spec, lambda cell: _explain(seen, groups, cell))


def _courses(seen: nw.LazyFrame[Any], columns: list[str]) -> pd.DataFrame:
    """Bring the courses home with the interval of the response, its time as seen, and how the course ended."""
    own = ["course_id", "instrument", "kind", "usable", "assessed", "seen_by", "free_until", "last", "ended"]
    rows = rows_of(seen, [*own, *columns])
    responded = rows["seen_by"].notna()
    dropped = ~responded & (rows["ended"] == "dropped_out")
    stays = rows["assessed"].fillna(0).astype(float)
    excluded = np.select(
        [rows["kind"] == "none", rows["usable"] == 0, rows["assessed"].isna()],
        [NOT_SCORED, NO_BASELINE, NOT_ASSESSED],
        default="",
    )
    return rows.assign(
        left=rows["free_until"].astype(float),
        right=rows["seen_by"].astype(float).fillna(np.inf),
        time=rows["seen_by"].fillna(stays).astype(float),
        event=responded,
        finish=rows["seen_by"]
        .fillna(stays.where(~dropped, np.fmax(stays, rows["last"].astype(float))))
        .astype(float),
        end=np.select([responded, dropped], [1, 2], default=0),
        excluded=excluded,
    )


def _group_rows(courses: pd.DataFrame, refusal: str, conf_level: float) -> pd.DataFrame:
    """Return all estimates of one group; where the instrument is not scored, rows that say why."""
    if refusal:
        empty = pd.DataFrame({"estimand": _ESTIMANDS, "note": refusal, "denominator": 0.0})
        return empty.assign(n_missing=len(courses))
    assessed = courses[courses["excluded"] == ""]
    usable = courses[courses["usable"] == 1]
    seen = [*_interval_rows(assessed, conf_level), *_as_seen_rows(assessed, conf_level)]
    return stack(
        [
            *(rows.assign(n_missing=len(courses) - len(assessed)) for rows in seen),
            _competing_rows(usable, conf_level).assign(n_missing=len(courses) - len(usable)),
        ]
    )


def _interval_rows(courses: pd.DataFrame, conf_level: float) -> list[pd.DataFrame]:
    """Return the curve and the median of interval-censored times."""
    patients = courses["patient_id"] if courses["patient_id"].duplicated().any() else None
    curve = turnbull(courses["left"], courses["right"], clusters=patients, conf_level=conf_level)
    counted = {"numerator": float(courses["event"].sum()), "denominator": float(len(courses))}
    median = turnbull_quantile(curve)
    if curve.empty:
        why = _NO_RESPONSE if len(courses) else _NOBODY
        empty = pd.DataFrame({"estimand": [_RESPONDED, _MEDIAN], "note": why, "conf_level": conf_level})
        return [empty.assign(**counted)]
    by_then = np.searchsorted(np.sort(courses["right"]), curve["time"], side="right")
    rows = _complement(curve).assign(numerator=by_then, denominator=len(courses), estimand=_RESPONDED)
    return [rows, median.assign(**counted, estimand=_MEDIAN)]


def _as_seen_rows(courses: pd.DataFrame, conf_level: float) -> list[pd.DataFrame]:
    """Return the curve and the median that take the assessment for the time of the response."""
    if courses.empty:
        names = pd.DataFrame({"estimand": [_AS_SEEN, _MEDIAN_AS_SEEN], "note": _NOBODY, "denominator": 0.0})
        return [names]
    if courses["patient_id"].duplicated().any():
        curve = clustered_kaplan_meier(
            courses["time"], courses["event"], courses["patient_id"], conf_level=conf_level
        )
    else:
        curve = kaplan_meier(courses["time"], courses["event"], conf_level=conf_level)
    rows = _complement(curve).rename(columns={"events": "numerator", "at_risk": "denominator"})
    median = quantile(curve).assign(
        numerator=float(courses["event"].sum()), denominator=float(len(courses)), estimand=_MEDIAN_AS_SEEN
    )
    return [_remarked(each, _LATE) for each in (rows.assign(estimand=_AS_SEEN), median)]


def _complement(curve: pd.DataFrame) -> pd.DataFrame:
    """Return the share with the event from a curve of those without it."""
    low, high = 1 - curve["conf_high"], 1 - curve["conf_low"]
    return curve.assign(
        estimate=1 - curve["estimate"], conf_low=low, conf_high=high, method="1 - " + curve["method"]
    )


def _competing_rows(courses: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    """Return the curves of response and of dropout without it, each forestalling the other."""
    if courses.empty:
        return pd.DataFrame({"estimand": [*_CAUSES], "note": NO_BASELINE, "denominator": 0.0})
    found = aalen_johansen(
        courses["finish"], courses["end"], causes=[*_CAUSES.values()], conf_level=conf_level
    ).rename(columns={"events": "numerator", "at_risk": "denominator"})
    names = {cause: name for name, cause in _CAUSES.items()}
    rows = found.assign(estimand=found["cause"].map(names))
    return _remarked(rows, _REPEATED if courses["patient_id"].duplicated().any() else "")


def _remarked(rows: pd.DataFrame, remark: str) -> pd.DataFrame:
    return rows.assign(note=["; ".join(filter(None, (remark, note))) for note in rows["note"]])


def _explain(seen: nw.LazyFrame[Any], groups: list[str], cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a course and instrument: in the denominator, and responded (or dropped out), at or by the cell's time."""
    for column in groups:
        if column in cell:
            seen = seen.filter(nw.col(column) == cell[column])
    rows = _courses(seen, [*groups, "patient_id"])
    name, at = str(cell.get("estimand", _RESPONDED)), cell.get("time")
    competing, timed = name in _CAUSES, at is not None and not pd.isna(at)
    excluded = rows["excluded"].mask(competing & (rows["excluded"] == NOT_ASSESSED), "")
    when = rows["finish"] if competing else rows["time"]
    counted = rows["end"] == _CAUSES.get(name, 1)
    inside = excluded == ""
    if timed and name == _RESPONDED:
        counted &= when <= at
    elif timed:
        gone = inside & (when < at)
        excluded = excluded.mask(gone, "ended or censored before this time")
        inside, counted = inside & ~gone, counted & (when == at)
    shown = [*dict.fromkeys([*groups, "course_id", "patient_id", "ended", "left", "right"])]
    return rows[shown].assign(
        time=when, in_denominator=inside, in_numerator=inside & counted, excluded=excluded.astype("str")
    )


def _spec(clinic: Dataset, arguments: dict[str, Any], asked: Question) -> dict[str, Any]:
    baseline, _, *scored = asked.rules
    return {
        "analysis": "time_to_response",
        "title": f"Time to the first response, in {_UNITS[arguments['time']]}",
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {"courses": POPULATIONS["treated"]},
        "rules": [baseline, *_RULES, *scored],
        "primary": _RESPONDED,
        "least_at_risk": LEAST_AT_RISK,
        "references": [
            "Pocock SJ, Clayton TC, Altman DG. Lancet 2002;359:1686-1689. doi:10.1016/S0140-6736(02)08594-X",
            "Turnbull BW. J R Stat Soc B 1976;38:290-295. doi:10.1111/j.2517-6161.1976.tb01597.x",
            "Aalen OO, Johansen S. Scand J Stat 1978;5:141-150.",
        ],
        "labels": labels(clinic, [*arguments["by"], "instrument"]),
    }
