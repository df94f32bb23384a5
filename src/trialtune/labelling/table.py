"""Labels of a user's table, beside the table's other columns."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl

from trialtune.classifier.classifier import Classifier, Report
from trialtune.classifier.crosswalk_columns import Named
from trialtune.dataset.columns import TextSource, prepared, text_source
from trialtune.dataset.tables import cell_names
from trialtune.registry.record.schema import COLUMNS

_GIVEN = "given_"


@dataclass(frozen=True)
class LabelledTable:
    """The predictions, one row per row, then the columns kept: column -> its name in `rows`."""

    rows: pl.DataFrame
    source: TextSource
    kept: dict[str, str]
    left_out: tuple[str, ...]
    unread: int  # rows without a text that have one in the column `text`, beside the task's own columns

    @property
    def columns(self) -> dict[str, Any]:
        """Which columns of the table were read, kept (and renamed) and left out."""
        return {**self.source._asdict(), "kept": self.kept, "left_out": self.left_out}

    @property
    def counts(self) -> dict[str, int]:
        """Rows, those without a text, those to review."""
        return {
            "n": len(self.rows),
            "without_text": self.rows["labels"].null_count(),
            "needs_review": int(self.rows["needs_review"].sum()),
        }


def label_table(
    classifier: Classifier,
    given: pl.DataFrame,
    *,
    where: str = "the table",
    crosswalks: Iterable[Named] = (),
    evidence: bool = False,
    progress: Report | None = None,
) -> LabelledTable:
    """`Classifier.predict_frame`, with the table's columns that are neither its texts nor its ids.

    A column whose name the predictions have is renamed. The fields of a whole snapshot are left out, since
    `nct_id` leads to them, and so are nested columns, which only some formats can hold.
    """
    source = text_source(classifier.task, given, where=where)
    predicted = classifier.predict_frame(given, crosswalks=crosswalks, evidence=evidence, progress=progress)
    read = {source.nct_id, *source.texts.values()}
    fields = set(COLUMNS) if set(COLUMNS) <= set(given.columns) else set()
    others = [name for name in given.columns if name not in read | fields]
    reserved = {*predicted.columns, *cell_names(predicted)}
    kept = {name: name for name in others if _is_plain(given.schema[name])}
    for name in sorted(reserved & kept.keys()):
        while kept[name] in reserved | given.schema.keys():
            kept[name] = _GIVEN + kept[name]
    rows = predicted.hstack(given.select(*kept).rename(kept))
    left_out = tuple(name for name in others if name not in kept)
    return LabelledTable(rows, source, kept, left_out, _unread(given, source, predicted["labels"].is_null()))


def _unread(given: pl.DataFrame, source: TextSource, without: pl.Series) -> int:
    column = prepared(given).get_column("text", default=None)
    if column is None or column.dtype != pl.String or "text" in source.texts:
        return 0
    return int((without & (column.str.strip_chars() != "")).sum())


def _is_plain(kind: Any) -> bool:
    return not (kind.is_nested() or kind in (pl.Object, pl.Binary)) or kind == pl.List(pl.String)
