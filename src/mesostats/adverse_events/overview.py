"""The overview of side effects: one row a question that every safety report answers first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

import narwhals as nw
import pandas as pd

from mesostats.adverse_events.counted import KIND, Counting, counting_of, exposed_courses
from mesostats.adverse_events.tallies import ESTIMANDS, Tally, count_spec, tally, tally_estimates
from mesostats.engine import collect
from mesostats.estimators import proportion
from mesostats.estimators.arguments import check_choice
from mesostats.estimators.proportions import ProportionMethod
from mesostats.results import Result, contract, stack
from mesostats.schedule import course_timeline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.dataset import Dataset

CATEGORY: Final = "category"
CATEGORIES: Final = {
    "any": "Any side effect",
    "related": "Judged related to the treatment",
    "serious": "Serious (as recorded)",
    "severe": "Severe, life-threatening or fatal",
    "fatal": "Fatal (by severity or outcome)",
    "stopped": "Stopped the course because of side effects",
}
"""The rows, in order: those of `adverse_event_rates`, and who stopped (end reason ``adverse_event``)."""
_SEVERE: Final = ("severe", "life_threatening", "fatal")
_STOPPED: Final = "adverse_event"


def adverse_event_overview(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    follow_up_days: int = 60,
    method: ProportionMethod = "wilson",
    conf_level: float = 0.95,
) -> Result:
    """Estimate the shares of patients that a safety report begins with.

    Parameters
    ----------
    clinic
        A data set with adverse events.
    by
        Columns of patients and courses.
    follow_up_days
        An event counts from the day of the course's first attended session to so many days after its last one.
    method
        The interval of the proportion.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        Estimand ``incidence_proportion`` by group and ``category``: patients with any event, with one judged related, with a
        serious one, with one at least severe, with a fatal one, and who stopped a course because of side effects (end
        reason ``adverse_event`` by the data cut). The bounds of those where nobody asked are as of `adverse_event_rates`; whether
        a patient stopped is known of all.

    Raises
    ------
    DataError
        If the table adverse_events is absent.
    ValueError
        If an argument is not as described, or a column of `by` belongs to sessions or products.

    Examples
    --------
    >>> import mesostats as ms
    >>> found = adverse_event_overview(ms.simulate(200, seed=1)).estimates
    >>> found.query("estimand == 'incidence_proportion'")["category"].tolist()
    ['any', 'related', 'serious', 'severe', 'fatal', 'stopped']
    """
    check_choice(method, get_args(ProportionMethod), "method")
    tallies = {
        of: tally(clinic, counting_of(clinic, by, of, follow_up_days=follow_up_days))
        for of in ("any", "related", "serious", "severity", "fatal")
    }
    counting = tallies["any"].counting
    if counting.sessionwise or CATEGORY in counting.by:
        msg = f"the overview is of patients: by= takes columns of patients and courses, found {list(counting.by)}"
        raise ValueError(msg)
    frames = [
        tally_estimates(_tally_of(tallies, category), scenario, method=method, conf_level=conf_level).assign(
            category=category
        )
        for category in CATEGORIES
        if category != "stopped"
        for scenario in tallies["any"].scenarios
    ]
    frames.append(_stopped(clinic, tallies["any"], method, conf_level))
    order = {category: place for place, category in enumerate(CATEGORIES)}
    estimates = contract(stack(frames), [*counting.by, CATEGORY])
    estimates = estimates.sort_values(
        [*counting.by, CATEGORY, "estimand"],
        key=lambda values: values.map(order) if values.name == CATEGORY else values,
        ignore_index=True,
    )
    arguments = {
        "by": list(counting.by),
        "follow_up_days": follow_up_days,
        "method": method,
        "conf_level": conf_level,
    }
    spec = _spec(clinic, counting, arguments)
    return Result(estimates, spec, lambda cell: _explain(clinic, tallies, cell))


def _tally_of(tallies: Mapping[str, Tally], category: str) -> Tally:
    """Return the tally of a category; severe grades add up, since a patient counts once, at the worst."""
    if category != "severe":
        return tallies[category]
    counts = tallies["severity"]
    grid, keys = counts.grid, [*counts.counting.keys]
    chosen = grid[grid[KIND].isin(_SEVERE)]
    added = [column for column in grid.columns if column.endswith("_added")]
    rest = [column for column in grid.columns if column not in {*added, KIND}]
    groups = grid[rest].drop_duplicates(keys) if keys else grid[rest].head(1)
    sums = chosen.groupby(keys)[added].sum().reset_index() if keys else chosen[added].sum().to_frame().T
    merged = groups.merge(sums, on=keys) if keys else groups.reset_index(drop=True).join(sums)
    whole = Counting(counts.counting.by, "any", "patient", "first", counts.counting.follow_up_days)
    found = counts.found.filter(nw.col(KIND).is_in(_SEVERE))
    return Tally(whole, merged.assign(**{KIND: category}), counts.units, found)


def _left(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Return the patients of each group who stopped a course because of side effects by the data cut."""
    stopped = course_timeline(clinic).filter(nw.col("reason") == _STOPPED, nw.col("state") == "dropped_out")
    courses = exposed_courses(clinic, counting.by).select("course_id", *counting.keys, "patient_id")
    return (
        courses.join(stopped.select("course_id"), on="course_id", how="inner")
        .select(*counting.keys, "patient_id")
        .unique()
    )


def _stopped(clinic: Dataset, counts: Tally, method: ProportionMethod, conf_level: float) -> pd.DataFrame:
    """Estimate the share of all treated patients who stopped."""
    counting, keys = counts.counting, [*counts.counting.keys]
    number = collect(_left(clinic, counting).with_columns(one=nw.lit(1))).groupby(keys or "one")["one"].sum()
    groups = counts.grid.assign(n_units=counts.totals("lower").trials)
    found = pd.Series(0, groups.index)
    if keys:
        named = number.rename("stopped").reset_index()
        found = groups[keys].merge(named, on=keys, how="left")["stopped"].fillna(0).astype(int)
    elif len(number):
        found = pd.Series(int(number.iloc[0]), groups.index)
    estimated = proportion(found, groups["n_units"], method=method, conf_level=conf_level)
    return estimated.assign(
        **counts.keys(),
        category="stopped",
        estimand=ESTIMANDS["patient", "first"],
        unit="patients",
        n_missing=0,
    )


def _explain(clinic: Dataset, tallies: Mapping[str, Tally], cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a patient of the cell's groups, and whether the patient is of the category."""
    category = cell.get(CATEGORY, "any")
    rest = {name: value for name, value in cell.items() if name != CATEGORY}
    if category != "stopped":
        return _tally_of(tallies, category).explain(rest)
    counts = tallies["any"]
    counting = counts.counting
    rows = counts.explain(rest | {"estimand": "lower"}).drop(columns="events")
    names = dict(zip(counting.keys, counting.by, strict=True))
    gone = collect(_left(clinic, counting)).rename(columns=names).assign(in_numerator=True)
    rows = rows.drop(columns="in_numerator").merge(gone, on=[*counting.by, "patient_id"], how="left")
    return rows.assign(in_numerator=rows["in_numerator"].eq(True))  # noqa: FBT003 - a comparison


def _spec(clinic: Dataset, counting: Counting, arguments: dict[str, Any]) -> dict[str, Any]:
    spec = count_spec(clinic, counting)
    rule = "Stopped because of side effects: a discontinued course with end reason adverse_event by the data cut."
    return spec | {
        "analysis": "adverse_event_overview",
        "title": "Overview of side effects",
        "arguments": arguments,
        "primary": ESTIMANDS["patient", "first"],
        "rules": [*spec["rules"], rule],
        "labels": spec["labels"] | {CATEGORY: dict(CATEGORIES)},
        "references": ["ICH E3 (1995), section 12.2."],
    }
