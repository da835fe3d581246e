"""Whether a response lasts: responders at the end of the course that still respond months later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.assessments import END_OF_COURSE, scored_assessments
from mesostats.estimators.arguments import check_conf_level
from mesostats.estimators.clustering import with_clustering_note
from mesostats.estimators.clusters import ClusterTotals
from mesostats.estimators.interval_censored import turnbull, turnbull_quantile
from mesostats.estimators.paired import paired_difference
from mesostats.estimators.proportions import clustered_proportion, proportion
from mesostats.outcomes.questions import question
from mesostats.outcomes.seen_responses import KEYS, each_group, in_order, rows_of
from mesostats.outcomes.strategies import COMPOSITE
from mesostats.populations import POPULATIONS, labels
from mesostats.results import Result, contract, stack
from mesostats.schedule import cutoff_day

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.dataset import Dataset
    from mesostats.outcomes.questions import Question
    from mesostats.vocabulary import ResponderRule

_STILL: Final = "still_responding"
_OTHER_SHARES: Final = {
    "assessed_later": "responders at the end of the course that were assessed in the window",
    "still_responding_lower": f"missing as no longer responding ({COMPOSITE}; the lower bound)",
    "still_responding_upper": "missing as still responding (the upper bound)",
}
_METHODS: Final = {_STILL: "observed cases only"} | _OTHER_SHARES
_PAIRED: Final = "paired_difference"
_CURVE: Final = "kept_response"
_MEDIAN: Final = "median_kept_response"
_ESTIMANDS: Final = (_STILL, *_OTHER_SHARES, _PAIRED, _CURVE, _MEDIAN)
_TAKEN: Final = frozenset(
    {
        "day",
        "end_day",
        "later_day",
        "later",
        "later_due",
        "kept_until",
        "lost_by",
        "counted",
        "was",
        "followed",
    }
)
_NOBODY: Final = "no responder was assessed later"
_NONE_LOST: Final = "no loss of response was seen"


def durability(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = "indication",
    instrument: str | Sequence[str] | None = None,
    rule: ResponderRule | Mapping[str, ResponderRule] | None = None,
    window_days: tuple[int, int] = (90, 180),
    endpoint_window: int = 60,
    conf_level: float = 0.95,
) -> Result:
    """Estimate how many responders at the end of the course still respond months later.

    Parameters
    ----------
    clinic
        A data set with outcomes.
    by
        Columns of patients or courses.
    instrument, rule
        As of `response`.
    window_days
        The days after the last attended session in which a response is read again, both included; the last assessment in them
        counts.
    endpoint_window
        The end of the course is read up to so many days after the last attended session, as of `response`.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        By group and ``instrument``. Of responders whose later window is over: ``assessed_later`` (the share assessed in it),
        ``still_responding`` (of these, still responders), ``still_responding_lower`` and ``still_responding_upper`` (of all, the
        missing as no longer, or as still, responding). Of courses assessed at both times: ``paired_difference`` (later minus
        end of course; numerator: courses that changed). Of responders with any later assessment: ``kept_response`` (the share
        that still responds so many days, ``time``, after the endpoint; numerator: seen to be lost by then) and
        ``median_kept_response``. Unit: courses. ``n_missing``: responders not assessed later (of the pair: evaluable courses).

    Raises
    ------
    DataError
        If the table outcomes is absent.
    VocabularyError
        If an instrument is not in the vocabulary.
    ValueError
        If an argument is not as described, or the later window begins before the first one is over.

    Notes
    -----
    Those who come back for an assessment may be those in whom it lasted, or those in whom it did not: the two bounds hold
    whichever it is. A loss came after the last assessment with response and by the first one without: the curve is that of
    interval-censored times (`estimators.turnbull`), from the assessment at the end of the course on. Where patients have
    several courses, intervals are clustered in patients.

    References
    ----------
    Newcombe RG (1998). Improved confidence intervals for the difference between binomial proportions based on paired data.
    doi:10.1002/(SICI)1097-0258(19981130)17:22<2635::AID-SIM954>3.0.CO;2-C

    Turnbull BW (1976). The empirical distribution function with arbitrarily grouped, censored and truncated data.
    doi:10.1111/j.2517-6161.1976.tb01597.x

    Examples
    --------
    >>> import mesostats as ms
    >>> found = durability(ms.simulate(500, seed=1), by=None, instrument="fine_lines")
    >>> low, seen, high = (found.cell(estimand=f"still_responding{end}")["estimate"] for end in ("_lower", "", "_upper"))
    >>> bool(low <= seen <= high)
    True
    """
    check_conf_level(conf_level)
    start, stop = _window(window_days, endpoint_window)
    asked = question(
        clinic,
        by=by,
        instrument=instrument,
        rule=rule,
        endpoint=END_OF_COURSE,
        window=endpoint_window,
        taken=_TAKEN,
    )
    read, groups = _read_again(clinic, asked, (start, stop)), [*asked.columns, "instrument"]
    courses = _rows(read, groups)
    frames = []
    for names, own in each_group(courses, groups):
        rows = _group_rows(own, asked.refusals.get(names["instrument"], ""), conf_level)
        frames.append(rows.assign(**names))
    estimates = contract(stack(frames).assign(unit="courses"), groups)
    estimates = in_order(estimates, groups, _ESTIMANDS)
    arguments = {name: asked.arguments[name] for name in ("by", "instrument")}
    arguments |= {"window_days": [start, stop], "endpoint_window": endpoint_window, "conf_level": conf_level}
    spec = _spec(clinic, arguments, asked)
    return Result(estimates, spec, lambda cell: _explain(read, groups, cell))


def _window(window_days: tuple[int, int], endpoint_window: int) -> tuple[int, int]:
    """Return a later window of whole days after the first one, or refuse it."""
    given = tuple(window_days)
    if len(given) != 2 or any(day != int(day) for day in given) or not 0 < given[0] <= given[1]:  # noqa: PLR2004 - a pair
        msg = f"window_days is (first, last), whole days above 0 in order, found {given}"
        raise ValueError(msg)
    if given[0] <= endpoint_window:
        msg = f"window_days begins on day {given[0]}, must be after the endpoint's window of {endpoint_window} days"
        raise ValueError(msg)
    return int(given[0]), int(given[1])


def _read_again(clinic: Dataset, asked: Question, window: tuple[int, int]) -> nw.LazyFrame[Any]:
    """Return one row a treated course and instrument: its endpoint, the later reading, and when the response was lost.

    Returns
    -------
    nw.LazyFrame
        The columns of `assessments.scored_courses`, and ``later`` (1 or 0 where assessed in the window, else null),
        ``later_due`` (1 where the window is over by the data cut), ``followed`` (1 where assessed after the endpoint),
        ``kept_until`` and ``lost_by`` (days after the endpoint; 0, and null where no loss was seen).
    """
    start, stop = window
    courses = asked.courses(clinic)
    spans = courses.select(*KEYS, "last_day")
    seen = clinic.engine.materialise(
        scored_assessments(clinic, asked.scorings)
        .join(spans, on=[*KEYS], how="inner")
        .with_columns(since=nw.col("day") - nw.col("last_day"))
        .filter(nw.col("since") >= 0)
    )
    since, meets = nw.col("since"), nw.col("responder") == 1
    first = seen.filter(since <= asked.endpoint.window).group_by(*KEYS).agg(end_day=nw.col("day").max())
    again = seen.filter((since >= start) & (since <= stop)).unique(
        [*KEYS], keep="last", order_by=["day", "responder"]
    )
    after = seen.join(first, on=[*KEYS], how="inner").filter(nw.col("day") > nw.col("end_day"))
    after = after.with_columns(gone=nw.col("day") - nw.col("end_day"), one=nw.lit(1))
    losses = after.group_by(*KEYS).agg(
        lost_by=nw.when(~meets).then(nw.col("gone")).min(), followed=nw.col("one").max()
    )
    kept = after.join(losses, on=[*KEYS], how="inner").filter(
        meets & (nw.col("lost_by").is_null() | (nw.col("gone") < nw.col("lost_by")))
    )
    parts = [
        again.select(*KEYS, later="responder"),
        losses,
        kept.group_by(*KEYS).agg(kept_until=nw.col("gone").max()),
    ]
    for part in parts:
        courses = courses.join(part, on=[*KEYS], how="left")
    over = nw.when(nw.col("last_day") + stop <= cutoff_day(clinic)).then(nw.lit(1)).otherwise(nw.lit(0))
    return clinic.engine.materialise(
        courses.with_columns(
            nw.col("kept_until").fill_null(0), nw.col("followed").fill_null(0), later_due=over
        )
    )


def _rows(read: nw.LazyFrame[Any], columns: list[str]) -> pd.DataFrame:
    """Bring the courses home."""
    own = ["course_id", "instrument", "patient_id", "kind", "evaluable", "responder", "later", "later_due"]
    rows = rows_of(read, [*own, "followed", "kept_until", "lost_by", *columns])
    return rows.assign(counted=(rows["responder"] == 1) & (rows["later_due"] == 1), was=rows["later"].notna())


def _group_rows(courses: pd.DataFrame, refusal: str, conf_level: float) -> pd.DataFrame:
    """Return all estimates of one group; where the instrument is not scored, rows that say why."""
    if refusal:
        return pd.DataFrame({"estimand": _ESTIMANDS, "note": refusal, "denominator": 0.0})
    frames = [
        _share(courses, name, conf_level).assign(
            estimand=name, n_missing=float((courses["counted"] & ~courses["was"]).sum())
        )
        for name in _METHODS
    ]
    responders = courses[courses["responder"] == 1]
    followed = responders[responders["followed"] == 1]
    curve = _curve_rows(followed, conf_level).assign(n_missing=float(len(responders) - len(followed)))
    return stack([*frames, _paired_row(courses, conf_level), curve])


def _share(courses: pd.DataFrame, name: str, conf_level: float) -> pd.DataFrame:
    """Return one share of the responders whose later window is over; clustered where patients repeat."""
    own = courses[_denominator(courses, name)]
    hit = _numerator(own, name)
    if own["patient_id"].duplicated().any():
        sums = pd.DataFrame({"hit": hit.astype(float), "n": 1.0}).groupby(own["patient_id"]).sum()
        totals = ClusterTotals.from_arrays(sums["hit"], sums["n"])
        found = with_clustering_note(clustered_proportion(totals, conf_level=conf_level))
    else:
        found = proportion(int(hit.sum()), len(own), conf_level=conf_level)
    return found.assign(method=found["method"] + "; " + _METHODS[name])


def _denominator(courses: pd.DataFrame, name: str) -> pd.Series[bool]:
    return courses["counted"] & courses["was"] if name == _STILL else courses["counted"]


def _numerator(courses: pd.DataFrame, name: str) -> pd.Series[bool]:
    """Return which courses count as hits: assessed, still responding, or missing and taken as such."""
    still, seen = courses["later"] == 1, courses["was"]
    return {"assessed_later": seen, "still_responding_upper": still | ~seen}.get(name, still)


def _paired_row(courses: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    """Compare the share of responders at both times, in the courses assessed at both."""
    due = courses[(courses["evaluable"] == 1) & (courses["later_due"] == 1)]
    both = due[due["was"]]
    patients = both["patient_id"] if both["patient_id"].duplicated().any() else None
    found = paired_difference(both["responder"], both["later"], clusters=patients, conf_level=conf_level)
    changed = f"{found['lost'].item()} lost the response, {found['gained'].item()} gained it"
    notes = "; ".join(filter(None, (found["note"].item(), changed)))
    return found.assign(estimand=_PAIRED, note=notes, n_missing=float(len(due) - len(both)))


def _curve_rows(courses: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    """Return the curve of responses kept and the median."""
    lost_by = courses["lost_by"].astype(float).fillna(np.inf)
    patients = courses["patient_id"] if courses["patient_id"].duplicated().any() else None
    curve = turnbull(courses["kept_until"], lost_by, clusters=patients, conf_level=conf_level)
    counted = {"numerator": float(np.isfinite(lost_by).sum()), "denominator": float(len(courses))}
    if curve.empty:
        why = _NONE_LOST if len(courses) else _NOBODY
        return pd.DataFrame({"estimand": [_CURVE, _MEDIAN], "note": why, "conf_level": conf_level}).assign(
            **counted
        )
    by_then = np.searchsorted(np.sort(lost_by), curve["time"], side="right")
    rows = curve.assign(estimand=_CURVE, numerator=by_then, denominator=len(courses))
    return stack([rows, turnbull_quantile(curve).assign(estimand=_MEDIAN, **counted)])


def _explain(read: nw.LazyFrame[Any], groups: list[str], cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a course and instrument, with why it does not count for the cell's estimand."""
    for column in groups:
        if column in cell:
            read = read.filter(nw.col(column) == cell[column])
    rows, name = _rows(read, groups), str(cell.get("estimand", _STILL))
    responder, over, seen = rows["responder"] == 1, rows["later_due"] == 1, rows["was"]
    not_responding = (~responder, "no responder at the end of the course")
    not_over = (~over, "the later window is not over by the data cut")
    unseen = (~seen, "not assessed in the later window")
    reasons = {
        _STILL: [not_responding, not_over, unseen],
        _PAIRED: [(rows["evaluable"] == 0, "not evaluable at the end of the course"), not_over, unseen],
    }.get(name, [not_responding, not_over])
    hit = _numerator(rows, name)
    if name == _PAIRED:
        hit = rows["later"] != rows["responder"]
    if name in (_CURVE, _MEDIAN):
        reasons = [not_responding, (rows["followed"] == 0, "not assessed after the end of the course")]
        at = cell.get("time")
        hit = rows["lost_by"] <= (np.inf if at is None or pd.isna(at) else at)
    excluded = np.select([condition for condition, _ in reasons], [text for _, text in reasons], default="")
    shown = [*groups, "course_id", "patient_id", "responder", "later", "kept_until", "lost_by"]
    inside = pd.Series(excluded == "", index=rows.index)
    return rows[[*dict.fromkeys(shown)]].assign(
        in_denominator=inside, in_numerator=inside & hit, excluded=pd.Series(excluded, dtype="str")
    )


def _spec(clinic: Dataset, arguments: dict[str, Any], asked: Question) -> dict[str, Any]:
    start, stop = arguments["window_days"]
    later = f"Later: the last assessment {start} to {stop} days after the last attended session."
    return {
        "analysis": "durability",
        "title": f"Responders that still respond {start} to {stop} days after the last session",
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {"courses": POPULATIONS["treated"], **_OTHER_SHARES},
        "rules": [*asked.rules[:2], later, *asked.rules[2:]],
        "primary": _STILL,
        "references": [
            "Newcombe RG. Stat Med 1998;17:2635-2650.",
            "Turnbull BW. J R Stat Soc B 1976;38:290-295. doi:10.1111/j.2517-6161.1976.tb01597.x",
        ],
        "labels": labels(clinic, [*arguments["by"], "instrument"]),
    }
