"""The rows that some trials have in one of AACT's tables, trial by trial."""

from collections.abc import Iterable, Iterator
from itertools import groupby, repeat
from typing import Any

import pyarrow as pa

from trialtune.registry.readers.arrow_stream import table_of
from trialtune.registry.readers.tables import columns_as_lists

Cells = dict[str, Any]


class TrialRows:
    """A table's rows in the order of their trials: columns as lists, and where each trial's rows are.

    A trial has some 25 rows in the tables besides `studies`: dicts of rows are created only on demand.
    """

    def __init__(self, content: bytes) -> None:
        self._rows = as_text(table_of(content))
        names = [name for name in self._rows.schema.names if name not in ("nct_id", "id", "row")]
        self._columns = columns_as_lists(self._rows.select(names))
        self._places: dict[str, range] = {}
        start = 0
        for nct_id, group in groupby(columns_as_lists(self._rows.select(["nct_id"]))["nct_id"]):
            end = start + sum(1 for _ in group)
            self._places[nct_id] = range(start, end)
            start = end

    def cells(self, nct_id: str, *names: str) -> Iterator[tuple[Any, ...]]:
        """The named cells of each row of a trial; None where the table has no such column."""
        place = self._places.get(nct_id)
        if place is None:
            return iter(())
        columns: list[Iterable[Any]] = [
            self._columns[name][place.start : place.stop]
            if name in self._columns
            else repeat(None, len(place))
            for name in names
        ]
        return zip(*columns, strict=True)

    def first(self, nct_id: str) -> Cells:
        """The first row of a trial; empty where it has none."""
        place = self._places.get(nct_id)
        return {} if place is None else {name: cells[place[0]] for name, cells in self._columns.items()}

    def places(self) -> Iterable[tuple[str, range]]:
        """Each trial's id, and where its rows are."""
        return self._places.items()

    def __iter__(self) -> Iterator[Cells]:
        """Every row as a dict."""
        columns = columns_as_lists(self._rows)
        return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))

    def row(self, at: int) -> Cells:
        """All cells of one row, and its number in the file as `row`."""
        return {name: cells[0] for name, cells in columns_as_lists(self._rows.slice(at, 1)).items()}


def as_text(table: pa.Table) -> pa.RecordBatch:
    """The table, which is not empty, with its bytes as text, unchecked."""
    (batch,) = table.combine_chunks().to_batches()
    texts = [c.view(pa.string()) if pa.types.is_binary(c.type) else c for c in batch.columns]
    return pa.RecordBatch.from_arrays(texts, batch.schema.names)
