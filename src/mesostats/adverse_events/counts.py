"""Reduce adverse events and the exposed population to counts, on the engine.

Each *unit* (a patient, a course, an attended session, a patient's time) is in the population once a group; each *hit* is a unit with
events of one kind. The sums over patients that clustered intervals need are built so that units without a hit never meet
event rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw

from mesostats.adverse_events.counted import (
    KIND,
    SEVERITIES,
    Counting,
    emergent_events,
    exposed_courses,
    exposed_sessions,
)
from mesostats.adverse_events.time_at_risk import DAYS_A_MONTH, exposure_pieces, exposure_size
from mesostats.engine import collect
from mesostats.populations import NOT_RECORDED, cluster_sums

if TYPE_CHECKING:
    import pandas as pd

    from mesostats.dataset import Dataset

_SCENARIOS: Final = ("main", "lower", "upper")


def exposed_units(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Return the population: one row a group and unit.

    Returns
    -------
    nw.LazyFrame
        ``_group_0 …``, the unit's ids, ``asked`` (1 where somebody asked about side effects), ``size`` (1; months at
        risk where the unit is a patient's time), ``known`` (asked, or with a recorded event of any kind; where nobody
        ever recorded having asked, all are known) and ``unknown``.
    """
    keys = [*counting.keys, *counting.unit]
    if counting.per == "session":
        units = exposed_sessions(clinic, counting).select(*keys, "asked")
    else:
        members = (
            exposed_sessions(clinic, counting)
            if counting.sessionwise
            else exposed_courses(clinic, counting.by)
        )
        units = members.group_by(keys).agg(nw.col("asked").max())
    size = nw.lit(1.0).alias("size")
    if counting.per == "patient_month":
        units, size = units.join(exposure_size(clinic, counting), on=keys, how="inner"), nw.col("size")
    units = clinic.engine.materialise(units.select(*keys, "asked", size))
    # Only where nobody asked does it matter whether an event was recorded all the same.
    heard = _heard(clinic, units.filter(nw.col("asked") == 0).select(keys), counting)
    units = units.join(heard, on=keys, how="left")
    unused = int(collect(units.select(asked=nw.col("asked").sum()))["asked"].fillna(0).iloc[0]) == 0
    known = (nw.col("asked") > 0) | ~nw.col("heard").is_null()
    return units.with_columns(
        known=nw.lit(1) if unused else nw.when(known).then(nw.lit(1)).otherwise(nw.lit(0)),
        unknown=nw.when(known).then(nw.lit(0)).otherwise(nw.lit(1)),
    ).drop("heard")


def _heard(clinic: Dataset, unasked: nw.LazyFrame[Any], counting: Counting) -> nw.LazyFrame[Any]:
    """Return those of the units that have an emergent event of any kind: they were asked, or spoke up."""
    keys = [*counting.keys, *counting.unit]
    joined = _with_units(clinic, emergent_events(clinic, counting), counting).join(
        unasked, on=keys, how="inner"
    )
    return clinic.engine.materialise(joined.group_by(keys).agg(heard=nw.len()))


def _with_units(clinic: Dataset, events: nw.LazyFrame[Any], counting: Counting) -> nw.LazyFrame[Any]:
    """Bring events to the units that they count for."""
    columns = [*counting.keys, *counting.unit, "onset", KIND]
    if not counting.placed:
        return events.select(columns)
    # The session's patient, not the event's: they differ only where validation found a defect.
    events = events.select("session_id", "onset", KIND)
    return events.join(exposed_sessions(clinic, counting), on="session_id", how="inner").select(columns)


def hits(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Return one row a group, unit and kind with at least one event.

    Returns
    -------
    nw.LazyFrame
        ``_group_0 …``, the unit's ids, ``event_kind``, ``events`` (how many) and ``lost`` (months at risk after the first
        event, which a rate of first events leaves out; else 0).
    """
    keys = [*counting.keys, *counting.unit]
    asked = emergent_events(clinic, counting).filter(~nw.col(KIND).is_null())
    found = _with_units(clinic, asked, counting).group_by(*keys, KIND)
    counted = found.agg(nw.len().alias("events"), nw.col("onset").min().alias("first"))
    if (counting.of, counting.events) == ("severity", "first"):
        counted = _at_worst(counted, keys)
    if (counting.per, counting.events) != ("patient_month", "first"):
        return counted.drop("first").with_columns(lost=nw.lit(0.0))
    return _with_lost_time(clinic, counted, counting)


def _with_lost_time(clinic: Dataset, counted: nw.LazyFrame[Any], counting: Counting) -> nw.LazyFrame[Any]:
    """Add the months at risk after the day of the first event; none where its onset is unknown."""
    keys = [*counting.keys, "patient_id"]
    joined = counted.join(exposure_pieces(clinic, counting), on=keys, how="left")
    after = nw.col("stop") - nw.max_horizontal(nw.col("start"), nw.col("first") + 1) + 1
    after = nw.when(nw.col("first").is_null() | (after < 0)).then(nw.lit(0)).otherwise(after)
    summed = joined.with_columns(after=after.cast(nw.Float64)).group_by(*keys, KIND)
    return summed.agg(nw.col("events").max(), (nw.col("after").sum() / DAYS_A_MONTH).alias("lost"))


def _at_worst(found: nw.LazyFrame[Any], keys: list[str]) -> nw.LazyFrame[Any]:
    """Keep each unit at its worst severity; one whose severities are not recorded stays as such."""
    order = {NOT_RECORDED: 0} | {severity: place for place, severity in enumerate(SEVERITIES, start=2)}
    rank = nw.lit(1)  # of a grade that is in no vocabulary, which validation reports
    for severity, place in order.items():
        rank = nw.when(nw.col(KIND) == severity).then(nw.lit(place)).otherwise(rank)
    ranked = found.with_columns(rank=rank).with_columns(worst=nw.col("rank").max().over(keys))
    return ranked.filter(nw.col("rank") == nw.col("worst")).drop("rank", "worst")


def count_groups(units: nw.LazyFrame[Any], counting: Counting) -> pd.DataFrame:
    """Return one row a group (``_group_0 …``): ``asked, unknown`` (units) and, a scenario, the sums over patients before any hit.

    The scenarios count the units where nobody asked not at all (main), as free of events (lower), as with one (upper; a first event on the first day at risk).
    """
    patients = _patients(units, counting)
    sums = [nw.col("asked").sum(), nw.col("unknown").sum()]
    for scenario in _SCENARIOS:
        trials, assumed = _scenario(scenario, counting)
        sums += cluster_sums(trials, assumed, scenario)
    if not counting.by:
        return collect(patients.select(sums)).fillna(0)
    counts = collect(patients.group_by(*counting.keys).agg(sums))
    return counts.sort_values([*counting.keys], ignore_index=True)


def count_cells(units: nw.LazyFrame[Any], found: nw.LazyFrame[Any], counting: Counting) -> pd.DataFrame:
    """Return one row a group (``_group_0 …``) and kind with a hit: what its hits add to the sums of `count_groups`, a scenario."""
    keys = [*counting.keys, "patient_id"]
    number = nw.lit(1.0) if counting.events == "first" else nw.col("events").cast(nw.Float64)
    patients = found.with_columns(hits=number)
    if counting.clustered:
        patients = patients.group_by(*keys, KIND).agg(nw.col("hits", "lost").sum())
    if counting.per == "patient":
        # A patient is one unit of the group, and one with an event is known: no need to look the units up.
        joined = patients.with_columns(known=nw.lit(1.0), units=nw.lit(1.0), unknown=nw.lit(0.0))
    else:
        joined = patients.join(_patients(units, counting), on=keys, how="inner")
    sums = []
    for scenario in _SCENARIOS:
        trials, assumed = _scenario(scenario, counting)
        left, events = trials - nw.col("lost"), assumed + nw.col("hits")
        # An event before its session, a defect of the data, leaves no time at risk.
        per_trial = nw.when(left > 0).then(events**2 / left).otherwise(nw.lit(0.0))
        terms = {
            "trials": left - trials,
            "successes": nw.col("hits"),
            "trials_squared": left**2 - trials**2,
            "successes_squared": events**2 - assumed**2,
            "product": left * events - trials * assumed,
            "successes_squared_per_trial": per_trial - assumed**2 / trials,
        }
        sums += [expression.sum().alias(f"{scenario}_{name}_added") for name, expression in terms.items()]
    return collect(joined.group_by(*counting.keys, KIND).agg(sums))


def _patients(units: nw.LazyFrame[Any], counting: Counting) -> nw.LazyFrame[Any]:
    """Return one row a group and patient: the sizes of its units, and how many are unknown."""
    sizes = units.select(
        *counting.keys,
        "patient_id",
        "asked",
        nw.col("unknown").cast(nw.Float64),
        (nw.col("known") * nw.col("size")).alias("known"),
        nw.col("size").alias("units"),
    )
    if not counting.clustered:
        return sizes
    return sizes.group_by(*counting.keys, "patient_id").agg(
        nw.col("asked", "unknown", "known", "units").sum()
    )


def _scenario(scenario: str, counting: Counting) -> tuple[nw.Expr, nw.Expr]:
    """Return a patient's size of units that count in a scenario, and of events assumed for those not asked."""
    none = nw.col("units") * 0.0
    if scenario == "main":
        return nw.col("known"), none
    if (scenario, counting.per, counting.events) == ("upper", "patient_month", "first"):
        # At the worst the first event came on the first day, and ended the time at risk.
        doubtful = nw.col("unknown") / DAYS_A_MONTH
        return nw.when(nw.col("unknown") > 0).then(doubtful).otherwise(nw.col("known")), nw.col("unknown")
    return nw.col("units"), nw.col("unknown") if scenario == "upper" else none
