"""Foundations of linear classifiers: the shipped stop-reason classifier, or any encoder as a graph."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tokenizers import Tokenizer

from trialtune.classifier.folder import GRAPH_FILE, ClassifierFolder
from trialtune.classifier.frozen_features import all_depths, last_layers
from trialtune.classifier.shipped import shipped_folder
from trialtune.dataset.seen import add_seen
from trialtune.errors import UsageError
from trialtune.files import read_json
from trialtune.models.bundled import EMBEDDED, PREFIX, embedded_folder
from trialtune.models.hub import is_repository
from trialtune.training.linear import Foundation, Inputs

if TYPE_CHECKING:
    from trialtune.models.encoders import Encoder

_BERT = 85e6
SHIPPED = "stop-reasons"  # the classifier with layers trained on the registry's stop reasons


def shipped_foundation() -> Foundation:
    """The shipped classifier; raises UsageError where its package is missing."""
    folder = shipped_folder(SHIPPED)
    if folder is None:
        raise UsageError("the shipped classifiers are not installed: pip install trialtune-models")
    opened = ClassifierFolder.open(folder)
    tokenizer, pad_id = opened.tokenizer()
    positions = int(opened.config["max_position_embeddings"])
    return Foundation(SHIPPED, folder, tokenizer, pad_id, positions, folder / GRAPH_FILE)


@contextmanager
def encoder_foundation(encoder: "Encoder | Path | str") -> Iterator[Foundation]:
    """An encoder as a graph, within the context; exported by PyTorch.

    Raises as opening it does, and DataError when it cannot be exported or does not have BERT's layers.
    """
    from trialtune.models.encoders import Encoder  # noqa: PLC0415 - PyTorch takes seconds
    from trialtune.models.onnx_export import write_graph  # noqa: PLC0415
    from trialtune.models.sequence_classifier import build_classifier  # noqa: PLC0415

    opened = Encoder.open(encoder)
    model = build_classifier(opened, ["no", "yes"], kind="multi_class")  # its head is not used
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_graph(model, folder / GRAPH_FILE)
        model.config.save_pretrained(folder)
        opened.tokenizer.save_pretrained(folder)
        add_seen(opened.folder, folder)
        tokenizer = Tokenizer.from_str(opened.tokenizer.backend_tokenizer.to_str())
        pad_id, positions = opened.tokenizer.pad_token_id, opened.positions or 512
        yield Foundation(opened.name, folder, tokenizer, pad_id, positions, folder / GRAPH_FILE)


def inputs_of(foundation: Foundation, method: str) -> list[Inputs]:
    """The candidate inputs of a method's classifiers: see benchmarks/few_labels.py."""
    if method == "tf-idf":
        return [Inputs("word pieces", longest=1), Inputs("word pieces and pairs of them", longest=2)]
    every, last = tuple(all_depths(foundation.depth)), tuple(last_layers(foundation.depth))
    return [
        Inputs("its last layer", last[:1]),
        Inputs("its last four layers", last),
        Inputs("its layers at all depths", every),
        Inputs("its layers at all depths, and word pieces", every, 1),
    ]


def check_encoder(encoder: "Encoder | Path | str") -> None:
    """Raise UsageError, without PyTorch, when no encoder can have that name."""
    name = str(getattr(encoder, "folder", encoder))
    if name.startswith(PREFIX):
        embedded_folder(name)
    elif not Path(name).is_dir() and not is_repository(name):
        raise UsageError(f"encoder {name!r}: no such folder; give a folder, a Hub id, or {EMBEDDED!r}")


def encoder_weights(encoder: "Encoder | Path | str") -> float:
    """The approximate number of weights per token in an encoder, by its configuration, else BERT's."""
    name = str(getattr(encoder, "folder", encoder))
    folder = embedded_folder(name) if name.startswith(PREFIX) else Path(name)
    described = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    layers, hidden = (described.get(key) for key in ("num_hidden_layers", "hidden_size"))
    wide = described.get("intermediate_size")
    return layers * (4 * hidden**2 + 2 * hidden * wide) if layers and hidden and wide else _BERT
