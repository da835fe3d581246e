"""Estimators: counts, arrays or sums in, a frame of estimates out; they know nothing of clinics.

All take plain numbers, so that each can be used alone and checked against a table or another program. What cannot be
estimated is NaN with a sentence in ``note``; a wrong argument raises ``ValueError``.
"""

from __future__ import annotations

from mesostats.estimators.cluster_tests import permutation_test
from mesostats.estimators.clustered_comparisons import (
    clustered_rate_ratio,
    clustered_risk_difference,
    clustered_risk_ratio,
)
from mesostats.estimators.clustered_survival import clustered_kaplan_meier
from mesostats.estimators.clusters import ClusterTotals
from mesostats.estimators.competing import aalen_johansen
from mesostats.estimators.crude_risks import crude_risks
from mesostats.estimators.differences import risk_difference
from mesostats.estimators.funnels import funnel, funnel_limits, pooled_design_effect
from mesostats.estimators.gray import gray
from mesostats.estimators.hazard_models import HazardModel, discrete_hazard_model
from mesostats.estimators.logrank import logrank, logrank_groups
from mesostats.estimators.matched_shares import matched_shares
from mesostats.estimators.models import standardized_risks
from mesostats.estimators.negative_binomial import negative_binomial_rate_ratio
from mesostats.estimators.proportions import clustered_proportion, proportion
from mesostats.estimators.rate_ratios import rate_difference, rate_ratio
from mesostats.estimators.rates import clustered_rate, rate
from mesostats.estimators.ratios import fisher_p, odds_ratio, risk_ratio
from mesostats.estimators.recurrent import compare_mean_functions, mean_cumulative_function
from mesostats.estimators.stratified import stratified_risk_difference, stratified_risk_ratio
from mesostats.estimators.stratified_odds import cochran_mantel_haenszel, stratified_odds_ratio
from mesostats.estimators.survival import discrete_hazard, kaplan_meier
from mesostats.estimators.survival_summaries import quantile, restricted_mean

__all__ = [
    "ClusterTotals",
    "HazardModel",
    "aalen_johansen",
    "clustered_kaplan_meier",
    "clustered_proportion",
    "clustered_rate",
    "clustered_rate_ratio",
    "clustered_risk_difference",
    "clustered_risk_ratio",
    "cochran_mantel_haenszel",
    "compare_mean_functions",
    "crude_risks",
    "discrete_hazard",
    "discrete_hazard_model",
    "fisher_p",
    "funnel",
    "funnel_limits",
    "gray",
    "kaplan_meier",
    "logrank",
    "logrank_groups",
    "matched_shares",
    "mean_cumulative_function",
    "negative_binomial_rate_ratio",
    "odds_ratio",
    "permutation_test",
    "pooled_design_effect",
    "proportion",
    "quantile",
    "rate",
    "rate_difference",
    "rate_ratio",
    "restricted_mean",
    "risk_difference",
    "risk_ratio",
    "standardized_risks",
    "stratified_odds_ratio",
    "stratified_risk_difference",
    "stratified_risk_ratio",
]
