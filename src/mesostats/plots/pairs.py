"""Response compared, group against reference: shares and differences, and the forest of subgroups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from mesostats.layout import (
    Pair,
    Pairing,
    conf_level,
    heading,
    label,
    labels_of,
    out_of_with_share,
    p_statement,
    p_text,
    readable,
    shared,
    telling,
    with_interval,
)
from mesostats.plots.blocks import BLOCK_ROW, Rows, columns_at_right, in_blocks, name_blocks
from mesostats.plots.marks import GREY, NEUTRAL, Look, beside, key_above, looks, nothing, points, scaled
from mesostats.results import ALL_GROUPS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mesostats.results import Result

_REFERENCE: Final = Look(GREY, "o", "-")
_OTHER: Final = "The other"
_OVERALL: Final = "overall"
_TEST: Final = "interaction_difference_test"
_LIFT: Final = 0.16
_SMALLEST, _LARGEST = 18.0, 90.0  # square points
_MOST_LEVELS: Final = 45


class _Line(NamedTuple):
    """One pair: its heading, its name, and how important it is."""

    pair: Pair
    heading: str
    name: str


def compared_size(result: Result, most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    lines, _ = _compared(Pairing(result), most)
    headings = len({line.heading for line in lines if line.heading})
    return 12.5, 2.1 + 1.25 * BLOCK_ROW * (len(lines) + headings)


def compared_forest(ax: Axes, result: Result, most: int) -> None:
    """Draw the response of group and reference at the left, their difference at the right, and the numbers beside it."""
    found = Pairing(result)
    lines, left_out = _compared(found, most)
    if not lines:
        nothing(ax)
        return
    rows = in_blocks([line.heading for line in lines], [line.name for line in lines])
    left, right = beside(ax, (1.0, 1.25))
    rates = found.alone(str(result.spec["rates"]))
    references = {line.pair.reference for line in lines}
    groups = {line.pair.group for line in lines}
    own_name = found.name(next(iter(groups))) if len(groups) == 1 else "The group"
    other_name = found.name(next(iter(references))) if len(references) == 1 else _OTHER
    for side, look, lift, name in ((1, looks(1)[0], -_LIFT, own_name), (2, _REFERENCE, _LIFT, other_name)):
        _shares(
            left, rates, [Pair(line.pair.cell, line.pair[side], "") for line in lines], rows, look, lift, name
        )
    frame = _differences(right, found, lines, rows)
    name_blocks(left, rows, width=60)
    left.set_xlim(0, 1.05 * max(left.get_xlim()[1], 1.0))
    left.set_xlabel(f"% responding\n({_whom(result)} {_unit(frame)})", fontsize="small")
    texts = [(f"{own_name}, n/N (%)", 1), (f"{other_name}, n/N (%)", 2)]
    columns = [
        (head, [_rate(rates, Pair(line.pair.cell, line.pair[side], "")) for line in lines])
        for head, side in texts
    ]
    columns_at_right(right, rows.places, [*columns, *_numbers(result, frame)])
    right.set_xlabel(_foot(found, frame, other_name, left_out), fontsize="small")
    key_above(left)


def _compared(found: Pairing, most: int) -> tuple[list[_Line], int]:
    """Return the pairs that are drawn, each with its heading and its name, and how many are left out."""
    pairs = found.pairs
    frame = found.result.estimates
    names = telling(frame[frame["estimand"].eq(found.primary)], found.cells)
    one_pair = len({(pair.group, pair.reference) for pair in pairs}) == 1
    one_reference = len({pair.reference for pair in pairs}) == 1
    lines = []
    for pair in pairs[:most]:
        cell = labels_of(found.result, names, pd.Series(dict(zip(found.cells, pair.cell, strict=True))))
        own = found.name(pair.group)
        name = own if one_reference else f"{own} against {found.name(pair.reference)}"
        lines.append(_Line(pair, "", cell or name) if one_pair else _Line(pair, cell, name))
    return lines, len(pairs) - len(lines)


def _shares(
    ax: Axes,
    rates: dict[Pair, pd.Series[Any]],
    pairs: list[Pair],
    rows: Rows,
    look: Look,
    lift: float,
    name: str,
) -> None:
    """Draw the response of one side of each pair."""
    known = [
        (place + lift, rates[pair]) for place, pair in zip(rows.places, pairs, strict=True) if pair in rates
    ]
    if not known:
        return
    own = scaled(pd.DataFrame([row for _, row in known]))
    points(ax, own, [place for place, _ in known], look, name=name)
    ax.grid(axis="x", color=NEUTRAL)
    ax.set_axisbelow(True)


def _differences(ax: Axes, found: Pairing, lines: list[_Line], rows: Rows) -> pd.DataFrame:
    """Draw the primary differences; larger marks are of more courses."""
    primary = found.of(found.primary)
    frame = pd.DataFrame([primary[line.pair] for line in lines]).assign(_place=rows.places)
    drawn = scaled(frame)
    look = looks(1)[0]
    ax.axvline(0, color="0.3", linewidth=1.0, zorder=1)
    ax.hlines(drawn["_place"], drawn["conf_low"], drawn["conf_high"], color=look.color, linewidth=1.6)
    largest = max(float(drawn["denominator"].max()), 1.0)
    sizes = _SMALLEST + (_LARGEST - _SMALLEST) * drawn["denominator"].fillna(0.0) / largest
    ax.scatter(drawn["estimate"], drawn["_place"], s=sizes, color=look.color, marker="s", zorder=3)
    for place in drawn.loc[drawn["estimate"].isna(), "_place"]:
        ax.text(0, place, " not estimable", va="center", fontsize="x-small", color="0.4")
    ax.grid(axis="x", color=NEUTRAL)
    ax.set_axisbelow(True)
    _centred(ax, drawn)
    return frame


def _centred(ax: Axes, rows: pd.DataFrame) -> None:
    """Show as much at the left of no difference as at its right."""
    values = rows[["estimate", "conf_low", "conf_high"]].to_numpy(float)
    finite = values[np.isfinite(values)]
    reach = 1.08 * max(np.abs(finite).max(), 5.0) if len(finite) else 10.0
    ax.set_xlim(-reach, reach)


def _rate(rates: dict[Pair, pd.Series[Any]], pair: Pair) -> str:
    return out_of_with_share(rates[pair]) if pair in rates else ""


def _whom(result: Result) -> str:
    """Return which courses the shares compared are of."""
    return readable(str(result.spec["rates"]).removeprefix("response_")).lower()


def _unit(frame: pd.DataFrame) -> str:
    return str(frame["unit"].iloc[0]) or "courses"


def _numbers(result: Result, frame: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """Return the columns of differences and p values."""
    level = conf_level(result)
    head = f"difference ({level} CI)" if level else "difference"
    columns = [(head, [with_interval(row) for _, row in frame.iterrows()])]
    columns.append(("p", [p_text(value) for value in frame["p_value"]]))
    if frame["p_adjusted"].notna().any():
        columns.append(("adjusted p", [p_text(value) for value in frame["p_adjusted"]]))
    return columns


def _foot(found: Pairing, frame: pd.DataFrame, reference: str, left_out: int) -> str:
    lines = [
        f"{readable(found.primary)}, percentage points",
        f"right of 0: more respond than in {reference.lower() if reference == _OTHER else reference}",
    ]
    common = shared(found.result, frame, found.cells)
    lines += [common] if common else []
    lines += [f"{left_out} more comparisons in the table"] if left_out else []
    return "\n".join(lines)


def subgroup_size(result: Result, _most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    lines = _levels(Pairing(result))[0]
    headings = len({line.heading for line in lines if line.heading})
    return 11.0, 2.1 + BLOCK_ROW * (len(lines) + headings)


def subgroup_forest(ax: Axes, result: Result, _most: int) -> None:
    """Draw the difference overall and in each level of each subgroup column, the tests of interaction in the headings."""
    found = Pairing(result)
    lines, left_out = _levels(found)
    if not lines:
        nothing(ax)
        return
    rows = in_blocks([line.heading for line in lines], [line.name for line in lines])
    frame = _differences(ax, found, lines, rows)
    name_blocks(ax, rows, inside=True)
    rates = found.alone(str(result.spec["rates"]))
    columns = [
        (head, [_rate(rates, Pair(line.pair.cell, line.pair[side], "")) for line in lines])
        for head, side in (("group, n/N (%)", 1), ("reference, n/N (%)", 2))
    ]
    overall = [line.pair.cell[0] == _OVERALL for line in lines]
    columns_at_right(ax, rows.places, [*columns, *_numbers(result, frame)], bold=overall)
    first = frame[[line.pair.cell[0] == _OVERALL for line in lines]]
    for value, low, high in scaled(first)[["estimate", "_place", "_place"]].itertuples(index=False):
        ends = [place for place in [*first["_place"], len(rows.names)] if place > low]
        ax.vlines(
            value,
            high,
            (ends[0] if ends else len(rows.names)) - 0.5,
            color=GREY,
            linestyle=":",
            linewidth=1.0,
        )
    ax.set_xlabel(_subgroup_foot(found, frame, left_out))


def _levels(found: Pairing) -> tuple[list[_Line], int]:
    """Return the levels of the comparisons that are drawn: as many whole ones as one picture holds."""
    primary = found.of(found.primary)
    tests = found.of(_TEST)
    blocks: dict[Any, list[Pair]] = {}
    for pair in found.pairs:
        blocks.setdefault((pair.cell[2], pair.group, pair.reference), []).append(pair)
    known = [own for own in blocks.values() if any(pd.notna(primary[pair]["estimate"]) for pair in own)]
    kept: list[list[Pair]] = []
    for own in known or list(blocks.values()):
        if not kept or sum(map(len, kept)) + len(own) <= _MOST_LEVELS:
            kept.append(own)
    several = [name for name in telling(found.result.estimates, ["instrument"]) if len(kept) > 1]
    lines = [_level(found, pair, tests, several) for own in kept for pair in own]
    return lines, len(blocks) - len(kept)


def _level(found: Pairing, pair: Pair, tests: dict[Pair, pd.Series[Any]], several: list[str]) -> _Line:
    """Return one level with its heading: the comparison over all, or the subgroup column with its test."""
    subgroup, level, instrument = pair.cell
    against = f"{found.name(pair.group)} against {found.name(pair.reference)}"
    if several:
        against += f" \N{MIDDLE DOT} {label(found.result, 'instrument', instrument)}"
    if subgroup == _OVERALL:
        return _Line(pair, against, "Overall")
    test = tests.get(Pair((subgroup, ALL_GROUPS, instrument), pair.group, pair.reference))
    name = heading(found.result, subgroup)
    known = test is not None and pd.notna(test["p_value"])
    text = f"{name} (interaction {p_statement(test['p_value'])})" if test is not None and known else name
    return _Line(pair, text, label(found.result, subgroup, level))


def _subgroup_foot(found: Pairing, frame: pd.DataFrame, left_out: int) -> str:
    lines = [
        f"{readable(found.primary)}, percentage points; larger squares: more courses; dotted: overall",
        "exploratory: the test of interaction tells whether levels differ, not the p values within them",
    ]
    common = shared(found.result, frame, ["instrument"])
    lines += [common] if common else []
    lines += [f"{left_out} more comparisons in the table"] if left_out else []
    return "\n".join(lines)
