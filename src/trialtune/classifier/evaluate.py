"""A classifier scored on labelled rows that it has not seen."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from trialtune.classifier.classifier import Classifier
from trialtune.dataset.label_arrays import multi_hot, with_answers
from trialtune.dataset.seen import drop_seen, near_seen
from trialtune.errors import DataError
from trialtune.evaluation.metrics import review_scores, score

_SHOWN = 5


def evaluate(
    classifier: Classifier,
    examples: pl.DataFrame,
    *,
    drop_overlap: bool = False,
    progress: Callable[[int], None] | None = None,
) -> tuple[dict[str, Any], pl.DataFrame]:
    """Score a classifier on rows of `nct_id`, `text`, `labels`, as `load_examples` gives them.

    Returns the metrics, and the rows with `predicted`, `probabilities` (calibrated) and
    `needs_review` columns. `near_duplicates` counts the rows that are nearly a training row (null
    when the folder does not say); `without_near_duplicates` has the scores on the others.
    Raises DataError when rows were seen in training, unless `drop_overlap` leaves those out.
    """
    folder = classifier.folder
    unseen, seen = drop_seen(examples, folder)
    if len(seen) and not drop_overlap:
        shown = "; ".join(f"{row['nct_id']} {row['text'][:60]!r}" for row in seen.head(_SHOWN).to_dicts())
        raise DataError(
            f"{len(seen)} of {len(examples)} rows were seen in training {folder}, by id or text: {shown}. "
            "Scores on them would mean nothing: take them out, or use --drop-overlap"
        )
    if unseen.is_empty():
        raise DataError(f"no row is left to score: {folder} has seen all {len(examples)} in training")
    labels, kind = classifier.labels, classifier.task.kind
    decided = classifier.decide(unseen["text"].to_list(), progress=progress)
    gold = multi_hot(unseen["labels"], labels)
    metrics = score(gold, decided.labels, labels, kind=kind, probabilities=decided.probabilities)
    metrics["review"] = review_scores(gold, decided.labels, decided.needs_review)
    metrics |= _near_duplicates(classifier, unseen, gold, decided.labels)
    rows = with_answers(unseen, labels, decided.labels, decided.probabilities)
    rows = rows.with_columns(pl.Series("needs_review", decided.needs_review))
    return {"task": classifier.task.name, **metrics, "overlap_dropped": len(seen)}, rows


def _near_duplicates(
    classifier: Classifier, rows: pl.DataFrame, gold: np.ndarray, predicted: np.ndarray
) -> dict[str, Any]:
    near = near_seen(rows, classifier.folder)
    counted: dict[str, Any] = {"near_duplicates": None if near is None else int(near.sum())}
    if near is not None and near.any() and gold[~near].any():
        others = score(gold[~near], predicted[~near], classifier.labels, kind=classifier.task.kind)
        counted["without_near_duplicates"] = {name: others[name] for name in ("n", "micro_f1", "macro_f1")}
    return counted
