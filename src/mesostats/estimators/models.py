"""Adjusted risks: what each group's risk would be if everybody were in it, by outcome model or by propensity weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np
from scipy.special import expit

from mesostats.estimators.arguments import check_choice, check_conf_level
from mesostats.estimators.covariates import (
    encode,
    independent,
    is_text,
    level_codes,
    standardized_differences,
)
from mesostats.estimators.gee import covariance, fit_exchangeable, fit_logistic
from mesostats.estimators.samples import MarginalRisks, contrasts, sample, unknown_risks

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from mesostats.estimators.covariates import Design
    from mesostats.estimators.gee import LogisticFit
    from mesostats.estimators.samples import Sample

    Floats = npt.NDArray[np.float64]

AdjustmentMethod = Literal["gee", "iptw"]

_STANDARDIZED: Final = (
    "Mancl-DeRouen covariance; standardized over the sample with its covariates as fixed, delta method; "
    "t, df = clusters - coefficients"
)
_WEIGHTED: Final = (
    "stabilised inverse probability weights from a logistic propensity model; cluster-robust variance of the stacked "
    "estimating equations; t, df = clusters - coefficients"
)
_FEWEST: Final = (
    5  # events, or observations without one: fewer show too little of how unlike the clusters are
)
_INFERENCE: Final = ("std_error", "conf_low", "conf_high", "statistic", "p_value")
_NO_MODEL: Final = "the outcome model has no finite solution"
_NO_PROPENSITY: Final = (
    "the propensity model has no finite solution: the groups do not overlap in the covariates"
)


def standardized_risks(
    outcome: npt.ArrayLike,
    group: npt.ArrayLike,
    covariates: pd.DataFrame | None = None,
    *,
    clusters: npt.ArrayLike | None = None,
    frequencies: npt.ArrayLike | None = None,
    reference: Any,
    method: AdjustmentMethod = "gee",
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Estimate risks adjusted for covariates, their differences and their ratios, with clustered observations.

    Parameters
    ----------
    outcome
        Whether the event came, as booleans or 0 and 1, shape (n,).
    group
        The group of each observation, shape (n,); two or more groups (``method="iptw"``: two).
    covariates
        n rows of numbers and texts; nothing is adjusted for if not given. Numbers enter linearly (on the logit scale), texts as
        one column a level; a missing text is the level "not recorded". Observations without one of the numbers
        are left out and counted in ``n_missing``.
    clusters
        Who or what each observation belongs to (most often the patient), shape (n,); each its own if not given.
    frequencies
        How many alike observations of its cluster each row stands for, shape (n,), with `clusters`; one if not given.
    reference
        The group that the others are compared with.
    method
        ``"gee"``: a marginal logistic model of the outcome; ``"iptw"``: inverse probability of group weights.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    pandas.DataFrame
        A row a group with estimand ``risk``; then, for every group but the reference, ``risk_difference`` and
        ``risk_ratio``: ``group, estimand, estimate, std_error, conf_low, conf_high, conf_level, statistic, df, p_value,
        numerator, denominator, n_missing, method, note``. Numerator and denominator are the group's own, unadjusted.
        What cannot be estimated is NaN, and the note says why.

    Raises
    ------
    ValueError
        If an argument is not as described, or the reference is not among the groups.

    Notes
    -----
    ``gee`` solves the estimating equations of logit P(event) = group + covariates, without interactions, with an exchangeable
    working correlation within clusters; independence takes its place where no valid correlation is found (the method says
    which). An exchangeable correlation supposes that the risk of an observation depends on its own group and covariates,
    not on those of the other observations of its cluster; ``iptw`` does not suppose it. The risk of a group is the mean over the sample of the fitted probability with everybody put in that group.
    Its variance comes from Mancl and DeRouen's bias-reduced covariance by the delta method; the covariates are taken as
    they are, not as a draw from a larger population. Student's t has (clusters - coefficients) degrees of freedom.

    ``iptw`` weights each observation by 1 over the fitted probability of the group it is in (times the group's share,
    which changes no estimate). The risk of a group is its weighted mean. The variance is that of stacked estimating
    equations, so that it knows that the weights were estimated, with factor k/(k - 1) for k clusters; Student's t has
    k minus the number of propensity coefficients degrees of freedom. The note tells each group's effective sample
    size, (sum w)²/sum w², and the largest standardized difference of a covariate that the weights left.

    With fewer than 5 events in all, or fewer than 5 observations without one, there are estimates alone: the few clusters
    that bear them show too little of the variance between clusters, and intervals would hold less than their level.

    Intervals of risks are taken on the logit scale, of ratios on the log scale, as is their standard error. Only what is among the covariates is
    adjusted for.

    References
    ----------
    Liang KY, Zeger SL (1986). Longitudinal data analysis using generalized linear models. doi:10.1093/biomet/73.1.13

    Mancl LA, DeRouen TA (2001). A covariance estimator for GEE with improved small-sample properties.
    doi:10.1111/j.0006-341X.2001.00126.x

    Pepe MS, Anderson GL (1994). A cautionary note on inference for marginal regression models with longitudinal data
    and general correlated response data. doi:10.1080/03610919408813210

    Lunceford JK, Davidian M (2004). Stratification and weighting via the propensity score in estimation of causal
    treatment effects: a comparative study. doi:10.1002/sim.1903

    Examples
    --------
    In each area aspirin raises the risk by 0.3, but it was mostly taken where bruises are common anyway: the crude risks, 85/110
    and 25/110, differ by more than 0.5.

    >>> import pandas as pd
    >>> cells = pd.DataFrame(
    ...     {
    ...         "area": ["face"] * 4 + ["back"] * 4,
    ...         "aspirin": ["yes", "yes", "no", "no"] * 2,
    ...         "bruise": [1, 0] * 4,
    ...         "sessions": [80, 20, 5, 5, 5, 5, 20, 80],
    ...     }
    ... )
    >>> rows = cells.loc[cells.index.repeat(cells["sessions"])]
    >>> found = standardized_risks(rows["bruise"], rows["aspirin"], rows[["area"]], reference="no")
    >>> found[["group", "estimand", "estimate"]].round(3)
      group         estimand  estimate
    0    no             risk     0.350
    1   yes             risk     0.650
    2   yes  risk_difference     0.300
    3   yes       risk_ratio     1.857
    """
    check_choice(method, get_args(AdjustmentMethod), "method")
    check_conf_level(conf_level)
    found = sample(
        outcome, group, covariates, clusters=clusters, frequencies=frequencies, reference=reference
    )
    if method == "iptw" and len(found.labels) > 2:  # noqa: PLR2004 - the propensity model is binary
        msg = f"method 'iptw' compares two groups, found {len(found.labels)}; use method 'gee'"
        raise ValueError(msg)
    marginal = _outcome_model(found) if method == "gee" else _weighting(found)
    return _without_few(contrasts(found, marginal, conf_level), found)


def _without_few(frame: pd.DataFrame, found: Sample) -> pd.DataFrame:
    """Take the intervals away where too few observations with or without the event bear them, and say so."""
    events = found.events.sum()
    rarer, words = min((events, "events"), (found.trials.sum() - events, "observations without the event"))
    if rarer >= _FEWEST:
        return frame
    few = f"fewer than {_FEWEST} {words} in all: no interval"
    known = frame["std_error"].notna()
    notes = frame["note"].mask(known, frame["note"].where(frame["note"] == "", frame["note"] + "; ") + few)
    return frame.assign(note=notes, **dict.fromkeys(_INFERENCE, np.nan))


def _outcome_model(found: Sample) -> MarginalRisks:
    """Fit the logistic model of the outcome, and standardize it."""
    name = f"GEE logistic; {_STANDARDIZED}"
    lacking = _lacking(found) or _without_odds(found)
    if lacking:
        return unknown_risks(found, name, lacking)
    design = encode(found.covariates)
    matrix = np.column_stack([design.columns, found.memberships[:, 1:]])
    kept = independent(matrix)
    if not kept.all():
        return unknown_risks(
            found, name, "the covariates tell who is in which group: no adjusted effect can be seen"
        )
    clusters, parameters = len(found.starts), matrix.shape[1]
    if clusters <= parameters:
        return unknown_risks(found, name, f"{clusters} clusters are too few for {parameters} coefficients")
    rows = found.rows(matrix, found.outcome)
    independence = fit_logistic(rows)
    if independence is None:
        return unknown_risks(found, name, _unmodelled(found))
    fit = fit_exchangeable(rows, independence)
    risks, gradient = _standardized(found, design, fit or independence)
    spread = gradient @ covariance(rows, fit or independence) @ gradient.T
    method = f"GEE logistic, {_correlation_words(found, fit)}, {_STANDARDIZED}"
    correlation = [f"working correlation {fit.correlation:.3f}"] if fit else []
    return MarginalRisks(
        risks, spread, clusters - parameters, method, "; ".join([*correlation, *design.notes])
    )


def _lacking(found: Sample) -> str:
    """Say what keeps any risk from being estimated; nothing where nothing does."""
    for label, trials, clusters in zip(found.labels, found.trials, found.clusters, strict=True):
        if trials == 0:
            return f"no complete observation in '{label}'"
        if clusters == 1:
            return f"one cluster in '{label}': the variance between clusters is unknown"
    return ""


def _without_odds(found: Sample) -> str:
    """Say which group has no odds that a model could hold; nothing where all have."""
    for label, trials, events in zip(found.labels, found.trials, found.events, strict=True):
        if events in {0, trials}:
            return f"{'no' if events == 0 else 'only'} events in '{label}': no finite odds to model"
    return ""


def _unmodelled(found: Sample) -> str:
    """Say why the outcome model has no solution, as far as single covariates show it."""
    alike = [
        f"'{name}'"
        for name, values in found.covariates.items()
        if is_text(values) and _has_silent_level(found, values)
    ]
    if not alike:
        return _NO_MODEL
    return f"{_NO_MODEL}: in {', '.join(alike)} a level has no events or only events; join levels, or use method 'iptw'"


def _has_silent_level(found: Sample, values: pd.Series[Any]) -> bool:
    level = level_codes(values)[0]
    trials = np.bincount(level, weights=found.frequency)
    events = np.bincount(level, weights=found.frequency * found.outcome)
    return bool(np.any((trials > 0) & ((events == 0) | (events == trials))))


def _correlation_words(found: Sample, fit: LogisticFit | None) -> str:
    if fit is not None:
        return "exchangeable working correlation"
    if len(found.starts) == found.frequency.sum():
        return "each observation a cluster"
    return "independence working correlation (no valid exchangeable one was found)"


def _standardized(found: Sample, design: Design, fit: LogisticFit) -> tuple[Floats, Floats]:
    """Return each group's mean fitted probability with everybody in it, and its gradient in the coefficients."""
    number, parameters = design.columns.shape[1], len(fit.coefficients)
    weights = found.frequency / found.frequency.sum()
    common = design.columns @ fit.coefficients[:number]
    effects = np.append(0.0, fit.coefficients[number:])
    risks, gradient = np.zeros(len(effects)), np.zeros((len(effects), parameters))
    for place, effect in enumerate(effects):
        fitted = expit(common + effect)
        slope = weights * fitted * (1 - fitted)
        risks[place] = weights @ fitted
        gradient[place, :number] = slope @ design.columns
        if place > 0:
            gradient[place, number + place - 1] = slope.sum()
    return risks, gradient


def _weighting(found: Sample) -> MarginalRisks:
    """Weight each observation by the inverse probability of its group, and take each group's mean."""
    lacking = _lacking(found) or ("one group: nothing to weight" if len(found.labels) == 1 else "")
    if lacking:
        return unknown_risks(found, _WEIGHTED, lacking)
    design, treated = encode(found.covariates), found.group.astype(np.float64)
    rows = found.rows(design.columns, treated)
    clusters, df = len(found.starts), len(found.starts) - rows.parameters
    if df <= 0:
        few = f"{clusters} clusters are too few for {rows.parameters} coefficients"
        return unknown_risks(found, _WEIGHTED, few)
    fit = fit_logistic(rows)
    if fit is None:
        return unknown_risks(found, _WEIGHTED, _NO_PROPENSITY)
    chance = expit(design.columns @ fit.coefficients)
    weights = found.frequency / np.where(treated == 1, chance, 1 - chance)
    risks, parts = _weighted_means(found, weights)
    scores = (found.frequency * (treated - chance))[:, None] * design.columns
    bread = design.columns.T @ ((found.frequency * chance * (1 - chance))[:, None] * design.columns)
    slope = parts.T @ ((treated - chance)[:, None] * design.columns)
    influence = rows.total(parts) - rows.total(scores) @ np.linalg.solve(bread, slope.T)
    note = "; ".join([*_weight_words(found, weights, design), *design.notes])
    return MarginalRisks(risks, influence.T @ influence * clusters / (clusters - 1), df, _WEIGHTED, note)


def _weighted_means(found: Sample, weights: Floats) -> tuple[Floats, Floats]:
    """Return each group's weighted mean outcome, and each observation's part in its linearised error."""
    shares = found.memberships * weights[:, None]
    shares /= shares.sum(axis=0)
    risks = found.outcome @ shares
    return risks, shares * (found.outcome[:, None] - risks)


def _weight_words(found: Sample, weights: Floats, design: Design) -> list[str]:
    """Describe what the weights cost, and the imbalance that they left."""
    sizes = [
        f"{weights[rows].sum() ** 2 / (weights[rows] ** 2 / found.frequency[rows]).sum():.1f} ('{label}')"
        for label, rows in zip(found.labels, found.memberships.T.astype(bool), strict=True)
    ]
    words = [f"effective sample size {', '.join(sizes)}"]
    left = standardized_differences(design.columns[:, 1:], found.frequency, weights, found.group == 1)
    if np.isfinite(left).any():
        words.append(f"largest standardized difference left {np.nanmax(np.abs(left)):.3f}")
    return words
