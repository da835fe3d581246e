"""Means of numbers that repeat within patients, from sums that a database can take in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from mesostats.estimators.arguments import check_conf_level, check_same_length
from mesostats.estimators.student_t import with_t_tests

if TYPE_CHECKING:
    from typing import Self

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_UNSEEN: Final = 1e-12  # share of the squares about 0 that rounding may leave of a spread of none
COLUMNS: Final = (
    *("estimate", "std_error", "conf_low", "conf_high", "conf_level", "statistic", "df", "p_value"),
    *("denominator", "method", "note"),
)


@dataclass(frozen=True, eq=False)
class MeanTotals:
    """Sums over the clusters of each of m groups, of which cluster i has n_i observations with the sum y_i.

    Parameters
    ----------
    clusters
        k, the number of clusters with an observation; this and all others have shape (m,).
    observations
        Sum of n_i.
    total
        Sum of y_i.
    observations_squared, total_squared, product
        Sums of n_i², y_i² and n_i·y_i.
    """

    clusters: Floats
    observations: Floats
    total: Floats
    observations_squared: Floats
    total_squared: Floats
    product: Floats

    @classmethod
    def from_arrays(cls, values: npt.ArrayLike, clusters: npt.ArrayLike | None = None) -> Self:
        """Take the sums of one group from its observations.

        Parameters
        ----------
        values
            Shape (n,), finite.
        clusters
            Whose each is, shape (n,); all of different clusters if not given.

        Returns
        -------
        MeanTotals
            Of one group.

        Raises
        ------
        ValueError
            If lengths differ, or a value is not finite.
        """
        found = np.asarray(values, dtype=np.float64)
        codes = np.arange(len(found)) if clusters is None else pd.factorize(pd.Series(clusters))[0]
        check_same_length(values=found, clusters=codes)
        if not np.isfinite(found).all():
            msg = f"values has {np.sum(~np.isfinite(found))} missing or infinite values: leave them out"
            raise ValueError(msg)
        n = np.bincount(codes).astype(np.float64)
        y = np.bincount(codes, weights=found)
        sums = (len(n), n.sum(), y.sum(), n @ n, y @ y, n @ y)
        return cls(*(np.array([float(each)]) for each in sums))


def clustered_mean(totals: MeanTotals, *, conf_level: float = 0.95) -> pd.DataFrame:
    """Estimate means of observations that repeat within clusters.

    Parameters
    ----------
    totals
        Of m groups.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    pandas.DataFrame
        m rows: ``estimate, std_error, conf_low, conf_high, conf_level, statistic, df, p_value`` (of a mean of 0),
        ``denominator`` (observations), ``method, note``.

    Raises
    ------
    ValueError
        If the confidence level is not between 0 and 1.

    Notes
    -----
    The mean r = sum y_i / sum n_i with the linearised variance k/(k - 1)·sum (y_i - r·n_i)²/(sum n_i)² and Student's t on k - 1
    degrees of freedom. With one observation a cluster that is the ordinary t interval.

    References
    ----------
    Cochran WG (1977). Sampling Techniques, 3rd edition, section 9A. Wiley.

    Examples
    --------
    The values 1, 2, 3, 6: mean 3, standard deviation 2.160247, half of which is the standard error.

    >>> clustered_mean(MeanTotals.from_arrays([1, 2, 3, 6]))[["estimate", "std_error", "df"]].round(6).values.tolist()
    [[3.0, 1.080123, 3.0]]
    """
    check_conf_level(conf_level)
    seen = totals.observations > 0
    size = np.where(seen, totals.observations, np.nan)
    mean = totals.total / size
    spread = totals.total_squared - 2 * mean * totals.product + mean**2 * totals.observations_squared
    alike = spread <= _UNSEEN * totals.total_squared
    correction = totals.clusters / np.where(totals.clusters > 1, totals.clusters - 1, np.nan)
    rows = pd.DataFrame(
        {
            "estimate": mean,
            "std_error": np.sqrt(np.where(alike, np.nan, correction * spread) / size**2),
            "df": np.where(totals.clusters > 1, totals.clusters - 1, np.nan),
            "denominator": totals.observations,
            "method": np.where(
                totals.observations > totals.clusters, "mean, clustered in patients, t", "mean, t"
            ),
            "note": np.select(
                [~seen, totals.clusters < 2, alike],  # noqa: PLR2004 - a spread needs two
                ["no observation", "one patient: no standard error", "all values alike: no standard error"],
                default="",
            ),
        }
    )
    return with_t_tests(rows, conf_level=conf_level)[[*COLUMNS]]
