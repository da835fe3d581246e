"""The table contracts: design, vocabulary and code speak of the same columns."""

from __future__ import annotations

import pandera.io.pandas_io as pandera_io
import pytest

from mesostats.errors import SchemaError
from mesostats.schemas import TABLES, table_schema
from mesostats.vocabulary import load_vocabulary

COLUMNS = {
    "patients": "patient_id sex birth_year skin_type",
    "courses": "course_id patient_id clinic_id indication area side protocol arm planned_sessions start_date status "
    "end_date end_reason",
    "sessions": "session_id course_id session_number date status practitioner_id technique depth_mm anaesthetic volume_ml "
    "pain_nrs downtime_days adverse_events_asked",
    "products": "session_id substance substance_class lot concentration unit volume_ml",
    "outcomes": "outcome_id course_id date instrument value assessor blinded",
    "adverse_events": "event_id course_id session_id term verbatim onset_date end_date severity serious related action "
    "outcome",
}


@pytest.mark.parametrize("name", TABLES)
def test_table_schema_holds_the_designs_columns(name: str) -> None:
    vocabulary = load_vocabulary()
    more = {"courses": vocabulary.contraindications, "sessions": vocabulary.care_rules}.get(name, {})
    assert list(table_schema(name).kinds) == [*COLUMNS[name].split(), *more]


@pytest.mark.parametrize("name", TABLES)
def test_table_schema_is_a_pandera_schema_with_a_description_a_column(name: str) -> None:
    schema = pandera_io.from_yaml(table_schema(name).text)
    assert schema.name == name
    assert all(column.description for column in schema.columns.values())


@pytest.mark.parametrize("name", TABLES)
def test_references_and_vocabularies_exist(name: str) -> None:
    schema = table_schema(name)
    assert all(table_schema(table).key == column for column, table in schema.references.items())
    assert all(load_vocabulary().codes(vocabulary) for vocabulary in schema.vocabularies.values())
    assert set(schema.required) <= set(schema.kinds)


def test_unknown_table_is_one_clear_line() -> None:
    with pytest.raises(SchemaError, match="there is no table 'visits'"):
        table_schema("visits")
