"""Least-squares means by visit and group, and their differences, from a mixed model for repeated measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from mesostats.errors import did_you_mean
from mesostats.estimators.arguments import check_choice, check_conf_level, check_same_length
from mesostats.estimators.marginal_designs import complete, marginal_design
from mesostats.estimators.repeated_measures import (
    NAMES,
    SMALL_SAMPLE,
    check_small_sample,
    fit_repeated_measures,
)
from mesostats.estimators.student_t import reference_first, with_t_tests

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import numpy.typing as npt

    from mesostats.estimators.marginal_designs import LevelWeights, MarginalDesign
    from mesostats.estimators.repeated_measures import RepeatedMeasuresFit, SmallSample, VisitCovariance

    Integers = npt.NDArray[np.int64]

COLUMNS: Final = (
    *("group", "visit", "estimand", "estimate", "std_error", "conf_low", "conf_high", "conf_level"),
    *("statistic", "df", "p_value", "denominator", "n_missing", "method", "note"),
)


@dataclass(frozen=True, eq=False)
class _Sample:
    """Coded observations: those that can be used, and how many of each cell cannot."""

    groups: tuple[Any, ...]
    visits: tuple[Any, ...]
    group: Integers
    visit: Integers
    used: npt.NDArray[np.bool_]

    @property
    def cells(self) -> Integers:
        """The cell of each observation: visits one after another within the groups."""
        return self.group * len(self.visits) + self.visit

    def counts(self, chosen: npt.NDArray[np.bool_]) -> Integers:
        """Return the chosen observations of each cell."""
        return np.bincount(self.cells[chosen], minlength=len(self.groups) * len(self.visits))


def visit_means(
    outcome: npt.ArrayLike,
    group: npt.ArrayLike,
    covariates: pd.DataFrame | None = None,
    *,
    subject: npt.ArrayLike,
    visit: npt.ArrayLike,
    reference: Any,
    by_visit: Collection[str] = (),
    weights: LevelWeights = "equal",
    covariance: VisitCovariance = "unstructured",
    small_sample: SmallSample = "satterthwaite",
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Estimate the mean outcome at each visit in each group, and the differences from a reference group.

    Parameters
    ----------
    outcome
        Shape (n,); an observation without one is counted as missing.
    group
        The group of each observation, shape (n,); a subject stays in one group.
    covariates
        n rows: numbers, booleans, texts or categories. A missing text is a level of its own; a row that lacks a number is
        counted as missing.
    subject, visit
        Whose observation it is, and at which visit: shape (n,), sortable.
    reference
        The group that the others are compared with.
    by_visit
        The covariates whose effect may differ between visits: the baseline value, most often.
    weights
        How the levels of a text are weighted in a mean: ``equal`` (SAS's LSMEANS) or ``proportional`` (with OM).
    covariance
        Of a subject's visits: ``unstructured`` or ``compound_symmetry`` (with a variance a visit).
    small_sample
        ``satterthwaite`` degrees of freedom; or ``kenward_roger``, which also adjusts the standard errors for the estimation of the
        covariance, and needs it unstructured.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    pandas.DataFrame
        A row a group and visit with estimand ``ls_mean``, then ``ls_mean_difference`` of each group but the reference. Columns
        ``group, visit, estimand, estimate, std_error, conf_low, conf_high, conf_level, statistic, df, p_value,
        denominator`` (observations of the group at the visit), ``n_missing, method, note``.

    Raises
    ------
    ValueError
        If lengths differ, a group, subject or visit is missing, a subject has a visit twice, the reference is not among
        the groups, or `by_visit` names something that is no covariate.

    Notes
    -----
    The model has a mean for each group at each visit, and the covariates; its covariance is estimated by restricted maximum
    likelihood, see `fit_repeated_measures`. A mean is taken at the average of each number over all observations used. Student's t
    with the degrees of freedom of `small_sample`. Valid where outcomes are missing at random given what was observed.

    Examples
    --------
    >>> rows = pd.DataFrame({"who": [1, 1, 2, 2, 3, 3, 4, 4, 5, 5], "week": [4, 8] * 5})
    >>> rows["arm"], rows["change"] = ["a"] * 6 + ["b"] * 4, [1.0, 2, 2, 4, 3, 3, 0, 1, 1, 0]
    >>> found = visit_means(rows["change"], rows["arm"], subject=rows["who"], visit=rows["week"], reference="a")
    >>> found.query("estimand == 'ls_mean_difference'")[["visit", "estimate", "df"]].round(6).values.tolist()
    [[4.0, -1.5, 3.0], [8.0, -2.5, 3.0]]
    """
    check_conf_level(conf_level)
    check_choice(covariance, NAMES, "covariance")
    check_small_sample(small_sample, covariance)
    frame, sample = _sample(outcome, group, visit, covariates, reference=reference)
    unknown = sorted(set(by_visit) - set(frame.columns))
    if unknown:
        msg = f"by_visit '{unknown[0]}' is no covariate{did_you_mean(unknown[0], frame.columns)}"
        raise ValueError(msg)
    used = sample.used
    design = marginal_design(
        sample.cells[used],
        len(sample.groups) * len(sample.visits),
        frame[used],
        weights=weights,
        visit=sample.visit[used],
        by_visit=by_visit,
    )
    who = np.asarray(subject)
    check_same_length(outcome=used, subject=who)
    fit = fit_repeated_measures(
        np.asarray(outcome, dtype=np.float64)[used],
        design.columns,
        subject=who[used],
        visit=sample.visit[used],
        covariance=covariance,
    )
    rows = pd.DataFrame(_rows(sample, design, fit, small_sample)).assign(
        method=f"mixed model for repeated measures, {NAMES[covariance]}, REML, {SMALL_SAMPLE[small_sample]} t"
    )
    return with_t_tests(rows, conf_level=conf_level)[[*COLUMNS]]


def _sample(
    outcome: npt.ArrayLike,
    group: npt.ArrayLike,
    visit: npt.ArrayLike,
    covariates: pd.DataFrame | None,
    *,
    reference: Any,
) -> tuple[pd.DataFrame, _Sample]:
    """Check and code the observations."""
    values = np.asarray(outcome, dtype=np.float64)
    frame, whole = complete(values, covariates, len(values))
    labelled, labels = pd.factorize(pd.Series(group), sort=True)
    when, visits = pd.factorize(pd.Series(visit), sort=True)
    check_same_length(outcome=values, group=labelled, visit=when, covariates=frame.to_numpy())
    for codes, name in ((labelled, "group"), (when, "visit")):
        if np.any(codes < 0):
            msg = f"{name} has {np.sum(codes < 0)} missing values (first at position {np.argmax(codes < 0)})"
            raise ValueError(msg)
    groups, codes = reference_first(labelled, list(labels), reference)
    return frame, _Sample(groups, tuple(visits), codes, when.astype(np.int64), whole)


def _rows(
    sample: _Sample, design: MarginalDesign, fit: RepeatedMeasuresFit, small_sample: SmallSample
) -> Iterator[dict[str, Any]]:
    """Yield a row a group and visit, then a row a comparison and visit."""
    visits, cells = len(sample.visits), len(sample.groups) * len(sample.visits)
    seen, missing = sample.counts(sample.used), sample.counts(~sample.used)
    for estimand in ("ls_mean", "ls_mean_difference"):
        compared = estimand != "ls_mean"
        for cell in range(visits * compared, cells):
            own, other = cell, cell % visits
            weights = np.zeros(cells)
            weights[own] = 1.0
            weights[other] -= compared
            vector = design.contrast(weights)
            estimate, error, freedom = (
                (np.nan,) * 3 if vector is None else fit.contrast(vector, small_sample=small_sample)
            )
            lacking = "cannot be estimated from the observed visits and covariates" if vector is None else ""
            against = f"against '{sample.groups[0]}'" if compared else ""
            yield {
                "group": sample.groups[own // visits],
                "visit": sample.visits[other],
                "estimand": estimand,
                "estimate": estimate,
                "std_error": error,
                "df": freedom,
                "denominator": float(seen[own]),
                "n_missing": float(missing[own] + compared * missing[other]),
                "note": "; ".join(filter(None, (against, lacking or fit.note, *design.notes))),
            }
