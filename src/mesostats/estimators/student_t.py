"""Student's t of estimates with their standard errors and degrees of freedom: statistic, p value and interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from mesostats.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd


def with_t_tests(rows: pd.DataFrame, *, conf_level: float) -> pd.DataFrame:
    """Add the test of 0 and the interval to estimates.

    Parameters
    ----------
    rows
        With ``estimate, std_error, df`` (infinite: the normal distribution).
    conf_level
        Two-sided confidence level.

    Returns
    -------
    pandas.DataFrame
        A copy with ``statistic, p_value, conf_low, conf_high, conf_level``; NaN where one of the three is, or the standard
        error is 0.
    """
    estimate, error, freedom = (
        rows[name].to_numpy(dtype=np.float64) for name in ("estimate", "std_error", "df")
    )
    known = np.where((error > 0) & (freedom > 0), error, np.nan)
    margin = known * stats.t.isf((1 - conf_level) / 2, freedom)
    statistic = estimate / known
    return rows.assign(
        statistic=statistic,
        p_value=2 * stats.t.sf(np.abs(statistic), freedom),
        conf_low=estimate - margin,
        conf_high=estimate + margin,
        conf_level=conf_level,
    )


def reference_first(
    codes: npt.NDArray[np.int64], labels: Sequence[Any], reference: Any
) -> tuple[tuple[Any, ...], npt.NDArray[np.int64]]:
    """Return groups with the reference first, and the codes of observations in that order.

    Raises
    ------
    ValueError
        If the reference is not among the labels.
    """
    if reference not in labels:
        shown = [str(label) for label in labels]
        found = ", ".join(f"'{label}'" for label in shown) or "none"
        msg = f"reference '{reference}' is not among the groups{did_you_mean(str(reference), shown)}; found {found}"
        raise ValueError(msg)
    place = labels.index(reference)
    order = (labels[place], *labels[:place], *labels[place + 1 :])
    return order, np.where(codes == place, 0, codes + (codes < place))
