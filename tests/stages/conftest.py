"""A small corpus, to adapt to and to score on."""

from pathlib import Path

import polars as pl
import pytest
from transformers import PreTrainedTokenizerFast

from trialtune.corpus.build import build_corpus
from trialtune.corpus.settings import CorpusSettings


@pytest.fixture(scope="package")
def corpus(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: PreTrainedTokenizerFast) -> Path:
    texts = [f"patients with cancer stopped {n} because recruitment was slow" for n in range(80)]
    rows = pl.DataFrame({"nct_id": [f"NCT{n:08d}" for n in range(80)], "brief_summary": texts})
    out = tmp_path_factory.mktemp("corpus") / "c"
    build_corpus(rows, tiny_tokenizer, out, settings=CorpusSettings(block_size=32, heldout=0.2))
    return out
