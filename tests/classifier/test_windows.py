"""Windows hold all of a text and batches every window once, within their budget of tokens."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from trialtune.classifier.windows import MOST_WINDOWS, Windows, token_batches

TEXTS = st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=40), max_size=30)


@given(TEXTS, st.integers(1, 120))
def test_every_text_is_in_one_batch_and_no_batch_is_too_large(encoded, tokens) -> None:
    found, count = {}, 0
    for rows, batch in token_batches(encoded, 0, tokens=tokens):
        ids, mask = batch["input_ids"], batch["attention_mask"]
        count += len(rows)
        assert ids.shape == mask.shape and len(rows) == len(ids)
        assert ids.size <= tokens or len(rows) == 1
        assert (mask == (ids != 0)).all()
        found |= {row: ids[place][mask[place] == 1].tolist() for place, row in enumerate(rows)}
    assert count == len(encoded)
    assert [found[row] for row in range(len(encoded))] == encoded


def truncating(tokenizer, length: int) -> Tokenizer:
    copy = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    copy.enable_truncation(length)
    return copy


WORDS = st.lists(st.sampled_from(["slow", "Slow", "funding", "of", "zyx", "", "é"]), max_size=30).map(
    " ".join
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS, max_size=12), st.integers(3, 20))
def test_windows_hold_each_text_from_end_to_end(tiny_tokenizer, texts, length) -> None:
    windows = Windows.of(texts, truncating(tiny_tokenizer, length))
    assert len({tuple(ids) for ids in windows.distinct}) == len(windows.distinct)
    parts = np.split(windows.used, windows.starts[1:]) if texts else []
    for text, part in zip(texts, parts, strict=True):
        held = [windows.distinct[place] for place in part]
        assert all(3 <= len(ids) <= length or ids == tiny_tokenizer("")["input_ids"] for ids in held)
        whole = tiny_tokenizer(text)["input_ids"][1:-1]
        inside = [token for ids in held for token in ids[1:-1]]
        assert inside == whole[: len(inside)]
        assert len(inside) == len(whole) or len(held) == MOST_WINDOWS
    repeats = np.arange(1, len(texts) + 1)
    assert windows.ends(repeats).sum() == repeats.sum()


def test_windows_are_joined_by_the_kind_of_question(tiny_tokenizer) -> None:
    texts = ["slow", "funding ran out " * 3, "slow"]
    windows = Windows.of(texts, truncating(tiny_tokenizer, 6))  # 1, 3 (4 + 4 + 1 words) and 1 windows
    assert [len(windows.distinct[place]) for place in windows.used] == [3, 6, 6, 3, 3]
    logits = np.random.default_rng(0).normal(size=(len(windows.distinct), 2))
    first, *middle, last = (logits[place] for place in windows.used)
    joined = windows.join(logits, kind="multi_label")
    np.testing.assert_allclose(joined, [first, np.max(middle, axis=0), last])
    joined = windows.join(logits, kind="multi_class")
    np.testing.assert_allclose(joined, [first, np.average(middle, axis=0, weights=[6, 6, 3]), last])
