"""Files and folders appear whole or not at all, and nobody's files are swept away."""

import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from trialtune.errors import DataError, UsageError
from trialtune.files import atomic_file, atomic_folder, fingerprint, folder_digest, read_json, write_json


def test_a_file_that_fails_halfway_leaves_the_old_one(tmp_path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.txt", "old")]


def test_a_folder_is_replaced_as_a_whole(tmp_path) -> None:
    path = tmp_path / "out"
    for content in ("first", "second"):
        with atomic_folder(path) as folder:
            (folder / f"{content}.txt").write_text(content)
    assert [file.name for file in path.iterdir() if not file.name.startswith(".")] == ["second.txt"]
    with pytest.raises(RuntimeError), atomic_folder(path):
        raise RuntimeError
    assert (path / "second.txt").read_text() == "second"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_folder_of_the_users_own_is_never_replaced(tmp_path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="not written by"), atomic_folder(tmp_path):
        pass
    with pytest.raises(UsageError, match="is a file"), atomic_folder(tmp_path / "thesis.txt"):
        pass
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_checkpoints_alone_make_a_folder_ours(tmp_path) -> None:
    (tmp_path / "out" / "checkpoints").mkdir(parents=True)
    with atomic_folder(tmp_path / "out") as folder:
        (folder / "done.txt").write_text("done")
    assert not (tmp_path / "out" / "checkpoints").exists()


def test_json_round_trip_and_broken_json(tmp_path) -> None:
    write_json(tmp_path / "a.json", {"text": "≥ 18"})
    assert read_json(tmp_path / "a.json") == {"text": "≥ 18"}
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DataError, match=r"a\.json"):
        read_json(tmp_path / "a.json")


def test_digests_follow_contents(tmp_path) -> None:
    (tmp_path / "config.json").write_text("{}")
    before = fingerprint(folder_digest(tmp_path))
    (tmp_path / "step.json").write_text("{}")
    assert fingerprint(folder_digest(tmp_path)) == before
    (tmp_path / "config.json").write_text("{ }")
    assert fingerprint(folder_digest(tmp_path)) != before


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_what_is_written_follows_the_umask(umask, mode, tmp_path) -> None:
    before = os.umask(umask)
    try:
        with atomic_folder(tmp_path / "out") as folder:
            save_file({"a": torch.ones(1)}, folder / "model.safetensors")  # which makes it private
            (folder / "part").mkdir()
            save_file({"a": torch.ones(1)}, folder / "part" / "model.safetensors")
        with atomic_file(tmp_path / "one.safetensors") as path:
            save_file({"a": torch.ones(1)}, path)
    finally:
        os.umask(before)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) == 4 and {file.stat().st_mode & 0o777 for file in files} == {mode}


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path) -> None:
    code = "import sys, os, signal, pathlib; from trialtune.files import atomic_folder\n"
    code += "with atomic_folder(pathlib.Path(sys.argv[1])) as f: os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")], check=False)
    [left] = tmp_path.iterdir()
    assert left.name.startswith(".out.") and left.name.endswith(".tmp")
    others = [tmp_path / f".out.{os.getppid()}.tmp", tmp_path / ".out.notes.tmp", tmp_path / ".outer.1.tmp"]
    for other in others:
        other.mkdir()
    with atomic_folder(tmp_path / "out"):
        pass
    assert set(tmp_path.iterdir()) == {tmp_path / "out", *others}
