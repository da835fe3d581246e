"""Exposures and outcomes of sessions, courses or patients, reduced on the engine to patterns that a model can take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import narwhals as nw

from mesostats.adverse_events.counted import counting_of
from mesostats.adverse_events.counts import exposed_units, hits
from mesostats.engine import collect
from mesostats.populations import PHASE, UNKNOWN, grouping, with_groups
from mesostats.schemas import table_schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import pandas as pd

    from mesostats.adverse_events.counted import Counting
    from mesostats.dataset import Dataset

_TABLES: Final = {
    "session": ("sessions", "courses", "patients"),
    "course": ("courses", "patients"),
    "patient": ("patients",),
}
ALONE: Final = ("any", "serious", "related", "fatal")
"""Kinds of event that are one outcome."""
_MANY: Final = 20
HIT, EXPOSED, WHY, LACKS, NUMBER, ASKED = "_hit", "_exposed", "_why", "_lacks", "_number", "_asked"
"""Columns of the reduction: outcome, exposure, why a unit is left out (of all, of the adjusted), how many alike, asked."""
_UNASKED: Final = "nobody asked about side effects"


@dataclass(frozen=True)
class Question:
    """Which outcome, by which exposure, adjusted for which covariates, of which some are numbers."""

    counting: Counting
    exposure: str
    covariates: tuple[str, ...]
    numbers: tuple[str, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The covariates that are compared level by level."""
        return tuple(column for column in self.covariates if column not in self.numbers)

    @property
    def names(self) -> dict[str, str]:
        """Each covariate under a name that no column of the data has."""
        return {column: f"_covariate_{place}" for place, column in enumerate(self.covariates)}


def pose(
    clinic: Dataset,
    outcome: str,
    exposure: str,
    adjust: str | Sequence[str],
    *,
    of: str,
    per: str,
    follow_up_days: int,
) -> Question:
    """Check what is asked, and tell covariates that are numbers from the others."""
    if of in ALONE and outcome != of:
        msg = f"of '{of}' is one outcome, '{of}', found '{outcome}'; with of 'term' the outcome is a term"
        raise ValueError(msg)
    only = None if of in ALONE else outcome
    counting = counting_of(clinic, None, of, per=per, follow_up_days=follow_up_days, only=only)
    covariates = grouping(adjust)
    if exposure in covariates:
        msg = f"'{exposure}' is the exposure: it cannot be adjusted for"
        raise ValueError(msg)
    numbers = tuple(column for column in covariates if _is_number(clinic, column, _TABLES[per]))
    return Question(counting, exposure, covariates, numbers)


def _is_number(clinic: Dataset, column: str, tables: tuple[str, ...]) -> bool:
    known = {name for table in tables for name in clinic.columns(table)}
    if column == PHASE and column not in known:
        return False
    frame = clinic.lazy(clinic.table_of(column, among=tables))
    return frame.collect_schema()[column].is_numeric()


def exposed_outcomes(clinic: Dataset, question: Question) -> nw.LazyFrame[Any]:
    """Return one row a unit: its ids, outcome, exposure and covariates, and why it is left out."""
    counting, keys = question.counting, [*question.counting.unit]
    tables = _TABLES[counting.per]
    units = exposed_units(clinic, counting).select(*keys, "known", nw.col("asked").alias(ASKED))
    values = with_groups(
        units.select(keys), clinic, (question.exposure, *question.texts), tables=tables
    ).select(
        *keys,
        nw.col(question.exposure).alias(EXPOSED),
        *(nw.col(column).alias(question.names[column]) for column in question.texts),
    )
    for column in question.numbers:
        table = clinic.table_of(column, among=tables)
        key = str(table_schema(table).key)
        number = nw.col(column).cast(nw.Float64).alias(question.names[column])
        values = values.join(clinic.lazy(table).select(key, number), on=key, how="left")
    found = hits(clinic, counting).select(*keys, "events")
    units = units.join(values, on=keys, how="inner").join(found, on=keys, how="left")
    return units.with_columns(
        nw.when(nw.col("events").is_null()).then(nw.lit(0)).otherwise(nw.lit(1)).alias(HIT),
        _why(question).alias(WHY),
        _lacking(question).alias(LACKS),
    ).drop("known", "events")


def _why(question: Question) -> nw.Expr:
    """Say why a unit is in no denominator; nothing where it is in one."""
    return (
        nw.when(nw.col("known") == 0)
        .then(nw.lit(_UNASKED))
        .when(nw.col(EXPOSED).is_in(UNKNOWN))
        .then(nw.lit(f"{question.exposure} not asked or not recorded"))
        .otherwise(nw.lit(""))
    )


def _lacking(question: Question) -> nw.Expr:
    """Name the first number that keeps a unit from the adjusted estimates; nothing where it has all."""
    lacking = nw.lit("")
    for column in reversed(question.numbers):
        missing = nw.col(question.names[column]).is_null()
        lacking = nw.when(missing).then(nw.lit(f"{column} not recorded")).otherwise(lacking)
    return lacking


def patterns(units: nw.LazyFrame[Any], question: Question) -> pd.DataFrame:
    """Return the units of the denominators, alike ones of a patient as one row with their number."""
    keys = ["patient_id", HIT, EXPOSED, *question.names.values()]
    counted = units.filter(nw.col(WHY) == "").group_by(keys).agg(nw.len().alias(NUMBER))
    rows = collect(counted).sort_values(keys, ignore_index=True)
    if rows[EXPOSED].nunique() > _MANY:
        msg = f"'{question.exposure}' has {rows[EXPOSED].nunique()} values, at most {_MANY} are compared; group them first"
        raise ValueError(msg)
    return rows


def left_out_by_reason(units: nw.LazyFrame[Any]) -> pd.DataFrame:
    """Return how many units each reason keeps from the denominators, by exposure, and of how many were asked."""
    counted = collect(units.group_by(WHY, LACKS, EXPOSED).agg(nw.len().alias(NUMBER), nw.col(ASKED).sum()))
    return counted.sort_values([WHY, LACKS, EXPOSED], ignore_index=True)
