"""How far retention depends on choices that an analyst could make otherwise: the date, the grace, the cut, the follow-up."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from mesostats.dropout.curves import NOBODY, retention_curve
from mesostats.dropout.times import (
    RULES,
    TAKEN,
    analysed_counts,
    check_choices,
    course_rows,
    dropout_spec,
    followed_courses,
    groups_of,
    of_group,
    timed_courses,
)
from mesostats.populations import grouping
from mesostats.results import Result, contract, stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import narwhals as nw

    from mesostats.dataset import Dataset
    from mesostats.dropout.times import DropoutDate, TimeScale
    from mesostats.entries import Protocol
    from mesostats.follow_up import FollowUp

SCENARIO: Final = "scenario"
_BASE: Final = "base"
_CHANGE: Final = "change_from_base"


@dataclass(frozen=True)
class _Scenario:
    """One way to count: the clinic as it is then known, and the choices."""

    clinic: Dataset
    label: str
    dropout_date: DropoutDate = "last_attended"
    follow_up: FollowUp = "settled"

    def courses(self, columns: Sequence[str], time: TimeScale) -> nw.LazyFrame[Any]:
        followed = followed_courses(self.clinic, columns, self.follow_up)
        return timed_courses(followed, time=time, dropout_date=self.dropout_date)


def dropout_sensitivity(
    clinic: Dataset,
    *,
    at: float,
    by: str | Sequence[str] | None = None,
    time: TimeScale = "session",
    grace: Sequence[float] = (2, 3),
    earlier_cuts: Sequence[int] = (30, 90),
    conf_level: float = 0.95,
) -> Result:
    """Estimate retention at one session or day under the choices that could have been made otherwise.

    Parameters
    ----------
    clinic
        A data set.
    at
        The session (a whole number) or day at which retention is compared.
    by
        Columns of patients or courses.
    time
        What ``at`` counts, as for `retention`.
    grace
        Factors by which the grace of every phase is multiplied, above 0; the base case has 1.
    earlier_cuts
        By how many days the data cut is moved back.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        By group and ``scenario``, ``base`` first: ``retention`` under ``time`` = ``at`` (numerator: dropped out by then;
        denominator: courses analysed), and for every other scenario ``change_from_base``, without an interval, as both are
        of the same courses. Base: dropout on the day of the last attended session, the protocols' grace, settled follow-up, the
        data cut. The others change one of these: ``first_missed``, ``grace_x2`` …, ``cut_30_days_earlier`` …,
        ``follow_up_all``. Unit: courses; ``n_missing`` as for `retention`.

    Raises
    ------
    ValueError
        If an argument is not one of those above, or ``by`` is not a column or bears a name that the analysis needs.

    Notes
    -----
    In sessions the dropout date changes nothing: a session is attended or not. A longer grace makes fewer overdue courses
    dropouts, and leaves fewer sessions settled. Where nobody was at risk so late the estimate is NaN.

    Examples
    --------
    >>> import mesostats as ms
    >>> found = dropout_sensitivity(ms.simulate(200, seed=1), at=4)
    >>> found.estimates.query("estimand == 'retention'")["scenario"].tolist()[:3]
    ['base', 'first_missed', 'grace_x2']
    """
    columns = grouping(by, taken=TAKEN | {SCENARIO})
    check_choices(time=time)
    _check(at, time, grace, earlier_cuts)
    scenarios = _scenarios(clinic, grace, earlier_cuts)
    courses = {name: scenario.courses(columns, time) for name, scenario in scenarios.items()}
    groups = [group for group, _ in groups_of(courses[_BASE], columns)]
    rows = [
        row
        for name, frame in courses.items()
        for row in _retention_rows(frame, columns, groups, time=time, at=at, conf_level=conf_level)
        .assign(**{SCENARIO: name})
        .to_dict("records")
    ]
    found = pd.DataFrame(rows, columns=None if rows else [*columns, SCENARIO, "estimand", "estimate"])
    keys = [*columns, SCENARIO]
    estimates = contract(stack([found, _changes(found, columns)]).assign(unit="courses"), keys)
    order = {name: place for place, name in enumerate(scenarios)}
    estimates = estimates.sort_values(
        [*columns, "estimand", SCENARIO],
        key=lambda values: values.map(order) if values.name == SCENARIO else values,
        ascending=[*[True] * len(columns), False, True],
        ignore_index=True,
    )
    arguments: dict[str, Any] = {"at": at, "by": list(columns), "time": time, "grace": list(grace)}
    arguments |= {"earlier_cuts": list(earlier_cuts), "conf_level": conf_level}
    spec = _spec(clinic, arguments, columns, scenarios)
    return Result(estimates, spec, lambda cell: _explain(courses, columns, cell, at))


def _check(at: float, time: TimeScale, grace: Sequence[float], earlier_cuts: Sequence[int]) -> None:
    """Refuse a time, factors or days that cannot be."""
    if not 0 <= at < np.inf or (time == "session" and (at < 1 or at != int(at))):
        wanted = "a session, from 1" if time == "session" else "a day, from 0"
        msg = f"at is {wanted}; found {at}"
        raise ValueError(msg)
    if any(not 0 < factor < np.inf for factor in grace) or len(set(grace)) < len(grace):
        msg = f"grace holds different factors above 0, found {list(grace)}"
        raise ValueError(msg)
    if any(days < 1 or days != int(days) for days in earlier_cuts) or len(set(earlier_cuts)) < len(
        earlier_cuts
    ):
        msg = f"earlier_cuts holds different whole numbers of days above 0, found {list(earlier_cuts)}"
        raise ValueError(msg)


def _scenarios(clinic: Dataset, grace: Sequence[float], earlier_cuts: Sequence[int]) -> dict[str, _Scenario]:
    base = _Scenario(clinic, "Base case")
    found = {
        _BASE: base,
        "first_missed": replace(
            base, label="Dropout when the first session was missed", dropout_date="first_missed"
        ),
    }
    for factor in grace:
        own = replace(base, clinic=_with_grace(clinic, factor), label=f"Grace multiplied by {factor:g}")
        found[f"grace_x{factor:g}"] = own
    for days in earlier_cuts:
        earlier = clinic.with_cutoff(clinic.cutoff - dt.timedelta(days=int(days)))
        found[f"cut_{int(days)}_days_earlier"] = replace(
            base, clinic=earlier, label=f"Data cut {int(days)} days earlier"
        )
    found["follow_up_all"] = replace(base, label="All follow-up, settled or not", follow_up="all")
    return found


def _with_grace(clinic: Dataset, factor: float) -> Dataset:
    """Return the same clinic with the grace of every phase multiplied."""
    protocols = {code: _stretched(entry, factor) for code, entry in clinic.vocabulary.protocols.items()}
    other = clinic.with_cutoff(clinic.cutoff)
    other.vocabulary = replace(clinic.vocabulary, protocols=protocols)
    return other


def _stretched(protocol: Protocol, factor: float) -> Protocol:
    phases = tuple(phase.model_copy(update={"grace_days": factor * phase.grace}) for phase in protocol.phases)
    return protocol.model_copy(update={"phases": phases})


def _retention_rows(
    courses: nw.LazyFrame[Any],
    columns: Sequence[str],
    groups: Sequence[tuple[Any, ...]],
    *,
    time: TimeScale,
    at: float,
    conf_level: float,
) -> pd.DataFrame:
    """Return one row a group: retention at the time; a group that is not there then has one too."""
    counts = analysed_counts(courses, [*columns, "time", "event"])
    sizes = dict(groups_of(courses, columns))
    frames = []
    for group in groups:
        own = of_group(counts, columns, group)
        row = _at(own, time=time, at=at, conf_level=conf_level)
        lost = sizes.get(group, 0) - own["courses"].sum()
        frames.append(row.assign(**dict(zip(columns, group, strict=True)), n_missing=lost))
    return stack(frames)


def _at(counts: pd.DataFrame, *, time: TimeScale, at: float, conf_level: float) -> pd.DataFrame:
    """Return retention at one time as one row."""
    analysed = int(counts["courses"].sum())
    gone = counts.loc[(counts["event"] == 1) & (counts["time"] <= at), "courses"].sum()
    row: dict[str, Any] = {"estimand": "retention", "time": at, "numerator": gone, "denominator": analysed}
    row |= {"conf_level": conf_level, "estimate": np.nan, "note": NOBODY}
    if analysed == 0:
        return pd.DataFrame([row])
    curve = retention_curve(counts, time, conf_level=conf_level)
    last = curve.iloc[-1]
    if last["time"] < at and last["estimate"] > 0:
        return pd.DataFrame([row | {"note": f"nobody was at risk at {time} {at:g}"}])
    before = curve[curve["time"] <= at].tail(1)
    if before.empty:
        return pd.DataFrame([row | {"estimate": 1.0, "note": "before the first time: all are kept"}])
    values = ["estimate", "std_error", "conf_low", "conf_high", "method", "note"]
    return pd.DataFrame([row | before.iloc[0][values].to_dict()])


def _changes(found: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return the change of each scenario's estimate from that of the base case."""
    base = found.loc[found[SCENARIO] == _BASE, [*columns, "estimate"]].rename(columns={"estimate": "base"})
    others = found[found[SCENARIO] != _BASE]
    joined = others.merge(base, on=[*columns], how="left") if columns else others.merge(base, how="cross")
    if joined.empty:
        return joined.drop(columns="base")
    change = joined["estimate"] - joined["base"]
    shown = ["time", "numerator", "denominator", "n_missing", SCENARIO, *columns]
    note = np.where(change.isna(), "no estimate to compare", "the same courses: no interval")
    return joined[shown].assign(
        estimand=_CHANGE, estimate=change, method="difference of two estimates", note=note
    )


def _spec(
    clinic: Dataset, arguments: dict[str, Any], columns: Sequence[str], scenarios: Mapping[str, _Scenario]
) -> dict[str, Any]:
    population = "treated" if arguments["time"] == "day" else "started"
    title = f"Retention at {arguments['time']} {arguments['at']:g}: how far it depends on the choices made"
    spec = dropout_spec(
        clinic,
        "dropout_sensitivity",
        title,
        arguments=arguments,
        columns=columns,
        population=population,
    )
    return spec | {
        "rules": [
            *RULES,
            "Base case: dropout at the last attended session, the protocols' grace, settled follow-up.",
            "In sessions the dropout date changes nothing.",
        ],
        "primary": "retention",
        "references": [
            "Kaplan EL, Meier P. J Am Stat Assoc 1958;53:457-481. doi:10.1080/01621459.1958.10501452"
        ],
        "labels": spec["labels"] | {SCENARIO: {name: each.label for name, each in scenarios.items()}},
    }


def _explain(
    courses: Mapping[str, nw.LazyFrame[Any]], columns: Sequence[str], cell: Mapping[str, Any], at: float
) -> pd.DataFrame:
    """Return one row a course of a scenario (the base case where none is named): analysed, and dropped out by the time."""
    frame = courses[cell.get(SCENARIO, _BASE)]
    rows = course_rows(frame, columns, cell, more=("time", "event", "excluded"))
    analysed = rows["excluded"] == ""
    lost = analysed & (rows["event"] == 1) & (rows["time"] <= at)
    return rows.assign(in_denominator=analysed, in_numerator=lost)
