"""Observations with an outcome, a group and a cluster, put in order for marginal models; and their contrasts in a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit

from mesostats.errors import did_you_mean
from mesostats.estimators.arguments import check_same_length, counts, indicators
from mesostats.estimators.covariates import complete_rows
from mesostats.estimators.gee import ClusteredRows

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_UNSEEN: Final = 1e-20
_BOTH: Final = np.array([[-1.0], [1.0]])  # the two limits
COLUMNS: Final = (
    *("group", "estimand", "estimate", "std_error", "conf_low", "conf_high", "conf_level", "statistic", "df"),
    *("p_value", "numerator", "denominator", "n_missing", "method", "note"),
)


class _Scale(NamedTuple):
    """A scale for intervals: the link, its inverse, and the slope of the link."""

    link: Callable[[Floats], Floats]
    inverse: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats]


_IDENTITY: Final = _Scale(np.positive, lambda value: np.clip(value, -1, 1), np.ones_like)
_LOG: Final = _Scale(np.log, np.exp, np.reciprocal)
_LOGIT: Final = _Scale(logit, expit, lambda risk: 1 / (risk * (1 - risk)))


@dataclass(frozen=True, eq=False)
class Sample:
    """Complete observations in the order of their clusters.

    Parameters
    ----------
    outcome
        0 or 1, shape (n,).
    group
        The place of each observation's group in `labels`, shape (n,).
    labels
        The groups, the reference first.
    frequency
        How many alike observations each stands for, shape (n,).
    starts
        The first observation of each cluster, shape (k,).
    covariates
        n rows, without missing numbers.
    missing
        Observations of each group that lack a covariate's number, shape (groups,).
    """

    outcome: Floats
    group: npt.NDArray[np.int64]
    labels: tuple[Any, ...]
    frequency: Floats
    starts: npt.NDArray[np.int64]
    covariates: pd.DataFrame
    missing: Floats

    @property
    def trials(self) -> Floats:
        """Observations in each group."""
        return _tally(self.group, self.frequency, number=len(self.labels))

    @property
    def events(self) -> Floats:
        """Observations with the outcome in each group."""
        return _tally(self.group, self.frequency * self.outcome, number=len(self.labels))

    @property
    def clusters(self) -> npt.NDArray[np.int64]:
        """Clusters with an observation in each group."""
        cluster = np.repeat(np.arange(len(self.starts)), np.diff([*self.starts, len(self.outcome)]))
        pairs = np.unique(np.column_stack([self.group, cluster]), axis=0)
        return np.bincount(pairs[:, 0], minlength=len(self.labels))

    @property
    def memberships(self) -> Floats:
        """1 where an observation is in a group, shape (n, groups)."""
        return np.equal.outer(self.group, np.arange(len(self.labels))).astype(np.float64)

    def total(self, values: Floats) -> Floats:
        """Return the sums over each cluster, each row as often as it counts, of values of shape (n, m)."""
        return np.asarray(np.add.reduceat(self.frequency[:, None] * values, self.starts, axis=0))

    def rows(self, design: Floats, outcome: Floats) -> ClusteredRows:
        """Return the observations with a design matrix and an outcome for a model."""
        return ClusteredRows(design, outcome, self.frequency, self.starts)


def sample(
    outcome: npt.ArrayLike,
    group: npt.ArrayLike,
    covariates: pd.DataFrame | None,
    *,
    clusters: npt.ArrayLike | None,
    frequencies: npt.ArrayLike | None,
    reference: Any,
) -> Sample:
    """Check and order observations; those that lack a covariate's number are counted and left out.

    Raises
    ------
    ValueError
        If lengths differ, a group or a cluster is missing, or the reference is not among the groups.
    """
    if clusters is None and frequencies is not None:
        msg = "frequencies count the alike observations of a cluster: give clusters too"
        raise ValueError(msg)
    events = indicators(outcome, "outcome")
    given = (
        np.ones(len(events), dtype=np.int64) if frequencies is None else counts(frequencies, "frequencies")
    )
    frame = pd.DataFrame(index=range(len(events))) if covariates is None else covariates
    ids = np.arange(len(events)) if clusters is None else clusters
    labelled, labels = pd.factorize(pd.Series(group), sort=True)
    cluster = pd.factorize(pd.Series(ids))[0]
    check_same_length(
        outcome=events, group=labelled, covariates=frame.to_numpy(), clusters=cluster, frequencies=given
    )
    for codes, name in ((labelled, "group"), (cluster, "clusters")):
        if np.any(codes < 0):
            msg = f"{name} has {np.sum(codes < 0)} missing values (first at position {np.argmax(codes < 0)})"
            raise ValueError(msg)
    place = _reference_place(list(labels), reference)
    names = (labels[place], *labels[:place], *labels[place + 1 :])
    code = np.where(labelled == place, 0, labelled + (labelled < place))
    present, complete = given > 0, complete_rows(frame)
    missing = _tally(code[~complete], given[~complete], number=len(names))
    order = np.flatnonzero(present & complete)
    order = order[np.argsort(cluster[order], kind="stable")]
    starts = np.flatnonzero(np.diff(cluster[order], prepend=-1))
    return Sample(
        events[order].astype(np.float64),
        code[order],
        names,
        given[order].astype(np.float64),
        starts,
        frame.iloc[order].reset_index(drop=True),
        missing,
    )


def _tally(codes: npt.NDArray[np.int64], weights: npt.NDArray[Any], *, number: int) -> Floats:
    return np.bincount(codes, weights=weights, minlength=number).astype(np.float64)


def _reference_place(labels: list[Any], reference: Any) -> int:
    if reference not in labels:
        shown = [str(label) for label in labels]
        found = ", ".join(f"'{label}'" for label in shown) or "none"
        msg = f"reference '{reference}' is not among the groups{did_you_mean(str(reference), shown)}; found {found}"
        raise ValueError(msg)
    return labels.index(reference)


@dataclass(frozen=True, eq=False)
class MarginalRisks:
    """The risk of every group if everybody were in it.

    Parameters
    ----------
    risks
        Shape (groups,); NaN where they cannot be estimated.
    covariance
        Shape (groups, groups).
    df
        Degrees of freedom of Student's t.
    method, note
        In words.
    """

    risks: Floats
    covariance: Floats
    df: float
    method: str
    note: str


def unknown_risks(found: Sample, method: str, note: str) -> MarginalRisks:
    """Return risks that cannot be estimated, and why."""
    number = len(found.labels)
    return MarginalRisks(np.full(number, np.nan), np.full((number, number), np.nan), np.nan, method, note)


def contrasts(found: Sample, marginal: MarginalRisks, conf_level: float) -> pd.DataFrame:
    """Return risks, and their differences and ratios to the reference, with delta-method intervals.

    Parameters
    ----------
    found
        The observations that the risks were estimated from.
    marginal
        The risks.
    conf_level
        Two-sided confidence level.

    Returns
    -------
    pandas.DataFrame
        The columns `COLUMNS`: a row a group with estimand ``risk``, then ``risk_difference`` and ``risk_ratio`` of each
        group but the reference. The interval of a risk is taken on the logit scale, that of a ratio, and its standard
        error, on the log scale.
    """
    edge, risks, shared = _edge(found), marginal.risks, marginal.covariance[0, 1:]
    variances = np.where(edge, np.nan, np.diag(marginal.covariance))
    inner = np.where(edge, np.nan, risks)
    risk, base = inner[1:], inner[0]
    spread = variances[1:] + variances[0] - 2 * shared
    relative = variances[1:] / risk**2 + variances[0] / base**2 - 2 * shared / (risk * base)
    quantile = float(stats.t.isf((1 - conf_level) / 2, marginal.df))
    frames = [
        _rows("risk", risks, _error(variances), _LOGIT, quantile),
        _rows("risk_difference", risks[1:] - risks[0], _error(spread), _IDENTITY, quantile),
        _rows("risk_ratio", risk / base, _error(relative) * risk / base, _LOG, quantile),
    ]
    return _described(found, pd.concat(frames, ignore_index=True), marginal, conf_level)


def _edge(found: Sample) -> npt.NDArray[np.bool_]:
    """Return which groups have no events or only events."""
    return np.asarray((found.events == 0) | (found.events == found.trials))


def _error(variances: Floats) -> Floats:
    """Return standard errors; NaN where no variance is seen, of which rounding may leave a little."""
    return np.sqrt(np.where(variances > _UNSEEN, variances, np.nan))


def _rows(estimand: str, estimate: Floats, error: Floats, scale: _Scale, quantile: float) -> pd.DataFrame:
    """Return estimates with limits that are symmetric on a scale, and the test of 0 on it (of a risk there is none)."""
    known = np.where(np.isnan(error), np.nan, estimate)
    centre, spread = scale.link(known), error * scale.slope(known)
    limits = scale.inverse(centre + _BOTH * quantile * spread)
    return pd.DataFrame(
        {
            "place": np.arange(len(estimate)) + (estimand != "risk"),
            "estimand": estimand,
            "estimate": estimate,
            "std_error": spread if scale is _LOG else error,
            "conf_low": limits[0],
            "conf_high": limits[1],
            "statistic": np.nan if estimand == "risk" else centre / spread,
        }
    )


def _described(
    found: Sample, frame: pd.DataFrame, marginal: MarginalRisks, conf_level: float
) -> pd.DataFrame:
    """Add what every estimate states: the group, its counts, the test, the method and the notes."""
    place, single = frame["place"].to_numpy(), frame["estimand"].eq("risk").to_numpy()
    edge = np.where(single, _edge(found)[place], _edge(found)[place] | _edge(found)[0])
    unseen = frame["std_error"].isna().to_numpy() & np.isfinite(marginal.risks).all()
    reasons = np.where(edge, "a group with no events or only events", "clusters do not differ")
    notes = [
        "; ".join(filter(None, ("" if alone else f"against '{found.labels[0]}'", remark, marginal.note)))
        for alone, remark in zip(
            single, np.where(unseen, np.char.add(reasons, ": variance unseen"), "").tolist(), strict=True
        )
    ]
    complete = frame.assign(
        group=[found.labels[each] for each in place],
        conf_level=conf_level,
        df=marginal.df,
        p_value=2 * stats.t.sf(np.abs(frame["statistic"].to_numpy(float)), marginal.df),
        numerator=found.events[place],
        denominator=found.trials[place],
        n_missing=np.where(single, found.missing[place], found.missing.sum()),
        method=marginal.method,
        note=notes,
    )
    return complete[[*COLUMNS]]
