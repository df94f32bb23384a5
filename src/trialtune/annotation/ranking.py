"""Which candidates to ask about: those a model is unsure of, and those that may have a rare label."""

from collections.abc import Sequence

import numpy as np

from trialtune.annotation.settings import RARE, UNCERTAIN

_CUT = 0.3  # about where the thresholds of a model of few rows stand
_LEADING = 20  # candidates of which one is drawn: the very best are often alike
_LENGTH = 200
_UNKNOWN = 3  # answers: with fewer, a label's definition says more than the model


def rank(
    probabilities: np.ndarray,
    likeness: np.ndarray,
    given: np.ndarray,
    asked: np.ndarray,
    *,
    seed: Sequence[int],
) -> dict[str, list[int]]:
    """Candidates to ask about, the best first, by way.

    Uncertain: the label that is nearest to its cut counts. Rare: a label is drawn, the more often the
    fewer answers have it, and then one of the candidates where it is most probable; of a label that
    hardly any answer has, one that is like its definition. Both draw among the leading candidates, or
    one would ask the same thing again and again.

    Args:
        probabilities: What the model says, [candidates, labels].
        likeness: How much alike candidates and definitions are, [candidates, labels].
        given: Answers that have each label, [labels].
        asked: Whether a candidate is answered already, [candidates]; those are left out.
        seed: Of the draws.

    Returns:
        Places of candidates, the best first, by way.
    """
    chance, rows = np.random.default_rng(seed), np.flatnonzero(~asked)
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
    """Draws one of the leading rows, and lets the next one move up."""

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
