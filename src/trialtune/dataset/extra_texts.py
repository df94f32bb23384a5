"""Texts without labels that a classifier learns from beside the labelled rows."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from trialtune.dataset.tables import read_table
from trialtune.errors import DataError
from trialtune.tasks.task import Task


@dataclass(frozen=True)
class ExtraTexts:
    """What a classifier is trained on beside its labelled rows.

    `unlabelled` texts take their targets from teachers alone. `outliers` are texts that none of the
    labels fits: the classifier learns to be sure of nothing there (outlier exposure: Hendrycks et
    al., 2019, arXiv:1812.04606).
    """

    unlabelled: tuple[str, ...] = ()
    outliers: tuple[str, ...] = ()

    def rows(self) -> pl.DataFrame:
        """All of them as rows of `nct_id`, which is not known, and `text`."""
        texts = [*self.unlabelled, *self.outliers]
        schema = {"nct_id": pl.String(), "text": pl.String()}
        return pl.DataFrame({"nct_id": [None] * len(texts), "text": texts}, schema=schema)


def read_texts(files: Iterable[Path], task: Task | None = None) -> tuple[str, ...]:
    """The distinct texts of tables, in order: as the task reads their records, or their column `text`.

    A .txt has one text a line. Raises DataError for a file that has none.
    """
    found: dict[str, None] = {}
    for file in files:
        if file.suffix.lower() == ".txt":
            records = [{"text": line} for line in file.read_text(encoding="utf-8").splitlines()]
        else:
            records = read_table(file).to_dicts()
        read = (task.text_of(record) if task else record.get("text") for record in records)
        texts = [text for text in read if text]
        if not texts:
            raise DataError(f"{file}: has no text; give a table with a column text")
        found.update(dict.fromkeys(texts))
    return tuple(found)
