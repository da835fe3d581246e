"""Who was treated: the baseline table ("Table 1"), with standardized differences between groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.engine import collect
from mesostats.estimators.arguments import check_choice
from mesostats.estimators.balance import standardized_mean_difference, standardized_share_difference
from mesostats.outcomes.baseline_units import Unit, Units, units_of, variables_of
from mesostats.populations import grouping, known_groups, labels, without_unknown_groups
from mesostats.results import ALL_GROUPS, ESTIMATE_COLUMNS, Result, contract, stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.dataset import Dataset

_VARIABLE: Final = "variable"
_LEVEL: Final = "level"
_TAKEN: Final = frozenset({_VARIABLE, _LEVEL, *ESTIMATE_COLUMNS})
_QUARTILES: Final = {"lower_quartile": 0.25, "median": 0.5, "upper_quartile": 0.75}
_NUMBERS: Final = ("mean", "standard_deviation", *_QUARTILES)
_ORDER: Final = (*_NUMBERS, "share", "missing", "standardized_difference")
_NOBODY: Final = "no value is recorded"
_ONE: Final = "one value: no standard deviation"
_UNITS: Final = {
    "patient": "treated patients, with the first treated course in the group",
    "course": "courses with at least one attended session by the data cut",
}
_RULES: Final = (
    "Numbers: mean, standard deviation and quartiles (linear interpolation) of those recorded. Categories: share of those recorded.",
    "Standardized difference: the largest between any two groups, in standard deviations; above 0.1 is often called imbalance.",
    "A group that is not recorded has its columns, and is compared with no other.",
    "No p values: before treatment groups of a trial differ by chance alone, and others differ whatever a test says of their size.",
    "Baseline scores: the last assessment on or before the first attended session.",
)


def baseline_table(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = "indication",
    variables: str | Sequence[str] | None = None,
    unit: Unit = "patient",
) -> Result:
    """Describe who was treated, group by group, before treatment.

    Parameters
    ----------
    clinic
        A data set.
    by
        Columns of patients or courses.
    variables
        Columns of patients or courses, ``age`` (years at the first session, from the year of birth), and instruments (their
        baseline scores). By default age, sex, skin type, indication, area, protocol, planned sessions and all baseline scores, as far
        as recorded.
    unit
        ``patient``: once in each group, with the first course in it; ``course``: each course.

    Returns
    -------
    Result
        By group, ``variable`` and ``level`` (empty for numbers): ``mean, standard_deviation, lower_quartile, median,
        upper_quartile`` of numbers, ``share`` of each level, ``missing`` (the share without a value) and, under ``all
        groups``, the same of all units and ``standardized_difference``. Whole numbers with at most ten different values are
        categories. ``denominator``: units with a value (of ``missing``: all).

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    There are no p values. In a randomized trial whatever differs at baseline differs by chance, so there is nothing to test; in
    any other comparison a difference confounds by its size, not by its significance, which grows with the number of patients.
    Standardized differences show the size. Quantiles are computed on the engine.

    References
    ----------
    Austin PC (2009). Balance diagnostics for comparing the distribution of baseline covariates between treatment groups.
    doi:10.1002/sim.3697

    Yang D, Dalton JE (2012). A unified approach to measuring the effect size between two groups using SAS. SAS Global
    Forum 2012, paper 335.

    Senn S (1994). Testing for baseline balance in clinical trials. doi:10.1002/sim.4780131703

    Examples
    --------
    >>> import mesostats as ms
    >>> found = baseline_table(ms.simulate(300, seed=1), by="indication", variables=["age", "sex"])
    >>> women = found.cell(indication="melasma", variable="sex", level="female", estimand="share")
    >>> women["unit"], bool(women["estimate"] > 0.5)
    ('patients', True)
    """
    check_choice(unit, get_args(Unit), "unit")
    columns = grouping(by, taken=_TAKEN)
    chosen = variables_of(clinic, columns, variables)
    people = units_of(clinic, columns, chosen, unit)
    frames = [_summaries(people, whole=False)]
    if columns:
        frames += [_summaries(people, whole=True), _differences(people, frames[0])]
    groups = [*columns, _VARIABLE, _LEVEL]
    places = {name: place for place, name in enumerate([*chosen, *_ORDER])}
    estimates = contract(stack(frames).assign(unit=f"{unit}s"), groups).sort_values(
        [_VARIABLE, *columns, "estimand", _LEVEL],
        key=lambda column: column.map(places) if column.name in (_VARIABLE, "estimand") else column,
        ignore_index=True,
    )
    spec = _spec(clinic, columns, chosen, unit)
    return Result(estimates, spec, lambda cell: _explain(people, cell))


def _summaries(people: Units, *, whole: bool) -> pd.DataFrame:
    """Return all rows of every group, or of all units together."""
    keys = [*people.groups.values()]
    frame = (people.everybody() if whole else people.frame).with_columns(_all=nw.lit(1))
    frames = [_numbers(frame, people, keys)] if people.numeric else []
    frames += [_shares(frame, people, name, keys) for name in people.values if name not in people.numeric]
    own_names = {key: column for column, key in people.groups.items()}
    return stack(frames).rename(columns=own_names)


def _numbers(frame: nw.LazyFrame[Any], people: Units, keys: list[str]) -> pd.DataFrame:
    """Return mean, standard deviation and quartiles of all numbers, in one pass."""
    parts = []
    for name in people.numeric:
        value, column = people.values[name], nw.col(people.values[name])
        units = nw.col(f"{value}_suits").sum() if name in people.scores else nw.len()
        parts += [units.alias(f"{value}_units"), column.count().alias(f"{value}_n")]
        parts += [column.mean().alias(f"{value}_mean")]
        parts += [column.std().alias(f"{value}_standard_deviation")]
        parts += [
            column.quantile(share, interpolation="linear").alias(f"{value}_{quartile}")
            for quartile, share in _QUARTILES.items()
        ]
    found = collect(frame.group_by("_all", *keys).agg(parts))
    return stack(
        [
            _number_rows(found, keys, people.values[name]).assign(**{_VARIABLE: name})
            for name in people.numeric
        ]
    )


def _number_rows(found: pd.DataFrame, keys: list[str], value: str) -> pd.DataFrame:
    """Return the rows of one number, in the groups to which it applies."""
    found = found[found[f"{value}_units"].fillna(0) > 0]
    size, units = found[f"{value}_n"], found[f"{value}_units"]
    shared = found[keys].assign(**{_LEVEL: ""}, denominator=size, n_missing=units - size)
    shared = shared.assign(note=np.where(size == 0, _NOBODY, ""))
    rows = [shared.assign(estimand=name, estimate=found[f"{value}_{name}"]) for name in _NUMBERS]
    alone = (size == 1).to_numpy()
    rows = [
        each.assign(note=np.where(alone, _ONE, each["note"])) if name == "standard_deviation" else each
        for name, each in zip(_NUMBERS, rows, strict=True)
    ]
    return stack([*rows, _missing(shared.assign(note=""), units, units - size)])


def _missing(shared: pd.DataFrame, units: pd.Series[Any], lost: pd.Series[Any]) -> pd.DataFrame:
    """Return the share without a value."""
    return shared.assign(
        estimand="missing", estimate=lost / units, numerator=lost, denominator=units, n_missing=0
    )


def _shares(frame: nw.LazyFrame[Any], people: Units, name: str, keys: list[str]) -> pd.DataFrame:
    """Return the share of each level of a category, in every group, of those whose level is recorded."""
    level = nw.col(people.values[name]).cast(nw.String).alias(_LEVEL)
    found = collect(frame.select("_all", *keys, level).group_by("_all", *keys, _LEVEL).agg(n=nw.len()))
    known = found.dropna(subset=[_LEVEL])
    counted = found.assign(known=found["n"].where(found[_LEVEL].notna(), 0)).groupby(
        ["_all", *keys], as_index=False
    )
    groups = counted.agg(_units=("n", "sum"), _size=("known", "sum"))
    groups = groups.assign(**{_VARIABLE: name}, n_missing=groups["_units"] - groups["_size"])
    levels = pd.DataFrame({_LEVEL: sorted(known[_LEVEL].unique())}, dtype="str")
    rows = (
        groups.merge(levels, how="cross")
        .merge(known, on=["_all", *keys, _LEVEL], how="left")
        .fillna({"n": 0})
    )
    size = rows["_size"].where(rows["_size"] > 0)
    note = np.where(size.isna(), _NOBODY, "")
    rows = rows.assign(
        estimand="share", estimate=rows["n"] / size, numerator=rows["n"], denominator=rows["_size"], note=note
    )
    lost = _missing(groups.assign(**{_LEVEL: ""}), groups["_units"], groups["n_missing"])
    return stack([rows, lost])


def _differences(people: Units, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the largest standardized difference of each variable between any two groups that are known."""
    columns = [*people.groups]
    rows = rows[known_groups(rows, columns)]
    frames = []
    for name in people.values:
        own = rows[rows[_VARIABLE] == name]
        if name in people.numeric:
            wide = own.pivot_table(index=columns, columns="estimand", values="estimate", dropna=False)
            wide = wide.reindex(columns=["mean", "standard_deviation"])
            found = standardized_mean_difference(wide["mean"], wide["standard_deviation"])
        else:
            shares = own[own["estimand"] == "share"]
            wide = shares.pivot_table(index=columns, columns=_LEVEL, values="numerator")
            found = standardized_share_difference(wide.to_numpy().astype("int64"))
        places = [int(found[side].item()) for side in ("first", "second")]
        pair = [_name(wide.index[place]) for place in places if place >= 0]
        between = f"between {pair[0]} and {pair[1]}" if pair and len(wide) > 2 else ""  # noqa: PLR2004 - of two there is one pair
        note = "; ".join(filter(None, (found["note"].item(), between)))
        frames.append(found.assign(**{_VARIABLE: name, _LEVEL: ""}, note=note))
    everybody = dict.fromkeys(columns, ALL_GROUPS)
    return stack(frames).assign(**everybody, estimand="standardized_difference")


def _name(group: Any) -> str:
    return " · ".join(map(str, group)) if isinstance(group, tuple) else str(group)


def _explain(people: Units, cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a unit of the cell's group, with the variable's value."""
    if _VARIABLE not in cell:
        msg = f"name the variable: explain(..., variable='{next(iter(people.values), '')}')"
        raise ValueError(msg)
    value, named = (
        people.values[cell[_VARIABLE]],
        {name: cell.get(name, ALL_GROUPS) for name in people.groups},
    )
    estimand = cell.get("estimand")
    compared = estimand == "standardized_difference"
    whole = bool(named) and not compared and all(group == ALL_GROUPS for group in named.values())
    frame = people.of_variable(people.everybody() if whole else people.frame, cell[_VARIABLE])
    for column, group in named.items():
        if group != ALL_GROUPS:
            frame = frame.filter(nw.col(people.groups[column]) == group)
    ids = ["patient_id"] if people.unit == "patient" else ["course_id", "patient_id"]
    rows = collect(frame.select(*ids, *people.groups.values(), _shown=nw.col(value)))
    rows = rows.sort_values([*ids, *people.groups.values()], ignore_index=True)
    absent = rows["_shown"].isna()
    inside = pd.Series(data=True, index=rows.index) if estimand == "missing" else ~absent
    if estimand == "missing":
        counted = absent
    elif estimand == "share" and _LEVEL in cell:
        counted = _as_text(rows["_shown"]).eq(cell[_LEVEL])
    else:
        counted = inside
    names = {key: column for column, key in people.groups.items()} | {"_shown": "value"}
    rows = rows.rename(columns=names).assign(excluded=np.where(inside, "", "no value is recorded"))
    if compared:
        rows = without_unknown_groups(rows, [*named])
        inside = rows["excluded"] == ""
    return rows.assign(in_denominator=inside, in_numerator=inside & counted)


def _as_text(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return values as the engine writes them: whole numbers without a fraction."""
    return values.astype("Int64").astype("str") if pd.api.types.is_numeric_dtype(values) else values


def _spec(clinic: Dataset, columns: Sequence[str], chosen: Mapping[str, str], unit: Unit) -> dict[str, Any]:
    own = {name for name, source in chosen.items() if source == "baseline"}
    names = {
        code: f"{entry.label}, baseline"
        for code, entry in clinic.vocabulary.instruments.items()
        if code in own
    }
    of_levels: dict[str, str] = {}
    for each in labels(clinic, [*chosen]).values():
        of_levels = each | of_levels
    return {
        "analysis": "baseline_table",
        "title": "Who was treated: baseline by group",
        "arguments": {"by": list(columns), "variables": [*chosen], "unit": unit},
        "cutoff": clinic.cutoff.isoformat(),
        "population": {f"{unit}s": _UNITS[unit]},
        "rules": list(_RULES),
        "primary": "share",
        "references": [
            "Austin PC. Stat Med 2009;28:3083-3107. doi:10.1002/sim.3697",
            "Yang D, Dalton JE. SAS Global Forum 2012, paper 335.",
        ],
        "labels": labels(clinic, columns) | {_VARIABLE: names, _LEVEL: of_levels},
    }
