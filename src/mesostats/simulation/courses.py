"""The records of patients and courses: who they are, how a course ended, as far as it was written down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mesostats.simulation.columns import between, choose, coded, days, happens, identifiers, weighted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesostats.simulation.columns import Streams
    from mesostats.simulation.model import Booleans, Model
    from mesostats.simulation.process import Courses


def patients_table(courses: Courses, streams: Streams) -> pa.Table:
    """Return the table of patients."""
    patients, n = courses.model.scenario.patients, len(courses.patient_class)
    rng = streams("patients: record")
    skin_types = np.array(list(patients.skin_type), dtype=np.int64)
    return pa.table(
        {
            "patient_id": identifiers("P", np.arange(1, n + 1), largest=n),
            "sex": coded(weighted(rng, patients.sex, n), list(patients.sex)),
            "birth_year": between(rng, *patients.birth_year, n).astype(np.int64),
            "skin_type": skin_types[weighted(rng, patients.skin_type, n)],
        }
    )


@dataclass(frozen=True)
class Ending:
    """How each course stands in the clinic's records at the cut-off.

    ``status`` and ``reason`` index their names, the last index being "empty"; ``lost`` are those given up with no record.
    """

    status: NDArray[np.int8]
    end: NDArray[np.int32]
    reason: NDArray[np.int8]
    reasons: tuple[str, ...]
    lost: Booleans


_STATUS = ("ongoing", "completed", "discontinued", None)
_ONGOING, _COMPLETED, _DISCONTINUED, _EMPTY = range(4)


def draw_endings(courses: Courses, streams: Streams) -> Ending:
    """Draw what was recorded of each course's end, by the cut-off."""
    records, n = courses.model.scenario.records, len(courses.patient)
    rng = streams("endings")
    completed = courses.sessions == courses.planned
    lost = ~completed & happens(rng, records.dropout_unrecorded, n)
    following = np.minimum(courses.sessions, courses.model.slots - 1)
    waited = between(rng, 1, courses.model.longest[courses.protocol, following], n)
    end = np.where(completed, courses.last_date, courses.last_date + waited)
    ended = end <= courses.cutoff
    status = np.full(n, _ONGOING, dtype=np.int8)
    status[happens(rng, records.ongoing_unrecorded, n)] = _EMPTY
    status[ended & completed] = _COMPLETED
    status[ended & completed & happens(rng, records.completion_unrecorded, n)] = _EMPTY
    status[ended & ~completed] = _DISCONTINUED
    status[lost] = _EMPTY
    reason, reasons = _reasons(courses, streams)
    return Ending(status, end.astype(np.int32), reason, reasons, lost)


def reason_weights(model: Model) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Return the reasons to stop, and their distribution (2, 2, reasons) by side effect before and improving."""
    given = model.scenario.dropout.reasons
    names = tuple(given.always | given.after_side_effect | given.improving | given.not_improving)
    weights = np.zeros((2, 2, len(names)))
    for index, name in enumerate(names):
        weights[:, :, index] += given.always.get(name, 0)
        weights[1, :, index] += given.after_side_effect.get(name, 0)
        weights[:, 1, index] += given.improving.get(name, 0)
        weights[:, 0, index] += given.not_improving.get(name, 0)
    return names, weights / weights.sum(axis=2, keepdims=True)


def _reasons(courses: Courses, streams: Streams) -> tuple[NDArray[np.int8], tuple[str, ...]]:
    names, weights = reason_weights(courses.model)
    n = len(courses.patient)
    after = courses.side_effect[np.arange(n), courses.sessions - 1].astype(np.int8)
    edges = np.cumsum(weights, axis=2)[:, :, :-1].astype(np.float32)[after, courses.responder.astype(np.int8)]
    drawn = streams("reasons").random(n, dtype=np.float32)
    return (drawn[:, None] >= edges).sum(axis=1).astype(np.int8), names


def courses_table(courses: Courses, ending: Ending, streams: Streams) -> pa.Table:
    """Return the table of courses that began by the cut-off."""
    model, seen = courses.model, courses.number > 0
    names = [f"K{each + 1:02d}" for each in range(model.scenario.clinics.number)]
    ended = (ending.status == _COMPLETED) | (ending.status == _DISCONTINUED)
    columns = {
        "course_id": courses.ids,
        "patient_id": identifiers("P", courses.patient + 1, largest=len(courses.patient_class)),
        "clinic_id": coded(courses.patient_clinic[courses.patient] - 1, names),
        "indication": coded(courses.stratum, [each.code for each in model.strata]),
        **_sites(courses, streams),
        "protocol": coded(courses.protocol, [each.code for each in model.protocols]),
        "arm": coded(courses.stratum, [each.recipe.arm for each in model.strata]),
        "planned_sessions": courses.planned,
        "start_date": days(courses.agreed),
        "status": coded(ending.status, _STATUS),
        "end_date": days(ending.end, missing=~ended),
        "end_reason": coded(ending.reason, ending.reasons, missing=ending.status != _DISCONTINUED),
        **_contraindications(len(seen), model, streams),
    }
    return pa.table(columns).filter(pa.array(seen))


def _sites(courses: Courses, streams: Streams) -> dict[str, pa.Array]:
    """Draw each course's area and side among those of its indication."""
    sites = [(each.indication, site) for each in courses.model.strata for site in each.indication.sites]
    chosen = np.zeros(len(courses.stratum), dtype=np.int16)
    rng, first = streams("sites"), 0
    for index, stratum in enumerate(courses.model.strata):
        rows = np.flatnonzero(courses.stratum == index)
        chosen[rows] = first + choose(rng, [site.share for site in stratum.indication.sites], len(rows))
        first += len(stratum.indication.sites)
    return {
        "area": coded(chosen, [site.area for _, site in sites]),
        "side": coded(chosen, [site.side for _, site in sites]),
    }


def _contraindications(n: int, model: Model, streams: Streams) -> dict[str, pa.Array]:
    """Return the screening: nobody with a contraindication is treated, but not everybody is asked."""
    share = model.scenario.records.contraindication_not_asked
    return {
        code: coded(happens(streams(f"screening: {code}"), share, n).astype(np.int8), ("no", "not_asked"))
        for code in model.vocabulary.contraindications
    }
