"""How long side effects last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw
import pandas as pd

from mesostats.adverse_events.histories import patient_counting
from mesostats.adverse_events.intervals import (
    PATIENTS,
    event_rows,
    events_observed,
    interval_estimates,
    interval_spec,
    no_event,
    quantile_row,
    with_own_names,
)
from mesostats.engine import day_number
from mesostats.estimators.clustered_survival import clustered_kaplan_meier
from mesostats.results import Result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.adverse_events.counted import Counting
    from mesostats.dataset import Dataset


def event_durations(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    of: str = "any",
    only: str | None = None,
    follow_up_days: int = 60,
    conf_level: float = 0.95,
) -> Result:
    """Estimate how many days side effects last, with those unresolved as censored (Kaplan-Meier).

    Parameters
    ----------
    clinic
        A data set with adverse events.
    by
        Columns of patients and courses.
    of
        Which events: ``any``; each ``term``, ``class`` or ``severity``; ``serious`` or ``related`` ones; or a column of
        adverse_events, each of its values.
    only
        The one kind of event that is wanted.
    follow_up_days
        An event is treatment-emergent up to so many days after the last attended session of its course; so long a
        patient is observed.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        ``time`` in days. Estimands ``unresolved`` (the curve: events that last longer; denominator: at risk just before,
        numerator: resolved on it) and ``median_duration``. Unit: events. ``n_missing``: events whose onset is unknown,
        whose end is before the onset, or that were over on an unknown day.

    Raises
    ------
    DataError
        If the table adverse_events is absent.
    ValueError
        If an argument is not one of those above.

    Notes
    -----
    An event that ends on the day of its onset lasted one day. One without an end date, or whose end came after the
    observation of the patient (the emergent window of the last course, or the data cut), is censored there. One that
    ended with death is censored on that day: it did not resolve. The standard error is the infinitesimal jackknife by
    patients.

    References
    ----------
    Williams RL (1995). Product-limit survival functions with correlated survival times. doi:10.1007/BF00985768

    Examples
    --------
    >>> import mesostats as ms
    >>> found = event_durations(ms.simulate(200, seed=1), of="term", only="bruising")
    >>> bool(found.cell(term="bruising", estimand="median_duration")["estimate"] >= 1)
    True
    """

    def rows(events: pd.DataFrame) -> list[pd.DataFrame]:
        if events.empty:
            return [no_event(name, conf_level) for name in ("unresolved", "median_duration")]
        curve = clustered_kaplan_meier(
            events["days"], events["over"], events["person"], conf_level=conf_level
        )
        named = curve.rename(columns={"events": "numerator", "at_risk": "denominator"})
        counts = {"numerator": events["over"].sum(), "denominator": float(len(events))}
        return [
            named.assign(estimand="unresolved"),
            quantile_row(curve, 0.5, "median_duration").assign(**counts),
        ]

    counting = patient_counting(clinic, by, of, only, follow_up_days, per="session")
    events = _durations(clinic, counting)
    estimates = interval_estimates(clinic, events, counting, rows)
    title = "Days until side effects are over (Kaplan-Meier)"
    spec = interval_spec(clinic, counting, "event_durations", title, conf_level) | {
        "rules": [
            PATIENTS,
            "An event that ends on the day of its onset lasted one day.",
            "Events unresolved when the observation of the patient ends are censored there; those that end with death, then.",
            "The denominator of the curve counts those at risk just before the day, the numerator those resolved on it.",
        ],
        "primary": "unresolved",
        "references": ["Williams RL. Lifetime Data Anal 1995;1:171-186. doi:10.1007/BF00985768"],
    }
    return Result(estimates, spec, lambda cell: _explain(events, counting, cell))


def _durations(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Add ``days, over`` (1 where resolved) and ``excluded`` to the events."""
    table = clinic.lazy("adverse_events").select(
        "event_id",
        last=day_number(nw.col("end_date")),
        ended=nw.coalesce("outcome", nw.lit("")).is_in(["recovered", "sequelae"]),
        fatal=(nw.coalesce("severity", nw.lit("")) == "fatal")
        | (nw.coalesce("outcome", nw.lit("")) == "fatal"),
    )
    onset, last, stop = nw.col("onset"), nw.col("last"), nw.col("stop")
    excluded = (
        nw.when(onset.is_null())
        .then(nw.lit("unknown onset"))
        .when(last < onset)
        .then(nw.lit("ended before its onset"))
        .when(last.is_null() & (nw.col("ended") | nw.col("fatal")))
        .then(nw.lit("over on an unknown day"))
        .otherwise(nw.lit(""))
    )
    over = nw.when((last <= stop) & ~nw.col("fatal")).then(nw.lit(1)).otherwise(nw.lit(0))
    until = nw.min_horizontal(nw.coalesce(last, stop), stop)
    joined = events_observed(clinic, counting).join(table, on="event_id", how="left")
    return clinic.engine.materialise(
        joined.with_columns(excluded=excluded, over=over, days=(until - onset + 1).cast(nw.Int64))
    )


def _explain(events: nw.LazyFrame[Any], counting: Counting, cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row an event: at risk, and resolved, on the cell's day (on any day where none is given)."""
    rows = event_rows(events, counting, cell, ("days", "over"))
    day = cell.get("time")
    named = day is not None and not pd.isna(day)
    analysed = rows["excluded"] == ""
    at_risk = analysed & (rows["days"] >= day) if named else analysed
    here = at_risk & (rows["days"] == day) if named else at_risk
    gone = rows["excluded"].mask(analysed & ~at_risk, "over, or no longer observed, before this day")
    flagged = rows.assign(in_denominator=at_risk, in_numerator=here & (rows["over"] == 1), excluded=gone)
    return with_own_names(flagged, counting)
