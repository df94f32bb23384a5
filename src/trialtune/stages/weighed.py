"""Trained weights as a candidate of "auto", on as many folds as there is time for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.folder import TRAINING_FILE
from trialtune.evaluation.metrics import Metrics
from trialtune.evaluation.training_result import MethodScore, TrainingResult
from trialtune.models.bundled import EMBEDDED, SHIPPED
from trialtune.reports.card import write_card
from trialtune.stages.choice import CLEAR, Choice, Option, merit
from trialtune.stages.foundations import encoder_weights
from trialtune.stages.settings import FinetuneSettings
from trialtune.training.cross_fit import LabelledRows, Tried

if TYPE_CHECKING:
    from trialtune.training.loop import Progress

LEAST = 600  # rows: for fewer, linear classifiers are quick, and loading PyTorch takes a third of the time
_FEW, _PASSES_FEW = 2_000, 8.0  # few rows need more passes
_SHIPPED_RATE = 5e-4  # the learning rate of the shipped, narrow encoder
_TRAINING = 6  # multiply-adds per weight and token


@dataclass(frozen=True)
class Weights:
    """Training an encoder's weights, as "auto" would, on the rows of a choice."""

    choice: Choice
    examples: pl.DataFrame
    out: Path
    report: "Callable[[Progress], None] | None"

    def ahead_of(self, best: Option, notes: Sequence[str]) -> TrainingResult | None:
        """The result trained into `out`, with `notes`, when it is ahead of the best linear classifier.

        Otherwise None, and the choice records why: its scores, or lack of time.
        """
        folds = self._folds()
        if not folds:
            return None
        if self._rows.folds == 1:  # the scored classifier is the final one
            trained = self._train(self.examples, None, self.out)
            found, theirs = trained.calibration, best.tried.scores(self._rows)[0]
        else:
            part = replace(self._rows, fold=np.where(self._rows.fold < folds, self._rows.fold, -1))
            found = self._tried(part).scores(part)[0]
            same = Tried(best.tried.probabilities[part.scored], best.tried.seconds)
            theirs, trained = same.scores(part)[0], None
        mine = self._told(found, folds)
        if merit(found) <= merit(theirs):
            self.choice.others.insert(0, mine)
            return None
        table = (mine.model_copy(update={"chosen": True}), *self.choice.table(None))
        trained = trained or self._train(self.examples, None, self.out)
        return self._write(trained.model_copy(update={"choice": table, "notes": (*notes,)}))

    @property
    def encoder(self) -> Any:
        """The initial weights: those requested, or the shipped classifier's if it suits the texts."""
        leads = self.choice.lead("shipped", over="tf-idf") > CLEAR
        return SHIPPED if leads and self.choice.encoder == EMBEDDED else self.choice.encoder

    @property
    def settings(self) -> FinetuneSettings:
        """The user's settings, with defaults suited to few rows."""
        settings, better = self.choice.settings.of_weights(), {}
        if len(self.examples) < _FEW:
            better["epochs"] = _PASSES_FEW
        if self.encoder == SHIPPED:
            better["learning_rate"] = _SHIPPED_RATE
        given = settings.model_fields_set
        return settings.model_copy(update={key: one for key, one in better.items() if key not in given})

    @property
    def _rows(self) -> LabelledRows:
        return self.choice.rows

    def _folds(self) -> int:
        """The number of folds to try; 0, with the reason recorded, for none."""
        choice, rows = self.choice, len(self.examples)
        once = choice.seconds(encoder_weights(self.encoder), _TRAINING * self.settings.epochs)
        if rows < LEAST:
            choice.leave_out("full", f"{rows} rows are fewer than {LEAST}; --method full trains weights")
            return 0
        if self._rows.folds == 1:
            needed, folds = once, 1
        else:
            folds = min(self._rows.folds, int((choice.budget - once) / once))
            needed = 3 * once
        if needed <= choice.budget:
            return folds
        choice.leave_out("full", f"{choice.too_long(needed)}; --method full trains weights")
        return 0

    def _tried(self, part: LabelledRows) -> Tried:
        said = np.zeros(part.gold.shape)
        for number in range(part.folds):
            held = self._rows.fold == number
            with TemporaryDirectory() as name:
                folder = Path(name) / "c"
                self._train(self.examples.filter(~held), self.examples.filter(held), folder)
                texts = self.examples.filter(held)["text"].to_list()
                said[held] = Classifier.from_pretrained(folder).raw_probabilities(texts)
        return Tried(said[part.scored], 0.0)

    def _train(self, rows: pl.DataFrame, held: pl.DataFrame | None, out: Path) -> TrainingResult:
        from trialtune.stages.weights import train_weights  # noqa: PLC0415 - PyTorch takes seconds

        return train_weights(
            self._rows.task,
            rows,
            self.encoder,
            out,
            settings=self.settings,
            calibration=held,
            report=self.report,
        )

    def _told(self, found: Metrics, folds: int) -> MethodScore:
        parts = f", scored on {folds} of {self._rows.folds} folds" if self._rows.folds > 1 else ""
        name = getattr(self.encoder, "name", self.encoder)
        return MethodScore(
            method="full", reads=f"{name}{parts}", micro_f1=found.micro_f1, macro_f1=found.macro_f1
        )

    def _write(self, summary: TrainingResult) -> TrainingResult:
        """Add the candidates to the folder."""
        summary.save(self.out / TRAINING_FILE)
        write_card(self.out)
        return summary
