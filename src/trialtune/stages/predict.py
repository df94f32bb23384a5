"""Label the rows of a table with a classifier folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from trialtune.classifier.classifier import open_classifier, task_of
from trialtune.dataset.columns import prepared, task_texts
from trialtune.dataset.label_arrays import label_lists


def predict(
    folder: Path, rows: pl.DataFrame, *, progress: Callable[[int], None] | None = None
) -> pl.DataFrame:
    """`nct_id` (where known), `text`, `labels`, `needs_review`, a calibrated probability for each label.

    A row a row, in order; one without text keeps its place, with nulls.
    """
    predictor, decision, _ = open_classifier(folder)
    rows = prepared(rows)
    texts = [text or "" for text in task_texts(task_of(folder), rows)]
    there = [index for index, text in enumerate(texts) if text.strip()]
    decided = decision.apply(predictor.probabilities([texts[index] for index in there], progress=progress))
    probabilities = np.full((len(texts), len(predictor.labels)), np.nan, dtype=np.float32)
    probabilities[there] = decided.probabilities
    labels: list[list[str] | None] = [None] * len(texts)
    needs_review: list[bool | None] = [None] * len(texts)
    names = label_lists(decided.labels, predictor.labels)
    for index, chosen, doubtful in zip(there, names, decided.needs_review.tolist(), strict=True):
        labels[index], needs_review[index] = chosen, doubtful
    columns = {
        **({"nct_id": rows["nct_id"]} if "nct_id" in rows.columns else {}),
        "text": pl.Series(texts, dtype=pl.String),
        "labels": pl.Series(labels, dtype=pl.List(pl.String)),
        "needs_review": pl.Series(needs_review, dtype=pl.Boolean),
        **{
            label: pl.Series(probabilities[:, index]).fill_nan(None)
            for index, label in enumerate(predictor.labels)
        },
    }
    return pl.DataFrame(columns)
