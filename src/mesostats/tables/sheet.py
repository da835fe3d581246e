"""A sheet: the texts of a table and where they stand; and how it becomes a `great_tables.GT` in the house's style."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from great_tables import GT, loc, style

if TYPE_CHECKING:
    import pandas as pd

SECTION: Final = "_section"
"""The column of a sheet's texts that heads blocks of rows."""


@dataclass(frozen=True)
class Column:
    """One column of numbers, or of words.

    Parameters
    ----------
    key
        The column of the sheet's texts.
    label, spanner
        What heads it, and what spans it and its neighbours.
    bold
        Whether its texts are to be quoted first.
    wordy
        Whether it holds sentences, which wrap and stand at the left.
    """

    key: str
    label: str
    spanner: str = ""
    bold: bool = False
    wordy: bool = False


@dataclass(frozen=True)
class Footnote:
    """A text beneath the table, and the cells that bear its mark: rows by column; without a column the rows' heads.

    Parameters
    ----------
    text
        What it says.
    cells
        Rows by the key of a column; the rows' heads under an empty key.
    spanners
        The spanners that bear the mark.
    """

    text: str
    cells: dict[str, list[int]] = field(default_factory=dict)
    spanners: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sheet:
    """The texts of a table.

    Parameters
    ----------
    texts
        One row a row: the stub's columns, those of `columns` and, where rows stand in blocks, `SECTION`.
    stub
        What heads each of the stub's columns.
    columns
        The other columns, in order.
    footnotes, sources
        What stands beneath.
    subtitle
        What stands beneath the title.
    strong, indented
        The rows in bold, and those whose heads are indented.
    """

    texts: pd.DataFrame
    stub: dict[str, str]
    columns: list[Column]
    footnotes: list[Footnote] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    subtitle: str = ""
    strong: tuple[int, ...] = ()
    indented: tuple[int, ...] = ()


def displayed(sheet: Sheet, *, title: str, identity: str) -> GT:
    """Make the display table of a sheet.

    Parameters
    ----------
    sheet
        Its texts.
    title
        What heads it.
    identity
        Its HTML id.

    Returns
    -------
    great_tables.GT
    """
    stub = list(sheet.stub)
    sectioned = SECTION in sheet.texts
    texts = sheet.texts[[*stub, *([SECTION] if sectioned else []), *(column.key for column in sheet.columns)]]
    view = GT(
        texts.reset_index(drop=True),
        rowname_col=stub if len(stub) > 1 else stub[0],
        groupname_col=SECTION if sectioned else None,
        id=identity,
    )
    view = view.tab_header(title=title, subtitle=sheet.subtitle or None)
    heads: list[Any] = list(sheet.stub.values())
    view = view.tab_stubhead(heads if len(heads) > 1 else heads[0])
    view = _styled(_headed(view, sheet), sheet)
    for note in sheet.footnotes:
        view = view.tab_footnote(note.text, _places(note, sheet), placement="right")
    for line in sheet.sources:
        view = view.tab_source_note(line)
    return _house_style(view, sheet, identity)


def _spanner_id(text: str, sheet: Sheet) -> str:
    texts = list(dict.fromkeys(column.spanner for column in sheet.columns))
    return f"span{texts.index(text)}"


def _headed(view: GT, sheet: Sheet) -> GT:
    """Label the columns, and span neighbours of one series."""
    labels: dict[str, Any] = {column.key: column.label for column in sheet.columns}
    numbers = [column.key for column in sheet.columns if not column.wordy]
    words = [column.key for column in sheet.columns if column.wordy]
    view = view.cols_label(cases=labels)
    view = view.cols_align("right", columns=numbers) if numbers else view
    view = view.cols_align("left", columns=words) if words else view
    for spanner, columns in groupby(sheet.columns, key=lambda column: column.spanner):
        keys = [column.key for column in columns]
        if spanner:
            view = view.tab_spanner(spanner, columns=keys, id=_spanner_id(spanner, sheet))
    return view


def _styled(view: GT, sheet: Sheet) -> GT:
    bold = style.text(weight="bold")
    quoted = [column.key for column in sheet.columns if column.bold]
    if quoted:
        view = view.tab_style(bold, loc.body(columns=quoted))
    if sheet.strong:
        rows = [*sheet.strong]
        view = view.tab_style(bold, [loc.body(rows=rows), loc.stub(rows=rows)])
    if sheet.indented:
        view = view.tab_style(style.css("padding-left: 24px;"), loc.stub(rows=[*sheet.indented]))
    return view


def _places(note: Footnote, sheet: Sheet) -> list[Any]:
    places: list[Any] = [
        loc.body(columns=key, rows=rows) if key else loc.stub(rows=rows) for key, rows in note.cells.items()
    ]
    return places + [loc.spanner_labels(ids=[_spanner_id(text, sheet)]) for text in note.spanners]


def _house_style(view: GT, sheet: Sheet, identity: str) -> GT:
    rules = [f"#{identity} td.gt_row {{ white-space: nowrap; }}"]
    rules.append(
        f"#{identity} th.gt_stub {{ min-width: 8em; }}"
    )  # only a table too wide for its page wraps its heads
    wordy = [place for place, column in enumerate(sheet.columns, start=len(sheet.stub) + 1) if column.wordy]
    rules += [
        f"#{identity} td.gt_row:nth-child({place}) {{ white-space: normal; min-width: 18em; }}"
        for place in wordy
    ]
    rules.append(f"#{identity} .gt_title {{ font-weight: 600; }}")
    rules.append(f"#{identity} .gt_footnote {{ font-size: 12px; padding-top: 2px; padding-bottom: 2px; }}")
    return view.tab_options(
        table_additional_css=rules,
        table_font_size="14px",
        table_margin_left="0px",
        heading_align="left",
        heading_title_font_size="16px",
        heading_title_font_weight="600",
        heading_subtitle_font_size="14px",
        heading_border_bottom_style="none",
        table_border_top_style="none",
        table_border_bottom_style="none",
        column_labels_font_weight="600",
        column_labels_border_top_style="none",
        row_group_font_weight="600",
        row_group_padding="10px",
        data_row_padding="5px",
        data_row_padding_horizontal="8px",
        column_labels_padding_horizontal="8px",
        source_notes_padding_horizontal="8px",
        stub_border_style="none",
        table_body_hlines_color="#e6e6e6",
        source_notes_font_size="12px",
        source_notes_padding="2px",
        footnotes_marks="letters",
    )
