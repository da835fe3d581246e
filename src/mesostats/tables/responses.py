"""Tables of response compared: each group over its denominators, then difference, ratio, number needed to treat and p."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mesostats.layout import (
    INSTRUMENT,
    Pair,
    Pairing,
    conf_level,
    heading,
    heading_of,
    label,
    labels_of,
    needed_to_treat,
    out_of_with_share,
    p_text,
    readable,
    shared,
    telling,
    with_interval,
)
from mesostats.results import ALL_GROUPS
from mesostats.tables.grid import Grid
from mesostats.tables.notes import correction, cutoff_line, left_out_line, method_line, population_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from mesostats.results import Result
    from mesostats.tables.sheet import Sheet

Rows = dict[Pair, "pd.Series[Any]"]

_TREATED: Final = "response_treated"
_EVALUABLE: Final = "response_evaluable"
_HEADS: Final = {
    "risk_difference": "Difference, points",
    "stratified_risk_difference": "Stratified difference, points",
    "adjusted_risk_difference": "Adjusted difference, points",
    "risk_ratio": "Ratio",
    "stratified_risk_ratio": "Stratified ratio",
    "adjusted_risk_ratio": "Adjusted ratio",
}
_NEEDED: Final = ("number_needed_to_benefit", "number_needed_to_harm")
_INTERACTION: Final = "interaction_difference_test"
_OVERALL: Final = "overall"


def compared_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of response compared.

    Parameters
    ----------
    result
        What `compare_response` returned.
    most
        How many rows are shown at most.

    Returns
    -------
    Sheet
        Of two groups a row a cell; of several with one reference a row a group, of pairs a row a pair.
    """
    found = Pairing(result)
    pairs = found.pairs
    if len({(pair.group, pair.reference) for pair in pairs}) == 1:
        return _two_groups(found, pairs[0], most)
    if len({pair.reference for pair in pairs}) == 1:
        return _one_reference(found, most)
    return _each_pair(found, most)


def _two_groups(found: Pairing, pair: Pair, most: int) -> Sheet:
    """Return a row a cell: the two groups beside one another, then those that are not compared, and the comparison."""
    rates = found.alone(_rates(found))
    cells = list(dict.fromkeys(each.cell for each in rates))
    grid = Grid(cells[:most])
    groups = list(dict.fromkeys(each.group for each in rates))
    groups.sort(key=lambda group: (pair.group, pair.reference, group).index(group))
    for group in groups:
        name = found.name(group) + (" (reference)" if group == pair.reference else "")
        keys = {cell: Pair(cell, group, "") for cell in cells}
        _write_group(grid, found, name, keys, assessed=group in pair[1:])
    _write_comparison(grid, found, "", {cell: Pair(cell, pair.group, pair.reference) for cell in cells})
    frame = result_rows(found)
    names = _cell_names(found, grid.keys)
    head = heading_of(found.result, telling(frame, found.cells))
    return grid.sheet(
        {head: names},
        [*left_out_line(len(grid.keys), len(cells) - len(grid.keys), "rows"), *_sources(found)],
        subtitle=_subtitle(found, frame),
    )


def _one_reference(found: Pairing, most: int) -> Sheet:
    """Return a row a group under its cell, the reference last."""
    reference = found.pairs[0].reference
    alone = list(found.alone(_rates(found)))
    cells = {cell: place for place, cell in enumerate(dict.fromkeys(each.cell for each in alone))}
    ordered = sorted(alone, key=lambda each: (cells[each.cell], each.group == reference))
    kept = ordered[:most]
    grid = Grid(kept)
    _write_group(grid, found, "", {each: each for each in kept})
    _write_comparison(
        grid,
        found,
        f"Against {found.name(reference)}",
        {each: Pair(each.cell, each.group, reference) for each in kept},
    )
    names = [found.name(each.group) + (" (reference)" if each.group == reference else "") for each in kept]
    return _in_blocks(grid, found, kept, names, left_out=len(ordered) - len(kept))


def _each_pair(found: Pairing, most: int) -> Sheet:
    """Return a row a pair under its cell, and before them nothing but the pairs."""
    pairs = found.pairs
    kept = pairs[:most]
    grid = Grid(kept)
    for name, side in (("Group", 1), ("Against", 2)):
        _write_group(grid, found, name, {pair: Pair(pair.cell, pair[side], "") for pair in kept})
    _write_comparison(grid, found, "Compared", {pair: pair for pair in kept})
    names = [f"{found.name(pair.group)} against {found.name(pair.reference)}" for pair in kept]
    return _in_blocks(grid, found, kept, names, left_out=len(pairs) - len(kept))


def _in_blocks(grid: Grid, found: Pairing, kept: list[Pair], names: list[str], *, left_out: int) -> Sheet:
    """Return the sheet with a block a cell, where there are several."""
    frame = result_rows(found)
    blocks = _cell_names(found, [pair.cell for pair in kept]) if telling(frame, found.cells) else []
    sources = [*left_out_line(len(kept), left_out, "rows"), *_sources(found)]
    head = heading(found.result, found.group)
    return grid.sheet({head: names}, sources, blocks=blocks, subtitle=_subtitle(found, frame))


def result_rows(found: Pairing) -> pd.DataFrame:
    """Return each group's own rows of a result that compares groups.

    Parameters
    ----------
    found
        The result, read as pairs.

    Returns
    -------
    pandas.DataFrame
    """
    frame = found.result.estimates
    return frame[frame["estimand"].eq(_rates(found))]


def _rates(found: Pairing) -> str:
    return str(found.result.spec["rates"])


def _cell_names(found: Pairing, cells: Any) -> list[str]:
    """Return what readers see for each cell: the columns that tell cells apart."""
    columns = telling(result_rows(found), found.cells)
    places = [found.cells.index(name) for name in columns]
    return [
        " \N{MIDDLE DOT} ".join(
            label(found.result, name, cell[place]) for name, place in zip(columns, places, strict=True)
        )
        or "All courses"
        for cell in cells
    ]


def _subtitle(found: Pairing, frame: pd.DataFrame) -> str:
    return shared(found.result, frame, found.cells)


def _write_group(
    grid: Grid, found: Pairing, name: str, keys: Mapping[Any, Pair], *, assessed: bool = True
) -> None:
    """Write a group's response over the denominator compared, and over those assessed (or treated)."""
    own = _rates(found)
    other = _TREATED if own == _EVALUABLE else _EVALUABLE
    for estimand in (own, other) if assessed else (own,):
        rows = _taken(found.alone(estimand), keys)
        head = f"{_denominator(estimand)}, n/N (%)"
        grid.write((name, head), rows, out_of_with_share, noted=estimand == own, always=estimand == own)


def _denominator(estimand: str) -> str:
    return readable(estimand.removeprefix("response_"))


def _taken(rows: Rows, keys: Mapping[Any, Pair]) -> dict[Any, pd.Series[Any]]:
    """Return the rows that belong to the keys of a grid."""
    return {key: rows[pair] for key, pair in keys.items() if pair in rows}


def _write_comparison(grid: Grid, found: Pairing, spanner: str, keys: Mapping[Any, Pair]) -> None:
    """Write the differences, the ratio, the number needed to treat, and the p values of the primary difference."""
    level = conf_level(found.result)
    interval = f" ({level} CI)" if level else ""
    for measure in [*found.differences, found.ratio]:
        rows = _taken(found.of(measure), keys)
        primary = measure == found.primary
        head = f"{_HEADS.get(measure, readable(measure))}{interval}"
        grid.write((spanner, head), rows, with_interval, noted=primary, always=primary, bold=primary)
    sides = {name: _taken(found.of(name), keys) for name in _NEEDED}
    texts = {
        key: needed_to_treat({name: rows[key] for name, rows in sides.items() if key in rows}) for key in keys
    }
    grid.put((spanner, f"NNT{interval}"), texts)
    primary_rows = _taken(found.of(found.primary), keys)
    grid.write((spanner, "p"), primary_rows, lambda row: p_text(row["p_value"]))
    grid.write((spanner, "adjusted p"), primary_rows, lambda row: p_text(row["p_adjusted"]))
    tests = _taken(found.of("homogeneity_test"), keys)
    grid.write((spanner, "p, strata alike"), tests, lambda row: p_text(row["p_value"]), noted=True)


def _sources(found: Pairing, methods: Iterable[str] = ()) -> list[str]:
    """Return what stands beneath: how it was compared, over whom, and which p values were adjusted."""
    result, spec = found.result, found.result.spec
    frame = result.estimates
    quoted = frame["estimand"].isin([_rates(found), *found.differences, found.ratio, "homogeneity_test"])
    lines = method_line([*frame.loc[quoted, "method"].unique(), *methods])
    known = frame["estimand"].unique()
    if _NEEDED[0] in known:
        lines.append(
            "NNTB, NNTH: treated patients for one more to benefit, or to be harmed, from the primary difference; "
            "where its interval holds 0, theirs goes on through infinity (Altman 1998)."
        )
    if any(name.endswith("odds_ratio") for name in known):
        lines.append("Odds ratios are in the result's estimates.")
    lines.append(population_line(result, "courses"))
    if spec.get("family"):
        lines.append(f"p adjusted ({correction(result)}) within a family: {spec['family']}.")
    if spec.get("not_due"):
        lines.append(f"Not counted: {spec['not_due']:,} courses whose endpoint is not due at the data cut.")
    return [*lines, cutoff_line(result)]


def subgroup_sheet(result: Result, most: int) -> Sheet:
    """Return the sheet of response in subgroups: a row a level, under its column with the test of interaction.

    Parameters
    ----------
    result
        What `subgroup_response` returned.
    most
        How many levels are shown at most.

    Returns
    -------
    Sheet
    """
    found = Pairing(result)
    pairs = found.pairs
    kept = pairs[:most]
    rows = _with_headings(kept)
    grid = Grid(rows)
    for name, side in (("Group", 1), ("Reference", 2)):
        keys = {pair: Pair(pair.cell, pair[side], "") for pair in pairs}
        _write_group(grid, found, name, keys)
    _write_comparison(grid, found, "", {pair: pair for pair in pairs})
    tests = {pair: row for pair, row in found.of(_INTERACTION).items() if pair in rows}
    _blank(grid, set(tests))
    levels = len(grid.columns)
    grid.write(("", "p, interaction"), tests, lambda row: p_text(row["p_value"]), noted=True)
    grid.write(("", "adjusted p"), tests, lambda row: p_text(row["p_adjusted"]))
    _blank(grid, {*rows} - set(tests), start=levels)
    overall = {place for place, pair in enumerate(rows) if pair.cell[0] == _OVERALL}
    heads = {place for place, pair in enumerate(rows) if pair in tests}
    methods = dict.fromkeys(row["method"] for row in tests.values())
    return grid.sheet(
        {"Level": [_level_name(found, pair) for pair in rows]},
        [
            str(result.spec["warning"]),
            *left_out_line(len(kept), len(pairs) - len(kept), "levels"),
            *_sources(found, methods),
        ],
        blocks=[_comparison_name(found, pair) for pair in rows],
        strong=tuple(sorted(overall | heads)),
        indented=tuple(place for place in range(len(rows)) if place not in overall | heads),
        subtitle=_subtitle(found, result_rows(found)),
    )


def _with_headings(pairs: list[Pair]) -> list[Pair]:
    """Return the levels, before the first of each column a row for its test, blocks by comparison."""
    blocks = dict.fromkeys((pair.cell[2], pair.group, pair.reference) for pair in pairs)
    keys: dict[Pair, None] = {}
    for block in blocks:
        for pair in pairs:
            if (pair.cell[2], pair.group, pair.reference) == block:
                keys |= {} if pair.cell[0] == _OVERALL else {_test_key(pair): None}
                keys[pair] = None
    return list(keys)


def _blank(grid: Grid, keys: set[Any], *, start: int = 0) -> None:
    """Leave cells empty that no number belongs to, where a dash would say that none could be estimated."""
    places = [place for place, key in enumerate(grid.keys) if key in keys]
    for column in grid.columns[start:]:
        for place in places:
            grid.texts[column.key][place] = ""


def _test_key(pair: Pair) -> Pair:
    subgroup, _, instrument = pair.cell
    return Pair((subgroup, ALL_GROUPS, instrument), pair.group, pair.reference)


def _level_name(found: Pairing, pair: Pair) -> str:
    subgroup, level, _ = pair.cell
    if subgroup == _OVERALL:
        return "Overall"
    return heading(found.result, subgroup) if level == ALL_GROUPS else label(found.result, subgroup, level)


def _comparison_name(found: Pairing, pair: Pair) -> str:
    """Return what heads a block: the comparison, and the instrument where there are several."""
    frame = result_rows(found)
    several = telling(frame, [INSTRUMENT])
    row = frame[frame[INSTRUMENT].eq(pair.cell[2])].iloc[0]
    name = f"{found.name(pair.group)} against {found.name(pair.reference)}"
    return " \N{MIDDLE DOT} ".join(filter(None, [labels_of(found.result, several, row), name]))
