"""From a clinic's export to outcome numbers that stand up to an audit: validate, analyse, report.

Public names are loaded when they are first used, so that ``import mesostats`` is quick.

Examples
--------
>>> import mesostats as ms
>>> demo = ms.simulate(200, seed=1)
>>> ms.validate(demo).ok
True
>>> rates = ms.adverse_event_rates(demo, of="serious")
>>> int(rates.cell(estimand="incidence_proportion")["denominator"]) <= 200
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mesostats import estimators
    from mesostats.adverse_events.comparisons import compare_adverse_events
    from mesostats.adverse_events.durations import event_durations
    from mesostats.adverse_events.estimator_panel import adverse_event_estimators
    from mesostats.adverse_events.exposure_effects import care_rule_effects, exposure_effect
    from mesostats.adverse_events.first_events import cumulative_incidence, time_to_first_event
    from mesostats.adverse_events.onsets import onset_after_session
    from mesostats.adverse_events.overview import adverse_event_overview
    from mesostats.adverse_events.profile import adverse_event_profile
    from mesostats.adverse_events.rates import adverse_event_rates
    from mesostats.adverse_events.repeated_events import mean_cumulative_events
    from mesostats.adverse_events.safety_signals import signals
    from mesostats.dataset import Dataset
    from mesostats.dropout.dispositions import disposition
    from mesostats.dropout.incidence import dropout_reasons
    from mesostats.dropout.model import dropout_model, predicted_retention
    from mesostats.dropout.patient_flows import patient_flow
    from mesostats.dropout.phase_hazards import hazard_by_phase
    from mesostats.dropout.repeat_courses import return_for_repeat
    from mesostats.dropout.retention import dropout_by_session, retention
    from mesostats.dropout.scenarios import dropout_sensitivity
    from mesostats.dropout.stopping import before_stopping
    from mesostats.entries import ResponderRule
    from mesostats.errors import DataError, MappingError, MesostatsError, SchemaError, VocabularyError
    from mesostats.exploring import explore
    from mesostats.exports import save_plot, save_table
    from mesostats.handover import open_clinic
    from mesostats.mapping import draft, read
    from mesostats.methods import MethodsText, methods_text
    from mesostats.outcomes.baselines import baseline_table
    from mesostats.outcomes.changes import change_from_baseline
    from mesostats.outcomes.comparisons import compare_response
    from mesostats.outcomes.doses import response_by_sessions
    from mesostats.outcomes.durability import durability
    from mesostats.outcomes.grades import compare_grades
    from mesostats.outcomes.measurement_error import change_beyond_error
    from mesostats.outcomes.missing_methods import Imputation
    from mesostats.outcomes.missing_outcomes import response_scenarios
    from mesostats.outcomes.repeated_changes import change_by_visit
    from mesostats.outcomes.responders import response
    from mesostats.outcomes.response_times import time_to_response
    from mesostats.outcomes.subgroups import subgroup_response
    from mesostats.outcomes.tipping_points import tipping_point
    from mesostats.plots import alt_text, plot
    from mesostats.published import published_studies
    from mesostats.reporting import report
    from mesostats.results import Result
    from mesostats.schedule import course_states
    from mesostats.simulation import simulate
    from mesostats.slots import session_states
    from mesostats.tables import table
    from mesostats.validation import ValidationReport, validate
    from mesostats.visits.adherence import adherence
    from mesostats.visits.gaps import session_gaps
    from mesostats.visits.histories import course_histories
    from mesostats.visits.received import sessions_received
    from mesostats.visits.switches import phase_switches
    from mesostats.vocabulary import load_vocabulary

_HOMES = {
    "DataError": "errors",
    "Dataset": "dataset",
    "Imputation": "outcomes.missing_methods",
    "MappingError": "errors",
    "MesostatsError": "errors",
    "MethodsText": "methods",
    "ResponderRule": "entries",
    "Result": "results",
    "SchemaError": "errors",
    "ValidationReport": "validation",
    "VocabularyError": "errors",
    "adherence": "visits.adherence",
    "adverse_event_estimators": "adverse_events.estimator_panel",
    "adverse_event_overview": "adverse_events.overview",
    "adverse_event_profile": "adverse_events.profile",
    "adverse_event_rates": "adverse_events.rates",
    "alt_text": "plots",
    "baseline_table": "outcomes.baselines",
    "before_stopping": "dropout.stopping",
    "care_rule_effects": "adverse_events.exposure_effects",
    "change_beyond_error": "outcomes.measurement_error",
    "change_by_visit": "outcomes.repeated_changes",
    "change_from_baseline": "outcomes.changes",
    "compare_adverse_events": "adverse_events.comparisons",
    "compare_grades": "outcomes.grades",
    "compare_response": "outcomes.comparisons",
    "course_histories": "visits.histories",
    "course_states": "schedule",
    "cumulative_incidence": "adverse_events.first_events",
    "disposition": "dropout.dispositions",
    "draft": "mapping",
    "dropout_by_session": "dropout.retention",
    "dropout_model": "dropout.model",
    "dropout_reasons": "dropout.incidence",
    "dropout_sensitivity": "dropout.scenarios",
    "durability": "outcomes.durability",
    "estimators": "",
    "event_durations": "adverse_events.durations",
    "explore": "exploring",
    "exposure_effect": "adverse_events.exposure_effects",
    "hazard_by_phase": "dropout.phase_hazards",
    "load_vocabulary": "vocabulary",
    "mean_cumulative_events": "adverse_events.repeated_events",
    "methods_text": "methods",
    "onset_after_session": "adverse_events.onsets",
    "open_clinic": "handover",
    "patient_flow": "dropout.patient_flows",
    "phase_switches": "visits.switches",
    "plot": "plots",
    "predicted_retention": "dropout.model",
    "published_studies": "published",
    "read": "mapping",
    "report": "reporting",
    "response": "outcomes.responders",
    "response_by_sessions": "outcomes.doses",
    "response_scenarios": "outcomes.missing_outcomes",
    "retention": "dropout.retention",
    "return_for_repeat": "dropout.repeat_courses",
    "save_plot": "exports",
    "save_table": "exports",
    "session_gaps": "visits.gaps",
    "session_states": "slots",
    "sessions_received": "visits.received",
    "signals": "adverse_events.safety_signals",
    "simulate": "simulation",
    "subgroup_response": "outcomes.subgroups",
    "table": "tables",
    "time_to_first_event": "adverse_events.first_events",
    "time_to_response": "outcomes.response_times",
    "tipping_point": "outcomes.tipping_points",
    "validate": "validation",
}

__all__ = [
    "DataError",
    "Dataset",
    "Imputation",
    "MappingError",
    "MesostatsError",
    "MethodsText",
    "ResponderRule",
    "Result",
    "SchemaError",
    "ValidationReport",
    "VocabularyError",
    "adherence",
    "adverse_event_estimators",
    "adverse_event_overview",
    "adverse_event_profile",
    "adverse_event_rates",
    "alt_text",
    "baseline_table",
    "before_stopping",
    "care_rule_effects",
    "change_beyond_error",
    "change_by_visit",
    "change_from_baseline",
    "compare_adverse_events",
    "compare_grades",
    "compare_response",
    "course_histories",
    "course_states",
    "cumulative_incidence",
    "disposition",
    "draft",
    "dropout_by_session",
    "dropout_model",
    "dropout_reasons",
    "dropout_sensitivity",
    "durability",
    "estimators",
    "event_durations",
    "explore",
    "exposure_effect",
    "hazard_by_phase",
    "load_vocabulary",
    "mean_cumulative_events",
    "methods_text",
    "onset_after_session",
    "open_clinic",
    "patient_flow",
    "phase_switches",
    "plot",
    "predicted_retention",
    "published_studies",
    "read",
    "report",
    "response",
    "response_by_sessions",
    "response_scenarios",
    "retention",
    "return_for_repeat",
    "save_plot",
    "save_table",
    "session_gaps",
    "session_states",
    "sessions_received",
    "signals",
    "simulate",
    "subgroup_response",
    "table",
    "time_to_first_event",
    "time_to_response",
    "tipping_point",
    "validate",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module, once."""
    if name not in _HOMES:
        msg = f"module 'mesostats' has no attribute '{name}'"
        raise AttributeError(msg)
    if not _HOMES[name]:
        return import_module(f"mesostats.{name}")
    value = getattr(import_module(f"mesostats.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
