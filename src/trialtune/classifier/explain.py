"""Word importance by occlusion: remove each word and see how the probability changes."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

_WORD = re.compile(r"\w+(?:[-'’]\w+)*")
_SENTENCE = re.compile(r"[^.;!?\n]+(?:[.;!?\n]+|$)")
_SHORT = 80  # words; in a longer text, sentences are removed first
_TOP_SENTENCES = 3


Score = Callable[[Sequence[str]], np.ndarray]  # texts -> probabilities [texts, labels]


class Question(NamedTuple):
    """Why does this text have that probability of this label?"""

    text: str
    label: str


@dataclass(frozen=True)
class Span:
    """Characters `start` to `end` of a text and their contribution to a label's probability (-1 to 1)."""

    start: int
    end: int
    importance: float


def occlude(score: Score, labels: Sequence[str], questions: Sequence[Question]) -> list[list[Span]]:
    """The words of each question's text, in reading order, each with its importance.

    Occlusion (Zeiler and Fergus, 2014; for text, Li et al., 2016, arXiv:1612.08220): the probability
    of the label with the whole text minus that without the word. In a text of more than 80 words, sentences
    are removed first, and then the words of the 3 sentences that change it most; the other words are
    left out of the answer. All shortened texts are scored together.
    """
    words = [_spans(_WORD, question.text) for question in questions]
    long = [index for index, spans in enumerate(words) if len(spans) > _SHORT]
    sentences = _importances(
        score, labels, [(questions[i], _spans(_SENTENCE, questions[i].text)) for i in long]
    )
    for index, spans in zip(long, sentences, strict=True):
        top = sorted(spans, key=lambda span: -abs(span.importance))[:_TOP_SENTENCES]
        words[index] = [
            (start, end) for start, end in words[index] if any(s.start <= start < s.end for s in top)
        ]
    return _importances(score, labels, list(zip(questions, words, strict=True)))


def _importances(
    score: Score, labels: Sequence[str], cases: Sequence[tuple[Question, list[tuple[int, int]]]]
) -> list[list[Span]]:
    """The importance of the given spans of each text."""
    texts = [
        variant
        for question, spans in cases
        for variant in (question.text, *(_without(question.text, *span) for span in spans))
    ]
    probabilities = score(texts)
    column = {label: index for index, label in enumerate(labels)}
    parts = np.split(probabilities, np.cumsum([len(spans) + 1 for _, spans in cases])[:-1]) if cases else []
    return [
        [
            Span(start, end, float(part[0, column[question.label]] - without))
            for (start, end), without in zip(spans, part[1:, column[question.label]], strict=True)
        ]
        for (question, spans), part in zip(cases, parts, strict=True)
    ]


def _spans(pattern: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    return [match.span() for match in pattern.finditer(text) if match[0].strip()]


def _without(text: str, start: int, end: int) -> str:
    return " ".join(f"{text[:start]} {text[end:]}".split())
