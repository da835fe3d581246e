"""The exact truth of a simulated clinic, by recursion over the sessions of each latent state: nothing is drawn.

Given a course's stratum, the patient's skin class and aspirin use, and the response, the sessions are independent of one
another, and whether the next one is attended depends on the last one only through "a side effect that is known by then".

The true values are those of the complete process:
all planned sessions lie before the data cut, and every question is asked and answered. The data stop at the cut;
first sessions of first courses are spread evenly over the two years before it, independently of everything else, so
that censoring at the cut is independent. Not being asked about side effects is independent too; a missing endpoint
is not. Of patients who will have a second course, those are in the data whose course begins before the cut.

``response`` (indication; indication and arm)
    Probability that a treated course is a responder. Responders are set at the start, whether or not they stay: the
    endpoint of a responder meets the instrument's responder rule, that of any other course does not.
``response_completers``, ``response_evaluable`` (the same)
    The same among courses that attend all planned sessions, and among those whose endpoint is recorded (baselines are
    missing at random): what analyses of completers or of observed cases estimate instead.
``response_difference`` (indication, arm as ``"A - B"``)
    Difference of ``response`` between two arms.
``response_lasting``
    Probability that a responder still is one at the later assessment, 90 to 180 days after the last session.
``retention`` (protocol or indication; session)
    Probability that a course attends that session.
``dropout_hazard`` (protocol or indication; session)
    Probability that a course that attended the session before does not attend this one.
``dropout_reason`` (protocol, reason)
    Probability that a course is given up before its last session for that reason, recorded or not.
``event_per_session`` (term, or ``"any"``)
    Probability of at least one event of the term that is ascribed to an attended session.
``serious_event_per_session``
    Probability of at least one serious event that is ascribed to an attended session.
``event_per_course``, ``event_per_patient`` (term, or ``"any"``)
    Probability of at least one event in the attended sessions of a course, and of all courses of a patient.
``exposure_risk_difference`` (term, care rule)
    Probability of the event in attended sessions around which the care rule was broken, minus that in the others.
``painless_session`` (anaesthetic)
    Probability of a pain score of at most 1 of 10.
``bad_lot`` (term, lot)
    The bad lot, and the probability of the event in sessions that used it. All other values of this term, and of
    ``"any"``, are those of sound lots: they hold in every clinic but the one that used the bad lot.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mesostats.simulation.courses import reason_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesostats.simulation.model import Booleans, Floats, Model

GROUPS = (
    "indication",
    "arm",
    "protocol",
    "session",
    "term",
    "care_rule",
    "anaesthetic",
    "reason",
    "lot",
)
ANY = "any"
_PAINLESS = (0, 1)  # scores of 10


@dataclass(frozen=True)
class _State:
    """A latent state: its indices, its probability, and what a session of it does.

    ``exposure`` is the distribution of broken care rules, ``attends`` (slots,) the probability to attend each session.
    """

    stratum: int
    skin_class: int
    user: int
    improving: int
    weight: float
    exposure: Floats
    attends: Floats


def true_values(model: Model, bad_lot: str | None) -> pd.DataFrame:
    """Return the true values of a model, one row a value.

    Parameters
    ----------
    model
        The compiled scenario.
    bad_lot
        The bad lot's name in the data, if there is one.

    Returns
    -------
    pandas.DataFrame
        ``quantity``, the columns that it is given by (empty where it is not given by them), ``value``. This
        module's documentation says what each quantity is.
    """
    states = list(_states(model))
    rows: list[dict[str, Any]] = [
        *_responses(model, states),
        *_retentions(model, states),
        *_reasons(model, states),
        *_sessions(model, states),
        *_ever(model),
        *_exposures(model, states),
        *_painless(model),
    ]
    lasting = model.scenario.assessments.lasting
    rows.append({"quantity": "response_lasting", "value": lasting})
    if bad_lot is not None and model.scenario.bad_lot is not None:
        bad = model.scenario.bad_lot
        rows.append({"quantity": "bad_lot", "term": bad.term, "lot": bad_lot, "value": bad.probability})
    frame = pd.DataFrame(rows, columns=["quantity", *GROUPS, "value"])
    return frame.astype(
        {"session": "Int64"} | {name: "str" for name in ("quantity", *GROUPS) if name != "session"}
    )


def _states(model: Model) -> Iterator[_State]:
    """Yield every latent state of a course."""
    for stratum, skin_class, user, improving in itertools.product(
        range(len(model.strata)), range(len(model.class_share)), (0, 1), (0, 1)
    ):
        response = model.response[stratum]
        share = model.weight[stratum] * model.class_share[skin_class] * model.user_share[user]
        exposure = model.exposure_share[user]
        calm = float(exposure @ _none(model, ~model.delayed)[skin_class])
        hazard = model.hazard[model.protocol_of[stratum], :, :, improving]
        stays = 1 - (calm * hazard[:, 0] + (1 - calm) * hazard[:, 1])
        stays[0] = 1
        weight = float(share * (response if improving else 1 - response))
        yield _State(stratum, skin_class, user, improving, weight, exposure, np.asarray(np.cumprod(stays)))


def _none(model: Model, terms: Booleans) -> Floats:
    """Return the probability that none of ``terms`` occurs in a session, (classes, exposures)."""
    return np.asarray(np.prod(1 - model.probability[terms], axis=0))


def _groups(model: Model, states: list[_State]) -> Iterator[tuple[dict[str, str], list[_State]]]:
    """Yield the states of each indication, and of each indication and arm."""
    for code in dict.fromkeys(stratum.code for stratum in model.strata):
        yield {"indication": code}, [each for each in states if model.strata[each.stratum].code == code]
    for index, stratum in enumerate(model.strata):
        if stratum.recipe.arm is not None:
            group = {"indication": stratum.code, "arm": stratum.recipe.arm}
            yield group, [each for each in states if each.stratum == index]


def _mean(states: list[_State], value: Any, weight: Any = lambda _: 1.0) -> float:
    """Return the mean of ``value(state)`` over the states, weighted by ``weight(state)`` too."""
    total = np.array([each.weight * weight(each) for each in states])
    return float(total @ np.array([value(each) for each in states]) / total.sum())


def _responses(model: Model, states: list[_State]) -> Iterator[dict[str, Any]]:
    """Yield response among all treated courses, among completers, and among those with an endpoint."""
    last = model.planned[model.protocol_of] - 1
    missing = model.scenario.records.endpoint_missing

    def completes(state: _State) -> float:
        return float(state.attends[last[state.stratum]])

    def evaluable(state: _State) -> float:
        lost = [
            each.responder if state.improving else each.nonresponder
            for each in (missing.completed, missing.dropped)
        ]
        return completes(state) * (1 - lost[0]) + (1 - completes(state)) * (1 - lost[1])

    for group, members in _groups(model, states):
        for quantity, weight in (
            ("response", lambda _: 1.0),
            ("response_completers", completes),
            ("response_evaluable", evaluable),
        ):
            yield {
                "quantity": quantity,
                **group,
                "value": _mean(members, lambda each: each.improving, weight),
            }
    yield from _differences(model)


def _differences(model: Model) -> Iterator[dict[str, Any]]:
    """Yield the difference in response between each two arms of an indication, the earlier minus the later."""
    for code in dict.fromkeys(stratum.code for stratum in model.strata):
        recipes = [each.recipe for each in model.strata if each.code == code and each.recipe.arm is not None]
        for first, later in itertools.combinations(recipes, 2):
            difference = first.response - later.response
            arm = f"{first.arm} - {later.arm}"
            yield {"quantity": "response_difference", "indication": code, "arm": arm, "value": difference}


def _retentions(model: Model, states: list[_State]) -> Iterator[dict[str, Any]]:
    """Yield the probability to attend each session, and the hazard to drop out before it."""
    groups = [
        ({"protocol": protocol.code}, [each for each in states if model.protocol_of[each.stratum] == index])
        for index, protocol in enumerate(model.protocols)
    ]
    groups += [(group, members) for group, members in _groups(model, states) if "arm" not in group]
    for group, members in groups:
        planned = model.planned[model.protocol_of[members[0].stratum]]
        attends = [_mean(members, lambda each, slot=slot: each.attends[slot]) for slot in range(planned)]
        for slot, value in enumerate(attends):
            yield {"quantity": "retention", **group, "session": slot + 1, "value": value}
            if slot > 0:
                hazard = 1 - value / attends[slot - 1]
                yield {"quantity": "dropout_hazard", **group, "session": slot + 1, "value": hazard}


def _reasons(model: Model, states: list[_State]) -> Iterator[dict[str, Any]]:
    """Yield the probability that a course is given up for each reason (recorded or not), by protocol."""
    names, weights = reason_weights(model)
    for index, protocol in enumerate(model.protocols):
        members = [each for each in states if model.protocol_of[each.stratum] == index]
        for reason, name in enumerate(names):
            given = weights[:, :, reason]
            value = _mean(
                members, lambda each, given=given: float(_gives_up(model, each) @ given[:, each.improving])
            )
            yield {"quantity": "dropout_reason", "protocol": protocol.code, "reason": name, "value": value}


def _gives_up(model: Model, state: _State) -> Floats:
    """Return the probability to give up after a session without and with a side effect, (2,)."""
    calm = float(state.exposure @ _none(model, ~model.delayed)[state.skin_class])
    protocol = model.protocol_of[state.stratum]
    planned = model.planned[protocol]
    hazard = model.hazard[protocol, 1:planned, :, state.improving]
    return np.asarray(state.attends[: planned - 1] @ hazard * np.array([calm, 1 - calm]))


def _term_sets(model: Model) -> Iterator[tuple[str, Booleans]]:
    """Yield each side effect alone, and any of them."""
    for index, term in enumerate(model.terms):
        yield term, np.arange(len(model.terms)) == index
    yield ANY, np.ones(len(model.terms), dtype=bool)


def _sessions(model: Model, states: list[_State]) -> Iterator[dict[str, Any]]:
    """Yield the probability of each side effect, and of a serious one, in an attended session."""

    def held(state: _State) -> float:
        protocol = model.protocol_of[state.stratum]
        return float(state.attends[: model.planned[protocol]].sum())

    for term, chosen in _term_sets(model):
        none = _none(model, chosen)
        value = _mean(states, lambda each, none=none: 1 - float(each.exposure @ none[each.skin_class]), held)
        yield {"quantity": "event_per_session", "term": term, "value": value}
    given = model.scenario.events.serious
    effects = model.scenario.side_effects.values()
    serious = np.array([given if each.serious is None else each.serious for each in effects])
    none = np.prod(1 - model.probability * serious[:, None, None], axis=0)
    value = _mean(states, lambda each: 1 - float(each.exposure @ none[each.skin_class]), held)
    yield {"quantity": "serious_event_per_session", "term": ANY, "value": value}


def _ever(model: Model) -> Iterator[dict[str, Any]]:
    """Yield the probability of at least one event of each side effect in a course, and of a patient."""
    again = model.scenario.patients.second_course
    share = np.outer(model.class_share, model.user_share)
    for term, chosen in _term_sets(model):
        free = _course_free(model, chosen)
        yield {"quantity": "event_per_course", "term": term, "value": float(1 - (share * free).sum())}
        patient = (1 - again) * free + again * free**2
        yield {"quantity": "event_per_patient", "term": term, "value": float(1 - (share * patient).sum())}


def _course_free(model: Model, chosen: Booleans) -> Floats:
    """Return the probability that none of the chosen side effects occurs in a course, (classes, aspirin use)."""
    none = _none(model, chosen) @ model.exposure_share.T
    calm = _none(model, chosen | ~model.delayed) @ model.exposure_share.T
    free = np.zeros_like(none)
    for index, stratum in enumerate(model.strata):
        response = stratum.recipe.response
        for improving, share in ((0, 1 - response), (1, response)):
            hazard = model.hazard[model.protocol_of[index], :, :, improving]
            free += stratum.weight * share * _stopped_free(none, calm, hazard)
    return free


def _stopped_free(none: Floats, calm: Floats, hazard: Floats) -> Floats:
    """Return the probability to reach the end of a course free of events.

    Parameters
    ----------
    none
        The probability that a session is free of the events in question.
    calm
        That it is free of them and of every side effect that is known at the next visit; not above ``none``.
    hazard
        (slots, 2): the probability to drop out before each slot after a calm session, and after one that is not.
    """
    reached, stopped = np.ones_like(none), np.zeros_like(none)
    for slot in range(len(hazard)):
        goes = hazard[slot + 1] if slot + 1 < len(hazard) else np.ones(2)
        leaves = calm * goes[0] + (none - calm) * goes[1]
        stopped += reached * leaves
        reached = reached * (none - leaves)
    return stopped


def _exposures(model: Model, states: list[_State]) -> Iterator[dict[str, Any]]:
    """Yield the difference in risk of each raised side effect between sessions with the care rule broken and kept."""
    for each in model.scenario.exposures:
        probability = model.probability[model.terms.index(each.term)]
        broken = model.broken[:, model.exposed_rules.index(each.care_rule)]
        row = {"term": each.term, "care_rule": each.care_rule}
        value = _risk(model, states, probability, broken) - _risk(model, states, probability, ~broken)
        yield {"quantity": "exposure_risk_difference", **row, "value": value}


def _risk(model: Model, states: list[_State], probability: Floats, among: Booleans) -> float:
    """Return the probability of an event in attended sessions whose combination of broken rules is ``among``."""

    def held(state: _State) -> float:
        planned = model.planned[model.protocol_of[state.stratum]]
        return float(state.attends[:planned].sum() * state.exposure[among].sum())

    def risk(state: _State) -> float:
        share = state.exposure[among]
        return float(share @ probability[state.skin_class, among] / share.sum())

    return _mean(states, risk, held)


def _painless(model: Model) -> Iterator[dict[str, Any]]:
    """Yield the probability of a pain score of at most 1 of 10, by anaesthetic: the score is binomial."""
    for name, hurts in model.scenario.sessions.pain.items():
        value = (1 - hurts) ** 10 + 10 * hurts * (1 - hurts) ** 9
        yield {"quantity": "painless_session", "anaesthetic": name, "value": value}
