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
    from mesostats.adverse_events import adverse_event_rates
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
    "Dataset": "dataset",
    "DataError": "errors",
    "MappingError": "errors",
    "MesostatsError": "errors",
    "ResponderRule": "entries",
    "Result": "results",
    "SchemaError": "errors",
    "ValidationReport": "validation",
    "VocabularyError": "errors",
    "adverse_event_rates": "adverse_events",
    "course_states": "schedule",
    "draft": "mapping",
    "dropout_by_session": "dropout",
    "estimators": "",
    "load_vocabulary": "vocabulary",
    "open_clinic": "handover",
    "plot": "plots",
    "read": "mapping",
    "report": "reporting",
    "response": "responders",
    "retention": "dropout",
    "session_states": "slots",
    "simulate": "simulation",
    "table": "tables",
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
    "adverse_event_rates",
    "course_states",
    "draft",
    "dropout_by_session",
    "estimators",
    "load_vocabulary",
    "open_clinic",
    "plot",
    "read",
    "report",
    "response",
    "retention",
    "session_states",
    "simulate",
    "table",
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
