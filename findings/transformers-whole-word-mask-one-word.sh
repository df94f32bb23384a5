#!/usr/bin/env bash
# DataCollatorForLanguageModeling(whole_word_mask=True) takes tokens for one word wherever the offset of one begins
# where the last ended. DeBERTa-v2/v3's tokeniser counts the blank before a word as part of it, so that a whole text is
# one word: all of it is masked or nothing, while the share of masked tokens looks right over many texts.
# Expected: single words masked, as with BERT's tokeniser; both tokenisers' word_ids() tell these nine words apart.
# Seen with transformers 5.23.0, tokenizers 0.23.3, numpy 2.4.6, Python 3.11, 2000 times one text of nine words:
#   BertTokenizer: 9 words; masked 15% of tokens; nothing masked in 24% of texts, everything in 0%
#   DebertaV2Tokenizer: 9 words; masked 15% of tokens; nothing masked in 85% of texts, everything in 15%
# Fails when that changes. Needs PyPI.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet transformers==5.23.0 tokenizers==0.23.3 numpy==2.4.6
cd "$work"
HF_HUB_OFFLINE=1 "$work/venv/bin/python" - <<'PY'
import warnings

import numpy as np
from transformers import BertTokenizer, DataCollatorForLanguageModeling, DebertaV2Tokenizer

warnings.simplefilter("error")
text = "terminated because of slow accrual and lack of funding"
words = list(dict.fromkeys(text.split()))
special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
tokenizers = (
    BertTokenizer(vocab={token: index for index, token in enumerate(special + words)}),
    DebertaV2Tokenizer(vocab=[(token, 0.0) for token in special] + [(f"▁{word}", -3.0) for word in words]),
)
seen = {}
for tokenizer in tokenizers:
    rows = [tokenizer(text, return_offsets_mapping=True) for _ in range(2000)]
    collate = DataCollatorForLanguageModeling(
        tokenizer,
        whole_word_mask=True,
        mlm_probability=0.15,
        mask_replace_prob=1,
        random_replace_prob=0,
        return_tensors="np",
        seed=0,
    )
    count = len(set(rows[0].word_ids()) - {None})
    masked = (collate(rows)["labels"] != -100).sum(axis=1)
    share, none, all_of_it = masked.mean() / count, np.mean(masked == 0), np.mean(masked == count)
    name = type(tokenizer).__name__
    print(
        f"{name}: {count} words; masked {share:.0%} of tokens;"
        f" nothing masked in {none:.0%} of texts, everything in {all_of_it:.0%}"
    )
    assert count == 9 and 0.13 < share < 0.17
    seen[name] = (none, all_of_it)
assert seen["BertTokenizer"][0] < 0.3 and seen["BertTokenizer"][1] == 0, "changed"
assert np.isclose(sum(seen["DebertaV2Tokenizer"]), 1), "changed"
PY
