"""Snapshot rows to cleaned documents to packed blocks of token ids."""
