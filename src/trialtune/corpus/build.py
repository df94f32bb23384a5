"""Build a corpus folder: documents of a snapshot, tokenised and packed, with a held-out part."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import polars as pl
import pyarrow as pa
from transformers import PreTrainedTokenizerFast

from trialtune.corpus.documents import COLUMNS
from trialtune.corpus.folder import DESCRIPTION, TRIALS, Corpus
from trialtune.corpus.settings import CorpusSettings
from trialtune.corpus.shards import BlockWriter
from trialtune.corpus.tokenize import TRIALS_SCHEMA, Encoder
from trialtune.errors import DataError
from trialtune.files import atomic_folder, fingerprint
from trialtune.registry.readers.parquet import open_parquet
from trialtune.registry.snapshot.read import scan_snapshot, snapshot_file
from trialtune.workers import in_order

_CHUNK_ROWS = 128  # about a tenth of a second of work for a worker, and 20 MB of memory


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerFast) -> str:
    """SHA-256 of the tokeniser's vocabulary and rules: two equal ones give the same ids."""
    rules = json.loads(tokenizer.backend_tokenizer.to_str())
    del rules["truncation"], rules["padding"]  # the last call's options, not the tokeniser's
    return fingerprint(rules)


def build_corpus(
    snapshot: Path | pl.DataFrame,
    tokenizer: PreTrainedTokenizerFast,
    out: Path,
    *,
    settings: CorpusSettings,
    exclude: frozenset[str] = frozenset(),
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Corpus:
    """Write `out/train-*.arrow`, `out/heldout-*.arrow`, `out/trials.parquet` and `out/corpus.json`.

    A snapshot given by its path is streamed: memory does not grow with it. `trials.parquet` lists
    the trials used [nct_id, heldout]. Held-out blocks also record which section of the record each
    token comes from. `exclude` holds NCT ids to leave out (test trials of the tasks); trials
    that the registry withholds have placeholders for texts and are left out too. The result is the
    same bytes for any number of `workers` (processes); with several, a script
    must guard its entry point with `if __name__ == "__main__":`. Raises DataError when no text is left.
    """
    if tokenizer.cls_token_id is None or tokenizer.sep_token_id is None:
        raise DataError(
            f"{tokenizer.name_or_path}: this tokeniser has no [CLS] or [SEP] token, which delimit a block;"
            " set cls_token and sep_token in its tokenizer_config.json to tokens of its vocabulary"
        )
    encoder = Encoder(
        tokenizer.backend_tokenizer.to_str(),
        tokenizer.sep_token_id,
        settings.heldout,
        settings.seed,
        exclude,
    )
    size, special = settings.block_size, (tokenizer.cls_token_id, tokenizer.sep_token_id)
    read = [pl.DataFrame(schema=TRIALS_SCHEMA)]
    empty = excluded = withheld = 0
    workers = max(1, min(workers, count_rows(snapshot) // _CHUNK_ROWS))
    with (
        atomic_folder(out) as folder,
        closing(in_order(encoder, chunks(snapshot), workers=workers)) as encoded,
    ):
        with (
            BlockWriter(folder, "train", size=size, special=special) as train,
            BlockWriter(folder, "heldout", size=size, special=special, sections=True) as heldout,
        ):
            for chunk in encoded:
                train.add(chunk.train)
                heldout.add(chunk.heldout, chunk.sections)
                read.append(chunk.trials)
                empty, excluded = empty + chunk.empty, excluded + chunk.excluded
                withheld += chunk.withheld
                if progress:
                    progress(chunk.rows)
        trials = pl.concat(read).sort("heldout", maintain_order=True)
        held = int(trials["heldout"].sum())
        if not train.blocks or not heldout.blocks:
            raise DataError(
                f"{out}: {len(trials) - held} training, {held} held-out documents; "
                "both are needed: use a larger snapshot or another held-out share"
            )
        corpus = Corpus(
            documents=len(trials) - held,
            empty=empty,
            excluded=excluded,
            withheld=withheld,
            heldout_documents=held,
            blocks=train.blocks,
            tokens=train.tokens,
            heldout_blocks=heldout.blocks,
            heldout_tokens=heldout.tokens,
            block_size=size,
            tokenizer=tokenizer.name_or_path,
            tokenizer_sha256=tokenizer_fingerprint(tokenizer),
            settings=settings.model_dump(),
        )
        trials.write_parquet(folder / TRIALS)
        corpus.save(folder / DESCRIPTION)
        tokenizer.save_pretrained(folder / "tokenizer")
    return corpus


def count_rows(snapshot: Path | pl.DataFrame) -> int:
    """Rows of a snapshot; raises DataError when the file is not one."""
    frame = scan_snapshot(snapshot) if isinstance(snapshot, Path) else snapshot.lazy()
    return int(frame.select(pl.len()).collect().item())


def chunks(snapshot: Path | pl.DataFrame) -> Iterator[pl.DataFrame]:
    """A snapshot a few rows at a time, and only the columns used in documents."""
    if isinstance(snapshot, pl.DataFrame):
        columns = [name for name in COLUMNS if name in snapshot.columns]
        yield from snapshot.select(columns).iter_slices(_CHUNK_ROWS)
        return
    path = snapshot_file(snapshot)
    try:
        with open_parquet(path) as file:
            for batch in file.iter_batches(_CHUNK_ROWS, columns=list(COLUMNS)):
                yield pl.DataFrame(batch)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read to the end ({error}); import it again") from error
