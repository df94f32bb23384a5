"""Opens a snapshot: its rows, their origin, and the trials removed from the registry."""

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from trialtune.errors import DataError
from trialtune.registry.record.schema import LIST_COLUMNS, SNAPSHOT_SCHEMA

if TYPE_CHECKING:
    import polars as pl


def read_snapshot(path: Path | str) -> "pl.DataFrame":
    """A snapshot, or that of the folder of a sync, as a Polars frame.

    Args:
        path: The Parquet file, or the folder.

    Returns:
        One row per trial, with the columns of `SNAPSHOT_SCHEMA`.

    Raises:
        DataError: The file is missing, or not a snapshot.

    Examples:
        >>> from trialtune import read_snapshot
        >>> read_snapshot(snapshot)["nct_id"].is_unique().all()
        True
    """
    return scan_snapshot(Path(path)).collect()


def snapshot_file(path: Path) -> Path:
    """The Parquet file of a snapshot: the path itself, or snapshot.parquet in the folder of a sync."""
    return path / "snapshot.parquet" if path.is_dir() else path


def check_snapshot(path: Path) -> Path:
    """The snapshot's file; raises DataError when it is missing or not a snapshot."""
    path = snapshot_file(path)
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; run trialtune registry import first, or finish trialtune registry sync"
        )
    try:
        found = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: not a Parquet file; run trialtune registry import first, or for a list of NCT ids"
            " trialtune registry sync --ids"
        ) from error
    missing = [name for name in SNAPSHOT_SCHEMA.names if name not in found.names]
    if missing and "row_hash" in found.names:
        raise DataError(
            f"{path}: a snapshot of an earlier version, it has no column {_first_of(missing)};"
            " run trialtune registry import (or sync) on its source again"
        )
    if missing:
        raise DataError(
            f"{path}: not a snapshot, it has no column {_first_of(missing)};"
            " run trialtune registry import first, or for a list of NCT ids trialtune registry sync --ids"
        )
    other = [name for name in SNAPSHOT_SCHEMA.names if not _fits(name, found.field(name).type)]
    if other:
        raise DataError(
            f"{path}: not a snapshot, its column {', '.join(other)} has another type;"
            " run trialtune registry import first"
        )
    return path


def _first_of(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} others" if len(names) > 5 else "")


def _fits(name: str, kind: pa.DataType) -> bool:
    """Whether a column has the snapshot's type, in any of Arrow's forms of text and lists."""
    if name in LIST_COLUMNS:
        return (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and _is_text(kind.value_type)
    wanted = SNAPSHOT_SCHEMA.field(name).type
    return kind.equals(wanted) or (pa.types.is_string(wanted) and _is_text(kind))


def _is_text(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(kind) for test in tests)


def scan_snapshot(path: Path) -> "pl.LazyFrame":
    """The snapshot as a lazy frame; DataError when the file is not a snapshot.

    The folder of a finished sync counts as its snapshot.
    """
    import polars as pl  # noqa: PLC0415 - info, show and sql start without it

    return pl.scan_parquet(check_snapshot(path))


def snapshot_metadata(path: Path) -> dict[str, str]:
    """The snapshot's origin from its metadata: version, source, source_sha256, data_timestamp."""
    return snapshot_origin(check_snapshot(path))


def removed_trials(snapshot: Path) -> dict[str, str | None]:
    """The trials removed from the registry and, if merged, into which one, as recorded in a sync folder.

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


def snapshot_origin(path: Path) -> dict[str, str]:
    """The metadata on a snapshot's origin, to be copied to a part of it."""
    stored = pq.read_metadata(path).metadata or {}
    prefix = b"trialtune."
    return {k.removeprefix(prefix).decode(): v.decode() for k, v in stored.items() if k.startswith(prefix)}
