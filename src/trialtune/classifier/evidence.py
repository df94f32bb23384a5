"""Which words of a text are behind each of its labels, for the cost of scoring the text once more."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trialtune.classifier.phrases import Place, phrases
from trialtune.evaluation.decision import Decided, Decision

_DIGITS = 6  # of probabilities that are compared: further digits depend on the batch

Score = Callable[[Sequence[str]], np.ndarray]  # texts -> calibrated probabilities [texts, labels]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The words behind a label: `text` is characters `start` to `end` (exclusive) of the normalized text."""

    label: str
    text: str
    start: int
    end: int


def find_evidence(
    score: Score, decision: Decision, texts: Sequence[str], decided: Decided
) -> list[tuple[Evidence, ...]]:
    """The evidence for each label of each text, in the order of the labels.

    Each phrase is scored alone, those of all texts together and each wording once: about as many tokens as
    the texts have. (Leaving words out one by one, as `trialtune.classifier.explain` does, takes as many
    passes as there are words.) A label's evidence is the phrase that makes it most probable, if alone
    it reaches the label's threshold or half of the label's probability in the text. Otherwise no phrase
    alone suffices, and the label's evidence is the whole text.
    """
    places = [phrases(text) for text in texts]
    parted = [found if len(found) > 1 else [] for found in places]  # one phrase is the whole text
    phrases = [text[start:end] for text, found in zip(texts, parted, strict=True) for start, end in found]
    ends = np.cumsum([len(found) for found in parted])[:-1]
    parts = np.split(score(phrases).round(_DIGITS), ends) if parted else []
    enough = np.minimum(decision.thresholds or 1.0, decided.probabilities / 2)
    return [
        tuple(
            Evidence(decision.labels[label], text[start:end], start, end)
            for label in np.flatnonzero(given)
            for start, end in [_best(found, part[:, label], least[label]) or (0, len(text))]
        )
        for text, found, part, given, least in zip(texts, parted, parts, decided.labels, enough, strict=True)
    ]


def _best(places: Sequence[Place], alone: np.ndarray, least: float) -> Place | None:
    """The index of the greatest probability, the first of several; None when it is below `least`."""
    best = int(alone.argmax()) if len(alone) else None
    return None if best is None or alone[best] < least else places[best]
