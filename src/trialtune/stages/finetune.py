"""Train a classifier on labelled rows, by the method that suits them, and tune its decisions."""

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
    what the method was chosen by), `seen.parquet`, the hashes of every text and the ids of every trial it,
    its encoder or a teacher has seen, so that it is never scored on them, and `README.md`, its model card.
    `Classifier.from_pretrained` opens it. By the methods "full" and "lora" the classifier is a plain
    `transformers` one, by the others an ONNX graph.

    Args:
        task: See `load_task`.
        examples: Rows of `nct_id`, `text`, `labels`.
        encoder: A folder, a Hub id, or a bundled one such as "embedded:minilm-l6".
        out: The folder to write.
        settings: See `FinetuneSettings`; what adapters, teachers, extra texts and calibration rows are given
            for is "full" or "lora", and "auto" then means "full".
        adapter: An adapter folder or its Hub id, merged in first.
        teachers: Classifier folders of the same task, or Parquet files that `predict` or `cross_validate`
            wrote with them; the targets are then a mixture of the labels and of the mean of their
            probabilities (distillation: Hinton et al., 2015, arXiv:1503.02531).
        extra: Texts without labels to train on, too. Those that say what a calibration row says make the
            classifier look better there than it is: give `calibration` rows that they do not.
        calibration: Rows like `examples` that tune the decision, instead of a share of them.
        max_train: Train on so many rows at most, drawn evenly over the labels (see `draw_evenly`).
        report: Takes the progress after each step.

    Returns:
        What `out/training.json` holds.

    Raises:
        DataError: Calibration rows are among the examples or the extra texts, the rows are too few to be
            divided, a teacher has other labels, or none answers a text that has no label.
        UsageError: The encoder reads fewer tokens than asked for, the method cannot use what is given, or
            `out` holds other things.

    Example:
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
        told = f"{', '.join(wanting)}: only weights that are trained can use them"
        if settings.method != "auto":
            raise UsageError(f"{told}; give --method full or lora")
        log.warning("%s: method full", told)
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
