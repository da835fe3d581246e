"""Estimators: counts, arrays or sums in, a frame of estimates out; they know nothing of clinics.

All take plain numbers, so that each can be used alone and checked against a table or another program. What cannot be
estimated is NaN with a sentence in ``note``; a wrong argument raises ``ValueError``.
"""

from __future__ import annotations

from mesostats.estimators.clusters import ClusterTotals
from mesostats.estimators.logrank import logrank, logrank_groups
from mesostats.estimators.proportions import clustered_proportion, proportion
from mesostats.estimators.rates import clustered_rate, rate
from mesostats.estimators.survival import discrete_hazard, kaplan_meier, quantile, restricted_mean

__all__ = [
    "ClusterTotals",
    "clustered_proportion",
    "clustered_rate",
    "discrete_hazard",
    "kaplan_meier",
    "logrank",
    "logrank_groups",
    "proportion",
    "quantile",
    "rate",
    "restricted_mean",
]
