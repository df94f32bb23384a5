"""The classifiers shipped with trialtune, as data: one folder each, with checksums in SHA256SUMS."""

__version__ = "0.1.0"
