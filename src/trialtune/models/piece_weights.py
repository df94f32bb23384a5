"""TF-IDF of word pieces: texts as token ids, weighted as in scikit-learn."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

Gram = tuple[int, ...]


@dataclass(frozen=True)
class PieceWeights:
    """The n-grams of word pieces in the vocabulary, and their weights; `fit` learns them."""

    ngrams: tuple[Gram, ...]  # short ones first
    idf: np.ndarray  # [n-grams]
    _vectorizer: TfidfVectorizer

    @classmethod
    def fit(cls, rows: Sequence[Sequence[int]], *, longest: int) -> "PieceWeights":
        """Learn from token ids: all single pieces, or n-grams that occur in at least two rows.

        With the 17,000 pieces of the shipped tokenizer, single ones did as well on 330 stop reasons as words,
        word pairs and characters together.
        """
        grams = sorted(
            {gram for row in rows for gram in _grams(row, longest)}, key=lambda one: (len(one), one)
        )
        vectorizer = TfidfVectorizer(
            analyzer=lambda row: _grams(row, longest),
            lowercase=False,  # otherwise it looks for capitals in the vocabulary, which has no strings
            sublinear_tf=True,
            dtype=np.float32,
            vocabulary=grams,
        )
        counts = vectorizer.fit_transform(rows)
        if longest > 1 and (common := np.asarray((counts > 0).sum(axis=0)).ravel() > 1).any():
            grams = [gram for gram, kept in zip(grams, common, strict=True) if kept]
            vectorizer.set_params(vocabulary=grams).fit(rows)
        return cls(tuple(grams), vectorizer.idf_.astype(np.float32), vectorizer)

    def transform(self, rows: Sequence[Sequence[int]]) -> Any:
        """Sparse rows of length 1 [rows, n-grams], float32: (1 + log count) * idf, or 0."""
        return self._vectorizer.transform(rows)


def _grams(row: Sequence[int], longest: int) -> list[Gram]:
    sizes = range(1, longest + 1)
    return [
        *chain.from_iterable(zip(*(row[start:] for start in range(size)), strict=False) for size in sizes)
    ]
