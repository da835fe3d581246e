"""What the shipped vocabularies say, held against the sources.

The tables below are the facts as the sources and the trial literature give them; they were not read off the files.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from mesostats.errors import VocabularyError
from mesostats.vocabulary import Instrument, ResponderRule, Vocabulary, load_vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable

CODES = {
    "indications": """
        skin_rejuvenation wrinkles laxity dullness_hydration photodamage hyperpigmentation melasma acne_scar scar_other
        burn_scar striae hair_loss_aga hair_loss_other localized_fat submental_fat cellulite hyperhidrosis pain_msk
        other""",
    "areas": """
        face periorbital submental neck scalp arm axilla abdomen hip buttock thigh leg palm sole back other""",
    "substances": """
        hyaluronic_acid vitamin mineral amino_acid plant_extract hormone enzyme vasodilator antibiotic
        antiandrogen_5ari minoxidil growth_factor tranexamic_acid lipolytic_pc_dc nsaid anaesthetic botulinum_toxin
        homeopathic saline_placebo cocktail unknown""",
    "contraindications": """
        pregnancy breastfeeding coagulation_disorder anticoagulant_antiplatelet allergy_ingredient allergy_any
        active_skin_inflammation active_acne skin_infection_site diabetes_uncontrolled hypertension_uncontrolled
        coronary_disease_uncontrolled cancer""",
    "care_rules": """
        avoided_exercise avoided_alcohol avoided_sun avoided_heat avoided_nsaid avoided_washing
        avoided_tight_clothes""",
    "adverse_events": """
        redness swelling pain tenderness bruising itching bumps rash nausea pigment_change scarring nodule infection
        allergic_reaction necrosis lipoatrophy alopecia_site""",
    "discontinuation_reasons": """
        adverse_event lack_of_efficacy satisfied_stopped withdrew lost_to_followup noncompliance pregnancy
        contraindication cost relocation practitioner_decision administrative death unknown""",
    "instruments": """
        gais fine_lines wsrs masi mmasi goodman_baron hair_density hair_change_7pt pull_test cr_smfrs circumference
        fat_thickness_us hexsel_css cr_pcss hdss gravimetry manchester_scar posas nrs_pain dlqi""",
    "protocols": "weekly_to_monthly short_course",
}

# Which articles name which codes. "S0-S4": the articles together, where it is not told apart.
SOURCES = {
    "indications": {
        "S1": "melasma striae hyperhidrosis submental_fat",
        "S2": "hair_loss_aga",
        "S4": "scar_other burn_scar",
        "S1, S4": "acne_scar",
        "S0, S2, S4": "cellulite",
        "S1, S2, S3": "pain_msk",
        "S0, S1, S2, S4": "localized_fat",
        "S0, S1, S2, S3, S4": "hair_loss_other",
    },
    "areas": {
        "S0-S4": "abdomen hip buttock thigh leg arm face submental scalp",
        "trial literature": "periorbital neck axilla palm sole back",
    },
    "substances": {
        "S0": "amino_acid hyaluronic_acid growth_factor",
        "S1": "vasodilator antibiotic mineral antiandrogen_5ari minoxidil",
        "S0, S1": "plant_extract vitamin hormone",
        "S1, S4": "enzyme",
    },
    "contraindications": {
        "S1": """
            allergy_ingredient active_skin_inflammation active_acne diabetes_uncontrolled hypertension_uncontrolled
            coronary_disease_uncontrolled""",
        "S4": "allergy_any cancer skin_infection_site",
        "S1, S4": "pregnancy breastfeeding coagulation_disorder",
    },
    "adverse_events": {
        "S2": "bumps nodule",
        "S0, S1": "rash nausea",
        "S0, S2": "tenderness",
        "S1, S2": "pigment_change scarring",
        "S1, S3": "pain",
        "S2, S4": "allergic_reaction",
        "S0, S1, S2": "itching",
        "S1, S2, S4": "infection",
        "S0, S1, S2, S3": "redness swelling",
        "S0, S1, S2, S4": "bruising",
        "trial literature": "necrosis lipoatrophy alopecia_site",
    },
}

# rule: (before, after), each source with its hours; None where the source gives no duration
CARE_HOURS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "avoided_exercise": ({"S0": (24, 24), "S2": (24, 24)}, {"S0": (24, 24), "S2": (24, 24)}),
    "avoided_alcohol": ({"S0": (24, 24)}, {"S0": None}),
    "avoided_sun": ({"S0": (72, 96), "S2": (72, 96), "S3": (72, 96)}, {"S0": (336, 336), "S2": (24, 24)}),
    "avoided_heat": ({}, {"S0": (336, 336), "S2": (24, 24), "S4": None}),
    "avoided_nsaid": ({"S1": (168, 168), "S0": None, "S4": None}, {"S0": (24, 24), "S4": None}),
    "avoided_washing": ({}, {"S0": (4, 4)}),
    "avoided_tight_clothes": ({}, {"S4": None}),
}

OTHER_SKIN = "Skin and subcutaneous tissue disorders - Other, specify"
LOCAL, SKIN, SPECIAL, IMPORTANT = "expected_local", "systemic_or_skin", "special_interest", "important"
SITE_REACTION = "Injection site reaction"

# code: (the sources' words, label as in MedDRA, CTCAE v5 term, class)
ADVERSE_EVENTS = {
    "redness": ({"redness"}, "Injection site erythema", SITE_REACTION, LOCAL),
    "swelling": ({"swelling"}, "Injection site swelling", SITE_REACTION, LOCAL),
    "pain": ({"pain", "stinging"}, "Injection site pain", SITE_REACTION, LOCAL),
    "tenderness": ({"tenderness", "sensitivity"}, "Injection site pain", SITE_REACTION, LOCAL),
    "bruising": ({"bruising", "purple spots"}, "Injection site bruising", "Bruising", LOCAL),
    "itching": ({"itching"}, "Injection site pruritus", "Pruritus", LOCAL),
    "bumps": ({"small bumps"}, "Injection site papule", SITE_REACTION, LOCAL),
    "rash": ({"rash"}, "Injection site rash", "Rash maculo-papular", SKIN),
    "nausea": ({"nausea"}, "Nausea", "Nausea", SKIN),
    "pigment_change": (
        {"dark patches", "discoloration"},
        "Injection site discolouration",
        "Skin hyperpigmentation",
        SPECIAL,
    ),
    "scarring": ({"scarring"}, "Injection site scar", OTHER_SKIN, SPECIAL),
    "nodule": ({"nodules"}, "Injection site nodule", "Skin induration", SPECIAL),
    "infection": ({"infection"}, "Injection site infection", "Skin infection", IMPORTANT),
    "allergic_reaction": ({"allergic reaction"}, "Hypersensitivity", "Allergic reaction", IMPORTANT),
    "necrosis": (set(), "Injection site necrosis", "Skin ulceration", IMPORTANT),
    "lipoatrophy": (set(), "Injection site atrophy", "Fat atrophy", IMPORTANT),
    "alopecia_site": (set(), "Alopecia", "Alopecia", IMPORTANT),
}

FREE_TEXT = {
    "erythema": "redness",
    "oedema": "swelling",
    "edema": "swelling",
    "stinging": "pain",
    "sore": "tenderness",
    "hematoma": "bruising",
    "haematoma": "bruising",
    "ecchymosis": "bruising",
    "purple spots": "bruising",
    "pruritus": "itching",
    "papule": "bumps",
    "hyperpigmentation": "pigment_change",
    "dark patches": "pigment_change",
    "keloid": "scarring",
    "lump": "nodule",
    "abscess": "infection",
    "hives": "allergic_reaction",
    "ulcer": "necrosis",
    "fat atrophy": "lipoatrophy",
    "alopecia": "alopecia_site",
}

LOWER, HIGHER = "lower_is_better", "higher_is_better"
HAIR = {"hair_loss_aga", "hair_loss_other"}
SCARS = {"acne_scar", "scar_other", "burn_scar"}

# code: (minimum, maximum, direction, unit, responder rule, rule confirmed, for)
INSTRUMENTS: dict[str, tuple[Any, ...]] = {
    "gais": (None, None, None, "points", None, False, set()),
    "fine_lines": (0, 4, LOWER, "grade", ("absolute", 1), True, {"wrinkles"}),
    "wsrs": (1, 5, LOWER, "grade", ("absolute", 1), False, {"wrinkles"}),
    "masi": (0, 48, LOWER, "points", ("percent", 50), True, {"melasma"}),
    "mmasi": (0, 24, LOWER, "points", ("percent", 50), False, {"melasma"}),
    "goodman_baron": (1, 4, LOWER, "grade", ("absolute", 1), False, {"acne_scar"}),
    "hair_density": (0, None, HIGHER, "hairs/cm²", None, True, HAIR),
    "hair_change_7pt": (-3, 3, HIGHER, "points", ("level", 1), False, HAIR),
    "pull_test": (0, 60, LOWER, "hairs", ("level", 2), True, HAIR),
    "cr_smfrs": (0, 4, LOWER, "grade", ("absolute", 1), True, {"submental_fat"}),
    "circumference": (0, None, LOWER, "cm", ("percent", 5), True, {"localized_fat"}),
    "fat_thickness_us": (0, None, LOWER, "mm", None, True, {"localized_fat"}),
    "hexsel_css": (0, 15, LOWER, "points", None, True, {"cellulite"}),
    "cr_pcss": (0, 4, LOWER, "grade", ("absolute", 1), True, {"cellulite"}),
    "hdss": (1, 4, LOWER, "points", ("absolute", 2), True, {"hyperhidrosis"}),
    "gravimetry": (0, None, LOWER, "mg / 5 min", ("percent", 50), True, {"hyperhidrosis"}),
    "manchester_scar": (None, None, LOWER, "points", None, True, SCARS | {"striae"}),
    "posas": (6, 60, LOWER, "points", None, False, SCARS),
    "nrs_pain": (0, 10, LOWER, "points", ("absolute", 2), True, {"pain_msk"}),
    "dlqi": (0, 30, LOWER, "points", ("absolute", 4), True, set()),
}

ALTERNATIVES = {
    "cr_pcss": [("absolute", 2)],
    "nrs_pain": [("percent", 33), ("absolute", 1), ("percent", 15)],
}


@pytest.fixture(scope="module")
def shipped() -> Vocabulary:
    return load_vocabulary()


def _rule(rule: ResponderRule | None) -> tuple[str, float] | None:
    return None if rule is None else (rule.kind, rule.threshold)


def _hours_by_source(items: Iterable[Any]) -> dict[str, Any]:
    return {source: item.hours for item in items for source in item.source.split(", ")}


@pytest.mark.parametrize("name", CODES)
def test_shipped_codes_are_those_of_the_domain(shipped: Vocabulary, name: str) -> None:
    assert shipped.codes(name) == tuple(CODES[name].split())


@pytest.mark.parametrize("name", CODES)
def test_shipped_entries_have_their_code_a_label_and_a_source(shipped: Vocabulary, name: str) -> None:
    entries = getattr(shipped, name)
    assert [each.code for each in entries.values()] == list(entries)
    assert all(each.label.strip() and each.source.strip() for each in entries.values())


@pytest.mark.parametrize("name", CODES)
def test_shipped_labels_are_told_apart(shipped: Vocabulary, name: str) -> None:
    labels = [each.label.casefold() for each in getattr(shipped, name).values()]
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize("name", SOURCES)
def test_shipped_sources_are_those_that_say_so(shipped: Vocabulary, name: str) -> None:
    expected = {code: source for source, codes in SOURCES[name].items() for code in codes.split()}
    assert {code: shipped.entry(name, code).source for code in expected} == expected


def test_shipped_unconfirmed_entries_are_marked(shipped: Vocabulary) -> None:
    marked = {code for name in CODES for code, each in getattr(shipped, name).items() if not each.confirmed}
    rules = {"gais", "wsrs", "mmasi", "goodman_baron", "hair_change_7pt", "posas"}
    assert marked == rules | {"weekly_to_monthly"}


def test_shipped_unconfirmed_entries_say_why(shipped: Vocabulary) -> None:
    for name in CODES:
        assert all(each.remark for each in getattr(shipped, name).values() if not each.confirmed)


def test_shipped_vocabularies_are_closed(shipped: Vocabulary) -> None:
    assert shipped.open == frozenset()


@pytest.mark.parametrize("rule", CARE_HOURS)
def test_care_rules_hold_the_hours_of_each_source(shipped: Vocabulary, rule: str) -> None:
    entry = shipped.care_rules[rule]
    before, after = CARE_HOURS[rule]
    assert _hours_by_source(entry.before) == before
    assert _hours_by_source(entry.after) == after
    assert set(entry.source.split(", ")) == set(before) | set(after)


@pytest.mark.parametrize("rule", ["avoided_sun", "avoided_heat"])
def test_care_rules_say_where_a_duration_is_a_minimum(shipped: Vocabulary, rule: str) -> None:
    assert "at least 24 hours" in shipped.care_rules[rule].remark


def test_adverse_event_table_covers_every_term(shipped: Vocabulary) -> None:
    assert set(ADVERSE_EVENTS) == set(shipped.adverse_events)


@pytest.mark.parametrize("code", ADVERSE_EVENTS)
def test_adverse_events_hold_the_row_of_their_table(shipped: Vocabulary, code: str) -> None:
    term = shipped.adverse_events[code]
    assert (set(term.source_terms), term.meddra_like, term.ctcae, term.term_class) == ADVERSE_EVENTS[code]


@pytest.mark.parametrize(("words", "code"), FREE_TEXT.items())
def test_adverse_event_synonyms_lead_to_one_term(shipped: Vocabulary, words: str, code: str) -> None:
    assert [each.code for each in shipped.adverse_events.values() if words in each.synonyms] == [code]


def test_adverse_event_names_belong_to_one_term(shipped: Vocabulary) -> None:
    names = [name for each in shipped.adverse_events.values() for name in each.names]
    assert len(names) == len(set(names))


def test_adverse_event_names_are_code_label_and_synonyms_once(shipped: Vocabulary) -> None:
    names = shipped.adverse_events["pigment_change"].names
    assert names[:3] == ("pigment change", "change of pigment", "dark patches")
    assert names.count("dark patches") == 1
    assert "pih" in names


def test_adverse_event_synonyms_belong_to_one_term_and_stand_once(shipped: Vocabulary) -> None:
    synonyms = [synonym for each in shipped.adverse_events.values() for synonym in each.synonyms]
    assert len(synonyms) == len(set(synonyms))


def test_adverse_event_synonyms_are_lower_case_words(shipped: Vocabulary) -> None:
    synonyms = [synonym for each in shipped.adverse_events.values() for synonym in each.synonyms]
    assert [each for each in synonyms if not re.fullmatch(r"[a-z]+([ -][a-z]+)*", each)] == []


def test_adverse_event_synonyms_hold_the_sources_words(shipped: Vocabulary) -> None:
    for term in shipped.adverse_events.values():
        assert set(term.source_terms) <= set(term.synonyms), term.code


@pytest.mark.parametrize("code", ["redness", "scarring", "nodule"])
def test_adverse_events_say_what_ctcae_lacks(shipped: Vocabulary, code: str) -> None:
    assert "CTCAE v5 has no term" in shipped.adverse_events[code].remark


def test_infection_tells_how_late_mycobacteria_show(shipped: Vocabulary) -> None:
    remark = shipped.adverse_events["infection"].remark
    assert "15 to 59 days" in remark
    assert "median 30.5" in remark
    assert "at least 60 days" in remark


def test_instrument_table_covers_every_instrument(shipped: Vocabulary) -> None:
    assert set(INSTRUMENTS) == set(shipped.instruments)


@pytest.mark.parametrize("code", INSTRUMENTS)
def test_instruments_hold_the_row_of_their_table(shipped: Vocabulary, code: str) -> None:
    found = shipped.instruments[code]
    row = (found.minimum, found.maximum, found.direction, found.unit, _rule(found.responder), found.confirmed)
    assert (*row, set(found.indications)) == INSTRUMENTS[code]


@pytest.mark.parametrize("code", INSTRUMENTS)
def test_instruments_offer_the_published_alternatives_only(shipped: Vocabulary, code: str) -> None:
    assert [_rule(each) for each in shipped.instruments[code].alternatives] == ALTERNATIVES.get(code, [])


def test_circumference_alone_states_its_measurement_error(shipped: Vocabulary) -> None:
    stated = {
        code: each.measurement_error for code, each in shipped.instruments.items() if each.measurement_error
    }
    assert stated == {"circumference": (0.7, 15)}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("masi", "used in a trial"),
        ("dlqi", "inflammatory skin disease only"),
        ("nrs_pain", "minimal clinically important difference"),
        ("gais", "direction"),
    ],
)
def test_instruments_remark_what_limits_their_rule(shipped: Vocabulary, code: str, words: str) -> None:
    assert words in shipped.instruments[code].remark


def test_weekly_to_monthly_holds_its_phases(shipped: Vocabulary) -> None:
    protocol = shipped.protocols["weekly_to_monthly"]
    phases = [(each.name, each.sessions, each.interval_days) for each in protocol.phases]
    assert phases == [("weekly", 4, (7, 10)), ("fortnightly", 2, (12, 16)), ("monthly", 4, (26, 35))]
    assert protocol.sessions == 10  # 4 + 2 + 4
    assert [each.grace for each in protocol.phases] == [20, 32, 70]  # twice the longest interval
    assert protocol.repeat_after_days is None


def test_short_course_holds_its_phase_and_its_repeat(shipped: Vocabulary) -> None:
    protocol = shipped.protocols["short_course"]
    (phase,) = protocol.phases
    assert (phase.sessions, phase.sessions_range, phase.interval_days) == (5, (4, 6), (1, 7))
    assert protocol.sessions == 5
    assert protocol.repeat_after_days == (90, 180)  # 3 to 6 months of 30 days
    assert protocol.source == "S4"


def test_entry_returns_the_entry_of_a_code(shipped: Vocabulary) -> None:
    assert shipped.entry("areas", "axilla") is shipped.areas["axilla"]


def test_entry_unknown_code_names_the_nearest(shipped: Vocabulary) -> None:
    with pytest.raises(VocabularyError) as caught:
        shipped.entry("instruments", "masii")
    assert str(caught.value) == "'masii' is not in the vocabulary instruments; did you mean 'masi'?"


@pytest.mark.parametrize(
    ("kind", "threshold", "words"),
    [
        ("absolute", 1, "at least 1 better than baseline"),
        ("percent", 33, "at least 33 % better than baseline"),
        ("level", 2, "2 or better"),
    ],
)
def test_describe_puts_the_rule_in_words(kind: Any, threshold: float, words: str) -> None:
    assert ResponderRule(kind=kind, threshold=threshold).describe() == words


def test_entries_cannot_be_changed(shipped: Vocabulary) -> None:
    with pytest.raises(ValueError, match="frozen"):
        shipped.instruments["masi"].maximum = 24


def test_instrument_assumes_neither_direction_nor_rule() -> None:
    own = Instrument(code="own", label="Own", source="clinic")
    assert own.direction is None
    assert own.responder is None
