"""A risk difference common to several strata, of observations that come in clusters, such as courses within patients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy import stats

from mesostats.estimators.arguments import check_conf_level
from mesostats.estimators.graded_samples import graded_sample
from mesostats.estimators.strata import FLAT, pooled_row
from mesostats.estimators.two_groups import TwoGroups

if TYPE_CHECKING:
    import numpy.typing as npt

    from mesostats.estimators.graded_samples import GradedSample

    Floats = npt.NDArray[np.float64]

_METHOD: Final = (
    "Mantel-Haenszel, cluster-robust variance of the within-strata regression; t, df = clusters - 1"
)


def clustered_stratified_risk_difference(
    outcome: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    strata: npt.ArrayLike,
    clusters: npt.ArrayLike,
    frequencies: npt.ArrayLike | None = None,
    reference: Any,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Estimate a risk difference that is common to several strata where observations come in clusters.

    Parameters
    ----------
    outcome
        Whether the event came, as 0 and 1, shape (n,).
    group
        The group of each observation, shape (n,); two groups.
    strata
        The stratum of each observation, shape (n,).
    clusters
        Who or what each observation belongs to (most often the patient), shape (n,). A cluster may have observations in both
        groups and in several strata.
    frequencies
        How many alike observations of its cluster each row stands for, shape (n,); one if not given.
    reference
        The group that the other is compared with.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    pandas.DataFrame
        One row: as of `stratified_risk_difference`, which has the same estimate. Without several clusters, or where they do not
        differ, there is no interval, and the note says so.

    Raises
    ------
    ValueError
        If an argument is not as described, there are not two groups, or the reference is not among them.

    Notes
    -----
    The difference of Mantel and Haenszel is the coefficient of the group in a linear regression of the outcome on group and
    strata. Its variance is that regression's with residuals summed over clusters: sum over clusters of (sum x·e)² / (sum x²)²,
    with x the group less its mean in the stratum and e the residual, times (n - 1)/(n - p)·k/(k - 1) for n
    observations, p coefficients and k clusters; as R's ``sandwich::vcovCL(lm(y ~ group + stratum), type = "HC1")``.

    References
    ----------
    Mantel N, Haenszel W (1959). Statistical aspects of the analysis of data from retrospective studies of disease.
    doi:10.1093/jnci/22.4.719

    Cameron AC, Miller DL (2015). A practitioner's guide to cluster-robust inference. doi:10.3368/jhr.50.2.317

    Examples
    --------
    One stratum, four patients with two courses each. By hand: x is 1/2 or -1/2, the residuals of each patient sum to 1/2 or
    -1/2; 4·(1/4)² / 2² times 7/6·4/3 is 0.0972.

    >>> found = clustered_stratified_risk_difference(
    ...     [1, 1, 1, 0, 0, 1, 0, 0],
    ...     ["new"] * 4 + ["old"] * 4,
    ...     strata=["x"] * 8,
    ...     clusters=[1, 1, 2, 2, 3, 3, 4, 4],
    ...     reference="old",
    ... )
    >>> found[["estimate", "std_error", "df"]].round(4)
       estimate  std_error  df
    0       0.5     0.3118   3
    """
    check_conf_level(conf_level)
    found = graded_sample(
        outcome, group, strata=strata, clusters=clusters, frequencies=frequencies, reference=reference
    )
    if len(found.labels) != 2 or not np.isin(found.grade, (0, 1)).all():  # noqa: PLR2004 - a difference is of two
        msg = f"outcome must be 0 or 1 in two groups, found {len(found.labels)} groups"
        raise ValueError(msg)
    given = _counts(found)
    compared = given.compared
    chosen = compared[found.stratum]
    ids = np.arange(len(found.row)) if found.cluster is None else found.cluster
    numbers = _regression(found.where(chosen), pd.factorize(ids[chosen])[0], conf_level)
    note = "" if np.isfinite(numbers["std_error"]) else "clusters do not differ, or there is one: no interval"
    return pooled_row(given, given.where(compared), {**numbers, "method": _METHOD}, [note])


def _counts(found: GradedSample) -> TwoGroups:
    """Return the counts of each stratum."""
    number = int(found.stratum.max(initial=-1)) + 1
    sides = []
    for side in (1, 0):
        rows = found.group == side
        sides += [
            np.bincount(found.stratum[rows], weights=weights[rows], minlength=number)
            for weights in (found.frequency * found.grade, found.frequency)
        ]
    return TwoGroups.from_counts(*sides)


def _regression(used: GradedSample, cluster: npt.NDArray[np.int64], conf_level: float) -> dict[str, Any]:
    """Return the coefficient of the group, its cluster-robust error, interval and test."""
    unknown = dict.fromkeys(
        ("estimate", "std_error", "conf_low", "conf_high", "statistic", "df", "p_value"), np.nan
    )
    if not len(used.grade):
        return unknown | {"conf_level": conf_level}
    stratum = np.unique(used.stratum, return_inverse=True)[1]
    member, event = (_centred(values, stratum, used.frequency) for values in (used.group, used.grade))
    total = float(used.frequency @ member**2)
    estimate = float(used.frequency @ (member * event)) / total
    sums = np.bincount(cluster, weights=used.frequency * member * (event - estimate * member))
    clusters, observations = len(sums), float(used.frequency.sum())
    left = observations - stratum.max() - 2
    found = unknown | {"estimate": estimate, "conf_level": conf_level}
    squares = float(sums @ sums)
    if clusters == 1 or left <= 0 or squares <= FLAT:
        return found
    error = np.sqrt(squares * (observations - 1) / left * clusters / (clusters - 1)) / total
    half = float(stats.t.isf((1 - conf_level) / 2, clusters - 1)) * error
    statistic = estimate / error
    return found | {
        "std_error": error,
        "conf_low": max(estimate - half, -1.0),
        "conf_high": min(estimate + half, 1.0),
        "statistic": statistic,
        "df": clusters - 1,
        "p_value": float(2 * stats.t.sf(abs(statistic), clusters - 1)),
    }


def _centred(values: npt.NDArray[Any], stratum: npt.NDArray[np.int64], frequency: Floats) -> Floats:
    """Return values less their mean in the stratum."""
    sizes = np.bincount(stratum, weights=frequency)
    means = np.bincount(stratum, weights=frequency * values) / sizes
    return np.asarray(values - means[stratum], dtype=np.float64)
