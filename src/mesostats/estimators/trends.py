"""Whether a proportion rises with an ordered score, such as the number of sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy import stats

from mesostats.estimators.arguments import amounts, check_conf_level, check_same_length, indicators
from mesostats.estimators.logrank import label_codes

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_PLAIN: Final = "Cochran-Armitage test for trend; least-squares slope, jackknife t interval"
_CLUSTERED: Final = "Cochran-Armitage test for trend, patient-clustered score; least-squares slope, jackknife t interval by patients"
_NOTHING: Final = 1e-12
_NUMBERS: Final = ("estimate", "std_error", "conf_low", "conf_high", "statistic", "df", "p_value")


def proportion_trend(
    outcome: npt.ArrayLike,
    score: npt.ArrayLike,
    *,
    clusters: npt.ArrayLike | None = None,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Estimate by how much a proportion rises with each unit of a score, and test whether it does (Cochran-Armitage).

    Parameters
    ----------
    outcome
        Booleans or 0 and 1, shape (n,).
    score
        A number of at least 0 of each observation, shape (n,).
    clusters
        Whom each observation belongs to, shape (n,); each to itself if not given.
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row: ``estimate`` (change of the proportion a unit of the score), ``std_error, conf_low, conf_high, conf_level,
        df``, ``statistic`` (the test's, positive where the proportion rises), ``p_value``, ``numerator`` (observations with
        the outcome), ``denominator, method, note``. NaN where all scores, or all outcomes, are alike.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    With U = sum (x - x̄)(y - p) the statistic is U/sqrt(p(1 - p)·sum (x - x̄)²), whose square is that of R's
    ``prop.trend.test``. With `clusters` the variance of U is the sum over clusters of the squared parts of U, times
    k/(k - 1), but not below that of independent observations, and Student's t on k - 1 degrees of freedom. The slope is
    U/sum (x - x̄)²; its variance is the jackknife's, (k - 1)/k times the sum of squares of the slopes without each cluster
    (or observation): where few have a score far from the others, a sandwich variance would be too small. It is not taken
    below p(1 - p)/sum (x - x̄)²: where few at one score are all alike, they show no variance of their own.

    References
    ----------
    Armitage P (1955). Tests for linear trends in proportions and frequencies. doi:10.2307/3001775

    Boos DD (1992). On generalized score tests. doi:10.1080/00031305.1992.10475921

    Examples
    --------
    One, two and three of four respond after one, two and three sessions: 1/4 more a session.

    >>> y, x = [1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0], [1] * 4 + [2] * 4 + [3] * 4
    >>> proportion_trend(y, x)[["estimate", "statistic", "p_value"]].round(4)
       estimate  statistic  p_value
    0      0.25     1.4142   0.1573
    """
    check_conf_level(conf_level)
    y, x = indicators(outcome, "outcome"), amounts(score, "score")
    check_same_length(outcome=y, score=x)
    codes = np.arange(len(y)) if clusters is None else label_codes(np.asarray(clusters), "clusters")[0]
    check_same_length(outcome=y, clusters=codes)
    numbers = dict.fromkeys(_NUMBERS, np.nan)
    alike = len(y) == 0 or np.ptp(x) == 0 or np.ptp(y) == 0
    if not alike:
        numbers |= _trend(y.astype(np.float64), x, codes, conf_level, grouped=clusters is not None)
    row = {
        **numbers,
        "conf_level": conf_level,
        "numerator": int(y.sum()),
        "denominator": len(y),
        "method": _PLAIN if clusters is None else _CLUSTERED,
        "note": _note(y, x, codes),
    }
    return pd.DataFrame([row])


def _note(outcome: npt.NDArray[np.int64], score: Floats, codes: npt.NDArray[np.int64]) -> str:
    """Say why there is no trend to see."""
    if len(outcome) == 0:
        return "no observations"
    if np.ptp(score) == 0:
        return "all scores are alike: no trend to see"
    if np.ptp(outcome) == 0:
        return "all outcomes are alike: no trend to see"
    return "one cluster: the variance between clusters is unknown" if codes.max() == 0 else ""


def _trend(
    outcome: Floats, score: Floats, codes: npt.NDArray[np.int64], conf_level: float, *, grouped: bool
) -> dict[str, float]:
    """Return the slope with its interval, and the score test."""
    centred, share, k = score - score.mean(), outcome.mean(), int(codes.max()) + 1
    spread = float(np.sum(centred**2))
    slope = float(np.sum(centred * (outcome - share)) / spread)
    if k == 1:
        return {"estimate": slope}
    factor = k / (k - 1)
    binomial = share * (1 - share)
    error = max(_jackknife_error(outcome, centred, codes), float(np.sqrt(binomial / spread)))
    clustered = factor * _squares(centred * (outcome - share), codes) if grouped else 0.0
    variance = max(clustered, binomial * spread)
    statistic = slope * spread / np.sqrt(variance)
    half = float(stats.t.isf((1 - conf_level) / 2, k - 1)) * error
    tail = stats.t.sf(abs(statistic), k - 1) if grouped else stats.norm.sf(abs(statistic))
    return {
        "estimate": slope,
        "std_error": error,
        "conf_low": max(slope - half, -1.0),
        "conf_high": min(slope + half, 1.0),
        "statistic": float(statistic),
        "df": k - 1,
        "p_value": float(2 * tail),
    }


def _jackknife_error(outcome: Floats, score: Floats, codes: npt.NDArray[np.int64]) -> float:
    """Return the standard error of the slope from the slopes without each cluster; NaN where one of these is undefined."""
    terms = np.column_stack([np.ones_like(score), score, outcome, score**2, score * outcome])
    parts = np.column_stack([np.bincount(codes, weights=term) for term in terms.T])
    n, x, y, xx, xy = (parts.sum(axis=0) - parts).T
    spread = n * xx - x**2
    known = spread > _NOTHING * max(float(np.max(spread)), 1.0)
    slopes = np.divide(n * xy - x * y, spread, out=np.full(len(n), np.nan), where=known)
    k = len(slopes)
    return float(np.sqrt((k - 1) / k * np.sum((slopes - slopes.mean()) ** 2)))


def _squares(parts: Floats, codes: npt.NDArray[np.int64]) -> float:
    """Return the sum over clusters of the squared sums of their parts."""
    return float(np.sum(np.bincount(codes, weights=parts) ** 2))
