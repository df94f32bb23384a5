"""An encoder adapted to the texts of a task."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from trialtune.corpus.build import build_corpus
from trialtune.corpus.documents import COLUMNS
from trialtune.corpus.settings import CorpusSettings
from trialtune.evaluation.mlm import MlmTraining
from trialtune.experiment.comparison import Bar
from trialtune.experiment.step import Step
from trialtune.models.encoders import Encoder
from trialtune.stages.adapt import adapt
from trialtune.stages.settings import AdaptSettings
from trialtune.training.settings import TrainSettings


@dataclass(frozen=True)
class TaskAdaptation:
    """An encoder adapted to a task's own unlabelled texts (TAPT: Gururangan et al., 2020, arXiv:2004.10964).

    `texts` is a Parquet file with a column `text`; the adapter is written to `folder/adapter`.
    """

    texts: Path
    encoder: str
    folder: Path
    steps: int

    @property
    def adapter(self) -> Path:
        return self.folder / "adapter"

    def step(self, name: str, *inputs: Any, bar: Bar) -> Step:
        """The work; `inputs` as for `SizeStudy`."""

        def build() -> MlmTraining:
            opened, settings = (
                Encoder.open(self.encoder),
                AdaptSettings(train=TrainSettings(steps=self.steps)),
            )
            texts = pl.read_parquet(self.texts, columns=["text"])["text"]
            nothing = [name for name in COLUMNS if name not in ("nct_id", "text")]
            rows = pl.DataFrame({"nct_id": [f"row {row}" for row in range(len(texts))], "text": texts})
            rows = rows.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in nothing)
            build_corpus(rows, opened.tokenizer, self.folder / "corpus", settings=CorpusSettings())
            with bar(f"{name} task-adapted") as report:
                return adapt(self.folder / "corpus", opened, self.adapter, settings=settings, report=report)

        return Step(f"{name}: adapt to its texts", self.folder, (*inputs, self.steps), build)
