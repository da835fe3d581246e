"""The report: one file, nothing from the network, refused where the data have errors."""

from __future__ import annotations

import contextlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from rich.progress import Progress

from mesostats import pages, reporting
from mesostats.errors import DataError
from mesostats.front_page import front_page
from mesostats.handover import Opened
from mesostats.headlines import HEADLINES, cautions, headlines
from mesostats.outcomes.responders import response
from mesostats.pages import Page
from mesostats.reporting import build, report
from mesostats.simulation import simulate
from mesostats.validation import validate

if TYPE_CHECKING:
    from mesostats.dataset import Dataset


class Document(HTMLParser):
    """Collects the ids and the addresses that a document would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.alternatives: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "alt":
                self.alternatives.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name in {"src", "href", "data", "poster", "srcset", "action"}:
                (self.links if tag == "a" else self.loaded).append(value or "")


@pytest.fixture(scope="module")
def text(small_report: Path) -> str:
    return small_report.read_text(encoding="utf-8")


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


def test_each_picture_says_in_words_what_it_shows(text: str) -> None:
    told = Document(text).alternatives
    assert len(told) >= 15
    assert len(told) == len(set(told))
    assert all(len(each) > 40 and each.endswith((".", ")")) for each in told)
    started = [each for each in told if each.startswith("Flow diagram. ")]
    patients = simulate(60, seed=1)
    assert len(started) == 1
    assert f"Courses: {len(patients.table('courses'))} started" in started[0]


def test_report_begins_with_the_clinic_and_ends_with_the_manifest(text: str) -> None:
    assert "data cut: <strong>2025-06-30</strong>" in text
    assert "<dt>Patients treated</dt><dd>60</dd>" in text
    assert re.search(r"sha256 of sessions</td><td[^>]*>[0-9a-f]{64}</td>", text)
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
    assert 'class="absent">Responders; Responders of those assessed: ' in html
    assert 'class="absent">Patients with a side effect; Patients with a serious one: ' in html
    assert "Arms compared" not in html


def test_endpoint_reaches_the_first_page_the_notebook_and_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "notebooks", lambda: pages.notebooks()[1:2])
    html = report(simulate(60, seed=1), out=tmp_path, endpoint=84).read_text(encoding="utf-8")
    assert "Response is read on day 84 after the first session;" in html
    assert "Endpoint: assessment nearest to day 84 after the first session" in html
    assert re.search(r"endpoint</td><td[^>]*>84</td>", html)


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


def test_methods_are_collected_before_the_manifest_with_one_list_of_references(text: str) -> None:
    methods = text[text.index('<section id="methods">') : text.index('<section id="manifest">')]
    assert text.count("<h2>References</h2>") == 1
    cited = {int(n) for found in re.findall(r"\[([\d,]+)\]", methods) for n in found.split(",")}
    assert cited == set(range(1, methods.count("<li>") + 1))
    assert text.count('in the chapter <a href="#methods">Methods</a>') == 4
    for chapter in ("Response", "Side effects", "Dropout and visits", "Statistical analysis", "Software"):
        assert methods.count(f"<h2>{chapter}</h2>") == 1


def test_front_page_quotes_the_analyses() -> None:
    clinic = simulate(60, seed=1)
    opened = Opened(clinic, ["indication"], validate(clinic))
    row = response(clinic, by="indication").cell(indication="melasma", estimand="response_treated")
    html = front_page(opened)
    shown = f"<strong>{100 * row['estimate']:.1f}</strong>"
    melasma = html[html.index('<th scope="row">Melasma</th>') :].split("</tr>")[0]
    assert shown in melasma
    assert f"{row['numerator']:.0f}/{row['denominator']:.0f}" in melasma
    assert (
        melasma.count("<td")
        == len(HEADLINES)
        == html.count('<a href="#0') - html.count("<h2><a") - html.count("The part <a")
    )


def test_cautions_count_what_the_tables_hold() -> None:
    clinic = simulate(60, seed=1)
    opened = Opened(clinic, ["indication"], validate(clinic))
    sessions, courses = clinic.table("sessions"), clinic.table("courses")
    attended = sessions[sessions["status"].eq("attended")]
    silent = int(attended["adverse_events_asked"].ne("yes").sum())
    said = " ".join(cautions(opened, headlines(opened)))
    assert f"In {silent} of {len(attended)} attended sessions" in said
    assert "have no protocol" not in said
    tables = {name: clinic.table(name) for name in ("patients", "sessions")}
    planless = courses.assign(protocol=courses["protocol"].where(courses.index >= 5))
    other = type(clinic)(**tables, courses=planless, cutoff=clinic.cutoff)
    opened = Opened(other, ["indication"], validate(other))
    said = " ".join(cautions(opened, headlines(opened)))
    assert f"5 of {len(courses)} courses" in said
    assert "could not be evaluated" not in said


def with_second_instrument(clinic: Dataset, first: str, second: str) -> Opened:
    """Return a clinic that assessed with one instrument, and whenever it did, with a second one too."""
    tables = {name: clinic.table(name) for name in clinic.names}
    rows = tables["outcomes"][tables["outcomes"]["instrument"].eq(first)]
    copies = rows.assign(instrument=second, outcome_id="second-" + rows["outcome_id"])
    tables["outcomes"] = pd.concat([rows, copies], ignore_index=True)
    return Opened(type(clinic)(**tables, cutoff=clinic.cutoff), ["indication"], validate(clinic))


def test_group_with_two_instruments_names_them_and_counts_an_endpoint_each() -> None:
    clinic = simulate(60, seed=1)
    opened = with_second_instrument(clinic, "hdss", "gravimetry")
    found = headlines(opened)
    row = response(clinic, by="indication").cell(indication="hyperhidrosis", estimand="response_treated")
    due, missing = row["denominator"], row["n_missing"]
    assert missing > 0
    quoted = [each.counts for each in found.rows["Excessive sweating"]["Responders, %"]]
    assert [text.partition(", ")[2] for text in quoted] == [
        "Sweat by gravimetry",
        "Hyperhidrosis Disease Severity Scale",
    ]
    said = " ".join(cautions(opened, found))
    assert f"{2 * missing:.0f} of {2 * due:.0f} endpoints due, one a course and instrument, (" in said
    assert f"most in Excessive sweating · Sweat by gravimetry ({missing:.0f} of {due:.0f})" in said


def test_instrument_without_a_rule_makes_nobody_a_non_responder() -> None:
    clinic = simulate(60, seed=1)
    row = response(clinic, by="indication").cell(indication="hair_loss_aga", estimand="response_treated")
    opened = with_second_instrument(clinic, "pull_test", "hair_density")
    said = " ".join(cautions(opened, headlines(opened)))
    assert f"{row['n_missing']:.0f} of {row['denominator']:.0f} courses due (" in said
    assert "Hair density" not in said


def test_front_page_of_a_clinic_before_its_first_session() -> None:
    clinic = simulate(20, seed=1).with_cutoff("2000-01-01")
    html = front_page(Opened(clinic, ["indication"], validate(clinic)))
    assert "<dt>Sessions attended</dt><dd>0</dd>" in html
    assert "nan" not in html


def test_arms_are_compared_on_the_first_page(text: str) -> None:
    page = text[: text.index("<main>")]
    assert "<h2>Arms compared</h2>" in page
    assert re.search(r"[AB] against [AB]", page)


@pytest.mark.parametrize("failing", [False, True])
def test_progress_names_the_notebook_and_ends_full(monkeypatch: pytest.MonkeyPatch, *, failing: bool) -> None:
    seen: list[str] = []

    def page(notebook: Any, *_: Any) -> Page:
        seen.append(str(progress.tasks[0].description))
        if failing:
            raise RuntimeError
        return Page(notebook.name, notebook.name, "")

    monkeypatch.setattr(reporting, "make_page", page)
    progress = Progress(disable=True)
    tracker = reporting._Tracker(progress, 2)
    for notebook in pages.notebooks()[:2]:
        with contextlib.suppress(RuntimeError):
            tracker.follow(notebook, Path(), ())
    assert seen == ["Running 01_data_quality", "Running 02_response"]
    assert (progress.tasks[0].completed, progress.tasks[0].description) == (2, "Joining the parts")
