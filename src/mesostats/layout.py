"""How a result is laid out and worded for readers: what tables and plots have in common.

All of it is read from the result itself. Codes get the labels of ``result.spec["labels"]`` (``{column: {code: label}}``),
else they are made readable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesostats.results import Result

ALL: Final = "_all"
"""The column that names the only row of a result without groups."""

MISSING: Final = "\N{EN DASH}"
"""What stands where a number could not be estimated."""

_FEW_SERIES: Final = 4
_SAME: Final = 1e-9
_BOUNDS: Final = ("_lower", "_upper")


@dataclass(frozen=True)
class Layout:
    """Which columns of a result become blocks, rows and series side by side.

    Parameters
    ----------
    frame
        The estimates shown, each in the result's order; bounds and medians are apart.
    sections
        Columns whose values head blocks of rows.
    rows
        Columns whose values name a row.
    series
        Columns whose values stand side by side: columns of a table, markers of a plot.
    steps
        Whether the rows are the times of a curve or a schedule.
    """

    frame: pd.DataFrame
    sections: list[str]
    rows: list[str]
    series: list[str]
    steps: bool


def lay_out(result: Result) -> Layout:
    """Choose the layout that suits what a result holds.

    Times become rows. Several estimands stand side by side, a group a row. One estimand for few groups crossed with
    another column (side effects by arm) puts those groups side by side.

    Parameters
    ----------
    result
        Any analysis' result.

    Returns
    -------
    Layout
    """
    frame = result.estimates
    frame = frame[~frame["estimand"].map(lambda name: _is_bound(name) or is_median(name)).astype(bool)]
    frame = _in_order(frame, result)
    groups = result.groups
    if frame["time"].notna().any():
        return Layout(frame, groups, ["time"], ["estimand"], steps=True)
    if not groups:
        everyone = [f"All {unit}".strip() for unit in frame["unit"]]
        return Layout(frame.assign(**{ALL: everyone}), [], [ALL], ["estimand"], steps=False)
    if len(frame["estimand"].unique()) > 1:
        return Layout(frame, groups[:-2], groups[-2:], ["estimand"], steps=False)
    frame = _most_frequent_first(frame, groups, result)
    outer = groups[:-1]
    if outer and len(frame[outer].drop_duplicates()) <= _FEW_SERIES:
        return Layout(frame, [], groups[-1:], outer, steps=False)
    return Layout(frame, outer, groups[-1:], ["estimand"], steps=False)


def _in_order(frame: pd.DataFrame, result: Result) -> pd.DataFrame:
    """Order the estimands: the one to quote first, then as the populations narrow; the sort is stable."""
    names = list(result.spec.get("population", {}))
    prefix = _common_prefix(result)

    def rank(estimand: str) -> int:
        population = estimand.removeprefix(prefix)
        if estimand == result.spec.get("primary"):
            return -1
        return names.index(population) if population in names else len(names)

    ranked = frame.assign(_rank=frame["estimand"].map(rank))
    return ranked.sort_values("_rank", kind="stable").drop(columns="_rank")


def _most_frequent_first(frame: pd.DataFrame, groups: list[str], result: Result) -> pd.DataFrame:
    """Order the kinds of event by their largest estimate, each block by itself; other groups keep their order."""
    if result.spec.get("arguments", {}).get("of") not in {"term", "class"}:
        return frame
    largest = frame.groupby(groups[-1], dropna=False)["estimate"].transform("max")
    blocks = frame.groupby(groups[:-1], sort=False, dropna=False).ngroup() if groups[:-1] else 0
    ordered = frame.assign(_largest=-largest, _block=blocks).sort_values(
        ["_block", "_largest"], kind="stable"
    )
    return ordered.drop(columns=["_largest", "_block"])


def bounds(result: Result, estimand: str) -> pd.DataFrame:
    """Return the bounds on an estimand where somebody was not asked.

    Parameters
    ----------
    result
        Any analysis' result.
    estimand
        The estimand whose bounds are wanted.

    Returns
    -------
    pandas.DataFrame
        The grouping columns, ``lower`` and ``upper``; no rows where the result has no bounds.
    """
    keys = result.groups
    sides = [
        result.estimates.loc[result.estimates["estimand"].eq(estimand + side), [*keys, "estimate"]].rename(
            columns={"estimate": side.removeprefix("_")}
        )
        for side in _BOUNDS
    ]
    if not keys:
        return pd.concat([side.reset_index(drop=True) for side in sides], axis="columns")
    return sides[0].merge(sides[1], on=keys)


def medians(result: Result) -> pd.DataFrame:
    """Return the rows of a result that are medians of a time."""
    return result.estimates[result.estimates["estimand"].map(is_median)]


def is_curve(layout: Layout) -> bool:
    """Tell whether a layout is a curve over time: its counts are those of one step, not of the share shown."""
    return layout.steps and len(layout.frame["estimand"].unique()) == 1


def counts_a_step(layout: Layout, rows: pd.DataFrame) -> bool:
    """Tell whether the counts of some rows are those of one step of a curve, not the share shown."""
    if is_curve(layout):
        return True
    shares = rows["numerator"] / rows["denominator"].where(rows["denominator"] > 0)
    return layout.steps and bool((rows["estimate"] - shares).abs().gt(_SAME).any())


def is_median(estimand: str) -> bool:
    """Tell whether an estimand is the median of a time."""
    return estimand.startswith("median_")


def is_share(estimand: str) -> bool:
    """Tell whether an estimand is a proportion, shown in per cent: neither a rate nor a time."""
    return "_per_" not in estimand and not is_median(estimand)


def _is_bound(estimand: str) -> bool:
    return estimand.endswith(_BOUNDS)


def label(result: Result, column: str, value: Any) -> str:
    """Return what a reader sees for a value of a grouping column or an estimand.

    Parameters
    ----------
    result
        The result, with its labels.
    column
        A grouping column, ``estimand`` or ``time``.
    value
        The code, number or text that stands in the column.

    Returns
    -------
    str
    """
    labels = result.spec.get("labels", {}).get(column, {})
    if value in labels:
        return str(labels[value])
    if pd.isna(value):
        return "not recorded"
    if column == "estimand":
        return readable(str(value).removeprefix(_common_prefix(result)))
    return readable(str(value)) if isinstance(value, str) else f"{value:g}"


def labels_of(result: Result, columns: Sequence[str], row: pd.Series[Any]) -> str:
    """Return the labels of several columns of one row, joined."""
    return " · ".join(row[name] if name == ALL else label(result, name, row[name]) for name in columns)


def heading(result: Result, column: str) -> str:
    """Return what heads a column."""
    if column == ALL:
        return ""
    return time_name(result) if column == "time" else readable(column)


def time_name(result: Result) -> str:
    """Return what a result's times count: days, sessions."""
    return str(result.spec.get("arguments", {}).get("time") or "session").capitalize()


def readable(code: str) -> str:
    """Return a code as words.

    Examples
    --------
    >>> readable("skin_type")
    'Skin type'
    """
    words = code.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _common_prefix(result: Result) -> str:
    """Return the word that all estimands of a result begin with: the title says it already."""
    names = {name for name in result.estimates["estimand"] if not _is_bound(name)}
    firsts = {name.split("_")[0] for name in names}
    return f"{firsts.pop()}_" if len(names) > 1 and len(firsts) == 1 else ""


def percentage(conf_level: float) -> str:
    """Return a confidence level in words.

    Examples
    --------
    >>> percentage(0.95)
    '95 %'
    """
    return f"{100 * conf_level:g} %"


def amount(value: float, estimand: str) -> str:
    """Return an estimate or limit as a reader sees it: shares in per cent, rates and times as they are.

    Examples
    --------
    >>> amount(0.62541, "incidence_proportion"), amount(0.00021, "session_proportion"), amount(84.0, "median_retention")
    ('62.5', '<0.1', '84')
    >>> amount(float("nan"), "retention") == MISSING
    True
    """
    if pd.isna(value):
        return MISSING
    if is_median(estimand):
        return f"{value:g}"
    if not is_share(estimand):
        return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"
    percent = 100 * value
    return "<0.1" if 0 < percent < 0.05 else f"{percent:.1f}"  # noqa: PLR2004 - what .1f would show as 0.0


def with_interval(row: pd.Series[Any]) -> str:
    """Return an estimate with its interval.

    Parameters
    ----------
    row
        One row of `Result.estimates`.

    Returns
    -------
    str
        The estimate, its limits in brackets; without the brackets where there is no interval.
    """
    estimate, low, high = (
        amount(row[name], row["estimand"]) for name in ("estimate", "conf_low", "conf_high")
    )
    if low == high == MISSING:
        return estimate
    if high == MISSING and is_median(row["estimand"]):
        high = "not reached"
    return f"{estimate} ({span(low, high)})"


def span(low: str, high: str) -> str:
    """Return a range: with a dash, or "to" where a dash would be read as a minus or joins words.

    Examples
    --------
    >>> span("-1.0", "2.0"), span("70", "not reached"), len(span("51.0", "72.7"))
    ('-1.0 to 2.0', '70 to not reached', 9)
    """
    return f"{low} to {high}" if low.startswith("-") or " " in high else f"{low}\N{EN DASH}{high}"


def out_of(row: pd.Series[Any]) -> str:
    """Return numerator and denominator of one row of `Result.estimates`: ``"35/56"``."""
    if pd.isna(row["numerator"]) or pd.isna(row["denominator"]):
        return MISSING
    return f"{row['numerator']:,.12g}/{row['denominator']:,.12g}"


def conf_level(result: Result) -> str:
    """Return the result's confidence level in words."""
    levels = result.estimates["conf_level"].dropna().unique()
    return " and ".join(percentage(level) for level in levels)
