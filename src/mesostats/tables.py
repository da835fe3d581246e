"""Display tables: a `Result` in, a `great_tables.GT` out. Numbers are rounded for display, never before."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from great_tables import GT, loc, style

from mesostats.layout import (
    MISSING,
    Layout,
    amount,
    bounds,
    conf_level,
    counts_a_step,
    heading,
    is_curve,
    is_share,
    label,
    labels_of,
    lay_out,
    medians,
    out_of,
    readable,
    span,
    time_name,
    with_interval,
)

if TYPE_CHECKING:
    from mesostats.results import Result

_MOST_STEPS: Final = 12
_PARTS: Final = {
    "_count": "n/N",
    "_value": "estimate",
    "_bounds": "bounds",
    "_missing": "missing",
    "_p_value": "p",
    "_p_adjusted": "adjusted p",
}
_SECTION: Final = "_section"
_BOUNDS_NOTE: Final = (
    "Missing: {units} without an answer, because nobody asked; they are not in n/N. Bounds: the share if none of them had "
    "the event, and if all of them had."
)


def table(result: Result, *, title: str | None = None) -> GT:
    """Make the display table of a result.

    Parameters
    ----------
    result
        What an analysis returned.
    title
        Heads the table; the result's own title by default.

    Returns
    -------
    great_tables.GT
        n/N, estimate and interval a group; notes as footnotes; method, population and data cut beneath. What could not be
        estimated is a dash with its footnote. A long curve shows a dozen of its times, and says so.

    Examples
    --------
    >>> import pandas as pd
    >>> from mesostats.results import Result, contract
    >>> row = {"arm": ["A"], "estimand": ["response"], "estimate": [0.625], "numerator": [35], "denominator": [56]}
    >>> spec = {"analysis": "response", "title": "Who responded?", "cutoff": "2025-06-30"}
    >>> result = Result(contract(pd.DataFrame(row), ["arm"]), spec, lambda cell: pd.DataFrame())
    >>> "35/56" in table(result).as_raw_html()
    True
    """
    layout = lay_out(result)
    cells = _cells(result, layout)
    stub = [f"_stub{place}" for place in range(len(layout.rows))]
    view = GT(
        _grid(result, layout, cells, stub=stub),
        rowname_col=stub if len(stub) > 1 else stub[0],
        groupname_col=_SECTION if _sectioned(layout, result) else None,
        id=_identity(result, title),
    )
    view = view.tab_header(title=title or result.spec["title"])
    heads: list[Any] = [heading(result, name) for name in layout.rows]
    view = view.tab_stubhead(heads if len(heads) > 1 else heads[0])
    view = _footnoted(_headed(view, result, layout, cells), cells)
    for line in _source_notes(result, layout, cells):
        view = view.tab_source_note(line)
    return _house_style(view, _identity(result, title))


def _cells(result: Result, layout: Layout) -> pd.DataFrame:
    """Return the estimates shown, with the texts of their parts, and the row and series that each belongs to."""
    frame = _thinned(layout)
    names = layout.sections + layout.rows
    return frame.assign(
        _row=frame.groupby(names, sort=False, dropna=False).ngroup(),
        _series=frame.groupby(layout.series, sort=False, dropna=False).ngroup(),
        _count=[out_of(row) for _, row in frame.iterrows()],
        _value=[with_interval(row) for _, row in frame.iterrows()],
        _bounds=_bounds_texts(result, frame),
        _missing=_missing_texts(layout, frame),
        _p_value=frame["p_value"].map(_p_text),
        _p_adjusted=frame["p_adjusted"].map(_p_text),
    )


def _thinned(layout: Layout) -> pd.DataFrame:
    """Keep a dozen times a block, evenly spread, first and last among them."""
    frame = layout.frame
    if not layout.steps:
        return frame
    blocks = frame.groupby([*layout.sections, "estimand"], sort=False, dropna=False)["time"]
    kept = [
        place in np.linspace(0, length - 1, _MOST_STEPS).round()
        for place, length in zip(blocks.cumcount(), blocks.transform("size"), strict=True)
    ]
    return frame[kept] if blocks.size().max() > _MOST_STEPS else frame


def _bounds_texts(result: Result, frame: pd.DataFrame) -> list[str]:
    """Return the bounds of each estimate as text, where it has them."""
    limits = {
        (estimand, *key): span(amount(low, estimand), amount(high, estimand))
        for estimand in frame["estimand"].unique()
        for *key, low, high in bounds(result, estimand).itertuples(index=False)
    }
    keys = frame[["estimand", *result.groups]].itertuples(index=False)
    return [limits.get(tuple(key), MISSING) for key in keys]


def _missing_texts(layout: Layout, frame: pd.DataFrame) -> pd.Series[str]:
    """Return the numbers missing; a number that stands in the row already is not repeated, nor are zeros throughout."""
    known = frame["n_missing"]
    repeated = frame.duplicated([*layout.sections, *layout.rows, "n_missing"]) & (
        layout.series == ["estimand"]
    )
    shown = known.notna() & ~repeated & bool(known.gt(0).any())
    return known.map(lambda n: f"{n:,.0f}", na_action="ignore").where(shown, MISSING)


def _p_text(p: float) -> str:
    if pd.isna(p):
        return MISSING
    return f"{p:.3f}" if p >= 0.001 else "<0.001"  # noqa: PLR2004 - three decimals


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
    for name, column in zip(stub, layout.rows, strict=True):
        shown[name] = [labels_of(result, [column], row) for _, row in firsts.iterrows()]
    if _sectioned(layout, result):
        shown[_SECTION] = [_section_text(result, layout, row) for _, row in firsts.iterrows()]
    return shown


def _sectioned(layout: Layout, result: Result) -> bool:
    return bool(layout.sections) or (layout.steps and not medians(result).empty)


def _section_text(result: Result, layout: Layout, row: pd.Series[Any]) -> str:
    """Return what heads a block: its groups, and the median where the result has one."""
    text = labels_of(result, layout.sections, row) or f"All {row['unit']}"
    found = medians(result)
    for column in layout.sections:
        found = found[found[column].eq(row[column])]
    for _, median in found.iterrows():
        value = with_interval(median) if pd.notna(median["estimate"]) else "not reached"
        text += f": median, {time_name(result).lower()}s: {value}"
    return text


def _headed(view: GT, result: Result, layout: Layout, cells: pd.DataFrame) -> GT:
    """Label the columns, span those of one series, and make the primary one bold."""
    primary = result.spec.get("primary")
    level = conf_level(result)
    for series, own in cells.groupby("_series"):
        first = own.iloc[0]
        parts = _parts(own)
        names: dict[str, Any] = {
            f"{series}{part}": _part_label(part, first["estimand"], level) for part in parts
        }
        if "_count" in parts and counts_a_step(layout, own):
            names[f"{series}_count"] = "events/at risk"
        is_primary = len(layout.frame["estimand"].unique()) > 1 and first["estimand"] == primary
        spanner = labels_of(result, layout.series, first) + (" (primary)" if is_primary else "")
        view = view.cols_label(cases=names).cols_align("right", columns=list(names))
        view = view.tab_spanner(spanner, columns=list(names), id=f"series{series}")
        if is_primary:
            view = view.tab_style(style.text(weight="bold"), loc.body(columns=list(names)))
    return view


def _part_label(part: str, estimand: str, level: str) -> str:
    share = is_share(estimand)
    interval = f" ({level} CI)" if level else ""
    if part == "_value":
        return ("%" if share else "per " + estimand.rpartition("_per_")[2].replace("_", " ")) + interval
    return "bounds, %" if part == "_bounds" and share else _PARTS[part]


def _footnoted(view: GT, cells: pd.DataFrame) -> GT:
    """Put each distinct note beneath the table, marked at every estimate that it belongs to."""
    for note, own in cells[cells["note"].ne("")].groupby("note", sort=False):
        places: list[Any] = [
            loc.body(columns=f"{series}_value", rows=rows["_row"].tolist())
            for series, rows in own.groupby("_series")
        ]
        view = view.tab_footnote(str(note), places, placement="right")
    return view


def _source_notes(result: Result, layout: Layout, cells: pd.DataFrame) -> list[str]:
    """Return what stands beneath: how it was computed, whom it counts, and what the parts mean."""
    spec = result.spec
    notes = []
    methods = dict.fromkeys("; ".join(cells["method"].unique()).split("; "))
    if any(methods):
        notes.append("Method: " + "; ".join(filter(None, methods)) + ".")
    count = "Events/at risk" if is_curve(layout) else "n/N"
    units = ", ".join(unit for unit in cells["unit"].unique() if unit)
    population = "; ".join(
        text.rstrip(".") if text.startswith(name) else f"{readable(name).lower()}: {text}".rstrip(".")
        for name, text in spec.get("population", {}).items()
    )
    notes.append(
        f"{count} counts {units or 'units'}." + (f" Population: {population}." if population else "")
    )
    if any(counts_a_step(layout, own) for _, own in cells.groupby("_series")):
        notes.append("Events/at risk are those of one step; the share beside them is cumulative.")
    if spec.get("not_due"):
        notes.append(f"Not counted: {spec['not_due']:,} courses whose endpoint is not due at the data cut.")
    if cells["_bounds"].ne(MISSING).any():
        notes.append(_BOUNDS_NOTE.format(units=units or "units"))
    missing = label(result, "columns", "n_missing") if cells["_missing"].ne(MISSING).any() else ""
    if missing and missing != "N missing":
        notes.append(f"Missing: {missing}.")
    if len(cells) < len(layout.frame):
        notes.append(f"A part of the {len(layout.frame):,} times; the result's estimates hold all.")
    return [*notes, f"Data cut: {spec['cutoff']}."]


def _identity(result: Result, title: str | None) -> str:
    """Return an HTML id that is the same for the same table: great_tables' own is drawn at random."""
    content = f"{title}{result.spec['title']}{result.estimates.to_csv()}"
    return "table-" + hashlib.sha256(content.encode()).hexdigest()[:12]


def _house_style(view: GT, identity: str) -> GT:
    return view.tab_options(
        table_additional_css=f"#{identity} td.gt_row {{ white-space: nowrap; }}",
        table_font_size="14px",
        table_margin_left="0px",
        heading_align="left",
        heading_title_font_size="16px",
        heading_title_font_weight="600",
        heading_border_bottom_style="none",
        table_border_top_style="none",
        table_border_bottom_style="none",
        column_labels_font_weight="600",
        column_labels_border_top_style="none",
        row_group_font_weight="600",
        row_group_padding="10px",
        data_row_padding="5px",
        stub_border_style="none",
        table_body_hlines_color="#e6e6e6",
        source_notes_font_size="12px",
        source_notes_padding="2px",
        footnotes_marks="letters",
    )
