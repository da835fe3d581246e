"""The installed wheel works outside the checkout: its data and notebooks are inside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
USE = """
from importlib.resources import files
import mesostats as ms, mesostats.pages as pages
from mesostats.mapping import shipped_mappings
demo = ms.simulate(20, seed=1)
assert ms.validate(demo).ok
print(ms.__file__)
print(len(pages.notebooks()), len(pages.lessons()), "cdisc_pilot" in shipped_mappings())
print((files("mesostats") / "report.html").is_file(), (files("mesostats") / "py.typed").is_file())
print(bool(ms.load_vocabulary("cdisc_pilot").indications))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources and unpack it into a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    tracked = ["src", "data", "notebooks", "pyproject.toml", "README.md", "LICENSE"]
    (folder / "source").mkdir()
    subprocess.run(["cp", "-r", *(str(ROOT / name) for name in tracked), str(folder / "source")], check=True)
    pip = [sys.executable, "-m", "pip", "--quiet", "--no-input"]
    build = ["wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", str(folder), str(folder / "source")]
    subprocess.run([*pip, *build], check=True)
    wheel = next(folder.glob("*.whl"))
    subprocess.run(
        [*pip, "install", "--no-deps", "--no-index", "--target", str(folder / "site"), str(wheel)], check=True
    )
    return folder / "site"


def test_wheel_works_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", USE],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    path, *facts = done.stdout.splitlines()
    assert Path(path).is_relative_to(installed)
    assert facts == ["4 3 True", "True True", "True"]
