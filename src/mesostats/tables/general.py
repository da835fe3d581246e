"""The table of any result: rows and series as they are laid out, each estimate with its counts and interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from mesostats.layout import (
    MISSING,
    Layout,
    by_columns,
    conf_level,
    count,
    counts_a_step,
    days_between,
    heading,
    is_curve,
    is_share,
    kind_columns,
    label,
    labels_of,
    lay_out,
    medians,
    most_frequent,
    out_of,
    p_statement,
    p_text,
    quantity,
    tests,
    time_name,
    with_interval,
)
from mesostats.tables.notes import (
    bounds_line,
    bounds_texts,
    cutoff_line,
    footnotes,
    left_out_line,
    method_line,
    population_line,
    units_of,
)
from mesostats.tables.sheet import SECTION, Column, Footnote, Sheet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesostats.results import Result

_MOST_STEPS: Final = 12
_FEW_STEPS: Final = 6
_MOST_DIFFERENCES: Final = 4
_ROWS_OF_CURVES: Final = 72
_PARTS: Final = {
    "_count": "n/N",
    "_value": "estimate",
    "_bounds": "bounds",
    "_missing": "missing",
    "_p_value": "p",
    "_p_adjusted": "adjusted p",
}
_INTERVALS: Final = "onset_share"  # its times are the last days of intervals


def general_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of any result.

    Parameters
    ----------
    result
        What an analysis returned.
    most
        How many kinds of event, or other rows of a block, are shown at most.

    Returns
    -------
    Sheet
    """
    layout, left_out = _limited(lay_out(result), result, most)
    cells = _cells(result, layout)
    stub = {f"_stub{place}": heading(result, name) for place, name in enumerate(layout.rows)}
    notes = [
        (_without_days(row["note"], layout), f"{row['_series']}_value", row["_row"])
        for _, row in cells.iterrows()
        if pd.isna(row["estimate"]) or not result.spec.get("differences")  # these say it all in one line
    ]
    return Sheet(
        _grid(result, layout, cells, stub=list(stub)),
        stub,
        list(_columns(result, layout, cells)),
        [*_assumptions(result, layout, cells), *footnotes(notes)],
        _source_notes(result, layout, cells, left_out),
        strong=_primary_rows(result, layout, cells),
    )


def _limited(layout: Layout, result: Result, most: int) -> tuple[Layout, int]:
    """Keep the kinds of event, or rows, that came most often."""
    keys = kind_columns(result) or ([] if layout.steps or layout.sections else layout.rows)
    if not keys or "estimand" in keys:
        return layout, 0
    frame = layout.frame
    if layout.steps:
        groups = len(frame[by_columns(result)].drop_duplicates()) if by_columns(result) else 1
        most = max(1, min(most, _ROWS_OF_CURVES // (_FEW_STEPS * groups)))
        frame = frame[frame["estimand"].eq(result.spec["primary"])]
    kept, left_out = most_frequent(frame, keys, most)
    chosen = pd.MultiIndex.from_frame(layout.frame[keys]).isin(pd.MultiIndex.from_frame(kept[keys]))
    frame = layout.frame[chosen] if left_out else layout.frame
    return Layout(frame, layout.sections, layout.rows, layout.series, layout.steps), left_out


def _cells(result: Result, layout: Layout) -> pd.DataFrame:
    """Return the estimates shown, with the texts of their parts, and the row and series that each belongs to."""
    frame = _thinned(layout)
    names = layout.sections + layout.rows
    repeated = frame.duplicated([*layout.sections, *layout.rows, "n_missing"]) & (
        layout.series == ["estimand"]
    )
    return frame.assign(
        _row=frame.groupby(names, sort=False, dropna=False).ngroup(),
        _series=frame.groupby(layout.series, sort=False, dropna=False).ngroup(),
        _count=[out_of(row) for _, row in frame.iterrows()],
        _value=[with_interval(row) for _, row in frame.iterrows()],
        _bounds=[text or MISSING for text in bounds_texts(result, frame)],
        _missing=MISSING if is_curve(layout) else _missing_texts(frame["n_missing"], repeated),
        _p_value=frame["p_value"].map(p_text),
        _p_adjusted=frame["p_adjusted"].map(p_text),
    )


def _thinned(layout: Layout) -> pd.DataFrame:
    """Keep a dozen times a block, evenly spread, first and last among them; fewer where there are many blocks."""
    frame = layout.frame
    if not layout.steps:
        return frame
    blocks = frame.groupby([*layout.sections, "estimand"], sort=False, dropna=False)["time"]
    headings = len(frame[layout.sections].drop_duplicates()) if layout.sections else 1
    steps = max(_FEW_STEPS, min(_MOST_STEPS, _ROWS_OF_CURVES // max(headings, 1)))
    if blocks.size().max() <= _MOST_STEPS:
        return frame
    kept = [
        place in np.linspace(0, length - 1, steps).round()
        for place, length in zip(blocks.cumcount(), blocks.transform("size"), strict=True)
    ]
    return frame[kept]


def _missing_texts(known: pd.Series[Any], repeated: pd.Series[Any]) -> pd.Series[str]:
    """Return the numbers missing; a number that stands in the row already is not repeated, nor are zeros throughout."""
    shown = known.notna() & ~repeated & bool(known.gt(0).any())
    return known.map(lambda n: f"{n:,.0f}", na_action="ignore").where(shown, MISSING)


def _parts(cells: pd.DataFrame) -> list[str]:
    """Return the parts of a cell that hold anything in one series."""
    return [part for part in _PARTS if part == "_value" or cells[part].ne(MISSING).any()]


def _grid(result: Result, layout: Layout, cells: pd.DataFrame, *, stub: list[str]) -> pd.DataFrame:
    """Return the texts of the table, one row a row and one column a series and part."""
    grid: dict[str, Any] = {}
    for series, own in cells.groupby("_series"):
        for part in _parts(own):
            grid[f"{series}{part}"] = own.set_index("_row")[part]
    shown = pd.DataFrame(grid).sort_index().fillna(MISSING)
    firsts = cells.drop_duplicates("_row").sort_values("_row")
    days = days_between(layout.frame["time"].dropna()) if _intervals(layout) else {}
    for name, column in zip(stub, layout.rows, strict=True):
        shown[name] = [
            days.get(row["time"]) or labels_of(result, [column], row) for _, row in firsts.iterrows()
        ]
    if layout.sections or (layout.steps and not medians(result).empty):
        shown[SECTION] = [_section_text(result, layout, row) for _, row in firsts.iterrows()]
    return shown


def _intervals(layout: Layout) -> bool:
    return layout.steps and set(layout.frame["estimand"]) == {_INTERVALS}


def _without_days(note: str, layout: Layout) -> str:
    """Leave out of a note which days an interval has: they head the row."""
    if not _intervals(layout):
        return note
    return "; ".join(part for part in note.split("; ") if not part.startswith(("day ", "days ")))


def _section_text(result: Result, layout: Layout, row: pd.Series[Any]) -> str:
    """Return what heads a block: its groups, and the median (and quartiles) where the result has one."""
    text = labels_of(result, layout.sections, row) or f"All {row['unit']}"
    found = medians(result)
    for column in layout.sections:
        found = found[found[column].eq(row[column])]
    found = found.sort_values("estimand", key=lambda names: ~names.str.startswith("median_"), kind="stable")
    parts = [
        f"{_quantile(median)}: {with_interval(median) if pd.notna(median['estimate']) else _why_none(median)}"
        for _, median in found.iterrows()
    ]
    return (
        f"{text}: " + "; ".join(parts).replace(":", f", {time_name(result).lower()}s:", 1) if parts else text
    )


def _quantile(row: pd.Series[Any]) -> str:
    estimand = str(row["estimand"])
    if estimand == "restricted_mean":
        return f"mean of the first {row['time']:g}" if pd.notna(row["time"]) else "restricted mean"
    return "median" if estimand.startswith("median_") else f"quartile {estimand.rpartition('_')[2]}"


def _why_none(row: pd.Series[Any]) -> str:
    return str(row["note"]) if row["note"] and row["denominator"] == 0 else "not reached"


def _columns(result: Result, layout: Layout, cells: pd.DataFrame) -> Iterator[Column]:
    """Label the parts of each series, and name the primary one."""
    primary, level = result.spec.get("primary"), conf_level(result)
    several = len(layout.frame["estimand"].unique()) > 1 and layout.series == ["estimand"]
    for series, own in cells.groupby("_series"):
        first = own.iloc[0]
        is_primary = several and first["estimand"] == primary
        spanner = labels_of(result, layout.series, first) + (" (primary)" if is_primary else "")
        for part in _parts(own):
            text = _part_label(part, first, level)
            if part == "_count" and counts_a_step(layout, own):
                text = "events/at risk"
            yield Column(f"{series}{part}", text, spanner, bold=is_primary)


def _part_label(part: str, first: pd.Series[Any], level: str) -> str:
    if part == "_value":
        return quantity(first["estimand"], first["unit"]).heading + (f" ({level} CI)" if level else "")
    return "bounds, %" if part == "_bounds" and is_share(first["estimand"]) else _PARTS[part]


def _primary_rows(result: Result, layout: Layout, cells: pd.DataFrame) -> tuple[int, ...]:
    """Return the row of the estimator to quote, where estimators are rows."""
    if layout.rows != ["estimand"]:
        return ()
    rows = cells[cells["estimand"].eq(str(result.spec.get("primary")))]
    return tuple(dict.fromkeys(rows["_row"].astype(int)))


def _assumptions(result: Result, layout: Layout, cells: pd.DataFrame) -> list[Footnote]:
    """Return what each estimator assumes: the rules that begin with its name."""
    found = []
    for estimand, own in cells.groupby("estimand", sort=False):
        for rule in result.spec.get("rules", []):
            if rule.startswith(f"{estimand} "):
                text = _in_words(result, rule)
                spanner = labels_of(result, layout.series, own.iloc[0])
                rows = {"": sorted(set(own["_row"].astype(int)))}
                as_rows = layout.rows == ["estimand"]
                found.append(
                    Footnote(text, rows)
                    if as_rows
                    else Footnote(text, spanners=(_headed(spanner, result, estimand),))
                )
    return found


def _in_words(result: Result, rule: str) -> str:
    """Return a rule with estimators under the names that the table gives them."""
    names = sorted(result.estimates["estimand"].unique(), key=len, reverse=True)
    for name in names:
        rule = rule.replace(name, label(result, "estimand", name))
    return rule


def _headed(spanner: str, result: Result, estimand: Any) -> str:
    return f"{spanner} (primary)" if estimand == result.spec.get("primary") else spanner


def _source_notes(result: Result, layout: Layout, cells: pd.DataFrame, left_out: int) -> list[str]:
    """Return what stands beneath: how it was computed, whom it counts, and what the parts mean."""
    spec, units = result.spec, units_of(cells)
    curve = is_curve(layout)
    notes = [
        *_test_lines(result),
        *method_line([*cells["method"].unique(), *tests(result)["method"].unique()]),
    ]
    notes.append(population_line(result, units, counted="Events/at risk" if curve else "n/N"))
    if any(counts_a_step(layout, own) for _, own in cells.groupby("_series")):
        notes.append("Events/at risk are those of one step; the share beside them is cumulative.")
    if spec.get("not_due"):
        notes.append(f"Not counted: {spec['not_due']:,} courses whose endpoint is not due at the data cut.")
    if cells["_bounds"].ne(MISSING).any():
        notes.append(bounds_line(units))
    missing = label(result, "columns", "n_missing") if cells["_missing"].ne(MISSING).any() else ""
    if missing and missing != "N missing":
        notes.append(f"Missing: {missing}.")
    notes += _left_out_of_curves(result, layout) + _differences(result)
    keys = kind_columns(result) or layout.sections + layout.rows
    if left_out:
        shown = len(cells[keys].drop_duplicates())
        what = "kinds of event" if kind_columns(result) else "rows"
        notes += left_out_line(shown, left_out, what)
    if len(cells) < len(layout.frame):
        notes.append(f"A part of the {len(layout.frame):,} times; the result's estimates hold all.")
    return [*notes, cutoff_line(result)]


def _left_out_of_curves(result: Result, layout: Layout) -> list[str]:
    """Say how many are missing from each curve; it is the same number at all times."""
    if not is_curve(layout):
        return []
    keys = by_columns(result)
    firsts = layout.frame.drop_duplicates(keys) if keys else layout.frame.head(1)
    parts = [
        f"{labels_of(result, keys, row)} {count(row['n_missing'])}".strip()
        for _, row in firsts.iterrows()
        if row["n_missing"] > 0
    ]
    meaning = label(result, "columns", "n_missing")
    why = f" ({meaning})" if meaning != "N missing" else ""
    return [f"Missing{why}: {', '.join(parts)}."] if parts else []


def _test_lines(result: Result) -> list[str]:
    """Quote the tests across groups."""
    lines = []
    for _, row in tests(result).iterrows():
        kinds = labels_of(result, kind_columns(result), row)
        name = label(result, "estimand", row["estimand"]) + (f", {kinds}" if kinds else "")
        if pd.notna(row["p_value"]):
            lines.append(
                f"{name}: {p_statement(row['p_value'])} (chi-squared {row['statistic']:.1f}, {row['df']:g} df)"
            )
        else:
            lines.append(f"{name}: {row['note'] or 'not possible'}")
    return ["Groups compared. " + "; ".join(lines) + "."] if lines else []


def _differences(result: Result) -> list[str]:
    """Say what makes estimators differ here, in numbers."""
    lines, cells = [], result.spec.get("differences", [])
    if len(cells) > _MOST_DIFFERENCES:
        return [
            'What makes the estimators differ is counted, a kind and group, in the result\'s spec["differences"].'
        ]
    for each in cells:
        names = " · ".join(label(result, name, each[name]) for name in result.groups)
        parts = [
            f"{each['patients']:,} patients",
            f"{each['events']:,} with the event by day {each['day']:,}",
        ]
        parts += [f"{each[name]:,} {words}" for name, words in _ENDS.items()]
        parts += [
            f"{each[half]['events']:,} events in {each[half]['patient_days']:,} patient-days until day {each[half]['until']:,}"
            for half in ("first_half", "second_half")
        ]
        lines.append((f"{names}: " if names else "") + ", ".join(parts))
    return ["What makes the estimators differ. " + "; ".join(lines) + "."] if lines else []


_ENDS: Final = {
    "completed": "completed before",
    "dropped_out": "dropped out before",
    "censored_before": "censored before",
}
