"""Side-effect rates: how many of those who were exposed, and asked, had an event."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import narwhals as nw
import pandas as pd

from mesostats.counted_events import KIND, Counting, counting_of, excluded_events, kinds
from mesostats.engine import collect
from mesostats.estimators import ClusterTotals, clustered_proportion, clustered_rate, proportion, rate
from mesostats.estimators.arguments import check_choice
from mesostats.estimators.clustering import with_clustering_note
from mesostats.estimators.proportions import ProportionMethod
from mesostats.event_counts import count_cells, count_groups, exposed_units, hits
from mesostats.populations import POPULATIONS, labels
from mesostats.results import Result, contract, stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.dataset import Dataset

Per = Literal["patient", "session", "patient_month"]
Events = Literal["first", "all"]

_ESTIMANDS: Final = {
    ("patient", "first"): "incidence_proportion",
    ("patient", "all"): "events_per_patient",
    ("session", "first"): "session_proportion",
    ("session", "all"): "events_per_session",
    ("patient_month", "first"): "first_events_per_patient_month",
    ("patient_month", "all"): "events_per_patient_month",
}
_OF: Final = {
    "any": "any side effect",
    "term": "side effects by term",
    "class": "side effects by class",
    "severity": "side effects by worst severity",
    "serious": "serious side effects",
    "related": "side effects judged related to the treatment",
}
_POPULATION: Final = {
    "patient": "patients with at least one attended session by the data cut",
    "session": "attended sessions by the data cut",
    "patient_month": "months from each treated patient's first attended session to the end of the emergent window, or the "
    "data cut; a day that several courses cover counts once",
}


def adverse_event_rates(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    of: str = "any",
    only: str | None = None,
    per: Per = "patient",
    events: Events = "first",
    follow_up_days: int = 60,
    method: ProportionMethod = "wilson",
    conf_level: float = 0.95,
) -> Result:
    """Estimate how often treatment-emergent side effects came, with the denominator from the exposed population.

    Parameters
    ----------
    clinic
        A data set with adverse events.
    by
        Columns of patients, courses, sessions and products, and ``phase`` (of the schedule). With a column of sessions or
        products (a lot, a practitioner, a care rule) a patient is in the group of each session that was attended, an event in
        those of the session that it is ascribed to, and time at risk goes from each session to the next.
    of
        ``any`` event; one row a ``term``, ``class`` (of terms) or ``severity`` (with ``events="first"`` a unit once, at
        its worst); only ``serious`` ones, as recorded; only those judged ``related`` (possible, probable or related); or a
        column of adverse_events: one row a value.
    only
        The one term, class, severity or value that is wanted.
    per
        ``patient``: treated patients; ``session``: attended sessions; ``patient_month``: time at risk, in months of
        30.4375 days.
    events
        ``first``: a unit counts once, and time at risk ends with the day of the first event; ``all``: each event counts.
    follow_up_days
        An event is treatment-emergent from the day of the course's first attended session to so many days after its
        last one. An event of unknown onset counts as emergent.
    method
        The interval of the proportion of patients. A rate of first events is exact (Garwood); the others are clustered in
        patients.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        Estimand ``incidence_proportion`` (patients with an event), ``events_per_patient``, ``session_proportion``,
        ``events_per_session``, ``first_events_per_patient_month`` or ``events_per_patient_month``, by group and by
        ``term``, ``term_class`` or ``severity``: all combinations, zeros too. Of a rate per patient-month the denominator is
        in months.
        Where some units were not asked (and had no event of any kind): ``n_missing`` of them, left out of the estimate,
        and two more estimands, ``…_lower`` and ``…_upper``, that count them as free of events and as having one each.

    Raises
    ------
    DataError
        If the table adverse_events is absent.
    ValueError
        If an argument is not one of those above.

    Notes
    -----
    A unit was asked about side effects where ``adverse_events_asked`` is yes for the session (for a patient: for any
    session), or an event was recorded. Where no session at all has a yes, the column was not used: then all units count
    as asked, the note says so, and the bounds show what that may hide. An event without a session is ascribed to the last
    attended session on or before its onset. The time at risk of a patient whose first event has no known onset is not cut
    short. Events outside the population or the emergent window are not counted;
    ``spec["excluded_events"]`` counts them by reason.

    References
    ----------
    ICH E9 (1998), section 6. Wilson EB (1927). doi:10.1080/01621459.1927.10502953

    Examples
    --------
    >>> import mesostats as ms
    >>> rates = ms.adverse_event_rates(ms.simulate(200, seed=1), of="term")
    >>> int(rates.cell(term="bruising", estimand="incidence_proportion")["denominator"]) <= 200
    True
    """
    for value, known, name in (
        (per, Per, "per"),
        (events, Events, "events"),
        (method, ProportionMethod, "method"),
    ):
        check_choice(value, get_args(known), name)
    counting = counting_of(clinic, by, of, per=per, events=events, follow_up_days=follow_up_days, only=only)
    units, found = exposed_units(clinic, counting), hits(clinic, counting)
    groups, cells = count_groups(units, counting), count_cells(units, found, counting)
    grid = _grid(groups, kinds(clinic, list(cells[KIND].unique()), counting), cells, counting)
    unused = bool(groups["asked"].sum() == 0)
    frames = [
        _estimates(grid, scenario, counting, method, conf_level, unused=unused)
        for scenario in (("main", "lower", "upper") if groups["unknown"].sum() > 0 else ("main",))
    ]
    columns = [*counting.by, *counting.kind_column]
    estimates = contract(stack(frames), columns).sort_values([*columns, "estimand"], ignore_index=True)
    arguments: dict[str, Any] = {
        "by": list(counting.by),
        "of": of,
        "only": only,
        "per": per,
        "events": events,
    }
    arguments |= {"follow_up_days": follow_up_days, "method": method, "conf_level": conf_level}
    spec = _spec(clinic, counting, arguments) | {"excluded_events": excluded_events(clinic, counting)}
    return Result(estimates, spec, lambda cell: _explain(units, found, counting, cell))


def _grid(groups: pd.DataFrame, names: list[str], cells: pd.DataFrame, counting: Counting) -> pd.DataFrame:
    """Return every group with every kind of event, with sums of zero where no event came."""
    grid = groups.merge(pd.DataFrame({KIND: names}), how="cross")
    grid = grid.merge(cells, on=[*counting.keys, KIND], how="left")
    added = [column for column in cells.columns if column not in {*counting.keys, KIND}]
    return grid.assign(**{column: grid[column].astype(float).fillna(0.0) for column in added})


def _estimates(
    grid: pd.DataFrame,
    scenario: str,
    counting: Counting,
    method: ProportionMethod,
    conf_level: float,
    *,
    unused: bool,
) -> pd.DataFrame:
    """Estimate all cells of the grid in one scenario for the units that were not asked."""
    nothing = pd.Series(0.0, grid.index)
    total = {
        part.name: grid[f"{scenario}_{part.name}"] + grid.get(f"{scenario}_{part.name}_added", nothing)
        for part in fields(ClusterTotals)
    }
    totals = ClusterTotals(**{name: values.to_numpy(float) for name, values in total.items()})
    if counting.events == "all":
        found = with_clustering_note(clustered_rate(totals, conf_level=conf_level))
    elif counting.per == "patient_month":
        found = rate(total["successes"], total["trials"], conf_level=conf_level)
    elif counting.per == "session":
        found = with_clustering_note(clustered_proportion(totals, conf_level=conf_level))
    else:
        found = proportion(total["successes"], total["trials"], conf_level=conf_level, method=method)
    named = found.rename(columns={"events": "numerator", "exposure": "denominator"}).reset_index(drop=True)
    suffix = "" if scenario == "main" else f"_{scenario}"
    keys = {column: grid[key] for key, column in zip(counting.keys, counting.by, strict=True)}
    keys |= dict.fromkeys(counting.kind_column, grid[KIND])
    remark = _remark(scenario, counting, unused=unused)
    return named.assign(
        **keys,
        estimand=_ESTIMANDS[counting.per, counting.events] + suffix,
        unit=_unit(counting),
        n_missing=grid["unknown"],
        note=["; ".join(filter(None, (note, remark))) for note in named["note"]],
    )


def _unit(counting: Counting) -> str:
    """Return what the denominator counts."""
    return f"{counting.per}s".replace("_", "-")


def _remark(scenario: str, counting: Counting, *, unused: bool) -> str:
    units = "sessions" if counting.per == "session" else "patients"
    if scenario == "lower":
        return f"{units} where nobody asked counted as free of events"
    if scenario == "upper":
        return f"{units} where nobody asked counted as having an event"
    if unused:
        return "no session records that anybody asked about side effects: all count as asked"
    return ""


def _explain(
    units: nw.LazyFrame[Any], found: nw.LazyFrame[Any], counting: Counting, cell: Mapping[str, Any]
) -> pd.DataFrame:
    """Return one row a unit of the cell's groups, and how many events of the cell's kind it had, or is taken to have had."""
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
    rows = rows.rename(columns=dict(zip(counting.keys, counting.by, strict=True)))
    bound = str(cell.get("estimand", "")).rpartition("_")[2]
    counted = rows["known"].eq(1) | (bound in {"lower", "upper"})
    assumed = rows["unknown"].eq(1) & (bound == "upper")
    number = rows["events"].fillna(0).astype(int) + assumed
    months = (
        {"patient_months": rows["size"] - rows["lost"].fillna(0.0)} if counting.per == "patient_month" else {}
    )
    return rows.drop(columns=["known", "unknown", "size", "lost"]).assign(
        **months,
        events=number,
        in_denominator=counted,
        in_numerator=number > 0,
        excluded=pd.Series("", rows.index).mask(~counted, "nobody asked about side effects"),
    )


def _spec(clinic: Dataset, counting: Counting, arguments: dict[str, Any]) -> dict[str, Any]:
    what = "at least one event" if counting.events == "first" else "events"
    if counting.per == "patient_month":
        what = "first events" if counting.events == "first" else "events"
    days = counting.follow_up_days
    rules = [
        f"Treatment-emergent: from the first attended session to {days} days after the last one.",
        "Serious is as recorded, never derived from severity.",
        "Units where nobody asked are left out of the estimate; its bounds count them as free, and as having one event.",
    ]
    if counting.placed:
        rules.append(
            "An event without a session is ascribed to the last attended session on or before its onset."
        )
    if counting.per == "patient_month":
        stops = (
            "ends with the day of the first event"
            if counting.events == "first"
            else "does not end with an event"
        )
        rules.append(f"Time at risk {stops}; a month is 30.4375 days.")
    question = _OF.get(counting.of, f"side effects by {counting.of.replace('_', ' ')}")
    return {
        "analysis": "adverse_event_rates",
        "title": f"{question[:1].upper()}{question[1:]}: {what} per {counting.per.replace('_', '-')}",
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {_unit(counting): _POPULATION[counting.per], "courses": POPULATIONS["treated"]},
        "rules": rules,
        "primary": _ESTIMANDS[counting.per, counting.events],
        "references": ["Wilson EB. J Am Stat Assoc 1927;22:209-212. doi:10.1080/01621459.1927.10502953"],
        "labels": labels(clinic, [*counting.by, *counting.kind_column]),
    }
