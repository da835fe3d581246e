"""The visits of a course in order: one a day and area, numbered as the dates go, within the protocol's windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import pandas as pd

from mesostats.engine import ROW, day_number
from mesostats.schedule import slot_table
from mesostats.validation.findings import look, marks
from mesostats.validation.tables import is_empty
from mesostats.validation.visits import ATTENDED, unsound_courses, visits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mesostats.dataset import Dataset
    from mesostats.validation.findings import Finding
    from mesostats.vocabulary import Protocol

_ORDER: Final = ["date", "session_number", "session_id"]


def check_sequence(clinic: Dataset) -> Iterator[Finding]:
    """Look at the order of the sessions of each course.

    Parameters
    ----------
    clinic
        The clinic.

    Yields
    ------
    Finding
        ``same_day_sessions``, ``session_number`` and ``off_window``.

    Notes
    -----
    A course with a session of unknown or impossible date or status is left out of the last two: its order is not known.
    """
    yield from look("same_day_sessions", "sessions", "date", _same_day(clinic))
    yield from _misnumbered(clinic)
    yield from look("off_window", "sessions", "date", _off_window(clinic))


def _same_day(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return each further session of a patient on one day in one area and side; without an area, of one course."""
    return clinic.derive("validation_same_day", lambda: _further_of_day(clinic))


def _further_of_day(clinic: Dataset) -> nw.LazyFrame[Any]:
    place = nw.coalesce("area", nw.concat_str(nw.lit("course "), nw.col("course_id")))
    attended = (
        visits(clinic)
        .filter(nw.col("status") == ATTENDED, ~nw.col("date").is_null(), ~nw.col("patient_id").is_null())
        .with_columns(place=place, at_side=nw.col("side").fill_null(""))
    )
    # Most days have one session of a patient: the few others are looked at closely.
    of_day = ["patient_id", "date"]
    busy = attended.group_by(of_day).agg(n_same=nw.len()).filter(nw.col("n_same") > 1)
    crowded = clinic.engine.materialise(attended.join(busy.select(of_day), on=of_day, how="semi"))
    same = [*of_day, "place", "at_side"]
    others = [
        nw.col(name).shift(1).over(*same, order_by=[ROW, "session_id"]).alias(alias)
        for name, alias in ((ROW, "other_row"), ("session_id", "other"))
    ]
    further = crowded.with_columns(*others).filter(~nw.col("other").is_null())
    return further.select(*marks("session_id"), "session_id", "date", "other_row", "other")


def _steps(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return the attended sessions of sound courses, one a day, with their rank and the day of the one before."""
    return clinic.derive("validation_steps", lambda: _ranked_steps(clinic))


def _ranked_steps(clinic: Dataset) -> nw.LazyFrame[Any]:
    attended = visits(clinic).filter(nw.col("status") == ATTENDED)
    sound = attended.join(unsound_courses(clinic), on="course_id", how="anti")
    single = sound.join(_same_day(clinic).select("session_id"), on="session_id", how="anti")
    # There are far fewer days than sessions: each day's number is computed once.
    days = attended.select("date").unique().with_columns(day=day_number(nw.col("date")))
    kept = single.select(ROW, "session_id", "course_id", "session_number", "date", "protocol")
    before = nw.col("day").shift(1).over("course_id", order_by=_ORDER)
    return kept.join(days, on="date").with_columns(_rank(), before=before)


def _rank() -> nw.Expr:
    ones = nw.when(~nw.col("course_id").is_null()).then(1)
    return ones.cum_sum().over("course_id", order_by=_ORDER).cast(nw.Int64).alias("rank")


def _off_window(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return the sessions whose distance from the one before is outside the window of their phase."""
    windows = clinic.engine.small(_windows(clinic.vocabulary.protocols), visits(clinic))
    planned = _steps(clinic).join(windows, on=["protocol", "rank"])
    planned = planned.with_columns(gap=nw.col("day") - nw.col("before"))
    off = planned.filter((nw.col("gap") < nw.col("low")) | (nw.col("gap") > nw.col("high")))
    return off.select(*marks("session_id"), "gap", "protocol", "phase", "low", "high")


def _windows(protocols: Mapping[str, Protocol]) -> pd.DataFrame:
    """Return the slots of all protocols; the last phase may be as long as its range allows."""
    slots = [slot_table([protocol], longest=_most_sessions(protocol)) for protocol in protocols.values()]
    windows = pd.concat(slots) if slots else slot_table([])
    names = {"slot": "rank", "shortest": "low", "longest": "high"}
    return windows.rename(columns=names)[["protocol", "rank", "phase", "low", "high"]]


def _most_sessions(protocol: Protocol) -> int:
    last = protocol.phases[-1]
    return protocol.sessions + max(0, (last.sessions_range or (0, 0))[1] - last.sessions)


def _misnumbered(clinic: Dataset) -> Iterator[Finding]:
    """Yield the sessions whose number departs from the order of the dates, with the number expected.

    Clinics count differently: the attended sessions, all that were not cancelled, or all that were booked; and of two on
    one day one or both. Each course is read in the way that leaves the fewest departures.
    """
    steps = _steps(clinic)
    odd = steps.filter(nw.col("session_number") != nw.col("rank")).select("course_id").unique()
    doubtful = clinic.engine.materialise(odd)
    if is_empty(doubtful):
        return
    booked = visits(clinic).join(doubtful, on="course_id", how="semi")
    attended = booked.filter(nw.col("status") == ATTENDED)
    ways = [
        steps.join(doubtful, on="course_id", how="semi"),
        attended,
        booked.filter(nw.col("status") != "cancelled"),
        booked,
    ]
    departures = nw.concat([_departures(way, place) for place, way in enumerate(ways)], how="vertical")
    counts = departures.group_by("course_id", "way").agg(n_departures=nw.col("departs").sum())
    best = counts.unique("course_id", keep="first", order_by=["n_departures", "way"])
    chosen = departures.filter(nw.col("departs") == 1).join(best, on=["course_id", "way"], how="semi")
    rows = chosen.select("row", "key", "session_number", "date", nw.col("rank").alias("expected"))
    yield from look("session_number", "sessions", "session_number", rows)


def _departures(way: nw.LazyFrame[Any], place: int) -> nw.LazyFrame[Any]:
    """Mark where the number leaves the order of the dates; after a gap the next ones follow on and are not marked."""
    offset, before = nw.col("offset"), nw.col("offset").shift(1).over("course_id", order_by=_ORDER)
    numbered = way.with_columns(_rank()).filter(~nw.col("session_number").is_null())
    marked = numbered.with_columns(offset=nw.col("session_number") - nw.col("rank"))
    departs = (offset != 0) & (offset != nw.col("before_offset").fill_null(0))
    return marked.with_columns(before_offset=before).select(
        *marks("session_id"),
        "course_id",
        "session_number",
        "date",
        "rank",
        nw.lit(place).alias("way"),
        nw.when(departs).then(1).otherwise(0).alias("departs"),
    )
