"""What scoring and training masked language models finds out: read without PyTorch."""

from typing import Any, Literal

from trialtune.results import Result


class MlmScores(Result):
    """How well masked tokens were filled in: `loss` in nats, `masked` positions asked about."""

    accuracy: float
    loss: float
    perplexity: float
    masked: int


class TextScores(MlmScores):
    """The scores of a text and of its sections, which are empty for blocks that do not know them."""

    sections: dict[str, MlmScores]


class Scoring(TextScores):
    """One entry of a training's history: where it stood, and its scores there."""

    step: int
    epoch: float
    tokens: int
    train_loss: float | None
    old: TextScores | None = None  # on held-out text of older trials, when those are watched


class Forgetting(Result):
    """The scores on older trials before a training and after."""

    before: TextScores
    after: TextScores


class MlmTraining(Result):
    """What a training of a masked language model did: the `metrics.json` of `trialtune adapt`."""

    encoder: str
    method: Literal["lora", "full"]
    fresh_head: bool  # the encoder brought none
    trainable_parameters: int
    history: tuple[Scoring, ...]  # the first from before training
    tokens: int
    tokens_per_s: float
    peak_share: float  # of this machine's matrix-product peak
    seconds: float
    stopped: Literal["steps", "patience", "max_minutes"]
    kept_step: int  # whose weights were kept
    forgetting: Forgetting | None
    settings: dict[str, Any]  # as JSON: their class lies with the training

    @property
    def kept(self) -> Scoring:
        """The scoring of the weights that were kept: the last one or, with patience, the best."""
        return next(entry for entry in self.history if entry.step == self.kept_step)
