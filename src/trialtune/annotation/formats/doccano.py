"""doccano: the JSON Lines of a text classification project, one file per annotator or one for all."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trialtune.annotation.formats.imported import Found, Imported
from trialtune.dataset.answers import Answer

_NO_LABEL = "without a label: unread, or no label applies, which the file does not distinguish"


def is_examples(row: Mapping[str, Any]) -> bool:
    """Whether a row was written by doccano."""
    return "text" in row and isinstance(row.get("label"), list)


def read_examples(rows: Iterable[Mapping[str, Any]], path: Path, *, annotator: str | None) -> Imported:
    """The labelled rows; the file is named after the annotator, unless it is `all`."""
    named = annotator or ("doccano" if path.stem in ("all", "admin") else path.stem)
    read = Imported()
    for number, row in enumerate(rows, start=1):
        if not row["label"]:
            read.left_out[_NO_LABEL] += 1
            continue
        record = {name: cell for name, cell in row.items() if name not in ("id", "label", "Comments")}
        note = " ".join(map(str, row.get("Comments") or []))
        read.found.append(Found(record, row["label"], named, f"{path}, row {number}, label", note=note))
    return read


def write_examples(answers: Iterable[Answer]) -> str:
    """One row per text, to be imported with `label` as its column of labels."""
    rows = (
        {
            "text": answer.text,
            "label": [*answer.labels],
            "nct_id": answer.nct_id,
            "Comments": [answer.note] if answer.note else [],
        }
        for answer in answers
    )
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
