"""Snapshots made up of a few trials."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from trialtune.registry.snapshot.build import import_trials

MakeSnapshot = Callable[[Path, Mapping[int, Mapping[str, Any]]], Path]


@pytest.fixture(scope="session")
def make_snapshot() -> MakeSnapshot:
    """Writes the snapshot of trials {number: fields}; each has a text of its own."""

    def make(path: Path, rows: Mapping[int, Mapping[str, Any]]) -> Path:
        trials = ({"nct_id": f"NCT{n:08d}", "text": f"words {n}", **cells} for n, cells in rows.items())
        source = path.with_suffix(".jsonl")
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text("\n".join(map(json.dumps, trials)), encoding="utf-8")
        import_trials(source, path, data_timestamp="2024-01-01T00:00:00Z")
        return path

    return make
