"""A recipe as steps: registry -> cut -> examples -> corpus -> base -> adapt -> classifiers -> report."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from trialtune.console import bar
from trialtune.corpus.build import build_corpus, count_rows
from trialtune.corpus.folder import CorpusCounts
from trialtune.dataset.holdout import divide
from trialtune.dataset.reading import read_examples
from trialtune.errors import UsageError
from trialtune.evaluation.comparison import ComparisonResult
from trialtune.evaluation.error_report import ErrorReport
from trialtune.evaluation.mlm_result import MlmTraining
from trialtune.evaluation.size_result import SizesResult
from trialtune.experiment.comparison import Comparison, System
from trialtune.experiment.data import SAMPLE, DataFiles, TaskFiles, find_data, given_rows
from trialtune.experiment.environment import machine, versions
from trialtune.experiment.recipe import Recipe, SizesRecipe, TaskRecipe
from trialtune.experiment.sizes import compare_sizes
from trialtune.experiment.step import RECORD, Step
from trialtune.files import sha256_of, write_json
from trialtune.models.encoders import Encoder
from trialtune.registry.readers.hub import local_copy
from trialtune.registry.sample import write_sample
from trialtune.registry.snapshot.build import import_trials
from trialtune.registry.snapshot.read import read_snapshot, snapshot_metadata
from trialtune.registry.split import split_by_cut
from trialtune.reports.report import write_report
from trialtune.reports.run_result import Corpora, RunData, RunResult
from trialtune.stages.adapt import adapt
from trialtune.stages.errors import FILE_NAME as ERRORS_FILE
from trialtune.stages.settings import AdaptSettings
from trialtune.tasks.task import Task
from trialtune.training.progress import training_bar
from trialtune.workers import cores

log = logging.getLogger(__name__)


@dataclass
class Experiment:
    """A recipe, the folder it runs in, and the records of the steps done so far, by name."""

    recipe: Recipe
    out: Path
    records: dict[str, dict[str, Any]] = field(default_factory=dict)

    def run(self, tell: Callable[[str], None]) -> RunResult:
        """Do every step that is not done, reporting each in a line; returns the content of `metrics.json`."""
        write_json(self.out / "recipe.json", self.recipe.model_dump(mode="json"))
        if not (self.out / "metrics.json").is_file():
            (self.out / "report" / RECORD).unlink(missing_ok=True)  # the report step is always repeated
        for step in self.steps():
            self.records[step.name] = step.run(tell)
        return RunResult.load(self.out / "metrics.json")

    def steps(self) -> list[Step]:
        """All steps in order. Only hashes the input files."""
        recipe, out = self.recipe, self.out
        listed = local_copy(recipe.cut.ids) if recipe.cut.ids else None
        if listed and not listed.is_file():
            raise UsageError(f"cut.ids {recipe.cut.ids}: no such file; give --set cut.ids=IDS.csv")
        encoder = Encoder.open(recipe.encoder).digest
        steps: list[Step] = []

        def add(step: Step) -> Step:
            steps.append(step)
            return step

        source: tuple[Any, ...]
        if recipe.data == SAMPLE:
            made = add(Step("make sample", out / "sample", (recipe.sample,), self._make_sample))
            source = (made.key,)
        else:
            source = tuple(_digests([self._files().registry]))
        imported = add(Step("import registry", out / "registry", source, self._import))
        cut_inputs = (imported.key, recipe.cut, sha256_of(listed) if listed else None)
        cut = add(Step("cut registry", out / "diff", cut_inputs, self._cut))
        examples = {
            name: add(
                Step(
                    f"examples {name}",
                    out / "tasks" / name / "examples",
                    (imported.key, recipe.task(name).describe(), *self._task_digests(name), task.split),
                    partial(self._examples, recipe.task(name), task),
                )
            )
            for name, task in recipe.tasks.items()
        }
        tested = tuple(step.key for step in examples.values())
        corpora = {
            part: add(
                Step(
                    f"corpus {part}",
                    out / "corpus" / part,
                    (cut.key, *tested, recipe.corpus, encoder),
                    partial(self._corpus, part),
                )
            )
            for part in ("base", "new")
        }
        base_key: Any = encoder
        if recipe.base:
            base = Step(
                "base", out / "base", (corpora["base"].key, recipe.base), partial(self._base, recipe.base)
            )
            base_key = add(base).key
        inputs = (base_key, corpora["new"].key, corpora["base"].key)

        def add_adaptation(name: str, folder: Path, settings: AdaptSettings) -> Step:
            return add(Step(name, folder, (*inputs, settings), partial(self._adapt, settings, folder)))

        adapted = add_adaptation("adapt", out / "adapter", recipe.adapt)
        for name, variant in recipe.variants.items():
            add_adaptation(f"adapt {name}", out / "variants" / name, variant)
        for name in recipe.tasks:
            comparison = self._comparison(name)
            steps += comparison.steps(base_key, adapted.key, examples[name].key, bar=training_bar)
            if sizes := recipe.tasks[name].train_sizes:
                keys = (base_key, adapted.key, examples[name].key, comparison.settings, sizes)
                folder = out / "tasks" / name / "sizes"
                add(Step(f"sizes {name}", folder, keys, partial(self._sizes, comparison, sizes)))
        add(Step("report", out / "report", tuple(step.key for step in steps), self._report))
        return steps

    @property
    def base_encoder(self) -> str:
        """The encoder used as the unadapted one."""
        return str(self.out / "base") if self.recipe.base else self.recipe.encoder

    def _files(self) -> DataFiles:
        data = self.recipe.data
        assert data is not None  # load_recipe ensures it
        return find_data(self.out / "sample" if data == SAMPLE else Path(data))

    def _task_files(self, name: str) -> TaskFiles:
        return self._files().of(self.recipe.task(name), self.recipe.tasks[name].data)

    def _task_digests(self, name: str) -> list[tuple[str, str]]:
        """Hashes of the task's own files; those of a sample follow from its settings."""
        if self.recipe.data == SAMPLE:
            given = given_rows(self.recipe.tasks[name].data, name)
            return _digests([given]) if given else []
        return _digests(self._task_files(name).all)

    def _make_sample(self) -> dict[str, int | bool]:
        write_sample(self.out / "sample", self.recipe.sample)
        return {"studies": self.recipe.sample.studies, "made_up": True}

    def _import(self) -> dict[str, Any]:
        source = self._files().registry
        with bar("importing trials") as progress:
            summary = import_trials(source, self._snapshot, progress=progress)
        digest = snapshot_metadata(self._snapshot).get("source_sha256")
        return {**summary.as_dict(), "source": str(source), "source_sha256": digest}

    def _cut(self) -> dict[str, Any]:
        summary = split_by_cut(self._snapshot, self.recipe.cut, self.out / "diff")
        years: dict[str, dict[str, int]] = {}
        for part in ("base", "new"):
            started = read_snapshot(self.out / "diff" / f"{part}.parquet")["start_date"].str.slice(0, 4)
            for year, count in started.drop_nulls().value_counts().sort("start_date").rows():
                years.setdefault(year, {})[part] = count
        return {**summary.as_dict(), "years": years}

    @property
    def _snapshot(self) -> Path:
        return self.out / "registry" / "snapshot.parquet"

    def _examples(self, task: Task, settings: TaskRecipe) -> dict[str, Any]:
        files, out = self._task_files(task.name), self.out / "tasks" / task.name / "examples"
        labelled = read_examples(
            task, files.train or self._snapshot, files.labels, quarantine=out / "train.quarantine.jsonl"
        )
        test = None
        if files.test:
            test = read_examples(task, files.test, None, quarantine=out / "test.quarantine.jsonl").frame
        counts = divide(task, labelled.trainable, test, out, settings=settings.split)
        held = (
            files.test.name
            if files.test
            else f"{settings.split.test_share:.0%} of the labelled rows, held out"
        )
        return {**counts, "source": labelled.counts, "test_source": held}

    def _corpus(self, part: str) -> CorpusCounts:
        snapshot = self.out / "diff" / f"{part}.parquet"
        tests = [
            pl.read_parquet(self.out / "tasks" / name / "examples" / "test.parquet")
            for name in self.recipe.tasks
        ]
        tested = frozenset(nct_id for rows in tests for nct_id in rows["nct_id"].drop_nulls())
        with bar(f"reading {part} trials", count_rows(snapshot)) as progress:
            corpus = build_corpus(
                snapshot,
                Encoder.open(self.recipe.encoder).tokenizer,
                self.out / "corpus" / part,
                settings=self.recipe.corpus,
                exclude=tested,
                workers=cores(),
                progress=progress,
            )
        return corpus.counts

    def _base(self, settings: AdaptSettings) -> MlmTraining:
        with training_bar("base") as report:
            return adapt(
                self.out / "corpus" / "base",
                self.recipe.encoder,
                self.out / "base",
                settings=settings,
                report=report,
            )

    def _adapt(self, settings: AdaptSettings, folder: Path) -> MlmTraining:
        with training_bar(folder.name) as report:
            return adapt(
                self.out / "corpus" / "new",
                self.base_encoder,
                folder,
                settings=settings,
                old_corpus=self.out / "corpus" / "base",
                report=report,
            )

    def _comparison(self, name: str) -> Comparison:
        settings, folder = self.recipe.tasks[name], self.out / "tasks" / name
        return Comparison(
            task=self.recipe.task(name),
            train=folder / "examples" / "train.parquet",
            test=folder / "examples" / "test.parquet",
            encoder=self.base_encoder,
            adapter=self.out / "adapter",
            out=folder,
            settings=settings.finetune,
            seeds=settings.seeds,
            others=self._others(settings),
            corpora=[self.out / "corpus" / part for part in ("base", "new")],
        )

    def _sizes(self, comparison: Comparison, sizes: SizesRecipe) -> SizesResult:
        return compare_sizes(
            comparison.task,
            comparison.train,
            comparison.encoder,
            comparison.out / "sizes",
            adapter=comparison.adapter,
            sizes=sizes,
            settings=sizes.finetune or comparison.settings,
            test=comparison.test,
        )

    def _others(self, settings: TaskRecipe) -> dict[str, System]:
        """The task's other encoders; one whose package is missing is left out, with a warning."""
        found = {}
        for name, other in settings.others.items():
            try:
                opened = Encoder.open(other.encoder)
            except UsageError as error:
                log.warning("%s is left out: %s", name, error)
                continue
            found[name] = System(other.encoder, key=opened.digest, settings=other.finetune, seeds=other.seeds)
        return found

    def _report(self) -> dict[str, str]:
        results = {name: record["result"] for name, record in self.records.items()}
        mlm = {"base": results.get("base"), "adapt": results["adapt"]}
        mlm |= {name: results[f"adapt {name}"] for name in self.recipe.variants}
        run = RunResult(
            name=self.recipe.name,
            made_up=self.recipe.data == SAMPLE,
            settings=self.recipe.model_dump(mode="json"),
            settings_note=self.recipe.description,
            data=self._data(results["import registry"], results["cut registry"]),
            corpus=Corpora(
                base=CorpusCounts.model_validate(results["corpus base"]),
                new=CorpusCounts.model_validate(results["corpus new"]),
                block_size=self.recipe.corpus.block_size,
            ),
            mlm={name: MlmTraining.model_validate(stage) if stage else None for name, stage in mlm.items()},
            tasks={
                name: _with_source(results[f"compare {name}"], results[f"examples {name}"]["test_source"])
                for name in self.recipe.tasks
            },
            sizes={
                name: SizesResult.model_validate(results[f"sizes {name}"])
                for name, task in self.recipe.tasks.items()
                if task.train_sizes
            },
            versions=versions(),
            machine=machine(),
            seconds={name: record["seconds"] for name, record in self.records.items()},
        )
        run.save(self.out / "metrics.json")
        errors = {
            name: ErrorReport.load(self.out / "tasks" / name / "errors" / ERRORS_FILE)
            for name in self.recipe.tasks
        }
        return {"report": str(write_report(run, self.out / "report", errors))}

    def _data(self, imported: Mapping[str, Any], cut: Mapping[str, Any]) -> RunData:
        """The run's trials, from the summaries of the import and of the cut."""
        facts = {name: value for name, value in {**imported, **cut}.items() if name in RunData.model_fields}
        return RunData.model_validate(facts | {"cut": str(self.recipe.cut)})


def _with_source(compared: Any, source: str) -> ComparisonResult:
    """A comparison with the test rows' source in words."""
    result = ComparisonResult.model_validate(compared)
    return result.model_copy(update={"data": result.data.model_copy(update={"test_source": source})})


def _digests(files: Iterable[Path]) -> list[tuple[str, str]]:
    """(name, SHA-256) of every input file, including those inside a folder."""
    paths = [
        p for path in files for p in (sorted(path.rglob("*")) if path.is_dir() else [path]) if p.is_file()
    ]
    return [(path.name, sha256_of(path)) for path in paths]
