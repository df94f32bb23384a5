"""The page in a real browser: a text, a table, both colour schemes, nothing from elsewhere."""

import csv
import io
from pathlib import Path

import pytest


@pytest.fixture(params=["light", "dark"])
def page(request, service, browser):
    with browser.opened(str(service.base_url), request.param) as found:
        yield found


def test_a_text_by_keyboard(page) -> None:
    page.locator("#task option").first.wait_for(state="attached")
    page.get_by_label("A stop reason, eligibility criteria").fill("<b>slow</b> recruitment 💊 of patients")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "task"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("article li button[aria-pressed=true]").wait_for()
    assert "stop-reasons:" in page.get_by_role("status").first.text_content()
    page.get_by_text("most support").or_(page.get_by_text("No single word")).wait_for()
    assert page.locator("article .read").text_content() == "<b>slow</b> recruitment 💊 of patients"
    assert page.locator("article li").count() == 17
    assert page.locator("article .cut").count() == 17
    assert page.evaluate("document.activeElement.id") == "go"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_record_and_every_question(page) -> None:
    page.locator("#task option[value='']").wait_for(state="attached")
    page.get_by_label("A stop reason, eligibility criteria").fill(
        '{"why_stopped": "funding", "criteria": "Women"}'
    )
    page.locator("#task").select_option("")
    page.get_by_role("button", name="Label it").click()
    page.locator("article").nth(1).wait_for()
    assert page.locator("article .read").all_text_contents() == ["funding", "Inclusion: Women."]


def test_what_is_no_single_record_is_told(page) -> None:
    page.locator("#task option[value='']").wait_for(state="attached")
    for text, said in (
        ('[{"why_stopped": "a"}, {"why_stopped": "b"}]', "these are 2 records"),
        ('{"studies": [{}, {}, {}]}', "these are 3 records"),
        ("[[1]]", "not a record"),
    ):
        page.locator("#text").fill(text)
        page.locator("#go").click()
        page.locator("#said.error", has_text=said).wait_for()
    page.locator("#text").fill('[{"why_stopped": "funding"}]')
    page.locator("#go").click()
    page.locator("article .read", has_text="funding").wait_for()
    page.locator("#text").fill("no money " * 500)
    page.locator("#go").click()
    page.get_by_text("too long to determine").wait_for()


def test_the_token_is_asked_for(classifiers, serving, browser, tmp_path) -> None:
    with (
        serving(classifiers[:1], token="secret-of-16-characters") as client,
        browser.opened(str(client.base_url)) as page,
    ):
        page.get_by_text("requires a token").last.wait_for()
        assert page.evaluate("document.activeElement.id") == "token"
        (tmp_path / "one.csv").write_text("reason\nfunding\n")
        page.get_by_label("CSV file").set_input_files(tmp_path / "one.csv")
        page.get_by_text("1 rows.").wait_for()
        assert page.locator("#start").is_disabled()
        page.locator("#token").fill("wrong")
        page.get_by_role("button", name="Use it").click()
        page.get_by_text("the token is wrong").wait_for()
        page.locator("#token").fill("secret-of-16-characters")
        page.keyboard.press("Enter")
        page.locator("#start:enabled").click()
        page.get_by_text("Done: 1 of 1 rows").wait_for()


def label_table(page, file: Path) -> str:
    """The labelled table that a file comes back as, on a fresh page."""
    page.reload()
    page.locator("#table-task option").first.wait_for(state="attached")
    page.get_by_label("CSV file").set_input_files(file)
    page.locator("#start:enabled").click()
    page.get_by_text("Done:").wait_for()
    with page.expect_download() as download:
        page.get_by_text("Download the labelled table").click()
    return Path(download.value.path()).read_text(encoding="utf-8-sig")


def test_empty_cells_and_other_separators_stay(page, tmp_path) -> None:
    file = tmp_path / "one.csv"
    file.write_text('reason\nfunding\n\n""\nslow; too slow\n""')
    told = list(csv.reader(io.StringIO(label_table(page, file))))
    assert [row[0] for row in told] == ["reason", "funding", "", "", "slow; too slow", ""]
    for separator in (";", "\t"):
        rows = [["id", "why_stopped"], ["NCT1", "slow, no money"], ["NCT2", f"a{separator}b"]]
        with file.open("w", newline="") as handle:
            csv.writer(handle, delimiter=separator).writerows(rows)
        found = list(csv.reader(io.StringIO(label_table(page, file)), delimiter=separator))
        assert [row[:2] for row in found] == rows and all(row[2] for row in found)


def test_a_table_comes_back_labelled(page, tmp_path) -> None:
    rows = [
        ["NCT1", 'said "slow", then\nstopped'],
        ["NCT2", ""],
        *([f"NCT{n}", f"funding {n}"] for n in range(150)),
    ]
    file = tmp_path / "trials.csv"
    with file.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([["id", "why_stopped"], *rows])
    told = list(csv.reader(io.StringIO(label_table(page, file))))
    assert page.locator("#column").input_value() == "1"
    assert page.locator("#table-said").text_content() == "Done: 152 of 152 rows."
    assert [row[:2] for row in told[1:]] == rows
    assert len(told[0]) == 4 + 17 and told[2][2] == ""
    assert all(row[2] for row in told[3:])


def test_a_file_that_is_no_table(page, tmp_path) -> None:
    for content, said in (
        (b"a,b\n\xff,1\n", "not UTF-8"),
        (b"a,b\n\n1\n", "row 2 has 1 cells"),
        (b'a\n"x', "never closed"),
    ):
        file = tmp_path / f"{said}.csv"
        file.write_bytes(content)
        page.get_by_label("CSV file").set_input_files(file)
        page.locator("#table-said", has_text=said).wait_for()
        assert page.locator("#start").is_disabled()
