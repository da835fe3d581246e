"""Tallies of side effects: the exposed population crossed with the kinds of event, as counts that estimators take.

What the analyses of side effects have in common: who is counted, what counts, in words too, and the rows behind a number.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import pandas as pd

from mesostats.adverse_events.counted import KIND, Counting, excluded_events, kinds
from mesostats.adverse_events.counts import count_cells, count_groups, exposed_units, hits
from mesostats.adverse_events.time_at_risk import DAYS_A_MONTH
from mesostats.engine import collect
from mesostats.estimators import ClusterTotals, clustered_proportion, clustered_rate, proportion, rate
from mesostats.estimators.clustering import with_clustering_note
from mesostats.populations import POPULATIONS, labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesostats.dataset import Dataset
    from mesostats.estimators.proportions import ProportionMethod

ESTIMANDS: Final = {
    ("patient", "first"): "incidence_proportion",
    ("patient", "all"): "events_per_patient",
    ("course", "first"): "course_proportion",
    ("course", "all"): "events_per_course",
    ("session", "first"): "session_proportion",
    ("session", "all"): "events_per_session",
    ("patient_month", "first"): "first_events_per_patient_month",
    ("patient_month", "all"): "events_per_patient_month",
}
"""What is estimated of each unit and way to count events."""
_OF: Final = {
    "any": "any side effect",
    "term": "side effects by term",
    "class": "side effects by class",
    "severity": "side effects by severity",
    "serious": "serious side effects",
    "related": "side effects judged related to the treatment",
    "fatal": "fatal side effects",
}
_POPULATION: Final = {
    "patient": "patients with at least one attended session by the data cut",
    "course": POPULATIONS["treated"],
    "session": "attended sessions by the data cut",
    "patient_month": "months from each treated patient's first attended session to the end of the emergent window, or the "
    "data cut; a day that several courses cover counts once",
}


@dataclass(frozen=True)
class Tally:
    """Every group with every kind of event, zeros too.

    Parameters
    ----------
    counting
        What was counted.
    grid
        One row a group (``_group_0 …``) and kind (``event_kind``): ``asked, unknown`` units, and the sums behind `totals`.
    units, found
        The rows behind the sums, on the engine: `counts.exposed_units` and `counts.hits`.
    """

    counting: Counting
    grid: pd.DataFrame
    units: nw.LazyFrame[Any]
    found: nw.LazyFrame[Any]

    @property
    def unused(self) -> bool:
        """Whether no session records that anybody asked: then all units count as asked."""
        return bool(self.grid["asked"].sum() == 0)

    @property
    def scenarios(self) -> tuple[str, ...]:
        """The ways to count the units where nobody asked: not at all, and where there are any as free and as not."""
        return ("main", "lower", "upper") if self.grid["unknown"].sum() > 0 else ("main",)

    def suffix(self, scenario: str) -> str:
        """Return how an estimand of a scenario ends; where events repeat, one event each is no upper bound."""
        if scenario == "main":
            return ""
        return "_one_each" if (scenario, self.counting.events) == ("upper", "all") else f"_{scenario}"

    def keys(self) -> dict[str, pd.Series[Any]]:
        """Return the columns that name the rows of a result: groups and kind."""
        names = zip(self.counting.keys, self.counting.by, strict=True)
        return {column: self.grid[key] for key, column in names} | dict.fromkeys(
            self.counting.kind_column, self.grid[KIND]
        )

    def totals(self, scenario: str = "main") -> ClusterTotals:
        """Return the sums over patients of each row of the grid."""
        nothing = pd.Series(0.0, self.grid.index)
        total = {
            part.name: self.grid[f"{scenario}_{part.name}"]
            + self.grid.get(f"{scenario}_{part.name}_added", nothing)
            for part in fields(ClusterTotals)
        }
        return ClusterTotals(**{name: values.to_numpy(float) for name, values in total.items()})

    def remark(self, scenario: str = "main") -> str:
        """Return how the units where nobody asked were counted, in words; empty where that needs none."""
        units = f"{self.counting.per}s" if self.counting.clustered else "patients"
        if scenario == "lower":
            return f"{units} where nobody asked counted as free of events"
        if scenario == "upper":
            one = "one event each, which is no upper bound" if self.counting.events == "all" else "an event"
            return f"{units} where nobody asked counted as having {one}"
        if self.unused:
            return "no session records that anybody asked about side effects: all count as asked"
        return ""

    def explain(self, cell: Mapping[str, Any]) -> pd.DataFrame:
        """Return one row a unit of the cell's groups, and how many events of the cell's kind it had, or is taken to have had."""
        counting, units, found = self.counting, self.units, self.found
        for key, column in zip(counting.keys, counting.by, strict=True):
            if column in cell:
                units, found = (frame.filter(nw.col(key) == cell[column]) for frame in (units, found))
        for column in counting.kind_column:
            if column in cell:
                found = found.filter(nw.col(KIND) == cell[column])
        keys = [*counting.keys, *counting.unit]
        events = found.group_by(keys).agg(nw.col("events").sum(), nw.col("lost").max())
        rows = collect(units.select(*keys, "known", "unknown", "size").join(events, on=keys, how="left"))
        rows = rows.sort_values(keys, ignore_index=True)
        estimand = str(cell.get("estimand", ""))
        bound = "upper" if estimand.endswith("_one_each") else estimand.rpartition("_")[2]
        counted = rows["known"].eq(1) | (bound in {"lower", "upper"})
        assumed = rows["unknown"].eq(1) & (bound == "upper")
        number = rows["events"].fillna(0).astype(int) + assumed
        months = {}
        if counting.per == "patient_month":
            months["patient_months"] = rows["size"] - rows["lost"].fillna(0.0)
        if (counting.per, counting.events) == ("patient_month", "first"):
            months["patient_months"] = months["patient_months"].mask(assumed, 1 / DAYS_A_MONTH)
        named = rows.drop(columns=["known", "unknown", "size", "lost"]).rename(
            columns=dict(zip(counting.keys, counting.by, strict=True))
        )
        return named.assign(
            **months,
            events=number,
            in_denominator=counted,
            in_numerator=number > 0,
            excluded=pd.Series("", rows.index).mask(~counted, "nobody asked about side effects"),
        )


def tally(clinic: Dataset, counting: Counting) -> Tally:
    """Count the exposed population and its events on the engine."""
    units, found = exposed_units(clinic, counting), hits(clinic, counting)
    groups, cells = count_groups(units, counting), count_cells(units, found, counting)
    # Of a column of the events there may be no kind at all.
    names = pd.DataFrame({KIND: kinds(clinic, list(cells[KIND].unique()), counting)}, dtype="str")
    grid = groups.merge(names, how="cross").merge(cells, on=[*counting.keys, KIND], how="left")
    added = [column for column in cells.columns if column not in {*counting.keys, KIND}]
    grid = grid.assign(**{column: grid[column].astype(float).fillna(0.0) for column in added})
    return Tally(counting, grid, units, found)


def tally_estimates(
    counts: Tally, scenario: str = "main", *, method: ProportionMethod = "wilson", conf_level: float = 0.95
) -> pd.DataFrame:
    """Estimate all cells in one scenario for the units that were not asked; `method` is for proportions of patients."""
    counting, totals = counts.counting, counts.totals(scenario)
    if counting.events == "all":
        found = with_clustering_note(clustered_rate(totals, conf_level=conf_level))
    elif counting.per == "patient_month":
        found = rate(totals.successes, totals.trials, conf_level=conf_level)
    elif counting.clustered:
        found = with_clustering_note(clustered_proportion(totals, conf_level=conf_level))
    else:
        found = proportion(totals.successes, totals.trials, conf_level=conf_level, method=method)
    remark = counts.remark(scenario)
    return found.reset_index(drop=True).assign(
        **counts.keys(),
        estimand=ESTIMANDS[counting.per, counting.events] + counts.suffix(scenario),
        unit=unit_of(counting),
        n_missing=counts.grid["unknown"],
        note=["; ".join(filter(None, (note, remark))) for note in found["note"]],
    )


def unit_of(counting: Counting) -> str:
    """Return what the denominator counts."""
    return f"{counting.per}s".replace("_", "-")


def population_of(counting: Counting) -> str:
    """Return which units the denominator counts, in words."""
    return _POPULATION[counting.per]


def question_of(counting: Counting) -> str:
    """Return which side effects are counted, in words."""
    return _OF.get(counting.of, f"side effects by {counting.of.replace('_', ' ')}")


def count_spec(clinic: Dataset, counting: Counting) -> dict[str, Any]:
    """Return what any result on side effects says of who and what was counted: for `Result.spec`."""
    days = counting.follow_up_days
    rules = [
        f"Treatment-emergent: from the first attended session to {days} days after the last one.",
        "Serious is as recorded, never derived from severity.",
        "Units where nobody asked are left out of the estimate (n_missing).",
    ]
    if counting.placed:
        rules.append(
            "An event without a session is ascribed to the last attended session on or before its onset."
        )
    if counting.per == "patient_month":
        first = counting.events == "first"
        stops = "ends with the day of the first event" if first else "does not end with an event"
        rules.append(f"Time at risk {stops}; a month is 30.4375 days.")
    return {
        "cutoff": clinic.cutoff.isoformat(),
        "population": {unit_of(counting): population_of(counting), "courses": POPULATIONS["treated"]},
        "rules": rules,
        "labels": labels(clinic, [*counting.by, *counting.kind_column]),
        "excluded_events": excluded_events(clinic, counting),
    }
