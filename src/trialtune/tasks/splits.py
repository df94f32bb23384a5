"""Splitting labelled rows so that no trial and no wording is ever on both sides."""

import re
import unicodedata
from collections.abc import Iterator

import numpy as np
import polars as pl

from trialtune.errors import DataError, UsageError

_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
_SHOWN = 5


def normalise(text: str) -> str:
    """`text` with case, width variants, punctuation and spacing taken out: equal means same wording."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    # Folding can undo the normal form of a few letters, so it is restored.
    return _NOT_ALPHANUMERIC.sub(" ", unicodedata.normalize("NFKC", folded)).strip()


def split_examples(
    frame: pl.DataFrame, *, fractions: dict[str, float], seed: int, kind: str
) -> dict[str, pl.DataFrame]:
    """Divide a labelled frame into named parts of about the given fractions, each in the frame's order.

    Rows that share an NCT id or a normalised text, directly or through other rows, stay together.
    Whole groups are dealt out by iterative stratification (Sechidis et al., 2011): rarest label
    first, each group to the part that lacks that label most. The result depends on the rows and the
    seed, not on the order of the rows. Raises UsageError for impossible fractions, DataError when a
    part would be empty or a `multi_class` row has not exactly one label.
    """
    shares = np.array(list(fractions.values()), dtype=float)
    if not fractions or (shares <= 0).any() or abs(shares.sum() - 1) > 1e-6:
        raise UsageError(f"fractions must be positive and add up to 1, not {fractions}")
    if kind == "multi_class" and (frame["labels"].list.len() != 1).any():
        raise DataError("every row of a multi-class task needs exactly one label")
    groups = _grouped(frame)
    part_of_group = _deal(groups, _label_counts(frame, groups), shares, seed)
    part_of_row = np.empty(frame.height, dtype=int)
    for group, part in zip(groups, part_of_group, strict=True):
        part_of_row[group] = part
    parts = {name: frame.filter(part_of_row == index) for index, name in enumerate(fractions)}
    if empty := [name for name, part in parts.items() if part.is_empty()]:
        raise DataError(
            f"{frame.height} rows in {len(groups)} groups leave nothing for {', '.join(empty)};"
            " give more rows or larger fractions"
        )
    return parts


def check_no_overlap(
    train: pl.DataFrame, test: pl.DataFrame, *, names: tuple[str, str] = ("train", "test")
) -> None:
    """Raise DataError when a row of `train` shares its NCT id or normalised text with one of `test`."""
    shared = train.filter(_shares_identity(train, test))
    if shared.is_empty():
        return
    shown = "; ".join(f"{nct_id or 'no id'} {text[:60]!r}" for nct_id, text in _pairs(shared.head(_SHOWN)))
    more = f" and {shared.height - _SHOWN} more" if shared.height > _SHOWN else ""
    raise DataError(
        f"{shared.height} of {train.height} rows of {names[0]} share an NCT id or a text with {names[1]}"
        f" ({test.height} rows): {shown}{more}; take them out of {names[0]}"
    )


def drop_overlap(train: pl.DataFrame, test: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`train` without the rows whose NCT id or normalised text occurs in `test`, and those rows."""
    shared = _shares_identity(train, test)
    return train.filter(~shared), train.filter(shared)


def _pairs(frame: pl.DataFrame) -> Iterator[tuple[str | None, str]]:
    ids = frame["nct_id"].to_list() if "nct_id" in frame.columns else [None] * frame.height
    return zip(ids, frame["text"].to_list(), strict=True)


def _identities(frame: pl.DataFrame) -> Iterator[list[str]]:
    """The keys of each row; two rows that share one must not be separated."""
    for nct_id, text in _pairs(frame):
        # Text of nothing but punctuation stands for itself, or all such rows would be one.
        text_key = "text " + (normalise(text) or text)
        yield [text_key, "id " + nct_id.strip().upper()] if nct_id else [text_key]


def _shares_identity(train: pl.DataFrame, test: pl.DataFrame) -> pl.Series:
    known = {key for keys in _identities(test) for key in keys}
    return pl.Series([not known.isdisjoint(keys) for keys in _identities(train)], dtype=pl.Boolean)


def _grouped(frame: pl.DataFrame) -> list[list[int]]:
    """Row numbers of each connected component (union-find over keys), in an order-free order."""
    parent: dict[str, str] = {}

    def find(key: str) -> str:
        while (above := parent.setdefault(key, key)) != key:
            parent[key] = parent[above]
            key = parent[key]
        return key

    row_keys = list(_identities(frame))
    for first, *others in row_keys:
        for other in others:
            low, high = sorted((find(first), find(other)))
            parent[high] = low  # the smallest key is the root, whatever order the rows came in
    groups: dict[str, list[int]] = {}
    for row, keys in enumerate(row_keys):
        groups.setdefault(find(keys[0]), []).append(row)
    return [groups[root] for root in sorted(groups)]


def _label_counts(frame: pl.DataFrame, groups: list[list[int]]) -> np.ndarray:
    """Rows with each label in each group [groups, labels + 1]; the last column counts all rows."""
    labels = frame["labels"].to_list()
    column = {label: index for index, label in enumerate(sorted({name for row in labels for name in row}))}
    counts = np.zeros((len(groups), len(column) + 1))
    for number, group in enumerate(groups):
        counts[number, -1] = len(group)
        for row in group:
            for label in labels[row]:
                counts[number, column[label]] += 1
    return counts


def _deal(groups: list[list[int]], counts: np.ndarray, shares: np.ndarray, seed: int) -> np.ndarray:
    """The part of each group, by iterative stratification."""
    part = np.full(len(groups), -1)
    wanted = np.outer(shares, counts.sum(axis=0))  # [parts, labels + 1], falls as groups are dealt
    shuffled = np.random.default_rng(seed).permutation(len(groups))
    # Large groups first: small ones can still even out what a large one upset.
    order = shuffled[np.argsort(-counts[shuffled, -1], kind="stable")]
    while (waiting := order[part[order] < 0]).size:
        left = (counts[waiting, :-1] > 0).sum(axis=0)
        label = np.where(left > 0, left, np.inf).argmin() if left.any() else -1
        for group in waiting[counts[waiting, label] > 0]:
            # Ties on the label are settled by the part that lacks most rows.
            best = np.lexsort((wanted[:, -1], wanted[:, label]))[-1]
            part[group] = best
            wanted[best] -= counts[group]
    return part
