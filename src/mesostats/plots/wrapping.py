"""Text in boxes: how wide it will be drawn, and where to break it so that nothing is clipped."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

if TYPE_CHECKING:
    from collections.abc import Callable

_POINTS_AN_INCH: Final = 72.0


@lru_cache(maxsize=4096)
def text_inches(text: str, size: float, *, bold: bool = False) -> float:
    """Return how wide a line of text is drawn, in inches.

    Parameters
    ----------
    text
        One line.
    size
        The font's size in points.
    bold
        Whether it is drawn in bold.
    """
    if not text.strip():
        return 0.0
    font = FontProperties(size=size, weight="bold" if bold else "normal")
    # The way to the next letter, not the ink: to trace each letter's outline takes ten times as long.
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / _POINTS_AN_INCH


def wrapped(text: str, width: float, size: float, *, indent: str = "", bold: bool = False) -> list[str]:
    """Break a text into lines that are drawn no wider than a width; a word that is too long alone is parted.

    Parameters
    ----------
    text
        One paragraph.
    width
        In inches.
    size
        The font's size in points.
    indent
        What every line begins with.
    bold
        Whether it is drawn in bold.

    Returns
    -------
    list of str

    Examples
    --------
    >>> wrapped("did not keep to the protocol", 1.0, 8.0)
    ['did not keep to', 'the protocol']
    """
    lines: list[str] = []
    line = indent
    for word in _parted(text.split(), indent, width, partial(text_inches, size=size, bold=bold)):
        longer = f"{line} {word}" if line != indent else indent + word
        if line != indent and text_inches(longer, size, bold=bold) > width:
            lines.append(line)
            line = indent + word
        else:
            line = longer
    return [*lines, line]


def _parted(words: list[str], indent: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """Part words that are wider than a line."""
    found: list[str] = []
    for word in words:
        rest = word
        while len(rest) > 1 and measure(indent + rest) > width:
            ends = [end for end in range(1, len(rest)) if measure(f"{indent}{rest[:end]}-") <= width]
            end = max(ends, default=1)
            found.append(f"{rest[:end]}-")
            rest = rest[end:]
        found.append(rest)
    return found
