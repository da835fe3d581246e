"""A notebook → a page: executed in a fresh kernel, its code folded, nothing in it from the network."""

from __future__ import annotations

import asyncio
import json
import os
import re
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbconvert.filters import markdown2html

from mesostats.handover import VARIABLE
from mesostats.methods.text import MIME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable
    from pathlib import Path

_TIMEOUT: Final = 3600
_ALTERNATIVE: Final = "Figure without a description"
_ELSEWHERE: Final = (
    '<p>They stand with those of the other parts in the chapter <a href="#methods">Methods</a>.</p>'
)
_TABLE: Final = re.compile(r'<table class="gt_table".*?</table>', re.DOTALL)
_REFERENCE: Final = re.compile(r' (id|headers|aria-labelledby)="([^"]*)"')
_ANCHOR: Final = re.compile(r'<a class="anchor-link".*?</a>', re.DOTALL)
_HEADING: Final = re.compile(r"<(h\d)[^>]*>")


@dataclass(frozen=True)
class Page:
    """One part of a report.

    Parameters
    ----------
    name
        The notebook's file name without its ending.
    title
        Its first heading.
    html
        A fragment.
    failed
        Whether the notebook stopped with an error.
    methods
        What its analyses say for the report's methods section.
    """

    name: str
    title: str
    html: str
    failed: bool = False
    methods: tuple[Mapping[str, Any], ...] = ()


def notebooks() -> list[Traversable]:
    """Return the notebooks of a report in their order: those that are no lessons."""
    return [each for each in _shipped() if not _is_lesson(each)]


def lessons() -> list[Traversable]:
    """Return the lessons in their order: notebooks that simulate clinics of their own, for learning.

    Their metadata say so: ``"mesostats": {"lesson": true}``.
    """
    return [each for each in _shipped() if _is_lesson(each)]


def _shipped() -> list[Traversable]:
    found = (each for each in files("mesostats.notebooks").iterdir() if each.name.endswith(".ipynb"))
    return sorted(found, key=lambda each: each.name)


def _is_lesson(notebook: Traversable) -> bool:
    metadata = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]
    return bool(metadata.get("mesostats", {}).get("lesson", False))


def make_page(notebook: Traversable, folder: Path, tables: tuple[str, ...]) -> Page:
    """Run a notebook on the clinic handed over in a folder, and make its page.

    Parameters
    ----------
    notebook
        The notebook's file.
    folder
        What `mesostats.handover.hand_over` wrote.
    tables
        The tables that the clinic has. A notebook that needs another one says so in place of its numbers.

    Returns
    -------
    Page
        Marked as failed, with the error's message, where a cell stopped.
    """
    name = notebook.name.removesuffix(".ipynb")
    content: Any = nbformat.reads(notebook.read_text(encoding="utf-8"), as_version=4)  # type: ignore[no-untyped-call]
    title = content.cells[0].source.splitlines()[0].lstrip("# ")
    absent = [need for need in content.metadata.get("mesostats", {}).get("needs", []) if need not in tables]
    if absent:
        text = (
            f"This clinic has no table '{absent[0]}', which this part counts from: there is nothing to show."
        )
        return Page(name, title, f'<h1>{escape(title)}</h1><p class="absent">{escape(text)}</p>')
    try:
        client = NotebookClient(content, timeout=_TIMEOUT, kernel_name="python3", resources={})
        if os.name == "posix":
            manager = client.create_kernel_manager()
            manager.transport, manager.ip = "ipc", str(folder / name)  # patients' data cross no network port
        environment = os.environ | {VARIABLE: str(folder)}
        asyncio.run(client.async_execute(cwd=str(folder), env=environment))
    except (CellExecutionError, CellTimeoutError, RuntimeError) as error:
        return Page(name, title, _failure(title, error), failed=True)
    html = _distinct("".join(_cell(each) for each in content.cells), name)
    return Page(name, title, html, methods=tuple(_methods(content)))


def _methods(content: Any) -> list[Mapping[str, Any]]:
    outputs = [output for cell in content.cells for output in cell.get("outputs", [])]
    return [part for output in outputs for part in output.get("data", {}).get(MIME, [])]


def _failure(title: str, error: Exception) -> str:
    message = (
        f"{error.ename}: {error.evalue}" if isinstance(error, CellExecutionError) else type(error).__name__
    )
    return f'<h1>{escape(title)}</h1><p class="failed">This part could not be made. {escape(message)}</p>'


def _cell(cell: Any) -> str:
    if cell.cell_type == "markdown":
        return _HEADING.sub(r"<\1>", _ANCHOR.sub("", markdown2html(cell.source)))
    code = f"<details><summary>Show code</summary><pre>{escape(cell.source)}</pre></details>"
    return code + "".join(_output(each) for each in cell.outputs)


def _output(output: Any) -> str:
    """Return the richest form of one output; what went to stderr is not for readers."""
    if output.output_type == "stream":
        return f"<pre>{escape(output.text)}</pre>" if output.name == "stdout" else ""
    data = output.get("data", {})
    if MIME in data:
        return _ELSEWHERE
    if "text/html" in data:
        return f'<div class="output">{data["text/html"]}</div>'
    if "image/png" in data:
        image = data["image/png"].replace("\n", "")
        alternative = output.metadata.get("image/png", {}).get("alt", _ALTERNATIVE)
        return f'<figure><img alt="{escape(alternative)}" src="data:image/png;base64,{image}"></figure>'
    return f"<pre>{escape(data.get('text/plain', ''))}</pre>"


def _distinct(html: str, name: str) -> str:
    """Make the ids inside each table its own: tables of one document must not share any."""
    tables = iter(range(len(html)))

    def renamed(table: re.Match[str]) -> str:
        prefix = f"{name}-{next(tables)}-"

        def own(found: re.Match[str]) -> str:
            return f' {found[1]}="' + " ".join(prefix + each for each in found[2].split()) + '"'

        return _REFERENCE.sub(own, table[0])

    return _TABLE.sub(renamed, html)
