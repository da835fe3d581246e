"""`import mesostats` is quick, and every public name is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mesostats as ms


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_import_loads_no_heavy_library() -> None:
    heavy = "{'pandas', 'duckdb', 'numpy', 'matplotlib', 'great_tables', 'narwhals'}"
    assert run(f"import sys, mesostats; print(sorted({heavy} & set(sys.modules)))") == "[]"


def test_command_line_loads_no_heavy_library() -> None:
    heavy = "{'pandas', 'duckdb', 'numpy', 'matplotlib', 'nbclient', 'rich'}"
    assert run(f"import sys, mesostats.cli; print(sorted({heavy} & set(sys.modules)))") == "[]"


@pytest.mark.parametrize("name", ms.__all__)
def test_public_name_is_documented(name: str) -> None:
    assert getattr(ms, name).__doc__
    assert name in dir(ms)


def test_names_and_their_homes_agree() -> None:
    assert sorted(ms.__all__) == sorted(ms._HOMES)


def test_no_module_hides_a_function_of_its_name() -> None:
    """Importing `mesostats.x` binds `x` to the module: a function x of another module would be gone."""
    assert not {name for name, home in ms._HOMES.items() if home == name}


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'respons'"):
        ms.respons  # noqa: B018
