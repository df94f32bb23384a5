"""Settings for building a corpus."""

from pydantic import Field

from trialtune.settings import Settings


class CorpusSettings(Settings):
    """How a snapshot becomes blocks."""

    block_size: int = Field(128, ge=16, le=8192, description="Tokens per block, including [CLS] and [SEP].")
    heldout: float = Field(0.05, gt=0, lt=1, description="Share of trials held out for evaluation.")
    seed: int = Field(13, description="Decides which trials are held out.")
