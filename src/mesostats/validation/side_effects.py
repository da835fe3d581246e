"""Side effects that contradict themselves: over and yet unresolved, of two severities, of a session of another course."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import narwhals as nw

from mesostats.validation.findings import Finding, look, marks
from mesostats.validation.tables import checked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesostats.dataset import Dataset

_UNRESOLVED: Final = ("recovering", "not_recovered")
_EVENT: Final = ("course_id", "held", "term", "onset_date")


def check_side_effects(clinic: Dataset) -> Iterator[Finding]:
    """Look for side effects whose own columns disagree.

    Parameters
    ----------
    clinic
        The clinic, with adverse events.

    Yields
    ------
    Finding
        ``event_unresolved_with_end``, ``fatal_not_serious``, ``event_two_severities`` and ``event_of_another_course``.
    """
    events = checked(clinic, "adverse_events").with_columns(held=nw.coalesce("session_id", nw.lit("")))
    unresolved = events.filter(nw.col("outcome").is_in(_UNRESOLVED), ~nw.col("end_date").is_null())
    rows = unresolved.select(*marks("event_id"), "outcome", "end_date")
    yield from look("event_unresolved_with_end", "adverse_events", "end_date", rows)
    fatal = (nw.col("outcome") == "fatal") | (nw.col("severity") == "fatal")
    yield from look(
        "fatal_not_serious",
        "adverse_events",
        "serious",
        events.filter(fatal, nw.col("serious") == "no").select(*marks("event_id")),
    )
    severities = (
        events.filter(~nw.col("severity").is_null())
        .group_by(*_EVENT)
        .agg(mildest=nw.col("severity").min(), other=nw.col("severity").max())
        .filter(nw.col("mildest") != nw.col("other"))
    )
    several = events.join(severities, on=[*_EVENT], how="inner")
    other = nw.when(nw.col("severity") == nw.col("other")).then("mildest").otherwise("other")
    rows = several.filter(~nw.col("severity").is_null()).select(
        *marks("event_id"), "severity", "term", "onset_date", other.alias("other")
    )
    yield from look("event_two_severities", "adverse_events", "severity", rows)
    sessions = checked(clinic, "sessions").select("session_id", course="course_id")
    foreign = events.join(sessions, on="session_id", how="inner").filter(
        nw.col("course") != nw.col("course_id")
    )
    rows = foreign.select(*marks("event_id"), "session_id", "course_id")
    yield from look("event_of_another_course", "adverse_events", "session_id", rows)
