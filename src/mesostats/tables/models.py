"""Tables of the dropout model: ratios level by level, and the retention that it predicts by profile."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.layout import conf_level, label, out_of, p_statement, p_text, readable, with_interval
from mesostats.tables.grid import Grid, rows_by
from mesostats.tables.notes import cutoff_line, left_out_line, method_line, population_line, units_of

if TYPE_CHECKING:
    from mesostats.results import Result
    from mesostats.tables.sheet import Sheet

_TEST: Final = "wald_test"
_REFERENCE: Final = "reference"
_MOST_BESIDE: Final = 5
_CODE: Final = re.compile(r"'([^']*)'")


def model_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of a dropout model: terms as blocks headed by their tests, a row a level.

    Parameters
    ----------
    result
        What `dropout_model` returned.
    most
        How many levels are shown at most.

    Returns
    -------
    Sheet
    """
    frame = result.estimates[result.estimates["estimand"].ne(_TEST)]
    rows = frame.head(most)
    own = rows_by(rows, ["term", "level"])
    grid = Grid(list(own))
    level = conf_level(result)
    name = readable(str(result.spec["primary"]))
    grid.write(("", "dropouts/due"), own, out_of, always=True)
    grid.write(("", f"{name} ({level} CI)" if level else name), own, _ratio, bold=True, always=True)
    grid.write(("", "p"), own, lambda row: p_text(row["p_value"]))
    column = grid.columns[1].key
    grid.notes = [
        (_without_reference(_in_words(result, row)), column, place) for place, row in enumerate(own.values())
    ]
    missing = frame["n_missing"].max()
    sources = [
        *method_line(result.estimates["method"].unique()),
        population_line(result, units_of(frame), counted="Due"),
    ]
    if missing > 0:
        sources.append(f"Left out: {missing:,.0f} sessions that lack one of the numbers.")
    sources += left_out_line(len(rows), len(frame) - len(rows), "levels")
    return grid.sheet(
        {"Level": [label(result, str(row["term"]), row["level"]) for row in own.values()]},
        [*sources, cutoff_line(result)],
        blocks=[_term(result, row["term"]) for row in own.values()],
    )


def _ratio(row: pd.Series[Any]) -> str:
    return "1 (reference)" if row["note"] == _REFERENCE else with_interval(row)


def _in_words(result: Result, row: pd.Series[Any]) -> str:
    """Return a level's note with the names of levels in place of their codes."""
    return _CODE.sub(lambda code: label(result, str(row["term"]), code[1]), str(row["note"]))


def _without_reference(note: str) -> str:
    """Leave out of a note what the row of the reference says."""
    parts = [part for part in note.split("; ") if part != _REFERENCE]
    return "; ".join(part for part in parts if not (part.startswith("against ") and ", or " not in part))


def _term(result: Result, term: Any) -> str:
    """Return what heads a term's block: its name, and whether it matters."""
    name = readable(str(term).removesuffix("_id"))
    tests = result.estimates[result.estimates["estimand"].eq(_TEST) & result.estimates["term"].eq(term)]
    if tests.empty or pd.isna(tests["p_value"].iloc[0]):
        return name
    row = tests.iloc[0]
    return f"{name}: {p_statement(row['p_value'])} (Wald test of all its levels)"


def prediction_sheet(result: Result, _most: int) -> Sheet:
    """Return the sheet of predicted retention: a row a session, profiles side by side; many profiles in blocks.

    Parameters
    ----------
    result
        What `predicted_retention` returned.

    Returns
    -------
    Sheet
    """
    frame = result.estimates
    profiles = list(dict.fromkeys(frame["profile"]))
    beside = len(profiles) <= _MOST_BESIDE
    keys = ["time"] if beside else ["profile", "time"]
    grid = Grid(list(rows_by(frame, keys)))
    level = conf_level(result)
    head = f"% ({level} CI)" if level else "%"
    for profile in profiles if beside else [None]:
        rows = frame if profile is None else frame[frame["profile"].eq(profile)]
        name = "" if profile is None else label(result, "profile", profile)
        grid.write((name, head), rows_by(rows, keys), with_interval, noted=True, always=True)
    steps = [key[-1] if isinstance(key, tuple) else key for key in grid.keys]
    profiles_told = [_told(result, name) for name in profiles]
    sources = [f"Profiles: {'; '.join(profiles_told)}; all else at the reference or the mean."]
    sources += ["Of courses that came to the first session.", *method_line(frame["method"].unique())]
    return grid.sheet(
        {"Session": [f"{step:g}" for step in steps]},
        [*sources, cutoff_line(result)],
        blocks=[] if beside else [label(result, "profile", key[0]) for key in rows_by(frame, keys)],
    )


def _told(result: Result, profile: Any) -> str:
    """Return what a profile is."""
    values = result.spec["arguments"].get("profiles", {}).get(profile, {})
    parts = [f"{readable(str(name)).lower()} {value}" for name, value in values.items()]
    return f"{label(result, 'profile', profile)} ({', '.join(parts) or 'all at the reference'})"
