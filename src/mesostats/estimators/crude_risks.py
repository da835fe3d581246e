"""Unadjusted risks of groups that share clusters, such as a patient's sessions with and without an exposure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mesostats.estimators.arguments import check_conf_level
from mesostats.estimators.clusters import ClusterTotals
from mesostats.estimators.proportions import clustered_proportion
from mesostats.estimators.samples import MarginalRisks, contrasts, sample

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from mesostats.estimators.samples import Sample

    Floats = npt.NDArray[np.float64]

_METHOD: Final = (
    "difference of clustered Wilson intervals (MOVER) with the linearised correlation; t, df = clusters - 1"
)


def crude_risks(
    outcome: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    clusters: npt.ArrayLike,
    frequencies: npt.ArrayLike | None = None,
    reference: Any,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Estimate unadjusted risks and their differences where a cluster may have observations in several groups.

    Parameters
    ----------
    outcome, group, clusters, frequencies, reference
        As for `mesostats.estimators.models.standardized_risks`.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    pandas.DataFrame
        As from `standardized_risks`, without ratios.

    Raises
    ------
    ValueError
        If an argument is not as described, or the reference is not among the groups.

    Notes
    -----
    Risks are those of `clustered_proportion`. Their difference d = p - r has the lower limit
    d - sqrt(a² + b² - 2c·a·b) with a = p - low(p), b = high(r) - r, and likewise the upper one; c is the correlation of
    the two risks by Taylor linearisation, which clusters in both groups cause (0 where it cannot be seen). Standard error
    and test are those of the linearised variance, with factor k/(k - 1) for k clusters; the test is NaN where a group has no
    events or only events.

    References
    ----------
    Zou GY, Donner A (2008). Construction of confidence limits about effect measures: a general approach.
    doi:10.1002/sim.3095

    Examples
    --------
    Three patients, each with two sessions with and two without aspirin. By hand: the patients' differences
    1, 0 and 1/2 have mean 1/2, and the variance of that mean is (1/4 + 1/4 + 0)/2/3 = 1/12.

    >>> bruise = [1, 1, 0, 0, 1, 0, 1, 0, 1, 1, 1, 0]
    >>> aspirin = ["yes", "yes", "no", "no"] * 3
    >>> found = crude_risks(bruise, aspirin, clusters=np.repeat([1, 2, 3], 4), reference="no")
    >>> found.loc[2, ["estimate", "std_error"]].astype(float).round(4).tolist()
    [0.5, 0.2887]
    """
    check_conf_level(conf_level)
    found = sample(outcome, group, None, clusters=clusters, frequencies=frequencies, reference=reference)
    single = clustered_proportion(_totals(found), conf_level=conf_level)
    marginal = _linearised(found)
    frame = contrasts(found, marginal, conf_level)
    frame = frame[frame["estimand"] != "risk_ratio"].reset_index(drop=True)
    low, high = _difference_limits(single, marginal)
    differences = frame.iloc[len(single) :].assign(conf_low=low[1:], conf_high=high[1:])
    taken = ["std_error", "conf_low", "conf_high", "df", "method", "note"]
    # Columns are put together one by one: those of `single` may have other types.
    return frame.assign(
        **{name: [*single[name].tolist(), *differences[name].tolist()] for name in taken},
    ).astype(dict.fromkeys(taken[:4], "float64"))


def _totals(found: Sample) -> ClusterTotals:
    """Return the sums over the clusters of each group."""
    trials = found.total(found.memberships)
    events = found.total(found.memberships * found.outcome[:, None])
    labels = np.tile(np.arange(len(found.labels)), len(trials))
    return ClusterTotals.from_arrays(events.ravel(), trials.ravel(), labels)


def _linearised(found: Sample) -> MarginalRisks:
    """Return the groups' proportions with their covariance by Taylor linearisation."""
    shares = found.memberships / found.trials
    risks = found.outcome * found.frequency @ shares
    influence = found.total(shares * (found.outcome[:, None] - risks))
    clusters = len(found.starts)
    covariance = influence.T @ influence * clusters / max(clusters - 1, 1)
    return MarginalRisks(risks, covariance, clusters - 1 if clusters > 1 else np.nan, _METHOD, "")


def _difference_limits(single: pd.DataFrame, marginal: MarginalRisks) -> tuple[Floats, Floats]:
    """Recover the limits of each group's difference to the first from those of the risks."""
    risk, low, high = (single[name].to_numpy(float) for name in ("estimate", "conf_low", "conf_high"))
    below, above = risk - low, high - risk
    spread = np.sqrt(np.diag(marginal.covariance))
    seen = spread * spread[0] > 0
    correlation = np.where(seen, marginal.covariance[0] / np.where(seen, spread * spread[0], 1), 0)

    def reach(own: Floats, reference: float) -> Floats:
        return np.sqrt(np.maximum(own**2 + reference**2 - 2 * correlation * own * reference, 0))

    difference = risk - risk[0]
    return difference - reach(below, float(above[0])), difference + reach(above, float(below[0]))
