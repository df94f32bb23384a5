"""Labels every trial of a snapshot, resumably and incrementally."""

import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import Field

from trialtune import __version__
from trialtune.classifier.classifier import Classifier
from trialtune.classifier.crosswalk_columns import crosswalks_for
from trialtune.classifier.folder import ClassifierFolder
from trialtune.classifier.named import open_folder
from trialtune.classifier.prediction import EVIDENCE
from trialtune.classifier.shipped import shipped_version
from trialtune.errors import UsageError
from trialtune.files import atomic_folder, check_replaceable, fingerprint, recover, sha256_of, write_json
from trialtune.labelling.croissant import write_croissant
from trialtune.labelling.description import Description
from trialtune.labelling.output import (
    FORMAT,
    RECORD,
    Labelled,
    check_same_task,
    count_changes,
    tally,
    write_parts,
)
from trialtune.labelling.plan import Plan, count_trials, count_unread, make_plan
from trialtune.labelling.publication import Publication
from trialtune.labelling.shards import check_engine, score_shards
from trialtune.labelling.summary import CrosswalkUsed, LabellingSummary, Named
from trialtune.registry.snapshot.read import snapshot_file, snapshot_metadata
from trialtune.reports.data_card import write_data_card
from trialtune.reports.labels import write_labels_page
from trialtune.settings import Settings
from trialtune.tasks.crosswalk import Crosswalk

# (label, total) -> context of a function called with numbers of items done, as `trialtune.console.bar`.
Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


def no_bar(label: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    """No progress bar."""
    return nullcontext(lambda count: None)


class LabelSettings(Settings):
    """How a snapshot is labelled. With onnxruntime the labels do not depend on these settings.

    With PyTorch in bfloat16 a probability varies by up to 0.005 between batches.
    """

    engine: str = Field("local", description="local, or ray: one actor per node of a cluster")
    shard_rows: int = Field(8192, ge=1, description="texts per shard; a stopped run resumes by shard")
    since: Path | None = Field(
        None, description="an earlier output whose scores are reused; default the one at --out"
    )
    crosswalks: tuple[str | Path, ...] = Field(
        (), description="names or .yaml files of crosswalks, whose columns follow those of the labels"
    )
    evidence: bool = Field(False, description="also find the words behind each label")
    publication: Publication = Field(
        Publication(), description="license, creator and address of the labels, for the data card"
    )


# Repeated in apply.json.
_NAMED = ("version", "task", "kind", "classifier", "snapshot", "crosswalks")


@dataclass(frozen=True)
class _Job:
    """A job: a classifier on a snapshot, with an earlier output to reuse."""

    classifier: ClassifierFolder
    snapshot: Path
    earlier: Labelled | None
    shard_rows: int
    evidence: bool
    crosswalks: tuple[Crosswalk, ...]  # not in the key: they follow from the scores
    publication: Publication  # not in the key either

    @property
    def key(self) -> str:
        """The key of the work: equal for runs that can be resumed."""
        earlier = self.earlier and self.earlier.record
        data = sha256_of(snapshot_file(self.snapshot))
        rows, evidence = self.shard_rows, self.evidence
        return fingerprint(__version__, self.classifier.fingerprint, data, rows, evidence, earlier)

    def plan(self, folder: Path, key: str, progress: Callable[[int], None] | None) -> Plan:
        return make_plan(
            self.classifier.task,
            self.snapshot,
            folder,
            key=key,
            shard_rows=self.shard_rows,
            known=self.earlier.known() if self.earlier else set(),
            evidence=self.evidence,
            progress=progress,
        )

    def summary(self, plan: Plan) -> LabellingSummary:
        """All but the labels."""
        origin = snapshot_metadata(self.snapshot)
        classifier = self.classifier
        return LabellingSummary(
            version=__version__,
            task=classifier.task.name,
            kind=classifier.task.kind,
            classifier=Named(name=classifier.path.resolve().name, fingerprint=classifier.fingerprint),
            snapshot=Named(name=self.snapshot.name, data_timestamp=origin.get("data_timestamp", "")),
            crosswalks=tuple(
                CrosswalkUsed(name=one.name, version=one.version, fingerprint=one.fingerprint)
                for one in self.crosswalks
            ),
            trials=plan.trials,
            without_text=plan.without_text,
            labelled=plan.labelled,
            distinct_texts=plan.distinct,
            reused=plan.reused,
            scored=plan.to_score,
            **count_changes(plan, self.earlier),
        )


def label_registry(
    classifier: Classifier | Path | str,
    snapshot: Path | str,
    out: Path | str,
    *,
    settings: LabelSettings | None = None,
    dry_run: bool = False,
    tell: Callable[[str], None] = lambda line: None,
    bar: Bar = no_bar,
) -> LabellingSummary:
    """Label the trials of a snapshot.

    `out` gets `labels/part-*.parquet` (the columns of `PREDICTION_SCHEMA`, with `settings.evidence` one
    of that name, then those of crosswalks; one row per trial, in the order of NCT ids, with nulls where the
    trial has no text for the task), `apply.json`, `summary.json` and `summary.html`, a data card,
    `README.md`, and `croissant.json`, all atomically.
    Until then the work is in `.<out>.work` next to it, and the same call resumes it after a kill at
    any time, with byte-identical labels. A text is scored once however many trials have it; texts that
    an earlier output of the same classifier has (`settings.since`, default `out` itself), with evidence if
    requested, are not scored again, even with other crosswalks.

    Args:
        classifier: A classifier, its folder, or its Hugging Face Hub id.
        snapshot: A snapshot, or the folder of a sync.
        out: The folder to write.
        settings: See `LabelSettings`.
        dry_run: Only count the work; nothing is written.
        tell: Called with lines for the user.
        bar: Creates progress bars.

    Returns:
        The counts in `summary.json`.

    Raises:
        DataError: The classifier or snapshot cannot be used, or no trial has a text for the task.
        UsageError: `out` holds other files or labels of another task, or is being written, the engine is not
            installed, or a crosswalk does not exist or is not for the task.

    Examples:
        >>> from trialtune import label_registry
        >>> summary = label_registry(folder, snapshot, out)
        >>> summary.labelled + summary.without_text == summary.trials
        True
    """
    settings, snapshot = settings or LabelSettings(), Path(snapshot)
    out = Path(out).absolute()  # so that "." has a name
    folder = classifier.opened if isinstance(classifier, Classifier) else open_folder(classifier)
    crosswalks = _check(folder, snapshot, out, settings)
    if dry_run:
        job = _job(folder, snapshot, out, settings, crosswalks=crosswalks, tell=lambda line: None)
        with tempfile.TemporaryDirectory() as aside:
            return job.summary(job.plan(Path(aside), "", None))
    work = out.with_name(f".{out.name}.work")
    work.mkdir(exist_ok=True)
    try:
        with FileLock(work / ".lock", timeout=0):
            recover(out)
            opener = _opener(classifier, folder, settings.engine)
            job = _job(folder, snapshot, out, settings, crosswalks=crosswalks, tell=tell)
            plan = _planned(job, work, tell, bar)
            with bar("scoring texts", plan.to_score) as progress:
                score_shards(plan, opener, engine=settings.engine, progress=progress)
            summary = _finish(job, plan, out)
    except Timeout as error:
        raise UsageError(f"--out {out}: another apply is writing it; wait until it has finished") from error
    shutil.rmtree(work)
    return summary


def _check(
    classifier: ClassifierFolder, snapshot: Path, out: Path, settings: LabelSettings
) -> tuple[Crosswalk, ...]:
    """Raise errors of the request before anything is written; returns the crosswalks."""
    check_engine(settings.engine)
    crosswalks = crosswalks_for(classifier.task, settings.crosswalks)
    check_replaceable(out, inputs=[classifier.path, snapshot])
    if out.is_dir() and any(out.iterdir()):
        check_same_task(out, classifier.task.name)
    count_trials(snapshot)
    if settings.since:
        Labelled.open(settings.since)
    return crosswalks


def _opener(
    classifier: Classifier | Path | str, folder: ClassifierFolder, engine: str
) -> Callable[[], Classifier]:
    """Opens the classifier: once at the start, which detects a damaged one, or on each node of a cluster."""
    if engine != "local":
        return partial(Classifier.from_pretrained, folder.path.resolve())
    opened = classifier if isinstance(classifier, Classifier) else Classifier.of(folder)
    return lambda: opened


def _job(
    classifier: ClassifierFolder,
    snapshot: Path,
    out: Path,
    settings: LabelSettings,
    *,
    crosswalks: tuple[Crosswalk, ...],
    tell: Callable[[str], None],
) -> _Job:
    earlier = None
    if settings.since or (out / RECORD).is_file():
        earlier = Labelled.open(settings.since or out)
        if earlier.folder == out:
            _tell_of_columns(earlier, crosswalks, tell)
        if earlier.fingerprint != classifier.fingerprint:
            tell(
                f"{earlier.folder} was labelled by another classifier ({earlier.fingerprint}, this one is"
                f" {classifier.fingerprint}): every text is scored again"
            )
            earlier = None
        elif settings.evidence and not earlier.evidence:
            tell(f"{earlier.folder} has no evidence: all texts are scored again")
            earlier = None
        elif earlier.evidence and not settings.evidence:
            tell(f"{earlier.folder} has evidence, which is left out; keep it with --evidence")
    return _Job(
        classifier,
        snapshot,
        earlier,
        settings.shard_rows,
        settings.evidence,
        crosswalks,
        settings.publication,
    )


def _tell_of_columns(
    earlier: Labelled, crosswalks: tuple[Crosswalk, ...], tell: Callable[[str], None]
) -> None:
    """Report columns of the existing output that the new one will not have."""
    wanted = [one.name for one in crosswalks]
    if gone := [name for name in earlier.crosswalks if name not in wanted]:
        tell(
            f"{earlier.folder} has columns of the crosswalks {', '.join(gone)}, which are not among the"
            " settings: the new output does not have them"
        )


def _planned(job: _Job, work: Path, tell: Callable[[str], None], bar: Bar) -> Plan:
    key = job.key
    if plan := Plan.load(work, key):
        tell(f"resuming a stopped run: {plan.shards - len(plan.missing()):,} shards are scored")
        return plan
    for left in work.iterdir():
        if left.name == ".lock":
            continue
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()
    with bar("reading trials", count_trials(job.snapshot)) as progress:
        plan = job.plan(work, key, progress)
    if unread := count_unread(job.classifier.task, job.snapshot):
        tell(
            f"{job.snapshot}: {unread:,} of the trials without a text for this task have one in the column"
            " text, which is not read beside the task's own columns"
        )
    return plan


def _finish(job: _Job, plan: Plan, out: Path) -> LabellingSummary:
    task, mark = job.classifier.task, job.classifier.fingerprint
    labels, summary = list(task.labels), job.summary(plan)
    version = shipped_version(job.classifier.path)
    stated = summary.model_dump(mode="json")
    metadata = {
        "trialtune.version": __version__,
        "trialtune.task": summary.task,
        "trialtune.kind": summary.kind,
        "trialtune.classifier": mark,
        "trialtune.labels": json.dumps(labels),
        **({"trialtune.models": version} if version else {}),
        "trialtune.data_timestamp": summary.snapshot.data_timestamp or "",
        **({"trialtune.evidence": "true"} if plan.evidence else {}),
    }
    if job.crosswalks:
        metadata["trialtune.crosswalks"] = json.dumps(stated["crosswalks"])
    with atomic_folder(out) as folder:
        parts = folder / "labels"
        rows = write_parts(
            plan,
            job.earlier,
            parts,
            task=task,
            crosswalks=job.crosswalks,
            classifier=mark,
            metadata=metadata,
            shard_rows=job.shard_rows,
        )
        named = {name: stated[name] for name in _NAMED}
        write_json(
            folder / RECORD,
            {"format": FORMAT, **named, "labels": labels, EVIDENCE: plan.evidence, "parts": rows},
        )
        summary = summary.model_copy(update=tally(plan, parts, labels))
        write_json(folder / "summary.json", summary.model_dump(mode="json"))
        write_labels_page(summary, folder / "summary.html")
        described = Description(
            task=task,
            summary=summary,
            crosswalks=job.crosswalks,
            evidence=plan.evidence,
            models=version,
            publication=job.publication,
        )
        write_croissant(described, folder, rows)
        write_data_card(described, folder)
    return summary
