"""The classifier: opens a folder, labels texts with calibrated probabilities."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trialtune.classifier.crosswalk_columns import Named, crosswalks_for, with_crosswalks
from trialtune.classifier.evidence import Evidence, find_evidence
from trialtune.classifier.explain import Question, Span, occlude
from trialtune.classifier.folder import FILES, ClassifierFolder
from trialtune.classifier.given_texts import given_texts
from trialtune.classifier.hub import upload_classifier
from trialtune.classifier.named import open_folder
from trialtune.classifier.prediction import NO_TEXT, Prediction, prediction_frame
from trialtune.classifier.predictor import Predictor
from trialtune.errors import UsageError
from trialtune.evaluation.decision import Decided, Decision
from trialtune.extras import needing_extras
from trialtune.files import atomic_folder, check_replaceable
from trialtune.tasks.task import Task

if TYPE_CHECKING:
    import polars as pl

    from trialtune.evaluation.metrics import Evaluation

Report = Callable[[int], None]  # called with numbers of finished texts


@dataclass(frozen=True)
class Classifier:
    """A classifier of trials' texts, with calibrated probabilities and tuned thresholds.

    Open one with `from_pretrained`. Every `trialtune` command that labels texts uses this class.

    Examples:
        >>> from trialtune import Classifier
        >>> classifier = Classifier.from_pretrained(folder)
        >>> [prediction] = classifier.predict(["Slow accrual, funding ended"])
        >>> set(prediction.labels) <= set(classifier.labels)
        True
        >>> classifier.predict_proba(["Slow accrual, funding ended"]).shape == (1, len(classifier.labels))
        True
    """

    opened: ClassifierFolder = field(repr=False)  # metadata of its files
    _predictor: Predictor = field(repr=False)

    @classmethod
    def from_pretrained(
        cls, name: str | Path, *, revision: str | None = None, precision: str = "auto"
    ) -> "Classifier":
        """Open a classifier that comes with trialtune, a folder, or OWNER/NAME of the Hugging Face Hub.

        Args:
            name: "stop-reasons" or "sex" (see `trialtune classifiers`), a folder made by `finetune` or
                `export`, or a Hub id; a string is looked up in this order.
            revision: A branch, tag or commit of the Hub.
            precision: Arithmetic of weights in PyTorch: "auto" (bf16 where it is native), "bf16", "fp32".

        Returns:
            The classifier, ready to label.

        Raises:
            DataError: It is not a classifier, is damaged, has another format version, or cannot be fetched.
            UsageError: It holds weights, and PyTorch is not installed.
        """
        return cls.of(open_folder(name, revision=revision), precision=precision)

    @classmethod
    def of(cls, opened: ClassifierFolder, *, precision: str = "auto") -> "Classifier":
        """The classifier of an opened folder; raises as `from_pretrained` does."""
        return cls(opened, opened.predictor(precision=precision))

    @property
    def folder(self) -> Path:
        """The folder of its files."""
        return self.opened.path

    @property
    def task(self) -> Task:
        """Its task; `max_length` is the length of a window in tokens."""
        return self.opened.task

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, in the order of the probabilities, which is the task's."""
        return self.decision.labels

    @property
    def decision(self) -> Decision:
        """How probabilities become labels: calibration, thresholds, review."""
        return self.opened.decision

    @property
    def fingerprint(self) -> str:
        """16 hex digits that identify the classifier; written with every prediction."""
        return self.opened.fingerprint

    @property
    def batches_at_once(self) -> int:
        """How many batches it scores in parallel."""
        return self._predictor.backend.workers

    def predict(
        self, texts: Iterable[str], *, evidence: bool = False, progress: Report | None = None
    ) -> list[Prediction]:
        """Label texts.

        Args:
            texts: Stop reasons, eligibility criteria, ...: the text that the task uses, as in the registry.
            evidence: Also find the words behind each label. See `trialtune.classifier.evidence`.
            progress: Called with numbers of finished texts.

        Returns:
            One prediction per text, in order; without labels for an empty text.

        Raises:
            UsageError: Something other than texts was given.
        """
        read = self._read(texts)
        return self._predictions(read, evidence, progress)

    def predict_proba(self, texts: Iterable[str], *, progress: Report | None = None) -> np.ndarray:
        """Calibrated probabilities.

        Args:
            texts: As those of `predict`.
            progress: Takes numbers of texts that are done.

        Returns:
            float32 [texts, labels]; a row of NaN for an empty text.

        Raises:
            UsageError: Something other than texts was given.
        """
        read = self._read(texts)
        probabilities = np.full((len(read), len(self.labels)), np.nan, dtype=np.float32)
        there = [place for place, text in enumerate(read) if text]
        probabilities[there] = self.decide([text for text in read if text], progress=progress).probabilities
        return probabilities

    def predict_frame(
        self,
        frame: Any,
        *,
        crosswalks: Iterable[Named] = (),
        evidence: bool = False,
        progress: Report | None = None,
    ) -> "pl.DataFrame":
        """Label the rows of a table or snapshot.

        Args:
            frame: A Polars or pandas frame with the task's columns (`why_stopped`, ...) or `text`, and
                `nct_id` where it is known.
            crosswalks: Names (`open_targets`, ...) or .yaml files of crosswalks to other schemes.
            evidence: Also find the words behind each label.
            progress: Called with numbers of finished texts.

        Returns:
            The columns of `PREDICTION_SCHEMA`, with `evidence` a column of that name, then those of each
            crosswalk, one row per row, in order; nulls where there is no text.

        Raises:
            DataError: The frame has no column that the task uses, or one holds something other than text.
            UsageError: A crosswalk does not exist, or is not for the task.
        """
        from trialtune.dataset.columns import ids_and_texts  # noqa: PLC0415 - it needs Polars

        chosen = crosswalks_for(self.task, crosswalks)
        ids, texts = ids_and_texts(self.task, frame)
        predicted = prediction_frame(
            self._predictions(texts, evidence, progress),
            nct_ids=ids,
            texts=texts,
            labels=self.labels,
            classifier=self.fingerprint,
            evidence=evidence,
        )
        return with_crosswalks(predicted, chosen, self.task.kind)

    def explain(self, text: str, label: str, *, progress: Report | None = None) -> list[Span]:
        """Which words of a text make a label probable.

        Args:
            text: As one of `predict`.
            label: One of `labels`.
            progress: Takes numbers of texts that are scored; one is scored for each word left out.

        Returns:
            The words in reading order, each with its contribution to the calibrated probability
            (`importance`, -1 to 1), by leaving it out (occlusion). See `trialtune.classifier.explain`.

        Raises:
            UsageError: There is no such label, or the text is empty.
        """
        if label not in self.labels:
            raise UsageError(
                f"{label!r} is not a label of {self.task.name}; choose one of {', '.join(self.labels)}"
            )
        [read] = self._read([text])
        [spans] = self.explain_all([Question(read or "", label)], progress=progress)
        return spans

    def explain_all(
        self, questions: Sequence[Question], *, progress: Report | None = None
    ) -> list[list[Span]]:
        """`explain` for many texts at once, each as `Task.text_of` returns it."""

        def score(texts: Sequence[str]) -> np.ndarray:
            return self.decide(texts, progress=progress).probabilities

        return occlude(score, self.labels, questions)

    def decide(self, texts: Sequence[str], *, progress: Report | None = None) -> Decided:
        """Probabilities, labels and review flags, as arrays, of texts as `Task.text_of` returns them."""
        return self.decision.apply(self.raw_probabilities(texts, progress=progress))

    def decide_with_evidence(
        self, texts: Sequence[str], *, progress: Report | None = None
    ) -> tuple[Decided, list[tuple[Evidence, ...]]]:
        """`decide`, and the words of each text behind each of its labels."""
        half = len(texts) // 2
        decided = self.decide(texts, progress=_share(progress, len(texts), half))
        rest = partial(_share, progress, texts=len(texts) - half)
        return decided, self.evidence(texts, decided, progress_of=rest)

    def evidence(
        self,
        texts: Sequence[str],
        decided: Decided,
        *,
        progress_of: Callable[[int], Report | None] = lambda phrases: None,
    ) -> list[tuple[Evidence, ...]]:
        """The words behind each label that `decide` gave to `texts`; see `trialtune.classifier.evidence`.

        `progress_of` is called with the number of phrases, and returns the function that reports progress.
        """

        def score(phrases: Sequence[str]) -> np.ndarray:
            report = progress_of(len(phrases))
            if report and not phrases:
                report(0)
            return self.decide(phrases, progress=report).probabilities

        read = [self._predictor.read_part(text) for text in texts]
        return find_evidence(score, self.decision, read, decided)

    def raw_probabilities(self, texts: Sequence[str], *, progress: Report | None = None) -> np.ndarray:
        """Probabilities before calibration, float32 [texts, labels], of texts as in `decide`."""
        return self._predictor.probabilities(texts, progress=progress)

    def evaluate(
        self, frame: Any, *, drop_overlap: bool = False, progress: Report | None = None
    ) -> "Evaluation":
        """Score the classifier on labelled rows that it was not trained on.

        Args:
            frame: A Polars or pandas frame with `text` (or the task's columns) and labels.
            drop_overlap: Leave out rows seen in training instead of raising an error.
            progress: Called with numbers of finished texts.

        Returns:
            Average scores and scores by class, calibration error, and scores without the rows for review.

        Raises:
            DataError: A row was seen in training, a label is unknown, or no row has one.
        """
        from trialtune.dataset.examples import load_examples  # noqa: PLC0415 - they need Polars
        from trialtune.dataset.frames import as_polars  # noqa: PLC0415

        labelled = load_examples(self.task, as_polars(frame), where="the table")
        with needing_extras():
            from trialtune.classifier.evaluate import evaluate  # noqa: PLC0415 - an extra

            metrics, _ = evaluate(self, labelled.frame, drop_overlap=drop_overlap, progress=progress)
        return metrics

    def save_pretrained(self, folder: str | Path) -> Path:
        """Copy the classifier into a new folder.

        Args:
            folder: A new one, or one that trialtune made, which is replaced.

        Returns:
            The folder.

        Raises:
            UsageError: The path is taken by something else.
        """
        out = Path(folder)
        check_replaceable(out, inputs=[self.folder])
        with atomic_folder(out) as temporary:
            for file in sorted({file for pattern in FILES for file in self.folder.glob(pattern)}):
                shutil.copyfile(file, temporary / file.name)
        return out

    def push_to_hub(self, name: str, *, private: bool | None = None, token: str | None = None) -> str:
        """Upload the classifier to the Hugging Face Hub.

        Args:
            name: OWNER/NAME there.
            private: Whether a new repository is private; the owner's default when not given.
            token: Of the Hub; the one that `hf auth login` stored when not given.

        Returns:
            The address of its page.

        Raises:
            DataError: The Hub refused it, or cannot be reached.
        """
        return upload_classifier(self.folder, name, private=private, token=token)

    def _read(self, texts: Iterable[str]) -> list[str | None]:
        """Texts as the task normalizes them; None for an empty one."""
        return [self.task.text_of({"text": text}) for text in given_texts(texts)]

    def _predictions(
        self, texts: Sequence[str | None], evidence: bool, progress: Report | None
    ) -> list[Prediction]:
        there = [text for text in texts if text]
        said = None
        if evidence:
            decided, said = self.decide_with_evidence(there, progress=progress)
        else:
            decided = self.decide(there, progress=progress)
        found = iter(Prediction.all_of(decided, self.labels, said))
        return [next(found) if text else NO_TEXT for text in texts]


def _share(progress: Report | None, items: int, texts: int) -> Report | None:
    """Turns progress in `items` into progress in `texts`."""
    if progress is None:
        return None
    done = reported = 0

    def report(count: int) -> None:
        nonlocal done, reported
        done += count
        now = texts * done // items if items else texts
        progress(now - reported)
        reported = now

    return report
