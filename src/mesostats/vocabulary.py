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
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from mesostats.entries import (
    AdverseEventTerm,
    CareRule,
    Entry,
    Instrument,
    Phase,
    Protocol,
    ResponderRule,
    UnitFactor,
)
from mesostats.errors import VocabularyError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from importlib.resources.abc import Traversable

__all__ = [
    "AdverseEventTerm",
    "CareRule",
    "Entry",
    "Instrument",
    "Phase",
    "Protocol",
    "ResponderRule",
    "UnitFactor",
    "Vocabulary",
    "load_vocabulary",
]

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

    def instrument(self, code: str) -> Instrument:
        """Return one instrument; raises as `entry`."""
        self.entry("instruments", code)
        return self.instruments[code]


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
        If the folder is not there, holds an unknown file, an entry is not well formed, an entry names an
        indication or a side effect that is not there, or two adverse events share a name or synonym.

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
    _check_codes(vocabulary)
    _check_names(vocabulary)
    return vocabulary


def _check_codes(vocabulary: Vocabulary) -> None:
    """Refuse a code of another vocabulary that is not there, unless that one is open."""
    named = [
        ("instruments", entry.code, "indications", entry.indications)
        for entry in vocabulary.instruments.values()
    ]
    named += [
        ("care_rules", rule.code, "adverse_events", rule.prevents) for rule in vocabulary.care_rules.values()
    ]
    for name, entry, other, codes in named:
        known = getattr(vocabulary, other)
        for code in codes:
            if code not in known and other not in vocabulary.open:
                near = did_you_mean(code, known)
                msg = f"{name}.yaml, entry '{entry}': '{code}' is not in the vocabulary {other}{near}"
                raise VocabularyError(msg)


def _check_names(vocabulary: Vocabulary) -> None:
    """Free text is coded by these names: one that two terms claim would be coded by the order of the file."""
    owners: dict[str, str] = {}
    for term in vocabulary.adverse_events.values():
        for name in term.names:
            owner = owners.setdefault(name, term.code)
            if owner != term.code:
                msg = f"adverse_events.yaml: '{name}' names both '{owner}' and '{term.code}'; keep one"
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
