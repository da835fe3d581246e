"""The courses behind the numbers of a comparison, and why the others do not count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import pandas as pd

from mesostats.engine import collect
from mesostats.outcomes.response_counts import FLAGS, explained

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesostats.outcomes.group_pairs import GroupPairs

_NEEDED: Final = "number_needed_to_"
_MIXED: Final = ("stratified_odds_ratio", "homogeneity_test")
_UNCOMPARED: Final = "the groups cannot be compared in its stratum"
_UNKNOWN: Final = "without a number to adjust for"


@dataclass(frozen=True)
class PairExplanation:
    """How a comparison was made.

    Parameters
    ----------
    pairs
        The groups.
    denominator
        Of `response_counts.FLAGS`.
    strata
        The columns within whose levels stratified measures compare.
    numbers
        The columns of the courses that hold the numbers that adjusted measures need.
    primary
        The difference that the numbers needed to treat are of.
    """

    pairs: GroupPairs
    denominator: str
    strata: tuple[str, ...]
    numbers: tuple[str, ...]
    primary: str

    def __call__(self, cell: Mapping[str, Any]) -> pd.DataFrame:
        """Return one row a course of the cell's group: its baseline, value, and why it does not count."""
        pairs, name = self.pairs, str(cell.get("estimand", ""))
        flag = FLAGS.get(name.removeprefix("response_"), FLAGS[self.denominator])
        columns = [*pairs.cell[:-1], pairs.group]
        rows = explained(pairs.courses, columns, cell, flag=flag)
        measure = self.primary if name.startswith(_NEEDED) else name
        stratified = bool(self.strata) and (measure.startswith("stratified_") or measure in _MIXED)
        if stratified:
            used = self._compared_strata(cell, flag, mixed=measure in _MIXED)
            left_out = ~pd.MultiIndex.from_frame(self._of_courses(rows, self.strata)).isin(used)
            return without_courses(rows, pd.Series(left_out, index=rows.index), _UNCOMPARED)
        if measure.startswith("adjusted_") and self.numbers:
            return without_courses(
                rows, self._of_courses(rows, self.numbers).isna().any(axis="columns"), _UNKNOWN
            )
        return rows

    def _of_courses(self, rows: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
        """Return columns of the courses in the order of the rows."""
        keys = [*self.pairs.cell, self.pairs.group, "course_id"]
        own = self.pairs.courses.select(*keys, *(nw.col(name).alias(f"_own_{name}") for name in columns))
        found = rows[keys].merge(collect(own), on=keys, how="left").set_axis(rows.index)
        return found[[f"_own_{name}" for name in columns]]

    def _compared_strata(self, cell: Mapping[str, Any], flag: str, *, mixed: bool) -> list[tuple[Any, ...]]:
        """Return the strata in which both groups have somebody; for odds ratios, also both outcomes."""
        levels = self.pairs.counts(flag, self.strata)
        for column in self.pairs.columns:
            levels = levels[levels[column] == cell[column]] if column in cell else levels
        size = levels["own_trials"] + levels["other_trials"]
        responders = levels["own_successes"] + levels["other_successes"]
        used = (levels["own_trials"] > 0) & (levels["other_trials"] > 0)
        used &= ((responders > 0) & (responders < size)) | (not mixed)
        return list(levels.loc[used, [*self.strata]].itertuples(index=False, name=None))


def without_courses(rows: pd.DataFrame, left_out: pd.Series[bool], why: str) -> pd.DataFrame:
    """Take courses out of numerator and denominator, and say why.

    Parameters
    ----------
    rows
        As of `response_counts.explained`.
    left_out
        Which of them.
    why
        The reason, where a course has not one already.
    """
    gone = rows["in_denominator"] & left_out
    return rows.assign(
        in_denominator=rows["in_denominator"] & ~gone,
        in_numerator=rows["in_numerator"] & ~gone,
        excluded=rows["excluded"].mask(gone, why),
    )
