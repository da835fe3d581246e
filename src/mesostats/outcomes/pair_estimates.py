"""Responses of pairs of groups compared: by counts, within strata, and adjusted for covariates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from mesostats.estimators import (
    clustered_risk_difference,
    clustered_risk_ratio,
    cochran_mantel_haenszel,
    crude_risks,
    odds_ratio,
    risk_difference,
    risk_ratio,
    stratified_risk_difference,
    stratified_risk_ratio,
)
from mesostats.estimators.clustered_strata import clustered_stratified_risk_difference
from mesostats.estimators.models import standardized_risks
from mesostats.estimators.needed_to_treat import number_needed_to_treat
from mesostats.estimators.two_groups import COMPARISON_COLUMNS
from mesostats.outcomes.denominators import STRATEGIES, cluster_totals
from mesostats.outcomes.group_pairs import REFERENCE
from mesostats.results import stack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mesostats.estimators.differences import RiskDifferenceMethod
    from mesostats.estimators.models import AdjustmentMethod
    from mesostats.outcomes.group_pairs import GroupPairs

    Estimator = Callable[..., pd.DataFrame]

_STRATIFIED: Final[dict[str, Estimator]] = {
    "stratified_risk_difference": stratified_risk_difference,
    "stratified_risk_ratio": stratified_risk_ratio,
    "stratified_odds_ratio": cochran_mantel_haenszel,
}
_INFERENCE: Final = ("std_error", "conf_low", "conf_high", "statistic", "df", "p_value")
_REPEATED: Final = (
    "patients with several courses, which are not independent: no interval and no test of this measure"
)
_SHARED: Final = "patients with courses in both groups"


def crude_measures(
    pairs: GroupPairs, counts: pd.DataFrame, flag: str, *, method: RiskDifferenceMethod, conf_level: float
) -> dict[str, pd.DataFrame]:
    """Compare the counts of pairs, clustered where patients have several courses.

    Parameters
    ----------
    pairs, counts, flag
        The groups and their counts, as of `GroupPairs.counts` of `flag`.
    method
        The interval of differences where each patient has one course.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    dict
        ``risk_difference``, ``risk_ratio`` and ``odds_ratio``: a row a row of `counts`.
    """
    own, other = cluster_totals(counts, "own"), cluster_totals(counts, "other")
    counted = own.successes, own.trials, other.successes, other.trials
    shared = counts["shared"].to_numpy() > 0
    repeated = (own.trials > own.clusters) | (other.trials > other.clusters) | shared
    difference = risk_difference(*counted, method=method, conf_level=conf_level)
    ratio, odds = (estimator(*counted, conf_level=conf_level) for estimator in (risk_ratio, odds_ratio))
    clustered = [
        estimator(own, other, conf_level=conf_level)
        for estimator in (clustered_risk_difference, clustered_risk_ratio)
    ]
    difference = _replaced(difference, clustered[0], repeated & ~shared)
    return {
        "risk_difference": _with_shared(difference, pairs, counts, flag, conf_level),
        "risk_ratio": without_inference(_replaced(ratio, clustered[1], repeated & ~shared), shared),
        "odds_ratio": without_inference(odds, repeated),
    }


def _replaced(single: pd.DataFrame, several: pd.DataFrame, where: Any) -> pd.DataFrame:
    """Take the rows of another frame where it says so."""
    return pd.DataFrame(
        {name: np.where(where, several[name], single[name]) for name in COMPARISON_COLUMNS},
        columns=[*COMPARISON_COLUMNS],
    )


def without_inference(found: pd.DataFrame, where: Any) -> pd.DataFrame:
    """Take interval and test away where courses are not independent, and say so."""
    known = where & (found["estimate"].notna() | found["statistic"].notna())
    numbers = {name: found[name].astype(float).mask(where) for name in _INFERENCE}
    return found.assign(note=_joined(found["note"], np.where(known, _REPEATED, "")), **numbers)


def _joined(notes: pd.Series[Any], more: Any) -> list[str]:
    return ["; ".join(filter(None, pair)) for pair in zip(notes, np.asarray(more).tolist(), strict=True)]


def _with_shared(
    found: pd.DataFrame, pairs: GroupPairs, counts: pd.DataFrame, flag: str, conf_level: float
) -> pd.DataFrame:
    """Estimate anew the differences of groups that share patients, from one row a patient."""
    places = np.flatnonzero(counts["shared"].to_numpy() > 0)
    if not len(places):
        return found
    rows = pairs.patterns(flag)
    kept = ["reference_numerator", "reference_denominator"]
    afresh = [
        _shared_difference(rows, pairs, counts.iloc[place], conf_level)
        .set_axis([place])
        .assign(**{name: found[name].iloc[place] for name in kept})
        for place in places.tolist()
    ]
    return _with_rows(found, afresh)


def _shared_difference(
    rows: pd.DataFrame, pairs: GroupPairs, row: pd.Series[Any], conf_level: float
) -> pd.DataFrame:
    chosen = _of_pair(rows, pairs, row)
    crude = crude_risks(
        chosen["responder"],
        chosen[pairs.group],
        clusters=chosen["patient_id"],
        frequencies=chosen["_n"],
        reference=row[REFERENCE],
        conf_level=conf_level,
    )
    compared = crude[crude["estimand"] == "risk_difference"]
    return compared.assign(note=f"{_SHARED}: {row['shared']:.0f}")


def _of_pair(rows: pd.DataFrame, pairs: GroupPairs, row: pd.Series[Any]) -> pd.DataFrame:
    """Return the rows of one cell that are in one of the two groups."""
    chosen = rows[pairs.group].isin([row[pairs.group], row[REFERENCE]])
    for column in pairs.cell:
        chosen &= rows[column] == row[column]
    return rows[chosen]


def needed_to_treat(differences: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the numbers needed to treat to benefit and to harm, from differences."""
    return {
        f"number_needed_to_{direction}": number_needed_to_treat(differences, to=direction)
        for direction in ("benefit", "harm")
    }


def stratified_measures(
    pairs: GroupPairs, counts: pd.DataFrame, flag: str, strata: Sequence[str], *, conf_level: float
) -> dict[str, pd.DataFrame]:
    """Compare pairs within strata, pooled by Mantel and Haenszel.

    Parameters
    ----------
    pairs, counts, flag, conf_level
        As for `crude_measures`.
    strata
        Columns whose levels together are the strata.

    Returns
    -------
    dict
        ``stratified_risk_difference, stratified_risk_ratio, stratified_odds_ratio`` and ``homogeneity_test`` (of the odds
        ratios): a row a row of `counts`. Where patients have several courses, the difference is clustered in them, and the
        others have no interval and no test.
    """
    levels = pairs.counts(flag, strata)
    keys = [*pairs.cell, "_pair"]
    columns = ["own_successes", "own_trials", "other_successes", "other_trials"]
    grouped = {key: rows[columns].to_numpy().T for key, rows in levels.groupby(keys, sort=False)}
    tables = [grouped[key] for key in counts[keys].itertuples(index=False, name=None)]
    repeated = (
        (counts["own_trials"] > counts["own_clusters"])
        | (counts["other_trials"] > counts["other_clusters"])
        | (counts["shared"] > 0)
    )
    found = {
        name: stack([estimator(*table, conf_level=conf_level) for table in tables])
        for name, estimator in _STRATIFIED.items()
    }
    odds = found["stratified_odds_ratio"]
    tested = odds.assign(
        estimate=np.nan,
        std_error=np.nan,
        conf_low=np.nan,
        conf_high=np.nan,
        statistic=odds["homogeneity_statistic"],
        df=odds["homogeneity_df"].where(odds["homogeneity_statistic"].notna()),
        p_value=odds["homogeneity_p_value"],
        method="Breslow-Day test that all strata have one odds ratio, Tarone's correction",
    )
    found["homogeneity_test"] = tested
    difference = found.pop("stratified_risk_difference")
    return {
        "stratified_risk_difference": _clustered_strata(difference, pairs, counts, flag, strata, repeated),
        **{name: without_inference(frame, repeated) for name, frame in found.items()},
    }


def _clustered_strata(
    found: pd.DataFrame,
    pairs: GroupPairs,
    counts: pd.DataFrame,
    flag: str,
    strata: Sequence[str],
    repeated: pd.Series[Any],
) -> pd.DataFrame:
    """Estimate anew the stratified differences of pairs in which patients have several courses."""
    places = np.flatnonzero(repeated)
    if not len(places):
        return found
    rows = pairs.patterns(flag, strata)
    afresh = []
    for place in places.tolist():
        row = counts.iloc[place]
        chosen = _of_pair(rows, pairs, row)
        if set(chosen[pairs.group]) == {row[pairs.group], row[REFERENCE]}:
            clustered = clustered_stratified_risk_difference(
                chosen["responder"],
                chosen[pairs.group],
                strata=chosen.groupby([*strata]).ngroup(),
                clusters=chosen["patient_id"],
                frequencies=chosen["_n"],
                reference=row[REFERENCE],
                conf_level=found["conf_level"].iloc[0],
            )
            afresh.append(clustered.set_axis([place]))
    return _with_rows(found, afresh)


def _with_rows(found: pd.DataFrame, afresh: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put rows in the places of those of the same index."""
    if not afresh:
        return found
    table = pd.concat(afresh).reindex(columns=found.columns).astype(found.dtypes.to_dict())
    return pd.concat([found.drop(table.index), table]).sort_index()


def adjusted_measures(
    pairs: GroupPairs,
    counts: pd.DataFrame,
    flag: str,
    covariates: dict[str, str],
    *,
    adjustment: AdjustmentMethod,
    conf_level: float,
) -> dict[str, pd.DataFrame]:
    """Compare pairs by risks that are standardized over the covariates of both groups.

    Parameters
    ----------
    pairs, counts, flag, conf_level
        As for `crude_measures`.
    covariates
        The name of each covariate in the data → its column in the courses.
    adjustment
        As `method` of `standardized_risks`.

    Returns
    -------
    dict
        ``adjusted_risk_difference`` and ``adjusted_risk_ratio``: a row a row of `counts`.
    """
    rows = pairs.patterns(flag, [*covariates.values()])
    values = rows[[*covariates.values()]].set_axis([*covariates], axis="columns")
    found = []
    for _, row in counts.iterrows():
        chosen = _of_pair(rows, pairs, row)
        if not {row[pairs.group], row[REFERENCE]} <= set(chosen[pairs.group]):
            known = chosen[~_lacking(values.loc[chosen.index])]
            found.append(_nobody(known[known[pairs.group] == row[pairs.group]], conf_level))
            continue
        estimated = standardized_risks(
            chosen["responder"],
            chosen[pairs.group],
            values.loc[chosen.index],
            clusters=chosen["patient_id"],
            frequencies=chosen["_n"],
            reference=row[REFERENCE],
            method=adjustment,
            conf_level=conf_level,
        )
        found.append(_with_left_out(estimated, values.loc[chosen.index], chosen["_n"]))
    told = [
        each.assign(note=[note.partition("; ")[2] for note in each["note"]])  # the reference has a column
        for each in found
    ]
    return {
        f"adjusted_{measure}": stack([each[each["estimand"] == measure] for each in told])
        for measure in ("risk_difference", "risk_ratio")
    }


def _lacking(values: pd.DataFrame) -> pd.Series[bool]:
    """Return which courses lack a number to adjust for."""
    return values.select_dtypes("number").isna().any(axis="columns")


def _with_left_out(found: pd.DataFrame, values: pd.DataFrame, frequencies: pd.Series[int]) -> pd.DataFrame:
    """Say in the note how many courses the model is without."""
    courses = frequencies[_lacking(values)].sum()
    told = (
        f"; {courses} courses of the two groups left out: without a number to adjust for" if courses else ""
    )
    return found.assign(note=found["note"] + told)


def _nobody(own: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    """Return the adjusted measures of the courses of a group that has nobody to be compared with."""
    row = {"conf_level": conf_level, "method": "", "note": "; nobody in one of the groups"}
    row |= {"numerator": (own["responder"] * own["_n"]).sum(), "denominator": own["_n"].sum()}
    unknown = dict.fromkeys(("estimate", *_INFERENCE), np.nan)
    return pd.DataFrame([row | unknown | {"estimand": name} for name in ("risk_difference", "risk_ratio")])


def described(found: pd.DataFrame, pairs: GroupPairs, counts: pd.DataFrame, denominator: str) -> pd.DataFrame:
    """Add to the estimates of pairs which groups they are of, and what their denominator supposes.

    Parameters
    ----------
    found
        One row a row of `counts`.
    pairs, counts
        The groups and their counts.
    denominator
        One of `response_counts.FLAGS`.

    Returns
    -------
    pandas.DataFrame
        With the grouping columns, ``unit`` and the strategy in ``method``.
    """
    groups = {name: counts[name].to_numpy() for name in pairs.columns}
    method = found["method"].where(found["method"] == "", found["method"] + "; " + STRATEGIES[denominator])
    return found.reset_index(drop=True).assign(**groups, unit="courses", method=method.reset_index(drop=True))
