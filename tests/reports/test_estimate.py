"""The page of an estimate, and its lines for the terminal."""

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from trialtune.estimation.result import EstimateResult
from trialtune.estimation.settings import EstimateSettings, PlanSettings
from trialtune.reports.estimate import (
    estimate_to_rich,
    interval_text,
    plan_to_rich,
    ratio_text,
    share_text,
    write_estimate,
)
from trialtune.stages.estimate import estimate
from trialtune.stages.estimate_plan import plan_estimate

EVIL = """</style></svg><script>alert(1)</script>$\\frac{"'"""


class Page(HTMLParser):
    """Texts, tags and addresses of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href") and value]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def registry(make_registry, tmp_path_factory):
    return make_registry(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def gold(registry):
    sheet = registry.folder / "sheet.csv"
    plan_estimate(registry.labels, sheet, settings=PlanSettings(rows=200))
    return registry.fill(sheet, 190)


@pytest.fixture(scope="module")
def result(registry, gold) -> EstimateResult:
    return estimate(
        registry.labels,
        gold,
        trials=registry.trials,
        by=["start_year", "countries", "sponsor+start_year"],
        compare=["sponsor"],
    )


@pytest.fixture(scope="module")
def page(result, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    write_estimate(result, folder)
    return folder / "index.html"


def test_the_page_stands_alone(page) -> None:
    found = Page(page)
    assert all(address.startswith("#") for address in found.addresses)
    assert not {"script", "link", "iframe", "img"} & set(found.tags)
    assert not re.search(r"url\((?!#)|@import", page.read_text())


def test_the_page_says_everything(result, page) -> None:
    text = Page(page).text
    assert result.paragraph in text
    assert all(note in text for note in result.notes) and result.notes
    for one in result.shares:
        if one.group == "all":
            assert one.label.replace("_", " ") in text
            assert share_text(one) in text and interval_text(one) in text
    assert "190 of 200 drawn" in text
    assert "more gold rows" in text  # a pair of sponsor and year that few rows fall in
    assert "all others" in text and "INDUSTRY" in text
    assert "Points per year" in text
    titles = [f"By {name}" for name in ("start year", "countries")]
    assert all(title in text for title in titles)


def test_the_clearest_differences_come_first(result, page) -> None:
    html = page.read_text()
    section = html[html.index("<h2>Differences</h2>") :]
    table = re.findall(r"<tr><th scope=\"row\">(\w+)</th><td>all others</td><td>([\w ]+)</td>", section)
    clearest = sorted(result.differences, key=lambda one: (one.p_holm, one.p))
    assert table == [(one.value, one.label.replace("_", " ")) for one in clearest[:40]]
    assert f"{len(clearest) - 40} others are in differences.csv" in section
    assert len({value for value, _ in table[:6]}) > 1


def test_every_table_has_a_title_and_headers(page) -> None:
    html = page.read_text()
    tables = html.count("<table") - 1  # the totals under the heading
    assert tables == html.count('<div class="scroll" tabindex="0" role="region" aria-label=') >= 5
    assert html.count("<th ") == html.count('<th scope="')


def test_names_of_groups_cannot_become_markup(registry, gold, tmp_path) -> None:
    pl.read_parquet(registry.labels).select(
        "nct_id", site=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit(EVIL)).otherwise(pl.lit("$x_1$"))
    ).write_parquet(tmp_path / "sites.parquet")
    found = estimate(
        registry.labels,
        gold,
        trials=tmp_path / "sites.parquet",
        by=["site"],
        compare=["site"],
        where="site != '<b>'",
        combine=[f"{EVIL}=Success|Negative"],
    )
    write_estimate(found, tmp_path / "out")
    page = Page(tmp_path / "out" / "index.html")
    assert page.tags.count("style") == 1 and "script" not in page.tags
    assert page.text.count("alert(1)") > 5


def test_an_estimate_without_groups_differences_or_gold(registry, gold, tmp_path) -> None:
    plain = estimate(registry.labels, gold, settings=EstimateSettings(method="hand"))
    write_estimate(plain, tmp_path / "plain")
    text = Page(tmp_path / "plain" / "index.html").text
    assert "Differences" not in text and "Trends" not in text
    assert len(pl.read_parquet(tmp_path / "plain" / "differences.parquet")) == 0
    pl.DataFrame({"nct_id": [*registry.true], "labels": [*registry.true.values()]}).write_csv(
        tmp_path / "known.csv"
    )
    write_estimate(estimate(registry.labels, known=tmp_path / "known.csv"), tmp_path / "known")
    assert "with known labels 600" in Page(tmp_path / "known" / "index.html").text


def test_the_page_is_the_same_each_time(result, page, tmp_path) -> None:
    write_estimate(result, tmp_path)
    for name in ("index.html", "shares.csv", "estimate.json"):
        assert (tmp_path / name).read_bytes() == (page.parent / name).read_bytes()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(page, browser, scheme) -> None:
    with browser.opened_report(page, scheme) as shown:
        assert shown.locator("figure svg").count() == shown.locator("figure").count() >= 3
        assert shown.get_by_role("heading", name="For a methods section").is_visible()


def shown(renderable) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def test_lines_for_the_terminal(result, registry) -> None:
    told = shown(estimate_to_rich(result))
    assert "95% interval" in told and "Safety_Sideeffects" in told
    assert re.search(r"\d+ of 51 differences are clear", told)
    assert all(f"note: {note}"[:100] in told for note in result.notes)
    plan = plan_estimate(registry.labels, by=["phase"], settings=PlanSettings(precision=0.05))
    told = shown(plan_to_rich(plan))
    assert "rows for ±5" in told and "phase PHASE1" in told
    assert f"{plan.rows:,} of 600 rows to label by hand in 8 strata, seed 1" in told


def test_cells_of_a_plan_that_are_no_numbers_are_explained(registry) -> None:
    plan = plan_estimate(registry.labels, by=["phase"], settings=PlanSettings(precision=0.05))
    unreached = [one.model_copy(update={"rows_needed": None, "gold": 3.0}) for one in plan.expected]
    empty = [one.model_copy(update={"value": "not given"}) for one in unreached if one.value == "PHASE1"]
    odd = plan.model_copy(update={"expected": (*unreached, *empty)})
    told = shown(plan_to_rich(odd.model_copy(update={"tried": 400})))
    assert "> 400: not reached with 400 rows" in told and "fewer than 10 gold rows" in told
    assert re.search(r"\d+ of 600 trials have no value of phase", told)
    assert "all 600: " in shown(plan_to_rich(odd.model_copy(update={"tried": 600})))


def test_numbers_in_words(result) -> None:
    one = result.shares[0].model_copy(update={"share": 0.0123, "low": 0.0101, "high": 0.2})
    assert (share_text(one), interval_text(one)) == ("1.23%", "1.01% to 20.0%")
    none = one.model_copy(update={"share": None, "low": None, "high": None, "more": 4})
    assert (share_text(none), interval_text(none)) == ("–", "4 more gold rows")
    ratio = result.differences[0].model_copy(update={"ratio": 2.0, "ratio_low": 0.5, "ratio_high": None})
    assert ratio_text(ratio) == "2.00 (0.50 to ∞)"
