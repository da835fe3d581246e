"""JupyterLab in the browser: a notebook is opened and run from top to bottom, and its outputs appear."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Server, Watched

ROOT = Path(__file__).parents[2]
NOTEBOOKS = {
    "explore": ROOT / "src" / "mesostats" / "exploring" / "web" / "explore.ipynb",
    "00_start_here": ROOT / "notebooks" / "00_start_here.ipynb",
}
SETTINGS = {
    # All cells are drawn, not those in view alone.
    "@jupyterlab/notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings": {
        "fetchNews": "false",
        "checkForUpdates": False,
    },
}


@pytest.fixture(scope="module")
def lab(
    start: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Server, Path, dict[str, Any]]:
    """Start JupyterLab on a free port of this machine, with copies of the notebooks and a token of its own."""
    folder = tmp_path_factory.mktemp("notebooks")
    for path in NOTEBOOKS.values():
        shutil.copy(path, folder)
    server = start(
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        "--port=0",
        "--ip=127.0.0.1",
        f"--notebook-dir={folder}",
    )
    for name, content in SETTINGS.items():
        path = server.folder / "jupyterlab_settings_dir" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")
    runtime = server.folder / "jupyter_runtime_dir"
    [facts] = server.until(lambda: list(runtime.glob("jpserver-*.json")))
    return server, folder, server.until(lambda: json.loads(facts.read_text(encoding="utf-8") or "{}"))


def test_jupyterlab_is_of_this_machine_and_asks_for_a_token(lab: tuple[Server, Path, dict[str, Any]]) -> None:
    facts = lab[2]
    assert facts["url"].startswith("http://127.0.0.1:")
    assert len(facts["token"]) >= 32


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_in_jupyterlab(
    name: str, lab: tuple[Server, Path, dict[str, Any]], watched: Watched
) -> None:
    _, folder, facts = lab
    page, path = watched.page, folder / f"{name}.ipynb"
    # A workspace each: JupyterLab would open the notebooks of the test before beside this one.
    page.goto(f"{facts['url']}lab/workspaces/{name}/tree/{name}.ipynb?token={facts['token']}")
    # The line at the foot knows when the kernel answers; what is run before that is lost.
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    prompts = page.locator(".jp-CodeCell .jp-InputArea-prompt")
    expect(prompts.first).to_have_text(re.compile(r"^\[\d+\]:$"), timeout=60_000)
    expect(prompts.filter(has_text="[*]:")).to_have_count(0, timeout=60_000)
    if name == "explore":
        expect(page.locator(".mesostats-figure img")).to_be_visible()
    page.locator(".jp-Cell").first.scroll_into_view_if_needed()
    watched.keep(f"jupyterlab-{name}")
    page.keyboard.press("Control+s")
    code = lab[0].until(lambda: _executed(path), seconds=20)
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [output["evalue"] for output in outputs if output["output_type"] == "error"]
    assert all(cell["execution_count"] for cell in code)
    assert len(outputs) >= len(code) / 2
    assert not watched.asked_elsewhere


def _executed(path: Path) -> list[dict[str, Any]]:
    """Return the code cells of a notebook, once it was saved after it ran."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    return code if code[0]["execution_count"] is not None else []
