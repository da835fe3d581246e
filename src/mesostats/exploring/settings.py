"""The arguments that a reader may set, in words: what each is called, and which values it may have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mesostats.exploring.choices import Offers

    Options = Mapping[str, Any]
    Chosen = Mapping[str, Any]


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
        What the reader chooses → the argument's value; or what finds it in what the clinic offers and in the values chosen
        above. Without options the setting is not shown.
    only_with
        Another argument and its value, without which this one says nothing; the panel then hides it.
    start
        Whether it starts at its first option, instead of the analysis's default.
    absent
        Why there is nothing to choose, of an argument that the analysis needs.
    """

    argument: str
    label: str
    options: Options | Callable[[Offers, Chosen], Options]
    only_with: tuple[str, Any] | None = None
    start: bool = False
    absent: str = ""

    def offered(self, offers: Offers, chosen: Chosen) -> dict[str, Any]:
        """Return what can be chosen, given what is chosen of the other settings; nothing where it does not apply."""
        if self.only_with and chosen.get(self.only_with[0]) != self.only_with[1]:
            return {}
        return dict(self.options(offers, chosen) if callable(self.options) else self.options)


def _endpoints(offers: Offers, _: Chosen) -> Options:
    declared = offers.endpoint
    first = {f"on day {declared} (declared)": declared} if declared else {}
    days = {f"on day {day} after the first session": day for day in _ENDPOINTS if day != declared}
    carried = {"at the last assessment, however early": "last_observation"}
    return first | {"at the end of the course": "end_of_course"} | days | carried


def _references(offers: Offers, chosen: Chosen) -> Options:
    levels = offers.levels(chosen.get("group"))
    return (
        {"the largest group": None} | {label: str(value) for label, value in levels.items()} if levels else {}
    )


def _families(_: Offers, chosen: Chosen) -> Options:
    compared = chosen.get("group", "") is not None
    return {"Benjamini-Hochberg": "benjamini_hochberg", "Holm": "holm"} if compared else {}


def _visits(offers: Offers, chosen: Chosen) -> Options:
    if chosen.get("time") == "session":
        return {"sessions 2, 4 and 6": (2, 4, 6), "sessions 3, 6 and 10": (3, 6, 10)}
    third, rest = divmod(offers.endpoint or 0, 3)
    declared = [(third, 2 * third, 3 * third + rest)] if third else []
    return {f"days {_listed(days)}": days for days in [*declared, *_VISITS]}


def _moments(offers: Offers, chosen: Chosen) -> Options:
    if chosen.get("time") == "day":
        return {f"day {day}": day for day in (90, 180, 365)}
    return {f"session {number}": number for number in reversed(offers.sessions)}


def _subgroups(offers: Offers, chosen: Chosen) -> Options:
    columns = {label: column for label, column in offers.columns().items() if column != chosen.get("group")}
    usual = ("sex", "indication")
    both = {"sex and indication": usual} if set(usual) <= set(columns.values()) else {}
    return both | {label.lower(): column for label, column in columns.items()}


def _profiles(offers: Offers, _: Chosen) -> Options:
    event = {"side effect so far, or none": {name: {"side_effect_so_far": name} for name in ("yes", "no")}}
    areas = offers.levels("indication")
    return event | {"each indication": {label: {"indication": code} for label, code in areas.items()}}


def _listed(numbers: tuple[int, ...]) -> str:
    *most, last = map(str, numbers)
    return f"{', '.join(most)} and {last}" if most else last


_ENDPOINTS: Final = (28, 56, 84, 168)
_VISITS: Final = ((28, 56, 84), (90, 180))
_NOTHING_TO_COMPARE: Final = "no column of courses or patients has 2 to 12 groups that could be compared"

LEVEL: Final = Setting("conf_level", "Confidence level", {"95 %": 0.95, "90 %": 0.9, "99 %": 0.99})
TIME: Final = Setting(
    "time", "Counted in", {"sessions of the schedule": "session", "days since the first session": "day"}
)
DROPOUT_DATE_ALONE: Final = Setting(
    "dropout_date",
    "Day of dropout",
    {"last attended session": "last_attended", "first missed session": "first_missed"},
)
DROPOUT_DATE: Final = replace(DROPOUT_DATE_ALONE, only_with=("time", "day"))
FOLLOW_UP: Final = Setting(
    "follow_up",
    "Near the data cut",
    {"settled sessions only": "settled", "all that was recorded (optimistic)": "all"},
)
COMPLETION: Final = Setting(
    "completion",
    "A completed course",
    {"is censored (as in retention)": "censored", "competes (stays in the denominator)": "competing"},
)
AT: Final = Setting("at", "Retention at", _moments)
SINCE: Final = Setting(
    "since",
    "Counted since",
    {"the last session": "last_session", "the start of the course": "course_start"},
)
LINK: Final = Setting("link", "Model of", {"hazard ratios": "cloglog", "odds ratios": "logit"})
PROTOCOL: Final = Setting(
    "protocol",
    "Protocol",
    lambda offers, _: offers.protocols,
    start=True,
    absent="no course has a protocol that the vocabulary knows",
)
PROFILES: Final = Setting("profiles", "Profiles", _profiles, start=True)
ANCHOR: Final = Setting(
    "anchor",
    "Windows are counted from",
    {"the session held before": "held", "the plan from the start date": "plan"},
)
COURSES: Final = Setting(
    "courses", "Courses counted", {"those that have ended": "ended", "those that go on too": "started"}
)
WINDOW: Final = Setting(
    "window_days",
    "Months later are",
    {"days 90 to 180": (90, 180), "days 90 to 365": (90, 365), "days 180 to 365": (180, 365)},
)

METHOD: Final = Setting(
    "method",
    "Interval of a proportion",
    {
        "Wilson": "wilson",
        "Clopper-Pearson (exact)": "clopper_pearson",
        "Jeffreys": "jeffreys",
        "Agresti-Coull": "agresti_coull",
    },
)
DIFFERENCE: Final = Setting(
    "method",
    "Interval of a difference",
    {"Miettinen-Nurminen": "miettinen_nurminen", "Newcombe": "newcombe"},
)
FAMILY: Final = Setting("multiplicity", "P values adjusted by", _families)

OF: Final = Setting(
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
WATCHED: Final = Setting("of", "Side effects", {"each, as suits the unit": None} | dict(OF.options))  # type: ignore[arg-type]
BEFORE: Final = Setting(
    "of", "Side effects", {"any": "any", "serious ones": "serious", "those judged related": "related"}
)
PER: Final = Setting(
    "per",
    "Counted per",
    {"patient": "patient", "course": "course", "session": "session", "month at risk": "patient_month"},
)
EVENTS: Final = Setting("events", "Each unit counts", {"once": "first", "every event": "all"})
EXPOSED: Final = Setting(
    "group",
    "Groups compared",
    lambda offers, _: offers.compared(("courses", "patients", "sessions", "products")),
    start=True,
    absent=_NOTHING_TO_COMPARE,
)
UNIT: Final = Setting(
    "by", "Watched", {"practitioners": "practitioner_id", "clinics": "clinic_id", "lots": "lot"}, start=True
)
WATCHED_PER: Final = Setting("per", "Counted per", {"session": "session", "patient": "patient"})
AGAINST: Final = Setting(
    "against",
    "Lots against",
    {
        "others of the same clinic": "clinic",
        "those of all clinics": "all_clinics",
        "others of the time": "period",
    },
    only_with=("by", "lot"),
)

INSTRUMENT: Final = Setting(
    "instrument",
    "Instrument",
    lambda offers, _: {"all of them": None} | offers.instruments if len(offers.instruments) > 1 else {},
)
COMPARED_INSTRUMENT: Final = Setting(
    "instrument",
    "Instrument",
    lambda offers, _: {"each of them": None, "each indication's own": "own"} | offers.instruments,
)
GRADED: Final = Setting(
    "instrument",
    "Instrument",
    lambda offers, _: offers.graded,
    start=True,
    absent="no assessment is by an instrument with at most 50 grades and a known direction",
)
ENDPOINT: Final = Setting("endpoint", "Read", _endpoints, start=True)
MISSING: Final = Setting(
    "missing",
    "Missing outcomes",
    {
        "four denominators side by side": None,
        "left out (observed)": "observed",
        "non-response": "nonresponder",
        "nothing supposed (bounds)": "bounds",
        "inverse probability weights": "ipw",
        "multiple imputation": "multiple_imputation",
    },
)
_DENOMINATORS: Final = {
    "treated": "treated",
    "with a baseline": "with_baseline",
    "evaluable": "evaluable",
    "completers": "completers",
}
PRIMARY: Final = Setting("primary", "Denominator to quote", _DENOMINATORS, only_with=("missing", None))
DENOMINATOR: Final = Setting("denominator", "Compared over", _DENOMINATORS)
GROUP: Final = Setting(
    "group",
    "Groups compared",
    lambda offers, _: offers.compared(),
    absent=_NOTHING_TO_COMPARE,
)
SUBSTANCES: Final = Setting(
    "group",
    "Groups compared",
    lambda offers, _: offers.compared(("courses", "patients", "products")),
    absent=_NOTHING_TO_COMPARE,
)
GROUP_OR_NONE: Final = Setting(
    "group", "Groups compared", lambda offers, _: {"none": None} | offers.compared()
)
REFERENCE: Final = Setting("reference", "Compared with", _references)
SUBGROUPS: Final = Setting("subgroups", "Subgroups", _subgroups, absent=_NOTHING_TO_COMPARE)
THRESHOLD: Final = Setting(
    "threshold",
    "Conclusion: response above",
    {"50 %": 0.5, "30 %": 0.3, "70 %": 0.7},
    only_with=("group", None),
    start=True,
)
SCALE: Final = Setting(
    "scale", "Grades of", {"change since baseline": "change", "the value at the endpoint": "value"}
)
VISIT_TIME: Final = Setting(
    "time", "Visits are", {"days after the first session": "day", "sessions": "session"}
)
VISITS: Final = Setting("visits", "Visits", _visits, start=True)
SMALL_SAMPLE: Final = Setting(
    "small_sample",
    "Degrees of freedom",
    {"Satterthwaite": "satterthwaite", "Kenward-Roger": "kenward_roger"},
)
RESPONSE_TIME: Final = Setting(
    "time", "Counted in", {"days since the first session": "day", "sessions": "session"}
)
LANDMARK: Final = Setting("landmark_day", "Landmark", {f"day {day}": day for day in (14, 28, 56)})
NAIVE: Final = Setting("naive", "The biased comparison", {"left out": False, "shown beside it": True})
PEOPLE: Final = Setting("unit", "Described are", {"patients": "patient", "courses": "course"})
