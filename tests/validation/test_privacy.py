"""Direct identifiers are found and never shown; reports and exceptions hold no value of a patient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from small_clinic import Tables, appended, cell, only, spoiled

from mesostats.dataset import Dataset
from mesostats.errors import DataError
from mesostats.validation.privacy import identifies

if TYPE_CHECKING:
    from pathlib import Path

PHONES = ["+44 20 7946 0000", "(030) 901820", "020 7946 0000", "555-867-5309", "call tel: 79460000"]
NUMBERS = [
    "L-2024-0017",
    "01-701-1015",
    "2024-03-04 10:15:00",
    "00123456",
    "001-0012-345",
    "3.5 ml / 10 min",
    "12345678901",
]


@pytest.mark.parametrize(
    "column",
    [
        "name",
        "patient_name",
        "firstName",
        "Surname",
        "e_mail",
        "phone_number",
        "home address",
        "insurance_no",
    ],
)
def test_identifies_names_of_persons(column: str) -> None:
    assert identifies(column)


@pytest.mark.parametrize(
    "column", ["product_name", "clinic_id", "practitioner_id", "telangiectasia", "emailed", "arm"]
)
def test_identifies_lets_other_columns_pass(column: str) -> None:
    assert not identifies(column)


def test_validate_names_the_column_of_an_identifier_only() -> None:
    def change(tables: Tables) -> None:
        tables["patients"] = tables["patients"].assign(phone=["0171 999", "0171 998"])

    defect = only(spoiled(change), "direct_identifier")
    assert (defect["table"], defect["column"], defect["number"], defect["severity"]) == (
        "patients",
        "phone",
        12,
        "error",
    )
    assert "0171" not in str(defect)


@pytest.mark.parametrize("text", ["wrote to anna@example.org", *PHONES])
def test_validate_finds_addresses_and_phones_in_texts(text: str) -> None:
    defect = only(spoiled(cell("adverse_events", 2, verbatim=text)), "direct_identifier")
    assert (defect["table"], defect["column"], defect["row"]) == ("adverse_events", "verbatim", 2)
    assert text not in str(defect)


def test_validate_takes_no_other_number_for_a_phone() -> None:
    def change(tables: Tables) -> None:
        tables["sessions"] = tables["sessions"].assign(remark=[*NUMBERS, None, None])

    assert spoiled(change).defects.empty


def test_redacted_masks_keys_and_values_and_keeps_the_place() -> None:
    report = spoiled(cell("outcomes", 1, value="20,5"))
    shared = report.redacted()
    defect = only(shared, "decimal_comma")
    assert (defect["table"], defect["row"], defect["key"], defect["found"]) == ("outcomes", 1, "…", "…")
    assert defect["action"] == "Write … if the comma is the decimal sign; as it stands the value is not used."
    assert "20" not in shared.to_html() + shared.to_text()
    assert report.defects["found"].to_list() == ["20,5"], "the report itself is unchanged"


def test_raise_if_errors_counts_and_holds_no_value() -> None:
    def change(tables: Tables) -> None:
        cell("sessions", 2, session_id="Anna", status="secretly", pain_nrs=77)(tables)

    with pytest.raises(DataError) as caught:
        spoiled(change).raise_if_errors()
    text = str(caught.value)
    # out_of_range, unknown_code, and product and side effect keep the old key
    assert "3 errors" in text
    assert "unknown_code 1" in text
    assert not any(value in text for value in ("Anna", "secretly", "77"))


def test_raise_if_errors_lets_warnings_pass() -> None:
    report = spoiled(cell("products", 1, lot=None))
    report.raise_if_errors()
    assert report.ok
    assert not spoiled(appended("sessions")).ok


def test_exceptions_of_reading_hold_no_value() -> None:
    frame = pd.DataFrame({"patient_id": ["Anna Secret"]})
    with pytest.raises(DataError) as caught:
        Dataset(patients=frame)
    assert "Secret" not in str(caught.value)


def test_to_csv_neutralises_formulas_and_writes_the_whole_file(tmp_path: Path) -> None:
    report = spoiled(cell("outcomes", 1, value="=1+1"))
    path = report.to_csv(tmp_path / "defects.csv")
    assert pd.read_csv(path)["found"].to_list() == ["'=1+1"]
    assert [each.name for each in tmp_path.iterdir()] == ["defects.csv"]


def test_to_html_escapes_values() -> None:
    report = spoiled(cell("outcomes", 1, instrument="<script>alert(1)</script>"))
    for html in (report.to_html(), report._repr_html_()):
        assert "<script>" not in html
        assert "&lt;script&gt;" in html


def test_to_text_shows_each_defect_without_markup() -> None:
    text = spoiled(cell("outcomes", 1, instrument="[red]x[/red]")).to_text()
    assert "1 error," in text
    assert "[red]x[/red]" in text
