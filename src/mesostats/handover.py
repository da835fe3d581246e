"""How a report's notebooks get the clinic: a folder that an environment variable names; the demo clinic without one."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import narwhals as nw
import pandas as pd

from mesostats.engine import collect
from mesostats.mapping import read
from mesostats.simulation import simulate
from mesostats.validation import ValidationReport, validate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesostats.dataset import Dataset
    from mesostats.vocabulary import Vocabulary

VARIABLE: Final = "MESOSTATS_CLINIC"
"""The environment variable that names the folder."""

END_OF_COURSE: Final = "end_of_course"

_DEMO_PATIENTS: Final = 500


class Opened(NamedTuple):
    """What a notebook works on.

    Parameters
    ----------
    clinic
        The tables.
    by
        The columns to group by.
    quality
        What validation found in the clinic's own files; keys and values are masked.
    endpoint
        When response is read: ``end_of_course``, or a day after the first session.
    """

    clinic: Dataset
    by: list[str]
    quality: ValidationReport
    endpoint: Literal["end_of_course"] | int = END_OF_COURSE


def open_clinic() -> Opened:
    """Open the clinic that a report is made of, or the demo clinic.

    Returns
    -------
    Opened
        ``clinic, by, quality, endpoint``. In a notebook that `mesostats.report` runs, the clinic of the report; elsewhere a
        simulated clinic of 500 patients.

    Examples
    --------
    >>> clinic, by, quality, endpoint = open_clinic()
    >>> by, endpoint
    (['indication'], 'end_of_course')
    """
    given = os.environ.get(VARIABLE)
    if not given:
        demo = simulate(_DEMO_PATIENTS, seed=1)
        return Opened(demo, grouping(demo, None), validate(demo).redacted())
    folder = Path(given)
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    clinic = read(folder / "tables", vocabulary=folder / "vocabulary", cutoff=settings["cutoff"])
    clinic.endpoint = settings["declared"]
    found = (pd.read_parquet(folder / f"{part}.parquet") for part in ("defects", "counts"))
    return Opened(clinic, settings["by"], ValidationReport(*found), settings["endpoint"])


def hand_over(opened: Opened, folder: Path) -> None:
    """Write a clinic, its vocabulary and what validation found into a folder, for `open_clinic` to read.

    Parameters
    ----------
    opened
        What the notebooks shall work on; the validation report is masked.
    folder
        An empty folder.
    """
    clinic, by, quality, endpoint = opened
    clinic.write(folder / "tables")
    _write_vocabulary(clinic.vocabulary, folder / "vocabulary")
    masked = quality.redacted()
    masked.defects.to_parquet(folder / "defects.parquet")
    masked.counts.to_parquet(folder / "counts.parquet")
    settings = {
        "cutoff": clinic.cutoff.isoformat(),
        "by": by,
        "endpoint": endpoint,
        "declared": clinic.endpoint,
    }
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")


def _write_vocabulary(vocabulary: Vocabulary, folder: Path) -> None:
    """Write a vocabulary as an overlay; JSON is YAML too."""
    folder.mkdir()
    for name in (each.name for each in fields(vocabulary) if each.name != "open"):
        entries = {
            code: entry.model_dump(mode="json", exclude={"code"})
            for code, entry in getattr(vocabulary, name).items()
        }
        content: dict[str, Any] = {"open": name in vocabulary.open, "entries": entries}
        (folder / f"{name}.yaml").write_text(json.dumps(content), encoding="utf-8")


def grouping(clinic: Dataset, by: str | Sequence[str] | None) -> list[str]:
    """Return the columns to group by: those given, else the indication, else the arm where there is one indication.

    Parameters
    ----------
    clinic
        The clinic.
    by
        One column, several, or None.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If no table has such a column.
    """
    if by is not None:
        columns = [by] if isinstance(by, str) else list(by)
        for column in columns:
            clinic.table_of(column)
        return columns
    courses = clinic.lazy("courses")
    varied = {
        column: len(collect(courses.filter(~nw.col(column).is_null()).select(column).unique()))
        for column in ("indication", "arm")
        if column in clinic.columns("courses")
    }
    return ["arm"] if varied["indication"] <= 1 < varied.get("arm", 0) else ["indication"]
