"""Build a corpus folder: documents of a snapshot, tokenised and packed, with a held-out part."""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import Field
from transformers import PreTrainedTokenizerFast

from trialtune.corpus.blocks import pack, write_blocks
from trialtune.corpus.documents import NO_SECTION, Document, documents
from trialtune.errors import DataError
from trialtune.files import atomic_folder, fingerprint, read_json, write_json
from trialtune.settings import Settings

_TRIALS = "trials.parquet"
_TOKENISER_BATCH = 512  # documents a call: enough to keep every core of the Rust tokeniser busy


class CorpusSettings(Settings):
    """How a snapshot becomes blocks."""

    block_size: int = Field(128, ge=16, le=8192, description="tokens a block, [CLS] and [SEP] included")
    heldout: float = Field(0.05, gt=0, lt=1, description="share of trials kept out of training, to score on")
    seed: int = 13


@dataclass(frozen=True)
class Corpus:
    """What `corpus.json` says of a corpus folder."""

    documents: int
    empty: int
    excluded: int
    heldout_documents: int
    blocks: int
    tokens: int
    heldout_blocks: int
    heldout_tokens: int
    block_size: int
    tokenizer: str
    tokenizer_sha256: str
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "Corpus":
        """Read a corpus folder's description; raises DataError when it is not one."""
        if not (folder / "corpus.json").is_file():
            raise DataError(f"{folder}: not a corpus folder; make one with `trialtune corpus build`")
        return cls(**read_json(folder / "corpus.json"))


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerFast) -> str:
    """SHA-256 of the tokeniser's vocabulary and rules: two equal ones give the same ids."""
    rules = json.loads(tokenizer.backend_tokenizer.to_str())
    del rules["truncation"], rules["padding"]  # the last call's options, not the tokeniser's
    return fingerprint(rules)


def is_heldout(nct_id: str, share: float, seed: int) -> bool:
    """Whether a trial belongs to the held-out part: by a hash of its id, so growth never moves it."""
    digest = hashlib.blake2b(f"{seed}:{nct_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64 < share


def corpus_trials(folder: Path) -> pl.DataFrame | None:
    """The trials whose text a corpus folder trains on [nct_id]; None for a folder of an older version."""
    path = folder / _TRIALS
    return pl.read_parquet(path).filter(~pl.col("heldout")).select("nct_id") if path.is_file() else None


def build_corpus(
    snapshot: pl.DataFrame,
    tokenizer: PreTrainedTokenizerFast,
    out: Path,
    *,
    settings: CorpusSettings,
    exclude: frozenset[str] = frozenset(),
    progress: Callable[[int], None] | None = None,
) -> Corpus:
    """Write `out/train.parquet`, `out/heldout.parquet`, `out/trials.parquet` and `out/corpus.json`.

    `trials.parquet` says whose text was read [nct_id, heldout]. Held-out blocks also say which
    section of the record each token comes from. `exclude` holds NCT ids that must not be read (test
    trials of the tasks). Raises DataError when no text is left.
    """
    counts = {"documents": 0, "empty": 0, "excluded": 0, "heldout_documents": 0}
    read: list[tuple[str, bool]] = []

    def chosen(heldout: bool) -> Iterator[Document]:
        for document in documents(snapshot.iter_rows(named=True)):
            if is_heldout(document.nct_id, settings.heldout, settings.seed) != heldout:
                continue
            if document.nct_id in exclude:
                counts["excluded"] += 1
            elif not document.text:
                counts["empty"] += 1
            else:
                counts["heldout_documents" if heldout else "documents"] += 1
                read.append((document.nct_id, heldout))
                yield document
            if progress:
                progress(1)

    def packed(tokens: Iterable[list[int]], cls_id: int, sep_id: int) -> Iterator[list[int]]:
        return pack(tokens, block_size=settings.block_size, cls_id=cls_id, sep_id=sep_id)

    special = (tokenizer.cls_token_id, tokenizer.sep_token_id)
    with atomic_folder(out) as folder:
        training = tokenise((document.text for document in chosen(False)), tokenizer)
        sizes = {"train": write_blocks(folder / "train.parquet", packed(training, *special))}
        ids, sections = itertools.tee(tokenise_sections(chosen(True), tokenizer))
        sizes["heldout"] = write_blocks(
            folder / "heldout.parquet",
            packed((tokens for tokens, _ in ids), *special),
            section_ids=packed((kinds for _, kinds in sections), NO_SECTION, NO_SECTION),
        )
        if not sizes["train"][0] or not sizes["heldout"][0]:
            raise DataError(
                f"{out}: {counts['documents']} training, {counts['heldout_documents']} held-out documents; "
                "both are needed: give a larger snapshot or another held-out share"
            )
        corpus = Corpus(
            **counts,
            blocks=sizes["train"][0],
            tokens=sizes["train"][1],
            heldout_blocks=sizes["heldout"][0],
            heldout_tokens=sizes["heldout"][1],
            block_size=settings.block_size,
            tokenizer=tokenizer.name_or_path,
            tokenizer_sha256=tokenizer_fingerprint(tokenizer),
            settings=settings.model_dump(),
        )
        trials = pl.DataFrame(read, schema={"nct_id": pl.String, "heldout": pl.Boolean}, orient="row")
        trials.write_parquet(folder / _TRIALS)
        write_json(folder / "corpus.json", asdict(corpus))
        tokenizer.save_pretrained(folder / "tokenizer")
    return corpus


def tokenise(texts: Iterable[str], tokenizer: PreTrainedTokenizerFast) -> Iterator[list[int]]:
    """Token ids of each text, without special tokens; batches run on all cores in Rust."""
    texts = iter(texts)
    while batch := list(itertools.islice(texts, _TOKENISER_BATCH)):
        yield from _encode(tokenizer, batch)["input_ids"]


def tokenise_sections(
    texts: Iterable[Document], tokenizer: PreTrainedTokenizerFast
) -> Iterator[tuple[list[int], list[int]]]:
    """Token ids of each document, and for each token the section that it comes from."""
    texts = iter(texts)
    while batch := list(itertools.islice(texts, _TOKENISER_BATCH)):
        encoded = _encode(tokenizer, [document.text for document in batch], return_offsets_mapping=True)
        for document, ids, offsets in zip(
            batch, encoded["input_ids"], encoded["offset_mapping"], strict=True
        ):
            starts = [start for start, _ in document.sections]
            kinds = np.array([NO_SECTION, *(kind for _, kind in document.sections)])
            places = np.searchsorted(starts, [begin for begin, _ in offsets], side="right")
            yield ids, kinds[places].tolist()


def _encode(tokenizer: PreTrainedTokenizerFast, texts: list[str], **options: Any) -> Any:
    return tokenizer(
        texts,
        add_special_tokens=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
        **options,
    )
