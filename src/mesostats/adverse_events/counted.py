"""Which adverse events count, for whom and as what: the treatment-emergent ones, by kind, group and session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import narwhals as nw
import pandas as pd

from mesostats.attendance import attended_sessions, treated_course_days
from mesostats.engine import collect, day_number
from mesostats.errors import did_you_mean
from mesostats.populations import NOT_RECORDED, grouping, with_groups
from mesostats.results import ESTIMATE_COLUMNS
from mesostats.schedule import cutoff_day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesostats.dataset import Dataset

Per = Literal["patient", "course", "session", "patient_month"]
Events = Literal["first", "all"]

KIND: Final = "event_kind"
"""The column of a counted event's kind; null where the event is of no kind that was asked for."""
UNCODED: Final = "uncoded"
SEVERITIES: Final = ("mild", "moderate", "severe", "life_threatening", "fatal")
OF: Final = ("any", "term", "class", "severity", "serious", "related", "fatal")
"""What can be counted, besides the kinds of any other column of adverse_events."""
_RELATED: Final = ("possible", "probable", "related")
_KIND_COLUMNS: Final = {"any": None, "serious": None, "related": None, "fatal": None, "class": "term_class"}
_UNTREATED: Final = "course without an attended session by the data cut"
_COURSE_TABLES: Final = ("patients", "courses")
_SESSION_TABLES: Final = ("sessions", "products", "courses", "patients")


@dataclass(frozen=True)
class Counting:
    """What is counted: the groups, the kinds of event, the unit and the window.

    Parameters
    ----------
    by
        Grouping columns.
    of
        One of `OF`, or a column of adverse_events.
    per
        ``patient``, ``course``, ``session`` or ``patient_month``.
    events
        ``first`` or ``all``.
    follow_up_days
        The emergent window goes on so many days after the last attended session.
    only
        The one kind that is counted; all if not given.
    sessionwise
        Whether a grouping column belongs to sessions or products: events are then ascribed to sessions.
    graded
        Whether events keep their class and severity (``_class``, ``_grade``) beside their kind.
    """

    by: tuple[str, ...]
    of: str
    per: str
    events: str
    follow_up_days: int
    only: str | None = None
    sessionwise: bool = False
    graded: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The grouping columns on the engine, under names that no column of the data has."""
        return tuple(f"_group_{place}" for place in range(len(self.by)))

    @property
    def unit(self) -> tuple[str, ...]:
        """The columns that identify a unit within a group."""
        ids = {"session": ("patient_id", "course_id", "session_id"), "course": ("patient_id", "course_id")}
        return ids.get(self.per, ("patient_id",))

    @property
    def clustered(self) -> bool:
        """Whether a patient may have several units."""
        return self.per in {"session", "course"}

    @property
    def placed(self) -> bool:
        """Whether events are ascribed to sessions."""
        return self.sessionwise or self.per == "session"

    @property
    def kind_column(self) -> tuple[str, ...]:
        """The result's column for the kinds of event, where there are several."""
        column = _KIND_COLUMNS.get(self.of, self.of)
        return () if column is None else (column,)

    @property
    def what(self) -> tuple[Any, ...]:
        """What decides which events count, and how they are told apart."""
        return self.of, self.only, self.follow_up_days, self.placed, self.graded


def counting_of(
    clinic: Dataset,
    by: str | Sequence[str] | None,
    of: str,
    *,
    per: str = "patient",
    events: str = "first",
    follow_up_days: int = 60,
    only: str | None = None,
) -> Counting:
    """Return what is counted, its arguments checked.

    Raises
    ------
    DataError
        If the table adverse_events is absent.
    TypeError
        If the clinic is no data set, or the days are no whole number.
    ValueError
        If a column or a kind is unknown, a group bears the name of the column of kinds, or the days are negative.
    """
    if not hasattr(clinic, "require"):
        msg = f"clinic is a Dataset (ms.read(…) or ms.Dataset(patients=…, …)), found {type(clinic).__name__}"
        raise TypeError(msg)
    if isinstance(follow_up_days, bool) or not isinstance(follow_up_days, int):
        msg = f"follow_up_days is a whole number of days, found {type(follow_up_days).__name__}"
        raise TypeError(msg)
    clinic.require("adverse_events")
    if of not in OF and of not in clinic.columns("adverse_events"):
        known = [*OF, *clinic.columns("adverse_events")]
        msg = f"of is one of {', '.join(OF)} or a column of adverse_events, found '{of}'{did_you_mean(of, known)}"
        raise ValueError(msg)
    if follow_up_days < 0:
        msg = f"follow_up_days is a number of days, not negative, found {follow_up_days}"
        raise ValueError(msg)
    counting = Counting((), of, per, events, follow_up_days, only)
    present = {column.lower() for table in clinic.names for column in clinic.columns(table)}
    taken = {column.lower() for column in counting.kind_column} | (present & {*ESTIMATE_COLUMNS})
    columns = grouping(by, taken=taken)
    _check_only(clinic, counting)
    own = {column for table in _COURSE_TABLES for column in clinic.columns(table)}
    return Counting(
        columns, of, per, events, follow_up_days, only, sessionwise=not {*columns} <= own and bool(columns)
    )


def _check_only(clinic: Dataset, counting: Counting) -> None:
    """Refuse a kind that is neither in the vocabulary nor among the events."""
    if counting.only is None:
        return
    if not counting.kind_column:
        msg = f"only= names one kind of event: it needs of= 'term', 'class', 'severity' or a column, found '{counting.of}'"
        raise ValueError(msg)
    events = _with_kind(
        clinic.lazy("adverse_events"), clinic, Counting((), counting.of, "patient", "first", 0)
    )
    found = collect(events.select(KIND).unique())[KIND].dropna().tolist()
    known = list(dict.fromkeys([*_vocabulary_kinds(clinic, counting.of), *found]))
    if counting.only not in known:
        msg = f"no event of {counting.kind_column[0]} '{counting.only}'{did_you_mean(counting.only, known)}"
        raise ValueError(msg)


def exposed_courses(clinic: Dataset, by: tuple[str, ...]) -> nw.LazyFrame[Any]:
    """Return the treated courses with their groups (of patients and courses only), computed once.

    Returns
    -------
    nw.LazyFrame
        ``course_id, patient_id, asked, first_day, last_day`` as of `schedule.treated_course_days`, and one column
        ``_group_0 …`` a grouping column.
    """

    def build() -> nw.LazyFrame[Any]:
        # Groups come last, under their own names, since they may bear those of the days.
        courses = with_groups(treated_course_days(clinic).select("course_id", "patient_id"), clinic, by)
        named = [nw.col(column).alias(f"_group_{place}") for place, column in enumerate(by)]
        return courses.select("course_id", *named).join(
            treated_course_days(clinic), on="course_id", how="inner"
        )

    return clinic.derive(f"exposed_courses:{by}", build) if by else treated_course_days(clinic)


def exposed_sessions(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Return the attended sessions of treated courses, once a group that they belong to.

    Returns
    -------
    nw.LazyFrame
        ``session_id, course_id, patient_id, asked, day``, and one column ``_group_0 …`` a grouping column.
    """

    def build() -> nw.LazyFrame[Any]:
        asked = nw.when(nw.col("adverse_events_asked") == "yes").then(nw.lit(1)).otherwise(nw.lit(0))
        sessions = attended_sessions(clinic).select(
            "session_id", "course_id", asked=asked, day=day_number(nw.col("date"))
        )
        courses = treated_course_days(clinic).select("course_id", "patient_id")
        sessions = sessions.join(courses, on="course_id", how="inner")
        if not counting.by:
            return sessions
        ids = sessions.select("session_id", "course_id", "patient_id")
        named = [nw.col(column).alias(key) for key, column in zip(counting.keys, counting.by, strict=True)]
        groups = with_groups(ids, clinic, counting.by, tables=_SESSION_TABLES).select("session_id", *named)
        return sessions.join(groups.unique(), on="session_id", how="inner")

    return clinic.derive(f"exposed_sessions:{counting.by}", build)


def counted_events(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Return the treatment-emergent events of the kinds that were asked for.

    Returns
    -------
    nw.LazyFrame
        ``course_id, patient_id, onset`` (days since 1970-01-01, null where unknown), ``event_kind``; and ``event_id,
        session_id`` (null where no session can be told) where events are ascribed to sessions.
    """
    columns = [
        "course_id",
        "patient_id",
        "onset",
        KIND,
        *(["event_id", "session_id"] if counting.placed else []),
    ]
    return emergent_events(clinic, counting).filter(~nw.col(KIND).is_null()).select(columns)


def emergent_events(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Return all treatment-emergent events; those of no kind that was asked for have a null ``event_kind``.

    Where events are not ascribed to sessions, they have the groups of their courses (``_group_0 …``).
    """
    events = _classified(clinic, counting).filter(nw.col("why") == "").drop("why")
    if not counting.placed:
        return events
    return clinic.derive(f"placed_events:{counting.what}", lambda: _placed(events, clinic))


def _classified(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Return all events with the reason why one is not counted (``why``, empty where it is), computed once."""
    by = () if counting.placed else counting.by
    return clinic.derive(
        f"classified_events:{by}:{counting.what}",
        lambda: _classify(clinic, counting, exposed_courses(clinic, by).drop("asked")),
    )


def _classify(clinic: Dataset, counting: Counting, courses: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    onset = nw.col("onset")
    placed = ("event_id", "session_id") if counting.placed else ()
    events = _with_kind(clinic.lazy("adverse_events"), clinic, counting)
    grades = ("_class", "_grade") if counting.graded else ()
    if counting.graded:
        events = _with_class(events, clinic, "_class")
        events = events.with_columns(nw.coalesce("severity", nw.lit(NOT_RECORDED)).alias("_grade"))
    events = events.select("course_id", KIND, *placed, *grades, onset=day_number(nw.col("onset_date")))
    events = events.join(courses, on="course_id", how="left")
    days = counting.follow_up_days
    why = (
        nw.when(nw.col("patient_id").is_null())
        .then(nw.lit(_UNTREATED))
        .when(onset > cutoff_day(clinic))
        .then(nw.lit("onset after the data cut"))
        .when(onset < nw.col("first_day"))
        .then(nw.lit("onset before the first attended session"))
        .when(onset > nw.col("last_day") + days)
        .then(nw.lit(f"onset more than {days} days after the last attended session"))
        .otherwise(nw.lit(""))
    )
    return events.with_columns(why=why).drop("first_day", "last_day")


def _with_kind(events: nw.LazyFrame[Any], clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Add the kind of each event: null where it is not of those asked for."""
    if counting.of == "class":
        events = _with_class(events, clinic, KIND)
    elif counting.of in {"any", "serious", "related", "fatal"}:
        asked = {
            "any": nw.lit(value=True),
            "serious": nw.col("serious") == "yes",
            "related": nw.col("related").is_in(_RELATED),
            "fatal": (nw.coalesce("severity", nw.lit("")) == "fatal")
            | (nw.coalesce("outcome", nw.lit("")) == "fatal"),
        }
        events = events.with_columns(nw.when(asked[counting.of]).then(nw.lit(counting.of)).alias(KIND))
    else:
        missing = UNCODED if counting.of == "term" else NOT_RECORDED
        events = events.with_columns(nw.col(counting.of).cast(nw.String).fill_null(missing).alias(KIND))
    if counting.only is None:
        return events
    return events.with_columns(nw.when(nw.col(KIND) == counting.only).then(nw.col(KIND)).alias(KIND))


def _with_class(events: nw.LazyFrame[Any], clinic: Dataset, name: str) -> nw.LazyFrame[Any]:
    """Add the class under a name: from the vocabulary, else from the data's own column ``term_class``."""
    terms = clinic.vocabulary.adverse_events
    table = pd.DataFrame(
        {"term": [*terms], name: [entry.term_class for entry in terms.values()]}, dtype="str"
    )
    events = events.join(clinic.engine.small(table, events), on="term", how="left")
    own = [nw.col("term_class")] if "term_class" in clinic.columns("adverse_events") else []
    return events.with_columns(nw.coalesce(nw.col(name), *own, nw.lit(UNCODED)).alias(name))


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
    """Count the events, of the kinds asked for, that no rate counts, by reason."""
    asked = _classified(clinic, counting).filter(~nw.col(KIND).is_null())
    reasons = _counts(asked.filter(nw.col("why") != "").group_by("why").agg(n_events=nw.len()))
    if _UNTREATED in reasons:
        orphans = asked.filter(nw.col("why") == _UNTREATED).join(
            clinic.lazy("courses").select("course_id"), on="course_id", how="anti"
        )
        unknown = _length(orphans)
        reasons |= {"no such course": unknown, _UNTREATED: reasons[_UNTREATED] - unknown}
    if counting.placed:
        held = attended_sessions(clinic).select("session_id")
        lost = counted_events(clinic, counting).join(held, on="session_id", how="anti")
        reasons["no attended session to ascribe it to"] = _length(lost)
    return {why: n for why, n in sorted(reasons.items()) if n}


def _counts(frame: nw.LazyFrame[Any]) -> dict[str, int]:
    counts = collect(frame)
    return dict(zip(counts["why"], counts["n_events"].astype(int), strict=True))


def _length(frame: nw.LazyFrame[Any]) -> int:
    return int(collect(frame.select(n_events=nw.len()))["n_events"].iloc[0])


def kinds(clinic: Dataset, found: Sequence[str], counting: Counting) -> list[str]:
    """Return the kinds of event that get a row: those of the vocabulary, where it is closed, and those found."""
    if not counting.kind_column:
        return [counting.of]
    if counting.only is not None:
        return [counting.only]
    return list(dict.fromkeys([*_vocabulary_kinds(clinic, counting.of), *sorted(found)]))


def _vocabulary_kinds(clinic: Dataset, of: str) -> list[str]:
    terms = clinic.vocabulary.adverse_events
    if of == "severity":
        return [*SEVERITIES]
    if of not in {"term", "class"} or "adverse_events" in clinic.vocabulary.open:
        return []
    return [*terms] if of == "term" else [entry.term_class for entry in terms.values()]
