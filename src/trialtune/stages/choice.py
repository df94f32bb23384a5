"""Which way of training suits some labelled rows: every one scored on rows that it was not trained on."""

import logging
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from trialtune.errors import DataError, UsageError
from trialtune.evaluation.training_result import MethodScore
from trialtune.models.bundled import EMBEDDED
from trialtune.stages.foundations import encoder_foundation, encoder_weights, inputs_of, shipped_foundation
from trialtune.stages.settings import FinetuneSettings
from trialtune.training.cross_fit import LabelledRows, Tried, cross_fit
from trialtune.training.linear import Inputs, Material

if TYPE_CHECKING:
    from pathlib import Path

    from trialtune.models.encoders import Encoder

log = logging.getLogger(__name__)

STRENGTHS = (10.0, 100.0, 1000.0)
FOLDED = 2_000  # rows up to which all are scored, in folds
# Estimates, so that a choice does not hang on how busy the machine is.
_LEAST_S, _SECONDS_A_ROW = 60.0, 0.2
_START_S = 12.0  # PyTorch, and a graph written
_SPEED = 1e11  # multiplications and additions a second, on two cores
_PASS, _TRAINING = 2, 6  # of each for a weight and token


@dataclass(frozen=True)
class Option:
    """A linear classifier that was tried: what it stands on and reads, and what it said."""

    method: str
    material: Material
    inputs: Inputs
    tried: Tried

    def scored(self, rows: LabelledRows) -> MethodScore:
        found = self.tried.scores(rows)
        return MethodScore(
            method=self.method,
            reads=f"{self.material.foundation.name}: {self.inputs.name}",
            micro_f1=found.micro_f1,
            macro_f1=found.macro_f1,
            log_loss=self.tried.log_loss(rows),
            strength=self.tried.strength,
            seconds=round(self.tried.seconds, 2),
        )


@dataclass
class Choice:
    """Linear classifiers tried on some rows, and what else was weighed."""

    rows: LabelledRows
    settings: FinetuneSettings
    encoder: "Encoder | Path | str"
    opened: ExitStack  # closes the graphs of encoders
    options: list[Option] = field(default_factory=list)
    others: list[MethodScore] = field(default_factory=list)

    def try_all(self) -> None:
        """Try the linear methods that the settings allow; those of `auto` within its seconds."""
        if self.settings.method != "auto":
            self._try(self.settings.method)
            return
        for method in ("shipped", "tf-idf"):
            self._try_if_there(method)
        seconds = _START_S + self.tokens * encoder_weights(self.encoder) * _PASS / _SPEED
        if seconds > self.budget:
            self.leave_out("read-out", self._too_long(seconds))
        else:
            self._try_if_there("read-out")

    def weights_fit(self) -> bool:
        """Whether training an encoder's weights is to be tried, too; says so where it is not."""
        if self.rows.folds > 1:
            reason = f"on fewer than {FOLDED:,} rows a linear layer was never behind it"
        else:
            passes = self.settings.epochs * _TRAINING
            seconds = _START_S + self.tokens * encoder_weights(self.encoder) * passes / _SPEED
            if seconds <= self.budget:
                return True
            reason = self._too_long(seconds)
        self.leave_out("full", f"{reason}; --method full trains it")
        return False

    def best(self) -> Option:
        """The linear classifier with the best scores."""
        if not self.options:
            raise UsageError("; ".join(f"{one.method}: {one.left_out}" for one in self.others))
        return max(self.options, key=lambda option: merit(self.scores[id(option)]))

    @cached_property
    def scores(self) -> dict[int, MethodScore]:
        """The scores of each option, by its id."""
        return {id(option): option.scored(self.rows) for option in self.options}

    def table(self, chosen: Option | None) -> tuple[MethodScore, ...]:
        """All that was weighed, the best first: of each kind of classifier the best strength."""
        best: dict[tuple[str, str], MethodScore] = {}
        for option in self.options:
            found = self.scores[id(option)]
            if option is chosen:
                found = found.model_copy(update={"chosen": True})
            kind = (found.method, found.reads)
            if kind not in best or (merit(found), found.chosen) > (merit(best[kind]), best[kind].chosen):
                best[kind] = found
        ordered = sorted(best.values(), key=lambda one: (not one.chosen, -merit(one)))
        return (*ordered, *self.others)

    def leave_out(self, method: str, reason: str) -> None:
        """Say why a method was not tried."""
        log.info("method %s is left out: %s", method, reason)
        self.others.append(MethodScore(method=method, reads="", left_out=reason))

    @property
    def budget(self) -> float:
        """Seconds, by estimate, that may be spent on trying a method."""
        return self.settings.budget_s or max(_LEAST_S, _SECONDS_A_ROW * len(self.rows.texts))

    @cached_property
    def tokens(self) -> int:
        """Tokens of all texts, of those that are read."""
        if self.options:
            windows = self.options[0].material.windows
            return sum(len(windows.distinct[one]) for one in windows.used)
        return sum(len(text.split()) * 2 for text in self.rows.texts)

    def _too_long(self, seconds: float) -> str:
        return f"about {seconds:,.0f} s, more than the {self.budget:,.0f} s of --set budget_s"

    def _try_if_there(self, method: str) -> None:
        try:
            self._try(method)
        except DataError as error:
            self.leave_out(method, str(error))
        except UsageError as error:
            if method == "read-out" and self.encoder != EMBEDDED:
                raise  # it was asked for by name
            self.leave_out(method, str(error))

    def _try(self, method: str) -> None:
        read_out = method == "read-out"
        foundation = (
            self.opened.enter_context(encoder_foundation(self.encoder)) if read_out else shipped_foundation()
        )
        inputs = inputs_of(foundation, method)
        wanted = self.settings.max_length or self.rows.task.max_length
        texts = [*self.rows.texts, *self.rows.definitions()]
        material = Material.of(foundation, texts, inputs, max_length=min(wanted, foundation.positions))
        for one in inputs:
            for tried in cross_fit(self.rows, material, one, STRENGTHS):
                self.options.append(Option(method, material, one, tried))


def merit(scores: MethodScore) -> float:
    """What options are chosen by: micro- and macro-F1 alike, since either alone rewards one kind of error."""
    assert scores.micro_f1 is not None and scores.macro_f1 is not None
    return (scores.micro_f1 + scores.macro_f1) / 2
