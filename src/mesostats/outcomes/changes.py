"""Change from baseline: mean change, and groups compared at the same baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.assessments import END_OF_COURSE, TAKEN
from mesostats.engine import collect
from mesostats.estimators.ancova import ancova
from mesostats.estimators.arguments import check_conf_level
from mesostats.outcomes.adjustments import adjustment, reference_group, with_covariates, without_reference
from mesostats.outcomes.patient_means import patient_means
from mesostats.outcomes.questions import directions, question, without_direction
from mesostats.populations import POPULATIONS, known_groups, labels, uncompared
from mesostats.results import Multiplicity, Result, adjusted_p_values, contract, stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.dataset import Dataset
    from mesostats.outcomes.questions import EndpointChoice, Question

_MEANS: Final = ("mean_baseline", "mean_baseline_evaluable", "mean_value", "mean_change")
_COMPARED: Final = {"ls_mean": "ls_mean_change", "ls_mean_difference": "ls_mean_difference"}
_OWN: Final = frozenset({"change", "reason"})
_NOT_DUE: Final = "endpoint not due by the data cut"
_NO_BASELINE: Final = "no baseline"
_MEANINGS: Final = {
    "mean_baseline": "treated courses whose endpoint is due, with a baseline",
    "mean_baseline_evaluable": "of these, courses with an assessment at the endpoint",
    "mean_value": "the same courses as mean_baseline_evaluable",
    "mean_change": "the same courses as mean_baseline_evaluable",
}
_ADJUSTED: Final = {
    "ls_mean_change": "the same courses, at the mean baseline of all groups compared",
    "ls_mean_difference": "those of the group; the reference's are in its own row",
}
_REFERENCES: Final = (
    "Vickers AJ, Altman DG. BMJ 2001;323:1123-1124. doi:10.1136/bmj.323.7321.1123",
    "Pustejovsky JE, Tipton E. J Bus Econ Stat 2018;36:672-683. doi:10.1080/07350015.2016.1247004",
    "ICH E9(R1), 2019: addendum on estimands and sensitivity analysis in clinical trials.",
)


def change_from_baseline(
    clinic: Dataset,
    *,
    by: str | Sequence[str] | None = "indication",
    instrument: str | Sequence[str] | None = None,
    group: str | None = None,
    reference: str | None = None,
    endpoint: EndpointChoice = END_OF_COURSE,
    window: int | None = None,
    adjust: str | Sequence[str] = (),
    multiplicity: Multiplicity = "benjamini_hochberg",
    conf_level: float = 0.95,
) -> Result:
    """Estimate the mean change from baseline, and compare groups at the same baseline.

    Parameters
    ----------
    clinic
        A data set with outcomes.
    by
        Columns of patients or courses.
    instrument
        One or several instruments; all that the outcomes hold by default. An instrument is analysed in the courses whose
        indication it is for. It needs a direction, but no responder rule.
    group
        A column of patients or courses that tells groups apart which are compared: arms, for one. None: no comparison.
    reference
        The group that the others are compared with; if not given the largest one whose value is known.
    endpoint, window
        As of `response`.
    adjust
        Columns of patients or courses that, besides the baseline, may explain both group and change. Numbers enter linearly, all
        others level by level, each level with the same weight in a mean.
    multiplicity
        How p values are adjusted: ``benjamini_hochberg`` or ``holm``. The family is the groups compared within one instrument and
        one cell of `by`.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        By `by`, ``group`` and ``instrument``: estimands ``mean_baseline`` (courses with a baseline), ``mean_baseline_evaluable``,
        ``mean_value`` and ``mean_change`` (courses with baseline and endpoint). With `group` also ``ls_mean_change`` of each
        group and ``ls_mean_difference`` of each but the reference; courses whose group is not recorded have their means alone. In
        the instrument's unit; ``denominator``: courses; ``n_missing``: courses due that are not among them.

    Raises
    ------
    DataError
        If the table outcomes is absent.
    VocabularyError
        If an instrument is not in the vocabulary.
    ValueError
        If an argument is not as described, or `reference` is not one of the known groups.

    Notes
    -----
    A change is the value less the baseline: where lower is better, an improvement is negative. Means have t intervals, clustered
    in patients. Least-squares means and differences are those of an analysis of covariance on the baseline; where a patient has
    several courses, with a clustered covariance (CR2) and Satterthwaite's degrees of freedom. Courses whose group is not recorded
    are counted, not compared: they are in no model, and in no family of p values. Only courses with an
    endpoint are used: that is unbiased where who has one depends on group, baseline and `adjust` alone. Compare
    ``mean_baseline`` with ``mean_baseline_evaluable``, and see `change_by_visit`, which also uses earlier visits.

    References
    ----------
    Vickers AJ, Altman DG (2001). Analysing controlled trials with baseline and follow up measurements.
    doi:10.1136/bmj.323.7321.1123

    Examples
    --------
    >>> import mesostats as ms
    >>> found = change_from_baseline(ms.simulate(300, seed=1), instrument="masi")
    >>> change = found.cell(indication="melasma", estimand="mean_change")
    >>> bool(change["conf_high"] < 0)  # lower is better
    True
    """
    check_conf_level(conf_level)
    within = () if by is None else (by,) if isinstance(by, str) else tuple(by)
    columns = within if group is None else (*within, group)
    asked = question(
        clinic, by=columns, instrument=instrument, rule=None, endpoint=endpoint, window=window, taken=_OWN
    )
    covariates = adjustment(clinic, adjust, group=group, by=columns, taken={*_OWN, *TAKEN})
    scored = with_covariates(_with_change(clinic, asked), clinic, covariates)
    comparison = (
        None
        if group is None
        else _Comparison(within, group, reference_group(scored, group, reference), covariates)
    )
    keys = [*columns, "instrument"]
    frames = [contract(_means(scored, keys, conf_level), keys)]
    if comparison:
        frames.append(_compared(scored, comparison, multiplicity, conf_level))
    estimates = without_direction(pd.concat(frames, ignore_index=True), asked.scorings)
    estimates = estimates.sort_values(keys, kind="stable", ignore_index=True)
    arguments: dict[str, Any] = asked.arguments | {"by": [*within], "group": group}
    arguments |= {"reference": comparison.reference if comparison else None, "adjust": [*covariates]}
    arguments |= {"multiplicity": multiplicity, "conf_level": conf_level}
    spec = _spec(clinic, asked, arguments)
    return Result(estimates, spec, lambda cell: _explain(scored, keys, cell))


@dataclass(frozen=True)
class _Comparison:
    """Which groups are compared, within what, and adjusted for what besides the baseline."""

    by: tuple[str, ...]
    group: str
    reference: str
    covariates: tuple[str, ...]


def _with_change(clinic: Dataset, asked: Question) -> nw.LazyFrame[Any]:
    """Return the scored courses with their raw change, and flags that need no responder rule."""
    scored = asked.courses(clinic)
    due = nw.col("due") == 1
    based = due & ~nw.col("baseline").is_null()
    paired = based & ~nw.col("value").is_null()
    return scored.with_columns(
        change=nw.when(paired).then(nw.col("value") - nw.col("baseline")),
        reason=nw.when(~due)
        .then(nw.lit(_NOT_DUE))
        .when(~based)
        .then(nw.lit(_NO_BASELINE))
        .when(~paired)
        .then(nw.lit("no assessment at the endpoint"))
        .otherwise(nw.lit("")),
    )


def _means(scored: nw.LazyFrame[Any], keys: list[str], conf_level: float) -> pd.DataFrame:
    """Estimate the four means of each group, over those who are due."""
    paired = nw.col("reason") == ""
    measures = {
        "mean_baseline": nw.col("baseline"),
        "mean_baseline_evaluable": nw.when(paired).then(nw.col("baseline")),
        "mean_value": nw.when(paired).then(nw.col("value")),
        "mean_change": nw.col("change"),
    }
    found = patient_means(scored.filter(nw.col("due") == 1), keys, measures, conf_level=conf_level)
    tested = found["estimand"] == "mean_change"
    return found.assign(
        statistic=found["statistic"].where(tested),
        p_value=found["p_value"].where(tested),
        method=found["method"] + np.where(found["estimand"] == "mean_baseline", "", "; observed cases only"),
    )


def _compared(
    scored: nw.LazyFrame[Any], comparison: _Comparison, multiplicity: Multiplicity, conf_level: float
) -> pd.DataFrame:
    """Compare the groups within each cell and instrument, p values adjusted for their number."""
    cell = [*comparison.by, "instrument"]
    columns = [*cell, comparison.group, "patient_id", "baseline", "change", *comparison.covariates]
    rows = collect(scored.filter(nw.col("due") == 1).select(columns))
    rows = rows[known_groups(rows, [comparison.group])]
    rows = rows.sort_values([*cell, comparison.group, "patient_id"], ignore_index=True)
    frames = []
    for names, courses in rows.groupby(cell, sort=True):
        named: dict[str, Any] = dict(zip(cell, names, strict=True))
        frames.append(_one_cell(courses, comparison, conf_level).assign(**named))
    found = contract(stack(frames), [*comparison.by, comparison.group, "instrument"])
    family = found.groupby(cell).ngroup()
    tested = found["p_value"].where(found["estimand"] == "ls_mean_difference")
    return found.assign(p_adjusted=adjusted_p_values(tested, family, method=multiplicity))


def _one_cell(courses: pd.DataFrame, comparison: _Comparison, conf_level: float) -> pd.DataFrame:
    """Compare the groups of one cell."""
    groups = courses[comparison.group]
    present = comparison.reference in set(groups)
    evaluable = courses["change"].notna()
    repeated = courses.loc[evaluable, "patient_id"].duplicated().any()
    found = ancova(
        courses["change"],
        groups,
        courses[["baseline", *comparison.covariates]],
        reference=comparison.reference if present else groups.iloc[0],
        clusters=courses["patient_id"] if repeated else None,
        conf_level=conf_level,
    )
    if not present:
        found = without_reference(found, comparison.reference)
    return found.assign(
        estimand=found["estimand"].map(_COMPARED),
        method=found["method"] + "; observed cases only",
        unit="courses",
    ).rename(columns={"group": comparison.group})


def _explain(scored: nw.LazyFrame[Any], keys: list[str], cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a course of the cell's group with its baseline, value and change, and why it does not count."""
    for column in keys:
        if column in cell:
            scored = scored.filter(nw.col(column) == cell[column])
    shown = [*keys, "course_id", "patient_id", "ended", "baseline", "value", "change"]
    rows = collect(scored.select(*shown, "reason")).sort_values([*keys, "course_id"], ignore_index=True)
    why = rows["reason"].astype("str")
    if cell.get("estimand") == "mean_baseline":
        why = why.where(why.isin([_NOT_DUE, _NO_BASELINE]), "")
    return rows[shown].assign(in_denominator=why == "", in_numerator=why == "", excluded=why)


def _spec(clinic: Dataset, asked: Question, arguments: dict[str, Any]) -> dict[str, Any]:
    against = arguments["reference"]
    adjusted = ", ".join(["baseline", *arguments["adjust"]])
    return {
        "analysis": "change_from_baseline",
        "title": "Change from baseline" + (f" against {against}" if against else ""),
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {
            "courses": POPULATIONS["treated"],
            **_MEANINGS,
            **(_ADJUSTED if arguments["group"] else {}),
        },
        "rules": [
            *asked.timing,
            *directions(asked.scorings),
            *(
                [
                    f"Groups compared at the same {adjusted} (analysis of covariance).",
                    uncompared("courses"),
                ]
                if arguments["group"]
                else []
            ),
        ],
        "primary": "ls_mean_difference" if arguments["group"] else "mean_change",
        "family": "the groups compared within one instrument and cell",
        "references": list(_REFERENCES),
        "units": {each.instrument.code: each.instrument.unit for each in asked.scorings},
        "labels": labels(clinic, [*arguments["by"], arguments["group"] or "", "instrument"]),
    }
