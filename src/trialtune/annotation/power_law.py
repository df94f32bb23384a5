"""Learning curves as inverse power laws: error = a + b * rows^-c."""

from dataclasses import dataclass

import numpy as np

_EXPONENTS = np.linspace(0.1, 1.0, 19)
_USUAL, _PULL = 0.5, 1e-3  # an exponent that few points leave open stays near the usual one


@dataclass(frozen=True)
class PowerLaws:
    """One law each for several series of errors; all arrays are [series]."""

    floor: np.ndarray  # a, never below 0
    scale: np.ndarray  # b, never below 0: more rows do not harm
    exponent: np.ndarray  # c

    def __call__(self, rows: float) -> np.ndarray:
        """The errors at so many rows."""
        errors: np.ndarray = self.floor + self.scale * rows**-self.exponent
        return errors


def fit_power_laws(rows: np.ndarray, errors: np.ndarray) -> PowerLaws:
    """Least squares through `errors` [series, points] at `rows` [points], points weighted by their rows.

    The exponent is searched on a grid; floor and scale follow from it.
    """
    weights = rows / rows.sum()
    fits = [_fit(rows**-exponent, errors, weights) for exponent in _EXPONENTS]
    losses = np.array([loss for _, _, loss in fits]) + _PULL * ((_EXPONENTS - _USUAL) ** 2)[:, None]
    best, series = losses.argmin(axis=0), np.arange(len(errors))
    floors, scales = (np.array([fit[part] for fit in fits])[best, series] for part in (0, 1))
    return PowerLaws(floors, scales, _EXPONENTS[best])


def _fit(x: np.ndarray, errors: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Floor, scale and mean squared error of errors = floor + scale * x, neither below 0."""
    mean_x, mean_y = weights @ x, errors @ weights
    slope = ((errors - mean_y[:, None]) * (x - mean_x)) @ weights / (weights @ (x - mean_x) ** 2)
    scale = np.maximum(slope, 0)
    floor = mean_y - scale * mean_x
    through_zero = np.maximum(errors @ (weights * x) / (weights @ x**2), 0)
    scale = np.where(floor < 0, through_zero, scale)
    floor = np.maximum(floor, 0)
    residual = errors - floor[:, None] - scale[:, None] * x
    return floor, scale, residual**2 @ weights
