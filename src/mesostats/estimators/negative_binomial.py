"""Rates of events that repeat within patients, compared by a negative binomial model."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.discrete.discrete_model import NegativeBinomial

from mesostats.estimators.arguments import amounts, check_conf_level, check_same_length, counts
from mesostats.estimators.clusters import ClusterTotals
from mesostats.estimators.rates import clustered_rate
from mesostats.estimators.two_groups import comparison_frame

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_GRADIENT: Final = 1e-5  # of the log-likelihood a patient, where a fit counts as converged
_SINGULAR: Final = 1e12  # an information matrix of this condition number has no inverse worth its digits
_FITTED: Final = "negative binomial regression, variance x N/(N - groups), t quantile"
_ROBUST: Final = "Poisson regression, robust (sandwich) variance, t quantile"


def negative_binomial_rate_ratio(
    events: npt.ArrayLike,
    exposure: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    reference: Any,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Compare rates of events that repeat within patients by a negative binomial model.

    Parameters
    ----------
    events
        Events of each patient, shape (k,); whole.
    exposure
        The time or number of sessions at risk of each patient, shape (k,).
    group
        The group of each patient, shape (k,).
    reference
        The group with which the others are compared.
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row each other group, in sorted order: `COMPARISON_COLUMNS`, then ``group`` and ``dispersion`` (the variance
        of the patients' rates relative to their squared mean, NaN where it was not fitted). ``std_error`` is that of
        the logarithm of the ratio, ``statistic`` its quotient. ``method`` names what was fitted, and the note why it
        was not the negative binomial model. Without events in a group its ratio is 0 or infinite without an interval,
        without events in both it is NaN. Patients without exposure are left out, and the note says how many.

    Raises
    ------
    ValueError
        If an argument is not as described, a patient has events but no exposure, or `reference` is not among the
        groups.

    Notes
    -----
    Each patient's events are Poisson with mean rate x exposure x a gamma frailty of mean 1, the variance of which is
    the dispersion, one for all groups. The standard error comes from the Hessian of coefficients and dispersion
    together (as ``glmmTMB``; ``MASS::glm.nb`` takes the dispersion as known), with the variance times N/(N - groups) for
    N patients, as of a regression, since the dispersion is fitted too low in small samples; Student's t has N - groups
    degrees of freedom. (Groups without events are not part of the model, nor their patients.) Where the events vary no more than
    Poisson, the score of the dispersion at 0 being 0 or less, or where the fit does not converge, the model is Poisson
    with the patient-clustered variance of `clustered_rate` and Student's t on patients - groups degrees of freedom.

    References
    ----------
    Lawless JF (1987). Negative binomial and mixed Poisson regression. doi:10.2307/3314912

    Examples
    --------
    >>> found = negative_binomial_rate_ratio(
    ...     [6, 1, 1, 0, 1, 0, 1, 0], [10] * 8, ["laser"] * 4 + ["needle"] * 4, reference="needle"
    ... )
    >>> found[["group", "estimate"]].round(4)
       group  estimate
    0  laser       4.0
    """
    check_conf_level(conf_level)
    patients = _Patients.from_arrays(events, exposure, group)
    if reference not in patients.groups:
        msg = f"reference is none of the {len(patients.groups)} groups"
        raise ValueError(msg)
    home = int(np.flatnonzero(patients.groups == reference)[0])
    others = np.flatnonzero(patients.groups != reference).tolist()
    fit = _fit(patients)
    std_error = fit.difference_errors(others, home)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = fit.rates[others] / fit.rates[home]
        statistic = np.log(estimate) / std_error
    fold = np.exp(stats.t.isf((1 - conf_level) / 2, fit.df) * std_error)
    successes, trials = patients.totals.successes, patients.totals.trials
    return comparison_frame(
        {
            "estimate": estimate,
            "std_error": std_error,
            "conf_low": estimate / fold,
            "conf_high": estimate * fold,
            "conf_level": conf_level,
            "statistic": statistic,
            "df": fit.df,
            "p_value": 2 * stats.t.sf(np.abs(statistic), fit.df),
            "numerator": successes[others],
            "denominator": trials[others],
            "reference_numerator": successes[home],
            "reference_denominator": trials[home],
            "method": fit.method,
            "note": [_note(patients, fit, [each, home]) for each in others],
            "group": patients.groups[others],
            "dispersion": fit.dispersion,
        }
    )


@dataclass(frozen=True, eq=False)
class _Patients:
    """One element a patient, the groups by code, and the groups' sums."""

    events: Floats
    exposure: Floats
    codes: npt.NDArray[np.intp]
    groups: pd.Index
    totals: ClusterTotals

    @classmethod
    def from_arrays(cls, events: npt.ArrayLike, exposure: npt.ArrayLike, group: npt.ArrayLike) -> Self:
        y, time, labels = counts(events, "events"), amounts(exposure, "exposure"), np.asarray(group)
        check_same_length(events=y, exposure=time, group=labels)
        if np.any((time == 0) & (y > 0)):
            msg = f"{np.sum((time == 0) & (y > 0))} patients have events but no exposure: give them exposure or leave them out"
            raise ValueError(msg)
        codes, groups = pd.factorize(labels, sort=True)
        if np.any(codes < 0):
            msg = f"group has {np.sum(codes < 0)} missing values"
            raise ValueError(msg)
        totals = ClusterTotals.from_arrays(y, time, codes)
        return cls(y.astype(np.float64), time, codes, pd.Index(groups), totals)


@dataclass(frozen=True, eq=False)
class _Fit:
    """A rate a group, the covariance of their logarithms, and what the tests refer to."""

    rates: Floats
    covariance: Floats
    df: float
    dispersion: float
    method: str
    note: str

    def difference_errors(self, others: list[int], home: int) -> Floats:
        """Return the standard errors of the logarithms of the ratios."""
        variances = np.diag(self.covariance)
        shared = self.covariance[others, home]  # the one dispersion makes the groups' estimates hang together
        return np.asarray(np.sqrt(variances[others] + variances[home] - 2 * shared), dtype=np.float64)


def _fit(patients: _Patients) -> _Fit:
    # A group without exposure has no rate, and one without events leaves nothing to fit.
    rates = np.nan_to_num(patients.totals.ratio)
    expected = patients.exposure * rates[patients.codes]
    if not np.sum((patients.events - expected) ** 2 - patients.events) > 0:
        return _poisson(patients, "events vary no more than Poisson")
    fitted = _negative_binomial(patients, (patients.exposure > 0) & (rates[patients.codes] > 0))
    return _poisson(patients, "the negative binomial fit did not converge") if fitted is None else fitted


def _negative_binomial(patients: _Patients, rows: npt.NDArray[np.bool_]) -> _Fit | None:
    """Fit one rate a group and the dispersion; None where that does not converge."""
    used, codes = np.unique(patients.codes[rows], return_inverse=True)
    y, exposure, rates = patients.events[rows], patients.exposure[rows], patients.totals.ratio
    mean = exposure * rates[used][codes]
    moment = np.sum((y - mean) ** 2 - y) / np.sum(mean**2)
    model = NegativeBinomial(y, np.eye(len(used))[codes], exposure=exposure)
    start = np.append(np.log(rates[used]), moment)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # what went wrong is read off the gradient and the variances
        found = model.fit(start, method="bfgs", gtol=1e-10, maxiter=500, disp=0, skip_hessian=True)
        parameters = np.asarray(found.params, dtype=np.float64)
        gradient = np.max(np.abs(model.score(parameters))) / len(y)
        information = -np.asarray(model.hessian(parameters), dtype=np.float64)
    if not (gradient < _GRADIENT and parameters[-1] > 0 and np.linalg.cond(information) < _SINGULAR):
        return None
    df = len(y) - len(used)  # above 0: a group's only patient has no residual, and alone no dispersion
    covariance = np.full((len(rates), len(rates)), np.nan)
    covariance[np.ix_(used, used)] = np.linalg.inv(information)[:-1, :-1] * len(y) / df
    fitted = rates.copy()
    fitted[used] = np.exp(parameters[:-1])
    return _Fit(fitted, covariance, float(df), float(parameters[-1]), _FITTED, "")


def _poisson(patients: _Patients, why: str) -> _Fit:
    found = clustered_rate(patients.totals)
    rates = found["estimate"].to_numpy()
    relative = found["std_error"].to_numpy() / np.where(rates > 0, rates, np.nan)
    clusters = patients.totals.clusters
    df = float(clusters.sum() - np.sum(clusters > 0))
    return _Fit(rates, np.diag(relative**2), df if df > 0 else np.nan, np.nan, _ROBUST, why)


def _note(patients: _Patients, fit: _Fit, pair: list[int]) -> str:
    rates, left_out = fit.rates[pair], int(np.sum(patients.exposure == 0))
    notes = [fit.note, f"{left_out} patients without exposure left out" if left_out else ""]
    if np.isnan(rates).any():
        notes.append("no exposure in one of the groups")
    elif (rates == 0).all():
        notes.append("no event in either group: their ratio is unknown")
    elif (rates == 0).any():
        notes.append("no event in one of the groups: no interval of this method")
    elif np.isnan(fit.covariance[pair, pair]).any():
        notes.append("the variance between the patients of a group is unknown")
    return "; ".join(note for note in notes if note)
