"""Every family of encoders, from files of every type and form, through every stage.

It works as plain `transformers` does, or says why not. docs/reference/encoders.md has what was found; after a
change, write it anew with `WRITE_DOCS=1 pytest tests/stages/test_encoder_matrix.py`.
"""

import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import version
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, PreTrainedModel

from trialtune.classifier.classifier import Classifier
from trialtune.corpus.masking import IGNORE, Masker
from trialtune.errors import TrialtuneError
from trialtune.models.adapters import merge_adapter
from trialtune.models.encoders import Encoder
from trialtune.models.mlm import load_masked_lm
from trialtune.models.sequence_classifier import load_classifier
from trialtune.stages.adapt import adapt, read_texts
from trialtune.stages.export import export
from trialtune.stages.finetune import finetune
from trialtune.stages.mlm import score_mlm
from trialtune.stages.settings import AdaptSettings, FinetuneSettings
from trialtune.tasks.catalog import load_task
from trialtune.training.settings import TrainSettings

DOCS = Path(__file__).parents[2] / "docs" / "reference" / "encoders.md"
TASK = load_task("stop-reasons")
TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
FORMS = ("safetensors", "sharded", "bin")
# Files of all types and forms are opened. What follows depends on the opened weights alone: these
# files go through training and scoring, too, and those of the last through the rest.
THROUGH = [("fp32", "safetensors"), ("fp16", "sharded"), ("bf16", "bin")]
LEARNING, REST = ("score", "adapt", "finetune"), ("bf16 arithmetic", "export onnx", "export onnx-int8")
STAGES = ("open", *LEARNING, *REST)
IDS = torch.arange(5, 45).reshape(2, 20)

Run = Callable[[str], dict[str, str]]


def store(model: PreTrainedModel, folder: Path, kind: str, form: str) -> None:
    model = model.to(TYPES[kind])
    model.save_pretrained(folder, max_shard_size="40KB" if form == "sharded" else "5GB")
    if form == "bin":
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=IDS).logits
    return found


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    letters = np.random.default_rng(0).choice(list("abcdefghijklmnopqrstuvwxyz"), (60, 4, 6))
    texts = [" ".join(map("".join, words)) for words in letters]
    labels = [[label] for label in ("Insufficient_Enrollment", "Negative", "Covid19")] * 20
    ids = [f"NCT{number:08d}" for number in range(60)]
    return pl.DataFrame({"nct_id": ids, "text": texts, "labels": labels})


class Cell:
    """One encoder's files, and what each stage makes of them, compared with plain `transformers`."""

    def __init__(self, folder: Path, corpus: Path, rows: pl.DataFrame) -> None:
        self.folder, self.corpus, self.rows = folder, corpus, rows
        self.encoder = Encoder.open(folder / "e")

    def stages(self) -> Iterator[tuple[str, Callable[[], None]]]:
        yield "score", self.score
        yield "adapt", self.adapt
        yield "finetune", self.finetune
        yield "bf16 arithmetic", self.bf16
        yield "export onnx", lambda: self.export("onnx", 1e-4)
        yield "export onnx-int8", lambda: self.export("onnx-int8", 0.05)

    def open(self) -> torch.Tensor:
        model, has_head = load_masked_lm(self.encoder)
        assert has_head and {value.dtype for value in model.parameters()} == {torch.float32}
        found = logits(model)
        plain = AutoModelForMaskedLM.from_pretrained(self.encoder.folder, dtype=torch.float32)
        torch.testing.assert_close(found, logits(plain), rtol=0, atol=1e-6)
        return found

    def score(self) -> None:
        blocks = read_texts(self.corpus, self.encoder, heldout_blocks=300).heldout
        ids, labels = Masker.of(self.encoder.tokenizer)(blocks.input_ids.long(), seed=0)
        plain = AutoModelForMaskedLM.from_pretrained(self.encoder.folder, dtype=torch.float32).eval()
        with torch.no_grad():
            every = plain(input_ids=ids, attention_mask=blocks.attention_mask.long()).logits
        expected = torch.nn.functional.cross_entropy(
            every.flatten(0, 1), labels.flatten(), ignore_index=IGNORE
        )
        assert score_mlm(self.corpus, self.encoder).loss == pytest.approx(float(expected), rel=1e-4)

    def adapt(self, precision: str = "fp32") -> None:
        out = self.folder / f"adapter-{precision}"
        steps = TrainSettings(steps=2, batch_size=4, learning_rate=0.05, precision=precision)
        adapt(self.corpus, self.encoder, out, settings=AdaptSettings(train=steps))
        merged = merge_adapter(load_masked_lm(self.encoder)[0], out)
        plain = AutoModelForMaskedLM.from_pretrained(self.encoder.folder, dtype=torch.float32)
        before = logits(plain)
        expected = logits(PeftModel.from_pretrained(plain, out))
        assert not torch.equal(expected, before)
        torch.testing.assert_close(logits(merged), expected, rtol=1e-4, atol=1e-4)

    def finetune(self, precision: str = "fp32") -> None:
        out = self.folder / f"classifier-{precision}"
        settings = FinetuneSettings(
            method="full", epochs=1, batch_size=32, calibration_share=0.3, max_length=32, precision=precision
        )
        assert finetune(TASK, self.rows, self.encoder, out, settings=settings).tokens > 0
        model, info = AutoModelForSequenceClassification.from_pretrained(out, output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"]
        assert {value.dtype for value in model.parameters()} == {torch.float32}
        ours, tokenizer = load_classifier(out)
        texts = self.rows["text"].head(4).to_list()
        inputs = tokenizer(texts, padding=True, return_tensors="pt", return_token_type_ids=False)
        with torch.no_grad():
            expected = model.eval()(**inputs).logits
            torch.testing.assert_close(ours(**inputs).logits, expected, rtol=0, atol=1e-6)
        found = Classifier.from_pretrained(out, precision="fp32").raw_probabilities(texts)
        np.testing.assert_allclose(found, expected.sigmoid(), atol=1e-5)

    def bf16(self) -> None:
        self.adapt("bf16")
        self.finetune("bf16")

    def export(self, form: str, tolerance: float) -> None:
        found = export(self.folder / "classifier-fp32", self.folder / form, form=form, force=True)
        assert found["parity"]["max_probability_difference"] < tolerance


@pytest.fixture(scope="module")
def run(small_config, tiny_tokenizer, corpus, rows, tmp_path_factory) -> Run:
    """What became of each stage with a family's encoder: "yes", or the sentence that refused it."""

    @cache
    def of(family: str) -> dict[str, str]:
        root, found, seen = tmp_path_factory.mktemp(family), {}, {}
        for kind, form in product(TYPES, FORMS):
            torch.manual_seed(0)
            config = small_config(family, vocab_size=len(tiny_tokenizer))
            folder = root / f"{kind}-{form}"
            store(AutoModelForMaskedLM.from_config(config), folder / "e", kind, form)
            tiny_tokenizer.save_pretrained(folder / "e")
            cell = Cell(folder, corpus, rows)
            opened = cell.open()
            # Files of one type give the same encoder in any form: what follows is the same, too.
            assert torch.equal(opened, seen.setdefault(kind, opened))
            found["open"] = "yes"
            if (kind, form) in THROUGH:
                chosen = STAGES if (kind, form) == THROUGH[-1] else LEARNING
                for stage, go in cell.stages():
                    if stage not in chosen:
                        continue
                    said = attempt(go)
                    assert found.setdefault(stage, said) == said, f"{stage} of {kind} {form}"
        return found

    return of


def attempt(go: Callable[[], None]) -> str:
    try:
        go()
    except TrialtuneError as error:
        return re.sub(r"/\S+/", "", str(error))
    return "yes"


def test_every_cell_works_or_says_why_not(family, run) -> None:
    found = run(family)
    refused = {stage for stage, said in found.items() if said != "yes"}
    assert set(found) == set(STAGES)
    assert refused == {
        "deberta": {"bf16 arithmetic"},
        "longformer": {"export onnx", "export onnx-int8"},
    }.get(family, set())


def test_the_table_of_the_docs_is_what_was_found(families, run) -> None:
    notes: list[str] = []
    lines = ["| encoder | " + " | ".join(STAGES) + " |", "|---" * (len(STAGES) + 1) + "|"]
    for family in families:
        cells = []
        for said in run(family).values():
            if said != "yes" and said not in notes:
                notes.append(said)
            cells.append("yes" if said == "yes" else f"no ({notes.index(said) + 1})")
        lines.append(f"| {family} | " + " | ".join(cells) + " |")
    table = "\n".join(lines + [""] + [f"{place}. `{note}`" for place, note in enumerate(notes, start=1)])
    begin, end = "<!-- table -->\n", "\n<!-- end -->"
    text = DOCS.read_text(encoding="utf-8")
    packages = ("torch", "transformers", "peft", "onnxruntime")
    versions = ", ".join(f"{name} {version(name).partition('+')[0]}" for name in packages)
    if os.environ.get("WRITE_DOCS"):
        text = re.sub(r"\(torch [^)]*\)", f"({versions})", text)
    elif f"({versions})" not in text:
        pytest.skip(f"the page is of other versions than {versions}, whose messages are others")
    head, tail = text[: text.index(begin) + len(begin)], text[text.index(end) :]
    if os.environ.get("WRITE_DOCS"):
        DOCS.write_text(head + table + tail, encoding="utf-8")
    else:
        assert text == head + table + tail, "write it anew: see the beginning of this file"
