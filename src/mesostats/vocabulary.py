"""Vocabularies: the codes that the data may hold, each with its label and its source.

The shipped files stand in ``data/vocabulary``, one YAML a vocabulary. A clinic lays its own on top with an *overlay*: a
folder of files with the same names. A code that is new is added; the fields given for a known code replace its own.
``open: true`` at the top of a file accepts codes that are not listed, as recorded (another trial's terms, say).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from mesostats.errors import VocabularyError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from importlib.resources.abc import Traversable


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


class AdverseEventTerm(Entry):
    """A side effect: its class and its names in other terminologies."""

    term_class: str
    source_terms: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()
    meddra_like: str = ""
    ctcae: str = ""


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

    def describe(self) -> str:
        """Return the rule in words."""
        if self.kind == "level":
            return f"{self.threshold:g} or better"
        return f"at least {self.threshold:g}{' %' if self.kind == 'percent' else ''} better than baseline"


class Instrument(Entry):
    """An outcome instrument: its range, direction, unit and responder rule.

    ``direction`` None: it varies between users of the instrument and must be declared in an overlay before scoring.
    ``confirmed`` speaks of the responder rule. ``indications`` empty: the instrument suits any.
    """

    indications: tuple[str, ...] = ()
    minimum: FiniteFloat | None = None
    maximum: FiniteFloat | None = None
    direction: Direction | None = None
    unit: str = "points"
    responder: ResponderRule | None = None
    alternatives: tuple[ResponderRule, ...] = ()
    measurement_error: Window | None = None

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


_ENTRIES: dict[str, type[Entry]] = {
    "indications": Entry,
    "areas": Entry,
    "substances": Entry,
    "contraindications": Entry,
    "care_rules": CareRule,
    "adverse_events": AdverseEventTerm,
    "discontinuation_reasons": Entry,
    "instruments": Instrument,
    "protocols": Protocol,
}


@dataclass(frozen=True)
class Vocabulary:
    """All vocabularies, each a mapping from code to entry in the order of its file.

    Examples
    --------
    >>> vocabulary = load_vocabulary()
    >>> vocabulary.instruments["masi"].responder.describe()
    'at least 50 % better than baseline'
    >>> vocabulary.protocols["weekly_to_monthly"].phases[0].interval_days
    (7.0, 10.0)
    """

    indications: Mapping[str, Entry]
    areas: Mapping[str, Entry]
    substances: Mapping[str, Entry]
    contraindications: Mapping[str, Entry]
    care_rules: Mapping[str, CareRule]
    adverse_events: Mapping[str, AdverseEventTerm]
    discontinuation_reasons: Mapping[str, Entry]
    instruments: Mapping[str, Instrument]
    protocols: Mapping[str, Protocol]
    open: frozenset[str] = field(default_factory=frozenset)

    def codes(self, name: str) -> tuple[str, ...]:
        """Return the codes of the vocabulary ``name`` in the order of its file."""
        return tuple(getattr(self, name))

    def entry(self, name: str, code: str) -> Entry:
        """Return one entry.

        Raises
        ------
        VocabularyError
            If the code is not there; the message names the nearest one.
        """
        entries: Mapping[str, Entry] = getattr(self, name)
        if code not in entries:
            msg = f"'{code}' is not in the vocabulary {name}{did_you_mean(code, entries)}"
            raise VocabularyError(msg)
        return entries[code]


def load_vocabulary(overlay: str | Path | None = None) -> Vocabulary:
    """Load the shipped vocabularies, with an overlay on top.

    Parameters
    ----------
    overlay
        A folder of YAML files with the names of the shipped ones (any of them), or the name of a shipped overlay.

    Returns
    -------
    Vocabulary

    Raises
    ------
    VocabularyError
        If the folder is not there, holds an unknown file, an entry is not well formed, an instrument names an
        indication that is not there, or two adverse events share a synonym.

    Notes
    -----
    The shipped vocabularies are read once; an overlay is read each time, so that an edit of it counts at once.
    """
    return _shipped() if overlay is None else _load(_overlay_folder(str(overlay)))


@cache
def _shipped() -> Vocabulary:
    return _load(None)


def _load(folder: Traversable | None) -> Vocabulary:
    tables, open_names = {}, set()
    for name, model in _ENTRIES.items():
        raw, is_open = _read(files("mesostats.data") / "vocabulary" / f"{name}.yaml")
        if folder is not None and (folder / f"{name}.yaml").is_file():
            own, own_open = _read(folder / f"{name}.yaml")
            is_open |= own_open
            raw |= {code: raw.get(code, {}) | fields for code, fields in own.items()}
        tables[name] = {code: _entry(model, name, code, fields) for code, fields in raw.items()}
        if is_open:
            open_names.add(name)
    vocabulary = Vocabulary(**tables, open=frozenset(open_names))  # type: ignore[arg-type]
    _check_indications(vocabulary)
    _check_synonyms(vocabulary)
    return vocabulary


def _check_indications(vocabulary: Vocabulary) -> None:
    if "indications" in vocabulary.open:
        return
    for instrument in vocabulary.instruments.values():
        for code in instrument.indications:
            if code not in vocabulary.indications:
                near = did_you_mean(code, vocabulary.indications)
                msg = f"instruments.yaml, entry '{instrument.code}': '{code}' is not in the vocabulary indications{near}"
                raise VocabularyError(msg)


def _check_synonyms(vocabulary: Vocabulary) -> None:
    """Free text is coded by its synonyms: one that two terms claim would be coded by the order of the file."""
    owners: dict[str, str] = {}
    for term in vocabulary.adverse_events.values():
        for synonym in term.synonyms:
            owner = owners.setdefault(synonym.casefold(), term.code)
            if owner != term.code:
                msg = f"adverse_events.yaml: the synonym '{synonym}' belongs to both '{owner}' and '{term.code}'; keep one"
                raise VocabularyError(msg)


def _overlay_folder(overlay: str) -> Traversable:
    shipped = files("mesostats.data") / "vocabulary" / overlay
    folder: Traversable = Path(overlay)
    if not folder.is_dir() and "/" not in overlay and shipped.is_dir():
        folder = shipped
    if not folder.is_dir():
        msg = f"vocabulary overlay '{overlay}' is not a folder; give a folder of YAML files"
        raise VocabularyError(msg)
    known = {f"{name}.yaml" for name in _ENTRIES}
    for each in folder.iterdir():
        if each.name.endswith((".yaml", ".yml")) and each.name not in known:
            msg = f"overlay file '{each.name}' has no vocabulary of its name{did_you_mean(each.name, known)}"
            raise VocabularyError(msg)
    return folder


class _Loader(yaml.SafeLoader):
    """Safe YAML in which a key that stands twice is an error, where YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"'{key.value}' stands twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _read(path: Traversable) -> tuple[dict[str, dict[str, Any]], bool]:
    """Return the entries of one file by code, and whether it is open."""
    try:
        content = _Loader(path.read_text(encoding="utf-8-sig")).get_single_data()
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        msg = f"vocabulary file '{path.name}' cannot be read as YAML: {error}"
        raise VocabularyError(msg) from error
    content = {} if content is None else content
    if not _well_formed(content):
        msg = f"vocabulary file '{path.name}' must hold 'entries:' with one mapping a code, and at most 'open: true'"
        raise VocabularyError(msg)
    return content.get("entries", {}), content.get("open", False)


def _well_formed(content: Any) -> bool:
    if not isinstance(content, dict) or not set(content) <= {"open", "entries"}:
        return False
    entries = content.get("entries", {})
    is_mapping = isinstance(entries, dict) and all(isinstance(each, dict) for each in entries.values())
    return is_mapping and isinstance(content.get("open", False), bool)


def _entry(model: type[Entry], name: str, code: str, fields: dict[str, Any]) -> Entry:
    try:
        return model(code=code, **fields)
    except (ValidationError, TypeError) as error:
        faults = error.errors() if isinstance(error, ValidationError) else [{"loc": (), "msg": str(error)}]
        found = "; ".join(f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in faults)
        msg = f"{name}.yaml, entry '{code}': {found}"
        raise VocabularyError(msg) from error
