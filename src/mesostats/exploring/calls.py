"""What is asked of a clinic, and the line of code that asks the same."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mesostats.exploring.questions import NEEDED

if TYPE_CHECKING:
    from mesostats.exploring.questions import Question

Period = tuple[dt.date | None, dt.date | None]


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
        given = ({"by": by} if self.question.by_tables else {}) | dict(self.settings)
        return {name: value for name, value in given.items() if value != self.question.default(name)}

    @property
    def lacking(self) -> list[str]:
        """Why the question cannot be asked: of each argument that the analysis needs and nothing can be chosen for."""
        given = dict(self.settings)
        needed = [each for each in self.question.settings if self.question.default(each.argument) is NEEDED]
        return [each.absent for each in needed if each.argument not in given]

    @property
    def call(self) -> str:
        """The line of code that gives the same result, for a data set named ``clinic``.

        Examples
        --------
        >>> from mesostats.exploring.questions import QUESTIONS
        >>> Asked(QUESTIONS[0], by=("arm",), filters=(("indication", "melasma"),)).call
        'ms.response(clinic.where(indication="melasma"), by="arm")'
        """
        conditions = dict(self.filters)
        if self.period != (None, None):
            conditions["started"] = self.period
        clinic = f"clinic.where({_arguments(conditions)})" if conditions else "clinic"
        given = f", {_arguments(self.arguments)}" if self.arguments else ""
        return f"ms.{self.question.analysis.__name__}({clinic}{given})"


def drawn(call: str, kind: str | None) -> str:
    """Return the line of code with the form of the figure, where one was chosen.

    Examples
    --------
    >>> drawn("ms.adherence(clinic)", "forest")
    'ms.plot(ms.adherence(clinic), kind="forest")'
    """
    return call if kind is None else f"ms.plot({call}, kind={_code(kind)})"


def _arguments(given: dict[str, Any]) -> str:
    """Return arguments as code; a name that is no Python word goes in a mapping."""
    plain = [f"{name}={_code(value)}" for name, value in given.items() if name.isidentifier()]
    odd = {name: value for name, value in given.items() if not name.isidentifier()}
    return ", ".join([*plain, *([f"**{_code(odd)}"] if odd else [])])


def _code(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dt.date):
        return f'"{value.isoformat()}"'
    if isinstance(value, dict):
        pairs = (f"{_code(name)}: {_code(each)}" for name, each in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_code, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(_code, value))}{',' if len(value) == 1 else ''})"
    return repr(value)
