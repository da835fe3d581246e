"""Treatment: no dose without a visit, no visit against a contraindication, a lot for each product, an asked question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw

from mesostats.dataset import CODING
from mesostats.validation.findings import Finding, look, marks
from mesostats.validation.tables import checked, is_empty
from mesostats.validation.visits import ATTENDED, treated, visits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesostats.dataset import Dataset

_DOSE: Final = ("volume_ml", "depth_mm", "pain_nrs")
_MISSED: Final = ("no_show", "cancelled")


def check_treatment(clinic: Dataset) -> Iterator[Finding]:
    """Look at what was done, to whom and with what.

    Parameters
    ----------
    clinic
        The clinic.

    Yields
    ------
    Finding
        ``dose_without_visit``, ``no_end_reason``, ``treated_despite_contraindication``, ``missing_lot`` and
        ``events_not_asked``.
    """
    yield from _doses(clinic)
    courses = checked(clinic, "courses")
    silent = courses.filter(nw.col("status") == "discontinued", nw.col("end_reason").is_null())
    yield from look("no_end_reason", "courses", "end_reason", silent.select(*marks("course_id")))
    yield from _contraindications(clinic)
    if "products" in clinic.names:
        nameless = checked(clinic, "products").filter(nw.col("lot").is_null())
        rows = nameless.select(*marks("session_id"), "substance")
        yield from look("missing_lot", "products", "lot", rows)
    if _asks(clinic):
        yield from look("events_not_asked", "sessions", "adverse_events_asked", _not_asked(clinic))


def _doses(clinic: Dataset) -> Iterator[Finding]:
    missed = visits(clinic).filter(nw.col("status").is_in(_MISSED))
    for column in _DOSE:
        rows = missed.filter(~nw.col(column).is_null()).select(
            *marks("session_id"), "status", nw.concat_str(nw.lit(f"{column} "), nw.col(column)).alias("dose")
        )
        yield from look("dose_without_visit", "sessions", column, rows)
    if "products" in clinic.names:
        given = checked(clinic, "products").join(missed.select("session_id", "status"), on="session_id")
        rows = given.select(*marks("session_id"), "status", nw.col("substance").alias("dose"))
        yield from look("dose_without_visit", "products", "session_id", rows)


def _contraindications(clinic: Dataset) -> Iterator[Finding]:
    columns = clinic.columns("courses")
    codes = [code for code in clinic.vocabulary.codes("contraindications") if code in columns]
    if not codes:
        return
    answers = [nw.col(code).cast(nw.String) for code in codes]
    courses = checked(clinic, "courses").select(*marks("course_id"), "course_id", *answers)
    against = nw.any_horizontal(*(nw.col(code) == "yes" for code in codes), ignore_nulls=True)
    found = clinic.engine.materialise(courses.filter(against).join(treated(clinic), on="course_id"))
    if is_empty(found):
        return
    for code in codes:
        rows = found.filter(nw.col(code) == "yes").select("row", "key", "n_attended")
        values = {"contraindication": clinic.vocabulary.contraindications[code].label}
        yield from look("treated_despite_contraindication", "courses", code, rows, values=values)


def _asks(clinic: Dataset) -> bool:
    """Return whether the clinic records side effects at all."""
    if "adverse_events" in clinic.names:
        return True
    asked = checked(clinic, "sessions").filter(~nw.col("adverse_events_asked").is_null())
    return not is_empty(asked.select("adverse_events_asked"))


def _not_asked(clinic: Dataset) -> nw.LazyFrame[Any]:
    open_ = visits(clinic).filter(nw.col("status") == ATTENDED, nw.col("adverse_events_asked").is_null())
    if "adverse_events" in clinic.names:
        told = checked(clinic, "adverse_events").filter(~nw.col("session_id").is_null()).select("session_id")
        open_ = open_.join(told, on="session_id", how="anti")
    return open_.select(*marks("session_id"))


def check_verbatims(clinic: Dataset) -> Iterator[Finding]:
    """Say how the side effects in free text were read.

    Parameters
    ----------
    clinic
        The clinic, with adverse events.

    Yields
    ------
    Finding
        ``event_coded``, ``event_uncoded`` and ``no_event``.
    """
    events, coding = checked(clinic, "adverse_events"), nw.col(CODING)
    nothing = nw.col("term").is_null() & nw.col("verbatim").is_null()
    cases = {
        "event_coded": coding == "coded",
        "event_uncoded": (coding == "uncoded") | nothing,
        "no_event": coding == "no_event",
    }
    for code, case in cases.items():
        rows = events.filter(case).select(*marks("event_id"), "verbatim", "term")
        yield from look(code, "adverse_events", "verbatim", rows)
