"""A headless Chromium, pages that are watched, and servers that are stopped again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import mesostats as ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PICTURES = Path(__file__).parents[2] / "build" / "screenshots"
"""Where the pictures of a test run are kept, to be looked at; git ignores it."""

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


@dataclass
class Watched:
    """A page of the browser, with what it logged as an error and what it asked of anybody but this machine."""

    page: Page
    errors: list[str] = field(default_factory=list)
    asked_elsewhere: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(60_000)
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self._note(request.url))

    def _note(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "data:", "blob:", "file:")):
            self.asked_elsewhere.append(url)

    def keep(self, name: str, *, whole: bool = False) -> Path:
        """Keep a picture of what is seen now."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        picture = PICTURES / f"{name}.png"
        self.page.screenshot(path=picture, full_page=whole)
        assert picture.stat().st_size > 20_000  # a blank page is far smaller
        return picture


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return Debian's Chromium, driven by Playwright; one a file of tests: no event loop is left behind."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import expect, sync_playwright  # noqa: PLC0415 - where there is a browser

    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, permissions=["clipboard-read", "clipboard-write"]
    )
    yield Watched(context.new_page())
    context.close()


@pytest.fixture(scope="module")
def clinic_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tables of a simulated clinic."""
    return ms.simulate(150, seed=1).write(tmp_path_factory.mktemp("served") / "clinic")


@dataclass
class Server:
    """A server that a test started, and the folder in which it keeps everything temporary."""

    process: subprocess.Popen[bytes]
    folder: Path

    def until(self, found: Callable[[], Any], seconds: float = 60) -> Any:
        """Wait until something is there, or tell what the server said."""
        end = time.monotonic() + seconds
        while not (value := found()):
            if self.process.poll() is not None or time.monotonic() > end:
                pytest.fail((self.folder / "err").read_text(encoding="utf-8"))
            time.sleep(0.1)
        return value

    def interrupt(self) -> int:
        """Stop it as Ctrl-C does, and return its exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=30)


@pytest.fixture(scope="module")
def start() -> Iterator[Callable[..., Server]]:
    """Return what starts Python with some arguments as a server; what still runs at the end is ended."""
    started: list[Server] = []

    def start_server(*arguments: str) -> Server:
        folder = Path(tempfile.mkdtemp())  # a short path: sockets are made in it
        own = ("TMPDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "JUPYTERLAB_SETTINGS_DIR")
        places = {name: str(folder / name.lower()) for name in (*own, "JUPYTERLAB_WORKSPACES_DIR")}
        for place in places.values():
            Path(place).mkdir()
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, *arguments], env=os.environ | places, stdout=out, stderr=err
            )
        started.append(Server(process, folder))
        return started[-1]

    yield start_server
    for server in started:
        if server.process.poll() is None:
            server.process.terminate()
            server.process.wait(timeout=30)
        shutil.rmtree(server.folder)
