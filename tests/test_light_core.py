"""The base installation: the registry, labelling and serving work where no extra is installed."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import polars as pl
import pytest

from trialtune.registry.snapshot.build import import_trials
from trialtune.stages.export import export

EXTRAS = (
    *("torch", "transformers", "peft", "accelerate", "safetensors", "sklearn", "onnx"),
    *("matplotlib", "fastapi_offline", "uvloop", "ray"),
)
# What an installation without the extras does: `import torch` fails.
BLOCKING = f"""
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
"""
TRIALS = [
    {"nct_id": "NCT00000001", "why_stopped": "slow recruitment", "brief_title": "Iron"},
    {"nct_id": "NCT00000002", "why_stopped": "", "brief_title": "Zinc", "text": "slow recruitment of women"},
    {"nct_id": "NCT00000003", "why_stopped": "funding ran out", "eligibility_criteria": "pregnant women"},
]


@pytest.fixture(scope="module")
def work(make_classifier, tmp_path_factory) -> Path:
    """A folder with `clf`, a graph in fp32, `plain`, weights, and `trials.jsonl`."""
    folder = tmp_path_factory.mktemp("light")
    make_classifier("stop-reasons", folder / "plain")
    export(folder / "plain", folder / "clf", form="onnx")
    (folder / "trials.jsonl").write_text("\n".join(map(json.dumps, TRIALS)))
    import_trials(folder / "trials.jsonl", folder / "snapshot.parquet")
    (folder / "known.csv").write_text(
        "nct_id,text,labels\nNCT00000001,slow recruitment,Insufficient_Enrollment\n"
    )
    return folder


def command(*arguments: str) -> list[str]:
    """`trialtune ARGUMENTS` without the extras."""
    run = f"sys.argv = ['trialtune', *{list(arguments)!r}]\nfrom trialtune.cli import main\nmain()"
    return [sys.executable, "-c", BLOCKING + run]


def light(work: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=work, capture_output=True, text=True, check=False)


def test_the_registry_and_labels_without_extras(work) -> None:
    for arguments in (
        "registry import trials.jsonl --out light.parquet",
        "registry info light.parquet",
        "registry show NCT00000001 --snapshot light.parquet",
        "registry diff light.parquet --base light.parquet --out changes",
        "predict clf --input light.parquet --output predicted.parquet",
        "apply clf light.parquet --out labelled",
        "estimate run labelled --known known.csv --trials light.parquet --by year --out shares",
    ):
        done = light(work, *arguments.split())
        assert done.returncode == 0, done.stderr
    said = light(work, "predict", "clf", "slow recruitment")
    assert said.returncode == 0 and "slow recruitment" in said.stdout
    predicted = pl.read_parquet(work / "predicted.parquet").sort("nct_id")
    assert predicted["labels"].is_null().to_list() == [False, True, False]
    assert pl.read_parquet(work / "labelled" / "labels" / "*.parquet").equals(predicted)
    for page in ("labelled/summary.html", "changes/summary.html", "shares/index.html"):
        assert "trialtune[report]" in (work / page).read_text()


def test_the_service_without_extras(work) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(command("serve", "clf", "--port", str(port)), cwd=work)
    try:
        for _ in range(200):
            try:
                httpx.get(f"http://127.0.0.1:{port}/readyz").raise_for_status()
                break
            except httpx.HTTPError:
                assert process.poll() is None
                time.sleep(0.1)
        asked = {"records": TRIALS}
        told = httpx.post(f"http://127.0.0.1:{port}/v1/predict", json=asked).json()["results"]["stop-reasons"]
        assert [row["labels"] is None for row in told] == [False, True, False]
        assert "trialtune[serve]" in httpx.get(f"http://127.0.0.1:{port}/docs").text
    finally:
        process.terminate()
        assert process.wait(30) in (0, -signal.SIGTERM) or sys.platform == "win32"


def test_labelling_by_hand_without_extras(work) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = "--data trials.jsonl --out labels.csv --mix random=1 --annotator Ada --port"
    process = subprocess.Popen(command("annotate", "stop-reasons", *given.split(), str(port)), cwd=work)
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}", transport=httpx.HTTPTransport(retries=8)
    ) as client:
        shown = client.get("/v1/next").json()
        answer = {"place": shown["place"], "text_hash": shown["text_hash"], "labels": ["Negative"]}
        assert client.post("/v1/answers", json=answer).json()["rows"] == 1
    process.terminate()
    process.wait(30)
    said = light(work, "agreement", "stop-reasons", "labels.csv")
    assert "no text was labelled by two" in said.stdout, said.stderr


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        ("finetune stop-reasons --data trials.jsonl --encoder x --out c", "train"),
        ("predict plain slow", "train"),
        ("evaluate clf --data known.csv --out m.json", "train"),
        ("adapt corpus --encoder x --out a", "train"),
        ("annotate stop-reasons --data trials.jsonl --out model.csv --port 0", "train"),
        ("apply clf snapshot.parquet --out l --engine ray", "ray"),
    ],
)
def test_a_missing_extra_is_named(work, arguments, extra) -> None:
    done = light(work, *arguments.split())
    assert done.returncode == 2, done.stderr
    assert f"pip install 'trialtune[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_text_is_labelled_without_tables(work) -> None:
    look = (
        "from trialtune import Classifier\n"
        "classifier = Classifier.from_pretrained('clf')\n"
        "assert classifier.predict(['slow recruitment'])[0].labels is not None\n"
        "print([name for name in ('polars', 'pyarrow', 'duckdb', 'huggingface_hub') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", BLOCKING + look], cwd=work, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr
