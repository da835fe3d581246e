"""The axis of ratios: logarithmic, as wide as the finite limits need, within reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from mesostats.plots.marks import Look

_TICKS: Final = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
_FINE_TICKS: Final = (0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5)
_WIDEST: Final = 50.0  # of ratios, on either side of 1
_ROOM: Final = 1.05


def log_axis(ax: Axes, rows: pd.DataFrame) -> None:
    """Make the axis of values logarithmic, symmetric about 1."""
    ax.set_xscale("log")
    values = rows[["estimate", "conf_low", "conf_high"]].to_numpy(float)
    finite = values[np.isfinite(values) & (values > 0)]
    farthest = _ROOM * np.abs(np.log(finite)).max() if len(finite) else 0.0
    reach = np.clip(farthest, np.log(2.2), np.log(_WIDEST))
    ax.set_xlim(np.exp(-reach), np.exp(reach))
    known = _FINE_TICKS if reach < np.log(_FINE_TICKS[-1]) else _TICKS
    ax.xaxis.set_major_locator(FixedLocator([tick for tick in known if abs(np.log(tick)) <= reach]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def clipped(ax: Axes, rows: pd.DataFrame) -> pd.DataFrame:
    """End intervals at the edge of the axis; a mark beyond it stands on the edge."""
    low, high = ax.get_xlim()
    names = ["estimate", "conf_low", "conf_high"]
    return rows.assign(**{name: rows[name].clip(low, high) for name in names})


def arrows(ax: Axes, rows: pd.DataFrame, places: pd.Series[Any], look: Look) -> None:
    """Mark intervals that go on beyond the edge of the axis."""
    low, high = ax.get_xlim()
    for edge, marker, outside in (
        (low, "<", rows["conf_low"] <= low),
        (high, ">", rows["conf_high"] >= high),
    ):
        at = places[outside]
        if len(at):
            ax.plot([edge] * len(at), at, marker, color=look.color, markersize=9, clip_on=False, zorder=4)
