"""Shares of labels over a registry, with intervals that hold although the classifier errs."""
