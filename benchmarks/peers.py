"""Libraries for near-duplicates and doubtful labels, compared with trialtune's own code.

    near-duplicates    `similar_pairs` against MinHash and MinHashLSH of datasketch, equal hashes and bands
    doubtful labels    `suspects` against find_multilabel_issues_per_class of cleanlab, on the probabilities
                       of a TF-IDF baseline for held-out rows

Needs them, in a separate environment: pip install datasketch cleanlab
python benchmarks/peers.py --data DATA
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class
from datasketch import MinHash, MinHashLSH
from rich.console import Console
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.multiclass import OneVsRestClassifier
from turns import print_machine

from trialtune.dataset.label_arrays import multi_hot
from trialtune.dataset.near_duplicates import similar_pairs
from trialtune.evaluation.label_noise import suspects
from trialtune.tasks.catalog import load_task
from trialtune.tasks.text import normalize_text

Pairs = set[tuple[int, int]]


def timed(work: Callable[..., Any], *given: Any) -> tuple[Any, float]:
    started = time.perf_counter()
    found = work(*given)
    return found, time.perf_counter() - started


def by_datasketch(texts: list[str]) -> Pairs:
    """Pairs that MinHashLSH proposes; how similar they are is still to be computed."""
    grams = [[f" {text} "[at : at + 4].encode() for at in range(len(text) - 1)] or [b" "] for text in texts]
    signed = MinHash.bulk(grams, num_perm=64)
    index = MinHashLSH(num_perm=64, params=(16, 4))
    for place, signature in enumerate(signed):
        index.insert(place, signature)
    met = ((place, other) for place, signature in enumerate(signed) for other in index.query(signature))
    return {(place, other) for place, other in met if place < other}


def by_cleanlab(gold: np.ndarray, probabilities: np.ndarray) -> Pairs:
    """Doubtful (row, label)."""
    rows = [np.flatnonzero(row).tolist() for row in gold]
    issues = find_multilabel_issues_per_class(rows, probabilities, filter_by="confident_learning", n_jobs=1)
    return {(int(row), label) for row, label in zip(*np.nonzero(issues), strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of stop_reasons_*")
    options = parser.parse_args()
    busiest, console = psutil.cpu_percent(interval=1.0), Console(width=110)
    silver = pl.read_parquet(options.data / "stop_reasons_silver.parquet")["text"]
    texts = sorted({normalize_text(text) for text in silver} - {""})
    (pairs, _), ours = timed(similar_pairs, texts)
    proposed, theirs = timed(by_datasketch, texts)
    console.print(
        f"near-duplicates among {len(texts):,} texts: ours {len(pairs):,} pairs in {ours:.1f} s; datasketch"
        f" {len(proposed):,} pairs to be compared in {theirs:.1f} s"
    )
    train = pl.read_parquet(options.data / "stop_reasons_train.parquet").with_row_index("place")
    labels = list(load_task("stop-reasons").labels)
    gold = multi_hot(train["labels"], labels)
    table = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True).fit_transform(train["text"])
    model = OneVsRestClassifier(LogisticRegression(C=10, class_weight="balanced"))
    probabilities = cross_val_predict(model, table, gold, cv=3, method="predict_proba")
    found, ours = timed(suspects, train, probabilities, labels)
    doubted = {(place, labels.index(label)) for place, label in found.select("place", "doubted").rows()}
    same, theirs = timed(by_cleanlab, gold, probabilities)
    alone = [float(probabilities[pair]) for pair in doubted - same]
    console.print(
        f"doubtful labels of {len(train):,} rows: ours {len(doubted):,} in {ours:.1f} s; cleanlab"
        f" {len(same):,} in {theirs:.1f} s, {len(same & doubted):,} of them ours; ours alone: probabilities"
        f" of {min(alone):.2f} to {max(alone):.2f}"
    )
    print_machine(console, busiest)


if __name__ == "__main__":
    main()
