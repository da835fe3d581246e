"""How long the explorer takes to redraw on the demo clinic of 500 patients: each question anew, best and median of five.

A redraw is the analysis, its table and its figure. A part of the clinic that was looked at before keeps its derived frames, so
that a further question about it is quicker than the first, which is the last column.
"""

from __future__ import annotations

import statistics
import time

import matplotlib as mpl

import mesostats as ms
from mesostats.exploring.calls import Asked, Desk
from mesostats.exploring.questions import QUESTIONS, Question

RUNS = 5
GROUPS = ("sex", "clinic_id", "indication", "arm", "area")


def _seconds(desk: Desk, asked: Asked) -> float:
    start = time.perf_counter()
    desk.answer(asked)
    return time.perf_counter() - start


def _row(clinic: ms.Dataset, question: Question) -> tuple[float, float, float]:
    """Return the best and the median of redraws by another column each, and the first of a new part."""
    desk = Desk(clinic)
    anew = [_seconds(desk, Asked(question, by=(column,))) for column in GROUPS[:RUNS]]
    first = _seconds(desk, Asked(question, filters=(("indication", "melasma"),)))
    return min(anew), statistics.median(anew), first


def main() -> None:
    """Print the table."""
    mpl.use("Agg")
    clinic = ms.simulate(500, seed=1)
    Desk(clinic).answer(Asked(QUESTIONS[0]))  # fonts and libraries are loaded once
    print(f"{'question':<48} {'best':>6} {'median':>7} {'new filter':>11}")
    for question in QUESTIONS:
        best, median, first = _row(clinic, question)
        print(f"{question.title:<48} {best:>5.2f}s {median:>6.2f}s {first:>10.2f}s")


if __name__ == "__main__":
    main()
