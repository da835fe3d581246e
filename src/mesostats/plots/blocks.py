"""Rows under headings, and columns of text at the right of the axes: what forests of cells have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mesostats.plots.marks import rows_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

BLOCK_ROW: Final = 0.27
"""How high a row under a heading is, in inches."""
_LETTER: Final = 5.0  # points
_GAP: Final = 10.0


class Rows(NamedTuple):
    """The names of all rows, the places of headings, and the place of each thing that is drawn."""

    names: list[str]
    heads: set[int]
    places: list[int]


def in_blocks(headings: Sequence[str], names: Sequence[str]) -> Rows:
    """Place rows under their headings.

    Parameters
    ----------
    headings
        The heading of each row; an empty one is none. Rows with the same heading are neighbours.
    names
        The name of each row.

    Returns
    -------
    Rows

    Examples
    --------
    >>> in_blocks(["A", "A", "B"], ["x", "y", "x"]).places
    [1, 2, 4]
    """
    found = Rows([], set(), [])
    last = ""
    for heading, name in zip(headings, names, strict=True):
        if heading and heading != last:
            found.heads.add(len(found.names))
            found.names.append(heading)
        last = heading
        found.places.append(len(found.names))
        found.names.append(name)
    return found


def name_blocks(ax: Axes, rows: Rows, *, width: int = 44, inside: bool = False) -> None:
    """Name the rows, headings in bold: beside the axes as the rows, or ``inside`` at their left edge."""
    rows_named(
        ax,
        ["" if inside and place in rows.heads else name for place, name in enumerate(rows.names)],
        width=width,
    )
    for place, tick in enumerate(ax.get_yticklabels()):
        tick.set_fontweight("bold" if place in rows.heads else "normal")
    ax.tick_params(axis="y", length=0)
    for place in rows.heads if inside else ():
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        look: dict[str, Any] = {
            "va": "center",
            "fontsize": "small",
            "fontweight": "bold",
            "bbox": box,
            "zorder": 4,
        }
        ax.text(0.004, place + 0.08, rows.names[place], transform=ax.get_yaxis_transform(), **look)


def columns_at_right(
    ax: Axes,
    places: Sequence[float],
    columns: Sequence[tuple[str, Sequence[str]]],
    *,
    bold: Sequence[bool] = (),
    widths: Sequence[int] = (),
) -> None:
    """Write columns of text at the right of the axes, each as wide as its longest text.

    Parameters
    ----------
    ax
        The axes.
    places
        The height of each row.
    columns
        What heads each column, and its texts by row.
    bold
        Which rows are in bold.
    widths
        How many letters each column holds at least, so that panels below one another have the same.
    """
    across = ax.get_yaxis_transform()
    look: dict[str, Any] = {"textcoords": "offset points", "annotation_clip": False}
    offset = _GAP
    for column, (head, texts) in enumerate(columns):
        ax.annotate(
            head,
            (1, 1),
            (offset, 2),
            xycoords="axes fraction",
            va="bottom",
            fontsize="x-small",
            color="0.3",
            **look,
        )
        for number, (place, text) in enumerate(zip(places, texts, strict=True)):
            weight = "bold" if bold and bold[number] else "normal"
            ax.annotate(
                text,
                (1, place),
                (offset, 0),
                xycoords=across,
                va="center",
                fontsize="small",
                fontweight=weight,
                **look,
            )
        lines = [0.85 * len(line) for line in head.split("\n")]
        least = widths[column] if column < len(widths) else 0
        offset += _LETTER * max([*lines, *map(len, texts), least], default=0) + _GAP
