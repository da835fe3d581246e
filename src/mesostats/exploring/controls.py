"""The controls of the panel: what the reader may choose, and what is chosen."""

from __future__ import annotations

from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any, Final

import ipywidgets as widgets

from mesostats.exploring.calls import Asked
from mesostats.exploring.choices import Groupings, filter_options, readable_column
from mesostats.exploring.questions import QUESTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mesostats.dataset import Dataset
    from mesostats.exploring.questions import Question

_ALL: Final = "all"
"""The value of a filter that keeps every course; a column's own value is always in a tuple."""


class Choice:
    """A drop-down list: the reader sees labels, the program values.

    Parameters
    ----------
    label
        Stands above the list.
    options
        What the reader chooses → the value; the first is chosen.
    """

    def __init__(self, label: str, options: Mapping[str, Any]) -> None:
        self._options = dict(options)
        self.widget = widgets.Dropdown(description=label, options=list(options))
        self.widget.layout = _above()

    @property
    def value(self) -> Any:
        """The value of what is chosen."""
        return self._options[self.widget.value]

    @property
    def values(self) -> list[Any]:
        """All values, in the order of the list."""
        return list(self._options.values())

    def choose(self, value: Any) -> None:
        """Choose a value, as the reader would by its label.

        Raises
        ------
        ValueError
            If the list does not have it.
        """
        self.widget.value = self._label(value)

    def offer(self, options: Mapping[str, Any], value: Any) -> None:
        """Change what can be chosen, and choose a value (the first where it is not there)."""
        self._options = dict(options)
        chosen = self._label(value) if value in self.values else next(iter(options))
        self.widget.options = list(options)
        self.widget.value = chosen

    def _label(self, value: Any) -> str:
        for label, each in self._options.items():
            if each == value:
                return label
        msg = (
            f"'{self.widget.description}' cannot be {value!r}; it can be {', '.join(map(repr, self.values))}"
        )
        raise ValueError(msg)


class Controls:
    """All lists and dates, in one column.

    Parameters
    ----------
    clinic
        The clinic: it says which questions, filters and groups there are.
    changed
        Called without arguments whenever something else is chosen.
    """

    def __init__(self, clinic: Dataset, changed: Callable[[], None]) -> None:
        self._changed, self._quiet = changed, False
        self._groupings = Groupings(clinic)
        there = [each for each in QUESTIONS if each.needs is None or each.needs in clinic.names]
        self.question = Choice("Question", {each.title: each for each in there})
        self.by, self.then_by = Choice("Group by", {"": None}), Choice("Then by", {"": None})
        self.settings: dict[str, Choice] = {}
        self.filters = {
            column: Choice(
                readable_column(column), {_ALL: _ALL} | {name: (value,) for name, value in options.items()}
            )
            for column, options in filter_options(clinic).items()
        }
        self.first, self.last = _day("Started from"), _day("Started until")
        self._of_question = widgets.VBox()
        self.box = self._arranged()
        self._offer_groups(self.question.value, None)
        self._offer_settings(self.question.value)
        self._watch()

    @property
    def asked(self) -> Asked:
        """What is chosen."""
        groups = (self.by.value, self.then_by.value if self.by.value is not None else None)
        filters = {column: choice.value for column, choice in self.filters.items()}
        return Asked(
            self.question.value,
            by=tuple(column for column in groups if column is not None),
            settings=tuple((name, self.settings[name].value) for name in self._applicable()),
            filters=tuple((column, value[0]) for column, value in filters.items() if value != _ALL),
            period=(self.first.value, self.last.value),
        )

    def _arranged(self) -> Any:
        parts = [
            *(
                self.question.widget,
                self._of_question,
                _heading("Groups"),
                self.by.widget,
                self.then_by.widget,
            ),
            _heading("Which courses"),
            *(choice.widget for choice in self.filters.values()),
            *(self.first, self.last),
        ]
        return widgets.VBox(parts)

    def _watch(self) -> None:
        self.question.widget.observe(self._ask_another, names="value")
        fixed = [self.by.widget, self.then_by.widget, self.first, self.last]
        for widget in [*fixed, *(choice.widget for choice in self.filters.values())]:
            widget.observe(self._tell, names="value")

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Change several choices without telling of each."""
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    def _tell(self, change: Mapping[str, Any]) -> None:
        if self._quiet:
            return
        if change["owner"] is self.by.widget:
            self._offer_second_group()
        self._hide_what_does_not_apply()
        self._changed()

    def _ask_another(self, _: Mapping[str, Any]) -> None:
        """Offer what the new question can do; what was chosen stays where it can."""
        self._offer_groups(self.question.value, self.by.value)
        self._offer_settings(self.question.value)
        if not self._quiet:
            self._changed()

    def _offer_groups(self, question: Question, chosen: str | None) -> None:
        with self.quietly():
            self.by.offer(self._groupings.options(question), chosen or question.default("by"))
        self._offer_second_group()

    def _offer_second_group(self) -> None:
        """Offer the other columns for a second group, once there is a first."""
        first, options = self.by.value, self._groupings.options(self.question.value)
        others = {label: column for label, column in options.items() if column not in (first, None)}
        with self.quietly():
            self.then_by.offer({"no second group": None} | others, self.then_by.value)
        self.then_by.widget.layout.display = "none" if first is None else None

    def _offer_settings(self, question: Question) -> None:
        chosen = {name: choice.value for name, choice in self.settings.items()}
        self.settings = {}
        for setting in question.all_settings():
            choice = Choice(setting.label, setting.options)
            kept = chosen.get(setting.argument)
            choice.choose(kept if kept in choice.values else question.default(setting.argument))
            choice.widget.observe(self._tell, names="value")
            self.settings[setting.argument] = choice
        self._hide_what_does_not_apply()
        self._of_question.children = [choice.widget for choice in self.settings.values()]

    def _applicable(self) -> list[str]:
        """Return the settings that say something beside the others."""
        needs = {each.argument: each.only_with for each in self.question.value.all_settings()}
        return [
            name
            for name in self.settings
            if (need := needs[name]) is None or self.settings[need[0]].value == need[1]
        ]

    def _hide_what_does_not_apply(self) -> None:
        applicable = self._applicable()
        for name, choice in self.settings.items():
            choice.widget.layout.display = None if name in applicable else "none"


def _above() -> Any:
    """Return a layout that puts the label above the control, both as wide as the column."""
    return widgets.Layout(flex_flow="column", align_items="stretch", width="auto")


def _day(label: str) -> Any:
    return widgets.DatePicker(description=label, layout=_above())


def _heading(text: str) -> Any:
    return widgets.HTML(f"<h4>{escape(text)}</h4>")
