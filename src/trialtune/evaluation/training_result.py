"""The result of training a classifier, once or by cross-validation."""

from typing import Any

from trialtune.evaluation.metrics import Metrics
from trialtune.results import Result


class TrainingRows(Result):
    """Rows used for training, and those held out for calibration and thresholds."""

    train: int
    calibration: int
    unlabelled: int = 0  # texts whose targets come from teachers only
    outliers: int = 0  # texts that no label fits


class MethodScore(Result):
    """A candidate training method: its scores by cross-validation, or why it was not tried."""

    method: str  # as in the settings
    reads: str  # its features, in words
    micro_f1: float | None = None
    macro_f1: float | None = None
    log_loss: float | None = None
    strength: float | None = None  # for linear ones: scikit-learn's C
    seconds: float = 0.0
    chosen: bool = False
    left_out: str = ""


class TrainingResult(Result):
    """The `training.json` of a classifier folder."""

    task: str
    method: str = "full"
    encoder: str  # or other features
    adapter: str | None
    teachers: tuple[str, ...]
    max_length: int  # tokens
    rows: TrainingRows
    tokens: int  # trained on
    tokens_per_s: float
    seconds: float
    kept_step: int  # the step of the weights kept
    calibration: Metrics  # on the calibration rows, which chose the thresholds
    folds: int = 0  # for out-of-fold calibration; 0: a share was held out
    choice: tuple[MethodScore, ...] = ()  # all candidates, the best first
    notes: tuple[str, ...] = ()  # problems with the rows, in words
    settings: dict[str, Any]  # as JSON: their class belongs to training


class Suspects(Result):
    """Doubtful labels of a class: `given` but probably wrong, `missing` but probably right."""

    given: int
    missing: int


class CrossValidation(Metrics):
    """The scores of all rows, each by a classifier trained without it, and the doubtful labels."""

    suspects: int
    suspects_per_class: dict[str, Suspects]
