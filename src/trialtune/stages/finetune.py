"""Trains a classifier on labelled rows, by a chosen method, and tunes its decision rule."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from trialtune.dataset.extra_texts import ExtraTexts
from trialtune.dataset.holdout import draw_evenly
from trialtune.errors import UsageError
from trialtune.evaluation.training_result import TrainingResult
from trialtune.files import check_replaceable
from trialtune.stages.few_labels import finetune_linear
from trialtune.stages.settings import FinetuneSettings
from trialtune.tasks.task import Task

if TYPE_CHECKING:
    from trialtune.models.encoders import Encoder
    from trialtune.training.loop import Progress

log = logging.getLogger(__name__)


def finetune(
    task: Task,
    examples: pl.DataFrame,
    encoder: "Encoder | Path | str",
    out: Path | str,
    *,
    settings: FinetuneSettings | None = None,
    adapter: Path | str | None = None,
    teachers: Sequence[Path] = (),
    extra: ExtraTexts | None = None,
    calibration: pl.DataFrame | None = None,
    max_train: int | None = None,
    report: "Callable[[Progress], None] | None" = None,
) -> TrainingResult:
    """Train a classifier on labelled rows, and write its folder.

    The folder holds a classifier, `decision.json` (thresholds), `training.json` (settings, scores, and
    the choice of the method), `seen.parquet`, the hashes of every text and the ids of every trial it,
    its encoder or a teacher has seen, so that it is never scored on them, and `README.md`, its model card.
    `Classifier.from_pretrained` opens it. With the methods "full" and "lora" the classifier is a plain
    `transformers` one, with the others an ONNX graph.

    Args:
        task: See `load_task`.
        examples: Rows of `nct_id`, `text`, `labels`.
        encoder: A folder, a Hub id, or a bundled one such as "embedded:minilm-l6".
        out: The folder to write.
        settings: See `FinetuneSettings`; adapters, teachers, extra texts and calibration rows need the method
            "full" or "lora", and with them "auto" means "full".
        adapter: An adapter folder or its Hub id, merged in first.
        teachers: Classifier folders of the same task, or Parquet files that `predict` or `cross_validate`
            wrote with them; the targets are then a mixture of the labels and of the mean of their
            probabilities (distillation: Hinton et al., 2015, arXiv:1503.02531).
        extra: Additional training texts without labels. Those with the content of a calibration row make the
            classifier's scores there too high: give other `calibration` rows.
        calibration: Rows like `examples` that tune the decision, instead of a share of them.
        max_train: Maximum number of training rows, sampled evenly over the labels (see `draw_evenly`).
        report: Called with the progress after each step.

    Returns:
        The content of `out/training.json`.

    Raises:
        DataError: Calibration rows are among the examples or the extra texts, the rows are too few to be
            split, a teacher has other labels, or none has predictions for a text without labels.
        UsageError: The encoder has fewer positions than requested, the method cannot use an argument, or
            `out` holds other files.

    Examples:
        >>> from trialtune import Classifier, finetune, load_task
        >>> result = finetune(load_task("stop-reasons"), examples, encoder, out, settings=fast)
        >>> Classifier.from_pretrained(out).task.name
        'stop-reasons'
    """
    out, settings = Path(out), settings or FinetuneSettings()
    check_replaceable(out)
    if max_train:
        examples = draw_evenly(examples, max_train, seed=settings.seed)
    given = {"adapter": adapter, "teachers": teachers, "extra texts": extra, "calibration rows": calibration}
    wanting = [name for name, value in given.items() if _there(value)]
    if wanting and not settings.trains_weights:
        reason = f"{', '.join(wanting)}: only methods that train weights can use them"
        if settings.method != "auto":
            raise UsageError(f"{reason}; give --method full or lora")
        log.warning("%s: method full", reason)
        settings = settings.of_weights()

    if not settings.trains_weights:
        return finetune_linear(task, examples, encoder, out, settings=settings, report=report)
    from trialtune.stages.weights import train_weights  # noqa: PLC0415 - PyTorch takes seconds

    return train_weights(
        task,
        examples,
        encoder,
        out,
        settings=settings,
        adapter=adapter,
        teachers=teachers,
        extra=extra,
        calibration=calibration,
        report=report,
    )


def _there(value: object) -> bool:
    if isinstance(value, ExtraTexts):
        return bool(value.unlabelled or value.outliers)
    return value is not None and not (isinstance(value, Sequence) and not value)
