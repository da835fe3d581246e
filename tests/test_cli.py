"""The command line: exit statuses and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from mesostats import pages, reporting
from mesostats.cli import main


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    assert main(["simulate", "40", "--out", str(tmp_path / "clinic")]) == 0
    return tmp_path / "clinic"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["validate", "--help"], ["explore", "--help"]]
)
def test_help_ends_with_0(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert "mesostats" in capsys.readouterr().out or arguments == ["--version"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["cook"],
        ["simulate", "many"],
        ["map", "x"],
        ["validate", "no/such/folder"],
        ["explore", "--port", "0"],
        ["explore", "--cutoff", "2024-01-01"],
        ["explore", "no/such/folder"],
        ["explore", "x", "--port", "70000"],
    ],
)
def test_wrong_use_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_unreadable_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(tmp_path)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("mesostats: ")
    assert "patients" in lines[0]


def test_simulate_writes_as_many_patients(clinic: Path) -> None:
    assert len(pd.read_csv(clinic / "patients.csv")) == 40


def test_simulate_refuses_to_overwrite(clinic: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "40", "--out", str(clinic)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_validate_clean_data_ends_with_0(clinic: Path) -> None:
    assert main(["validate", str(clinic)]) == 0


def test_validate_defects_ends_with_1_and_writes_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, table, page = tmp_path / "clinic", tmp_path / "defects.csv", tmp_path / "defects.html"
    assert main(["simulate", "500", "--defects", "--out", str(folder)]) == 0
    assert main(["validate", str(folder), "--csv", str(table), "--html", str(page)]) == 1
    assert set(pd.read_csv(table)["severity"]) == {"error", "warning"}
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [each.stat().st_mode & 0o777 for each in (table, page)] == [0o600, 0o600]
    assert "error" in capsys.readouterr().out


def test_report_of_data_with_errors_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "500", "--defects", "--out", str(tmp_path / "clinic")]) == 0
    assert main(["report", str(tmp_path / "clinic"), "--out", str(tmp_path / "out")]) == 1
    assert "--allow-errors" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_report_says_its_path(
    clinic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reporting, "notebooks", list)
    capsys.readouterr()
    assert main(["report", str(clinic), "--by", "arm,sex", "--out", str(tmp_path / "out")]) == 0
    assert Path(capsys.readouterr().out.strip()).is_file()


@pytest.mark.parametrize("endpoint", ["0", "-7", "week 24", "1.5"])
def test_wrong_endpoint_ends_with_2(clinic: Path, endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(clinic), f"--endpoint={endpoint}"]) == 2
    assert "neither a number of days above 0 nor end_of_course" in capsys.readouterr().err


def test_report_reads_response_at_the_endpoint_given(
    clinic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "notebooks", list)
    assert main(["report", str(clinic), "--endpoint", "84", "--out", str(tmp_path / "out")]) == 0
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "day 84 after the first session" in html


@pytest.mark.parametrize("option", ["--html", "--csv"])
def test_output_that_cannot_be_written_is_one_line_and_leaves_nothing(
    clinic: Path, tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["validate", str(clinic), option, str(tmp_path / "none" / "x")]) == 2
    assert main(["validate", str(clinic), option, str(clinic)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"mesostats: folder '{tmp_path / 'none'}' is not there; make it first"
    assert lines[1] == f"mesostats: '{clinic}' cannot be used: is a directory"
    assert [each.name for each in tmp_path.iterdir()] == ["clinic"]


def test_report_by_unknown_column_ends_with_2(
    clinic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(clinic), "--by", "armm", "--out", str(tmp_path / "out")]) == 2
    assert "did you mean 'arm'" in capsys.readouterr().err


def test_map_drafts_a_mapping(clinic: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["map", "--init", str(clinic / "patients.csv")]) == 0
    assert "patient_id" in capsys.readouterr().out


def test_map_brings_an_export_into_the_tables(tmp_path: Path) -> None:
    export = Path(__file__).parent / "data" / "redcap"
    assert main(["map", str(export), "--mapping", "redcap_example", "--out", str(tmp_path / "clinic")]) == 0
    assert {"patients.csv", "courses.csv", "sessions.csv"} <= {
        each.name for each in (tmp_path / "clinic").iterdir()
    }


def test_report_with_a_broken_notebook_ends_with_1_and_names_it(
    clinic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "09_broken.ipynb"
    cell = {
        "cell_type": "code",
        "id": "1",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "source": "1 / 0",
    }
    title = {"cell_type": "markdown", "id": "0", "metadata": {}, "source": "# Broken"}
    content = {"cells": [title, cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    broken.write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setattr(reporting, "notebooks", lambda: [pages.notebooks()[0], broken])
    assert main(["report", str(clinic), "--out", str(tmp_path / "out")]) == 1
    assert "the part '09_broken' could not be made" in capsys.readouterr().err
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "ZeroDivisionError: division by zero" in html
    assert "What was counted" in html
