"""Teachers' predictions, as targets for distillation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.prediction import text_hash
from trialtune.dataset.tables import read_table
from trialtune.errors import DataError
from trialtune.files import folder_digest, sha256_of


@dataclass(frozen=True)
class Answers:
    """The mean of all teachers' calibrated probabilities [texts, labels]; NaN rows without a prediction."""

    probabilities: np.ndarray

    @classmethod
    def of(cls, teachers: Sequence[Path], texts: Sequence[str], labels: Sequence[str]) -> "Answers":
        """The predictions of classifier folders, and of files of predictions by `text_hash`.

        Raises DataError when a teacher has other labels.
        """
        total, count = np.zeros((len(texts), len(labels))), np.zeros((len(texts), 1))
        for teacher in teachers:
            answers = _file_answers if teacher.is_file() else _folder_answers
            found = answers(teacher, texts, labels)
            answered = ~np.isnan(found[:, :1])
            total += np.where(answered, found, 0)
            count += answered
        with np.errstate(invalid="ignore"):
            return cls(total / count)

    def mixed_into(self, hard: np.ndarray, alpha: float) -> np.ndarray:
        """The targets of the first texts, from their labels [rows, labels] and `alpha` of the predictions."""
        soft = self.probabilities[: len(hard)]
        return np.where(np.isnan(soft), hard, hard + alpha * (np.nan_to_num(soft) - hard))

    def of_unlabelled(self, first: int) -> np.ndarray:
        """The targets of the texts from `first` on, which have only these.

        Raises DataError when one of them has no prediction.
        """
        soft = self.probabilities[first:]
        if lacking := int(np.isnan(soft[:, 0]).sum()):
            raise DataError(
                f"{lacking:,} of {len(soft):,} texts without labels have no teacher's prediction; label them"
                " with `trialtune predict` and give the file as --teacher, or give the teacher's folder"
            )
        return soft


def digest(place: Path) -> object:
    """Identifies a teacher's predictions: the checksums of its files."""
    return [(place.name, sha256_of(place))] if place.is_file() else folder_digest(place)


def _folder_answers(teacher: Path, texts: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    classifier = Classifier.from_pretrained(teacher)
    _check_labels(teacher, classifier.labels, labels)
    return classifier.decide(texts).probabilities


def _file_answers(teacher: Path, texts: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    table = read_table(teacher)
    held = table.schema.get("probabilities")
    if "text_hash" not in table.columns or not isinstance(held, pl.Struct):
        raise DataError(
            f"{teacher}: a file of a teacher's predictions needs the columns text_hash and probabilities, as"
            " `trialtune predict --output FILE.parquet` writes them"
        )
    _check_labels(teacher, [field.name for field in held.fields], labels)
    known = table.drop_nulls(["text_hash", "probabilities"]).unique(
        "text_hash", keep="first", maintain_order=True
    )
    places = {name: place for place, name in enumerate(known["text_hash"])}
    values = known["probabilities"].struct.unnest().to_numpy()
    found = np.full((len(texts), len(labels)), np.nan)
    for row, text in enumerate(texts):
        if (place := places.get(text_hash(text))) is not None:
            found[row] = values[place]
    return found


def _check_labels(teacher: Path, theirs: Sequence[str], labels: Sequence[str]) -> None:
    if list(theirs) != list(labels):
        raise DataError(f"{teacher}: its labels ({', '.join(theirs)}) are not {', '.join(labels)}")
