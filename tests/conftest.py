"""Fixtures shared by all tests: the project's real data when at hand, and a tiny encoder."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import settings
from tokenizers import BertWordPieceTokenizer
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertTokenizerFast,
    PretrainedConfig,
    PreTrainedTokenizerFast,
)

from trialtune.classifier.folder import write_classifier_folder
from trialtune.evaluation.decision import Decision
from trialtune.models.encoders import Encoder
from trialtune.models.sequence_classifier import build_classifier
from trialtune.tasks.catalog import load_task
from trialtune.tasks.task import Task

# A test says nothing about speed: machines differ, and are busy.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# Enough words for a small WordPiece vocabulary; everything else is spelled in letters.
_WORDS = """
the study of patients with cancer and diabetes in adults aged 18 years or older was stopped because
recruitment was slow and funding ran out inclusion criteria exclusion criteria pregnant women men male
female sponsor decision safety concern adverse events lack of efficacy interim analysis treatment dose
placebo randomized trial outcome measure weeks title summary conditions eligibility interventions
"""


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real trials beside the checkout; a user's clone has none, so those tests skip there."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def registry_server() -> ModuleType:
    """The stand-in registry: `serving(studies)` yields its URL and the registry behind it."""
    return _support("registry_server")


@pytest.fixture(scope="session")
def trial_files() -> ModuleType:
    """Writers of studies in other forms: `aact_of`, `write_folder`, `write_zip`, `xml_of`."""
    return _support("trial_files")


@pytest.fixture(scope="session")
def hub_server() -> ModuleType:
    """The stand-in Hugging Face Hub: `serving()` yields it, with its `url` and `models`."""
    return _support("hub_server")


@pytest.fixture(scope="session")
def browser() -> ModuleType:
    """A real browser: `opened(address, scheme)` yields a page."""
    return _support("browser")


@pytest.fixture(scope="session")
def make_world() -> Callable[..., Any]:
    """What holds of rows and how likely a classifier finds it: `make_world(rows, shares, seed=1)`."""
    made: Callable[..., Any] = _support("labelled_trials").World.of
    return made


@pytest.fixture(scope="session")
def make_registry() -> Callable[..., Any]:
    """Labelled trials in a folder, whose truth is known: `make_registry(folder, rows=600)`."""
    made: Callable[..., Any] = _support("labelled_trials").write_registry
    return made


def _support(name: str) -> ModuleType:
    path = Path(__file__).parent / "support" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_families = _support("families")


@pytest.fixture(scope="session")
def families() -> list[str]:
    """The names of the families of encoders."""
    return list(_families.NAMES)


@pytest.fixture(scope="session", params=_families.NAMES)
def family(request: pytest.FixtureRequest) -> str:
    """The name of a family of encoders, each in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def small_config() -> Callable[..., PretrainedConfig]:
    """A small configuration of a family: `small_config(name, vocab_size=99)`."""
    made: Callable[..., PretrainedConfig] = _families.small
    return made


@pytest.fixture(scope="session")
def tiny_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    """A BERT tokeniser of a few hundred word pieces, letters and digits among them, opened from a folder."""
    trainer = BertWordPieceTokenizer(lowercase=True)
    letters = " ".join(2 * chr(code) for code in range(33, 127))  # each as a beginning and as a continuation
    trainer.train_from_iterator([_WORDS, letters] * 20, vocab_size=800, min_frequency=2)
    folder = tmp_path_factory.mktemp("tokenizer")
    BertTokenizerFast(tokenizer_object=trainer._tokenizer, model_max_length=128).save_pretrained(folder)
    return BertTokenizerFast.from_pretrained(folder)


@pytest.fixture(scope="session")
def tiny_encoder(tiny_tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a random two-layer BERT masked language model with `tiny_tokenizer`."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tiny_tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    folder = tmp_path_factory.mktemp("encoder") / "tiny"
    BertForMaskedLM(config).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return str(folder)


MakeClassifier = Callable[..., Path]


@pytest.fixture(scope="session")
def make_classifier(tiny_encoder: str, tiny_tokenizer: PreTrainedTokenizerFast) -> MakeClassifier:
    """Writes a classifier folder with random answers: `make(task, folder, decision=..., seed=1)`."""

    def make(
        task: str | Task,
        folder: Path,
        *,
        decision: Decision | None = None,
        seed: int = 1,
        max_length: int = 32,
    ) -> Path:
        task = load_task(task) if isinstance(task, str) else task
        labels = tuple(task.labels)
        model = build_classifier(Encoder.open(tiny_encoder), labels, kind=task.kind, seed=seed)
        torch.nn.init.normal_(model.classifier.weight, std=2.0, generator=torch.Generator().manual_seed(seed))
        thresholds = (0.6,) * len(labels) if task.kind == "multi_label" else ()
        rule = decision or Decision(task.kind, labels, thresholds, review_below=0.6)
        folder.mkdir(parents=True)
        write_classifier_folder(
            folder, model, tiny_tokenizer, task=task, decision=rule, max_length=max_length
        )
        return folder

    return make
