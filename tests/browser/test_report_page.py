"""The report in a real browser: it opens from a file, asks nobody, and its contents links work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Watched


@pytest.fixture
def opened(small_report: Path, watched: Watched) -> Watched:
    watched.page.goto(small_report.as_uri(), wait_until="load")
    return watched


def test_the_report_opens_without_an_error_and_asks_nobody(opened: Watched) -> None:
    requests: list[str] = []
    opened.page.on("request", lambda request: requests.append(request.url))
    opened.page.reload(wait_until="networkidle")
    opened.keep("report")
    opened.keep("report-whole", whole=True)
    assert not opened.errors
    assert [url.partition(":")[0] for url in requests if not url.startswith("data:")] == ["file"]


def test_ids_of_the_report_are_distinct(opened: Watched) -> None:
    ids = opened.page.evaluate("[...document.querySelectorAll('[id]')].map(each => each.id)")
    assert len(ids) == len(set(ids))


def test_every_contents_link_leads_to_its_part(opened: Watched) -> None:
    page = opened.page
    links = page.locator('a[href^="#"]')
    targets = [str(link.get_attribute("href")) for link in links.all()]
    assert len(targets) >= 5
    for place, target in enumerate(targets):
        links.nth(place).click()
        assert page.evaluate("location.hash") == target
        expect(page.locator(f"[id='{target[1:]}']")).to_be_in_viewport()


def test_every_picture_of_the_report_is_drawn_and_described(opened: Watched) -> None:
    pictures = opened.page.evaluate("[...document.images].map(each => [each.naturalWidth, each.alt])")
    assert pictures
    assert all(width > 100 and alt for width, alt in pictures)
