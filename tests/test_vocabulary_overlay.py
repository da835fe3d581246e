"""What an overlay may change in the vocabularies, and what it is told when it is wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mesostats.errors import VocabularyError
from mesostats.vocabulary import ResponderRule, Vocabulary, load_vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def shipped() -> Vocabulary:
    return load_vocabulary()


@pytest.fixture
def overlay(tmp_path: Path) -> Callable[..., Path]:
    """Write one overlay file, from its text or from its entries, and return the folder."""

    def write(name: str, content: str | dict[str, Any]) -> Path:
        folder = tmp_path / "overlay"
        folder.mkdir(exist_ok=True)
        text = content if isinstance(content, str) else yaml.safe_dump({"entries": content})
        (folder / name).write_text(text, encoding="utf-8")
        return folder

    return write


def test_overlay_adds_a_code_after_the_shipped_ones(
    shipped: Vocabulary, overlay: Callable[..., Path]
) -> None:
    folder = overlay("indications.yaml", {"rosacea": {"label": "Rosacea", "source": "this clinic"}})
    laid_over = load_vocabulary(folder)
    assert laid_over.codes("indications") == (*shipped.codes("indications"), "rosacea")
    assert laid_over.instruments == shipped.instruments
    assert "rosacea" not in load_vocabulary().indications


def test_overlay_replaces_the_given_fields_and_keeps_the_others(
    shipped: Vocabulary, overlay: Callable[..., Path]
) -> None:
    folder = overlay("instruments.yaml", {"masi": {"responder": {"kind": "percent", "threshold": 75}}})
    masi = load_vocabulary(folder).instruments["masi"]
    expected = {**dict(shipped.instruments["masi"]), "responder": ResponderRule(kind="percent", threshold=75)}
    assert dict(masi) == expected


def test_overlay_declares_gais_as_its_remark_says(overlay: Callable[..., Path]) -> None:
    fields = {
        "minimum": 1,
        "maximum": 5,
        "direction": "lower_is_better",
        "responder": {"kind": "level", "threshold": 3},
    }
    gais = load_vocabulary(overlay("instruments.yaml", {"gais": {**fields, "confirmed": True}})).instruments[
        "gais"
    ]
    assert (gais.minimum, gais.maximum, gais.direction, gais.confirmed) == (1, 5, "lower_is_better", True)
    assert gais.responder == ResponderRule(kind="level", threshold=3)
    assert gais.label == "Global Aesthetic Improvement Scale"


def test_overlay_opens_a_vocabulary(shipped: Vocabulary, overlay: Callable[..., Path]) -> None:
    laid_over = load_vocabulary(overlay("adverse_events.yaml", "open: true\n"))
    assert laid_over.open == {"adverse_events"}
    assert laid_over.adverse_events == shipped.adverse_events


def test_overlay_sets_its_own_schedule(overlay: Callable[..., Path]) -> None:
    phase = {"name": "weekly", "label": "Weekly", "sessions": 6, "interval_days": [6, 8], "grace_days": 14}
    folder = overlay("protocols.yaml", {"six": {"label": "Six", "source": "clinic", "phases": [phase]}})
    six = load_vocabulary(folder).protocols["six"]
    assert (six.sessions, six.phases[0].grace) == (6, 14)


def test_overlay_edited_counts_at_once(overlay: Callable[..., Path]) -> None:
    folder = overlay("areas.yaml", {"hand": {"label": "Hand", "source": "clinic"}})
    assert load_vocabulary(folder).areas["hand"].label == "Hand"
    overlay("areas.yaml", {"hand": {"label": "Back of the hand", "source": "clinic"}})
    assert load_vocabulary(folder).areas["hand"].label == "Back of the hand"


def test_overlay_path_and_text_and_byte_order_mark_are_the_same(overlay: Callable[..., Path]) -> None:
    folder = overlay("areas.yaml", "\ufeffentries: {hand: {label: Hand, source: clinic}}\n")
    assert load_vocabulary(str(folder)) == load_vocabulary(folder)
    assert "hand" in load_vocabulary(folder).areas


def test_overlay_leaves_other_files_alone(shipped: Vocabulary, overlay: Callable[..., Path]) -> None:
    assert load_vocabulary(overlay("README.md", "about this overlay")) == shipped


def test_overlay_empty_file_changes_nothing(shipped: Vocabulary, overlay: Callable[..., Path]) -> None:
    assert load_vocabulary(overlay("areas.yaml", "# nothing yet\n")) == shipped


def test_overlay_indication_may_be_used_by_an_instrument(overlay: Callable[..., Path]) -> None:
    overlay("indications.yaml", {"rosacea": {"label": "Rosacea", "source": "clinic"}})
    folder = overlay("instruments.yaml", {"dlqi": {"indications": ["rosacea"]}})
    assert load_vocabulary(folder).instruments["dlqi"].indications == ("rosacea",)


def test_overlay_open_indications_are_not_checked(overlay: Callable[..., Path]) -> None:
    overlay("indications.yaml", "open: true\n")
    folder = overlay("instruments.yaml", {"dlqi": {"indications": ["rosacea"]}})
    assert load_vocabulary(folder).instruments["dlqi"].indications == ("rosacea",)


def test_overlay_folder_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match=r"nowhere' is not a folder; give a folder of YAML files"):
        load_vocabulary(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["nowhere", "__init__.py"])
def test_overlay_name_that_is_not_shipped_is_an_error(name: str) -> None:
    with pytest.raises(VocabularyError, match=f"'{re.escape(name)}' is not a folder"):
        load_vocabulary(name)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("instrument.yaml", "instruments.yaml"),
        ("areas.yml", "areas.yaml"),
        ("Protocols.yaml", "protocols.yaml"),
    ],
)
def test_overlay_unknown_file_is_an_error(overlay: Callable[..., Path], name: str, nearest: str) -> None:
    with pytest.raises(VocabularyError) as caught:
        load_vocabulary(overlay(name, {}))
    assert (
        str(caught.value) == f"overlay file '{name}' has no vocabulary of its name; did you mean '{nearest}'?"
    )


MALFORMED = {
    "entries: [": "cannot be read as YAML",
    "entries: {a: {label: A, source: s}}\nentries: {}": "'entries' stands twice",
    "entries:\n  a: {label: A, source: s}\n  a: {label: B, source: s}": "'a' stands twice",
    "entries: {a: {label: A, label: B, source: s}}": "'label' stands twice",
    "!!python/object/apply:os.getcwd []": "cannot be read as YAML",
    "- a\n- b": "must hold 'entries:'",
    "false": "must hold 'entries:'",
    "entries: [a, b]": "must hold 'entries:'",
    "entries: {a: Hand}": "must hold 'entries:'",
    "entries:": "must hold 'entries:'",
    "codes: {a: {label: A, source: s}}": "must hold 'entries:'",
    "open: 'false'": "at most 'open: true'",
}


@pytest.mark.parametrize(("text", "found"), MALFORMED.items())
def test_overlay_malformed_file_is_an_error(overlay: Callable[..., Path], text: str, found: str) -> None:
    with pytest.raises(VocabularyError, match=r"^vocabulary file 'areas\.yaml'") as caught:
        load_vocabulary(overlay("areas.yaml", text))
    assert found in str(caught.value)


def test_overlay_not_in_utf8_is_an_error(overlay: Callable[..., Path]) -> None:
    folder = overlay("areas.yaml", "")
    (folder / "areas.yaml").write_bytes("entries: {a: {label: Hüfte, source: s}}".encode("latin-1"))
    with pytest.raises(VocabularyError, match=r"'areas\.yaml' cannot be read as YAML"):
        load_vocabulary(folder)


OWN = {"label": "Own", "source": "clinic"}
PHASE = {"name": "weekly", "label": "Weekly", "sessions": 4, "interval_days": [7, 10]}
WRONG_ENTRIES: list[tuple[str, str, dict[Any, Any], str]] = [
    ("areas", "own", {**OWN, "lable": "Own"}, "lable: Extra inputs"),
    ("areas", "own", {"label": "Own"}, "source: Field required"),
    ("areas", "own", {**OWN, "label": " "}, "label: String should match"),
    ("areas", "own", {**OWN, "source": ""}, "source: String should match"),
    ("areas", "own", {**OWN, "code": "else"}, "multiple values for keyword argument 'code'"),
    ("areas", "own", {**OWN, 1: "x"}, "must be strings"),
    ("instruments", "masi", {"direction": "lower_is_beter"}, "direction: Input should be 'higher_is_better'"),
    (
        "instruments",
        "masi",
        {"minimum": 48, "maximum": 0},
        "the minimum is below the maximum, found 48 and 0",
    ),
    ("instruments", "masi", {"maximum": float("inf")}, "maximum: Input should be a finite number"),
    (
        "instruments",
        "masi",
        {"responder": {"kind": "ratio", "threshold": 2}},
        "responder.kind: Input should be",
    ),
    ("instruments", "masi", {"responder": {"kind": "percent", "threshold": 0}}, "above 0, found threshold 0"),
    (
        "instruments",
        "masi",
        {"responder": {"kind": "percent", "threshold": float("nan")}},
        "responder.threshold:",
    ),
    ("instruments", "masi", {"indications": ["melsama"]}, "'melsama' is not in the vocabulary indications"),
    ("instruments", "circumference", {"measurement_error": [15, 0.7]}, "found [15.0, 0.7]"),
    (
        "care_rules",
        "avoided_sun",
        {"after": [{"hours": [-1, 24], "source": "S0"}]},
        "after.0.hours: Value error",
    ),
    ("adverse_events", "own", OWN, "term_class: Field required"),
    ("protocols", "own", {**OWN, "phases": []}, "phases: Tuple should have at least 1 item"),
    ("protocols", "own", {**OWN, "phases": [{**PHASE, "sessions": 0}]}, "phases.0.sessions: Input should be"),
    ("protocols", "own", {**OWN, "phases": [{**PHASE, "interval_days": [10, 7]}]}, "found [10.0, 7.0]"),
    (
        "protocols",
        "own",
        {**OWN, "phases": [{**PHASE, "grace_days": -1}]},
        "phases.0.grace_days: Input should be",
    ),
    ("protocols", "own", {**OWN, "phases": [{**PHASE, "sessions_range": [5, 6]}]}, "found 4 and [5, 6]"),
    ("protocols", "own", {**OWN, "phases": [{**PHASE, "sessions_range": [3, 2]}]}, "found 4 and [3, 2]"),
]


@pytest.mark.parametrize(("name", "code", "fields", "found"), WRONG_ENTRIES)
def test_overlay_wrong_entry_is_an_error(
    overlay: Callable[..., Path], name: str, code: str, fields: dict[Any, Any], found: str
) -> None:
    with pytest.raises(VocabularyError) as caught:
        load_vocabulary(overlay(f"{name}.yaml", {code: fields}))
    assert str(caught.value).startswith(f"{name}.yaml, entry '{code}': ")
    assert found in str(caught.value)


def test_overlay_wrong_entry_names_every_fault(overlay: Callable[..., Path]) -> None:
    with pytest.raises(
        VocabularyError, match=r"label: Field required; source: Field required; colour: Extra"
    ):
        load_vocabulary(overlay("areas.yaml", {"own": {"colour": "red"}}))


def test_overlay_code_that_is_not_text_is_an_error(overlay: Callable[..., Path]) -> None:
    with pytest.raises(
        VocabularyError, match=r"^areas\.yaml, entry 'True': code: Input should be a valid string"
    ):
        load_vocabulary(overlay("areas.yaml", "entries: {yes: {label: Yes, source: clinic}}"))


def test_overlay_synonym_of_two_terms_is_an_error(overlay: Callable[..., Path]) -> None:
    fields = {**OWN, "term_class": "expected_local", "synonyms": ["Lump"]}
    with pytest.raises(VocabularyError, match=r"'lump' names both 'nodule' and 'swollen_node'; keep one"):
        load_vocabulary(overlay("adverse_events.yaml", {"swollen_node": fields}))


def test_overlay_care_rule_may_only_prevent_a_known_side_effect(overlay: Callable[..., Path]) -> None:
    folder = overlay("care_rules.yaml", {"avoided_sun": {"prevents": ["pigment_chang"]}})
    with pytest.raises(VocabularyError, match="did you mean 'pigment_change'"):
        load_vocabulary(folder)
