"""A chunk of snapshot rows as streams of token ids: composed, cleaned, tokenised."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from trialtune.corpus.documents import NO_SECTION, Document, compose, is_withheld

TRIALS_SCHEMA = {"nct_id": pl.String, "heldout": pl.Boolean}


def is_heldout(nct_id: str, share: float, seed: int) -> bool:
    """Whether a trial belongs to the held-out part: by a hash of its id, so that growth never moves it."""
    digest = hashlib.blake2b(f"{seed}:{nct_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64 < share


@dataclass(frozen=True)
class Encoded:
    """The token ids of a chunk's documents, joined, each document ended by a separator."""

    train: NDArray[np.int32]
    heldout: NDArray[np.int32]
    sections: NDArray[np.int8]  # of `heldout`: the section each token comes from
    trials: pl.DataFrame  # those read: nct_id, heldout
    empty: int
    excluded: int
    withheld: int

    @property
    def rows(self) -> int:
        """Rows of the snapshot that were used."""
        return len(self.trials) + self.empty + self.excluded + self.withheld


@dataclass(frozen=True)
class Encoder:
    """Turns rows into `Encoded`; cheap to pickle for every worker."""

    tokenizer: str  # of the `tokenizers` library, as JSON
    separator: int
    heldout: float
    seed: int
    exclude: frozenset[str] = field(repr=False)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer.from_str(self.tokenizer)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True  # a literal [MASK] in the input is text
        return tokenizer

    def __call__(self, rows: pl.DataFrame) -> Encoded:
        train: list[Document] = []
        heldout: list[Document] = []
        trials = []
        empty = excluded = withheld = 0
        for record in rows.iter_rows(named=True):
            if record["nct_id"] in self.exclude:
                excluded += 1
            elif is_withheld(record):
                withheld += 1
            elif not (document := compose(record)).text:
                empty += 1
            else:
                held = is_heldout(document.nct_id, self.heldout, self.seed)
                (heldout if held else train).append(document)
                trials.append((document.nct_id, held))
        encoded = self._tokenizer.encode_batch(_texts(heldout), add_special_tokens=False)
        kinds = map(_sections, heldout, encoded)
        return Encoded(
            self._joined(each.ids for each in self.encode(_texts(train))),
            self._joined(each.ids for each in encoded),
            _joined(kinds, NO_SECTION, np.int8),
            pl.DataFrame(trials, schema=TRIALS_SCHEMA, orient="row"),
            empty,
            excluded,
            withheld,
        )

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        """Token ids of texts, without special tokens and offsets."""
        return self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)

    def _joined(self, documents: Iterable[list[int]]) -> NDArray[np.int32]:
        return _joined(documents, self.separator, np.int32)


def _texts(documents: Iterable[Document]) -> list[str]:
    return [document.text for document in documents]


def _joined(documents: Iterable[Any], end: int, dtype: Any) -> NDArray[Any]:
    ends = np.array([end], dtype)
    pieces = [piece for each in documents for piece in (np.array(each, dtype), ends)]
    return np.concatenate(pieces) if pieces else np.empty(0, dtype)


def _sections(document: Document, encoding: Encoding) -> NDArray[np.int8]:
    """For each token of a document the section that it begins in."""
    starts = [start for start, _ in document.sections]
    kinds = np.array([NO_SECTION, *(kind for _, kind in document.sections)], np.int8)
    return kinds[np.searchsorted(starts, [begin for begin, _ in encoding.offsets], side="right")]
