"""The published counts, what they say, and the notebook that recomputes them."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING

import pytest

from mesostats.estimators import fisher_p, proportion, risk_difference
from mesostats.pages import lessons, make_page, notebooks
from mesostats.published import published_studies

if TYPE_CHECKING:
    from pathlib import Path

STUDIES = published_studies()
NOTEBOOK = next(each for each in lessons() if each.name.startswith("05"))


def counts(study: str, outcome: str = "") -> list[tuple[int, int]]:
    rows = STUDIES[STUDIES["study"].eq(study) & STUDIES["outcome"].str.contains(outcome)]
    return list(zip(rows["count"], rows["n"], strict=True))


def test_counts_are_the_published_ones() -> None:
    assert counts("Moftah 2013") == [(54, 86), (7, 40)]
    assert counts("Saceda-Corralo 2022") == [(33, 86), (246, 541), (0, 541)]
    assert counts("Naumann 2001", "week 16") == [(198, 242), (16, 78)]
    assert counts("NCT01032889") == [(8, 41), (15, 43), (3, 45)]
    assert counts("Palmer 2006") == [(15, 10581)]
    label = STUDIES[STUDIES["study"] == "Deoxycholic acid label"]
    assert label.groupby("role")["n"].unique().map(list).to_dict() == {"treated": [513], "reference": [506]}
    assert label.groupby("role")["count"].sum().to_dict() == {"treated": 1913, "reference": 911}


def test_every_row_is_whole() -> None:
    assert (STUDIES["count"] <= STUDIES["n"]).all()
    assert (STUDIES["n"] <= STUDIES["started"]).all()
    assert set(STUDIES["role"]) == {"treated", "reference"}
    assert set(STUDIES["unit"]) == {"patients", "treatments"}
    assert STUDIES["source"].ne("").all()
    assert not STUDIES.duplicated(["study", "outcome", "arm"]).any()


def test_printed_percentages_are_those_of_the_counts_but_for_one() -> None:
    printed = STUDIES[STUDIES["percent"] != ""]
    decimals = printed["percent"].str.partition(".")[2].str.len()
    off = (100 * printed["count"] / printed["n"] - printed["percent"].astype(float)).abs()
    wrong = printed[off > 0.5 * 10.0**-decimals + 1e-9]
    assert wrong[["outcome", "count", "n", "percent"]].to_numpy().tolist() == [["pain", 356, 513, "70"]]


def test_no_one_test_gives_both_p_values_of_release() -> None:
    one, two = counts("RELEASE-1"), counts("RELEASE-2")
    cells = [[one[0][0], two[0][0]], [one[0][1], two[0][1]], [one[1][0], two[1][0]], [one[1][1], two[1][1]]]
    assert fisher_p(*cells).round(3).tolist() == [0.006, 0.003]
    assert risk_difference(*cells)["p_value"].round(3).tolist() == [0.005, 0.002]


def test_what_the_notebook_says_of_denominators() -> None:
    shares = proportion([33, 33, 33 + 541 - 86], [86, 541, 541])["estimate"].round(3).tolist()
    assert shares == [0.384, 0.061, 0.902]
    differences = risk_difference([6, 6], [23, 30], [12, 12], [29, 30])
    assert differences["estimate"].round(2).tolist() == [-0.15, -0.20]
    assert differences[["conf_low", "conf_high"]].round(2).iloc[0].tolist() == [-0.39, 0.11]


def test_no_report_holds_the_lesson() -> None:
    assert NOTEBOOK.name == "05_published_studies.ipynb"
    assert NOTEBOOK.name not in [each.name for each in notebooks()]


def test_the_notebook_is_thin_and_without_outputs() -> None:
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    found = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    assert len(found) <= 24
    assert all(len("".join(cell["source"]).splitlines()) <= 5 for cell in found)
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in found)
    code = "\n".join("".join(cell["source"]).rstrip(";") for cell in found)
    forbidden = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.Lambda, ast.ListComp)
    assert not any(isinstance(node, forbidden) for node in ast.walk(ast.parse(code)))


def test_the_notebook_runs_without_a_clinic(tmp_path: Path) -> None:
    page = make_page(NOTEBOOK, tmp_path, ())
    assert not page.failed, page.html
    assert page.html.count("gt_table") >= 4
    assert page.html.count("<figure>") == 1
    assert "FutureWarning" not in page.html


@pytest.mark.parametrize("text", ["69.40%", "90.2%", "2.5e-06"])
def test_the_notebook_shows_what_disagrees(text: str, tmp_path: Path) -> None:
    assert text in make_page(NOTEBOOK, tmp_path, ()).html
