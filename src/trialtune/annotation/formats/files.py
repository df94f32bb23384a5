"""Detects which annotation tool wrote a file, and writes files for each."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from trialtune.annotation.formats import argilla, doccano, label_studio
from trialtune.annotation.formats.imported import Found, Imported
from trialtune.annotation.labels_file import csv_text, read_labels_file
from trialtune.dataset.answers import Answer, holds_answers, latest, settle
from trialtune.dataset.columns import divided, prepared
from trialtune.dataset.label_names import LabelNames
from trialtune.dataset.tables import read_table
from trialtune.errors import DataError
from trialtune.files import atomic_file
from trialtune.tasks.task import Task

Program = Literal["label-studio", "argilla", "doccano", "csv"]


def read_import(
    task: Task, path: Path, *, annotator: str | None, label_field: str | None
) -> tuple[str, list[Answer], Imported]:
    """The program that wrote a file, the answers in it, and what else it holds.

    Raises DataError for a file of an unknown format, or a label that the task does not have.
    """
    if path.suffix.lower() in (".csv", ".tsv"):
        return _from_delimited(task, path, annotator, label_field)
    if path.suffix.lower() not in (".json", ".jsonl", ".ndjson"):
        return _from_table(task, path, annotator)
    rows = _json_rows(path)
    first, where = rows[0], str(path)
    if label_studio.is_tasks(first):
        return _made(task, "Label Studio", label_studio.read_tasks(rows, where))
    if label_studio.is_minimal(first):
        return _made(
            task, "Label Studio", label_studio.read_minimal(rows, task, where, label_field=label_field)
        )
    if argilla.is_nested(first):
        return _made(task, "Argilla", argilla.read_nested(rows, task, where, label_field=label_field))
    if argilla.is_flat(first):
        return _made(task, "Argilla", argilla.read_flat(rows, task, where, label_field=label_field))
    if doccano.is_examples(first):
        return _made(task, "doccano", doccano.read_examples(rows, path, annotator=annotator))
    return _from_table(task, path, annotator)


def write_export(task: Task, answers: Sequence[Answer], path: Path, program: Program) -> dict[str, Any]:
    """Write answers for another program; returns what was written, and what was not.

    Label Studio and Argilla get each annotator's last answer, the others the final answers.
    """
    settled = settle(answers)
    every = {key: [*said.values()] for key, said in latest(answers).items()}
    written: dict[str, Any] = {"file": str(path), "texts": len(every)}
    match program:
        case "label-studio":
            content = label_studio.write_tasks(every, task)
            written["config"] = str(path.with_suffix(".xml"))
            _write(path.with_suffix(".xml"), label_studio.label_config(task))
        case "argilla":
            content = argilla.write_records(every, task)
        case "doccano":
            content = doccano.write_examples(settled.chosen)
        case "csv":
            content = _plain(settled.chosen)
    _write(path, content)
    if program in ("doccano", "csv"):
        written |= {
            "texts": len(settled.chosen),
            "passed_over": dict(settled.passed_over),
            "left_out": len(settled.left_out),
        }
    return written


def _made(task: Task, program: str, read: Imported) -> tuple[str, list[Answer], Imported]:
    return program, read.answers(task), read


def _json_rows(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = (
            json.loads(text)
            if text.lstrip().startswith("[")
            else [json.loads(line) for line in text.splitlines() if line.strip()]
        )
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not valid JSON ({error}); export it again") from error
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path}: has no rows with named fields")
    return list(rows)


def _from_delimited(
    task: Task, path: Path, annotator: str | None, label_field: str | None
) -> tuple[str, list[Answer], Imported]:
    text = csv_text(path)
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","  # Label Studio calls its TSV .csv
    rows = [*csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)]
    if not rows:
        raise DataError(f"{path}: has no rows")
    if holds_answers(rows[0]):
        return "trialtune", read_labels_file(task, path), Imported()
    if label_studio.is_minimal(rows[0]):
        return _made(
            task, "Label Studio", label_studio.read_minimal(rows, task, str(path), label_field=label_field)
        )
    return _from_table(task, path, annotator)


def _from_table(task: Task, path: Path, annotator: str | None) -> tuple[str, list[Answer], Imported]:
    """Any table of texts with labels, as the answers of one annotator."""
    table = prepared(read_table(path))
    column = next((name for name in task.label_columns if name in table.columns), None)
    if column is None:
        raise DataError(f"{path}: unknown format, without any of the columns {', '.join(task.label_columns)}")
    known, read = LabelNames(task).known, Imported()
    for number, row in enumerate(table.iter_rows(named=True), start=1):
        cell = row.pop(column)
        if not cell:
            read.left_out["no label"] += 1
            continue
        names = divided(str(cell), known=known) if isinstance(cell, str) else cell
        place = f"{path}, row {number}, {column}"
        read.found.append(Found(row, names, annotator or "imported", place))
    return _made(task, "a table", read)


def _plain(answers: Sequence[Answer]) -> str:
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(["nct_id", "text", "labels"])
    writer.writerows([answer.nct_id, answer.text, "|".join(answer.labels)] for answer in answers)
    return made.getvalue()


def _write(path: Path, content: str) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(content, encoding="utf-8")
