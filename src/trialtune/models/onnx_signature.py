"""What a classifier's graph takes and gives, by name: int64 [batch, tokens] each, and [batch, labels]."""

INPUTS, OUTPUT = ("input_ids", "attention_mask"), "logits"
FEATURES = "features"  # [batch, width]: what a graph gives that a linear layer is to stand on
