"""What happens to every patient and course, seen or not: latent state, dates, side effects, dropout."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mesostats.simulation.columns import between, choose, happens, identifiers

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from mesostats.simulation.columns import Streams
    from mesostats.simulation.model import Booleans, Model

_EPOCH = dt.date(1970, 1, 1)


def day_number(date: dt.date) -> int:
    """Return days since 1970-01-01."""
    return (date - _EPOCH).days


@dataclass(frozen=True)
class Courses:
    """What happens to every course, seen or not, up to the end of its plan.

    Parameters
    ----------
    patient, patient_clinic, patient_class, patient_user
        The patient of each course, and each patient's clinic, latent skin class and aspirin use.
    stratum, protocol, responder
        (courses,): the model's indices and the latent response.
    date
        (courses, slots): the day on which the session is or would be held.
    combination
        (courses, slots): which care rules that matter are broken around it, an index into ``Model.broken``.
    prompt
        By term that is known at the next visit: the cells ``course * slots + slot`` in which it occurs.
    attended
        (courses, slots): whether the patient comes.
    number
        (courses,): the number in the data; 0 where the course begins after the cut-off.
    agreed
        (courses,): the day on which the course was agreed.
    """

    model: Model
    cutoff: int
    patient: NDArray[Any]
    patient_clinic: NDArray[Any]
    patient_class: NDArray[Any]
    patient_user: Booleans
    stratum: NDArray[Any]
    protocol: NDArray[Any]
    responder: Booleans
    date: NDArray[np.int32]
    combination: NDArray[Any]
    prompt: dict[int, NDArray[np.int64]]
    side_effect: Booleans
    attended: Booleans
    number: NDArray[np.int64]
    agreed: NDArray[np.int32]

    @property
    def observed(self) -> Booleans:
        """Which sessions are in the data: attended, and held by the cut-off."""
        return self.attended & (self.date <= self.cutoff)

    @property
    def sessions(self) -> NDArray[np.int64]:
        """How many sessions are attended, beyond the cut-off too."""
        return np.asarray(self.attended.sum(axis=1))

    @property
    def planned(self) -> NDArray[np.int64]:
        """How many sessions are planned."""
        return np.asarray(self.model.planned[self.protocol])

    @property
    def last_date(self) -> NDArray[np.int32]:
        """The day of the last session, beyond the cut-off too."""
        return np.asarray(self.date[np.arange(len(self.date)), self.sessions - 1])

    @property
    def ids(self) -> pa.Array:
        """The id of each course."""
        return identifiers("C", self.number, largest=len(self.number))


def draw_courses(n: int, model: Model, streams: Streams) -> Courses:
    """Draw patients with their courses, sessions, and the side effects that are known at the next visit."""
    patients = model.scenario.patients
    rng = streams("patients: latent")
    clinic = between(rng, 1, model.scenario.clinics.number, n)
    skin_class, user = choose(rng, model.class_share, n), happens(rng, patients.aspirin_users, n)
    again = happens(streams("second courses"), patients.second_course, n)
    patient = np.repeat(np.arange(n), 1 + again)
    rng = streams("courses: latent")
    stratum = choose(rng, model.weight, len(patient))
    responder = happens(rng, model.response[stratum], len(patient))
    protocol = model.protocol_of[stratum].astype(np.int8)
    date = _dates(protocol, np.flatnonzero(np.diff(patient, prepend=-1) == 0), model=model, streams=streams)
    combination = _combinations(user[patient], model, streams)
    prompt = _prompt_side_effects(skin_class[patient], combination, model=model, streams=streams)
    side_effect = np.zeros(date.shape, dtype=bool)
    for cells in prompt.values():
        side_effect.ravel()[cells] = True
    cutoff = day_number(model.scenario.calendar.cutoff)
    seen = date[:, 0] <= cutoff
    return Courses(
        model=model,
        cutoff=cutoff,
        patient=patient,
        patient_clinic=clinic,
        patient_class=skin_class,
        patient_user=user,
        stratum=stratum,
        protocol=protocol,
        responder=responder,
        date=date,
        combination=combination,
        prompt=prompt,
        side_effect=side_effect,
        attended=_attended(side_effect, protocol, responder, model=model, streams=streams),
        number=np.where(seen, np.cumsum(seen), 0),
        agreed=date[:, 0]
        - between(streams("agreed"), *model.scenario.timing.first_session_after_days, len(patient)),
    )


def _dates(
    protocol: NDArray[Any], second: NDArray[np.int64], *, model: Model, streams: Streams
) -> NDArray[np.int32]:
    """Return the day of every slot; ``second`` are the courses that follow the one before, of the same patient."""
    calendar, patients = model.scenario.calendar, model.scenario.patients
    elapsed = _intervals(protocol, model, streams)
    np.cumsum(elapsed, axis=1, out=elapsed)
    rng = streams("first sessions")
    opening = day_number(calendar.opening)
    first = between(rng, opening, opening + calendar.accrual_days - 1, len(protocol))
    length = elapsed[second - 1, model.planned[protocol[second - 1]] - 1]
    first[second] = first[second - 1] + length + between(rng, *patients.second_course_after_days, len(second))
    elapsed += first[:, None]
    return elapsed


def _intervals(protocol: NDArray[Any], model: Model, streams: Streams) -> NDArray[np.int32]:
    """Return the days before every slot: within its window, or early or late; 0 before the first one."""
    timing = model.scenario.timing
    shortest, longest = model.shortest[protocol], model.longest[protocol]
    size = shortest.shape
    rng = streams("intervals")
    interval = between(rng, shortest, longest, size)
    when = rng.random(size, dtype=np.float32)
    early = (when < timing.early) & (shortest > 1)
    late = when >= 1 - timing.late
    interval[early] = between(rng, np.maximum(shortest[early] // 2, 1), shortest[early] - 1, int(early.sum()))
    most = np.maximum((model.grace * timing.late_grace).astype(np.int64), 1)[protocol][late]
    interval[late] = longest[late] + between(rng, 1, most, int(late.sum()))
    interval[:, 0] = 0
    return interval


def _combinations(user: Booleans, model: Model, streams: Streams) -> NDArray[np.uint8]:
    """Return which combination of care rules is broken around every session."""
    edges = np.cumsum(model.exposure_share, axis=1)[:, :-1].astype(np.float32)
    drawn = streams("exposures").random((len(user), model.slots), dtype=np.float32)
    combination = np.zeros(drawn.shape, dtype=np.uint8)
    for edge in edges.T:
        combination += drawn >= edge[user.astype(np.int8)][:, None]
    return combination


def _prompt_side_effects(
    skin_class: NDArray[Any], combination: NDArray[Any], *, model: Model, streams: Streams
) -> dict[int, NDArray[np.int64]]:
    """Return the cells in which each side effect that is not delayed occurs, were the session held."""
    state = (skin_class[:, None] * model.exposure_share.shape[1] + combination).ravel()
    found = {}
    for term in np.flatnonzero(~model.delayed):
        rng = streams(f"side effect: {model.terms[term]}")
        probability = model.probability[term].ravel().astype(np.float32)
        found[int(term)] = np.flatnonzero(happens(rng, probability[state], len(state)))
    return found


def _attended(
    side_effect: Booleans, protocol: NDArray[Any], responder: Booleans, *, model: Model, streams: Streams
) -> Booleans:
    """Return which sessions are held: all until the first slot before which the course is given up."""
    drawn = streams("dropout").random(side_effect.shape, dtype=np.float32)
    hazard = model.hazard.astype(np.float32)
    stays = np.ones(side_effect.shape, dtype=bool)
    for slot in range(1, model.slots):
        after = side_effect[:, slot - 1].astype(np.int8)
        stays[:, slot] = drawn[:, slot] >= hazard[protocol, slot, after, responder.astype(np.int8)]
    return np.logical_and.accumulate(stays, axis=1)
