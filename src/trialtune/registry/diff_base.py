"""The base of a diff: a snapshot, the folder of a sync, a list of NCT ids, or a data set on the Hub."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from trialtune.errors import DataError
from trialtune.registry.readers.hub import dataset_folder, dataset_of
from trialtune.registry.readers.id_list import TABLE_SUFFIXES, IdList, read_ids
from trialtune.registry.record.row import Row
from trialtune.registry.record.schema import SNAPSHOT_SCHEMA
from trialtune.registry.snapshot.read import snapshot_file


@dataclass(frozen=True)
class Base:
    """A base: the file of its snapshot, or its NCT ids and the invalid entries."""

    name: str
    snapshot: Path | None
    ids: pl.DataFrame
    refused: tuple[Row, ...] = ()


def open_base(path: Path) -> Base:
    """The base at a path, or the NCT ids of the data set OWNER/NAME of the Hugging Face Hub.

    Raises UsageError and DataError as `read_ids` does, and DataError for a Hub that does not answer.
    """
    if _is_snapshot(path):
        return Base(path.name, snapshot_file(path), pl.DataFrame({"nct_id": []}, {"nct_id": pl.String}))
    dataset = dataset_of(path)
    if dataset and not path.exists() and path.suffix.lower() not in (".txt", ".gz", *TABLE_SUFFIXES):
        return _listed(dataset, [read_ids(file) for file in _tables(dataset)])
    return _listed(path.name, [read_ids(path)])


def _listed(name: str, lists: Sequence[IdList]) -> Base:
    ids = dict.fromkeys(nct_id for each in lists for nct_id in each.ids)
    refused = tuple(row for each in lists for row in each.refused)
    return Base(name, None, pl.DataFrame({"nct_id": list(ids)}, {"nct_id": pl.String}), refused)


def _tables(dataset: str) -> list[Path]:
    """The tables of a data set, including its splits."""
    suffixes = (*TABLE_SUFFIXES, *(f"{suffix}.gz" for suffix in TABLE_SUFFIXES[:-1]))
    folder = dataset_folder(dataset, suffixes=suffixes)
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.name.endswith(suffixes))


def _is_snapshot(path: Path) -> bool:
    if path.is_dir():
        return True
    if path.suffix != ".parquet" or not path.is_file():
        return False
    try:
        return set(SNAPSHOT_SCHEMA.names) <= set(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}); write it again") from error
