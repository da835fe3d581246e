"""Counts of two groups within strata, and what all estimators over strata share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy import stats

from mesostats.estimators.two_groups import TwoGroups, comparison_frame

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

FLAT: Final = 1e-12
"""A variance below this, where its parts are about 1, is what rounding left of zero."""

_YATES: Final = 0.5


def compared_strata(*counts: npt.ArrayLike, both_outcomes: bool = False) -> tuple[TwoGroups, TwoGroups]:
    """Check the counts and find the strata that compare something.

    Parameters
    ----------
    *counts
        Events and patients of the group, events and patients of the reference group, shape (s,).
    both_outcomes
        Whether a stratum also needs patients with and patients without the event.

    Returns
    -------
    tuple of TwoGroups
        All strata, and those in which both groups have patients (and both outcomes occur).

    Raises
    ------
    ValueError
        If a count is not as described.
    """
    given = TwoGroups.from_counts(*counts)
    events, patients = given.events + given.reference_events, given.n + given.reference_n
    mixed = (events > 0) & (events < patients)
    return given, given.where(given.compared & (mixed | (not both_outcomes)))


def pooled_row(
    given: TwoGroups, used: TwoGroups, found: Mapping[str, Any], notes: Sequence[str] = ()
) -> pd.DataFrame:
    """Put one estimate over strata into a frame, with the totals of the strata that it rests on.

    Parameters
    ----------
    given, used
        All strata, and those that compare something.
    found
        One value a column.
    notes
        What is to be said beside which strata were left out; empty texts are passed over.

    Returns
    -------
    pandas.DataFrame
        One row: `COMPARISON_COLUMNS`, ``strata``, ``strata_used``, and what else `found` holds.
    """
    columns = {name: [value] for name, value in found.items()}
    columns |= {name: [int(counted.sum())] for name, counted in used.numbers.items()}
    said = [*_omissions(given, used), *(note for note in notes if note and len(used.n))]
    strata = {"strata": [len(given.n)], "strata_used": [len(used.n)]}
    return comparison_frame({**strata, **columns, "note": ["; ".join(said)]})


def _omissions(given: TwoGroups, used: TwoGroups) -> list[str]:
    empty = int(np.sum(~given.compared))
    alike = len(given.n) - len(used.n) - empty
    notes = []
    if empty:
        notes.append(f"{empty} of {len(given.n)} strata left out: nobody in one of the groups")
    if alike:
        notes.append(f"{alike} of {len(given.n)} strata left out: nobody or everybody has the event")
    return notes if len(used.n) else [*notes, "no stratum to compare the groups in"]


def association(used: TwoGroups, *, correction: bool = False) -> float:
    """Return the signed root of the chi-squared statistic of Cochran, Mantel and Haenszel.

    Parameters
    ----------
    used
        Strata with patients in both groups.
    correction
        Whether to take Yates' correction off the difference, never past zero.

    Returns
    -------
    float
        0 where no stratum could have come out otherwise, NaN without a stratum.
    """
    y, n, y0, n0 = used.floats
    if not len(n):
        return np.nan
    total, seen = n + n0, y + y0
    excess = float(np.sum(y - n * seen / total))
    variance = float(np.sum(n * n0 * seen * (total - seen) / (total**2 * (total - 1))))
    # R takes nothing off a difference smaller than the correction.
    shift = _YATES if correction and abs(excess) >= _YATES else 0.0
    return float(np.sign(excess) * (abs(excess) - shift) / np.sqrt(variance)) if variance > 0 else 0.0


def quotient(above: float, below: float) -> float:
    """Divide two sums of at least 0; x/0 is infinite, 0/0 is NaN."""
    if below > 0:
        return float(above / below)
    return np.inf if above > 0 else np.nan


def inverse(value: float) -> float:
    """Return 1 over a sum of at least 0; NaN for 0."""
    return 1 / value if value > 0 else np.nan


def log_wald(estimate: float, variance: float, conf_level: float) -> dict[str, Any]:
    """Return the interval and the test of a ratio whose logarithm is taken as normal.

    Parameters
    ----------
    estimate
        The ratio; without an interval where it is 0, infinite or NaN.
    variance
        The variance of its logarithm; without an interval where it is 0.
    conf_level
        Two-sided confidence level, between 0 and 1.

    Returns
    -------
    dict
        ``estimate, std_error`` (of the logarithm), ``conf_low, conf_high, conf_level, statistic, p_value``.
    """
    known = 0 < estimate < np.inf and variance > FLAT
    std_error = float(np.sqrt(variance)) if known else np.nan
    logarithm = float(np.log(estimate)) if known else np.nan
    low, high = np.exp(wald_limits(logarithm, std_error, conf_level))
    return {
        "estimate": estimate,
        "std_error": std_error,
        "conf_low": float(low),
        "conf_high": float(high),
        "conf_level": conf_level,
        "statistic": logarithm / std_error,
        "p_value": two_sided(logarithm / std_error),
    }


def ratio_note(found: Mapping[str, Any]) -> str:
    """Say why `log_wald` gave no interval; empty where it gave one."""
    if not np.isnan(found["std_error"]):
        return ""
    if np.isnan(found["estimate"]):
        return "no event in either group: their ratio is unknown"
    ended = found["estimate"] in {0.0, np.inf}
    return (
        f"{'the ratio is 0 or infinite' if ended else 'variance 0'}: no interval and no test of this method"
    )


def wald_limits(estimate: float, std_error: float, conf_level: float) -> Floats:
    """Return the two limits of an estimate that is taken as normal."""
    half = float(stats.norm.isf((1 - conf_level) / 2)) * std_error
    return np.array([estimate - half, estimate + half])


def two_sided(statistic: float) -> float:
    """Return the two-sided p value of a standard normal statistic."""
    return float(2 * stats.norm.sf(abs(statistic)))
