"""Settings of `trialtune annotate`: which text comes next."""

from typing import Self

from pydantic import Field, field_validator, model_validator

from trialtune.settings import Settings

RANDOM, UNCERTAIN, RARE, LISTED = "random", "uncertain", "rare", "listed"
_DOUBLE = 0.1
WAYS = (RANDOM, UNCERTAIN, RARE)


class DrawSettings(Settings):
    """How the next text is chosen."""

    mix: dict[str, float] = Field(
        {RANDOM: 0.3, UNCERTAIN: 0.1, RARE: 0.6},
        description="Shares of texts drawn at random, uncertain to the model, likely to have a rare label.",
    )
    double: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Share of texts given to every annotator, taken from the random ones; default 0.1.",
    )
    candidates: int = Field(
        20_000, ge=100, description="Texts, drawn at random, from which the model chooses."
    )
    retrain_every: int = Field(10, ge=1, description="Answers between two trainings of the model.")
    seed: int = Field(1, ge=0, description="Random seed of the draws; the same for all annotators of a pool.")

    @field_validator("mix")
    @classmethod
    def _shares(cls, mix: dict[str, float]) -> dict[str, float]:
        if unknown := [way for way in mix if way not in WAYS]:
            raise ValueError(f"{unknown[0]!r} is not one of {', '.join(WAYS)}")
        total = sum(mix.values())
        if min(mix.values(), default=-1) < 0 or abs(total - 1) > 1e-6:
            raise ValueError(f"the shares must be 0 or more and add up to 1, not {total:g}")
        return mix

    @model_validator(mode="after")
    def _double_is_random(self) -> Self:
        if (self.double or 0) > self.share(RANDOM) + 1e-9:
            raise ValueError(
                f"--double {self.double:g} is more than the share drawn at random, {self.share(RANDOM):g}"
            )
        return self

    @property
    def shared(self) -> float:
        """The share of texts given to every annotator."""
        return min(_DOUBLE, self.share(RANDOM)) if self.double is None else self.double

    def share(self, way: str) -> float:
        """The share of texts chosen this way."""
        return self.mix.get(way, 0.0)

    @property
    def learns(self) -> bool:
        """Whether a model is needed."""
        return self.share(RANDOM) < 1
