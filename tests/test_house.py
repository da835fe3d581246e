"""The house's rules: who imports whom, and how long things grow."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "mesostats"
MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
    if path != SOURCE / "__init__.py"
}
ANALYSES = {"outcomes", "adverse_events", "dropout", "visits"}
SIDE_EFFECTS = {
    f"adverse_events.{name}"
    for name in (
        *("rates", "overview", "profile", "comparisons", "first_events", "repeated_events", "durations"),
        *("onsets", "estimator_panel", "safety_signals", "exposure_effects"),
    )
}
DISPLAY = {"layout", "tables", "plots", "methods"}
FILES = {"exports"}
SHELL = {"reporting", "front_page", "headlines", "pages", "handover", "cli", "exploring", "serving"}


def imports(path: Path) -> set[str]:
    """Return the parts of the package that a file imports, first names only."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
        found |= {name.split(".")[1] for name in names if name.startswith("mesostats.")}
    return found


def modules(path: Path) -> set[str]:
    """Return the modules of the package that a file imports from."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    names = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.removeprefix("mesostats.") for name in names if name.startswith("mesostats.")}


def part(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def test_the_rules_see_the_modules() -> None:
    assert {part(module) for module in MODULES} >= ANALYSES | DISPLAY | FILES | SHELL
    assert "results" in imports(MODULES["tables"])


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module: str) -> None:
    used = imports(MODULES[module]) - {part(module)}
    if part(module) in {"errors", "whole_files"}:
        assert used == set()
    if part(module) == "estimators":
        assert used <= {"errors"}
    if part(module) in ANALYSES:
        assert not used & (DISPLAY | SHELL)
        others = {name for name in modules(MODULES[module]) if part(name) in ANALYSES - {part(module)}}
        assert others <= {"adverse_events.counted"}  # which events count is one for all
    if part(module) in DISPLAY:
        assert used <= {"results", "layout"}
    if part(module) in FILES:
        assert used <= DISPLAY | {"results", "whole_files"}
    if part(module) not in SHELL:
        assert not used & (SHELL | FILES)


@pytest.mark.parametrize("module", sorted(SIDE_EFFECTS))
def test_analyses_of_side_effects_share_reductions_not_each_other(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    used = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not used & {f"mesostats.{other}" for other in SIDE_EFFECTS - {module}}


@pytest.mark.parametrize("module", MODULES)
def test_modules_have_telling_names_and_are_short(module: str) -> None:
    assert not {"utils", "helpers", "config", "common", "misc"} & set(module.split("."))
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("module", MODULES)
def test_functions_fit_a_screen(module: str) -> None:
    """The code of a function, without its docstring, is at most 50 lines."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert lines <= 50, node.name


def test_no_assert_is_used_as_validation() -> None:
    for path in MODULES.values():
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        assert not any(isinstance(node, ast.Assert) for node in nodes), path.name
