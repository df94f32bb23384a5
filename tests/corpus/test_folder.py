"""A corpus folder opens whole, or says what is wrong."""

import polars as pl
import pyarrow as pa
import pytest

from trialtune.corpus.blocks import block_files, read_blocks
from trialtune.corpus.build import build_corpus
from trialtune.corpus.folder import Corpus, corpus_trials
from trialtune.corpus.settings import CorpusSettings
from trialtune.errors import DataError


@pytest.fixture
def folder(tmp_path, tiny_tokenizer):
    titles = [f"study {n} of slow cancer" for n in range(300)]
    rows = pl.DataFrame({"nct_id": [f"NCT{n:08d}" for n in range(300)], "brief_title": titles})
    build_corpus(rows, tiny_tokenizer, tmp_path / "c", settings=CorpusSettings(block_size=32, heldout=0.2))
    return tmp_path / "c"


def test_a_folder_that_does_not_say_its_trials_is_told(folder) -> None:
    assert len(corpus_trials(folder))
    (folder / "trials.parquet").unlink()
    with pytest.raises(DataError, match="does not list its trials"):
        corpus_trials(folder)


def test_no_corpus_is_told(tmp_path) -> None:
    with pytest.raises(DataError, match="corpus build"):
        Corpus.read(tmp_path)
    with pytest.raises(DataError, match=r"no train blocks.*corpus build"):
        read_blocks(tmp_path, "train", pad_id=0)


def test_the_corpus_of_another_version_is_told(folder) -> None:
    described = folder / "corpus.json"
    described.write_text(described.read_text().replace('"documents"', '"papers"'))
    with pytest.raises(DataError, match=r"corpus\.json: documents.*corpus build"):
        Corpus.read(folder)


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
    with pytest.raises(DataError, match=r"heldout blocks, but corpus\.json lists"):
        read_blocks(folder, "heldout", pad_id=0)
