"""Approximate randomisation tests between two systems, corrected for multiple comparisons."""

from collections.abc import Sequence

import numpy as np

_CHUNK = 20_000_000  # swaps held at a time: 80 MB as float32


def swap_test(
    gold: np.ndarray,
    base: Sequence[np.ndarray],
    adapted: Sequence[np.ndarray],
    *,
    shuffles: int = 10_000,
    seed: int = 0,
) -> np.ndarray:
    """Two-sided p-values [2 + labels]: of micro-F1, macro-F1 and the F1 of each class (NaN without gold).

    Approximate randomisation (Noreen, 1989; Yeh, 2000) paired by test row: each shuffle swaps the two
    systems' predictions of a row, those of all seeds together, with probability 1/2. The statistic is
    the difference in a metric's mean over seeds; p = (shuffles at least as extreme + 1) / (shuffles
    + 1). It tests these very classifiers: the bootstrap covers the choice of seeds. `gold`
    and each system's predictions, one per seed, are boolean [rows, labels].
    """
    support = gold.sum(axis=0)
    # [rows, hits and sizes, seeds, labels] of each; base gains by a swap what adapted loses.
    ours, theirs = (np.stack([_counts(gold, run) for run in runs], axis=2) for runs in (base, adapted))
    change = (theirs - ours).reshape(len(gold), -1).astype(np.float32)
    total, other_total = (counts.sum(axis=0)[None] for counts in (ours, theirs))
    observed = np.abs(_difference(total, other_total, support))[0]
    extreme = np.zeros(2 + gold.shape[1])
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // len(gold))
    for start in range(0, shuffles, step):
        swaps = rng.integers(0, 2, size=(min(step, shuffles - start), len(gold)), dtype=np.int8)
        moved = (swaps.astype(np.float32) @ change).reshape(-1, *total.shape[1:])
        drawn = np.abs(_difference(total + moved, other_total - moved, support))
        extreme += (drawn >= observed - 1e-9).sum(axis=0)  # equal counts may differ in the last bit
    p = (extreme + 1) / (shuffles + 1)
    p[2:][support == 0] = np.nan
    return p


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down correction (1979) of p-values [tests]; NaN is not a test and is kept."""
    corrected = np.full(len(p), np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1)
    return corrected


def f1_of_counts(hits: np.ndarray, sizes: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Micro, macro and class F1 [..., 2 + labels] from counts [..., labels].

    `hits` are true positives, `sizes` gold plus predicted positives. A class without `support` has
    NaN and is left out of the macro average.
    """
    per_class = np.divide(2 * hits, sizes, out=np.full(np.shape(hits), np.nan), where=support > 0)
    with np.errstate(invalid="ignore"):  # rows without any label have no F1
        micro = 2 * hits.sum(axis=-1) / sizes.sum(axis=-1)
        macro = np.nansum(per_class, axis=-1) / (support > 0).sum(axis=-1)
    return np.concatenate([np.stack([micro, macro], axis=-1), per_class], axis=-1)


def _counts(gold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Each row's contribution to hits and sizes, [rows, 2, labels]."""
    return np.stack([gold & predicted, gold.astype(int) + predicted], axis=1).astype(int)


def _difference(base: np.ndarray, adapted: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Adapted minus base [shuffles, 2 + labels], each the mean over seeds of its F1s."""
    ours, theirs = (f1_of_counts(counts[:, 0], counts[:, 1], support) for counts in (base, adapted))
    change: np.ndarray = theirs.mean(axis=1) - ours.mean(axis=1)
    return change
