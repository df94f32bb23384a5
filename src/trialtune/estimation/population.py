"""The population of an estimate: the predictions for each row, and its groups."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from trialtune.dataset.columns import label_cells, prepared
from trialtune.dataset.label_arrays import multi_hot
from trialtune.dataset.tables import read_table
from trialtune.errors import DataError, UsageError
from trialtune.estimation.task_of_labels import task_of_labels
from trialtune.labelling.output import RECORD, Labelled, quoted
from trialtune.registry.groups import COLUMNS, NOT_GIVEN, VALUES
from trialtune.registry.snapshot.read import snapshot_file
from trialtune.tasks.task import Task
from trialtune.tasks.text import normalize_text, plain_name

_OWN = ("nct_id", "text", "labels", "probabilities", "classifier", "text_hash")
_CELL = "probability_"  # of a CSV file
_MEMORY = "512MB"
_YEAR = "(19|20)[0-9][0-9]"  # in a date of any format


@dataclass(frozen=True)
class Cells:
    """Groups of rows by name; a row may be in several. `rows` and `cells` are pairs of indices."""

    names: tuple[str, ...]
    rows: NDArray[np.int64]
    cells: NDArray[np.int64]

    def members(self, places: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the rows at `places` belong to each group [groups, places]."""
        order = np.argsort(self.rows, kind="stable") if (np.diff(self.rows) < 0).any() else None
        rows = self.rows if order is None else self.rows[order]
        cells = self.cells if order is None else self.cells[order]
        start, end = np.searchsorted(rows, places), np.searchsorted(rows, places, side="right")
        found = np.zeros((len(self.names), len(places)), dtype=bool)
        for place in range(int((end - start).max(initial=0))):
            there = np.flatnonzero(start + place < end)
            found[cells[start[there] + place], there] = True
        return found

    @classmethod
    def joined(cls, groups: Sequence["Cells"]) -> "Cells":
        """All groups as one list, in order."""
        first = np.cumsum([0, *(len(group.names) for group in groups)])
        return cls(
            tuple(name for group in groups for name in group.names),
            np.concatenate([group.rows for group in groups]),
            np.concatenate([group.cells + start for group, start in zip(groups, first, strict=False)]),
        )


@dataclass(frozen=True)
class Population:
    """The rows with labels, one per trial.

    `predicted` are booleans and `stated` probabilities [rows, labels], the latter None where the table
    has none. `groups` are the groups by name, `columns` what they are derived from. `within` marks
    the rows that `where` selects. `classifier` is its fingerprint, if the table has it.
    """

    task: Task
    nct_ids: pl.Series
    texts: pl.Series | None
    text_hashes: pl.Series | None
    predicted: NDArray[np.bool_]
    stated: NDArray[np.float32] | None
    groups: Mapping[str, Cells]
    columns: Mapping[str, str]
    within: NDArray[np.bool_]
    without_text: int
    classifier: str | None

    def __len__(self) -> int:
        return len(self.nct_ids)


def read_population(
    labels: Path,
    task: Task | None = None,
    *,
    trials: Path | None = None,
    by: Sequence[str] = (),
    where: str | None = None,
) -> Population:
    """Read labelled rows: an output folder of `apply`, or a table of `nct_id` and `labels`.

    Args:
        labels: With `probabilities`, as `predict` and `apply` write them, or without.
        task: The task of the labels; inferred for an output of `apply` and for shipped tasks.
        trials: A snapshot, or a table of `nct_id` and columns, with the grouping columns.
        by: Columns of either, or `year`, `phase`, `status`, `sex`, `study_type`, `sponsor_class`, `country`
            of a snapshot, or NAME_year of a column NAME_date; `a+b` for combinations.
        where: A condition in SQL over the columns of both.

    Returns:
        The rows, their labels and their groups.

    Raises:
        DataError: A row has no NCT id, a repeated one, or an unknown label; or a file cannot be read.
        UsageError: There is no such column, the condition is invalid, or the task cannot be inferred.
    """
    rows, columns, derived = _joined(labels, trials, by, where)
    task = task or task_of_labels(labels, _probability_columns(rows))
    _check_ids(rows["nct_id"], labels)
    there = rows["labels"].is_not_null()
    without = len(rows) - int(there.sum())
    rows = rows.filter(there)
    if not len(rows):
        raise DataError(f"{labels}: no row has labels")
    if where and not rows["is_within"].any():
        raise UsageError(f"--where {where!r}: no labelled trial matches")
    known = {normalize_text(label): label for label in task.labels}
    classifiers: list[str] = []
    if "classifier" in rows.columns:
        classifiers = rows["classifier"].drop_nulls().unique().to_list()
    if len(classifiers) > 1:
        raise DataError(
            f"{labels}: has labels of {len(classifiers)} classifiers"
            f" ({', '.join(sorted(classifiers)[:3])}...);"
            " label all rows with the same one"
        )
    return Population(
        task,
        rows["nct_id"],
        rows["text"] if "text" in rows.columns else None,
        rows["text_hash"] if "text_hash" in rows.columns else None,
        memberships(rows["labels"], task, known, str(labels), rows["nct_id"]),
        probabilities_in(rows, task, labels),
        {name: _cells(rows[column]) for name, column in columns.items()},
        derived,
        rows["is_within"].fill_null(False).to_numpy(),
        without,
        classifiers[0] if len(classifiers) else None,
    )


def memberships(
    column: pl.Series, task: Task, known: Mapping[str, str], where: str, names: pl.Series
) -> NDArray[np.bool_]:
    """Label cells as booleans [rows, labels]; raises DataError naming the row of an unknown label.

    `names` identify the rows: their NCT ids, or their row numbers in a file.
    """
    labels = list(task.labels)
    if isinstance(column.dtype, pl.List) and column.dtype.inner == pl.String:
        found = column.explode().drop_nulls().unique()
        if set(found) <= set(labels):  # fast for a whole registry
            return np.stack([column.list.contains(label).to_numpy() for label in labels], axis=1)
    cells = label_cells(column, known, kind=task.kind, where=where)
    resolved: list[list[str]] = []
    for place, given in enumerate(cells):
        unknown = [name for name in given if normalize_text(name) not in known]
        if unknown:
            close = difflib.get_close_matches(unknown[0], labels, n=1, cutoff=0.5)
            hint = f"; did you mean {close[0]!r}?" if close else f"; {task.name} has {', '.join(labels)}"
            said = f"no label of {task.name} is named {unknown[0]!r}{hint}"
            raise DataError(f"{where}, {names[place]}: {said}")
        resolved.append([known[normalize_text(name)] for name in given])
    return multi_hot(resolved, labels)


def _joined(
    labels: Path, trials: Path | None, by: Sequence[str], where: str | None
) -> tuple[pl.DataFrame, dict[str, str], dict[str, str]]:
    """The rows with a column for each group; those columns by group, and what they are derived from."""
    with duckdb.connect(config={"memory_limit": _MEMORY}) as db:
        source = _labels_view(db, labels)
        has = {name: name for name in db.sql(f"select * from {source} limit 0").columns}
        groups = {name: name for name in has if name not in _OWN}
        joined, origins = source, dict(groups)
        if trials:
            held = _trials_view(db, trials)
            groups = {**dict.fromkeys(VALUES, ""), **{name: name for name in held}, **groups}
            origins = {name: column or COLUMNS.get(name, name) for name, column in groups.items()}
            dropped = [name for name in held if name in has and name != "nct_id"]
            rest = f"select * exclude ({', '.join(map(_quoted, dropped))})" if dropped else "select *"
            joined = f"{source} left join ({rest} from trials) using (nct_id)"
            groups = {
                name: VALUES[name] if not column else _quoted(column) for name, column in groups.items()
            }
        else:
            groups = {name: _quoted(column) for name, column in groups.items()}
        derived = {
            name: " and ".join(origins.get(part) or _date_of(part) for part in name.split("+")) for name in by
        }
        wanted = {name: f"group_{place}" for place, name in enumerate(by)}
        expressions = [f"{_group(name, groups)} as {column}" for name, column in wanted.items()]
        kept = [_quoted(name) for name in has if name in _OWN or name.startswith(_CELL)]
        condition = f"cast(({where}) as boolean)" if where else "true"
        sql = f"select {', '.join([*kept, *expressions])}, {condition} as is_within from {joined}"
        try:
            return db.sql(sql).pl(), wanted, derived
        except duckdb.Error as error:
            first = str(error).splitlines()[0]
            if where:
                raise UsageError(f"--where {where!r}: {first}") from error
            raise DataError(f"{labels}: {first}") from error


def _labels_view(db: duckdb.DuckDBPyConnection, labels: Path) -> str:
    if labels.is_dir() and (labels / RECORD).is_file():
        source = f"read_parquet({quoted(Labelled.open(labels).glob)})"
    elif labels.is_dir():
        raise DataError(f"{labels}: is not an output of `trialtune apply` (no {RECORD})")
    elif labels.suffix.lower() == ".parquet" and labels.is_file():
        source = f"read_parquet({quoted(str(labels))})"
    else:
        db.register("given", prepared(read_table(labels)).to_arrow())
        source = "given"
    try:
        columns = db.sql(f"select * from {source} limit 0").columns
    except duckdb.Error as error:
        raise DataError(f"{labels}: cannot be read ({str(error).splitlines()[0]})") from error
    for name in ("nct_id", "labels"):
        if name not in columns:
            raise DataError(
                f"{labels}: has no column {name} (it has {', '.join(columns)}); give what `trialtune apply`"
                " or `predict` wrote, or a table of nct_id and labels"
            )
    return source


def _trials_view(db: duckdb.DuckDBPyConnection, trials: Path) -> list[str]:
    """Create the view `trials`, and return its columns."""
    if trials.is_dir() or trials.suffix.lower() == ".parquet":
        file = snapshot_file(trials) if trials.is_dir() else trials
        try:
            db.execute(f"create view trials as select * from read_parquet({quoted(str(file))})")
        except duckdb.Error as error:
            raise DataError(f"{trials}: cannot be read ({str(error).splitlines()[0]})") from error
    else:
        db.register("trials", prepared(read_table(trials)).to_arrow())
    columns = list(db.sql("select * from trials limit 0").columns)
    if "nct_id" not in columns:
        raise DataError(f"{trials}: has no column nct_id; give a snapshot or a table by NCT id")
    [(twice,)] = db.sql("select count(*) - count(distinct nct_id) from trials").fetchall()
    if twice:
        raise DataError(f"{trials}: {twice:,} rows repeat an NCT id; keep one row per trial")
    return columns


def _group(name: str, groups: Mapping[str, str]) -> str:
    """SQL for the group of each row: a text, or a list where a trial belongs to several."""
    parts = name.split("+")
    if len(parts) > 1:
        shown = [
            f"coalesce(nullif(cast({_one(part, groups)} as varchar), ''), '{NOT_GIVEN}')" for part in parts
        ]
        return f"concat_ws(' / ', {', '.join(shown)})"
    return _one(name, groups)


def _one(name: str, groups: Mapping[str, str]) -> str:
    if name in groups:
        return groups[name]
    date = _date_of(name)
    if name.endswith("_year") and date in groups:
        return f"regexp_extract(cast({groups[date]} as varchar), '{_YEAR}')"
    close = difflib.get_close_matches(name, groups, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(groups)) or 'none'};"
    raise UsageError(f"--by {name}: no such column; {hint} give the trials' snapshot as --trials")


def _date_of(year: str) -> str:
    """The column of the dates of a group NAME_year."""
    return f"{year.removesuffix('_year')}_date"


def _cells(column: pl.Series) -> Cells:
    frame = pl.DataFrame({"row": pl.int_range(len(column), eager=True), "value": column})
    if isinstance(column.dtype, pl.List):
        # An empty list has no rows in some versions of Polars, and one in others.
        several = pl.col("value").cast(pl.List(pl.String))
        given = pl.when(several.list.len() > 0).then(several).otherwise(pl.lit([NOT_GIVEN]))
        frame = frame.with_columns(given).explode("value").unique(maintain_order=True)
    values = frame["value"].cast(pl.String).fill_null(NOT_GIVEN)
    values = pl.select(pl.when(values == "").then(pl.lit(NOT_GIVEN)).otherwise(values)).to_series()
    names = sorted(values.unique())
    places = values.replace_strict(names, range(len(names)), return_dtype=pl.Int64)
    return Cells(tuple(names), frame["row"].to_numpy(), places.to_numpy())


def _probability_columns(rows: pl.DataFrame) -> dict[str, str]:
    """Label, as `plain_name` -> the column or field of its probability; {} without probabilities."""
    stated = rows.schema.get("probabilities")
    if isinstance(stated, pl.Struct):
        return {plain_name(field.name): field.name for field in stated.fields}
    return {plain_name(name.removeprefix(_CELL)): name for name in rows.columns if name.startswith(_CELL)}


def probabilities_in(rows: pl.DataFrame, task: Task, labels: Path) -> NDArray[np.float32] | None:
    """The probabilities of rows as numbers [rows, labels]; None where the table has none.

    Raises DataError when one is missing, or of another task.
    """
    columns = _probability_columns(rows)
    if not columns:
        return None
    missing = [label for label in task.labels if plain_name(label) not in columns]
    if missing:
        raise DataError(
            f"{labels}: has probabilities, but none of {', '.join(missing[:3])}, a label of {task.name};"
            " name their task with --task"
        )
    table = rows["probabilities"].struct.unnest() if "probabilities" in rows.columns else rows
    try:
        found = table.select(pl.col(columns[plain_name(label)]).cast(pl.Float32) for label in task.labels)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{labels}: a probability is not a number ({str(error).splitlines()[0]})") from error
    array: NDArray[np.float32] = found.to_numpy()
    if not np.isfinite(array).all():
        row = int(np.flatnonzero(~np.isfinite(array).all(axis=1))[0])
        raise DataError(
            f"{labels}: {rows['nct_id'][row]} has labels, but lacks a probability; label it again"
        )
    if len(wrong := np.flatnonzero(((array < 0) | (array > 1)).any(axis=1))):
        raise DataError(f"{labels}: {rows['nct_id'][int(wrong[0])]} has a probability outside 0 to 1")
    return array


def _check_ids(ids: pl.Series, labels: Path) -> None:
    if missing := ids.null_count():
        row = int(ids.is_null().arg_true()[0]) + 1
        raise DataError(
            f"{labels}: {missing:,} rows have no NCT id (the first is row {row}); give each its own"
        )
    twice = ids.filter(ids.is_duplicated())
    if len(twice):
        raise DataError(
            f"{labels}: {len(twice.unique()):,} NCT ids are in several rows ({twice[0]} is one); keep one"
            " row per trial"
        )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
