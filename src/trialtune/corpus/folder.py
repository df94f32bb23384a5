"""A corpus folder: its description, its trials, its blocks."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pyarrow as pa

from trialtune.corpus.blocks import StoredBlocks
from trialtune.corpus.shards import open_shards
from trialtune.errors import DataError
from trialtune.files import read_json

TRIALS = "trials.parquet"
Part = Literal["train", "heldout"]


@dataclass(frozen=True)
class Corpus:
    """The content of `corpus.json`."""

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
    tokenizer: str
    tokenizer_sha256: str
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "Corpus":
        """Read a corpus folder's description; raises DataError when it is not one."""
        if not (folder / "corpus.json").is_file():
            raise DataError(f"{folder}: not a corpus folder; create one with `trialtune corpus build`")
        try:
            return cls(**read_json(folder / "corpus.json"))
        except TypeError as error:
            raise DataError(
                f"{folder / 'corpus.json'}: not a description that this version writes ({error});"
                " run `trialtune corpus build` again"
            ) from error


def corpus_trials(folder: Path) -> pl.DataFrame:
    """The training trials of a corpus folder [nct_id]; raises DataError when it does not list them."""
    path = folder / TRIALS
    if not path.is_file():
        raise DataError(f"{folder}: does not list its trials; run `trialtune corpus build` again")
    return pl.read_parquet(path).filter(~pl.col("heldout")).select("nct_id")


def block_files(folder: Path, part: Part) -> list[Path]:
    """The files of a part's blocks, in order; raises DataError when there is none."""
    files = sorted(folder.glob(f"{part}-*.arrow"))
    if not files:
        raise DataError(f"{folder}: has no {part} blocks; run `trialtune corpus build` again")
    return files


def read_blocks(folder: Path, part: Part, *, pad_id: int) -> StoredBlocks:
    """Open a part's blocks; shards are mapped, not loaded. Raises DataError when a file is broken."""
    files = block_files(folder, part)
    try:
        table = open_shards(files)
    except (OSError, pa.ArrowException) as error:
        named = ", ".join(file.name for file in files[:3])
        raise DataError(
            f"{folder}: cannot read blocks from {named} ({error}); run `trialtune corpus build` again"
        ) from error
    described = Corpus.read(folder)
    expected = described.blocks if part == "train" else described.heldout_blocks
    if len(table) != expected:
        raise DataError(
            f"{folder}: {len(table):,} {part} blocks, but corpus.json lists {expected:,};"
            " run `trialtune corpus build` again"
        )
    return StoredBlocks(table, pad_id=pad_id)
