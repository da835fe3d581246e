"""Parts → the methods section: what several results share is said once, references are numbered as they are cited."""

from __future__ import annotations

import datetime as dt
import platform
import re
from collections import Counter
from dataclasses import dataclass, field
from html import escape
from importlib.metadata import version
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mesostats.layout import percentage
from mesostats.methods.bibliography import WORKS
from mesostats.methods.parts import CITATION, Part, keys_of, listed
from mesostats.methods.questions import CHAPTERS, chapter_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MIME: Final = "application/vnd.mesostats.methods+json"
"""The form in which a notebook's output keeps the parts, for a report to collect."""

_LIBRARIES: Final = {
    "NumPy": "numpy",
    "SciPy": "scipy",
    "statsmodels": "statsmodels",
    "pandas": "pandas",
    "narwhals": "narwhals",
    "DuckDB": "duckdb",
}
_SUBJECT: Final = re.compile(r" (?:was|were) ")
_OWN: Final = ("Counted were", "Estimates were", "Groups by")
_DATA, _STATISTICS, _SOFTWARE = "Data", "Statistical analysis", "Software"


class Paragraph(NamedTuple):
    """Text under a chapter's heading; ``lead`` is what it begins with in bold, if anything."""

    chapter: str
    lead: str
    text: str


@dataclass(frozen=True)
class MethodsText:
    """The methods section of a paper, with its references.

    ``str()`` is plain text, for a paper; in Jupyter it is shown with headings.

    Parameters
    ----------
    parts
        What is said of each result.
    """

    parts: tuple[Part, ...] = field(repr=False)

    @property
    def paragraphs(self) -> list[Paragraph]:
        """The text, its citations numbered in the order in which they first come."""
        written = _written(list(dict.fromkeys(self.parts)))
        numbers = {key: str(n) for n, key in enumerate(keys_of(each.text for each in written), start=1)}

        def numbered(citation: re.Match[str]) -> str:
            return f"[{','.join(numbers[key.removeprefix('@')] for key in citation[1].split('; '))}]"

        return [each._replace(text=CITATION.sub(numbered, each.text)) for each in written]

    @property
    def references(self) -> list[str]:
        """The works cited, in the order of their numbers."""
        return [
            WORKS[key] for key in keys_of(each.text for each in _written(list(dict.fromkeys(self.parts))))
        ]

    def __str__(self) -> str:
        """Return plain text."""
        lines, chapter = [], ""
        for each in self.paragraphs:
            lines += ["", each.chapter, ""] if each.chapter != chapter else [""]
            lines.append(f"{each.lead} {each.text}".strip())
            chapter = each.chapter
        lines += ["", "References", "", *(f"{n}. {work}" for n, work in enumerate(self.references, start=1))]
        return "\n".join(lines).strip("\n")

    def to_html(self) -> str:
        """Return an HTML fragment: a heading a chapter, a paragraph a result, the references as a list."""
        lines, chapter = [], ""
        for each in self.paragraphs:
            lines += [f"<h2>{escape(each.chapter)}</h2>"] if each.chapter != chapter else []
            lead = f"<strong>{escape(each.lead)}</strong> " if each.lead else ""
            lines.append(f"<p>{lead}{escape(each.text)}</p>")
            chapter = each.chapter
        works = "".join(f"<li>{escape(work)}</li>" for work in self.references)
        return "\n".join([*lines, "<h2>References</h2>", f"<ol>{works}</ol>"])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Return what Jupyter shows, and the parts for a report that collects those of several notebooks."""
        parts = [part.to_json() for part in self.parts]
        return {"text/plain": str(self), "text/html": self.to_html(), MIME: parts}


def collected(outputs: Iterable[Iterable[Mapping[str, Any]]]) -> MethodsText:
    """Join what several notebooks kept in the form of `MIME`."""
    return MethodsText(tuple(Part.from_json(each) for each in chain.from_iterable(outputs)))


def _written(parts: list[Part]) -> list[Paragraph]:
    """Return the paragraphs, citations still as keys."""
    common = _shared(part.procedures for part in parts)
    paragraphs = [Paragraph(_DATA, "", _cut(parts))]
    for chapter in CHAPTERS:
        own = [part for part in parts if chapter_of(part.analysis) == chapter]
        paragraphs += _chapter(chapter, own, common)
    paragraphs.append(Paragraph(_STATISTICS, "", " ".join([*common, *_levels(parts)])))
    return [*(each for each in paragraphs if each.text or each.lead), Paragraph(_SOFTWARE, "", _software())]


def _chapter(chapter: str, parts: list[Part], common: list[str]) -> list[Paragraph]:
    """Return what a chapter's analyses share, then a paragraph each of them."""
    shared = _shared(part.definitions for part in parts)
    paragraphs, asked = [Paragraph(chapter, "", " ".join(shared))], set()
    for part in parts:
        told = ["" if part.question in asked else part.question]
        told += [text for text in (*part.definitions, *part.procedures) if text not in {*shared, *common}]
        asked.add(part.question)
        paragraphs.append(Paragraph(chapter, f"{part.title}.", " ".join(filter(None, told))))
    return paragraphs


def _shared(told: Iterable[Iterable[str]]) -> list[str]:
    """Return what several say and nobody contradicts: what each says of itself stays with it."""
    counts = Counter(chain.from_iterable(told))
    subjects = Counter(_SUBJECT.split(text, maxsplit=1)[0] for text in counts)
    return [
        text
        for text, n in counts.items()
        if n > 1 and subjects[_SUBJECT.split(text, maxsplit=1)[0]] == 1 and not text.startswith(_OWN)
    ]


def _cut(parts: list[Part]) -> str:
    cuts = [_day(cut) for cut in sorted({part.cutoff for part in parts})]
    return f"Data were cut on {listed(cuts)}: nothing after that day was counted."


def _day(iso: str) -> str:
    day = dt.date.fromisoformat(iso)
    return f"{day.day} {day:%B %Y}"


def _levels(parts: list[Part]) -> list[str]:
    levels = sorted({level for part in parts for level in part.levels})
    return (
        [
            f"Confidence intervals are two-sided at the level of {listed([percentage(level) for level in levels])}."
        ]
        if levels
        else []
    )


def _software() -> str:
    libraries = listed([f"{name} {version(package)}" for name, package in _LIBRARIES.items()])
    return f"Analyses were run with mesostats {version('mesostats')} in Python {platform.python_version()}, on {libraries}."
