"""Synthetic stop reasons for teachers to label: real ones joined, framed, shortened and shuffled."""

from collections import Counter
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Composed:
    """A synthetic reason, and the rows of the pool that it is composed of."""

    text: str
    parents: tuple[int, ...]


def compose(pool: pl.DataFrame, count: int, seed: int) -> list[Composed]:
    """`count` distinct synthetic reasons from a pool (`text`, `labels`), with wordings not in it.

    The result has no labels. Rare labels are drawn more often, by the inverse square root of
    how often each is given. The same pool and seed give the same texts.
    """
    rng, texts = Random(seed), pool["text"].to_list()
    given = Counter(label for labels in pool["labels"] for label in labels)
    weights = [max((given[label] ** -0.5 for label in labels), default=0.0) for labels in pool["labels"]]
    drawn = iter(rng.choices(range(len(texts)), weights, k=6 * count))
    parents: list[int] = []

    def take() -> str:
        parents.append(next(drawn))
        return str(texts[parents[-1]])

    planned = iter(plan_labels(2 * count, rng))
    makers = {
        "joined": lambda: _joined([take(), take()], rng),
        "three": lambda: _joined([take() for _ in range(3)], rng),
        "framed": lambda: rng.choice(FRAMES).format(_lowered(take().rstrip(" ."), rng)),
        "stirred": lambda: _stirred(take(), rng),
        "bank": lambda: write_reason(next(planned), rng.randrange(2005, 2026), rng).text,
    }
    met = set(map(normalize_text, texts))
    found: list[Composed] = []
    while len(found) < count:
        parents.clear()
        [kind] = rng.choices(list(SHARES), list(SHARES.values()))
        text = " ".join(makers[kind]().split())
        wording = normalize_text(text)
        if wording and wording not in met and len(text) <= LONGEST:
            met.add(wording)
            found.append(Composed(text, tuple(parents)))
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
