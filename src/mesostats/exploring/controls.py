"""The controls of the panel: what the reader may choose, and what is chosen."""

from __future__ import annotations

from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any, Final

import ipywidgets as widgets

from mesostats.exploring.calls import Asked
from mesostats.exploring.choices import Offers, filter_options, readable_column
from mesostats.exploring.questions import NEEDED, QUESTIONS, TOPICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mesostats.dataset import Dataset
    from mesostats.exploring.questions import Question
    from mesostats.exploring.settings import Setting

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

    Attributes
    ----------
    start
        The value at which it started, before the reader chose.
    """

    def __init__(self, label: str, options: Mapping[str, Any]) -> None:
        self._options = dict(options)
        self.start = next(iter(options.values()))
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
        if self.widget.options != tuple(options):
            self.widget.options = tuple(options)
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
        The clinic: it says which filters, groups and values there are.
    changed
        Called without arguments whenever something else is chosen.
    """

    def __init__(self, clinic: Dataset, changed: Callable[[], None]) -> None:
        self._changed, self._quiet, self._offering = changed, False, False
        self._offers = Offers(clinic)
        first = next(each for each in QUESTIONS if each.needs is None or each.needs in clinic.names)
        self.topic = Choice("About", {topic: topic for topic in TOPICS})
        self.topic.choose(first.topic)
        self.question = Choice("Question", _questions(first.topic))
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
        self._groups = widgets.VBox([_heading("Groups"), self.by.widget, self.then_by.widget])
        self.box = self._arranged()
        self._offer_groups()
        self._offer_settings({}, {})
        self._watch()

    @property
    def asked(self) -> Asked:
        """What is chosen."""
        groups = (self.by.value, self.then_by.value if self.by.value is not None else None)
        filters = {column: choice.value for column, choice in self.filters.items()}
        return Asked(
            self.question.value,
            by=tuple(column for column in groups if column is not None and self.question.value.by_tables),
            settings=tuple((name, choice.value) for name, choice in self.settings.items()),
            filters=tuple((column, value[0]) for column, value in filters.items() if value != _ALL),
            period=(self.first.value, self.last.value),
        )

    def ask(self, question: Question) -> None:
        """Ask a question, as the reader would who chooses its topic and then its text."""
        before = self.question.value
        with self.quietly():
            self.topic.choose(question.topic)
            self.question.choose(question)
        if question is not before and not self._quiet:
            self._changed()

    def _arranged(self) -> Any:
        parts = [
            *(self.topic.widget, self.question.widget, self._of_question, self._groups),
            _heading("Which courses"),
            *(choice.widget for choice in self.filters.values()),
            *(self.first, self.last),
        ]
        return widgets.VBox(parts)

    def _watch(self) -> None:
        self.topic.widget.observe(self._turn_to_another_topic, names="value")
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
        if change["owner"] is self.by.widget and not self._quiet:
            self._offer_second_group()
        if not self._quiet:
            self._changed()

    def _turn_to_another_topic(self, _: Mapping[str, Any]) -> None:
        self.question.offer(_questions(self.topic.value), None)

    def _ask_another(self, _: Mapping[str, Any]) -> None:
        """Offer what the new question can do; what the reader chose stays where it can, defaults do not."""
        chosen = {name: each.value for name, each in self.settings.items() if each.value != each.start}
        self._offer_groups()
        self._offer_settings(chosen, {})
        if not self._quiet:
            self._changed()

    def _set(self, change: Mapping[str, Any]) -> None:
        """Renew what depends on an argument that was set, such as the groups that a column has."""
        if not self._offering:
            self._offer_settings({name: each.value for name, each in self.settings.items()}, self.settings)
            self._tell(change)

    def _offer_groups(self) -> None:
        question, chosen = self.question.value, self.by.value
        self._groups.layout.display = None if question.by_tables else "none"
        if not question.by_tables:
            return
        untouched = chosen == self.by.start
        with self.quietly():
            default = question.default("by")
            self.by.offer(self._offers.groups(question), default)
            self.by.start = self.by.value
            if not untouched and chosen in self.by.values:
                self.by.choose(chosen)
        self._offer_second_group()

    def _offer_second_group(self) -> None:
        """Offer the other columns for a second group, once there is a first."""
        first, options = self.by.value, self._offers.groups(self.question.value)
        others = {label: column for label, column in options.items() if column not in (first, None)}
        with self.quietly():
            self.then_by.offer({"no second group": None} | others, self.then_by.value)
        self.then_by.widget.layout.display = "none" if first is None else None

    def _offer_settings(self, chosen: Mapping[str, Any], there: Mapping[str, Choice]) -> None:
        """Offer the arguments that the question takes and the data have values for, in order: some depend on those before."""
        question: Question = self.question.value
        found: dict[str, Choice] = {}
        self._offering = True
        for setting in question.all_settings():
            name = setting.argument
            options = setting.offered(self._offers, {each: choice.value for each, choice in found.items()})
            if options:
                found[name] = there.get(name) or self._choice(setting.label)
                found[name].offer(options, _start(question, setting, options))
                found[name].start = found[name].value
                if name in chosen and chosen[name] in found[name].values:
                    found[name].choose(chosen[name])
        self._offering = False
        self.settings = found
        self._of_question.children = [choice.widget for choice in found.values()]

    def _choice(self, label: str) -> Choice:
        choice = Choice(label, {"": None})
        choice.widget.observe(self._set, names="value")
        return choice


def _questions(topic: str) -> dict[str, Question]:
    return {each.text: each for each in QUESTIONS if each.topic == topic}


def _start(question: Question, setting: Setting, options: Mapping[str, Any]) -> Any:
    default = question.default(setting.argument)
    return next(iter(options.values())) if setting.start or default is NEEDED else default


def _above() -> Any:
    """Return a layout that puts the label above the control, both as wide as the column."""
    return widgets.Layout(flex_flow="column", align_items="stretch", width="auto")


def _day(label: str) -> Any:
    return widgets.DatePicker(description=label, layout=_above())


def _heading(text: str) -> Any:
    return widgets.HTML(f"<h4>{escape(text)}</h4>")
