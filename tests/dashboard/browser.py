"""A real Chromium, and `shoal dashboard` as a process; skips tests where either is missing."""

import contextlib
import re
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.integration.cluster import Cluster

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE_MS = 30_000  # For anything to show, on a busy machine.
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")  # Tests may be root's.

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


@contextlib.contextmanager
def browser_here() -> Iterator["Browser"]:
    """Give a browser."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def page_in(browser: "Browser", width: int = 1280, height: int = 900) -> Iterator["Page"]:
    """Give a page in which no script may fail, and from which nothing is asked elsewhere."""
    context = browser.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.on("console", lambda each: wrong.append(each.text) if "Security" in each.text else None)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    try:
        yield page
        origin = "/".join(page.url.split("/")[:3]) + "/"
        assert not wrong, wrong
        assert [url for url in asked if not url.startswith(origin)] == []
    finally:
        context.close()


def launched(cluster: Cluster, *options: str, place: str = "127.0.0.1:0") -> str:
    """Start a dashboard of the cluster, by default on any port, and return its URL."""
    process = cluster.launch("dashboard", "--listen", place, *options)

    def url() -> re.Match[str] | None:
        assert process.exit_code is None, process.stderr
        return re.search(r"http://\S+", process.stderr)

    cluster.wait(lambda: url() is not None, "the dashboard listens")
    found = url()
    assert found is not None
    return found[0]
