"""Settings of an adapter and of a smaller encoder."""

from pydantic import Field

from trialtune.settings import Settings


class LoraSettings(Settings):
    """Shape of the adapter (Hu et al. 2021, https://arxiv.org/abs/2106.09685), as PEFT names it."""

    r: int = Field(8, ge=1, description="Rank.")
    lora_alpha: int = Field(16, ge=1, description="The adapter is scaled by lora_alpha / r.")
    lora_dropout: float = Field(0.0, ge=0, lt=1, description="Dropout in the adapter.")
    target_modules: tuple[str, ...] = Field(
        ("all-linear",), min_length=1, description="Layer names, separated by commas, or all-linear."
    )
    use_rslora: bool = Field(
        False, description="Scale the adapter by lora_alpha / sqrt(r) (https://arxiv.org/abs/2312.03732)."
    )
    use_dora: bool = Field(
        False, description="Weight-decomposed LoRA, DoRA (https://arxiv.org/abs/2402.09353)."
    )


class ShrinkSettings(Settings):
    """The parts of an encoder to keep."""

    layers: tuple[int, ...] = Field((), description="Layers to keep, numbered from 0; default all.")
    intermediate_size: int | None = Field(
        None,
        ge=8,
        description="Width of the feed-forward layers: the neurons with the greatest weights are kept.",
    )
