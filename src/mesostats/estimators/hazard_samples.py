"""Steps at which somebody was at risk, put in order for a hazard model, and the model fitted to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from mesostats.estimators.arguments import check_same_length, counts, indicators
from mesostats.estimators.hazard_fits import PatternRows, fit_hazard, robust_covariance
from mesostats.estimators.hazard_terms import (
    choose_terms,
    design_of,
    labels_of,
    read_covariates,
    silent_levels,
    weighted_independent,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from mesostats.estimators.hazard_fits import Link, Robust
    from mesostats.estimators.hazard_terms import Covariates, Term

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

_ROBUST: Final = {
    "bias_reduced": "Mancl-DeRouen covariance",
    "hc1": "cluster-robust covariance, k/(k - 1)·(n - 1)/(n - p)",
}
_NO_SOLUTION: Final = "the model has no finite solution: covariates together tell who has the event"
_NOTHING: Final = "no observation or every observation has the event: nothing to model"


@dataclass(frozen=True, eq=False)
class Observed:
    """Complete observations in the order of their clusters, and their distinct patterns of covariates.

    Parameters
    ----------
    covariates
        Their levels, and which of the given rows are complete.
    patterns
        The distinct rows of covariates, as numbers.
    pattern, event, cluster, frequency
        Of each observation: its pattern, 0 or 1, whom it belongs to, and how many alike ones it stands for.
    missing
        How many observations lack a number.
    """

    covariates: Covariates
    patterns: pd.DataFrame
    pattern: Integers
    event: Floats
    cluster: Integers
    frequency: Floats
    missing: float

    @property
    def trials(self) -> Floats:
        """Observations of each pattern."""
        return np.bincount(self.pattern, self.frequency, len(self.patterns)).astype(np.float64)

    @property
    def events(self) -> Floats:
        """Observations of each pattern that have the event."""
        return np.bincount(self.pattern, self.frequency * self.event, len(self.patterns)).astype(np.float64)


@dataclass(frozen=True, eq=False)
class HazardFit:
    """What the estimates and predictions of a model come from.

    Parameters
    ----------
    covariates, terms
        What was given, and what of it is in the model.
    kept
        Which columns of the design have a coefficient.
    coefficients, covariance
        Of these, NaN where the model has no solution or the variance cannot be seen.
    clusters
        How many there are.
    link, method
        The link, and what was computed in words.
    silent
        Why a level was set aside.
    notes
        What there is to say of a covariate.
    trouble
        What keeps all ratios, or all their variances, from being estimated; empty where nothing does.
    lonely
        The terms and levels whose observations are all of one cluster.
    """

    covariates: Covariates
    terms: list[Term]
    kept: npt.NDArray[np.bool_]
    coefficients: Floats
    covariance: Floats
    clusters: int
    link: Link
    method: str
    silent: Mapping[tuple[str, str], str]
    notes: Mapping[str, str]
    trouble: str
    lonely: frozenset[tuple[str, str]]

    @property
    def df(self) -> float:
        """Degrees of freedom of Student's t: clusters less coefficients, NaN where there are none left."""
        left = self.clusters - len(self.coefficients)
        return float(left) if len(self.coefficients) and left > 0 else np.nan


def observe(
    event: npt.ArrayLike, frame: pd.DataFrame, clusters: npt.ArrayLike, frequencies: npt.ArrayLike | None
) -> Observed:
    """Check and order observations; those that lack a covariate's number are counted and left out.

    Raises
    ------
    ValueError
        If lengths differ, a cluster is missing, or a value is not as it must be.
    """
    events = indicators(event, "event")
    given = (
        np.ones(len(events), dtype=np.int64) if frequencies is None else counts(frequencies, "frequencies")
    )
    cluster = pd.factorize(pd.Series(clusters))[0]
    check_same_length(event=events, covariates=frame.index.to_numpy(), clusters=cluster, frequencies=given)
    if np.any(cluster < 0):
        msg = (
            f"clusters has {np.sum(cluster < 0)} missing values (first at position {np.argmax(cluster < 0)})"
        )
        raise ValueError(msg)
    present = given > 0
    covariates = read_covariates(frame[present])
    keep = np.flatnonzero(present)[covariates.complete]
    order = np.argsort(cluster[keep], kind="stable")
    values = covariates.values.iloc[order]
    if len(values.columns):
        pattern = values.groupby(list(values.columns), sort=True).ngroup().to_numpy()
    else:
        pattern = np.zeros(len(order), dtype=np.int64)
    first = np.unique(pattern, return_index=True)[1]
    chosen = keep[order]
    return Observed(
        covariates,
        values.iloc[first].reset_index(drop=True),
        np.asarray(pattern, dtype=np.int64),
        events[chosen].astype(np.float64),
        np.asarray(cluster[chosen], dtype=np.int64),
        given[chosen].astype(np.float64),
        float(given[present].sum() - given[chosen].sum()),
    )


def fitted(observed: Observed, reference: Mapping[str, str], *, link: Link, robust: Robust) -> HazardFit:
    """Fit the model to what is left once silent levels are set aside, or say why it cannot be."""
    trials, events = observed.trials, observed.events
    left, silent = silent_levels(observed.patterns, observed.covariates, trials, events)
    patterns = observed.patterns[left].reset_index(drop=True)
    terms, notes = choose_terms(patterns, observed.covariates, trials[left], reference)
    design = design_of(patterns, terms)
    kept = weighted_independent(design, trials[left])
    rows = _rows(observed, left, design[:, kept])
    clusters = len(rows.starts)
    coefficients = fit_hazard(rows, link) if clusters else None
    size = int(kept.sum())
    covariance = np.full((size, size), np.nan)
    trouble = ""
    if coefficients is None:
        nothing = events.sum() in {0, trials.sum()}
        coefficients, trouble = np.full(size, np.nan), _NOTHING if nothing else _NO_SOLUTION
    elif clusters <= size:
        few = "1 cluster is" if clusters == 1 else f"{clusters} clusters are"
        trouble = f"{few} too few for {size} coefficients: variance unseen"
    else:
        covariance = robust_covariance(rows, coefficients, link=link, robust=robust)
    lonely = _lonely(
        rows, design[:, kept], [label for label, own in zip(labels_of(terms), kept[1:], strict=True) if own]
    )
    words = {"cloglog": "complementary log-log", "logit": "logistic"}[link]
    method = f"discrete-time hazard model, {words}; {_ROBUST[robust]}; t, df = clusters - coefficients"
    return HazardFit(
        observed.covariates,
        terms,
        kept,
        coefficients,
        covariance,
        clusters,
        link,
        method,
        silent,
        notes,
        trouble,
        lonely,
    )


def _rows(observed: Observed, left: npt.NDArray[np.bool_], design: Floats) -> PatternRows:
    """Return the observations of the patterns that are left."""
    chosen = left[observed.pattern]
    place = np.cumsum(left) - 1
    cluster = observed.cluster[chosen]
    return PatternRows(
        design,
        place[observed.pattern[chosen]].astype(np.int64),
        observed.event[chosen],
        observed.frequency[chosen],
        np.flatnonzero(np.diff(cluster, prepend=-1)),
    )


def _lonely(rows: PatternRows, design: Floats, labels: list[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """Return the levels all of whose rows are of one cluster: their scores are 0, which is no variance of 0."""
    cluster = np.repeat(np.arange(len(rows.starts)), np.diff([*rows.starts, len(rows.pattern)]))
    found = set()
    for place, label in enumerate(labels, start=1):
        column = design[rows.pattern, place]
        own = cluster[column != 0]
        if set(np.unique(column)) <= {0.0, 1.0} and len(own) and own.min() == own.max():
            found.add(label)
    return frozenset(found)


def means_of(observed: Observed) -> dict[str, float]:
    """Return the mean of each covariate that is a number."""
    trials = observed.trials
    return {
        name: float(np.average(observed.patterns[name], weights=trials)) if trials.sum() else np.nan
        for name, levels in observed.covariates.levels.items()
        if not levels
    }
