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
    from mesostats.dropout import dropout_by_session, retention
    from mesostats.entries import ResponderRule
    from mesostats.errors import DataError, MappingError, MesostatsError, SchemaError, VocabularyError
    from mesostats.handover import open_clinic
    from mesostats.mapping import draft, read
    from mesostats.plots import plot
    from mesostats.reporting import report
    from mesostats.responders import response
    from mesostats.results import Result
    from mesostats.schedule import course_states
    from mesostats.simulation import simulate
    from mesostats.slots import session_states
    from mesostats.tables import table
    from mesostats.validation import ValidationReport, validate
    from mesostats.vocabulary import load_vocabulary

_HOMES = {
    "DataError": "errors",
    "Dataset": "dataset",
    "MappingError": "errors",
    "MesostatsError": "errors",
    "ResponderRule": "entries",
    "Result": "results",
    "SchemaError": "errors",
    "ValidationReport": "validation",
    "VocabularyError": "errors",
    "adverse_event_estimators": "adverse_events.estimator_panel",
    "adverse_event_overview": "adverse_events.overview",
    "adverse_event_profile": "adverse_events.profile",
    "adverse_event_rates": "adverse_events.rates",
    "care_rule_effects": "adverse_events.exposure_effects",
    "compare_adverse_events": "adverse_events.comparisons",
    "course_states": "schedule",
    "cumulative_incidence": "adverse_events.first_events",
    "draft": "mapping",
    "dropout_by_session": "dropout",
    "estimators": "",
    "event_durations": "adverse_events.durations",
    "exposure_effect": "adverse_events.exposure_effects",
    "load_vocabulary": "vocabulary",
    "mean_cumulative_events": "adverse_events.repeated_events",
    "onset_after_session": "adverse_events.onsets",
    "open_clinic": "handover",
    "plot": "plots",
    "read": "mapping",
    "report": "reporting",
    "response": "responders",
    "retention": "dropout",
    "session_states": "slots",
    "signals": "adverse_events.safety_signals",
    "simulate": "simulation",
    "table": "tables",
    "time_to_first_event": "adverse_events.first_events",
    "validate": "validation",
}

__all__ = [
    "DataError",
    "Dataset",
    "MappingError",
    "MesostatsError",
    "ResponderRule",
    "Result",
    "SchemaError",
    "ValidationReport",
    "VocabularyError",
    "adverse_event_estimators",
    "adverse_event_overview",
    "adverse_event_profile",
    "adverse_event_rates",
    "care_rule_effects",
    "compare_adverse_events",
    "course_states",
    "cumulative_incidence",
    "draft",
    "dropout_by_session",
    "estimators",
    "event_durations",
    "exposure_effect",
    "load_vocabulary",
    "mean_cumulative_events",
    "onset_after_session",
    "open_clinic",
    "plot",
    "read",
    "report",
    "response",
    "retention",
    "session_states",
    "signals",
    "simulate",
    "table",
    "time_to_first_event",
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
