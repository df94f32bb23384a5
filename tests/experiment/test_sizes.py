"""Systems on nested training sets: what is trained on what, what is left out, what is said of it."""

from pathlib import Path

import polars as pl
import pytest

from trialtune.dataset.label_arrays import multi_hot
from trialtune.errors import UsageError
from trialtune.evaluation.intervals import AverageIntervals, Difference, Interval
from trialtune.evaluation.metrics import score
from trialtune.evaluation.size_result import (
    SizeDifference,
    SizePoint,
    SizeScores,
    SizesResult,
    detectable,
    size_verdict,
)
from trialtune.experiment.size_settings import SizeSettings
from trialtune.experiment.sizes import TITLES, compare_sizes
from trialtune.reports.size_plots import size_curves
from trialtune.reports.sizes import size_table
from trialtune.stages.settings import FinetuneSettings
from trialtune.tasks.catalog import load_task

WORDS = {
    "Insufficient_Enrollment": "slow recruitment of patients",
    "Business_Administrative": "funding ran out",
    "Safety_Sideeffects": "adverse events",
}
FAST = FinetuneSettings(method="full", epochs=1, batch_size=16)
SIZES = SizeSettings(sizes=(30, None, 5000), draws=2, min_steps=2, task_adapt_steps=2)


def rows(count: int, start: int) -> pl.DataFrame:
    names = [list(WORDS)[number % 3] for number in range(start, start + count)]
    return pl.DataFrame(
        {
            "nct_id": [f"NCT{number:08}" for number in range(start, start + count)],
            "text": [f"{WORDS[name]} at {(start + place) * 7919} sites" for place, name in enumerate(names)],
            "labels": [[name] for name in names],
        }
    )


@pytest.fixture(scope="module")
def done(tiny_encoder, tmp_path_factory) -> tuple[Path, SizesResult, list[str]]:
    folder = tmp_path_factory.mktemp("sizes")
    rows(120, 0).write_parquet(folder / "train.parquet")
    rows(45, 5000).write_parquet(folder / "test.parquet")
    said: list[str] = []
    result = run(tiny_encoder, folder, said)
    return folder, result, said


def run(encoder, folder: Path, said: list[str]) -> SizesResult:
    return compare_sizes(
        load_task("stop-reasons"),
        folder / "train.parquet",
        encoder,
        folder / "out",
        sizes=SIZES,
        settings=FAST,
        test=folder / "test.parquet",
        tell=said.append,
    )


def test_every_system_is_scored_at_every_size_there_are_rows_for(done) -> None:
    _, result, said = done
    assert [point.rows for point in result.points] == [30, 120]
    assert list(result.titles) == ["base", "task-adapted", "shipped", "read-out", "tf-idf"]
    assert all(list(point.systems) == list(result.titles) for point in result.points)
    assert [line for line in said if "no sets of 5,000" in line]
    assert set(result.verdicts) == set(result.titles) - {"base"}


def test_scores_are_means_over_the_draws(done) -> None:
    folder, result, _ = done
    labels = list(load_task("stop-reasons").labels)
    test = pl.read_parquet(folder / "out" / "examples" / "test.parquet")
    gold = multi_hot(test["labels"], labels)
    found = []
    for draw in (1, 2):
        predicted = pl.read_parquet(folder / "out" / "scores" / f"tf-idf-120-{draw}" / "predictions.parquet")
        given = multi_hot(predicted["labels"], labels)
        found.append(score(gold, given, labels, kind="multi_label").macro_f1)
    assert result.points[1].systems["tf-idf"].macro_f1 == pytest.approx(sum(found) / 2)
    assert not list((folder / "out" / "scores").glob("*/classifier"))


def test_a_second_run_does_nothing_again(done, tiny_encoder) -> None:
    folder, result, _ = done
    said: list[str] = []
    assert run(tiny_encoder, folder, said) == result
    steps = [line for line in said if "draw" in line or "compare" in line or "adapt" in line]
    assert steps
    assert all(line.endswith("done before") for line in steps)


def test_its_files_say_what_it_found(done) -> None:
    folder, result, _ = done
    out = folder / "out" / "result"
    assert SizesResult.load(out / "sizes.json") == result
    table = pl.read_csv(out / "sizes.csv")
    assert table.select("labels", "system", "macro_f1").rows() == [
        (point.rows, name, scores.macro_f1)
        for point in result.points
        for name, scores in point.systems.items()
    ]
    page = (out / "index.html").read_text()
    assert all(title in page for title in result.titles.values())
    assert len(size_table(result)) == 10
    assert size_curves("sizes", result).svg().count("<svg") == 1


def test_too_few_rows_for_the_smallest_size_is_an_error(tiny_encoder, tmp_path) -> None:
    rows(40, 0).write_parquet(tmp_path / "train.parquet")
    with pytest.raises(UsageError, match="training rows; choose smaller sizes"):
        compare_sizes(
            load_task("stop-reasons"),
            tmp_path / "train.parquet",
            tiny_encoder,
            tmp_path / "out",
            sizes=SizeSettings(sizes=(1000,)),
        )
    with pytest.raises(ValueError, match="cannot be split"):
        SizeSettings(sizes=(5,))


def point(size: int, mean: float, half: float, p: float) -> SizePoint:
    none = Interval(0.4, 0.6)
    scores = SizeScores(
        micro_f1=0.5, macro_f1=0.5, intervals=AverageIntervals(micro_f1=none, macro_f1=none), seconds=1
    )
    change = Difference(mean=mean, low=mean - half, high=mean + half, p=p, p_holm=p)
    found = SizeDifference(micro_f1=change, macro_f1=change, detectable=detectable(change))
    return SizePoint(rows=size, draws=3, systems={"base": scores}, differences={"adapted": found})


def test_the_sentence_names_the_sizes_at_which_a_system_is_better() -> None:
    points = [point(50, 0.05, 0.02, 0.001), point(100, 0.03, 0.02, 0.01), point(1000, 0.001, 0.01, 0.9)]
    said = size_verdict("adapted", TITLES["adapted"], points)
    assert "better than the base at 50 and 100 labels" in said
    assert "+0.050 [+0.030, +0.070] at 50" in said
    assert "At 1,000 labels none is measurable; one of 0.014 would have been found" in said


def test_the_sentence_says_what_would_have_been_seen_where_nothing_shows() -> None:
    points = [point(50, 0.0, 0.0392, 0.9), point(100, 0.0, 0.0196, 0.9)]
    said = size_verdict("adapted", TITLES["adapted"], points)
    assert "no measurable difference to the base from 50 to 100 labels" in said
    assert "one of 0.028 to 0.056 in macro-F1 would have been found with 80% power" in said


def test_the_sentence_does_not_hide_a_loss() -> None:
    said = size_verdict("adapted", TITLES["adapted"], [point(50, -0.05, 0.02, 0.001)])
    assert "worse than the base at 50 labels" in said
