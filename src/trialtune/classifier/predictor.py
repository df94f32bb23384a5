"""Texts to probabilities: each distinct text once, in batches of like length."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from trialtune.classifier.backends import Backend
from trialtune.classifier.windows import MOST_WINDOWS, Windows, cut_into_windows, token_batches
from trialtune.evaluation.decision import to_probabilities

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_LEAST_TOKENS = 256  # of a batch: below this, overhead exceeds computation


class Predictor:
    """A model and its tokenizer, ready to score texts; `labels` is the order of the probabilities."""

    def __init__(
        self,
        backend: Backend,
        tokenizer: "Tokenizer",
        *,
        pad_id: int,
        labels: Sequence[str],
        kind: str,
        max_length: int,
    ) -> None:
        """Takes ownership of the tokenizer: sets its truncation."""
        self.tokenizer = cut_into_windows(tokenizer, max_length)
        self.backend, self.max_length = backend, max_length
        self.labels, self.kind, self._pad_id = list(labels), kind, pad_id

    def probabilities(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Probabilities, float32 [texts, labels]; sigmoid for multi-label, softmax for multi-class.

        A text of more than `max_length` tokens is split into windows: see `Windows.join`. `progress`
        is called with numbers of finished texts.
        """
        places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        order = np.array([places[text] for text in texts], dtype=np.int64)
        windows = self.windows(list(places))
        logits = self.scores(windows, ends=windows.ends(np.bincount(order)), progress=progress)
        return to_probabilities(windows.join(logits, kind=self.kind), self.kind)[order]

    def windows(self, texts: Sequence[str]) -> Windows:
        """Texts as model inputs."""
        return Windows.of(texts, self.tokenizer)

    def scores(
        self, windows: Windows, *, ends: np.ndarray, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """The model's output for each distinct window, float32 [windows, labels].

        `ends` is how many texts end in each, for `progress`.
        """
        scores = np.empty((len(windows.distinct), len(self.labels)), dtype=np.float32)
        batches = token_batches(windows.distinct, self._pad_id, tokens=self._tokens(windows))
        for rows, scored in self.backend.score(batches):
            scores[rows] = scored
            if progress:
                progress(int(ends[rows].sum()))
        return scores

    def read_part(self, text: str) -> str:
        """`text` without what follows the last window used."""
        room = self.max_length - self.tokenizer.num_special_tokens_to_add(False)
        if len(text.encode()) <= MOST_WINDOWS * room:  # a token has a byte at least
            return text
        encoding = self.tokenizer.encode(text)
        windows = [encoding, *encoding.overflowing]
        if len(windows) <= MOST_WINDOWS:
            return text
        return text[: max(end for _, end in windows[MOST_WINDOWS - 1].offsets)]

    def _tokens(self, windows: Windows) -> int:
        """Tokens per batch, small enough that a few texts keep every worker busy."""
        all_tokens = sum(map(len, windows.distinct))
        return max(_LEAST_TOKENS, min(self.backend.tokens, -(-all_tokens // self.backend.workers)))
