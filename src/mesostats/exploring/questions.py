"""The questions that the panel offers: a public analysis, and which of its arguments may be set, in words."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any, Final

from mesostats.adverse_events.first_events import cumulative_incidence
from mesostats.adverse_events.onsets import onset_after_session
from mesostats.adverse_events.rates import adverse_event_rates
from mesostats.adverse_events.repeated_events import mean_cumulative_events
from mesostats.dropout.dispositions import disposition
from mesostats.dropout.incidence import dropout_reasons
from mesostats.dropout.patient_flows import patient_flow
from mesostats.dropout.phase_hazards import hazard_by_phase
from mesostats.dropout.retention import dropout_by_session, retention
from mesostats.outcomes.responders import response
from mesostats.visits.adherence import adherence
from mesostats.visits.gaps import session_gaps
from mesostats.visits.received import sessions_received

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mesostats.results import Result


@dataclass(frozen=True, eq=False)
class Setting:
    """An argument that the reader may set.

    Parameters
    ----------
    argument
        The name of the analysis's argument.
    label
        What the panel calls it.
    options
        What the reader chooses → the argument's value. The argument's default must be among them.
    only_with
        Another argument and its value, without which this one says nothing; the panel then hides it.
    """

    argument: str
    label: str
    options: Mapping[str, Any]
    only_with: tuple[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class Question:
    """A question, and the analysis that answers it.

    Parameters
    ----------
    topic, text
        Where it stands in the list, and how it is asked.
    analysis
        A public function: a data set in, a `Result` out.
    settings
        Which of its arguments may be set, besides ``by`` and ``conf_level``.
    by_tables
        The tables whose columns it can group by.
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

    @property
    def title(self) -> str:
        """The topic and the text."""
        return f"{self.topic}: {self.text}"

    def default(self, argument: str) -> Any:
        """Return the default of one of the analysis's arguments."""
        return signature(self.analysis).parameters[argument].default

    def all_settings(self) -> tuple[Setting, ...]:
        """Return the settings, with the confidence level where the analysis has one."""
        has_level = "conf_level" in signature(self.analysis).parameters
        return (*self.settings, _LEVEL) if has_level else self.settings


_LEVEL: Final = Setting("conf_level", "Confidence level", {"95 %": 0.95, "90 %": 0.9, "99 %": 0.99})
_TIME: Final = Setting(
    "time", "Counted in", {"sessions of the schedule": "session", "days since the first session": "day"}
)
_DROPOUT_DATE: Final = Setting(
    "dropout_date",
    "Day of dropout",
    {"last attended session": "last_attended", "first missed session": "first_missed"},
    only_with=("time", "day"),
)
_FOLLOW_UP: Final = Setting(
    "follow_up",
    "Near the data cut",
    {"settled sessions only": "settled", "all that was recorded (optimistic)": "all"},
)
_COMPLETION: Final = Setting(
    "completion",
    "A completed course",
    {"is censored (as in retention)": "censored", "competes (stays in the denominator)": "competing"},
)
_ANCHOR: Final = Setting(
    "anchor",
    "Windows are counted from",
    {"the session held before": "held", "the plan from the start date": "plan"},
)
_COURSES: Final = Setting(
    "courses", "Courses counted", {"those that have ended": "ended", "those that go on too": "started"}
)
_METHOD: Final = Setting(
    "method",
    "Interval of a proportion",
    {
        "Wilson": "wilson",
        "Clopper-Pearson (exact)": "clopper_pearson",
        "Jeffreys": "jeffreys",
        "Agresti-Coull": "agresti_coull",
    },
)
_OF: Final = Setting(
    "of",
    "Side effects",
    {
        "any": "any",
        "each term": "term",
        "each class of terms": "class",
        "by severity": "severity",
        "serious ones": "serious",
        "those judged related": "related",
    },
)
_PER: Final = Setting(
    "per",
    "Counted per",
    {"patient": "patient", "course": "course", "session": "session", "month at risk": "patient_month"},
)
_EVENTS: Final = Setting("events", "Each unit counts", {"once": "first", "every event": "all"})
_ENDPOINT: Final = Setting(
    "endpoint",
    "Response is read",
    {"at the end of the course": "end_of_course"}
    | {f"on day {day} after the first session": day for day in (28, 56, 84, 168)},
)
_PRIMARY: Final = Setting(
    "primary",
    "Denominator to quote",
    {
        "treated": "treated",
        "with a baseline": "with_baseline",
        "evaluable": "evaluable",
        "completers": "completers",
    },
)

_VISITED: Final = ("courses", "patients", "sessions")
_INJECTED: Final = (*_VISITED, "products")
_EVENTS_TABLE: Final = "adverse_events"

QUESTIONS: Final[tuple[Question, ...]] = (
    Question("Dropout", "how many stay in treatment?", retention, (_TIME, _DROPOUT_DATE, _FOLLOW_UP)),
    Question("Dropout", "before which session do they leave?", dropout_by_session, (_FOLLOW_UP,)),
    Question("Dropout", "in which phase do they leave?", hazard_by_phase, (_FOLLOW_UP,)),
    Question(
        "Dropout", "why do they leave?", dropout_reasons, (_TIME, _DROPOUT_DATE, _FOLLOW_UP, _COMPLETION)
    ),
    Question("Dropout", "how did the courses end?", disposition),
    Question("Dropout", "how do they flow through the schedule?", patient_flow),
    Question("Visits", "do they come on time?", adherence, (_ANCHOR,), _VISITED, phase=True),
    Question("Visits", "how long are the gaps?", session_gaps, (), _VISITED, phase=True),
    Question("Visits", "how many sessions did they get?", sessions_received, (_COURSES,)),
    Question(
        *("Side effects", "how often do they come?", adverse_event_rates, (_OF, _PER, _EVENTS, _METHOD)),
        *(_INJECTED, True, _EVENTS_TABLE),
    ),
    Question(
        "Side effects", "when does the first one come?", cumulative_incidence, (_OF,), needs=_EVENTS_TABLE
    ),
    Question("Side effects", "how many by which day?", mean_cumulative_events, (_OF,), needs=_EVENTS_TABLE),
    Question(
        *("Side effects", "how long after a session?", onset_after_session, (_OF,)),
        needs=_EVENTS_TABLE,
    ),
    Question("Response", "who responded?", response, (_ENDPOINT, _PRIMARY, _METHOD), needs="outcomes"),
)
"""The questions in the order of the list. To add one, add an entry: the panel finds all it needs in it."""
