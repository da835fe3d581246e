"""A table as a Word document: a real table, with its head repeated on each page and its notes beneath."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import docx
from docx.enum.section import WD_ORIENT
from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt

from mesostats.exports.fitting import PADDING_MM, fitted
from mesostats.exports.printed import Text, repeated

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from docx.document import Document
    from docx.table import Table, _Cell, _Row
    from docx.text.paragraph import Paragraph

    from mesostats.exports.fitting import Fit
    from mesostats.exports.printed import Printed

_TYPEFACE: Final = "Arial"
_MARGIN_MM: Final = 20
_SHORT_MM: Final = 210
_LONG_MM: Final = 297
_TWIPS: Final = 56.7
_RULE: Final = 8
_THIN: Final = 4
_TITLE_POINTS: Final = 11.0
_BORDERS: Final = ("top", "bottom")


def write_word(table: Printed, path: Path) -> None:
    """Write a table as a Word document.

    Parameters
    ----------
    table
        The table.
    path
        The file.
    """
    fit = fitted(table)
    document = docx.Document()
    _set_page(document, fit)
    _describe(document, table.title)
    _heading(document, table)
    _write_table(document, table, fit)
    for mark, text in table.footnotes:
        _note(document, text, mark, fit)
    for text in table.sources:
        _note(document, text, "", fit)
    document.save(str(path))


def _set_page(document: Document, fit: Fit) -> None:
    section = document.sections[0]
    sides = (Mm(_LONG_MM), Mm(_SHORT_MM)) if fit.across else (Mm(_SHORT_MM), Mm(_LONG_MM))
    section.page_width, section.page_height = sides
    section.orientation = WD_ORIENT.LANDSCAPE if fit.across else WD_ORIENT.PORTRAIT
    for side in ("left", "right", "top", "bottom"):
        setattr(section, f"{side}_margin", Mm(_MARGIN_MM))
    style: Any = document.styles["Normal"]
    style.font.name = _TYPEFACE
    style.font.size = Pt(fit.points)
    style.paragraph_format.space_after = Pt(0)


def _describe(document: Document, title: str) -> None:
    """Fill in the document's properties: those of the library's template are of another document."""
    properties = document.core_properties
    properties.title, properties.author, properties.comments = title, "", ""
    properties.created = properties.modified = dt.datetime.now(tz=dt.UTC)


def _heading(document: Document, table: Printed) -> None:
    for text, bold in ((table.title, True), (table.subtitle, False)):
        if text:
            paragraph = document.add_paragraph()
            run = paragraph.add_run(text)
            run.bold, run.font.size = bold, Pt(_TITLE_POINTS)
            paragraph.paragraph_format.keep_with_next = True
            paragraph.paragraph_format.space_after = Pt(4)


def _write_table(document: Document, table: Printed, fit: Fit) -> None:
    heads = 1 + bool(table.spans)
    lines = sum(len(block.rows) + bool(block.head) for block in table.blocks)
    view = document.add_table(rows=heads + lines, cols=len(table.heads))
    view.alignment, view.autofit = WD_TABLE_ALIGNMENT.LEFT, False
    _set_widths(view, fit, table.title)
    rows = list(view.rows)
    _write_head(view, rows[:heads], table)
    _write_blocks(rows[heads:], table)
    for row in rows:
        _mark(row, "w:cantSplit")
    for row in rows[:-1] if len(rows) <= heads + 2 else rows[:heads]:
        _keep_with_next(row)
    _rule(rows[-1], "bottom", _RULE)


def _set_widths(view: Table, fit: Fit, title: str) -> None:
    for column, width in zip(view.columns, fit.widths, strict=True):
        column.width = Mm(width)
    for row in view.rows:
        for cell, width in zip(row.cells, fit.widths, strict=True):
            cell.width = Mm(width)
    margins: Any = OxmlElement("w:tblCellMar")
    for side in ("left", "right"):
        margin: Any = OxmlElement(f"w:{side}")
        margin.set(qn("w:w"), f"{PADDING_MM * _TWIPS:.0f}")
        margin.set(qn("w:type"), "dxa")
        margins.append(margin)
    properties: Any = view._tbl.tblPr  # noqa: SLF001 - the library has no name for a table's margins and its description
    properties.find(qn("w:tblLook")).addprevious(margins)
    caption: Any = OxmlElement("w:tblCaption")
    caption.set(qn("w:val"), title)
    properties.append(caption)


def _write_head(view: Table, rows: Sequence[_Row], table: Printed) -> None:
    """Write the heads, merged over the columns that they span and down where nothing spans; repeated on each page."""
    above, below = rows[0].cells, rows[-1].cells
    _rule(rows[0], "top", _RULE)
    _rule(rows[-1], "bottom", _THIN)
    for span in table.spans:
        first, last = above[span.start], above[span.start + span.width - 1]
        if span.head.text:
            _fill(first.merge(last), span.head._replace(bold=True), WD_ALIGN_PARAGRAPH.CENTER)
        else:
            first.merge(below[span.start])
    spanned = [place for place, span in enumerate(table.spans) if span.head.text]
    if spanned:
        _rule(rows[0], "bottom", _THIN, spanned)
    for place, head in enumerate(table.heads):
        cell = view.cell(len(rows) - 1, place)
        _fill(cell, Text(head, bold=True), _side(table, place))
    for row in rows:
        _mark(row, "w:tblHeader")


def _write_blocks(rows: list[_Row], table: Printed) -> None:
    """Write the rows under the heads of their blocks; heads that many rows share are merged downwards."""
    lines = iter(rows)
    for block in table.blocks:
        if block.head:
            cells = (row := next(lines)).cells
            _fill(cells[0].merge(cells[-1]), Text(block.head, bold=True), WD_ALIGN_PARAGRAPH.LEFT)
            _keep_with_next(row)
            cells[0].paragraphs[0].paragraph_format.space_before = Pt(5)
        firsts: list[_Cell] = []
        for skipped, texts in zip(repeated(block, table.stubs), block.rows, strict=True):
            cells = next(lines).cells
            firsts = [*firsts[:skipped], *cells[skipped : table.stubs]]
            for place, (cell, text) in enumerate(zip(cells, texts, strict=True)):
                if place < skipped:
                    firsts[place].merge(cell)
                else:
                    _fill(cell, text, _side(table, place))


def _side(table: Printed, place: int) -> Any:
    wordy = place < table.stubs or place in table.wordy
    return WD_ALIGN_PARAGRAPH.LEFT if wordy else WD_ALIGN_PARAGRAPH.RIGHT


def _fill(cell: _Cell, text: Text, side: Any) -> None:
    paragraph = cell.paragraphs[0]
    paragraph.alignment = side
    paragraph.paragraph_format.space_before = paragraph.paragraph_format.space_after = Pt(1.5)
    if text.indented:
        paragraph.paragraph_format.left_indent = Mm(4)
    _write(paragraph, text)


def _write(paragraph: Paragraph, text: Text) -> None:
    paragraph.add_run(text.text).bold = text.bold
    if text.marks:
        paragraph.add_run(text.marks).font.superscript = True


def _note(document: Document, text: str, mark: str, fit: Fit) -> None:
    paragraph = document.add_paragraph()
    paragraph.paragraph_format.space_before = Pt(2)
    if mark:
        paragraph.add_run(mark).font.superscript = True
    run = paragraph.add_run(f" {text}" if mark else text)
    run.font.size = Pt(min(8.0, fit.points))


def _mark(row: _Row, name: str) -> None:
    """Set a property of a row that the library has no name for."""
    row._tr.get_or_add_trPr().append(OxmlElement(name))  # noqa: SLF001 - as above


def _keep_with_next(row: _Row) -> None:
    for cell in row.cells:
        for paragraph in cell.paragraphs:
            paragraph.paragraph_format.keep_with_next = True


def _rule(row: _Row, side: str, eighths: int, places: Sequence[int] = ()) -> None:
    """Draw a line along a row, or along some of its cells, so many eighths of a point thick."""
    cells = row._tr.tc_lst  # noqa: SLF001 - the row's own cells: of merged ones the library gives the first
    for cell in [cells[place] for place in places] or cells:
        properties: Any = cell.get_or_add_tcPr()
        borders: Any = properties.find(qn("w:tcBorders"))
        if borders is None:
            borders = OxmlElement("w:tcBorders")
            properties.append(borders)
        line: Any = OxmlElement(f"w:{side}")
        for name, value in (("val", "single"), ("sz", str(eighths)), ("color", "444444")):
            line.set(qn(f"w:{name}"), value)
        borders.append(line)
