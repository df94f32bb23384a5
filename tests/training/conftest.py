"""A corpus that a tiny encoder can learn in a few steps."""

from pathlib import Path

import polars as pl
import pytest

from trialtune.corpus.build import build_corpus
from trialtune.corpus.settings import CorpusSettings


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, tiny_tokenizer) -> Path:
    words = "the study of patients with cancer was stopped because recruitment was slow".split()
    texts = [" ".join(words[(n + k) % len(words)] for k in range(20)) for n in range(120)]
    frame = pl.DataFrame({"nct_id": [f"NCT{n:08d}" for n in range(120)], "brief_summary": texts})
    out = tmp_path_factory.mktemp("corpus") / "c"
    build_corpus(frame, tiny_tokenizer, out, settings=CorpusSettings(block_size=32, heldout=0.2))
    return out
