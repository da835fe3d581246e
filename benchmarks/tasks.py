"""One task of the benchmark, in a process of its own: ``python tasks.py TASK FOLDER`` prints seconds and peak memory."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import pandas as pd

import mesostats as ms
import plain_pandas

CUTOFF = "2025-06-30"


def _open(folder: Path) -> ms.Dataset:
    return ms.read(folder, cutoff=CUTOFF)


def _three(folder: Path) -> None:
    clinic = _open(folder)
    ms.response(clinic)
    ms.adverse_event_rates(clinic, by="indication", of="term")
    ms.retention(clinic, by="indication")


def _schedule(folder: Path) -> None:
    clinic = _open(folder)
    ms.adherence(clinic, by="indication")
    ms.retention(clinic, by="indication")


TASKS = {
    "validate": lambda folder: ms.validate(_open(folder)).ok,
    "retention by indication": lambda folder: ms.retention(_open(folder), by="indication"),
    "dropout by session": lambda folder: ms.dropout_by_session(_open(folder), by="indication"),
    "states, adherence and retention by indication": _schedule,
    "adverse events by indication and term": lambda folder: ms.adverse_event_rates(
        _open(folder), by="indication", of="term"
    ),
    "response by indication": lambda folder: ms.response(_open(folder)),
    "the three analyses": _three,
    "pandas: retention counts": lambda folder: plain_pandas.retention(folder, pd.Timestamp(CUTOFF)),
    "pandas: adverse event counts": lambda folder: plain_pandas.adverse_events(folder, pd.Timestamp(CUTOFF)),
    "pandas: response counts": lambda folder: plain_pandas.response(folder, pd.Timestamp(CUTOFF)),
}


def check(folder: Path) -> None:
    """Stop where the engine's counts and plain pandas' differ."""
    clinic, cutoff = _open(folder), pd.Timestamp(CUTOFF)
    found = ms.adverse_event_rates(clinic, by="indication", of="term").estimates
    found = found[(found["estimand"] == "incidence_proportion") & (found["numerator"] > 0)]
    expected = plain_pandas.adverse_events(folder, cutoff).set_index(["indication", "term"])["patients"]
    assert found.set_index(["indication", "term"])["numerator"].astype(int).to_dict() == expected.to_dict()
    steps = ms.retention(clinic, by="indication", follow_up="all").estimates  # plain pandas settles nothing
    lost = steps[steps["estimand"] == "median_retention"].set_index("indication")["numerator"].astype(int)
    counts = plain_pandas.retention(folder, cutoff)
    dropped = counts[counts["state"] == "dropped_out"].groupby("indication")["courses"].sum()
    assert lost.to_dict() == dropped.to_dict()


def main() -> None:
    """Run one task; the libraries are imported before the clock starts."""
    task, folder = sys.argv[1], Path(sys.argv[2])
    for name in ms.__all__:  # public names are loaded on first use
        getattr(ms, name)
    start = time.perf_counter()
    if task == "check":
        check(folder)
    else:
        TASKS[task](folder)
    seconds = time.perf_counter() - start
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "megabytes": megabytes}))


if __name__ == "__main__":
    main()
