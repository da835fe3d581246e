"""The notebooks are thin, name nothing of any one clinic, and run from top to bottom."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any

import pytest

from mesostats.handover import Opened, grouping, hand_over, open_clinic
from mesostats.pages import make_page, notebooks
from mesostats.simulation import simulate
from mesostats.validation import validate
from mesostats.vocabulary import load_vocabulary

if TYPE_CHECKING:
    from pathlib import Path

NOTEBOOKS = {each.name: each for each in notebooks()}


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


def test_there_are_four() -> None:
    assert [name[:3] for name in NOTEBOOKS] == ["01_", "02_", "03_", "04_"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_thin_and_without_outputs(name: str) -> None:
    found = cells(name, "code")
    assert len(found) <= 24
    assert all(len("".join(cell["source"]).splitlines()) <= 5 for cell in found)
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in found)
    forbidden = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.Lambda, ast.ListComp)
    assert not any(isinstance(node, forbidden) for node in ast.walk(ast.parse(code(name))))


@pytest.mark.parametrize("name", NOTEBOOKS)
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
