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
def opened(address: str, scheme: str = "light", *, allowed: tuple[str, ...] = ("401",)) -> Iterator[Any]:
    """The page, narrow as on a telephone; whatever it complains of or asks elsewhere is a failure.

    Complaints that hold one of `allowed` are expected.
    """
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where there is a browser

    problems: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        page = browser.new_context(color_scheme=scheme, viewport={"width": 390, "height": 800}).new_page()
        page.on(
            "console", lambda message: any(map(message.text.count, allowed)) or problems.append(message.text)
        )
        page.on("pageerror", lambda error: problems.append(str(error)))
        own = (address, "blob:", "data:")
        page.on("request", lambda asked: asked.url.startswith(own) or problems.append(asked.url))
        page.goto(address)
        yield page
        browser.close()
    assert problems == []
