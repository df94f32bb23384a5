"""The plan of `apply`: which trial has which text, and every distinct text once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from trialtune.classifier.prediction import text_hash
from trialtune.errors import DataError
from trialtune.files import atomic_file, read_json, write_json
from trialtune.registry.readers.parquet import open_parquet
from trialtune.registry.record.schema import LIST_COLUMNS, SNAPSHOT_SCHEMA
from trialtune.registry.snapshot.read import scan_snapshot, snapshot_file
from trialtune.tasks.task import Task
from trialtune.workers import cores, in_order

_TRIALS = pa.schema(
    [
        ("nct_id", pa.string()),
        ("year", pa.string()),
        ("phase", pa.string()),
        ("sponsor_class", pa.string()),
        ("country", pa.list_(pa.string())),
        ("text_hash", pa.string()),
    ]
)
_GROUPED = ("nct_id", "start_date", "phases", "sponsor_class", "countries")
_TEXTS = pa.schema([("text_hash", pa.string()), ("text", pa.string())])
_TEXTS_OF = {field.name for field in SNAPSHOT_SCHEMA if pa.types.is_string(field.type)} | {*LIST_COLUMNS}
READ_ROWS = 2048
LARGE = 20_000  # trials: with fewer, starting workers takes longer than they save


@dataclass(frozen=True)
class Plan:
    """The work of one `apply`, in a folder: `trials.parquet`; `texts.parquet`, one row group per shard."""

    folder: Path
    key: str
    trials: int
    without_text: int
    distinct: int
    reused: int
    shards: int
    evidence: bool = False  # whether to find the words behind each label too

    @property
    def labelled(self) -> int:
        """Trials that have a text."""
        return self.trials - self.without_text

    @property
    def to_score(self) -> int:
        """Distinct texts without scores in an earlier output."""
        return self.distinct - self.reused

    @property
    def trials_file(self) -> Path:
        """One row per trial: nct_id, its groups, text_hash (null for one without text)."""
        return self.folder / "trials.parquet"

    def scores_file(self, shard: int) -> Path:
        """The file of a shard's scores."""
        return self.folder / f"scores-{shard:05}.parquet"

    def missing(self) -> list[int]:
        """The shards that are not scored yet."""
        return [shard for shard in range(self.shards) if not self.scores_file(shard).is_file()]

    def size(self, shard: int) -> int:
        """The number of texts in a shard."""
        return int(pq.read_metadata(self.folder / "texts.parquet").row_group(shard).num_rows)

    def texts(self, shard: int) -> pa.Table:
        """A shard's `text_hash` and `text`; no other shard is read."""
        return pq.ParquetFile(self.folder / "texts.parquet").read_row_group(shard)

    @classmethod
    def load(cls, folder: Path, key: str) -> "Plan | None":
        """The plan that a stopped run left in `folder`; None when there is none or it is for other inputs."""
        try:
            plan = cls(folder, **read_json(folder / "plan.json"))
        except (DataError, TypeError):
            return None
        return plan if plan.key == key else None


def make_plan(
    task: Task,
    snapshot: Path,
    folder: Path,
    *,
    key: str,
    shard_rows: int,
    known: set[int],
    evidence: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Plan:
    """Read `snapshot` once, on all cores when it is large, and write the plan into `folder`.

    `known` holds the texts that are already scored, as numbers (`int(text_hash, 16)`). Memory: one
    shard of texts, and some 70 bytes for each distinct one. Raises DataError when the file is not a snapshot,
    has no column of the task, or no trial with such a text.
    """
    fields = _fields(task, snapshot)
    columns = [*dict.fromkeys((*_GROUPED, *fields))]
    workers = cores() if count_trials(snapshot) > LARGE else 1
    trials = without = 0
    with (
        atomic_file(folder / "trials.parquet") as trials_path,
        atomic_file(folder / "texts.parquet") as texts_path,
        pq.ParquetWriter(trials_path, _TRIALS) as trials_out,
        pq.ParquetWriter(texts_path, _TEXTS, compression="zstd") as texts_out,
        closing(in_order(partial(_read, task), _batches(snapshot, columns), workers=workers)) as read,
    ):
        texts = _DistinctTexts(texts_out, known, shard_rows)
        for rows in read:
            found = [(*trial, texts.add(text) if text else None) for *trial, text in rows]
            trials += len(rows)
            without += sum(text is None for *_, text in rows)
            if found:
                trials_out.write_table(_table(found, _TRIALS))
            if progress:
                progress(len(rows))
        texts.flush()
    if trials == without:
        unread = count_unread(task, snapshot)
        remedy = (
            f"{unread:,} have one in the column text: label the table that was imported with `trialtune"
            f" predict --input`, or name that column {fields[0]} and import the table again"
        )
        raise DataError(
            f"{snapshot}: none of its {trials:,} trials has a text for the task {task.name}"
            f" ({', '.join(fields)}); {remedy if unread else 'check that it is the right snapshot'}"
        )
    plan = Plan(folder, key, trials, without, len(texts.seen), texts.reused, texts.shards, evidence)
    write_json(folder / "plan.json", {k: v for k, v in asdict(plan).items() if k != "folder"})
    return plan


class _DistinctTexts:
    """Collects texts one by one, and writes the new ones in shards."""

    def __init__(self, writer: pq.ParquetWriter, known: set[int], shard_rows: int) -> None:
        self.seen: set[int] = set()
        self.reused = self.shards = 0
        self._writer, self._known, self._shard_rows = writer, known, shard_rows
        self._waiting: list[tuple[str, str]] = []

    def add(self, text: str) -> str:
        """Add a text; returns its hash."""
        name = text_hash(text)
        number = int(name, 16)
        if number in self.seen:
            return name
        self.seen.add(number)
        if number in self._known:
            self.reused += 1
            return name
        self._waiting.append((name, text))
        if len(self._waiting) == self._shard_rows:
            self.flush()
        return name

    def flush(self) -> None:
        """Write the collected texts as a shard."""
        if self._waiting:
            self._writer.write_table(_table(self._waiting, _TEXTS), row_group_size=self._shard_rows)
            self._waiting, self.shards = [], self.shards + 1


def _fields(task: Task, snapshot: Path) -> list[str]:
    fields = [name for name in task.fields if name in SNAPSHOT_SCHEMA.names]
    if not fields:
        raise DataError(
            f"{snapshot}: a snapshot has no column {' or '.join(task.fields)}, which the task {task.name}"
            " needs; label such a table with `trialtune predict --input`"
        )
    if other := [name for name in fields if name not in _TEXTS_OF]:
        raise DataError(
            f"{snapshot}: its column {', '.join(other)}, which the task {task.name} uses, does not hold text;"
            " name text columns in the task"
        )
    return fields


def count_trials(snapshot: Path) -> int:
    """The trials of a snapshot; DataError when it is not one."""
    return int(scan_snapshot(snapshot).select(pl.len()).collect().item())


def count_unread(task: Task, snapshot: Path) -> int:
    """The trials with nothing in the task's columns, but in the column `text`, which is not one of them."""
    fields = _fields(task, snapshot)
    if "text" in fields:
        return 0
    empty = [
        pl.col(name).list.len().fill_null(0) == 0 if name in LIST_COLUMNS else pl.col(name).is_null()
        for name in fields
    ]
    unread = scan_snapshot(snapshot).filter(pl.col("text").is_not_null(), *empty)
    return int(unread.select(pl.len()).collect().item())


def _batches(snapshot: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    with open_parquet(snapshot_file(snapshot)) as file:
        yield from file.iter_batches(batch_size=READ_ROWS, columns=columns)


def _read(task: Task, batch: pa.RecordBatch) -> list[tuple[Any, ...]]:
    """NCT id, groups and text of each trial, as in `_TRIALS`; None for one without a text."""
    return [
        (
            row["nct_id"],
            (row["start_date"] or "")[:4],
            "/".join(row["phases"] or []),
            row["sponsor_class"],
            row["countries"],
            task.text_of(row),
        )
        for row in batch.to_pylist()
    ]


def _table(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    return pa.table(
        {name: list(column) for name, column in zip(schema.names, zip(*rows, strict=True), strict=True)},
        schema=schema,
    )
