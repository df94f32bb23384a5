"""Workers read their pieces of a file themselves: the same bytes as the process that tells them where."""

import json
import pickle
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialtune.errors import DataError
from trialtune.files import HashedFile, sha256_of
from trialtune.registry.readers import json_studies
from trialtune.registry.readers.file_block import FileBlock
from trialtune.registry.readers.source import open_source, read_chunks

CONTENTS = st.lists(st.sampled_from(["a", "b" * 70, ""]), min_size=1, max_size=12)
ENDS = st.lists(st.sampled_from(["\n", "\r\n", "\r"]), min_size=12, max_size=12)


@given(CONTENTS, ENDS, st.sampled_from(["", "\ufeff"]))
@settings(max_examples=60)
def test_pieces_are_the_same_wherever_they_are_read(texts: list[str], ends: list[str], mark: str) -> None:
    lines = [json.dumps({"nct_id": f"NCT{n:08d}", "text": f"x{text}"}) for n, text in enumerate(texts)]
    content = (mark + "".join(line + end for line, end in zip(lines, ends, strict=False))).encode()
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_studies, "_CHUNK", 50)
        # A line this long is passed over; it ends at "\n" only.
        patch.setattr(json_studies, "LONGEST_LINE", 300)
        path = Path(folder) / "a.jsonl"
        path.write_bytes(content)
        chunks = list(read_chunks(open_source(path)))
        pieces = [chunk.content for chunk in chunks if isinstance(chunk.content, FileBlock)]
        assert pieces or any("too long" in str(row.reason) for chunk in chunks for row in chunk.rows())
        for chunk in chunks:
            assert list(pickle.loads(pickle.dumps(chunk)).rows()) == list(chunk.rows())
        for piece in pieces:
            assert pickle.loads(pickle.dumps(piece)).held is None
            assert content[piece.offset :].startswith(bytes(piece))
        assert len(pickle.dumps(pieces)) < 200 * (len(pieces) + 1)


def test_a_file_cut_short_meanwhile_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"0123456789")
    piece = pickle.loads(pickle.dumps(FileBlock(path, 4, 5, b"45678")))
    assert bytes(piece) == b"45678"
    path.write_bytes(b"012345")
    with pytest.raises(DataError, match=r"a\.jsonl: the file was truncated while being read"):
        bytes(piece)


def test_what_was_read_is_not_hashed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, twin = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    for file in (path, twin):
        file.write_bytes(bytes(range(256)) * 1_000)
    with HashedFile(path) as file:
        assert file.read(10) == bytes(range(10))
    with HashedFile(path) as file:
        assert len(file.read()) == 256_000
    expected = sha256_of(twin)
    monkeypatch.setattr("hashlib.file_digest", None)
    assert sha256_of(path) == expected
    with HashedFile(twin) as file:  # not read to its end, but known from before
        file.read(10)
    assert sha256_of(twin) == expected
