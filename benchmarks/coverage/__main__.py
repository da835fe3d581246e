"""How often the default 95 % intervals hold the true value (``make coverage``).

Exact sums over the binomial or Poisson distribution where they are cheap, simulation elsewhere; each table says which. Naive
intervals stand beside. Prints Markdown; words in the arguments choose the tables whose titles hold one of them.
"""

from __future__ import annotations

import datetime as dt
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version

from report import EXPERIMENTS, LEGEND, section

CORES = 2


def _environment() -> str:
    names = ("numpy", "scipy", "pandas", "statsmodels")
    today = dt.datetime.now(tz=dt.UTC).date()
    return f"{today}, Python {platform.python_version()}, " + ", ".join(
        f"{name} {version(name)}" for name in names
    )


def main(words: list[str]) -> None:
    """Print the tables."""
    chosen = [
        place
        for place, experiment in enumerate(EXPERIMENTS)
        if not words or any(word.lower() in experiment.title.lower() for word in words)
    ]
    print(f"# Coverage\n\n`make coverage`, {_environment()}.\n\n{LEGEND}\n", flush=True)
    start = time.perf_counter()
    with ProcessPoolExecutor(CORES) as pool:
        for text in pool.map(section, chosen):
            print(text, flush=True)
    print(f"{time.perf_counter() - start:.0f} seconds on {CORES} cores.")


if __name__ == "__main__":
    main(sys.argv[1:])
