"""Where questions are answered: analyses on parts of a clinic, their tables and figures; what was looked at is kept."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import narwhals as nw
from matplotlib import pyplot as plt

from mesostats.engine import collect
from mesostats.errors import DataError
from mesostats.plots import kinds, plot
from mesostats.tables import table

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from mesostats.dataset import Dataset
    from mesostats.exploring.calls import Asked, Period
    from mesostats.results import Result

_DOTS: Final = 144
_SCREEN_DOTS: Final = 96
_SUBSETS_KEPT: Final = 16
_ANSWERS_KEPT: Final = 64


class Answer(NamedTuple):
    """A result as it is shown: how much it was counted from, and HTML of its table and of its figure."""

    result: Result
    counted: str
    table: str
    figure: str
    kinds: tuple[str, ...]


class _Computed(NamedTuple):
    """A result, with what does not change with the form of its figure."""

    result: Result
    counted: str
    table: str


class Desk:
    """Answers what is asked of one clinic; parts of it that were looked at lately are kept, and so are their answers.

    Parameters
    ----------
    clinic
        The clinic.
    """

    def __init__(self, clinic: Dataset) -> None:
        self.clinic = clinic
        self._computed: dict[str, _Computed] = {}
        self._figures: dict[tuple[str, str | None], str] = {}
        # A part keeps its derived frames on the engine: the next question about it is quick.
        self._part = lru_cache(_SUBSETS_KEPT)(self._make_part)

    def answer(self, asked: Asked, kind: str | None = None) -> Answer:
        """Run the analysis, once for each call, and show its result.

        Parameters
        ----------
        asked
            What is asked.
        kind
            The form of the figure, as of `mesostats.plot`; the first that suits where the result cannot be drawn so.

        Raises
        ------
        DataError
            If no course fits the filters, a table is absent, or the data have nothing that an argument could be.
        ValueError
            If the analysis refuses an argument.
        """
        found = _kept(self._computed, asked.call, lambda: self._compute(asked))
        forms = kinds(found.result)
        form = kind if kind in forms else None
        figure = _kept(self._figures, (asked.call, form), lambda: _figure(found.result, form))
        return Answer(found.result, found.counted, found.table, figure, forms)

    def _compute(self, asked: Asked) -> _Computed:
        if asked.question.needs:
            self.clinic.require(asked.question.needs)
        for reason in asked.lacking:
            raise DataError(reason)
        clinic = self._part(asked.filters, asked.period)
        result = asked.question.analysis(clinic, **asked.arguments)
        return _Computed(result, _counted(clinic), table(result).as_raw_html())

    def _make_part(self, filters: tuple[tuple[str, Any], ...], period: Period) -> Dataset:
        started = None if period == (None, None) else period
        if not filters and started is None:
            return self.clinic
        part = self.clinic.where(started=started, **dict(filters))
        if _rows(part, "courses") == 0:
            msg = "no course fits these filters: widen the period or choose “all”"
            raise DataError(msg)
        return part


def _kept(cache: dict[Any, Any], key: Any, make: Callable[[], Any]) -> Any:
    """Return what is kept under a key, or make it and keep it in place of what was not asked for the longest."""
    value = cache.pop(key) if key in cache else make()
    cache[key] = value
    if len(cache) > _ANSWERS_KEPT:
        del cache[next(iter(cache))]
    return value


def _rows(clinic: Dataset, name: str) -> int:
    return int(collect(clinic.lazy(name).select(_rows=nw.len()))["_rows"].iloc[0])


def _counted(clinic: Dataset) -> str:
    """Return how much of a clinic is looked at."""
    courses, patients = _rows(clinic, "courses"), _rows(clinic, "patients")
    return f"{courses:,} courses of {patients:,} patients · data cut {clinic.cutoff.isoformat()}"


def _figure(result: Result, kind: str | None) -> str:
    """Return the plot as an HTML image; it is drawn on a figure of its own, which is closed again."""
    axes = plot(result, kind=kind)
    figure = cast("Figure", axes.get_figure(root=True))
    picture = io.BytesIO()
    try:
        figure.savefig(picture, format="png", dpi=_DOTS, pil_kwargs={"compress_level": 1})  # quick, not small
    finally:
        plt.close(figure)
    data = base64.b64encode(picture.getvalue()).decode("ascii")
    alternative = escape(str(axes.get_label()))
    width = figure.get_figwidth() * _SCREEN_DOTS
    return f'<img src="data:image/png;base64,{data}" alt="{alternative}" style="width:{width:.0f}px;max-width:100%">'
