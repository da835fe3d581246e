"""Courses due, assessed and responding, counted on the engine: what the analyses of response share."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.engine import collect
from mesostats.estimators import ClusterTotals, clustered_proportion, proportion
from mesostats.estimators.clustering import with_clustering_note
from mesostats.populations import cluster_sums

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.estimators.proportions import ProportionMethod

FLAGS: Final = {
    "treated": "due",
    "with_baseline": "with_baseline",
    "evaluable": "evaluable",
    "completers": "completer",
}
"""The denominators, and the column of `assessments.scored_courses` that tells who is in each."""
HIGHEST: Final = "highest"
"""The prefix of the sums over courses due in which everybody without an assessment responds."""
MEANINGS: Final = {
    "treated": "treated courses whose endpoint is due; without an assessment at the endpoint: a non-responder",
    "with_baseline": "of these, courses with a usable baseline (or whose rule needs none); missing endpoint: a non-responder",
    "evaluable": "of these, courses with an assessment at the endpoint",
    "completers": "of these, completed courses",
}
_NUMBERS: Final = ["estimate", "std_error", "conf_low", "conf_high", "df", "numerator"]


def not_due(scored: nw.LazyFrame[Any]) -> int:
    """Count the courses whose endpoint is not due: one with several instruments once."""
    courses = scored.filter(nw.col("due") == 0).select("course_id").unique().select(courses=nw.len())
    return int(collect(courses)["courses"].iloc[0])


def response_counts(scored: nw.LazyFrame[Any], groups: Sequence[str]) -> pd.DataFrame:
    """Return, a group, the sums over patients of courses and responders in each denominator.

    Parameters
    ----------
    scored
        From `assessments.scored_courses`.
    groups
        Grouping columns, with ``instrument``.

    Returns
    -------
    pandas.DataFrame
        Sorted by the groups; sums named ``{flag}_{field of ClusterTotals}`` for the values of `FLAGS`, and for `HIGHEST`.
    """
    flags = list(FLAGS.values())
    patients = scored.group_by(*groups, "patient_id").agg(
        *(nw.col(flag).sum().cast(nw.Float64) for flag in flags),
        nw.col("responder").sum().cast(nw.Float64).alias("responders"),
        (nw.col("responder") * nw.col("completer")).sum().cast(nw.Float64).alias("responding_completers"),
    )
    sums = []
    for flag in flags:
        trials, hits = nw.col(flag), nw.col("responding_completers" if flag == "completer" else "responders")
        sums += cluster_sums(trials, hits, flag)
    most = nw.col("responders") + nw.col("due") - nw.col("evaluable")
    sums += cluster_sums(nw.col("due"), most, HIGHEST)
    return collect(patients.group_by(*groups).agg(sums)).sort_values([*groups], ignore_index=True)


def share_estimates(
    counts: pd.DataFrame,
    groups: Sequence[str],
    prefix: str,
    refusals: Mapping[str, str],
    *,
    method: ProportionMethod,
    conf_level: float,
    strategy: str,
) -> pd.DataFrame:
    """Estimate one share in all cells: the chosen interval, clustered where patients repeat.

    Parameters
    ----------
    counts
        From `response_counts`.
    groups
        Its grouping columns.
    prefix
        Which of its sums.
    refusals
        Why an instrument is not scored, of those that are not: these have no estimate.
    method, conf_level
        As for `estimators.proportion`.
    strategy
        What was done about missing outcomes, for ``method``.

    Returns
    -------
    pandas.DataFrame
        One row a cell, in the order of the counts, and ``effective_n``.
    """
    totals = ClusterTotals(
        **{part.name: counts[f"{prefix}_{part.name}"].to_numpy(float) for part in fields(ClusterTotals)}
    )
    single = proportion(totals.successes, totals.trials, conf_level=conf_level, method=method).assign(
        df=np.nan, effective_n=totals.trials
    )
    several = with_clustering_note(clustered_proportion(totals, conf_level=conf_level))
    repeated = totals.trials > totals.clusters
    found = pd.DataFrame(
        {column: np.where(repeated, several[column], single[column]) for column in single.columns}
    )
    refused = counts["instrument"].map(refusals)
    found = found.assign(
        **{column: counts[column] for column in groups},
        method=found["method"] + "; " + strategy,
        note=found["note"].where(refused.isna(), refused),
        n_missing=counts["due_trials"] - counts["evaluable_trials"],
        unit="courses",
    )
    found.loc[refused.notna(), _NUMBERS] = np.nan
    found.loc[refused.notna(), "method"] = ""
    return found


def explained(
    scored: nw.LazyFrame[Any],
    columns: Sequence[str],
    cell: Mapping[str, Any],
    *,
    flag: str,
    missing_respond: bool = False,
) -> pd.DataFrame:
    """Return one row a course of the cell's group (and instrument): its baseline, value, and why it does not count.

    Parameters
    ----------
    scored
        From `assessments.scored_courses`.
    columns
        The grouping columns without ``instrument``.
    cell
        Values of grouping columns; others are not looked at.
    flag
        The column of those in the denominator.
    missing_respond
        Whether a course without an assessment is in the numerator.
    """
    for column in (*columns, "instrument"):
        if column in cell:
            scored = scored.filter(nw.col(column) == cell[column])
    shown = [*columns, "instrument", "course_id", "patient_id", "ended", "baseline", "value", "improvement"]
    rows = collect(scored.select(*shown, *FLAGS.values(), "responder", "kind"))
    rows = rows.sort_values([*columns, "instrument", "course_id"], ignore_index=True)
    counted = rows[flag] == 1
    met = (rows["responder"] == 1) | (missing_respond & (rows["evaluable"] == 0))
    reasons = [
        (rows["due"] == 0, "endpoint not due by the data cut"),
        (rows["kind"] == "none", "the instrument is not scored"),
        (rows["with_baseline"] == 0, "no usable baseline"),
        (rows["evaluable"] == 0, "no assessment at the endpoint"),
        (rows["completer"] == 0, "course not completed"),
    ]
    why = np.select(
        [~counted & condition for condition, _ in reasons], [text for _, text in reasons], default=""
    )
    return rows[shown].assign(
        in_denominator=counted,
        in_numerator=counted & met,
        excluded=pd.Series(why, dtype="str"),
    )
