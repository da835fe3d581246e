"""How long the explorer takes to redraw on the demo clinic of 500 patients: CPU seconds, which neighbours do not disturb.

A redraw is the analysis, its table and its figure; CPU seconds count all threads, so that an idle machine of two cores is
quicker. ``start``: as the question starts; ``group``: by another column, where it groups; ``filter``: of a part of the clinic
that was not looked at before; ``figure``: in another form or again, without the analysis.
"""

from __future__ import annotations

import os
import sys
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices: threads would only wait for each other

import matplotlib as mpl

import mesostats as ms
from mesostats.exploring.calls import Asked
from mesostats.exploring.controls import Controls
from mesostats.exploring.desk import Desk
from mesostats.exploring.questions import QUESTIONS, Question

LIMIT = 1.0
SLOW = (
    (ms.response, {"missing": "multiple_imputation"}),
    (ms.response, {"missing": "ipw"}),
    (ms.tipping_point, {"group": "arm"}),
    (ms.change_from_baseline, {"group": "arm"}),
    (ms.change_by_visit, {"group": "arm", "small_sample": "kenward_roger"}),
    (ms.signals, {"by": "lot"}),
)
"""Settings that ask for more work than those with which a question starts."""


def _seconds(desk: Desk, asked: Asked, kind: str | None = None) -> float:
    start = time.process_time()
    desk.answer(asked, kind)
    return time.process_time() - start


def _row(
    clinic: ms.Dataset, controls: Controls, question: Question
) -> tuple[float, float | None, float, float]:
    controls.ask(question)
    asked, desk = controls.asked, Desk(clinic)
    grouped = Asked(question, by=("clinic_id",), settings=asked.settings)
    part = Asked(question, by=asked.by, settings=asked.settings, filters=(("clinic_id", "K01"),))
    start = _seconds(desk, asked)
    kinds = desk.answer(asked).kinds
    return (
        start,
        _seconds(desk, grouped) if question.by_tables else None,
        _seconds(Desk(clinic), part),
        _seconds(desk, asked, kinds[-1]),
    )


def _print(name: str, seconds: tuple[float | None, ...]) -> None:
    cells = " ".join("      -" if each is None else f"{each:6.2f}s" for each in seconds)
    sys.stdout.write(f"{name[:58]:<58} {cells}\n")
    sys.stdout.flush()


def main() -> None:
    """Print the table, and how many starts are over the limit."""
    mpl.use("Agg")
    clinic = ms.simulate(500, seed=1)
    Desk(clinic).answer(Asked(QUESTIONS[0]))  # fonts and libraries are loaded once
    controls = Controls(clinic, lambda: None)
    sys.stdout.write(f"{'question':<58} {'start':>7} {'group':>7} {'filter':>7} {'figure':>7}\n")
    over = 0
    for question in QUESTIONS:
        seconds = _row(clinic, controls, question)
        over += seconds[0] > LIMIT
        _print(question.text, seconds)
    for analysis, settings in SLOW:
        question = next(each for each in QUESTIONS if each.analysis is analysis)
        given = ", ".join(f"{name}={value}" for name, value in settings.items())
        controls.ask(question)
        asked = Asked(question, controls.asked.by, tuple((dict(controls.asked.settings) | settings).items()))
        if (question.analysis, settings) == (ms.tipping_point, {"group": "arm"}):
            asked = Asked(question, settings=tuple(settings.items()))
        _print(f"{analysis.__name__}: {given}", (_seconds(Desk(clinic), asked),))
    sys.stdout.write(f"{len(QUESTIONS) - over} of {len(QUESTIONS)} questions start in at most {LIMIT:g} s\n")


if __name__ == "__main__":
    main()
