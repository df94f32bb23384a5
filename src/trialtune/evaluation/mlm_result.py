"""Results of scoring and training masked language models; they load without PyTorch."""

from typing import Any, Literal

from trialtune.results import Result


class MlmScores(Result):
    """How well masked tokens were predicted: `loss` in nats, at `masked` positions."""

    accuracy: float
    loss: float
    perplexity: float
    masked: int


class TextScores(MlmScores):
    """The scores of a text and of its sections, which are empty for blocks without section information."""

    sections: dict[str, MlmScores]


class Scoring(TextScores):
    """One entry of a training's history: its progress and scores."""

    step: int
    epoch: float
    tokens: int
    train_loss: float | None
    old: TextScores | None = None  # on held-out text of older trials, when monitored


class Forgetting(Result):
    """The scores on older trials before and after training."""

    before: TextScores
    after: TextScores


class MlmTraining(Result):
    """The result of masked-language-model training: the `metrics.json` of `trialtune adapt`."""

    encoder: str
    method: Literal["lora", "full"]
    fresh_head: bool  # the encoder had none
    trainable_parameters: int
    history: tuple[Scoring, ...]  # the first before training
    tokens: int
    tokens_per_s: float
    peak_share: float  # of this machine's matrix-product peak
    seconds: float
    stopped: Literal["steps", "patience", "max_minutes"]
    kept_step: int  # the step of the weights kept
    forgetting: Forgetting | None
    settings: dict[str, Any]  # as JSON: their class belongs to training

    @property
    def kept(self) -> Scoring:
        """The scores of the weights kept: the last or, with patience, the best."""
        return next(entry for entry in self.history if entry.step == self.kept_step)
