"""Scores an encoder, with or without an adapter, as a masked language model."""

from pathlib import Path

import torch

from trialtune.corpus.masking import Masker
from trialtune.errors import DataError
from trialtune.evaluation.mlm import TextScores, mlm_metrics
from trialtune.models.adapters import find_adapter, merge_adapter
from trialtune.models.encoders import Encoder
from trialtune.models.mlm import HEAD_FILE, MaskedLM, load_head, load_masked_lm
from trialtune.stages.adapt import read_texts


def score_mlm(
    corpus: Path, encoder: Encoder | Path | str, *, adapter: Path | str | None = None, eval_blocks: int = 300
) -> TextScores:
    """Accuracy, loss and perplexity on the held-out text of `corpus`, in total and by section.

    The masks are those used by `adapt`; the arithmetic is fp32 and attention spans
    whole blocks, so the scores differ only by bf16 rounding. Raises DataError when neither the
    encoder nor the adapter has a masked-language-model head.
    """
    encoder = Encoder.open(encoder)
    texts = read_texts(corpus, encoder, heldout_blocks=eval_blocks)
    folder = find_adapter(adapter) if adapter else None
    model, has_head = load_masked_lm(encoder)
    if not has_head and not (folder and (folder / HEAD_FILE).is_file()):
        raise DataError(
            f"encoder {encoder.name!r} has no masked-language-model head, and no adapter with "
            f"{HEAD_FILE} is given; train one with `trialtune adapt`"
        )
    if folder:
        model = merge_adapter(model, folder)
        load_head(model, folder)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return mlm_metrics(MaskedLM(model.eval().to(device)), texts.heldout, Masker.of(texts.tokenizer))
