"""What labelling with `trialtune annotate` gains, simulated with hand labels; and the time per text.

    python benchmarks/annotate.py labels --data DATA      # labels needed: the mix against random draws
    python benchmarks/annotate.py forecast --data DATA    # the forecast at twice the labels against F1
    python benchmarks/annotate.py speed --data DATA       # the next text among 593,000 trials

The annotator is `stop_reasons_train`, whose labels are revealed in the order of the draws. The
learner of `labels` and `forecast` is TF-IDF with logistic regression, since the shipped classifier, on which
the page's learner for short texts is built, was trained on these labels; that of `speed` is the page's own.
With --codes other labels are used (other_codes.py), and the learner is the page's own.
"""

import argparse
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
from other_codes import coded, task_of
from rich import box
from rich.console import Console
from rich.table import Table
from turns import print_machine

from trialtune.annotation.candidates import Candidates
from trialtune.annotation.curve import decided, forecast
from trialtune.annotation.draws import Draws, Given
from trialtune.annotation.labels_file import LabelsFile
from trialtune.annotation.learner import Learner, likeness, meanings
from trialtune.annotation.learners import learner_for
from trialtune.annotation.pool import Pool, read_pool
from trialtune.annotation.ranking import rank
from trialtune.annotation.session import Said, Session
from trialtune.annotation.settings import DrawSettings
from trialtune.annotation.tf_idf_learner import TfIdfLearner
from trialtune.annotation.trainer import Trainer
from trialtune.dataset.answers import Answer
from trialtune.dataset.label_arrays import multi_hot
from trialtune.evaluation.metrics import score
from trialtune.tasks.catalog import load_task
from trialtune.tasks.task import Task

TASK = load_task("stop-reasons")
TRIALS = 593_000
RETRAIN = 40  # answers; the page trains after 10, which takes a simulation too long
MIXES = {
    "random": {"random": 1.0},
    "the default mix": DrawSettings().mix,
    "random and rare": {"random": 0.3, "rare": 0.7},
}


@dataclass(frozen=True)
class Labelled:
    """Labelled texts of a task, with features and truth by place, and what learns from them."""

    task: Task
    learner: Learner
    rows: pl.DataFrame
    features: Any

    @classmethod
    def read(cls, data: Path, codes: str | None) -> "Labelled":
        if codes:
            rows = coded(data, codes)
            task = task_of(rows, defined=True)
            learner = learner_for(task, rows["text"].to_list())
        else:
            rows, task = pl.read_parquet(data / "stop_reasons_train.parquet"), TASK
            learner = TfIdfLearner(task, rows["text"].to_list())
        return cls(task, learner, rows, learner.features(rows["text"].to_list()))

    def at(self, places: list[int]) -> "Labelled":
        """Some of them."""
        return Labelled(self.task, self.learner, self.rows[places], self.features[places])

    @cached_property
    def labels(self) -> list[str]:
        return [*self.task.labels]

    @cached_property
    def gold(self) -> np.ndarray:
        return multi_hot(self.rows["labels"], self.labels)

    @cached_property
    def pool(self) -> Pool:
        texts = self.rows["text"].to_list()
        return Pool(self.rows["nct_id"].fill_null("").to_list(), texts, [""] * len(texts), {})


def label(data: Labelled, mix: dict[str, float], seed: int) -> Iterator[tuple[int, str]]:
    """Positions of the texts in the order of the draws, and how each was drawn."""
    settings = DrawSettings(mix=mix, seed=seed, retrain_every=RETRAIN)
    draws, given = Draws(data.pool, settings, f"annotator {seed}"), Given()
    candidates = Candidates(data.pool, most=settings.candidates, seed=seed)
    known, rankings, learner = data.features[candidates.places], {}, data.learner
    alike = likeness(known, learner.features(meanings(data.task.labels)))
    answers = data.rows["labels"].to_list()
    rows: list[int] = []
    while (drawn := draws.next(given, rankings)).item is not None:
        place = drawn.item.place
        rows.append(place)
        labels = tuple(answers[place])
        given.add(Answer(drawn.item.nct_id, drawn.item.text, labels, "a", drawn=drawn.way))
        yield place, drawn.way
        if settings.learns and len(rows) % settings.retrain_every == 0:
            stated = learner.fit(data.features[rows], data.gold[rows]).probabilities(known)
            answered = np.isin(candidates.places, rows)
            ranked = rank(stated, alike, data.gold[rows].sum(axis=0), answered, seed=(seed, len(rows)))
            rankings = {way: [candidates.places[row] for row in found] for way, found in ranked.items()}


def scores(data: Labelled, rows: list[int], features: Any, gold: np.ndarray) -> tuple[float, float]:
    """Micro-F1 and macro-F1 on other rows of the learner trained on `rows`."""
    model, kind = data.learner.fit(data.features[rows], data.gold[rows]), data.task.kind
    found = score(gold, decided(model.probabilities(features), kind), data.labels, kind=kind)
    return found.micro_f1, found.macro_f1


def labels_needed(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Macro-F1 on dev by labels, and the labels at which each level is first reached."""
    data, file = Labelled.read(options.data, options.codes), "stop_reasons_dev"
    dev = (
        coded(options.data, options.codes, file)
        if options.codes
        else pl.read_parquet(options.data / f"{file}.parquet")
    )
    features, gold = data.learner.features(dev["text"].to_list()), multi_hot(dev["labels"], data.labels)
    sizes = [100, 200, 300, *range(500, options.most + 1, 250)]
    table = []
    for name, mix in MIXES.items():
        runs = []
        for seed in range(1, options.seeds + 1):
            rows = [place for place, _ in itertools.islice(label(data, mix, seed), options.most)]
            runs.append([scores(data, rows[:size], features, gold) for size in sizes])
        micro, macro = np.mean(runs, axis=0).T
        row: dict[str, Any] = {"mix": name}
        row |= {
            f"macro at {size}": float(macro[sizes.index(size)]) for size in (100, 300, 1000, options.most)
        }
        row |= {f"labels for {level}": reached(sizes, macro, level) for level in (0.5, 0.6, 0.65, 0.7)}
        row[f"micro at {options.most}"] = float(micro[-1])
        table.append(row)
        print(row, flush=True)
    return table


def reached(sizes: list[int], curve: np.ndarray, level: float) -> int | None:
    """Labels at which the mean curve first reaches a level, between the sizes by a straight line."""
    above = np.flatnonzero(curve >= level)
    if not len(above):
        return None
    place = int(above[0])
    if place == 0:
        return sizes[0]
    share = (level - curve[place - 1]) / (curve[place] - curve[place - 1])
    return round(sizes[place - 1] + share * (sizes[place] - sizes[place - 1]))


def forecasts(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The error of the forecast at twice the labels, and how often its interval covers the truth."""
    data = Labelled.read(options.data, options.codes)
    order = np.random.default_rng(0).permutation(len(data.rows)).tolist()
    held, part, table = data.at(order[:5000]), data.at(sorted(order[5000:])), []  # the former: only scored
    for name in ("random", "the default mix"):
        for size in (150, 300, 600):
            errors: dict[str, list[float]] = {"micro": [], "macro": []}
            inside: dict[str, list[bool]] = {"micro": [], "macro": []}
            for seed in range(1, options.seeds + 1):
                drawn = [*itertools.islice(label(part, MIXES[name], seed), 2 * size)]
                rows, ways = [place for place, _ in drawn], [way for _, way in drawn]
                told = forecast(
                    part.learner, part.features[rows[:size]], part.gold[rows[:size]], ways[:size],
                    labels=part.labels, kind=part.task.kind,
                )  # fmt: skip
                assert told is not None
                truth = dict(
                    zip(
                        ("micro", "macro"),
                        scores(part, rows, held.features, held.gold),
                        strict=True,
                    )
                )
                for average, curve in (("micro", told.micro), ("macro", told.macro)):
                    later = curve.later[-1]
                    errors[average].append(later.f1 - truth[average])
                    inside[average].append(later.low <= truth[average] <= later.high)
            row: dict[str, Any] = {"mix": name, "labels": size, "scored": told.scored}
            for average, found in errors.items():
                row[f"{average} error"] = statistics.mean(map(abs, found))
                row[f"{average} within .02"] = float(np.mean(np.abs(found) <= 0.02))
                row[f"{average} inside interval"] = float(np.mean(inside[average]))
            table.append(row)
            print(row, flush=True)
    return table


def speed(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Opening a pool of 593,000 trials, and the time between an answer and the next text."""
    silver = pl.read_parquet(options.data / "stop_reasons_silver.parquet")["text"].to_list()
    chance, work = np.random.default_rng(0), Path(tempfile.mkdtemp())
    again = chance.integers(len(silver), size=(TRIALS, 2))
    # Of one in two trials the text is that of another one; the others are two texts, so that they differ.
    texts = [silver[a] if a % 2 else f"{silver[a]} {silver[b]}" for a, b in again.tolist()]
    ids = [f"NCT{number:08}" for number in range(TRIALS)]
    pl.DataFrame({"nct_id": ids, "brief_title": ids, "why_stopped": texts}).write_parquet(
        work / "pool.parquet"
    )
    began = time.perf_counter()
    pool = read_pool(TASK, work / "pool.parquet")
    opened = time.perf_counter()
    settings = DrawSettings()
    candidates = Candidates(pool, most=settings.candidates, seed=1)
    trainer = Trainer(TASK, learner_for(TASK, candidates.texts), candidates, settings)
    file = LabelsFile(work / "labels.csv", TASK)
    session = Session(TASK, pool, file, annotator="a", settings=settings, trainer=trainer)
    session.next()
    ready, seconds = time.perf_counter(), []
    for number in range(options.answers):
        drawn = session.next()
        assert drawn.item is not None
        started = time.perf_counter()
        session.answer(drawn.item.place, drawn.item.key[1], Said(([*TASK.labels][number % 3],)))
        session.next()
        seconds.append(time.perf_counter() - started)
        time.sleep(0.05)  # no annotator is faster; training runs in parallel
    trainer.wait()
    assert trainer.latest is not None and not trainer.problem
    ms = [1000 * one for one in seconds]
    return [
        {
            "trials": TRIALS,
            "opening s": opened - began,
            "first text s": ready - opened,
            "answers": len(ms),
            "median ms": statistics.median(ms),
            "95% ms": float(np.percentile(ms, 95)),
            "worst ms": max(ms),
            "training s": trainer.latest.seconds,
        }
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["labels", "forecast", "speed"])
    parser.add_argument("--data", type=Path, required=True, help="folder of stop_reasons_*.parquet")
    parser.add_argument("--codes", help="other labels than the shipped ones: weak, keywords, super-classes")
    parser.add_argument("--seeds", type=int, default=5, help="number of simulated annotators")
    parser.add_argument("--most", type=int, default=2000, help="labels of each")
    parser.add_argument("--answers", type=int, default=300, help="of `speed`")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    options = parser.parse_args()
    busiest = psutil.cpu_percent(interval=2.0)
    rows = {"labels": labels_needed, "forecast": forecasts, "speed": speed}[options.what](options)
    table = Table(*rows[0], box=box.MARKDOWN)
    for row in rows:
        cells = (
            f"{cell:.3g}" if isinstance(cell, float) else "-" if cell is None else str(cell)
            for cell in row.values()
        )
        table.add_row(*cells)
    console = Console(width=200)
    console.print(table)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))
    print_machine(console, busiest)


if __name__ == "__main__":
    main()
