#!/usr/bin/env bash
# setfit counts two texts of a multi-label task as alike only where they share a label, so that a text without any
# label (a valid row of zeros, "none of these") is unlike every text: its pair with itself, which each text gets, is a
# negative one. The encoder is trained to give the same text a cosine of 0 with itself, which no encoder can, and to
# push such texts apart from each other. Expected: 1 for a text and itself, as for a text with labels, or no such pair.
# Seen with setfit 1.2.0, transformers 5.23.0, sentence-transformers 6.2.0, torch 2.13.0, Python 3.11:
#   slow accrual [1, 0]: with itself 1.0
#   lack of funding [0, 1]: with itself 1.0
#   see protocol [0, 0]: with itself 0.0
#   other [0, 0]: with itself 0.0
# Fails when that changes. Needs PyPI.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet \
  setfit==1.2.0 transformers==5.23.0 sentence-transformers==6.2.0 datasets==5.2.0 torch==2.13.0
cd "$work"
HF_HUB_OFFLINE=1 "$work/venv/bin/python" - <<'PY'
from setfit.sampler import ContrastiveDataset

rows = {"slow accrual": [1, 0], "lack of funding": [0, 1], "see protocol": [0, 0], "other": [0, 0]}
pairs = ContrastiveDataset([*rows], [*rows.values()], multilabel=True, sampling_strategy="unique")
targets = {pair["sentence_1"]: pair["label"] for pair in pairs if pair["sentence_1"] == pair["sentence_2"]}
for text, labels in rows.items():
    print(f"{text} {labels}: with itself {targets.get(text)}")
assert targets == {text: float(any(labels)) for text, labels in rows.items()}, "changed"
PY
