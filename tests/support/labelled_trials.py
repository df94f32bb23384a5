"""Made-up populations whose truth is known, with a classifier that errs; and tables of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from trialtune.estimation.tally import Counted, Gold, Tally, everything
from trialtune.tasks.catalog import load_task

REASONS = load_task("stop-reasons")


@dataclass(frozen=True)
class World:
    """What holds of each row, and its probability [rows, classes]: right on average, wrong now and then."""

    holds: np.ndarray
    stated: np.ndarray

    @classmethod
    def of(cls, rows: int, shares: list[float], *, seed: int = 0, sharp: float = 1.2) -> "World":
        """Classes that hold in such shares; the sharper the classifier, the less their scores overlap."""
        random = np.random.default_rng(seed)
        usual = np.array(shares)
        holds = random.random((rows, len(shares))) < usual
        score = sharp * (2 * holds - 1) + random.normal(size=holds.shape)
        logit = np.log(usual / (1 - usual)) + 2 * sharp * score
        return cls(holds, (1 / (1 + np.exp(-logit))).astype(np.float32))

    @property
    def predicted(self) -> np.ndarray:
        return self.stated > 0.5

    def counted(self, places: np.ndarray) -> Counted:
        """All rows, none of which is known; the gold rows at `places`."""
        nobody = np.zeros(len(self.holds), dtype=bool)
        return Counted(self.predicted, self.stated, ~nobody, nobody, np.zeros_like(self.holds), places)

    def drawn(self, places: np.ndarray, weights: np.ndarray | None = None) -> tuple[Tally, Gold]:
        """All rows counted, and the gold rows at `places`; without weights each counts alike."""
        weights = np.full(len(places), len(self.holds) / len(places)) if weights is None else weights
        gold = Gold(self.holds[places], self.predicted[places], self.stated[places], weights)
        return self.counted(places).tally(everything(len(self.holds))), gold

    def complement(self) -> "World":
        """The same rows, asked whether each class does not hold."""
        return World(~self.holds, 1 - self.stated)


@dataclass(frozen=True)
class Registry:
    """Labelled trials: `labels.parquet` as `predict` writes it, `trials.parquet`; what is true."""

    folder: Path
    true: dict[str, str]

    @property
    def labels(self) -> Path:
        return self.folder / "labels.parquet"

    @property
    def trials(self) -> Path:
        return self.folder / "trials.parquet"

    def fill(self, sheet: Path, rows: int | None = None) -> Path:
        """Write the true labels into a sheet, from the top."""
        table = pl.read_csv(sheet, infer_schema=False)
        labels = [self.true[one] for one in table["nct_id"]]
        labels = [label if place < (rows or len(table)) else "" for place, label in enumerate(labels)]
        table.with_columns(pl.Series("labels", labels)).write_csv(sheet)
        return sheet


def write_registry(folder: Path, rows: int = 600) -> Registry:
    """Trials of three labels of stop-reasons, in years, sponsor classes and countries."""
    names = ["Safety_Sideeffects", "Insufficient_Enrollment", "Business_Administrative"]
    labels = list(REASONS.labels)
    random = np.random.default_rng(5)
    world = World.of(rows, [0.1, 0.4, 0.25], seed=5)
    stated = np.full((rows, len(labels)), 0.001)
    stated[:, [labels.index(name) for name in names]] = world.stated
    ids = [f"NCT{number:08}" for number in range(1, rows + 1)]
    written = [[labels[place] for place in np.flatnonzero(row > 0.5)] for row in stated]
    true = ["|".join(name for name, there in zip(names, row, strict=True) if there) for row in world.holds]
    folder.mkdir(parents=True, exist_ok=True)
    found = Registry(folder, {one: text or "-" for one, text in zip(ids, true, strict=True)})
    pl.DataFrame(
        {
            "nct_id": ids,
            "phase": [f"PHASE{1 + number % 3}" for number in range(rows)],
            "text": [f"reason {number}" for number in range(rows)],
            "labels": written,
            "probabilities": [dict(zip(labels, row, strict=True)) for row in stated.tolist()],
            "classifier": ["f00d"] * rows,
            "text_hash": [f"{number:016x}" for number in range(rows)],
        }
    ).write_parquet(found.labels)
    pl.DataFrame(
        {
            "nct_id": ids,
            "sponsor": random.choice(["INDUSTRY", "NIH", "OTHER"], rows),
            "start_year": (2015 + random.integers(0, 6, rows)).astype(str),
            "countries": [[["Peru"], ["France", "Peru"], []][number % 3] for number in range(rows)],
        }
    ).write_parquet(found.trials)
    return found
