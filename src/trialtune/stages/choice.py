"""Chooses the training method for some labelled rows by cross-validation."""

import logging
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from trialtune.errors import DataError, UsageError
from trialtune.evaluation.metrics import Metrics
from trialtune.evaluation.training_result import MethodScore
from trialtune.models.bundled import EMBEDDED
from trialtune.stages.foundations import (
    check_encoder,
    encoder_foundation,
    encoder_weights,
    inputs_of,
    shipped_foundation,
)
from trialtune.stages.settings import FinetuneSettings
from trialtune.training.cross_fit import LabelledRows, Tried, cross_fit
from trialtune.training.linear import Inputs, Material

if TYPE_CHECKING:
    from pathlib import Path

    from trialtune.models.encoders import Encoder

log = logging.getLogger(__name__)

STRENGTHS = (30.0, 300.0)
FOLDED = 2_000  # up to this many rows, all are scored out of fold
# Estimates, so that the choice does not depend on the machine's load.
_LEAST_S, _SECONDS_A_ROW = 60.0, 0.2
_START_S = 12.0  # loading PyTorch, exporting a graph
_SPEED = 2e11  # multiply-adds per second, on two cores
CLEAR = 0.05  # of F1: a lead that a general encoder has never made up for
_PASS = 2  # multiply-adds per weight and token


@dataclass(frozen=True)
class Option:
    """A candidate linear classifier: its foundation, inputs and out-of-fold predictions."""

    method: str
    material: Material
    inputs: Inputs
    tried: Tried

    def scored(self, rows: LabelledRows) -> MethodScore:
        found, loss = self.tried.scores(rows)
        return MethodScore(
            method=self.method,
            reads=f"{self.material.foundation.name}: {self.inputs.name}",
            micro_f1=found.micro_f1,
            macro_f1=found.macro_f1,
            log_loss=loss,
            strength=self.tried.strength,
            seconds=round(self.tried.seconds, 2),
        )


@dataclass
class Choice:
    """The candidates on some rows: linear classifiers and other methods."""

    rows: LabelledRows
    settings: FinetuneSettings
    encoder: "Encoder | Path | str"
    opened: ExitStack  # closes the graphs of encoders
    options: list[Option] = field(default_factory=list)
    others: list[MethodScore] = field(default_factory=list)
    _scores: dict[int, MethodScore] = field(default_factory=dict)

    def try_all(self) -> None:
        """Try the linear methods that the settings allow; those of `auto` within its seconds."""
        if self.settings.method != "auto":
            self._try(self.settings.method)
            return
        asked_for = self.encoder != EMBEDDED
        if asked_for:
            check_encoder(self.encoder)
        for method in ("shipped", "tf-idf"):
            self._try_if_there(method)
        if not asked_for and self.lead("shipped", over="tf-idf") > CLEAR:
            self.leave_out("read-out", "the shipped classifier suits these texts: it is far ahead of TF-IDF")
            return
        seconds = self.seconds(encoder_weights(self.encoder), _PASS)
        if seconds > self.budget:
            self.leave_out("read-out", self.too_long(seconds))
        else:
            self._try_if_there("read-out")

    def best(self) -> Option:
        """The linear classifier with the least log loss, calibrated.

        With 100 or 330 rows of four label schemes for stop reasons, its choice was .005 behind the best on
        2,000 others, and the choice by F1, which depends on a few rows of rare classes, .011.
        """
        if not self.options:
            reasons = "; ".join(f"{one.method}: {one.left_out}" for one in self.others)
            raise UsageError(f"{reasons}; --method full trains an encoder's weights")
        return min(self.options, key=lambda option: loss(self.scores_of(option)))

    def scores_of(self, option: Option) -> MethodScore:
        """The scores of an option, computed once."""
        place = next(place for place, one in enumerate(self.options) if one is option)
        if place not in self._scores:
            self._scores[place] = option.scored(self.rows)
        return self._scores[place]

    def table(self, chosen: Option | None) -> tuple[MethodScore, ...]:
        """All candidates, the best first: for each kind of classifier the best strength."""
        best: dict[tuple[str, str], MethodScore] = {}
        for option in self.options:
            found = self.scores_of(option)
            if option is chosen:
                found = found.model_copy(update={"chosen": True})
            kind = (found.method, found.reads)
            if kind not in best or loss(found) < loss(best[kind]):
                best[kind] = found
        ordered = sorted(best.values(), key=loss)
        return (*ordered, *self.others)

    def leave_out(self, method: str, reason: str) -> None:
        """Record why a method was not tried."""
        log.info("method %s is left out: %s", method, reason)
        self.others.append(MethodScore(method=method, reads="", left_out=reason))

    @property
    def budget(self) -> float:
        """Seconds, by estimate, that may be spent on a method."""
        return self.settings.budget_s or max(_LEAST_S, _SECONDS_A_ROW * len(self.rows.texts))

    @cached_property
    def tokens(self) -> int:
        """Tokens of all texts, without those truncated."""
        if self.options:
            windows = self.options[0].material.windows
            return sum(len(windows.distinct[one]) for one in windows.used)
        return sum(len(text.split()) * 2 for text in self.rows.texts)

    def lead(self, method: str, *, over: str) -> float:
        """The lead of the best of one method over the best of another; 0 where one is missing."""
        best = {
            name: max(merit(self.scores_of(option)) for option in self.options if option.method == name)
            for name in {option.method for option in self.options}
        }
        return best[method] - best[over] if method in best and over in best else 0.0

    def too_long(self, seconds: float) -> str:
        """The reason for leaving out a method that takes too long."""
        return f"about {seconds:,.0f} s, more than the {self.budget:,.0f} s of --set budget_s"

    def seconds(self, weights: float, operations: float) -> float:
        """Seconds for all texts, given the operations per weight and token of an encoder."""
        return _START_S + self.tokens * weights * operations / _SPEED

    def _try_if_there(self, method: str) -> None:
        try:
            self._try(method)
        except DataError as error:
            self.leave_out(method, str(error))
        except UsageError as error:
            if method == "read-out" and self.encoder != EMBEDDED:
                raise  # requested by name
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


def loss(scores: MethodScore) -> float:
    """The criterion among linear classifiers."""
    return np.inf if scores.log_loss is None else scores.log_loss


def merit(scores: Metrics | MethodScore) -> float:
    """The criterion between linear classifiers and trained weights: the mean of micro- and macro-F1."""
    assert scores.micro_f1 is not None and scores.macro_f1 is not None
    return (scores.micro_f1 + scores.macro_f1) / 2
