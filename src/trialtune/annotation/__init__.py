"""Annotation: the labels file, the order of the texts, agreement, the expected gain from more labels."""
