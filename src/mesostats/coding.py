"""Side effects in a clinic's own words → the codes of the vocabulary; never a guess.

A text is cut into fragments, one event each. A fragment is coded by the longest synonym in it, or by a near spelling of
one. A negated fragment ("no redness") is no event. What is ambiguous or unknown stays uncoded, for a person to decide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesostats.vocabulary import AdverseEventTerm

_CUT = re.compile(r"[+,;/&\n|.]| and | with | but | then | plus ")
_CUT_NEGATED = re.compile(r"[+,;/&\n|.]| but ")
_NEGATED = re.compile(r"^(no|none|nil|not|without|w/o|denies|denied|never|nothing|n/?a|-)\b|^-$|^0$")
_SHORTEST_TYPO = 5


@dataclass(frozen=True)
class Coding:
    """What a verbatim text says.

    Parameters
    ----------
    terms
        One code an event, in order; None for an event that could not be coded. Empty: the text says that there was none.
    """

    terms: tuple[str | None, ...]


class Coder:
    """Codes texts with one vocabulary's codes, labels, source terms and synonyms.

    Examples
    --------
    >>> from mesostats.vocabulary import load_vocabulary
    >>> coder = Coder(load_vocabulary().adverse_events)
    >>> coder.code("slight redness + bruise").terms
    ('redness', 'bruising')
    >>> coder.code("none").terms
    ()
    >>> coder.code("no redness, but some sweling").terms
    ('swelling',)
    >>> coder.code("felt odd").terms
    (None,)
    """

    def __init__(self, terms: Mapping[str, AdverseEventTerm]) -> None:
        self._codes: dict[str, str] = {}
        for code, entry in terms.items():
            for name in (code.replace("_", " "), entry.label, *entry.source_terms, *entry.synonyms):
                self._codes.setdefault(" ".join(name.lower().split()), code)
        longest_first = sorted(self._codes, key=len, reverse=True)
        self._pattern = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in longest_first) or r"(?!)")

    def code(self, text: str) -> Coding:
        """Return the codes of one text."""
        found: list[str | None] = []
        for fragment in self._fragments(" ".join(text.lower().split())):
            found += self._fragment(fragment)
        return Coding(tuple(dict.fromkeys(found)))

    def _fragments(self, text: str) -> list[str]:
        """Cut at punctuation; inside a negated stretch "and" does not cut: what it negates is unclear."""
        pieces: list[str] = []
        for stretch in _CUT_NEGATED.split(text):
            pieces += [stretch] if _NEGATED.match(stretch.strip()) else _CUT.split(stretch)
        return [piece.strip() for piece in pieces if piece.strip()]

    def _fragment(self, fragment: str) -> list[str | None]:
        if _NEGATED.match(fragment):
            return [None] if " and " in fragment else []
        named = [self._codes[match] for match in self._pattern.findall(fragment)]
        return [*named] if named else [self._near(fragment)]

    def _near(self, fragment: str) -> str | None:
        """Return the code of a near spelling, where all near spellings mean the same."""
        names = [name for name in self._codes if len(name) >= _SHORTEST_TYPO]
        near = {
            self._codes[match]
            for word in [*fragment.split(), fragment]
            if len(word) >= _SHORTEST_TYPO
            for match in get_close_matches(word, names, n=3, cutoff=0.85)
        }
        return near.pop() if len(near) == 1 else None
