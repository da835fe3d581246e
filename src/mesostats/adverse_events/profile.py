"""The profile of side effects: each class, each term within it, each at its worst severity."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, get_args

import narwhals as nw
import pandas as pd

from mesostats.adverse_events.counted import KIND, SEVERITIES, Counting, counting_of, emergent_events
from mesostats.adverse_events.tallies import ESTIMANDS, Tally, count_spec, tally
from mesostats.engine import collect
from mesostats.estimators import proportion
from mesostats.estimators.arguments import check_choice
from mesostats.estimators.proportions import ProportionMethod
from mesostats.populations import NOT_RECORDED, grouping, labels
from mesostats.results import Result, contract

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.dataset import Dataset

ANY: Final = "any"
"""The row of all terms of a class, and of all severities."""
_CLASS, _GRADE = "_class", "_grade"
_GRADES: Final = (NOT_RECORDED, *SEVERITIES)
_LEVELS: Final = (ANY, *SEVERITIES, NOT_RECORDED)


def adverse_event_profile(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = None,
    follow_up_days: int = 60,
    method: ProportionMethod = "wilson",
    conf_level: float = 0.95,
) -> Result:
    """Estimate how many patients had side effects of each class and term, each patient at the worst severity.

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
        Estimand ``incidence_proportion`` by group, ``term_class``, ``term`` and ``severity``. The rows with term ``any`` count
        patients with any event of the class, those with severity ``any`` at whatever severity; a patient with several
        events of a term (of a class) counts at the worst of them. Classes and terms that occurred in some group have rows in
        all, zeros too; so has each severity.

    Raises
    ------
    DataError
        If the table adverse_events is absent.
    ValueError
        If an argument is not as described, or a column of `by` belongs to sessions or products.

    Examples
    --------
    >>> import mesostats as ms
    >>> found = adverse_event_profile(ms.simulate(200, seed=1))
    >>> rows = found.estimates.query("term == 'bruising'").set_index("severity")["numerator"]
    >>> bool(rows["any"] == rows.drop("any").sum())
    True
    """
    check_choice(method, get_args(ProportionMethod), "method")
    grouping(by, taken=["term_class", "term", "severity"])
    counting = replace(counting_of(clinic, by, "term", follow_up_days=follow_up_days), graded=True)
    if counting.sessionwise:
        msg = f"the profile is of patients: by= takes columns of patients and courses, found {list(counting.by)}"
        raise ValueError(msg)
    counts = tally(clinic, replace(counting, of="any", graded=False))  # of the population: one row a group
    worst = _worst(clinic, counting)
    grid = _grid(counts, worst, counting)
    found = proportion(grid["patients"], grid["n_known"], method=method, conf_level=conf_level)
    remark = counts.remark()
    columns = [*counting.by, "term_class", "term", "severity"]
    estimates = contract(
        found.assign(
            **{column: grid[key] for key, column in zip(counting.keys, counting.by, strict=True)},
            term_class=grid[_CLASS],
            term=grid[KIND],
            severity=grid[_GRADE],
            estimand=ESTIMANDS["patient", "first"],
            unit="patients",
            n_missing=grid["unknown"],
            note=["; ".join(filter(None, (note, remark))) for note in found["note"]],
        ),
        columns,
    )
    arguments = {
        "by": list(counting.by),
        "follow_up_days": follow_up_days,
        "method": method,
        "conf_level": conf_level,
    }
    return Result(
        estimates, _spec(clinic, counting, arguments), lambda cell: _explain(clinic, counting, counts, cell)
    )


def _worst(clinic: Dataset, counting: Counting) -> pd.DataFrame:
    """Count the patients of each group by class, term (and ``any``) and their worst severity."""
    keys, rank = [*counting.keys, "patient_id"], _ranked(nw.col(_GRADE))
    events = emergent_events(clinic, counting).with_columns(rank=rank)
    of_term = events.group_by(*keys, _CLASS, KIND).agg(nw.col("rank").max())
    of_class = events.group_by(*keys, _CLASS).agg(nw.col("rank").max())
    of_class = of_class.with_columns(nw.lit(ANY).alias(KIND)).select(*keys, _CLASS, KIND, "rank")
    both = nw.concat([of_term.select(*keys, _CLASS, KIND, "rank"), of_class], how="vertical")
    counted = collect(both.group_by(*counting.keys, _CLASS, KIND, "rank").agg(patients=nw.len()))
    graded = counted.assign(**{_GRADE: counted["rank"].map(dict(enumerate(_GRADES)))}).drop(columns="rank")
    every = graded.groupby([*counting.keys, _CLASS, KIND])["patients"].sum().reset_index()
    return pd.concat([every.assign(**{_GRADE: ANY}), graded], ignore_index=True)


def _ranked(grade: nw.Expr) -> nw.Expr:
    rank = nw.lit(0)
    for place, name in enumerate(_GRADES):
        rank = nw.when(grade == name).then(nw.lit(place)).otherwise(rank)
    return rank


def _grid(counts: Tally, worst: pd.DataFrame, counting: Counting) -> pd.DataFrame:
    """Cross every group with every class, term and severity that has a row; zeros where no patient is."""
    sizes = counts.grid.assign(n_known=counts.totals().trials)[[*counting.keys, "n_known", "unknown"]]
    kinds = worst[[_CLASS, KIND]].drop_duplicates()
    # The row of all terms of a class stands before them.
    kinds = kinds.assign(first=kinds[KIND] != ANY).sort_values([_CLASS, "first", KIND]).drop(columns="first")
    levels = pd.DataFrame({_GRADE: [*_LEVELS]})
    grid = sizes.merge(kinds, how="cross").merge(levels, how="cross")
    found = grid.merge(worst, on=[*counting.keys, _CLASS, KIND, _GRADE], how="left")
    return found.assign(patients=found["patients"].fillna(0).astype(int))


def _explain(clinic: Dataset, counting: Counting, counts: Tally, cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a patient: whether the cell's class, term and severity is the patient's."""
    events = emergent_events(clinic, counting)
    for name, column in ((_CLASS, "term_class"), (KIND, "term")):
        if cell.get(column, ANY) != ANY:
            events = events.filter(nw.col(name) == cell[column])
    ranks = events.group_by(*counting.keys, "patient_id").agg(rank=_ranked(nw.col(_GRADE)).max())
    rows = counts.explain({name: cell[name] for name in counting.by if name in cell}).drop(columns="events")
    named = collect(ranks).rename(columns=dict(zip(counting.keys, counting.by, strict=True)))
    rows = rows.merge(named, on=[*counting.by, "patient_id"], how="left")
    worst = rows["rank"].map(dict(enumerate(_GRADES)))
    level = cell.get("severity", ANY)
    having = worst.notna() if level == ANY else worst.eq(level)
    return rows.drop(columns="rank").assign(
        worst_severity=worst, in_numerator=having & rows["in_denominator"]
    )


def _spec(clinic: Dataset, counting: Counting, arguments: dict[str, Any]) -> dict[str, Any]:
    spec = count_spec(clinic, counting)
    return spec | {
        "analysis": "adverse_event_profile",
        "title": "Side effects by class and term, at the worst severity",
        "arguments": arguments,
        "primary": ESTIMANDS["patient", "first"],
        "rules": [
            *spec["rules"],
            "A patient counts once in each term and once in each class, at the worst severity.",
        ],
        "references": ["ICH E3 (1995), section 12.2."],
        "labels": labels(clinic, [*counting.by, "term"]),
    }
