#!/usr/bin/env bash
# transformers 5.23.0 opens a DeBERTa-v2/v3 folder as published (spm.model) without the NFKC step that its
# SentencePiece model has: units as trials write them (kg/m², 10⁹/L) and ½ become the unknown token, with no
# warning. Expected: the pieces of SentencePiece itself, "m", "2" and "10", "9".
# Seen with transformers 5.23.0, tokenizers 0.23.3, sentencepiece 0.2.3, protobuf 7.36.2, Python 3.11:
#   sentencepiece: unknown 0 of 21
#   transformers: unknown ² ⁹ ½; normalizer without NFKC
# Fails when that changes. Needs PyPI.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet transformers==5.23.0 tokenizers==0.23.3 sentencepiece==0.2.3 protobuf==7.36.2
cd "$work"
"$work/venv/bin/python" - <<'PY'
import os

import sentencepiece
from transformers import DebertaV2Tokenizer

corpus = ["body mass index of 30 kg/m2 or more", "platelets above 100 x 109/L", "half of them, 1/2"] * 50
os.makedirs("model")
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(corpus),
    model_prefix="model/spm",
    vocab_size=80,
    hard_vocab_limit=False,
    normalization_rule_name="nfkc",
    pad_id=0, bos_id=1, eos_id=2, unk_id=3,
    pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]", unk_piece="[UNK]",
    user_defined_symbols=["[MASK]", "⁄"],
)
text = "30 kg/m² of 10⁹/L or ½"
own = sentencepiece.SentencePieceProcessor(model_file="model/spm.model")
ids = own.encode(text)
unknown = [own.id_to_piece(i) for i in ids if i == own.unk_id()]
print(f"sentencepiece: unknown {len(unknown)} of {len(ids)}")
tokenizer = DebertaV2Tokenizer.from_pretrained("model")
pieces = tokenizer.tokenize(text)
lost = [p for p in pieces if tokenizer.convert_tokens_to_ids(p) == tokenizer.unk_token_id]
kept = "NFKC" in repr(tokenizer.backend_tokenizer.normalizer)
print(f"transformers: unknown {' '.join(lost)}; normalizer {'with' if kept else 'without'} NFKC")
assert not unknown
assert lost == ["²", "⁹", "½"] and not kept, "changed"
PY
