"""Out-of-fold probabilities for every labelled row."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.prediction import PREDICTION_SCHEMA, probabilities_of, scored_frame
from trialtune.dataset.extra_texts import ExtraTexts
from trialtune.dataset.holdout import draw_evenly
from trialtune.dataset.label_arrays import multi_hot
from trialtune.dataset.seen import check_unseen
from trialtune.dataset.splits import k_folds
from trialtune.evaluation.label_noise import suspects
from trialtune.evaluation.metrics import score
from trialtune.evaluation.training_result import CrossValidation, Suspects
from trialtune.files import atomic_file, fingerprint, folder_digest
from trialtune.stages.finetune import finetune
from trialtune.stages.settings import FinetuneSettings
from trialtune.tasks.task import Task

if TYPE_CHECKING:
    from trialtune.models.encoders import Encoder
    from trialtune.training.loop import Progress


def cross_validate(
    task: Task,
    examples: pl.DataFrame,
    encoder: "Encoder | Path | str",
    out: Path | str,
    *,
    settings: FinetuneSettings | None = None,
    folds: int = 5,
    adapter: Path | str | None = None,
    outliers: Sequence[str] = (),
    max_train: int | None = None,
    report: "Callable[[Progress], None] | None" = None,
) -> CrossValidation:
    """Score every labelled row by a classifier trained without it.

    Writes `out/out_of_fold.parquet`, the rows in the form of `scored_frame` with `fold`, and
    `out/suspects.parquet`, their doubtful labels. Rows of one trial or wording share a fold (`k_folds`).
    Each fold's classifier is deleted once it has scored its fold; a killed run resumes at the first fold
    that is not scored.

    Args:
        task: See `load_task`.
        examples: Rows of `nct_id`, `text`, `labels`.
        encoder: A folder, a Hub id, or a bundled one such as "embedded:minilm-l6".
        out: The folder to write.
        settings: How each classifier is trained.
        folds: Number of folds.
        adapter: An adapter folder or its Hub id, merged in first.
        outliers: Texts that no label fits, added to every fold's training rows.
        max_train: Maximum number of rows, sampled evenly over the labels.
        report: Called with the progress after each step.

    Returns:
        The scores over all rows, and how many labels are doubtful.

    Raises:
        DataError: There are fewer groups of similar rows than folds, or the encoder cannot be used.

    Examples:
        >>> from trialtune import cross_validate, load_task
        >>> scores = cross_validate(load_task("stop-reasons"), examples, encoder, out, folds=2, settings=fast)
        >>> scores.n == len(examples)
        True
    """
    out, settings = Path(out), settings or FinetuneSettings()
    extra = ExtraTexts(outliers=tuple(outliers))
    inputs: list[object] = [str(getattr(encoder, "name", encoder))]
    if settings.trains_weights or adapter:
        encoder, adapter, inputs = _opened(examples, encoder, adapter)
    if max_train:
        examples = draw_evenly(examples, max_train, seed=settings.seed)
    key = fingerprint(
        settings,
        folds,
        task.describe(),
        inputs,
        examples.write_ndjson(),
        extra.outliers,
    )[:16]
    scored = []
    for number, (train, test) in enumerate(
        k_folds(examples, folds=folds, seed=settings.seed, kind=task.kind), start=1
    ):
        done = out / "folds" / f"{key}-{number}.parquet"
        if not done.is_file():
            folder = out / "folds" / f"{key}-{number}"
            finetune(
                task, train, encoder, folder, settings=settings, adapter=adapter, extra=extra, report=report
            )
            classifier = Classifier.from_pretrained(folder)
            decided = classifier.decide(test["text"].to_list())
            with atomic_file(done) as path:
                numbered = test.with_columns(pl.lit(number, dtype=pl.Int8).alias("fold"))
                scored_frame(
                    numbered,
                    classifier.labels,
                    decided.labels,
                    decided.probabilities,
                    needs_review=decided.needs_review,
                    system=classifier.fingerprint,
                ).write_parquet(path)
            shutil.rmtree(folder)
        scored.append(pl.read_parquet(done))
    rows = pl.concat(scored)
    with atomic_file(out / "out_of_fold.parquet") as path:
        rows.write_parquet(path)
    return _summarize(task, rows, out)


def _opened(
    examples: pl.DataFrame, encoder: "Encoder | Path | str", adapter: Path | str | None
) -> "tuple[Encoder, Path | None, list[object]]":
    """Encoder and adapter, with their keys; raises DataError when the encoder has seen the rows."""
    from trialtune.models.adapters import find_adapter  # noqa: PLC0415 - PyTorch takes seconds
    from trialtune.models.encoders import Encoder  # noqa: PLC0415

    opened, found = Encoder.open(encoder), find_adapter(adapter) if adapter else None
    check_unseen(examples, opened.folder, name=opened.name)
    return opened, found, [opened.digest, folder_digest(found) if found else None]


def _summarize(task: Task, rows: pl.DataFrame, out: Path) -> CrossValidation:
    labels = list(task.labels)
    probabilities = probabilities_of(rows)
    given = rows.drop(name for name in PREDICTION_SCHEMA if name not in ("nct_id", "text"))
    found = suspects(given.rename({"gold": "labels"}), probabilities, labels)
    with atomic_file(out / "suspects.parquet") as path:
        found.write_parquet(path)
    counts = found.group_by("doubted", "given").len()
    gold, predicted = multi_hot(rows["gold"], labels), multi_hot(rows["labels"], labels)
    metrics = score(gold, predicted, labels, kind=task.kind, probabilities=probabilities)
    return CrossValidation(
        **dict(metrics),
        suspects=len(found),
        suspects_per_class={
            label: Suspects(
                given=int(counts.filter(doubted=label, given=True)["len"].sum()),
                missing=int(counts.filter(doubted=label, given=False)["len"].sum()),
            )
            for label in labels
        },
    )
