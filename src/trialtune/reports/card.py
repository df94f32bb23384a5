"""The model card of a classifier folder: its README.md, as the Hugging Face Hub shows it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trialtune.classifier.folder import CARD_FILE, TRAINING_FILE, ClassifierFolder
from trialtune.evaluation.comparison import ComparisonResult
from trialtune.files import atomic_file, read_json
from trialtune.reports.pages import PAGES
from trialtune.reports.tables import to_markdown

_TEMPLATES = PAGES.overlay(autoescape=False, trim_blocks=False, lstrip_blocks=False)


def write_card(
    folder: Path, *, comparison: ComparisonResult | None = None, system: str = "", seed: int = 0
) -> None:
    """Write the README.md of a classifier folder, with the test scores of a `comparison` it was part of."""
    task = ClassifierFolder.open(folder).task
    text = _TEMPLATES.get_template("card.md").render(
        task=task.name,
        kind=task.kind,
        labels=task.labels,
        described=read_json(folder / TRAINING_FILE),
        comparison=comparison,
        tables=to_markdown(comparison) if comparison else "",
        system=system,
        seed=seed,
    )
    with atomic_file(folder / CARD_FILE) as path:
        path.write_text(text, encoding="utf-8")


def write_exported_card(card: Path, folder: Path, report: Mapping[str, Any]) -> None:
    """Write `folder/README.md`: the original's `card`, how to open this form, and what `report` says."""
    lines = card.read_text(encoding="utf-8").rstrip().splitlines()
    if report["format"] != "safetensors":
        opened = 'onnxruntime.InferenceSession("FOLDER/model.onnx")   # input_ids, attention_mask -> logits'
        lines = [opened if line.startswith("pipeline(") else line for line in lines]
        lines = ["library_name: onnx" if line == "library_name: transformers" else line for line in lines]
    parity = report["parity"]
    mean, most = (parity[f"{which}_probability_difference"] for which in ("mean", "max"))
    told = (
        f"Written as {report['format']} by `trialtune export`. Against the original in fp32 on"
        f" {parity['texts']:,} texts: {parity['same_labels']:.1%} keep all their labels, probabilities"
        f" move by {mean:.4f} on average and {most:.3f} at most."
    )
    if parity["before"]:
        was, now = (parity[when]["micro_f1"] for when in ("before", "after"))
        told += f" Micro-F1 there: {was:.3f} before, {now:.3f} after."
    with atomic_file(folder / CARD_FILE) as path:
        path.write_text("\n".join([*lines, "", "## Export", "", told]) + "\n", encoding="utf-8")
