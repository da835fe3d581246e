"""An exposure's effect: crude and adjusted risks, and their differences from the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mesostats.layout import conf_level, label, out_of
from mesostats.plots.marks import (
    NEUTRAL,
    ROW_INCHES,
    beside,
    key_above,
    looks,
    points,
    rows_named,
    scaled,
    shifts,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mesostats.results import Result

_SIDES: Final = ("crude", "adjusted")


def exposure_size(result: Result, _most: int) -> tuple[float, float]:
    """Return width and height in inches."""
    return 10.0, 1.9 + 2 * ROW_INCHES * result.estimates[result.groups[0]].nunique()


def exposure_forest(ax: Axes, result: Result, _most: int) -> None:
    """Draw risks at the left and differences at the right, crude and adjusted side by side."""
    exposure, frame = result.groups[0], scaled(result.estimates)
    reference = result.spec["arguments"]["reference"]
    levels = sorted(dict.fromkeys(frame[exposure]), key=lambda level: level != reference)
    order = {level: row for row, level in enumerate(levels)}
    left, right = beside(ax, (1.0, 1.0))
    for side, look, shift in zip(_SIDES, looks(2), shifts(2, 0.3), strict=True):
        for panel, measure in ((left, "risk"), (right, "risk_difference")):
            rows = frame[frame["estimand"].eq(f"{side}_{measure}")]
            points(panel, rows, rows[exposure].map(order).astype(float) + shift, look, name=side.capitalize())
    crude = frame[frame["estimand"].eq("crude_risk")].set_index(exposure)
    names = [
        label(result, exposure, level)
        + (" (reference)" if level == reference else "")
        + (f", {out_of(crude.loc[level])}" if level in crude.index else "")
        for level in levels
    ]
    rows_named(left, names)
    interval, units = f"\n(with {conf_level(result)} interval)", frame["unit"].iloc[0]
    left.set_ylabel(label(result, "exposure", exposure))
    left.set_xlabel(f"Risk, % of {units} (n/N: crude){interval}")
    left.set_xlim(left=0)
    right.set_xlabel(f"Difference from {label(result, exposure, reference)}, percentage points{interval}")
    right.axvline(0, color="0.3", linewidth=1.0, zorder=1)
    low, high = right.get_xlim()
    right.set_xlim(low, high + 0.22 * (high - low))
    right.annotate(
        "reference", (0, 0), (4, 0), textcoords="offset points", va="center", fontsize="small", color="0.35"
    )
    for panel in (left, right):
        panel.grid(axis="x", color=NEUTRAL)
        panel.set_axisbelow(True)
    key_above(left)
