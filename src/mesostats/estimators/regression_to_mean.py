"""Regression to the mean: what those chosen for a bad first measurement would have gained without treatment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from mesostats.estimators.arguments import check_conf_level, check_same_length
from mesostats.estimators.least_squares import least_squares
from mesostats.estimators.student_t import with_t_tests

if TYPE_CHECKING:
    import numpy.typing as npt

COLUMNS: Final = (
    *("estimate", "std_error", "conf_low", "conf_high", "conf_level", "statistic", "df", "p_value"),
    *("denominator", "n_missing", "method", "note"),
)


def mee_chua(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    population_mean: float,
    clusters: npt.ArrayLike | None = None,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Estimate a treatment's effect beyond regression to the mean, from those who were chosen by their first measurement.

    Parameters
    ----------
    first, second
        Measurements before and after treatment, shape (n,); a pair that lacks one is counted as missing.
    population_mean
        The mean of the first measurement in the population from which they were chosen, known from elsewhere.
    clusters
        Whose each pair is, shape (n,), where a patient has several.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    pandas.DataFrame
        One row: ``estimate`` (the effect at the population's mean), ``std_error, conf_low, conf_high, conf_level, statistic, df,
        p_value, denominator`` (pairs), ``n_missing, method, note``.

    Raises
    ------
    ValueError
        If lengths differ, the mean is not finite, or the level is not between 0 and 1.

    Notes
    -----
    The second measurement regressed on the first one less the population's mean m: without an effect the line passes through m
    there, so that the effect is its intercept less m. It assumes a linear regression, that choice was by the first measurement
    only, and that the population's mean stays without treatment.

    References
    ----------
    Mee RW, Chua TC (1991). Regression toward the mean and the paired sample t test. doi:10.1080/00031305.1991.10475763

    Examples
    --------
    By hand: less the population's 4 the first ones are 2, 4, 6, 4 and the second ones 1, 2, 3, 4; the slope is 4/8, and the
    line through the means (4, 2.5) is 0.5 at 0.

    >>> found = mee_chua([6, 8, 10, 8], [5, 6, 7, 8], population_mean=4)
    >>> found[["estimate", "df"]].round(6).values.tolist()
    [[0.5, 2.0]]
    """
    check_conf_level(conf_level)
    before, after = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    check_same_length(first=before, second=after)
    if not np.isfinite(population_mean):
        msg = f"population_mean is a finite number, found {population_mean}"
        raise ValueError(msg)
    used = np.isfinite(before) & np.isfinite(after)
    row = {
        "denominator": float(used.sum()),
        "n_missing": float((~used).sum()),
        "method": "Mee-Chua regression, "
        + ("t" if clusters is None else "CR2 clustered covariance, Satterthwaite t"),
    }
    away = before[used] - population_mean
    if used.sum() < 1 or away.min() == away.max():
        unknown = dict.fromkeys(("estimate", "std_error", "df"), np.nan)
        note = "first measurements all alike: no line through them"
        return with_t_tests(pd.DataFrame([row | unknown | {"note": note}]), conf_level=conf_level)[[*COLUMNS]]
    model = least_squares(after[used] - population_mean, np.column_stack([np.ones(len(away)), away]))
    weights = np.array([1.0, 0.0])
    if clusters is None:
        estimate, error, freedom = model.contrast(weights)
    else:
        codes = pd.factorize(pd.Series(clusters))[0]
        check_same_length(first=before, clusters=codes)
        estimate, error, freedom = model.clustered(weights, codes[used].astype(np.int64))
    note = model.without_spread
    known = {"estimate": estimate, "std_error": np.nan if note else error, "df": np.nan if note else freedom}
    return with_t_tests(pd.DataFrame([row | known | {"note": note}]), conf_level=conf_level)[[*COLUMNS]]
