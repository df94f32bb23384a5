"""A labelled registry: `labels/part-*.parquet`, one row per trial ordered by NCT id, and `apply.json`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from trialtune import __version__
from trialtune.classifier.crosswalk_columns import with_crosswalks
from trialtune.classifier.prediction import EVIDENCE, PREDICTION_SCHEMA
from trialtune.errors import DataError, UsageError
from trialtune.files import read_json
from trialtune.labelling.plan import Plan
from trialtune.labelling.shards import arrow_schema, crosswalk_fields
from trialtune.registry.groups import kinds_of
from trialtune.tasks.crosswalk import Crosswalk
from trialtune.tasks.task import Kind, Task

RECORD, FORMAT = "apply.json", 1  # another version has another number
GROUPS = ("year", "phase", "sponsor_class", "country")
_OF_A_TEXT = ("text", "labels", "probabilities", "needs_review")
_MEMORY = "512MB"  # memory for joining and sorting; the rest spills to disk


@dataclass(frozen=True)
class Labelled:
    """A finished output of `apply`."""

    folder: Path
    record: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "Labelled":
        """Raises DataError when the folder is not such an output, or incomplete."""
        path = folder / RECORD
        if not path.is_file():
            raise DataError(f"{folder}: is not an output of `trialtune apply` (no {RECORD})")
        record = read_json(path)
        if isinstance(record, dict) and (form := record.get("format")) != FORMAT:
            raise DataError(
                f"{path}: was written by another version of trialtune (format {form}; {__version__} reads"
                f" {FORMAT}); apply into a new folder"
            )
        try:
            parts = {folder / "labels" / name: rows for name, rows in record["parts"].items()}
            whole = record["classifier"] and all(
                pq.read_metadata(part).num_rows == rows for part, rows in parts.items()
            )
        except (KeyError, TypeError, AttributeError, OSError, pa.ArrowInvalid) as error:
            raise DataError(
                f"{folder}: the output is incomplete ({error}); apply into a new folder"
            ) from error
        if not whole:
            raise DataError(
                f"{folder}: its parts do not have the rows listed in {RECORD}; apply into a new folder"
            )
        return cls(folder, record)

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the classifier that gave the labels."""
        return str(self.record["classifier"]["fingerprint"])

    @property
    def crosswalks(self) -> list[str]:
        """The crosswalks whose columns are included."""
        return [str(one["name"]) for one in self.record.get("crosswalks", [])]

    @property
    def evidence(self) -> bool:
        """Whether it has the words behind each label."""
        return bool(self.record.get(EVIDENCE))

    @property
    def glob(self) -> str:
        """The parts, for DuckDB and Polars."""
        return str(self.folder / "labels" / "*.parquet")

    def known(self) -> set[int]:
        """The scored texts, as numbers (`int(text_hash, 16)`)."""
        found: set[int] = set()
        for name in self.record["parts"]:
            column = pq.read_table(self.folder / "labels" / name, columns=["text_hash"])["text_hash"]
            found.update(int(value, 16) for value in column.drop_null().to_pylist())
        return found


def check_same_task(out: Path, task: str) -> None:
    """Check that labels of `task` may replace what `out` holds.

    Raises UsageError when that is not an output of `apply`, or has labels of another task.
    """
    if not (out / RECORD).is_file():
        raise UsageError(f"--out {out}: is not an output of apply; give a new folder")
    record = read_json(out / RECORD)
    other = record.get("task") if isinstance(record, dict) else None
    if isinstance(other, str) and other != task:
        name = out.name.replace(other, task) if other in out.name else f"{out.name}-{task}"
        raise UsageError(
            f"--out {out}: holds labels of the task {other}, which those of {task} would replace; give each"
            f" task its own folder, such as --out {out.with_name(name)}"
        )


@contextmanager
def joined(plan: Plan, earlier: Labelled | None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the views `trials` (of the plan) and `scores` (one row per text, any run's)."""
    with duckdb.connect(config={"memory_limit": _MEMORY, "temp_directory": str(plan.folder / "spill")}) as db:
        db.execute(f"create view trials as select * from read_parquet({quoted(plan.trials_file)})")
        parts = []
        if plan.shards:
            files = ", ".join(quoted(plan.scores_file(shard)) for shard in range(plan.shards))
            parts.append(f"select * from read_parquet([{files}])")
        if earlier and plan.reused:
            names = [*_OF_A_TEXT, *([EVIDENCE] if plan.evidence else [])]
            kept = ", ".join(f"any_value({name}) {name}" for name in names)
            parts.append(
                f"select text_hash, {kept} from read_parquet({quoted(earlier.glob)})"
                " where text_hash is not null group by text_hash"
            )
        db.execute(f"create view scores as {' union all by name '.join(parts)}")
        yield db


def write_parts(
    plan: Plan,
    earlier: Labelled | None,
    folder: Path,
    *,
    task: Task,
    crosswalks: Sequence[Crosswalk],
    classifier: str,
    metadata: Mapping[str, str],
    shard_rows: int,
) -> dict[str, int]:
    """Join trials and scores into `part-*.parquet` of `shard_rows` trials; returns the rows of each.

    `classifier` is the fingerprint written in every row. The columns of crosswalks follow from those of
    each row, so that other crosswalks do not require scoring again.

    The same trials and scores give the same bytes, however the texts were sharded. Memory is bounded:
    DuckDB spills to the plan's folder.
    """
    wanted = [*PREDICTION_SCHEMA, *([EVIDENCE] if plan.evidence else [])]
    scored_schema = arrow_schema([*task.labels], wanted)
    schema = pa.schema([*scored_schema, *chain.from_iterable(map(crosswalk_fields, crosswalks))])
    schema = schema.with_metadata(dict(metadata))
    columns = ", ".join(name for name in scored_schema.names if name != "classifier")
    folder.mkdir()
    counts: dict[str, int] = {}
    scored = 0
    with joined(plan, earlier) as db:
        rows = db.sql(
            f"select {columns}, {quoted(classifier)} classifier"
            " from trials left join scores using (text_hash) order by nct_id"
        ).to_arrow_reader(shard_rows)
        for number, table in enumerate(_even(rows, shard_rows)):
            name = f"part-{number:05}.parquet"
            whole = _with_crosswalks(table, crosswalks, task.kind)
            pq.write_table(whole.select(schema.names).cast(schema), folder / name, compression="zstd")
            counts[name] = table.num_rows
            scored += table.num_rows - table["labels"].null_count
    if scored != plan.labelled:
        raise DataError(
            f"{plan.folder}: {plan.labelled - scored:,} trials have no scores;"
            " remove that folder and apply again"
        )
    return counts


def _with_crosswalks(table: pa.Table, crosswalks: Sequence[Crosswalk], kind: Kind) -> pa.Table:
    if not crosswalks:
        return table
    answered = pl.from_arrow(table.select(["labels", "probabilities"]))
    assert isinstance(answered, pl.DataFrame)
    for column in with_crosswalks(answered, crosswalks, kind).iter_columns():
        if column.name not in answered.columns:
            table = table.append_column(column.name, column.to_arrow())
    return table


def count_changes(plan: Plan, earlier: Labelled | None) -> dict[str, int]:
    """How many trials are new, have another text, the same one, or are gone since an earlier output."""
    if earlier is None:
        return {"new": plan.labelled, "changed": 0, "unchanged": 0, "gone": 0}
    query = (
        "select count(*) filter (old.nct_id is null), count(*) filter (new.text_hash != old.text_hash),"
        " count(*) filter (new.text_hash = old.text_hash), count(*) filter (new.nct_id is null)"
        f" from (from read_parquet({quoted(plan.trials_file)}) where text_hash is not null) new"
        f" full join (from read_parquet({quoted(earlier.glob)}) where text_hash is not null) old"
        " on new.nct_id = old.nct_id"
    )
    with duckdb.connect(config={"memory_limit": _MEMORY}) as db:
        found = db.execute(query).fetchall()[0]
    return dict(zip(("new", "changed", "unchanged", "gone"), found, strict=True))


def tally(plan: Plan, parts: Path, labels: Sequence[str]) -> dict[str, Any]:
    """Trials by label, by each of `GROUPS` and by both; how many need review."""
    read = f"read_parquet({quoted(parts / '*.parquet')})"
    both = f"(from {read} where labels is not null) join read_parquet({quoted(plan.trials_file)})"
    with duckdb.connect(config={"memory_limit": _MEMORY}) as db:
        (review,) = db.execute(f"select count(*) filter (needs_review) from {read}").fetchall()[0]
        found: dict[str, Any] = {"needs_review": review, "label": dict.fromkeys(labels, 0)}
        for group in GROUPS:
            kinds = f"(select {kinds_of(group, group)} k, labels from {both} using (nct_id))"
            totals = db.execute(f"select k, count(*) n from {kinds} group by k order by k")
            rows = {value: {"trials": n, **dict.fromkeys(labels, 0)} for value, n in totals.fetchall()}
            counted = db.execute(f"select k, unnest(labels) label, count(*) from {kinds} group by k, label")
            for value, label, n in counted.fetchall():
                rows[value][label] = n
            found[group] = rows
    for row in found["year"].values():
        for label in labels:
            found["label"][label] += row[label]
    return found


def quoted(path: Path | str) -> str:
    """A path as an SQL string."""
    return "'" + str(path).replace("'", "''") + "'"


def _even(reader: pa.RecordBatchReader, rows: int) -> Iterator[pa.Table]:
    """The reader's rows in tables of exactly `rows`, the last with the remainder."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in reader:
        held.append(batch)
        count += batch.num_rows
        while count >= rows:
            table = pa.Table.from_batches(held, reader.schema)
            yield table.slice(0, rows).combine_chunks()
            held, count = table.slice(rows).to_batches(), count - rows
    if count:
        yield pa.Table.from_batches(held, reader.schema).combine_chunks()
