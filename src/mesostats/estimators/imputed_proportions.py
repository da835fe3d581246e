"""Proportions where outcomes are missing: each missing one drawn many times from what is known of its course."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from mesostats.estimators.arguments import check_conf_level, indicators
from mesostats.estimators.clusters import ClusterTotals
from mesostats.estimators.covariates import encode, is_text, level_codes
from mesostats.estimators.incomplete_covariates import unseen_level
from mesostats.estimators.multiple_imputation import linear_draws, logistic_draws, rubin
from mesostats.estimators.observation_weights import AUGMENTED, Incomplete, estimated, incomplete

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd

    from mesostats.estimators.covariates import Design

    Floats = npt.NDArray[np.float64]

_FEWEST: Final = 2
_FEW: Final = 5  # a coefficient: Vittinghoff and McCulloch 2007
_RUBIN: Final = (
    "Rubin's rules on the probability scale, Barnard-Rubin df; Wilson score interval at the effective sample size "
    "(Lott and Reiter), t quantile"
)
_SLACK: Final = 1e-9  # as of responder rules: what falls short by no more meets the rule


def imputed_proportion(
    outcome: npt.ArrayLike,
    observed: npt.ArrayLike,
    covariates: pd.DataFrame | None = None,
    *,
    at_least: float | None = None,
    clusters: npt.ArrayLike | None = None,
    imputations: int = 50,
    seed: int | Sequence[int] = 1,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Estimate the proportion with an outcome in all, the missing ones drawn many times from a model of the covariates.

    Parameters
    ----------
    outcome
        0 or 1, or with `at_least` a measurement, shape (n,); whatever stands where it was not observed is not used.
    observed
        Whether the outcome was observed, shape (n,).
    covariates
        As for `observation_weights.weighted_proportion`.
    at_least
        The measurement from which on the outcome counts. The measurement is then drawn from a linear model; without it
        the outcome itself from a logistic one.
    clusters
        Whom each observation belongs to, shape (n,); each its own if not given. The variance within imputations allows
        for clusters; the imputation model takes observations as independent given the covariates.
    imputations
        How often the missing outcomes are drawn, at least 2.
    seed
        The same seed gives the same draws.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    pandas.DataFrame
        One row, with the columns of `observation_weights.weighted_proportion`. Numerator and denominator are those of the
        observed. The note tells the fraction of missing information.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    See `multiple_imputation.logistic_draws` and `linear_draws`. It is right where the outcome is missing at random given the covariates and the
    model holds. With few of one outcome it says little, which the note tells (fewer than five a coefficient); it does not draw
    the share towards one half, as normal draws of the coefficients do (see `logistic_posterior.coefficient_draws`). A linear model supposes that measurements scatter normally and evenly about it, which grades and
    scores with two humps do not.

    Proportions are combined as they are, since the logit of 0 and 1 is not finite, and a proportion of the clinic's size with a
    normal interval would hold too little at the edges: the interval is Wilson's at the sample size p(1 - p)/T that the total
    variance T is worth (Lott and Reiter 2020), Student's t on Barnard and Rubin's degrees of freedom with
    (clusters - 1) as those of complete data. Where no outcome varies, the size is that of the observed clusters.

    References
    ----------
    Rubin DB (1987). Multiple Imputation for Nonresponse in Surveys. doi:10.1002/9780470316696

    Lott A, Reiter JP (2020). Wilson confidence intervals for binomial proportions with multiple imputation for missing
    data. doi:10.1080/00031305.2018.1473796

    Vittinghoff E, McCulloch CE (2007). Relaxing the rule of ten events per variable in logistic and Cox regression.
    doi:10.1093/aje/kwk052

    Floden L, Bell ML (2019). Imputation strategies when a continuous outcome is to be dichotomized for responder analysis:
    a simulation study. doi:10.1186/s12874-019-0793-x

    Examples
    --------
    The data of the example of `observation_weights.weighted_proportion`, of which 0.35 is expected.

    >>> import pandas as pd
    >>> left = [0] * 20 + [1] * 20
    >>> observed = [1] * 18 + [0] * 2 + [1] * 5 + [0] * 15
    >>> responded = [1] * 9 + [0] * 11 + [1] + [0] * 19
    >>> found = imputed_proportion(responded, observed, pd.DataFrame({"left": left}), imputations=400)
    >>> bool(0.3 < found["estimate"].item() < 0.42)
    True
    """
    check_conf_level(conf_level)
    if isinstance(imputations, bool) or not isinstance(imputations, int) or imputations < _FEWEST:
        msg = f"imputations is a whole number of at least {_FEWEST}, found {imputations!r}"
        raise ValueError(msg)
    data = incomplete(outcome, observed, covariates, clusters=clusters)
    if at_least is None:
        indicators(data.outcome[data.observed], "outcome")
    method = _method(imputations, at_least)
    if not data.observed.any():
        words = "no outcome was observed" if len(data.observed) else "no observations"
        return estimated(
            _dichotomized(data, at_least),
            np.nan,
            np.nan,
            {},
            conf_level=conf_level,
            df=np.nan,
            words=words,
            method=method,
        )
    drawn, notes = _draws(data, at_least, imputations, np.random.default_rng(seed))
    return _combined(_dichotomized(data, at_least), drawn, notes, conf_level=conf_level, method=method)


def _method(imputations: int, at_least: float | None) -> str:
    model = (
        "logistic model of the outcome" if at_least is None else "Bayesian linear model of the measurement"
    )
    return f"multiple imputation ({imputations}) from a {model}; {_RUBIN}"


def _dichotomized(data: Incomplete, at_least: float | None) -> Incomplete:
    if at_least is None:
        return data
    met = np.where(data.observed, data.outcome >= at_least - _SLACK, np.nan)
    return Incomplete(met, data.observed, data.covariates, data.cluster, data.clusters)


def _draws(
    data: Incomplete, at_least: float | None, imputations: int, rng: np.random.Generator
) -> tuple[Floats, list[str]]:
    """Return whether each missing outcome counts in each imputation, shape (missing, imputations), and notes."""
    design = encode(data.covariates)
    notes = list(design.notes)
    unseen = unseen_level(data.covariates, data.observed)
    if unseen:
        notes.append(f"no outcome was observed where {unseen}: imputed as the average of the other levels")
    columns = _unseen_as_average(design, data)
    if at_least is None:
        drawn, augmented = logistic_draws(
            columns, data.outcome, data.observed, imputations=imputations, rng=rng
        )
        return drawn, notes + _sparse(data, design.columns.shape[1] - 1) + [AUGMENTED] * augmented
    values = linear_draws(columns, data.outcome, data.observed, imputations=imputations, rng=rng)
    return np.where(np.isnan(values), np.nan, values >= at_least - _SLACK), notes


def _unseen_as_average(design: Design, data: Incomplete) -> Floats:
    """Return the design with the observed's mean of a text's columns where nobody of its level was observed.

    Else whoever is of such a level would be imputed as if of another one, whichever has no column.
    """
    columns = design.columns.copy()
    for name, values in data.covariates.items():
        if not is_text(values):
            continue
        codes, levels = level_codes(values)
        unseen = np.bincount(codes[data.observed], minlength=len(levels))[codes] == 0
        own = np.array([source == str(name) for source in design.sources])
        columns[np.ix_(unseen, own)] = columns[data.observed][:, own].mean(axis=0)
    return columns


def _sparse(data: Incomplete, coefficients: int) -> list[str]:
    """Return a note where fewer than five of the rarer outcome stand behind each coefficient."""
    responders = int(data.outcome[data.observed].sum())
    others = int(data.observed.sum()) - responders
    rarer, name = min((responders, "with"), (others, "without"))
    if rarer >= _FEW * coefficients:
        return []
    return [
        f"{rarer} {name} the outcome for {coefficients} coefficients of the imputation model: see the bounds"
    ]


def _combined(
    data: Incomplete, drawn: Floats, notes: list[str], *, conf_level: float, method: str
) -> pd.DataFrame:
    """Estimate each completed data set, and combine them."""
    if np.isnan(drawn).any():
        few = "; ".join(["too few observed outcomes for the imputation model", *notes])
        return estimated(data, np.nan, np.nan, {}, conf_level=conf_level, df=np.nan, words=few, method=method)
    shares, variances = _completed_shares(data, drawn)
    sizes = {"alike": float(np.count_nonzero(data.total(data.observed.astype(np.float64))))}
    if data.clusters == 1:
        words = "; ".join(notes)
        return estimated(
            data,
            float(shares.mean()),
            np.nan,
            sizes,
            conf_level=conf_level,
            df=np.nan,
            words=words,
            method=method,
        )
    pooled = rubin(shares, variances, df_complete=data.clusters - 1, conf_level=conf_level).iloc[0]
    unseen = not np.isfinite(pooled["std_error"])
    df = data.clusters - 1.0 if unseen else float(pooled["df"])
    told = [] if unseen else [f"fraction of missing information {pooled['fraction_missing']:.3f}"]
    return estimated(
        data,
        float(pooled["estimate"]),
        float(pooled["std_error"] ** 2),
        sizes,
        conf_level=conf_level,
        df=df,
        words="; ".join([*told, *notes]),
        method=method,
    )


def _completed_shares(data: Incomplete, drawn: Floats) -> tuple[Floats, Floats]:
    """Return the share of each completed data set and its variance, which allows for clusters where they repeat."""
    known = data.total(np.where(data.observed, data.outcome, 0.0))
    missing, sizes = data.cluster[~data.observed], data.total(np.ones(len(data.observed)))
    repeated = data.clusters not in {1, len(data.observed)}
    shares, variances = np.zeros(drawn.shape[1]), np.zeros(drawn.shape[1])
    for place, outcomes in enumerate(drawn.T):
        successes = known + np.bincount(missing, weights=outcomes, minlength=data.clusters)
        share = successes.sum() / sizes.sum()
        robust = ClusterTotals.from_arrays(successes, sizes).ratio_variance.item() if repeated else 0.0
        shares[place], variances[place] = share, max(robust, share * (1 - share) / sizes.sum())
    return shares, variances
