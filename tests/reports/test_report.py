"""The page stands alone, says everything, escapes everything, and looks right in a real browser."""

import copy
import io
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from trialtune.reports.report import write_report
from trialtune.reports.tables import AVERAGES, comparison_rows, to_csv, to_markdown

CHROMIUM = Path("/usr/bin/chromium")
QUIET = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


class Page(HTMLParser):
    """Texts, addresses and headers of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [
            value for name, value in attributes if name in ("src", "href", "xlink:href") and value
        ]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def test_the_page_stands_alone(run, tmp_path) -> None:
    path = write_report(run, tmp_path)
    page = Page(path)
    assert all(address.startswith("#") for address in page.addresses)
    assert not {"script", "link", "iframe", "img"} & set(page.tags)
    assert "@import" not in path.read_text()
    assert "url(http" not in path.read_text()


def test_the_page_says_everything(run, tmp_path) -> None:
    text = Page(write_report(run, tmp_path)).text
    for task in run["tasks"].values():
        assert task["verdict"] in text
        assert all(label in text for label in task["labels"])
    assert "no examples" in text
    assert "Made-up sample data" in text
    assert "2,012 records read = 2,000 kept + 12 quarantined" in text
    assert "adapt.rank" in text
    assert "5.23.0" in text
    assert "forgetting" in text


def test_real_data_carry_no_banner(run, tmp_path) -> None:
    assert "Made-up" not in Page(write_report({**run, "made_up": False}, tmp_path)).text


def test_a_run_without_a_base_stage(run, tmp_path) -> None:
    run["mlm"]["base"] = None
    assert "Adapted: trials after the cut" in Page(write_report(run, tmp_path)).text


def hostile(value: Any) -> Any:
    """Every string of a run with a tag in it; names that choose a branch stay."""
    if isinstance(value, dict):
        return {key: hostile(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [hostile(inner) for inner in value]
    return f"{value}<script>alert(1)</script>" if isinstance(value, str) else value


def test_nothing_in_a_run_can_become_markup(run, tmp_path) -> None:
    evil = copy.deepcopy(run)
    for part in ("settings", "data", "versions", "machine", "name", "settings_note"):
        evil[part] = hostile(evil[part])
    evil["data"]["years"] = run["data"]["years"]
    evil["tasks"]["sex"]["verdict"] += "<script>alert(1)</script>"
    path = write_report(evil, tmp_path)
    assert "script" not in Page(path).tags
    assert "alert(1)" in Page(path).text


def test_files_beside_the_page(run, tmp_path) -> None:
    write_report(run, tmp_path)
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {"index.html", "stop-reasons.md", "stop-reasons.csv", "sex.md", "sex.csv"} <= names
    assert {"plots/sex-f1.png", "plots/adapt-accuracy.png", "plots/base-loss.png"} <= names


def test_the_page_is_the_same_each_time(run, tmp_path) -> None:
    first, second = (write_report(run, tmp_path / name).read_bytes() for name in ("a", "b"))
    assert first == second


def test_csv_comes_back_from_pandas_as_it_was(run) -> None:
    comparison = run["tasks"]["stop-reasons"]
    table = pd.read_csv(io.StringIO(to_csv(comparison)), index_col="name")
    for label in comparison["labels"]:
        for system in ("base", "adapted"):
            for score in ("precision", "recall", "f1"):
                value = comparison["systems"][system]["per_class"][label][score]
                found = table.loc[label, f"{system}_{score}"]
                assert pd.isna(found) if value is None else found == value


def test_markdown_has_a_row_for_each_class_and_average(run) -> None:
    comparison = run["tasks"]["stop-reasons"]
    lines = [line for line in to_markdown(comparison).splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(comparison["labels"]) + len(AVERAGES)
    assert len({line.count("|") for line in lines}) == 1


def test_arrows_stand_where_the_interval_excludes_zero(run) -> None:
    for row in comparison_rows(run["tasks"]["stop-reasons"]):
        if row.low is not None and row.high is not None:
            assert bool(row.arrow) == (row.low > 0 or row.high < 0)


@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(run, tmp_path, scheme) -> None:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where there is a browser

    address = write_report(run, tmp_path).as_uri()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        page = browser.new_page(color_scheme=scheme, viewport={"width": 390, "height": 800})
        problems: list[str] = []
        requests: list[str] = []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.locator("figure svg").count() == page.locator("figure").count() >= 10
        assert page.locator("figure svg").first.bounding_box()["height"] > 100
        page.locator("summary").first.click()
        assert page.get_by_text("adapt.rank").is_visible()
        browser.close()
    assert (problems, requests) == ([], [address])
