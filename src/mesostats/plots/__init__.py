"""Plots: a `Result` in, the `matplotlib.axes.Axes` out. They compute nothing and draw on one figure only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from mesostats.layout import by_columns, comparison, is_curve, lay_out, shown
from mesostats.plots.alt_texts import described
from mesostats.plots.balance import balance_dots, balance_size
from mesostats.plots.changes import change_size, change_strips, trajectories, trajectory_size
from mesostats.plots.comparisons import (
    butterfly,
    butterfly_groups,
    butterfly_size,
    comparison_size,
    dots,
    ratios,
)
from mesostats.plots.curves import curve_size, curves
from mesostats.plots.described_figures import DescribedFigure
from mesostats.plots.dispositions import disposition_bars, disposition_size
from mesostats.plots.doses import dose_points, dose_size
from mesostats.plots.durability import durability_size, lasting_shares
from mesostats.plots.exposures import exposure_forest, exposure_size
from mesostats.plots.flows import flow, flow_size
from mesostats.plots.forests import forest, forest_size
from mesostats.plots.gap_lengths import gap_histograms, gaps_size
from mesostats.plots.grades import (
    MOST_GRADES,
    grades_of,
    stacked_grades,
    stacked_grades_size,
    waterfall,
    waterfall_size,
)
from mesostats.plots.hazard_ratios import ratio_forest, ratios_size
from mesostats.plots.hazards import phase_hazard, phase_hazard_size, session_hazard, session_hazard_size
from mesostats.plots.marks import NOTHING, finish, nothing
from mesostats.plots.pairs import compared_forest, compared_size, subgroup_forest, subgroup_size
from mesostats.plots.predictions import prediction_size, predictions
from mesostats.plots.reasons import reason_curves, reasons_size, stacked_reasons
from mesostats.plots.received import received_sessions, received_size
from mesostats.plots.response_curves import response_curve_size, response_curves
from mesostats.plots.responses import response_dots, response_size
from mesostats.plots.returns import return_curves
from mesostats.plots.scenarios import scenario_dots, scenario_size, stopping_pairs, stopping_size
from mesostats.plots.severities import severity_bars, severity_size
from mesostats.plots.shares import stacked_bars, stacked_size
from mesostats.plots.steps import bars_by_days, points_by_session, step_size
from mesostats.plots.swimmers import swimmer_size, swimmers
from mesostats.plots.tipping import tipping_map, tipping_size
from mesostats.plots.watching import evidence, evidence_size, funnel, funnel_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

    from mesostats.results import Result

__all__ = ["alt_text", "kinds", "plot"]

_MOST_ROWS: Final = 30


class _Picture(NamedTuple):
    """How a picture is drawn, and how large it is in inches; both get the result and how many rows to show at most."""

    draw: Callable[[Axes, Result, int], None]
    size: Callable[[Result, int], tuple[float, float]]
    most: int = _MOST_ROWS


_FOREST: Final = _Picture(forest, forest_size)
_DOTS: Final = _Picture(dots, comparison_size)
_RATIOS: Final = _Picture(ratios, comparison_size)
_BUTTERFLY: Final = _Picture(butterfly, butterfly_size)
_CURVE: Final = _Picture(curves, curve_size)
_POINTS: Final = _Picture(points_by_session, step_size)
_BARS: Final = _Picture(bars_by_days, step_size)
_SEVERITY: Final = _Picture(severity_bars, severity_size)
_FUNNEL: Final = _Picture(funnel, funnel_size)
_EVIDENCE: Final = _Picture(evidence, evidence_size)
_EXPOSURE: Final = _Picture(exposure_forest, exposure_size)
_STACKED: Final = _Picture(stacked_bars, stacked_size)
_REASONS: Final = _Picture(reason_curves, reasons_size)
_GRADES: Final = _Picture(stacked_grades, stacked_grades_size)
_WATERFALL: Final = _Picture(waterfall, waterfall_size)
_RESPONSE: Final = _Picture(response_dots, response_size, most=60)

_OWN_PICTURES: Final[dict[str, dict[str, _Picture]]] = {
    "adverse_event_profile": {"severities": _SEVERITY},
    "exposure_effect": {"forest": _EXPOSURE},
    "onset_after_session": {"bars": _BARS},
    "adherence": {"stacked": _STACKED, "forest": _FOREST},
    "session_gaps": {"histogram": _Picture(gap_histograms, gaps_size)},
    "sessions_received": {"received": _Picture(received_sessions, received_size)},
    "course_histories": {"swimmers": _Picture(swimmers, swimmer_size, most=200)},
    "patient_flow": {"flow": _Picture(flow, flow_size)},
    "disposition": {"bars": _Picture(disposition_bars, disposition_size), "stacked": _STACKED},
    "dropout_by_session": {"hazard": _Picture(session_hazard, session_hazard_size), "points": _POINTS},
    "hazard_by_phase": {"dots": _Picture(phase_hazard, phase_hazard_size)},
    "dropout_reasons": {"curves": _REASONS, "stacked": _Picture(stacked_reasons, reasons_size)},
    "dropout_model": {"forest": _Picture(ratio_forest, ratios_size)},
    "predicted_retention": {"curves": _Picture(predictions, prediction_size)},
    "dropout_sensitivity": {"dots": _Picture(scenario_dots, scenario_size)},
    "before_stopping": {"pairs": _Picture(stopping_pairs, stopping_size)},
    "return_for_repeat": {"curve": _Picture(return_curves, curve_size)},
    "response": {"dots": _RESPONSE, "forest": _FOREST},
    "response_scenarios": {"dots": _RESPONSE},
    "tipping_point": {"map": _Picture(tipping_map, tipping_size)},
    "compare_response": {"forest": _Picture(compared_forest, compared_size)},
    "subgroup_response": {"forest": _Picture(subgroup_forest, subgroup_size)},
    "change_from_baseline": {"strips": _Picture(change_strips, change_size)},
    "change_by_visit": {"trajectories": _Picture(trajectories, trajectory_size)},
    "change_beyond_error": {"stacked": _STACKED},
    "time_to_response": {"curves": _Picture(response_curves, response_curve_size)},
    "durability": {"shares": _Picture(lasting_shares, durability_size)},
    "response_by_sessions": {"points": _Picture(dose_points, dose_size)},
    "baseline_table": {"balance": _Picture(balance_dots, balance_size)},
    "compare_grades": {"stacked": _GRADES, "waterfall": _WATERFALL},
}
"""The pictures of analyses whose results have a form of their own, the best first."""


def plot(result: Result, *, ax: Axes | None = None, kind: str | None = None, most: int | None = None) -> Axes:
    """Plot a result.

    Parameters
    ----------
    result
        What an analysis returned.
    ax
        Where to draw; by default on a new figure. A picture of several panels parts its place; the first panel is returned.
    kind
        Which picture, where a result can be drawn as several: of a comparison ``dots`` (each group's share, and
        differences), ``ratios`` or, for two groups, ``butterfly``; of side effects by two groups ``forest`` or
        ``butterfly``; of signals ``funnel`` or ``evidence`` (observed against expected); of dropout by session ``hazard`` or
        ``points``; of reasons ``curves`` or, without groups, ``stacked``; of adherence ``stacked`` or ``forest``; of the
        disposition ``bars`` or ``stacked``; of response ``dots`` or ``forest``; of grades of change ``stacked``, where they
        are few, or ``waterfall``. If not given, the first that suits.
    most
        How many rows are drawn, those with the most events; 30 if not given, of course histories all that the result holds.
        The picture says how many are left out.

    Returns
    -------
    matplotlib.axes.Axes
        Points with intervals, a row a group; a curve with its interval and the numbers at risk, where the result has
        times; points a session, where it has several estimands at each. The flow of patients is a CONSORT diagram, course
        histories are swimmers, gaps histograms against their windows, a dropout model is a forest on a logarithmic axis;
        over sessions the phases of the schedule are shaded and named. Response is drawn with every denominator; groups and
        subgroups compared are a forest with their counts; a tipping point is a map of what would be concluded; change by
        visit has the numbers assessed beneath. Rates are per 100. Colours are safe for colour-blind eyes, and markers, line
        styles and hatches tell the same. Their label is `alt_text`, what the picture shows in words.

    Raises
    ------
    ValueError
        If the result cannot be drawn as that `kind`, or `most` is below 1.

    References
    ----------
    Amit O, Heiberger RM, Lane PW (2008). Graphical approaches to the analysis of safety data from clinical trials.
    doi:10.1002/pst.254

    Examples
    --------
    >>> import pandas as pd
    >>> from mesostats.results import Result, contract
    >>> row = {"arm": ["A"], "estimand": ["response"], "estimate": [0.625], "numerator": [35], "denominator": [56]}
    >>> spec = {"analysis": "response", "title": "Who responded?", "cutoff": "2025-06-30"}
    >>> result = Result(contract(pd.DataFrame(row), ["arm"]), spec, lambda cell: pd.DataFrame())
    >>> axes = plot(result, ax=Figure().subplots())
    >>> axes.get_yticklabels()[0].get_text()
    'A'
    """
    if most is not None and most < 1:
        msg = f"most == {most}, must be 1 or more: it is how many rows are drawn"
        raise ValueError(msg)
    result = _drawn(result)
    kind, picture = _chosen(result, kind)
    rows = most or (picture.most if picture else _MOST_ROWS)
    if ax is None:
        size = picture.size(result, rows) if picture else None
        _, ax = plt.subplots(figsize=size, layout="constrained", FigureClass=DescribedFigure)
    if picture:
        picture.draw(ax, result, rows)
    else:
        nothing(ax)
    finish(ax, result.spec["title"])
    empty = ax.get_gid() == NOTHING
    ax.set_label(described(result, None if empty else kind, why=str(ax.get_label()) if empty else ""))
    return ax


def kinds(result: Result) -> tuple[str, ...]:
    """Return the kinds of picture that a result can be drawn as, the best first; none without estimates."""
    return () if shown(result).empty else tuple(_pictures(result))


def alt_text(result: Result, *, kind: str | None = None) -> str:
    """Say in words what the plot of a result shows, for readers who do not see it.

    Parameters
    ----------
    result
        What an analysis returned.
    kind
        Which picture, as of `plot`.

    Returns
    -------
    str
        The picture, its question and groups; its numbers, of many the highest and the lowest; which way is better.

    Raises
    ------
    ValueError
        If the result cannot be drawn as that `kind`.

    Notes
    -----
    `plot` labels the axes with it (``axes.get_label()``), and notebooks and `mesostats.save_plot` keep it beside the picture.

    Examples
    --------
    >>> import mesostats as ms
    >>> found = ms.response(ms.simulate(300, seed=1), by="indication", instrument="masi")
    >>> print(alt_text(found).partition(". ")[0])
    Dots with intervals
    """
    return str(plot(result, ax=Figure().subplots(), kind=kind).get_label())


def _drawn(result: Result) -> Result:
    """Return what of a result is drawn: of care rules the differences, since risks and ratios would not fit their axis."""
    if result.spec["analysis"] != "care_rule_effects":
        return result
    primary = result.estimates["estimand"].eq(result.spec["primary"])
    return replace(result, estimates=result.estimates[primary].reset_index(drop=True))


def _chosen(result: Result, kind: str | None) -> tuple[str | None, _Picture | None]:
    """Return the picture that was asked for, or the first that suits; none of a result without estimates."""
    if shown(result).empty:
        return None, None
    known = _pictures(result)
    if kind is not None and kind not in known:
        names = ", ".join(f"'{name}'" for name in known)
        msg = f"this result of {result.spec['analysis']} cannot be drawn as '{kind}'; it can be drawn as {names}"
        raise ValueError(msg)
    name = kind if kind is not None else next(iter(known))
    return name, known[name]


def _pictures(result: Result) -> dict[str, _Picture]:
    """Return the pictures that suit what a result holds, the best first."""
    analysis = result.spec["analysis"]
    if analysis == "compare_adverse_events":
        found = {"dots": _DOTS}
        measures = comparison(result).measures
        found |= {"ratios": _RATIOS} if "risk_ratio" in measures else {}
        return found | ({"butterfly": _BUTTERFLY} if butterfly_groups(result) else {})
    if analysis == "signals":
        return _of_signals(result)
    if analysis in _OWN_PICTURES:
        return _own_pictures(result)
    layout = lay_out(result)
    if layout.steps:
        return {"curve": _CURVE} if is_curve(layout) else {"points": _POINTS}
    mirrored = analysis == "adverse_event_rates" and butterfly_groups(result)
    return {"forest": _FOREST} | ({"butterfly": _BUTTERFLY} if mirrored else {})


def _own_pictures(result: Result) -> dict[str, _Picture]:
    """Return the pictures of an analysis that has its own; reasons of several groups do not stack."""
    found = _OWN_PICTURES[result.spec["analysis"]]
    if result.spec["analysis"] == "dropout_reasons" and by_columns(result):
        return {"curves": _REASONS}
    if result.spec["analysis"] == "compare_grades":
        changes = result.spec["arguments"].get("scale") == "change"
        few = len(grades_of(result)) <= MOST_GRADES
        return (
            {"waterfall": _WATERFALL} if changes and not few else found if changes else {"stacked": _GRADES}
        )
    return found


def _of_signals(result: Result) -> dict[str, _Picture]:
    """Return the pictures of signals: the funnel first where it is one of all that was watched."""
    funnels = len(result.spec.get("funnel", {}))
    if not funnels:
        return {"evidence": _EVIDENCE}
    both = {"funnel": _FUNNEL, "evidence": _EVIDENCE}
    return both if funnels == 1 else dict(reversed(both.items()))
