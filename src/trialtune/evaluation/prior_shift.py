"""Corrects for prior shift: from a multi-class model's training class shares to the true ones.

Multiplying its probabilities by true / trained share, or adding the logarithm to its logits, gives the
posterior under the true shares (Saerens et al., 2002, doi:10.1162/089976602753284446).
"""

import numpy as np


def log_prior_shift(gold: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Log of each class's true share over its trained one [classes], one row per class added to both.

    `gold` [rows, classes] is that of the training rows; `weights` are how many rows each represents.
    """
    true, trained = 1 + (gold * weights[:, None]).sum(axis=0), 1 + gold.sum(axis=0)
    shift: np.ndarray = np.log((true / true.sum()) / (trained / trained.sum()))
    return shift


def shift_priors(probabilities: np.ndarray, log_shift: np.ndarray) -> np.ndarray:
    """Probabilities [rows, classes] shifted by `log_prior_shift`."""
    shifted = probabilities * np.exp(log_shift)
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
