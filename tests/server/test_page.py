"""The page in a real browser: a text, a table, both colour schemes, nothing from elsewhere."""

import csv
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")
QUIET = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(params=["light", "dark"])
def page(request, service):
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where there is a browser

    problems: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        opened = browser.new_page(color_scheme=request.param, viewport={"width": 390, "height": 800})
        opened.on("console", lambda message: problems.append(message.text))
        opened.on("pageerror", lambda error: problems.append(str(error)))
        own = (str(service.base_url), "blob:", "data:")
        opened.on("request", lambda asked: asked.url.startswith(own) or problems.append(asked.url))
        opened.goto(str(service.base_url))
        yield opened
        browser.close()
    assert problems == []


def test_a_text_by_keyboard(page) -> None:
    page.locator("#task option").first.wait_for(state="attached")
    page.get_by_label("A reason, eligibility criteria").fill("<b>slow</b> recruitment 💊 of patients")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "task"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("article li button[aria-pressed=true]").wait_for()
    assert "stop-reasons:" in page.get_by_role("status").first.text_content()
    page.get_by_text("speak most for").or_(page.get_by_text("No single word")).wait_for()
    assert page.locator("article .read").text_content() == "<b>slow</b> recruitment 💊 of patients"
    assert page.locator("article li").count() == 17
    assert page.locator("article .cut").count() == 17
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_record_and_every_question(page) -> None:
    page.locator("#task option[value='']").wait_for(state="attached")
    page.get_by_label("A reason, eligibility criteria").fill(
        '{"why_stopped": "funding", "criteria": "Women"}'
    )
    page.locator("#task").select_option("")
    page.get_by_role("button", name="Label it").click()
    page.locator("article").nth(1).wait_for()
    assert page.locator("article .read").all_text_contents() == ["funding", "Inclusion: Women."]


def test_a_table_comes_back_labelled(page, tmp_path) -> None:
    rows = [
        ["NCT1", 'said "slow", then\nstopped'],
        ["NCT2", ""],
        *([f"NCT{n}", f"funding {n}"] for n in range(150)),
    ]
    file = tmp_path / "trials.csv"
    with file.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([["id", "why_stopped"], *rows])
    page.locator("#table-task option").first.wait_for(state="attached")
    page.get_by_label("CSV file").set_input_files(file)
    page.locator("#start:enabled").wait_for()
    assert page.locator("#column").input_value() == "1"
    page.locator("#start").click()
    page.get_by_text("Done: 152 of 152 rows").wait_for()
    with page.expect_download() as download:
        page.get_by_text("Download the labelled table").click()
    with Path(download.value.path()).open(newline="", encoding="utf-8-sig") as handle:
        told = list(csv.reader(handle))
    assert [row[:2] for row in told[1:]] == rows
    assert len(told[0]) == 4 + 17 and told[2][2] == ""
    assert all(row[2] for row in told[3:])


def test_a_file_that_is_no_table(page, tmp_path) -> None:
    for content, said in (
        (b"a,b\n\xff,1\n", "not UTF-8"),
        (b"a,b\n1\n", "row 1"),
        (b'a\n"x', "never closed"),
    ):
        file = tmp_path / f"{said}.csv"
        file.write_bytes(content)
        page.get_by_label("CSV file").set_input_files(file)
        page.locator("#table-said", has_text=said).wait_for()
        assert page.locator("#start").is_disabled()
