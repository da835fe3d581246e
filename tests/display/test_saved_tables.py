"""Tables as files: what a reader finds in them when they are opened again."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import course_results as later
import docx
import outcome_results as made
import pandas as pd
import pytest
import schedule_results as schedule
from docx.enum.section import WD_ORIENT
from docx.oxml.ns import qn

from mesostats.exports import save_table
from mesostats.exports.fitting import ACROSS_MM, UPRIGHT_MM, fitted
from mesostats.exports.latex import escaped
from mesostats.exports.printed import Printed, printed
from mesostats.tables import sheet_of, table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from docx.document import Document

    from mesostats.results import Result

RESULTS: dict[str, Callable[[], Result]] = {
    "adherence": schedule.adherence_result,
    "baseline": later.baseline_result,
    "change": made.change_result,
    "compared": made.compared_result,
    "disposition": schedule.disposition_result,
    "doses": later.doses_result,
    "durability": later.lasting_result,
    "flow": schedule.flow_result,
    "histories": schedule.histories_result,
    "methods": made.methods_result,
    "model": schedule.model_result,
    "reasons": lambda: schedule.reasons_result(2),
    "response": made.response_result,
    "subgroups": made.subgroup_result,
    "times": later.times_result,
    "tipping": made.tipping_result,
    "visits": made.visits_result,
}
HARD = "Jäger & Söhne_50 % <0.001 #1 ~x^2 {a} \\b $5 [c] *d -1.0 \u2265 2 \u2013 3 \u2212 4"


def hard_result() -> Result:
    """Return two groups, one with every character that LaTeX, HTML or a spreadsheet could take for a command."""
    rows = [
        schedule.share(3, 10, "response", arm=HARD, note="a note of 50 % & more"),
        schedule.share(0, 0, "response", arm="=1+1", note="nobody_was asked"),
    ]
    return schedule.made(rows, ["arm"], "response", arguments={"by": ["arm"]}, title=HARD)


def ready(result: Result) -> Printed:
    return printed(sheet_of(result), str(result.spec["title"]))


def all_texts(view: Printed) -> list[str]:
    found = [view.title, view.subtitle, *view.heads, *view.sources, *(text for _, text in view.footnotes)]
    found += [span.head.text for span in view.spans] + [block.head for block in view.blocks]
    return [text for text in [*found, *(cell.text for row in view.rows for cell in row)] if text]


@pytest.mark.parametrize("name", RESULTS)
def test_footnotes_bear_the_letters_of_the_table_on_the_screen(name: str) -> None:
    view = ready(RESULTS[name]())
    page = re.sub(r"\s+", " ", table(RESULTS[name]()).as_raw_html())
    notes = re.findall(
        r'class="gt_footnote"[^>]*> ?<span class="gt_footnote_marks"[^>]*>(\w+)</span> ?(.*?) ?</td>', page
    )
    assert [(mark, html.unescape(text)) for mark, text in notes] == view.footnotes
    marks = re.findall(r'<span class="gt_footnote_marks"[^>]*>([\w,]+)</span>', page)
    own = [span.head.marks for span in view.spans] + [cell.marks for row in view.rows for cell in row]
    assert [each for each in own if each] == marks[: len(marks) - len(notes)]


@pytest.mark.parametrize("name", RESULTS)
def test_word_holds_every_text_in_a_real_table(name: str, tmp_path: Path) -> None:
    result = RESULTS[name]()
    document = docx.Document(str(save_table(result, tmp_path / "table.docx")))
    view = ready(result)
    body = document.tables[0]
    assert len(document.tables) == 1
    heads = 1 + bool(view.spans)
    rows = list(body.rows)
    assert len(rows) == heads + sum(len(block.rows) + bool(block.head) for block in view.blocks)
    assert [bool(row._tr.trPr.findall(qn("w:tblHeader"))) for row in rows] == [
        place < heads for place in range(len(rows))
    ]
    assert [cell.text for cell in rows[heads - 1].cells] == view.heads
    written = [[cell.text for cell in row.cells] for row in rows[heads:]]
    expected: list[list[str]] = []
    for block in view.blocks:
        expected += [[block.head] * len(view.heads)] if block.head else []
        expected += [[cell.text + cell.marks for cell in row] for row in block.rows]
    assert written == expected
    beneath = [paragraph.text for paragraph in document.paragraphs]
    assert beneath[-len(view.sources) :] == view.sources
    assert all(f"{mark} {text}" in beneath for mark, text in view.footnotes)


def superscripts(document: Document) -> set[str]:
    cells = [cell for row in document.tables[0].rows for cell in row.cells]
    paragraphs = [*document.paragraphs, *(each for cell in cells for each in cell.paragraphs)]
    return {run.text for each in paragraphs for run in each.runs if run.font.superscript}


def test_word_merges_spanners_sections_and_repeated_heads(tmp_path: Path) -> None:
    result = made.response_result()
    document = docx.Document(str(save_table(result, tmp_path / "table.docx")))
    view = ready(result)
    above = document.tables[0].rows[0]
    widths = [int(cell.grid_span) for cell in above._tr.tc_lst]
    spans = [span.width for span in view.spans]
    assert widths == spans
    assert sum(widths) == len(view.heads)
    assert [cell._tc.vMerge for cell in above.cells[: view.stubs]] == ["restart"] * view.stubs
    sections = docx.Document(str(save_table(schedule.model_result(), tmp_path / "model.docx"))).tables[0]
    merged = [row for row in sections.rows if len(row._tr.tc_lst) == 1]
    assert len(merged) == len(ready(schedule.model_result()).blocks)
    assert all(row.cells[0].paragraphs[0].runs[0].bold for row in merged)


def test_word_raises_the_marks_and_makes_the_quoted_column_bold(tmp_path: Path) -> None:
    document = docx.Document(str(save_table(made.methods_result(), tmp_path / "table.docx")))
    view = ready(made.methods_result())
    assert superscripts(document) == {mark for mark, _ in view.footnotes} | {
        cell.marks for row in view.rows for cell in row if cell.marks
    }
    bold = {
        run.text
        for row in document.tables[0].rows
        for cell in row.cells
        for run in cell.paragraphs[0].runs
        if run.bold
    }
    assert {cell.text for row in view.rows for cell in row if cell.bold} <= bold


def test_word_lies_across_the_page_where_the_table_is_wide(tmp_path: Path) -> None:
    narrow = docx.Document(str(save_table(hard_result(), tmp_path / "narrow.docx"))).sections[0]
    assert narrow.orientation == WD_ORIENT.PORTRAIT
    wide = docx.Document(str(save_table(made.compared_result(3), tmp_path / "wide.docx"))).sections[0]
    assert wide.orientation == WD_ORIENT.LANDSCAPE
    assert (wide.page_width or 0) > (wide.page_height or 0)


@pytest.mark.parametrize("name", RESULTS)
def test_columns_fit_on_the_page(name: str) -> None:
    fit = fitted(ready(RESULTS[name]()))
    assert sum(fit.widths) <= (ACROSS_MM if fit.across else UPRIGHT_MM) + 1e-9
    assert min(fit.widths) > 0


def unescaped(text: str) -> str:
    """Take away the commands that an escaped text may hold, and its escaped characters: what is left LaTeX would run."""
    text = re.sub(r"\\(text\w+|char34|mbox|hspace\*|ldots|cmidrule)(?=\W|$)", "", text)
    text = re.sub(r"\\[\\{}$&#%_,]", "", text)
    return re.sub(r"\$(-|\\\w+|\^\d)\$", "", text)


@pytest.mark.parametrize("name", [*RESULTS, "hard"])
def test_latex_holds_every_text_and_its_braces_and_cells_agree(name: str, tmp_path: Path) -> None:
    result = (RESULTS | {"hard": hard_result})[name]()
    view = ready(result)
    text = save_table(result, tmp_path / "table.tex").read_text(encoding="utf-8")
    bare = re.sub(r"\\[\\{}]", "", "\n".join(line for line in text.splitlines() if not line.startswith("%")))
    depth = [bare[: place + 1].count("{") - bare[: place + 1].count("}") for place in range(len(bare))]
    assert min(depth) >= 0
    assert depth[-1] == 0
    assert all(escaped(each) in text for each in all_texts(view))
    begun, ended = (re.findall(rf"^\\{word}\{{(\w+)\}}", text, re.MULTILINE) for word in ("begin", "end"))
    assert begun == ended[::-1]
    body = text.split("\\endlastfoot\n")[1].split("\\end{longtable}")[0]
    for line in body.splitlines():
        if line.endswith(r" \\") and not line.startswith(r"\multicolumn"):
            assert len(re.findall(r"(?<!\\)&", line)) == len(view.heads) - 1
    assert len(re.findall(r"arraybackslash\}p\{", text.split(r"\caption")[0])) == len(view.heads)


def test_latex_takes_no_text_for_a_command() -> None:
    found = escaped(HARD)
    assert not set("$&#^_~%<>|*\\") & set(re.sub(r"\{\*\}", "", unescaped(found)).replace("{}", ""))
    assert escaped("-1.0 to -\u221e, 2025-06-30, 3\u20135") == r"$-$1.0 to $-$$\infty$, 2025-06-30, 3--5"
    assert escaped("a--b") == r"a-{}-b"


def test_latex_says_what_it_needs_and_repeats_its_head(tmp_path: Path) -> None:
    text = save_table(made.response_result(), tmp_path / "table.tex").read_text(encoding="utf-8")
    packages = set(re.findall(r"^% \\usepackage(?:\[[^]]*\])?\{(.*)\}", text, re.MULTILINE))
    assert {"array,booktabs,longtable,pdflscape"} <= packages
    first, others = text.split(r"\endfirsthead")
    assert first.split(r"\toprule")[1].strip() == others.split(r"\endhead")[0].split(r"\toprule")[1].strip()


def test_html_is_a_page_by_itself(tmp_path: Path) -> None:
    text = save_table(hard_result(), tmp_path / "table.html").read_text(encoding="utf-8")
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert f"<title>{html.escape(HARD)}</title>" in text
    assert "<script" not in text
    assert not re.search(r"(src|href)=|@import|url\(", text)
    assert 'scope="col"' in text
    assert 'scope="row"' in text


@pytest.mark.parametrize("name", RESULTS)
def test_csv_holds_the_estimates_to_the_last_bit(name: str, tmp_path: Path) -> None:
    result = RESULTS[name]()
    numbers = result.estimates.select_dtypes("float").columns
    third = result.estimates.assign(**{each: result.estimates[each] / 3 for each in numbers})
    result = replace(result, estimates=third)
    path = save_table(result, tmp_path / "estimates.csv")
    types: dict[str, Any] = dict.fromkeys(third.columns.difference(numbers), str)
    found = pd.read_csv(path, dtype=types, keep_default_na=False, na_values={each: [""] for each in numbers})
    pd.testing.assert_frame_equal(found[numbers], third[numbers], check_exact=True)
    assert list(found.columns) == list(third.columns)
    texts = third.columns.difference(numbers)
    assert found[texts].equals(third[texts].astype("str"))


def test_csv_holds_no_formula(tmp_path: Path) -> None:
    text = save_table(hard_result(), tmp_path / "estimates.csv").read_text(encoding="utf-8")
    assert [line.split(",")[0] for line in text.splitlines()][-1] == "'=1+1"


def test_title_and_most_are_those_of_the_table(tmp_path: Path) -> None:
    rows = [schedule.share(n, 10, "incidence_proportion", term=f"term_{n}") for n in range(1, 6)]
    result = schedule.made(rows, ["term"], "adverse_event_rates", arguments={"by": [], "of": "term"})
    text = save_table(result, tmp_path / "table.tex", title="My title", most=2).read_text(encoding="utf-8")
    assert r"\textbf{My title}" in text
    assert "Term 5" in text
    assert "Term 3" not in text
    with pytest.raises(ValueError, match="must be 1 or more"):
        save_table(result, tmp_path / "none.docx", most=0)
    assert [each.name for each in tmp_path.iterdir()] == ["table.tex"]


def test_nothing_to_show_is_a_table_too(tmp_path: Path) -> None:
    empty = schedule.made([schedule.share(1, 2, "response")], [], "response")
    empty = replace(empty, estimates=empty.estimates.iloc[:0])
    for ending in ("docx", "tex", "html", "csv"):
        assert save_table(empty, tmp_path / f"table.{ending}").stat().st_size > 0
    assert "nothing to show" in (tmp_path / "table.tex").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["table.pdf", "table"])
def test_unknown_endings_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.html, \.tex, \.docx, \.csv are known"):
        save_table(made.response_result(), tmp_path / name)
    assert not list(tmp_path.iterdir())
