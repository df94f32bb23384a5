"""Label Studio: its JSON of tasks, and the JSON-MIN, CSV and TSV that its converter writes."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from trialtune.annotation.formats.imported import NOBODY, Found, Imported
from trialtune.dataset.answers import LABELLED, SKIPPED, Answer, Key
from trialtune.errors import DataError
from trialtune.tasks.task import Task

_OWN = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"}


def is_tasks(row: Mapping[str, Any]) -> bool:
    """Whether a row is a task with its annotations."""
    return "data" in row and "annotations" in row


def is_minimal(row: Mapping[str, Any]) -> bool:
    """Whether a row is from JSON-MIN, CSV or TSV."""
    return {"annotation_id", "annotator"} <= row.keys()


def read_tasks(rows: Iterable[Mapping[str, Any]], where: str) -> Imported:
    """The annotations of tasks; cancelled ones are skipped texts, drafts and predictions are left out."""
    read = Imported()
    for number, task in enumerate(rows, start=1):
        annotations = task["annotations"] or []
        read.left_out[NOBODY] += not annotations
        read.left_out["draft"] += len(task.get("drafts") or [])
        for annotation in annotations:
            results = annotation.get("result") or []
            values = [result["value"] for result in results]
            read.found.append(
                Found(
                    record=task["data"],
                    names=[name for value in values for name in value.get("choices", [])],
                    annotator=_who(annotation.get("completed_by")),
                    place=f"{where}, task {task.get('id', number)}",
                    status=SKIPPED if annotation.get("was_cancelled") else LABELLED,
                    note=" ".join(line for value in values for line in _lines(value.get("text"))),
                    answered_at=annotation.get("updated_at") or annotation.get("created_at") or "",
                )
            )
    return read


def read_minimal(
    rows: Iterable[Mapping[str, Any]], task: Task, where: str, *, label_field: str | None
) -> Imported:
    """Rows of JSON-MIN, CSV or TSV: one per annotation; a task without annotations has no annotator.

    The converter leaves skipped annotations out. One choice is a text, several are `{"choices": [...]}`.
    """
    read = Imported()
    listed = [*rows]
    wanted = (label_field,) if label_field else (*task.label_columns, "choice", "choices")
    names = {name for row in listed for name in row}  # a row without a choice lacks the column
    column = next((name for name in wanted if name in names), None)
    if column is None:
        others = sorted(names - _OWN)
        raise DataError(f"{where}: choose which of {', '.join(others)} has the labels with --label-field")
    for number, row in enumerate(listed, start=1):
        if row["annotator"] in (None, ""):
            read.left_out[NOBODY] += 1
            continue
        read.found.append(
            Found(
                record={name: cell for name, cell in row.items() if name not in {*_OWN, column}},
                names=_choices(row.get(column)),
                annotator=str(row["annotator"]),
                place=f"{where}, row {number}, {column}",
                answered_at=row.get("updated_at") or row.get("created_at") or "",
            )
        )
    return read


def write_tasks(answers: Mapping[Key, Sequence[Answer]], task: Task) -> str:
    """Tasks with annotations, to be imported; skipped and unsure texts are cancelled."""
    tasks = []
    numbers = iter(range(1, 1 + sum(map(len, answers.values()))))
    for place, said in enumerate(answers.values(), start=1):
        data = {"nct_id": said[0].nct_id, "text": said[0].text}
        annotations = [_annotation(answer, next(numbers)) for answer in said]
        tasks.append({"id": place, "data": data, "annotations": annotations})
    return json.dumps(tasks, ensure_ascii=False, indent=1) + "\n"


def label_config(task: Task) -> str:
    """The labelling interface of a project for these tasks, as XML."""
    choice = "multiple" if task.kind == "multi_label" else "single-radio"
    choices = "\n".join(
        f"    <Choice value={quoteattr(label)} hint={quoteattr(definition)}/>"
        for label, definition in task.labels.items()
    )
    return (
        f'<View>\n  <Text name="text" value="$text"/>\n  <Choices name="labels" toName="text"'
        f' choice="{choice}">\n{choices}\n  </Choices>\n'
        '  <TextArea name="note" toName="text" maxSubmissions="1"/>\n</View>\n'
    )


def _annotation(answer: Answer, number: int) -> dict[str, Any]:
    common = {"to_name": "text", "origin": "manual"}
    results: list[dict[str, Any]] = []
    if answer.labels:
        chosen = {"choices": [*answer.labels]}
        results.append(
            {**common, "id": f"labels{number}", "from_name": "labels", "type": "choices", "value": chosen}
        )
    if answer.note:
        note = {"text": [answer.note]}
        results.append(
            {**common, "id": f"note{number}", "from_name": "note", "type": "textarea", "value": note}
        )
    times = {"created_at": answer.answered_at, "updated_at": answer.answered_at} if answer.answered_at else {}
    return {
        "id": number,
        "completed_by": {"email": answer.annotator},
        "result": results,
        "was_cancelled": not answer.decides,
        "ground_truth": False,
        **times,
    }


def _who(completed_by: Any) -> str:
    """The annotator: an e-mail address where there is one, else a number."""
    if isinstance(completed_by, Mapping):
        return str(completed_by.get("email") or completed_by.get("id") or "unknown")
    return "unknown" if completed_by is None else str(completed_by)


def _lines(text: Any) -> list[str]:
    return [text] if isinstance(text, str) else [*(text or [])]


def _choices(cell: Any) -> list[str]:
    if isinstance(cell, str) and cell.startswith("{"):
        cell = json.loads(cell)
    if isinstance(cell, Mapping):
        cell = cell["choices"]
    return [cell] if isinstance(cell, str) else [*(cell or [])]
