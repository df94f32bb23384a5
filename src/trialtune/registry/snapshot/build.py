"""Builds a snapshot, one Parquet row per trial, from any source, with a quarantine file."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trialtune.errors import UsageError
from trialtune.files import atomic_file, sha256_of, writing
from trialtune.registry.readers.chunk import packed
from trialtune.registry.readers.source import open_source, read_chunks
from trialtune.registry.record.findings import Findings
from trialtune.registry.record.quarantine import NothingUsable, Quarantine
from trialtune.registry.record.row import bad_row
from trialtune.registry.snapshot.deduplicate import Deduplicator
from trialtune.registry.snapshot.filter import picked_rows
from trialtune.registry.snapshot.write import SnapshotWriter

# Below this, starting processes takes longer than they save.
SHARED_BYTES = 1 << 26


@dataclass(frozen=True)
class ImportSummary:
    """The result of an import; read = kept + quarantined, and `reasons` counts the quarantined by kind.

    `columns_used` maps each column of a table to its field. `unread` has, by field, how many values
    could not be read, and the most frequent of them; `guessed` those that are ambiguous.
    """

    read: int
    kept: int
    quarantined: int
    reasons: dict[str, int]
    out: Path
    quarantine: Path | None
    data_timestamp: str
    warnings: tuple[str, ...] = ()
    columns_used: dict[str, str] = field(default_factory=dict)
    columns_not_used: tuple[str, ...] = ()
    unread: dict[str, dict[str, Any]] = field(default_factory=dict)
    guessed: dict[str, dict[str, Any]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The summary as JSON-able values."""
        quarantine = str(self.quarantine) if self.quarantine else None
        return {**vars(self), "out": str(self.out), "quarantine": quarantine}


def import_trials(
    source: Path | str,
    out: Path | str,
    *,
    encoding: str = "utf-8",
    data_timestamp: str | None = None,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> ImportSummary:
    """Import trials into a snapshot; rejected rows go to `<stem>.quarantine.jsonl`, with the reason.

    The same files give the same bytes, whatever the number of processes. Of several versions of a trial
    the newest is kept: by update date, then by the number or date of the version, then the last.

    Args:
        source: A file, a folder, or the data set OWNER/NAME on the Hugging Face Hub; see `SUPPORTED`.
        out: The Parquet file to write.
        encoding: Of CSV and JSON files.
        data_timestamp: The date of the data; default the newest file's modification time (UTC).
        workers: Processes for a large source.
        progress: Called with numbers of rows read.

    Returns:
        The counts: read = kept + quarantined.

    Raises:
        UsageError: The source is missing or its format unknown, or `out` is not a valid name.
        DataError: A file cannot be read, or no row is usable.

    Examples:
        >>> from trialtune import import_trials
        >>> summary = import_trials(source, out / "snapshot.parquet")
        >>> summary.read == summary.kept + summary.quarantined
        True
    """
    source, out = Path(source), Path(out)
    opened = open_source(source)
    if out.suffix != ".parquet" or out.is_dir():
        raise UsageError(f"{out}: a snapshot is a Parquet file; give --out a name ending in .parquet")
    if out.resolve() in {file.resolve() for file in opened.files}:
        raise UsageError(f"{out}: this is the source itself; give the snapshot another name")
    timestamp = data_timestamp or _newest(opened.files)
    metadata = {"source": opened.name, "data_timestamp": timestamp}
    if sum(file.stat().st_size for file in opened.files) < SHARED_BYTES:
        workers = 1
    quarantine = Quarantine(out.with_name(f"{out.stem}.quarantine.jsonl"))
    findings = Findings()
    chunks = read_chunks(opened, encoding=encoding, findings=findings)
    deduplicator = Deduplicator()
    kept = 0
    with writing(out), quarantine, atomic_file(out) as temporary:
        with SnapshotWriter(temporary, metadata) as writer:
            for part in packed(chunks, workers=workers):
                findings.merge(part.findings)
                table, refused = deduplicator.of(part)
                for row in refused:
                    quarantine.add(row)
                writer.add(_stamped(table, timestamp, replace=data_timestamp is not None))
                kept += table.num_rows
                if progress:
                    progress(table.num_rows + len(refused))
            if source.is_file():
                digest = {"source_sha256": sha256_of(source)}  # usually cached from reading
                writer.tell(digest)
                metadata |= digest
        if deduplicator.superseded:
            kept -= len(deduplicator.superseded)
            _drop_superseded(temporary, metadata, deduplicator, quarantine)
        _refuse_useless(source, kept, quarantine)
    return ImportSummary(
        read=kept + quarantine.count,
        kept=kept,
        quarantined=quarantine.count,
        reasons=dict(quarantine.reasons.most_common()),
        out=out,
        quarantine=quarantine.path if quarantine.count else None,
        data_timestamp=timestamp,
        warnings=tuple(findings.warnings),
        columns_used=findings.used,
        columns_not_used=tuple(findings.columns_not_used),
        unread={name: values.as_dict() for name, values in findings.unread.items()},
        guessed={name: values.as_dict() for name, values in findings.guessed.items()},
    )


def _drop_superseded(
    path: Path, metadata: dict[str, str], deduplicator: Deduplicator, quarantine: Quarantine
) -> None:
    """Rewrite the snapshot without the rows replaced by later ones, which are quarantined."""
    old = path.with_name(f"{path.name}.all")
    path.rename(old)
    try:
        superseded = np.zeros(pq.read_metadata(old).num_rows, np.bool_)
        superseded[list(deduplicator.superseded)] = True
        for rows, places in picked_rows(old, superseded):
            for record, at in zip(rows.to_pylist(), places.tolist(), strict=True):
                place, reason = deduplicator.superseded[at]
                quarantine.add(bad_row(*place, reason, record))
        with SnapshotWriter(path, metadata) as writer:
            for rows, _ in picked_rows(old, ~superseded):
                writer.add(rows)
    finally:
        old.unlink()


def _stamped(table: pa.Table, timestamp: str, *, replace: bool) -> pa.Table:
    """The rows with their data timestamps: their own where they have one, unless overridden."""
    at = table.schema.get_field_index("data_timestamp")
    own = pa.nulls(table.num_rows, pa.string()) if replace else table.column(at)
    return table.set_column(at, table.schema.field(at), pc.fill_null(own, timestamp))


def _refuse_useless(source: Path, kept: int, quarantine: Quarantine) -> None:
    reasons = quarantine.reasons
    if reasons["undecodable bytes"] > kept:
        raise NothingUsable(
            f"{source}: {reasons['undecodable bytes']} of {kept + quarantine.count} rows do not decode;"
            " the file has another encoding: set it with --encoding (such as cp1252)."
            f" See {quarantine.path}"
        )
    if kept:
        return
    if not reasons:
        raise NothingUsable(f"{source}: has no trials; check that it is the right file")
    listed = ", ".join(f"{kind} ({count})" for kind, count in reasons.most_common(3))
    raise NothingUsable(
        f"{source}: none of its {quarantine.count} rows is usable: {listed}. See {quarantine.path}"
    )


def _newest(files: Iterable[Path]) -> str:
    newest = max(file.stat().st_mtime for file in files)
    return datetime.fromtimestamp(int(newest), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
