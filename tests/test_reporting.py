"""The report: one file, nothing from the network, refused where the data have errors."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from mesostats import pages, reporting
from mesostats.errors import DataError
from mesostats.reporting import build, report
from mesostats.simulation import simulate

if TYPE_CHECKING:
    from pathlib import Path


class Document(HTMLParser):
    """Collects the ids and the addresses that a document would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"src", "href", "data", "poster", "srcset", "action"}:
                (self.links if tag == "a" else self.loaded).append(value or "")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = report(simulate(60, seed=1), out=tmp_path_factory.mktemp("out"))
    return path.read_text(encoding="utf-8")


def test_report_loads_nothing(text: str) -> None:
    document = Document(text)
    assert document.loaded
    assert all(address.startswith("data:") for address in document.loaded)
    assert all(address.startswith("#") for address in document.links)
    assert "<script" not in text
    assert not re.search(r"@import|url\(", text)


def test_report_ids_are_unique_and_its_contents_lead_somewhere(text: str) -> None:
    document = Document(text)
    assert len(document.ids) == len(set(document.ids))
    assert {link.removeprefix("#") for link in document.links} <= set(document.ids)


def test_report_begins_with_the_clinic_and_ends_with_the_manifest(text: str) -> None:
    assert "Data cut: <strong>2025-06-30</strong>" in text
    assert "<td>patients</td><td>60</td>" in text
    assert re.search(r"sha256 of sessions</td><td>[0-9a-f]{64}</td>", text)
    assert text.index("In numbers") < text.index('id="01_data_quality"') < text.index('id="manifest"')


def test_report_shows_no_patient_id(text: str) -> None:
    ids = simulate(60, seed=1).table("patients")["patient_id"]
    assert not any(each in text for each in ids)


def test_data_with_errors_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no report was written: .* errors .*mesostats validate"):
        report(simulate(500, seed=1, defects=True), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_allowed_errors_stand_on_the_first_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "notebooks", list)
    path = report(simulate(500, seed=1, defects=True), out=tmp_path, allow_errors=True)
    assert "The data have errors" in path.read_text(encoding="utf-8")
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_failed_notebook_leaves_its_message_and_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = pages.notebooks()[0].read_text(encoding="utf-8")
    bad = tmp_path / "05_bad.ipynb"
    bad.write_text(source.replace("ms.open_clinic()", "ms.open_clinic(1)"), encoding="utf-8")
    monkeypatch.setattr(reporting, "notebooks", lambda: [pages.notebooks()[0], bad])
    built = build(simulate(40, seed=1), out=tmp_path / "out")
    html = built.path.read_text(encoding="utf-8")
    assert built.failed == ["05_bad"]
    assert "This part could not be made. TypeError" in html
    assert "Traceback" not in html
    assert "What was counted" in html


def test_clinic_without_optional_tables_has_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = simulate(40, seed=1)
    bare = type(full)(**{name: full.table(name) for name in ("patients", "courses", "sessions")})
    monkeypatch.setattr(reporting, "notebooks", lambda: pages.notebooks()[1:3])
    built = build(bare, out=tmp_path)
    html = built.path.read_text(encoding="utf-8")
    assert built.failed == []
    assert html.count("there is nothing to show") == 2
    assert "Still in treatment" in html


def test_endpoint_reaches_the_first_page_the_notebook_and_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "notebooks", lambda: pages.notebooks()[1:2])
    html = report(simulate(60, seed=1), out=tmp_path, endpoint=84).read_text(encoding="utf-8")
    assert "Response is read on day 84 after the first session." in html
    assert "Endpoint: assessment nearest to day 84 after the first session" in html
    assert "<td>endpoint</td><td>84</td>" in html


@pytest.mark.parametrize("endpoint", [0, True, "week 24"])
def test_wrong_endpoint_is_refused(tmp_path: Path, endpoint: Any) -> None:
    with pytest.raises(ValueError, match="'end_of_course' or a number of days above 0"):
        report(simulate(20, seed=1), out=tmp_path, endpoint=endpoint)


def test_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    with pytest.raises(NotADirectoryError, match="is a file; give a folder"):
        report(simulate(20, seed=1), out=tmp_path / "out")
    assert (tmp_path / "out").read_text(encoding="utf-8") == "mine"


def test_unknown_grouping_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="did you mean 'indication'"):
        report(simulate(20, seed=1), out=tmp_path, by="indicaton")
