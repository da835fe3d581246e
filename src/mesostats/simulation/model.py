"""The generative model: a scenario and the vocabulary compiled into the arrays that drawing and exact truth share.

Latent state of a course: its stratum (indication and recipe), the patient's skin class and aspirin use, and whether it
is a responder. Given these, sessions are independent of one another, which is what makes the truth a short recursion.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mesostats.errors import did_you_mean

if TYPE_CHECKING:
    from mesostats.simulation.scenario import Indication, Recipe, Scenario
    from mesostats.vocabulary import Instrument, Protocol, Vocabulary

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class Stratum:
    """An indication with one of its recipes; ``weight`` is the probability that a course belongs to it."""

    code: str
    indication: Indication
    recipe: Recipe
    weight: float
    instrument: Instrument


@dataclass(frozen=True)
class Model:
    """The compiled scenario.

    Parameters
    ----------
    scenario, vocabulary
        What was compiled.
    strata
        All strata; the index into them is a course's stratum.
    protocols
        The protocols in use; ``protocol_of`` (strata) is the index of each stratum's own.
    shortest, longest, grace
        Days, (protocols, slots): the window of the interval before each slot, and the days of grace after it.
    hazard
        (protocols, slots, 2, 2): the probability to drop out before a slot by side effect in the session before (0, 1)
        and improving (0, 1); 0 before the first slot, 1 past the last one.
    class_share, user_share
        (classes,) and (2,): the distribution of the latent traits of patients.
    exposure_share
        (2, exposures): the distribution of the combination of broken care rules in a session, by aspirin use.
    broken
        (exposures, rules): which rules a combination breaks, in the order of ``exposed_rules``.
    terms
        The side effects in the order of the scenario.
    probability
        (terms, classes, exposures): the probability of each side effect in a session.
    delayed
        (terms,): whether it never begins on the day of the session, hence is not known at the next visit.
    """

    scenario: Scenario
    vocabulary: Vocabulary
    strata: tuple[Stratum, ...]
    protocols: tuple[Protocol, ...]
    protocol_of: Integers
    shortest: Integers
    longest: Integers
    grace: Integers
    hazard: Floats
    class_share: Floats
    user_share: Floats
    exposed_rules: tuple[str, ...]
    exposure_share: Floats
    broken: Booleans
    terms: tuple[str, ...]
    probability: Floats
    delayed: Booleans

    @property
    def slots(self) -> int:
        """Planned sessions of the longest protocol."""
        return int(self.hazard.shape[1])

    @property
    def planned(self) -> Integers:
        """Planned sessions, (protocols,)."""
        return np.array([protocol.sessions for protocol in self.protocols])

    @property
    def response(self) -> Floats:
        """The probability of a responder, (strata,)."""
        return np.array([stratum.recipe.response for stratum in self.strata])

    @property
    def weight(self) -> Floats:
        """The distribution of courses over strata, (strata,)."""
        return np.array([stratum.weight for stratum in self.strata])


def compile_model(scenario: Scenario, vocabulary: Vocabulary) -> Model:
    """Compile a scenario against a vocabulary.

    Parameters
    ----------
    scenario
        The numbers.
    vocabulary
        The protocols, instruments, terms and care rules that they are about.

    Returns
    -------
    Model

    Raises
    ------
    VocabularyError
        If the scenario names a code that is not in the vocabulary.
    ValueError
        If a phase has no hazard, or a bad lot raises a side effect that is known at the next visit.
    """
    _check_codes(scenario, vocabulary)
    strata = tuple(_strata(scenario, vocabulary))
    codes = sorted({stratum.indication.protocol for stratum in strata})
    protocols = tuple(vocabulary.protocols[code] for code in codes)
    return Model(
        scenario=scenario,
        vocabulary=vocabulary,
        strata=strata,
        protocols=protocols,
        protocol_of=np.array([codes.index(stratum.indication.protocol) for stratum in strata]),
        class_share=_normalized([each.share for each in scenario.patients.reactivity]),
        user_share=np.array([1 - scenario.patients.aspirin_users, scenario.patients.aspirin_users]),
        hazard=_hazards(scenario, protocols),
        **_windows(protocols),
        **_exposures(scenario),
        **_side_effects(scenario),
    )


def _check_codes(scenario: Scenario, vocabulary: Vocabulary) -> None:
    reasons = scenario.dropout.reasons
    used = {
        "indications": scenario.indications,
        "instruments": {each.instrument for each in scenario.indications.values()},
        "protocols": {each.protocol for each in scenario.indications.values()},
        "areas": {site.area for each in scenario.indications.values() for site in each.sites},
        "substances": {each.substance_class for each in scenario.products.values()},
        "care_rules": scenario.care_rules,
        "adverse_events": scenario.side_effects,
        "contraindications": {scenario.planted.contraindication},
        "discontinuation_reasons": reasons.always
        | reasons.after_side_effect
        | reasons.improving
        | reasons.not_improving,
    }
    for name, codes in used.items():
        for code in codes:
            vocabulary.entry(name, code)


def _strata(scenario: Scenario, vocabulary: Vocabulary) -> list[Stratum]:
    indications = _normalized([each.share for each in scenario.indications.values()])
    strata = []
    for share, (code, indication) in zip(indications, scenario.indications.items(), strict=True):
        instrument = vocabulary.instruments[indication.instrument]
        for part, recipe in zip(
            _normalized([each.share for each in indication.recipes]), indication.recipes, strict=True
        ):
            strata.append(Stratum(code, indication, recipe, float(share * part), instrument))
    return strata


def _windows(protocols: tuple[Protocol, ...]) -> dict[str, Any]:
    """Return the windows by protocol and slot, padded past the last slot with those of the last phase."""
    slots = max(protocol.sessions for protocol in protocols)
    phases = [[phase for phase in protocol.phases for _ in range(phase.sessions)] for protocol in protocols]
    padded = [row + row[-1:] * (slots - len(row)) for row in phases]
    return {
        "shortest": np.array([[int(np.ceil(phase.interval_days[0])) for phase in row] for row in padded]),
        "longest": np.array([[int(np.floor(phase.interval_days[1])) for phase in row] for row in padded]),
        "grace": np.array([[int(np.floor(phase.grace)) for phase in row] for row in padded]),
    }


def _hazards(scenario: Scenario, protocols: tuple[Protocol, ...]) -> Floats:
    hazard = np.ones((len(protocols), max(protocol.sessions for protocol in protocols), 2, 2))
    factor = np.outer(
        [1, scenario.dropout.odds_ratio_side_effect], [1, scenario.dropout.odds_ratio_improving]
    )
    for row, protocol in zip(hazard, protocols, strict=True):
        by_phase = scenario.dropout.hazard.get(protocol.code, {})
        if missing := [phase.name for phase in protocol.phases if phase.name not in by_phase]:
            msg = f"dropout.hazard has no '{missing[0]}' of '{protocol.code}'{did_you_mean(missing[0], by_phase)}"
            raise ValueError(msg)
        base = np.array([by_phase[phase.name] for phase in protocol.phases for _ in range(phase.sessions)])
        row[: protocol.sessions] = with_odds_ratio(base[:, None, None], factor)
        row[0] = 0
    return hazard


def _exposures(scenario: Scenario) -> dict[str, Any]:
    """Return every combination of broken rules among those that raise a side effect, and how often it occurs."""
    rules = tuple(dict.fromkeys(each.care_rule for each in scenario.exposures))
    broken = np.array(list(itertools.product([False, True], repeat=len(rules))), dtype=bool)
    share = np.ones((2, len(broken)))
    for column, rule in enumerate(rules):
        for user in (0, 1):
            probability = rule_broken(scenario, rule)[user]
            share[user] *= np.where(broken[:, column], probability, 1 - probability)
    return {"exposed_rules": rules, "broken": broken, "exposure_share": share}


def rule_broken(scenario: Scenario, rule: str) -> tuple[float, float]:
    """Return the probability that a care rule is broken in a session, by those who take no aspirin and by users."""
    kept = scenario.care_rules[rule]
    return kept.broken, kept.broken if kept.broken_by_users is None else kept.broken_by_users


def _side_effects(scenario: Scenario) -> dict[str, Any]:
    terms = tuple(scenario.side_effects)
    exposed = _exposures(scenario)
    factor = np.ones((len(terms), len(scenario.patients.reactivity), len(exposed["broken"])))
    factor *= np.array([each.odds_ratio for each in scenario.patients.reactivity])[None, :, None]
    for each in scenario.exposures:
        raised = exposed["broken"][:, exposed["exposed_rules"].index(each.care_rule)]
        factor[terms.index(each.term)] *= np.where(raised, each.odds_ratio, 1.0)
    base = np.array([each.probability for each in scenario.side_effects.values()])
    onset = [each.onset_days or scenario.events.onset_days for each in scenario.side_effects.values()]
    delayed = np.array([earliest > 0 for earliest, _ in onset])
    if scenario.bad_lot is not None and not delayed[terms.index(scenario.bad_lot.term)]:
        msg = f"a bad lot raises a side effect that begins after the day of the session; '{scenario.bad_lot.term}' does not"
        raise ValueError(msg)
    return {"terms": terms, "probability": with_odds_ratio(base[:, None, None], factor), "delayed": delayed}


def with_odds_ratio(probability: Floats, odds_ratio: Floats) -> Floats:
    """Return the probability whose odds are those of ``probability`` times ``odds_ratio``.

    Examples
    --------
    >>> float(with_odds_ratio(np.array(0.5), np.array(3.0)))
    0.75
    """
    odds = probability / (1 - probability) * odds_ratio
    return np.asarray(odds / (1 + odds))


def _normalized(shares: list[float]) -> Floats:
    return np.array(shares, dtype=np.float64) / sum(shares)
