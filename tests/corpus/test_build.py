"""A corpus folder: counts add up, the held-out part is apart, excluded trials stay out."""

import polars as pl
import pytest
import torch

from trialtune.corpus.blocks import read_blocks
from trialtune.corpus.build import (
    Corpus,
    CorpusSettings,
    build_corpus,
    is_heldout,
    tokenise,
    tokenizer_fingerprint,
)
from trialtune.corpus.documents import NO_SECTION, SECTION_NAMES
from trialtune.errors import DataError

SETTINGS = CorpusSettings(block_size=32, heldout=0.2)


def snapshot(count: int) -> pl.DataFrame:
    titles = [f"study {n} of slow cancer" if n % 10 else "" for n in range(count)]
    return pl.DataFrame({"nct_id": [f"NCT{n:08d}" for n in range(count)], "brief_title": titles})


def test_counts_add_up_and_nothing_is_lost(tmp_path, tiny_tokenizer) -> None:
    excluded = frozenset({"NCT00000003", "NCT00000004"})
    corpus = build_corpus(snapshot(200), tiny_tokenizer, tmp_path / "c", settings=SETTINGS, exclude=excluded)
    assert corpus.documents + corpus.heldout_documents + corpus.empty + corpus.excluded == 200
    assert (corpus.excluded, corpus.empty) == (2, 20)
    assert corpus == Corpus.read(tmp_path / "c")
    seen = "".join(
        tiny_tokenizer.decode(row)
        for row in read_blocks(tmp_path / "c" / "train.parquet", pad_id=0).input_ids
    )
    kept = [n for n in range(200) if n % 10 and n not in (3, 4)]
    trained = [n for n in kept if not is_heldout(f"NCT{n:08d}", 0.2, SETTINGS.seed)]
    assert corpus.documents == len(trained)
    joined = seen.replace("[CLS]", "").replace("[SEP]", "").replace("##", "").replace(" ", "")
    for n in trained:
        assert f"study{n}ofslowcancer" in joined
    for n in set(kept) - set(trained):
        assert f"study{n}ofslowcancer" not in joined


def test_heldout_tokens_know_their_section(tmp_path, tiny_tokenizer) -> None:
    rows = [
        {
            "nct_id": f"NCT{n:08d}",
            "brief_title": "slow cancer",
            "brief_summary": "the trial was stopped",
            "conditions": ["diabetes", "cancer"],
        }
        for n in range(60)
    ]
    build_corpus(pl.DataFrame(rows), tiny_tokenizer, tmp_path / "c", settings=SETTINGS)
    blocks = read_blocks(tmp_path / "c" / "heldout.parquet", pad_id=0)
    assert blocks.section_ids.shape == blocks.input_ids.shape
    special = torch.isin(blocks.input_ids, torch.tensor(tiny_tokenizer.all_special_ids))
    assert torch.equal(blocks.section_ids == NO_SECTION, special)
    for name, text in {
        "Title": "title: slow cancer",
        "Summary": "summary: the trial was stopped",
        "Conditions": "conditions: diabetes; cancer",
    }.items():
        spelled = tiny_tokenizer(text, add_special_tokens=False)["input_ids"]
        found = blocks.input_ids[blocks.section_ids == SECTION_NAMES.index(name)].tolist()
        assert found == spelled * (len(found) // len(spelled))
        assert found
    assert "section_ids" not in pl.read_parquet_schema(tmp_path / "c" / "train.parquet")


def test_growth_never_moves_a_trial_between_parts() -> None:
    before = {f"NCT{n:08d}": is_heldout(f"NCT{n:08d}", 0.05, 13) for n in range(2000)}
    assert 60 < sum(before.values()) < 140
    wider = [is_heldout(nct_id, 0.10, 13) for nct_id, heldout in before.items() if heldout]
    assert all(wider)


def test_too_little_text_is_an_error_and_leaves_no_folder(tmp_path, tiny_tokenizer) -> None:
    with pytest.raises(DataError, match="larger snapshot"):
        build_corpus(snapshot(1), tiny_tokenizer, tmp_path / "c", settings=SETTINGS)
    assert list(tmp_path.iterdir()) == []


def test_fingerprint_ignores_call_options(tiny_tokenizer) -> None:
    before = tokenizer_fingerprint(tiny_tokenizer)
    tiny_tokenizer(["a", "b c"], truncation=True, padding=True, max_length=8)
    assert tokenizer_fingerprint(tiny_tokenizer) == before


def test_tokens_equal_the_plain_call(tiny_tokenizer, shared_data) -> None:
    texts = pl.read_parquet(shared_data / "trials.parquet")["brief_summary"].head(1500).to_list()
    plain = [tiny_tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    assert list(tokenise(texts, tiny_tokenizer)) == plain
