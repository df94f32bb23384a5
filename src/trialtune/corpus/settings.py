"""What the making of a corpus is told."""

from pydantic import Field

from trialtune.settings import Settings


class CorpusSettings(Settings):
    """How a snapshot becomes blocks."""

    block_size: int = Field(128, ge=16, le=8192, description="Tokens a block, [CLS] and [SEP] included.")
    heldout: float = Field(0.05, gt=0, lt=1, description="Share of trials kept out of training, to score on.")
    seed: int = Field(13, description="Decides which trials are held out.")
