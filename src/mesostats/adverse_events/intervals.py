"""Counted events one by one: how many days each took, for its group, kind and patient."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import pandas as pd

from mesostats.adverse_events.counted import KIND, counted_events, excluded_events, exposed_courses, kinds
from mesostats.adverse_events.histories import followed_patients, history_spec, of_cell, with_person
from mesostats.engine import collect
from mesostats.estimators import quantile
from mesostats.results import contract, stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mesostats.adverse_events.counted import Counting
    from mesostats.dataset import Dataset

PATIENTS: Final = "A patient's events are alike: standard errors and intervals are by patients."


def events_observed(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Return the counted events, with their groups and the last day on which the patient was observed (``stop``)."""
    keys = [*counting.keys]
    courses = exposed_courses(clinic, counting.by).select("course_id", *keys)
    patients = followed_patients(clinic, counting).select(
        *keys, "patient_id", stop=nw.col("first") + nw.col("time") - 1
    )
    events = counted_events(clinic, counting).join(courses, on="course_id", how="inner")
    return events.join(patients, on=[*keys, "patient_id"], how="inner")


def interval_estimates(
    clinic: Dataset,
    events: nw.LazyFrame[Any],
    counting: Counting,
    rows: Callable[[pd.DataFrame], list[pd.DataFrame]],
) -> pd.DataFrame:
    """Return the rows of all groups and kinds, of which ``rows`` makes each.

    Parameters
    ----------
    clinic, counting
        The data set, and what is counted.
    events
        One row an event: its groups, kind and ``patient_id``, ``days``, ``over`` (0 where censored) and ``excluded`` (why).
    rows
        Gets ``days, over, person`` of a cell's events; returns estimates in the contract's names.
    """
    frames = [
        part.assign(**names, n_missing=missing)
        for names, own, missing in _cells(clinic, events, counting)
        for part in rows(own)
    ]
    return contract(stack(frames).assign(unit="events"), [*counting.by, *counting.kind_column])


def _cells(
    clinic: Dataset, events: nw.LazyFrame[Any], counting: Counting
) -> Iterator[tuple[dict[str, Any], pd.DataFrame, int]]:
    """Yield each group and kind with its events (``days, over, person``) and how many are excluded."""
    keys = [*counting.keys]
    used = with_person(events.filter(nw.col("excluded") == ""), keys)
    rows = collect(used.select(*keys, KIND, "person", "days", "over"))
    lost = collect(events.filter(nw.col("excluded") != "").group_by(*keys, KIND).agg(missing=nw.len()))
    names = kinds(clinic, pd.concat([rows[KIND], lost[KIND]]).unique().tolist(), counting)
    groups = (
        collect(followed_patients(clinic, counting).select(keys).unique()) if keys else pd.DataFrame([{}])
    )
    for group in groups.sort_values(keys).to_dict("records") if keys else [{}]:
        own, gone = (_of_group(frame, group) for frame in (rows, lost))
        values = dict(zip(counting.by, group.values(), strict=True))
        for kind in names:
            missing = int(gone.loc[gone[KIND] == kind, "missing"].sum())
            yield values | dict.fromkeys(counting.kind_column, kind), own[own[KIND] == kind], missing


def _of_group(frame: pd.DataFrame, group: Mapping[Any, Any]) -> pd.DataFrame:
    for key, value in group.items():
        frame = frame[frame[key] == value]
    return frame


def no_event(estimand: str, conf_level: float) -> pd.DataFrame:
    """Return the row of a cell without an event."""
    row = {"estimand": estimand, "denominator": 0.0, "conf_level": conf_level, "note": "no event to analyse"}
    return pd.DataFrame([row])


def quantile_row(curve: pd.DataFrame, share: float, estimand: str) -> pd.DataFrame:
    """Return one quantile of a curve in the contract's names."""
    found = quantile(curve, share)
    columns = ["estimate", "conf_low", "conf_high", "conf_level", "method", "note"]
    return found[columns].assign(estimand=estimand)


def interval_spec(
    clinic: Dataset, counting: Counting, analysis: str, title: str, conf_level: float
) -> dict[str, Any]:
    """Return what the specifications of both analyses share."""
    spec = history_spec(clinic, counting, analysis, title, {"conf_level": conf_level})
    events = f"treatment-emergent, up to {counting.follow_up_days} days after the last attended session"
    # Events that belong to no attended session are not left out, or stand in n_missing.
    excluded = {"excluded_events": excluded_events(clinic, replace(counting, per="patient"))}
    return spec | {"population": {"events": events} | spec["population"]} | excluded


def event_rows(
    events: nw.LazyFrame[Any], counting: Counting, cell: Mapping[str, Any], columns: Sequence[str]
) -> pd.DataFrame:
    """Return one row an event of the cell's groups and kind, under the engine's names: see `with_own_names`."""
    shown = ["event_id", "patient_id", *counting.keys, *([KIND] if counting.kind_column else []), *columns]
    rows = collect(of_cell(events, counting, cell).select(*shown, "excluded"))
    return rows.sort_values("event_id", ignore_index=True)


def with_own_names(rows: pd.DataFrame, counting: Counting) -> pd.DataFrame:
    """Give groups and kind their own names at last; where a column of ours bears one of them, the group's stays."""
    names = dict(zip(counting.keys, counting.by, strict=True)) | dict.fromkeys(
        [KIND], "".join(counting.kind_column)
    )
    return rows.drop(columns=[name for name in names.values() if name in rows]).rename(columns=names)
