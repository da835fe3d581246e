"""A table written column by column: rows under their keys, each column from rows of a result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from mesostats.layout import MISSING
from mesostats.tables.notes import footnotes
from mesostats.tables.sheet import Column, Sheet

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence


@dataclass
class Grid:
    """The rows of a table, and the columns written so far.

    Parameters
    ----------
    keys
        What each row is about; a key that a column does not have gets a dash.
    """

    keys: Sequence[Hashable]
    texts: dict[str, list[str]] = field(default_factory=dict)
    columns: list[Column] = field(default_factory=list)
    notes: list[tuple[str, str, int]] = field(default_factory=list)

    def write(
        self,
        head: tuple[str, str],
        rows: Mapping[Any, pd.Series[Any]],
        text: Callable[[pd.Series[Any]], str],
        *,
        noted: bool = False,
        always: bool = False,
        bold: bool = False,
        wordy: bool = False,
    ) -> None:
        """Write one column.

        Parameters
        ----------
        head
            What spans the column, which may be nothing, and what heads it.
        rows
            The row of the result for each key.
        text
            What is written of a row.
        noted
            Whether the rows' notes become footnotes of the cells.
        always
            Whether the column stays where it holds nothing.
        bold, wordy
            As of `Column`.
        """
        shown = self.put(
            head, {key: text(row) for key, row in rows.items()}, always=always, bold=bold, wordy=wordy
        )
        if shown and noted:
            name = self.columns[-1].key
            self.notes += [
                (str(rows[key]["note"]), name, place) for place, key in enumerate(self.keys) if key in rows
            ]

    def put(
        self,
        head: tuple[str, str],
        texts: Mapping[Any, str],
        *,
        always: bool = False,
        bold: bool = False,
        wordy: bool = False,
    ) -> bool:
        """Write one column of texts by key, as `write`; return whether it holds anything, or stays ``always``."""
        found = [texts.get(key, MISSING) for key in self.keys]
        if not always and all(each in {MISSING, ""} for each in found):
            return False
        name = f"column{len(self.columns)}"
        self.texts[name] = found
        spanner, heading = head
        self.columns.append(Column(name, heading, spanner, bold=bold, wordy=wordy))
        return True

    def sheet(
        self,
        stub: Mapping[str, Sequence[str]],
        sources: Sequence[str],
        *,
        blocks: Sequence[str] = (),
        **more: Any,
    ) -> Sheet:
        """Return the sheet.

        Parameters
        ----------
        stub
            What heads each column of rows' names, and the names.
        sources
            What stands beneath.
        blocks
            What heads the block of each row, where rows stand in blocks.
        **more
            ``strong``, ``indented``, ``subtitle`` and further ``footnotes`` of `Sheet`.
        """
        names = {f"_stub{place}": head for place, head in enumerate(stub)}
        texts = pd.DataFrame(dict(zip(names, stub.values(), strict=True)) | self.texts)
        if blocks:
            texts["_section"] = list(blocks)
        found = [*more.pop("footnotes", []), *footnotes(self.notes)]
        return Sheet(texts, names, self.columns, found, list(sources), **more)


def rows_by(frame: pd.DataFrame, columns: Sequence[str]) -> dict[Any, pd.Series[Any]]:
    """Return each row of a frame under the values of some columns: of one column the value itself, of none 0."""
    if not columns:
        return dict(zip([0], (row for _, row in frame.iterrows()), strict=False))
    if len(columns) == 1:
        return {row[columns[0]]: row for _, row in frame.iterrows()}
    return {tuple(row[name] for name in columns): row for _, row in frame.iterrows()}
