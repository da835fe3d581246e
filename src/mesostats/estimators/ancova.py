"""Analysis of covariance: least-squares means of groups and their differences, also where patients have several values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from mesostats.estimators.arguments import check_conf_level, check_same_length
from mesostats.estimators.least_squares import least_squares
from mesostats.estimators.marginal_designs import complete, marginal_design
from mesostats.estimators.student_t import reference_first, with_t_tests

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from mesostats.estimators.least_squares import LeastSquares
    from mesostats.estimators.marginal_designs import LevelWeights, MarginalDesign

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

_NOT_ESTIMABLE: Final = "cannot be estimated from the observed groups and covariates"
COLUMNS: Final = (
    *("group", "estimand", "estimate", "std_error", "conf_low", "conf_high", "conf_level", "statistic", "df"),
    *("p_value", "denominator", "n_missing", "method", "note"),
)


def ancova(
    outcome: npt.ArrayLike,
    group: npt.ArrayLike,
    covariates: pd.DataFrame | None = None,
    *,
    reference: Any,
    clusters: npt.ArrayLike | None = None,
    weights: LevelWeights = "equal",
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Estimate the mean outcome of each group at the same covariates, and the differences from a reference group.

    Parameters
    ----------
    outcome
        Shape (n,); an observation without one is counted as missing.
    group
        The group of each observation, shape (n,).
    covariates
        n rows: numbers, booleans, texts or categories. A missing text is a level of its own; a row that lacks a number is
        counted as missing.
    reference
        The group that the others are compared with.
    clusters
        Whose observation it is, shape (n,): standard errors then allow for observations of a cluster that are alike, and for
        variances that differ between groups. All independent, with the same variance, if not given.
    weights
        How the levels of a text are weighted in a mean: ``equal`` (SAS's LSMEANS) or ``proportional`` (with OM).
    conf_level
        Two-sided confidence level.

    Returns
    -------
    pandas.DataFrame
        A row a group with estimand ``ls_mean``, then ``ls_mean_difference`` of each group but the reference. Columns ``group,
        estimand, estimate, std_error, conf_low, conf_high, conf_level, statistic, df, p_value, denominator``
        (observations of the group), ``n_missing, method, note``.

    Raises
    ------
    ValueError
        If lengths differ, a group or cluster is missing, or the reference is not among the groups.

    Notes
    -----
    Ordinary least squares with a mean a group and the same slopes in all; least-squares means at the average of each number.
    With clusters: covariance CR2 (Bell and McCaffrey) under a working model of independence, Satterthwaite's degrees of freedom
    for each contrast. A cluster each makes it HC2.

    References
    ----------
    Vickers AJ, Altman DG (2001). Analysing controlled trials with baseline and follow up measurements.
    doi:10.1136/bmj.323.7321.1123

    Pustejovsky JE, Tipton E (2018). Small-sample methods for cluster-robust variance estimation and hypothesis testing in fixed
    effects models. doi:10.1080/07350015.2016.1247004

    Examples
    --------
    By hand: the slope within the groups is 1, and the means are 6.1/3 at a baseline of 2 and 17.9/3 at one of 3; at the mean
    baseline of 2.5 they are 6.1/3 + 0.5 and 17.9/3 - 0.5.

    >>> found = ancova(
    ...     [1, 2.1, 3, 5, 5.9, 7], [*"aaabbb"], pd.DataFrame({"base": [1.0, 2, 3, 2, 3, 4]}), reference="a"
    ... )
    >>> found[["estimate", "df"]].round(3).values.tolist()
    [[2.533, 3.0], [5.467, 3.0], [2.933, 3.0]]
    """
    check_conf_level(conf_level)
    values = np.asarray(outcome, dtype=np.float64)
    frame, used = complete(values, covariates, len(values))
    labelled, labels = pd.factorize(pd.Series(group), sort=True)
    cluster = None if clusters is None else pd.factorize(pd.Series(clusters))[0]
    check_same_length(outcome=values, group=labelled, covariates=frame.to_numpy())
    for codes, name in ((labelled, "group"), (labelled if cluster is None else cluster, "clusters")):
        check_same_length(outcome=values, **{name: codes})
        if np.any(codes < 0):
            msg = f"{name} has {np.sum(codes < 0)} missing values (first at position {np.argmax(codes < 0)})"
            raise ValueError(msg)
    groups, code = reference_first(labelled, list(labels), reference)
    design = marginal_design(code[used], len(groups), frame[used], weights=weights)
    model = least_squares(values[used], design.columns)
    own = None if cluster is None else cluster[used]
    counts = [np.bincount(code[chosen], minlength=len(groups)).astype(float) for chosen in (used, ~used)]
    rows = pd.DataFrame(_rows(model, design, groups, own, counts))
    how = "independent errors, t" if cluster is None else "CR2 clustered covariance, Satterthwaite t"
    return with_t_tests(rows.assign(method=f"ANCOVA, {how}"), conf_level=conf_level)[[*COLUMNS]]


def _rows(
    model: LeastSquares,
    design: MarginalDesign,
    groups: tuple[Any, ...],
    cluster: Integers | None,
    counts: list[Floats],
) -> Iterator[dict[str, Any]]:
    """Yield a row a group, then a row a comparison."""
    reason = model.without_spread
    for estimand in ("ls_mean", "ls_mean_difference"):
        compared = estimand != "ls_mean"
        for place in range(int(compared), len(groups)):
            weights = np.zeros(len(groups))
            weights[place] = 1.0
            weights[0] -= compared
            vector = design.contrast(weights)
            lacking = "" if vector is not None else _NOT_ESTIMABLE
            estimate, error, freedom = _estimated(model, vector, cluster)
            against = f"against '{groups[0]}'" if compared else ""
            yield {
                "group": groups[place],
                "estimand": estimand,
                "estimate": estimate,
                "std_error": np.nan if reason else error,
                "df": np.nan if reason else freedom,
                "denominator": counts[0][place],
                "n_missing": counts[1][place] + compared * counts[1][0],
                "note": "; ".join(filter(None, (against, lacking or reason, *design.notes))),
            }


def _estimated(
    model: LeastSquares, vector: Floats | None, cluster: Integers | None
) -> tuple[float, float, float]:
    """Return an estimate, its standard error and degrees of freedom; NaN where there is no such contrast."""
    if vector is None:
        return (np.nan, np.nan, np.nan)
    return model.contrast(vector) if cluster is None else model.clustered(vector, cluster)
