"""Names at the right end of curves, moved apart so that they do not lie on one another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

_LINE: Final = 10.5  # points
_POINTS: Final = 72.0


def apart(ax: Axes, ends: Mapping[str, tuple[float, Any]]) -> None:
    """Name curves at the right of the axes, each as near to its end as its neighbours leave room.

    Parameters
    ----------
    ax
        The axes, with their limits set.
    ends
        What each curve is called, with the height of its end and its colour.
    """
    low, high = ax.get_ylim()
    height = ax.get_window_extent().height / ax.figure.dpi * _POINTS
    unit = (high - low) / max(height, 1.0)
    free = low
    places: list[tuple[str, float, float, Any]] = []
    for name, (end, color) in sorted(ends.items(), key=lambda item: item[1][0]):
        half = _LINE * unit * (name.count("\n") + 1) / 2
        place = max(end, free + half)
        free = place + half
        places.append((name, place, half, color))
    # What was pushed beyond the top comes down again, and pushes its neighbours down.
    ceiling = high
    for name, place, half, color in reversed(places):
        at = min(place, ceiling - half)
        ceiling = at - half
        _named(ax, name, (ends[name][0], at), color)


def _named(ax: Axes, name: str, heights: tuple[float, float], color: Any) -> None:
    """Write a name beside the end of its curve, with a thin line where it had to move."""
    end, at = heights
    across = ax.get_yaxis_transform()
    ax.plot([1.0, 1.018], [end, at], transform=across, color=color, linewidth=0.8, clip_on=False)
    look: dict[str, Any] = {"transform": across, "fontsize": "small", "va": "center", "linespacing": 1.0}
    ax.text(1.022, at, name, color=color, **look)
