"""Splits a snapshot in two: trials before an NCT id or a date, or in a list, and the others."""

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Self

import polars as pl
from pydantic import Field, field_validator, model_validator

from trialtune.errors import DataError, UsageError
from trialtune.files import write_json, writing
from trialtune.registry.readers.id_list import read_ids
from trialtune.registry.record.validate import is_nct_id
from trialtune.registry.snapshot.filter import copy_rows
from trialtune.registry.snapshot.read import scan_snapshot, snapshot_file
from trialtune.settings import Settings

_DATE = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?", re.ASCII)


@dataclass(frozen=True)
class CutSummary:
    """Numbers of trials on the two sides of a cut: total = base + new.

    `bad_ids` are entries of an id list that were not NCT ids.
    """

    against: str
    total: int
    base: int
    new: int
    bad_ids: int
    out: Path

    def as_dict(self) -> dict[str, Any]:
        """The summary as JSON-able values."""
        return {**vars(self), "out": str(self.out)}


class Cut(Settings):
    """Where a snapshot is split: exactly one of an NCT id, a date (may be partial), a file of ids."""

    nct_id: str | None = Field(None, description="the first id of the newer part: NCT03000000")
    date: str | None = Field(
        None, description="the first start date of the newer part: 2021-11-30, 2021-11 or 2021"
    )
    ids: Path | None = Field(None, description="a file of the older part's ids")

    @field_validator("date", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        # YAML reads 2021-11-30 as a date and 2021 as a number.
        return str(value) if isinstance(value, date | int) else value

    @model_validator(mode="after")
    def _one_and_valid(self) -> Self:
        if sum(value is not None for value in (self.nct_id, self.date, self.ids)) != 1:
            raise UsageError("a cut has exactly one of nct_id, date, ids: --set cut.nct_id=NCT03000000")
        if self.nct_id is not None and not is_nct_id(self.nct_id):
            raise UsageError(f"cut nct_id {self.nct_id!r}: not an NCT id (NCT and eight digits)")
        if self.date is not None and not _DATE.fullmatch(self.date):
            raise UsageError(f"cut date {self.date!r}: not a date; write it as 2021-11-30, 2021-11 or 2021")
        return self

    def __str__(self) -> str:
        if self.ids is not None:
            return f"ids in {self.ids.name}"
        return f"nct_id < {self.nct_id}" if self.nct_id is not None else f"start_date < {self.date}"


def split_by_cut(snapshot: Path, cut: Cut, out: Path) -> CutSummary:
    """Write out/base.parquet (trials before the cut, or in its list), new.parquet and summary.json.

    A partial start date counts as its first day; a trial without one goes to the base.
    Raises DataError when either side would be empty.
    """
    frame, bad_ids = scan_snapshot(snapshot), 0
    if cut.ids is not None:
        listed = read_ids(cut.ids)
        before, bad_ids = pl.col("nct_id").is_in(listed.ids), listed.bad
    elif cut.nct_id is not None:
        before = pl.col("nct_id") < cut.nct_id.strip().upper()
    else:
        start, bound = _first_day(pl.col("start_date")), _first_day(pl.lit(cut.date))
        before = start.is_null() | (start < bound)
    mask = frame.select(before.alias("before")).collect()["before"].to_numpy().astype(bool)
    base, total = int(mask.sum()), len(mask)
    if base in (0, total):
        side = "after" if base else "before"
        raise DataError(f"{snapshot}: no trial is {side} the cut {cut}; {_range(frame, cut)}; move the cut")
    summary = CutSummary(against=str(cut), total=total, base=base, new=total - base, bad_ids=bad_ids, out=out)
    with writing(out / "new.parquet"):
        copy_rows(snapshot_file(snapshot), out / "base.parquet", mask)
        copy_rows(snapshot_file(snapshot), out / "new.parquet", ~mask)
        # Paths are left out: equal inputs give equal bytes.
        write_json(out / "summary.json", {k: v for k, v in summary.as_dict().items() if k != "out"})
    return summary


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
