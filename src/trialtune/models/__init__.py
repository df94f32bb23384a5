"""Encoders, their masked-language-model head, LoRA adapters and classifiers."""
