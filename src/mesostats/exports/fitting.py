"""How a table fits on a sheet of A4: upright or across, how large its letters, how wide each column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from mesostats.exports.printed import Printed, Text

UPRIGHT_MM: Final = 170.0
ACROSS_MM: Final = 257.0
"""The width of a line on A4 with margins of 20 mm, upright and across."""
PADDING_MM: Final = 1.2
"""The room at either side of a cell."""

_POINT_MM: Final = 0.3528
_NARROW: Final = frozenset("iljtfrI.,:;|'()[]-!·/ ")
_WIDE: Final = frozenset("mwMW%@\N{EM DASH}\N{INFINITY}\N{GREATER-THAN OR EQUAL TO}")
_BOLD: Final = 1.14
_HEAD_LINES: Final = 3
_HEAD_EMS: Final = 16.0
_WORDS_EMS: Final = 45.0
_CHOICES: Final = ((False, 9.0), (False, 8.0), (True, 9.0), (True, 8.0), (True, 7.0))


class Fit(NamedTuple):
    """How a table is set.

    Parameters
    ----------
    across
        Whether the paper lies on its long side.
    points
        The size of the letters.
    widths
        The width of each column in mm, its padding included; together no more than the line.
    """

    across: bool
    points: float
    widths: list[float]

    @property
    def line(self) -> float:
        """The width of a line in mm."""
        return ACROSS_MM if self.across else UPRIGHT_MM


def fitted(table: Printed) -> Fit:
    """Choose the first setting in which no number of a table is broken, or the smallest, in which some are.

    Parameters
    ----------
    table
        The table.

    Returns
    -------
    Fit
    """
    least, most = _widths(table)
    for across, points in _CHOICES:
        fit = Fit(across, points, [])
        needed = [_in_mm(width, points) for width in least]
        if sum(needed) <= fit.line:
            wanted = [_in_mm(width, points) for width in most]
            return fit._replace(widths=_shared(needed, wanted, fit.line))
    shrunk = fit.line / sum(needed)
    return fit._replace(widths=[width * shrunk for width in needed])


def _in_mm(ems: float, points: float) -> float:
    return ems * points * _POINT_MM + 2 * PADDING_MM


def _shared(needed: list[float], wanted: list[float], line: float) -> list[float]:
    """Share what is left of a line among the columns that want more than they need."""
    lacking = [most - least for least, most in zip(needed, wanted, strict=True)]
    share = min(1.0, (line - sum(needed)) / sum(lacking)) if sum(lacking) > 0 else 0.0
    return [least + share * lack for least, lack in zip(needed, lacking, strict=True)]


def _widths(table: Printed) -> tuple[list[float], list[float]]:
    """Return the least and the best width of each column in ems: words may be broken into lines, numbers not."""
    least, most = [], []
    for place, head in enumerate(table.heads):
        texts = [row[place] for row in table.rows]
        full = max((_cell_ems(each) for each in texts), default=0.0)
        words = _BOLD * max((_longest_word(each.text) for each in texts), default=0.0)
        headed = _BOLD * max(_longest_word(head), 1.1 * _ems(head) / _HEAD_LINES)
        if place < table.stubs or place in table.wordy:
            cap = _WORDS_EMS if place in table.wordy else 2 * _HEAD_EMS
            least.append(max(headed, words, min(full, _HEAD_EMS)))
            most.append(max(least[-1], min(max(full, _BOLD * _ems(head)), cap)))
        else:
            least.append(max(headed, full))
            most.append(max(least[-1], min(_BOLD * _ems(head), _HEAD_EMS)))
    for span in table.spans:
        _widen(least, most, range(span.start, span.start + span.width), _BOLD * _longest_word(span.head.text))
    return least, most


def _widen(least: list[float], most: list[float], places: range, needed: float) -> None:
    """Make columns together as wide as the longest word of what spans them."""
    lacking = (needed - sum(least[place] for place in places)) / len(places)
    for place in places if lacking > 0 else ():
        least[place] += lacking
        most[place] = max(most[place], least[place])


def _cell_ems(cell: Text) -> float:
    ems = _ems(cell.text) * (_BOLD if cell.bold else 1.0)
    return ems + 0.7 * _ems(cell.marks) + (1.5 if cell.indented else 0.0)


def _longest_word(text: str) -> float:
    return max((_ems(word) for word in text.split()), default=0.0)


def _ems(text: str) -> float:
    """Return about how wide a text is, in ems of a usual typeface."""
    return sum(
        0.37 if each in _NARROW else 0.92 if each in _WIDE else 0.75 if each.isupper() else 0.56
        for each in text
    )
