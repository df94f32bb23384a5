"""Near-duplicate texts: found by MinHash signatures, confirmed by their character n-grams.

Signatures: Broder, 1997; bands: Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", chapter 3.
No library: datasketch hashes one text at a time, and takes several times as long to propose pairs as this
does to propose and confirm them (`benchmarks/peers.py`).
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

# Jaccard similarity of sets of character n-grams. Pairs of real stop reasons above it are one sentence
# with a typo, another tense or an extra word, and 96% of them have the same labels. Below 0.7,
# frequent short reasons chain into groups of hundreds with different meanings.
NEAR = 0.75

_SHORT_GRAM = 4  # characters: seven-word texts still have some forty of them
_LONG_GRAM = 12  # unrelated long texts share too many shorter ones
_SHORT_TEXT = 600  # characters; a stop reason has at most 250
_HASHES = 64
_BAND = 4  # hashes: a pair at NEAR meets in one of the 16 bands with probability 0.998
_DOUBT = 0.2  # of an estimate: more than three standard errors
_PARTNERS = 50  # of one text in one band; further ones are reached through each other
_TEXTS_AT_ONCE = 256  # so that a batch of long texts stays in the cache
_STRICTER = (0.85, 0.95)
_DRAWN = np.random.default_rng(1997).integers(0, 2**64, _HASHES, dtype=np.uint64) | np.uint64(1)

Signatures = NDArray[np.uint16]


def signatures(texts: Sequence[str]) -> Signatures:
    """MinHash signature of each normalized text [texts, 64]: equal positions estimate the similarity.

    The standard error of that estimate is 0.06 at most. Hashes are cut to 16 bits (b-bit minwise
    hashing: Li and König, 2010), so that a text takes 128 bytes.
    """
    signed = np.empty((len(texts), _HASHES), dtype=np.uint16)
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        grams, starts = _grams(texts[start : start + _TEXTS_AT_ONCE])
        for place, factor in enumerate(_DRAWN):
            # Multiply-shift hashing: the high half of the product is the hash.
            least = np.minimum.reduceat((grams * factor) >> np.uint64(32), starts)
            signed[start : start + len(starts), place] = least & np.uint64(0xFFFF)
    return signed


def agreement(left: Signatures, right: Signatures, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Estimated similarity of pairs of rows [pairs], from signatures alone."""
    estimate = np.empty(len(pairs))
    for chunk in _chunks(len(pairs)):
        estimate[chunk] = (left[pairs[chunk, 0]] == right[pairs[chunk, 1]]).mean(axis=1)
    return estimate


def candidates(left: Signatures, right: Signatures) -> NDArray[np.int64]:
    """Pairs (row of `left`, row of `right`) that agree in a whole band [pairs, 2], each once, in order."""
    found = []
    columns = zip(_bands(left).T, _bands(right).T, strict=True)
    for ours, theirs in columns:
        order = np.argsort(ours, kind="stable")
        first, end = (np.searchsorted(ours, theirs, side=side, sorter=order) for side in ("left", "right"))
        counts = np.minimum(end - first, _PARTNERS)
        rows = np.repeat(np.arange(len(theirs)), counts)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        found.append(order[np.repeat(first, counts) + within] * len(right) + rows)
    # One number per pair, so that pairs found in several bands are counted once.
    return np.stack(np.divmod(np.unique(np.concatenate(found)), max(len(right), 1)), axis=1)


def similar_pairs(
    left: Sequence[str], right: Sequence[str] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Pairs of normalized texts with a similarity of at least 0.75: rows [pairs, 2], similarities [pairs].

    Without `right`, pairs inside `left`, the smaller row first. MinHash only proposes; every
    similarity is exact.
    """
    signed = signatures(left)
    other = signed if right is None else signatures(right)
    pairs = candidates(signed, other)
    if right is None:
        pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    pairs = pairs[agreement(signed, other, pairs) >= NEAR - _DOUBT]
    similarity = _jaccard(left, left if right is None else right, pairs)
    near = similarity >= NEAR
    return pairs[near], similarity[near]


def near_groups(texts: Sequence[str]) -> NDArray[np.int64]:
    """A group number for each of the distinct normalized texts: near-duplicates share it, transitively.

    Groups of more than 20 texts and 1% of all are not repeats but a template, whose rows differ in
    what matters: inside them only ever closer texts (0.85, then 0.95) are linked, and then none.
    """
    if not texts:
        return np.empty(0, dtype=np.int64)
    order = np.argsort(np.array(texts, dtype=object), kind="stable")  # the result must not depend on it
    pairs, similarity = similar_pairs([texts[index] for index in order])
    limit = max(20, len(texts) // 100)
    group = components(pairs, len(texts))
    for least in (*_STRICTER, np.inf):
        large = np.bincount(group)[group] > limit
        keep = (similarity >= least) | ~large[pairs[:, 0]]
        pairs, similarity = pairs[keep], similarity[keep]
        group = components(pairs, len(texts))
    numbered = np.empty_like(group)
    numbered[order] = group
    return numbered


def components(pairs: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """For each of `count` things the number of its group; linked ones [pairs, 2] share it, transitively."""
    links = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    group: NDArray[np.int64] = connected_components(links, directed=False)[1].astype(np.int64)
    return group


def _bands(signed: Signatures) -> NDArray[np.uint64]:
    """The 16 bands of each signature, each as one number [rows, 16]."""
    return np.ascontiguousarray(signed).view(np.uint64).reshape(len(signed), _HASHES // _BAND)


def _grams(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """32-bit hashes of the n-grams of all texts, concatenated, and where each text starts."""
    padded = [f" {text} ".ljust(_SHORT_GRAM) for text in texts]
    lengths = np.array([len(text) for text in padded])
    joined = "".join(padded) + " " * _LONG_GRAM
    points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    short = _mixed(points, range(_SHORT_GRAM))
    long = _mixed(short, range(0, _LONG_GRAM, _SHORT_GRAM))
    is_long = lengths > _SHORT_TEXT
    count = lengths - np.where(is_long, _LONG_GRAM, _SHORT_GRAM) + 1
    ends = np.cumsum(lengths)
    left = np.repeat(ends, lengths) - np.arange(ends[-1])  # characters up to the end of the text
    # An n-gram that would reach into the next text does not count.
    inside = left > np.repeat(lengths - count, lengths)
    hashed = np.where(np.repeat(is_long, lengths), long[: len(left)], short[: len(left)])
    return hashed[inside] >> np.uint64(32), np.cumsum(count) - count


def _mixed(values: NDArray[np.uint64], offsets: range) -> NDArray[np.uint64]:
    """Hash of the values at the given offsets from each place."""
    hashed = np.zeros(len(values) - offsets[-1], dtype=np.uint64)
    for offset in offsets:
        hashed = (hashed ^ values[offset : offset + len(hashed)]) * np.uint64(0x9E3779B97F4A7C15)
        hashed ^= hashed >> np.uint64(29)
    return hashed


def _jaccard(left: Sequence[str], right: Sequence[str], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Exact similarity of each pair [pairs], by sets of n-grams."""
    similarity = np.zeros(len(pairs))
    for chunk in _chunks(len(pairs)):
        sets = [
            _gram_sets([texts[row] for row in rows])
            for texts, rows in ((left, pairs[chunk, 0]), (right, pairs[chunk, 1]))
        ]
        shared = sets[0].multiply(sets[1]).sum(axis=1)
        similarity[chunk] = shared / (sets[0].sum(axis=1) + sets[1].sum(axis=1) - shared)
    return similarity


def _chunks(count: int, size: int = 512) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))


def _gram_sets(texts: Sequence[str]) -> csr_array:
    """One row per text, a 1 for each n-gram that occurs in it."""
    grams, starts = _grams(texts)
    table = csr_array(
        (
            np.ones(len(grams), dtype=np.float32),
            (grams >> np.uint64(1)).astype(np.int32),
            np.append(starts, len(grams)),
        ),
        shape=(len(texts), 2**31),
    )
    table.sum_duplicates()
    table.data[:] = 1
    return table
