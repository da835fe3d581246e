"""Pairs of groups whose response was compared, in each cell of a result: who is held against whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pandas as pd

from mesostats.layout.wording import MISSING, amount, label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesostats.results import Result

_REFERENCE: Final = "reference"
_DIFFERENCE: Final = "risk_difference"
_NEEDED: Final = ("number_needed_to_benefit", "number_needed_to_harm")
_SIDES: Final = ("NNTB", "NNTH")


class Pair(NamedTuple):
    """A cell, and the two groups that are compared in it; no reference where a group stands alone."""

    cell: tuple[Any, ...]
    group: Any
    reference: Any


@dataclass(frozen=True)
class Pairing:
    """A result whose rows name a group and the ``reference`` that it is compared with.

    Parameters
    ----------
    result
        What an analysis returned that has ``arguments["group"]`` and a column ``reference``.
    """

    result: Result

    @property
    def group(self) -> str:
        """The column that tells the groups apart."""
        return str(self.result.spec["arguments"]["group"])

    @property
    def cells(self) -> list[str]:
        """The columns that tell the cells apart."""
        return [name for name in self.result.groups if name not in {self.group, _REFERENCE, "grade"}]

    @property
    def primary(self) -> str:
        """The measure to quote."""
        return str(self.result.spec["primary"])

    @property
    def ratio(self) -> str:
        """The ratio that belongs to the primary difference."""
        return self.primary.removesuffix(_DIFFERENCE) + "risk_ratio"

    @property
    def differences(self) -> list[str]:
        """The differences, the primary one first."""
        names = dict.fromkeys(self.result.estimates["estimand"])
        rest = [name for name in names if name.endswith(_DIFFERENCE) and name != self.primary]
        return [*([self.primary] if self.primary in names else []), *rest]

    @property
    def pairs(self) -> list[Pair]:
        """All pairs that were compared, or that could not be, in the result's order."""
        return list(self.of(self.primary))

    def of(self, estimand: str) -> dict[Pair, pd.Series[Any]]:
        """Return the rows of one estimand, each under its pair."""
        frame = self.result.estimates
        rows = frame[frame["estimand"].eq(estimand)]
        return {
            Pair(tuple(row[name] for name in self.cells), row[self.group], row[_REFERENCE]): row
            for _, row in rows.iterrows()
        }

    def alone(self, estimand: str) -> dict[Pair, pd.Series[Any]]:
        """Return the rows of each group by itself, under its cell and the group without a reference."""
        return {pair: row for pair, row in self.of(estimand).items() if pair.reference == ""}

    def name(self, group: Any) -> str:
        """Return what readers see for a group."""
        return label(self.result, self.group, group)


def needed_to_treat(rows: Mapping[str, pd.Series[Any]]) -> str:
    """Return the number needed to treat with its interval, which may go on through infinity.

    Parameters
    ----------
    rows
        The rows ``number_needed_to_benefit`` and ``number_needed_to_harm`` of one pair.

    Returns
    -------
    str
        As Altman (1998) writes it: NNTB to benefit, NNTH to harm.

    Examples
    --------
    >>> row = {"estimate": 24.3, "conf_low": 7.4, "conf_high": float("inf")}
    >>> other = {"estimate": float("nan"), "conf_low": 18.6, "conf_high": float("inf")}
    >>> rows = {"number_needed_to_harm": row, "number_needed_to_benefit": other}
    >>> needed_to_treat({name: pd.Series(row) for name, row in rows.items()}).encode("ascii", "replace").decode()
    'NNTH 24.3 (NNTH 7.4 to ? to NNTB 18.6)'
    """
    sides = [
        (name, rows[estimand]) for name, estimand in zip(_SIDES, _NEEDED, strict=True) if estimand in rows
    ]
    known = [(name, row) for name, row in sides if pd.notna(row["estimate"])]
    if not known:
        return MISSING
    name, row = known[0]
    others = [(other, each) for other, each in sides if other != name and pd.notna(each["conf_low"])]
    text = f"{name} {_number(row['estimate'])}"
    if pd.isna(row["conf_low"]):
        return text
    if not others:
        return f"{text} ({_number(row['conf_low'])} to {_number(row['conf_high'])})"
    other, each = others[0]
    through = "\N{INFINITY}"
    return f"{text} ({name} {_number(row['conf_low'])} to {through} to {other} {_number(each['conf_low'])})"


def _number(value: float) -> str:
    """Return a number of patients with one decimal."""
    finite = pd.notna(value) and value != float("inf")
    return f"{value:,.1f}" if finite else amount(value, _NEEDED[0])
