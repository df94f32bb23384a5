"""A corpus folder: its description and its trials."""

from pathlib import Path
from typing import Any, Self

import polars as pl

from trialtune.errors import DataError
from trialtune.results import Result

DESCRIPTION = "corpus.json"
TRIALS = "trials.parquet"


class CorpusCounts(Result):
    """What a corpus holds: trials by what became of them, blocks of `block_size` tokens."""

    documents: int
    empty: int
    excluded: int
    withheld: int
    heldout_documents: int
    blocks: int
    tokens: int
    heldout_blocks: int
    heldout_tokens: int
    block_size: int


class Corpus(CorpusCounts):
    """The content of `corpus.json`."""

    tokenizer: str
    tokenizer_sha256: str
    settings: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a corpus folder's description; raises DataError when it is not one."""
        if not (folder / DESCRIPTION).is_file():
            raise DataError(f"{folder}: not a corpus folder; create one with `trialtune corpus build`")
        try:
            return cls.load(folder / DESCRIPTION)
        except DataError as error:
            raise DataError(f"{error} with `trialtune corpus build`") from error

    @property
    def counts(self) -> CorpusCounts:
        """The counts alone."""
        return CorpusCounts.model_validate(self.model_dump(include=set(CorpusCounts.model_fields)))


def corpus_trials(folder: Path) -> pl.DataFrame:
    """The training trials of a corpus folder [nct_id]; raises DataError when it does not list them."""
    path = folder / TRIALS
    if not path.is_file():
        raise DataError(f"{folder}: does not list its trials; run `trialtune corpus build` again")
    return pl.read_parquet(path).filter(~pl.col("heldout")).select("nct_id")
