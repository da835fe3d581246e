"""The report: the notebooks run on a clinic, joined into one HTML file that needs no network."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import platform
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import narwhals as nw
import pandas as pd
from rich.console import Console
from rich.progress import Progress

from mesostats.adverse_events.rates import adverse_event_rates
from mesostats.dropout.retention import retention
from mesostats.engine import collect
from mesostats.errors import DataError, MesostatsError
from mesostats.handover import END_OF_COURSE, Opened, grouping, hand_over
from mesostats.layout import labels_of, out_of, readable, time_name, with_interval
from mesostats.outcomes.responders import response
from mesostats.pages import Page, make_page, notebooks
from mesostats.validation import ValidationReport, validate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mesostats.dataset import Dataset
    from mesostats.results import Result

_TITLE: Final = "Clinic outcomes: response, side effects, dropout"
_KERNELS: Final = 2
_LIBRARIES: Final = ("mesostats", "duckdb", "narwhals", "numpy", "pandas", "pandera", "scipy", "statsmodels")
_MEANINGS: Final = {
    "Responders, %": "the treated courses whose endpoint is due (N) and those of them that met their instrument's rule (n)",
    "Patients with a side effect, %": "the treated patients who were asked (N) and those of them with at least one (n)",
    "Still in treatment, %": "the share of courses expected to come to the session named, the last of the schedule",
}


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
        pages = _run(folder, clinic.names)
        arguments = {
            "by": ", ".join(opened.by),
            "endpoint": str(endpoint),
            "allow_errors": str(allow_errors),
        }
        html = _document(opened, pages, _manifest(clinic, folder, arguments))
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


def _run(folder: Path, tables: tuple[str, ...]) -> list[Page]:
    """Run the notebooks, a kernel each, two at a time."""
    console = Console(stderr=True)
    with (
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
        ThreadPoolExecutor(_KERNELS) as pool,
    ):
        found = notebooks()
        pages = pool.map(lambda notebook: make_page(notebook, folder, tables), found)
        return list(progress.track(pages, total=len(found), description="Running the notebooks"))


def _document(opened: Opened, pages: list[Page], manifest: str) -> str:
    template = Template((files("mesostats") / "report.html").read_text(encoding="utf-8"))
    links = "".join(f'<li><a href="#{page.name}">{escape(page.title)}</a></li>' for page in pages)
    return template.substitute(
        title=_TITLE,
        front=_front(opened, pages),
        contents=links + '<li><a href="#manifest">Manifest</a></li>',
        pages="".join(f'<section id="{page.name}">{page.html}</section>' for page in pages),
        manifest=manifest,
    )


def _front(opened: Opened, pages: list[Page]) -> str:
    """Return the first page: the clinic, its data quality, and the numbers to quote."""
    clinic, by, quality, endpoint = opened
    read = (
        "at the end of the course"
        if endpoint == END_OF_COURSE
        else f"on day {endpoint} after the first session"
    )
    sizes = {name: f"{_rows(clinic, name):,}" for name in clinic.names}
    grouped = f"Grouped by {escape(', '.join(readable(column).lower() for column in by))}"
    parts = [
        f"<p>Data cut: <strong>{clinic.cutoff.isoformat()}</strong>. {grouped}. Response is read {read}.</p>"
    ]
    if not quality.ok:
        text = "The data have errors. Every number below may be wrong; correct the errors and make the report anew."
        parts.append(f'<p class="errors">{text}</p>')
    parts += [
        f'<p class="failed">The part "{escape(page.title)}" could not be made.</p>'
        for page in pages
        if page.failed
    ]
    parts += ["<h2>The clinic</h2>", _html_table(["Table", "Rows"], sizes.items())]
    parts += ["<h2>Data quality</h2>", _quality(quality)]
    parts += ["<h2>In numbers</h2>", *_headlines(opened)]
    return "\n".join(parts)


def _rows(clinic: Dataset, name: str) -> int:
    return int(collect(clinic.lazy(name).select(nw.len()))["len"].iloc[0])


def _quality(quality: ValidationReport) -> str:
    counts = quality.counts
    if counts.empty:
        return "<p>Validation found nothing.</p>"
    verdict = "No errors. Warnings are rows to look at; the first part says which."
    if not quality.ok:
        verdict = "There are errors; the first part says where, and what to do."
    names = counts["rule"].map(readable)
    rows = zip(counts["severity"], names, counts["n"].map("{:,}".format), strict=True)
    return f"<p>{verdict}</p>" + _html_table(["Severity", "What was found", "Rows"], rows)


def _headlines(opened: Opened) -> list[str]:
    """Return a table of the numbers to quote, one row a group, and what could not be counted."""
    clinic, by = opened.clinic, opened.by
    read_at_endpoint: Callable[..., Result] = partial(response, endpoint=opened.endpoint)
    analyses: tuple[Callable[..., Result], ...] = (read_at_endpoint, adverse_event_rates, retention)
    cells: dict[str, dict[str, str]] = {}
    missing = []
    for heading, analysis in zip(_MEANINGS, analyses, strict=True):
        try:
            result = analysis(clinic, by=by)
        except (MesostatsError, ValueError) as error:
            missing.append(f'<p class="absent">{escape(heading)}: {escape(str(error))}</p>')
            continue
        for group, text in _quoted(result, by):
            texts = cells.setdefault(group, {})
            texts[heading] = f"{texts[heading]}; {text}" if heading in texts else text
    headings = [heading for heading in _MEANINGS if any(heading in row for row in cells.values())]
    rows = [[group, *(row.get(heading, "") for heading in headings)] for group, row in cells.items()]
    notes = [f"<li>{heading}: {_MEANINGS[heading]}.</li>" for heading in headings]
    note = "<p>In brackets the 95 % confidence interval; after it n/N, or the session.</p>"
    group = " · ".join(readable(column) for column in by)
    return [_html_table([group, *headings], rows), note, f"<ul>{''.join(notes)}</ul>", *missing]


def _quoted(result: Result, by: list[str]) -> list[tuple[str, str]]:
    """Return each group's number to quote: the primary estimand, a curve at its last time."""
    rows = result.estimates[result.estimates["estimand"].eq(result.spec["primary"])]
    if rows["time"].notna().any():
        rows = rows.groupby(by, sort=False, dropna=False).tail(1)
    return [(labels_of(result, by, row), _quotation(result, row)) for _, row in rows.iterrows()]


def _quotation(result: Result, row: pd.Series[Any]) -> str:
    """Return one number to quote; at a time of a curve, n/N would be that step's alone."""
    count = out_of(row) if pd.isna(row["time"]) else f"{time_name(result).lower()} {row['time']:g}"
    return f"{with_interval(row)}, {count}"


def _html_table(head: Sequence[str], rows: Any) -> str:
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(each))}</td>" for each in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{''.join(f'<th>{escape(each)}</th>' for each in head)}</tr></thead><tbody>{body}</tbody></table>"


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
    return '<div class="manifest">' + _html_table(["What", "Value"], rows) + "</div>"


def _write(html: str, out: Path) -> Path:
    """Write the file whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(prefix=".mesostats-", suffix=".html", dir=out)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(html)
        Path(scratch).chmod(0o644)
        return Path(scratch).replace(out / "report.html")
    finally:
        Path(scratch).unlink(missing_ok=True)
