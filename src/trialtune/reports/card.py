"""Model cards: the README.md of a classifier and of an adapted encoder, as the Hugging Face Hub shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from trialtune.classifier.folder import CARD_FILE, TRAINING_FILE, WEIGHTS_FILE, ClassifierFolder
from trialtune.errors import DataError
from trialtune.evaluation.comparison import ComparisonResult
from trialtune.evaluation.metrics import Metrics
from trialtune.evaluation.mlm_result import MlmTraining
from trialtune.files import atomic_file, read_json
from trialtune.models.bundled import published_as
from trialtune.reports.pages import MARKDOWN
from trialtune.reports.tables import to_markdown
from trialtune.reports.training import text_changes
from trialtune.training.cross_fit import RARE

# How to open a folder without trialtune; an export in another format has another line.
_PIPELINE = 'pipeline("text-classification", model=FOLDER, top_k=None)("a text")  # bare scores, in Python'
_SESSION = 'onnxruntime.InferenceSession("FOLDER/model.onnx")   # input_ids, attention_mask -> logits'


@dataclass(frozen=True)
class Tested:
    """A comparison that a classifier was part of: which of its systems it is, and its own test scores."""

    comparison: ComparisonResult
    system: str
    seed: int
    scores: Metrics


def write_card(folder: Path, *, tested: Tested | None = None) -> None:
    """Write the README.md of a classifier folder.

    Its header has test scores, as the Hub's `model-index`, where it was `tested`. Those of the rows kept
    aside, which chose its thresholds, stand in the text alone.
    """
    task, described = ClassifierFolder.open(folder).task, read_json(folder / TRAINING_FILE)
    encoder, graph = described["encoder"], not (folder / WEIGHTS_FILE).is_file()
    data = _header(
        encoder,
        library_name="onnx" if graph else "transformers",
        pipeline_tag="text-classification",
        relation="finetune",
    )
    if tested:
        found, source = tested.scores, tested.comparison.data.test_source
        HeldOut(task.name, source, "test", found.micro_f1, found.macro_f1).add_to(data)
    text = MARKDOWN.get_template("card.md").render(
        task=task.name,
        kind=task.kind,
        labels=task.labels,
        described=described,
        encoder=_public(encoder),
        adapter=_public(described.get("adapter") or ""),
        teachers=[_public(teacher) for teacher in described.get("teachers") or ()],
        graph=graph,
        opened=_SESSION if graph else _PIPELINE,
        rare=RARE,
        tested=tested,
        tables=to_markdown(tested.comparison) if tested else "",
    )
    _save(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}"), folder)


def write_adapter_card(folder: Path, training: MlmTraining) -> None:
    """Write the README.md of what `adapt` made: an adapter, or an encoder trained in full.

    Its scores, on text that chose the step whose weights were kept, stand in the text.
    """
    lora = training.method == "lora"
    data = _header(
        training.encoder,
        library_name="peft" if lora else "transformers",
        pipeline_tag="fill-mask",
        relation="adapter" if lora else "finetune",
        tags=("lora",) if lora else (),
    )
    text = MARKDOWN.get_template("adapter_card.md").render(
        training=training, encoder=_public(training.encoder), lora=lora, changes=text_changes(training)
    )
    _save(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}"), folder)


def _public(encoder: str) -> str:
    """The name of an encoder or file as others know it: of a local one, not where it lies here."""
    return encoder if published_as(encoder) else Path(encoder).name


def _header(
    encoder: str, *, library_name: str, pipeline_tag: str, relation: str, tags: Sequence[str] = ()
) -> ModelCardData:
    """What all cards state; of an encoder that the Hub does not have, none is named."""
    known = published_as(encoder)
    return ModelCardData(
        language="en",
        library_name=library_name,
        pipeline_tag=pipeline_tag,
        tags=["clinical-trials", "trialtune", *tags],
        base_model=known,
        base_model_relation=relation if known else None,
    )


@dataclass(frozen=True)
class HeldOut:
    """Scores on rows that training never saw: what the rows are called, and which part of them it was."""

    task: str
    source: str
    split: str
    micro_f1: float
    macro_f1: float

    def add_to(self, data: ModelCardData) -> None:
        """Write them into a card's header, as the Hub's `model-index`."""
        data.metrics = data.metrics or ["f1"]
        data.model_name = data.model_name or f"trialtune {self.task}"
        data.eval_results = [
            EvalResult(
                task_type="text-classification",
                task_name=self.task,
                dataset_type=Path(self.source).stem,  # the Hub wants an id; rows of a file have its name
                dataset_name=self.source,
                dataset_split=self.split,
                metric_type="f1",
                metric_name=f"{average}-F1",
                metric_args={"average": average},
                metric_value=value,
            )
            for average, value in (("micro", self.micro_f1), ("macro", self.macro_f1))
        ]


def write_exported_card(
    card: Path,
    folder: Path,
    report: Mapping[str, Any],
    *,
    origin: str | None = None,
    scores: HeldOut | None = None,
) -> None:
    """Write `folder/README.md`: the original's `card`, how to open this format, and the content of `report`.

    `origin` is the original's id on the Hub. The header keeps the original's scores, but in 8 bits it is
    another model: there, and where the original has none, it has the `scores` of the new folder, if any.

    Raises DataError when the card, which its owner may have edited, cannot be read.
    """
    try:
        written = ModelCard.load(card)
    except (ValueError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{card}: its metadata cannot be read ({reason}); fix or remove it") from error
    parity, data = report["parity"], written.data
    if report["format"] != "safetensors":
        data.library_name = "onnx"
        written.text = written.text.replace(_PIPELINE, _SESSION)
    left_out = report["format"] == "onnx-int8" and bool(data.eval_results)
    if report["format"] == "onnx-int8":
        data.eval_results = None
        if origin:
            data.base_model, data["base_model_relation"] = origin, "quantized"
    if scores and not data.eval_results:
        scores.add_to(data)
    mean, most = (parity[f"{which}_probability_difference"] for which in ("mean", "max"))
    summary = (
        f"Written as {report['format']} by `trialtune export`. Against the original in fp32 on"
        f" {parity['texts']:,} texts: {parity['same_labels']:.1%} have identical labels; probabilities"
        f" differ by {mean:.4f} on average and {most:.3f} at most."
    )
    if parity["before"]:
        was, now = (parity[when]["micro_f1"] for when in ("before", "after"))
        summary += f" Micro-F1 there: {was:.3f} before, {now:.3f} after."
    if left_out:
        summary += (
            " The original's scores do not apply to this format and were left out of the card's header."
        )
    written.text = f"{written.text.rstrip()}\n\n## Export\n\n{summary}\n"
    _save(written, folder)


def _save(card: ModelCard, folder: Path) -> None:
    with atomic_file(folder / CARD_FILE) as path:
        card.save(path)
