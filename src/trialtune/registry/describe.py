"""Summarizes a snapshot: trials by group, coverage of fields, lengths of texts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trialtune.registry.groups import VALUES, kinds_of
from trialtune.registry.query import trials_view
from trialtune.registry.record.schema import SNAPSHOT_SCHEMA, TEXT_FIELDS
from trialtune.registry.snapshot.read import snapshot_file, snapshot_metadata

GROUPS = ("status", "phase", "year", "sex", "study_type", "sponsor_class", "country")


@dataclass(frozen=True)
class TextSize:
    """Lengths of a text field in characters, over the trials that have it."""

    median: int
    p95: int
    max: int


@dataclass(frozen=True)
class Description:
    """A snapshot in numbers.

    `groups` counts trials by status, phase, start year, sex, study type, class of the lead sponsor and
    country; a trial of several countries counts in each. `coverage` counts the trials whose field is
    filled; `text_sizes` has every text field that any trial fills, lists joined.
    """

    path: Path
    trials: int
    first_id: str | None
    last_id: str | None
    file_bytes: int
    row_groups: int
    origin: dict[str, str]
    groups: dict[str, dict[str, int]]
    coverage: dict[str, int]
    text_sizes: dict[str, TextSize]

    def as_dict(self) -> dict[str, Any]:
        """The description as JSON-able values."""
        sizes = {field: vars(size) for field, size in self.text_sizes.items()}
        return {**vars(self), "path": str(self.path), "text_sizes": sizes}


def describe_snapshot(path: Path) -> Description:
    """Summarize a snapshot, column by column in bounded memory.

    Raises DataError when the file is not a snapshot.
    """
    file = snapshot_file(path)
    origin = snapshot_metadata(path)
    fields = SNAPSHOT_SCHEMA.names
    with trials_view(path) as connection:
        filled = ", ".join(f"count(*) filter ({_filled(field)})" for field in SNAPSHOT_SCHEMA)
        whole = f"select min(nct_id), max(nct_id), count(*), {filled} from trials"
        first, last, trials, *counts = connection.execute(whole).fetchall()[0]
        groups = {}
        for name in GROUPS:
            order = "kind" if name == "year" else "n desc, kind"
            kinds = f"select {kinds_of(name, VALUES[name])} as kind from trials"
            counts_of = f"select kind, count(*) as n from ({kinds}) group by kind order by {order}"
            groups[name] = dict(connection.execute(counts_of).fetchall())
        sizes = {}
        for field in TEXT_FIELDS:
            # One field at a time, to limit memory.
            lengths = f"select {_length(SNAPSHOT_SCHEMA.field(field))} as n from trials"
            quantiles = f"select quantile_disc(n, [0.5, 0.95, 1]) from ({lengths}) where n > 0"
            size = connection.execute(quantiles).fetchall()[0][0]
            if size:
                sizes[field] = TextSize(*size)
    return Description(
        path=path,
        trials=trials,
        first_id=first,
        last_id=last,
        file_bytes=file.stat().st_size,
        row_groups=pq.read_metadata(file).num_row_groups,
        origin=origin,
        groups=groups,
        coverage=dict(zip(fields, counts, strict=True)),
        text_sizes=sizes,
    )


def _filled(field: pa.Field) -> str:
    """SQL that is true where a field has a value, including false and 0."""
    measured = pa.types.is_string(field.type) or pa.types.is_list(field.type)
    return f"len({field.name}) > 0" if measured else f"{field.name} is not null"


def _length(field: pa.Field) -> str:
    """SQL of a text field's characters."""
    text = f"array_to_string({field.name}, ' ')" if pa.types.is_list(field.type) else field.name
    return f"length({text})"
