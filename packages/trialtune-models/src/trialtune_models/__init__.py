"""Classifiers that come with trialtune, as data: a folder each, whose checksums are in SHA256SUMS."""

__version__ = "0.1.0"
