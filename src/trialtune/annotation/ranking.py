"""Which candidates to ask about: those a model is unsure of, and those that may have a rare label."""

from collections.abc import Sequence

import numpy as np

from trialtune.annotation.settings import RARE, UNCERTAIN

_CUT = 0.3  # about where the thresholds of a model of few rows stand
_LEADING = 40  # candidates of which one is drawn: the very best are often alike
_LENGTH = 200


def rank(probabilities: np.ndarray, gold: np.ndarray, *, seed: Sequence[int]) -> dict[str, list[int]]:
    """Rows of `probabilities` [candidates, labels] to ask about, the best first, by way.

    Uncertain: the label that is nearest to its cut counts. Rare: a label is drawn, the more often the
    fewer rows of `gold` [answers, labels] have it, and then one of the candidates where it is most
    probable. Both draw among the leading candidates, or one would ask the same thing again and again.
    """
    chance = np.random.default_rng(seed)
    nearest = np.abs(probabilities - _CUT).min(axis=1)
    wanted = 1 / (gold.sum(axis=0) + 1)
    by_label = np.argsort(-probabilities, axis=0, kind="stable")[: _LENGTH + _LEADING]
    labels = chance.choice(len(wanted), size=_LENGTH, p=wanted / wanted.sum())
    columns = [_Leading(by_label[:, label], chance) for label in range(len(wanted))]
    unsure = _Leading(np.argsort(nearest, kind="stable")[: _LENGTH + _LEADING], chance)
    rare = [columns[label].draw() for label in labels]
    uncertain = [unsure.draw() for _ in range(_LENGTH)]
    return {UNCERTAIN: _distinct(uncertain), RARE: _distinct(rare)}


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
