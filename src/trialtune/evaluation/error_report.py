"""A classifier's worst errors: the content of an `errors.json`."""

from trialtune.results import Result


class Piece(Result):
    """A piece of a text; `importance` is None for the text between the words that mattered."""

    text: str
    importance: float | None


class WrongAnswer(Result):
    """One row with a wrong or a missed label; `probability` is that of the label in question."""

    nct_id: str | None
    gold: tuple[str, ...]
    predicted: tuple[str, ...]
    probability: float
    probabilities: dict[str, float]  # of labels given, predicted or likely, the greatest first
    pieces: tuple[Piece, ...]


class Wrongs(Result):
    """How often one kind of error of one label happened, and the worst cases."""

    count: int
    worst: tuple[WrongAnswer, ...]


class LabelErrors(Result):
    """Both kinds of error of one label."""

    false_positives: Wrongs
    false_negatives: Wrongs


class ErrorReport(Result):
    """The errors of one classifier; `wrong` of `n` rows have a wrong or a missed label."""

    task: str
    classifier: str
    n: int
    wrong: int
    classes: dict[str, LabelErrors]
