"""Splits labelled rows so that no trial, wording or near-duplicate is in two parts."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from trialtune.dataset.near_duplicates import components, near_groups
from trialtune.errors import DataError, UsageError
from trialtune.registry.record.dates import iso_date
from trialtune.tasks.text import normalize_text

_DATES = ("date", "start_date")


def identities(frame: pl.DataFrame) -> Iterator[list[str]]:
    """The keys of each row, text and NCT id; two rows that share one must stay together."""
    ids = frame["nct_id"].to_list() if "nct_id" in frame.columns else [None] * frame.height
    for nct_id, text in zip(ids, frame["text"].to_list(), strict=True):
        # Text of punctuation only is its own key, or all such rows would be one.
        text_key = "text " + (normalize_text(text) or text)
        yield [text_key, "id " + nct_id.strip().upper()] if nct_id else [text_key]


def split_examples(
    frame: pl.DataFrame, *, fractions: dict[str, float], seed: int, kind: str
) -> dict[str, pl.DataFrame]:
    """Split a labelled frame into named parts of about the given fractions, each in the frame's order.

    Rows that share an NCT id or a normalized text or are near-duplicates (`near_groups`), directly or by
    other rows, stay together. Groups are assigned by iterative stratification (Sechidis et
    al., 2011): rarest label first, each group to the part that lacks that label most. The result
    depends on the rows and the seed, not on the order of the rows. Raises UsageError for impossible
    fractions, DataError when a part would be empty or a `multi_class` row has not exactly one label.
    """
    shares = np.array(list(fractions.values()), dtype=float)
    if not fractions or (shares <= 0).any() or abs(shares.sum() - 1) > 1e-6:
        raise UsageError(f"fractions must be positive and add up to 1, not {fractions}")
    if kind == "multi_class" and (frame["labels"].list.len() != 1).any():
        raise DataError("every row of a multi-class task needs exactly one label")
    groups = group_rows(frame)
    part_of_group = _deal(groups, _label_counts(frame, groups), shares, seed)
    part_of_row = np.empty(frame.height, dtype=int)
    for group, part in zip(groups, part_of_group, strict=True):
        part_of_row[group] = part
    parts = {name: frame.filter(part_of_row == index) for index, name in enumerate(fractions)}
    if empty := [name for name, part in parts.items() if part.is_empty()]:
        raise DataError(
            f"{frame.height} rows in {len(groups)} groups leave none for {', '.join(empty)};"
            " give more rows or larger fractions"
        )
    return parts


def k_folds(
    frame: pl.DataFrame, *, folds: int, seed: int, kind: str
) -> list[tuple[pl.DataFrame, pl.DataFrame]]:
    """(train, test) frames of each fold, grouped and stratified as by `split_examples`.

    Every row is in exactly one test frame. Raises UsageError for fewer than two folds, and as
    `split_examples` does.
    """
    fold_of_row = fold_numbers(frame, folds=folds, seed=seed, kind=kind)
    return [(frame.filter(fold_of_row != fold), frame.filter(fold_of_row == fold)) for fold in range(folds)]


def fold_numbers(frame: pl.DataFrame, *, folds: int, seed: int, kind: str) -> np.ndarray:
    """The fold of each row [rows], from 0, as `k_folds` assigns them; raises as it does."""
    if folds < 2:
        raise UsageError(f"{folds} folds: at least 2 are needed")
    numbered = frame.with_row_index("_row")
    fractions = {f"fold {number}": 1 / folds for number in range(1, folds + 1)}
    parts = split_examples(numbered, fractions=fractions, seed=seed, kind=kind)
    fold_of_row = np.empty(frame.height, dtype=int)
    for fold, part in enumerate(parts.values()):
        fold_of_row[part["_row"].to_numpy()] = fold
    return fold_of_row


def split_by_date(frame: pl.DataFrame, cutoff: str) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, int]]:
    """Rows to train on, from before `cutoff` (a date), rows to test on, from that day on, and counts.

    The date is that of the column `date`, else `start_date`, in any form that `iso_date` reads. A
    row without a date, or with one too imprecise to decide, is never in the test part (`undated`, kept for
    training). A training row in the same group as a test row is left out (`straddling`).
    Raises UsageError when `cutoff` is not a date, DataError without a date column or when a part is empty.
    """
    if (day := iso_date(cutoff)) is None:
        raise UsageError(f"{cutoff!r} is not a date; write it as 2017-04-30")
    column = next((name for name in _DATES if name in frame.columns), None)
    if column is None:
        raise DataError(f"the rows have no column {' or '.join(_DATES)}, which a split by date needs")
    dates = [iso_date(value) for value in frame[column]]
    limit = _completed(day, "-01-01")
    late = np.array([date is not None and _completed(date, "-01-01") >= limit for date in dates], dtype=bool)
    early = np.array([date is not None and _completed(date, "-12-31") < limit for date in dates], dtype=bool)
    straddling = np.zeros(frame.height, dtype=bool)
    for group in group_rows(frame):
        straddling[group] = late[group].any()
    train = frame.filter(~straddling)
    test = frame.filter(late)
    if train.is_empty() or test.is_empty():
        raise DataError(
            f"{cutoff}: {train.height} rows before and {test.height} from then on; both are needed"
        )
    counts = {
        "train": train.height,
        "test": test.height,
        "undated": int((~late & ~early).sum()),
        "straddling": int((straddling & ~late).sum()),
    }
    return train, test, counts


def group_rows(frame: pl.DataFrame) -> list[list[int]]:
    """Row numbers of each group that must stay together, in an order independent of the rows' order."""
    row_keys = list(identities(frame))
    texts = sorted({keys[0] for keys in row_keys})
    near = near_groups([text.removeprefix("text ") for text in texts])
    group_of_text = dict(zip(texts, near.tolist(), strict=True))
    # A graph of the groups of texts and of the trials, with an edge for each row that has one of both.
    trials = sorted({key for keys in row_keys for key in keys[1:]})
    node = {trial: place for place, trial in enumerate(trials, start=int(near.max(initial=-1)) + 1)}
    edges = [(group_of_text[text], node[other]) for text, *others in row_keys for other in others]
    part = components(np.array(edges, dtype=np.int64).reshape(-1, 2), len(texts) + len(trials))
    groups: dict[int, list[int]] = {}
    for row, (text, *_) in enumerate(row_keys):
        groups.setdefault(int(part[group_of_text[text]]), []).append(row)
    return sorted(groups.values(), key=lambda rows: min(key for row in rows for key in row_keys[row]))


def _completed(date: str, rest: str) -> str:
    """A date of the form YYYY[-MM[-DD]] with its missing parts taken from `rest`, -MM-DD."""
    return date + rest[len(date) - 4 :]


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
    wanted = np.outer(shares, counts.sum(axis=0))  # [parts, labels + 1], decreases as groups are placed
    shuffled = np.random.default_rng(seed).permutation(len(groups))
    # Large groups first: small ones can then even out imbalances.
    order = shuffled[np.argsort(-counts[shuffled, -1], kind="stable")]
    while (waiting := order[part[order] < 0]).size:
        left = (counts[waiting, :-1] > 0).sum(axis=0)
        label = np.where(left > 0, left, np.inf).argmin() if left.any() else -1
        for group in waiting[counts[waiting, label] > 0]:
            # Ties on the label go to the part that lacks most rows.
            best = np.lexsort((wanted[:, -1], wanted[:, label]))[-1]
            part[group] = best
            wanted[best] -= counts[group]
    return part
