"""Classifiers go to the Hugging Face Hub and come back the same; a Hub that refuses is explained."""

import json
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trialtune.classifier.classifier import Classifier
from trialtune.classifier.folder import CARD_FILE, TOKENIZER_FILE, WEIGHTS_FILE

ID = "someone/stop-reasons"
TEXTS = ["slow recruitment", "funding ran out", ""]

_PUSH = """
import sys
from trialtune import Classifier
folder, name, private, token = sys.argv[1:]
print(Classifier.from_pretrained(folder).push_to_hub(name, private=private == "True", token=token or None))
"""
# As `push_to_hub` does, without loading the weights.
_SEND = """
import sys
from pathlib import Path
from trialtune.classifier.hub import upload_classifier
folder, name, token = sys.argv[1:]
upload_classifier(Path(folder), name, private=None, token=token or None)
"""
_OPEN = """
import json, sys
from trialtune import Classifier
opened = Classifier.from_pretrained(sys.argv[1])
frame = opened.predict_frame({"text": sys.argv[2:]})
found = {"folder": str(opened.folder), "fingerprint": opened.fingerprint, "rows": frame.to_dicts()}
print(json.dumps(found))
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def hub(hub_server) -> Iterator[Any]:
    with hub_server.serving() as served:
        yield served


@pytest.fixture(scope="module")
def folder(make_classifier, tmp_path_factory) -> Path:
    """A classifier, with files beside it that are nobody else's business."""
    folder = make_classifier("stop-reasons", tmp_path_factory.mktemp("classifier") / "clf")
    (folder / CARD_FILE).write_text("---\nlibrary_name: transformers\n---\n# A classifier\n")
    for stray in ("pytorch_model.bin", "vocab.pkl", "notes.txt", "checkpoints/state.json"):
        (folder / stray).parent.mkdir(exist_ok=True)
        (folder / stray).write_bytes(pickle.dumps("stray"))
    return folder


@pytest.fixture
def run(hub, tmp_path) -> Run:
    """Runs Python with the stand-in for the Hub, whose client reads its settings when it is imported."""

    def run(*arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
        home = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
        plain = {name: value for name, value in os.environ.items() if name != "HF_TOKEN"}
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            env={**plain, **home, **settings},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def predict(run) -> Run:
    return lambda name, **settings: run("-m", "trialtune", "predict", name, "a text", **settings)


@pytest.mark.parametrize("private", [False, True])
def test_a_classifier_goes_there_and_back(hub, hub_server, folder, run, private) -> None:
    done = run("-c", _PUSH, folder, ID, private, hub_server.TOKEN)
    assert (done.returncode, done.stdout) == (0, f"{hub.url}/{ID}\n"), done.stderr
    model = hub.models[ID]
    assert model.private == private
    assert {CARD_FILE, TOKENIZER_FILE, WEIGHTS_FILE, "task.json", "decision.json"} <= set(model.files)
    assert not set(model.files) & {"pytorch_model.bin", "vocab.pkl", "notes.txt", "checkpoints/state.json"}
    model.files["pytorch_model.bin"] = model.files["vocab.pkl"] = pickle.dumps("someone else's")

    login = {"HF_TOKEN": hub_server.TOKEN} if private else {}
    done = run("-c", _OPEN, ID, *TEXTS, **login)
    assert done.returncode == 0, done.stderr
    found, original = json.loads(done.stdout), Classifier.from_pretrained(folder)
    assert found["fingerprint"] == original.fingerprint
    assert found["rows"] == original.predict_frame({"text": TEXTS}).to_dicts()
    fetched = {file.name for file in Path(found["folder"]).rglob("*") if file.is_file()}
    assert fetched == model.files.keys() - {"pytorch_model.bin", "vocab.pkl"}

    hub.models.clear()  # what has been fetched once opens without the Hub
    again = run("-c", _OPEN, ID, *TEXTS, HF_HUB_OFFLINE="1", **login)
    assert json.loads(again.stdout) == found, again.stderr


def test_pushed_again_it_replaces_what_was_there(hub, hub_server, folder, run) -> None:
    hub.models[ID] = hub_server.Repository(files={"task.json": b"{}", "mine.txt": b"kept"})
    done = run("-c", _SEND, folder, ID, hub_server.TOKEN)
    assert done.returncode == 0, done.stderr
    assert hub.models[ID].files["task.json"] == (folder / "task.json").read_bytes()
    assert hub.models[ID].files["mine.txt"] == b"kept"


def told(done: subprocess.CompletedProcess[str], *said: str) -> None:
    """One line, which names the id and the mend."""
    assert done.returncode == 1, done.stdout
    [line] = [line for line in done.stderr.splitlines() if line.strip()]
    assert line.startswith("error: ") and all(part in line for part in (ID, *said)), line


def test_what_cannot_be_fetched_is_explained(hub, hub_server, predict) -> None:
    told(predict(ID), "no such model", "`hf auth login`")
    hub.models[ID] = hub_server.Repository(private=True, files={"task.json": b"{}"})
    told(predict(ID), "no such model", "`hf auth login`")
    told(predict(ID, HF_TOKEN="hf_wrong"), "no such model", "`hf auth login`")
    told(predict(ID, HF_HUB_OFFLINE="1"), "HF_HUB_OFFLINE")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        told(predict(ID, HF_ENDPOINT=f"http://127.0.0.1:{nobody.getsockname()[1]}"), "check the network")


def test_a_model_that_is_no_classifier_is_told(hub, hub_server, predict) -> None:
    hub.models[ID] = hub_server.Repository(files={"config.json": b"{}", "pytorch_model.bin": b"x"})
    told(predict(ID), "no task.json", "not a trialtune classifier")


@pytest.mark.parametrize("name", ["so--me/one", "someone/model.git"])
def test_a_name_that_the_hub_does_not_allow_is_told(predict, name) -> None:
    done = predict(name)
    assert done.returncode == 1 and name in done.stderr and "unexpected" not in done.stderr, done.stderr


def test_a_revision_that_is_not_there_is_told(hub, hub_server, run) -> None:
    hub.models[ID] = hub_server.Repository(files={"task.json": b"{}"})
    code = "import sys, trialtune; trialtune.Classifier.from_pretrained(sys.argv[1], revision='v9')"
    done = run("-c", code, ID)
    last = done.stderr.strip().splitlines()[-1]
    assert "DataError" in last and ID in last and "'v9'" in last, done.stderr


def test_what_cannot_be_pushed_is_explained(folder, run) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        away = {"HF_ENDPOINT": f"http://127.0.0.1:{nobody.getsockname()[1]}"}
        cases = [
            (("", {}), "`hf auth login`"),
            (("hf_wrong", {}), "`hf auth login`"),
            (("hf_any", {"HF_HUB_OFFLINE": "1"}), "HF_HUB_OFFLINE"),
            (("hf_any", away), "the network"),
        ]
        for (token, settings), said in cases:
            done = run("-c", _SEND, folder, ID, token, **settings)
            last = done.stderr.strip().splitlines()[-1]
            assert done.returncode == 1 and "DataError" in last, done.stderr
            assert ID in last and said in last, last
