"""Adapt a BERT encoder to ClinicalTrials.gov text, prove whether it helped, label the registry."""

__version__ = "0.1.0"
