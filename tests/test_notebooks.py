"""The notebooks are thin, name nothing of any one clinic, and run from top to bottom."""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from matplotlib import pyplot as plt

from mesostats import reporting
from mesostats.handover import Opened, grouping, hand_over, open_clinic
from mesostats.pages import Page, lessons, make_page, notebooks
from mesostats.simulation import simulate
from mesostats.teaching import Recovery
from mesostats.validation import validate
from mesostats.vocabulary import load_vocabulary

if TYPE_CHECKING:
    from pathlib import Path

REPORT = {each.name: each for each in notebooks()}
LESSONS = {each.name: each for each in lessons()}
NOTEBOOKS = REPORT | LESSONS


def cells(name: str, kind: str) -> list[Any]:
    content = json.loads(NOTEBOOKS[name].read_text(encoding="utf-8"))
    return [cell for cell in content["cells"] if cell["cell_type"] == kind]


def code(name: str) -> str:
    return "\n".join("".join(cell["source"]).rstrip(";") for cell in cells(name, "code"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clinic = simulate(60, seed=1)
    path = tmp_path_factory.mktemp("clinic")
    hand_over(Opened(clinic, ["indication"], validate(clinic), 42), path)
    return path


def test_there_are_four_and_three_lessons() -> None:
    assert [name[:3] for name in REPORT] == ["01_", "02_", "03_", "04_"]
    assert [*LESSONS] == ["00_start_here.ipynb", "05_published_studies.ipynb", "06_recover_the_truth.ipynb"]


def test_lessons_are_no_part_of_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "make_page", lambda notebook, *_: Page(notebook.name, notebook.name, ""))
    html = reporting.report(simulate(40, seed=1), out=tmp_path).read_text(encoding="utf-8")
    assert re.findall(r'section id="(\d\d_\w+).ipynb', html) == [
        name.removesuffix(".ipynb") for name in REPORT
    ]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_thin_and_without_outputs(name: str) -> None:
    found = cells(name, "code")
    assert len(found) <= 24
    assert all(len("".join(cell["source"]).splitlines()) <= 5 for cell in found)
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in found)
    forbidden = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.Lambda, ast.ListComp)
    assert not any(isinstance(node, forbidden) for node in ast.walk(ast.parse(code(name))))


@pytest.mark.parametrize("name", REPORT)
def test_notebook_names_no_code_of_a_clinic(name: str) -> None:
    vocabulary = load_vocabulary()
    codes = {
        *vocabulary.indications,
        *vocabulary.instruments,
        *vocabulary.adverse_events,
        *vocabulary.protocols,
    }
    texts = {node.value for node in ast.walk(ast.parse(code(name))) if isinstance(node, ast.Constant)}
    assert not codes & texts


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_runs(name: str, folder: Path) -> None:
    page = make_page(NOTEBOOKS[name], folder, ("outcomes", "adverse_events"))
    assert not page.failed, page.html
    assert page.html.count('class="output"') + page.html.count("<figure>") >= 2


def test_absent_table_is_said_without_running(folder: Path) -> None:
    page = make_page(NOTEBOOKS["02_response.ipynb"], folder, ("adverse_events",))
    assert not page.failed
    assert "no table &#x27;outcomes&#x27;" in page.html


def test_open_clinic_gives_what_was_handed_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESOSTATS_CLINIC", str(folder))
    clinic, by, quality, endpoint = open_clinic()
    original = simulate(60, seed=1)
    assert (by, endpoint) == (["indication"], 42)
    assert clinic.cutoff == original.cutoff
    assert len(clinic.table("sessions")) == len(original.table("sessions"))
    assert clinic.vocabulary == original.vocabulary
    assert set(quality.defects["found"]) <= {"…"}


def test_grouping_is_by_arm_where_there_is_one_indication() -> None:
    original = simulate(60, seed=1)
    tables = {name: original.table(name) for name in ("patients", "courses", "sessions")}
    one = type(original)(**tables | {"courses": tables["courses"].assign(indication="melasma", arm="A")})
    arms = tables["courses"].assign(
        indication="melasma",
        arm=["A", "B"] * (len(tables["courses"]) // 2) + ["A"] * (len(tables["courses"]) % 2),
    )
    two = type(original)(**tables | {"courses": arms})
    assert (grouping(original, None), grouping(one, None), grouping(two, None)) == (
        ["indication"],
        ["indication"],
        ["arm"],
    )
    with pytest.raises(ValueError, match="did you mean 'arm'"):
        grouping(two, "armm")


@pytest.mark.parametrize("name", [name for name in LESSONS if "published" not in name])
def test_lesson_takes_no_clinic_and_tells_no_result_in_its_text(name: str) -> None:
    """Results stand in outputs only: the text has no decimals and no share; 95 (of intervals) and 1.96 are no results."""
    assert "open_clinic" not in code(name)
    text = "\n".join("".join(cell["source"]) for cell in cells(name, "markdown"))
    assert set(re.findall(r"\d+[.,]\d+|\d+(?= ?%)", text)) <= {"1.96", "95"}


def test_links_of_lessons_lead_to_notebooks() -> None:
    text = "".join("".join(cell["source"]) for cell in cells("00_start_here.ipynb", "markdown"))
    assert set(re.findall(r"\]\(([^)]+)\)", text)) == set(NOTEBOOKS) - {"00_start_here.ipynb"}


def recoveries(seed: int) -> dict[str, Recovery]:
    """Run the code of the lesson on other clinics, and return what it held against the truth."""
    source = code("06_recover_the_truth.ipynb")
    assert source.count("seed=6") == 1
    found: dict[str, Any] = {}
    exec(source.replace("seed=6", f"seed={seed}"), found)  # noqa: S102 - the lesson's own code
    plt.close("all")
    return {name: value for name, value in found.items() if isinstance(value, Recovery)}


@pytest.mark.parametrize("seed", [6, 101, 102])
def test_wrong_analyses_are_off_and_right_ones_recover_the_truth(seed: int) -> None:
    found = recoveries(seed)
    assert [*found] == ["event_rows", "completers", "naive", "censored", "immortal"]
    for each in found.values():
        half = (each.conf_high - each.conf_low) / 2  # two standard errors: four are allowed
        assert each.conf_low - half <= each.truth <= each.conf_high + half, each.mistake
        assert not each.conf_low <= each.wrong <= each.conf_high, each.mistake
        assert abs(each.error(each.wrong)) > 2 * abs(each.error(each.right)), each.mistake


def test_wrong_analyses_are_wrong_by_what_the_scenario_says() -> None:
    """The true values of the wrong questions, from the truth of the simulation."""
    found = recoveries(6)
    truth = simulate(1, seed=1, scenario="classroom").truth
    assert truth is not None
    overall = truth[truth["arm"].isna()]
    event = overall[overall["quantity"] == "event_per_session"].set_index("term")["value"]
    response = overall[overall["quantity"] == "response_completers"].set_index("indication")["value"]
    assert found["event_rows"].truth == event["bruising"]
    assert abs(found["event_rows"].wrong - event["bruising"] / event["any"]) < 0.01
    assert (
        abs(found["completers"].wrong - response["hair_loss_aga"]) < 0.1
    )  # of some 300: 0.09 is three standard errors
    assert (found["naive"].truth, found["immortal"].truth) == (0.95, 1.8)
    assert found["immortal"].wrong < 1 < found["immortal"].right
