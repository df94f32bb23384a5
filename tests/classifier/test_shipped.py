"""The classifiers shipped with the installation."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trialtune.classifier import shipped
from trialtune.classifier.classifier import Classifier
from trialtune.classifier.named import open_folder
from trialtune.classifier.shipped import list_shipped, shipped_folder, shipped_names
from trialtune.dataset.seen import drop_seen
from trialtune.errors import DataError

TEXTS = Path(__file__).parents[1] / "support"
OFFLINE = """
import socket, sys
def refused(*_, **__): raise OSError("no network")
socket.socket.connect = refused
socket.create_connection = refused
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NoTorch())
"""


@pytest.fixture(scope="module")
def reasons() -> Classifier:
    return Classifier.from_pretrained("stop-reasons")


@pytest.fixture(scope="module")
def sex() -> Classifier:
    return Classifier.from_pretrained("sex")


def test_they_are_listed_with_what_is_known_of_them() -> None:
    found = {one.name: one for one in list_shipped()}
    assert set(found) == {"stop-reasons", "sex"}
    for name, one in found.items():
        opened = open_folder(name)
        assert one.about["fingerprint"] == opened.fingerprint
        assert one.about["labels"] == len(opened.task.labels)
        assert 0.8 < one.about["scores"]["macro_f1"] < 1
    assert sum((one.folder / "model.onnx").stat().st_size for one in found.values()) <= 40e6


def test_they_label_without_network_and_torch(tmp_path) -> None:
    code = OFFLINE + (
        "from trialtune import Classifier\n"
        "[one] = Classifier.from_pretrained('stop-reasons').predict(['Slow accrual, funding ended'])\n"
        "print(*sorted(one.labels), one.needs_review)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.stdout.split() == ["Business_Administrative", "Insufficient_Enrollment", "False"], done.stderr


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Serious adverse events in the treatment arm", "Safety_Sideeffects"),
        ("Futility at the planned interim analysis", "Negative"),
        ("PI left the institution", "Study_Staff_Moved"),
        ("Paused because of the pandemic", "Covid19"),
        ("Study drug could not be supplied", "Logistics_Resources"),
    ],
)
def test_plain_reasons_are_read(reasons, text, label) -> None:
    [found] = reasons.predict([text])
    assert label in found.labels


def test_plain_criteria_are_read_and_what_tells_nothing_is_for_review(sex) -> None:
    texts = [
        "Healthy male volunteers",
        "Safety of metformin in adults with type 2 diabetes. Diabetes.",
        "Asthma",
    ]
    men, both, unclear = sex.predict(texts)
    assert (men.labels, both.labels) == (("MALE",), ("ALL",)) and not (men.needs_review or both.needs_review)
    assert unclear.needs_review


@pytest.mark.parametrize(("file", "least"), [("foreign_reasons.txt", 0.9), ("no_reasons.txt", 0.9)])
def test_what_is_no_english_reason_is_for_review(reasons, file, least) -> None:
    """200 reasons in other languages, most of which it has not met, and 200 sentences that are none."""
    texts = (TEXTS / file).read_text(encoding="utf-8").splitlines()
    assert len(texts) == 200
    found = reasons.predict(texts)
    assert np.mean([one.needs_review for one in found]) >= least


def test_held_out_reasons_were_not_trained_on(reasons, shared_data) -> None:
    """But for some short ones which a composed text happened to say, too; all training rows were."""
    dev, train = (pl.read_parquet(shared_data / f"stop_reasons_{part}.parquet") for part in ("dev", "train"))
    met = drop_seen(dev, reasons.folder)[1]
    assert len(met) < 0.02 * len(dev) and met["text"].str.len_chars().max() < 60
    assert drop_seen(train, reasons.folder)[0].is_empty()


def test_a_name_goes_before_a_folder_and_says_so(tmp_path, monkeypatch, make_classifier, caplog) -> None:
    monkeypatch.chdir(tmp_path)
    make_classifier("sex", tmp_path / "sex")
    assert open_folder("sex").path == shipped_folder("sex")
    assert "for the folder of that name give ./sex" in caplog.text
    for mine in ("./sex", Path("sex"), str(tmp_path / "sex")):
        assert open_folder(mine).path.resolve() == tmp_path / "sex"


def test_another_name_is_told_which_there_are() -> None:
    with pytest.raises(DataError, match="shipped with trialtune \\(sex, stop-reasons\\)"):
        open_folder("stop-reason")


@pytest.mark.parametrize("damage", ["cut", "missing", "changed", "no sums"])
def test_a_damaged_file_is_named(tmp_path, monkeypatch, damage) -> None:
    home = tmp_path / "models"
    for name in shipped_names():
        shutil.copytree(shipped_folder(name), home / name)
    monkeypatch.setattr(shipped, "_home", lambda: home)
    folder = home / "sex"
    graph, decision = folder / "model.onnx", folder / "decision.json"
    if damage == "cut":
        graph.write_bytes(graph.read_bytes()[:-1000])
    elif damage == "missing":
        graph.unlink()
    elif damage == "changed":
        decision.write_text(decision.read_text().replace("review", "reviev"))
    else:
        (folder / "SHA256SUMS").unlink()
    with pytest.raises(DataError, match="reinstall it"):
        open_folder("sex")


def test_without_the_package_no_name_is_known(monkeypatch) -> None:
    monkeypatch.setattr(shipped, "_home", lambda: None)
    with pytest.raises(DataError, match="none is installed"):
        open_folder("sex")
