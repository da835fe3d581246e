"""The panel: controls on the left; the call, the figure and the table of what they ask on the right."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import ipywidgets as widgets

from mesostats.errors import MesostatsError
from mesostats.exploring.calls import drawn
from mesostats.exploring.controls import Choice, Controls
from mesostats.exploring.desk import Desk
from mesostats.layout import readable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesostats.dataset import Dataset
    from mesostats.exploring.desk import Answer
    from mesostats.results import Result

_PAUSE: Final = 0.15
"""Seconds to wait for further changes: whoever runs through a list asks for its last entry."""

_BUSY: Final = (
    '<p role="status"><span class="mesostats-busy"></span>Counting … '
    '<span class="mesostats-late">a model is being fitted; some take a few seconds</span></p>'
)
"""Moves while the kernel is at work; the second half appears after a second."""

_COPY: Final = "navigator.clipboard.writeText(this.previousElementSibling.textContent).then(() => {this.textContent = 'Copied'})"
_SAVE: Final = (
    "const all = this.closest('.mesostats-answer'), link = document.createElement('a');"
    "link.download = this.dataset.file;"
    "link.href = this.dataset.file.endsWith('.png') ? all.querySelector('.mesostats-figure img').src :"
    " window.URL.createObjectURL(new Blob(['<!DOCTYPE html><meta charset=utf-8>', all.querySelector('.mesostats-table div').innerHTML],"
    " {type: 'text/html'}));"
    "link.click()"
)


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
    form
        As what the result is drawn, where it can be drawn as several.
    call
        The line of code that gives what is shown.
    result
        What is shown; None where nothing could be.
    """

    def __init__(self, clinic: Dataset) -> None:
        self._desk = Desk(clinic)
        self._due: asyncio.TimerHandle | None = None
        self._drawing = False
        self.result: Result | None = None
        self.controls = Controls(clinic, self._soon)
        self.form = Choice("Figure", {"": None})
        self.form.widget.observe(self._draw_as, names="value")
        self.code, self.message, self.save, self.figure, self.table = (widgets.HTML() for _ in range(5))
        for name in ("message", "figure", "table"):
            getattr(self, name).add_class(f"mesostats-{name}")
        self.code.add_class("mesostats-call")
        self.save.add_class("mesostats-save")
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
        try:
            answer = self._desk.answer(asked, self.form.value)
        except (MesostatsError, ValueError) as error:
            self._show_nothing(asked.call, str(error))
        except Exception as error:
            self._show_nothing(asked.call, f"this could not be computed ({type(error).__name__})")
            raise
        else:
            self._show(asked.call, answer)

    def _show(self, call: str, answer: Answer) -> None:
        self.result = answer.result
        self._offer_forms(answer.kinds)
        self.code.value = _call(drawn(call, self.form.value))
        self.message.value = f'<p role="status">{escape(answer.counted)}</p>'
        self.save.value = _save(answer.result.spec["analysis"])
        self.figure.value, self.table.value = answer.figure, answer.table
        self._dim(old=False)

    def _show_nothing(self, call: str, why: str) -> None:
        text = " ".join(why.split())
        self.result = None
        self._offer_forms(())
        self.code.value = _call(call)
        self.message.value = f'<p role="alert">{escape(text[:1].upper() + text[1:])}</p>'
        self.save.value = self.figure.value = self.table.value = ""
        self._dim(old=False)

    def _offer_forms(self, kinds: tuple[str, ...]) -> None:
        """Offer the forms of figure that the result has; the first of them goes without saying."""
        self._drawing = True
        others = {f"as {readable(kind).lower()}": kind for kind in kinds[1:]}
        first = f"as {readable(kinds[0]).lower()}" if kinds else "none"
        self.form.offer({first: None} | others, self.form.value)
        self.form.widget.layout.display = None if others else "none"
        self._drawing = False

    def _draw_as(self, _: Mapping[str, Any]) -> None:
        if not self._drawing:
            self._soon()

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
        self.message.value = _BUSY
        self._dim(old=True)
        self._due = loop.call_later(_PAUSE, self.draw)

    def _arranged(self) -> Any:
        style = (files("mesostats.exploring.web") / "panel.css").read_text(encoding="utf-8")
        left = self.controls.box
        left.add_class("mesostats-controls")
        row = widgets.HBox([self.message, self.form.widget, self.save])
        row.add_class("mesostats-row")
        right = widgets.VBox([self.code, row, self.figure, self.table])
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


def _save(name: str) -> str:
    """Return buttons that save what is seen as files of the browser's downloads."""
    files_named = {"figure": f"{name}.png", "table": f"{name}.html"}
    return "".join(
        f'<button type="button" data-file="{escape(file)}" onclick="{escape(_SAVE)}">Save {what}</button>'
        for what, file in files_named.items()
    )
