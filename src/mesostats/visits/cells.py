"""Cells: sums over patients, one row a group, in the form that clustered estimators take."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pandas as pd

from mesostats.engine import collect
from mesostats.estimators import ClusterTotals

if TYPE_CHECKING:
    from collections.abc import Sequence

    import narwhals as nw


def sum_cells(patients: nw.LazyFrame[Any], by: Sequence[str], sums: Sequence[nw.Expr]) -> pd.DataFrame:
    """Return sums over the rows of each group, one row a group, sorted.

    Parameters
    ----------
    patients
        One row a group and patient.
    by
        Grouping columns; without any there is one row, also where there is no patient.
    sums
        Named sums, such as those of `populations.cluster_sums`.

    Returns
    -------
    pandas.DataFrame
        The grouping columns, and the sums as numbers (0 where there was nothing to sum).
    """
    cells = collect(patients.group_by(*by).agg(*sums) if by else patients.select(*sums))
    cells = cells.sort_values([*by], ignore_index=True) if by else cells
    numbers = cells.drop(columns=[*by]).astype("float64").fillna(0.0)
    return pd.concat([cells[[*by]], numbers], axis="columns") if by else numbers


def totals_of(cells: pd.DataFrame, prefix: str) -> ClusterTotals:
    """Return the sums ``{prefix}_…`` of `populations.cluster_sums` as the estimators take them."""
    parts = {part.name: cells[f"{prefix}_{part.name}"].to_numpy(float) for part in fields(ClusterTotals)}
    return ClusterTotals(**parts)
