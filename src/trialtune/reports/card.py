"""The model card of a classifier folder: its README.md, as shown on the Hugging Face Hub."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCard, ModelCardData

from trialtune.classifier.folder import CARD_FILE, TRAINING_FILE, WEIGHTS_FILE, ClassifierFolder
from trialtune.errors import DataError
from trialtune.evaluation.comparison import ComparisonResult
from trialtune.files import atomic_file, read_json
from trialtune.models.hub import is_repository
from trialtune.reports.pages import PAGES
from trialtune.reports.tables import to_markdown
from trialtune.training.cross_fit import RARE

_TEMPLATES = PAGES.overlay(autoescape=False, trim_blocks=False, lstrip_blocks=False)
# How to open a folder without trialtune; an export in another format has another line.
_PIPELINE = 'pipeline("text-classification", model=FOLDER, top_k=None)("a text")  # bare scores, in Python'
_SESSION = 'onnxruntime.InferenceSession("FOLDER/model.onnx")   # input_ids, attention_mask -> logits'


def write_card(
    folder: Path, *, comparison: ComparisonResult | None = None, system: str = "", seed: int = 0
) -> None:
    """Write the README.md of a classifier folder, with its test scores from a `comparison`, if any."""
    task, described = ClassifierFolder.open(folder).task, read_json(folder / TRAINING_FILE)
    encoder, graph = described["encoder"], not (folder / WEIGHTS_FILE).is_file()
    # Scores are in the text: the Hub's own format for them needs the id of a data set on the Hub.
    data = ModelCardData(
        library_name="onnx" if graph else "transformers",
        pipeline_tag="text-classification",
        tags=["clinical-trials", "trialtune"],
        base_model=encoder if is_repository(encoder) else None,
    )
    text = _TEMPLATES.get_template("card.md").render(
        task=task.name,
        kind=task.kind,
        labels=task.labels,
        described=described,
        graph=graph,
        opened=_SESSION if graph else _PIPELINE,
        rare=RARE,
        comparison=comparison,
        tables=to_markdown(comparison) if comparison else "",
        system=system,
        seed=seed,
    )
    _save(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}"), folder)


def write_exported_card(card: Path, folder: Path, report: Mapping[str, Any]) -> None:
    """Write `folder/README.md`: the original's `card`, how to open this format, and the content of `report`.

    Raises DataError when the card, which its owner may have edited, cannot be read.
    """
    try:
        written = ModelCard.load(card)
    except (ValueError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{card}: its metadata cannot be read ({reason}); fix or remove it") from error
    if report["format"] != "safetensors":
        written.data.library_name = "onnx"
        written.text = written.text.replace(_PIPELINE, _SESSION)
    parity = report["parity"]
    mean, most = (parity[f"{which}_probability_difference"] for which in ("mean", "max"))
    summary = (
        f"Written as {report['format']} by `trialtune export`. Against the original in fp32 on"
        f" {parity['texts']:,} texts: {parity['same_labels']:.1%} have identical labels; probabilities"
        f" differ by {mean:.4f} on average and {most:.3f} at most."
    )
    if parity["before"]:
        was, now = (parity[when]["micro_f1"] for when in ("before", "after"))
        summary += f" Micro-F1 there: {was:.3f} before, {now:.3f} after."
    written.text = f"{written.text.rstrip()}\n\n## Export\n\n{summary}\n"
    _save(written, folder)


def _save(card: ModelCard, folder: Path) -> None:
    with atomic_file(folder / CARD_FILE) as path:
        card.save(path)
