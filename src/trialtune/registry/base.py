"""The base of a diff: a snapshot, the folder of a sync, or a list of NCT ids."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from trialtune.errors import DataError
from trialtune.registry.ids import read_ids
from trialtune.registry.records import SNAPSHOT_SCHEMA
from trialtune.registry.rows import Row
from trialtune.registry.snapshot import snapshot_file


@dataclass(frozen=True)
class Base:
    """A base by its name: the file of its snapshot, or else its NCT ids and the entries that were none."""

    name: str
    snapshot: Path | None
    ids: pl.DataFrame
    refused: tuple[Row, ...] = ()


def open_base(path: Path) -> Base:
    """The base at a path; raises UsageError and DataError as `read_ids` does."""
    if _is_snapshot(path):
        return Base(path.name, snapshot_file(path), pl.DataFrame({"nct_id": []}, {"nct_id": pl.String}))
    listed = read_ids(path)
    return Base(path.name, None, pl.DataFrame({"nct_id": listed.ids}, {"nct_id": pl.String}), listed.refused)


def removed_trials(snapshot: Path) -> dict[str, str | None]:
    """The trials that left the registry and, if merged, into which one, as far as the folder of a sync knows.

    Empty for a file.
    """
    removed = snapshot / "removed.parquet"
    if not removed.is_file():
        return {}
    try:
        table = pq.read_table(removed, columns=["nct_id", "merged_into"])
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{removed}: cannot be read ({error}); sync again") from error
    return {row["nct_id"]: row["merged_into"] for row in table.to_pylist()}


def _is_snapshot(path: Path) -> bool:
    if path.is_dir():
        return True
    if path.suffix != ".parquet" or not path.is_file():
        return False
    try:
        return set(SNAPSHOT_SCHEMA.names) <= set(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}); write it again") from error
