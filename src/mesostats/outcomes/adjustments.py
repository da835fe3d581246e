"""Groups that are compared, and columns to adjust for: numbers as numbers, all others as texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.engine import collect
from mesostats.populations import UNKNOWN, check_reference, grouping, with_groups
from mesostats.schemas import table_schema

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mesostats.dataset import Dataset

_TABLES: Final = ("patients", "courses")


def adjustment(
    clinic: Dataset,
    adjust: str | Sequence[str],
    *,
    group: str | None,
    by: Sequence[str],
    taken: Collection[str],
) -> tuple[str, ...]:
    """Check which columns of patients or courses are adjusted for.

    Raises
    ------
    ValueError
        If a column is in neither table, named twice, a grouping column, or of a name that the analysis needs; or if there are
        such columns but no group to compare.
    """
    columns = grouping(adjust)
    if columns and group is None:
        msg = f"adjust= compares groups at the same {columns[0]}: name the groups with group="
        raise ValueError(msg)
    for column in columns:
        if column in by:
            msg = f"'{column}' tells groups apart: within them there is nothing to adjust for"
            raise ValueError(msg)
        if column.lower() in taken:
            msg = f"cannot adjust for '{column}': the analysis has a column of that name; rename yours"
            raise ValueError(msg)
    for column in columns:
        clinic.table_of(column, among=_TABLES)
    return columns


def with_covariates(frame: nw.LazyFrame[Any], clinic: Dataset, columns: Sequence[str]) -> nw.LazyFrame[Any]:
    """Add columns to a frame that has ``course_id`` and ``patient_id``.

    Parameters
    ----------
    frame
        Without columns of these names.
    clinic
        The data set.
    columns
        As `adjustment` checked them.

    Returns
    -------
    nw.LazyFrame
        Numbers as floats, null where not recorded; other columns as texts, with ``not recorded`` as a level.
    """
    numbers = [column for column in columns if _is_number(clinic, column)]
    frame = with_groups(frame, clinic, [column for column in columns if column not in numbers])
    for column in numbers:
        table = clinic.table_of(column, among=_TABLES)
        key = str(table_schema(table).key)
        values = clinic.lazy(table).select(key, nw.col(column).cast(nw.Float64))
        frame = frame.join(values, on=key, how="left")
    return frame


def _is_number(clinic: Dataset, column: str) -> bool:
    rows = clinic.lazy(clinic.table_of(column, among=_TABLES))
    return rows.collect_schema()[column].is_numeric()


def reference_group(courses: nw.LazyFrame[Any], group: str, reference: str | None) -> str:
    """Return the group that the others are compared with: the largest known one if none is named, nothing if none is known.

    Parameters
    ----------
    courses
        One row a course and instrument, with the column `group`.
    group
        The column that tells the groups apart.
    reference
        As the caller named it.

    Raises
    ------
    ValueError
        If no course is in the group that the caller named, or it is the one of those whose group is not known.
    """
    found = collect(courses.group_by(group).agg(courses=nw.len())).sort_values(group)
    sizes = found.set_index(group)["courses"]
    if reference is None:
        known = sizes[~sizes.index.isin(UNKNOWN)]
        return str(known.idxmax()) if len(known) else ""
    check_reference(reference, sizes.index, column=group)
    return reference


def without_reference(found: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Return estimates of groups in a cell where nobody is in the reference group: means, and unknown differences.

    Parameters
    ----------
    found
        Estimates as of `estimators.ancova` or `estimators.visit_means`, made against any of the groups.
    reference
        The group that is absent.
    """
    means = found[found["estimand"] == "ls_mean"]
    unknown = dict.fromkeys(
        ("estimate", "std_error", "conf_low", "conf_high", "statistic", "df", "p_value"), np.nan
    )
    note = f"no course of the reference group '{reference}'"
    return pd.concat(
        [means, means.assign(estimand="ls_mean_difference", note=note, **unknown)], ignore_index=True
    )
