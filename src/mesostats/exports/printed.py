"""A sheet made ready for paper: every cell with its footnote marks, rows in their blocks, heads over their columns."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise, takewhile
from string import ascii_lowercase
from typing import TYPE_CHECKING, NamedTuple

from mesostats.tables.sheet import SECTION

if TYPE_CHECKING:
    from mesostats.tables.sheet import Column, Sheet

_SPANNERS = -1


class Text(NamedTuple):
    """A text of a table, and the marks of its footnotes."""

    text: str
    marks: str = ""
    bold: bool = False
    indented: bool = False


class Span(NamedTuple):
    """What spans neighbouring columns: nothing over a column by itself; from ``start`` over ``width`` columns."""

    head: Text
    start: int
    width: int


class Block(NamedTuple):
    """Rows, and what heads them, which may be nothing."""

    head: str
    rows: list[list[Text]]


@dataclass(frozen=True)
class Printed:
    """A table as it stands on paper.

    Parameters
    ----------
    title, subtitle
        What heads it.
    spans
        What spans columns; empty where nothing does.
    heads
        What heads each column, those of the rows' heads first.
    stubs
        How many columns hold the rows' heads.
    wordy
        The columns that hold sentences.
    blocks
        The rows.
    footnotes
        A mark and a text each, in the order of their marks.
    sources
        The texts beneath them.
    """

    title: str
    subtitle: str
    spans: list[Span]
    heads: list[str]
    stubs: int
    wordy: tuple[int, ...]
    blocks: list[Block]
    footnotes: list[tuple[str, str]]
    sources: list[str]

    @property
    def rows(self) -> list[list[Text]]:
        """The rows of all blocks."""
        return [row for block in self.blocks for row in block.rows]


def printed(sheet: Sheet, title: str) -> Printed:
    """Make a sheet ready for paper.

    Parameters
    ----------
    sheet
        The texts.
    title
        What heads it.

    Returns
    -------
    Printed
        Footnotes bear letters in reading order, as in the table on the screen.
    """
    marks = _marks(sheet)
    stubs = len(sheet.stub)
    return Printed(
        title=title,
        subtitle=sheet.subtitle,
        spans=_spans(sheet, marks),
        heads=[*sheet.stub.values(), *(column.label for column in sheet.columns)],
        stubs=stubs,
        wordy=tuple(place for place, column in enumerate(sheet.columns, start=stubs) if column.wordy),
        blocks=_blocks(sheet, marks),
        footnotes=[(mark, text) for text, mark in marks.items()],
        sources=list(sheet.sources),
    )


def repeated(block: Block, stubs: int) -> list[int]:
    """Return, for each row of a block, how many of its first heads are those of the row above; never the last head.

    Parameters
    ----------
    block
        The rows.
    stubs
        How many columns hold their heads.

    Returns
    -------
    list of int
    """
    found = [0] if block.rows else []
    for above, row in pairwise(block.rows):
        alike = takewhile(lambda place: above[place].text == row[place].text, range(stubs - 1))  # noqa: B023 - used at once
        found.append(len(list(alike)))
    return found


def _marks(sheet: Sheet) -> dict[str, str]:
    """Give each footnote its letter: spanners first, then row by row from the left; after z comes aa."""
    keys = ["", *(column.key for column in sheet.columns)]
    spanners = [column.spanner for column in sheet.columns]
    firsts = []
    for note in sheet.footnotes:
        places = [(row, keys.index(key)) for key, rows in note.cells.items() for row in rows]
        places += [(_SPANNERS, spanners.index(text)) for text in note.spanners]
        firsts += [(min(places), note.text)] if places else []
    ordered = dict.fromkeys(text for _, text in sorted(firsts, key=lambda each: each[0]))
    letters = len(ascii_lowercase)
    return {
        text: ascii_lowercase[place % letters] * (place // letters + 1) for place, text in enumerate(ordered)
    }


def _spans(sheet: Sheet, marks: dict[str, str]) -> list[Span]:
    """Return the spans from left to right, each column without one by itself."""
    if not any(column.spanner for column in sheet.columns):
        return []
    spans = [Span(Text(""), place, 1) for place in range(len(sheet.stub))]
    for name, columns in groupby(sheet.columns, key=lambda column: column.spanner):
        width = len(list(columns))
        start = spans[-1].start + spans[-1].width if spans else 0
        if name:
            own = [marks[note.text] for note in sheet.footnotes if name in note.spanners]
            spans.append(Span(Text(name, _joined(own)), start, width))
        else:
            spans += [Span(Text(""), start + place, 1) for place in range(width)]
    return spans


def _blocks(sheet: Sheet, marks: dict[str, str]) -> list[Block]:
    """Return the rows under the heads of their blocks; rows of one block stand together."""
    heads = sheet.texts[SECTION].tolist() if SECTION in sheet.texts else [""] * len(sheet.texts)
    rows = _rows(sheet, marks)
    return [
        Block(head, [row for own, row in zip(heads, rows, strict=True) if own == head])
        for head in dict.fromkeys(heads)
    ]


def _rows(sheet: Sheet, marks: dict[str, str]) -> list[list[Text]]:
    noted: dict[tuple[int, str], list[str]] = {}
    for note in sheet.footnotes:
        for key, rows in note.cells.items():
            for row in rows:
                noted.setdefault((row, key), []).append(marks[note.text])
    last = list(sheet.stub)[-1]

    def stub(place: int, key: str, text: str) -> Text:
        own = noted.get((place, ""), []) if key == last else []
        return Text(text, _joined(own), place in sheet.strong, key == last and place in sheet.indented)

    def cell(place: int, column: Column, text: str) -> Text:
        own = noted.get((place, column.key), [])
        return Text(text, _joined(own), column.bold or place in sheet.strong)

    stubs = sheet.texts[list(sheet.stub)].astype(str).to_numpy().tolist()
    cells = sheet.texts[[column.key for column in sheet.columns]].astype(str).to_numpy().tolist()
    return [
        [stub(place, key, text) for key, text in zip(sheet.stub, own, strict=True)]
        + [cell(place, column, text) for column, text in zip(sheet.columns, texts, strict=True)]
        for place, (own, texts) in enumerate(zip(stubs, cells, strict=True))
    ]


def _joined(marks: list[str]) -> str:
    return ",".join(sorted(set(marks), key=lambda mark: (len(mark), mark)))
