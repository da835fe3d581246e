"""Two groups of patients to be compared: what was counted in each, and the frame that a comparison answers with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from mesostats.estimators.arguments import binomial_counts, check_same_length

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Texts = npt.NDArray[np.str_]

COMPARISON_COLUMNS: Final = (
    "estimate",
    "std_error",
    "conf_low",
    "conf_high",
    "conf_level",
    "statistic",
    "df",
    "p_value",
    "numerator",
    "denominator",
    "reference_numerator",
    "reference_denominator",
    "method",
    "note",
)
"""The columns of every comparison of two groups, in this order."""


@dataclass(frozen=True, eq=False)
class TwoGroups:
    """Counts of m comparisons, each of a group with its reference; all of one shape.

    Parameters
    ----------
    events
        Patients with the event in the group.
    n
        Patients in the group.
    reference_events
        Patients with the event in the reference group.
    reference_n
        Patients in the reference group.
    """

    events: npt.NDArray[np.int64]
    n: npt.NDArray[np.int64]
    reference_events: npt.NDArray[np.int64]
    reference_n: npt.NDArray[np.int64]

    @classmethod
    def from_counts(
        cls,
        events: npt.ArrayLike,
        n: npt.ArrayLike,
        reference_events: npt.ArrayLike,
        reference_n: npt.ArrayLike,
    ) -> Self:
        """Check the counts and take them.

        Parameters
        ----------
        events, n, reference_events, reference_n
            Numbers or arrays of shape (m,); whole, 0 ≤ events ≤ n.

        Returns
        -------
        TwoGroups
            The counts as vectors.

        Raises
        ------
        ValueError
            If a count is not as described, or lengths differ.
        """
        counted, patients = binomial_counts(events=events, n=n)
        reference = binomial_counts(reference_events=reference_events, reference_n=reference_n)
        check_same_length(n=patients, reference_n=reference[1])
        return cls(counted, patients, *reference)

    def where(self, chosen: npt.NDArray[np.bool_]) -> TwoGroups:
        """Return the comparisons that were chosen."""
        return TwoGroups(*(counted[chosen] for counted in self.counts))

    def reshaped(self, *shape: int) -> TwoGroups:
        """Return the same counts in another shape, such as comparisons x strata."""
        return TwoGroups(*(counted.reshape(shape) for counted in self.counts))

    @property
    def counts(self) -> tuple[npt.NDArray[np.int64], ...]:
        """The four counts, in the order in which they are given."""
        return self.events, self.n, self.reference_events, self.reference_n

    @property
    def floats(self) -> tuple[Floats, ...]:
        """The four counts as floating-point numbers, of which products cannot overflow."""
        return tuple(counted.astype(np.float64) for counted in self.counts)

    @property
    def swapped(self) -> TwoGroups:
        """The reference compared with the group."""
        return TwoGroups(self.reference_events, self.reference_n, self.events, self.n)

    @property
    def compared(self) -> npt.NDArray[np.bool_]:
        """Whether there is somebody in both groups."""
        return (self.n > 0) & (self.reference_n > 0)

    @property
    def risk(self) -> Floats:
        """The proportion with the event in the group; NaN where nobody is in it."""
        return self.events / np.where(self.n > 0, self.n, np.nan)

    @property
    def reference_risk(self) -> Floats:
        """The proportion with the event in the reference group; NaN where nobody is in it."""
        return self.swapped.risk

    @property
    def pooled_risk(self) -> Floats:
        """The proportion with the event in both groups together; NaN where either is empty."""
        total = np.where(self.compared, self.n + self.reference_n, np.nan)
        return (self.events + self.reference_events) / total

    @property
    def numbers(self) -> Mapping[str, npt.NDArray[np.int64]]:
        """The counts under the names that they have in a frame of comparisons."""
        return dict(
            zip(
                ("numerator", "denominator", "reference_numerator", "reference_denominator"),
                self.counts,
                strict=True,
            )
        )

    @property
    def notes(self) -> Texts:
        """Where a group is empty, that it is; an empty text elsewhere."""
        return absence_notes(self.n == 0, self.reference_n == 0, "nobody")


def absence_notes(group: npt.NDArray[np.bool_], reference: npt.NDArray[np.bool_], what: str) -> Texts:
    """Return notes on groups in which there is nothing to compare.

    Parameters
    ----------
    group, reference
        Whether there is nothing in the group, and in the reference group, shape (m,).
    what
        What the note says of it, such as ``"nobody"`` or ``"no exposure"``.

    Returns
    -------
    numpy.ndarray
        Texts of shape (m,), empty where there is something in both.
    """
    texts = [f"{what} in either group", f"{what} in the group", f"{what} in the reference group"]
    return np.select([group & reference, group, reference], texts, default="")


def comparison_frame(found: Mapping[str, Any]) -> pd.DataFrame:
    """Put a comparison's numbers in the order of `COMPARISON_COLUMNS`, and whatever else there is behind them.

    Parameters
    ----------
    found
        The columns; arrays of shape (m,), or one value for all rows.

    Returns
    -------
    pandas.DataFrame
        One row a comparison; ``df`` is NaN where it is not given, as for a normal reference distribution.
    """
    columns = {"df": np.nan, **found}
    rest = [name for name in columns if name not in COMPARISON_COLUMNS]
    return pd.DataFrame(
        {name: columns[name] for name in (*COMPARISON_COLUMNS, *rest)},
        index=pd.RangeIndex(len(found["estimate"])),
    )
