"""How long after the session side effects come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np
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
from mesostats.attendance import attended_sessions
from mesostats.engine import day_number
from mesostats.estimators import ClusterTotals, clustered_proportion
from mesostats.estimators.clustered_survival import clustered_kaplan_meier
from mesostats.estimators.clustering import with_clustering_note
from mesostats.results import Result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.adverse_events.counted import Counting
    from mesostats.dataset import Dataset

_LAST_DAYS: Final = (0, 1, 3, 7, 14, 30, 60)
_QUARTILES: Final = {0.25: "onset_quartile_1", 0.5: "median_onset", 0.75: "onset_quartile_3"}


def onset_after_session(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    of: str = "any",
    only: str | None = None,
    follow_up_days: int = 60,
    conf_level: float = 0.95,
) -> Result:
    """Estimate how many days after the session that it is ascribed to a side effect comes.

    Parameters
    ----------
    clinic, by, of, only, follow_up_days, conf_level
        As for `event_durations`.

    Returns
    -------
    Result
        Estimand ``onset_share``: the share of events that came on day 0, 1, 2-3, 4-7, 8-14, 15-30, 31-60 after the session,
        and later where ``follow_up_days`` is above 60; ``time`` is the last of these days. Estimands ``onset_quartile_1,
        median_onset, onset_quartile_3`` in days. Unit: events. ``n_missing``: events whose onset is unknown or before
        the session that they are ascribed to, or that belong to no attended session.

    Raises
    ------
    DataError
        If the table adverse_events is absent.
    ValueError
        If an argument is not one of those above.

    Notes
    -----
    An event without a session is ascribed to the last attended session on or before its onset: where sessions are near one
    another a late reaction to an earlier one is taken for an early one. Events whose session was shortly before the data
    cut had less time to come late. Shares have Wilson intervals at the effective number of events; quartiles are
    read off the curve and its limits, clustered in patients.

    References
    ----------
    Brookmeyer R, Crowley J (1982). A confidence interval for the median survival time. doi:10.2307/2530286

    Examples
    --------
    >>> import mesostats as ms
    >>> found = onset_after_session(ms.simulate(200, seed=1))
    >>> shares = found.estimates.query("estimand == 'onset_share'")
    >>> bool(abs(shares["estimate"].sum() - 1) < 1e-12)
    True
    """
    last_days = [*_LAST_DAYS, *([follow_up_days] if follow_up_days > _LAST_DAYS[-1] else [])]

    def rows(events: pd.DataFrame) -> list[pd.DataFrame]:
        if events.empty:
            shares = pd.concat(
                [no_event("onset_share", conf_level).assign(time=float(day)) for day in last_days]
            )
            return [shares, *(no_event(name, conf_level) for name in _QUARTILES.values())]
        curve = clustered_kaplan_meier(
            events["days"], events["over"], events["person"], conf_level=conf_level
        )
        counts = {"numerator": float(len(events)), "denominator": float(len(events))}
        return [
            _shares(events, last_days, conf_level),
            *(quantile_row(curve, share, name).assign(**counts) for share, name in _QUARTILES.items()),
        ]

    counting = patient_counting(clinic, by, of, only, follow_up_days, per="session")
    events = _onsets(clinic, counting)
    estimates = interval_estimates(clinic, events, counting, rows)
    title = "Days from the session to the onset of side effects"
    spec = interval_spec(clinic, counting, "onset_after_session", title, conf_level) | {
        "rules": [
            PATIENTS,
            "An event without a session is ascribed to the last attended session on or before its onset.",
            "Of a share, `time` is the last day of the interval that begins after the one before.",
        ],
        "primary": "onset_share",
        "references": ["Brookmeyer R, Crowley J. Biometrics 1982;38:29-41. doi:10.2307/2530286"],
    }
    return Result(estimates, spec, lambda cell: _explain(events, counting, last_days, cell))


def _onsets(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Add ``days`` from the session to the onset and ``excluded`` to the events."""
    sessions = attended_sessions(clinic).select("session_id", day=day_number(nw.col("date")))
    joined = events_observed(clinic, counting).join(sessions, on="session_id", how="left")
    joined = joined.with_columns(days=nw.col("onset") - nw.col("day"))
    excluded = (
        nw.when(nw.col("onset").is_null())
        .then(nw.lit("unknown onset"))
        .when(nw.col("day").is_null())
        .then(nw.lit("no attended session to ascribe it to"))
        .when(nw.col("days") < 0)
        .then(nw.lit("onset before its session"))
        .otherwise(nw.lit(""))
    )
    return clinic.engine.materialise(joined.with_columns(excluded=excluded, over=nw.lit(1)))


def _shares(events: pd.DataFrame, last_days: Sequence[int], conf_level: float) -> pd.DataFrame:
    """Return the share of the events in each interval of days."""
    codes, people = pd.factorize(events["person"])
    intervals, patients = len(last_days), len(people)
    cell = np.searchsorted(last_days, events["days"]) * patients + codes
    totals = ClusterTotals.from_arrays(
        np.bincount(cell, minlength=intervals * patients),
        np.tile(np.bincount(codes), intervals),
        np.repeat(np.arange(intervals), patients),
    )
    found = with_clustering_note(clustered_proportion(totals, conf_level=conf_level)).reset_index(drop=True)
    between = [_days(last_days, place) for place in range(intervals)]
    return found.assign(
        estimand="onset_share",
        time=[float(day) for day in last_days],
        note=["; ".join(filter(None, parts)) for parts in zip(between, found["note"], strict=True)],
    )


def _days(last_days: Sequence[int], place: int) -> str:
    """Return an interval of days in words."""
    last, first = last_days[place], _first(last_days, place)
    return f"day {last}" if first == last else f"days {first} to {last}"


def _first(last_days: Sequence[int], place: int) -> int:
    return last_days[place - 1] + 1 if place else 0


def _explain(
    events: nw.LazyFrame[Any], counting: Counting, last_days: Sequence[int], cell: Mapping[str, Any]
) -> pd.DataFrame:
    """Return one row an event: analysed, and with its onset in the cell's interval of days (any where none is given)."""
    rows = event_rows(events, counting, cell, ("session_id", "days"))
    day, analysed = cell.get("time"), rows["excluded"] == ""
    if day is None or pd.isna(day):
        return with_own_names(rows.assign(in_denominator=analysed, in_numerator=analysed), counting)
    first = _first(last_days, [*last_days].index(int(day)))
    here = analysed & rows["days"].between(first, int(day))
    return with_own_names(rows.assign(in_denominator=analysed, in_numerator=here), counting)
