"""Reduce adverse events and the exposed population to counts, on the engine.

Each *unit* (a patient, or an attended session) is in the population once a group; each *hit* is a unit with events of one
kind. The sums over patients that clustered intervals need are built so that units without a hit never meet event rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import pandas as pd

from mesostats.engine import collect, day_number
from mesostats.populations import NOT_RECORDED, cluster_sums, treated_courses, with_groups
from mesostats.schedule import attended_sessions, course_timeline, cutoff_day

if TYPE_CHECKING:
    from mesostats.dataset import Dataset

KIND: Final = "event_kind"
UNCODED: Final = "uncoded"
TAKEN: Final = frozenset(
    {"asked", "known", "unknown", "heard", "units", "events", "hits", "rank", "worst", "term_class", KIND}
)
"""Names of columns that counting needs: none of them can be grouped by."""
_RELATED: Final = ("possible", "probable", "related")
_SEVERITIES: Final = ("mild", "moderate", "severe", "life_threatening", "fatal")
_NAMED: Final = ("course_id", "term", "severity", "serious", "related")
_PLACED: Final = ("event_id", "patient_id", "session_id", "onset")
_SCENARIOS: Final = ("main", "lower", "upper")


@dataclass(frozen=True)
class Counting:
    """What is counted: the groups, the kinds of event, the unit and the window."""

    by: tuple[str, ...]
    of: str
    per: str
    events: str
    follow_up_days: int

    @property
    def unit(self) -> tuple[str, ...]:
        """The columns that identify a unit within a group."""
        return ("patient_id",) if self.per == "patient" else ("patient_id", "course_id", "session_id")

    @property
    def kind_column(self) -> tuple[str, ...]:
        """The result's column for the kinds of event, where there are several."""
        named = {"term": "term", "class": "term_class", "severity": "severity"}
        return (named[self.of],) if self.of in named else ()


def exposed_units(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Return the population: one row a group and unit, with ``asked`` (1 where somebody asked about side effects).

    ``known`` adds the units with a recorded event (any kind); where nobody ever recorded having asked, all are known.
    """
    population = _population(clinic, counting)
    if counting.per == "session":
        asked = nw.when(nw.col("adverse_events_asked") == "yes").then(nw.lit(1)).otherwise(nw.lit(0))
        sessions = attended_sessions(clinic).select("session_id", "course_id", asked=asked)
        courses = population.select("course_id", "patient_id")
        units = with_groups(
            sessions.join(courses, on="course_id", how="inner"),
            clinic,
            counting.by,
            tables=("sessions", "courses", "patients"),
        )
    else:
        units = population.group_by(*counting.by, "patient_id").agg(nw.col("asked").max())
    units = units.select(*counting.by, *counting.unit, "asked")
    keys = [*counting.by, *counting.unit]
    units = clinic.engine.materialise(units)
    # Only where nobody asked does it matter whether an event was recorded all the same.
    unasked = units.filter(nw.col("asked") == 0).select(keys)
    heard = _heard(clinic, unasked, counting)
    units = units.join(heard, on=keys, how="left")
    unused = int(collect(units.select(asked=nw.col("asked").sum()))["asked"].fillna(0).iloc[0]) == 0
    known = (nw.col("asked") > 0) | ~nw.col("heard").is_null()
    return units.with_columns(
        known=nw.lit(1) if unused else nw.when(known).then(nw.lit(1)).otherwise(nw.lit(0)),
        unknown=nw.when(known).then(nw.lit(0)).otherwise(nw.lit(1)),
    ).drop("heard")


def _population(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Return the treated courses with their groups (of patients and courses only), computed once."""
    by = counting.by if counting.per == "patient" else ()
    asked = nw.when(nw.col("asked") > 0).then(nw.lit(1)).otherwise(nw.lit(0))
    return clinic.derive(
        f"treated_courses:{by}",
        lambda: (
            treated_courses(clinic, ())
            .select("course_id", "patient_id", asked=asked)
            .pipe(with_groups, clinic, by)
        ),
    )


def _heard(clinic: Dataset, unasked: nw.LazyFrame[Any], counting: Counting) -> nw.LazyFrame[Any]:
    """Return those of the units that have an emergent event of any kind: they were asked, or spoke up."""
    keys = [*counting.by, *counting.unit]
    if counting.per == "patient":
        # Hits of the kinds asked for serve, where these are all kinds: they are counted anyway.
        partial = counting.of in {"serious", "related"}
        found = _patient_hits(clinic, replace(counting, of="any") if partial else counting)
        joined = found.join(unasked, on=keys, how="inner")
    else:
        joined = (
            emergent_events(clinic, counting).select("session_id").join(unasked, on="session_id", how="inner")
        )
    return clinic.engine.materialise(joined.group_by(keys).agg(heard=nw.len()))


def emergent_events(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Return the treatment-emergent events of treated courses, of any kind, with ``patient_id`` and the session's."""
    events = _classified(clinic, counting).filter(nw.col("why") == "")
    if counting.per == "patient":
        return events
    return clinic.derive(f"placed_events:{counting.follow_up_days}", lambda: _placed(events, clinic))


def _classified(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Return all events with the reason why one is not counted (``why``, empty where it is), computed once."""
    return clinic.derive(
        f"classified_events:{counting.per}:{counting.follow_up_days}", lambda: _classify(clinic, counting)
    )


def _classify(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    follow_up_days = counting.follow_up_days
    courses = course_timeline(clinic).select("course_id", "patient_id", "first_day", "last_day")
    events = clinic.lazy("adverse_events").with_columns(onset=day_number(nw.col("onset_date")))
    events = events.join(courses, on="course_id", how="left")
    onset = nw.col("onset")
    why = (
        nw.when(nw.col("patient_id").is_null())
        .then(nw.lit("no such course by the data cut"))
        .when(nw.col("first_day").is_null())
        .then(nw.lit("course without an attended session"))
        .when(onset > cutoff_day(clinic))
        .then(nw.lit("onset after the data cut"))
        .when(onset < nw.col("first_day"))
        .then(nw.lit("onset before the first attended session"))
        .when(onset > nw.col("last_day") + follow_up_days)
        .then(nw.lit(f"onset more than {follow_up_days} days after the last attended session"))
        .otherwise(nw.lit(""))
    )
    own = [name for name in ("term_class",) if name in clinic.columns("adverse_events")]
    placed = _PLACED if counting.per == "session" else ()
    return events.select(*_NAMED, *placed, *own, why=why)


def _kinds(events: nw.LazyFrame[Any], clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Add the kind of each event, and keep only events of the kinds asked for."""
    if counting.of == "term":
        return events.with_columns(nw.coalesce("term", nw.lit(UNCODED)).alias(KIND))
    if counting.of == "class":
        return _classes(events, clinic)
    if counting.of == "severity":
        return events.with_columns(nw.coalesce("severity", nw.lit(NOT_RECORDED)).alias(KIND))
    if counting.of == "serious":
        events = events.filter(nw.col("serious") == "yes")
    if counting.of == "related":
        events = events.filter(nw.col("related").is_in(_RELATED))
    return events.with_columns(nw.lit(counting.of).alias(KIND))


def _classes(events: nw.LazyFrame[Any], clinic: Dataset) -> nw.LazyFrame[Any]:
    """Take the class from the vocabulary, else from the data's own column ``term_class``."""
    terms = clinic.vocabulary.adverse_events
    table = pd.DataFrame(
        {"term": [*terms], KIND: [entry.term_class for entry in terms.values()]}, dtype="str"
    )
    events = events.join(clinic.engine.small(table, events), on="term", how="left")
    own = [nw.col("term_class")] if "term_class" in clinic.columns("adverse_events") else []
    return events.with_columns(nw.coalesce(nw.col(KIND), *own, nw.lit(UNCODED)).alias(KIND))


def _placed(events: nw.LazyFrame[Any], clinic: Dataset) -> nw.LazyFrame[Any]:
    """Ascribe events without a session to the last attended session on or before their onset."""
    sessions = attended_sessions(clinic).select(
        "course_id", held="session_id", day=day_number(nw.col("date"))
    )
    homeless = events.filter(nw.col("session_id").is_null()).select("event_id", "course_id", "onset")
    before = homeless.join(sessions, on="course_id", how="inner").filter(nw.col("day") <= nw.col("onset"))
    last = before.unique("event_id", keep="last", order_by=["day", "held"]).select(
        "event_id", ascribed="held"
    )
    placed = events.join(last, on="event_id", how="left")
    return placed.with_columns(session_id=nw.coalesce("session_id", "ascribed")).drop("ascribed")


def excluded_events(clinic: Dataset, counting: Counting) -> dict[str, int]:
    """Count the events that no rate counts, by reason."""
    why = _kinds(_classified(clinic, counting), clinic, counting)
    if counting.per == "session":
        held = attended_sessions(clinic).select("session_id", held=nw.lit(1))
        unplaced = (
            _kinds(emergent_events(clinic, counting), clinic, counting)
            .join(held, on="session_id", how="left")
            .filter(nw.col("held").is_null())
        )
        lost = int(collect(unplaced.select(n_events=nw.len()))["n_events"].iloc[0])
    else:
        lost = 0
    counts = collect(why.filter(nw.col("why") != "").group_by("why").agg(n_events=nw.len())).sort_values(
        "why"
    )
    found = dict(zip(counts["why"], counts["n_events"].astype(int), strict=True))
    return found | ({"no attended session to ascribe it to": lost} if lost else {})


def hits(clinic: Dataset, units: nw.LazyFrame[Any], counting: Counting) -> nw.LazyFrame[Any]:
    """Return one row a group, unit and kind with at least one event: ``events`` counts them."""
    if counting.per == "patient":
        found = _patient_hits(clinic, counting)
    else:
        events = _kinds(emergent_events(clinic, counting), clinic, counting).select("session_id", KIND)
        joined = events.join(units, on="session_id", how="inner")
        found = joined.group_by(*counting.by, *counting.unit, KIND).agg(events=nw.len())
    worst = (counting.of, counting.events) == ("severity", "first")
    return _at_worst(found, [*counting.by, *counting.unit]) if worst else found


def _patient_hits(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Return one row a group, patient and kind with at least one event, computed once."""

    def build() -> nw.LazyFrame[Any]:
        events = _kinds(emergent_events(clinic, counting), clinic, counting).select("course_id", KIND)
        joined = events.join(_population(clinic, counting), on="course_id", how="inner")
        return joined.group_by(*counting.by, "patient_id", KIND).agg(events=nw.len())

    return clinic.derive(f"patient_hits:{counting.by}:{counting.of}:{counting.follow_up_days}", build)


def _at_worst(found: nw.LazyFrame[Any], keys: list[str]) -> nw.LazyFrame[Any]:
    """Keep each unit at its worst severity; one whose severities are not recorded stays as such."""
    order = [NOT_RECORDED, *_SEVERITIES]
    rank = nw.lit(0)
    for place, severity in enumerate(order):
        rank = nw.when(nw.col(KIND) == severity).then(nw.lit(place)).otherwise(rank)
    ranked = found.with_columns(rank=rank).with_columns(worst=nw.col("rank").max().over(keys))
    return ranked.filter(nw.col("rank") == nw.col("worst")).drop("rank", "worst")


def kinds(clinic: Dataset, cells: pd.DataFrame, counting: Counting) -> list[str]:
    """Return the kinds of event that get a row: those of the vocabulary, where it is closed, and those found."""
    if not counting.kind_column:
        return [counting.of]
    terms = clinic.vocabulary.adverse_events
    if counting.of == "severity":
        known = list(_SEVERITIES)
    elif "adverse_events" in clinic.vocabulary.open:
        known = []
    else:
        known = [*terms] if counting.of == "term" else [entry.term_class for entry in terms.values()]
    return list(dict.fromkeys([*known, *sorted(cells[KIND])]))


def count_groups(units: nw.LazyFrame[Any], counting: Counting) -> pd.DataFrame:
    """Return one row a group: ``asked, unknown`` (units) and, a scenario, the sums over patients before any hit.

    The scenarios count the units where nobody asked not at all (main), as free of events (lower), as with one (upper).
    """
    patients = _patients(units, counting)
    sums = [nw.col("asked").sum(), nw.col("unknown").sum()]
    for scenario in _SCENARIOS:
        trials, assumed = _scenario(scenario)
        sums += cluster_sums(trials, assumed, scenario)
    if not counting.by:
        return collect(patients.select(sums)).fillna(0)
    return collect(patients.group_by(*counting.by).agg(sums)).sort_values([*counting.by], ignore_index=True)


def count_cells(units: nw.LazyFrame[Any], found: nw.LazyFrame[Any], counting: Counting) -> pd.DataFrame:
    """Return one row a group and kind with a hit: what its hits add to the sums of `count_groups`, a scenario."""
    keys = [*counting.by, "patient_id"]
    number = nw.len() if counting.events == "first" else nw.col("events").sum()
    patients = found.group_by(*keys, KIND).agg(hits=number.cast(nw.Float64))
    if counting.per == "patient":
        # A patient is one unit of the group, and one with an event is known: no need to look the units up.
        joined = patients.with_columns(known=nw.lit(1.0), units=nw.lit(1.0), unknown=nw.lit(0.0))
    else:
        joined = patients.join(_patients(units, counting), on=keys, how="inner")
    sums = []
    hit = nw.col("hits")
    for scenario in _SCENARIOS:
        trials, assumed = _scenario(scenario)
        more = (hit + assumed) ** 2 - assumed**2
        terms = {
            "successes": hit,
            "successes_squared": more,
            "product": trials * hit,
            "successes_squared_per_trial": more / trials,
        }
        sums += [expression.sum().alias(f"{scenario}_{name}_added") for name, expression in terms.items()]
    return collect(joined.group_by(*counting.by, KIND).agg(sums))


def _patients(units: nw.LazyFrame[Any], counting: Counting) -> nw.LazyFrame[Any]:
    """Return one row a group and patient: the numbers of its units."""
    return units.group_by(*counting.by, "patient_id").agg(
        nw.col("asked").sum(),
        nw.col("unknown").sum().cast(nw.Float64),
        nw.col("known").sum().cast(nw.Float64),
        nw.len().cast(nw.Float64).alias("units"),
    )


def _scenario(scenario: str) -> tuple[nw.Expr, nw.Expr]:
    """Return a patient's number of units that count in a scenario, and of events assumed for those not asked."""
    none = nw.col("units") * 0.0
    if scenario == "main":
        return nw.col("known"), none
    return nw.col("units"), nw.col("unknown") if scenario == "upper" else none
