"""What a picture shows, in words: for readers who do not see it, and for the files that it is kept in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mesostats.layout import (
    INSTRUMENT,
    amount,
    by_columns,
    conf_level,
    heading,
    in_words,
    is_share,
    label,
    labels_of,
    lower_is_better,
    out_of,
    quantity,
    readable,
    shown,
    telling,
    time_name,
    with_interval,
)
from mesostats.results import ALL_GROUPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesostats.results import Result

_MOST: Final = 3
_PICTURES: Final = {
    "balance": "Dots on an axis of standardized differences",
    "bars": "Bar chart",
    "butterfly": "Butterfly chart of two groups",
    "curve": "Step curves with the numbers at risk",
    "curves": "Step curves",
    "dots": "Dots with intervals",
    "evidence": "Observed shares with intervals beside those expected",
    "flow": "Flow diagram",
    "forest": "Forest plot",
    "funnel": "Funnel plot",
    "hazard": "Points with intervals at each session",
    "histogram": "Histograms against the windows of the schedule",
    "map": "Map of conclusions",
    "pairs": "Pairs of dots with intervals, and their differences",
    "points": "Points with intervals",
    "ratios": "Ratios with intervals on a logarithmic axis",
    "received": "Planned and received sessions side by side",
    "severities": "Stacked bars by severity",
    "shares": "Dots with intervals over the range that is possible",
    "stacked": "Stacked bars",
    "strips": "Points with intervals, a panel an instrument",
    "swimmers": "Swimmer plot, a bar a course",
    "trajectories": "Lines over the visits, with intervals and the numbers assessed",
    "waterfall": "Waterfall chart, a bar a course",
}
"""What each kind of picture is called."""

_DRAWN: Final = {
    ("dropout_by_session", "hazard"): "dropout_hazard",
    ("baseline_table", "balance"): "standardized_difference",
    ("onset_after_session", "bars"): "median_onset",
    ("compare_adverse_events", "ratios"): "risk_ratio",
    ("hazard_by_phase", "dots"): "dropout_hazard",
    ("event_durations", "curve"): "median_duration",
    ("time_to_first_event", "curve"): "median_time_to_first_event",
}
"""What a picture shows, where it is not the estimand to quote."""

_WHOLE: Final = (ALL_GROUPS, "all reasons", "all phases")
_EACH_TIME: Final = ("dropout_hazard", "attendance")
_LEVELS_OF: Final = ("term", "subgroup", "variable")

_MORE_IS_BETTER: Final = frozenset(
    {
        "response_treated",
        "response_with_baseline",
        "response_evaluable",
        "response_completers",
        "response_nonresponder",
        "response_observed",
        "retention",
        "predicted_retention",
        "event_free",
        "still_responding",
        "responded",
        "on_time",
        "completed",
        "received_sessions",
    }
)
_LESS_IS_BETTER: Final = frozenset(
    {
        "incidence_proportion",
        "session_proportion",
        "course_proportion",
        "aalen_johansen",
        "cumulative_incidence",
        "mean_cumulative_events",
        "unresolved",
        "dropout_hazard",
        "hazard_ratio",
        "adjusted_risk_difference",
    }
)


def described(result: Result, kind: str | None, *, why: str = "") -> str:
    """Return what a picture of a result shows, in two or three sentences.

    Parameters
    ----------
    result
        What was drawn.
    kind
        The kind of picture; None where nothing could be drawn.
    why
        Why nothing could be drawn, where that is known.

    Returns
    -------
    str
        The picture, its question and groups; the numbers, of many the highest and the lowest; what is better.
    """
    title = str(result.spec["title"]).rstrip(".")
    if kind is None:
        return f"Empty picture. {title}: there is nothing to show" + (
            f" ({why.rstrip('.')})." if why else "."
        )
    first = f"{_PICTURES[kind]}. {title}{_groups(result)}."
    return " ".join(filter(None, [first, *_numbers(result, kind)]))


def _groups(result: Result) -> str:
    """Name the groups, and how many there are."""
    by = [name for name in by_columns(result) if name in result.groups]
    rows = result.estimates[by].drop_duplicates() if by else pd.DataFrame()
    rows = rows[~rows.isin([ALL_GROUPS]).any(axis=1)] if by else rows
    if len(rows) < 1:
        return ""
    names = " and ".join(heading(result, name).lower() for name in by)
    return f", by {names} ({len(rows)} group{'s' if len(rows) > 1 else ''})"


def _numbers(result: Result, kind: str) -> list[str]:
    """Return the sentences with numbers; flows, histories, tipping points and signals have their own."""
    analysis = result.spec["analysis"]
    if analysis == "course_histories":
        return [
            f"{len(result.estimates[result.groups].drop_duplicates())} courses, their sessions and how they ended."
        ]
    if analysis == "tipping_point":
        return [in_words(result, text) for text in result.spec.get("tipping", [])[:1]]
    if analysis == "patient_flow":
        return [_flow(result)]
    if analysis == "signals":
        return [_signals(result)]
    rows = _quoted(result, kind)
    return [_quotation(result, rows), _better(result, rows)] if len(rows) else []


def _quoted(result: Result, kind: str) -> pd.DataFrame:
    """Return the rows to quote: those of the estimand drawn, of a curve its last point, of all that is drawn in parts the parts."""
    frame, analysis = result.estimates, result.spec["analysis"]
    wanted = (_DRAWN.get((analysis, kind)), result.spec.get("primary"), "mean_change", _first_known(result))
    known = frame[frame["estimate"].notna()]["estimand"].unique()
    drawn = next((str(name) for name in wanted if name in known), "")
    rows = frame[frame["estimand"].eq(drawn)]
    if analysis == "adverse_event_profile":
        rows = rows[rows["severity"].eq("any") & rows["term"].ne("any")]
    if analysis == "before_stopping":
        rows = rows[rows["next_session"].isin(["stopped", "came"])]
    if analysis == "subgroup_response" and rows["subgroup"].eq("overall").any():
        rows = rows[rows["subgroup"].eq("overall")]
    whole = rows[result.groups].isin(_WHOLE).any(axis=1)
    return _last(result, rows if whole.all() else rows[~whole])


def _first_known(result: Result) -> str:
    """Return the first estimand that is drawn and has any estimate."""
    frame = shown(result)
    known = frame.loc[frame["estimate"].notna(), "estimand"]
    return str(known.iloc[0]) if len(known) else ""


def _last(result: Result, rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the last time of each curve at which anybody was left; hazards are no curves."""
    if rows["time"].isna().all() or rows["estimand"].iloc[0] in _EACH_TIME:
        return rows
    left = rows[rows["denominator"].gt(0)] if rows["denominator"].gt(0).any() else rows
    return left.groupby(result.groups, sort=False, dropna=False).tail(1) if result.groups else left.tail(1)


def _quotation(result: Result, rows: pd.DataFrame) -> str:
    """Return the numbers: few of them all, else the highest and the lowest; and how many could not be estimated."""
    known = rows[rows["estimate"].notna()]
    unknown = len(rows) - len(known)
    if known.empty:
        return "None of its numbers could be estimated."
    names = telling(rows, result.groups)
    if len(known) <= _MOST or not _comparable(known):
        parts = [_number(result, names, row) for _, row in known.head(_MOST).iterrows()]
        parts += [f"{len(known) - _MOST} more"] if len(known) > _MOST else []
    elif known["estimate"].min() == known["estimate"].max():
        parts = [f"all {len(known)} {amount(known['estimate'].iloc[0], known['estimand'].iloc[0])}"]
    else:
        ends: dict[str, Any] = {"highest": known["estimate"].idxmax(), "lowest": known["estimate"].idxmin()}
        parts = [f"{which} {_number(result, names, known.loc[place])}" for which, place in ends.items()]
    parts += [f"{unknown} not estimable"] if unknown else []
    return f"{_measure(result, known)}: {'; '.join(parts)}."


def _comparable(rows: pd.DataFrame) -> bool:
    """Tell whether numbers can be held against each other: values of several instruments cannot."""
    values = quantity(str(rows["estimand"].iloc[0])).kind == "value"
    return not (values and INSTRUMENT in rows and len(rows[INSTRUMENT].unique()) > 1)


def _measure(result: Result, rows: pd.DataFrame) -> str:
    """Return what the numbers are, what they count, and the level of their intervals."""
    estimand = str(rows["estimand"].iloc[0])
    name, what = label(result, "estimand", estimand), quantity(estimand, str(rows["unit"].iloc[0]))
    level = conf_level(result) if rows["conf_low"].notna().any() else ""
    unit = {"share": f"% of {rows['unit'].iloc[0]}", "points": "percentage points", "time": "days"}.get(
        what.kind, what.heading
    )
    if unit.casefold() in name.casefold() or what.kind == "mean":
        unit = ""
    elif name.casefold() in unit.casefold():
        name, unit = readable(unit), ""
    return ", ".join(filter(None, [name, unit])) + (f" (with {level} interval)" if level else "")


def _number(result: Result, names: Sequence[str], row: pd.Series[Any]) -> str:
    """Return one number with its interval, and n/N, which at a time of a curve would be that step's alone."""
    name = _name(result, names, row)
    text = f"{name} {with_interval(row)}".strip()
    if pd.notna(row["time"]):
        return f"{text} at {time_name(result).lower()} {row['time']:g}"
    return f"{text}, {out_of(row)}" if pd.notna(row["numerator"]) and is_share(row["estimand"]) else text


def _name(result: Result, names: Sequence[str], row: pd.Series[Any]) -> str:
    """Return the labels of a row; a level bears that of the column that it is a level of."""
    kind = next((name for name in _LEVELS_OF if name in row.index), None)
    if kind is None or "level" not in names:
        return labels_of(result, names, row)
    others = [name for name in names if name not in {kind, "level"}]
    own = label(result, row[kind], row["level"]) if row["level"] else ""
    return " \N{MIDDLE DOT} ".join(
        filter(None, [label(result, kind, row[kind]), own, labels_of(result, others, row)])
    )


def _better(result: Result, rows: pd.DataFrame) -> str:
    """Say which way is better, where that is the same for all of the numbers and known."""
    estimand = str(rows["estimand"].iloc[0])
    if estimand in _MORE_IS_BETTER | _LESS_IS_BETTER:
        return "Higher is better." if estimand in _MORE_IS_BETTER else "Lower is better."
    if not estimand.endswith(("mean_change", "ls_mean_change")) or INSTRUMENT not in rows:
        return ""
    lower = {lower_is_better(result, str(name)) for name in rows[INSTRUMENT].unique()}
    return "Lower is better." if lower == {True} else "Higher is better." if lower == {False} else ""


def _flow(result: Result) -> str:
    """Return how many started, and what became of them, all groups together."""
    frame = result.estimates[result.estimates["reason"].eq("all reasons")]
    counts = {}
    for name, rows in frame.groupby("estimand", sort=False):
        whole = rows["phase"].eq("all phases")
        counts[name] = rows.loc[whole if whole.any() else ~whole, "numerator"].sum()
    parts = [
        f"{counts[name]:,.0f} {readable(name).lower()}"
        for name in ("started", "completed", "ongoing", "dropped_out")
        if name in counts
    ]
    return f"Courses: {', '.join(parts)}."


def _signals(result: Result) -> str:
    """Return the signals, or that there is none."""
    rows = result.estimates
    found = rows[rows["note"].str.startswith("signal")]
    if found.empty:
        return f"No signal among {len(rows.drop_duplicates(result.groups)):,} that were watched."
    parts = [_number(result, result.groups, row) for _, row in found.head(_MOST).iterrows()]
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return f"Signals, {_measure(result, found)}: {'; '.join(parts)}{more}."
