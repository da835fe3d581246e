"""Which columns of a result become blocks, rows and series side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mesostats.layout.quantities import BOUNDS, is_bound, quantity
from mesostats.layout.wording import ALL, common_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from mesostats.results import Result

_FEW_SERIES: Final = 4
_SAME: Final = 1e-9
_FALLING: Final = ("retention", "event_free", "unresolved")
_RISING: Final = ("cumulative_incidence", "mean_cumulative")
_RISING_ALONE: Final = ("returned",)  # others that begin so are shares at one day
_GRADES: Final = ("mild", "moderate", "severe", "life_threatening", "fatal")
_ONE_DAY: Final = ("adverse_event_estimators",)  # all estimates are of the same day


@dataclass(frozen=True)
class Layout:
    """Which columns of a result become blocks, rows and series side by side.

    Parameters
    ----------
    frame
        The estimates shown, each in the result's order; bounds, times and tests are apart.
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
    frame = _in_order(shown(result), result)
    groups = result.groups
    if not groups:
        everyone = [f"All {unit}".strip() for unit in frame["unit"]]
        frame = frame.assign(**{ALL: everyone})
    if result.spec["analysis"] in _ONE_DAY:
        return _panel(frame, result)
    if frame["time"].notna().any():
        return Layout(frame, groups, ["time"], ["estimand"], steps=True)
    if not groups:
        return Layout(frame, [], [ALL], ["estimand"], steps=False)
    if len(frame["estimand"].unique()) > 1:
        return Layout(frame, groups[:-2], groups[-2:], ["estimand"], steps=False)
    frame = _most_frequent_first(frame, groups, result)
    outer = groups[:-1]
    if outer and len(frame[outer].drop_duplicates()) <= _FEW_SERIES:
        return Layout(frame, [], groups[-1:], outer, steps=False)
    return Layout(frame, outer, groups[-1:], ["estimand"], steps=False)


def _panel(frame: pd.DataFrame, result: Result) -> Layout:
    """Lay out several estimators of one thing: a row each, groups side by side; with kinds of event a column each."""
    by, kinds = by_columns(result), kind_columns(result)
    if kinds:
        frame = _most_frequent_first(frame, result.groups, result)
        return Layout(frame, by, kinds, ["estimand"], steps=False)
    if by and len(frame[by].drop_duplicates()) > _FEW_SERIES:
        return Layout(frame, by[:-1], by[-1:], ["estimand"], steps=False)
    if not by:
        frame = frame.assign(**{ALL: f"All {frame['unit'].iloc[0]}" if len(frame) else ""})
    return Layout(frame, [], ["estimand"], by or [ALL], steps=False)


def shown(result: Result) -> pd.DataFrame:
    """Return the estimates that are rows of a table or marks of a plot: no bounds, no medians, no tests."""
    return _named(result, lambda name: not is_bound(name) and quantity(name).kind not in {"time", "test"})


def medians(result: Result) -> pd.DataFrame:
    """Return the rows of a result that are medians, or other quartiles, of a time."""
    return _named(result, lambda name: quantity(name).kind == "time")


def tests(result: Result) -> pd.DataFrame:
    """Return the rows of a result that are tests across groups."""
    return _named(result, lambda name: quantity(name).kind == "test")


def _named(result: Result, wanted: Callable[[str], bool]) -> pd.DataFrame:
    """Return the rows of the estimands that are wanted."""
    names = result.estimates["estimand"]
    return result.estimates[names.isin([name for name in names.unique() if wanted(name)])]


def by_columns(result: Result) -> list[str]:
    """Return the grouping columns that groups were asked for by."""
    arguments = result.spec.get("arguments", {})
    asked = arguments.get("by") or arguments.get("group") or []
    names = [asked] if isinstance(asked, str) else list(asked)
    return [name for name in result.groups if name in names]


def kind_columns(result: Result) -> list[str]:
    """Return the grouping columns that hold kinds of event, such as terms."""
    if result.spec.get("arguments", {}).get("of", "any") in {"any", "serious", "related", "fatal"}:
        return []
    return [name for name in result.groups if name not in by_columns(result)][-1:]


def _in_order(frame: pd.DataFrame, result: Result) -> pd.DataFrame:
    """Order the estimands: the one to quote first, then as the populations narrow; the sort is stable."""
    names = list(result.spec.get("population", {}))
    primary = result.spec.get("primary")
    if result.spec["analysis"] in _ONE_DAY:
        primary = None

    prefix = common_prefix(result)

    def rank(estimand: str) -> int:
        if estimand == primary:
            return -1
        population = estimand.removeprefix(prefix)
        return names.index(population) if population in names else len(names)

    ranked = frame.assign(_rank=frame["estimand"].map(rank))
    return ranked.sort_values("_rank", kind="stable").drop(columns="_rank")


def _most_frequent_first(frame: pd.DataFrame, groups: list[str], result: Result) -> pd.DataFrame:
    """Order the kinds of event as they are read, each block by itself; other groups keep their order."""
    kinds = kind_columns(result)
    if not kinds:
        return frame
    few = not groups[:-1] or len(frame[groups[:-1]].drop_duplicates()) <= _FEW_SERIES
    if few:
        return in_reading_order(frame, kinds)
    ranked = in_reading_order(frame, kinds, within=groups[:-1])
    blocks = frame.groupby(groups[:-1], sort=False, dropna=False).ngroup()
    return ranked.assign(_block=blocks).sort_values("_block", kind="stable").drop(columns="_block")


def in_reading_order(frame: pd.DataFrame, kinds: list[str], *, within: Sequence[str] = ()) -> pd.DataFrame:
    """Order kinds of event: severities from mild to fatal, others by how often they came; the sort is stable.

    Parameters
    ----------
    frame
        Rows of `Result.estimates`.
    kinds
        The columns that name the kind.
    within
        Columns whose groups are counted each by itself.

    Returns
    -------
    pandas.DataFrame
    """
    grouped = frame.groupby([*within, *kinds], dropna=False)
    ranked = frame.assign(
        _often=-grouped["numerator"].transform("sum"), _largest=-grouped["estimate"].transform("max")
    )
    if kinds[-1] == "severity":
        ranked["_often"] = frame["severity"].map({grade: place for place, grade in enumerate(_GRADES)})
    ranked = ranked.sort_values(["_often", "_largest"], kind="stable")
    return ranked.drop(columns=["_often", "_largest"])


def most_frequent(frame: pd.DataFrame, keys: list[str], most: int) -> tuple[pd.DataFrame, int]:
    """Keep the rows of at most so many values of some columns, those with the most events.

    Parameters
    ----------
    frame
        Rows of `Result.estimates`.
    keys
        The columns whose values are counted.
    most
        How many values are kept.

    Returns
    -------
    tuple of pandas.DataFrame and int
        The rows kept, in their order, and how many values were left out.
    """
    grouped = frame.groupby(keys, sort=False, dropna=False)
    sizes = grouped.agg(often=("numerator", "sum"), largest=("estimate", "max"))
    if len(sizes) <= most:
        return frame, 0
    places = sizes.assign(place=range(len(sizes)))
    kept = places.sort_values(["often", "largest"], ascending=False, kind="stable")["place"].head(most)
    return frame[grouped.ngroup().isin(kept)], len(sizes) - most


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
        The grouping columns, ``time``, ``lower`` and ``upper``; no rows where the result has no bounds. ``upper`` is NaN where there is none.
    """
    keys = [*result.groups, "time"]
    sides = [
        result.estimates.loc[result.estimates["estimand"].eq(estimand + side), [*keys, "estimate"]].rename(
            columns={"estimate": side.removeprefix("_")}
        )
        for side in BOUNDS
    ]
    return sides[0].merge(sides[1], on=keys, how="left")


def starts_at(estimand: str) -> float | None:
    """Return where a curve begins, at time 0; None where an estimand is no curve.

    Examples
    --------
    >>> starts_at("retention"), starts_at("mean_cumulative_events"), starts_at("attendance")
    (1.0, 0.0, None)
    """
    if estimand in _FALLING:
        return 1.0
    return 0.0 if estimand.startswith(_RISING) or estimand in _RISING_ALONE else None


def is_curve(layout: Layout) -> bool:
    """Tell whether a layout is that of curves over time."""
    names = layout.frame["estimand"].unique()
    return layout.steps and (
        all(starts_at(name) is not None for name in names)
        or (len(names) == 1 and counts_a_step(layout, layout.frame))
    )


def counts_a_step(layout: Layout, rows: pd.DataFrame) -> bool:
    """Tell whether the counts of some rows are those of one step of a curve, not the share shown."""
    if not layout.steps:
        return False
    shares = rows["numerator"] / rows["denominator"].where(rows["denominator"] > 0)
    known = all(starts_at(name) is not None for name in rows["estimand"].unique())
    return known or bool((rows["estimate"] - shares).abs().gt(_SAME).any())
