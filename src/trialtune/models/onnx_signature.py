"""A classifier graph's inputs and outputs, by name: int64 [batch, tokens] each, and [batch, labels]."""

INPUTS, OUTPUT = ("input_ids", "attention_mask"), "logits"
FEATURES = "features"  # [batch, width]: the output of a graph that a linear layer is fitted on
