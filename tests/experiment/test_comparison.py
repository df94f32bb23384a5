"""A comparison with all its systems: baselines, base and adapted, and one more beside them."""

from pathlib import Path

import polars as pl
import pytest
import torch
from huggingface_hub import ModelCard
from transformers import AutoModel

from trialtune.errors import DataError
from trialtune.evaluation.comparison import ComparisonResult
from trialtune.evaluation.error_report import ErrorReport
from trialtune.evaluation.metrics import Evaluation
from trialtune.experiment.comparison import Comparison, System, compare
from trialtune.models.encoders import Encoder
from trialtune.models.lora import add_lora, save_adapter
from trialtune.models.settings import LoraSettings
from trialtune.stages.settings import FinetuneSettings
from trialtune.tasks.catalog import load_task
from trialtune.training.progress import training_bar

WORDS = {
    "Insufficient_Enrollment": "slow recruitment of patients",
    "Business_Administrative": "funding ran out",
    "Safety_Sideeffects": "adverse events",
}


def rows(count: int, start: int) -> pl.DataFrame:
    labels = list(WORDS)
    numbers = range(start, start + count)
    names = [[labels[n % 3]] + ([labels[(n + 1) % 3]] if n % 4 == 0 else []) for n in numbers]
    return pl.DataFrame(
        {
            "nct_id": [f"NCT{n:08}" for n in numbers],
            "text": [
                f"{' and '.join(WORDS[name] for name in row)} at {n * 7919} sites"
                for n, row in zip(numbers, names, strict=True)
            ],
            "labels": names,
        }
    )


@pytest.fixture(scope="module")
def done(tiny_encoder, tmp_path_factory) -> tuple[Comparison, ComparisonResult]:
    out = tmp_path_factory.mktemp("compare")
    torch.manual_seed(0)
    model = add_lora(Encoder.open(tiny_encoder).load(AutoModel), LoraSettings(r=2, lora_alpha=4))
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.05)
    save_adapter(model, out / "adapter", encoder=Encoder.open(tiny_encoder))
    rows(240, 0).write_parquet(out / "train.parquet")
    rows(60, 1000).write_parquet(out / "test.parquet")
    comparison = Comparison(
        task=load_task("stop-reasons"),
        train=out / "train.parquet",
        test=out / "test.parquet",
        encoder=tiny_encoder,
        adapter=out / "adapter",
        out=out / "task",
        settings=FinetuneSettings(epochs=1, max_length=32),
        seeds=[1, 2],
        others={"control": System(tiny_encoder, out / "adapter", key="older text")},
    )
    for step in comparison.steps("inputs", bar=training_bar):
        record = step.run(lambda line: None)
    return comparison, ComparisonResult.model_validate(record["result"])


def test_every_system_has_its_line(done) -> None:
    comparison, result = done
    wanted = ["majority", "keywords", "tf-idf", "frozen-base", "frozen-adapted", "base", "adapted", "control"]
    assert list(result.summary) == wanted
    for name, system in result.summary.items():
        low, high = system.intervals.micro_f1
        assert low - 1e-9 <= system.micro_f1 <= high + 1e-9
        assert system.seeds == (2 if system.fine_tuned else 1)
        assert (system.ece is None) == (name in ("majority", "keywords"))
    assert result.summary["tf-idf"].micro_f1 > 0.95 > result.summary["majority"].micro_f1
    assert result.summary["keywords"].micro_f1 > 0.8
    assert result.summary["base"].micro_f1 == result.systems.base.micro_f1
    assert ComparisonResult.load(comparison.out / "comparison" / "comparison.json") == result


def test_the_data_say_what_test_rows_share_with_training(done) -> None:
    _, result = done
    data = result.data
    assert data.train + data.calibration == 240
    assert (data.test, data.overlap, data.mlm_overlap) == (60, 0, None)
    assert 0 < data.near_duplicates <= 60  # they differ in a number alone


def test_p_values_and_verdict_are_there(done) -> None:
    _, result = done
    for name in ("micro_f1", "macro_f1"):
        entry = getattr(result.difference, name)
        assert 0 < entry.p <= entry.p_holm <= 1
    assert result.difference.per_class["Success"] is None
    assert result.verdict.endswith(".")


def test_the_same_encoder_trained_twice_says_the_same(done) -> None:
    comparison, _ = done
    scored = [
        pl.read_parquet(comparison.out / "scores" / f"{name}-seed-1" / "predictions.parquet")
        for name in ("adapted", "control")
    ]
    assert scored[0].equals(scored[1])


def test_errors_lie_beside_the_comparison(done) -> None:
    comparison, _ = done
    errors = ErrorReport.load(comparison.out / "errors" / "errors.json")
    scored = pl.read_parquet(comparison.out / "scores" / "adapted-seed-1" / "predictions.parquet")
    missed = sum(found.false_negatives.count for found in errors.classes.values())
    gold, predicted = (scored[name].to_list() for name in ("gold", "labels"))
    assert missed == sum(len(set(g) - set(p)) for g, p in zip(gold, predicted, strict=True))
    for label, found in errors.classes.items():
        for kind, wrongs in found:
            worst = wrongs.worst
            assert len(worst) == min(3, wrongs.count)
            order = [error.probability for error in worst]
            assert order == sorted(order, reverse=kind == "false_positives")
            for error in worst:
                assert (label in error.predicted) == (kind == "false_positives")
                assert label in error.probabilities


def test_another_system_leaves_the_others_steps_alone(done) -> None:
    comparison, _ = done
    alone = Comparison(**{**vars(comparison), "others": {}})
    names = {step.name for step in alone.steps("inputs", bar=training_bar) if not step.record()}
    assert names == {"errors stop-reasons", "compare stop-reasons"}


def test_compare_reads_divides_trains_and_goes_on(done, tiny_encoder, tmp_path) -> None:
    comparison, _ = done
    settings = FinetuneSettings(epochs=1, max_length=32)
    given = (comparison.task, comparison.train, tiny_encoder, comparison.adapter, tmp_path / "compared")
    result = compare(*given, settings=settings, seeds=(3,))
    assert result.seeds == (3,) and result.n == len(pl.read_parquet(given[-1] / "examples/test.parquet"))
    assert ComparisonResult.load(given[-1] / "comparison" / "comparison.json") == result
    card = ModelCard.load(given[-1] / "classifiers" / "adapted-seed-3" / "README.md")
    assert f"{result.n} test rows" in card.text
    scores = Evaluation.load(given[-1] / "scores" / "adapted-seed-3" / "metrics.json")
    assert {one.metric_name: one.metric_value for one in card.data.eval_results} == {
        "micro-F1": scores.micro_f1,
        "macro-F1": scores.macro_f1,
    }
    assert {(one.dataset_name, one.dataset_split) for one in card.data.eval_results} == {
        (result.data.test_source, "test")
    }
    lines: list[str] = []
    assert compare(*given, settings=settings, seeds=(3,), tell=lines.append) == result
    assert lines and all(line.endswith("done before") for line in lines)
    with pytest.raises(DataError, match="share"):
        compare(*given, settings=settings, test=comparison.train)


def test_a_test_row_in_training_is_refused(done, tmp_path) -> None:
    comparison, _ = done
    leaky = Comparison(**{**vars(comparison), "test": comparison.train, "out": Path(tmp_path)})
    with pytest.raises(Exception, match="share an NCT id or a text"):
        leaky.baselines.score("majority")
