"""Whom a baseline table describes: patients or courses with their groups and what is known of them before treatment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import narwhals as nw

from mesostats.assessments import LAST_OBSERVATION
from mesostats.attendance import attended_sessions
from mesostats.engine import collect
from mesostats.errors import did_you_mean
from mesostats.outcomes.questions import instruments_of, question
from mesostats.populations import treated_courses, with_groups
from mesostats.results import ALL_GROUPS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.dataset import Dataset

Unit = Literal["patient", "course"]

_AGE: Final = "age"
_USUAL: Final[tuple[str, ...]] = (
    _AGE,
    "sex",
    "skin_type",
    "indication",
    "area",
    "protocol",
    "planned_sessions",
)
_TABLES: Final = ("patients", "courses")
_FEW: Final = 10
"""Whole numbers with no more different values are levels of a category: skin types, planned sessions."""


@dataclass(frozen=True)
class Units:
    """One row a unit and group on the engine, with its ids.

    Parameters
    ----------
    frame
        Of a baseline score, ``_value_0_suits`` is 1 where the instrument is for the course's indication.
    groups, values
        Grouping columns and variables, and the columns ``_group_0 …``, ``_value_0 …`` that hold them: any name may be asked for.
    numeric
        The variables that are numbers; the others are categories.
    scores
        The variables that are baseline scores.
    unit
        What a row is.
    """

    frame: nw.LazyFrame[Any]
    groups: dict[str, str]
    values: dict[str, str]
    numeric: tuple[str, ...]
    scores: tuple[str, ...]
    unit: Unit

    def everybody(self) -> nw.LazyFrame[Any]:
        """Return the units of all groups together: a patient once, with the first course."""
        named = self.frame.with_columns(nw.lit(ALL_GROUPS).alias(key) for key in self.groups.values())
        return _first_courses(named, ["patient_id"]) if self.unit == "patient" else named

    def of_variable(self, frame: nw.LazyFrame[Any], name: str) -> nw.LazyFrame[Any]:
        """Return the units to which a variable applies."""
        return frame.filter(nw.col(f"{self.values[name]}_suits") == 1) if name in self.scores else frame


def variables_of(
    clinic: Dataset, columns: Sequence[str], variables: str | Sequence[str] | None
) -> dict[str, str]:
    """Return each variable with where it comes from: a table, the age, or the baselines of an instrument.

    Raises
    ------
    ValueError
        If a variable is not known.
    """
    held = {column: table for table in reversed(_TABLES) for column in clinic.columns(table)}
    sources = dict.fromkeys(instruments_of(clinic, None), "baseline") if "outcomes" in clinic.names else {}
    sources |= {_AGE: _AGE} if clinic.recorded("birth_year") else {}
    sources |= held
    usual = [name for name in _USUAL if name in sources and (name == _AGE or clinic.recorded(name))]
    usual += [name for name, source in sources.items() if source == "baseline"]
    asked = [variables] if isinstance(variables, str) else usual if variables is None else list(variables)
    chosen = dict.fromkeys(name for name in asked if name not in columns)
    for name in chosen:
        if name not in sources:
            msg = f"no variable '{name}' in patients, courses or the baselines of outcomes{did_you_mean(name, sources)}"
            raise ValueError(msg)
    return {name: sources[name] for name in chosen}


def units_of(clinic: Dataset, columns: Sequence[str], chosen: Mapping[str, str], unit: Unit) -> Units:
    """Return the units with their groups and values."""
    groups = {column: f"_group_{place}" for place, column in enumerate(columns)}
    values = {name: f"_value_{place}" for place, name in enumerate(chosen)}
    treated = treated_courses(clinic, ()).select("course_id", "patient_id", "first_day")
    frame = with_groups(treated, clinic, columns).rename(groups)
    if unit == "patient":
        frame = _first_courses(frame, ["patient_id", *groups.values()])
    for table in _TABLES:
        own = [name for name, source in chosen.items() if source == table]
        key = f"{table[:-1]}_id"
        taken = clinic.lazy(table).select(key, **{values[name]: nw.col(name) for name in own})
        frame = frame.join(taken, on=key, how="left") if own else frame
    if _AGE in chosen.values():
        frame = _with_age(frame, clinic, values[_AGE])
    scores = [name for name, source in chosen.items() if source == "baseline"]
    frame = clinic.engine.materialise(_with_baselines(frame, clinic, {name: values[name] for name in scores}))
    return Units(frame, groups, values, _numeric(frame, values, scores), tuple(scores), unit)


def _first_courses(frame: nw.LazyFrame[Any], keys: list[str]) -> nw.LazyFrame[Any]:
    """Return the first course of each patient, or of each patient in each group."""
    return frame.unique(keys, keep="first", order_by=["first_day", "course_id"])


def _with_age(frame: nw.LazyFrame[Any], clinic: Dataset, name: str) -> nw.LazyFrame[Any]:
    """Add the age in the year of the first attended session."""
    first = attended_sessions(clinic).group_by("course_id").agg(_first=nw.col("date").min())
    births = clinic.lazy("patients").select("patient_id", _born="birth_year")
    frame = frame.join(first, on="course_id", how="left").join(births, on="patient_id", how="left")
    age = nw.col("_first").dt.year().cast(nw.Float64) - nw.col("_born")
    return frame.with_columns(age.alias(name)).drop("_first", "_born")


def _with_baselines(frame: nw.LazyFrame[Any], clinic: Dataset, names: Mapping[str, str]) -> nw.LazyFrame[Any]:
    """Add the baseline scores of instruments, each under a name of its own."""
    if not names:
        return frame
    asked = question(clinic, by=None, instrument=[*names], rule=None, endpoint=LAST_OBSERVATION, window=None)
    scored = asked.courses(clinic)
    for instrument, name in names.items():
        own = scored.filter(nw.col("instrument") == instrument)
        own = own.select("course_id", nw.col("baseline").alias(name), nw.lit(1).alias(f"{name}_suits"))
        frame = frame.join(own, on="course_id", how="left")
    return frame


def _numeric(frame: nw.LazyFrame[Any], values: Mapping[str, str], scores: Sequence[str]) -> tuple[str, ...]:
    """Return the variables that are numbers; whole ones with few different values are categories."""
    schema = frame.collect_schema()
    numbers = [name for name, value in values.items() if schema[value].is_numeric()]
    whole = [name for name in numbers if schema[values[name]].is_integer() and name not in scores]
    if not whole:
        return tuple(numbers)
    kinds = collect(frame.select(nw.col(*(values[name] for name in whole)).n_unique())).iloc[0]
    return tuple(name for name in numbers if name not in whole or kinds[values[name]] > _FEW)
