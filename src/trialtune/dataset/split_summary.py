"""The result of splitting labelled rows: the content of `split.json`."""

from typing import Any

from trialtune.results import Result


class PartSummary(Result):
    """One part of a split, and how many of its rows have each label."""

    rows: int
    labels: dict[str, int]


class SplitSummary(Result):
    """The parts of a split, by path without suffix, and the near-duplicates across each pair of parts.

    After a split by date, `undated` rows are kept for training, and `straddling` ones left out of it
    because they are grouped with later rows.
    """

    task: str
    settings: dict[str, Any]  # as JSON: their class belongs to the stage
    rows: int
    undated: int | None = None
    straddling: int | None = None
    parts: dict[str, PartSummary]
    near_duplicates: dict[str, int]
