"""A classifier of a user's own task, scored and used from its folder alone."""

import numpy as np
import polars as pl
import pytest

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.evaluate import evaluate
from trialtune.dataset.examples import load_examples
from trialtune.errors import DataError
from trialtune.evaluation.metrics import ClassMetrics, FewMetrics
from trialtune.stages.finetune import finetune
from trialtune.stages.settings import FinetuneSettings
from trialtune.tasks.catalog import load_task

YAML = "{name: own, kind: multi_class, labels: [Slow, Toxic, None], text: [Why, More], max_length: 24}"


def table(count: int, seed: int) -> pl.DataFrame:
    letters = np.random.default_rng(seed).choice(list("abcdefgh"), (count, 12))
    words = ["".join(row) for row in letters]
    return pl.DataFrame(
        {
            "Why": ["slow accrual" if row % 2 else "adverse events" for row in range(count)],
            "More": [f"{word} {word[::-1]}" for word in words],
            "label": ["Slow" if row % 2 else "Toxic" for row in range(count)],
        }
    )


@pytest.fixture(scope="module")
def classifier(tiny_encoder, tmp_path_factory) -> Classifier:
    work = tmp_path_factory.mktemp("own")
    (work / "own.yaml").write_text(YAML)
    task = load_task(work / "own.yaml")
    rows = load_examples(task, table(120, seed=1), where="train").frame
    finetune(task, rows, tiny_encoder, work / "clf", settings=FinetuneSettings(method="full", epochs=1))
    (work / "own.yaml").unlink()
    return Classifier.from_pretrained(work / "clf")


def test_a_class_without_examples_is_shown_as_such(classifier) -> None:
    rows = load_examples(classifier.task, table(30, seed=2), where="test").frame
    metrics, scored = evaluate(classifier, rows)
    assert metrics.per_class["None"] == ClassMetrics(precision=None, recall=None, f1=None, support=0)
    f1 = [metrics.per_class[label].f1 for label in ("Slow", "Toxic")]
    assert metrics.macro_f1 == pytest.approx(np.mean(f1))
    assert metrics.near_duplicates == 0 and metrics.without_near_duplicates is None
    assert len(scored) == 30


def test_near_duplicates_of_training_rows_are_counted_and_scored_apart(classifier) -> None:
    task = classifier.task
    near = table(120, seed=1).head(4).with_columns(pl.col("More") + " x")
    rows = load_examples(task, pl.concat([table(30, seed=3), near]), where="test").frame
    metrics, _ = evaluate(classifier, rows)
    assert metrics.near_duplicates == 4
    others, _ = evaluate(classifier, rows.head(30))
    assert metrics.without_near_duplicates == FewMetrics(
        n=others.n, micro_f1=others.micro_f1, macro_f1=others.macro_f1
    )
    with pytest.raises(DataError, match="1 of 1 rows were seen"):
        evaluate(classifier, load_examples(task, table(120, seed=1).head(1), where="test").frame)


def test_a_folder_alone_predicts_its_own_task(classifier) -> None:
    predicted = classifier.predict_frame(table(3, seed=4))
    assert predicted["text"][1].startswith("slow accrual. ")
    assert set(predicted["labels"].explode()) <= {"Slow", "Toxic", "None"}
