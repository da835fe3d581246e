"""Side effects that repeat: the mean number of events a patient by each day of treatment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.adverse_events.counted import KIND, emergent_events, excluded_events, kinds
from mesostats.adverse_events.histories import (
    NOT_ASKED,
    RULES,
    followed_patients,
    history_spec,
    of_cell,
    patient_counting,
    with_person,
)
from mesostats.engine import collect
from mesostats.estimators.recurrent import RecurrentTotals, compare_mean_functions, mean_cumulative_curve
from mesostats.populations import UNKNOWN, known_groups, uncompared, without_unknown_groups
from mesostats.results import ALL_GROUPS, Result, contract, stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.adverse_events.counted import Counting
    from mesostats.dataset import Dataset

_OWN_RULES: Final = (
    "Each event counts, several on one day too. Completion and dropout end observation like censoring.",
    "The denominator counts those at risk just before the day, the numerator the events on it.",
    "Events of unknown onset cannot be placed in time and are not counted; the note says how many there are.",
    "The test takes groups as independent: a patient of several groups counts in each.",
    uncompared("patients"),
)


def mean_cumulative_events(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    of: str = "any",
    only: str | None = None,
    follow_up_days: int = 60,
    conf_level: float = 0.95,
) -> Result:
    """Estimate the mean number of side effects a patient by each day of treatment (mean cumulative function).

    Parameters
    ----------
    clinic
        A data set with adverse events.
    by
        Columns of patients and courses.
    of
        Which events: ``any``; each ``term``, ``class`` or ``severity``; ``serious`` or ``related`` ones; or a column of
        adverse_events, each of its values.
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
        ``time`` in days, day 1 the first attended session. Estimand ``mean_cumulative_events`` and, with several groups,
        ``mean_function_test``, whose row bears ``all groups`` and which leaves out those whose group is not recorded. Unit: patients.

    Raises
    ------
    DataError
        If the table adverse_events is absent.
    ValueError
        If an argument is not one of those above.

    Notes
    -----
    Nelson-Aalen estimate with the Lawless-Nadeau variance, which holds however alike a patient's events are. The mean
    is that of patients who go on being treated and observed: who leaves is taken to be like who stays. The sums are taken
    on the engine. The test alone brings days and places of the events to memory, as integers.

    References
    ----------
    Lawless JF, Nadeau C (1995). doi:10.1080/00401706.1995.10484300

    Cook RJ, Lawless JF, Nadeau C (1996). doi:10.2307/2532900

    Examples
    --------
    >>> import mesostats as ms
    >>> found = mean_cumulative_events(ms.simulate(200, seed=1))
    >>> bool(found.estimates["estimate"].is_monotonic_increasing)
    True
    """
    counting = patient_counting(clinic, by, of, only, follow_up_days)
    followed = _followed(clinic, counting)
    days = _event_days(clinic, counting)
    sums = _sums(clinic, days, followed, counting)
    names = kinds(clinic, sums[KIND].dropna().unique().tolist(), counting)
    frames = _curves(followed, sums, names, counting, conf_level)
    if counting.by:
        frames += _tests(days, followed, names, counting)
    estimates = contract(stack(frames).assign(unit="patients"), [*counting.by, *counting.kind_column])
    title = "Mean number of side effects a patient by days of treatment"
    spec = history_spec(clinic, counting, "mean_cumulative_events", title, {"conf_level": conf_level}) | {
        "rules": [*RULES, *_OWN_RULES],
        "primary": "mean_cumulative_events",
        "references": [
            "Lawless JF, Nadeau C. Technometrics 1995;37:158-168. doi:10.1080/00401706.1995.10484300",
            "Cook RJ, Lawless JF, Nadeau C. Biometrics 1996;52:557-571. doi:10.2307/2532900",
        ],
        "excluded_events": excluded_events(clinic, counting),
    }
    return Result(estimates, spec, lambda cell: _explain(clinic, counting, cell))


def _followed(clinic: Dataset, counting: Counting) -> pd.DataFrame:
    """Return how many patients of each group were observed for how long: ``time, known, persons``."""
    patients = followed_patients(clinic, counting)
    return collect(patients.group_by(*counting.keys, "time", "known").agg(persons=nw.len()))


def _event_days(clinic: Dataset, counting: Counting) -> nw.LazyFrame[Any]:
    """Return one row a group, patient, kind and day with events: ``day`` (null where unknown), ``time``, ``events``."""
    keys = [*counting.keys, "patient_id"]
    events = emergent_events(clinic, counting).filter(~nw.col(KIND).is_null()).select(*keys, KIND, "onset")
    patients = followed_patients(clinic, counting).select(*keys, "first", "time")
    placed = events.join(patients, on=keys, how="inner").with_columns(
        day=nw.col("onset") - nw.col("first") + 1
    )
    return clinic.engine.materialise(placed.group_by(*keys, KIND, "day", "time").agg(events=nw.len()))


def _sums(
    clinic: Dataset, days: nw.LazyFrame[Any], followed: pd.DataFrame, counting: Counting
) -> pd.DataFrame:
    """Return, a group, kind and day, the sums of `RecurrentTotals`: ``events, squares, gathered``; day null: no onset."""
    keys, cells = [*counting.keys], [*counting.keys, KIND]
    dated = days.filter(~nw.col("day").is_null())
    at_risk = _at_risk(collect(dated.select(*keys, "day").unique()), followed, keys)
    own = dated.join(clinic.engine.small(at_risk, dated), on=[*keys, "day"], how="inner")
    own = own.with_columns(added=nw.col("events") / nw.col("at_risk"))
    own = own.with_columns(reached=nw.col("added").cum_sum().over(*cells, "patient_id", order_by="day"))
    squares = nw.col("reached") ** 2 - (nw.col("reached") - nw.col("added")) ** 2
    own = clinic.engine.materialise(own.with_columns(squares=squares))
    came = collect(own.group_by(*cells, "day").agg(nw.col("events").sum(), nw.col("squares").sum()))
    left = collect(own.group_by(*cells, "time").agg(gathered=nw.col("added").sum()))
    unknown = collect(
        days.filter(nw.col("day").is_null()).group_by(*cells, "day").agg(nw.col("events").sum())
    )
    parts = [came, left.rename(columns={"time": "day"}), unknown]
    kept = [part.astype({"day": float}) for part in parts if len(part)]
    # Where all onsets are unknown no part has the other sums.
    return pd.concat(kept or [came]).reindex(columns=[*cells, "day", "events", "squares", "gathered"])


def _at_risk(days: pd.DataFrame, followed: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return how many patients of each group are at risk on each day with an event."""
    known = followed[followed["known"] == 1].rename(columns={"time": "day"})
    either = pd.concat([known, days.assign(persons=0)])
    both = either.groupby([*keys, "day"])["persons"].sum().reset_index()
    backwards = both.sort_values("day", ascending=False)
    left = backwards.groupby(keys)["persons"].cumsum() if keys else backwards["persons"].cumsum()
    at_risk = backwards[[*keys, "day"]].assign(at_risk=left.astype(float))
    found: pd.DataFrame = at_risk.merge(days, on=[*keys, "day"])
    return found


def _curves(
    followed: pd.DataFrame, sums: pd.DataFrame, names: list[str], counting: Counting, conf_level: float
) -> list[pd.DataFrame]:
    frames = []
    for group in _groups(followed, counting):
        patients = _of_group(followed, counting, group)
        known = patients[patients["known"] == 1]
        cell = _of_group(sums, counting, group)
        for kind in names:
            own = cell[cell[KIND] == kind]
            rows = _curve(known, own[own["day"].notna()], conf_level)
            undated = int(own.loc[own["day"].isna(), "events"].sum())
            remark = f"{undated} events of unknown onset not counted" if undated else ""
            frames.append(
                rows.assign(
                    **dict(zip(counting.by, group, strict=True)),
                    **dict.fromkeys(counting.kind_column, kind),
                    estimand="mean_cumulative_events",
                    n_missing=patients.loc[patients["known"] == 0, "persons"].sum(),
                    note=["; ".join(filter(None, (note, remark))) for note in rows["note"]],
                )
            )
    return frames


def _curve(known: pd.DataFrame, sums: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    if known.empty:
        return pd.DataFrame({"denominator": [0.0], "note": ["no patient to analyse"]})
    leaving = known.groupby("time")["persons"].sum()
    added = sums.groupby("day")[["events", "squares", "gathered"]].sum()
    table = pd.concat([leaving.rename("leaving"), added], axis=1).astype(float).fillna(0.0).sort_index()
    columns = (table[name].to_numpy() for name in ("leaving", "events", "squares", "gathered"))
    curve = mean_cumulative_curve(
        RecurrentTotals(table.index.to_numpy(float), *columns), conf_level=conf_level
    )
    return curve.rename(columns={"events": "numerator", "at_risk": "denominator"})


def _groups(followed: pd.DataFrame, counting: Counting) -> list[tuple[Any, ...]]:
    if not counting.by:
        return [()]
    found = followed[[*counting.keys]].drop_duplicates().sort_values([*counting.keys])
    return [*found.itertuples(index=False, name=None)]


def _of_group(frame: pd.DataFrame, counting: Counting, group: tuple[Any, ...]) -> pd.DataFrame:
    for key, value in zip(counting.keys, group, strict=True):
        frame = frame[frame[key] == value]
    return frame


def _tests(
    days: nw.LazyFrame[Any], followed: pd.DataFrame, names: list[str], counting: Counting
) -> list[pd.DataFrame]:
    """Compare the groups' mean functions, one row a kind of event."""
    keys, everybody = [*counting.keys], followed["persons"].sum()
    followed = followed[known_groups(followed, keys)]
    groups = {group: place for place, group in enumerate(_groups(followed, counting))}
    events = _placed_events(days.filter(*(~nw.col(key).is_in(UNKNOWN) for key in keys)), groups, counting)
    known = followed[followed["known"] == 1]
    whole = known.assign(group=[groups[each] for each in known[keys].itertuples(index=False, name=None)])
    frames = []
    for kind in names:
        own = events[events[KIND] == kind]
        found = _test(own, whole).assign(
            **dict.fromkeys(counting.by, ALL_GROUPS),
            **dict.fromkeys(counting.kind_column, kind),
            estimand="mean_function_test",
            numerator=own["events"].sum(),
            denominator=known["persons"].sum(),
            n_missing=everybody - known["persons"].sum(),
        )
        frames.append(found)
    return frames


def _placed_events(
    days: nw.LazyFrame[Any], groups: Mapping[tuple[Any, ...], int], counting: Counting
) -> pd.DataFrame:
    """Bring the dated events to memory, with the place of the group and of the patient instead of their names."""
    keys = [*counting.keys]
    dated = days.filter(~nw.col("day").is_null())
    rows = collect(with_person(dated, keys).select(*keys, KIND, "person", "day", "time", "events"))
    place = pd.Series(
        [groups[each] for each in rows[keys].itertuples(index=False, name=None)], rows.index, int
    )
    return rows.drop(columns=keys).assign(group=place)


def _test(events: pd.DataFrame, followed: pd.DataFrame) -> pd.DataFrame:
    """Test one kind: patients with the event one by one, the others by how long they were observed."""
    codes, _ = pd.factorize(events["person"])
    patients = events.drop_duplicates("person").assign(persons=1)
    others = pd.concat([followed, patients.assign(persons=-1)]).groupby(["group", "time"])["persons"].sum()
    # The patients with events come first, in the order of their codes.
    subjects = pd.concat([patients, others.reset_index()], ignore_index=True)
    times, owner = (np.repeat(values, events["events"].astype(int)) for values in (events["day"], codes))
    return compare_mean_functions(
        times, owner, subjects["time"], subjects["group"], weights=subjects["persons"]
    )


def _explain(clinic: Dataset, counting: Counting, cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a patient: observed on the cell's day, and how many events it had on it (on any day without one)."""
    keys = [*counting.keys, "patient_id"]
    patients = of_cell(followed_patients(clinic, counting), counting, cell)
    found = of_cell(_event_days(clinic, counting), counting, cell).filter(~nw.col("day").is_null())
    day = cell.get("time")
    named = day is not None and not pd.isna(day)
    if named:
        found = found.filter(nw.col("day") == day)
    found = found.group_by(keys).agg(nw.col("events").sum())
    rows = collect(patients.select(*keys, "time", "known").join(found, on=keys, how="left"))
    rows = rows.sort_values(keys, ignore_index=True)
    asked = rows["known"] == 1
    at_risk = asked & (rows["time"] >= day) if named else asked
    number = rows["events"].fillna(0).astype(int)
    why = np.select([at_risk, asked], ["", "no longer observed on this day"], default=NOT_ASKED)
    flagged = rows.drop(columns=["known", "events"]).rename(
        columns=dict(zip(counting.keys, counting.by, strict=True))
    )
    flagged = flagged.assign(events=number, excluded=pd.Series(why, dtype="str"))
    if cell.get("estimand") == "mean_function_test":
        flagged = without_unknown_groups(flagged, counting.by)
    counted = flagged["excluded"] == ""
    return flagged.assign(in_denominator=counted, in_numerator=counted & (number > 0))
