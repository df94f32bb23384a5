"""Texts without labels, used in training in addition to the labelled rows."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from trialtune.dataset.tables import read_table
from trialtune.errors import DataError
from trialtune.tasks.task import Task


@dataclass(frozen=True)
class ExtraTexts:
    """Training texts in addition to the labelled rows.

    `unlabelled` texts get their targets from teachers only. `outliers` are texts that none of the
    labels fits: the classifier learns to be uncertain on them (outlier exposure: Hendrycks et
    al., 2019, arXiv:1812.04606).
    """

    unlabelled: tuple[str, ...] = ()
    outliers: tuple[str, ...] = ()

    def rows(self) -> pl.DataFrame:
        """All of them as rows of `nct_id` (null) and `text`."""
        texts = [*self.unlabelled, *self.outliers]
        schema = {"nct_id": pl.String(), "text": pl.String()}
        return pl.DataFrame({"nct_id": [None] * len(texts), "text": texts}, schema=schema)


def read_texts(files: Iterable[Path], task: Task | None = None) -> tuple[str, ...]:
    """The distinct texts of tables, in order: from the task's columns, or their column `text`.

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
            raise DataError(f"{file}: has no text; it needs a column named text")
        found.update(dict.fromkeys(texts))
    return tuple(found)
