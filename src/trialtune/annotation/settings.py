"""What `trialtune annotate` is told about which text comes next."""

from typing import Self

from pydantic import Field, field_validator, model_validator

from trialtune.settings import Settings

RANDOM, UNCERTAIN, RARE, LISTED = "random", "uncertain", "rare", "listed"
_DOUBLE = 0.1
WAYS = (RANDOM, UNCERTAIN, RARE)


class DrawSettings(Settings):
    """Which text comes next."""

    mix: dict[str, float] = Field(
        {RANDOM: 0.3, UNCERTAIN: 0.1, RARE: 0.6},
        description="Shares of texts drawn at random, unsure to the model, of rare labels.",
    )
    double: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Share of the texts that every annotator gets, of those drawn at random; else a tenth.",
    )
    candidates: int = Field(
        20_000, ge=100, description="Texts, drawn at random, among which the model looks for the others."
    )
    retrain_every: int = Field(10, ge=1, description="Answers between two trainings.")
    seed: int = Field(1, ge=0, description="Seed of every draw; the same for all annotators of a pool.")

    @field_validator("mix")
    @classmethod
    def _shares(cls, mix: dict[str, float]) -> dict[str, float]:
        if unknown := [way for way in mix if way not in WAYS]:
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(WAYS)}")
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
        """The share of texts that every annotator gets."""
        return min(_DOUBLE, self.share(RANDOM)) if self.double is None else self.double

    def share(self, way: str) -> float:
        """The share of texts that come this way."""
        return self.mix.get(way, 0.0)

    @property
    def learns(self) -> bool:
        """Whether a model has a say in it."""
        return self.share(RANDOM) < 1
