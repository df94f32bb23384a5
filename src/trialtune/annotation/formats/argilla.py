"""Argilla 2: records as `Dataset.records.to_json` and `to_list(flatten=True)` write them."""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trialtune.annotation.formats.imported import NOBODY, Found, Imported
from trialtune.dataset.answers import LABELLED, SKIPPED, Answer, Key
from trialtune.errors import DataError
from trialtune.tasks.task import Task

_PEOPLE = uuid.UUID("8f5c4b0e-52e4-5d4b-9a6e-0d7f0f4d6b1a")  # namespace of the user ids made from names
_SAID = ".responses"
_Response = tuple[Any, str, str | None]  # value, annotator, status


def is_nested(row: Mapping[str, Any]) -> bool:
    """Whether a row is a record of `to_json`."""
    return {"fields", "responses"} <= row.keys()


def is_flat(row: Mapping[str, Any]) -> bool:
    """Whether a row is a record of `to_list(flatten=True)`."""
    return any(name.endswith(_SAID) for name in row)


def read_nested(
    rows: Iterable[Mapping[str, Any]], task: Task, where: str, *, label_field: str | None
) -> Imported:
    """The responses of records; a response without a value was discarded.

    The file does not mark drafts, so responses of records that are not completed are reported.
    """
    read, doubtful = Imported(), 0
    for number, row in enumerate(rows, start=1):
        record = {**(row.get("metadata") or {}), **row["fields"]}
        responses = row["responses"] or {}
        place = f"{where}, record {row.get('id', number)}"
        said = responses[_question(responses, task, label_field, place)] if responses else []
        people = _named(record.pop("annotators", None), [one.get("user_id") for one in said])
        statuses = [one.get("status") for one in said]
        values = [one.get("value") for one in said]
        _add(read, record, [*zip(values, people, statuses, strict=True)], place)
        doubtful += len(said) if row.get("status") == "pending" and not any(statuses) else 0
    if doubtful:
        read.remarks.append(
            f"{doubtful:,} responses belong to records that are not completed: they may be drafts, which this"
            " file does not mark"
        )
    return read


def read_flat(
    rows: Iterable[Mapping[str, Any]], task: Task, where: str, *, label_field: str | None
) -> Imported:
    """The same for flattened records, in which drafts are marked; they are left out."""
    read = Imported()
    for number, row in enumerate(rows, start=1):
        place = f"{where}, record {row.get('id', number)}"
        questions = {name.removesuffix(_SAID) for name in row if name.endswith(_SAID)}
        column = _question(questions, task, label_field, place) + _SAID
        values = row[column] or []
        record = {name: cell for name, cell in row.items() if not name.startswith(column[: -len(_SAID)])}
        people = _named(record.pop("annotators", None), row.get(f"{column}.users") or [])
        statuses = row.get(f"{column}.status") or [None] * len(values)
        _add(read, record, [*zip(values, people, statuses, strict=True)], place)
    return read


def write_records(answers: Mapping[Key, Sequence[Answer]], task: Task) -> str:
    """Records for `Dataset.records.from_json`: a text field, a question `labels`, one response per annotator.

    Argilla identifies annotators by ids, which are made from the names; `annotators` in the metadata
    keeps the names.
    """
    records = []
    for place, said in enumerate(answers.values(), start=1):
        responses = [
            {"value": _value(answer, task), "user_id": str(uuid.uuid5(_PEOPLE, answer.annotator))}
            for answer in said
        ]
        records.append(
            {
                "id": str(place),
                "fields": {"text": said[0].text},
                "metadata": {"nct_id": said[0].nct_id, "annotators": [answer.annotator for answer in said]},
                "suggestions": {},
                "responses": {"labels": responses},
                "vectors": {},
                "status": "completed",
                "_server_id": None,
            }
        )
    return json.dumps(records, ensure_ascii=False, indent=1) + "\n"


def _value(answer: Answer, task: Task) -> list[str] | str | None:
    if not answer.decides:
        return None
    return [*answer.labels] if task.kind == "multi_label" else answer.labels[0]


def _question(names: Iterable[str], task: Task, label_field: str | None, place: str) -> str:
    """The question that holds the labels."""
    found = [*names]
    wanted = (label_field,) if label_field else task.label_columns
    chosen = [name for name in wanted if name in found] or (found if len(found) == 1 else [])
    if not chosen:
        raise DataError(f"{place}: choose which of {', '.join(found)} has the labels with --label-field")
    return chosen[0]


def _named(names: Any, ids: Sequence[Any]) -> list[str]:
    """The annotators by name, where `write_records` kept the names."""
    known = names if isinstance(names, list) and len(names) == len(ids) else ids
    return [str(one or "unknown") for one in known]


def _add(read: Imported, record: Mapping[str, Any], said: Sequence[_Response], place: str) -> None:
    read.left_out[NOBODY] += not said
    for value, name, status in said:
        if status == "draft":
            read.left_out["draft"] += 1
            continue
        names = [value] if isinstance(value, str) else [*(value or [])]
        discarded = value is None or status == "discarded"
        read.found.append(Found(record, names, name, place, status=SKIPPED if discarded else LABELLED))
