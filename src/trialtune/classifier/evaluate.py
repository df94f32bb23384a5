"""Scores a classifier on labelled rows that it has not seen in training."""

import logging
from collections.abc import Callable

import numpy as np
import polars as pl

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.prediction import scored_frame
from trialtune.dataset.label_arrays import multi_hot
from trialtune.dataset.seen import drop_seen, near_seen, seen_by_foundation
from trialtune.errors import DataError
from trialtune.evaluation.metrics import Evaluation, FewMetrics, review_scores, score

log = logging.getLogger(__name__)
_SHOWN = 5


def evaluate(
    classifier: Classifier,
    examples: pl.DataFrame,
    *,
    drop_overlap: bool = False,
    progress: Callable[[int], None] | None = None,
) -> tuple[Evaluation, pl.DataFrame]:
    """Score a classifier on rows of `nct_id`, `text`, `labels`, as `load_examples` returns them.

    Returns the metrics, and the rows as `scored_frame` has them. Raises DataError when rows were seen in
    training, unless `drop_overlap` leaves those out.
    """
    folder = classifier.folder
    unseen, seen = drop_seen(examples, folder)
    if len(seen) and not drop_overlap:
        shown = "; ".join(f"{row['nct_id']} {row['text'][:60]!r}" for row in seen.head(_SHOWN).to_dicts())
        raise DataError(
            f"{len(seen)} of {len(examples)} rows were seen in training {folder}, by id or text: {shown}. "
            "Scores on them would be meaningless: remove them, or use --drop-overlap"
        )
    if unseen.is_empty():
        raise DataError(f"no row is left to score: {folder} was trained on all {len(examples)}")
    labels, kind = classifier.labels, classifier.task.kind
    decided = classifier.decide(unseen["text"].to_list(), progress=progress)
    gold = multi_hot(unseen["labels"], labels)
    metrics = score(gold, decided.labels, labels, kind=kind, probabilities=decided.probabilities)
    near, others = _near_duplicates(classifier, unseen, gold, decided.labels)
    known = seen_by_foundation(unseen, folder)
    if known:
        log.warning(
            "%d of the %d rows were seen in training by the classifier that %s is built on, with other"
            " labels: scores on them are probably higher than on new rows; score newer trials to be sure",
            known,
            len(unseen),
            folder,
        )
    evaluation = Evaluation(
        **dict(metrics),
        task=classifier.task.name,
        review=review_scores(gold, decided.labels, decided.needs_review),
        near_duplicates=near,
        without_near_duplicates=others,
        overlap_dropped=len(seen),
        seen_by_foundation=known,
    )
    rows = scored_frame(
        unseen,
        labels,
        decided.labels,
        decided.probabilities,
        needs_review=decided.needs_review,
        system=classifier.fingerprint,
    )
    return evaluation, rows


def _near_duplicates(
    classifier: Classifier, rows: pl.DataFrame, gold: np.ndarray, predicted: np.ndarray
) -> tuple[int | None, FewMetrics | None]:
    """How many rows are near-duplicates of a training row, and the scores on the others."""
    near = near_seen(rows, classifier.folder)
    if near is None:
        return None, None
    if not near.any() or not gold[~near].any():
        return int(near.sum()), None
    others = score(gold[~near], predicted[~near], classifier.labels, kind=classifier.task.kind)
    return int(near.sum()), FewMetrics(n=others.n, micro_f1=others.micro_f1, macro_f1=others.macro_f1)
