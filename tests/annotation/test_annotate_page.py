"""The page of `trialtune annotate` in a real browser: keys, a SIGKILL, a full disk, disagreements."""

import signal
from pathlib import Path

import polars as pl
import pytest

from trialtune.annotation.pool import read_pool

RANDOM = {"random": 1.0}
LOST = ("ERR_CONNECTION", "Failed to load resource")  # what a browser says of a service that is gone
KEYS = {"money": "1", "people": "2", "safety": "3"}


def read(out: Path) -> pl.DataFrame:
    return pl.read_csv(out, infer_schema=False).fill_null("")


def ready(page) -> str:
    """The text that is shown, when there is one."""
    page.locator("#work:not([hidden])").wait_for()
    return str(page.locator("#text").text_content())


def press(page, *keys: str) -> str:
    """Press keys, the last of which is answered; what the page says then."""
    page.evaluate("document.getElementById('said').textContent = ''")
    for key in keys:
        page.keyboard.press(key)
    page.locator("#said:not(:empty)").wait_for()
    page.locator("#form:not([aria-busy])").wait_for(state="attached")
    return str(page.locator("#said").text_content())


def test_200_answers_and_a_kill_in_the_middle(annotating, browser, label_of) -> None:
    acknowledged = []

    def label(page, count: int) -> None:
        for _ in range(count):
            text = ready(page)
            assert press(page, KEYS[label_of(text)], "Enter").startswith("Saved: "), text
            acknowledged.append(text)

    with annotating("--retrain-every", "25") as first, browser.opened(first.address, allowed=LOST) as page:
        label(page, 100)
        kept = ready(page)
        first.process.kill()
        first.process.wait()
        assert "not saved: the service does not respond" in press(page, KEYS[label_of(kept)], "Enter")
        with annotating("--retrain-every", "25", port=first.port):
            assert ready(page) == kept and page.locator("#choices input:checked").count() == 1
            assert press(page, "Enter").startswith("Saved: ")
            acknowledged.append(kept)
            label(page, 99)
            assert "200 labelled" in page.locator("#counts").text_content()
            page.locator("#curve svg").wait_for()
    rows = read(first.out)
    assert len(set(acknowledged)) == 200 and set(acknowledged) == set(rows["text"])
    assert rows["labels"].to_list() == [label_of(text) for text in rows["text"]]
    assert {"random", "uncertain", "rare"} == set(rows["drawn"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_key(labelling, browser, task, pool_file, scheme) -> None:
    pool = read_pool(task, pool_file())
    with labelling(task, pool, mix=RANDOM) as running, browser.opened(running.address, scheme) as page:
        first = ready(page)
        assert page.evaluate("document.activeElement.id") == "head"
        assert "Choose labels" in press(page, "Enter")
        assert press(page, "1", "3", "Enter") == "Saved: money, safety."
        second = ready(page)
        page.keyboard.press("n")
        page.keyboard.type("u is 1 letter")
        assert press(page, "Escape", "u") == "Saved: unsure."
        assert press(page, "s") == "Saved: skipped."
        assert press(page, "0", "Enter") == "Saved: none."
        press(page, "Backspace")
        press(page, "b")
        assert press(page, "b") == "Your answer: unsure."
        assert ready(page) == second and page.locator("#note").input_value() == "u is 1 letter"
        assert press(page, "b") == "Your answer: money, safety." and ready(page) == first
        assert press(page, "b") == "There is no earlier text."
        assert press(page, "3", "2", "Enter").startswith("Saved: money, people")
        page.locator("#keys").uncheck()
        page.locator("#head").focus()
        page.keyboard.press("1")
        assert page.locator("#choices input:checked").count() == 0
        assert page.get_by_role("checkbox", name="money").is_visible()
        assert page.get_by_role("region", name="Text", exact=True).is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    rows = read(running.out).to_dicts()
    assert [(row["status"], row["labels"]) for row in rows] == [
        ("labelled", "money|safety"),
        ("unsure", ""),
        ("skipped", ""),
        ("labelled", ""),
        ("labelled", "money|people"),
    ]
    assert rows[1]["note"] == "u is 1 letter" and rows[4]["text"] == first


def test_one_of_many_and_a_long_text(labelling, browser, one_of_many, pool_file) -> None:
    long = " ".join(f"word{n}" for n in range(3000))
    pool = read_pool(one_of_many, pool_file(12, text=[long, "", *(f"text {n}" for n in range(10))]))
    with labelling(one_of_many, pool, mix=RANDOM) as running, browser.opened(running.address) as page:
        ready(page)
        assert "1 rows have no text" in page.locator("#said").text_content()
        while ready(page) != long:
            press(page, "1", "2", "Enter")
        assert "3,000 words" in page.locator("#head").text_content()
        heights = page.evaluate(
            "(({scrollHeight: a, clientHeight: b}) => [a, b])(document.getElementById('text'))"
        )
        assert heights[0] > heights[1] > 100
        while page.locator("#work").is_visible():
            press(page, "3", "Enter")
        assert "All texts are answered." in page.locator("#said").text_content()
    assert set(read(running.out)["labels"]) <= {"people", "safety"} and len(read(running.out)) == 11


def test_a_full_disk_is_told_and_nothing_is_lost(annotating, browser) -> None:
    resource = pytest.importorskip("resource", reason="Windows sets no limits")

    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, resource.RLIM_INFINITY))

    with (
        annotating("--mix", "random=1", preexec_fn=small_disk) as running,
        browser.opened(running.address, allowed=("507",)) as page,
    ):
        saved = 0
        while "not saved" not in (said := press(page, "1", "Enter") if ready(page) else ""):
            saved += said.startswith("Saved")
        assert "free some space" in said and 1 <= saved < 10
        assert page.locator("#choices input:checked").count() == 1
        assert read(running.out)["status"].to_list() == ["labelled"] * saved
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (10**6, resource.RLIM_INFINITY))
        assert press(page, "Enter").startswith("Saved")
    assert len(read(running.out)) == saved + 1


def test_two_tabs(labelling, browser, task, pool_file) -> None:
    pool = read_pool(task, pool_file())
    with labelling(task, pool, mix=RANDOM) as running, browser.opened(running.address) as page:
        first = ready(page)
        other = page.context.new_page()
        other.goto(running.address)
        assert ready(other) == first
        press(page, "1", "Enter")
        assert "It replaces an earlier answer." in press(other, "2", "Enter")
        assert ready(other) == ready(page)
    assert [*read(running.out)["labels"]] == ["money", "people"]


def test_disagreements_are_settled(labelling, browser, task, tmp_path) -> None:
    lines = ["nct_id,text,labels,annotator,status,answered_at"]
    for number, labels in enumerate(["money", "people", "money"]):
        for name, said in (("Ada", "money"), ("Grace", labels)):
            lines.append(f"NCT0000000{number},text {number},{said},{name},labelled,2026-01-0{number + 1}")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    with labelling(task, None, annotator="Hedy") as running, browser.opened(running.address) as page:
        assert ready(page) == "text 1"
        assert page.locator("#opinions li").all_text_contents() == ["Ada: money", "Grace: people"]
        assert press(page, "2", "Enter").endswith("This was the last text.")
    last = read(running.out).to_dicts()[-1]
    assert (last["annotator"], last["status"], last["labels"]) == ("Hedy", "adjudicated", "people")


def test_predictions_are_reviewed(labelling, browser, task, pool_file) -> None:
    data = pool_file(
        4,
        labels=["money", "people", "money|people", "safety"],
        needs_review=["true", "false", "true", "true"],
        probability_money=[0.6, 0.1, 0.5, 0.2],
    )
    pool = read_pool(task, data, review=True)
    with labelling(task, pool) as running, browser.opened(running.address) as page:
        ready(page)
        assert page.locator("#suggestion").text_content() == "The model predicts: money 60 %"
        press(page, "Enter")
        press(page, "1", "Enter")
        assert "All texts are answered" in press(page, "s")
    rows = read(running.out)
    assert rows["labels"].to_list() == ["money", "people", ""] and set(rows["reviewed"]) == {"true"}
