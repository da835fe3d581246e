"""Dataset: tables, cut-off, coding of verbatims, writing."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from mesostats.dataset import Dataset
from mesostats.errors import DataError, SchemaError

if TYPE_CHECKING:
    from pathlib import Path


def tables(**other: Any) -> dict[str, Any]:
    """Return a small clinic: two patients, two courses, three sessions."""
    return {
        "patients": pd.DataFrame({"patient_id": ["P1", "P2"], "sex": ["female", None]}),
        "courses": pd.DataFrame(
            {
                "course_id": ["C1", "C2"],
                "patient_id": ["P1", "P2"],
                "indication": ["melasma", "cellulite"],
                "start_date": ["2024-01-01", "2024-02-01"],
            }
        ),
        "sessions": pd.DataFrame(
            {
                "session_id": ["S1", "S2", "S3"],
                "course_id": ["C1", "C1", "C2"],
                "date": ["2024-01-01", "2024-01-09", "2024-02-02"],
                "status": "attended",
                "room": ["a", "b", "a"],
            }
        ),
        **other,
    }


EVENTS = pd.DataFrame(
    {
        "event_id": ["E1", "E2", "E3", "E4", "E5"],
        "course_id": "C1",
        "term": ["itching", None, None, None, None],
        "verbatim": ["scratchy", "slight redness + bruise", "none", "felt odd", None],
        "onset_date": "2024-01-05",
    }
)


def test_dataset_types_its_tables_and_keeps_extra_columns() -> None:
    sessions = Dataset(**tables()).table("sessions")
    assert sessions["date"].tolist() == [
        pd.Timestamp(day) for day in ("2024-01-01", "2024-01-09", "2024-02-02")
    ]
    assert sessions["room"].tolist() == ["a", "b", "a"]
    assert sessions["pain_nrs"].isna().all()
    assert not any(column.startswith("_") for column in sessions)


def test_cutoff_is_the_latest_date_that_is_not_in_the_future() -> None:
    clinic = tables()
    clinic["sessions"].loc[0, "date"] = "2999-01-01"
    assert Dataset(**clinic).cutoff == dt.date(2024, 2, 2)


@pytest.mark.parametrize("cutoff", ["2024-01-15", dt.date(2024, 1, 15), dt.datetime(2024, 1, 15, 8)])  # noqa: DTZ001
def test_cutoff_can_be_declared_and_moved(cutoff: Any) -> None:
    clinic = Dataset(**tables())
    moved = clinic.with_cutoff(cutoff)
    assert Dataset(**tables(), cutoff=cutoff).cutoff == moved.cutoff == dt.date(2024, 1, 15)
    assert clinic.cutoff == dt.date(2024, 2, 2)


def test_cutoff_that_is_no_date_is_refused() -> None:
    with pytest.raises(ValueError, match="YYYY-MM-DD, found '15/01/2024'"):
        Dataset(**tables(), cutoff="15/01/2024")


def test_no_readable_date_asks_for_a_cutoff() -> None:
    clinic = tables()
    clinic["courses"]["start_date"] = "soon"
    clinic["sessions"]["date"] = None
    with pytest.raises(DataError, match="give cutoff="):
        Dataset(**clinic)


@pytest.mark.parametrize("name", ["patients", "courses", "sessions"])
def test_required_table_absent_is_one_clear_line(name: str) -> None:
    with pytest.raises(DataError, match=f"the table '{name}' is absent"):
        Dataset(**tables(**{name: None}))


def test_required_column_absent_names_the_nearest() -> None:
    clinic = tables()
    clinic["sessions"] = clinic["sessions"].rename(columns={"status": "statuss"})
    with pytest.raises(SchemaError, match="table 'sessions' has no column 'status'; did you mean 'statuss'"):
        Dataset(**clinic)


def test_columns_that_differ_in_case_are_refused() -> None:
    clinic = tables()
    clinic["sessions"]["ROOM"] = 1
    with pytest.raises(SchemaError, match="differ only in case"):
        Dataset(**clinic)


def test_verbatims_without_a_term_are_coded_one_row_an_event() -> None:
    events = Dataset(**tables(adverse_events=EVENTS)).table("adverse_events").set_index("event_id")
    assert events["term"].to_dict() | {"E4": None, "E5": None} == {
        "E1": "itching",
        "E2/1": "redness",
        "E2/2": "bruising",
        "E4": None,
        "E5": None,
    }
    assert events["term"].isna().to_dict()["E4"]
    assert events.loc["E2/2", "verbatim"] == "slight redness + bruise"


def test_table_of_finds_a_column_and_names_the_nearest() -> None:
    clinic = Dataset(**tables())
    assert clinic.table_of("sex") == "patients"
    assert clinic.table_of("room") == "sessions"
    with pytest.raises(ValueError, match=r"no column 'indicaton' in .*; did you mean 'indication'"):
        clinic.table_of("indicaton")


def test_absent_optional_table_is_one_clear_line() -> None:
    with pytest.raises(DataError, match="the table 'outcomes' is absent"):
        Dataset(**tables()).table("outcomes")


def test_callers_frames_are_unchanged() -> None:
    given = tables(adverse_events=EVENTS.copy(deep=True))
    before = {name: frame.copy(deep=True) for name, frame in given.items()}
    Dataset(**given)
    for name, frame in before.items():
        pd.testing.assert_frame_equal(given[name], frame)


def test_write_parquet_reads_back_the_same(tmp_path: Path) -> None:
    clinic = Dataset(**tables(adverse_events=EVENTS))
    clinic.write(tmp_path / "out")
    files = {name: pd.read_parquet(tmp_path / "out" / f"{name}.parquet") for name in clinic.names}
    again = Dataset(**files)
    for name in clinic.names:
        key = clinic.table(name).columns[0]
        written, read = (each.table(name).sort_values(key, ignore_index=True) for each in (clinic, again))
        pd.testing.assert_frame_equal(read, written)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_write_keeps_the_text_of_a_cell_that_could_not_be_read(tmp_path: Path) -> None:
    given = pd.DataFrame(
        {
            "outcome_id": ["O1", "O2"],
            "course_id": ["C1", "C1"],
            "date": ["03/04/2024", "2024-05-06"],
            "instrument": "masi",
            "value": ["-3", "4,5"],
        }
    )
    Dataset(**tables(outcomes=given)).write(tmp_path / "out", file_format="csv")
    written = pd.read_csv(tmp_path / "out" / "outcomes.csv", dtype=str)
    assert written["date"].tolist() == ["03/04/2024", "2024-05-06"]
    assert written["value"].tolist() == ["-3.0", "4,5"]


def test_write_csv_neutralises_what_a_spreadsheet_would_run(tmp_path: Path) -> None:
    events = EVENTS.assign(verbatim=["=1+1", "+49", "-x", "@cmd", "plain"], term="itching")
    Dataset(**tables(adverse_events=events)).write(tmp_path / "out", file_format="csv")
    written = pd.read_csv(tmp_path / "out" / "adverse_events.csv")
    assert written["verbatim"].tolist() == ["'=1+1", "'+49", "'-x", "'@cmd", "plain"]


def test_write_refuses_to_overwrite_and_leaves_nothing_half(tmp_path: Path) -> None:
    clinic = Dataset(**tables())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sessions.parquet").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="exists already"):
        clinic.write(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["sessions.parquet"]
    assert (tmp_path / "out" / "sessions.parquet").read_bytes() == b"mine"


def test_write_cleans_up_when_a_table_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = Dataset(**tables())
    real, full = Dataset._write_table, OSError("disk full")

    def failing(self: Dataset, name: str, path: Path) -> None:
        if name == "sessions":
            raise full
        real(self, name, path)

    monkeypatch.setattr(Dataset, "_write_table", failing)
    with pytest.raises(OSError, match="disk full"):
        clinic.write(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
