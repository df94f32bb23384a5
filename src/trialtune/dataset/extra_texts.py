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
        return pl.DataFrame({"nct_id": [None] * len(texts), "text": texts}, schema=_SCHEMA)


def read_texts(task: Task, files: Iterable[Path]) -> tuple[str, ...]:
    """The distinct texts of tables, as the task reads their records, in order; a .txt has one a line.

    Raises DataError for a file that has none.
    """
    found: dict[str, None] = {}
    for file in files:
        if file.suffix.lower() == ".txt":
            records = [{"text": line} for line in file.read_text(encoding="utf-8").splitlines()]
        else:
            records = read_table(file).to_dicts()
        texts = [text for record in records if (text := task.text_of(record))]
        if not texts:
            raise DataError(f"{file}: has no text for {task.name}; give a table with a column text")
        found.update(dict.fromkeys(texts))
    return tuple(found)


_SCHEMA = {"nct_id": pl.String(), "text": pl.String()}
