"""Units that were watched for signals: observed beside expected, in the order of the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pandas as pd

    from mesostats.results import Result

_EXPECTED: Final = "expected_proportion"
_MOST_REASONS: Final = 3
_NAMES: Final = {
    "numerator": "expected",
    "estimate": "expected_share",
    "conf_low": "limit_low",
    "conf_high": "limit_high",
    "note": "why",
}


@dataclass(frozen=True)
class Watch:
    """A result that looks for signals.

    Parameters
    ----------
    ranked
        What was observed, a row a unit and kind of event, signals first and then by p value; with ``expected`` (a count),
        ``expected_share``, ``limit_low`` and ``limit_high`` (of the funnel), ``why`` (there is no test) and ``alarm``.
    """

    ranked: pd.DataFrame

    @property
    def alarms(self) -> int:
        """How many signals there are."""
        return int(self.ranked["alarm"].sum())

    @property
    def tested(self) -> int:
        """How many units and kinds were tested."""
        return int(self.ranked["p_value"].notna().sum())

    @property
    def untested(self) -> str:
        """Why the others were not, the most frequent reasons first."""
        reasons = self.ranked.loc[self.ranked["p_value"].isna(), "why"].value_counts()
        parts = [
            f"{why or 'no reason noted'} ({number:,})" for why, number in reasons.head(_MOST_REASONS).items()
        ]
        return ", ".join(parts) + (", and others" if len(reasons) > _MOST_REASONS else "")


def watch(result: Result) -> Watch:
    """Put what was observed beside what was expected.

    Parameters
    ----------
    result
        What `signals` returned.

    Returns
    -------
    Watch
    """
    estimates, keys = result.estimates, result.groups
    is_expected = estimates["estimand"].eq(_EXPECTED)
    expected = estimates.loc[is_expected, [*keys, *_NAMES]].rename(columns=_NAMES)
    observed = estimates[estimates["estimand"].eq(result.spec["primary"])].merge(
        expected, on=keys, how="left"
    )
    alarm = observed["note"].str.startswith("signal")
    ranked = observed.assign(
        alarm=alarm, _last=~alarm, _fewer=-observed["numerator"], _smaller=-observed["denominator"]
    )
    order = ["_last", "p_adjusted", "p_value", "_fewer", "_smaller"]
    return Watch(
        ranked.sort_values(order, kind="stable", ignore_index=True).drop(columns=[order[0], *order[3:]])
    )
