"""The page stands alone, says everything, escapes everything, and looks right in a real browser."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from trialtune.evaluation.error_report import ErrorReport
from trialtune.reports.report import write_report
from trialtune.reports.run_result import RunResult


class Page(HTMLParser):
    """Texts, addresses and headers of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value for name, value in attributes if name == "id" and value]
        self.addresses += [
            value for name, value in attributes if name in ("src", "href", "xlink:href") and value
        ]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def report(run, made_up_errors, tmp_path_factory) -> Path:
    """The page of the made-up run, written once."""
    return write_report(run, tmp_path_factory.mktemp("report"), {"stop-reasons": made_up_errors})


def test_the_page_stands_alone(report) -> None:
    page = Page(report)
    assert all(address.startswith("#") for address in page.addresses)
    assert not {"script", "link", "iframe", "img"} & set(page.tags)
    assert "@import" not in report.read_text()
    assert not re.search(r"url\((?!#)", report.read_text())


def test_links_on_the_page_lead_somewhere_and_ids_are_its_only_ones(report) -> None:
    page = Page(report)
    assert {address[1:] for address in page.addresses} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_the_page_says_everything(run, report) -> None:
    text = Page(report).text
    for task in run.tasks.values():
        assert task.verdict in text
        assert all(label in text for label in task.labels)
    assert "no examples" in text
    assert "Synthetic sample data: these numbers show that the pipeline works" in text
    assert "2,012 records read = 2,000 kept + 12 quarantined" in text
    assert "No test row was seen in training" in text
    assert "adapt.rank" in text
    assert "5.23.0" in text
    assert "forgetting" in text


def test_every_table_has_a_title(report) -> None:
    text = report.read_text()
    assert text.count("<table") == text.count("<caption>") + text.count("<table aria-label=")


def test_real_data_carry_no_banner(run, edited, tmp_path) -> None:
    assert "Made-up" not in Page(write_report(edited(run, "made_up", to=False), tmp_path)).text


def test_a_run_without_a_base_stage(run, edited, tmp_path) -> None:
    changed = edited(run, "mlm", "base", to=None)
    assert "Adapted: trials after the cut" in Page(write_report(changed, tmp_path)).text


def test_a_run_without_base_variants_and_sections(run, edited, tmp_path) -> None:
    adapt = run.mlm["adapt"]
    bare = tuple(entry.model_copy(update={"sections": {}}) for entry in adapt.history)
    changed = edited(run, "mlm", to={"adapt": {**dict(adapt), "history": bare}})
    path = write_report(changed, tmp_path)
    text = Page(path).text
    assert "Older trials, held out (forgetting)" in text
    assert "By section of the record" not in text
    assert "Adaptations compared" not in text
    assert not (path.parent / "plots" / "adaptations-loss.png").exists()


def test_training_is_told_in_full(run, report) -> None:
    text = Page(report).text
    assert "LoRA of rank 16, target modules all-linear; 442,368 trained parameters." in text
    assert text.count("3.2 minutes of wall time") == 2
    assert text.count("By section of the record") == 2
    title = run.mlm["adapt"].history[0].sections["Title"]
    assert f"Title 311 {title.accuracy:.3f}" in text


def test_adaptations_are_compared(run, report) -> None:
    text = Page(report).text
    last = run.mlm["query-value"].history[-1]
    assert "Before adapting – – – – – 0.438" in text
    assert "adapt all-linear 16 442,368 819,200 4,210" in text
    assert f"query-value query, value 8 442,368 819,200 4,210 {last.accuracy:.3f}" in text
    assert (report.parent / "plots" / "adaptations-loss.png").stat().st_size > 10_000


def test_variants_without_older_trials(run, edited, tmp_path) -> None:
    changed = edited(run, "mlm", "whole", to=run.mlm["base"])
    text = Page(write_report(changed, tmp_path)).text
    assert re.search(r"whole all weights – 22,700,000 819,200 4,210 (\S+ ){3}– – –", text)


def test_overlap_and_lost_records_are_said_aloud(run, edited, tmp_path) -> None:
    changed = edited(run, "data", "kept", to=run.data.kept - 1)
    changed = edited(changed, "tasks", "sex", "data", "overlap", to=4)
    text = Page(write_report(changed, tmp_path)).text
    assert "4 test rows share a trial or a wording with training rows" in text
    assert "These counts do not add up" in text


def test_all_systems_and_p_values_are_told(run, edited, report, tmp_path) -> None:
    text = Page(report).text
    assert "TF-IDF + logistic regression 0.790 [0.770, 0.810] 0.690 [0.650, 0.720] 0.740 0.021" in text
    assert "Adapted, fine-tuned 0.834 ± 0.004" in text
    assert "[+0.010, +0.031] < 0.001" in text
    assert "near-duplicates of a training row" not in text
    changed = edited(run, "tasks", "sex", "data", "near_duplicates", to=1234)
    changed = edited(changed, "tasks", "sex", "summary", to={})
    text = Page(write_report(changed, tmp_path)).text
    assert "Test rows that are near-duplicates of a training row 1,234" in text


def test_errors_are_shown_with_the_words_that_mattered(report) -> None:
    text = Page(report).text
    assert "1,204 of 3,117 test rows have a wrong or a missed label" in text
    assert "Regulatory: wrongly given 7, missed 0" in text
    assert "… the agency closed all offices" in text
    assert "Words that mattered agency +0.710, offices −0.125" in text
    assert "no single word" in text
    assert 'title="−0.125, evidence against the label">offices</mark>' in report.read_text()


def test_a_run_without_probabilities_has_no_reliability(run, edited, tmp_path) -> None:
    changed = run
    for task in run.tasks:
        for system in ("base", "adapted"):
            changed = edited(changed, "tasks", task, "systems", system, "reliability", to=None)
    path = write_report(changed, tmp_path)
    assert "by predicted probability" not in Page(path).text
    assert not (tmp_path / "plots" / "sex-reliability.png").exists()


def test_a_run_without_errors_has_no_such_part(run, tmp_path) -> None:
    assert "Worst errors" not in Page(write_report(run, tmp_path)).text


EVIL = """</style></svg><script>alert(1)</script>$\\frac{"'"""


def hostile(value: Any) -> Any:
    """Every string of a run, names of settings and counts too, with markup in it."""
    if isinstance(value, dict):
        return {f"{key}{EVIL}": hostile(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [hostile(inner) for inner in value]
    return f"{value}{EVIL}" if isinstance(value, str) else value


def test_nothing_in_a_run_can_become_markup(run, made_up_errors, tmp_path) -> None:
    evil = run.model_dump(mode="json")
    evil |= {part: hostile(evil[part]) for part in ("settings", "versions", "name", "settings_note")}
    evil["machine"]["cpu"] += EVIL
    evil["data"] |= {
        part: hostile(evil["data"][part]) for part in ("source", "data_timestamp", "reasons", "cut")
    }
    evil["mlm"]["base"]["encoder"] += EVIL
    evil["mlm"][f"../../{EVIL}"] = evil["mlm"]["query-value"] | {
        "settings": {"lora": {"r": 8, "target_modules": [EVIL]}}
    }
    for entry in (evil["mlm"]["adapt"]["history"][place] for place in (0, -1)):
        entry["sections"] = {EVIL: entry["sections"]["Title"]}
    told = run.tasks["sex"].model_dump_json().replace('"FEMALE"', json.dumps(f"$x$ {EVIL}"))
    evil["tasks"] = {f"../../{EVIL}": json.loads(told) | {"task": EVIL, "verdict": EVIL}}
    for system in evil["tasks"][f"../../{EVIL}"]["summary"].values():
        system["title"] += EVIL
    wrong = made_up_errors.model_dump(mode="json")
    for piece in wrong["classes"]["Regulatory"]["false_positives"]["worst"][0]["pieces"]:
        piece["text"] += EVIL
    errors = {f"../../{EVIL}": ErrorReport.model_validate(wrong)}
    path = write_report(RunResult.model_validate(evil), tmp_path / "deep" / "report", errors)
    page = Page(path)
    assert page.tags.count("style") == 1
    assert "script" not in page.tags
    assert page.text.count("alert(1)") > 30
    assert {entry.name for entry in tmp_path.iterdir()} == {"deep"}


def test_files_beside_the_page(report) -> None:
    folder = report.parent
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"index.html", "stop-reasons.md", "stop-reasons.csv", "sex.md", "sex.csv"} <= names
    assert "plots/sex-reliability.png" in names
    assert {"plots/sex-f1.png", "plots/adapt-accuracy.png", "plots/base-loss.png"} <= names


def test_the_page_is_the_same_each_time(run, made_up_errors, report, tmp_path) -> None:
    again = write_report(run, tmp_path, {"stop-reasons": made_up_errors})
    assert again.read_bytes() == report.read_bytes()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(report, browser, scheme) -> None:
    with browser.opened_report(report, scheme) as page:
        assert page.locator("figure svg").count() == page.locator("figure").count() >= 10
        page.get_by_text("Settings", exact=True).click()
        assert page.get_by_text("adapt.rank").is_visible()
        page.get_by_text("Regulatory: wrongly given").click()
        assert page.locator("mark", has_text="agency").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
