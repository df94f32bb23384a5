"""Merges the parts of a sync into its snapshot: sorted by NCT id, with history, in bounded memory."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from trialtune.registry.record.findings import Findings
from trialtune.registry.record.notes import Notes
from trialtune.registry.record.quarantine import Quarantine
from trialtune.registry.record.row import Row, bad_row
from trialtune.registry.record.schema import SNAPSHOT_SCHEMA
from trialtune.registry.settings import MergeSettings
from trialtune.registry.snapshot.write import SnapshotWriter
from trialtune.registry.sync.pages import SWEEP_SCHEMA

#: The dates of the registry's data when a trial was first seen, and when its content last changed.
HISTORY = ("first_seen", "last_changed")
HISTORY_FIELDS = tuple(pa.field(name, pa.string()) for name in HISTORY)
SYNC_SCHEMA = pa.schema([*SNAPSHOT_SCHEMA, *HISTORY_FIELDS])
REMOVED_SCHEMA = pa.schema([pa.field(name, pa.string()) for name in ("nct_id", "merged_into", "removed_on")])
_DATED = ("nct_id", "last_update_date")


@dataclass(frozen=True)
class Merge:
    """The inputs of a merge: `parts` over the `base` snapshot, without the ids `gone`, as of `day`."""

    parts: list[Path]
    base: Path | None
    gone: frozenset[str]
    day: str
    metadata: Mapping[str, str]
    settings: MergeSettings


@dataclass
class Merged:
    """Numbers of studies: kept = new + changed + unchanged; `total` in the snapshot.

    `unread` has, by field, how many values could not be read, and the most frequent of them.
    """

    kept: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    total: int = 0
    quarantined: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    unread: dict[str, dict[str, object]] = field(default_factory=dict)


def known(parts: list[Path], base: Path | None) -> pl.DataFrame:
    """nct_id and last_update_date of every local trial; those of parts override the base's."""
    frames = [pl.scan_parquet(base).select(_DATED)] if base else []
    if parts:
        frames.append(pl.scan_parquet(parts).select(_DATED).filter(pl.col("nct_id").is_not_null()))
    if not frames:
        return pl.DataFrame(schema=dict.fromkeys(_DATED, pl.String))
    return pl.concat(frames).unique("nct_id", keep="last", maintain_order=True).collect()


def read_sweep(parts: list[Path]) -> pl.DataFrame:
    """The trials seen by a sweep: nct_id, last_update_date and aliases, one row per trial."""
    if not parts:
        frame = pl.from_arrow(SWEEP_SCHEMA.empty_table())
        assert isinstance(frame, pl.DataFrame)
        return frame
    return pl.read_parquet(parts).unique("nct_id", keep="last", maintain_order=True)


def write_snapshot(merge: Merge, out: Path, quarantine: Quarantine, scratch: Path) -> Merged:
    """Write `out`, one row group per bucket, sorted by NCT id; rejected rows go to `quarantine`.

    Of several versions of a trial the one updated last is kept, then the one fetched last; the others
    are quarantined. `scratch` is a folder that is emptied before and after.
    """
    merged = Merged()
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    bounds = _bounds(merge)
    _add_refused(merge.parts, quarantine)
    buckets = _split(merge, bounds, scratch)
    with SnapshotWriter(out, merge.metadata, *HISTORY_FIELDS) as writer:
        for bucket, (low, high) in enumerate(zip(["", *bounds], [*bounds, "~"], strict=True)):
            fresh = _latest(buckets.get(bucket), merge.gone, quarantine)
            rows = _with_history(fresh, _base_rows(merge, low, high), merge, merged)
            if rows.height:
                writer.add(rows.select(SYNC_SCHEMA.names).to_arrow())
            merged.total += rows.height
    shutil.rmtree(scratch)
    merged.quarantined, merged.reasons = quarantine.count, dict(quarantine.reasons.most_common())
    merged.unread = _unread(merge.parts)
    return merged


def write_removed(out: Path, earlier: Path | None, merge: Merge, snapshot: Path, sweep: pl.DataFrame) -> int:
    """Write `out`: trials removed before and now, without those restored; returns the number merged.

    A removed id that is among the aliases of a trial was merged into that trial.
    """
    present = pl.read_parquet(snapshot, columns=["nct_id"])
    now = pl.DataFrame({"nct_id": sorted(merge.gone)}, schema={"nct_id": pl.String}).with_columns(
        merged_into=pl.lit(None, pl.String), removed_on=pl.lit(merge.day)
    )
    before = [pl.read_parquet(earlier)] if earlier else []
    rows = pl.concat([*before, now]).unique("nct_id", keep="first", maintain_order=True)
    aliases = sweep.select(kept="nct_id", nct_id="aliases").explode("nct_id").drop_nulls()
    rows = (
        rows.join(present, on="nct_id", how="anti")
        .join(aliases.unique("nct_id", keep="first", maintain_order=True), on="nct_id", how="left")
        .with_columns(merged_into=pl.coalesce("kept", "merged_into"))
        .sort("nct_id")
    )
    pq.write_table(rows.select(REMOVED_SCHEMA.names).to_arrow().cast(REMOVED_SCHEMA), out, compression="zstd")
    return rows.filter(pl.col("nct_id").is_in(sorted(merge.gone)), pl.col("merged_into").is_not_null()).height


def _good(parts: list[Path]) -> pl.LazyFrame:
    return pl.scan_parquet(parts).filter(pl.col("reason").is_null())


def _bounds(merge: Merge) -> list[str]:
    """The ids that divide the trials into buckets."""
    frames = [pl.scan_parquet(merge.base).select("nct_id")] if merge.base else []
    frames += [_good(merge.parts).select("nct_id")] if merge.parts else []
    if not frames:
        return []
    ids = pl.concat(frames).unique().collect()["nct_id"].sort()
    rows = merge.settings.bucket_rows
    return ids.gather_every(rows, offset=rows).to_list()


def _add_refused(parts: list[Path], quarantine: Quarantine) -> None:
    for part in parts:
        rows = pl.scan_parquet(part).filter(pl.col("reason").is_not_null())
        for file, number, reason, raw in rows.select("file", "number", "reason", "raw").collect().rows():
            quarantine.add(Row(file, number, None, reason, json.loads(raw)))


def _unread(parts: list[Path]) -> dict[str, dict[str, object]]:
    findings = Findings()
    for part in parts:
        cells = pl.read_parquet(part, columns=["unread"])["unread"].drop_nulls()
        for name, value in (pair for cell in cells for pair in json.loads(cell)):
            findings.add(Notes(unread=[(name, value)]))
    return {name: values.as_dict() for name, values in findings.unread.items()}


def _split(merge: Merge, bounds: list[str], scratch: Path) -> dict[int, Path]:
    """Distribute the parts' good rows over one file per bucket, in order."""
    writers: dict[int, pa.ipc.RecordBatchFileWriter] = {}
    paths: dict[int, Path] = {}
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    edges = pl.Series("edge", bounds, pl.String)
    step = merge.settings.parts_at_once
    with ExitStack() as stack:
        for at in range(0, len(merge.parts), step):
            rows = pl.concat([_good([part]).collect() for part in merge.parts[at : at + step]])
            places = edges.search_sorted(rows["nct_id"], side="right")
            for (bucket,), own in (
                rows.with_columns(bucket=places).partition_by("bucket", as_dict=True).items()
            ):
                table = own.drop("bucket", "reason", "raw", "unread").to_arrow()
                if bucket not in writers:
                    paths[bucket] = scratch / f"{bucket:05}.arrow"
                    writers[bucket] = pa.ipc.new_file(str(paths[bucket]), table.schema, options=options)
                    stack.enter_context(writers[bucket])
                writers[bucket].write_table(table)
    return paths


def _latest(bucket: Path | None, gone: frozenset[str], quarantine: Quarantine) -> pl.DataFrame | None:
    """The newest version of each of a bucket's trials."""
    if bucket is None:
        return None
    with pa.OSFile(str(bucket)) as file:
        frame = pl.from_arrow(pa.ipc.open_file(file).read_all())
    assert isinstance(frame, pl.DataFrame)
    rows = frame.with_row_index("order")
    best = rows.sort("nct_id", "last_update_date", "order", nulls_last=False)
    best = best.unique("nct_id", keep="last", maintain_order=True)
    for row, reason in _superseded(rows, best, gone):
        quarantine.add(bad_row(str(row.pop("file")), int(str(row.pop("number"))), reason, row))
    return best.filter(~pl.col("nct_id").is_in(sorted(gone)))


def _superseded(
    rows: pl.DataFrame, best: pl.DataFrame, gone: frozenset[str]
) -> Iterator[tuple[dict[str, object], str]]:
    chosen = best.select("nct_id", kept_hash="row_hash", kept_file="file")
    others = rows.join(best.select("order"), on="order", how="anti").join(chosen, on="nct_id").sort("order")
    for row in others.drop("order").iter_rows(named=True):
        kept_hash, kept_file = row.pop("kept_hash"), row.pop("kept_file")
        kind = "same content" if row["row_hash"] == kept_hash else "other content"
        yield row, f"duplicate NCT id, {kind}: {row['nct_id']} is kept as of {kept_file}"
    for row in best.filter(pl.col("nct_id").is_in(sorted(gone))).drop("order").iter_rows(named=True):
        yield row, "withdrawn meanwhile: the registry took it back while the sync ran"


def _base_rows(merge: Merge, low: str, high: str) -> pl.DataFrame | None:
    if merge.base is None:
        return None
    column = pl.col("nct_id")  # the row groups are sorted, so their statistics show which to read
    rows = pl.scan_parquet(merge.base).filter(column >= low, column < high).collect()
    return rows.filter(~column.is_in(sorted(merge.gone)))


def _with_history(
    fresh: pl.DataFrame | None, base: pl.DataFrame | None, merge: Merge, merged: Merged
) -> pl.DataFrame:
    names = SYNC_SCHEMA.names
    if base is None or not base.height:
        empty = pl.from_arrow(SYNC_SCHEMA.empty_table())
        assert isinstance(empty, pl.DataFrame)
        base = empty
    if fresh is None:
        return base.select(names)
    earlier = base.select("nct_id", *HISTORY, before="row_hash")
    rows = fresh.join(earlier, on="nct_id", how="left")
    is_new, same = pl.col("before").is_null(), pl.col("before") == pl.col("row_hash")
    new, unchanged = rows.select(is_new.sum(), same.fill_null(False).sum().alias("same")).row(0)
    merged.kept += rows.height
    merged.new += new
    merged.unchanged += unchanged
    merged.changed += rows.height - new - unchanged
    day = pl.lit(merge.day)
    rows = rows.with_columns(
        first_seen=pl.when(is_new).then(day).otherwise(pl.col("first_seen")),
        last_changed=pl.when(same).then(pl.col("last_changed")).otherwise(day),
    )
    rest = base.join(rows, on="nct_id", how="anti")
    return pl.concat([rows.select(names), rest.select(names)]).sort("nct_id")
