"""The panel: controls on the left; the call, the figure and the table of what they ask on the right."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import ipywidgets as widgets

from mesostats.errors import MesostatsError
from mesostats.exploring.calls import Desk
from mesostats.exploring.controls import Controls

if TYPE_CHECKING:
    from mesostats.dataset import Dataset
    from mesostats.exploring.calls import Answer
    from mesostats.results import Result

_PAUSE: Final = 0.15
"""Seconds to wait for further changes: whoever runs through a list asks for its last entry."""

_COPY: Final = "navigator.clipboard.writeText(this.previousElementSibling.textContent).then(() => {this.textContent = 'Copied'})"


class Explorer:
    """A panel that asks a clinic's data one question after another.

    Parameters
    ----------
    clinic
        The clinic.

    Attributes
    ----------
    controls
        What can be chosen.
    call
        The line of code that gives what is shown.
    result
        What is shown; None where nothing could be.
    """

    def __init__(self, clinic: Dataset) -> None:
        self._desk = Desk(clinic)
        self._due: asyncio.TimerHandle | None = None
        self.result: Result | None = None
        self.controls = Controls(clinic, self._soon)
        self.code, self.message, self.figure, self.table = (widgets.HTML() for _ in range(4))
        self.code.add_class("mesostats-call")
        self.message.add_class("mesostats-message")
        self.figure.add_class("mesostats-figure")
        self.table.add_class("mesostats-table")
        self.widget = self._arranged()
        self.draw()

    @property
    def call(self) -> str:
        """The line of code that gives what is shown, for a data set named ``clinic``."""
        return self.controls.asked.call

    def draw(self) -> None:
        """Answer what is chosen, and show it; what cannot be answered is one line."""
        self._due = None
        asked = self.controls.asked
        self.code.value = _call(asked.call)
        try:
            answer = self._desk.answer(asked)
        except (MesostatsError, ValueError) as error:
            self._show_nothing(str(error))
        except Exception as error:
            self._show_nothing(f"this could not be computed ({type(error).__name__})")
            raise
        else:
            self._show(answer)

    def _show(self, answer: Answer) -> None:
        self.result = answer.result
        self.message.value = f'<p role="status">{escape(answer.counted)}</p>'
        self.figure.value, self.table.value = answer.figure, answer.table
        self._dim(old=False)

    def _show_nothing(self, why: str) -> None:
        text = " ".join(why.split())
        self.result = None
        self.message.value = f'<p role="alert">{escape(text[:1].upper() + text[1:])}</p>'
        self.figure.value = self.table.value = ""

    def _dim(self, *, old: bool) -> None:
        """Grey out what no longer answers the question that is chosen."""
        for part in (self.figure, self.table):
            (part.add_class if old else part.remove_class)("mesostats-old")

    def _soon(self) -> None:
        """Draw after a short pause without further changes; at once where no event loop runs."""
        loop = None
        with suppress(RuntimeError):
            loop = asyncio.get_running_loop()
        if loop is None:
            self.draw()
            return
        if self._due is not None:
            self._due.cancel()
        self.message.value = '<p role="status">Counting …</p>'
        self._dim(old=True)
        self._due = loop.call_later(_PAUSE, self.draw)

    def _arranged(self) -> Any:
        style = (files("mesostats.exploring.web") / "panel.css").read_text(encoding="utf-8")
        left = self.controls.box
        left.add_class("mesostats-controls")
        right = widgets.VBox([self.code, self.message, self.figure, self.table])
        right.add_class("mesostats-answer")
        both = widgets.HBox([widgets.HTML(f"<style>{style}</style>"), left, right])
        both.add_class("mesostats-explorer")
        return both

    def _repr_mimebundle_(self, **arguments: Any) -> Any:
        """Show the panel as the output of a notebook's cell."""
        return self.widget._repr_mimebundle_(**arguments)


def _call(call: str) -> str:
    """Return the line of code, and a button that copies it."""
    return f'<code>{escape(call)}</code><button type="button" onclick="{escape(_COPY)}">Copy</button>'
