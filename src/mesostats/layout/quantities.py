"""What an estimand measures, read from its name: shares, differences, rates, means, ratios, times and tests."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

BOUNDS: Final = ("_lower", "_upper")
_ASSUMED: Final = (*BOUNDS, "_one_each")
"""How the estimands end that are bounds on another one."""

_HUNDRED: Final = 100.0


class Quantity(NamedTuple):
    """What an estimand measures, and how it is shown.

    Parameters
    ----------
    kind
        ``share`` and ``points`` (of shares) in per cent, ``rate`` per hundred, ``mean`` per unit, ``value`` in the unit of
        what was measured, ``ratio``, ``time`` or ``test``, which has no estimate.
    factor
        What an estimate is multiplied by for display.
    heading
        What heads a column or an axis of it.
    """

    kind: Literal["share", "points", "rate", "mean", "value", "ratio", "time", "test"]
    factor: float
    heading: str


_NUMBERS: Final = {
    name: Quantity("mean", 1.0, heading)
    for name, heading in {
        "mean_cumulative_events": "per patient",
        "planned_sessions": "per course",
        "received_sessions": "per course",
    }.items()
} | {
    name: Quantity("value", 1.0, heading)
    for name, heading in {
        "mean": "mean",
        "median": "median",
        "standard_deviation": "SD",
        "lower_quartile": "Q1",
        "upper_quartile": "Q3",
        "standardized_difference": "standardized difference",
        "mean_baseline": "mean",
        "mean_baseline_evaluable": "mean",
        "mean_value": "mean",
        "mean_change": "mean change",
        "mean_change_chosen": "mean change",
        "regression_to_mean": "mean change",
        "change_beyond_regression": "mean change",
        "mee_chua_effect": "mean change",
        "ls_mean_change": "LS mean change",
        "ls_mean_difference": "difference of LS means",
        "number_needed_to_benefit": "NNT",
        "number_needed_to_harm": "NNT",
    }.items()
}
"""What is not shown in per cent, though its name, or no name, says so."""


def quantity(estimand: str, unit: str = "units") -> Quantity:
    """Return what an estimand measures, from its name.

    Parameters
    ----------
    estimand
        As in `Result.estimates`.
    unit
        What the denominator counts; names the hundred of a difference of rates.

    Returns
    -------
    Quantity

    Examples
    --------
    >>> quantity("first_events_per_patient_month").heading
    'per 100 patient-months'
    >>> quantity("risk_difference"), quantity("response_treated").factor
    (Quantity(kind='points', factor=100.0, heading='points'), 100.0)
    >>> quantity("ls_mean_difference").kind, quantity("paired_difference").kind
    ('value', 'points')
    """
    if estimand in _NUMBERS:
        return _NUMBERS[estimand]
    if estimand.endswith("_test"):
        return Quantity("test", 1.0, "")
    if estimand.startswith(("median_", "restricted_mean")) or "_quartile_" in estimand:
        return Quantity("time", 1.0, "")
    if "_per_" in estimand:
        per = estimand.removesuffix("_lower").removesuffix("_upper").rpartition("_per_")[2]
        return Quantity("rate", _HUNDRED, f"per 100 {per.replace('_', '-')}s")
    if estimand.endswith("rate_difference"):
        return Quantity("rate", _HUNDRED, f"per 100 {unit}")
    if estimand.endswith("_ratio"):
        return Quantity("ratio", 1.0, "ratio")
    if estimand.endswith("_difference"):
        return Quantity("points", _HUNDRED, "points")
    return Quantity("share", _HUNDRED, "%")


def is_share(estimand: str) -> bool:
    """Tell whether an estimand is a proportion, shown in per cent."""
    return quantity(estimand).kind == "share"


def is_bound(estimand: str) -> bool:
    """Tell whether an estimand is a bound on another one."""
    return estimand.endswith(_ASSUMED)
