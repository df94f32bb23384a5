"""What is new, changed or gone between a snapshot and a base; and cutting one snapshot in two."""

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import field_validator, model_validator

from trialtune.errors import DataError, UsageError
from trialtune.files import atomic_file, write_json
from trialtune.registry.ids import read_ids
from trialtune.registry.parquet import filter_rows, writing
from trialtune.registry.records import CONTENT_FIELDS, SNAPSHOT_SCHEMA, is_nct_id
from trialtune.registry.snapshot import scan_snapshot
from trialtune.settings import Settings

_DATE = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?", re.ASCII)


@dataclass(frozen=True)
class DiffSummary:
    """Numbers of trials: `total` in the snapshot, `base` in the base, and how the two relate.

    A diff has total = new + changed + unchanged (`changed` is None against an id list, which cannot
    tell); a cut has total = base + new. `bad_ids` are entries of an id list that were not NCT ids.
    """

    against: str
    total: int
    base: int
    new: int
    changed: int | None
    unchanged: int
    removed: int
    bad_ids: int
    out: Path

    def as_dict(self) -> dict[str, Any]:
        """The summary as JSON-able values."""
        return {**vars(self), "out": str(self.out)}


class Cut(Settings):
    """Where a snapshot is cut in two: exactly one of an NCT id, a date (may be partial), a file of ids."""

    nct_id: str | None = None
    date: str | None = None
    ids: Path | None = None

    @field_validator("date", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        # YAML reads 2021-11-30 as a date and 2021 as a number.
        return str(value) if isinstance(value, date | int) else value

    @model_validator(mode="after")
    def _one_and_valid(self) -> Self:
        if sum(value is not None for value in (self.nct_id, self.date, self.ids)) != 1:
            raise UsageError("a cut is one of nct_id, date, ids; give one: --set cut.nct_id=NCT03000000")
        if self.nct_id is not None and not is_nct_id(self.nct_id):
            raise UsageError(f"cut nct_id {self.nct_id!r}: not an NCT id (NCT and eight digits)")
        if self.date is not None and not _DATE.fullmatch(self.date):
            raise UsageError(f"cut date {self.date!r}: not a date; write it as 2021-11-30, 2021-11 or 2021")
        return self

    def __str__(self) -> str:
        if self.ids is not None:
            return f"ids in {self.ids.name}"
        return f"nct_id < {self.nct_id}" if self.nct_id is not None else f"start_date < {self.date}"


def diff_snapshots(new: Path, base: Path, out: Path) -> DiffSummary:
    """Write out/new.parquet, changed.parquet, removed.parquet and summary.json; rows keep their order.

    `base` is a snapshot or a list of NCT ids; against a list there is no changed.parquet, and
    removed.parquet has the ids only. changed.parquet has NEW's rows and a list column `changed_fields`.
    """
    fresh = scan_snapshot(new)
    if _is_snapshot(base):
        earlier, bad_ids = scan_snapshot(base), 0
        base_ids = _ids(earlier)
        changed = _changed_fields(fresh, earlier)
    else:
        listed = read_ids(base)
        base_ids, bad_ids, changed = set(listed.ids), listed.bad, None
    fresh_ids = _ids(fresh)
    added, removed = fresh_ids - base_ids, base_ids - fresh_ids
    with writing(out / "new.parquet"):
        _write(new, out / "new.parquet", added)
        if changed is None:
            (out / "changed.parquet").unlink(missing_ok=True)
            _write_ids(out / "removed.parquet", removed)
        else:
            _write(new, out / "changed.parquet", set(changed), changed)
            _write(base, out / "removed.parquet", removed)
        summary = DiffSummary(
            against=base.name,
            total=len(fresh_ids),
            base=len(base_ids),
            new=len(added),
            changed=None if changed is None else len(changed),
            unchanged=len(fresh_ids & base_ids) - len(changed or ()),
            removed=len(removed),
            bad_ids=bad_ids,
            out=out,
        )
        _write_summary(summary)
    return summary


def split_by_cut(snapshot: Path, cut: Cut, out: Path) -> DiffSummary:
    """Write out/base.parquet (trials before the cut, or in its list), new.parquet and summary.json.

    A partial start date counts as its first day; a trial without one goes to the base.
    Raises DataError when either side would be empty.
    """
    frame = scan_snapshot(snapshot)
    every, bad_ids = _ids(frame), 0
    if cut.ids is not None:
        listed = read_ids(cut.ids)
        before, bad_ids = every & set(listed.ids), listed.bad
    elif cut.nct_id is not None:
        before = {nct_id for nct_id in every if nct_id < cut.nct_id.strip().upper()}
    else:
        start, bound = _first_day(pl.col("start_date")), _first_day(pl.lit(cut.date))
        before = _ids(frame.filter(start.is_null() | (start < bound)))
    after = every - before
    if not before or not after:
        side = "before" if not before else "after"
        raise DataError(f"{snapshot}: no trial lies {side} the cut {cut}; {_range(frame, cut)}; move the cut")
    with writing(out / "new.parquet"):
        _write(snapshot, out / "base.parquet", before)
        _write(snapshot, out / "new.parquet", after)
        summary = DiffSummary(
            against=str(cut),
            total=len(every),
            base=len(before),
            new=len(after),
            changed=0,
            unchanged=0,
            removed=0,
            bad_ids=bad_ids,
            out=out,
        )
        _write_summary(summary)
    return summary


def _is_snapshot(path: Path) -> bool:
    if path.suffix != ".parquet" or not path.is_file():
        return False
    try:
        return set(SNAPSHOT_SCHEMA.names) <= set(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error}); write it again") from error


def _ids(frame: pl.LazyFrame) -> set[str]:
    return set(frame.select("nct_id").collect()["nct_id"])


def _changed_fields(fresh: pl.LazyFrame, earlier: pl.LazyFrame) -> dict[str, list[str]]:
    """Fields that differ, by NCT id, of the trials whose hashes differ."""
    pairs = fresh.select("nct_id", "row_hash").join(earlier.select("nct_id", before="row_hash"), on="nct_id")
    changed = pairs.filter(pl.col("row_hash") != pl.col("before")).select("nct_id").collect()
    fields: dict[str, list[str]] = {nct_id: [] for nct_id in changed["nct_id"].sort()}
    # One column at a time: the two registries never lie in memory side by side.
    for field in CONTENT_FIELDS[1:]:
        both = (
            changed.lazy()
            .join(fresh.select("nct_id", now=field), on="nct_id")
            .join(earlier.select("nct_id", before=field), on="nct_id")
        )
        for nct_id in both.filter(pl.col("now").ne_missing(pl.col("before"))).collect()["nct_id"]:
            fields[nct_id].append(field)
    return fields


def _first_day(date: pl.Expr) -> pl.Expr:
    """2021 -> 2021-01-01, 2021-11 -> 2021-11-01."""
    return (date + pl.lit("-01-01")).str.slice(0, 10)


def _range(frame: pl.LazyFrame, cut: Cut) -> str:
    column = pl.col("start_date" if cut.date is not None else "nct_id")
    low, high, unknown = (
        frame.select(
            column.min().alias("low"), column.max().alias("high"), column.is_null().sum().alias("unknown")
        )
        .collect()
        .row(0)
    )
    without = f" ({unknown:,} trials have no start date and go to the base)" if unknown else ""
    return f"the snapshot runs from {low} to {high}{without}"


def _write(source: Path, out: Path, keep: set[str], changed: dict[str, list[str]] | None = None) -> None:
    with atomic_file(out) as temporary:
        filter_rows(source, temporary, keep, changed)


def _write_ids(out: Path, ids: set[str]) -> None:
    with atomic_file(out) as temporary:
        pq.write_table(
            pa.table({"nct_id": pa.array(sorted(ids), pa.string())}), temporary, compression="zstd"
        )


def _write_summary(summary: DiffSummary) -> None:
    values = summary.as_dict()
    values.pop("out")  # where it lies is no part of what it says: equal inputs give equal bytes
    write_json(summary.out / "summary.json", values)
