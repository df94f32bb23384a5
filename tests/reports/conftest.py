"""A made-up run with everything a report must handle: a class without examples, gains, losses."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from trialtune.corpus.folder import CorpusCounts
from trialtune.evaluation.comparison import ComparedRows, ComparisonResult, SystemSummary
from trialtune.evaluation.error_report import ErrorReport, LabelErrors, Piece, WrongAnswer, Wrongs
from trialtune.evaluation.intervals import (
    AverageIntervals,
    Difference,
    Differences,
    Interval,
    Intervals,
    Spread,
    SystemMetrics,
    Systems,
)
from trialtune.evaluation.metrics import Averages, ClassMetrics, ReliabilityBin
from trialtune.evaluation.mlm_result import Forgetting, MlmScores, MlmTraining, Scoring, TextScores
from trialtune.evaluation.slices import Slice
from trialtune.reports.run_result import Corpora, Machine, RunData, RunResult
from trialtune.results import Result

STOP_REASONS = (
    "Another_Study Business_Administrative Covid19 Endpoint_Met Ethical_Reason Insufficient_Data "
    "Insufficient_Enrollment Interim_Analysis Invalid_Reason Logistics_Resources Negative No_Context "
    "Regulatory Safety_Sideeffects Study_Design Study_Staff_Moved Success"
).split()


def metrics(labels: list[str], shift: float, empty: str | None) -> SystemMetrics:
    """Metrics of one system, `shift` added to every score; `empty` has no examples."""
    per_class: dict[str, ClassMetrics] = {}
    intervals: dict[str, Interval | None] = {}
    for place, label in enumerate(labels):
        f1 = 0.55 + 0.4 * math.sin(place * 1.7) ** 2 + shift * (1 if place % 4 else -1)
        per_class[label] = ClassMetrics(
            precision=min(f1 + 0.021, 1.0), recall=f1 - 0.0173, f1=f1, support=1 + 37 * place
        )
        intervals[label] = Interval(f1 - 0.06, min(f1 + 0.05, 1.0))
        if label == empty:
            per_class[label] = ClassMetrics(precision=None, recall=None, f1=None, support=0)
            intervals[label] = None
    f1s = {"micro": 0.8123, "macro": 0.7011, "weighted": 0.8050, "samples": 0.8237}
    averages = {
        name: ClassMetrics(precision=0.8 + shift, recall=0.78 + shift, f1=f1 + shift, support=3117)
        for name, f1 in f1s.items()
    }
    return SystemMetrics(
        n=3117,
        **{f"{name}_f1": f1 + shift for name, f1 in f1s.items()},
        accuracy=0.741 + shift,
        ece=0.031,
        reliability=(
            ReliabilityBin(stated=0.1, observed=0.08, count=2000),
            ReliabilityBin(stated=0.9, observed=0.93 - shift, count=1117),
        ),
        per_class=per_class,
        averages=Averages(**averages),
        spread=Spread(micro_f1=0.0031, macro_f1=0.0102),
        intervals=Intervals(
            micro_f1=Interval(0.79 + shift, 0.83 + shift), macro_f1=Interval(0.66, 0.74), per_class=intervals
        ),
    )


def summary(title: str, f1: float, *, seeds: int, ece: float | None = 0.0213) -> SystemSummary:
    """A system's entry in the table of all."""
    return SystemSummary(
        title=title,
        fine_tuned=seeds > 1,
        seeds=seeds,
        micro_f1=f1,
        macro_f1=f1 - 0.1,
        accuracy=f1 - 0.05,
        ece=ece,
        reliability=None,
        spread=Spread(micro_f1=0.0041, macro_f1=0.0113),
        intervals=AverageIntervals(
            micro_f1=Interval(f1 - 0.02, f1 + 0.02), macro_f1=Interval(f1 - 0.14, f1 - 0.07)
        ),
    )


@pytest.fixture(scope="session")
def made_up_errors() -> ErrorReport:
    """Errors of two classes, one without any false negative."""
    slow = WrongAnswer(
        nct_id="NCT00000001",
        gold=("Covid19",),
        predicted=("Covid19", "Regulatory"),
        probability=0.9134,
        probabilities={"Covid19": 0.97, "Regulatory": 0.9134},
        pieces=(
            Piece(text="… the ", importance=None),
            Piece(text="agency", importance=0.71),
            Piece(text=" closed all ", importance=None),
            Piece(text="offices", importance=-0.125),
        ),
    )
    virus = (Piece(text="virus", importance=None),)
    missed = slow.model_copy(update={"nct_id": None, "predicted": (), "pieces": virus})
    none = Wrongs(count=0, worst=())
    return ErrorReport(
        task="stop-reasons",
        classifier="adapted-seed-1",
        n=3117,
        wrong=1204,
        classes={
            "Regulatory": LabelErrors(false_positives=Wrongs(count=7, worst=(slow,)), false_negatives=none),
            "Covid19": LabelErrors(false_positives=none, false_negatives=Wrongs(count=1, worst=(missed,))),
            "Success": LabelErrors(false_positives=none, false_negatives=none),
        },
    )


def comparison(task: str, labels: list[str], empty: str | None = None) -> ComparisonResult:
    """One task's comparison: classes 0, 4, 8... lose, the rest gain.

    Every third interval excludes 0; p agrees but for class 6, so that its interval alone is no difference.
    """
    base, adapted = metrics(labels, 0.0, empty), metrics(labels, 0.0212, empty)
    differences: dict[str, Difference | None] = dict.fromkeys(labels)
    for place, label in enumerate(labels):
        before, after = base.per_class[label].f1, adapted.per_class[label].f1
        if before is not None and after is not None:
            mean = after - before
            reach = 0.01 if place % 3 == 0 else 0.05
            p = 0.0001 if place % 3 == 0 and place != 6 else 0.2
            differences[label] = Difference(
                mean=mean, low=mean - reach, high=mean + reach, p=p, p_holm=min(17 * p, 1)
            )
    return ComparisonResult(
        task=task,
        kind="multi_label",
        labels=tuple(labels),
        n=3117,
        seeds=(0, 1, 2),
        systems=Systems(base=base, adapted=adapted),
        difference=Differences(
            micro_f1=Difference(mean=0.0212, low=0.0101, high=0.0314, p=0.0004, p_holm=0.0008),
            macro_f1=Difference(mean=0.0212, low=-0.0043, high=0.0455, p=0.131, p_holm=0.131),
            per_class=differences,
        ),
        summary={
            "majority": summary("Majority", 0.31, seeds=1, ece=None),
            "tf-idf": summary("TF-IDF + logistic regression", 0.79, seeds=1),
            "base": summary("Base, fine-tuned", 0.8123, seeds=3),
            "adapted": summary("Adapted, fine-tuned", 0.8335, seeds=3),
        },
        slices={
            "topic": (
                Slice(
                    name="urology",
                    n=412,
                    accuracy=0.78,
                    macro_f1=0.61,
                    support=dict.fromkeys(labels, 24),
                    recall=dict.fromkeys(labels, 0.75),
                    predicted=dict.fromkeys(labels, 23),
                ),
            )
        },
        verdict="Adapted is better by 0.021 micro F1 (95% interval 0.010 to 0.031).",
        data=ComparedRows(
            train=14211, calibration=1580, test=3117, test_source="stop_reasons_dev.parquet", overlap=0
        ),
    )


SECTIONS = {"Title": 311, "Summary": 1204, "Eligibility": 2870}


def scores(accuracy: float, loss: float, masked: int) -> MlmScores:
    return MlmScores(accuracy=accuracy, loss=loss, perplexity=math.exp(loss), masked=masked)


def with_sections(accuracy: float, loss: float) -> TextScores:
    """Scores of a whole text and of its sections, the first of which are harder."""
    sections = {
        name: scores(accuracy * share, loss / share, masked)
        for share, (name, masked) in zip((0.8, 0.9, 1.1), SECTIONS.items(), strict=True)
    }
    return TextScores(**dict(scores(accuracy, loss, 4500)), sections=sections)


def stage(
    first: float, last: float, method: str, *, old: bool = False, lora: dict[str, Any] | None = None
) -> MlmTraining:
    """An MLM stage whose accuracy goes from `first` to `last`, older trials watched or not."""
    history = []
    for step in range(0, 401, 40):
        done = 1 - math.exp(-step / 120)
        accuracy = first + (last - first) * done
        loss = 6.2 - 7 * accuracy if first > 0.3 else 10.3 - 15 * accuracy
        entry = Scoring(
            step=step,
            epoch=step / 100,
            tokens=step * 2048,
            train_loss=loss + 0.1 if step else None,
            **dict(with_sections(accuracy, loss)),
            old=with_sections(0.441 - 0.008 * done, 3.012 + 0.039 * done) if old else None,
        )
        history.append(entry)
    before, after = history[0].old, history[-1].old
    return MlmTraining(
        encoder="embedded:minilm-l6",
        method=method,
        fresh_head=method == "full",
        trainable_parameters=22_700_000 if method == "full" else 442_368,
        history=tuple(history),
        tokens=history[-1].tokens,
        tokens_per_s=4210.5,
        peak_share=0.337,
        seconds=194.6,
        stopped="steps",
        kept_step=400,
        forgetting=Forgetting(before=before, after=after) if before and after else None,
        settings={
            "method": method,
            "train": {"steps": 400, "early_stopping_patience": None, "max_minutes": None},
            "lora": lora or {"r": 16, "lora_alpha": 32, "target_modules": ["all-linear"]},
        },
    )


def corpus(documents: int, tokens: int, blocks: int, heldout_blocks: int) -> CorpusCounts:
    return CorpusCounts(
        documents=documents,
        empty=0,
        excluded=0,
        withheld=0,
        heldout_documents=documents // 20,
        blocks=blocks,
        tokens=tokens,
        heldout_blocks=heldout_blocks,
        heldout_tokens=heldout_blocks * 128,
        block_size=128,
    )


@pytest.fixture(scope="session")
def edited() -> Callable[..., Any]:
    """A copy of a result with the value at the end of a path of names (or places) changed."""

    def edit(result: Result, *path: str | int, to: Any) -> Result:
        values = inner = result.model_dump(mode="json")
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = to.model_dump(mode="json") if isinstance(to, Result) else to
        return type(result).model_validate(values)

    return edit


@pytest.fixture(scope="session")
def run() -> RunResult:
    """A whole run: two tasks, two MLM stages, a variant, made-up data."""
    years = {str(year): {"base": 40 + 3 * (year - 2004), "new": 0} for year in range(2004, 2017)}
    years |= {str(year): {"base": 6, "new": 90 - 4 * (year - 2017)} for year in range(2017, 2025)}
    return RunResult(
        name="quick",
        made_up=True,
        settings={
            "data": {"source": "sample", "cut": "NCT03000000"},
            "encoder": "embedded:minilm-l6",
            "adapt": {"rank": 16, "lora_alpha": 32, "steps": 400, "targets": ["query", "value"]},
            "tasks": {"stop-reasons": {"epochs": 3}, "sex": {"epochs": 2}},
            "seeds": [0, 1, 2],
        },
        settings_note="Steps are capped so that the run ends in minutes on two cores.",
        data=RunData(
            source="made-up sample registry, seed 7",
            source_sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            data_timestamp="2025-01-31",
            read=2012,
            kept=2000,
            quarantined=12,
            reasons={"bad NCT id": 7, "empty text": 5},
            cut="nct_id < NCT03000000",
            base=1400,
            new=600,
            years=years,
        ),
        corpus=Corpora(
            base=corpus(1400, 812_345, 6346, 320), new=corpus(600, 371_002, 2898, 290), block_size=128
        ),
        mlm={
            "base": stage(0.02, 0.44, "full"),
            "adapt": stage(0.438, 0.472, "lora", old=True),
            "query-value": stage(
                *(0.438, 0.459, "lora"), old=True, lora={"r": 8, "target_modules": ["query", "value"]}
            ),
        },
        tasks={
            "stop-reasons": comparison("stop-reasons", STOP_REASONS, empty="Ethical_Reason"),
            "sex": comparison("sex", ["ALL", "FEMALE", "MALE"]),
        },
        versions={"trialtune": "0.1.0", "python": "3.11.9", "torch": "2.6.0", "transformers": "5.23.0"},
        machine=Machine(cpu="Example CPU", cores=2, memory_gib=15.6, gpu=None),
        seconds={"registry": 3.2, "corpus": 8.9, "base": 201.4, "adapt": 194.6, "finetune": 312.0},
    )
