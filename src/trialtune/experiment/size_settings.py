"""Settings of a comparison over training sizes."""

from pydantic import Field, field_validator

from trialtune.settings import Settings

_FEWEST = 20  # rows: fewer cannot be split into training and calibration


class SizeSettings(Settings):
    """Which training sizes are compared, and how often each is drawn."""

    sizes: tuple[int | None, ...] = Field(
        (50, 100, 200, 500, 1000, 2000, None), min_length=1, description="training rows; null: all of them"
    )
    draws: int = Field(5, ge=1, description="training sets of each size")
    min_steps: int = Field(
        100, ge=1, description="minimum fine-tuning steps, so that few rows are seen often enough"
    )
    task_adapt_steps: int | None = Field(
        None, ge=1, description="masked-language-model steps on the training texts: one more system"
    )

    @field_validator("sizes")
    @classmethod
    def _large_enough(cls, sizes: tuple[int | None, ...]) -> tuple[int | None, ...]:
        for size in sizes:
            if size is not None and size < _FEWEST:
                raise ValueError(f"{size}: fewer than {_FEWEST} rows cannot be split for training")
        return sizes
