"""The report: the notebooks run on a clinic, joined into one HTML file that needs no network."""

from __future__ import annotations

import datetime as dt
import hashlib
import platform
import tempfile
from concurrent.futures import ThreadPoolExecutor
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mesostats.errors import DataError
from mesostats.front_page import front_page, html_table
from mesostats.handover import END_OF_COURSE, Opened, grouping, hand_over
from mesostats.methods.text import collected
from mesostats.pages import Page, make_page, notebooks
from mesostats.validation import ValidationReport, validate
from mesostats.whole_files import written_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.resources.abc import Traversable

    from mesostats.dataset import Dataset
    from mesostats.methods.text import MethodsText

_TITLE: Final = "Clinic outcomes: response, side effects, dropout"
_KERNELS: Final = 2
_LIBRARIES: Final = ("mesostats", "duckdb", "narwhals", "numpy", "pandas", "pandera", "scipy", "statsmodels")


class Refused(DataError):  # noqa: N818 - it names what happened
    """No report was written, because the data have errors."""


class Built(NamedTuple):
    """A report that was written, and the parts of it that could not be made."""

    path: Path
    failed: list[str]


def report(
    clinic: Dataset,
    *,
    out: str | Path = "reports",
    by: str | Sequence[str] | None = None,
    endpoint: Literal["end_of_course"] | int | None = None,
    allow_errors: bool = False,
) -> Path:
    """Make the report of a clinic: data quality, response, side effects and dropout, in one HTML file.

    Parameters
    ----------
    clinic
        The clinic.
    out
        The folder that ``report.html`` is written to, whole or not at all; an earlier one is replaced.
    by
        Columns to group by; by default the indication, or the arm where all courses have one indication.
    endpoint
        When response is read: at the end of the course, or a day after the first session (see `mesostats.response`); by
        default what the data's mapping declares, else the end of the course.
    allow_errors
        Make the report although the data have errors; its first page says so.

    Returns
    -------
    pathlib.Path
        The file. It loads nothing from the network; its last part says from which data and versions it was made.

    Raises
    ------
    DataError
        If the data have errors and ``allow_errors`` is false; nothing is written.
    ValueError
        If no table has a column of ``by``, or ``endpoint`` is not as described.
    NotADirectoryError
        If ``out`` is a file.
    """
    return build(clinic, out=out, by=by, endpoint=endpoint, allow_errors=allow_errors).path


def build(
    clinic: Dataset,
    *,
    out: str | Path,
    by: str | Sequence[str] | None = None,
    endpoint: Literal["end_of_course"] | int | None = None,
    allow_errors: bool = False,
) -> Built:
    """Make the report as `report` does, and tell which parts failed.

    Returns
    -------
    Built
        The file, and the names of the notebooks that stopped with an error; their parts hold its message.
    """
    endpoint = endpoint if endpoint is not None else clinic.endpoint or END_OF_COURSE
    _check(endpoint, Path(out))
    opened = Opened(clinic, grouping(clinic, by), validate(clinic), endpoint)
    if not (opened.quality.ok or allow_errors):
        _refuse(opened.quality)
    with tempfile.TemporaryDirectory(prefix="mesostats-") as scratch:
        folder = Path(scratch)
        hand_over(opened, folder)
        pages, front = _run(folder, clinic.names, lambda: front_page(opened))
        arguments = {
            "by": ", ".join(opened.by),
            "endpoint": str(endpoint),
            "allow_errors": str(allow_errors),
        }
        html = _document(front, pages, _manifest(clinic, folder, arguments))
    return Built(_write(html, Path(out)), [page.name for page in pages if page.failed])


def _check(endpoint: object, out: Path) -> None:
    """Refuse before the work begins what would stop it at its end."""
    is_day = isinstance(endpoint, int) and not isinstance(endpoint, bool) and endpoint > 0
    if not (is_day or endpoint == END_OF_COURSE):
        msg = f"endpoint is '{END_OF_COURSE}' or a number of days above 0, found {endpoint!r}"
        raise ValueError(msg)
    if out.exists() and not out.is_dir():
        msg = f"'{out}' is a file; give a folder for the report"
        raise NotADirectoryError(msg)


def _refuse(quality: ValidationReport) -> None:
    try:
        quality.raise_if_errors()
    except DataError as error:
        msg = f"no report was written: {error}; `mesostats validate` shows them, --allow-errors reports nevertheless"
        raise Refused(msg) from None


def _run(folder: Path, tables: tuple[str, ...], beside: Callable[[], str]) -> tuple[list[Page], str]:
    """Run the notebooks, a kernel each, two at a time, and write the first page meanwhile."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = console.is_terminal or console.is_jupyter
    found = notebooks()
    with (
        Progress(*columns, console=console, transient=True, disable=not shown) as progress,
        ThreadPoolExecutor(_KERNELS) as pool,
    ):
        tracker = _Tracker(progress, len(found))
        # The longest begin: whichever is last would keep one core waiting.
        by_length = sorted(found, key=lambda each: len(each.read_bytes()), reverse=True)
        running = {each.name: pool.submit(tracker.follow, each, folder, tables) for each in by_length}
        front = beside()
        return [running[each.name].result() for each in found], front


class _Tracker:
    """Shows which notebooks run, and how many are done."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("Starting", total=total)
        self._running: list[str] = []
        self._lock = Lock()

    def follow(self, notebook: Traversable, folder: Path, tables: tuple[str, ...]) -> Page:
        """Make a notebook's page, and show that it runs until it is done."""
        name = notebook.name.removesuffix(".ipynb")
        self._show(name, advance=0)
        try:
            return make_page(notebook, folder, tables)
        finally:
            self._show(name, advance=1)

    def _show(self, name: str, *, advance: int) -> None:
        with self._lock:
            (self._running.remove if advance else self._running.append)(name)
            text = f"Running {', '.join(self._running)}" if self._running else "Joining the parts"
            self._progress.update(self._task, description=text, advance=advance)


def _document(front: str, pages: list[Page], manifest: str) -> str:
    template = Template((files("mesostats") / "report.html").read_text(encoding="utf-8"))
    methods = collected(page.methods for page in pages)
    last = [("methods", "Methods")] if methods.parts else []
    parts = [*((page.name, page.title) for page in pages), *last, ("manifest", "Manifest")]
    links = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title in parts)
    return template.substitute(
        title=_TITLE,
        front=_failures(pages) + front,
        contents=links,
        pages="".join(f'<section id="{page.name}">{page.html}</section>' for page in pages),
        methods=_methods(methods) if methods.parts else "",
        manifest=manifest,
    )


def _failures(pages: list[Page]) -> str:
    return "".join(
        f'<p class="failed">The part "{escape(page.title)}" could not be made.</p>'
        for page in pages
        if page.failed
    )


def _methods(methods: MethodsText) -> str:
    note = (
        "The methods of all parts in the words of a paper, to copy; what several analyses share is said once."
    )
    return f'<section id="methods"><h1>Methods</h1><p class="note">{note}</p>{methods.to_html()}</section>'


def _manifest(clinic: Dataset, folder: Path, arguments: Mapping[str, str]) -> str:
    """Return what the report was made from: data, versions, arguments, time."""
    now = dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds")
    tables = sorted((folder / "tables").glob("*.parquet"))
    rows = [
        ("Made", now),
        ("Data cut", clinic.cutoff.isoformat()),
        *arguments.items(),
        ("Python", platform.python_version()),
        *((name, version(name)) for name in _LIBRARIES),
        *((f"sha256 of {path.stem}", hashlib.sha256(path.read_bytes()).hexdigest()) for path in tables),
    ]
    return '<div class="manifest">' + html_table(["What", "Value"], rows) + "</div>"


def _write(html: str, out: Path) -> Path:
    """Write the file whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "report.html"
    with written_whole(path) as scratch:
        scratch.write_text(html, encoding="utf-8")
    return path
