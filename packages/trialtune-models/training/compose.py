"""Made-up stop reasons for a teacher to answer: joined, framed, shortened and stirred real ones.

    python compose.py POOL.parquet --out composed.parquet --seed 1

POOL has `text` and `labels`. No label is assumed of what comes out: it holds texts alone, each once,
none of them in POOL. The same pool and seed give the same texts. Rare labels are drawn more often,
by the inverse square root of how often each is given.
"""

import argparse
from collections import Counter
from pathlib import Path
from random import Random

import polars as pl

from trialtune.registry.sample.stop_reasons import plan_labels, write_reason
from trialtune.tasks.text import normalize_text

LONGEST = 250  # characters that the registry's field takes
SHARES = {"joined": 0.4, "three": 0.06, "framed": 0.14, "stirred": 0.25, "bank": 0.15}
JOINTS = (
    ". ",
    "; ",
    ", ",
    " and ",
    " & ",
    " / ",
    ", and ",
    "; also ",
    ". Also, ",
    " as well as ",
    " - ",
    " due to ",
    ", because of ",
    ", leading to ",
    ", which led to ",
    " resulting from ",
    " + ",
    ". In addition, ",
    " combined with ",
    ", in the context of ",
    " rather than ",
)
FRAMES = (
    "The study was terminated due to {}.",
    "Study was stopped because of {}",
    "The sponsor decided to stop: {}",
    "Terminated early ({})",
    "Withdrawn prior to enrollment: {}",
    "Due to {}",
    "Suspended: {}",
    "Trial halted prematurely because {}",
    "{} No safety concerns were identified.",
    "{} The decision was not related to safety.",
    "{} There were no new safety signals.",
    "{} Not due to safety or efficacy.",
    "Not because of {}",
    "DSMB recommendation: {}",
    "Per IDMC recommendation, {}",
    "{} (no patients were enrolled)",
    "{} The study may resume later.",
    "Business decision; {}",
    "After an interim analysis: {}",
    "{} during the COVID-19 pandemic",
    "PI decision: {}",
    "The decision to discontinue was based on {}",
    "Study closed by the sponsor; {}",
    "temporarily halted, {}",
)


def compose(pool: pl.DataFrame, count: int, seed: int) -> list[str]:
    """`count` distinct made-up reasons, none of which is in the pool by its wording."""
    rng, texts = Random(seed), pool["text"].to_list()
    given = Counter(label for labels in pool["labels"] for label in labels)
    weights = [max((given[label] ** -0.5 for label in labels), default=0.0) for labels in pool["labels"]]
    drawn = iter(rng.choices(texts, weights, k=6 * count))
    met = set(map(normalize_text, texts))
    found: list[str] = []
    planned = iter(plan_labels(2 * count, rng))
    makers = {
        "joined": lambda: _joined([next(drawn), next(drawn)], rng),
        "three": lambda: _joined([next(drawn) for _ in range(3)], rng),
        "framed": lambda: rng.choice(FRAMES).format(_lowered(next(drawn).rstrip(" ."), rng)),
        "stirred": lambda: _stirred(next(drawn), rng),
        "bank": lambda: write_reason(next(planned), rng.randrange(2005, 2026), rng).text,
    }
    while len(found) < count:
        [kind] = rng.choices(list(SHARES), list(SHARES.values()))
        text = " ".join(makers[kind]().split())
        wording = normalize_text(text)
        if wording and wording not in met and len(text) <= LONGEST:
            met.add(wording)
            found.append(text)
    return found


def _joined(parts: list[str], rng: Random) -> str:
    first, *others = (part.rstrip(" .") for part in parts)
    for other in others:
        joint = rng.choice(JOINTS)
        first += joint + (other if joint.startswith(".") else _lowered(other, rng))
    return first + rng.choice((".", ""))


def _lowered(text: str, rng: Random) -> str:
    lowered = len(text) > 1 and text[1].islower() and rng.random() < 0.8
    return text[0].lower() + text[1:] if lowered else text


def _stirred(text: str, rng: Random) -> str:
    """Some words dropped, and perhaps two neighbours swapped."""
    words = [word for word in text.split() if rng.random() > 0.15] or text.split()
    if len(words) > 2 and rng.random() < 0.4:
        place = rng.randrange(len(words) - 1)
        words[place], words[place + 1] = words[place + 1], words[place]
    return " ".join(words)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("pool", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    texts = compose(pl.read_parquet(options.pool), options.count, options.seed)
    pl.DataFrame({"text": texts}).write_parquet(options.out)
    print(f"{len(texts):,} made-up reasons in {options.out}")


if __name__ == "__main__":
    main()
