"""A real browser, in which nothing may go wrong unseen."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
QUIET = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@contextmanager
def _page(scheme: str) -> Iterator[Any]:
    """An empty page, narrow as on a telephone."""
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where there is a browser

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        yield browser.new_context(color_scheme=scheme, viewport={"width": 390, "height": 800}).new_page()
        browser.close()


@contextmanager
def opened(address: str, scheme: str = "light", *, allowed: tuple[str, ...] = ("401",)) -> Iterator[Any]:
    """The page; whatever it complains of or asks elsewhere is a failure.

    Complaints that hold one of `allowed` are expected.
    """
    problems: list[str] = []
    with _page(scheme) as page:
        page.on(
            "console", lambda message: any(map(message.text.count, allowed)) or problems.append(message.text)
        )
        page.on("pageerror", lambda error: problems.append(str(error)))
        own = (address, "blob:", "data:")
        page.on("request", lambda asked: asked.url.startswith(own) or problems.append(asked.url))
        page.goto(address)
        yield page
    assert problems == []


@contextmanager
def opened_report(file: Path, scheme: str) -> Iterator[Any]:
    """A report's page, from its file: it fits, says nothing to the console, and asks for nothing else."""
    problems: list[str] = []
    requests: list[str] = []
    with _page(scheme) as page:
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.locator("figure svg").first.bounding_box()["height"] > 100
        yield page
    assert (problems, requests) == ([], [file.as_uri()])
