"""The worst errors of a classifier, class by class, with the words that mattered."""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.explain import Question, Span
from trialtune.classifier.prediction import probabilities_of
from trialtune.dataset.label_arrays import multi_hot
from trialtune.evaluation.error_report import ErrorReport, LabelErrors, Piece, WrongAnswer, Wrongs

FILE_NAME = "errors.json"
KINDS = ("false_positives", "false_negatives")
_EACH = 3  # errors shown for each class and kind
_SHOWN = 300  # characters of a text
_LEAST = 0.005  # a word that changes a probability by less is not marked
_LIKELY = 0.05


def find_errors(
    classifier: Classifier,
    rows: pl.DataFrame,
    *,
    each: int = _EACH,
    progress: Callable[[int], None] | None = None,
) -> ErrorReport:
    """The classifier's worst errors on `rows`.

    `rows` are scored, as `evaluate` returns them. For each class, `each` false positives (the wrong
    label with the highest probability) and false negatives (the missed label with the lowest); `pieces`
    is the text, shortened to about 300 characters around the important words, with their `importance` for the
    label in question: each one's contribution to its calibrated probability, by occlusion.
    """
    labels = classifier.labels
    gold, predicted = (multi_hot(rows[name], labels) for name in ("gold", "labels"))
    stated = probabilities_of(rows)
    chosen = [
        (label, kind, int(row))
        for index, label in enumerate(labels)
        for kind in KINDS
        for row in _worst(gold[:, index], predicted[:, index], stated[:, index], kind)[:each]
    ]
    texts = rows["text"].to_list()
    answers = classifier.explain_all(
        [Question(texts[row], label) for label, _, row in chosen], progress=progress
    )
    worst: dict[tuple[str, str], list[WrongAnswer]] = {}
    for (label, kind, row), spans in zip(chosen, answers, strict=True):
        facts = rows.row(row, named=True)
        found = WrongAnswer(
            nct_id=facts.get("nct_id"),
            gold=tuple(facts["gold"]),
            predicted=tuple(facts["labels"]),
            probability=float(stated[row, labels.index(label)]),
            probabilities=_likely(stated[row], gold[row] | predicted[row], labels),
            pieces=tuple(cut(texts[row], spans)),
        )
        worst.setdefault((label, kind), []).append(found)
    counts = {
        "false_positives": (predicted & ~gold).sum(axis=0),
        "false_negatives": (gold & ~predicted).sum(axis=0),
    }
    classes = {
        label: LabelErrors(
            **{
                kind: Wrongs(count=int(counts[kind][index]), worst=tuple(worst.get((label, kind), ())))
                for kind in KINDS
            }
        )
        for index, label in enumerate(labels)
    }
    wrong = int((gold != predicted).any(axis=1).sum())
    return ErrorReport(
        task=classifier.task.name,
        classifier=classifier.folder.name,
        n=len(rows),
        wrong=wrong,
        classes=classes,
    )


def cut(text: str, spans: Sequence[Span], *, shown: int = _SHOWN) -> list[Piece]:
    """`text` as pieces with `importance` (None between words that mattered), at most about `shown` long.

    The window with most importance is kept; an ellipsis marks omitted text.
    """
    marked = [span for span in spans if abs(span.importance) >= _LEAST]
    start, end = _window(text, marked, shown)
    pieces: list[Piece] = []

    def add(piece: str, importance: float | None) -> None:
        if piece:
            pieces.append(Piece(text=piece, importance=importance))

    place = start
    for span in marked:
        if start <= span.start and span.end <= end:
            add(("… " if start and place == start else "") + text[place : span.start], None)
            add(text[span.start : span.end], round(span.importance, 4))
            place = span.end
    add(
        ("… " if start and place == start else "") + text[place:end] + (" …" if end < len(text) else ""), None
    )
    return pieces


def _window(text: str, spans: Sequence[Span], shown: int) -> tuple[int, int]:
    """The window, between blanks: the `shown` characters with the most importance."""
    if len(text) <= shown:
        return 0, len(text)

    def within(start: int) -> float:
        return sum(abs(s.importance) for s in spans if s.start >= start and s.end <= start + shown)

    # A quarter of the window precedes its first word, for context.
    starts = [max(0, min(span.start - shown // 4, len(text) - shown)) for span in spans] or [0]
    start = max(starts, key=lambda place: (within(place), -place))
    end = start + shown
    start = text.find(" ", start) + 1 if start else 0
    return start, end if end >= len(text) else max(text.rfind(" ", start, end), start + 1)


def _worst(gold: np.ndarray, predicted: np.ndarray, stated: np.ndarray, kind: str) -> np.ndarray:
    """The rows of one class with this kind of error, the worst first."""
    wrong = np.flatnonzero(predicted & ~gold if kind == "false_positives" else gold & ~predicted)
    order = np.argsort(-stated[wrong] if kind == "false_positives" else stated[wrong], kind="stable")
    return wrong[order]


def _likely(stated: np.ndarray, named: np.ndarray, labels: Sequence[str]) -> dict[str, float]:
    """The probabilities worth showing, the greatest first: of labels given, predicted or likely."""
    kept = [index for index in np.argsort(-stated, kind="stable") if named[index] or stated[index] >= _LIKELY]
    return {labels[index]: round(float(stated[index]), 4) for index in kept}
