"""Groups that were compared with a reference, each with its own rate and its comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mesostats.layout.arranging import by_columns, kind_columns
from mesostats.layout.wording import label

if TYPE_CHECKING:
    import pandas as pd

    from mesostats.results import Result

_TESTED: Final = "odds_ratio"  # its p value is Fisher's, or with strata that of Cochran, Mantel and Haenszel


@dataclass(frozen=True)
class Comparison:
    """A result that compares groups.

    Parameters
    ----------
    result
        What an analysis returned that has ``spec["rates"]`` and ``arguments["reference"]``.
    group
        The column that tells the groups apart.
    kinds
        The columns that name the kind of event; none where there are no kinds.
    """

    result: Result
    group: str
    kinds: list[str]

    @property
    def reference(self) -> Any:
        """The group that the others are compared with."""
        return self.result.spec["arguments"]["reference"]

    @property
    def primary(self) -> str:
        """The measure to quote."""
        return str(self.result.spec["primary"])

    @property
    def groups(self) -> list[Any]:
        """All groups, the reference last."""
        known = list(dict.fromkeys(self.rates[self.group]))
        return [*(each for each in known if each != self.reference), *({self.reference} & {*known})]

    @property
    def others(self) -> list[Any]:
        """The groups that are compared with the reference."""
        return [each for each in self.groups if each != self.reference]

    @property
    def rates(self) -> pd.DataFrame:
        """Each group's own rates."""
        return self.of(str(self.result.spec["rates"]))

    @property
    def tested(self) -> str:
        """The measure whose p value is quoted: that of the exact test, where there is one."""
        return _TESTED if _TESTED in self.measures else self.primary

    @property
    def test_name(self) -> str:
        """What heads the p value: Fisher's is exact and may disagree with the interval beside it."""
        exact = self.of(self.tested)["method"].str.contains("Fisher").any()
        return "p (Fisher)" if exact else "p"

    @property
    def measures(self) -> list[str]:
        """The measures of the comparisons, the one to quote first."""
        names = dict.fromkeys(self.result.estimates["estimand"])
        rest = [name for name in names if name not in {self.result.spec["rates"], self.primary}]
        return [self.primary, *rest] if self.primary in names else rest

    def of(self, estimand: str) -> pd.DataFrame:
        """Return the rows of one estimand."""
        frame = self.result.estimates
        return frame[frame["estimand"].eq(estimand)]

    def name(self, group: Any) -> str:
        """Return what readers see for a group."""
        return label(self.result, self.group, group)


def comparison(result: Result) -> Comparison:
    """Read how a result compares groups.

    Parameters
    ----------
    result
        A result with ``spec["rates"]`` and ``arguments["reference"]``.

    Returns
    -------
    Comparison
    """
    return Comparison(result, by_columns(result)[0], kind_columns(result))
