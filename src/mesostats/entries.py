"""Entries: what one code of a vocabulary says, checked as it is read."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    PositiveInt,
    model_validator,
)


def _ordered(window: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= window[0] <= window[1]:
        msg = f"an interval is [shortest, longest] and not negative, found {list(window)}"
        raise ValueError(msg)
    return window


Window = Annotated[tuple[FiniteFloat, FiniteFloat], AfterValidator(_ordered)]
Text = Annotated[str, Field(pattern=r"\S")]
Direction = Literal["higher_is_better", "lower_is_better"]


class Entry(BaseModel):
    """One code of a vocabulary.

    Parameters
    ----------
    code
        As it stands in the data.
    label
        What a reader sees.
    source
        Where the fact comes from (``S0`` … ``S4`` are the five source articles).
    confirmed
        False where the source of a rule or number could not be confirmed: it is never used silently.
    remark
        Anything that a reader should know.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: Text
    label: Text
    source: Text
    confirmed: bool = True
    remark: str = ""


class Hours(BaseModel):
    """How long a care rule holds, by the sources that say so; ``hours`` None where a source gives no duration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hours: Window | None
    source: str


class CareRule(Entry):
    """What to avoid around a session; ``code`` is the yes/no/not_asked column of ``sessions`` that says it was kept."""

    before: tuple[Hours, ...] = ()
    after: tuple[Hours, ...] = ()
    prevents: tuple[str, ...] = ()
    """Codes of the side effects that it is said to prevent."""


class AdverseEventTerm(Entry):
    """A side effect: its class and its names in other terminologies."""

    term_class: str
    source_terms: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()
    meddra_like: str = ""
    ctcae: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """All that free text may call it, in lower case with single spaces: code, label, source terms, synonyms."""
        given = (self.code.replace("_", " "), self.label, *self.source_terms, *self.synonyms)
        return tuple(dict.fromkeys(" ".join(name.lower().split()) for name in given))


class ResponderRule(BaseModel):
    """When a course counts as a responder.

    Parameters
    ----------
    kind
        ``absolute``: better than baseline by at least ``threshold`` points; ``percent``: by at least ``threshold`` per
        cent of baseline; ``level``: the endpoint itself at ``threshold`` or better, no baseline needed.
    threshold
        In points, per cent or the instrument's unit.

    Examples
    --------
    >>> ResponderRule(kind="percent", threshold=50).describe()
    'at least 50 % better than baseline'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["absolute", "percent", "level"]
    threshold: FiniteFloat

    @model_validator(mode="after")
    def _positive_improvement(self) -> Self:
        if self.kind != "level" and self.threshold <= 0:
            msg = f"an improvement is above 0, found threshold {self.threshold}"
            raise ValueError(msg)
        return self

    def describe(self, direction: str | None = None) -> str:
        """Return the rule in words; of a level, with the instrument's direction, which way is better."""
        if self.kind == "level":
            better = {"lower_is_better": "less", "higher_is_better": "more"}.get(direction or "", "better")
            return f"{self.threshold:g} or {better}"
        return f"at least {self.threshold:g}{' %' if self.kind == 'percent' else ''} better than baseline"


class UnitFactor(BaseModel):
    """A unit in which values of an instrument are sometimes recorded by mistake.

    Parameters
    ----------
    factor
        A value in that unit times ``factor`` is the value in the instrument's own unit.
    unit
        The other unit, for the message.
    treatment_explains
        Whether treatment can change a value as much as the factor does: then only a value that departs from both the one
        before and the one after it is suspicious.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    factor: FiniteFloat = Field(gt=0)
    unit: Text
    treatment_explains: bool = False


class Instrument(Entry):
    """An outcome instrument: its range, direction, unit and responder rule.

    ``direction`` None: it varies between users of the instrument and must be declared in an overlay before scoring.
    ``confirmed`` speaks of the responder rule. ``indications`` empty: the instrument suits any. ``unit_factors``: the
    mix-ups of units that validation looks for.
    """

    indications: tuple[str, ...] = ()
    minimum: FiniteFloat | None = None
    maximum: FiniteFloat | None = None
    direction: Direction | None = None
    unit: str = "points"
    responder: ResponderRule | None = None
    alternatives: tuple[ResponderRule, ...] = ()
    measurement_error: Window | None = None
    unit_factors: tuple[UnitFactor, ...] = ()

    @model_validator(mode="after")
    def _range_ordered(self) -> Self:
        if self.minimum is not None and self.maximum is not None and self.minimum >= self.maximum:
            msg = f"the minimum is below the maximum, found {self.minimum:g} and {self.maximum:g}"
            raise ValueError(msg)
        return self


class Phase(BaseModel):
    """A stretch of a protocol: so many sessions, each within a window of days after the one before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    sessions: PositiveInt
    sessions_range: tuple[PositiveInt, PositiveInt] | None = None
    interval_days: Window
    grace_days: FiniteFloat | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _sessions_in_range(self) -> Self:
        fewest, most = self.sessions_range or (self.sessions, self.sessions)
        if not fewest <= self.sessions <= most:
            msg = f"sessions lies within sessions_range, found {self.sessions} and [{fewest}, {most}]"
            raise ValueError(msg)
        return self

    @property
    def grace(self) -> float:
        """Days past the window before a course counts as dropped out: twice the longest interval by default."""
        return 2 * self.interval_days[1] if self.grace_days is None else self.grace_days


class Protocol(Entry):
    """A schedule: phases in order, and when the course may be repeated."""

    phases: tuple[Phase, ...] = Field(min_length=1)
    repeat_after_days: Window | None = None

    @property
    def sessions(self) -> int:
        """Planned sessions of the whole course."""
        return sum(phase.sessions for phase in self.phases)
