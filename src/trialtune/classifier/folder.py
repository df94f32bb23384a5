"""The files of a classifier folder, and errors for one that cannot be opened."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from trialtune import __version__
from trialtune.classifier.predictor import Predictor
from trialtune.errors import DataError, UsageError
from trialtune.evaluation.decision import DECISION_FILE, Decision
from trialtune.extras import needing_extras
from trialtune.files import fingerprint, read_json, sha256_of
from trialtune.tasks.catalog import task_from_description
from trialtune.tasks.task import FORMAT, TASK_FILE, Task

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

CONFIG_FILE, WEIGHTS_FILE, GRAPH_FILE = "config.json", "model.safetensors", "model.onnx"
TOKENIZER_FILE, CARD_FILE, TRAINING_FILE = "tokenizer.json", "README.md", "training.json"
#: All files that a folder may have; nothing else is copied, fetched or uploaded.
FILES = (
    *(CONFIG_FILE, WEIGHTS_FILE, GRAPH_FILE, f"{GRAPH_FILE}.sha256", "tokenizer*.json", "vocab.txt"),
    *("vocab.json", "merges.txt", "special_tokens_map.json", TASK_FILE, DECISION_FILE),
    *("seen.parquet", "foundation_seen.parquet", TRAINING_FILE, "export.json", CARD_FILE),
)
_DECIDING = ("*.safetensors", "*.onnx", CONFIG_FILE, "tokenizer*.json", "vocab.txt", DECISION_FILE, TASK_FILE)
_MAKE = "create one with `trialtune finetune`"


@dataclass(frozen=True)
class ClassifierFolder:
    """A complete classifier folder; its weights or graph are not read yet."""

    path: Path
    task: Task  # with the `max_length` used in training
    decision: Decision
    config: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> "ClassifierFolder":
        """Raises DataError when the folder is not a classifier, or has another format version."""
        missing = [name for name in (TASK_FILE, DECISION_FILE, CONFIG_FILE) if not (path / name).is_file()]
        if missing:
            raise DataError(f"{path}: not a classifier folder (no {missing[0]}); {_MAKE}")
        if not (path / GRAPH_FILE).is_file() and not (path / WEIGHTS_FILE).is_file():
            raise DataError(
                f"{path}: not a classifier folder, it has neither {WEIGHTS_FILE} nor {GRAPH_FILE}; {_MAKE}"
            )
        task, config = _task(path / TASK_FILE), read_json(path / CONFIG_FILE)
        decision = Decision.load(path, _labels(config, path / CONFIG_FILE))
        if decision.labels != tuple(task.labels) or decision.kind != task.kind:
            raise DataError(
                f"{path}: its labels ({', '.join(decision.labels)}) are not those of the task {task.name}"
                f" ({', '.join(task.labels)}); train it again with `trialtune finetune`"
            )
        return cls(path, task, decision, config)

    @cached_property
    def fingerprint(self) -> str:
        """Identifies a classifier: weights, tokenizer, labels, decision rule, and the columns it reads."""
        files = sorted({file for pattern in _DECIDING for file in self.path.glob(pattern)})
        return fingerprint([(file.name, sha256_of(file)) for file in files])[:16]

    def predictor(self, *, precision: str = "auto") -> Predictor:
        """The model: an ONNX graph by onnxruntime, weights by PyTorch, on a GPU if available.

        Raises DataError when a file is damaged.
        """
        if (self.path / GRAPH_FILE).is_file():
            return self._graph()
        with needing_extras():
            from trialtune.classifier.torch_backend import open_weights  # noqa: PLC0415 - an extra
        return open_weights(self.path, max_length=self.task.max_length, precision=precision)

    def _graph(self) -> Predictor:
        try:
            from trialtune.classifier.onnx_backend import OnnxBackend  # noqa: PLC0415
        except ImportError as error:
            raise UsageError(
                f"{self.path}: a graph needs onnxruntime ({error}): pip install onnxruntime"
            ) from error

        tokenizer, pad_id = self.tokenizer()
        return Predictor(
            OnnxBackend(self.path / GRAPH_FILE, labels=len(self.decision.labels)),
            tokenizer,
            pad_id=pad_id,
            labels=self.decision.labels,
            kind=self.task.kind,
            max_length=self.task.max_length,
        )

    def tokenizer(self) -> "tuple[Tokenizer, int]":
        """The tokenizer of a graph's folder, and the id of its padding; raises DataError if unreadable."""
        from tokenizers import Tokenizer  # noqa: PLC0415 - not needed for the metadata

        file = self.path / TOKENIZER_FILE
        try:
            read = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises no narrower class
            raise DataError(
                f"{file}: no readable tokenizer ({error}); export the classifier again"
            ) from error
        return read, self._pad_id(read.token_to_id)

    def _pad_id(self, token_to_id: Any) -> int:
        """The id of the padding token: position ids of some architectures depend on it."""
        beside = self.path / "tokenizer_config.json"
        token = read_json(beside).get("pad_token") if beside.is_file() else None
        token = token.get("content") if isinstance(token, dict) else token
        found = token_to_id(token) if token else self.config.get("pad_token_id")
        return int(found or 0)


def write_classifier_folder(
    folder: Path,
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    *,
    task: Task,
    decision: Decision,
    max_length: int | None = None,
) -> None:
    """Write weights, tokenizer, task and decision into `folder`, which also opens in plain `transformers`."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    replace(task, max_length=max_length or task.max_length).save(folder)
    decision.save(folder)


def _task(path: Path) -> Task:
    described = read_json(path)
    if not isinstance(described, dict):
        raise DataError(f"{path}: describes no task; train or export the classifier again")
    form = described.get("format")
    if form != FORMAT:
        raise DataError(
            f"{path}: written by another version of trialtune (format {form}; {__version__} reads"
            f" {FORMAT}); train or export the classifier again, or install that version"
        )
    try:
        return task_from_description(described)
    except UsageError as error:
        raise DataError(f"{path}: {error}; train or export the classifier again") from error
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise DataError(f"{path}: describes no task ({where}: {problem['msg']}); train it again") from error


def _labels(config: dict[str, Any], path: Path) -> Sequence[str]:
    named = config.get("id2label") if isinstance(config, dict) else None
    try:
        return [named[str(index)] for index in range(len(named))]  # type: ignore[index, arg-type]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: id2label does not number the labels from 0; {_MAKE}") from error
