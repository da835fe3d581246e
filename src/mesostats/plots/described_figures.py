"""Figures that carry what they show in words: in notebooks beside the picture, in files as its description."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure


def description(figure: Figure) -> str:
    """Return what the axes of a figure are labelled with, else their titles.

    Parameters
    ----------
    figure
        Any figure; the axes that `mesostats.plot` drew on are labelled.

    Returns
    -------
    str
        Empty where nothing says what it shows.
    """
    labels = [str(axes.get_label()) for axes in figure.axes]
    told = [text for text in labels if text and not text.startswith(("<", "_"))]  # matplotlib's own labels
    titles = [axes.get_title(loc) for axes in figure.axes for loc in ("left", "center", "right")]
    return " ".join(told or filter(None, titles))


class DescribedFigure(Figure):
    """A figure whose picture in a notebook has an alternative text."""

    def __repr__(self) -> str:
        return description(self) or super().__repr__()

    def _repr_mimebundle_(self, **_arguments: Any) -> tuple[dict[str, str], dict[str, Any]]:
        """Return what stands beside the picture: the text in its place, and its alternative text, which nbconvert writes."""
        text = description(self)
        if not text:
            return {}, {}
        return {"text/plain": text}, {"image/png": {"alt": text}, "image/svg+xml": {"alt": text}}
