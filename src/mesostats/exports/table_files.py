"""A result's table as a file: HTML, LaTeX, Word, or its estimates as CSV."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd
from pandas.api.types import is_numeric_dtype

from mesostats.exports.latex import latex
from mesostats.exports.printed import printed
from mesostats.exports.word import write_word
from mesostats.tables import sheet_of, table
from mesostats.whole_files import neutral, written_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesostats.results import Result

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body {{ margin: 1.5rem; font-family: system-ui, sans-serif; }}</style>
</head>
<body>
{table}
</body>
</html>
"""


def save_table(
    result: Result, path: str | Path, *, title: str | None = None, most: int | None = None
) -> Path:
    """Write the table of a result as a file, whole or not at all.

    Parameters
    ----------
    result
        What an analysis returned.
    path
        The file, replaced if it is there; its ending says what it becomes. ``.html`` is a page by itself, ``.tex`` a table for
        a LaTeX document (the packages that it needs stand in its first lines), ``.docx`` a Word document, ``.csv`` the
        estimates as they are: every row of `Result.estimates`, unrounded, in UTF-8.
    title, most
        As of `mesostats.table`. A CSV file has neither: it holds all rows, and no title.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ValueError
        If the ending is none of these, or `most` is below 1.
    FileNotFoundError
        If the folder is not there.

    Notes
    -----
    A table holds what `mesostats.table` shows, and nothing else of the clinic. In CSV a text that a spreadsheet would run as a
    formula has a leading ``'``.

    Examples
    --------
    >>> import tempfile
    >>> import mesostats as ms
    >>> found = ms.response(ms.simulate(60, seed=1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_table(found, f"{folder}/response.csv")
    ...     path.read_text(encoding="utf-8").splitlines()[0][:41]
    'indication,instrument,estimand,time,estim'
    """
    target = Path(path)
    write = _WRITERS.get(target.suffix.lower())
    if write is None:
        known = ", ".join(_WRITERS)
        msg = f"'{target.name}' has no ending that a table can be written as: {known} are known"
        raise ValueError(msg)
    with written_whole(target) as scratch:
        write(result, scratch, title, most)
    return target


def _write_html(result: Result, path: Path, title: str | None, most: int | None) -> None:
    body = table(result, title=title, most=most).as_raw_html()
    page = _PAGE.format(title=escape(title or result.spec["title"]), table=body)
    path.write_text(page, encoding="utf-8")


def _write_latex(result: Result, path: Path, title: str | None, most: int | None) -> None:
    sheet = sheet_of(result, most)
    path.write_text(latex(printed(sheet, title or result.spec["title"])), encoding="utf-8")


def _write_word(result: Result, path: Path, title: str | None, most: int | None) -> None:
    write_word(printed(sheet_of(result, most), title or result.spec["title"]), path)


def _write_csv(result: Result, path: Path, _title: str | None, _most: int | None) -> None:
    frame = result.estimates
    texts = [str(name) for name in frame if not is_numeric_dtype(frame[name])]
    safe = frame.assign(**{name: neutral(frame[name]) for name in texts})
    safe.columns = pd.Index(neutral(pd.Series(frame.columns)))
    safe.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


_WRITERS: Final[dict[str, Callable[[Result, Path, str | None, int | None], None]]] = {
    ".html": _write_html,
    ".tex": _write_latex,
    ".docx": _write_word,
    ".csv": _write_csv,
}
