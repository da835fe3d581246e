"""Ordinal outcomes of groups: how grades are distributed, the common odds ratio, who wins, and van Elteren's test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.assessments import END_OF_COURSE
from mesostats.engine import collect
from mesostats.estimators.arguments import check_choice
from mesostats.estimators.ordinal import proportional_odds
from mesostats.estimators.proportions import clustered_proportion, proportion
from mesostats.estimators.rank_comparisons import van_elteren, win_probability
from mesostats.outcomes.denominators import cluster_totals
from mesostats.outcomes.group_pairs import REFERENCE, TAKEN, GroupPairs, reference_pairs
from mesostats.outcomes.questions import question
from mesostats.outcomes.response_counts import MEANINGS, explained, not_due
from mesostats.populations import POPULATIONS, cluster_sums, grouping, labels, uncompared
from mesostats.results import Multiplicity, Result, adjusted_p_values, contract, stack
from mesostats.vocabulary import ResponderRule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.dataset import Dataset
    from mesostats.outcomes.questions import EndpointChoice, Question

Scale = Literal["change", "value"]

UNASSESSED: Final = "not assessed"
"""The grade of courses due without an evaluable endpoint, among the treated."""
_GRADE, _BETTER = "grade", "_better"
_MOST_GRADES: Final = 50
_DIGITS: Final = 9  # 3.3 - 1.1 is 2.1999999999999997 in binary numbers
# Only whether a baseline is needed matters of these rules.
_RULES: Final = {
    "change": ResponderRule(kind="absolute", threshold=1e-6),
    "value": ResponderRule(kind="level", threshold=0.0),
}
_OBSERVED: Final = "observed cases only"
_REPEATED: Final = (
    "patients with several courses, which are not independent: see the win probability, which is clustered"
)
_FEW: Final = 5
_SPARSE: Final = f"fewer than {_FEW} courses a grade: not to be relied on"
_FAMILY: Final = "all comparisons of one measure: of all groups, in all cells of the result"
_TESTS: Final = ("van_elteren_test", "proportionality_test")


def compare_grades(
    clinic: Dataset,
    *,
    instrument: str,
    group: str = "arm",
    reference: str | None = None,
    by: str | Sequence[str] | None = None,
    scale: Scale = "change",
    endpoint: EndpointChoice = END_OF_COURSE,
    window: int | None = None,
    strata: str | Sequence[str] | None = None,
    multiplicity: Multiplicity = "benjamini_hochberg",
    conf_level: float = 0.95,
) -> Result:
    """Compare the grades of groups on an ordinal instrument, without cutting them into responders and others.

    Parameters
    ----------
    clinic
        A data set with outcomes.
    instrument
        An instrument with a known direction and at most 50 grades; it needs no responder rule.
    group, reference, by
        As for `compare_response`: columns of patients or courses.
    scale
        ``change``: grades of improvement since baseline; ``value``: the value at the endpoint.
    endpoint, window
        When the outcome is read, as for `response`.
    strata
        Columns of patients or courses within whose levels groups are compared by ranks, and which the adjusted odds ratio is
        adjusted for.
    multiplicity
        How p values are adjusted, within the family that ``spec["family"]`` names.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        By ``by``, ``instrument``, the group, ``reference`` and ``grade`` (both empty where they do not apply). Of each group and
        grade: ``share_of_evaluable`` and ``share_of_treated``, the latter also of those not assessed. Of each comparison:
        ``common_odds_ratio`` and ``adjusted_common_odds_ratio`` (for the value at baseline and the strata) of the proportional
        odds model, ``proportionality_test`` (of the former), ``win_probability`` and ``van_elteren_test`` (without strata Wilcoxon's).
        Above 1, or above 1/2, the group does better than the reference, whatever the instrument's direction. ``n_missing``:
        courses of the group due without an evaluable endpoint.

    Raises
    ------
    DataError
        If the table outcomes is absent.
    VocabularyError
        If the instrument is not in the vocabulary.
    ValueError
        If an argument is not as described, the instrument's direction is not declared, or there are more than 50 grades.

    Notes
    -----
    Courses without an evaluable endpoint are in no comparison (observed cases only); ``share_of_treated`` shows how many
    they are. See `estimators.proportional_odds`, `estimators.win_probability` and `estimators.van_elteren`. Where
    patients have several courses, the odds ratios have cluster-robust intervals and the win probability a clustered one; the
    rank test, which needs independent courses, has none.

    References
    ----------
    McCullagh P (1980). Regression models for ordinal data. doi:10.1111/j.2517-6161.1980.tb01109.x

    van Elteren PH (1960). On the combination of independent two-sample tests of Wilcoxon. Bulletin of the International
    Statistical Institute 37, 351-361.

    Examples
    --------
    >>> import mesostats as ms
    >>> from mesostats.outcomes.grades import compare_grades
    >>> clinic = ms.simulate(300, seed=1)
    >>> found = compare_grades(clinic, instrument="fine_lines", group="sex", reference="female")
    >>> win = found.cell(sex="male", reference="female", estimand="win_probability")
    >>> bool(win["conf_low"] < win["estimate"] < win["conf_high"])
    True
    """
    check_choice(scale, get_args(Scale), "scale")
    columns, levels = grouping(by), grouping(strata)
    asked = question(
        clinic,
        by=(*columns, group, *levels),
        instrument=instrument,
        rule=_RULES[scale],
        endpoint=endpoint,
        window=window,
        taken={*TAKEN, _GRADE, _BETTER},
    )
    for reason in asked.refusals.values():
        msg = reason.replace("pass rule=", "declare it in a vocabulary overlay")
        raise ValueError(msg)
    courses = clinic.engine.materialise(_graded(asked.courses(clinic), asked, scale))
    pairs = GroupPairs(
        clinic,
        courses,
        (*columns, "instrument"),
        group,
        reference_pairs(courses, group, reference=reference, pairwise=False),
    )
    estimates = _estimates(pairs, levels, multiplicity, conf_level)
    arguments = asked.arguments | {
        "by": list(columns),
        "group": group,
        "reference": reference,
        "scale": scale,
    }
    arguments |= {"strata": list(levels), "multiplicity": multiplicity, "conf_level": conf_level}
    spec = _spec(clinic, asked, arguments) | {"not_due": not_due(courses)}
    return Result(estimates, spec, lambda cell: _explain(pairs, scale, cell))


def _graded(courses: nw.LazyFrame[Any], asked: Question, scale: Scale) -> nw.LazyFrame[Any]:
    """Add each evaluable course's ``grade``, and its number of which more is better."""
    shown = nw.col("improvement" if scale == "change" else "value")
    (each,) = asked.scorings
    better = -1.0 if scale == "value" and each.instrument.direction == "lower_is_better" else 1.0
    there = nw.when(nw.col("evaluable") == 1)
    return courses.with_columns(
        there.then(shown.round(_DIGITS)).alias(_GRADE),
        there.then((shown * better).round(_DIGITS)).alias(_BETTER),
    )


def _estimates(
    pairs: GroupPairs, strata: Sequence[str], multiplicity: Multiplicity, conf_level: float
) -> pd.DataFrame:
    """Return the distributions and the comparisons, group by group."""
    keys, groups = [*pairs.cell, pairs.group], [*pairs.columns, _GRADE]
    shares = _distributions(pairs, conf_level)
    rows = pairs.patterns("evaluable", [_BETTER, "baseline", *strata])
    grid = pairs.grid()
    compared = stack([_compared(rows, pairs, row, strata, conf_level) for _, row in grid.iterrows()])
    missing = shares.drop_duplicates(keys)[[*keys, "n_missing"]]
    if len(compared):
        compared = compared.drop(columns="n_missing", errors="ignore").merge(missing, on=keys, how="left")
        tested = compared["p_value"].astype(float).where(compared["estimand"] != "proportionality_test")
        compared["p_adjusted"] = adjusted_p_values(tested, compared["estimand"], method=multiplicity)
    frame = pd.concat([shares, compared], ignore_index=True).sort_values([*keys, REFERENCE], kind="stable")
    return contract(frame, groups)


def _distributions(pairs: GroupPairs, conf_level: float) -> pd.DataFrame:
    """Return the shares of each grade in each group, over evaluable and over treated courses."""
    cells = [*pairs.cell, pairs.group]
    due = pairs.courses.filter(nw.col("due") == 1)
    sizes = due.group_by(*cells, "patient_id").agg(
        nw.len().cast(nw.Float64).alias("_due"), nw.col("evaluable").sum().cast(nw.Float64).alias("_seen")
    )
    grades = collect(due.select(_GRADE).unique())[_GRADE].dropna().sort_values().tolist()
    if len(grades) > _MOST_GRADES:
        msg = f"the instrument has {len(grades)} different grades in these data, at most {_MOST_GRADES} are compared"
        raise ValueError(msg)
    counted = [nw.when(nw.col(_GRADE) == grade).then(nw.lit(1.0)).otherwise(nw.lit(0.0)) for grade in grades]
    each = due.group_by(*cells, "patient_id").agg(
        *(count.sum().alias(f"_grade_{place}") for place, count in enumerate(counted))
    )
    patients = sizes.join(each, on=[*cells, "patient_id"], how="inner").with_columns(
        _none=nw.col("_due") - nw.col("_seen")
    )
    names = [f"_grade_{place}" for place in range(len(grades))]
    sums = [part for name in names for part in cluster_sums(nw.col("_seen"), nw.col(name), f"seen{name}")]
    sums += [
        part
        for name in (*names, "_none")
        for part in cluster_sums(nw.col("_due"), nw.col(name), f"due{name}")
    ]
    found = _filled(collect(patients.group_by(*cells).agg(*sums)), pairs)
    texts = dict(zip(names, map(_text, grades), strict=True))
    frames = [
        _shares(found, cells, f"seen{name}", conf_level).assign(grade=text, estimand="share_of_evaluable")
        for name, text in texts.items()
    ]
    frames += [
        _shares(found, cells, f"due{name}", conf_level).assign(grade=text, estimand="share_of_treated")
        for name, text in (texts | {"_none": UNASSESSED}).items()
    ]
    return stack(frames)


def _text(grade: float) -> str:
    """Return a grade as text, with as many digits as tell grades apart; no change is 0, not -0."""
    return f"{grade + 0.0:.15g}"


def _filled(found: pd.DataFrame, pairs: GroupPairs) -> pd.DataFrame:
    """Return a row for every group in every cell, 0 where it has nobody there."""
    cells = collect(pairs.courses.select(*pairs.cell).unique())
    groups = collect(pairs.courses.select("instrument", pairs.group).unique())
    keys = [*pairs.cell, pairs.group]
    whole = cells.merge(groups, on="instrument").merge(found, on=keys, how="left")
    numbers = whole.drop(columns=keys).astype("float64").fillna(0.0)
    return pd.concat([whole[keys], numbers], axis="columns").sort_values(keys, ignore_index=True)


def _shares(found: pd.DataFrame, cells: Sequence[str], prefix: str, conf_level: float) -> pd.DataFrame:
    """Return one share of each group: Wilson's interval, clustered where patients repeat."""
    totals = cluster_totals(found, prefix)
    single = proportion(totals.successes, totals.trials, conf_level=conf_level).assign(df=np.nan)
    several = clustered_proportion(totals, conf_level=conf_level)
    repeated = totals.trials > totals.clusters
    shares = pd.DataFrame({name: np.where(repeated, several[name], single[name]) for name in single.columns})
    missing = found["due_none_successes"]
    return shares.assign(
        **{name: found[name] for name in cells}, reference="", n_missing=missing, unit="courses"
    )


def _compared(
    rows: pd.DataFrame, pairs: GroupPairs, row: pd.Series[Any], strata: Sequence[str], conf_level: float
) -> pd.DataFrame:
    """Return the measures and tests of one pair, a row each."""
    chosen = rows[pairs.group].isin([row[pairs.group], row[REFERENCE]])
    for column in pairs.cell:
        chosen &= rows[column] == row[column]
    pair = rows[chosen]
    shown = {name: row[name] for name in pairs.columns} | {_GRADE: "", "unit": "courses"}
    sizes = [pair.loc[pair[pairs.group] == row[name], "_n"].sum() for name in (pairs.group, REFERENCE)]
    if not all(sizes):
        empty = {"denominator": sizes[0], "p_value": np.nan, "note": "nobody in one of the groups"}
        return pd.DataFrame([shown | empty | {"estimand": name} for name in (*_MEASURES, *_TESTS)])
    frames = _measures(pair, pairs.group, row[REFERENCE], strata, conf_level)
    return stack(
        [
            found.assign(**shown, estimand=name, method=found["method"] + f"; {_OBSERVED}")
            for name, found in frames.items()
        ]
    )


_MEASURES: Final = ("common_odds_ratio", "adjusted_common_odds_ratio", "win_probability")


def _measures(
    pair: pd.DataFrame, group: str, reference: str, strata: Sequence[str], conf_level: float
) -> dict[str, pd.DataFrame]:
    """Estimate all measures of a group and its reference that both have somebody."""
    graded: dict[str, Any] = {"frequencies": pair["_n"], "reference": reference}
    named = pair[group], pair["patient_id"]
    within = pair.groupby([*strata]).ngroup() if strata else None
    covariates = pair[["baseline", *strata]]
    odds, adjusted = (
        proportional_odds(pair[_BETTER], named[0], each, clusters=named[1], conf_level=conf_level, **graded)
        for each in (None, covariates)
    )
    wins = win_probability(
        pair[_BETTER], named[0], strata=within, clusters=named[1], conf_level=conf_level, **graded
    )
    ranks = van_elteren(pair[_BETTER], named[0], strata=within, **graded)
    if pair["_n"].sum() > named[1].nunique():
        ranks = ranks.assign(statistic=np.nan, p_value=np.nan, note=_REPEATED)
    return {
        "common_odds_ratio": odds,
        "adjusted_common_odds_ratio": adjusted.assign(note=_with_missing(adjusted)),
        "win_probability": wins,
        "van_elteren_test": ranks,
        "proportionality_test": _proportionality(odds, pair["_n"].sum() / pair[_BETTER].nunique()),
    }


def _with_missing(adjusted: pd.DataFrame) -> list[str]:
    left_out = [f"{n:.0f} without a baseline left out" if n else "" for n in adjusted["n_missing"]]
    return ["; ".join(filter(None, pair)) for pair in zip(adjusted["note"], left_out, strict=True)]


def _proportionality(odds: pd.DataFrame, per_grade: float) -> pd.DataFrame:
    """Return the test of the model's assumption as a row of its own."""
    tested = odds["proportionality_statistic"].notna()
    untested = odds["note"].where(odds["note"] != "", "two grades or fewer: nothing to test")
    return pd.DataFrame(
        {
            "statistic": odds["proportionality_statistic"],
            "df": odds["proportionality_df"].where(tested),
            "p_value": odds["proportionality_p_value"],
            "denominator": odds["denominator"],
            "method": "score test of one odds ratio at every cut",
            "note": untested.where(~tested, _SPARSE if per_grade < _FEW else ""),
        }
    )


def _explain(pairs: GroupPairs, scale: Scale, cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a course of the cell's group with its grade; in the numerator where it has the cell's grade."""
    flag = "due" if cell.get("estimand") == "share_of_treated" else "evaluable"
    rows = explained(pairs.courses, [*pairs.cell[:-1], pairs.group], cell, flag=flag)
    number = rows["improvement" if scale == "change" else "value"].round(_DIGITS)
    grade = [UNASSESSED if np.isnan(each) else _text(each) for each in number]
    rows = rows.assign(grade=pd.Series(grade, dtype="str"))
    wanted = cell.get(_GRADE, "")
    hit = rows["in_denominator"] & ((rows["grade"] == wanted) if wanted else True)
    return rows.assign(in_numerator=hit)


def _spec(clinic: Dataset, asked: Question, arguments: dict[str, Any]) -> dict[str, Any]:
    (each,) = asked.scorings
    what = (
        "grades of improvement since baseline" if arguments["scale"] == "change" else "values at the endpoint"
    )
    del arguments["window"]
    return {
        "analysis": "compare_grades",
        "title": f"{each.instrument.label}: {what} by {arguments['group'].removesuffix('_id').replace('_', ' ')}",
        "arguments": arguments | {"window": asked.endpoint.window},
        "cutoff": clinic.cutoff.isoformat(),
        "population": {
            "courses": POPULATIONS["treated"],
            "treated": "treated courses whose endpoint is due",
            "evaluable": MEANINGS["evaluable"],
        },
        "rules": [
            *asked.timing,
            "Above 1 (odds ratios) or 1/2 (win probability) the group does better than the reference.",
            uncompared("courses"),
            f"p values adjusted ({arguments['multiplicity']}) within a family: {_FAMILY}.",
        ],
        "primary": "common_odds_ratio",
        "family": _FAMILY,
        "references": [
            "McCullagh P. J R Stat Soc B 1980;42:109-142. doi:10.1111/j.2517-6161.1980.tb01109.x",
            "van Elteren PH. Bull Int Stat Inst 1960;37:351-361.",
            "Newcombe RG. Stat Med 2006;25:559-573. doi:10.1002/sim.2324",
        ],
        "labels": labels(clinic, [*arguments["by"], "instrument", arguments["group"]]),
    }
