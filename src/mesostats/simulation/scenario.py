"""Scenarios: every number of a simulated clinic, as data.

The shipped scenarios stand in ``data/scenarios``, where comments say what each number means. ``base: typical`` at the top
of a file starts from another scenario and replaces what the file says. Shares and probabilities lie in [0, 1]; a mapping
from codes to numbers holds weights, which need not sum to 1; a pair of days is [earliest, latest].
"""

from __future__ import annotations

import datetime as dt
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from mesostats.errors import did_you_mean


def _weighted(weights: dict[Any, float]) -> dict[Any, float]:
    if not weights or min(weights.values()) < 0 or sum(weights.values()) <= 0:
        msg = f"weights are not negative and not all zero, found {list(weights.values())}"
        raise ValueError(msg)
    return weights


def _ordered(days: tuple[int, int]) -> tuple[int, int]:
    if not 0 <= days[0] <= days[1]:
        msg = f"days are [earliest, latest] and not negative, found {list(days)}"
        raise ValueError(msg)
    return days


Share = Annotated[float, Field(ge=0, le=1)]
Probability = Annotated[float, Field(gt=0, lt=1)]
Weights = Annotated[dict[str, float], AfterValidator(_weighted)]
NumberWeights = Annotated[dict[int, float], AfterValidator(_weighted)]
Days = Annotated[tuple[int, int], AfterValidator(_ordered)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Calendar(_Part):
    """The data cut and the days over which first sessions are spread evenly before it."""

    cutoff: dt.date
    accrual_days: PositiveInt
    follow_up_days: NonNegativeInt

    @property
    def opening(self) -> dt.date:
        """The first day of the simulated clinics."""
        return self.cutoff - dt.timedelta(days=self.follow_up_days + self.accrual_days - 1)


class Clinics(_Part):
    """How many clinics there are, and practitioners in each."""

    number: PositiveInt
    practitioners_each: PositiveInt


class Reactivity(_Part):
    """A latent class of patients: the odds ratio of every side effect in it."""

    share: PositiveFloat
    odds_ratio: PositiveFloat


class Patients(_Part):
    """Who the patients are, seen and latent."""

    sex: Weights
    birth_year: tuple[int, int]
    skin_type: NumberWeights
    second_course: Share
    second_course_after_days: Days
    aspirin_users: Share
    reactivity: tuple[Reactivity, ...] = Field(min_length=1)


class Grid(_Part):
    """Evenly spaced values from ``lowest`` to ``highest``."""

    lowest: float
    highest: float
    step: PositiveFloat

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.highest < self.lowest:
            msg = f"a grid runs from lowest to highest, found {self.lowest} to {self.highest}"
            raise ValueError(msg)
        return self


class Site(_Part):
    """An area with its side."""

    area: str
    side: str
    share: PositiveFloat


class Recipe(_Part):
    """What is injected, and the probability that a course with it is a responder; ``arm`` where arms are compared."""

    arm: str | None = None
    share: PositiveFloat = 1
    response: Probability
    products: tuple[str, ...] = Field(min_length=1, max_length=2)


class Indication(_Part):
    """What is treated, how it is measured, and with which recipes."""

    share: PositiveFloat
    instrument: str
    protocol: str
    sites: tuple[Site, ...] = Field(min_length=1)
    baseline: Grid
    worsening: NonNegativeInt
    recipes: tuple[Recipe, ...] = Field(min_length=1)


class Reasons(_Part):
    """Weights of the recorded reasons to stop: ``always``, and what the course's state adds to them."""

    always: Weights
    after_side_effect: Weights
    improving: Weights
    not_improving: Weights


class Dropout(_Part):
    """The hazard before a session, by protocol and phase, and what multiplies its odds."""

    hazard: dict[str, dict[str, Probability]]
    odds_ratio_side_effect: PositiveFloat
    odds_ratio_improving: PositiveFloat
    reasons: Reasons


class Timing(_Part):
    """When sessions are held against their windows, and visits that were booked in vain."""

    first_session_after_days: Days
    early: Share
    late: Share
    late_grace: Share
    missed_booking: Share
    missed_before_loss: Share
    missed_status: Weights


class CareRuleKept(_Part):
    """How often a care rule is broken around a session, by aspirin users too where they differ."""

    broken: Share
    broken_by_users: Share | None = None


class Exposure(_Part):
    """A broken care rule that multiplies the odds of a side effect of that session."""

    care_rule: str
    term: str
    odds_ratio: PositiveFloat


class SideEffect(_Part):
    """A side effect: its probability a session at odds ratio 1; what is not said here stands in `EventDefaults`."""

    probability: Probability
    mean_days: Annotated[float, Field(ge=1)]
    onset_days: Days | None = None
    serious: Share | None = None
    severity: Weights | None = None


class EventDefaults(_Part):
    """What is recorded of events, unless a side effect says otherwise."""

    onset_days: Days
    serious: Share
    severity: Weights
    related: Weights
    action: Weights


class BadLot(_Part):
    """A lot in whose sessions a delayed side effect has the given probability, whoever is treated."""

    clinic: PositiveInt
    product: str
    period: NonNegativeInt
    term: str
    probability: Probability


class Lots(_Part):
    """Days for which a clinic uses a lot."""

    days: PositiveInt


class Product(_Part):
    """A product as the clinic names it."""

    substance_class: str
    concentration: PositiveFloat
    unit: str


class Technique(_Part):
    """How sessions are held; the pain score is binomial(10, ``pain[anaesthetic]``)."""

    technique: Weights
    depth_mm: Grid
    volume_ml: Grid
    anaesthetic: Weights
    pain: dict[str, Share]
    downtime_days: NumberWeights

    @model_validator(mode="after")
    def _pain_is_known(self) -> Self:
        if missing := [name for name in self.anaesthetic if name not in self.pain]:
            msg = f"pain has no '{missing[0]}'{did_you_mean(missing[0], self.pain)}"
            raise ValueError(msg)
        return self


class Assessments(_Part):
    """When response is assessed beyond baseline, and how it shows and lasts."""

    endpoint_after_days: Days
    interim: Share
    visible_after: Probability
    follow_up: Share
    follow_up_after_days: Days
    lasting: Share
    assessor: Weights
    blinded: Weights


class MissingByResponse(_Part):
    """The probability that an endpoint is missing, of a responder and of a non-responder."""

    responder: Share
    nonresponder: Share


class EndpointMissing(_Part):
    """The same of courses that were completed and of those that were not."""

    completed: MissingByResponse
    dropped: MissingByResponse


class Asked(_Part):
    """Weights of the answers to the question whether somebody asked about side effects."""

    yes: PositiveFloat
    no: Annotated[float, Field(ge=0)]
    blank: Annotated[float, Field(ge=0)]


class Records(_Part):
    """What is not written down."""

    asked: Asked
    care_rule_not_asked: Share
    contraindication_not_asked: Share
    baseline_missing: Share
    score_missing: Share
    dropout_unrecorded: Share
    completion_unrecorded: Share
    ongoing_unrecorded: Share
    endpoint_missing: EndpointMissing


class Planted(_Part):
    """What the planted defects say."""

    ambiguous_date: str
    ambiguous_near: dt.date
    coded_verbatim: str
    uncodable_verbatim: str
    contraindication: str
    contraindication_sex: str
    depth_mm: PositiveFloat


class Scenario(_Part):
    """A whole simulated clinic in numbers; see ``data/scenarios/typical.yaml`` for the meaning of each.

    Examples
    --------
    >>> scenario = load_scenario("typical")
    >>> scenario.patients.second_course
    0.1
    """

    calendar: Calendar
    clinics: Clinics
    patients: Patients
    indications: dict[str, Indication] = Field(min_length=1)
    dropout: Dropout
    timing: Timing
    care_rules: dict[str, CareRuleKept]
    exposures: tuple[Exposure, ...]
    side_effects: dict[str, SideEffect] = Field(min_length=1)
    events: EventDefaults
    bad_lot: BadLot | None
    lots: Lots
    second_product: Share
    products: dict[str, Product]
    sessions: Technique
    assessments: Assessments
    records: Records
    planted: Planted

    @model_validator(mode="after")
    def _names_are_defined(self) -> Self:
        used = {
            "products": {
                name for each in self.indications.values() for r in each.recipes for name in r.products
            }
        }
        used["side_effects"] = {each.term for each in self.exposures}
        used["care_rules"] = {each.care_rule for each in self.exposures}
        if self.bad_lot is not None:
            used["products"].add(self.bad_lot.product)
            used["side_effects"].add(self.bad_lot.term)
        for part, names in used.items():
            if missing := sorted(names - set(getattr(self, part))):
                msg = f"{part} has no '{missing[0]}'{did_you_mean(missing[0], getattr(self, part))}"
                raise ValueError(msg)
        return self


@cache
def load_scenario(name: str) -> Scenario:
    """Load a shipped scenario.

    Parameters
    ----------
    name
        ``"typical"``: clinics as they are; ``"textbook"``: the same with perfect record-keeping; ``"classroom"``: many small
        ones to learn on.

    Returns
    -------
    Scenario

    Raises
    ------
    ValueError
        If there is no scenario of that name, or it is not well formed.
    """
    return Scenario.model_validate(_content(name))


def _content(name: str) -> dict[str, Any]:
    folder = files("mesostats.data") / "scenarios"
    known = [each.name.removesuffix(".yaml") for each in folder.iterdir() if each.name.endswith(".yaml")]
    if name not in known:
        msg = f"there is no scenario '{name}'{did_you_mean(name, known)}"
        raise ValueError(msg)
    content: dict[str, Any] = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8"))
    base = content.pop("base", None)
    return content if base is None else _merged(_content(base), content)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return ``below`` with what ``above`` says in its place, mapping by mapping."""
    both = {
        key: _merged(below[key], each)
        for key, each in above.items()
        if isinstance(each, dict) and key in below
    }
    return below | above | both
