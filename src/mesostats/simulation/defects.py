"""Plant the twelve defects of real exports into a clean clinic, each on a course of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    import numpy as np

    from mesostats.simulation.columns import Streams
    from mesostats.simulation.model import Model

PLANTED_COLUMNS = ("defect", "table", "key", "description")
"""What is said of each planted defect: its number among the twelve, where it is, and what was done."""

_KEYS = {
    "courses": "course_id",
    "sessions": "session_id",
    "outcomes": "outcome_id",
    "adverse_events": "event_id",
}


@dataclass
class _Ground:
    """The tables on which defects are planted, and the courses that already carry one."""

    model: Model
    rng: np.random.Generator
    frames: dict[str, pd.DataFrame]
    used: set[str] = field(default_factory=set)
    planted: list[dict[str, Any]] = field(default_factory=list)

    @property
    def attended(self) -> pd.DataFrame:
        """The sessions that took place."""
        sessions = self.frames["sessions"]
        return sessions[sessions["status"] == "attended"]

    @property
    def later_outcomes(self) -> pd.DataFrame:
        """The assessments after the first one of each course."""
        outcomes = self.frames["outcomes"]
        return outcomes[outcomes["course_id"].duplicated()]

    @property
    def first_sessions(self) -> pd.Series[Any]:
        """The day of the first session of each course."""
        return self.attended.groupby("course_id")["date"].min()

    def read(self, table: str, index: Any, column: str) -> Any:
        """Return one cell."""
        return self.frames[table].loc[index, column]

    def write(self, table: str, index: Any, **cells: Any) -> None:
        """Overwrite cells of one row."""
        for column, value in cells.items():
            self.frames[table].loc[index, column] = value

    def choose(self, candidates: pd.DataFrame) -> Any:
        """Return the index of a candidate on a course without a defect, which from now on counts as having one."""
        free = candidates[~candidates["course_id"].isin(self.used)]
        if free.empty:
            msg = "too few patients to plant every defect on a course of its own; simulate at least 500"
            raise ValueError(msg)
        index: Any = free.index[int(self.rng.integers(len(free)))]
        self.used.add(str(free["course_id"].loc[index]))
        return index

    def note(self, defect: int, table: str, index: Any, *, description: str) -> None:
        """Write down what was planted."""
        key = self.read(table, index, _KEYS[table])
        self.planted.append(dict(zip(PLANTED_COLUMNS, (defect, table, key, description), strict=True)))


def plant_defects(
    tables: Mapping[str, pa.Table], model: Model, streams: Streams
) -> tuple[dict[str, pa.Table], pd.DataFrame]:
    """Plant one of each of the twelve defects.

    Parameters
    ----------
    tables
        A clean clinic.
    model
        Its model.
    streams
        Where chance comes from.

    Returns
    -------
    tuple
        The tables, ``outcomes`` with dates and values as text as in a raw export; and what was planted: ``defect``
        (1 to 12), ``table``, ``key``, ``description``. The ninth has two rows: a text that can be coded and one that cannot.

    Raises
    ------
    ValueError
        If the clinic is too small.
    """
    frames = {name: _frame(tables[name]) for name in _KEYS}
    patients = _frame(tables["patients"]).set_index("patient_id")
    ground = _Ground(model, streams("defects"), frames)
    frames["courses"] = frames["courses"].assign(sex=frames["courses"]["patient_id"].map(patients["sex"]))
    for plant in _PLANTERS:
        plant(ground)
    planted = pd.DataFrame(ground.planted, columns=list(PLANTED_COLUMNS)).sort_values(
        "defect", kind="stable", ignore_index=True
    )
    return dict(tables) | {
        name: _table(frame, tables[name].schema) for name, frame in frames.items()
    }, planted


def _frame(table: pa.Table) -> pd.DataFrame:
    """Return a table as Arrow-backed pandas, with days that can be counted."""
    dates = {each.name: "datetime64[s]" for each in table.schema if pa.types.is_date(each.type)}
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame.astype(dates)


def _table(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Return a frame as a table with the types that it had, except for columns that became text."""
    text = [
        name
        for name in schema.names
        if isinstance(frame[name].dtype, pd.ArrowDtype) and frame[name].dtype.pyarrow_dtype == pa.string()
    ]
    for name in text:
        schema = schema.set(schema.get_field_index(name), pa.field(name, pa.string()))
    return pa.Table.from_pandas(
        frame[schema.names], schema=schema, preserve_index=False
    ).replace_schema_metadata()


def _duplicate(ground: _Ground) -> None:
    index = ground.choose(ground.attended)
    ground.note(1, "sessions", index, description="an exact copy of the row follows it")
    sessions = ground.frames["sessions"]
    ground.frames["sessions"] = pd.concat([sessions, sessions.loc[[index]]]).sort_index(
        kind="stable", ignore_index=True
    )


def _event_before_treatment(ground: _Ground) -> None:
    index = ground.choose(ground.frames["adverse_events"])
    first = ground.first_sessions.loc[ground.read("adverse_events", index, "course_id")]
    ground.write("adverse_events", index, onset_date=first - pd.Timedelta(days=10))
    ground.note(2, "adverse_events", index, description="began ten days before the first session")


def _session_number(ground: _Ground) -> None:
    attended = ground.attended
    size = attended.groupby("course_id")["session_id"].transform("size")
    candidates = attended[(size >= 4) & (attended["session_number"] == 2)]  # noqa: PLR2004 - the second of four or more
    index = ground.choose(candidates)
    number = int(size.loc[index]) + 1
    ground.write("sessions", index, session_number=number)
    ground.note(4, "sessions", index, description=f"the second session is numbered {number}")


def _off_window(ground: _Ground) -> None:
    """Move the last session of an ongoing course, one that nothing else depends on, close to the session before."""
    attended, courses = ground.attended, ground.frames["courses"].set_index("course_id")
    rows = attended[~attended["course_id"].duplicated(keep="last") & (attended["session_number"] > 1)]
    outcomes = ground.frames["outcomes"]["course_id"].value_counts()
    codes = [protocol.code for protocol in ground.model.protocols]
    protocol = (
        rows["course_id"].map(courses["protocol"]).map({code: place for place, code in enumerate(codes)})
    )
    shortest = ground.model.shortest[protocol.astype(int), rows["session_number"].astype(int) - 1]
    index = ground.choose(
        rows[
            (rows["course_id"].map(courses["status"]) == "ongoing")
            & (rows["course_id"].map(outcomes) == 1)
            & ~rows["course_id"].isin(_in_vain(ground)["course_id"])
            & ~rows["session_id"].isin(ground.frames["adverse_events"]["session_id"])
            & (shortest > 3)  # noqa: PLR2004 - two days are then far too soon
        ]
    )
    before = attended["date"].shift().loc[index]
    ground.write("sessions", index, date=before + pd.Timedelta(days=2))
    ground.note(5, "sessions", index, description="two days after the session before")


def _late_baseline(ground: _Ground) -> None:
    outcomes = ground.frames["outcomes"]
    level = {
        each.instrument.code
        for each in ground.model.strata
        if each.instrument.responder is not None and each.instrument.responder.kind == "level"
    }
    first = outcomes["course_id"].map(ground.first_sessions)
    late = first + pd.Timedelta(days=3)
    alone = outcomes.groupby("course_id")["outcome_id"].transform("size") == 1
    known = late <= pd.Timestamp(ground.model.scenario.calendar.cutoff)
    index = ground.choose(outcomes[alone & known & ~outcomes["instrument"].isin(level)])
    ground.write("outcomes", index, date=late.loc[index])
    ground.note(6, "outcomes", index, description="the baseline is three days after the first session")


def _out_of_range(ground: _Ground) -> None:
    index = ground.choose(ground.later_outcomes)
    instrument = ground.model.vocabulary.instruments[ground.read("outcomes", index, "instrument")]
    value = float(instrument.maximum or 0) + 1
    ground.write("outcomes", index, value=value)
    ground.note(7, "outcomes", index, description=f"{value:g} is beyond the range of {instrument.code}")


def _depth_in_cm(ground: _Ground) -> None:
    index, depth = ground.choose(ground.attended), ground.model.scenario.planted.depth_mm
    ground.write("sessions", index, depth_mm=depth)
    ground.note(8, "sessions", index, description=f"depth_mm is {depth:g}: the depth in cm")


def _free_text(ground: _Ground) -> None:
    said = ground.model.scenario.planted
    for verbatim, what in (
        (said.coded_verbatim, "can be coded"),
        (said.uncodable_verbatim, "cannot be coded"),
    ):
        index = ground.choose(ground.frames["adverse_events"])
        ground.write("adverse_events", index, verbatim=verbatim, term=None)
        ground.note(9, "adverse_events", index, description=f"only a text, which {what}")


def _not_asked(ground: _Ground) -> None:
    quiet = ground.attended
    quiet = quiet[~quiet["session_id"].isin(ground.frames["adverse_events"]["session_id"])]
    index = ground.choose(quiet[quiet["adverse_events_asked"] == "yes"])
    ground.write("sessions", index, adverse_events_asked=None)
    ground.note(
        10, "sessions", index, description="adverse_events_asked is empty, and there is no side effect"
    )


def _in_vain(ground: _Ground) -> pd.DataFrame:
    sessions = ground.frames["sessions"]
    return sessions[sessions["status"] != "attended"]


def _dose_without_visit(ground: _Ground) -> None:
    candidates = _in_vain(ground)
    index = ground.choose(candidates[candidates["status"] == "no_show"])
    ground.write("sessions", index, volume_ml=3.0)
    ground.note(11, "sessions", index, description="no show, yet 3 ml are recorded")


def _contraindication(ground: _Ground) -> None:
    courses, planted = ground.frames["courses"], ground.model.scenario.planted
    index = ground.choose(courses[courses["sex"] == planted.contraindication_sex])
    ground.write("courses", index, **{planted.contraindication: "yes"})
    ground.note(12, "courses", index, description=f"treated, yet {planted.contraindication} is yes")


def _ambiguous_date(ground: _Ground) -> None:
    """Write a later assessment's day as 03/04/2024, where that is near; the whole column becomes text."""
    outcomes, said = ground.frames["outcomes"], ground.model.scenario.planted
    later = ground.later_outcomes
    later = later[~later["course_id"].isin(ground.used)]
    off = (later["date"] - pd.Timestamp(said.ambiguous_near)).abs()
    index = ground.choose(later[off == off.min()])
    text = pd.ArrowDtype(pa.string())
    outcomes["date"] = outcomes["date"].dt.strftime("%Y-%m-%d").astype(text)
    outcomes["value"] = outcomes["value"].astype(text)
    ground.write("outcomes", index, date=said.ambiguous_date)
    ground.note(3, "outcomes", index, description=f"the date is written {said.ambiguous_date}")


# The duplicate moves the rows below it, and the ambiguous date makes text of a column: those come last.
_PLANTERS: tuple[Callable[[_Ground], None], ...] = (
    _event_before_treatment,
    _session_number,
    _off_window,
    _late_baseline,
    _out_of_range,
    _depth_in_cm,
    _free_text,
    _not_asked,
    _dose_without_visit,
    _contraindication,
    _duplicate,
    _ambiguous_date,
)
