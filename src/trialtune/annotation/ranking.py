"""Ranks candidates: those a model is uncertain about, and those that may have a rare label."""

from collections.abc import Sequence

import numpy as np

from trialtune.annotation.settings import RARE, UNCERTAIN

_CUT = 0.3  # a typical threshold of a model trained on few rows
_LEADING = 20  # candidates from which one is drawn: the very best are often alike
_LENGTH = 200
_UNKNOWN = 3  # answers: with fewer, a label's definition says more than the model


def rank(
    probabilities: np.ndarray,
    likeness: np.ndarray,
    given: np.ndarray,
    answered: np.ndarray,
    *,
    seed: Sequence[int],
) -> dict[str, list[int]]:
    """Candidates to annotate, the best first, by strategy.

    Uncertain: by the label closest to its threshold. Rare: a label is drawn, the more often the
    fewer answers have it, and then one of the candidates where it is most probable; for a label that
    hardly any answer has, one similar to its definition. Both draw among the leading candidates, or
    near-identical texts would follow one another.

    Args:
        probabilities: Of the model, [candidates, labels].
        likeness: Similarity of candidates and definitions, [candidates, labels].
        given: Number of answers with each label, [labels].
        answered: Whether a candidate is answered already, [candidates]; those are left out.
        seed: Random seed of the draws.
    """
    chance, rows = np.random.default_rng(seed), np.flatnonzero(~answered)
    nearest = np.abs(probabilities[rows] - _CUT).min(axis=1)
    promising = np.where(given < _UNKNOWN, likeness[rows], probabilities[rows])
    by_label = np.argsort(-promising, axis=0, kind="stable")[: _LENGTH + _LEADING]
    wanted = 1 / (given + 1)
    labels = chance.choice(len(wanted), size=_LENGTH, p=wanted / wanted.sum())
    columns = [_Leading(by_label[:, label], chance) for label in range(len(wanted))]
    unsure = _Leading(np.argsort(nearest, kind="stable")[: _LENGTH + _LEADING], chance)
    rare = [columns[label].draw() for label in labels]
    uncertain = [unsure.draw() for _ in range(_LENGTH)]
    return {way: rows[_distinct(found)].tolist() for way, found in ((UNCERTAIN, uncertain), (RARE, rare))}


class _Leading:
    """Draws one of the leading rows; the next row then joins them."""

    def __init__(self, rows: np.ndarray, chance: np.random.Generator) -> None:
        self._rows, self._chance = rows.tolist(), chance

    def draw(self) -> int | None:
        """One of the leading rows; None when there are no more."""
        if not self._rows:
            return None
        row: int = self._rows.pop(int(self._chance.integers(min(_LEADING, len(self._rows)))))
        return row


def _distinct(rows: Sequence[int | None]) -> list[int]:
    return [row for row in dict.fromkeys(rows) if row is not None]
