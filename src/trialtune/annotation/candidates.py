"""The candidates for active learning: a random subset of the pool, and its features."""

from collections.abc import Container, Sequence
from typing import Any

import numpy as np

from trialtune.annotation.learner import Learner, stacked
from trialtune.annotation.pool import Pool
from trialtune.tasks.text import wording_hash

_STREAM = 2  # keeps this draw independent of the order's draws


class Candidates:
    """Texts of different wording, drawn at random from a pool; `places` are their positions in it."""

    def __init__(self, pool: Pool, *, most: int, seed: int) -> None:
        order = np.random.default_rng((seed, _STREAM)).permutation(len(pool))[: 2 * most]
        by_wording: dict[str, int] = {}
        for place in map(int, order):
            if len(by_wording) == most:
                break
            by_wording.setdefault(wording_hash(pool.texts[place]), place)
        self._wordings = [*by_wording]
        self.places = [*by_wording.values()]
        self.texts = [pool.texts[place] for place in self.places]

    def among(self, wordings: Container[str]) -> np.ndarray:
        """Which of them [candidates] have one of these wordings."""
        return np.array([wording in wordings for wording in self._wordings], dtype=bool)


class FeatureStore:
    """Features of texts, each computed once."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self._rows: dict[str, int] = {}  # text -> its row
        self._features: Any = None

    def of(self, texts: Sequence[str]) -> Any:
        """Features [texts, any]."""
        new = [text for text in dict.fromkeys(texts) if text not in self._rows]
        if new:
            made = self._learner.features(new)
            self._features = made if self._features is None else stacked([self._features, made])
            for text in new:
                self._rows[text] = len(self._rows)
        return self._features[[self._rows[text] for text in texts]]
