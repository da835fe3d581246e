"""Discrete-time hazard models: what goes with stopping at the next step, for steps that belong to patients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, get_args

import numpy as np
import pandas as pd
from scipy import stats

from mesostats.errors import did_you_mean
from mesostats.estimators.arguments import check_choice, check_conf_level
from mesostats.estimators.hazard_fits import Link, Robust, cumulative_step, hazard_of
from mesostats.estimators.hazard_ratios import ONE_CLUSTER, UNSEEN, ratio_rows, wald_rows
from mesostats.estimators.hazard_samples import fitted, means_of, observe
from mesostats.estimators.hazard_terms import NO_EVENT, ONLY_EVENTS, SET_ASIDE, as_codes, design_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from mesostats.estimators.hazard_samples import HazardFit

_COLUMNS: Final = (
    *("term", "level", "estimand", "estimate", "std_error", "conf_low", "conf_high", "conf_level"),
    *("statistic", "df", "p_value", "numerator", "denominator", "n_missing", "method", "note"),
)


@dataclass(frozen=True, eq=False)
class HazardModel:
    """A fitted discrete-time hazard model.

    Parameters
    ----------
    estimates
        One row a level of each term (the reference too, with ratio 1): ``term, level, estimand, estimate, std_error`` (of
        the ratio's logarithm), ``conf_low, conf_high, conf_level, statistic, df, p_value, numerator, denominator, n_missing,
        method, note``, with estimand ``hazard_ratio`` or ``odds_ratio``; then a row a term with estimand ``wald_test``
        and level ``all levels``.
    references
        The level that the others of each term are compared with.
    means
        The mean of each covariate that is a number.
    """

    estimates: pd.DataFrame
    references: Mapping[str, str]
    means: Mapping[str, float]
    _fit: HazardFit = field(repr=False)

    def retention(self, profiles: pd.DataFrame, *, conf_level: float = 0.95) -> pd.DataFrame:
        """Predict who is kept, step after step, by profiles of covariates.

        Parameters
        ----------
        profiles
            One row a profile and step, the steps of each in their order: ``profile``, and every covariate of the model
            as it is at the step.
        conf_level
            Two-sided confidence level.

        Returns
        -------
        pandas.DataFrame
            For each row of ``profiles``: ``profile, step`` (from 1), ``hazard, estimate`` (kept after the step),
            ``std_error, conf_low, conf_high, conf_level, df, method, note``.

        Raises
        ------
        ValueError
            If a covariate is absent, or a level is not among those of the data.

        Notes
        -----
        S is the product of (1 - hazard), its interval that of log(-log S) by the delta method, with Student's t. At a level
        at which nobody had the event the hazard is taken as 0; at one with only events as 1, and nobody is kept.
        """
        check_conf_level(conf_level)
        coded = as_codes(profiles, self._fit.covariates.levels)
        if "profile" not in profiles:
            msg = "the profiles have no column 'profile' that names each"
            raise ValueError(msg)
        names = profiles["profile"].reset_index(drop=True)
        step = names.groupby(names, sort=False).cumcount() + 1
        steps = _silent_steps(self._fit, coded)
        kept = kept_after(self._fit, steps, names.to_numpy(), conf_level)
        return pd.DataFrame({"profile": names, "step": step}).join(kept)


def discrete_hazard_model(
    event: npt.ArrayLike,
    covariates: pd.DataFrame,
    *,
    clusters: npt.ArrayLike,
    link: Link = "cloglog",
    frequencies: npt.ArrayLike | None = None,
    reference: Mapping[str, str] | None = None,
    robust: Robust = "bias_reduced",
    conf_level: float = 0.95,
) -> HazardModel:
    """Model the hazard of an event at each step of a schedule, with steps clustered in patients.

    Parameters
    ----------
    event
        Whether the event came at the step, as booleans or 0 and 1, shape (n,): one element a person and step at which the
        person was at risk.
    covariates
        n rows of numbers and texts, known before the step; the step or its phase is one of them, else the hazard is the same
        at all steps. Numbers enter linearly, texts level by level; a missing text is the level "not recorded". Rows
        without one of the numbers are left out and counted in ``n_missing``.
    clusters
        Who each row belongs to (most often the patient), shape (n,).
    link
        ``cloglog``: hazard ratios of the continuous time behind the steps; ``logit``: odds ratios.
    frequencies
        How many alike rows of its cluster each row stands for, shape (n,); one if not given.
    reference
        The level of a covariate that its others are compared with; the most frequent one if not given.
    robust
        ``bias_reduced``: Mancl and DeRouen's covariance, for clusters few or many; ``hc1``: the plain sandwich with factor
        k/(k - 1)·(n - 1)/(n - p), as ``vcovCL(type = "HC1")`` of R's sandwich.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    HazardModel
        Its ``estimates`` hold ratios and tests, its method ``retention`` predicts. Numerator and denominator are the
        level's own events and rows. What cannot be estimated is NaN, and the note says why.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    Maximum likelihood of log(-log(1 - h)) or log(h/(1 - h)) = constant + covariates, robust in clusters; Student's t and the
    denominator of the Wald F tests have (clusters - coefficients) degrees of freedom.

    A level at which nobody or everybody has the event has no finite coefficient: its rows, which say nothing about the other
    coefficients at the highest likelihood, are set aside, and its ratio is NaN. A covariate with one value and columns
    that earlier covariates determine are left out. Where rows of a level are of one cluster its variance is unseen.

    References
    ----------
    Prentice RL, Gloeckler LA (1978). Regression analysis of grouped survival data with application to breast cancer data.
    doi:10.2307/2529588

    Mancl LA, DeRouen TA (2001). A covariance estimator for GEE with improved small-sample properties.
    doi:10.1111/j.0006-341X.2001.00126.x

    Examples
    --------
    After a bruise 20 of 50 stop, else 10 of 50: the hazard ratio is log(0.6)/log(0.8), the odds ratio (20/30)/(10/40).

    >>> event = [1] * 20 + [0] * 30 + [1] * 10 + [0] * 40
    >>> bruise = pd.DataFrame({"bruise": ["yes"] * 50 + ["no"] * 50})
    >>> chosen = {"clusters": range(100), "reference": {"bruise": "no"}}
    >>> model = discrete_hazard_model(event, bruise, **chosen)
    >>> model.estimates[["term", "level", "estimand", "estimate"]].round(3)
         term       level      estimand  estimate
    0  bruise          no  hazard_ratio     1.000
    1  bruise         yes  hazard_ratio     2.289
    2  bruise  all levels     wald_test       NaN
    >>> odds = discrete_hazard_model(event, bruise, link="logit", **chosen)
    >>> round(float(odds.estimates.loc[1, "estimate"]), 3)
    2.667
    """
    check_choice(link, get_args(Link), "link")
    check_choice(robust, get_args(Robust), "robust")
    check_conf_level(conf_level)
    observed = observe(event, covariates, clusters, frequencies)
    wanted = dict(reference or {})
    for name in wanted:
        if not observed.covariates.levels.get(name) and (
            name not in observed.covariates.levels or len(observed.event)
        ):
            known = [each for each, levels in observed.covariates.levels.items() if levels]
            msg = f"reference names '{name}', which is no covariate with levels{did_you_mean(name, known)}"
            raise ValueError(msg)
    fit = fitted(observed, wanted, link=link, robust=robust)
    estimates = pd.concat(
        [ratio_rows(fit, observed, conf_level), wald_rows(fit, observed)], ignore_index=True
    ).astype({"n_missing": "float64"})
    references = {term.name: term.levels[0] for term in fit.terms if term.levels}
    return HazardModel(estimates[[*_COLUMNS]], references, means_of(observed), fit)


def _silent_steps(fit: HazardFit, coded: pd.DataFrame) -> pd.DataFrame:
    """Return, a row of the profiles: the hazard, and what is known of it (``never``, ``surely``, ``unknown``)."""
    flags = {
        word: np.zeros(len(coded), dtype=bool) for word in (NO_EVENT, ONLY_EVENTS, SET_ASIDE, ONE_CLUSTER)
    }
    known = {term.name: term for term in fit.terms}
    for name, levels in fit.covariates.levels.items():
        for place, level in enumerate(levels):
            rows = coded[name].to_numpy() == place
            if (name, level) in fit.silent:
                flags[fit.silent[name, level]] |= rows
            elif name in known and level not in known[name].levels:
                flags[SET_ASIDE] |= rows
            elif (name, level) in fit.lonely:
                flags[ONE_CLUSTER] |= rows
    return coded.assign(**{f"_{place}": rows for place, rows in enumerate(flags.values())})


def kept_after(
    fit: HazardFit, steps: pd.DataFrame, names: npt.NDArray[Any], conf_level: float
) -> pd.DataFrame:
    """Return the retention after each step of each profile."""
    design = design_of(steps, fit.terms)[:, fit.kept]
    never, surely, aside, lonely = (steps[f"_{place}"].to_numpy(bool) for place in range(4))
    predictor = design @ fit.coefficients
    total, slope = cumulative_step(predictor, fit.link)
    hazard = np.select([aside, surely, never], [np.nan, 1.0, 0.0], hazard_of(predictor, fit.link))
    total = np.where(aside | surely | never, 0.0, total)
    gradient = np.where((never | surely | aside)[:, None], 0.0, slope[:, None] * design)
    frame = pd.DataFrame(gradient).groupby(names, sort=False).cumsum().to_numpy()
    cumulative = pd.Series(total).groupby(names, sort=False).cumsum().to_numpy()
    cloudy, lost, gone = (
        pd.Series(rows).groupby(names, sort=False).cummax().to_numpy(bool) for rows in (lonely, surely, aside)
    )
    variance = np.einsum("ij,jk,ik->i", frame, fit.covariance, frame)
    usable = (cumulative > 0) & ~(lost | cloudy | gone) & (variance > UNSEEN)
    reach = np.where(usable, cumulative, np.nan)
    error = np.sqrt(np.where(usable, variance, np.nan))
    fold = np.exp(float(stats.t.isf((1 - conf_level) / 2, fit.df)) * error / reach)
    kept = np.select([gone, lost], [np.nan, 0.0], np.exp(-cumulative))
    reasons = [gone, lost, cloudy, kept == 1]
    words = [SET_ASIDE, ONLY_EVENTS, ONE_CLUSTER, "no event so far: the interval cannot be estimated"]
    note = fit.trouble or np.select(reasons, words, default="")
    return pd.DataFrame(
        {
            "hazard": hazard,
            "estimate": kept,
            "std_error": kept * error,
            "conf_low": np.exp(-reach * fold),
            "conf_high": np.exp(-reach / fold),
            "conf_level": conf_level,
            "df": fit.df,
            "method": f"{fit.method}; delta method on the log(-log) scale",
            "note": note,
        }
    )
