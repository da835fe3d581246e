"""The command line: one thin command a verb. Heavy modules are imported when a command runs, so that --help is quick."""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.status import Status

    from mesostats.dataset import Dataset

    _Verbs = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name for it

_OK: Final = 0
_DEFECTS: Final = 1
_USAGE: Final = 2
_DEMO_PATIENTS: Final = 500
_LAST_PORT: Final = 65_535


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments
        The words after ``mesostats``; those of the process by default.

    Returns
    -------
    int
        0; 1 where the data have errors or a part of a report could not be made; 2 where the command or its input
        cannot be used.

    Examples
    --------
    >>> main(["map"])
    2
    """
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    # Only what a command needs is loaded: DuckDB and pandas take most of a second.
    from mesostats.errors import MesostatsError  # noqa: PLC0415

    try:
        return int(options.run(options))
    except (MesostatsError, ValueError, OSError) as error:
        sys.stderr.write(f"mesostats: {_message(error)}\n")
        return _USAGE
    except KeyboardInterrupt:
        sys.stderr.write("mesostats: stopped\n")
        return _USAGE


def _message(error: Exception) -> str:
    """Return one line; of the system's errors without their number, and the folder where the file is our own scratch."""
    if isinstance(error, OSError) and error.strerror:
        place = Path(str(error.filename2 or error.filename))
        shown = place.parent if place.name.startswith(".") else place
        return f"'{shown}' cannot be used: {error.strerror.lower()}"
    return " ".join(str(error).split())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mesostats", description="From a clinic's export to outcome numbers: validate, analyse, report."
    )
    parser.add_argument("--version", action="version", version=version("mesostats"))
    verbs = parser.add_subparsers(metavar="command", required=True)
    _add_demo(verbs)
    _add_simulate(verbs)
    _add_map(verbs)
    _add_validate(verbs)
    _add_report(verbs)
    _add_explore(verbs)
    lab = verbs.add_parser("lab", help="open the notebooks in JupyterLab")
    lab.set_defaults(run=_lab)
    return parser


def _add_demo(verbs: _Verbs) -> None:
    demo = verbs.add_parser(
        "demo", help=f"simulate a clinic of {_DEMO_PATIENTS} patients and make its report"
    )
    demo.add_argument("--out", default="reports", help="folder of the report (default: reports)")
    demo.set_defaults(run=_demo)


def _add_simulate(verbs: _Verbs) -> None:
    simulate = verbs.add_parser("simulate", help="write a simulated clinic's tables")
    simulate.add_argument("n", type=int, help="how many patients")
    simulate.add_argument(
        "--seed", type=int, default=1, help="the same seed gives the same clinic (default: 1)"
    )
    simulate.add_argument("--out", default="clinic", help="folder of the tables (default: clinic)")
    simulate.add_argument("--format", choices=["csv", "parquet"], default="csv", help="default: csv")
    simulate.add_argument(
        "--defects", action="store_true", help="plant one of each defect that real exports carry"
    )
    simulate.set_defaults(run=_simulate)


def _add_map(verbs: _Verbs) -> None:
    mapped = verbs.add_parser("map", help="bring a foreign export into the canonical tables")
    mapped.add_argument("source", nargs="?", help="folder or file of the export")
    mapped.add_argument("--mapping", help="mapping file, or the name of a shipped mapping")
    mapped.add_argument("--out", default="clinic", help="folder of the tables (default: clinic)")
    mapped.add_argument("--format", choices=["csv", "parquet"], default="csv", help="default: csv")
    mapped.add_argument("--init", metavar="FILE", help="print a draft of a mapping for this file, and stop")
    mapped.set_defaults(run=_map)


def _add_validate(verbs: _Verbs) -> None:
    validate = verbs.add_parser("validate", help="say what is wrong with the data, row by row")
    _add_data(validate)
    validate.add_argument("--html", metavar="FILE", type=Path, help="write the defects as HTML")
    validate.add_argument("--csv", metavar="FILE", type=Path, help="write the defects as CSV")
    validate.set_defaults(run=_validate)


def _add_report(verbs: _Verbs) -> None:
    report = verbs.add_parser("report", help="make the report: data quality, response, side effects, dropout")
    _add_data(report)
    report.add_argument("--by", help="columns to group by, separated by commas (default: indication)")
    report.add_argument(
        "--endpoint",
        type=_endpoint,
        metavar="DAY",
        help="read response on this day after the first session (default: the mapping's, else end_of_course)",
    )
    report.add_argument("--out", default="reports", help="folder of the report (default: reports)")
    report.add_argument("--allow-errors", action="store_true", help="report although the data have errors")
    report.set_defaults(run=_report)


def _add_explore(verbs: _Verbs) -> None:
    explore = verbs.add_parser(
        "explore", help="look at the data in the browser: tables and figures that redraw"
    )
    _add_data(explore, or_demo=True)
    explore.add_argument("--port", type=_port, help="port on this machine (default: a free one)")
    explore.add_argument("--open", action="store_true", help="open the page in the browser")
    explore.set_defaults(run=_explore)


def _endpoint(text: str) -> int | str:
    if text == "end_of_course":
        return text
    if text.isdecimal() and int(text) > 0:
        return int(text)
    msg = f"'{text}' is neither a number of days above 0 nor end_of_course"
    raise argparse.ArgumentTypeError(msg)


def _port(text: str) -> int:
    if text.isdecimal() and 0 < int(text) <= _LAST_PORT:
        return int(text)
    msg = f"'{text}' is no port: 1 to {_LAST_PORT}"
    raise argparse.ArgumentTypeError(msg)


def _add_data(verb: argparse.ArgumentParser, *, or_demo: bool = False) -> None:
    tables = "folder of the tables, or a workbook with a sheet a table"
    demo = f" (default: a simulated clinic of {_DEMO_PATIENTS} patients)"
    if or_demo:
        verb.add_argument("data", nargs="?", help=tables + demo)
    else:
        verb.add_argument("data", help=tables)
    verb.add_argument("--mapping", help="mapping file, or the name of a shipped mapping")
    verb.add_argument("--vocabulary", help="overlay folder, or the name of a shipped overlay")
    verb.add_argument("--cutoff", help="data-cut date, YYYY-MM-DD (default: the latest date in the data)")


def _demo(options: argparse.Namespace) -> int:
    from mesostats.simulation import simulate  # noqa: PLC0415

    return _write_report(simulate(_DEMO_PATIENTS, seed=1), options.out)


def _simulate(options: argparse.Namespace) -> int:
    from mesostats.simulation import simulate  # noqa: PLC0415

    with _waiting("Simulating"):
        clinic = simulate(options.n, seed=options.seed, defects=options.defects)
        folder = clinic.write(options.out, file_format=options.format)
    return _say(folder)


def _map(options: argparse.Namespace) -> int:
    from mesostats.mapping import draft, read  # noqa: PLC0415

    if options.init:
        return _say(draft(options.init))
    if not (options.source and options.mapping):
        msg = "map needs an export and --mapping, or --init FILE for a draft of a mapping"
        raise ValueError(msg)
    with _waiting("Mapping"):
        folder = read(options.source, mapping=options.mapping).write(options.out, file_format=options.format)
    return _say(folder)


def _validate(options: argparse.Namespace) -> int:
    from mesostats.validation import validate  # noqa: PLC0415

    with _waiting("Validating"):
        found = validate(_read(options))
    if options.csv:
        found.to_csv(options.csv)
    if options.html:
        _write_page(found.to_html(), options.html)
    _say(found.to_text())
    return _OK if found.ok else _DEFECTS


def _report(options: argparse.Namespace) -> int:
    by = [name.strip() for name in options.by.split(",")] if options.by else None
    return _write_report(
        _read(options), options.out, by=by, endpoint=options.endpoint, allow_errors=options.allow_errors
    )


def _write_report(clinic: Dataset, out: str, **arguments: Any) -> int:
    from mesostats.reporting import Refused, build  # noqa: PLC0415

    try:
        built = build(clinic, out=out, **arguments)
    except Refused as error:
        sys.stderr.write(f"mesostats: {error}\n")
        return _DEFECTS
    _say(built.path)
    for name in built.failed:
        sys.stderr.write(f"mesostats: the part '{name}' could not be made; the report says why\n")
    return _DEFECTS if built.failed else _OK


def _explore(options: argparse.Namespace) -> int:
    from mesostats.handover import END_OF_COURSE, Opened, grouping  # noqa: PLC0415
    from mesostats.serving import serve  # noqa: PLC0415
    from mesostats.simulation import simulate  # noqa: PLC0415
    from mesostats.validation import validate  # noqa: PLC0415

    if not options.data and (options.mapping or options.vocabulary or options.cutoff):
        msg = "--mapping, --vocabulary and --cutoff say how data are read: name their folder too"
        raise ValueError(msg)
    with _waiting("Reading" if options.data else "Simulating"):
        clinic = _read(options) if options.data else simulate(_DEMO_PATIENTS, seed=1)
        found = validate(clinic)
    if not found.ok:
        sys.stderr.write("mesostats: the data have errors, look twice; `mesostats validate` shows them\n")
    opened = Opened(clinic, grouping(clinic, None), found, clinic.endpoint or END_OF_COURSE)
    serve(opened, say=_say_address, port=options.port, open_browser=options.open)
    return _OK


def _say_address(address: str) -> None:
    """Tell where the page is, at once: whoever started the command waits for it."""
    sys.stdout.write(f"{address}\n")
    sys.stderr.write("mesostats: for this machine only; Ctrl-C ends it\n")
    sys.stdout.flush()


def _lab(_: argparse.Namespace) -> int:
    import subprocess  # noqa: PLC0415

    with as_file(files("mesostats.notebooks")) as folder:
        command = [sys.executable, "-m", "jupyterlab", f"--notebook-dir={folder}"]
        return subprocess.run(command, check=False).returncode  # noqa: S603 - nothing in it comes from outside


def _read(options: argparse.Namespace) -> Dataset:
    from mesostats.mapping import read  # noqa: PLC0415

    return read(options.data, mapping=options.mapping, vocabulary=options.vocabulary, cutoff=options.cutoff)


def _say(what: object) -> int:
    sys.stdout.write(f"{what}\n")
    return _OK


def _write_page(fragment: str, path: Path) -> None:
    """Write an HTML page whole or not at all, for its owner alone: it holds keys and values of patients."""
    from mesostats.whole_files import written_whole  # noqa: PLC0415

    head = '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Defects</title></head><body>'
    with written_whole(path, private=True) as scratch:
        scratch.write_text(f"{head}{fragment}</body></html>", encoding="utf-8")


def _waiting(text: str) -> Status:
    """Show on a terminal's stderr that work goes on."""
    from rich.console import Console  # noqa: PLC0415

    return Console(stderr=True).status(text)
