"""Shares of labels over a registry, with confidence intervals that account for classifier errors."""
