"""The same units observed twice: the difference of two proportions that are not independent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy import stats

from mesostats.estimators.arguments import check_conf_level, check_same_length, indicators
from mesostats.estimators.logrank import label_codes
from mesostats.estimators.proportions import proportion

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_NEWCOMBE: Final = "paired difference, Newcombe's square-and-add of Wilson limits; exact McNemar test"
_ONE: Final = "one cluster: the variance between clusters is unknown"
_ALIKE: Final = "all clusters alike: variance unseen"
_CLUSTERED: Final = (
    "paired difference, mean of differences with patient-clustered variance, t interval and test"
)


def paired_difference(
    before: npt.ArrayLike,
    after: npt.ArrayLike,
    *,
    clusters: npt.ArrayLike | None = None,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Estimate by how much a proportion changed in the same units.

    Parameters
    ----------
    before, after
        The two observations of each unit, booleans or 0 and 1, shape (n,).
    clusters
        Whom each unit belongs to, shape (n,); each to itself if not given.
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row: ``estimate`` (after minus before), ``std_error, conf_low, conf_high, conf_level, statistic, df, p_value,
        lost`` (units that had it before only), ``gained`` (after only), ``numerator`` (their number), ``denominator``,
        ``method, note``. NaN where there are no units; with one cluster no interval.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    Without `clusters`, Newcombe's method 10: with p₁, p₂ and their Wilson limits the distance to the lower limit is
    sqrt(a² - 2φab + b²), a = p₂ - l₂, b = u₁ - p₁, and to the upper one the same with a = u₂ - p₂, b = p₁ - l₁; φ is the
    correlation of the two observations, its numerator n₁₁n₀₀ - n₁₀n₀₁ less n/2 where it is above that, and 0 between. The test
    is McNemar's exact one. With `clusters` the mean of the differences, its linearised variance between clusters times
    k/(k - 1), and Student's t on k - 1 degrees of freedom.

    References
    ----------
    Newcombe RG (1998). Improved confidence intervals for the difference between binomial proportions based on paired data.
    doi:10.1002/(SICI)1097-0258(19981130)17:22<2635::AID-SIM954>3.0.CO;2-C

    McNemar Q (1947). Note on the sampling error of the difference between correlated proportions or percentages.
    doi:10.1007/BF02295996

    Examples
    --------
    Of ten who responded, two no longer do; of five who did not, one does now: (1 - 2)/15.

    >>> found = paired_difference([1] * 10 + [0] * 5, [1] * 8 + [0] * 2 + [1] + [0] * 4)
    >>> found[["estimate", "lost", "gained", "p_value"]].round(4)
       estimate  lost  gained  p_value
    0   -0.0667     2       1      1.0
    """
    check_conf_level(conf_level)
    first, second = indicators(before, "before"), indicators(after, "after")
    check_same_length(before=first, after=second)
    n, change = len(first), second - first
    row = {
        "lost": int(np.sum(change < 0)),
        "gained": int(np.sum(change > 0)),
        "numerator": int(np.sum(change != 0)),
        "denominator": n,
        "conf_level": conf_level,
        "note": "" if n else "no observations",
    }
    empty = dict.fromkeys(
        ("estimate", "std_error", "conf_low", "conf_high", "statistic", "df", "p_value"), np.nan
    )
    row = empty | {"method": _NEWCOMBE if clusters is None else _CLUSTERED} | row
    if n:
        row["estimate"] = float(change.mean())
        row |= (
            _newcombe(first, second, conf_level)
            if clusters is None
            else _clustered(change, np.asarray(clusters), conf_level)
        )
    return pd.DataFrame([row])


def _newcombe(
    before: npt.NDArray[np.int64], after: npt.NDArray[np.int64], conf_level: float
) -> dict[str, float]:
    """Return standard error, limits and test of independent pairs."""
    n, both = len(before), int(np.sum(before * after))
    lost, gained = int(before.sum()) - both, int(after.sum()) - both
    product = both * (n - both - lost - gained) - lost * gained
    margins = float(before.sum() * (n - before.sum()) * after.sum() * (n - after.sum()))
    kept = max(product - n / 2, 0.0) if product > 0 else float(product)
    phi = kept / np.sqrt(margins) if margins > 0 else 0.0
    shares = proportion([before.sum(), after.sum()], [n, n], conf_level=conf_level)
    (p1, p2), (l1, l2), (u1, u2) = (shares[name].to_numpy() for name in ("estimate", "conf_low", "conf_high"))

    def distance(a: float, b: float) -> float:
        return float(np.sqrt(max(a**2 - 2 * phi * a * b + b**2, 0.0)))

    changed = lost + gained
    return {
        "std_error": float(np.sqrt(changed - (gained - lost) ** 2 / n) / n),
        "conf_low": float(p2 - p1 - distance(p2 - l2, u1 - p1)),
        "conf_high": float(p2 - p1 + distance(u2 - p2, p1 - l1)),
        "p_value": float(stats.binomtest(gained, changed).pvalue) if changed else 1.0,
    }


def _clustered(
    change: npt.NDArray[np.int64], clusters: npt.NDArray[np.generic], conf_level: float
) -> dict[str, float | str]:
    """Return standard error, limits and test of pairs that come in clusters."""
    check_same_length(before=change, clusters=clusters)
    codes, names = label_codes(clusters, "clusters")
    k, mean = len(names), float(change.mean())
    totals = np.bincount(codes, weights=change - mean, minlength=k)
    error = float(np.sqrt(k / (k - 1) * np.sum(totals**2)) / len(change)) if k > 1 else np.nan
    if not error > 0:
        why = _ONE if k == 1 else _ALIKE
        return {"df": k - 1, "note": why}
    half = float(stats.t.isf((1 - conf_level) / 2, k - 1)) * error
    return {
        "std_error": error,
        "df": k - 1,
        "conf_low": max(mean - half, -1.0),
        "conf_high": min(mean + half, 1.0),
        "statistic": mean / error,
        "p_value": float(2 * stats.t.sf(abs(mean) / error, k - 1)),
    }
