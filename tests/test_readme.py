"""The documents tell the truth: their sessions print what they show, their files load, their commands and links exist."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
import yaml
from matplotlib import pyplot as plt

import mesostats as ms
from mesostats.cli import _parser
from mesostats.exploring.questions import QUESTIONS
from mesostats.mapping import load_mapping

ROOT = Path(__file__).parents[1]
DOCUMENTS = ["README.md", "CONTRIBUTING.md"]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<kind>\w+)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)


def blocks(document: str, kind: str) -> list[str]:
    """Return the fenced blocks of one kind, without the indent of the list that they stand in."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return [
        re.sub(rf"^{each['indent']}", "", each["body"], flags=re.MULTILINE)
        for each in FENCE.finditer(text)
        if each["kind"] == kind
    ]


def commands(document: str, program: str) -> list[str]:
    lines = "".join(blocks(document, "sh")).splitlines()
    return [line for line in lines if line.split()[:1] == [program]]


YAML = [block for document in DOCUMENTS for block in blocks(document, "yaml")]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_python_sessions_print_what_they_show(document: str) -> None:
    sessions = [block for block in blocks(document, "python") if block.startswith(">>>")]
    parts = "\n".join(sessions)
    test = doctest.DocTestParser().get_doctest(parts, {}, document, document, 0)
    with pd.option_context("display.width", 80):
        found = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test)
    plt.close("all")
    assert found.attempted > 3
    assert found.failed == 0


def test_the_quick_start_writes_table_figure_and_methods(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (start,) = (block for block in blocks("README.md", "python") if block.startswith("import"))
    monkeypatch.chdir(tmp_path)
    exec(compile(start, "quick_start.py", "exec"), {})  # noqa: S102 - our own document
    assert len([line for line in start.splitlines() if line]) == 5
    assert {path.name for path in tmp_path.iterdir()} == {"response.docx", "retention.png"}
    assert "log-rank test" in capsys.readouterr().out
    plt.close("all")


def test_the_analysis_of_contributing_keeps_the_contract() -> None:
    (module,) = (block for block in blocks("CONTRIBUTING.md", "python") if "def no_shows" in block)
    names: dict[str, object] = {}
    exec(compile(module, "no_shows.py", "exec"), names)  # noqa: S102 - our own document
    clinic = ms.simulate(200, seed=1)
    sessions, courses = clinic.table("sessions"), clinic.table("courses").set_index("course_id")
    missed = sessions.loc[sessions["status"] == "no_show", "course_id"].unique()
    expected = courses["indication"].loc[missed].value_counts()

    result = names["no_shows"](clinic, by="indication")  # type: ignore[operator]

    for group, all_courses in courses["indication"].value_counts().items():
        row, rows = result.cell(indication=group), result.explain(indication=group)
        assert row["denominator"] == rows["in_denominator"].sum() == all_courses
        assert row["numerator"] == rows["in_numerator"].sum() == expected.get(group, 0)
    assert "missed visit" in ms.table(result).as_raw_html()
    assert "missed visit" in "".join(ms.plot(result).get_title(loc=place) for place in ("left", "center"))
    plt.close("all")


def test_documents_show_files() -> None:
    assert len(YAML) >= 5


@pytest.mark.parametrize("block", YAML, ids=lambda block: block.splitlines()[0])
def test_files_are_accepted(block: str, tmp_path: Path) -> None:
    """The first line names the file: a vocabulary overlay, or a mapping."""
    name = block.splitlines()[0].removeprefix("# ")
    (tmp_path / name).write_text(block, encoding="utf-8")
    content = yaml.safe_load(block)
    if "tables" in content:
        assert set(load_mapping(tmp_path / name).tables) == set(content["tables"])
    else:
        entries = getattr(ms.load_vocabulary(overlay_of(tmp_path)), name.removesuffix(".yaml"))
        assert all(set(own) <= entries[code].model_fields_set for code, own in content["entries"].items())


def overlay_of(folder: Path) -> Path:
    """Return the folder, completed by the new indication that the instrument of the recipe is for."""
    indications = next(block for block in YAML if block.startswith("# indications.yaml"))
    (folder / "indications.yaml").write_text(indications, encoding="utf-8")
    return folder


def test_readme_overlay_scores_the_scale_that_had_no_direction(tmp_path: Path) -> None:
    (block,) = blocks("README.md", "yaml")
    (tmp_path / "instruments.yaml").write_text(block, encoding="utf-8")
    own = ms.load_vocabulary(tmp_path).instruments["gais"]
    assert ms.load_vocabulary().instruments["gais"].direction is None
    assert own.direction == "lower_is_better"
    assert own.responder is not None
    assert own.responder.describe() == "2 or better"


@pytest.mark.parametrize(
    "command", [line for document in DOCUMENTS for line in commands(document, "mesostats")]
)
def test_commands_are_those_of_the_command_line(command: str) -> None:
    words = shlex.split(command.partition(">")[0], comments=True)
    assert _parser().parse_args(words[1:]).run


@pytest.mark.parametrize("document", DOCUMENTS)
def test_make_targets_exist(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    spans = "\n".join([*re.findall(r"`([^`\n]+)`", text), *blocks(document, "sh")])
    named = set(re.findall(r"^make ([a-z]+)", spans, re.MULTILINE))
    assert named >= {"report", "test"} or document != "README.md"
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / document).read_text(encoding="utf-8"))
    assert links
    for link in links:
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_the_readme_counts_the_questions_of_the_explorer() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count(f"{len(QUESTIONS)} questions") == 2
