"""The visits of a course in order: one a day and area, numbered as the dates go, within the protocol's windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import pandas as pd

from mesostats.engine import ROW
from mesostats.validation.findings import look, marks
from mesostats.validation.visits import ATTENDED, sound_courses, visits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mesostats.dataset import Dataset
    from mesostats.validation.findings import Finding
    from mesostats.vocabulary import Protocol

_ORDER: Final = ["day", "session_number", "session_id"]


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
    yield from look("session_number", "sessions", "session_number", _misnumbered(clinic))
    yield from look("off_window", "sessions", "date", _off_window(clinic))


def _same_day(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return each further session of a patient on one day in one area and side; without an area, of one course."""
    return clinic.derive("validation_same_day", lambda: _further_of_day(clinic))


def _further_of_day(clinic: Dataset) -> nw.LazyFrame[Any]:
    place = nw.coalesce("area", nw.concat_str(nw.lit("course "), nw.col("course_id")))
    attended = (
        visits(clinic)
        .filter(nw.col("status") == ATTENDED, ~nw.col("day").is_null(), ~nw.col("patient_id").is_null())
        .with_columns(place=place, at_side=nw.col("side").fill_null(""))
    )
    same = ["patient_id", "day", "place", "at_side"]
    crowded = attended.group_by(same).agg(n_same=nw.len()).filter(nw.col("n_same") > 1)
    others = [
        nw.col(name).shift(1).over(*same, order_by=[ROW, "session_id"]).alias(alias)
        for name, alias in ((ROW, "other_row"), ("session_id", "other"))
    ]
    further = attended.join(crowded, on=same, how="semi").with_columns(*others)
    return further.filter(~nw.col("other").is_null()).select(
        *marks("session_id"), "session_id", "date", "other_row", "other"
    )


def _steps(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return the attended sessions of sound courses, one a day, with their rank and the day of the one before."""
    return clinic.derive("validation_steps", lambda: _ranked_steps(clinic))


def _ranked_steps(clinic: Dataset) -> nw.LazyFrame[Any]:
    attended = visits(clinic).filter(nw.col("status") == ATTENDED)
    sound = attended.join(sound_courses(clinic).select("course_id"), on="course_id", how="semi")
    single = sound.join(_same_day(clinic).select("session_id"), on="session_id", how="anti")
    kept = single.select(ROW, "session_id", "course_id", "session_number", "date", "day", "protocol")
    return kept.with_columns(_rank(), before=nw.col("day").shift(1).over("course_id", order_by=_ORDER))


def _rank() -> nw.Expr:
    ones = nw.when(~nw.col("course_id").is_null()).then(1)
    return ones.cum_sum().over("course_id", order_by=_ORDER).cast(nw.Int64).alias("rank")


def _off_window(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return the sessions whose distance from the one before is outside the window of their phase."""
    windows = clinic.engine.small(_windows(clinic.vocabulary.protocols), visits(clinic))
    gaps = _steps(clinic).with_columns(gap=nw.col("day") - nw.col("before"))
    planned = gaps.join(windows, on=["protocol", "rank"])
    off = planned.filter((nw.col("gap") < nw.col("low")) | (nw.col("gap") > nw.col("high")))
    return off.select(*marks("session_id"), "gap", "protocol", "phase", "low", "high")


def _windows(protocols: Mapping[str, Protocol]) -> pd.DataFrame:
    """Return one row a protocol and session: its phase and window; the last phase may be as long as its range allows."""
    rows: list[tuple[str, int, str, float, float]] = []
    for code, protocol in protocols.items():
        last = protocol.phases[-1]
        spare = max(0, (last.sessions_range or (0, 0))[1] - last.sessions)
        phases = [phase for phase in protocol.phases for _ in range(phase.sessions)] + [last] * spare
        rows += [(code, rank, phase.name, *phase.interval_days) for rank, phase in enumerate(phases, start=1)]
    frame = pd.DataFrame(rows, columns=["protocol", "rank", "phase", "low", "high"])
    return frame.astype(
        {"protocol": "string", "rank": "int64", "phase": "string", "low": float, "high": float}
    )


def _misnumbered(clinic: Dataset) -> nw.LazyFrame[Any]:
    """Return the sessions whose number departs from the order of the dates, with the number expected.

    Clinics count differently: the attended sessions, all that were not cancelled, or all that were booked; and of two on
    one day one or both. Each course is read in the way that leaves the fewest departures.
    """
    steps = _steps(clinic)
    odd = steps.filter(nw.col("session_number") != nw.col("rank")).select("course_id").unique()
    doubtful = clinic.engine.materialise(odd)
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
    return chosen.select("row", "key", "session_number", "date", nw.col("rank").alias("expected"))


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
