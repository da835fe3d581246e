"""Multiple imputation: proper draws of missing outcomes, and Rubin's rules for what they add up to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit

from mesostats.estimators.arguments import check_conf_level
from mesostats.estimators.covariates import independent
from mesostats.estimators.finite_logistic import fit_finite
from mesostats.estimators.logistic_posterior import coefficient_draws

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_FEWEST: Final = 2


def rubin(
    estimates: npt.ArrayLike,
    variances: npt.ArrayLike,
    *,
    df_complete: float = np.inf,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Combine the estimates of completed data sets by Rubin's rules.

    Parameters
    ----------
    estimates
        Of m completed data sets, shape (m,) or (m, q) for q quantities; on a scale on which they are about normal.
    variances
        Their squared standard errors, of the same shape.
    df_complete
        The degrees of freedom that the analysis would have without missing data.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    pandas.DataFrame
        A row a quantity: ``estimate, std_error, conf_low, conf_high, conf_level, statistic, df, p_value, within, between,
        relative_increase, fraction_missing, imputations, method, note``. Statistic and p value test 0.

    Raises
    ------
    ValueError
        If there are fewer than two data sets, shapes differ, a number is missing, or a variance is negative.

    Notes
    -----
    With the mean U of the variances and the variance B of the estimates, the total variance is T = U + (1 + 1/m)B, the relative
    increase of variance r = (1 + 1/m)B/U, lambda = (1 + 1/m)B/T. The degrees of freedom are Barnard and Rubin's,
    1/(1/a + 1/b) with a = (m - 1)/lambda² and b = (1 - lambda)·d(d + 1)/(d + 3), d = `df_complete`. The
    fraction of missing information is (r + 2/(df + 3))/(r + 1).

    References
    ----------
    Rubin DB (1987). Multiple Imputation for Nonresponse in Surveys. doi:10.1002/9780470316696

    Barnard J, Rubin DB (1999). Small-sample degrees of freedom with multiple imputation. doi:10.1093/biomet/86.4.948

    Examples
    --------
    By hand: U = 1, B = 1, T = 1 + 4/3, lambda = 4/7, a = 2/(16/49) = 6.125.

    >>> rubin([1.0, 2.0, 3.0], [1.0, 1.0, 1.0])[["estimate", "std_error", "df", "relative_increase"]].round(4)
       estimate  std_error     df  relative_increase
    0       2.0     1.5275  6.125             1.3333
    """
    check_conf_level(conf_level)
    values, squares = (
        _completed(each, name) for each, name in ((estimates, "estimates"), (variances, "variances"))
    )
    if values.shape != squares.shape:
        msg = f"estimates and variances differ in shape: {values.shape} and {squares.shape}"
        raise ValueError(msg)
    if np.any(squares < 0):
        msg = f"variances has {np.sum(squares < 0)} negative values"
        raise ValueError(msg)
    m, centre, within, between = (
        len(values),
        values.mean(axis=0),
        squares.mean(axis=0),
        values.var(axis=0, ddof=1),
    )
    total = within + (1 + 1 / m) * between
    seen = np.where(total > 0, total, np.nan)
    df = barnard_rubin(m, (1 + 1 / m) * between / seen, df_complete)
    error, increase = np.sqrt(seen), (1 + 1 / m) * between / np.where(within > 0, within, np.nan)
    half = stats.t.isf((1 - conf_level) / 2, df) * error
    return pd.DataFrame(
        {
            "estimate": centre,
            "std_error": error,
            "conf_low": centre - half,
            "conf_high": centre + half,
            "conf_level": conf_level,
            "statistic": centre / error,
            "df": df,
            "p_value": 2 * stats.t.sf(np.abs(centre / error), df),
            "within": within,
            "between": between,
            "relative_increase": increase,
            "fraction_missing": (increase + 2 / (df + 3)) / (increase + 1),
            "imputations": m,
            "method": "Rubin's rules, Barnard-Rubin degrees of freedom",
            "note": np.where(total > 0, "", "no variance within or between the imputations"),
        }
    )


def _completed(numbers: npt.ArrayLike, name: str) -> Floats:
    found = np.asarray(numbers, dtype=np.float64)
    if found.ndim not in {1, 2} or len(found) < _FEWEST:
        msg = f"{name} has shape {found.shape}, must be (m,) or (m, quantities) with at least {_FEWEST} imputations"
        raise ValueError(msg)
    if not np.isfinite(found).all():
        msg = f"{name} has {np.sum(~np.isfinite(found))} missing or infinite values"
        raise ValueError(msg)
    return found.reshape(len(found), -1)


def barnard_rubin(m: int, share: Floats, df_complete: float) -> Floats:
    """Return the degrees of freedom of m imputations, from the share of the variance that the missing data account for."""
    gone = np.asarray(share, dtype=np.float64)
    inverse = gone**2 / (m - 1)
    if np.isfinite(df_complete):
        known = (1 - gone) * df_complete * (df_complete + 1) / (df_complete + 3)
        inverse = inverse + 1 / np.where(known > 0, known, np.nan)
    return np.where(inverse == 0, np.inf, 1 / np.where(inverse == 0, np.nan, inverse))


def logistic_draws(
    design: Floats,
    outcome: Floats,
    observed: npt.NDArray[np.bool_],
    *,
    imputations: int,
    rng: np.random.Generator,
) -> tuple[Floats, bool]:
    """Draw missing outcomes of 0 and 1 from a logistic model whose coefficients are drawn too.

    Parameters
    ----------
    design
        Shape (n, p); the first column is 1, none is a combination of others.
    outcome
        Shape (n,); used where observed, at least once.
    observed
        Shape (n,).
    imputations
        How often they are drawn.
    rng
        The source of chance.

    Returns
    -------
    tuple
        The draws, shape (missing, imputations), and whether the model needed pseudo-observations.

    Notes
    -----
    Columns that do not vary by themselves among the observed, as where nobody of a level was, are not used: the data say nothing of
    them. Coefficients are drawn from their posterior distribution, see `logistic_posterior.coefficient_draws`; each missing outcome is
    then a draw with its probability. See `finite_logistic.fit_finite` on separation. R's ``mice`` draws coefficients normally about
    the estimate of data with pseudo-observations, half of which have the outcome: where few do, its share is pulled towards one half.
    """
    columns = design[:, independent(design[observed])]
    fit = fit_finite(columns[observed], outcome[observed], among=columns)
    if fit is None:
        return np.full((int(np.sum(~observed)), imputations), np.nan), True
    chance = expit(columns[~observed] @ coefficient_draws(fit, imputations, rng))
    return (rng.random(chance.shape) < chance).astype(np.float64), fit.augmented


def linear_draws(
    design: Floats,
    outcome: Floats,
    observed: npt.NDArray[np.bool_],
    *,
    imputations: int,
    rng: np.random.Generator,
) -> Floats:
    """Draw missing measurements from a linear model whose coefficients and residual variance are drawn too.

    Parameters
    ----------
    design, outcome, observed, imputations, rng
        As for `logistic_draws`, with a measurement as outcome. Columns that do not vary by themselves among the observed are
        not used.

    Returns
    -------
    numpy.ndarray
        Shape (missing, imputations); NaN where there are no residual degrees of freedom.

    Notes
    -----
    Of n observed and p coefficients: the residual variance is the residual sum of squares over a draw of chi-squared on n - p
    degrees of freedom; given it, coefficients are drawn from their normal distribution, and each measurement from the model
    (Rubin 1987, p. 167: a flat prior on coefficients and log variance).
    """
    kept = independent(design[observed])
    columns = design[:, kept]
    known, values = columns[observed], outcome[observed]
    df = len(values) - columns.shape[1]
    if df <= 0:
        return np.full((int(np.sum(~observed)), imputations), np.nan)
    products = known.T @ known
    coefficients: Floats = np.asarray(np.linalg.solve(products, known.T @ values), dtype=np.float64)
    squares = float(np.sum((values - known @ coefficients) ** 2))
    spread = np.asarray(np.sqrt(squares / rng.chisquare(df, imputations)), dtype=np.float64)
    drawn = columns[~observed] @ _scattered(coefficients, products, spread, rng)
    return np.asarray(drawn + spread * rng.standard_normal(drawn.shape))


def _scattered(centre: Floats, precision: Floats, spread: Floats, rng: np.random.Generator) -> Floats:
    """Draw columns from the normal distribution with a mean, and covariance spread²·precision⁻¹."""
    root = np.linalg.cholesky(precision)
    noise = rng.standard_normal((len(centre), len(spread)))
    return np.asarray(centre[:, None] + np.linalg.solve(root.T, noise) * spread)
