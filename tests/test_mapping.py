from __future__ import annotations

import datetime as dt
from io import StringIO
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyreadstat
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesostats.dataset import Dataset
from mesostats.engine import ROW, TEXT, collect
from mesostats.errors import DataError, MappingError, MesostatsError, SchemaError
from mesostats.mapping import Mapping, draft, load_mapping, read, shipped_mappings
from mesostats.mapping.model import Column, TableMapping

REDCAP = Path(__file__).parent / "data" / "redcap"

SETTINGS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def clinic() -> Dataset:
    return Dataset(
        patients=pd.DataFrame(
            {"patient_id": ["P1", "P2"], "sex": ["female", None], "birth_year": [1980, None]}
        ),
        courses=pd.DataFrame(
            {
                "course_id": ["C1", "C2"],
                "patient_id": ["P1", "P2"],
                "indication": ["melasma", "striae"],
                "start_date": ["2024-01-01", "2024-01-02"],
                "referred_by": ["Dr A", None],
            }
        ),
        sessions=pd.DataFrame(
            {
                "session_id": ["S1", "S2"],
                "course_id": ["C1", "C2"],
                "date": ["2024-01-03", "2024-01-04"],
                "status": ["attended", "no_show"],
                "depth_mm": [1.5, None],
            }
        ),
        adverse_events=pd.DataFrame(
            {
                "event_id": ["E1", "E2"],
                "course_id": ["C1", "C1"],
                "term": ["redness", "pain"],
                "verbatim": ['=redness, "hot"', "- pain;\nall day"],
                "onset_date": ["2024-01-03", None],
            }
        ),
    )


def table(clinic: Dataset, name: str) -> pd.DataFrame:
    """Return a table in the order of its key, which an engine does not keep."""
    return clinic.table(name).sort_values(
        f"{name.removesuffix('s')}_id".replace("adverse_", ""), ignore_index=True
    )


def records(clinic: Dataset, name: str) -> pd.DataFrame:
    """Return a table with its hidden columns in the order of the source."""
    return collect(clinic.checked(name)).sort_values(ROW, ignore_index=True)


def same(one: Dataset, other: Dataset) -> None:
    assert one.names == other.names
    for name in one.names:
        pd.testing.assert_frame_equal(table(one, name), table(other, name))


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_read_returns_what_was_written(tmp_path: Path, clinic: Dataset, file_format: Any) -> None:
    again = read(clinic.write(tmp_path / "out", file_format=file_format))
    same(clinic, again)
    assert again.cutoff == clinic.cutoff


def test_read_a_workbook_with_a_sheet_a_table(tmp_path: Path, clinic: Dataset) -> None:
    # A text that begins with = would be written as a formula.
    tables = {name: clinic.table(name).replace("^=", "", regex=True) for name in clinic.names}
    with pd.ExcelWriter(tmp_path / "clinic.xlsx", engine="openpyxl") as writer:
        for name, table in tables.items():
            table.to_excel(writer, sheet_name=name.title(), index=False)
    same(Dataset(**tables), read(tmp_path / "clinic.xlsx"))


def test_read_a_folder_of_transport_files(tmp_path: Path, clinic: Dataset) -> None:
    for name in clinic.names:
        table = clinic.table(name).dropna(axis=1, how="all")
        for column in table.select_dtypes("datetime"):
            table[column] = table[column].dt.date
        pyreadstat.write_xport(table, str(tmp_path / f"{name}.xpt"), file_format_version=8)
    same(clinic, read(tmp_path))


def test_read_keeps_what_it_cannot_read(tmp_path: Path, clinic: Dataset) -> None:
    clinic.write(tmp_path / "out", file_format="csv")
    sessions = "session_id,course_id,date,status\nS1,C1,03/04/2024,attended\nS2,C2,2024-01-04,attended\n"
    (tmp_path / "out" / "sessions.csv").write_text(sessions)
    found = records(read(tmp_path / "out"), "sessions")
    assert found["date"].isna().tolist() == [True, False]
    assert found[f"{TEXT}date"].tolist()[0] == "03/04/2024"


def test_read_names_an_absent_table(tmp_path: Path, clinic: Dataset) -> None:
    clinic.write(tmp_path / "out", file_format="csv")
    (tmp_path / "out" / "courses.csv").unlink()
    with pytest.raises(
        DataError, match=r"folder 'out' has no file of the table 'courses': expected courses.csv"
    ):
        read(tmp_path / "out")
    with pytest.raises(DataError, match=r"'sessions.csv' is one file"):
        read(tmp_path / "out" / "sessions.csv")
    with pytest.raises(DataError, match="is not there"):
        read(tmp_path / "missing")


def test_read_refuses_two_files_of_one_table(tmp_path: Path, clinic: Dataset) -> None:
    clinic.write(tmp_path / "out", file_format="csv")
    clinic.write(tmp_path / "out", file_format="parquet")
    with pytest.raises(
        DataError, match=r"two files for the table 'patients': 'patients.csv' and 'patients.parquet'"
    ):
        read(tmp_path / "out")


def test_read_names_a_damaged_parquet_file(tmp_path: Path, clinic: Dataset) -> None:
    clinic.write(tmp_path / "out")
    path = tmp_path / "out" / "courses.parquet"
    content = path.read_bytes()
    # The column chunks stand behind the four magic bytes, the footer that describes them at the end.
    path.write_bytes(content[:4] + b"\xff" * 400 + content[404:])
    with pytest.raises(DataError, match="'out' is damaged"):
        read(tmp_path / "out")


VISITS = """Patient;Sex;Birth;Visit;Came;Depth;Why;Note
A1;F;1980;03/04/2024;Y;0,1;Melasma;x
A1;F;1980;10/04/2024;N;;Melasma;y
B2;M;;12/04/2024;Y;1.5;Acne Scar;z
"""

MAPPING: dict[str, Any] = {
    "date_format": "%d/%m/%Y",
    "decimal": ",",
    "tables": {
        "patients": {
            "unique": "true",
            "columns": {
                "patient_id": "Patient",
                "sex": {"from": "Sex", "recode": {"F": "female"}},
                "birth_year": "Birth",
            },
        },
        "courses": {
            "unique": "true",
            "earliest": ["start_date"],
            "columns": {
                "course_id": {"template": "{Patient}/{Why}", "transform": "slug"},
                "patient_id": "Patient",
                "indication": {"from": "Why", "transform": "slug"},
                "start_date": "Visit",
            },
        },
        "sessions": {
            "columns": {
                "session_id": {"template": "{Patient} {Visit}"},
                "course_id": {"template": "{Patient}/{Why}", "transform": "slug"},
                "date": "Visit",
                "status": {"from": "Came", "recode": {"Y": "attended"}, "otherwise": "no_show"},
                "depth_mm": {"from": "Depth", "unit_factor": "25.4"},
            },
            "extra": {"remark": "Note"},
        },
    },
}


def write(folder: Path, mapping: Any, *, name: str = "mapping.yaml") -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def changed(**tables: dict[str, Any]) -> dict[str, Any]:
    """Return the mapping with other keys in some of its tables."""
    return MAPPING | {
        "tables": {name: table | tables.get(name, {}) for name, table in MAPPING["tables"].items()}
    }


@pytest.fixture
def visits(tmp_path: Path) -> Path:
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "visits.csv").write_text(VISITS, encoding="utf-8-sig")
    return folder


def test_read_maps_one_file_of_visits_to_three_tables(visits: Path, tmp_path: Path) -> None:
    mapped = read(visits, mapping=write(tmp_path, MAPPING))
    patients, courses = table(mapped, "patients"), table(mapped, "courses")
    sessions = records(mapped, "sessions")
    # M is not recoded: it stays, for validation to report.
    assert patients[["patient_id", "sex"]].to_numpy().tolist() == [
        ["A1", "female"],
        ["B2", "M"],
    ]
    assert courses["course_id"].tolist() == ["a1_melasma", "b2_acne_scar"]
    assert courses["indication"].tolist() == ["melasma", "acne_scar"]
    # Day before month, as declared: the first of 3 and 10 April.
    assert courses["start_date"].dt.date.tolist() == [dt.date(2024, 4, 3), dt.date(2024, 4, 12)]
    assert sessions["status"].tolist() == ["attended", "no_show", "attended"]
    assert sessions["remark"].tolist() == ["x", "y", "z"]
    # 0.1 inch is 2.54 mm; a decimal point where the comma is declared is not read, and is reported with its quotes.
    assert sessions["depth_mm"].tolist()[0] == pytest.approx(2.54)
    assert sessions["depth_mm"].isna().tolist() == [False, True, True]
    assert records(mapped, "sessions")[f"{TEXT}depth_mm"].tolist()[2] == '"1.5"'
    assert mapped.cutoff == dt.date(2024, 4, 12)


def test_read_takes_one_file_of_any_format(visits: Path, tmp_path: Path) -> None:
    cells = [line.split(";") for line in VISITS.splitlines()]
    book = openpyxl.Workbook()
    for row in cells:
        book.active.append(row)
    book.save(tmp_path / "visits.xlsx")
    frame = pd.DataFrame(cells[1:], columns=cells[0])
    frame.to_parquet(tmp_path / "visits.parquet")
    pyreadstat.write_xport(frame, str(tmp_path / "visits.xpt"), file_format_version=8)
    mapping = write(tmp_path, MAPPING)
    expected = read(visits / "visits.csv", mapping=mapping)
    for suffix in ("xlsx", "parquet", "xpt"):
        found = read(tmp_path / f"visits.{suffix}", mapping=mapping)
        for name in ("patients", "courses", "sessions"):
            pd.testing.assert_frame_equal(table(expected, name), table(found, name))


def test_read_keeps_the_record_number(visits: Path, tmp_path: Path) -> None:
    keep = {"sessions": {"keep": [{"column": "Came", "equals": "Y"}]}}
    mapped = read(visits, mapping=write(tmp_path, changed(**keep)))
    assert records(mapped, "sessions")[ROW].tolist() == [1, 3]


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ({"equals": "Y"}, [1, 3]),
        ({"in": ["Y", "N"]}, [1, 2, 3]),
        ({"not_in": ["Y"]}, [2]),
    ],
)
def test_read_keeps_rows_by_values(
    visits: Path, tmp_path: Path, condition: dict[str, Any], kept: list[int]
) -> None:
    table = {"keep": [{"column": "Came"} | condition]}
    mapped = read(visits, mapping=write(tmp_path, changed(sessions=table)))
    assert records(mapped, "sessions")[ROW].tolist() == kept


@pytest.mark.parametrize(
    ("condition", "kept"),
    [({"null": "true"}, [2]), ({"not_null": "true"}, [1, 3]), ({"not_in": ["1.5"]}, [1, 2])],
)
def test_read_keeps_rows_by_presence(
    visits: Path, tmp_path: Path, condition: dict[str, Any], kept: list[int]
) -> None:
    # Row 2 has no depth; an empty cell is in no list.
    table = {"keep": [{"column": "Depth"} | condition]}
    mapped = read(visits, mapping=write(tmp_path, changed(sessions=table)))
    assert records(mapped, "sessions")[ROW].tolist() == kept


@pytest.mark.parametrize(
    ("date_format", "cell", "expected"),
    [
        ("%d/%m/%Y", "03/04/2024", "2024-04-03"),
        ("%m/%d/%Y", "03/04/2024", "2024-03-04"),
        ("%d.%m.%y", "3.4.24", "2024-04-03"),
        ("%d%b%Y", "03APR2024", "2024-04-03"),
        ("%d/%m/%Y %H:%M", "03/04/2024 18:30", "2024-04-03"),
        ("%d/%m/%Y", "2024-04-03", "2024-04-03"),
        # Day 45385 of a spreadsheet is 3 April 2024: 45292 is 1 January 2024, 93 days before.
        ("excel", "45385", "2024-04-03"),
        ("excel", "45385.75", "2024-04-03"),
    ],
)
def test_read_dates_by_their_declared_format(
    visits: Path, tmp_path: Path, date_format: str, cell: str, expected: str
) -> None:
    (visits / "visits.csv").write_text(VISITS.replace("12/04/2024", cell), encoding="utf-8")
    columns = MAPPING["tables"]["sessions"]["columns"] | {
        "date": {"from": "Visit", "date_format": date_format}
    }
    mapped = read(
        visits, mapping=write(tmp_path, changed(sessions={"columns": columns})), cutoff="2024-12-31"
    )
    assert str(records(mapped, "sessions")["date"].tolist()[2])[:10] == expected


@pytest.mark.parametrize("cell", ["31/02/2024", "04/13/2024", "03/04/24", "3 April", "45385", "12/04/2024 ?"])
def test_read_leaves_dates_unread_that_do_not_fit_the_format(visits: Path, tmp_path: Path, cell: str) -> None:
    (visits / "visits.csv").write_text(VISITS.replace("12/04/2024", cell), encoding="utf-8")
    found = records(read(visits, mapping=write(tmp_path, MAPPING)), "sessions")
    assert pd.isna(found["date"].tolist()[2])
    assert found[f"{TEXT}date"].tolist()[2] == cell


def test_read_does_not_guess_at_an_undeclared_format(visits: Path, tmp_path: Path) -> None:
    mapping = {key: value for key, value in MAPPING.items() if key != "date_format"}
    found = records(read(visits, mapping=write(tmp_path, mapping), cutoff="2024-12-31"), "sessions")
    assert found["date"].isna().all()
    assert found[f"{TEXT}date"].tolist() == ["03/04/2024", "10/04/2024", "12/04/2024"]


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        # CDISC: day 1 is the origin, there is no day 0, day -1 is the day before it.
        ("1", "2024-04-03"),
        ("2", "2024-04-04"),
        ("-1", "2024-04-02"),
        ("0", None),
        ("soon", None),
    ],
)
def test_read_counts_study_days_from_their_origin(
    tmp_path: Path, visits: Path, day: str, expected: str | None
) -> None:
    (visits / "visits.csv").write_text(
        f"Patient;Sex;Birth;Visit;Came;Depth;Why;Note\nA1;F;1980;03/04/2024;Y;;x;{day}\n", encoding="utf-8"
    )
    columns = MAPPING["tables"]["sessions"]["columns"] | {"date": {"from": "Note", "study_day_from": "Visit"}}
    mapped = read(visits, mapping=write(tmp_path, changed(sessions={"columns": columns})))
    found = records(mapped, "sessions")
    if expected is None:
        assert found["date"].isna().all()
        assert found[f"{TEXT}date"].tolist() == [f"day {day}"]
    else:
        assert found["date"].dt.date.tolist() == [dt.date.fromisoformat(expected)]


def test_read_joins_columns_of_another_file(visits: Path, tmp_path: Path) -> None:
    (visits / "arms.csv").write_text("who,arm,era\nA1,drug,1\nA1,placebo,2\nC3,placebo,1\n")
    join = {
        "file": "arms.csv",
        "on": {"Patient": "who"},
        "columns": ["arm"],
        "keep": [{"column": "era", "equals": "1"}],
    }
    columns = MAPPING["tables"]["courses"]["columns"] | {"arm": "arm"}
    tables = {name: table | {"file": "visits.csv"} for name, table in MAPPING["tables"].items()}
    tables["courses"] |= {"join": [join], "columns": columns}
    mapped = read(visits, mapping=write(tmp_path, MAPPING | {"tables": tables}))
    arms = mapped.table("courses").set_index("patient_id")["arm"]
    assert arms["A1"] == "drug"
    assert pd.isna(arms["B2"])
    tables["courses"] |= {"join": [join | {"keep": []}]}
    with pytest.raises(
        DataError, match=r"join of table 'courses', file 'arms.csv': 1 keys of who have several rows"
    ):
        read(visits, mapping=write(tmp_path, MAPPING | {"tables": tables}))


def test_read_reports_rows_that_disagree_instead_of_choosing(visits: Path, tmp_path: Path) -> None:
    (visits / "visits.csv").write_text(VISITS.replace("A1;F;1980;10", "A1;F;1908;10"), encoding="utf-8")
    patients = read(visits, mapping=write(tmp_path, MAPPING)).table("patients")
    assert sorted(patients["patient_id"]) == ["A1", "A1", "B2"]


def test_read_carries_all_other_columns(visits: Path, tmp_path: Path) -> None:
    mapped = read(visits, mapping=write(tmp_path, changed(sessions={"extra": "true"})))
    assert set(mapped.table("sessions")) >= {"Patient", "Sex", "Birth", "Why", "Note"}


def test_read_takes_vocabulary_and_cutoff_of_the_mapping(visits: Path, tmp_path: Path) -> None:
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "indications.yaml").write_text("entries:\n  keloid: {label: Keloid, source: own}\n")
    path = write(tmp_path, MAPPING | {"vocabulary": "words", "cutoff": "2024-05-01"})
    mapped = read(visits, mapping=path)
    assert "keloid" in mapped.vocabulary.indications
    assert mapped.cutoff == dt.date(2024, 5, 1)
    assert read(visits, mapping=path, cutoff="2024-06-01").cutoff == dt.date(2024, 6, 1)


def _with_column(column: str, value: Any, table: str = "sessions") -> dict[str, Any]:
    return changed(**{table: {"columns": MAPPING["tables"][table]["columns"] | {column: value}}})


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ([], "valid dictionary"),
        ({"tables": {}}, "tables: .*at least 1 item"),
        (MAPPING | {"dateformat": "x"}, "dateformat: there is no such key; did you mean 'date_format'"),
        (MAPPING | {"date_format": "%d/%m"}, "date_format: a date format names day, month and year"),
        (MAPPING | {"date_format": "%d/%m/%Q%Y"}, "a date format names"),
        (MAPPING | {"encoding": "utf-9"}, "'utf-9' is not a text encoding"),
        (MAPPING | {"encoding": "base64"}, "'base64' is not a text encoding"),
        (MAPPING | {"decimal": ";"}, "decimal: "),
        (MAPPING | {"delimiter": '"'}, "delimiter: "),
        (MAPPING | {"cutoff": "2024-02-30"}, "cutoff: "),
        (MAPPING | {"tables": MAPPING["tables"] | {"visits": {}}}, "no table 'visits'"),
        (_with_column("dat", "Visit"), "table 'sessions' has no column 'dat'; did you mean 'date'"),
        (_with_column("date", {}), "sessions.columns.date: give either from"),
        (_with_column("date", {"from": "Visit", "template": "{Visit}"}), "give either from"),
        (_with_column("session_id", {"template": "Visit"}), "a template names source columns in braces"),
        (_with_column("status", {"from": "Came", "date_format": "%Y%m%d"}), "belong to dates"),
        (_with_column("status", {"from": "Came", "unit_factor": "2"}), "belong to numbers"),
        (
            _with_column("status", {"from": "Came", "otherwise": "x", "transform": "slug"}),
            "either otherwise or transform",
        ),
        (_with_column("depth_mm", {"from": "Depth", "unit_factor": "0"}), "unit_factor: .*greater than 0"),
        (_with_column("depth_mm", {"from": "Depth", "unit_factor": "inf"}), "unit_factor: "),
        (
            changed(sessions={"constants": {"status": "attended"}}),
            "'status' stands in both columns and constants",
        ),
        (changed(sessions={"columns": {"date": "Visit"}}), "needs the column 'session_id'"),
        (changed(sessions={"earliest": ["date"]}), "need unique: true"),
        (changed(courses={"latest": ["start_date"]}), "in one of the two"),
        (changed(sessions={"keep": [{"column": "Came"}]}), "give one of equals, in"),
        (changed(sessions={"keep": [{"column": "Came", "null": "false"}]}), "null: "),
    ],
)
def test_load_mapping_names_file_place_and_fault(tmp_path: Path, mapping: Any, message: str) -> None:
    with pytest.raises(MappingError, match=f"'mapping.yaml'.*{message}"):
        load_mapping(write(tmp_path, mapping))


@pytest.mark.parametrize(
    "text",
    ["tables: [", "a: 1\na: 2\n", "\x00", "a: !!python/object:os.system x\nb: *c", "[" * 5000],
    ids=["open", "twice", "control", "alias", "deep"],
)
def test_load_mapping_of_no_yaml(tmp_path: Path, text: str) -> None:
    (tmp_path / "mapping.yaml").write_text(text)
    with pytest.raises(MappingError, match=r"'mapping.yaml' (cannot be read as YAML|is nested too deeply)"):
        load_mapping(tmp_path / "mapping.yaml")


def test_load_mapping_takes_words_as_they_stand(tmp_path: Path) -> None:
    """YAML's own no, 1.0 and dates would become False, 1 and a date."""
    text = yaml.safe_dump(MAPPING).replace("F: female", "no: yes\n          1.0: 2024-01-01")
    (tmp_path / "mapping.yaml").write_text(text)
    recode = load_mapping(tmp_path / "mapping.yaml").tables["patients"].columns["sex"].recode
    assert recode == {"no": "yes", "1.0": "2024-01-01"}


def test_load_mapping_names_the_shipped_ones() -> None:
    assert {name: bool(load_mapping(name).description) for name in shipped_mappings()} == {
        "cdisc_pilot": True,
        "redcap_example": True,
    }
    with pytest.raises(MappingError, match="neither a YAML file nor shipped; did you mean 'cdisc_pilot'"):
        load_mapping("cdisc-pilot")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (
            _with_column("date", "visit"),
            r"table 'sessions', file 'visits.csv': there is no column 'visit'; did you mean 'Visit'",
        ),
        (
            _with_column("session_id", {"template": "{Patients}"}),
            "no column 'Patients'; did you mean 'Patient'",
        ),
        (changed(sessions={"keep": [{"column": "Came?", "equals": "Y"}]}), r"no column 'Came\?'"),
        (changed(sessions={"extra": {"date": "Visit"}}), "extra column 'date' is mapped already"),
        (
            changed(sessions={"checkboxes": {"column": "note", "boxes": {"Came": "x"}}}),
            "new column 'note' is in the file already",
        ),
    ],
)
def test_read_names_what_the_mapping_does_not_find(
    visits: Path, tmp_path: Path, mapping: dict[str, Any], message: str
) -> None:
    with pytest.raises(MappingError, match=message):
        read(visits, mapping=write(tmp_path, mapping))


def test_read_names_a_file_that_the_mapping_does_not_find(visits: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'export' holds no file 'visit.csv'; did you mean 'visits.csv'"):
        read(visits, mapping=write(tmp_path, changed(patients={"file": "visit.csv"})))


def test_read_redcap_example() -> None:
    clinic = read(REDCAP, mapping="redcap_example")
    # Counted by hand in the CSV: 4 records; 5 course, 17 session, 5 assessment and 3 adverse event forms.
    counts = {name: len(clinic.table(name)) for name in clinic.names}
    assert counts == {
        "patients": 4,
        "courses": 5,
        "sessions": 17,
        "products": 13,
        "outcomes": 5,
        "adverse_events": 5,
    }
    # The three forms have 2, 1 and 2 boxes checked.
    events = clinic.table("adverse_events").sort_values("event_id")
    assert events[["event_id", "term"]].to_numpy().tolist() == [
        ["1-e1-bruising", "bruising"],
        ["1-e1-redness", "redness"],
        ["2-e1-itching", "itching"],
        ["3-e1-redness", "redness"],
        ["3-e1-swelling", "swelling"],
    ]
    courses = clinic.table("courses").set_index("course_id")
    # Record 2 has the box of the clotting disorder checked, record 4 has no answer to any.
    assert courses["coagulation_disorder"].to_dict() == {
        "1-1": "no",
        "2-1": "yes",
        "3-1": "no",
        "3-2": "no",
        "4-1": "not_asked",
    }
    # The raw code 9 of record 4 is in no recode.
    assert courses["indication"].to_dict()["4-1"] == "9"
    assert set(clinic.table("sessions")["course_id"]) <= set(courses.index)
    assert table(clinic, "patients")["sex"].tolist() == ["female", "male", "female", "other"]


def test_draft_maps_like_names_and_asks_for_the_rest() -> None:
    text = draft(REDCAP / "ClinicMesotherapy_DATA_2024-04-02_1015.csv")
    tables = yaml.safe_load(text)["tables"]
    assert tables["patients"]["columns"] == {
        "sex": "sex",
        "birth_year": "birth_year",
        "skin_type": "skin_type",
    }
    assert "#     patient_id: ?  (required)" in text
    # Only column names, no cell of any patient.
    assert "1984" not in text


def test_draft_of_canonical_columns_is_a_mapping(tmp_path: Path, clinic: Dataset) -> None:
    sessions, courses, patients = (
        clinic.table(name).dropna(axis=1, how="all") for name in ("sessions", "courses", "patients")
    )
    everything = sessions.merge(courses, on="course_id").merge(patients, on="patient_id")
    everything.to_csv(tmp_path / "all.csv", index=False)
    (tmp_path / "draft.yaml").write_text(draft(tmp_path / "all.csv"), encoding="utf-8")
    columns = {name: table.columns for name, table in load_mapping(tmp_path / "draft.yaml").tables.items()}
    assert list(columns) == ["patients", "courses", "sessions"]
    assert all(
        spec.source == name
        for table in columns.values()
        for name, spec in table.items()
        if name in everything
    )
    again = read(tmp_path / "all.csv", mapping=tmp_path / "draft.yaml")
    pd.testing.assert_frame_equal(table(again, "patients"), table(clinic, "patients"))


def test_draft_quotes_odd_column_names(tmp_path: Path) -> None:
    (tmp_path / "odd: #1.csv").write_text('"sex: F/M #","birth, year"\nF,1980\n')
    patients = yaml.safe_load(draft(tmp_path / "odd: #1.csv"))["tables"]["patients"]
    assert patients["file"] == "odd: #1.csv"
    assert patients["columns"] == {"sex": "sex: F/M #", "birth_year": "birth, year"}


def test_draft_of_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not there"):
        draft(tmp_path / "no.csv")


words = st.sampled_from(
    ["Patient", "Visit", "Depth", "{Patient}-{Visit}", "true", "%d/%m/%Y", "excel", ",", "Y", "'", '"']
) | st.text(max_size=6)
keys = st.sampled_from(
    [*Mapping.model_fields, *TableMapping.model_fields, *Column.model_fields, "from", "in", "on"]
)
documents = st.recursive(
    words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | words, inner, max_size=4),
    max_leaves=12,
)


@given(content=documents)
@SETTINGS
def test_load_mapping_of_any_document_raises_nothing_but_mapping_error(tmp_path: Path, content: Any) -> None:
    path = write(tmp_path, content)
    with pytest.raises(MappingError, match=r"'mapping.yaml'"):
        load_mapping(path)


@given(text=st.text(max_size=80) | st.binary(max_size=80).map(lambda content: content.decode("latin-1")))
@SETTINGS
def test_load_mapping_of_any_text_raises_nothing_but_mapping_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(MappingError, match=r"'mapping.yaml'"):
        load_mapping(path)


odd = st.text(max_size=6) | st.sampled_from(
    ["{Patient}", "{Visit}{", "%", "\x00", "'", '"', "\\", "{}", "1e999", "-0"]
)
specs = st.fixed_dictionaries(
    {"from": st.sampled_from(["Patient", "Visit", "Depth", "Birth", "Note"])},
    optional={
        "recode": st.dictionaries(odd, odd, max_size=3),
        "default": odd,
        "transform": st.sampled_from(["lower", "slug"]),
        "date_format": st.sampled_from(
            ["%d/%m/%Y", "%d%d%m%Y", "%%%d%m%Y", "excel", "'%d%m%y", "%H%f%p%d%b%Y"]
        ),
        "decimal": st.sampled_from([",", "."]),
        "unit_factor": st.sampled_from(["25.4", "1e308", "1e-320"]),
        "study_day_from": st.sampled_from(["Visit", "Birth"]),
    },
) | st.builds(lambda text: {"template": "{Patient}" + text}, odd)


@given(
    columns=st.dictionaries(
        st.sampled_from(["date", "depth_mm", "session_number", "status", "technique"]), specs, max_size=4
    ),
    constants=st.dictionaries(st.sampled_from(["volume_ml", "anaesthetic"]), odd, max_size=2),
    keep=st.lists(st.builds(lambda value: {"column": "Note", "not_in": [value]}, odd), max_size=2),
    cells=st.lists(odd, min_size=3, max_size=3),
)
@SETTINGS
def test_read_with_any_mapping_raises_nothing_but_mesostats_errors(
    tmp_path: Path, columns: Any, constants: Any, keep: Any, cells: list[str]
) -> None:
    frame = pd.read_csv(StringIO(VISITS), sep=";", dtype="string")
    frame["Note"] = cells
    frame.to_parquet(tmp_path / "visits.parquet")
    table = {
        "columns": MAPPING["tables"]["sessions"]["columns"] | columns,
        "constants": constants,
        "keep": keep,
    }
    path = write(tmp_path, changed(sessions=table))
    try:
        mapped = read(tmp_path / "visits.parquet", mapping=path)
    except MesostatsError as error:
        complaint = str(error)
    else:
        complaint = f"{len(mapped.table('sessions'))} rows"
    assert complaint


def test_read_refuses_reserved_extra_columns(visits: Path, tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="begin with _ are reserved"):
        read(visits, mapping=write(tmp_path, changed(sessions={"extra": {"_note": "Note"}})))


def test_endpoint_of_a_mapping_is_what_reports_read(tmp_path: Path) -> None:
    assert load_mapping("cdisc_pilot").endpoint == 168
    (tmp_path / "bad.yaml").write_text("endpoint: -1\ntables: {}\n", encoding="utf-8")
    with pytest.raises(MappingError, match="endpoint"):
        load_mapping(tmp_path / "bad.yaml")
