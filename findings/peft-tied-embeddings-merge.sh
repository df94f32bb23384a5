#!/usr/bin/env bash
# LoRA on word embeddings of a masked language model whose output layer is tied to them: while it is an
# adapter, only the input side changes; merge_and_unload writes the change into the one shared matrix, so that
# the output layer changes, too, and the merged model's logits are others than the trained one's, without
# an error. Expected: a merged model that computes what the adapter did.
# Seen with peft 0.21.2, transformers 5.23.0, torch 2.13.0, Python 3.11, a random BERT of one layer:
#   merged, hidden states move by 0.0000000, logits by 61.484
# See also https://github.com/huggingface/peft/issues/2018. Fails when that changes. Needs PyPI.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet peft==0.21.2 transformers==5.23.0 torch==2.13.0
cd "$work"
HF_HUB_OFFLINE=1 "$work/venv/bin/python" - <<'PY'
import torch
from peft import LoraConfig, get_peft_model
from transformers import BertConfig, BertForMaskedLM

torch.manual_seed(0)
config = BertConfig(vocab_size=99, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
model = BertForMaskedLM(config).eval()
adapted = get_peft_model(model, LoraConfig(r=4, target_modules=["word_embeddings"])).eval()
with torch.no_grad():
    for name, value in adapted.named_parameters():
        if "lora_embedding" in name:
            value.normal_()
ids = torch.arange(5, 25)[None]
with torch.no_grad():
    trained = adapted(input_ids=ids, output_hidden_states=True)
    merged = adapted.merge_and_unload().eval()(input_ids=ids, output_hidden_states=True)
hidden = float((trained.hidden_states[-1] - merged.hidden_states[-1]).abs().max())
logits = float((trained.logits - merged.logits).abs().max())
print(f"merged, hidden states move by {hidden:.7f}, logits by {logits:.3f}")
assert hidden < 1e-4 and logits > 0.1, "changed"
PY
