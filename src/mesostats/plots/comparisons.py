"""Groups held against a reference: the dot plot of Amit, Heiberger and Lane, ratios, and the butterfly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from matplotlib.ticker import FuncFormatter

from mesostats.layout import (
    Comparison,
    by_columns,
    comparison,
    count,
    kind_columns,
    labels_of,
    lay_out,
    most_frequent,
    out_of,
    quantity,
    readable,
)
from mesostats.plots.log_axis import arrows, clipped, log_axis
from mesostats.plots.marks import (
    GREY,
    NEUTRAL,
    ROW_INCHES,
    Look,
    beside,
    key_above,
    looks,
    points,
    rows_named,
    rows_parted,
    scaled,
    shifts,
    value_label,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from matplotlib.axes import Axes

    from mesostats.results import Result

_REFERENCE: Final = Look(GREY, "o", "-")
_WIDTH: Final = 10.0
_SERIES_ROWS: Final = 2
_MOST_GROUPS: Final = 5


def comparison_size(result: Result, most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    found = comparison(result)
    rows = found.rates[found.kinds[0]].nunique(dropna=False) if found.kinds else len(found.groups)
    series = max(1.0, min(len(found.others), _MOST_GROUPS) / _SERIES_ROWS) if found.kinds else 1.0
    return _WIDTH, 2.3 + ROW_INCHES * min(rows, most) * series


def dots(ax: Axes, result: Result, most: int) -> None:
    """Draw each group's share at the left, and differences (of rates: ratios) with their intervals at the right."""
    _two_panels(ax, comparison(result), comparison(result).primary, most)


def ratios(ax: Axes, result: Result, most: int) -> None:
    """Draw each group's share at the left, and risk ratios with their intervals at the right."""
    _two_panels(ax, comparison(result), "risk_ratio", most)


def _two_panels(ax: Axes, found: Comparison, measure: str, most: int) -> None:
    left, right = beside(ax, (1.0, 1.25))
    frame, left_out = most_frequent(found.rates, found.kinds, most) if found.kinds else (found.rates, 0)
    others = _largest(found)
    names, places = _rows(found, frame, measure)
    looking = dict(zip(others, looks(len(others)), strict=True)) | {found.reference: _REFERENCE}
    for group in [*others, found.reference]:
        own = scaled(frame[frame[found.group].eq(group)])
        look = looking[group]
        if not found.kinds:
            left.hlines(places[own.index], own["conf_low"], own["conf_high"], color=look.color, linewidth=1.6)
        marks: dict[str, Any] = {"marker": look.marker, "color": look.color, "linestyle": "none"}
        marks["markerfacecolor"] = "white" if group == found.reference else look.color
        name = f"{found.name(group)} (N = {count(own['denominator'].max())})"
        left.plot(own["estimate"], places[own.index], label=name, clip_on=False, zorder=3, **marks)
    _measure(right, found, measure, places, {each: looking[each] for each in others})
    rows_named(left, names)
    left.set_xlim(left=0)
    left.set_xlabel(value_label(frame, found.result, interval=not found.kinds))
    for panel in (left, right):
        panel.grid(axis="x" if found.kinds else "both", color=NEUTRAL)
        panel.set_axisbelow(True)
    note = f"\n{len(names)} most frequent, {left_out} more in the table" if left_out else ""
    if len(others) < len(found.others):
        note += f"\nthe {len(others)} largest of {len(found.others)} groups; the others in the table"
    right.set_xlabel(_measure_label(found, measure) + note)
    if found.kinds:
        rows_parted(left, right)
        key_above(left)


def _largest(found: Comparison) -> list[Any]:
    """Return the groups to compare: with kinds of event only as many as one can tell apart."""
    sizes = found.rates.groupby(found.group, dropna=False)["denominator"].max()
    ranked = sorted(found.others, key=lambda group: -sizes.get(group, 0.0))
    kept = ranked[:_MOST_GROUPS] if found.kinds else ranked
    return [group for group in found.others if group in kept]


def _rows(found: Comparison, frame: pd.DataFrame, measure: str) -> tuple[list[str], pd.Series[Any]]:
    """Name the rows, the largest measure first, and place every estimate in its row; without kinds a row a group."""
    everything = found.result.estimates
    if not found.kinds:
        order = {group: row for row, group in enumerate(found.groups)}
        return [found.name(group) for group in found.groups], everything[found.group].map(order)
    kind = found.kinds[0]
    largest = found.of(measure).groupby(kind, dropna=False)["estimate"].max()
    firsts = frame.drop_duplicates(kind)
    ordered = firsts.assign(_largest=-firsts[kind].map(largest)).sort_values("_largest", kind="stable")
    order = {value: row for row, value in enumerate(ordered[kind])}
    names = [labels_of(found.result, found.kinds, row) for _, row in ordered.iterrows()]
    return names, everything[kind].map(order)


def _measure(
    ax: Axes, found: Comparison, measure: str, places: pd.Series[Any], looking: dict[Any, Look]
) -> None:
    """Draw the comparisons with their intervals, and the line of no difference."""
    on_log = quantity(measure).kind == "ratio"
    rows = scaled(found.of(measure))
    rows = rows[places[rows.index].notna()]
    if on_log:
        log_axis(ax, rows)
        rows = clipped(ax, rows)
    ax.axvline(1.0 if on_log else 0.0, color="0.3", linewidth=1.0, zorder=1)
    spread = shifts(len(looking), 0.5) if found.kinds else [0.0] * len(looking)
    for group, shift in zip(looking, spread, strict=True):
        own = rows[rows[found.group].eq(group)]
        points(ax, own, places[own.index] + shift, looking[group], zero=1.0 if on_log else 0.0)
        if on_log:
            arrows(ax, own, places[own.index] + shift, looking[group])
    if not found.kinds and found.reference in found.groups:
        middle = 1.0 if on_log else 0.0
        place = float(found.groups.index(found.reference))
        ax.annotate(
            "reference",
            (middle, place),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
            color=GREY,
        )


def _measure_label(found: Comparison, measure: str) -> str:
    against = f"{readable(measure)} against {found.name(found.reference)}"
    unit = found.of(measure)["unit"].iloc[0] if len(found.of(measure)) else "units"
    kind = quantity(measure, unit)
    tail = {"points": ", percentage points", "rate": f", {kind.heading}"}.get(kind.kind, " (log scale)")
    levels = found.of(measure)["conf_level"].dropna().unique()
    interval = f"\n(with {100 * levels[0]:g} % interval)" if len(levels) else ""
    return against + tail + interval


def butterfly_groups(result: Result) -> list[Any]:
    """Return the two groups that can be mirrored, by kind of event; none where there are not two."""
    by, kinds = by_columns(result), kind_columns(result)
    if len(by) != 1 or not kinds:
        return []
    groups = list(dict.fromkeys(_rates(result)[by[0]]))
    reference = result.spec["arguments"].get("reference")
    groups.sort(key=lambda group: group == reference)
    return groups if len(groups) == 2 else []  # noqa: PLR2004 - a butterfly has two wings


def _rates(result: Result) -> pd.DataFrame:
    if "rates" in result.spec:
        return comparison(result).rates
    return lay_out(result).frame


def butterfly_size(result: Result, most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    rows = _rates(result)[kind_columns(result)[0]].nunique(dropna=False)
    return 9.0, 2.0 + ROW_INCHES * min(rows, most)


def butterfly(ax: Axes, result: Result, most: int) -> None:
    """Draw two groups as bars away from the middle, the kinds of event most frequent first."""
    group, kind = by_columns(result)[0], kind_columns(result)[0]
    frame, left_out = most_frequent(_rates(result), [kind], most)
    often = frame.groupby(kind, dropna=False)["numerator"].sum().sort_values(ascending=False, kind="stable")
    order = {value: row for row, value in enumerate(often.index)}
    firsts = frame.drop_duplicates(kind).set_index(kind, drop=False).loc[often.index]
    sides = list(_wings(result, scaled(frame), group))
    widest = max(rows["estimate"].max() for _, rows, _ in sides)
    for (name, rows, look), sign, hatch in zip(sides, (-1, 1), ("", "///"), strict=True):
        places = rows[kind].map(order)
        shade = {"color": look.color, "alpha": 0.6, "edgecolor": "0.25", "linewidth": 0.5, "hatch": hatch}
        ax.barh(places, sign * rows["estimate"], 0.74, label=name, **shade)
        for place, (_, row) in zip(places, rows.iterrows(), strict=True):
            at, side = (sign * row["estimate"], place), "right" if sign < 0 else "left"
            ax.annotate(
                out_of(row),
                at,
                (3 * sign, 0),
                textcoords="offset points",
                ha=side,
                va="center",
                fontsize="x-small",
            )
    rows_named(ax, [labels_of(result, [kind], row) for _, row in firsts.iterrows()])
    ax.axvline(0, color="0.3", linewidth=1.0)
    ax.set_xlim(-1.22 * max(widest, 1e-9), 1.22 * max(widest, 1e-9))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):g}"))
    note = f"\n{len(order)} most frequent, {left_out} more in the table" if left_out else ""
    ax.set_xlabel(value_label(frame, result, interval=False) + " (n/N at the bars)" + note)
    key_above(ax)


def _wings(result: Result, frame: pd.DataFrame, group: str) -> Iterator[tuple[str, pd.DataFrame, Look]]:
    for value, look in zip(butterfly_groups(result), looks(2), strict=True):
        rows = frame[frame[group].eq(value)]
        yield labels_of(result, [group], rows.iloc[0]), rows, look
