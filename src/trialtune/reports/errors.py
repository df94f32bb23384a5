"""A classifier's worst errors as part of a report, or as a separate page."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from trialtune.evaluation.error_report import ErrorReport, WrongAnswer, Wrongs
from trialtune.reports.pages import write_page
from trialtune.reports.summary import signed_text

_NAMED = 6  # words listed with a text


@dataclass(frozen=True)
class Word:
    """A piece of a text; `importance` is None for the text between the words that mattered."""

    text: str
    importance: float | None
    share: float  # of the greatest importance in its text, 0 to 1

    @property
    def direction(self) -> str:
        return "" if self.importance is None else "for" if self.importance > 0 else "against"

    @property
    def hint(self) -> str:
        """The tooltip of the word."""
        return f"{signed_text(self.importance or 0.0)}, evidence {self.direction} the label"


@dataclass(frozen=True)
class Error:
    """One wrong prediction."""

    nct_id: str | None
    gold: str
    predicted: str
    probability: float
    probabilities: Mapping[str, float]
    words: list[Word]

    @property
    def telling(self) -> str:
        """The words that mattered most, as text."""
        marked = [word for word in self.words if word.importance is not None]
        marked.sort(key=lambda word: -word.share)
        said = [f"{word.text} {signed_text(word.importance or 0.0)}" for word in marked[:_NAMED]]
        return ", ".join(said) or "no single word"


@dataclass(frozen=True)
class ErrorGroup:
    """The worst of one kind of error of one class, and how many there are."""

    title: str
    count: int
    worst: list[Error]


@dataclass(frozen=True)
class ClassErrors:
    """One class with its errors."""

    label: str
    groups: list[ErrorGroup]

    @property
    def count(self) -> int:
        return sum(group.count for group in self.groups)


def class_errors(errors: ErrorReport) -> list[ClassErrors]:
    """The classes of an `errors.json` that have any error, in task order."""
    classes = [
        ClassErrors(
            label, [_group("Wrongly given", found.false_positives), _group("Missed", found.false_negatives)]
        )
        for label, found in errors.classes.items()
    ]
    return [found for found in classes if found.count]


def write_errors_page(errors: ErrorReport, path: Path) -> None:
    """Write the content of an `errors.json` as one page that works without a network."""
    write_page(path, "errors_page.html", errors=errors, classes=class_errors(errors))


def errors_to_rich(errors: ErrorReport) -> RenderableType:
    """The errors for a terminal: bold words are evidence for the label, underlined ones against it."""
    lines = [Text(f"{errors.wrong:,} of {errors.n:,} rows have a wrong or a missed label")]
    for found in class_errors(errors):
        for group in found.groups:
            if group.worst:
                lines.append(Text(f"\n{found.label}: {group.title.lower()} {group.count:,}", style="bold"))
            for error in group.worst:
                text = Text("  ")
                for word in error.words:
                    text.append(
                        word.text, style={"for": "bold green", "against": "underline red"}.get(word.direction)
                    )
                facts = f"gold {error.gold}; predicted {error.predicted}; probability {error.probability:.3f}"
                lines += [text, Text(f"    {facts}; words: {error.telling}", style="dim")]
    return Group(*lines)


def _group(title: str, found: Wrongs) -> ErrorGroup:
    return ErrorGroup(title, found.count, [_error(error) for error in found.worst])


def _error(error: WrongAnswer) -> Error:
    most = max((abs(piece.importance or 0.0) for piece in error.pieces), default=0.0) or 1.0
    words = [
        Word(piece.text, piece.importance, abs(piece.importance or 0.0) / most) for piece in error.pieces
    ]
    return Error(
        nct_id=error.nct_id,
        gold=", ".join(error.gold) or "none",
        predicted=", ".join(error.predicted) or "none",
        probability=error.probability,
        probabilities=error.probabilities,
        words=words,
    )
