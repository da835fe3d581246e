"""The table of dropout by reason: cumulative incidences beside what one minus Kaplan-Meier would claim."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from mesostats.layout import by_columns, conf_level, count, label, p_text, time_name, with_interval
from mesostats.tables.grid import Grid, rows_by
from mesostats.tables.leaving import MOST_BESIDE, Group, groups_of
from mesostats.tables.notes import cutoff_line, method_line, population_line, units_of

if TYPE_CHECKING:
    from mesostats.results import Result
    from mesostats.tables.sheet import Sheet

_TOLD: Final = ("Whoever came to all", "Complet")
_MOST_TIMES: Final = 4
_ALL: Final = "all reasons"
_REASON: Final = "reason"
_RIGHT: Final = "cumulative_incidence"
_NAIVE: Final = "one_minus_kaplan_meier"


def reasons_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of dropout by reason: a row a reason, its incidence at some times, or at the horizon of each group.

    Parameters
    ----------
    result
        What `dropout_reasons` returned.
    most
        How many reasons are shown at most.

    Returns
    -------
    Sheet
    """
    groups = groups_of(result)
    frame = result.estimates[result.estimates["time"].notna()]
    reasons = [*[each for each in dict.fromkeys(frame[_REASON]) if each != _ALL][:most], _ALL]
    horizon = _horizon(groups)
    one = len(groups) == 1
    times = _times(frame, horizon) if one else [horizon]
    grid = Grid(
        [(name, reason) for name, _ in groups for reason in reasons] if len(groups) > MOST_BESIDE else reasons
    )
    if len(groups) > MOST_BESIDE:
        whole = pd.concat([rows.assign(_group=name) for name, rows in groups])
        _write_reasons(grid, result, whole, times=times, horizon=horizon, keys=["_group", _REASON])
    else:
        for name, rows in groups:
            _write_reasons(grid, result, rows, times=times, horizon=horizon, keys=[_REASON], spanner=name)
        _write_gray(grid, result)
    names = [key[1] if isinstance(key, tuple) else key for key in grid.keys]
    sources = _reason_sources(result)
    return grid.sheet(
        {"Reason": [label(result, _REASON, name) for name in names]},
        [*sources, cutoff_line(result)],
        blocks=[str(key[0]) for key in grid.keys if isinstance(key, tuple)],
        strong=tuple(place for place, name in enumerate(names) if name == _ALL),
        subtitle=""
        if one
        else f"By {time_name(result).lower()} {horizon:g}, the last to which every group was followed",
    )


def _write_reasons(
    grid: Grid,
    result: Result,
    rows: pd.DataFrame,
    *,
    times: list[float],
    horizon: float,
    keys: list[str],
    spanner: str = "",
) -> None:
    """Write the columns of one group, or of all: given up, incidences, and one minus Kaplan-Meier at the horizon."""
    incidence = rows[rows["estimand"].eq(_RIGHT)]
    until = incidence[incidence["time"].le(horizon)]
    lost = until.groupby(keys, sort=False)["numerator"].sum()
    grid.put((spanner, "given up"), {key: count(number) for key, number in lost.items()}, always=True)
    level = conf_level(result)
    interval = f" ({level} CI)" if level else ""
    unit = time_name(result).lower()
    for time in times:
        at = rows_by(_by_then(incidence, time, keys), keys)
        words = f"%{interval}" if len(times) == 1 else f"by {unit} {time:g}, %{interval}"
        grid.write(
            (spanner, words), at, with_interval, noted=time == horizon, always=True, bold=time == horizon
        )
    naive = rows_by(_by_then(rows[rows["estimand"].eq(_NAIVE)], horizon, keys), keys)
    grid.write((spanner, "1 - KM, %"), naive, lambda row: with_interval(row).split(" (")[0])


def _write_gray(grid: Grid, result: Result) -> None:
    """Write the p values of the tests across groups."""
    tests = rows_by(result.estimates[result.estimates["estimand"].eq("gray_test")], [_REASON])
    if tests:
        grid.write(("Gray's test", "p"), tests, lambda row: p_text(row["p_value"]), noted=True)
        grid.write(("Gray's test", "adjusted p"), tests, lambda row: p_text(row["p_adjusted"]))


def _by_then(rows: pd.DataFrame, time: float, keys: list[str]) -> pd.DataFrame:
    """Return the last row at or before a time of each reason (and group)."""
    return rows[rows["time"].le(time)].sort_values("time", kind="stable").drop_duplicates(keys, keep="last")


def _horizon(groups: list[Group]) -> float:
    """Return the last time to which every group was followed."""
    lasts = [rows["time"].max() for _, rows in groups]
    known = [float(last) for last in lasts if pd.notna(last)]
    return min(known, default=0.0)


def _times(frame: pd.DataFrame, horizon: float) -> list[float]:
    """Return a few times, evenly spread, the horizon last."""
    known = np.array(sorted(frame.loc[frame["time"].le(horizon), "time"].unique()))
    if not len(known):
        return [horizon]
    places = np.linspace(0, len(known) - 1, _MOST_TIMES + 1)[1:].round().astype(int)
    return [float(known[place]) for place in dict.fromkeys(places)]


def _reason_sources(result: Result) -> list[str]:
    """Return what stands beneath: the method, what is wrong with one minus Kaplan-Meier, who is not analysed."""
    frame = result.estimates
    right = frame[frame["estimand"].eq(_RIGHT) & frame[_REASON].ne(_ALL)]
    lines = method_line(right["method"].unique())
    lines.append(
        "1 - KM (Kaplan-Meier) takes the other reasons as censoring: a warning, not an estimate to quote."
    )
    lines += [rule for rule in result.spec.get("rules", []) if rule.startswith(_TOLD)]
    missing = frame.loc[frame["estimand"].eq(_RIGHT), [*by_columns(result), "n_missing"]].drop_duplicates()
    if missing["n_missing"].sum() > 0:
        lines.append(
            f"Not analysed: {count(missing['n_missing'].sum())} courses of which nothing is settled."
        )
    return [*lines, population_line(result, units_of(right), counted="Given up")]
