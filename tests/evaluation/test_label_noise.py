import numpy as np
import polars as pl
import pytest

from trialtune.errors import DataError
from trialtune.evaluation.label_noise import suspects

LABELS = ["slow", "costly"]


def rows_and_probabilities() -> tuple[pl.DataFrame, np.ndarray]:
    """200 rows whose probabilities follow the truth; row 3 has lost its label, row 150 got a wrong one."""
    generator = np.random.default_rng(0)
    truth = np.arange(200) < 100
    slow = np.where(truth, 0.9, 0.1) + generator.uniform(-0.08, 0.08, 200)
    given = truth.copy()
    given[3], given[150] = False, True
    slow[3], slow[150] = 0.99, 0.01
    labels = [["slow"] if yes else ["costly"] for yes in given]
    rows = pl.DataFrame({"nct_id": [f"NCT{n:08d}" for n in range(200)], "labels": labels})
    return rows, np.stack([slow, 1 - slow], axis=1)


def test_the_planted_mistakes_are_the_most_doubtful() -> None:
    rows, probabilities = rows_and_probabilities()
    found = suspects(rows, probabilities, LABELS)
    worst = set(found.head(4).select("nct_id", "doubted", "given").rows())
    assert worst == {
        ("NCT00000003", "slow", False),
        ("NCT00000003", "costly", True),
        ("NCT00000150", "slow", True),
        ("NCT00000150", "costly", False),
    }


def test_a_label_that_all_or_no_rows_have_is_not_doubted() -> None:
    rows = pl.DataFrame({"labels": [["slow"]] * 5})
    assert suspects(rows, np.full((5, 2), 0.5), LABELS).is_empty()


def test_a_probability_that_is_no_number_is_refused() -> None:
    rows, probabilities = rows_and_probabilities()
    probabilities[0, 0] = np.nan
    with pytest.raises(DataError, match="not a number"):
        suspects(rows, probabilities, LABELS)
