"""Change over repeated visits: trajectories, and groups compared at each visit by a mixed model for repeated measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import numpy as np
import pandas as pd

from mesostats.assessments import TAKEN
from mesostats.engine import collect
from mesostats.estimators.arguments import check_choice, check_conf_level
from mesostats.estimators.repeated_measures import NAMES, check_small_sample
from mesostats.estimators.visit_means import visit_means
from mesostats.outcomes.adjustments import adjustment, reference_group, with_covariates, without_reference
from mesostats.outcomes.patient_means import patient_means
from mesostats.outcomes.questions import directions, without_direction
from mesostats.outcomes.strategies import HYPOTHETICAL
from mesostats.outcomes.visit_assessments import OWN, visit_question, visit_values
from mesostats.populations import POPULATIONS, known_groups, labels, uncompared
from mesostats.results import Multiplicity, Result, adjusted_p_values, contract, stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesostats.dataset import Dataset
    from mesostats.estimators.repeated_measures import SmallSample, VisitCovariance
    from mesostats.outcomes.visit_assessments import VisitQuestion, VisitTime, Window

_ALL: Final = "all"
_COMPARED: Final = {"ls_mean": "ls_mean_change", "ls_mean_difference": "ls_mean_difference"}
_MEANINGS: Final = {
    "mean_value": "treated courses assessed at the visit; at time 0 those with a baseline",
    "mean_change": "treated courses with a baseline, assessed at the visit",
    "ls_mean_change": "the same courses, modelled with all their other visits, at the mean baseline",
    "ls_mean_difference": "those of the group; the reference's are in its own row",
}
_REFERENCES: Final = (
    "Mallinckrodt CH, Clark WS, David SR. J Biopharm Stat 2001;11:9-21. doi:10.1081/BIP-100104194",
    "Fai AHT, Cornelius PL. J Stat Comput Simul 1996;54:363-378. doi:10.1080/00949659608811740",
    "ICH E9(R1), 2019: addendum on estimands and sensitivity analysis in clinical trials.",
)


def change_by_visit(  # noqa: PLR0913 - each is one choice of the analysis plan
    clinic: Dataset,
    *,
    visits: Sequence[int],
    time: VisitTime = "day",
    by: str | Sequence[str] | None = "indication",
    instrument: str | Sequence[str] | None = None,
    group: str | None = None,
    reference: str | None = None,
    window: Window = None,
    adjust: str | Sequence[str] = (),
    covariance: VisitCovariance = "unstructured",
    small_sample: SmallSample = "satterthwaite",
    multiplicity: Multiplicity = "benjamini_hochberg",
    conf_level: float = 0.95,
) -> Result:
    """Estimate the change from baseline at each planned visit, and compare groups there, with all visits in one model.

    Parameters
    ----------
    clinic
        A data set with outcomes.
    visits
        Planned days after the first attended session, or numbers of attended sessions, in increasing order.
    time
        ``day`` or ``session``. A day takes the assessment nearest to it (of two as near, the later); a number of sessions the last
        assessment after them, on or before the day of the next session.
    by
        Columns of patients or courses; each of their cells has a model of its own.
    instrument
        One or several instruments; all that the outcomes hold by default. An instrument is analysed in the courses whose
        indication it is for. It needs a direction, but no responder rule.
    group
        A column of patients or courses that tells groups apart which are compared: arms, for one. None: no comparison.
    reference
        The group that the others are compared with; if not given the largest one whose value is known.
    window
        Days around a planned day (14 by default), or ``nearest``: each assessment belongs to the visit nearest to it, however far.
        For sessions: days after a course's last session (60 by default).
    adjust
        Columns of patients or courses that, besides the baseline, may explain both group and change. Numbers enter linearly, all
        others level by level, each level with the same weight in a mean; their effects are the same at all visits.
    covariance
        Of a course's visits: ``unstructured``, or ``compound_symmetry`` (a variance a visit, one correlation), which few courses
        may need.
    small_sample
        ``satterthwaite`` degrees of freedom; or ``kenward_roger``, which also adjusts the standard errors for the estimation of an
        unstructured covariance: for few courses.
    multiplicity
        How p values are adjusted: ``benjamini_hochberg`` or ``holm``. The family is the groups compared at one visit of one
        instrument and cell.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    Result
        By `by`, ``group`` and ``instrument``, with ``time`` the visit: estimands ``mean_value`` (time 0: baseline),
        ``mean_change`` (both of the courses observed), ``ls_mean_change`` and, of each group but the reference,
        ``ls_mean_difference`` (from the model; not of courses whose group is not recorded). In the instrument's unit;
        ``denominator``: courses observed; ``n_missing``: courses due at the visit that are not among them.

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
    The model: a mean for each group at each visit, a slope on the baseline at each visit, the columns of `adjust`; restricted
    maximum likelihood, degrees of freedom by `small_sample` (see `estimators.visit_means`). Courses without some visits stay in
    with those that they have: that is unbiased where visits are missing at random, given the visits before. Of those who stopped
    treatment the model predicts the visits that they do not have as if they had gone on: the hypothetical strategy of ICH E9(R1), as
    far as assessments end with treatment; those after it, within the window of a day, count as they are. A change is the value less the baseline. Where the covariance
    cannot be estimated, as of two visits that no course had both, the model's estimates are NaN with a note; the observed
    means remain. Courses whose group is not recorded are counted, not compared: they have the observed means, but are in no model
    of groups. Several courses of a patient are taken as independent in the model; the note says how many there are.

    References
    ----------
    Mallinckrodt CH, Clark WS, David SR (2001). Accounting for dropout bias using mixed-effects models.
    doi:10.1081/BIP-100104194

    Examples
    --------
    >>> import mesostats as ms
    >>> clinic = ms.simulate(300, seed=1)
    >>> found = change_by_visit(clinic, visits=[2, 4], time="session", instrument="masi")
    >>> found.estimates.query("estimand == 'mean_value'")["time"].tolist()
    [0.0, 2.0, 4.0]
    """
    check_conf_level(conf_level)
    check_choice(covariance, NAMES, "covariance")
    check_small_sample(small_sample, covariance)
    within = () if by is None else (by,) if isinstance(by, str) else tuple(by)
    columns = within if group is None else (*within, group)
    asked = visit_question(clinic, by=columns, instrument=instrument, visits=visits, time=time, window=window)
    covariates = adjustment(clinic, adjust, group=group, by=columns, taken={*OWN, *TAKEN})
    values = with_covariates(visit_values(clinic, asked), clinic, covariates)
    chosen = None if group is None else reference_group(values, group, reference)
    model = _Model(within, group, chosen, covariates, covariance, small_sample)
    keys = [*columns, "instrument"]
    observed = contract(_observed(values, keys, conf_level), keys)
    estimates = pd.concat([observed, _modelled(values, model, multiplicity, conf_level)], ignore_index=True)
    estimates = without_direction(estimates, asked.scorings).sort_values(
        [*keys, "time"], kind="stable", ignore_index=True
    )
    arguments: dict[str, Any] = {"visits": [*asked.visits.planned], "time": time, "by": [*within]}
    arguments |= {"instrument": [each.instrument.code for each in asked.scorings], "group": group}
    arguments |= {"reference": chosen, "window": window if window == "nearest" else asked.visits.window}
    arguments |= {"adjust": [*covariates], "covariance": covariance, "small_sample": small_sample}
    spec = _spec(clinic, asked, arguments | {"multiplicity": multiplicity, "conf_level": conf_level})
    return Result(estimates, spec, lambda cell: _explain(values, keys, cell))


@dataclass(frozen=True)
class _Model:
    """What is compared, within what, adjusted for what besides the baseline, and how the model is made."""

    by: tuple[str, ...]
    group: str | None
    reference: str | None
    covariates: tuple[str, ...]
    covariance: VisitCovariance
    small_sample: SmallSample


def _observed(values: nw.LazyFrame[Any], keys: list[str], conf_level: float) -> pd.DataFrame:
    """Estimate the means of the observed values and changes at each visit, and of the baseline once a course."""
    paired = nw.when(nw.col("reason") == "")
    found = patient_means(
        values.filter(nw.col("visit_due") == 1),
        [*keys, "visit"],
        {"mean_value": nw.col("value"), "mean_change": paired.then(nw.col("change"))},
        conf_level=conf_level,
    )
    courses = values.select(*keys, "course_id", "patient_id", "baseline").unique()
    start = patient_means(courses, keys, {"mean_value": nw.col("baseline")}, conf_level=conf_level)
    frame = stack([start.assign(visit=0), found])
    tested = frame["estimand"] == "mean_change"
    return frame.assign(
        time=frame["visit"],
        statistic=frame["statistic"].where(tested),
        p_value=frame["p_value"].where(tested),
        method=frame["method"] + "; observed cases only",
    )


def _modelled(
    values: nw.LazyFrame[Any], model: _Model, multiplicity: Multiplicity, conf_level: float
) -> pd.DataFrame:
    """Fit the model within each cell and instrument, p values adjusted for the groups compared."""
    cell = [*model.by, "instrument"]
    groups = [model.group] if model.group else []
    columns = [*cell, *groups, "course_id", "patient_id", "visit", "baseline", "change", *model.covariates]
    rows = collect(values.filter(nw.col("visit_due") == 1).select(columns))
    rows = rows[known_groups(rows, groups)]
    rows = rows.sort_values([*cell, "course_id", "visit"], ignore_index=True)
    frames = []
    for names, courses in rows.groupby(cell, sort=True):
        named: dict[str, Any] = dict(zip(cell, names, strict=True))
        frames.append(_one_cell(courses, model, conf_level).assign(**named))
    found = contract(stack(frames), [*model.by, *groups, "instrument"])
    family = found.groupby([*cell, "time"]).ngroup()
    tested = found["p_value"].where(found["estimand"] == "ls_mean_difference")
    return found.assign(p_adjusted=adjusted_p_values(tested, family, method=multiplicity))


def _one_cell(rows: pd.DataFrame, model: _Model, conf_level: float) -> pd.DataFrame:
    """Fit the model of one cell."""
    groups = rows[model.group] if model.group else pd.Series(_ALL, index=rows.index)
    reference = model.reference if model.group else _ALL
    present = reference in set(groups)
    found = visit_means(
        rows["change"],
        groups,
        rows[["baseline", *model.covariates]],
        subject=rows["course_id"],
        visit=rows["visit"],
        reference=reference if present else groups.iloc[0],
        by_visit=["baseline"],
        covariance=model.covariance,
        small_sample=model.small_sample,
        conf_level=conf_level,
    )
    if not present:
        found = without_reference(found, str(reference))
    notes = found["note"].tolist()
    several = rows.loc[rows["change"].notna()].groupby("patient_id")["course_id"].nunique()
    if (several > 1).any():
        shared = f"{(several > 1).sum()} patients with several courses, taken as independent"
        notes = ["; ".join(filter(None, (note, shared))) for note in notes]
    found = found.assign(
        estimand=found["estimand"].map(_COMPARED),
        time=found["visit"],
        unit="courses",
        note=notes,
        method=found["method"] + "; missing at random",
    )
    return found.rename(columns={"group": model.group}) if model.group else found.drop(columns="group")


def _explain(values: nw.LazyFrame[Any], keys: list[str], cell: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a course and visit of the cell, with its value and change, and why it does not count."""
    for column in keys:
        if column in cell:
            values = values.filter(nw.col(column) == cell[column])
    start = cell.get("time") == 0
    if "time" in cell and not start:
        values = values.filter(nw.col("visit") == int(cell["time"]))
    shown = [*keys, "course_id", "patient_id", "ended", "visit", "baseline", "value", "change"]
    rows = collect(values.select(*shown, "reason")).sort_values(
        [*keys, "course_id", "visit"], ignore_index=True
    )
    why = rows["reason"].astype("str")
    if start:
        rows = rows.drop_duplicates([*keys, "course_id"], ignore_index=True)
        rows = rows.assign(visit=0, value=rows["baseline"], change=np.nan)
        why = pd.Series(np.where(rows["baseline"].isna(), "no baseline", ""), dtype="str")
    elif cell.get("estimand") == "mean_value":
        why = why.mask((why == "no baseline") & rows["value"].notna(), "")
        why = why.mask((why == "no baseline"), "no assessment at the visit")
    return rows[shown].assign(in_denominator=why == "", in_numerator=why == "", excluded=why)


def _spec(clinic: Dataset, asked: VisitQuestion, arguments: dict[str, Any]) -> dict[str, Any]:
    against = arguments["reference"]
    adjusted = ", ".join(["baseline at each visit", *arguments["adjust"]])
    return {
        "analysis": "change_by_visit",
        "title": "Change from baseline by visit" + (f" against {against}" if against else ""),
        "arguments": arguments,
        "cutoff": clinic.cutoff.isoformat(),
        "population": {"courses": POPULATIONS["treated"], **_MEANINGS},
        "rules": [
            "Baseline: last assessment on or before the first attended session.",
            asked.visits.describe(),
            *directions(asked.scorings),
            f"Model: mixed model for repeated measures, {NAMES[arguments['covariance']]}, adjusted for {adjusted}.",
            f"Visits missing after a course was given up are predicted from those before ({HYPOTHETICAL}).",
            *([uncompared("courses")] if arguments["group"] else []),
        ],
        "primary": "ls_mean_difference" if arguments["group"] else "ls_mean_change",
        "family": "the groups compared at one visit of one instrument and cell",
        "references": list(_REFERENCES),
        "units": {each.instrument.code: each.instrument.unit for each in asked.scorings},
        "labels": labels(clinic, [*arguments["by"], arguments["group"] or "", "instrument"]),
    }
