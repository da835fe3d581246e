"""The report in a real browser: it opens from a file, runs nothing from elsewhere, and its contents links work."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

import mesostats as ms

if TYPE_CHECKING:
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--virtual-time-budget=2000"),
)


class _Page(HTMLParser):
    """Collect the ids and the links within the page."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if tag == "a" and str(given.get("href")).startswith("#"):
            self.links.add(str(given["href"])[1:])


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ms.report(ms.simulate(60, seed=4), out=tmp_path_factory.mktemp("browser"))


def _chromium(page: Path, *more: str) -> subprocess.CompletedProcess[str]:
    profile = page.parent / "profile"
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", *more, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)


def test_the_report_opens_with_its_contents(page: Path) -> None:
    shown = _Page()
    dom = _chromium(page, "--dump-dom").stdout
    shown.feed(dom)
    assert "manifest" in dom.lower()
    assert len(shown.ids) == len(set(shown.ids))
    assert shown.links
    assert shown.links <= set(shown.ids)


def test_the_report_asks_nobody_and_logs_no_error(page: Path) -> None:
    log = page.parent / "net.json"
    done = _chromium(page, "--dump-dom", f"--log-net-log={log}", "--enable-logging=stderr", "--v=0")
    assert not re.findall(r"CONSOLE.*(?:error|Uncaught|Refused)", done.stderr, flags=re.IGNORECASE)
    asked = set(re.findall(r'"url":"(https?://[^"/]+)', log.read_text(encoding="utf-8")))
    written = set(re.findall(r"https?://[^\s\"'<>/]+", page.read_text(encoding="utf-8")))
    assert not asked & written


def test_the_report_is_drawn(page: Path) -> None:
    picture = page.parent / "page.png"
    _chromium(page, f"--screenshot={picture}", "--window-size=1100,1400")
    assert picture.stat().st_size > 20_000  # a blank page is far smaller
