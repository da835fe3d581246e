"""When the first side effect comes: cumulative incidence under competing ends, and Kaplan-Meier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from mesostats.adverse_events.counted import excluded_events
from mesostats.adverse_events.histories import (
    ENDS,
    EVENT,
    RULES,
    Cell,
    Scenario,
    histories,
    history_spec,
    patient_counting,
    patient_rows,
)
from mesostats.estimators import kaplan_meier, logrank, quantile
from mesostats.estimators.competing import aalen_johansen
from mesostats.estimators.gray import gray
from mesostats.populations import UNKNOWN, uncompared, without_unknown_groups
from mesostats.results import ALL_GROUPS, Result, contract, stack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mesostats.adverse_events.counted import Counting
    from mesostats.dataset import Dataset

_INCIDENCES: Final = {
    "event": "cumulative_incidence",
    "completed": "cumulative_incidence_completed",
    "dropped_out": "cumulative_incidence_dropped_out",
}
_COUNTS: Final = (
    "Of a curve, the denominator counts those at risk just before the day, the numerator the events on it."
)
_BOUNDS: Final = (
    "A patient whose event has no known onset is left out (n_missing); ..._lower counts it as free of the event, ..._upper "
    "as having had it on day 1."
)
_GROUPS: Final = "The test takes groups as independent: a patient of several groups counts in each."


def cumulative_incidence(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    of: str = "any",
    only: str | None = None,
    follow_up_days: int = 60,
    conf_level: float = 0.95,
) -> Result:
    """Estimate how many patients have had a side effect by each day, with completion and dropout as competing ends.

    Parameters
    ----------
    clinic
        A data set with adverse events.
    by
        Columns of patients and courses.
    of
        Which events: ``any``; each ``term``, ``class`` or ``severity``; ``serious`` or ``related`` ones; or a column of
        adverse_events, each of its values. Of each kind the first event counts, whatever other kinds came before.
    only
        The one kind of event that is wanted.
    follow_up_days
        An event is treatment-emergent up to so many days after the last attended session of its course; so long a
        patient is observed.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        ``time`` in days, day 1 the first attended session. Estimands ``cumulative_incidence`` (of the event),
        ``cumulative_incidence_completed`` and ``cumulative_incidence_dropped_out`` (of ends of observation before any
        event); with several groups ``gray_test``, whose row bears ``all groups`` and which leaves out those whose group is not
        recorded. Unit: patients. Where onsets are unknown
        also ``cumulative_incidence_lower`` and ``..._upper``.

    Raises
    ------
    DataError
        If the table adverse_events is absent.
    ValueError
        If an argument is not one of those above.

    Notes
    -----
    The events are those of `adverse_event_rates` per patient: where nobody is censored, and all onsets are known, the
    last estimate is the incidence proportion. The Aalen-Johansen estimate answers: how many patients have the event
    in the treatment as it is, with its completions and dropouts. `time_to_first_event` takes these ends as censoring.

    References
    ----------
    Aalen OO, Johansen S (1978). Scand J Stat 5, 141-150. Gray RJ (1988). doi:10.1214/aos/1176350951

    Examples
    --------
    >>> import mesostats as ms
    >>> found = cumulative_incidence(ms.simulate(200, seed=1), of="term", only="bruising")
    >>> curve = found.estimates.query("estimand == 'cumulative_incidence'")
    >>> bool(curve["estimate"].is_monotonic_increasing)
    True
    """

    def rows(cell: Cell) -> list[pd.DataFrame]:
        parts = [_incidences(cell.table(), conf_level)]
        if cell.unsure:
            parts += [_bound(cell, scenario, conf_level) for scenario in ("lower", "upper")]
        return parts

    def test(times: pd.DataFrame) -> pd.DataFrame:
        return gray(times["time"], times["end"], times["group"], cause=EVENT, weights=times["persons"])

    counting = patient_counting(clinic, by, of, only, follow_up_days)
    cells = histories(clinic, counting)
    estimates = _estimates(cells, counting, rows, ("gray_test", test))
    title = "Patients with a side effect by days of treatment (cumulative incidence)"
    spec = history_spec(clinic, counting, "cumulative_incidence", title, {"conf_level": conf_level}) | {
        "rules": [*RULES, _COUNTS, _BOUNDS, _GROUPS, uncompared("patients")],
        "primary": "cumulative_incidence",
        "references": [
            "Aalen OO, Johansen S. Scand J Stat 1978;5:141-150.",
            "Gray RJ. Ann Stat 1988;16:1141-1154. doi:10.1214/aos/1176350951",
        ],
        "excluded_events": excluded_events(clinic, counting),
    }
    return Result(estimates, spec, lambda cell: _explain(clinic, counting, cell))


def time_to_first_event(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    of: str = "any",
    only: str | None = None,
    follow_up_days: int = 60,
    conf_level: float = 0.95,
) -> Result:
    """Estimate the days to the first side effect, with the end of observation as censoring (Kaplan-Meier).

    Parameters
    ----------
    clinic, by, of, only, follow_up_days, conf_level
        As for `cumulative_incidence`.

    Returns
    -------
    Result
        ``time`` in days, day 1 the first attended session. Estimands ``event_free`` (the curve),
        ``median_time_to_first_event`` and, with several groups, ``logrank_test``, whose row bears ``all groups`` and which
        leaves out those whose group is not recorded. Unit: patients. Where onsets are unknown also ``event_free_lower`` and ``..._upper``.

    Raises
    ------
    DataError
        If the table adverse_events is absent.
    ValueError
        If an argument is not one of those above.

    Notes
    -----
    As trials report it. Whoever completed or dropped out counts as censored: the curve says how many would be free
    of the event if all were still treated and observed, and those who left were like those who stayed. 1 minus it
    is above the share of patients who have the event (`cumulative_incidence`).

    References
    ----------
    Kaplan EL, Meier P (1958). doi:10.1080/01621459.1958.10501452

    Examples
    --------
    >>> import mesostats as ms
    >>> found = time_to_first_event(ms.simulate(200, seed=1))
    >>> bool(found.cell(estimand="median_time_to_first_event")["estimate"] >= 1)
    True
    """

    def rows(cell: Cell) -> list[pd.DataFrame]:
        curve = _event_free(cell.table(), conf_level)
        parts = [_named(curve, "event_free"), _median(curve, conf_level)]
        if cell.unsure:
            # An event that came earlier lowers the share of those free of it.
            bounds: tuple[tuple[str, Scenario], ...] = (("upper", "lower"), ("lower", "upper"))
            parts += [
                _named(_event_free(cell.table(events), conf_level), f"event_free_{bound}")
                for bound, events in bounds
            ]
        return parts

    def test(times: pd.DataFrame) -> pd.DataFrame:
        return logrank(times["time"], times["end"] == EVENT, times["group"], weights=times["persons"])

    counting = patient_counting(clinic, by, of, only, follow_up_days)
    estimates = _estimates(histories(clinic, counting), counting, rows, ("logrank_test", test))
    title = "Days to the first side effect (Kaplan-Meier)"
    spec = history_spec(clinic, counting, "time_to_first_event", title, {"conf_level": conf_level}) | {
        "rules": [
            *RULES,
            _COUNTS,
            _BOUNDS,
            _GROUPS,
            uncompared("patients"),
            "Completion and dropout count as censoring.",
        ],
        "primary": "event_free",
        "references": [
            "Kaplan EL, Meier P. J Am Stat Assoc 1958;53:457-481. doi:10.1080/01621459.1958.10501452"
        ],
        "excluded_events": excluded_events(clinic, counting),
    }
    return Result(estimates, spec, lambda cell: _explain(clinic, counting, cell))


def _estimates(
    cells: list[Cell],
    counting: Counting,
    rows: Callable[[Cell], list[pd.DataFrame]],
    test: tuple[str, Callable[[pd.DataFrame], pd.DataFrame]],
) -> pd.DataFrame:
    """Return the rows of all cells and, a kind, the test across groups."""
    frames = [
        part.assign(**cell.names, n_missing=cell.not_asked + cell.undated)
        for cell in cells
        for part in rows(cell)
    ]
    if counting.by:
        frames += _tests(cells, counting, *test)
    columns = [*counting.by, *counting.kind_column]
    return contract(stack(frames).assign(unit="patients"), columns)


def _tests(
    cells: list[Cell], counting: Counting, estimand: str, test: Callable[[pd.DataFrame], pd.DataFrame]
) -> list[pd.DataFrame]:
    """Compare the groups, one row a kind of event."""
    frames = []
    kinds = dict.fromkeys(tuple(cell.names[column] for column in counting.kind_column) for cell in cells)
    for kind in kinds:
        own = [cell for cell in cells if tuple(cell.names[column] for column in counting.kind_column) == kind]
        known = [cell for cell in own if not {cell.names[column] for column in counting.by} & {*UNKNOWN}]
        tables = [cell.table().assign(group=place) for place, cell in enumerate(known)]
        times = pd.concat(tables or [own[0].table().iloc[:0].assign(group=0)])
        everybody = sum(cell.not_asked + cell.undated + cell.table()["persons"].sum() for cell in own)
        names = dict.fromkeys(counting.by, ALL_GROUPS) | dict(zip(counting.kind_column, kind, strict=True))
        found = test(times).assign(
            **names,
            estimand=estimand,
            numerator=times.loc[times["end"] == EVENT, "persons"].sum(),
            denominator=times["persons"].sum(),
            n_missing=everybody - times["persons"].sum(),
        )
        frames.append(found)
    return frames


def _named(curve: pd.DataFrame, estimand: str) -> pd.DataFrame:
    """Return a curve in the contract's names, or one row that says why there is none."""
    if curve.empty:
        return pd.DataFrame({"estimand": [estimand], "denominator": [0.0], "note": ["no patient to analyse"]})
    return curve.rename(columns={"events": "numerator", "at_risk": "denominator"}).assign(estimand=estimand)


def _incidences(times: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    """Return the cumulative incidence of each end."""
    found = aalen_johansen(
        times["time"], times["end"], times["persons"], causes=[*ENDS.values()], conf_level=conf_level
    )
    return stack(
        [_named(found[found["cause"] == ENDS[end]], estimand) for end, estimand in _INCIDENCES.items()]
    )


def _bound(cell: Cell, scenario: Scenario, conf_level: float) -> pd.DataFrame:
    times = cell.table(scenario)
    found = aalen_johansen(
        times["time"], times["end"], times["persons"], causes=[EVENT], conf_level=conf_level
    )
    return _named(found, f"cumulative_incidence_{scenario}")


def _event_free(times: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    return kaplan_meier(times["time"], times["end"] == EVENT, times["persons"], conf_level=conf_level)


def _median(curve: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    found = quantile(curve, 0.5).iloc[0]
    row = {name: found[name] for name in ("estimate", "conf_low", "conf_high", "method", "note")}
    counts = {"numerator": curve["events"].sum(), "denominator": (curve["events"] + curve["censored"]).sum()}
    return pd.DataFrame([row | counts | {"estimand": "median_time_to_first_event", "conf_level": conf_level}])


def _explain(clinic: Dataset, counting: Counting, cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a patient: at risk, and with the event (or end) of the cell, on its day; on any day without one."""
    estimand = str(cell.get("estimand", ""))
    scenario: Scenario = "main"
    if estimand.endswith(("_lower", "_upper")):
        low = estimand.endswith("_lower") == estimand.startswith("cumulative_incidence")
        scenario = "lower" if low else "upper"
    ends = {name: end for end, name in _INCIDENCES.items()}
    rows = patient_rows(clinic, counting, cell, scenario)
    if estimand.endswith("_test"):
        rows = without_unknown_groups(rows, counting.by)
    analysed, day = rows["excluded"] == "", cell.get("time")
    named = day is not None and not pd.isna(day)
    at_risk = analysed & (rows["time"] >= day) if named else analysed
    here = at_risk & (rows["time"] == day) if named else at_risk
    gone = rows["excluded"].mask(
        analysed & ~at_risk, "had the event, or was no longer observed, before this day"
    )
    return rows.assign(
        in_denominator=at_risk,
        in_numerator=here & (rows["end"] == ends.get(estimand, "event")),
        excluded=np.where(at_risk, "", gone),
    )
