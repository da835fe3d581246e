"""Estimators: counts, arrays or sums in, a frame of estimates out; they know nothing of clinics.

All take plain numbers, so that each can be used alone and checked against a table or another program. What cannot be
estimated is NaN with a sentence in ``note``; a wrong argument raises ``ValueError``.
"""

from __future__ import annotations

from mesostats.estimators.ancova import ancova
from mesostats.estimators.balance import standardized_mean_difference, standardized_share_difference
from mesostats.estimators.cluster_tests import permutation_test
from mesostats.estimators.clustered_comparisons import (
    clustered_rate_ratio,
    clustered_risk_difference,
    clustered_risk_ratio,
)
from mesostats.estimators.clustered_strata import clustered_stratified_risk_difference
from mesostats.estimators.clustered_survival import clustered_kaplan_meier
from mesostats.estimators.clusters import ClusterTotals
from mesostats.estimators.competing import aalen_johansen
from mesostats.estimators.crude_risks import crude_risks
from mesostats.estimators.differences import risk_difference
from mesostats.estimators.funnels import funnel, funnel_limits, pooled_design_effect
from mesostats.estimators.gray import gray
from mesostats.estimators.hazard_models import HazardModel, discrete_hazard_model
from mesostats.estimators.heterogeneity import difference_heterogeneity
from mesostats.estimators.imputed_proportions import imputed_proportion
from mesostats.estimators.interval_censored import turnbull, turnbull_quantile
from mesostats.estimators.logrank import logrank, logrank_groups
from mesostats.estimators.matched_shares import matched_shares
from mesostats.estimators.means import MeanTotals, clustered_mean
from mesostats.estimators.models import standardized_risks
from mesostats.estimators.multiple_imputation import rubin
from mesostats.estimators.needed_to_treat import number_needed_to_treat
from mesostats.estimators.negative_binomial import negative_binomial_rate_ratio
from mesostats.estimators.observation_weights import weighted_proportion
from mesostats.estimators.ordinal import proportional_odds
from mesostats.estimators.paired import paired_difference
from mesostats.estimators.partial_identification import identification_interval
from mesostats.estimators.proportions import clustered_proportion, proportion
from mesostats.estimators.rank_comparisons import van_elteren, win_probability
from mesostats.estimators.rate_ratios import rate_difference, rate_ratio
from mesostats.estimators.rates import clustered_rate, rate
from mesostats.estimators.ratios import fisher_p, odds_ratio, risk_ratio
from mesostats.estimators.recurrent import compare_mean_functions, mean_cumulative_function
from mesostats.estimators.regression_to_mean import mee_chua
from mesostats.estimators.repeated_measures import RepeatedMeasuresFit, fit_repeated_measures
from mesostats.estimators.stratified import stratified_risk_difference, stratified_risk_ratio
from mesostats.estimators.stratified_odds import cochran_mantel_haenszel, stratified_odds_ratio
from mesostats.estimators.survival import discrete_hazard, kaplan_meier
from mesostats.estimators.survival_summaries import quantile, restricted_mean
from mesostats.estimators.trends import proportion_trend
from mesostats.estimators.visit_means import visit_means

__all__ = [
    "ClusterTotals",
    "HazardModel",
    "MeanTotals",
    "RepeatedMeasuresFit",
    "aalen_johansen",
    "ancova",
    "clustered_kaplan_meier",
    "clustered_mean",
    "clustered_proportion",
    "clustered_rate",
    "clustered_rate_ratio",
    "clustered_risk_difference",
    "clustered_risk_ratio",
    "clustered_stratified_risk_difference",
    "cochran_mantel_haenszel",
    "compare_mean_functions",
    "crude_risks",
    "difference_heterogeneity",
    "discrete_hazard",
    "discrete_hazard_model",
    "fisher_p",
    "fit_repeated_measures",
    "funnel",
    "funnel_limits",
    "gray",
    "identification_interval",
    "imputed_proportion",
    "kaplan_meier",
    "logrank",
    "logrank_groups",
    "matched_shares",
    "mean_cumulative_function",
    "mee_chua",
    "negative_binomial_rate_ratio",
    "number_needed_to_treat",
    "odds_ratio",
    "paired_difference",
    "permutation_test",
    "pooled_design_effect",
    "proportion",
    "proportion_trend",
    "proportional_odds",
    "quantile",
    "rate",
    "rate_difference",
    "rate_ratio",
    "restricted_mean",
    "risk_difference",
    "risk_ratio",
    "rubin",
    "standardized_mean_difference",
    "standardized_risks",
    "standardized_share_difference",
    "stratified_odds_ratio",
    "stratified_risk_difference",
    "stratified_risk_ratio",
    "turnbull",
    "turnbull_quantile",
    "van_elteren",
    "visit_means",
    "weighted_proportion",
    "win_probability",
]
