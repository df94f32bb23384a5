"""Exports a classifier to other formats, and checks that its predictions are preserved."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from trialtune import __version__
from trialtune.classifier.classifier import Classifier
from trialtune.classifier.folder import CARD_FILE, GRAPH_FILE, TRAINING_FILE, ClassifierFolder
from trialtune.classifier.named import open_folder
from trialtune.classifier.onnx_backend import seal
from trialtune.dataset.label_arrays import multi_hot
from trialtune.dataset.seen import FOUNDATION_FILE, SEEN_FILE, drop_seen
from trialtune.errors import DataError, UsageError
from trialtune.evaluation.decision import DECISION_FILE, Decided
from trialtune.evaluation.metrics import score
from trialtune.files import atomic_folder, check_replaceable, write_json
from trialtune.models.hub import is_repository
from trialtune.models.onnx_export import write_graph
from trialtune.models.sequence_classifier import load_classifier
from trialtune.reports.card import HeldOut, write_exported_card
from trialtune.tasks.task import TASK_FILE

FORMATS = ("safetensors", "onnx", "onnx-int8")
MOST_LOST = 0.005  # micro-F1 that int8 may cost
_MOST_OFF = 1e-3  # allowed difference in probability of an fp32 graph: more means that tracing failed
_BESIDE = (DECISION_FILE, TASK_FILE, TRAINING_FILE, SEEN_FILE, FOUNDATION_FILE)


@dataclass(frozen=True)
class _Answers:
    """A classifier's predictions for some texts, and their labels, when known."""

    labels: tuple[str, ...]
    kind: str
    decided: Decided
    gold: np.ndarray | None

    def scores(self) -> dict[str, float]:
        assert self.gold is not None
        found = score(self.gold, self.decided.labels, self.labels, kind=self.kind)
        return {"micro_f1": found.micro_f1, "macro_f1": found.macro_f1, "accuracy": found.accuracy}


def export(
    classifier: Path | str,
    out: Path,
    *,
    form: str,
    examples: pl.DataFrame | None = None,
    source: str = "held-out rows",
    force: bool = False,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Write `classifier` to the folder `out` in one of `FORMATS`; returns the content of `out/export.json`.

    The folder is a classifier folder, usable in every command. `safetensors` opens in `transformers`,
    `model.onnx` (see `write_graph`, `quantize`) in onnxruntime. The predictions of the new folder are
    compared with those of `classifier` in fp32 on `examples` (`text`, `labels`; rows seen in
    training are left out), which the model card calls `source`, else on the definitions of the labels.

    Raises DataError, and writes nothing, when int8 loses more than 0.005 micro-F1 or fp32 predictions
    differ, unless with `force`; UsageError for int8 without `examples`, unless with `force`.
    """
    if form not in FORMATS:
        raise UsageError(f"--format {form}: choose one of {', '.join(FORMATS)}")
    if form != "safetensors" and not find_spec("onnx"):
        raise UsageError(f"--format {form} needs onnx: pip install 'trialtune[train]'")
    if form == "onnx-int8" and examples is None and not force:
        raise UsageError("int8 is checked on labelled rows: give --data FILE, or --force to skip the check")
    opened = open_folder(classifier)
    check_replaceable(out, inputs=[opened.path])
    texts, gold, seen = _texts(opened, examples)
    with atomic_folder(out) as folder:
        _write(opened.path, folder, form)
        before, after = (_answers(part, texts, gold, progress) for part in (opened.path, folder))
        report = {
            "version": __version__,
            "format": form,
            "classifier": {
                "name": opened.path.resolve().name,
                "fingerprint": opened.fingerprint,
            },
            "megabytes": round(sum(file.stat().st_size for file in folder.glob("model.*")) / 1e6, 1),
            "parity": {"texts": len(texts), "seen_left_out": seen, **_compare(before, after)},
        }
        _check(report, force)
        write_json(folder / "export.json", report)
        if (card := opened.path / CARD_FILE).is_file():
            write_exported_card(
                card, folder, report, origin=_on_hub(classifier), scores=_held_out(opened, report, source)
            )
    return report


def _on_hub(classifier: Path | str) -> str | None:
    return str(classifier) if is_repository(str(classifier)) else None


def _held_out(classifier: ClassifierFolder, report: Mapping[str, Any], source: str) -> HeldOut | None:
    if not (found := report["parity"]["after"]):
        return None
    return HeldOut(classifier.task.name, source, "held-out", found["micro_f1"], found["macro_f1"])


def _texts(
    classifier: ClassifierFolder, examples: pl.DataFrame | None
) -> tuple[list[str], pl.Series | None, int]:
    if examples is None:
        definitions = [f"{label}: {text}" for label, text in classifier.task.labels.items()]
        # Includes a long text, of several windows.
        return [*classifier.task.labels, *definitions, " ".join(definitions)], None, 0
    unseen, seen = drop_seen(examples, classifier.path)
    if unseen.is_empty():
        raise DataError(f"{classifier.path} was trained on all {len(examples)} rows; give others with --data")
    return unseen["text"].to_list(), unseen["labels"], len(seen)


def _write(classifier: Path, folder: Path, form: str) -> None:
    model, tokenizer = load_classifier(classifier)
    for name in _BESIDE:
        if (classifier / name).is_file():
            shutil.copyfile(classifier / name, folder / name)
    if form == "safetensors":
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return
    model.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if form == "onnx":
        write_graph(model, folder / GRAPH_FILE)
    else:
        from trialtune.models.onnx_int8 import quantize  # noqa: PLC0415 - needs an extra

        with tempfile.TemporaryDirectory(dir=folder) as aside:
            write_graph(model, Path(aside) / GRAPH_FILE)
            quantize(Path(aside) / GRAPH_FILE, folder / GRAPH_FILE)
    seal(folder / GRAPH_FILE)


def _answers(
    folder: Path, texts: list[str], labels: pl.Series | None, progress: Callable[[int], None] | None
) -> _Answers:
    classifier = Classifier.from_pretrained(folder, precision="fp32")
    return _Answers(
        classifier.labels,
        classifier.task.kind,
        classifier.decide(texts, progress=progress),
        None if labels is None else multi_hot(labels, classifier.labels),
    )


def _compare(before: _Answers, after: _Answers) -> dict[str, Any]:
    off = np.abs(before.decided.probabilities - after.decided.probabilities)
    same = (before.decided.labels == after.decided.labels).all(axis=1)
    return {
        "max_probability_difference": float(off.max()),
        "mean_probability_difference": float(off.mean()),
        "same_labels": float(same.mean()),
        "before": None if before.gold is None else before.scores(),
        "after": None if after.gold is None else after.scores(),
    }


def _check(report: dict[str, Any], force: bool) -> None:
    found = report["parity"]
    if force:
        return
    if report["format"] != "onnx-int8":
        if found["max_probability_difference"] > _MOST_OFF:
            raise DataError(
                f"the graph's predictions differ from the model's: a probability by"
                f" {found['max_probability_difference']:.3f}; use --format safetensors (or --force)"
            )
        return
    was, now = (found[when]["micro_f1"] for when in ("before", "after"))
    if was - now > MOST_LOST:
        raise DataError(
            f"int8 loses {was - now:.4f} micro-F1 on {found['texts']:,} texts ({was:.4f} -> {now:.4f}), more"
            f" than {MOST_LOST}; use --format onnx (or --force)"
        )
