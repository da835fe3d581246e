"""What clustering does to an interval, in words: how alike a patient's observations are, and what ignoring it would hide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mesostats.estimators.proportions import proportion
from mesostats.estimators.rates import rate

if TYPE_CHECKING:
    import pandas as pd


def with_clustering_note(found: pd.DataFrame) -> pd.DataFrame:
    """Return clustered estimates whose notes also say how strongly clusters agree, and what a naive interval would hide.

    Parameters
    ----------
    found
        What `clustered_proportion` or `clustered_rate` returned, for whole numbers of successes or events.

    Returns
    -------
    pandas.DataFrame
        A copy. Where the design effect is above 1 to two decimals the note names it, the intracluster correlation of
        proportions, and how wide the interval for independent observations (Wilson's, Garwood's) would be beside the
        clustered one. Elsewhere clustering changes nothing.

    Examples
    --------
    By hand: the mean squares are (17/4 - 25/20)/4 = 0.75 between and (5 - 17/4)/15 = 0.05 within patients, the intracluster
    correlation is 0.7/(0.75 + 3·0.05). Wilson's limits are 0.112 and 0.469 for 5 of 20; for 1.25 of 5, with t = 2.776
    on 4 degrees of freedom, they are 0.032 and 0.771.

    >>> from mesostats.estimators import ClusterTotals, clustered_proportion
    >>> found = clustered_proportion(ClusterTotals.from_arrays([4, 0, 0, 1, 0], [4, 4, 4, 4, 4]))
    >>> with_clustering_note(found)["note"].item()
    'ICC 0.778, design effect 4.00: an interval for independent observations would be 0.48 times as wide'
    """
    level = float(found["conf_level"].iloc[0]) if len(found) else 0.95
    observed = found["numerator"].round(), found["denominator"]
    naive = proportion(*observed, conf_level=level) if "icc" in found else rate(*observed, conf_level=level)
    width = (found["conf_high"] - found["conf_low"]).to_numpy()
    share = (naive["conf_high"] - naive["conf_low"]).to_numpy() / np.where(width > 0, width, np.nan)
    notes = [
        "; ".join(filter(None, (str(row.note), _clustering(row, times))))
        for row, times in zip(found.itertuples(), share, strict=True)
    ]
    return found.assign(note=notes)


def _clustering(row: Any, share: float) -> str:
    if not (np.isfinite(row.design_effect) and round(row.design_effect, 2) > 1):
        return ""
    icc = getattr(row, "icc", np.nan)
    alike = f"ICC {icc:.3f}, " if np.isfinite(icc) else ""
    narrow = f": an interval for independent observations would be {share:.2f} times as wide"
    return f"{alike}design effect {row.design_effect:.2f}{narrow if np.isfinite(share) else ''}"
