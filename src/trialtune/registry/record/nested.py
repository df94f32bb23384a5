"""Studies in other forms than the API's own: flattened, in a column, from the previous API."""

import json
import re
from collections.abc import Mapping
from typing import Any

_MODULES = ("identificationModule", "statusModule")
_DEEPEST = 4


def study_of(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The API v2 study in a row: unchanged, flattened by dots or underscores, or in a column.

    A column may hold it as an object or as JSON text. None when the row holds none.
    """
    if isinstance(row.get("protocolSection"), Mapping):
        return row
    for name, value in row.items():
        if isinstance(value, Mapping):
            if "protocolSection" in value:
                return study_of(value)
            if name in _MODULES:
                return {"protocolSection": row}
        elif isinstance(value, str) and value[:1] == "{" and '"protocolSection"' in value:
            try:
                inner = json.loads(value, strict=False)
            except (ValueError, RecursionError):
                continue
            if isinstance(inner, dict):
                return study_of(inner)
        if name.startswith("protocolSection") and name != "protocolSection":
            return _unflattened(row)
        if name.startswith(tuple(f"{module}." for module in _MODULES)):
            return {"protocolSection": _unflattened(row)}
    return None


def flat_row(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row with the values of its objects added under names such as eligibility.sex.

    A study of the previous API ("ProtocolSection") gives its leaves, whose names are distinct.
    """
    if "ProtocolSection" in row:
        leaves: dict[str, Any] = {}
        _add_leaves(row["ProtocolSection"], leaves)
        return leaves
    if not any(isinstance(value, dict) for value in row.values()):
        return row
    flat: dict[str, Any] = {}
    _add_flat(row, "", flat, 0)
    return flat


def _add_leaves(value: object, leaves: dict[str, Any]) -> None:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(inner, Mapping):
                _add_leaves(inner, leaves)
            else:
                leaves.setdefault(name, inner)


def _add_flat(row: Mapping[str, Any], prefix: str, flat: dict[str, Any], depth: int) -> None:
    for name, value in row.items():
        if isinstance(value, dict) and depth < _DEEPEST:
            _add_flat(value, f"{prefix}{name}.", flat, depth + 1)
        else:
            flat[f"{prefix}{name}"] = value


def _unflattened(row: Mapping[str, Any]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for name, value in row.items():
        at = root
        *path, last = re.split(r"[._]", name)
        for part in path:
            inner = at.setdefault(part, {})
            if not isinstance(inner, dict):
                break
            at = inner
        else:
            at[last] = value
    return root
