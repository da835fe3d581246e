"""Observations with a grade, a group, a stratum and a cluster, checked and put in order for ordinal estimators."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mesostats.errors import did_you_mean
from mesostats.estimators.arguments import check_same_length, counts

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class GradedSample:
    """Observations of several groups.

    Parameters
    ----------
    grade
        Numbers of which more is better (or worse) and only the order counts, shape (n,).
    group
        The place of each observation's group in `labels`, shape (n,).
    labels
        The groups, the reference first.
    stratum
        A number a stratum, shape (n,).
    cluster
        A number a cluster, shape (n,); None where no cluster has several observations.
    frequency
        How many alike observations a row stands for, shape (n,).
    row
        The place of each among the rows that were given, shape (n,).
    """

    grade: Floats
    group: Integers
    labels: tuple[Any, ...]
    stratum: Integers
    cluster: Integers | None
    frequency: Floats
    row: Integers

    def where(self, chosen: npt.NDArray[np.bool_]) -> GradedSample:
        """Return some of the observations."""
        cluster = None if self.cluster is None else self.cluster[chosen]
        vectors = {
            name: getattr(self, name)[chosen] for name in ("grade", "group", "stratum", "frequency", "row")
        }
        return replace(self, cluster=_repeated(cluster, vectors["frequency"]), **vectors)

    def pair(self, place: int) -> GradedSample:
        """Return the observations of one group, as 1, and of the reference group, as 0."""
        found = self.where((self.group == 0) | (self.group == place))
        labels = (self.labels[0], self.labels[place])
        return replace(found, labels=labels, group=(found.group == place).astype(np.int64))

    @property
    def sizes(self) -> Floats:
        """Observations of each group."""
        found = np.bincount(self.group, weights=self.frequency, minlength=len(self.labels))
        return found.astype(np.float64)


def _repeated(cluster: Integers | None, frequency: Floats) -> Integers | None:
    """Return the clusters, None where each has one observation."""
    if cluster is None or len(np.unique(cluster)) == frequency.sum():
        return None
    return cluster


def graded_sample(
    grade: npt.ArrayLike,
    group: npt.ArrayLike,
    *,
    strata: npt.ArrayLike | None,
    clusters: npt.ArrayLike | None,
    frequencies: npt.ArrayLike | None,
    reference: Any,
) -> GradedSample:
    """Check observations with a grade.

    Parameters
    ----------
    grade
        Finite numbers, shape (n,).
    group
        The group of each observation, shape (n,).
    strata, clusters
        Labels, shape (n,); all in one stratum, each observation its own cluster if not given.
    frequencies
        Whole numbers, shape (n,); 1 each if not given. Without clusters alike observations are independent.
    reference
        The group that comes first.

    Returns
    -------
    GradedSample
        Without the rows that stand for no observation.

    Raises
    ------
    ValueError
        If lengths differ, something is missing or no number, or the reference is not among the groups.
    """
    values = _numbers(grade)
    size = len(values)
    number = np.ones(size, dtype=np.int64) if frequencies is None else counts(frequencies, "frequencies")
    labelled, labels = pd.factorize(pd.Series(group), sort=True)
    stratum = pd.factorize(pd.Series(np.zeros(size) if strata is None else strata))[0]
    cluster = None if clusters is None else pd.factorize(pd.Series(clusters))[0]
    checked = {"group": labelled, "strata": stratum, "clusters": stratum if cluster is None else cluster}
    check_same_length(grade=values, frequencies=number, **checked)
    for name, codes in checked.items():
        if np.any(codes < 0):
            msg = f"{name} has {np.sum(codes < 0)} missing values (first at position {np.argmax(codes < 0)})"
            raise ValueError(msg)
    place = _place(list(labels), reference)
    order = (labels[place], *labels[:place], *labels[place + 1 :])
    code = np.where(labelled == place, 0, labelled + (labelled < place))
    whole = GradedSample(values, code, order, stratum, cluster, number.astype(np.float64), np.arange(size))
    return whole.where(number > 0)


def _numbers(grade: npt.ArrayLike) -> Floats:
    found = np.asarray(grade)
    if found.ndim != 1 or found.dtype.kind not in "biuf":
        msg = f"grade has {found.ndim} dimensions of {found.dtype}, must be one of numbers; code grades as ranks"
        raise ValueError(msg)
    values = found.astype(np.float64)
    if not np.isfinite(values).all():
        msg = f"grade has {np.sum(~np.isfinite(values))} missing or infinite values: leave these observations out"
        raise ValueError(msg)
    return values


def _place(labels: list[Any], reference: Any) -> int:
    if reference not in labels:
        shown = [str(label) for label in labels]
        found = ", ".join(f"'{label}'" for label in shown) or "none"
        msg = f"reference '{reference}' is not among the groups{did_you_mean(str(reference), shown)}; found {found}"
        raise ValueError(msg)
    return labels.index(reference)
