"""For lessons on simulated clinics: a known truth beside what a wrong and a right analysis make of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import pandas as pd
from matplotlib import pyplot as plt

from mesostats.layout import amount, span
from mesostats.plots.log_axis import log_axis
from mesostats.plots.marks import (
    ROW_INCHES,
    beside,
    finish,
    key_above,
    looks,
    panel_name,
    points,
    rows_named,
    rows_parted,
)
from mesostats.tables.sheet import Column, Sheet, displayed

if TYPE_CHECKING:
    from great_tables import GT
    from matplotlib.axes import Axes

    from mesostats.plots.marks import Look

Scale = Literal["share", "ratio"]

_AMOUNTS: Final = {
    "share": "risk_difference",
    "ratio": "odds_ratio",
}  # estimands that are shown on such a scale
_TITLE: Final = "What the wrong and the right analysis make of a known truth"
_COLUMNS: Final = (
    Column("truth", "Truth", bold=True),
    Column("wrong", "Estimate", "Wrong analysis"),
    Column("wrong_error", "Error", "Wrong analysis", bold=True),
    Column("right", "Estimate (95 % CI)", "Right analysis"),
    Column("right_error", "Error", "Right analysis", bold=True),
)
_ERRORS: Final = {
    "share": "Error of a share: estimate minus truth, in percentage points.",
    "ratio": "Error of a ratio: by how much it is too large or too small, in % of the truth.",
}
_WIDTH: Final = 8.5
_GAP: Final = 10.0
_PAPER: Final = {
    "facecolor": "white",
    "edgecolor": "none",
    "pad": 0.6,
}  # keeps a value readable on the line of the truth


@dataclass(frozen=True)
class Recovery:
    """A known truth, and what a wrong and a right analysis made of it.

    Parameters
    ----------
    mistake
        What the wrong analysis does.
    question
        What was asked.
    truth, wrong, right
        The true value and the two estimates of it: shares between 0 and 1, or ratios above 0.
    conf_low, conf_high
        The right analysis' 95 % confidence interval.
    scale
        ``share`` or ``ratio``.
    """

    mistake: str
    question: str
    truth: float
    wrong: float
    right: float
    conf_low: float
    conf_high: float
    scale: Scale = "share"

    def error(self, value: float) -> float:
        """Return how far a value is from the truth: the difference of shares, the relative one of ratios."""
        difference = value - self.truth
        return difference if self.scale == "share" else difference / self.truth


def compare_with_truth(
    mistake: str,
    question: str,
    *,
    truth: float,
    wrong: float,
    right: pd.Series[Any],
    scale: Scale = "share",
) -> Recovery:
    """Hold a wrong and a right analysis against the truth.

    Parameters
    ----------
    mistake
        What the wrong analysis does.
    question
        What was asked.
    truth, wrong
        The true value, and the wrong estimate of it.
    right
        The right one, with ``estimate``, ``conf_low`` and ``conf_high`` at level 0.95, as a row of `Result.estimates` has them.
    scale
        ``share``: between 0 and 1; ``ratio``: above 0.

    Returns
    -------
    Recovery

    Raises
    ------
    ValueError
        If ``scale`` is neither, or the truth is not positive.

    Examples
    --------
    >>> right = pd.Series({"estimate": 0.11, "conf_low": 0.09, "conf_high": 0.13})
    >>> told = compare_with_truth("event rows", "sessions with redness", truth=0.10, wrong=0.25, right=right)
    >>> round(told.error(told.wrong), 9), round(told.error(told.right), 9)
    (0.15, 0.01)
    """
    if scale not in get_args(Scale):
        msg = f"scale is one of {', '.join(get_args(Scale))}, found '{scale}'"
        raise ValueError(msg)
    if not truth > 0:
        msg = f"truth == {truth}, must be above 0: estimates are drawn as multiples of it"
        raise ValueError(msg)
    return Recovery(
        mistake=mistake,
        question=question,
        truth=float(truth),
        wrong=float(wrong),
        right=float(right["estimate"]),
        conf_low=float(right["conf_low"]),
        conf_high=float(right["conf_high"]),
        scale=scale,
    )


def error_table(*recoveries: Recovery) -> GT:
    """Make the table of one or several comparisons with the truth: the estimates and their errors.

    Parameters
    ----------
    *recoveries
        From `compare_with_truth`; one row each.

    Returns
    -------
    great_tables.GT
        Shares in per cent, their errors in percentage points; ratios as they are, their errors in per cent of the truth.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> right = pd.Series({"estimate": 1.7, "conf_low": 1.5, "conf_high": 1.9})
    >>> told = compare_with_truth("immortal time", "odds ratio", truth=2.0, wrong=0.5, right=right, scale="ratio")
    >>> "-75.0 %" in error_table(told).as_raw_html()
    True
    """
    _check_some(recoveries)
    texts = pd.DataFrame([_texts(each) for each in recoveries])
    scales = dict.fromkeys(each.scale for each in recoveries)
    sheet = Sheet(texts, {"mistake": "Mistake"}, [*_COLUMNS], sources=[_ERRORS[scale] for scale in scales])
    identity = hashlib.sha256(repr(recoveries).encode()).hexdigest()[:12]
    title = recoveries[0].question if len(recoveries) == 1 else _TITLE
    return displayed(sheet, title=title, identity=f"table-{identity}")


def plot_errors(*recoveries: Recovery, ax: Axes | None = None) -> Axes:
    """Plot wrong and right estimates as multiples of the truth.

    Parameters
    ----------
    *recoveries
        From `compare_with_truth`; one row each.
    ax
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        A logarithmic axis on which the truth is 1; the right estimates with their intervals, all with their values.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> right = pd.Series({"estimate": 0.11, "conf_low": 0.09, "conf_high": 0.13})
    >>> told = compare_with_truth("Event rows", "sessions with redness", truth=0.10, wrong=0.25, right=right)
    >>> axes = plot_errors(told, ax=Figure().subplots())
    >>> axes.get_xscale()
    'log'
    """
    _check_some(recoveries)
    if ax is None:
        height = 1.9 + 2.2 * ROW_INCHES * len(recoveries)
        _, ax = plt.subplots(figsize=(_WIDTH, height), layout="constrained")
    right, wrong = _multiples(recoveries, "right"), _multiples(recoveries, "wrong")
    log_axis(ax, pd.concat([right, wrong]))
    ax.axvline(1.0, color="0.3", linewidth=1.0, zorder=1)
    for rows, look, shift, name in zip(
        (right, wrong), looks(2), (-0.16, 0.16), ("right", "wrong"), strict=True
    ):
        places = rows.index + shift
        points(ax, rows, places, look, name=f"{name} analysis")
        _valued(ax, rows.assign(place=places), look)
    rows_named(ax, [each.mistake for each in recoveries])
    rows_parted(ax)
    _truths(ax, recoveries)
    ax.set_xlabel("estimate as a multiple of the truth (log scale; right analysis with 95 % interval)")
    key_above(ax)
    finish(ax, _TITLE)
    return ax


def plot_coverage(
    truth: float, *, wrong: pd.DataFrame, right: pd.DataFrame, most: int = 30, ax: Axes | None = None
) -> Axes:
    """Plot the intervals of many clinics beside the truth, those of a wrong and of a right analysis.

    Parameters
    ----------
    truth
        The true share.
    wrong, right
        One row a clinic, in the same order, with ``estimate``, ``conf_low`` and ``conf_high``: shares between 0 and 1.
    most
        How many clinics are drawn: the first.
    ax
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The panel of the wrong analysis; that of the right one stands beside it. Intervals that miss the truth are thick and
        their estimates crossed; above each panel the share, of all clinics, whose interval holds it.

    Raises
    ------
    ValueError
        If the frames are empty or have different numbers of rows.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> wide = pd.DataFrame({"estimate": [0.4, 0.6], "conf_low": [0.3, 0.4], "conf_high": [0.6, 0.8]})
    >>> narrow = wide.assign(conf_low=[0.39, 0.59], conf_high=[0.41, 0.61])
    >>> axes = plot_coverage(0.5, wrong=narrow, right=wide, ax=Figure().subplots())
    >>> [panel.texts[0].get_text() for panel in axes.figure.axes]
    ['wrong analysis: 0 of 2 hold the truth', 'right analysis: 2 of 2 hold the truth']
    """
    if not 0 < len(wrong) == len(right):
        msg = f"wrong and right have a row a clinic, found {len(wrong)} and {len(right)}"
        raise ValueError(msg)
    rows = min(most, len(right))
    if ax is None:
        _, ax = plt.subplots(figsize=(_WIDTH, 1.5 + 0.5 * ROW_INCHES * rows), layout="constrained")
    panels = beside(ax, [1, 1], share_values=True)
    for panel, frame, look, name in zip(
        panels, (wrong, right), reversed(looks(2)), ("wrong", "right"), strict=True
    ):
        holds = frame["conf_low"].le(truth) & frame["conf_high"].ge(truth)
        _intervals(panel, frame.head(rows), holds.head(rows), look)
        panel.axvline(100 * truth, color="0.3", linewidth=1.0, zorder=1)
        panel_name(panel, f"{name} analysis: {holds.sum()} of {len(frame)} hold the truth")
        panel.set_xlabel("% (with 95 % interval)")
    ax.set_yticks([])
    ax.set_ylim(rows - 0.4, -0.6)
    ax.set_ylabel(f"the first {rows} of {len(right)} clinics" if rows < len(right) else f"{rows} clinics")
    finish(ax, "Do the intervals hold the truth?")
    return ax


def _intervals(ax: Axes, frame: pd.DataFrame, holds: pd.Series[bool], look: Look) -> None:
    """Draw a row a clinic; those that miss stand out by more than their colour."""
    drawn = 100 * frame[["estimate", "conf_low", "conf_high"]].reset_index(drop=True)
    for hit, width, marker, color in ((True, 1.2, ".", "0.6"), (False, 3.0, "X", look.color)):
        rows = drawn[holds.to_numpy() == hit]
        ax.hlines(rows.index, rows["conf_low"], rows["conf_high"], color=color, linewidth=width)
        ax.plot(rows["estimate"], rows.index, marker, color=color, zorder=3)


def _truths(ax: Axes, recoveries: tuple[Recovery, ...]) -> None:
    """Write the truths at the right, a column as wide as its longest."""
    look: dict[str, Any] = {"textcoords": "offset points", "annotation_clip": False, "color": "0.3"}
    ax.annotate("truth", (1, 1), (_GAP, 2), xycoords="axes fraction", va="bottom", fontsize="x-small", **look)
    across = ax.get_yaxis_transform()
    for place, each in enumerate(recoveries):
        text = _value(each, each.truth)
        ax.annotate(text, (1, place), (_GAP, 0), xycoords=across, va="center", fontsize="small", **look)


def _check_some(recoveries: tuple[Recovery, ...]) -> None:
    if not recoveries:
        msg = "there is nothing to show: give what compare_with_truth returned"
        raise ValueError(msg)


def _texts(each: Recovery) -> dict[str, str]:
    """Return the texts of a row."""
    estimand = _AMOUNTS[each.scale]
    limits = span(amount(each.conf_low, estimand), amount(each.conf_high, estimand))
    return {
        "mistake": each.mistake,
        "truth": _value(each, each.truth),
        "wrong": _value(each, each.wrong),
        "wrong_error": _error(each, each.wrong),
        "right": f"{_value(each, each.right)} ({limits})",
        "right_error": _error(each, each.right),
    }


def _value(each: Recovery, value: float) -> str:
    text = amount(value, _AMOUNTS[each.scale])
    return f"{text} %" if each.scale == "share" else text


def _error(each: Recovery, value: float) -> str:
    """Return a signed error with its unit."""
    unit = "points" if each.scale == "share" else "%"
    return f"{100 * each.error(value):+.1f} {unit}"


def _multiples(recoveries: tuple[Recovery, ...], kind: Literal["right", "wrong"]) -> pd.DataFrame:
    """Return estimates and limits as multiples of the truth, with the value to write; a wrong one has no interval."""
    rows = []
    for each in recoveries:
        value = float(getattr(each, kind))
        low, high = (each.conf_low, each.conf_high) if kind == "right" else (value, value)
        row = {"estimate": value, "conf_low": low, "conf_high": high}
        rows.append(
            {name: number / each.truth for name, number in row.items()} | {"text": _value(each, value)}
        )
    return pd.DataFrame(rows)


def _valued(ax: Axes, rows: pd.DataFrame, look: Look) -> None:
    """Write each value beside its mark, past the interval."""
    for _, row in rows.iterrows():
        ax.annotate(
            row["text"],
            (row["conf_high"], row["place"]),
            (_GAP, 0),
            textcoords="offset points",
            va="center",
            fontsize="x-small",
            color=look.color,
            bbox=_PAPER,
        )
