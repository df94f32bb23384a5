"""The examples in the docstrings of the public API run, and show what they say."""

import doctest
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import trialtune
from trialtune.corpus.build import build_corpus
from trialtune.corpus.settings import CorpusSettings
from trialtune.models.encoders import Encoder
from trialtune.registry.settings import SyncRequest
from trialtune.stages.settings import AdaptSettings, FinetuneSettings
from trialtune.training.settings import TrainSettings

# Of settings, each field has a description.
FUNCTIONS = [
    name
    for name in trialtune.__all__
    if callable(getattr(trialtune, name)) and name != "Prediction" and not name.endswith("Settings")
]
REASONS = {"Insufficient_Enrollment": "slow recruitment", "Business_Administrative": "funding ran out"}


@pytest.fixture(scope="module")
def studies() -> list[dict[str, Any]]:
    return [
        {
            "protocolSection": {
                "identificationModule": {"nctId": f"NCT{number:08}", "briefTitle": f"Trial {number}"},
                "statusModule": {"whyStopped": reason, "lastUpdatePostDateStruct": {"date": "2024-01-01"}},
                "descriptionModule": {"briefSummary": "the study of patients with cancer " * 20},
            }
        }
        for number, reason in enumerate([*REASONS.values(), ""] * 8, start=1)
    ]


@pytest.fixture(scope="module")
def things(make_classifier, tiny_encoder, studies, registry_server, tmp_path_factory) -> Iterator[dict]:
    """What the examples speak of: a classifier's `folder`, a `snapshot`, labelled `examples`, ..."""
    work = tmp_path_factory.mktemp("doctests")
    (work / "studies.jsonl").write_text("\n".join(map(json.dumps, studies)))
    trialtune.import_trials(work / "studies.jsonl", work / "snapshot.parquet")
    rows = [(label, f"{reason} {number}") for number in range(40) for label, reason in REASONS.items()]
    labelled = {
        "nct_id": [f"NCT{number:08}" for number in range(len(rows))],
        "text": [text for _, text in rows],
        "labels": [[label] for label, _ in rows],
    }
    examples = pl.DataFrame(labelled)
    examples.write_parquet(work / "labelled.parquet")
    build_corpus(
        work / "snapshot.parquet",
        Encoder.open(tiny_encoder).tokenizer,
        work / "corpus",
        settings=CorpusSettings(block_size=32, heldout=0.4),
    )
    short = AdaptSettings(train=TrainSettings(steps=2, batch_size=2))
    trialtune.adapt(work / "corpus", tiny_encoder, work / "adapter", settings=short)
    with registry_server.serving(studies) as (address, _):
        yield {
            "folder": make_classifier("stop-reasons", work / "clf"),
            "source": work / "studies.jsonl",
            "snapshot": work / "snapshot.parquet",
            "data": work / "labelled.parquet",
            "examples": examples,
            "corpus": work / "corpus",
            "encoder": tiny_encoder,
            "adapter": work / "adapter",
            "fast": FinetuneSettings(method="full", epochs=1),
            "short": short,
            "request": SyncRequest(base_url=address),
        }


@pytest.fixture(scope="module")
def estimated(make_registry, tmp_path_factory) -> dict[str, Path]:
    """`labelled` trials, and a `sheet` of hand labels of some of them."""
    work = tmp_path_factory.mktemp("estimated")
    registry = make_registry(work)
    trialtune.plan_estimate(registry.labels, work / "sheet.csv")
    return {"labelled": registry.labels, "sheet": registry.fill(work / "sheet.csv")}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_example_runs(name, things, estimated, tmp_path: Path) -> None:
    subject = getattr(trialtune, name)
    [example] = [
        found
        for found in doctest.DocTestFinder(recurse=False).find(
            subject, name, globs={**things, **estimated, "out": tmp_path / "out"}
        )
        if found.examples
    ]
    told: list[str] = []
    failed, tried = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=told.append)
    assert tried > 1 and not failed, "".join(told)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_docstring_says_what_goes_in_and_comes_out(name) -> None:
    said = getattr(trialtune, name).__doc__
    assert "Examples:" in said
    if not isinstance(getattr(trialtune, name), type):
        assert "Args:" in said and "Returns:" in said and "Raises:" in said
