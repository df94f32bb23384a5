"""Tokenizers are read as their files have them, and marks that somebody wrote in a text are text."""

import base64
import importlib.util
import json
import shutil
import struct
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import AutoModelForMaskedLM, DebertaV2Tokenizer
from transformers.convert_slow_tokenizer import import_protobuf

from trialtune.classifier.classifier import Classifier
from trialtune.corpus.tokenize import Encoder as CorpusEncoder
from trialtune.errors import DataError, UsageError
from trialtune.models.encoders import Encoder
from trialtune.models.tokenizer import read_tokenizer
from trialtune.models.tokens import encode

PIECES = [
    *("[PAD]", "[CLS]", "[SEP]", "[UNK]"),
    *(f"▁{unit}" for unit in ("kg/m2", "109/L", "1")),
    *"▁kgm/L0129⁄",
]
CHANGES = {"²": "2", "⁹": "9", "½": "1⁄2"}


def charsmap(changes: dict[str, str]) -> bytes:
    """Replacements as sentencepiece stores them: a double array of the UTF-8 bytes, and the new texts."""
    nodes: dict[bytes, int] = {b"": 0}
    for key in changes:
        for end in range(1, len(key.encode()) + 1):
            nodes.setdefault(key.encode()[:end], len(nodes))
    base = {node: 256 * (place + 1) for node, place in nodes.items()}
    units = [0] * (256 * (len(nodes) + 1))
    units[0] = base[b""] << 10
    texts, starts = b"", {}
    for key, new in changes.items():
        starts[key.encode()], texts = len(texts), texts + new.encode() + b"\0"
    for node in nodes:
        if node:
            ends, place = node in starts, base[node[:-1]] + node[-1]
            units[place] = node[-1] | ends << 8 | (place ^ base[node]) << 10
            if ends:
                units[base[node]] = starts[node] | 1 << 31
    trie = struct.pack(f"<{len(units)}I", *units)
    return struct.pack("<I", len(trie)) + trie + texts


def published(folder: Path, config) -> Path:
    """A DeBERTa-v3 as its makers publish it: a sentencepiece model and no tokenizer.json."""
    AutoModelForMaskedLM.from_config(config).save_pretrained(folder)
    model = import_protobuf().ModelProto()
    for place, piece in enumerate(PIECES):
        kind = 2 if piece == "[UNK]" else 3 if place < 4 else 1
        model.pieces.add(piece=piece, score=-1.0 if len(piece) > 1 else -5.0, type=kind)
    model.trainer_spec.model_type, model.trainer_spec.unk_id = 1, 3
    model.normalizer_spec.precompiled_charsmap = charsmap(CHANGES)
    (folder / "spm.model").write_bytes(model.SerializeToString())
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False, "vocab_type": "spm"}))
    return folder


def test_a_normaliser_that_transformers_leaves_out_of_a_file_is_put_back(
    small_config, tmp_path, caplog
) -> None:
    folder = published(tmp_path / "e", small_config("deberta-v2"))
    made = DebertaV2Tokenizer(vocab=[(piece, -1.0) for piece in PIECES], unk_id=3)
    made.save_pretrained(folder)
    assert made.unk_token_id in made("kg/m²").input_ids
    stored = json.loads((folder / "tokenizer.json").read_text())
    read = Tokenizer.from_str(json.dumps(stored))
    precompiled = {
        "type": "Precompiled",
        "precompiled_charsmap": base64.b64encode(charsmap(CHANGES)).decode(),
    }
    stored["normalizer"]["normalizers"].insert(0, precompiled)
    (folder / "tokenizer.json").write_text(json.dumps(stored))
    tokenizer = Encoder.open(folder).tokenizer
    assert "drops the normaliser in its files" in caplog.text
    for written, meant in (("kg/m²", "kg/m2"), ("10⁹/L", "109/L"), ("½", "1⁄2")):
        assert tokenizer(written).input_ids == tokenizer(meant).input_ids
        assert tokenizer.unk_token_id not in tokenizer(written).input_ids
        assert read.token_to_id("[UNK]") in read.encode(written).ids
    tokenizer.save_pretrained(tmp_path / "again")
    assert read_tokenizer(tmp_path / "again")("½").input_ids == tokenizer("½").input_ids


def test_a_sentencepiece_model_opens_with_its_normaliser(small_config, tmp_path, caplog) -> None:
    folder = published(tmp_path / "e", small_config("deberta-v2"))
    if importlib.util.find_spec("sentencepiece") is None:
        with pytest.raises(
            UsageError, match=r"spm\.model: to read this tokeniser, pip install sentencepiece"
        ):
            read_tokenizer(folder)
        return
    tokenizer = Encoder.open(folder).tokenizer
    assert "drops the normaliser in its files" in caplog.text
    assert tokenizer("kg/m²").tokens() == ["[CLS]", "▁kg/m2", "[SEP]"]
    assert tokenizer("10⁹/L").tokens() == ["[CLS]", "▁109/L", "[SEP]"]
    assert tokenizer.unk_token_id not in tokenizer("½").input_ids
    assert tokenizer.mask_token_id == len(PIECES)


def test_a_mark_that_somebody_wrote_is_text(tiny_encoder, tiny_tokenizer, make_classifier, tmp_path) -> None:
    tokenizer = Encoder.open(tiny_encoder).tokenizer
    text = "dose [MASK] and [SEP] of [PAD]"
    special = set(tokenizer.all_special_ids)
    [ids] = encode([text], tokenizer, max_length=64)
    assert [place for place, index in enumerate(ids) if index in special] == [0, len(ids) - 1]
    assert tokenizer.decode(ids[1:-1]).replace(" ", "") == text.lower().replace(" ", "")
    packed = CorpusEncoder(tokenizer.backend_tokenizer.to_str(), 3, 0.1, 1, frozenset())
    assert packed.encode([text])[0].ids == ids[1:-1]
    folder = make_classifier("stop-reasons", tmp_path / "c")
    tokenizer.save_pretrained(folder)
    predictor = Classifier.from_pretrained(folder).opened.predictor()
    assert predictor.tokenizer.encode(text).ids == ids
    again = read_tokenizer(folder)
    again.save_pretrained(tmp_path / "plain")  # plain transformers reads an exported folder alike
    assert type(again).from_pretrained(tmp_path / "plain")(text).input_ids == ids


def test_a_tokenizer_that_cannot_be_read(tiny_encoder, tmp_path) -> None:
    folder = Path(shutil.copytree(tiny_encoder, tmp_path / "e"))
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(DataError, match=r"its tokeniser cannot be read .*copy it again"):
        read_tokenizer(folder)
