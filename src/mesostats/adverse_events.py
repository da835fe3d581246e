"""Side-effect rates: how many of those who were exposed, and asked, had an event."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import narwhals as nw
import pandas as pd

from mesostats.engine import collect
from mesostats.estimators import ClusterTotals, clustered_proportion, clustered_rate, proportion
from mesostats.estimators.proportions import ProportionMethod, with_clustering_note
from mesostats.event_counts import (
    KIND,
    TAKEN,
    Counting,
    count_cells,
    count_groups,
    excluded_events,
    exposed_units,
    hits,
    kinds,
)
from mesostats.populations import POPULATIONS, grouping, labels
from mesostats.results import Result, contract, stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.dataset import Dataset

Of = Literal["any", "term", "class", "severity", "serious", "related"]
Per = Literal["patient", "session"]
Events = Literal["first", "all"]

_ESTIMANDS: Final = {
    ("patient", "first"): "incidence_proportion",
    ("patient", "all"): "events_per_patient",
    ("session", "first"): "session_proportion",
    ("session", "all"): "events_per_session",
}
_OF: Final = {
    "any": "any side effect",
    "term": "side effects by term",
    "class": "side effects by class",
    "severity": "side effects by worst severity",
    "serious": "serious side effects",
    "related": "side effects judged related to the treatment",
}


def adverse_event_rates(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    of: Of = "any",
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
        Columns of patients and courses; with ``per="session"`` of sessions too.
    of
        ``any`` event; one row a ``term``, ``class`` (of terms) or ``severity`` (with ``events="first"`` a unit once, at
        its worst); only ``serious`` ones, as recorded; only those judged ``related`` (possible, probable or related).
    per
        ``patient``: treated patients; ``session``: attended sessions.
    events
        ``first``: a unit counts once; ``all``: each event counts.
    follow_up_days
        An event is treatment-emergent from the day of the course's first attended session to so many days after its
        last one. An event of unknown onset counts as emergent.
    method
        The interval of the proportion of patients; the others are clustered in patients.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        Estimand ``incidence_proportion`` (patients with an event), ``events_per_patient``, ``session_proportion`` or
        ``events_per_session``, by group and by ``term``, ``term_class`` or ``severity``: all combinations, zeros too.
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
    attended session on or before its onset. Events outside the population or the emergent window are not counted;
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
    choices = (
        (of, Of, "of"),
        (per, Per, "per"),
        (events, Events, "events"),
        (method, ProportionMethod, "method"),
    )
    for value, known, name in choices:
        _check(value, get_args(known), name)
    if follow_up_days < 0:
        msg = f"follow_up_days is a number of days, not negative, found {follow_up_days}"
        raise ValueError(msg)
    clinic.require("adverse_events")
    counting = _counting(by, of, per, events, follow_up_days=follow_up_days)
    units = exposed_units(clinic, counting)
    found = hits(clinic, units, counting)
    groups, cells = count_groups(units, counting), count_cells(units, found, counting)
    grid = _grid(groups, kinds(clinic, cells, counting), cells, counting)
    unused = bool(groups["asked"].sum() == 0)
    frames = [
        _estimates(grid, scenario, counting, method, conf_level, unused=unused)
        for scenario in (("main", "lower", "upper") if groups["unknown"].sum() > 0 else ("main",))
    ]
    columns = [*counting.by, *counting.kind_column]
    estimates = contract(stack(frames), columns).sort_values([*columns, "estimand"], ignore_index=True)
    arguments: dict[str, Any] = {"by": list(counting.by), "of": of, "per": per, "events": events}
    arguments |= {"follow_up_days": follow_up_days, "method": method, "conf_level": conf_level}
    spec = _spec(clinic, counting, arguments) | {"excluded_events": excluded_events(clinic, counting)}
    return Result(estimates, spec, lambda cell: _explain(units, found, counting, cell))


def _counting(
    by: str | Sequence[str] | None, of: Of, per: Per, events: Events, *, follow_up_days: int
) -> Counting:
    """Return what is counted; a group may not bear the name of the column of kinds."""
    counting = Counting((), of, per, events, follow_up_days)
    return replace(counting, by=grouping(by, taken=TAKEN | {*counting.kind_column}))


def _grid(groups: pd.DataFrame, names: list[str], cells: pd.DataFrame, counting: Counting) -> pd.DataFrame:
    """Return every group with every kind of event, with sums of zero where no event came."""
    grid = groups.merge(pd.DataFrame({KIND: names}), how="cross")
    grid = grid.merge(cells, on=[*counting.by, KIND], how="left")
    added = [column for column in cells.columns if column not in {*counting.by, KIND}]
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
        found = clustered_rate(totals, conf_level=conf_level)
    elif counting.per == "session":
        found = with_clustering_note(clustered_proportion(totals, conf_level=conf_level))
    else:
        found = proportion(total["successes"], total["trials"], conf_level=conf_level, method=method)
    named = found.rename(columns={"events": "numerator", "exposure": "denominator"}).reset_index(drop=True)
    suffix = "" if scenario == "main" else f"_{scenario}"
    keys = grid[[*counting.by]].assign(**dict.fromkeys(counting.kind_column, grid[KIND]))
    remark = _remark(scenario, counting, unused=unused)
    return named.assign(
        **keys,
        estimand=_ESTIMANDS[counting.per, counting.events] + suffix,
        unit=f"{counting.per}s",
        n_missing=grid["unknown"],
        note=["; ".join(filter(None, (note, remark))) for note in named["note"]],
    )


def _remark(scenario: str, counting: Counting, *, unused: bool) -> str:
    if scenario == "lower":
        return f"{counting.per}s where nobody asked counted as free of events"
    if scenario == "upper":
        return f"{counting.per}s where nobody asked counted as having an event"
    if unused:
        return "no session records that anybody asked about side effects: all count as asked"
    return ""


def _explain(
    units: nw.LazyFrame[Any], found: nw.LazyFrame[Any], counting: Counting, cell: Mapping[str, Any]
) -> pd.DataFrame:
    """Return one row a unit of the cell's groups, and how many events of the cell's kind it had, or is taken to have had."""
    for column in counting.by:
        if column in cell:
            units, found = (frame.filter(nw.col(column) == cell[column]) for frame in (units, found))
    for column in counting.kind_column:
        if column in cell:
            found = found.filter(nw.col(KIND) == cell[column])
    keys = [*counting.by, *counting.unit]
    events = found.group_by(keys).agg(events=nw.col("events").sum())
    rows = collect(units.select(*keys, "known", "unknown").join(events, on=keys, how="left"))
    rows = rows.sort_values(keys, ignore_index=True)
    bound = str(cell.get("estimand", "")).rpartition("_")[2]
    counted = rows["known"].eq(1) | (bound in {"lower", "upper"})
    assumed = rows["unknown"].eq(1) & (bound == "upper")
    number = rows["events"].fillna(0).astype(int) + assumed
    return rows.drop(columns=["known", "unknown"]).assign(
        events=number,
        in_denominator=counted,
        in_numerator=number > 0,
        excluded=pd.Series("", rows.index).mask(~counted, "nobody asked about side effects"),
    )


def _spec(clinic: Dataset, counting: Counting, arguments: dict[str, Any]) -> dict[str, Any]:
    unit = {
        "patient": "patients with at least one attended session by the data cut",
        "session": "attended sessions by the data cut",
    }
    what = "at least one event" if counting.events == "first" else "events"
    return {
        "analysis": "adverse_event_rates",
        "title": f"{_OF[counting.of].capitalize()}: {what} per {counting.per}",
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {f"{counting.per}s": unit[counting.per], "courses": POPULATIONS["treated"]},
        "rules": [
            f"Treatment-emergent: from the first attended session to {counting.follow_up_days} days after the last one.",
            "Serious is as recorded, never derived from severity.",
            "Units where nobody asked are left out of the estimate; its bounds count them as free, and as having one event.",
        ],
        "primary": _ESTIMANDS[counting.per, counting.events],
        "references": ["Wilson EB. J Am Stat Assoc 1927;22:209-212. doi:10.1080/01621459.1927.10502953"],
        "labels": labels(clinic, [*counting.by, *counting.kind_column]),
    }


def _check(value: str, known: tuple[str, ...], name: str) -> None:
    if value not in known:
        msg = f"{name} is one of {', '.join(known)}, found '{value}'"
        raise ValueError(msg)
