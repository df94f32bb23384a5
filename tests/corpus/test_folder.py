"""A corpus folder opens whole, in today's form and in that of older versions, or says what is wrong."""

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from trialtune.corpus.build import build_corpus
from trialtune.corpus.folder import Corpus, block_files, corpus_trials, read_blocks
from trialtune.corpus.settings import CorpusSettings
from trialtune.corpus.shards import open_shards
from trialtune.errors import DataError


@pytest.fixture
def folder(tmp_path, tiny_tokenizer):
    titles = [f"study {n} of slow cancer" for n in range(300)]
    rows = pl.DataFrame({"nct_id": [f"NCT{n:08d}" for n in range(300)], "brief_title": titles})
    build_corpus(rows, tiny_tokenizer, tmp_path / "c", settings=CorpusSettings(block_size=32, heldout=0.2))
    return tmp_path / "c"


def test_a_folder_of_an_older_version_still_opens(folder) -> None:
    new = {part: read_blocks(folder, part, pad_id=0) for part in ("train", "heldout")}
    for part in new:
        files = block_files(folder, part)
        pq.write_table(open_shards(files), folder / f"{part}.parquet", row_group_size=7)
        for file in files:
            file.unlink()
    (folder / "trials.parquet").unlink()
    for part, blocks in new.items():
        old = read_blocks(folder, part, pad_id=0)
        rows = torch.arange(len(blocks))
        assert len(old) == len(blocks)
        assert torch.equal(old[rows].input_ids, blocks[rows].input_ids)
        assert torch.equal(old[rows].attention_mask, blocks[rows].attention_mask)
        assert (old[rows].section_ids is None) == (part == "train")
    assert corpus_trials(folder) is None
    assert Corpus.read(folder).documents > 0


def test_no_corpus_is_told(tmp_path) -> None:
    with pytest.raises(DataError, match="corpus build"):
        Corpus.read(tmp_path)
    with pytest.raises(DataError, match=r"no train blocks.*corpus build"):
        read_blocks(tmp_path, "train", pad_id=0)


def test_a_broken_shard_is_named(folder) -> None:
    (folder / "train-00000.arrow").write_text("not arrow")
    with pytest.raises(DataError, match=r"train-00000\.arrow.*corpus build"):
        read_blocks(folder, "train", pad_id=0)


def test_a_missing_or_shortened_shard_is_noticed(folder) -> None:
    path = block_files(folder, "heldout")[0]
    with pa.ipc.open_stream(path.read_bytes()) as reader:
        table = reader.read_all()
    with pa.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table[:-1])
    with pytest.raises(DataError, match=r"heldout blocks of the .* corpus\.json"):
        read_blocks(folder, "heldout", pad_id=0)
