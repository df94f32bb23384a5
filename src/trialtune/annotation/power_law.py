"""Learning curves as inverse power laws: error = scale * rows^-exponent."""

from dataclasses import dataclass

import numpy as np

_LEAST = 1e-3  # an error of 0 has no logarithm


@dataclass(frozen=True)
class PowerLaws:
    """One law each for several series of errors; all arrays are [series]."""

    log_scale: np.ndarray
    exponent: np.ndarray  # never below 0: more rows never increase the error

    def __call__(self, rows: float) -> np.ndarray:
        """The errors at a number of rows."""
        errors: np.ndarray = np.exp(self.log_scale - self.exponent * np.log(rows))
        return errors


def fit_power_laws(rows: np.ndarray, errors: np.ndarray) -> PowerLaws:
    """Least squares through the logarithms of `errors` [series, points] at `rows` [points].

    Points are weighted by their rows. A third parameter, the irreducible error,
    made forecasts at twice the rows worse: it overfits this few points (benchmarks/annotate.py).
    """
    x, y = np.log(rows), np.log(np.maximum(errors, _LEAST))
    weights = rows / rows.sum()
    mean_x, mean_y = weights @ x, y @ weights
    slope = ((y - mean_y[:, None]) * (x - mean_x)) @ weights / (weights @ (x - mean_x) ** 2)
    exponent = np.maximum(-slope, 0)
    return PowerLaws(mean_y + exponent * mean_x, exponent)
