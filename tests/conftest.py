"""What many tests share: their order, and one report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

import mesostats as ms

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST = ("test_spark.py", "test_reporting.py", "test_notebooks.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: of two processes, neither waits for the other's last one."""
    items.sort(
        key=lambda item: _LONGEST.index(item.path.name) if item.path.name in _LONGEST else len(_LONGEST)
    )


@pytest.fixture(scope="session")
def small_report(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Return the report of 60 patients, made by the process that asks first."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "report"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            ms.report(ms.simulate(60, seed=1), out=folder)
    return folder / "report.html"
