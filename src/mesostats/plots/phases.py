"""The phases of the schedule as bands behind an axis of session numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mesostats.layout import readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mesostats.results import Result

_MOST_STRIPS: Final = 3
_STRIP: Final = 0.065  # of the height of the axes
_SHADES: Final = ("0.93", "0.98")
_HEADS: Final = ("0.84", "0.92")
_LETTER: Final = 0.0095  # of the width of the axes


class Band(NamedTuple):
    """One phase: its name, its first and last planned session, and whether it goes on where a course plans more."""

    name: str
    first: int
    last: int
    goes_on: bool


def bands(result: Result) -> list[list[Band]]:
    """Return the phases of each protocol that a result names; those of protocols with the same phases once."""
    strips: dict[str, list[Band]] = {}
    for each in result.spec.get("phases", []):
        band = Band(readable(each["phase"]), each["first"], each["last"], each["goes_on"])
        strips.setdefault(each["protocol"], []).append(band)
    distinct = list(dict.fromkeys(tuple(strip) for strip in strips.values()))
    ranked = sorted(distinct, key=lambda strip: (-strip[-1].last, -len(strip)))
    return [list(strip) for strip in ranked] if len(ranked) <= _MOST_STRIPS else []


def make_room(ax: Axes, result: Result) -> None:
    """Raise the upper limit of the axes by what the names of the phases take; ticks stay below them."""
    low, high = ax.get_ylim()
    ticks = [tick for tick in ax.get_yticks() if low <= tick <= high]
    ax.set_ylim(low, low + (high - low) / (1 - headroom(result)))
    if headroom(result):
        ax.set_yticks(ticks)


def headroom(result: Result) -> float:
    """Return which part of the height of the axes the names of the phases take."""
    return _STRIP * len(bands(result))


def phase_bands(ax: Axes, result: Result, *, start: float) -> None:
    """Shade the phases behind the axes and name them at its top; of several protocols one strip of names each.

    Parameters
    ----------
    ax
        Axes whose horizontal axis, with its limits set, counts sessions.
    result
        A result with ``spec["phases"]``.
    start
        Where the band of a phase begins, from its first session: -0.5 where sessions are points, 0 where they are steps.
    """
    low, high = ax.get_xlim()
    strips = bands(result)
    for place, strip in enumerate(strips):
        for number, band in enumerate(strip):
            left = max(low, band.first + start) if number else low
            # Where courses plan more sessions the last phase goes on; drawn so for the longest protocol only.
            right = high if band.goes_on and not place else min(high, band.last + 1 + start)
            if left >= right:
                continue
            if place == 0 and len(strip) > 1:
                ax.axvspan(left, right, color=_SHADES[number % 2], zorder=0, linewidth=0)
            _head(ax, band.name, (left, right), place=place, shade=_HEADS[number % 2])
    ax.set_xlim(low, high)


def _head(ax: Axes, name: str, ends: tuple[float, float], *, place: int, shade: str) -> None:
    """Name one phase in its strip; a name without room is shortened."""
    across = ax.get_xaxis_transform()
    top = 1.0 - place * _STRIP
    low, high = ax.get_xlim()
    left, right = ends
    box: dict[str, Any] = {"facecolor": shade, "edgecolor": "white", "linewidth": 1.0}
    ax.fill_between([left, right], top - _STRIP, top, transform=across, zorder=1.5, **box)
    letters = int((right - left) / (high - low) / _LETTER)
    text = name if len(name) <= letters else f"{name[: max(letters - 1, 1)]}\N{HORIZONTAL ELLIPSIS}"
    ax.text(
        (left + right) / 2,
        top - _STRIP / 2,
        text,
        transform=across,
        ha="center",
        va="center",
        fontsize="x-small",
        color="0.2",
        zorder=4,
    )
