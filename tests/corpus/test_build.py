"""A corpus folder: counts add up, the held-out part is apart, excluded trials stay out."""

import bisect
import subprocess
import sys

import polars as pl
import pytest
import torch

from trialtune.corpus.blocks import read_blocks
from trialtune.corpus.build import build_corpus, tokenizer_fingerprint
from trialtune.corpus.documents import NO_SECTION, SECTION_NAMES, compose
from trialtune.corpus.folder import Corpus, corpus_trials
from trialtune.corpus.settings import CorpusSettings
from trialtune.corpus.tokenize import is_heldout
from trialtune.errors import DataError
from trialtune.registry.snapshot.build import import_trials

SETTINGS = CorpusSettings(block_size=32, heldout=0.2)


def snapshot(count: int) -> pl.DataFrame:
    titles = [f"study {n} of slow cancer" if n % 10 else "" for n in range(count)]
    return pl.DataFrame({"nct_id": [f"NCT{n:08d}" for n in range(count)], "brief_title": titles})


def test_counts_add_up_and_nothing_is_lost(tmp_path, tiny_tokenizer) -> None:
    excluded = frozenset({"NCT00000003", "NCT00000004"})
    corpus = build_corpus(snapshot(200), tiny_tokenizer, tmp_path / "c", settings=SETTINGS, exclude=excluded)
    assert corpus.documents + corpus.heldout_documents + corpus.empty + corpus.excluded == 200
    assert (corpus.excluded, corpus.empty) == (2, 20)
    assert corpus == Corpus.read(tmp_path / "c")
    blocks = read_blocks(tmp_path / "c", "train", pad_id=0)
    seen = "".join(tiny_tokenizer.decode(row) for row in blocks.head(len(blocks)).input_ids)
    kept = [n for n in range(200) if n % 10 and n not in (3, 4)]
    trained = [n for n in kept if not is_heldout(f"NCT{n:08d}", 0.2, SETTINGS.seed)]
    assert corpus.documents == len(trained)
    joined = seen.replace("[CLS]", "").replace("[SEP]", "").replace("##", "").replace(" ", "")
    for n in trained:
        assert f"study{n}ofslowcancer" in joined
    for n in set(kept) - set(trained):
        assert f"study{n}ofslowcancer" not in joined


def test_trials_that_the_registry_withholds_stay_out(tmp_path, tiny_tokenizer) -> None:
    placeholder = "[Trial of device that is not approved or cleared by the U.S. FDA]"
    rows = snapshot(200).with_columns(overall_status=pl.lit("COMPLETED")).to_dicts()
    rows[1] |= {"brief_title": placeholder, "overall_status": "WITHHELD"}
    rows[2] |= {"brief_title": placeholder, "overall_status": None}
    rows[3] |= {"brief_title": "[Redacted]"}
    rows[4] |= {"brief_title": "slow", "overall_status": "WITHHELD"}
    rows[5] |= {"brief_title": "[Redacted] is a word that a title may hold"}
    source = tmp_path / "trials.jsonl"
    pl.DataFrame(rows).write_ndjson(source)
    import_trials(source, tmp_path / "snapshot.parquet")
    for number, given in enumerate((pl.DataFrame(rows), tmp_path / "snapshot.parquet")):
        corpus = build_corpus(given, tiny_tokenizer, tmp_path / str(number), settings=SETTINGS)
        counted = corpus.documents + corpus.heldout_documents + corpus.empty + corpus.withheld
        assert (corpus.withheld, counted) == (4, 200 if number == 0 else 180)
        read = pl.read_parquet(tmp_path / str(number) / "trials.parquet")["nct_id"]
        assert {n for n in range(6) if f"NCT{n:08d}" in set(read)} == {5}


def test_heldout_tokens_know_their_section(tmp_path, tiny_tokenizer) -> None:
    rows = [
        {
            "nct_id": f"NCT{n:08d}",
            "brief_title": "slow cancer",
            "brief_summary": "the trial was stopped",
            "conditions": ["diabetes", "cancer"],
        }
        for n in range(60)
    ]
    build_corpus(pl.DataFrame(rows), tiny_tokenizer, tmp_path / "c", settings=SETTINGS)
    stored = read_blocks(tmp_path / "c", "heldout", pad_id=0)
    blocks = stored.head(len(stored))
    assert blocks.section_ids.shape == blocks.input_ids.shape
    special = torch.isin(blocks.input_ids, torch.tensor(tiny_tokenizer.all_special_ids))
    assert torch.equal(blocks.section_ids == NO_SECTION, special)
    for name, text in {
        "Title": "title: slow cancer",
        "Summary": "summary: the trial was stopped",
        "Conditions": "conditions: diabetes; cancer",
    }.items():
        spelled = tiny_tokenizer(text, add_special_tokens=False)["input_ids"]
        found = blocks.input_ids[blocks.section_ids == SECTION_NAMES.index(name)].tolist()
        assert found == spelled * (len(found) // len(spelled))
        assert found
    assert read_blocks(tmp_path / "c", "train", pad_id=0).head(1).section_ids is None


def test_growth_never_moves_a_trial_between_parts() -> None:
    before = {f"NCT{n:08d}": is_heldout(f"NCT{n:08d}", 0.05, 13) for n in range(2000)}
    assert 60 < sum(before.values()) < 140
    wider = [is_heldout(nct_id, 0.10, 13) for nct_id, heldout in before.items() if heldout]
    assert all(wider)


def test_too_little_text_is_an_error_and_leaves_no_folder(tmp_path, tiny_tokenizer) -> None:
    with pytest.raises(DataError, match="larger snapshot"):
        build_corpus(snapshot(1), tiny_tokenizer, tmp_path / "c", settings=SETTINGS)
    assert list(tmp_path.iterdir()) == []


def test_fingerprint_ignores_call_options(tiny_tokenizer) -> None:
    before = tokenizer_fingerprint(tiny_tokenizer)
    tiny_tokenizer(["a", "b c"], truncation=True, padding=True, max_length=8)
    assert tokenizer_fingerprint(tiny_tokenizer) == before


@pytest.fixture(scope="module")
def real(shared_data, tmp_path_factory):
    """A snapshot of 600 real trials, of every origin."""
    folder = tmp_path_factory.mktemp("real")
    pl.read_parquet(shared_data / "trials.parquet").gather_every(31).write_parquet(folder / "trials.parquet")
    import_trials(folder / "trials.parquet", folder / "snapshot.parquet")
    return folder / "snapshot.parquet"


def test_blocks_equal_those_made_plainly(real, tiny_tokenizer, pack, tmp_path) -> None:
    trials = pl.read_parquet(real)
    excluded = frozenset(trials["nct_id"].gather_every(10))
    build_corpus(real, tiny_tokenizer, tmp_path / "c", settings=SETTINGS, exclude=excluded)
    for part in ("train", "heldout"):
        ids, sections, read = [], [], []
        for record in trials.to_dicts():
            held = is_heldout(record["nct_id"], SETTINGS.heldout, SETTINGS.seed)
            document = compose(record)
            if record["nct_id"] in excluded or held != (part == "heldout") or not document.text:
                continue
            plain = tiny_tokenizer(document.text, add_special_tokens=False, return_offsets_mapping=True)
            starts, kinds = zip(*document.sections, strict=True)
            places = [bisect.bisect_right(starts, begin) for begin, _ in plain["offset_mapping"]]
            ids.append(plain["input_ids"])
            sections.append([kinds[place - 1] for place in places])
            read.append(record["nct_id"])
        stored = read_blocks(tmp_path / "c", part, pad_id=tiny_tokenizer.pad_token_id)
        found = stored.head(len(stored))
        special = tiny_tokenizer.cls_token_id, tiny_tokenizer.sep_token_id
        made = [row[mask.bool()] for row, mask in zip(found.input_ids, found.attention_mask, strict=True)]
        assert [row.tolist() for row in made] == pack(ids, SETTINGS.block_size, *special)
        if part == "train":
            assert corpus_trials(tmp_path / "c")["nct_id"].to_list() == read
        else:
            kinds = [
                row[mask.bool()] for row, mask in zip(found.section_ids, found.attention_mask, strict=True)
            ]
            expected = pack(sections, SETTINGS.block_size, NO_SECTION, NO_SECTION)
            assert [row.tolist() for row in kinds] == expected


def test_any_number_of_workers_and_any_source_give_the_same_bytes(real, tiny_tokenizer, tmp_path) -> None:
    seen: list[int] = []
    settings = CorpusSettings(block_size=128)
    build_corpus(real, tiny_tokenizer, tmp_path / "one", settings=settings)
    build_corpus(real, tiny_tokenizer, tmp_path / "two", settings=settings, workers=2, progress=seen.append)
    build_corpus(pl.read_parquet(real), tiny_tokenizer, tmp_path / "frame", settings=settings)
    first, *others = (
        {file.name: file.read_bytes() for file in (tmp_path / name).rglob("*") if file.is_file()}
        for name in ("one", "two", "frame")
    )
    assert {"train-00000.arrow", "heldout-00000.arrow", "trials.parquet", "corpus.json"} < first.keys()
    assert others == [first, first]
    assert sum(seen) == len(pl.read_parquet(real))


def test_a_file_that_is_no_snapshot_is_told(tmp_path, tiny_tokenizer) -> None:
    pl.DataFrame({"nct_id": ["NCT00000001"]}).write_parquet(tmp_path / "x.parquet")
    for name in ("x.parquet", "missing.parquet"):
        with pytest.raises(DataError, match="registry import"):
            build_corpus(tmp_path / name, tiny_tokenizer, tmp_path / "c", settings=SETTINGS)
    with pytest.raises(DataError, match="larger snapshot"):
        build_corpus(snapshot(0), tiny_tokenizer, tmp_path / "c", settings=SETTINGS)
    assert not (tmp_path / "c").exists()


KILLED = """
import sys, time
from pathlib import Path
from transformers import AutoTokenizer
from trialtune.corpus.build import build_corpus
from trialtune.corpus.settings import CorpusSettings

def wait(rows):
    print("working", flush=True)
    time.sleep(60)

source, tokenizer, out = map(Path, sys.argv[1:])
build_corpus(source, AutoTokenizer.from_pretrained(tokenizer), out, settings=CorpusSettings(), progress=wait)
"""


def test_a_killed_build_leaves_the_former_corpus_as_it_was(real, tiny_tokenizer, tmp_path) -> None:
    out = tmp_path / "c"
    build_corpus(snapshot(200), tiny_tokenizer, out, settings=SETTINGS)
    tiny_tokenizer.save_pretrained(tmp_path / "tokenizer")
    before = Corpus.read(out)
    command = [sys.executable, "-c", KILLED, real, tmp_path / "tokenizer", out]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as building:
        assert building.stdout is not None
        assert building.stdout.readline() == b"working\n"
        building.kill()
    assert Corpus.read(out) == before
    assert len(read_blocks(out, "train", pad_id=0)) == before.blocks
    assert build_corpus(real, tiny_tokenizer, out, settings=SETTINGS) == Corpus.read(out)
