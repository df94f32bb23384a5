"""The fair experiment: the same classifier on the base and on the adapted encoder, seed by seed."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from trialtune.evaluation.intervals import compare, verdict
from trialtune.files import atomic_file, read_json, write_json
from trialtune.stages.evaluate import evaluate
from trialtune.stages.finetune import FinetuneSettings, finetune
from trialtune.stages.step import Step
from trialtune.tasks.splits import check_no_overlap
from trialtune.tasks.targets import multi_hot
from trialtune.tasks.task import Task
from trialtune.training.loop import Progress

SYSTEMS = ("base", "adapted")
Bar = Callable[[str], AbstractContextManager[Callable[[Progress], None]]]


@dataclass(frozen=True)
class Comparison:
    """One task's comparison: who is compared, on which rows, with which settings.

    `train` and `test` are Parquet files of `nct_id`, `text`, `labels`. Base and adapted get the
    same rows, head, order, steps and threshold protocol; they differ in the adapter alone.
    """

    task: Task
    train: Path
    test: Path
    encoder: str
    adapter: Path
    out: Path
    settings: FinetuneSettings
    seeds: Sequence[int]

    def steps(self, *inputs: Any, bar: Bar) -> list[Step]:
        """Train and score each classifier, then compare; `inputs` are the keys of what they read."""
        steps: list[Step] = []
        for seed in self.seeds:
            for system in SYSTEMS:
                steps += self._classifier(system, seed, inputs, bar)
        keys = tuple(step.key for step in steps)
        return [*steps, Step(f"compare {self.task.name}", self.out / "comparison", keys, self._compare)]

    def _classifier(self, system: str, seed: int, inputs: tuple[Any, ...], bar: Bar) -> list[Step]:
        name = f"{self.task.name} {system} seed {seed}"
        folder = self.out / "classifiers" / f"{system}-seed-{seed}"
        scores = self._scores(system, seed)
        settings = self.settings.model_copy(update={"seed": seed})

        def train() -> dict[str, Any]:
            rows, test = pl.read_parquet(self.train), pl.read_parquet(self.test)
            check_no_overlap(rows, test)
            adapter = self.adapter if system == "adapted" else None
            with bar(name) as report:
                return finetune(
                    self.task, rows, self.encoder, folder, settings=settings, adapter=adapter, report=report
                )

        def score() -> dict[str, Any]:
            metrics, rows = evaluate(folder, pl.read_parquet(self.test))
            with atomic_file(scores / "predictions.parquet") as path:
                rows.write_parquet(path)
            write_json(scores / "metrics.json", metrics)
            return metrics

        trained = Step(f"finetune {name}", folder, (*inputs, settings), train)
        return [trained, Step(f"score {name}", scores, (trained.key,), score)]

    def _scores(self, system: str, seed: int) -> Path:
        return self.out / "scores" / f"{system}-seed-{seed}"

    def _compare(self) -> dict[str, Any]:
        labels = list(self.task.labels)
        scored = {
            system: [
                pl.read_parquet(self._scores(system, seed) / "predictions.parquet") for seed in self.seeds
            ]
            for system in SYSTEMS
        }
        base, adapted = ([multi_hot(rows["predicted"], labels) for rows in scored[s]] for s in SYSTEMS)
        stated = {s: [np.array(rows["probabilities"].to_list()) for rows in scored[s]] for s in SYSTEMS}
        gold = multi_hot(scored["base"][0]["labels"], labels)
        result = compare(
            gold,
            base,
            adapted,
            labels,
            kind=self.task.kind,
            probabilities=(stated["base"], stated["adapted"]),
        )
        trained = read_json(self.out / "classifiers" / f"base-seed-{self.seeds[0]}" / "training.json")
        metrics = [
            read_json(self._scores(system, s) / "metrics.json") for system in SYSTEMS for s in self.seeds
        ]
        overlap = sum(scored["overlap_dropped"] for scored in metrics)  # test rows found in training
        comparison = {
            "task": self.task.name,
            "kind": self.task.kind,
            "labels": labels,
            "n": len(gold),
            "seeds": list(self.seeds),
            **result,
            "verdict": verdict(result["difference"]),
            "data": {**trained["rows"], "test": len(gold), "test_source": self.test.name, "overlap": overlap},
        }
        write_json(self.out / "comparison" / "comparison.json", comparison)
        return comparison
