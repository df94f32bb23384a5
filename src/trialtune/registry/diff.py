"""New, changed and removed trials between a snapshot and a base: another snapshot, or a list of NCT ids."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from trialtune.errors import DataError
from trialtune.files import atomic_file, write_json, writing
from trialtune.registry.diff_base import Base, open_base
from trialtune.registry.groups import NOT_GIVEN, SEVERAL
from trialtune.registry.record.quarantine import Quarantine
from trialtune.registry.record.schema import CONTENT_FIELDS, NOT_HASHED, SNAPSHOT_SCHEMA
from trialtune.registry.snapshot.filter import picked_rows, picked_writer
from trialtune.registry.snapshot.read import removed_trials, scan_snapshot, snapshot_file, snapshot_origin

#: Groups of the counts; trials without a value count under NOT_GIVEN.
GROUPS = ("year", "phase", "status", "sponsor_class", "country")
KINDS = ("new", "changed", "removed")

_COMPARED = CONTENT_FIELDS[1:]
_LISTS = {field.name for field in SNAPSHOT_SCHEMA if pa.types.is_list(field.type)}
_CHANGED_FIELDS = pa.field("changed_fields", pa.list_(pa.string()))
_MERGED_INTO = pa.field("merged_into", pa.string())

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class DiffSummary:
    """Numbers of trials: total = new + changed + unchanged, base = removed + changed + unchanged.

    `changed` is None against an id list. `groups` counts the kinds of change by start
    year, phase, status, class of the lead sponsor and country (a trial of several countries counts in
    each), `changed_fields` how often each field changed (most often first); `merged` maps a removed
    trial to the one it was merged into, if in NEW; `bad_ids` are entries of an id list that were not NCT
    ids, with their reasons in base.quarantine.jsonl.
    """

    against: str
    total: int
    base: int
    new: int
    changed: int | None
    unchanged: int
    removed: int
    bad_ids: int
    merged: dict[str, str]
    changed_fields: dict[str, int]
    groups: dict[str, dict[str, dict[str, int]]]
    out: Path

    def as_dict(self) -> dict[str, Any]:
        """The summary as JSON-able values."""
        return {**vars(self), "out": str(self.out)}


def diff_snapshots(new: Path, base: Path, out: Path) -> DiffSummary:
    """Write out/new.parquet, changed.parquet, removed.parquet and summary.json; rows keep their order.

    `base` is a snapshot (or the folder of a sync), a list of NCT ids, or a Hub data set id; against a list
    there is no changed.parquet, and removed.parquet has the ids only. changed.parquet has NEW's rows and a
    list column `changed_fields`, removed.parquet the base's rows and a column `merged_into`. Changed is
    what differs in `CONTENT_FIELDS`, quotation marks and blanks aside: what trials are grouped
    by (sponsors, countries, enrollment) is not compared, since a source may not have it. Both files are
    read once, a few thousand rows at a time. Equal inputs give equal bytes.
    Raises DataError for a file that is not a snapshot or has an id twice.
    """
    against = open_base(base)
    merged = {nct_id: into for nct_id, into in removed_trials(new).items() if into}
    fresh = _facts(new)
    earlier = against.ids if against.snapshot is None else _facts(against.snapshot)
    fresh, earlier = _with_kinds(fresh, earlier)
    fields: Counter[str] = Counter()
    with writing(out / "new.parquet"):
        if against.snapshot is None:
            (out / "changed.parquet").unlink(missing_ok=True)
            _write_new(snapshot_file(new), _is(fresh, "new"), out)
            _write_removed_ids(out / "removed.parquet", earlier, merged)
        else:
            before = _write_removed(snapshot_file(against.snapshot), earlier, merged, out)
            fields = _write_changes(snapshot_file(new), fresh, before, out)
        with Quarantine(out / "base.quarantine.jsonl") as quarantine:
            for row in against.refused:
                quarantine.add(row)
        summary = _summary(fresh, earlier, against, out, merged=merged, fields=fields)
        # Paths are left out: equal inputs give equal bytes.
        write_json(out / "summary.json", {k: v for k, v in summary.as_dict().items() if k != "out"})
    return summary


def _facts(path: Path) -> pl.DataFrame:
    """For every trial, in the file's order: nct_id, row_hash, and its groups."""
    frame = scan_snapshot(path).select(
        "nct_id",
        "row_hash",
        "sponsor_class",
        pl.col("start_date").str.slice(0, 4).alias("year"),
        pl.col("phases").list.join("/", ignore_nulls=True).replace("", None).alias("phase"),
        pl.col("overall_status").alias("status"),
        # Unnesting gives one row for null, but none for an empty list.
        pl.when(pl.col("countries").list.len() > 0).then("countries").alias("country"),
    )
    facts = frame.collect()
    twice = facts.filter(pl.col("nct_id").is_duplicated() | pl.col("nct_id").is_null())["nct_id"]
    if len(twice):
        raise DataError(
            f"{path}: not a snapshot, the NCT id {twice[0]} is in more than one row;"
            " run trialtune registry import on it first"
        )
    return facts


def _with_kinds(fresh: pl.DataFrame, earlier: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Both sides with a column `kind`: new, changed, removed or unchanged."""
    listed = "row_hash" not in earlier.columns
    known = earlier.select("nct_id", known=True, before=pl.lit(None) if listed else "row_hash")
    changed = pl.lit(False) if listed else pl.col("row_hash").ne_missing(pl.col("before"))
    fresh = fresh.join(known, on="nct_id", how="left", maintain_order="left").with_columns(
        kind=pl.when(pl.col("known").is_null())
        .then(pl.lit("new"))
        .when(changed)
        .then(pl.lit("changed"))
        .otherwise(pl.lit("unchanged"))
    )
    kinds = fresh.select("nct_id", "kind")
    earlier = earlier.join(kinds, on="nct_id", how="left", maintain_order="left")
    return fresh, earlier.with_columns(pl.col("kind").fill_null("removed"))


def _is(side: pl.DataFrame, kind: str) -> Mask:
    return (side["kind"] == kind).to_numpy()


def _write_removed(path: Path, earlier: pl.DataFrame, merged: dict[str, str], out: Path) -> pl.DataFrame:
    """Write the base's removed trials; returns the hashes of the fields of those that changed."""
    removed, changed = _is(earlier, "removed"), _is(earlier, "changed")
    hashes = [_field_hashes(SNAPSHOT_SCHEMA.empty_table())]
    with picked_writer(out / "removed.parquet", snapshot_origin(path), _MERGED_INTO) as writer:
        for rows, places in picked_rows(path, removed | changed):
            gone = rows.filter(pa.array(removed[places]))
            into = [merged.get(nct_id) for nct_id in gone["nct_id"].to_pylist()]
            writer.add(gone.append_column(_MERGED_INTO, pa.array(into, pa.string())))
            hashes.append(_field_hashes(rows.filter(pa.array(changed[places]))))
    return pl.concat(hashes)


def _write_changes(path: Path, fresh: pl.DataFrame, before: pl.DataFrame, out: Path) -> Counter[str]:
    """Write NEW's new and changed trials; returns how often each field changed."""
    new, changed = _is(fresh, "new"), _is(fresh, "changed")
    counts = np.zeros(len(_COMPARED), int)
    origin = snapshot_origin(path)
    with (
        picked_writer(out / "new.parquet", origin) as news,
        picked_writer(out / "changed.parquet", origin, _CHANGED_FIELDS) as changes,
    ):
        for rows, places in picked_rows(path, new | changed):
            news.add(rows.filter(pa.array(new[places])))
            now = rows.filter(pa.array(changed[places]))
            differ = _differences(_field_hashes(now), before)
            counts += differ.sum(axis=0)
            names = [[_COMPARED[field] for field in np.flatnonzero(row)] for row in differ]
            changes.add(now.append_column(_CHANGED_FIELDS, pa.array(names, _CHANGED_FIELDS.type)))
    found = {name: int(count) for name, count in zip(_COMPARED, counts, strict=True) if count}
    return Counter(found)


def _write_new(path: Path, mask: Mask, out: Path) -> None:
    with picked_writer(out / "new.parquet", snapshot_origin(path)) as writer:
        for rows, _ in picked_rows(path, mask):
            writer.add(rows)


def _field_hashes(rows: pa.Table) -> pl.DataFrame:
    """nct_id and a 64-bit hash of each compared field; unknown and empty are the same."""
    # The two registries are never both in memory: 8 bytes per field are compared instead.
    return pl.DataFrame(rows).select("nct_id", *[_canonical(name).hash() for name in _COMPARED])


def _canonical(name: str) -> pl.Expr:
    """A field's text as in `content_hash`: without quotation marks and ASCII whitespace."""
    # Text has no control characters, so this separates items unambiguously.
    text = pl.col(name).list.join("\x02", ignore_nulls=True) if name in _LISTS else pl.col(name)
    return text.fill_null("").str.replace_all(f"[{NOT_HASHED}]", "")


def _differences(now: pl.DataFrame, before: pl.DataFrame) -> Mask:
    """[trials, fields]: which fields of the trials in `now` differ from those in `before`."""
    both = now.select("nct_id").join(before, on="nct_id", how="left", maintain_order="left")
    differ: Mask = now.select(_COMPARED).to_numpy() != both.select(_COMPARED).to_numpy()
    return differ


def _write_removed_ids(path: Path, earlier: pl.DataFrame, merged: dict[str, str]) -> None:
    ids = sorted(earlier.filter(pl.col("kind") == "removed")["nct_id"])
    into = [merged.get(nct_id) for nct_id in ids]
    columns = [pa.array(ids, pa.string()), pa.array(into, pa.string())]
    table = pa.table(columns, schema=pa.schema([SNAPSHOT_SCHEMA.field("nct_id"), _MERGED_INTO]))
    with atomic_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _summary(
    fresh: pl.DataFrame,
    earlier: pl.DataFrame,
    against: Base,
    out: Path,
    *,
    merged: dict[str, str],
    fields: Counter[str],
) -> DiffSummary:
    kinds = Counter(fresh["kind"].to_list())
    gone = sorted(earlier.filter(pl.col("kind") == "removed")["nct_id"])
    listed = against.snapshot is None
    return DiffSummary(
        against=against.name,
        total=len(fresh),
        base=len(earlier),
        new=kinds["new"],
        changed=None if listed else kinds["changed"],
        unchanged=kinds["unchanged"],
        removed=len(gone),
        bad_ids=len(against.refused),
        merged={nct_id: merged[nct_id] for nct_id in gone if nct_id in merged},
        changed_fields=dict(fields.most_common()),
        groups={group: _counts(fresh, earlier, group) for group in GROUPS},
        out=out,
    )


def _counts(fresh: pl.DataFrame, earlier: pl.DataFrame, group: str) -> dict[str, dict[str, int]]:
    """{value: {kind: count}} in the values' order; removed trials of an id list have no groups."""
    known = group in earlier.columns
    sides = [fresh] + [earlier.filter(pl.col("kind") == "removed")] * known
    rows = pl.concat([side.select(pl.col(group).alias("value"), "kind") for side in sides])
    rows = rows.filter(pl.col("kind") != "unchanged")
    if group in SEVERAL:
        # Exploding an empty list gives a row in some versions of Polars, and none in others.
        some = pl.col("value").list.len() > 0
        given = pl.when(some).then("value").otherwise(pl.lit([NOT_GIVEN]))
        rows = rows.with_columns(given).explode("value")
    found = rows.with_columns(pl.col("value").fill_null(NOT_GIVEN)).group_by("value", "kind").len()
    counts: dict[str, dict[str, int]] = {}
    for value, kind, count in found.sort("value", "kind").rows():
        counts.setdefault(value, dict.fromkeys(KINDS if known else KINDS[:1], 0))[kind] = count
    return counts
