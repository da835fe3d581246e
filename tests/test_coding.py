"""Free text → codes: each event once, negations none, doubt never guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesostats.coding import Coder
from mesostats.vocabulary import load_vocabulary

CODER = Coder(load_vocabulary().adverse_events)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("redness", ("redness",)),
        ("Slight REDNESS + bruise", ("redness", "bruising")),
        ("swelling; itching, nausea", ("swelling", "itching", "nausea")),
        ("redness and swelling", ("redness", "swelling")),
        ("redness, redness", ("redness",)),
        ("none", ()),
        ("None.", ()),
        ("no side effects", ()),
        ("-", ()),
        ("no redness", ()),
        ("no redness, but swelling", ("swelling",)),
        ("no redness or swelling", ()),
        ("no pain and slight redness", (None,)),  # what "no" covers is unclear: a person decides
        ("sweling", ("swelling",)),
        ("rednes", ("redness",)),
        ("purple spots", ("bruising",)),
        ("dark patches", ("pigment_change",)),
        ("felt odd", (None,)),
        ("redness, felt odd", ("redness", None)),
    ],
)
def test_code_reads_a_clinics_words(text: str, terms: tuple[str | None, ...]) -> None:
    assert CODER.code(text).terms == terms


def test_every_name_in_the_vocabulary_codes_to_its_own_term() -> None:
    for code, entry in load_vocabulary().adverse_events.items():
        for name in (*entry.source_terms, *entry.synonyms):
            if not any(mark in name for mark in "+,;/&|."):
                assert CODER.code(name).terms == (code,), name


@given(st.text())
def test_code_never_fails_and_knows_only_its_codes(text: str) -> None:
    assert set(CODER.code(text).terms) <= {*load_vocabulary().adverse_events, None}
