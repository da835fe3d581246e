"""The four denominators of a share of responders side by side, and what each supposes of courses without an endpoint."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Final, Literal

from mesostats.estimators import ClusterTotals
from mesostats.outcomes.response_counts import FLAGS, share_estimates
from mesostats.outcomes.strategies import COMPOSITE
from mesostats.results import stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from mesostats.estimators.proportions import ProportionMethod

Denominator = Literal["treated", "with_baseline", "evaluable", "completers"]

STRATEGIES: Final = {
    "treated": f"missing as non-response ({COMPOSITE})",
    "with_baseline": f"missing as non-response ({COMPOSITE})",
    "evaluable": "observed cases only",
    "completers": "completed and observed cases only",
}
"""What each denominator supposes of courses without an endpoint; the strategy for giving up is that of the endpoint."""


def cluster_totals(counts: pd.DataFrame, prefix: str) -> ClusterTotals:
    """Return the sums ``{prefix}_…`` of `populations.cluster_sums` as the estimators take them."""
    parts = {part.name: counts[f"{prefix}_{part.name}"].to_numpy(float) for part in fields(ClusterTotals)}
    return ClusterTotals(**parts)


def shares(
    counts: pd.DataFrame,
    groups: Sequence[str],
    refusals: Mapping[str, str],
    *,
    method: ProportionMethod = "wilson",
    conf_level: float,
) -> pd.DataFrame:
    """Return the share of responders over all four denominators, clustered where patients repeat.

    Parameters
    ----------
    counts
        As of `response_counts.response_counts`.
    groups
        Its grouping columns.
    refusals
        Why an instrument is not scored, of those that are not.
    method
        The interval where each patient has one course in the cell.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    pandas.DataFrame
        The grouping columns and the columns of the result contract; estimands ``response_treated`` and so on.
    """
    return stack(
        [
            share_estimates(
                counts,
                groups,
                flag,
                refusals,
                method=method,
                conf_level=conf_level,
                strategy=STRATEGIES[name],
            ).assign(estimand=f"response_{name}")
            for name, flag in FLAGS.items()
        ]
    )


def unscored(frame: pd.DataFrame, refusals: Mapping[str, str]) -> pd.DataFrame:
    """Return estimates without the numbers of instruments that are not scored, and with the reason in their notes."""
    refused = frame["instrument"].map(refusals)
    hidden = refused.notna()
    inference = ["estimate", "std_error", "conf_low", "conf_high", "statistic", "df", "p_value", "numerator"]
    numbers = {name: frame[name].mask(hidden) for name in inference}
    texts = {"note": frame["note"].mask(hidden, refused), "method": frame["method"].mask(hidden, "")}
    return frame.assign(**numbers, **texts)
