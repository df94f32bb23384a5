"""The snapshot: one Parquet row a trial, made from any source, with what was refused set beside it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from trialtune.errors import DataError, UsageError
from trialtune.files import atomic_file, sha256_of
from trialtune.registry.firsts import Firsts
from trialtune.registry.parquet import SnapshotWriter, snapshot_origin, writing
from trialtune.registry.portions import packed
from trialtune.registry.quarantine import NothingUsable, Quarantine
from trialtune.registry.records import SNAPSHOT_SCHEMA
from trialtune.registry.sources import open_source, read_portions

# Below this, starting other processes takes longer than they save.
_SHARED_BYTES = 1 << 26


@dataclass(frozen=True)
class ImportSummary:
    """What an import did; read = kept + quarantined, and `reasons` counts the quarantined by kind."""

    read: int
    kept: int
    quarantined: int
    reasons: dict[str, int]
    out: Path
    quarantine: Path | None
    data_timestamp: str
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The summary as JSON-able values."""
        quarantine = str(self.quarantine) if self.quarantine else None
        return {**vars(self), "out": str(self.out), "quarantine": quarantine}


def import_source(
    source: Path,
    out: Path,
    *,
    encoding: str = "utf-8",
    data_timestamp: str | None = None,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> ImportSummary:
    """Import a file, a folder or a Hub data set of trials into a snapshot.

    Refused rows go to `<stem>.quarantine.jsonl`. `data_timestamp` says how old the data is (default: the
    newest file's modification time, UTC); `progress` is told how many more rows were read. The same files
    give the same bytes, whatever the number of processes (`workers`) that a large source is shared among.
    Raises UsageError and DataError as `read_rows` does, and DataError when no row is usable.
    """
    opened = open_source(source)
    if out.suffix != ".parquet" or out.is_dir():
        raise UsageError(f"{out}: a snapshot is a Parquet file; give --out a name ending in .parquet")
    if out.resolve() in {file.resolve() for file in opened.files}:
        raise UsageError(f"{out}: this is the source itself; give the snapshot another name")
    timestamp = data_timestamp or _newest(opened.files)
    metadata = {"source": opened.name, "data_timestamp": timestamp}
    if source.is_file():
        metadata["source_sha256"] = sha256_of(source)
    if sum(file.stat().st_size for file in opened.files) < _SHARED_BYTES:
        workers = 1
    quarantine = Quarantine(out.with_name(f"{out.stem}.quarantine.jsonl"))
    warnings: list[str] = []
    portions = read_portions(opened, encoding=encoding, warn=warnings.append)
    firsts = Firsts()
    kept = 0
    with (
        writing(out),
        quarantine,
        atomic_file(out) as temporary,
        SnapshotWriter(temporary, metadata) as writer,
    ):
        for part in packed(portions, workers=workers):
            table, refused = firsts.of(part)
            for row in refused:
                quarantine.add(row)
            writer.add(_stamped(table, timestamp, replace=data_timestamp is not None))
            kept += table.num_rows
            if progress:
                progress(table.num_rows + len(refused))
        _refuse_useless(source, kept, quarantine)
    return ImportSummary(
        read=kept + quarantine.count,
        kept=kept,
        quarantined=quarantine.count,
        reasons=dict(quarantine.reasons.most_common()),
        out=out,
        quarantine=quarantine.path if quarantine.count else None,
        data_timestamp=timestamp,
        warnings=tuple(warnings),
    )


def read_snapshot(path: Path) -> pl.DataFrame:
    """The snapshot as a frame of `SNAPSHOT_SCHEMA`'s columns; DataError when the file is not a snapshot."""
    return scan_snapshot(path).collect()


def snapshot_file(path: Path) -> Path:
    """The Parquet file of a snapshot: the path itself, or snapshot.parquet in the folder of a sync."""
    return path / "snapshot.parquet" if path.is_dir() else path


def scan_snapshot(path: Path) -> pl.LazyFrame:
    """The snapshot as a lazy frame; DataError when the file is not a snapshot.

    The folder of a finished sync counts as its snapshot.
    """
    path = snapshot_file(path)
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; run trialtune registry import first, or finish trialtune registry sync"
        )
    frame = pl.scan_parquet(path)
    try:
        found = frame.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: not a Parquet file; run trialtune registry import first") from error
    wanted = pl.from_arrow(SNAPSHOT_SCHEMA.empty_table())
    assert isinstance(wanted, pl.DataFrame)
    missing = [name for name in wanted.columns if name not in found]
    if missing:
        raise DataError(
            f"{path}: not a snapshot, it has no column {', '.join(missing)};"
            " run trialtune registry import first"
        )
    other = [name for name, kind in wanted.schema.items() if found[name] != kind]
    if other:
        raise DataError(
            f"{path}: not a snapshot, its column {', '.join(other)} is of another type;"
            " run trialtune registry import first"
        )
    return frame


def snapshot_metadata(path: Path) -> dict[str, str]:
    """What the snapshot says of its origin: version, source, source_sha256, data_timestamp."""
    scan_snapshot(path)
    return snapshot_origin(snapshot_file(path))


def _stamped(table: pa.Table, timestamp: str, *, replace: bool) -> pa.Table:
    """The rows with their data timestamps: their own where they have one, unless it is replaced."""
    at = table.schema.get_field_index("data_timestamp")
    own = pa.nulls(table.num_rows, pa.string()) if replace else table.column(at)
    return table.set_column(at, table.schema.field(at), pc.fill_null(own, timestamp))


def _refuse_useless(source: Path, kept: int, quarantine: Quarantine) -> None:
    reasons = quarantine.reasons
    if reasons["undecodable bytes"] > kept:
        raise NothingUsable(
            f"{source}: {reasons['undecodable bytes']} of {kept + quarantine.count} rows do not decode;"
            " the file is in another encoding: name it with --encoding (such as cp1252)."
            f" See {quarantine.path}"
        )
    if kept:
        return
    if not reasons:
        raise NothingUsable(f"{source}: it holds no trial; check that it is the right file")
    told = ", ".join(f"{kind} ({count})" for kind, count in reasons.most_common(3))
    raise NothingUsable(
        f"{source}: none of its {quarantine.count} rows is usable: {told}. See {quarantine.path}"
    )


def _newest(files: Iterable[Path]) -> str:
    newest = max(file.stat().st_mtime for file in files)
    return datetime.fromtimestamp(int(newest), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
