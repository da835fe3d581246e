"""The questions that the panel offers: a public analysis, and which of its arguments may be set, in words."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, Final

from mesostats.adverse_events.comparisons import compare_adverse_events
from mesostats.adverse_events.durations import event_durations
from mesostats.adverse_events.estimator_panel import adverse_event_estimators
from mesostats.adverse_events.exposure_effects import care_rule_effects
from mesostats.adverse_events.first_events import cumulative_incidence, time_to_first_event
from mesostats.adverse_events.onsets import onset_after_session
from mesostats.adverse_events.overview import adverse_event_overview
from mesostats.adverse_events.profile import adverse_event_profile
from mesostats.adverse_events.rates import adverse_event_rates
from mesostats.adverse_events.repeated_events import mean_cumulative_events
from mesostats.adverse_events.safety_signals import signals
from mesostats.dropout.dispositions import disposition
from mesostats.dropout.incidence import dropout_reasons
from mesostats.dropout.model import dropout_model, predicted_retention
from mesostats.dropout.patient_flows import patient_flow
from mesostats.dropout.phase_hazards import hazard_by_phase
from mesostats.dropout.repeat_courses import return_for_repeat
from mesostats.dropout.retention import dropout_by_session, retention
from mesostats.dropout.scenarios import dropout_sensitivity
from mesostats.dropout.stopping import before_stopping
from mesostats.exploring import settings as to
from mesostats.outcomes.baselines import baseline_table
from mesostats.outcomes.changes import change_from_baseline
from mesostats.outcomes.comparisons import compare_response
from mesostats.outcomes.doses import response_by_sessions
from mesostats.outcomes.durability import durability
from mesostats.outcomes.grades import compare_grades
from mesostats.outcomes.measurement_error import change_beyond_error
from mesostats.outcomes.missing_outcomes import response_scenarios
from mesostats.outcomes.repeated_changes import change_by_visit
from mesostats.outcomes.responders import response
from mesostats.outcomes.response_times import time_to_response
from mesostats.outcomes.subgroups import subgroup_response
from mesostats.outcomes.tipping_points import tipping_point
from mesostats.visits.adherence import adherence
from mesostats.visits.gaps import session_gaps
from mesostats.visits.histories import course_histories
from mesostats.visits.received import sessions_received

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesostats.exploring.settings import Setting
    from mesostats.results import Result

NEEDED: Final = Parameter.empty
"""The default of an argument that has none."""


@dataclass(frozen=True, eq=False)
class Question:
    """A question, and the analysis that answers it.

    Parameters
    ----------
    topic, text
        Where it stands in the lists, and how it is asked.
    analysis
        A public function: a data set in, a `Result` out.
    settings
        Which of its arguments may be set, besides ``by`` and ``conf_level``.
    by_tables
        The tables whose columns it can group by; none where it does not group.
    phase
        Whether it can group by the phase of the schedule.
    needs
        A table that it counts from, which not every clinic has.
    """

    topic: str
    text: str
    analysis: Callable[..., Result]
    settings: tuple[Setting, ...] = ()
    by_tables: tuple[str, ...] = ("courses", "patients")
    phase: bool = False
    needs: str | None = None

    def default(self, argument: str) -> Any:
        """Return the default of one of the analysis's arguments; `NEEDED` where it has none."""
        return signature(self.analysis).parameters[argument].default

    def all_settings(self) -> tuple[Setting, ...]:
        """Return the settings, with the confidence level where the analysis has one."""
        has_level = "conf_level" in signature(self.analysis).parameters
        return (*self.settings, to.LEVEL) if has_level else self.settings


_VISITED: Final = ("courses", "patients", "sessions")
_INJECTED: Final = (*_VISITED, "products")
_READ: Final = (to.INSTRUMENT, to.ENDPOINT)
_COMPARED: Final = (to.GROUP, to.REFERENCE)


def _response(text: str, analysis: Callable[..., Result], *settings: Setting, **more: Any) -> Question:
    return Question("Response", text, analysis, settings, needs="outcomes", **more)


def _side_effects(text: str, analysis: Callable[..., Result], *settings: Setting, **more: Any) -> Question:
    return Question("Side effects", text, analysis, settings, needs="adverse_events", **more)


def _schedule(text: str, analysis: Callable[..., Result], *settings: Setting, **more: Any) -> Question:
    return Question("Dropout and schedule", text, analysis, settings, **more)


def _treated(text: str, analysis: Callable[..., Result], *settings: Setting, **more: Any) -> Question:
    return Question("Who was treated", text, analysis, settings, **more)


QUESTIONS: Final[tuple[Question, ...]] = (
    _response("Who responded?", response, *_READ, to.MISSING, to.PRIMARY, to.METHOD),
    _response("Does it matter who was not assessed?", response_scenarios, *_READ, to.METHOD),
    _response(
        *("What would change the conclusion?", tipping_point, to.GROUP_OR_NONE),
        *(to.REFERENCE, to.THRESHOLD, *_READ),
    ),
    _response(
        *("Do groups respond differently?", compare_response, to.SUBSTANCES, to.REFERENCE),
        *(to.COMPARED_INSTRUMENT, to.ENDPOINT, to.DENOMINATOR, to.DIFFERENCE, to.FAMILY),
    ),
    _response(
        *("Is it the same in subgroups?", subgroup_response, *_COMPARED, to.SUBGROUPS),
        *(to.COMPARED_INSTRUMENT, to.ENDPOINT, to.DENOMINATOR, to.DIFFERENCE),
        by_tables=(),
    ),
    _response(
        *("By how much did scores change?", change_from_baseline, to.GROUP_OR_NONE, to.REFERENCE),
        *(*_READ, to.FAMILY),
    ),
    _response(
        *("How do scores go, visit by visit?", change_by_visit, to.VISIT_TIME, to.VISITS),
        *(to.GROUP_OR_NONE, to.REFERENCE, to.INSTRUMENT, to.SMALL_SAMPLE),
    ),
    _response("Is it more than measurement error?", change_beyond_error, *_READ),
    _response(
        *("Do grades of improvement differ?", compare_grades, to.GRADED, *_COMPARED, to.SCALE, to.ENDPOINT),
    ),
    _response("How soon do they respond?", time_to_response, to.RESPONSE_TIME, to.INSTRUMENT),
    _response("Does the response last?", durability, to.INSTRUMENT, to.WINDOW),
    _response(
        *("Does response go with sessions?", response_by_sessions, *_READ, to.LANDMARK, to.NAIVE),
    ),
    _side_effects("What came, in short?", adverse_event_overview, to.METHOD),
    _side_effects(
        *("How often do they come?", adverse_event_rates, to.OF, to.PER, to.EVENTS, to.METHOD),
        by_tables=_INJECTED,
        phase=True,
    ),
    _side_effects("How severe are they?", adverse_event_profile, to.METHOD),
    _side_effects(
        *("Do groups have different ones?", compare_adverse_events, to.EXPOSED, to.REFERENCE, to.OF),
        *(to.PER, to.EVENTS, to.FAMILY),
        by_tables=(),
    ),
    _side_effects("How many have had one, by day?", cumulative_incidence, to.OF),
    _side_effects("How many are free of them, by day?", time_to_first_event, to.OF),
    _side_effects("Do other estimators say the same?", adverse_event_estimators, to.BEFORE),
    _side_effects("How many came a patient, by day?", mean_cumulative_events, to.OF),
    _side_effects("How long after a session?", onset_after_session, to.OF),
    _side_effects("How long do they last?", event_durations, to.OF),
    _side_effects("Do the rules of care help?", care_rule_effects, by_tables=()),
    _side_effects(
        *("Does a practitioner or lot stand out?", signals, to.UNIT, to.WATCHED, to.WATCHED_PER),
        to.AGAINST,
        by_tables=(),
    ),
    _schedule("How many stay in treatment?", retention, to.TIME, to.DROPOUT_DATE, to.FOLLOW_UP),
    _schedule("Before which session do they leave?", dropout_by_session, to.FOLLOW_UP),
    _schedule("In which phase do they leave?", hazard_by_phase, to.FOLLOW_UP),
    _schedule(
        *("Why do they leave?", dropout_reasons, to.TIME, to.DROPOUT_DATE, to.FOLLOW_UP, to.COMPLETION),
    ),
    _schedule("What goes with leaving?", dropout_model, to.LINK, to.FOLLOW_UP, by_tables=()),
    _schedule("Who is expected to stay?", predicted_retention, to.PROTOCOL, to.PROFILES, by_tables=()),
    _schedule("Does the definition matter?", dropout_sensitivity, to.TIME, to.AT),
    _schedule("What came before they left?", before_stopping, to.SINCE, to.BEFORE, to.FOLLOW_UP),
    _schedule("How did the courses end?", disposition),
    _schedule(
        *("Do they come on time?", adherence, to.ANCHOR),
        by_tables=_VISITED,
        phase=True,
    ),
    _schedule("How long are the gaps?", session_gaps, by_tables=_VISITED, phase=True),
    _schedule("How many sessions did they get?", sessions_received, to.COURSES),
    _schedule("Who comes back for a repeat course?", return_for_repeat, to.WINDOW),
    _treated("Who was treated? Are groups alike?", baseline_table, to.PEOPLE),
    _treated("How do they flow through the schedule?", patient_flow),
    _treated("What happened to single courses?", course_histories, to.DROPOUT_DATE_ALONE),
)
"""The questions in the order of the lists. To add one, add an entry: the panel finds all it needs in it."""

TOPICS: Final = tuple(dict.fromkeys(each.topic for each in QUESTIONS))
"""The named groups of questions."""
