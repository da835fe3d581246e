"""Means over courses, clustered in patients: sums taken on the engine, one row a group brought back."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import narwhals as nw

from mesostats.engine import collect
from mesostats.estimators.means import MeanTotals, clustered_mean
from mesostats.results import stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd


def patient_means(
    courses: nw.LazyFrame[Any],
    groups: Sequence[str],
    measures: Mapping[str, nw.Expr],
    *,
    conf_level: float,
) -> pd.DataFrame:
    """Estimate means of measures in each group.

    Parameters
    ----------
    courses
        One row a course that should have a number, with ``patient_id``.
    groups
        The grouping columns, at least one.
    measures
        Estimand and number; a course whose number is null is missing.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    pandas.DataFrame
        A row a group and measure: the groups, ``estimand, n_missing, unit`` and the columns of `clustered_mean`.
    """
    terms = [nw.len().cast(nw.Float64).alias("courses")]
    for name, value in measures.items():
        present = nw.when(~value.is_null())
        terms += [
            present.then(nw.lit(1.0)).otherwise(nw.lit(0.0)).sum().alias(f"n {name}"),
            present.then(value.cast(nw.Float64)).otherwise(nw.lit(0.0)).sum().alias(f"y {name}"),
        ]
    patients = courses.group_by(*groups, "patient_id").agg(*terms)
    sums = [nw.col("courses").sum()]
    for name in measures:
        sums += _sums(name)
    found = collect(patients.group_by(*groups).agg(*sums)).sort_values([*groups], ignore_index=True)
    frames = []
    for name in measures:
        parts = {part.name: found[f"{part.name} {name}"].to_numpy(float) for part in fields(MeanTotals)}
        estimated = clustered_mean(MeanTotals(**parts), conf_level=conf_level)
        frames.append(
            estimated.assign(
                **{column: found[column] for column in groups},
                estimand=name,
                n_missing=found["courses"] - estimated["denominator"],
                unit="courses",
            )
        )
    return stack(frames)


def _sums(name: str) -> list[nw.Expr]:
    """Return the sums over patients that `MeanTotals` holds."""
    n, y = nw.col(f"n {name}"), nw.col(f"y {name}")
    terms = {
        "clusters": nw.when(n > 0).then(nw.lit(1.0)).otherwise(nw.lit(0.0)),
        "observations": n,
        "total": y,
        "observations_squared": n**2,
        "total_squared": y**2,
        "product": n * y,
    }
    return [expression.sum().alias(f"{part} {name}") for part, expression in terms.items()]
