"""Phrase banks: short YAML files of sentence templates, and the one rule that fills them in."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from random import Random
from typing import Any

import yaml

_HOLE = re.compile(r"\{([^{}]*)\}")
_SPACES = re.compile(r" {2,}")
_SPACE_BEFORE_POINT = re.compile(r" +([,.;:])")

Slots = Mapping[str, Sequence[str]]


@cache
def load_bank(name: str) -> dict[str, Any]:
    """One bank, or all YAML files of a bank folder joined; every text block becomes a list of its lines."""
    place = resources.files(__package__) / "banks" / name
    files = sorted(place.iterdir(), key=lambda file: file.name) if place.is_dir() else [place]
    joined: dict[str, Any] = {}
    for file in files:
        joined |= yaml.safe_load(file.read_text(encoding="utf-8"))
    return {key: _as_lines(value) for key, value in joined.items()}


def _as_lines(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_lines(inner) for key, inner in value.items()}
    if isinstance(value, str) and "\n" in value:
        return [line.strip() for line in value.splitlines() if line.strip()]
    return value


def fill(template: str, rng: Random, slots: Slots, values: Mapping[str, str] | None = None) -> str:
    """Fill the innermost holes until none is left: `{a|b}` picks a side, `{name}` a value or slot line."""

    def choose(match: re.Match[str]) -> str:
        hole = str(match[1])
        if "|" in hole:
            return rng.choice(hole.split("|"))
        if values and hole in values:
            return values[hole]
        return rng.choice(slots[hole])

    while _HOLE.search(template):
        template = _HOLE.sub(choose, template)
    return _SPACE_BEFORE_POINT.sub(r"\1", _SPACES.sub(" ", template)).strip()


def capitalized(text: str) -> str:
    """The text with its first letter in upper case; the rest stays as it is."""
    return text[:1].upper() + text[1:]
