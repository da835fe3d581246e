"""Side effects of the simulated clinics: what happened, and what was written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mesostats.simulation.columns import between, choose, coded, days, happens, identifiers, weighted, yes_no

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mesostats.simulation.columns import Streams
    from mesostats.simulation.model import Model
    from mesostats.simulation.scenario import SideEffect
    from mesostats.simulation.sessions import Injections, Visits

    _Days = Callable[[SideEffect, Model, np.random.Generator, int], NDArray[Any]]

_ASKED = 1


def events_table(visits: Visits, injections: Injections, streams: Streams) -> pa.Table:
    """Return the table of adverse events: those that began by the cut-off, of sessions where somebody asked."""
    courses, model = visits.courses, visits.courses.model
    row, term = _recorded(visits, injections, streams)
    onset = courses.date.ravel()[visits.cell[row]] + _by_term(term, model, streams, what=_onset)
    known = onset <= courses.cutoff
    row, term, onset = row[known], term[known], onset[known]
    n = len(row)
    end = onset + _by_term(term, model, streams, what=_duration)
    lasts = end > courses.cutoff
    rng, given = streams("events: record"), model.scenario.events
    columns = {
        "event_id": identifiers("E", np.arange(1, n + 1), largest=n),
        "course_id": courses.ids.take(pa.array(visits.course[row])),
        "session_id": visits.ids(row),
        "term": coded(term, model.terms),
        "verbatim": _verbatim(term, model, streams),
        "onset_date": days(onset),
        "end_date": days(end, missing=lasts),
        "severity": _severity(term, model, streams),
        "serious": yes_no(happens(rng, _serious(model)[term], n)),
        "related": coded(weighted(rng, given.related, n), list(given.related)),
        "action": coded(weighted(rng, given.action, n), list(given.action)),
        "outcome": coded(lasts.astype(np.int8), ("recovered", "not_recovered")),
    }
    return pa.table(columns)


def _recorded(
    visits: Visits, injections: Injections, streams: Streams
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return visit and term of each side effect of a session held where somebody asked, in the order of visits."""
    courses, model = visits.courses, visits.courses.model
    observed = courses.observed.ravel()
    rows = {term: visits.row_of(cells[observed[cells]]) for term, cells in courses.prompt.items()}
    rows |= {
        int(term): _delayed(int(term), visits, injections, streams=streams)
        for term in np.flatnonzero(model.delayed)
    }
    keys = np.concatenate([row * len(model.terms) + term for term, row in rows.items()])
    row, term = np.divmod(np.sort(keys), len(model.terms))
    asked = visits.asked[row] == _ASKED
    return row[asked], term[asked]


def _delayed(term: int, visits: Visits, injections: Injections, *, streams: Streams) -> NDArray[np.int64]:
    """Return the visits that a delayed side effect follows; the bad lot overrules whoever was treated."""
    courses, model = visits.courses, visits.courses.model
    held = np.flatnonzero(visits.held)
    skin_class = courses.patient_class[courses.patient][visits.course[held]]
    probability = model.probability[term][skin_class, courses.combination.ravel()[visits.cell[held]]]
    bad = model.scenario.bad_lot
    if bad is not None and model.terms[term] == bad.term:
        probability[np.searchsorted(held, injections.bad_rows)] = bad.probability
    return held[happens(streams(f"side effect: {model.terms[term]}"), probability, len(held))]


def _by_term(term: NDArray[np.int64], model: Model, streams: Streams, *, what: _Days) -> NDArray[np.int32]:
    """Draw days for every event, each term with its own distribution."""
    drawn = np.zeros(len(term), dtype=np.int32)
    for index, side_effect in enumerate(model.scenario.side_effects.values()):
        of_term = np.flatnonzero(term == index)
        rng = streams(f"{what.__name__}: {model.terms[index]}")
        drawn[of_term] = what(side_effect, model, rng, len(of_term))
    return drawn


def _onset(side_effect: SideEffect, model: Model, rng: np.random.Generator, n: int) -> NDArray[Any]:
    return between(rng, *(side_effect.onset_days or model.scenario.events.onset_days), n)


def _duration(side_effect: SideEffect, _: Model, rng: np.random.Generator, n: int) -> NDArray[Any]:
    return rng.geometric(1 / side_effect.mean_days, n)


def _serious(model: Model) -> NDArray[np.float64]:
    """Return the probability that an event is serious, (terms,)."""
    given = model.scenario.events.serious
    return np.array(
        [given if each.serious is None else each.serious for each in model.scenario.side_effects.values()]
    )


def _severity(term: NDArray[np.int64], model: Model, streams: Streams) -> pa.Array:
    by_term = [
        each.severity or model.scenario.events.severity for each in model.scenario.side_effects.values()
    ]
    names = list(dict.fromkeys(name for weights in by_term for name in weights))
    drawn = np.zeros(len(term), dtype=np.int8)
    for index, weights in enumerate(by_term):
        of_term = np.flatnonzero(term == index)
        rng = streams(f"severity: {model.terms[index]}")
        drawn[of_term] = choose(rng, [weights.get(name, 0) for name in names], len(of_term))
    return coded(drawn, names)


def _verbatim(term: NDArray[np.int64], model: Model, streams: Streams) -> pa.Array:
    """Return the words written down: one of the term's source terms, or its label where no source names it."""
    entries = [model.vocabulary.adverse_events[code] for code in model.terms]
    words = [each.source_terms or (each.label.lower(),) for each in entries]
    count = np.array([len(each) for each in words])
    first = np.cumsum(count) - count
    chosen = first[term] + between(streams("verbatim"), 0, count[term] - 1, len(term))
    return coded(chosen, [word for each in words for word in each])
