"""How codes and numbers are worded for readers. All rounding of results happens here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.layout.names import MISSING_OF_ANALYSES, NAMES, NAMES_OF_ANALYSES
from mesostats.layout.quantities import is_bound, quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mesostats.results import Result

ALL: Final = "_all"
"""The column that names the only row of a result without groups."""

MISSING: Final = "\N{EN DASH}"
"""What stands where a number could not be estimated."""

_HUNDRED: Final = 100.0
_TINY: Final = 0.001
_STEPS_ARE_SESSIONS: Final = ("dropout_by_session", "sessions_received", "predicted_retention")


def amount(value: float, estimand: str) -> str:
    """Return an estimate or limit as a reader sees it: shares in per cent, rates per hundred, times as they are.

    Examples
    --------
    >>> amount(0.62541, "incidence_proportion"), amount(0.00021, "session_proportion"), amount(84.0, "median_retention")
    ('62.5', '<0.1', '84')
    >>> amount(0.0312, "events_per_session"), amount(-0.0004, "risk_difference"), amount(1.2345, "odds_ratio")
    ('3.12', '0.0', '1.23')
    >>> amount(5.574, "received_sessions"), amount(4.2537, "restricted_mean")
    ('5.57', '4.25')
    >>> amount(float("nan"), "retention") == MISSING
    True
    """
    if pd.isna(value):
        return MISSING
    if math.isinf(value):
        return "-\N{INFINITY}" if value < 0 else "\N{INFINITY}"
    kind, factor, _ = quantity(estimand)
    if kind == "time":
        return f"{round(value, 2 if abs(value) < _HUNDRED else 1):g}"
    return _rounded(factor * value, _decimals(kind, abs(factor * value)), positive_tiny=kind != "points")


def _decimals(kind: str, size: float) -> int:
    """Return how many decimals a number of that size deserves."""
    if kind in {"share", "points"}:
        return 1
    return 2 if size < 10 else 1 if size < 1000 else 0  # noqa: PLR2004 - about three figures


def _rounded(value: float, decimals: int, *, positive_tiny: bool) -> str:
    smallest = 10.0**-decimals
    if positive_tiny and 0 < value < smallest / 2:
        return f"<{smallest:.{decimals}f}"
    text = f"{value:,.{decimals}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text


def with_interval(row: pd.Series[Any]) -> str:
    """Return an estimate with its interval.

    Parameters
    ----------
    row
        One row of `Result.estimates`.

    Returns
    -------
    str
        The estimate, its limits in brackets; without the brackets where there is no interval.
    """
    estimate, low, high = (
        amount(row[name], row["estimand"]) for name in ("estimate", "conf_low", "conf_high")
    )
    if low == high == MISSING:
        return estimate
    kind = quantity(row["estimand"]).kind
    if high == MISSING and kind == "time":
        high = "not reached"
    return f"{estimate} ({low} to {high})" if kind == "points" else f"{estimate} ({span(low, high)})"


def span(low: str, high: str) -> str:
    """Return a range: with a dash, or "to" where a dash would be read as a minus or joins words.

    Examples
    --------
    >>> span("-1.0", "2.0"), span("70", "not reached"), len(span("51.0", "72.7"))
    ('-1.0 to 2.0', '70 to not reached', 9)
    """
    wordy = low.startswith("-") or " " in high or "\N{INFINITY}" in high or MISSING in (low, high)
    return f"{low} to {high}" if wordy else f"{low}\N{EN DASH}{high}"


def count(value: float) -> str:
    """Return a count, or a sum of time or of expected events with one decimal.

    Examples
    --------
    >>> count(1234.0), count(1234.5678)
    ('1,234', '1,234.6')
    """
    if pd.isna(value):
        return MISSING
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def out_of(row: pd.Series[Any]) -> str:
    """Return numerator and denominator of one row of `Result.estimates`: ``"35/56"``."""
    if pd.isna(row["numerator"]) or pd.isna(row["denominator"]):
        return MISSING
    return f"{count(row['numerator'])}/{count(row['denominator'])}"


def out_of_with_share(row: pd.Series[Any]) -> str:
    """Return n/N and the estimate in brackets: ``"35/56 (62.5)"``."""
    if out_of(row) == MISSING:
        return MISSING
    return f"{out_of(row)} ({amount(row['estimate'], row['estimand'])})"


def p_text(p: float) -> str:
    """Return a p value; never as zero.

    Examples
    --------
    >>> p_text(0.0421), p_text(0.00004)
    ('0.042', '<0.001')
    """
    if pd.isna(p):
        return MISSING
    return f"{p:.3f}" if p >= _TINY else f"<{_TINY}"


def p_statement(p: float) -> str:
    """Return a p value in a sentence: ``"p = 0.042"``."""
    text = p_text(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def percentage(conf_level: float) -> str:
    """Return a confidence level in words.

    Examples
    --------
    >>> percentage(0.95)
    '95 %'
    """
    return f"{100 * conf_level:g} %"


def conf_level(result: Result) -> str:
    """Return the result's confidence level in words."""
    levels = result.estimates["conf_level"].dropna().unique()
    return " and ".join(percentage(level) for level in levels)


def readable(code: str) -> str:
    """Return a code as words.

    Examples
    --------
    >>> readable("skin_type")
    'Skin type'
    """
    words = code.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def label(result: Result, column: str, value: Any) -> str:
    """Return what a reader sees for a value of a grouping column or an estimand.

    Parameters
    ----------
    result
        The result, with its labels.
    column
        A grouping column, ``estimand`` or ``time``.
    value
        The code, number or text that stands in the column.

    Returns
    -------
    str
    """
    labels = result.spec.get("labels", {}).get(column, {})
    if value in labels:
        return str(labels[value])
    if pd.isna(value):
        return MISSING if column == "time" else "not recorded"
    if column == "columns" and value == "n_missing":
        return MISSING_OF_ANALYSES.get(result.spec["analysis"], readable(value))
    if column == "estimand":
        if quantity(str(value)).kind == "rate":
            return readable(str(value).partition("_per_")[0])
        own = NAMES_OF_ANALYSES.get(result.spec["analysis"], {})
        return own.get(value) or NAMES.get(value) or readable(str(value).removeprefix(common_prefix(result)))
    return readable(str(value)) if isinstance(value, str) else f"{value:g}"


def common_prefix(result: Result) -> str:
    """Return the word that all estimands of a result begin with: the title says it already."""
    names = {name for name in result.estimates["estimand"] if not is_bound(name)}
    firsts = {name.split("_")[0] for name in names}
    return f"{firsts.pop()}_" if len(names) > 1 and len(firsts) == 1 else ""


def labels_of(result: Result, columns: Sequence[str], row: pd.Series[Any]) -> str:
    """Return the labels of several columns of one row, joined."""
    return " · ".join(row[name] if name == ALL else label(result, name, row[name]) for name in columns)


def heading(result: Result, column: str) -> str:
    """Return what heads a column."""
    if column == ALL:
        return ""
    if column == "time":
        return time_name(result)
    return "Estimator" if column == "estimand" else readable(column.removesuffix("_id"))


def time_name(result: Result) -> str:
    """Return what a result's times count: days, sessions."""
    usual = "session" if result.spec["analysis"] in _STEPS_ARE_SESSIONS else "day"
    return str(result.spec.get("arguments", {}).get("time") or usual).capitalize()


def days_between(last_days: Iterable[float]) -> dict[float, str]:
    """Return, for the last days of consecutive intervals from day 0 on, the intervals in words.

    Examples
    --------
    >>> [text for text in days_between([0.0, 1.0, 3.0]).values()][:2], len(days_between([0.0, 1.0, 3.0])[3.0])
    (['0', '1'], 3)
    """
    days = sorted(set(last_days))
    firsts = [0.0, *(day + 1 for day in days[:-1])]
    return {
        last: f"{last:g}" if first >= last else f"{first:g}\N{EN DASH}{last:g}"
        for first, last in zip(firsts, days, strict=True)
    }
