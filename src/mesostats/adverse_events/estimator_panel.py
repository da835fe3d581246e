"""How many patients have had a side effect by a day: the estimators that reports use, side by side, and why they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from mesostats.adverse_events.counted import excluded_events
from mesostats.adverse_events.histories import (
    CENSORED,
    ENDS,
    EVENT,
    RULES,
    Cell,
    histories,
    history_spec,
    patient_counting,
    patient_rows,
)
from mesostats.estimators import kaplan_meier, proportion, rate
from mesostats.estimators.competing import aalen_johansen
from mesostats.estimators.survival import log_log_limits, lowest_without_event
from mesostats.results import Result, contract, stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.adverse_events.counted import Counting
    from mesostats.dataset import Dataset

_ENOUGH: Final = 10  # at risk; with fewer a curve's tail says little
_ASSUMPTIONS: Final = (
    "incidence_proportion counts whoever was censored before the day as free of the event: if anything too low.",
    "one_minus_kaplan_meier takes completion and dropout as censoring, as if the event could still come: if anything too high.",
    "aalen_johansen lets completion and dropout compete; only censoring is taken as uninformative: the one to quote.",
    "rate_transform is 1 - exp(-rate x day): as one_minus_kaplan_meier, and the rate is taken as constant.",
    "rate_transform_competing takes the rates of the event and of the competing ends as constant.",
)
_COUNTS: Final = "The numerator counts patients with the event by the day; the denominator all patients, of rates their days at risk by it."
_UNDATED: Final = "A patient whose event has no known onset is left out (n_missing)."
_REFERENCES: Final = (
    "Stegherr R, Schmoor C, Beyersmann J, et al. Trials 2021;22:420. doi:10.1186/s13063-021-05354-x",
    "Rufibach K, Stegherr R, Schmoor C, et al. Stat Biopharm Res 2023;15:767-780. doi:10.1080/19466315.2022.2144944",
)


def adverse_event_estimators(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    of: str = "any",
    only: str | None = None,
    day: int | None = None,
    follow_up_days: int = 60,
    conf_level: float = 0.95,
) -> Result:
    """Estimate the probability of a side effect by a day in five ways, side by side.

    Parameters
    ----------
    clinic
        A data set with adverse events.
    by
        Columns of patients and courses.
    of
        Which events: ``any``; each ``term``, ``class`` or ``severity``; ``serious`` or ``related`` ones; or a column of
        adverse_events, each of its values. Of each kind the first event counts.
    only
        The one kind of event that is wanted.
    day
        The day, 1 or more, day 1 being that of the first attended session. If not given, the last on which at least 10
        patients are at risk in every group and kind; where one never has so many, the last on which all are observed.
    follow_up_days
        An event is treatment-emergent up to so many days after the last attended session of its course; so long a
        patient is observed.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        ``time`` is the day. Estimands ``incidence_proportion, one_minus_kaplan_meier, aalen_johansen, rate_transform,
        rate_transform_competing``; of the last two the unit is patient-days. ``spec["rules"]`` says what each takes for
        granted, ``spec["differences"]`` counts, a group and kind, what makes them differ here.

    Raises
    ------
    DataError
        If the table adverse_events is absent.
    ValueError
        If an argument is not one of those above.

    Notes
    -----
    The transform of the rate has Garwood's limits, transformed; that with competing ends a_1/(a_1 + a_2)·
    (1 - exp(-t(a_1 + a_2))) has the variance by the delta method, with Poisson counts, and a log-log interval. Without
    censoring before the day the proportion and Aalen-Johansen are equal; without competing ends Aalen-Johansen and
    1 minus Kaplan-Meier are.

    References
    ----------
    Stegherr R, Schmoor C, Beyersmann J, et al. (2021). Survival analysis for AdVerse events with VarYing follow-up times
    (SAVVY): estimation of adverse event risks. Trials 22, 420. doi:10.1186/s13063-021-05354-x

    Examples
    --------
    >>> import mesostats as ms
    >>> found = adverse_event_estimators(ms.simulate(200, seed=1), of="term", only="bruising", day=60)
    >>> values = found.estimates.set_index("estimand")["estimate"]
    >>> bool(values["incidence_proportion"] <= values["aalen_johansen"] <= values["one_minus_kaplan_meier"])
    True
    """
    if day is not None and day < 1:
        msg = f"day == {day}, must be 1 or more: day 1 is that of the first session"
        raise ValueError(msg)
    counting = patient_counting(clinic, by, of, only, follow_up_days)
    cells = histories(clinic, counting)
    chosen = _common_day(cells) if day is None else day
    panels = [(cell, _Panel.of(cell.table(), chosen)) for cell in cells]
    frames = [
        panel.rows(conf_level).assign(**cell.names, n_missing=cell.not_asked + cell.undated)
        for cell, panel in panels
    ]
    title = f"Patients with a side effect by day {chosen}: five estimators side by side"
    arguments = {"day": chosen, "conf_level": conf_level}
    spec = history_spec(clinic, counting, "adverse_event_estimators", title, arguments) | {
        "rules": [*_ASSUMPTIONS, *RULES, _COUNTS, _UNDATED],
        "primary": "aalen_johansen",
        "references": [*_REFERENCES],
        "excluded_events": excluded_events(clinic, counting),
        "differences": [cell.names | panel.differences for cell, panel in panels],
    }
    estimates = contract(stack(frames), [*counting.by, *counting.kind_column])
    return Result(estimates, spec, lambda cell: _explain(clinic, counting, chosen, cell))


def _common_day(cells: Sequence[Cell]) -> int:
    """Return the last day with enough patients at risk in every cell, else the last on which all are observed."""
    days, last_days = [], []
    for cell in cells:
        table = cell.table().sort_values("time", ascending=False)
        enough = table.loc[table["persons"].cumsum() >= _ENOUGH, "time"]
        if len(table):
            last_days.append(int(table["time"].max()))
            days.append(int(enough.iloc[0]) if len(enough) else 0)
    if not days:
        return 1
    return min(days) if min(days) > 0 else min(last_days)


@dataclass(frozen=True, eq=False)
class _Panel:
    """One group and kind, up to the day."""

    times: pd.DataFrame
    day: int
    patients: int
    events: int
    completed: int
    dropped_out: int
    censored: int
    patient_days: int

    @classmethod
    def of(cls, times: pd.DataFrame, day: int) -> _Panel:
        """Count who had which end by the day; who was censored on the day itself was observed through it."""

        def ended(end: int) -> int:
            return int(times.loc[(times["end"] == end) & (times["time"] <= day), "persons"].sum())

        censored = times.loc[(times["end"] == CENSORED) & (times["time"] < day), "persons"].sum()
        return cls(
            times,
            day,
            patients=int(times["persons"].sum()),
            events=ended(EVENT),
            completed=ended(ENDS["completed"]),
            dropped_out=ended(ENDS["dropped_out"]),
            censored=int(censored),
            patient_days=int((times["time"].clip(upper=day) * times["persons"]).sum()),
        )

    @property
    def competing(self) -> int:
        """Patients whose observation ended before any event."""
        return self.completed + self.dropped_out

    @property
    def differences(self) -> dict[str, Any]:
        """What makes the estimators differ: who left, and how the events fell in the two halves of the time."""
        half = self.day // 2
        early = _Panel.of(self.times, half) if half else None
        events, days = (early.events, early.patient_days) if early else (0, 0)
        return {
            "day": self.day,
            "patients": self.patients,
            "events": self.events,
            "censored_before": self.censored,
            "completed": self.completed,
            "dropped_out": self.dropped_out,
            "patient_days": self.patient_days,
            "first_half": {"until": half, "events": events, "patient_days": days},
            "second_half": {
                "until": self.day,
                "events": self.events - events,
                "patient_days": self.patient_days - days,
            },
        }

    def rows(self, conf_level: float) -> pd.DataFrame:
        """Return the five estimates."""
        named = {
            "incidence_proportion": proportion(self.events, self.patients, conf_level=conf_level),
            "one_minus_kaplan_meier": self._kaplan_meier(conf_level),
            "aalen_johansen": self._aalen_johansen(conf_level),
            "rate_transform": self._rate(conf_level),
            "rate_transform_competing": self._competing_rates(conf_level),
        }
        columns = ["estimate", "std_error", "conf_low", "conf_high", "method", "note"]
        frames = []
        for estimand, found in named.items():
            of_rates = estimand.startswith("rate")
            row = found[columns].reset_index(drop=True)
            frames.append(
                row.assign(
                    estimand=estimand,
                    time=float(self.day),
                    conf_level=conf_level,
                    numerator=self.events,
                    denominator=self.patient_days if of_rates else self.patients,
                    unit="patient-days" if of_rates else "patients",
                    note="; ".join(filter(None, (row["note"].iloc[0], self._remark(estimand), self._late))),
                )
            )
        return pd.concat(frames, ignore_index=True)

    @property
    def _late(self) -> str:
        """Say where nobody was observed as long as that: the estimates carry on from the last day seen."""
        last = int(self.times["time"].max()) if len(self.times) else 0
        return f"nobody was observed on day {self.day}: the last day was {last}" if last < self.day else ""

    def _remark(self, estimand: str) -> str:
        """Return how many patients the estimator takes for something else than they are."""
        if self.patients == 0:
            return ""
        left = f"{self.competing} patients who completed or dropped out"
        if estimand == "incidence_proportion" and self.censored:
            return f"{self.censored} patients censored before the day count as free of the event"
        if estimand in {"one_minus_kaplan_meier", "rate_transform"} and self.competing:
            return f"{left} count as censored"
        if estimand == "rate_transform_competing":
            halves = (self.differences[name] for name in ("first_half", "second_half"))
            first, second = (f"{half['events']} in {half['patient_days']}" for half in halves)
            return f"events in patient-days of the first half of the time: {first}; of the second: {second}"
        return ""

    def _at_day(self, curve: pd.DataFrame) -> pd.DataFrame:
        """Return the curve's row that holds on the day."""
        before = curve[curve["time"] <= self.day]
        if curve.empty:
            return _unknown("no patient to analyse")
        if before.empty:
            return _nobody_left(curve)
        past = self.day > curve["time"].max() and self.times.loc[
            self.times["end"] == CENSORED, "time"
        ].max() == (curve["time"].max())
        remark = "the day is past the last one observed: the value of that one" if past else ""
        row = before.tail(1)
        return row.assign(note="; ".join(filter(None, (row["note"].iloc[0], remark))))

    def _kaplan_meier(self, conf_level: float) -> pd.DataFrame:
        times = self.times
        curve = kaplan_meier(times["time"], times["end"] == EVENT, times["persons"], conf_level=conf_level)
        turned = {
            "estimate": 1 - curve["estimate"],
            "conf_low": 1 - curve["conf_high"],
            "conf_high": 1 - curve["conf_low"],
        }
        return self._at_day(curve.assign(**turned, method="1 - " + curve["method"]))

    def _aalen_johansen(self, conf_level: float) -> pd.DataFrame:
        times = self.times
        return self._at_day(
            aalen_johansen(
                times["time"], times["end"], times["persons"], causes=[EVENT], conf_level=conf_level
            )
        )

    def _rate(self, conf_level: float) -> pd.DataFrame:
        found = rate(self.events, self.patient_days, conf_level=conf_level)
        free = np.exp(-self.day * found["estimate"])
        return found.assign(
            estimate=1 - free,
            std_error=free * self.day * found["std_error"],
            conf_low=1 - np.exp(-self.day * found["conf_low"]),
            conf_high=1 - np.exp(-self.day * found["conf_high"]),
            method="1 - exp(-rate x day), " + found["method"],
        )

    def _competing_rates(self, conf_level: float) -> pd.DataFrame:
        days = self.patient_days or np.nan
        own, other = self.events / days, self.competing / days
        both = own + other
        share = own / both if both > 0 else 0.0
        free = np.exp(-self.day * both)
        estimate = share * (1 - free)
        # The slopes of a/(a + c)·(1 - exp(-t(a + c))) in a and in c; both counts are Poisson.
        slope = (1 - free) / both**2 if both > 0 else np.nan
        own_slope, other_slope = (
            other * slope + share * self.day * free,
            -own * slope + share * self.day * free,
        )
        variance = own_slope**2 * own / days + other_slope**2 * other / days
        known = np.array([estimate if self.events else np.nan])
        low, high = log_log_limits(known, variance / known**2, conf_level)
        missing = (
            "no patient to analyse" if not self.patients else "no events: the interval cannot be estimated"
        )
        return pd.DataFrame(
            {
                "estimate": [estimate if self.patients else np.nan],
                "std_error": [np.sqrt(variance) if self.events else np.nan],
                "conf_low": low,
                "conf_high": high,
                "method": ["constant rates of event and competing ends, delta method, log-log interval"],
                "note": ["" if self.events else missing],
            }
        )


def _unknown(note: str) -> pd.DataFrame:
    """Return the row of a curve of nobody."""
    row = dict.fromkeys(("estimate", "std_error", "conf_low", "conf_high"), np.nan)
    return pd.DataFrame([row | {"method": "", "note": note}])


def _nobody_left(curve: pd.DataFrame) -> pd.DataFrame:
    """Return the row of a day before the curve begins: all were watched so far, and none had the event."""
    first = curve.head(1)
    free = lowest_without_event(first["at_risk"].to_numpy(), float(first["conf_level"].iloc[0]))
    note = "nobody left so far: exact limit from all at risk"
    return first.assign(estimate=0.0, std_error=0.0, conf_low=0.0, conf_high=1 - free, note=note)


def _explain(clinic: Dataset, counting: Counting, day: int, cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a patient: its days at risk by the day, and whether it had the event by it."""
    rows = patient_rows(clinic, counting, cell)
    analysed = rows["excluded"] == ""
    return rows.assign(
        days_at_risk=rows["time"].clip(upper=day).where(analysed, 0.0),
        in_denominator=analysed,
        in_numerator=analysed & (rows["end"] == "event") & (rows["time"] <= day),
    )
