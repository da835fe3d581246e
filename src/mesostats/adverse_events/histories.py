"""Each treated patient's time to the first side effect, or to the end of observation, reduced to counts on the engine.

The unit is a patient within a group. Day 1 is the day of the first attended session of the patient's first course in the
group. Observation ends with the emergent window of the last course: as completed or dropped out where that was over by the
data cut, and the course had ended; else as censored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.adverse_events.counted import KIND, counting_of, emergent_events, exposed_courses, kinds
from mesostats.adverse_events.counts import exposed_units
from mesostats.engine import collect
from mesostats.populations import POPULATIONS, labels
from mesostats.results import ALL_GROUPS
from mesostats.schedule import course_timeline, cutoff_day

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mesostats.adverse_events.counted import Counting
    from mesostats.dataset import Dataset

Scenario = Literal["main", "lower", "upper"]
"""A patient whose event has no known onset is left out, counted as free of it, or as having had it on day 1."""

CENSORED: Final = 0
EVENT: Final = 1
ENDS: Final = {"event": EVENT, "completed": 2, "dropped_out": 3}
"""How a patient's time ended, and the code of each end."""
_TABLES: Final = ("patients", "courses")
UNDATED: Final = "event of unknown onset"
NOT_ASKED: Final = "nobody asked about side effects"

RULES: Final = (
    "Day 1 is the day of the patient's first attended session in the group; an event on that day has time 1.",
    "Observation ends with the emergent window of the patient's last course in the group, or at the data cut.",
    "A patient whose window was over by the cut ended as completed or dropped out; one still observed, or of a course without an end, is censored.",
    "A patient with several courses in a group is at risk from the first to the last, also between their windows.",
    "Patients where nobody asked about side effects are left out (n_missing).",
)


def patient_counting(
    clinic: Dataset,
    by: str | Sequence[str] | None,
    of: str,
    only: str | None,
    follow_up_days: int,
    *,
    per: Literal["patient", "session"] = "patient",
) -> Counting:
    """Return what is counted, with groups of patients and courses only.

    Raises
    ------
    DataError
        If the table adverse_events is absent.
    ValueError
        As `counting_of`, and if a grouping column belongs to sessions or products.
    """
    counting = counting_of(clinic, by, of, per=per, follow_up_days=follow_up_days, only=only)
    if counting.sessionwise:
        tables = {column: clinic.table_of(column) for column in counting.by}
        foreign = ", ".join(
            f"'{column}' of {table}" for column, table in tables.items() if table not in _TABLES
        )
        msg = f"times are followed a patient: group by columns of patients and courses, found {foreign}"
        raise ValueError(msg)
    return counting


def followed_patients(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Return one row a group and treated patient, computed once.

    Returns
    -------
    nw.LazyFrame
        ``_group_0 …, patient_id, first`` (day 1, in days since 1970-01-01), ``time`` (the last day observed),
        ``end`` (0 censored, else a code of `ENDS`) and ``known`` (1 where somebody asked about side effects).
    """

    def build() -> nw.LazyFrame[Any]:
        keys = [*counting.keys, "patient_id"]
        state = nw.col("state")
        ended = nw.when(state == "completed").then(nw.lit(2)).when(state == "dropped_out").then(nw.lit(3))
        states = course_timeline(clinic).select("course_id", own=ended.otherwise(nw.lit(4)))
        courses = exposed_courses(clinic, counting.by).join(states, on="course_id", how="inner")
        spans = courses.group_by(keys).agg(first=nw.col("first_day").min(), last_day=nw.col("last_day").max())
        # Of several courses that ended on one day, one that goes on counts first, then one that was given up.
        last = courses.group_by(*keys, "last_day").agg(own=nw.col("own").max())
        stop, cut = nw.col("last_day") + counting.follow_up_days, nw.lit(cutoff_day(clinic))
        over = (stop <= cut) & (nw.col("own") < max(ENDS.values()) + 1)
        known = exposed_units(clinic, replace(counting, per="patient")).select(*keys, "known")
        joined = spans.join(last, on=[*keys, "last_day"], how="inner").join(known, on=keys, how="inner")
        return joined.select(
            *keys,
            "first",
            time=(nw.min_horizontal(stop, cut) - nw.col("first") + 1).cast(nw.Int64),
            end=nw.when(over).then(nw.col("own")).otherwise(nw.lit(CENSORED)),
            known=nw.col("known"),
        )

    return clinic.derive(f"followed_patients:{counting.by}:{counting.follow_up_days}", build)


def first_events(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Return one row a group, patient and kind with a counted event.

    Returns
    -------
    nw.LazyFrame
        ``_group_0 …, patient_id, event_kind, onset`` (the first known one, since 1970-01-01; null where none is) and
        ``undated`` (1 where an onset is unknown).
    """
    events = emergent_events(clinic, counting).filter(~nw.col(KIND).is_null())
    undated = nw.when(nw.col("onset").is_null()).then(nw.lit(1)).otherwise(nw.lit(0))
    found = events.with_columns(undated=undated).group_by(*counting.keys, "patient_id", KIND)
    return found.agg(nw.col("onset").min(), nw.col("undated").max())


@dataclass(frozen=True, eq=False)
class Cell:
    """The times of one group and kind of event, as counts.

    Parameters
    ----------
    names
        The value of each grouping column and of the column of kinds.
    followed
        Patients by the day and the way in which observation ended, whether they had the event or not: ``time, end, persons``.
    removed
        Of these, the patients with the event: ``time, end, dated, persons``; ``dated`` is 1 where an onset is known.
    events
        Patients with a dated event by the time of the first: ``time, undated, persons``; ``undated`` is 1 where another onset
        is unknown, and might have come before.
    not_asked
        Patients where nobody asked.
    """

    names: dict[str, str]
    followed: pd.DataFrame
    removed: pd.DataFrame
    events: pd.DataFrame
    not_asked: int

    @property
    def undated(self) -> int:
        """Patients with the event, of whom no onset is known."""
        return int(self.removed.loc[self.removed["dated"] == 0, "persons"].sum())

    @property
    def unsure(self) -> bool:
        """Whether any patient's event might have come earlier than is known."""
        return self.undated > 0 or bool((self.events["undated"] == 1).any())

    def table(self, scenario: Scenario = "main") -> pd.DataFrame:
        """Return how many patients' times ended when and how: ``time, end, persons``, those of `aalen_johansen`."""
        removed, events = self.removed, self.events.assign(end=EVENT)
        if scenario == "lower":
            removed = removed[removed["dated"] == 1]
        if scenario == "upper":
            first_day = pd.DataFrame({"time": [1], "end": [EVENT], "persons": [self.undated]})
            events = pd.concat(
                [events.assign(time=events["time"].mask(events["undated"] == 1, 1)), first_day]
            )
        taken = removed.assign(persons=-removed["persons"])
        parts = [frame[["time", "end", "persons"]] for frame in (self.followed, taken, events)]
        summed = pd.concat(parts).groupby(["time", "end"], as_index=False)["persons"].sum()
        left: pd.DataFrame = summed[summed["persons"] > 0]
        return left.astype("int64").reset_index(drop=True)


def histories(clinic: Dataset, counting: Counting) -> list[Cell]:
    """Return the times of all groups and kinds; kinds without an event too."""
    keys = [*counting.keys]
    patients = followed_patients(clinic, counting)
    followed = collect(patients.group_by(*keys, "time", "end", "known").agg(persons=nw.len()))
    hit = first_events(clinic, counting).join(patients, on=[*keys, "patient_id"], how="inner")
    dated = nw.when(nw.col("onset").is_null()).then(nw.lit(0)).otherwise(nw.lit(1))
    hit = clinic.engine.materialise(hit.with_columns(dated=dated, day=nw.col("onset") - nw.col("first") + 1))
    removed = collect(hit.group_by(*keys, KIND, "time", "end", "dated").agg(persons=nw.len()))
    dated_hits = hit.filter(nw.col("dated") == 1).group_by(*keys, KIND, "day", "undated")
    events = collect(dated_hits.agg(persons=nw.len())).rename(columns={"day": "time"})
    names = kinds(clinic, [*removed[KIND].unique()], counting)
    return [*_cells(followed, removed, events, names, counting)]


def _cells(
    followed: pd.DataFrame, removed: pd.DataFrame, events: pd.DataFrame, names: list[str], counting: Counting
) -> Iterator[Cell]:
    """Cut the counts into cells."""
    keys = [*counting.keys]
    groups = followed[keys].drop_duplicates().sort_values(keys) if keys else pd.DataFrame(index=[0])
    cut = [_by_values(frame, [*keys, KIND]) for frame in (removed, events)]
    whole = _by_values(followed, keys)
    for group in groups.itertuples(index=False, name=None):
        own = whole.get(group, followed.iloc[:0])
        known = own[own["known"] == 1]
        for kind in names:
            lost = cut[0].get((*group, kind), removed.iloc[:0])
            came = cut[1].get((*group, kind), events.iloc[:0])
            named = dict(zip(counting.by, group, strict=True)) | dict.fromkeys(counting.kind_column, kind)
            yield Cell(named, known, lost, came, int(own.loc[own["known"] == 0, "persons"].sum()))


def _by_values(frame: pd.DataFrame, columns: list[str]) -> dict[tuple[Any, ...], pd.DataFrame]:
    """Return the parts of a frame by their values."""
    if not columns:
        return {(): frame}
    return dict(iter(frame.groupby(columns, sort=False)))


def patient_rows(
    clinic: Dataset, counting: Counting, cell: Mapping[str, Any], scenario: Scenario = "main"
) -> pd.DataFrame:
    """Return one row a patient behind a cell: ``patient_id``, its groups, ``time, end`` (in words), ``excluded`` (why).

    Where the cell names no kind, the first event of any of the kinds counts.
    """
    keys = [*counting.keys, "patient_id"]
    patients, found = (
        of_cell(frame, counting, cell)
        for frame in (followed_patients(clinic, counting), first_events(clinic, counting))
    )
    found = found.group_by(keys).agg(nw.col("onset").min(), nw.col("undated").max())
    rows = collect(patients.join(found, on=keys, how="left"))
    undated, day = rows["undated"].eq(1), (rows["onset"] - rows["first"] + 1).astype(float)
    if scenario == "upper":
        day = day.mask(undated, 1.0)
    had = day.notna()
    lost = undated & ~had & (scenario == "main")
    names = {code: name for name, code in ENDS.items()} | {CENSORED: "censored"}
    rows = rows.assign(
        time=day.where(had, rows["time"]),
        end=rows["end"].map(names).mask(had, "event").astype("str"),
        excluded=np.select([rows["known"] == 0, lost], [NOT_ASKED, UNDATED], default=""),
    )
    columns = ["patient_id", *counting.keys, "time", "end", "excluded"]
    # Groups get their own names last: these may be those of columns used above.
    ordered = rows[columns].sort_values(keys, ignore_index=True)
    return ordered.rename(columns=dict(zip(counting.keys, counting.by, strict=True)))


def of_cell(frame: nw.LazyFrame[Any], counting: Counting, cell: Mapping[str, Any]) -> nw.LazyFrame[Any]:
    """Keep the rows of the groups and the kind that a cell names; a test across groups has those of all."""
    for key, column in zip(counting.keys, counting.by, strict=True):
        if cell.get(column, ALL_GROUPS) != ALL_GROUPS:
            frame = frame.filter(nw.col(key) == cell[column])
    if KIND in frame.collect_schema().names():
        for column in counting.kind_column:
            if column in cell:
                frame = frame.filter(nw.col(KIND) == cell[column])
    return frame


def with_person(frame: nw.LazyFrame[Any], keys: Sequence[str]) -> nw.LazyFrame[Any]:
    """Add ``person``, a number for each patient within the group, which takes less memory than an id."""
    patients = frame.select(*keys, "patient_id").unique()
    numbers = patients.with_row_index("person", order_by=[*keys, "patient_id"])
    return frame.join(numbers, on=[*keys, "patient_id"], how="inner")


def history_spec(
    clinic: Dataset, counting: Counting, analysis: str, title: str, arguments: dict[str, Any]
) -> dict[str, Any]:
    """Return what the specifications of all analyses of event times share."""
    asked = {"by": list(counting.by), "of": counting.of, "only": counting.only}
    return {
        "analysis": analysis,
        "title": title,
        "arguments": asked | {"follow_up_days": counting.follow_up_days} | arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {
            "patients": "patients with at least one attended session by the data cut",
            "courses": POPULATIONS["treated"],
        },
        "labels": labels(clinic, [*counting.by, *counting.kind_column]),
    }
