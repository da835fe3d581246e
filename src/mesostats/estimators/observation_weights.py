"""Proportions where outcomes are missing: those that were observed stand, by their weights, for the like that were not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit

from mesostats.estimators.arguments import check_conf_level, check_same_length, indicators
from mesostats.estimators.covariates import encode
from mesostats.estimators.finite_logistic import fit_finite
from mesostats.estimators.incomplete_covariates import filled, unseen_level
from mesostats.estimators.proportions import wilson_limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from mesostats.estimators.covariates import Design

    Floats = npt.NDArray[np.float64]

WEIGHTED: Final = (
    "inverse probability of observation weights from a logistic model, stabilised; cluster-robust variance of the stacked "
    "estimating equations; Wilson score interval at the effective sample size, at most that of the weights, t quantile"
)
AUGMENTED: Final = "no finite maximum likelihood: pseudo-observations (White, Daniel and Royston 2010) added"


@dataclass(frozen=True, eq=False)
class Incomplete:
    """Outcomes of which some are missing.

    Parameters
    ----------
    outcome
        Shape (n,); NaN where not observed.
    observed
        Shape (n,).
    covariates
        n rows without missing numbers.
    cluster
        The number of each observation's cluster, from 0, shape (n,).
    clusters
        How many there are.
    """

    outcome: Floats
    observed: npt.NDArray[np.bool_]
    covariates: pd.DataFrame
    cluster: npt.NDArray[np.int64]
    clusters: int

    def total(self, values: Floats) -> Floats:
        """Return the sums over each cluster, shape (clusters,)."""
        return np.bincount(self.cluster, weights=values, minlength=self.clusters).astype(np.float64)


def incomplete(
    outcome: npt.ArrayLike,
    observed: npt.ArrayLike,
    covariates: pd.DataFrame | None,
    *,
    clusters: npt.ArrayLike | None,
) -> Incomplete:
    """Check outcomes of which some are missing.

    Raises
    ------
    ValueError
        If lengths differ, an observed outcome is no finite number, or a cluster is missing.
    """
    seen = indicators(observed, "observed").astype(bool)
    values = np.array(outcome, dtype=np.float64, ndmin=1)
    frame = pd.DataFrame(index=range(len(seen))) if covariates is None else covariates
    ids = np.arange(len(seen)) if clusters is None else clusters
    cluster, names = pd.factorize(pd.Series(ids))
    check_same_length(outcome=values, observed=seen, covariates=frame.to_numpy(), clusters=cluster)
    wrong = {
        "outcome": seen & ~np.isfinite(values),
        "clusters": cluster < 0,
    }
    for name, places in wrong.items():
        if places.any():
            msg = f"{name} has {places.sum()} missing values where there must be one (first at position {places.argmax()})"
            raise ValueError(msg)
    values[~seen] = np.nan
    return Incomplete(values, seen, filled(frame, seen), cluster.astype(np.int64), len(names))


def weighted_proportion(
    outcome: npt.ArrayLike,
    observed: npt.ArrayLike,
    covariates: pd.DataFrame | None = None,
    *,
    clusters: npt.ArrayLike | None = None,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Estimate the proportion with an outcome in all, from those in whom it was observed, weighted by the covariates of all.

    Parameters
    ----------
    outcome
        0 or 1, shape (n,); whatever stands where it was not observed is not used.
    observed
        Whether the outcome was observed, shape (n,).
    covariates
        n rows of numbers and texts, known of all; of a missing number see `incomplete_covariates.filled`, a missing text is a
        level. Without covariates, what is missing is taken as missing completely at random.
    clusters
        Whom each observation belongs to, shape (n,); each its own if not given.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    pandas.DataFrame
        One row: ``estimate, std_error, conf_low, conf_high, conf_level, df, numerator, denominator, n_missing, method, note,
        effective_n``. Numerator and denominator are those of the observed, unweighted; ``n_missing`` is the number that they also
        stand for. What cannot be estimated is NaN, and the note says why.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    With the probability e(x) to be observed from a logistic model of `observed` on the covariates, the estimate is
    sum w·y / sum w over the observed, w = share observed / e(x) (the share stabilises the weights' size and changes no estimate). It is right if,
    among those alike in the covariates, being observed has nothing to do with the outcome (missing at random), the model
    holds, and everybody could have been observed. A level in which nobody was observed has nobody to stand for it: NaN.

    The variance is that of the stacked equations of the model and of the mean, sums over clusters, factor k/(k - 1), so
    that it knows that the weights were estimated (which most often makes it smaller). The interval is Wilson's with
    p(1 - p)/variance as sample size, but no more than (sum w)²/sum w², and Student's t on (clusters - coefficients) degrees
    of freedom. The limit matters where few with large weights bear the estimate and happen to be alike: without it 95 %
    intervals held the truth in 87 to 95 % of simulated samples of 40 to 200, with it in 96 to 97 %. Where all or none of the
    observed have the outcome, the size is that limit, or the number of clusters with an observation if that is less.

    References
    ----------
    Robins JM, Rotnitzky A, Zhao LP (1995). Analysis of semiparametric regression models for repeated outcomes in the
    presence of missing data. doi:10.1080/01621459.1995.10476493

    Seaman SR, White IR (2013). Review of inverse probability weighting for dealing with missing data.
    doi:10.1177/0962280210395740

    Examples
    --------
    Of 20 who stayed 18 were observed, of whom 9 responded; of 20 who left 5 were, of whom 1 did. By hand: the 18 stand for 20 and
    the 5 for 20, (20·9/18 + 20·1/5)/40 = 0.35, where 10/23 = 0.43 of the observed responded.

    >>> left = [0] * 20 + [1] * 20
    >>> observed = [1] * 18 + [0] * 2 + [1] * 5 + [0] * 15
    >>> responded = [1] * 9 + [0] * 11 + [1] + [0] * 19
    >>> found = weighted_proportion(responded, observed, pd.DataFrame({"left": left}))
    >>> found[["estimate", "std_error", "conf_low", "conf_high", "n_missing"]].round(4)
       estimate  std_error  conf_low  conf_high  n_missing
    0      0.35     0.1111    0.1616     0.6006       17.0
    """
    check_conf_level(conf_level)
    data = incomplete(outcome, observed, covariates, clusters=clusters)
    indicators(data.outcome[data.observed], "outcome")
    lacking = _lacking(data)
    design = encode(data.covariates)
    df = float(data.clusters - design.columns.shape[1])
    if not lacking and df <= 0 and data.clusters > 1:
        lacking = f"{data.clusters} clusters are too few for {design.columns.shape[1]} coefficients"
    if lacking:
        return estimated(data, np.nan, np.nan, {}, conf_level=conf_level, df=np.nan, words=lacking)
    share, variance, most, words = _weighted(data, design)
    alike = min(most, float(np.count_nonzero(data.total(data.observed.astype(np.float64)))))
    sizes = {"alike": alike, "most": most}
    return estimated(data, share, variance, sizes, conf_level=conf_level, df=df, words=words)


def _lacking(data: Incomplete) -> str:
    """Say what keeps the proportion from being estimated; nothing where nothing does."""
    if not len(data.observed):
        return "no observations"
    if not data.observed.any():
        return "no outcome was observed"
    unseen = unseen_level(data.covariates, data.observed)
    return f"no outcome was observed where {unseen}: no weight can stand for them" if unseen else ""


def _weighted(data: Incomplete, design: Design) -> tuple[float, float, float, str]:
    """Return the weighted share, its variance, the sample size that the weights are worth, and notes."""
    seen = data.observed.astype(np.float64)
    columns, notes = design.columns, list(design.notes)
    chance, influence_of_model = np.ones(len(seen)), np.zeros(len(seen))
    if not data.observed.all():
        fit = fit_finite(columns, seen)
        if fit is None:
            return np.nan, np.nan, np.nan, "the observation model has no finite solution"
        chance = expit(columns @ fit.coefficients)
        notes += [AUGMENTED] if fit.augmented else []
    weights = seen / chance
    known = np.where(data.observed, data.outcome, 0.0)
    values = data.outcome[data.observed]
    alike = values.min() == values.max()  # then the share is exact, not a quotient of rounded sums
    share = float(values[0] if alike else weights @ known / weights.sum())
    residual = weights * (known - share)
    if not data.observed.all() and fit is not None:
        slope = columns.T @ (residual * (1 - chance))
        influence_of_model = (seen - chance) * (columns @ np.linalg.solve(fit.information, slope))
    influence = data.total(residual - influence_of_model) / weights.sum()
    k = data.clusters
    variance = float(influence @ influence) * k / (k - 1) if k > 1 else np.nan
    kish = float(weights.sum() ** 2 / (weights @ weights))
    used = weights[data.observed] * seen.mean()
    notes += [f"weights {used.min():.2f} to {used.max():.2f}, effective sample size {kish:.1f}"]
    return share, variance, kish, "; ".join(reversed(notes))


def estimated(
    data: Incomplete,
    share: float,
    variance: float,
    sizes: Mapping[str, float],
    *,
    conf_level: float,
    df: float,
    words: str,
    method: str = WEIGHTED,
) -> pd.DataFrame:
    """Return one row: a proportion of incomplete data with Wilson's interval at the sample size that its variance is worth.

    Parameters
    ----------
    data
        What was observed.
    share, variance
        The estimate and its variance.
    sizes
        Effective sample sizes: ``alike`` where all outcomes are alike, so that no variance is seen; ``most``, which no
        interval exceeds, if there is such a limit.
    conf_level, df
        Of Student's t.
    words, method
        The note and the method.
    """
    binomial = share * (1 - share)
    alike = share in {0.0, 1.0}
    if data.clusters == 1 and np.isfinite(share):
        words = "; ".join(filter(None, ["one cluster: the variance between clusters is unknown", words]))
    worth = binomial / variance if variance > 0 else np.nan
    size = np.nan if data.clusters == 1 else sizes.get("alike", np.nan) if alike else worth
    size = np.minimum(size, sizes.get("most", np.inf))
    df = df if df > 0 else np.nan
    quantile = float(stats.t.isf((1 - conf_level) / 2, df))
    low, high = wilson_limits(np.array([share]), np.array([size]), quantile)
    responded = data.outcome[data.observed].sum()
    return pd.DataFrame(
        {
            "estimate": share,
            "std_error": np.sqrt(binomial / (size if alike else worth)) if data.clusters > 1 else np.nan,
            "conf_low": low,
            "conf_high": high,
            "conf_level": conf_level,
            "df": df,
            "numerator": responded,
            "denominator": float(data.observed.sum()),
            "n_missing": float((~data.observed).sum()),
            "method": method,
            "note": words,
            "effective_n": size,
        }
    )
