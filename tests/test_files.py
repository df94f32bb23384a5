"""Files and folders appear whole or not at all, and nobody's files are swept away."""

import pytest

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
    with pytest.raises(UsageError, match="did not make"), atomic_folder(tmp_path):
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
