"""Which text an annotator gets next: a given mix of random, uncertain and rare ones, or a list in order."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from trialtune.annotation.pool import Item, Pool
from trialtune.annotation.settings import LISTED, RANDOM, WAYS, DrawSettings
from trialtune.dataset.answers import Answer, Key

Rankings = Mapping[str, Sequence[int]]  # uncertain, rare -> positions in the pool, the best first


@dataclass(frozen=True)
class Drawn:
    """A text, how it was drawn, and those drawn before it whose wording was answered already."""

    item: Item | None  # None when every text is answered
    way: str
    repeated: tuple[Item, ...] = ()


@dataclass
class Given:
    """What an annotator has answered, kept up to date."""

    by_key: dict[Key, Answer] = field(default_factory=dict)
    by_wording: dict[str, Answer] = field(default_factory=dict)
    at_random: set[Key] = field(default_factory=set)

    def add(self, answer: Answer) -> None:
        """Take a later answer into account."""
        self.by_key[answer.key] = answer
        self.by_wording[answer.key[1]] = answer
        if answer.drawn == RANDOM:
            self.at_random.add(answer.key)


class Draws:
    """The order of a pool for one annotator: a function of the seed, the answers and the model's rankings.

    What is drawn at random is always a simple random sample of the pool's rows, without replacement,
    whatever else was answered: a trial whose wording was answered already gets the same answer and is
    part of the sample (`Drawn.repeated`).
    """

    def __init__(self, pool: Pool, settings: DrawSettings, annotator: str) -> None:
        self._pool, self._settings = pool, settings
        self._annotator = zlib.crc32(annotator.encode())
        # One order is shared by all annotators, the other is this annotator's own.
        self._orders = [_Order(pool, settings.seed, stream) for stream in (0, self._annotator)]
        self._listed = 0  # positions before it are answered

    def next(self, given: Given, rankings: Rankings) -> Drawn:
        """The next text, given the answers so far."""
        if self._pool.listed:
            return self._next_listed(given)
        chance = np.random.default_rng((self._settings.seed, self._annotator, len(given.by_key)))
        way = str(chance.choice(WAYS, p=[self._settings.share(way) for way in WAYS]))
        ranked = (place for place in rankings.get(way, ()) if self._is_new(place, given))
        if way != RANDOM and (place := next(ranked, None)) is not None:
            return Drawn(self._pool[place], way)
        # Without a model, and when it has no new candidates, the draw is random.
        everyones = way == RANDOM and chance.random() * self._settings.share(RANDOM) < self._settings.shared
        first, second = self._orders if everyones else self._orders[::-1]
        drawn = first.next(given)
        return drawn if drawn.item or first is self._orders[1] else second.next(given)

    def _is_new(self, place: int, given: Given) -> bool:
        return self._pool[place].key[1] not in given.by_wording

    def _next_listed(self, given: Given) -> Drawn:
        while self._listed < len(self._pool):
            item = self._pool[self._listed]
            if item.key not in given.by_key:
                return Drawn(item, LISTED)
            self._listed += 1
        return Drawn(None, LISTED)


class _Order:
    """A random order of a pool's positions, and how much of it has been used."""

    def __init__(self, pool: Pool, seed: int, stream: int) -> None:
        self._pool = pool
        self._places = np.random.default_rng((seed, stream)).permutation(len(pool))
        self._reached = 0

    def next(self, given: Given) -> Drawn:
        repeated: list[Item] = []
        for position in range(self._reached, len(self._places)):
            item = self._pool[int(self._places[position])]
            if item.key in given.at_random:
                self._reached += not repeated
            elif item.key[1] in given.by_wording:
                repeated.append(item)
            else:
                return Drawn(item, RANDOM, tuple(repeated))
        return Drawn(None, RANDOM, tuple(repeated))
