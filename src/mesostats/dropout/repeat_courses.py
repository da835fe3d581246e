"""Who comes back: the time from the end of a completed course to the first session of the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.dropout.times import (
    TAKEN,
    analysed_counts,
    course_rows,
    dropout_spec,
    groups_of,
    of_group,
)
from mesostats.estimators import kaplan_meier
from mesostats.estimators.competing import aalen_johansen
from mesostats.populations import grouping, with_groups
from mesostats.results import Result, contract, stack
from mesostats.schedule import course_timeline, cutoff_day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesostats.dataset import Dataset

_TAKEN: Final = TAKEN | {"returned_day"}
_IN_WINDOW: Final = 1
_ENDS: Final = {"returned_in_window": _IN_WINDOW, "returned_before_window": 2}
_LATER: Final = 3
_NOBODY: Final = "no completed course to analyse"
_RULES: Final = (
    "A course is completed as in `course_states`; its end is its last attended session.",
    "A repeat is the patient's next course with a first attended session after that day; days are counted to that session.",
    "A patient who has not come back by the data cut is censored there: not yet due, not lost.",
    "Courses are taken as independent; a patient with several completed courses counts with each.",
)


def return_for_repeat(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    window_days: tuple[int, int] = (90, 180),
    match: str | Sequence[str] | None = "indication",
    conf_level: float = 0.95,
) -> Result:
    """Estimate how many patients came back for a repeat course after a completed one, and when.

    Parameters
    ----------
    clinic
        A data set.
    by
        Columns of patients or courses; those of the completed course.
    window_days
        The days after the end of the completed course between which a repeat was meant to begin, both included.
    match
        Columns of courses (or patients) in which a repeat agrees with the completed course; None: any later course.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        Estimands ``returned`` (the share that came back by each day, 1 - Kaplan-Meier; denominator: not yet back and
        followed, numerator: came back on the day) and, under the window's last day, ``returned_in_window`` and
        ``returned_before_window`` (numerator: such courses; denominator: completed courses). Unit: courses. ``n_missing``:
        completed courses without an attended session.

    Raises
    ------
    ValueError
        If ``by`` or ``match`` is not a column, the window is not two whole days in order, or ``conf_level`` is not between 0 and 1.

    Notes
    -----
    A return before the window, in it, and after it are competing ends; their Aalen-Johansen incidences sum to 1 -
    Kaplan-Meier. Where nobody was followed to the end of the window its two estimates are NaN.

    References
    ----------
    Kaplan EL, Meier P (1958). Nonparametric estimation from incomplete observations. doi:10.1080/01621459.1958.10501452

    Examples
    --------
    >>> import mesostats as ms
    >>> back = return_for_repeat(ms.simulate(500, seed=1), by="protocol")
    >>> share = back.cell(protocol="short_course", estimand="returned_in_window")["estimate"]
    >>> bool(0 < share < 1)
    True
    """
    columns, same = grouping(by, taken=_TAKEN), grouping(match, taken=_TAKEN)
    start, end = _window(window_days)
    courses = _completed(clinic, columns, same)
    counts = analysed_counts(courses, [*columns, "time", "event"])
    ends = np.select(
        [counts["event"] == 0, counts["time"] < start, counts["time"] <= end],
        [0, _ENDS["returned_before_window"], _IN_WINDOW],
        default=_LATER,
    )
    counts = counts.assign(end=ends)
    frames = []
    for group, size in groups_of(courses, columns):
        own = of_group(counts, columns, group)
        rows = [_curve(own, conf_level), *_window_rows(own, end, conf_level)]
        names = dict(zip(columns, group, strict=True))
        frames.append(stack(rows).assign(**names, n_missing=size - own["courses"].sum()))
    estimates = contract(stack(frames).assign(unit="courses"), columns)
    arguments: dict[str, Any] = {"by": list(columns), "time": "day", "window_days": [start, end]}
    arguments |= {"match": list(same), "conf_level": conf_level}
    title = f"Return for a repeat course {start} to {end} days after a completed one"
    spec = dropout_spec(clinic, "return_for_repeat", title, arguments=arguments, columns=columns) | {
        "population": {"courses": "completed courses with at least one attended session by the data cut"},
        "rules": list(_RULES),
        "primary": "returned_in_window",
        "references": [
            "Kaplan EL, Meier P. J Am Stat Assoc 1958;53:457-481. doi:10.1080/01621459.1958.10501452",
            "Aalen OO, Johansen S. Scand J Stat 1978;5:141-150.",
        ],
    }
    return Result(estimates, spec, lambda cell: _explain(courses, columns, cell, (start, end)))


def _window(days: tuple[int, int]) -> tuple[int, int]:
    """Return a window of whole days, or refuse it."""
    given = tuple(days)
    if len(given) != 2 or any(day != int(day) for day in given) or not 0 < given[0] <= given[1]:  # noqa: PLR2004 - a pair
        msg = f"window_days is (first, last), whole days above 0 in order, found {given}"
        raise ValueError(msg)
    return int(given[0]), int(given[1])


def _completed(clinic: Dataset, columns: Sequence[str], same: Sequence[str]) -> nw.LazyFrame[Any]:
    """Return completed courses with the days to the next one (``time``, ``event``), or why there are none (``excluded``)."""
    keys = {column: f"_match_{place}" for place, column in enumerate(same)}
    matched = with_groups(course_timeline(clinic), clinic, same).rename(keys)
    matched = matched.select("course_id", "patient_id", "first_day", "last_day", "state", *keys.values())
    done = matched.filter(nw.col("state") == "completed")
    later = matched.select("patient_id", *keys.values(), returned_day=nw.col("first_day"))
    next_days = (
        done.join(later, on=["patient_id", *keys.values()], how="inner")
        .filter(nw.col("returned_day") > nw.col("last_day"))
        .group_by("course_id")
        .agg(nw.col("returned_day").min())
    )
    courses = course_timeline(clinic).filter(nw.col("state") == "completed")
    courses = with_groups(courses, clinic, columns).join(next_days, on="course_id", how="left")
    back = nw.when(nw.col("returned_day").is_null()).then(nw.lit(0)).otherwise(nw.lit(1))
    stop = nw.coalesce(nw.col("returned_day"), nw.lit(cutoff_day(clinic)))
    treated = nw.when(nw.col("attended") > 0).then(nw.lit(""))
    return courses.with_columns(
        event=back,
        time=(stop - nw.col("last_day")).cast(nw.Int64),
        excluded=treated.otherwise(nw.lit("no attended session")),
    )


def _curve(counts: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    """Return the share that came back by each day."""
    curve = kaplan_meier(counts["time"], counts["event"], counts["courses"], conf_level=conf_level)
    if curve.empty:
        return _nothing("returned")
    return curve.rename(columns={"events": "numerator", "at_risk": "denominator"}).assign(
        estimand="returned",
        estimate=1 - curve["estimate"],
        conf_low=1 - curve["conf_high"],
        conf_high=1 - curve["conf_low"],
        method="1 - " + curve["method"],
        note=curve["note"].where(curve["estimate"] > 0, "everybody came back: the interval is not defined"),
    )


def _nothing(estimand: str) -> pd.DataFrame:
    return pd.DataFrame({"estimand": [estimand], "denominator": [0.0], "note": [_NOBODY]})


def _window_rows(counts: pd.DataFrame, end: int, conf_level: float) -> list[pd.DataFrame]:
    """Return who came back in the window and before it, as known at its end."""
    if counts.empty:
        return [_nothing(estimand).assign(time=end) for estimand in _ENDS]
    found = aalen_johansen(
        counts["time"], counts["end"], counts["courses"], causes=[*_ENDS.values()], conf_level=conf_level
    )
    everybody_back = bool(counts.loc[counts["time"] == counts["time"].max(), "event"].all())
    known = bool(found["time"].max() >= end) or everybody_back
    rows = []
    for estimand, cause in _ENDS.items():
        curve = found[(found["cause"] == cause) & (found["time"] <= end)].tail(1)
        row = curve if known and len(curve) else _before_anything(known=known, conf_level=conf_level)
        came = counts.loc[counts["end"] == cause, "courses"].sum()
        rows.append(
            row.assign(estimand=estimand, time=end, numerator=came, denominator=counts["courses"].sum())
        )
    return rows


def _before_anything(*, known: bool, conf_level: float) -> pd.DataFrame:
    """Return the row of a window at whose end nobody had come back or been censored yet, or that nobody was followed to."""
    note = (
        "no event so far: the interval cannot be estimated"
        if known
        else "nobody was followed to the window's end"
    )
    return pd.DataFrame({"estimate": [0.0 if known else np.nan], "conf_level": conf_level, "note": [note]})


def _explain(
    courses: nw.LazyFrame[Any], columns: Sequence[str], cell: Any, window: tuple[int, int]
) -> pd.DataFrame:
    """Return one row a completed course: followed, and back (by the cell's day, in the window, or before it)."""
    rows = course_rows(courses, columns, cell, more=("time", "event", "excluded"))
    analysed, back, day = rows["excluded"] == "", rows["event"] == 1, cell.get("time")
    within = rows["time"].between(*window)
    kinds = {"returned_in_window": within, "returned_before_window": rows["time"] < window[0]}
    if cell.get("estimand") in kinds:
        at_risk, here = analysed, analysed & back & kinds[cell["estimand"]]
    elif day is None or pd.isna(day):
        at_risk, here = analysed, analysed & back
    else:
        at_risk = analysed & (rows["time"] >= day)
        here = at_risk & back & (rows["time"] == day)
    gone = rows["excluded"].mask(analysed & ~at_risk, "back, or no longer followed, before this day")
    return rows.assign(in_denominator=at_risk, in_numerator=here, excluded=gone)
