"""Units mixed up: values that are usual once they are read in another unit. Nothing is ever converted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw

from mesostats.engine import ROW, collect
from mesostats.schemas import table_schema
from mesostats.validation.findings import look, marks
from mesostats.validation.keys import one_a_key
from mesostats.validation.tables import checked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesostats.dataset import Dataset
    from mesostats.schemas import ColumnFactor
    from mesostats.validation.findings import Finding
    from mesostats.vocabulary import UnitFactor

_NEAREST: Final = 0.5
"""Share of the factor, on the log scale, by which a converted value may miss the usual one: half means that it is nearer
to the usual value converted than as it stands."""
_NEAR: Final = 0.3
"""The same for instruments, whose values spread less within a course or an area than the factor."""
_ENOUGH: Final = 5
"""Values of an area from which its median counts as usual."""


def check_units(clinic: Dataset, table: str) -> Iterator[Finding]:
    """Look for values in another unit.

    Parameters
    ----------
    clinic
        The clinic.
    table
        One of its tables.

    Yields
    ------
    Finding
        ``unit_of_column`` and ``unit_of_instrument``; the factors stand in the table's contract and in the vocabulary.
    """
    for column, mix_up in table_schema(table).unit_factors.items():
        rows = _odd_in_column(clinic, table, column, mix_up)
        yield from look("unit_of_column", table, column, rows, values=_named(mix_up))
    if table == "outcomes":
        used = collect(checked(clinic, table).select("instrument").unique())["instrument"]
        for instrument in (each for each in clinic.vocabulary.instruments.values() if each.code in set(used)):
            for factor in instrument.unit_factors:
                rows = _odd_in_instrument(clinic, instrument.code, factor)
                yield from look("unit_of_instrument", table, "value", rows, values=_named(factor))


def _named(mix_up: ColumnFactor | UnitFactor) -> dict[str, str]:
    return {"factor": f"{mix_up.factor:g}", "unit": mix_up.unit}


def _fits(usual: nw.Expr, factor: float, closeness: float) -> nw.Expr:
    """Return whether the value is near the usual one after conversion; as it stands it then is not."""
    spread = float(max(factor, 1 / factor) ** closeness)
    converted = nw.col("value") * factor
    return (converted >= usual / spread) & (converted <= usual * spread)


def _odd_in_column(clinic: Dataset, table: str, column: str, mix_up: ColumnFactor) -> nw.LazyFrame[Any]:
    """Compare with the median of the rows that are alike (sessions of one technique, say)."""
    frame = checked(clinic, table).filter(~nw.col(column).is_null())
    alike = frame.with_columns(value=nw.col(column), alike=nw.col(mix_up.within).fill_null(""))
    usual = alike.group_by("alike").agg(usual=nw.col("value").median())
    odd = alike.join(usual, on="alike").filter(_fits(nw.col("usual"), mix_up.factor, _NEAREST))
    reading = (nw.col("value") * mix_up.factor).alias("reading")
    return odd.select(*marks(table_schema(table).key), "value", "usual", reading)


def _odd_in_instrument(clinic: Dataset, code: str, mix_up: UnitFactor) -> nw.LazyFrame[Any]:
    frame = checked(clinic, "outcomes").filter(nw.col("instrument") == code, ~nw.col("value").is_null())
    compared = _between(frame, mix_up) if mix_up.treatment_explains else _beside(clinic, frame, mix_up)
    reading = (nw.col("value") * mix_up.factor).alias("reading")
    return compared.select(*marks("outcome_id"), "value", "usual", reading)


def _between(frame: nw.LazyFrame[Any], mix_up: UnitFactor) -> nw.LazyFrame[Any]:
    """Keep values that depart from the one before and the one after."""
    order = ["date", ROW]
    dated = frame.filter(~nw.col("date").is_null()).with_columns(
        usual=nw.col("value").shift(1).over("course_id", order_by=order),
        after=nw.col("value").shift(-1).over("course_id", order_by=order),
    )
    fits = [_fits(nw.col(name), mix_up.factor, _NEAR) for name in ("usual", "after")]
    return dated.filter(*fits)


def _beside(clinic: Dataset, frame: nw.LazyFrame[Any], mix_up: UnitFactor) -> nw.LazyFrame[Any]:
    """Keep values that depart from the course's largest one, or from the median of the area."""
    value = nw.col("value")
    courses = one_a_key(clinic, "courses").select("course_id", "area")
    located = frame.join(courses, on="course_id", how="left")
    of_course = located.group_by("course_id").agg(
        own=value.max() if mix_up.factor > 1 else value.min(),
    )
    of_area = (
        located.filter(~nw.col("area").is_null()).group_by("area").agg(common=value.median(), n=nw.len())
    )
    compared = located.join(of_course, on="course_id", how="left").join(
        of_area.filter(nw.col("n") >= _ENOUGH), on="area", how="left"
    )
    beside = _fits(nw.col("own"), mix_up.factor, _NEAR).fill_null(value=False)
    common = _fits(nw.col("common"), mix_up.factor, _NEAR).fill_null(value=False)
    usual = nw.when(beside).then(nw.col("own")).otherwise(nw.col("common"))
    return compared.filter(beside | common).with_columns(usual=usual)
