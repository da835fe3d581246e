"""Ordinal outcomes of groups: the common odds ratio of the proportional odds model, adjusted and clustered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy import stats

from mesostats.estimators.arguments import check_conf_level, check_same_length
from mesostats.estimators.covariates import complete_rows, encode, independent
from mesostats.estimators.cumulative_logits import GradedRows, fit_cumulative, proportionality_score
from mesostats.estimators.graded_samples import GradedSample, graded_sample

if TYPE_CHECKING:
    import numpy.typing as npt

    from mesostats.estimators.cumulative_logits import CumulativeFit

    Floats = npt.NDArray[np.float64]

_MODEL: Final = "proportional odds model, maximum likelihood"
_FEW_GRADES: Final = 2


@dataclass(frozen=True, eq=False)
class _Found:
    """Log odds ratios of every group but the reference; NaN with a note where they are not known."""

    logarithms: Floats
    errors: Floats
    df: float
    method: str
    note: str
    proportionality: tuple[float, int] = (np.nan, 0)


def proportional_odds(
    grade: npt.ArrayLike,
    group: npt.ArrayLike,
    covariates: pd.DataFrame | None = None,
    *,
    clusters: npt.ArrayLike | None = None,
    frequencies: npt.ArrayLike | None = None,
    reference: Any,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Compare the grades of groups by one odds ratio, the same at whatever grade the scale is cut.

    Parameters
    ----------
    grade
        Numbers of which only the order counts, shape (n,).
    group
        The group of each observation, shape (n,); two or more groups.
    covariates
        n rows of numbers and texts to adjust for, as for `standardized_risks`; observations without one of the numbers
        are left out and counted in ``n_missing``.
    clusters
        Who or what each observation belongs to (most often the patient), shape (n,); all independent if not given.
    frequencies
        How many alike observations (of the cluster) each row stands for, shape (n,); one if not given.
    reference
        The group that the others are compared with.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    pandas.DataFrame
        A row a group but the reference: ``group, estimate`` (the odds of a grade above any cut, in the group over the
        reference), ``std_error`` (of its logarithm), ``conf_low, conf_high, conf_level, statistic, df, p_value,
        denominator`` (the group's observations), ``n_missing, method, note``, then ``proportionality_statistic,
        proportionality_df, proportionality_p_value``: the score test that the groups' odds ratios are the same at every
        cut, the same in all rows; NaN with two grades, and in clusters, where it does not hold.

    Raises
    ------
    ValueError
        If an argument is not as described, or the reference is not among the groups.

    Notes
    -----
    log P(grade > k)/P(grade ≤ k) = group + covariates - threshold k, by maximum likelihood, as R's ``MASS::polr``. The
    standard error is that of the observed information with a normal reference; where clusters have several observations, the
    sandwich of the clusters' scores with factor k/(k - 1) for k clusters and Student's t with k less the number of
    parameters. The interval is Wald's on the log scale. With two grades it is logistic regression.

    References
    ----------
    McCullagh P (1980). Regression models for ordinal data. doi:10.1111/j.2517-6161.1980.tb01109.x

    Peterson B, Harrell FE (1990). Partial proportional odds models for ordinal response variables. doi:10.2307/2347760

    Examples
    --------
    Two grades: the odds ratio is 6·8/(2·4) = 6, the variance of its logarithm 1/6 + 1/2 + 1/4 + 1/8.

    >>> found = proportional_odds(
    ...     [1, 0, 1, 0], ["new", "new", "old", "old"], frequencies=[6, 2, 4, 8], reference="old"
    ... )
    >>> found[["group", "estimate", "std_error"]].round(4)
      group  estimate  std_error
    0   new       6.0     1.0206
    """
    check_conf_level(conf_level)
    found = graded_sample(
        grade, group, strata=None, clusters=clusters, frequencies=frequencies, reference=reference
    )
    given = pd.DataFrame(index=range(np.size(grade))) if covariates is None else covariates
    check_same_length(grade=np.ravel(grade), covariates=given.to_numpy())
    complete = complete_rows(given)[found.row]
    used = found.where(complete)
    return _frame(used, found.sizes - used.sizes, _estimate(used, given.iloc[used.row]), conf_level)


def _estimate(found: GradedSample, covariates: pd.DataFrame) -> _Found:
    """Fit the model where there is one to fit."""
    lacking = _lacking(found)
    if lacking:
        return _unknown(found, lacking)
    design = encode(covariates)
    columns = np.equal.outer(found.group, np.arange(1, len(found.labels))).astype(np.float64)
    matrix = np.column_stack([design.columns, columns])
    if not independent(matrix).all():
        return _unknown(found, "the covariates tell who is in which group: no adjusted effect can be seen")
    grades, places = np.unique(found.grade, return_inverse=True)
    rows = GradedRows(matrix[:, 1:], places.astype(np.int64), found.frequency, len(grades))
    fit = fit_cumulative(rows)
    if fit is None:
        return _unknown(
            found, "the model has no finite solution: the grades do not overlap between groups or levels"
        )
    return _inference(found, rows, fit, design.notes)


def _lacking(found: GradedSample) -> str:
    """Say what keeps an odds ratio from being estimated; nothing where nothing does."""
    for label, size in zip(found.labels, found.sizes, strict=True):
        if size == 0:
            return f"nobody in '{label}'"
    if len(found.labels) == 1:
        return "one group: nothing to compare"
    if len(np.unique(found.grade)) < _FEW_GRADES:
        return "all have the same grade: nothing to compare"
    return ""


def _inference(found: GradedSample, rows: GradedRows, fit: CumulativeFit, notes: tuple[str, ...]) -> _Found:
    """Return the groups' coefficients with standard errors that suit the sample."""
    groups = len(found.labels) - 1
    covariance = np.linalg.inv(fit.information)
    logarithms = fit.coefficients[-groups:]
    if found.cluster is None:
        score, tested = np.nan, groups * (rows.grades - 2)
        if tested:
            score = proportionality_score(rows, fit, groups)
        method = f"{_MODEL}; observed information, Wald interval on the log scale"
        errors = np.sqrt(np.diag(covariance))[-groups:]
        return _Found(logarithms, errors, np.inf, method, "; ".join(notes), (score, tested))
    cluster = pd.factorize(found.cluster)[0]
    number = int(cluster.max()) + 1
    df = number - rows.parameters
    if df <= 0:
        few = f"{number} clusters are too few for {rows.parameters} parameters: no interval"
        return _Found(logarithms, np.full(groups, np.nan), np.nan, _MODEL, "; ".join([*notes, few]))
    scores = np.zeros((number, rows.parameters))
    np.add.at(scores, cluster, rows.frequency[:, None] * fit.scores)
    robust = covariance @ (scores.T @ scores) @ covariance * number / (number - 1)
    method = (
        f"{_MODEL}; cluster-robust covariance, Wald interval on the log scale; t, df = clusters - parameters"
    )
    untested = "proportionality is not tested in clusters"
    errors = np.sqrt(np.diag(robust))[-groups:]
    return _Found(logarithms, errors, float(df), method, "; ".join([*notes, untested]))


def _unknown(found: GradedSample, note: str) -> _Found:
    nothing = np.full(len(found.labels) - 1, np.nan)
    return _Found(nothing, nothing, np.nan, _MODEL, note)


def _frame(found: GradedSample, missing: Floats, answer: _Found, conf_level: float) -> pd.DataFrame:
    quantile = float(stats.t.isf((1 - conf_level) / 2, answer.df))
    statistic = answer.logarithms / answer.errors
    low, high = (np.exp(answer.logarithms + side * quantile * answer.errors) for side in (-1, 1))
    score, tested = answer.proportionality
    return pd.DataFrame(
        {
            "group": list(found.labels[1:]),
            "estimate": np.exp(answer.logarithms),
            "std_error": answer.errors,
            "conf_low": low,
            "conf_high": high,
            "conf_level": conf_level,
            "statistic": statistic,
            "df": answer.df if np.isfinite(answer.df) else np.nan,
            "p_value": 2 * stats.t.sf(np.abs(statistic), answer.df),
            "denominator": found.sizes[1:],
            "n_missing": missing[1:],
            "method": answer.method,
            "note": answer.note,
            "proportionality_statistic": score,
            "proportionality_df": tested,
            "proportionality_p_value": float(stats.chi2.sf(score, tested)) if tested else np.nan,
        }
    )
