"""A result's figure as a file: PNG, SVG or PDF, with what it shows in words; the same figure gives the same bytes."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import matplotlib as mpl
from matplotlib import pyplot as plt

from mesostats.plots import plot
from mesostats.plots.described_figures import description
from mesostats.results import Result
from mesostats.whole_files import written_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ENDINGS: Final = (".png", ".svg", ".pdf")
_STYLE: Final[Any] = {"svg.fonttype": "none", "svg.hashsalt": "mesostats", "pdf.fonttype": 42}


def save_plot(
    shown: Result | Axes,
    path: str | Path,
    *,
    kind: str | None = None,
    most: int | None = None,
    dpi: float = 300,
) -> Path:
    """Write a figure as a file, whole or not at all.

    Parameters
    ----------
    shown
        What an analysis returned, which is plotted; or the axes of a plot, whose figure is saved as it is, with what you changed.
    path
        The file, replaced if it is there; its ending says what it becomes. ``.png`` has `dpi` dots an inch, ``.svg`` keeps texts
        as texts, ``.pdf`` holds its fonts as TrueType.
    kind, most
        As of `mesostats.plot`; only with a result.
    dpi
        The dots an inch of a PNG file.

    Returns
    -------
    pathlib.Path
        The file. It holds what it shows in words (`mesostats.alt_text`): PNG as ``Description``, SVG as ``<title>`` and
        ``<desc>``, PDF as its subject. The same figure gives the same bytes.

    Raises
    ------
    ValueError
        If the ending is none of these, the result cannot be drawn as that `kind`, or axes come with a `kind` or `most`.
    FileNotFoundError
        If the folder is not there.

    Examples
    --------
    >>> import tempfile
    >>> import mesostats as ms
    >>> found = ms.response(ms.simulate(60, seed=1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_plot(found, f"{folder}/response.svg")
    ...     "<desc>Dots with intervals." in path.read_text(encoding="utf-8")
    True
    """
    target = Path(path)
    if target.suffix.lower() not in _ENDINGS:
        msg = (
            f"'{target.name}' has no ending that a figure can be written as: {', '.join(_ENDINGS)} are known"
        )
        raise ValueError(msg)
    if isinstance(shown, Result):
        axes = plot(shown, kind=kind, most=most)
        try:
            return _save(axes, target, dpi)
        finally:
            plt.close(cast("Figure", axes.get_figure(root=True)))
    if kind is not None or most is not None:
        msg = "kind and most choose how a result is drawn; these axes are drawn already: give the result instead"
        raise ValueError(msg)
    return _save(shown, target, dpi)


def _save(axes: Axes, target: Path, dpi: float) -> Path:
    figure = cast("Figure", axes.get_figure(root=True))
    ending, text = target.suffix.lower(), description(figure)
    title = text.split(". ")[1] if text.count(". ") > 1 else text
    with written_whole(target) as scratch:
        with mpl.rc_context(_STYLE):
            metadata = _METADATA[ending](title, text)
            figure.savefig(scratch, format=ending[1:], dpi=dpi, bbox_inches="tight", metadata=metadata)
        if ending == ".svg":
            _describe(scratch, text)
    return target


_METADATA: Final[dict[str, Any]] = {
    ".png": lambda title, text: {"Title": title, "Description": text},
    ".svg": lambda title, text: {"Title": title, "Description": text, "Date": None},
    ".pdf": lambda title, text: {"Title": title, "Subject": text, "CreationDate": None},
}


def _describe(path: Path, text: str) -> None:
    """Put the description where screen readers look for it: beside the title of the picture."""
    content = path.read_text(encoding="utf-8")
    content = content.replace("</title>", f"</title>\n <desc>{escape(text, quote=False)}</desc>", 1)
    path.write_text(content.replace("<svg ", '<svg role="img" ', 1), encoding="utf-8")
