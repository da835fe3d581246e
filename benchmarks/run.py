"""The performance claims: time, peak memory and how time grows with the rows, beside plain pandas (``make bench``).

Simulated clinics of 10³, 10⁵ and 2·10⁶ patients (about 6 sessions a patient) are written as Parquet; each task reads them
in a process of its own. The slope is that of log time against log rows between the two largest: 1 is proportional.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from tasks import TASKS

SIZES = (1_000, 100_000, 2_000_000)
HERE = Path(__file__).parent


def _run(task: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, str(HERE / "tasks.py"), task, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own script
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def _import_seconds() -> float:
    """Return the best of five: seconds that ``import mesostats`` takes in a fresh interpreter, beyond its start."""
    code = "import time; t = time.perf_counter(); import mesostats; print(time.perf_counter() - t)"
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
        for _ in range(5)
    ]
    return min(float(run.stdout) for run in runs)


def _simulate(n: int, folder: Path) -> float:
    """Return the seconds; in a process of its own, so that no task inherits its memory."""
    code = f"import mesostats as ms; ms.simulate({n}, seed=1).write({str(folder)!r})"
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603
    return time.perf_counter() - start


def main() -> None:
    """Print the tables."""
    sizes = [int(size) for size in sys.argv[1:]] or list(SIZES)
    print(f"import mesostats: {_import_seconds():.2f} s")
    with tempfile.TemporaryDirectory() as scratch:
        rows, results = {}, {}
        for n in sizes:
            folder = Path(scratch) / str(n)
            seconds = _simulate(n, folder)
            rows[n] = pq.ParquetFile(folder / "sessions.parquet").metadata.num_rows
            print(
                f"{n:>9,} patients, {rows[n]:>10,} sessions: simulated and written in {seconds:.1f} s",
                flush=True,
            )
            if n < SIZES[-1]:
                _run("check", folder)
            for task in TASKS:
                results[task, n] = _run(task, folder)
        print(_table(sizes, rows, results))


def _table(sizes: list[int], rows: dict[int, int], results: dict[tuple[str, int], dict[str, float]]) -> str:
    """Return a Markdown table: seconds (peak MB) a size, and the slope."""
    lines = [
        "| task | " + " | ".join(f"{n:,} patients" for n in sizes) + " | slope |",
        "|---" * (len(sizes) + 2) + "|",
    ]
    for task in TASKS:
        cells = [
            f"{results[task, n]['seconds']:.2f} s ({results[task, n]['megabytes']:,.0f} MB)" for n in sizes
        ]
        slope = ""
        if len(sizes) > 1:
            few, many = sizes[-2:]
            growth = results[task, many]["seconds"] / results[task, few]["seconds"]
            slope = f"{math.log(growth) / math.log(rows[many] / rows[few]):.2f}"
        lines.append(f"| {task} | " + " | ".join(cells) + f" | {slope} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
