"""A prediction, and the table of predictions that every command writes."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from trialtune.classifier.evidence import Evidence
from trialtune.dataset.label_arrays import label_lists
from trialtune.evaluation.decision import Decided

if TYPE_CHECKING:
    import polars as pl

#: What each column of predictions holds, in order.
PREDICTION_COLUMNS = {
    "nct_id": "The trial's number in the registry; null where it is not known.",
    "text": "The text as the classifier read it. Where the record has none, all but the number and the"
    " classifier is null.",
    "labels": "The names of the labels that were given, in the task's order.",
    "probabilities": "The calibrated probability of each label, 0 to 1, to six decimals.",
    "needs_review": "Whether the classifier is unsure of the row.",
    "classifier": "The fingerprint of the classifier that gave the labels.",
    "text_hash": "16 hex digits of the SHA-256 of the text: equal for equal texts.",
}
#: Their names: `predict`, `apply` and `evaluate` write these columns, `serve` returns them.
PREDICTION_SCHEMA = tuple(PREDICTION_COLUMNS)
#: An optional column: list of structs, one per label, with the fields of `Evidence`.
EVIDENCE = "evidence"
EVIDENCE_FIELDS = {
    "label": "A label that was given.",
    "text": "The words behind it.",
    "start": "Where they begin in the text, in characters.",
    "end": "Where they end, exclusive.",
}
DIGITS = 6  # further digits depend on the batch


@dataclass(frozen=True, slots=True)
class Prediction:
    """A classifier's prediction for one text; all fields are None where there is no text.

    `labels` are in task order, `probabilities` (label -> 0 to 1) are calibrated, and
    `needs_review` marks an uncertain prediction. `evidence`, which is None unless requested,
    has the words behind each label.
    """

    labels: tuple[str, ...] | None
    probabilities: dict[str, float] | None
    needs_review: bool | None
    evidence: tuple[Evidence, ...] | None = None

    @classmethod
    def all_of(
        cls,
        decided: Decided,
        labels: Sequence[str],
        evidence: Sequence[tuple[Evidence, ...]] | None = None,
    ) -> "list[Prediction]":
        """The predictions of a batch, one a row."""
        return [
            cls(
                tuple(label for label, given in zip(labels, row, strict=True) if given),
                dict(zip(labels, stated, strict=True)),
                review,
                words,
            )
            for row, stated, review, words in zip(
                decided.labels.tolist(),
                decided.probabilities.astype(float).round(DIGITS).tolist(),
                decided.needs_review.tolist(),
                evidence if evidence is not None else repeat(None, len(decided.labels)),
                strict=True,
            )
        ]


NO_TEXT = Prediction(None, None, None)


def text_hash(text: str) -> str:
    """16 hex digits of the SHA-256 of a text as the classifier's input.

    Not of its normalized wording: a cased encoder may label two spellings differently, and which of
    them came first in a snapshot must not matter.
    """
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def prediction_schema(labels: Sequence[str]) -> "dict[str, pl.DataType]":
    """`PREDICTION_SCHEMA` with its Polars types."""
    import polars as pl  # noqa: PLC0415 - labelling one text starts without it

    types: dict[str, Any] = {
        **dict.fromkeys(PREDICTION_SCHEMA, pl.String()),
        "labels": pl.List(pl.String()),
        "probabilities": pl.Struct({label: pl.Float32() for label in labels}),
        "needs_review": pl.Boolean(),
    }
    return types


def prediction_frame(
    predictions: Sequence[Prediction],
    *,
    nct_ids: Sequence[str | None],
    texts: Sequence[str | None],
    labels: Sequence[str],
    classifier: str,
    evidence: bool = False,
) -> "pl.DataFrame":
    """Predictions as a table of `PREDICTION_SCHEMA`, and `EVIDENCE` if requested, one row each, in order."""
    import polars as pl  # noqa: PLC0415

    columns: dict[str, Any] = {
        "nct_id": nct_ids,
        "text": texts,
        "labels": [one.labels for one in predictions],
        "probabilities": [one.probabilities for one in predictions],
        "needs_review": [one.needs_review for one in predictions],
        "classifier": [classifier] * len(predictions),
        "text_hash": [text if text is None else text_hash(text) for text in texts],
    }
    types = prediction_schema(labels)
    if evidence:
        words = {"label": pl.String(), "text": pl.String(), "start": pl.Int32(), "end": pl.Int32()}
        types[EVIDENCE] = pl.List(pl.Struct(words))
        columns[EVIDENCE] = [
            one.evidence and [asdict(words) for words in one.evidence] for one in predictions
        ]
    return pl.DataFrame(columns, schema=types)


def scored_frame(
    rows: "pl.DataFrame",
    labels: Sequence[str],
    predicted: np.ndarray,
    probabilities: np.ndarray | None = None,
    *,
    needs_review: np.ndarray | None = None,
    system: str | None = None,
) -> "pl.DataFrame":
    """Labelled rows (`text`, `labels`) with a system's predictions: `PREDICTION_SCHEMA`, `gold`, the others.

    `predicted` comes as truth values and `probabilities` as numbers, both [rows, labels]; `system` is a
    classifier's fingerprint, or the name of another system. `labels` are then the predictions, and
    `gold` the labels that the rows came with.
    """
    import polars as pl  # noqa: PLC0415

    stated = pl.Series([None] * len(rows), dtype=pl.Null)
    if probabilities is not None:
        columns = np.asarray(probabilities, dtype=float).round(DIGITS).T
        stated = pl.DataFrame(dict(zip(labels, columns, strict=True))).to_struct("probabilities")
    answers = {
        "nct_id": rows["nct_id"] if "nct_id" in rows.columns else [None] * len(rows),
        "text": rows["text"],
        "labels": label_lists(predicted, labels),
        "probabilities": stated,
        "needs_review": [None] * len(rows) if needs_review is None else needs_review,
        "classifier": [system] * len(rows),
        "text_hash": [text_hash(text) for text in rows["text"]],
    }
    types = prediction_schema(labels)
    cast = [pl.Series(name, values).cast(types[name]) for name, values in answers.items()]
    return pl.DataFrame([*cast, rows["labels"].alias("gold")]).hstack(rows.drop(*answers, strict=False))


def probabilities_of(rows: "pl.DataFrame") -> np.ndarray:
    """The probabilities of predictions as numbers [rows, labels]."""
    array: np.ndarray = rows["probabilities"].struct.unnest().to_numpy()
    return array
