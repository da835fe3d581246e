"""What is asked of a clinic: the analysis on some of its courses, and the line of code that asks the same."""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import narwhals as nw
from matplotlib import pyplot as plt

from mesostats.engine import collect
from mesostats.errors import DataError
from mesostats.plots import plot
from mesostats.tables import table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mesostats.dataset import Dataset
    from mesostats.exploring.questions import Question
    from mesostats.results import Result

Period = tuple[dt.date | None, dt.date | None]

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


@dataclass(frozen=True)
class Asked:
    """One state of the panel.

    Parameters
    ----------
    question
        The question.
    by
        The grouping columns.
    settings
        The arguments set, as pairs.
    filters
        Columns of courses and the value that they shall have, as pairs.
    period
        The first and the last start date.
    """

    question: Question
    by: tuple[str, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()
    filters: tuple[tuple[str, Any], ...] = ()
    period: Period = (None, None)

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments that differ from the analysis's defaults."""
        by = None if not self.by else self.by[0] if len(self.by) == 1 else list(self.by)
        given = {"by": by} | dict(self.settings)
        return {name: value for name, value in given.items() if value != self.question.default(name)}

    @property
    def call(self) -> str:
        """The line of code that gives the same result, for a data set named ``clinic``.

        Examples
        --------
        >>> from mesostats.exploring.questions import QUESTIONS
        >>> Asked(QUESTIONS[0], by=("arm",), filters=(("indication", "melasma"),)).call
        'ms.retention(clinic.where(indication="melasma"), by="arm")'
        """
        conditions = dict(self.filters)
        if self.period != (None, None):
            conditions["started"] = self.period
        clinic = f"clinic.where({_arguments(conditions)})" if conditions else "clinic"
        given = f", {_arguments(self.arguments)}" if self.arguments else ""
        return f"ms.{self.question.analysis.__name__}({clinic}{given})"


def _arguments(given: dict[str, Any]) -> str:
    """Return arguments as code; a name that is no Python word goes in a mapping."""
    plain = [f"{name}={_code(value)}" for name, value in given.items() if name.isidentifier()]
    odd = [f"{_code(name)}: {_code(value)}" for name, value in given.items() if not name.isidentifier()]
    return ", ".join([*plain, *([f"**{{{', '.join(odd)}}}"] if odd else [])])


def _code(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dt.date):
        return f'"{value.isoformat()}"'
    if isinstance(value, list | tuple):
        left, right = "[]" if isinstance(value, list) else "()"
        return left + ", ".join(_code(each) for each in value) + right
    return repr(value)


@dataclass
class Desk:
    """Answers what is asked of one clinic; parts of it that were looked at lately are kept, and so are their answers.

    Parameters
    ----------
    clinic
        The clinic.
    """

    clinic: Dataset
    _part: Any = field(init=False, repr=False)
    _answer: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # A part keeps its derived frames on the engine: the next question about it is quick.
        self._part = lru_cache(_SUBSETS_KEPT)(self._make_part)
        self._answer = lru_cache(_ANSWERS_KEPT)(self._make_answer)

    def answer(self, asked: Asked) -> Answer:
        """Run the analysis and show its result.

        Raises
        ------
        DataError
            If no course fits the filters, or a table is absent.
        ValueError
            If the analysis refuses an argument.
        """
        return self._answer(asked)  # type: ignore[no-any-return]

    def _make_answer(self, asked: Asked) -> Answer:
        clinic = self._part(asked.filters, asked.period)
        result = asked.question.analysis(clinic, **asked.arguments)
        return Answer(result, _counted(clinic), table(result).as_raw_html(), _figure(result))

    def _make_part(self, filters: tuple[tuple[str, Any], ...], period: Period) -> Dataset:
        started = None if period == (None, None) else period
        if not filters and started is None:
            return self.clinic
        part = self.clinic.where(started=started, **dict(filters))
        if _rows(part, "courses") == 0:
            msg = "no course fits these filters: widen the period or choose “all”"
            raise DataError(msg)
        return part


def _rows(clinic: Dataset, name: str) -> int:
    return int(collect(clinic.lazy(name).select(_rows=nw.len()))["_rows"].iloc[0])


def _counted(clinic: Dataset) -> str:
    """Return how much of a clinic is looked at."""
    courses, patients = _rows(clinic, "courses"), _rows(clinic, "patients")
    return f"{courses:,} courses of {patients:,} patients · data cut {clinic.cutoff.isoformat()}"


def _figure(result: Result) -> str:
    """Return the plot as an HTML image; it is drawn on a figure of its own, which is closed again."""
    figure = cast("Figure", plot(result).get_figure(root=True))
    picture = io.BytesIO()
    try:
        figure.savefig(picture, format="png", dpi=_DOTS)
    finally:
        plt.close(figure)
    data = base64.b64encode(picture.getvalue()).decode("ascii")
    alternative = escape(f"{result.spec['title']}. The numbers stand in the table below.")
    width = figure.get_figwidth() * _SCREEN_DOTS
    return f'<img src="data:image/png;base64,{data}" alt="{alternative}" style="width:{width:.0f}px;max-width:100%">'
