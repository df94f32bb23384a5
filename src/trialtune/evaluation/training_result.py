"""What training a classifier came to, once or by cross-validation."""

from typing import Any

from trialtune.evaluation.metrics import Metrics
from trialtune.results import Result


class TrainingRows(Result):
    """Rows that were trained on, and those kept aside for calibration and thresholds."""

    train: int
    calibration: int
    unlabelled: int = 0  # texts that teachers alone gave targets
    outliers: int = 0  # texts that no label fits


class MethodScore(Result):
    """A way of training that was weighed: its scores by cross-validation, or why it was not tried."""

    method: str  # as settings have it
    reads: str  # what it is trained on, in words
    micro_f1: float | None = None
    macro_f1: float | None = None
    log_loss: float | None = None
    strength: float | None = None  # of the linear ones: scikit-learn's C
    seconds: float = 0.0
    chosen: bool = False
    left_out: str = ""


class TrainingResult(Result):
    """The `training.json` of a classifier folder."""

    task: str
    method: str = "full"
    encoder: str  # or what else it stands on
    adapter: str | None
    teachers: tuple[str, ...]
    max_length: int  # tokens
    rows: TrainingRows
    tokens: int  # trained on
    tokens_per_s: float
    seconds: float
    kept_step: int  # whose weights were kept
    calibration: Metrics  # on the calibration rows, which chose the thresholds
    folds: int = 0  # in which all rows were calibration rows; 0: a share was kept aside
    choice: tuple[MethodScore, ...] = ()  # all that was weighed, the best first
    notes: tuple[str, ...] = ()  # what is odd about the rows, in words
    settings: dict[str, Any]  # as JSON: their class lies with the training


class Suspects(Result):
    """Labels of a class that are doubtful: `given` and probably wrong, `missing` and probably right."""

    given: int
    missing: int


class CrossValidation(Metrics):
    """The scores of all rows, each by a classifier trained without it, and the doubtful labels."""

    suspects: int
    suspects_per_class: dict[str, Suspects]
