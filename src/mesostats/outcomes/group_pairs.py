"""Groups of courses that are compared in pairs: who belongs to which, and the counts of each pair."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import pandas as pd

from mesostats.attendance import attended_sessions
from mesostats.engine import collect
from mesostats.outcomes.response_counts import response_counts
from mesostats.populations import UNKNOWN, check_reference, cluster_sums, group_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesostats.dataset import Dataset

WITHOUT: Final = "without "
"""What the group of the courses that did not receive a product begins with."""
REFERENCE: Final = "reference"
"""The grouping column of a result that names the group compared with; empty where a group stands alone."""
TAKEN: Final = frozenset({REFERENCE, "_pair", "_own", "_own_n", "_own_y", "_other_n", "_other_y", "_n"})
_COURSE_TABLES: Final = ("patients", "courses")
_MOST_PRODUCTS: Final = 20
_MOST_PAIRWISE: Final = 20


def is_product(clinic: Dataset, group: str) -> bool:
    """Tell whether a group is a column of products, not of patients or courses.

    Raises
    ------
    ValueError
        If the column is in none of these tables.
    """
    return clinic.table_of(group, among=(*_COURSE_TABLES, "products")) == "products"


def received(
    clinic: Dataset, courses: nw.LazyFrame[Any], group: str
) -> tuple[nw.LazyFrame[Any], pd.DataFrame, int]:
    """Return courses once for each product, in the group that received it or in that which did not.

    Parameters
    ----------
    clinic
        A data set with products.
    courses
        One row a course and instrument.
    group
        A column of products, such as the substance.

    Returns
    -------
    tuple
        The courses with the column `group`: the product's value, or "without" it, for each value that any course with the same
        instrument received; the pairs to compare, as of `reference_pairs`; and the number of courses of which no product
        was recorded: they are in neither group.

    Raises
    ------
    ValueError
        If there are more than 20 values for an instrument.

    Notes
    -----
    A course received what any of its attended sessions up to the data cut used. One with several products is in the group of
    each.
    """
    sessions = attended_sessions(clinic).select("session_id", "course_id")
    used = clinic.lazy("products").filter(~nw.col(group).is_null()).select("session_id", group_values(group))
    given = clinic.engine.materialise(
        sessions.join(used, on="session_id", how="inner").select("course_id", group).unique()
    )
    known = courses.join(given.select("course_id").unique(), on="course_id", how="inner")
    pairs = _product_pairs(
        collect(known.join(given, on="course_id").select("instrument", group).unique()), group
    )
    offered = clinic.engine.small(pairs[["instrument", group]], courses)
    crossed = known.join(offered, on="instrument", how="inner").join(
        given.with_columns(_given=nw.lit(1)), on=["course_id", group], how="left"
    )
    name = nw.when(nw.col("_given").is_null()).then(nw.concat_str(nw.lit(WITHOUT), nw.col(group)))
    crossed = crossed.with_columns(name.otherwise(nw.col(group)).alias(group)).drop("_given")
    every, there = (
        int(collect(frame.select("course_id").unique().select(n=nw.len()))["n"].iloc[0])
        for frame in (courses, known)
    )
    return clinic.engine.materialise(crossed), pairs, every - there


def _product_pairs(values: pd.DataFrame, group: str) -> pd.DataFrame:
    """Return, for each instrument and product, those who received it against those who did not."""
    most = values.groupby("instrument").size().max() if len(values) else 0
    if most > _MOST_PRODUCTS:
        msg = f"'{group}' has {most} values, at most {_MOST_PRODUCTS} are compared; group them first"
        raise ValueError(msg)
    pairs = values.sort_values(["instrument", group], ignore_index=True)
    return pairs.assign(**{REFERENCE: WITHOUT + pairs[group]}).astype("str")


@dataclass(frozen=True)
class GroupPairs:
    """Courses in groups, and which groups are compared.

    Parameters
    ----------
    clinic
        Whose engine holds the courses.
    courses
        One row a course, instrument and group, as of `assessments.scored_courses`.
    cell
        The columns within whose values groups are compared; the last one is ``instrument``.
    group
        The column that tells the groups apart.
    pairs
        ``instrument, group`` (under its own name) and ``reference``, one row a comparison.
    """

    clinic: Dataset
    courses: nw.LazyFrame[Any]
    cell: tuple[str, ...]
    group: str
    pairs: pd.DataFrame

    @property
    def columns(self) -> list[str]:
        """The grouping columns of the result."""
        return [*self.cell, self.group, REFERENCE]

    def within(self, *columns: str) -> GroupPairs:
        """Return the same groups, compared within the values of other columns."""
        return replace(self, cell=(*columns, "instrument"))

    def uncompared(self) -> list[str]:
        """Return the instruments of which only one group is known, so that nothing is compared."""
        instruments = collect(self.courses.select("instrument").unique())["instrument"]
        return sorted(set(instruments) - set(self.pairs["instrument"]))

    def grid(self) -> pd.DataFrame:
        """Return one row a cell and pair, with the number of the pair."""
        cells = collect(self.courses.select(*self.cell).unique()).sort_values([*self.cell], ignore_index=True)
        numbered = self.pairs.assign(_pair=range(len(self.pairs)))
        return cells.merge(numbered, on="instrument", how="inner")

    def counts(self, flag: str, strata: Sequence[str] = ()) -> pd.DataFrame:
        """Return the counts of each pair in a denominator.

        Parameters
        ----------
        flag
            The column of the courses that is 1 in the denominator.
        strata
            Columns within whose levels the counts are taken.

        Returns
        -------
        pandas.DataFrame
            One row a cell and pair (and level of the strata that has somebody): the grouping columns, ``_pair``, the sums ``own_…``
            and ``other_…`` of `populations.cluster_sums`, and ``shared``, patients with courses in both groups.
        """
        keys = [*self.cell, *strata, "_pair"]
        hit = nw.col("responder") * nw.col("_own")
        patients = (
            self._sided(flag)
            .group_by(*keys, "patient_id")
            .agg(
                nw.col("_own").sum().cast(nw.Float64).alias("_own_n"),
                hit.sum().cast(nw.Float64).alias("_own_y"),
                (1 - nw.col("_own")).sum().cast(nw.Float64).alias("_other_n"),
                (nw.col("responder") - hit).sum().cast(nw.Float64).alias("_other_y"),
            )
        )
        both = (
            nw.when((nw.col("_own_n") > 0) & (nw.col("_other_n") > 0))
            .then(nw.lit(1.0))
            .otherwise(nw.lit(0.0))
        )
        sums = [
            *cluster_sums(nw.col("_own_n"), nw.col("_own_y"), "own"),
            *cluster_sums(nw.col("_other_n"), nw.col("_other_y"), "other"),
        ]
        counts = collect(
            patients.with_columns(_n=both).group_by(*keys).agg(*sums, nw.col("_n").sum().alias("shared"))
        )
        found = self.grid().merge(counts, on=[*self.cell, "_pair"], how="left")
        found = found.sort_values([*self.cell, "_pair", *strata], ignore_index=True)
        numbers = [str(name) for name in counts if name not in keys]
        whole = found[numbers].astype("float64").fillna(0.0)
        return pd.concat([found.drop(columns=numbers), whole], axis="columns")

    def _sided(self, flag: str) -> nw.LazyFrame[Any]:
        """Return the courses of a denominator, once for each pair that their group is in."""
        numbered = self.pairs.assign(_pair=range(len(self.pairs)))
        sides = [
            numbered[["instrument", column, "_pair"]]
            .set_axis(["instrument", self.group, "_pair"], axis=1)
            .assign(_own=own)
            for column, own in ((self.group, 1), (REFERENCE, 0))
        ]
        table = self.clinic.engine.small(pd.concat(sides, ignore_index=True), self.courses)
        counted = self.courses.filter(nw.col(flag) == 1)
        return counted.join(table, on=["instrument", self.group], how="inner")

    def patterns(self, flag: str, covariates: Sequence[str] = ()) -> pd.DataFrame:
        """Return the courses of a denominator, alike ones of a patient as one row with their number ``_n``."""
        keys = list(dict.fromkeys([*self.cell, self.group, "patient_id", "responder", *covariates]))
        counted = self.courses.filter(nw.col(flag) == 1).group_by(*keys).agg(nw.len().alias("_n"))
        return collect(counted).sort_values(keys, ignore_index=True)


def group_tallies(pairs: GroupPairs) -> pd.DataFrame:
    """Return the counts of every group in every cell of its instrument, 0 where a group has nobody there."""
    keys = [*pairs.cell, pairs.group]
    found = response_counts(pairs.courses, keys)
    cells = found[[*pairs.cell]].drop_duplicates()
    groups = found[["instrument", pairs.group]].drop_duplicates()
    grid = cells.merge(groups, on="instrument", how="inner")
    whole = grid.merge(found, on=keys, how="left").sort_values(keys, ignore_index=True)
    return whole.fillna({name: 0.0 for name in whole if name not in keys})


def reference_pairs(
    courses: nw.LazyFrame[Any], group: str, *, reference: str | None, pairwise: bool
) -> pd.DataFrame:
    """Choose which groups are compared, for each instrument.

    Parameters
    ----------
    courses
        One row a course and instrument, with the column `group`.
    group
        The column that tells the groups apart.
    reference
        The group that the others are compared with; if None the largest one of each instrument.
    pairwise
        Whether all pairs are compared.

    Returns
    -------
    pandas.DataFrame
        ``instrument``, the group and its reference; groups that are not recorded are in no pair.

    Raises
    ------
    ValueError
        If the reference is not among the known groups, or more than 20 groups are to be compared pairwise.
    """
    sizes = collect(courses.group_by("instrument", group).agg(nw.len().alias("_n")))
    known = sizes[~sizes[group].isin(UNKNOWN)]
    if reference is not None:
        check_reference(reference, set(sizes[group]), column=group)
    rows = []
    for instrument, found in known.sort_values(["instrument", group]).groupby("instrument"):
        groups = found[group].tolist()
        first = reference or groups[int(found["_n"].to_numpy().argmax())]
        order = [first, *(each for each in groups if each != first)]
        if pairwise and len(order) > _MOST_PAIRWISE:
            msg = f"'{group}' has {len(order)} groups, at most {_MOST_PAIRWISE} are compared pairwise; name a reference"
            raise ValueError(msg)
        firsts = order if pairwise else order[:1]
        rows += [(instrument, other, one) for place, one in enumerate(firsts) for other in order[place + 1 :]]
    return pd.DataFrame(rows, columns=["instrument", group, REFERENCE]).astype("str")
