"""Texts of many askers are scored together, and everyone gets the answers to their own."""

import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialtune.evaluation.decision import Decided
from trialtune.server.batcher import Answer, Batcher, ClosedError, QueueFullError


class Numbers:
    """Answers a text with the number that it is; can be held up."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.go = threading.Event()
        self.go.set()

    def __call__(self, texts) -> Decided:
        self.go.wait(10)
        self.sizes.append(len(texts))
        rows = np.array([[float(text)] for text in texts])
        return Decided(rows, rows > 0, rows[:, 0] > 0)


@pytest.fixture
def numbers() -> Numbers:
    return Numbers()


@pytest.fixture
def batcher(numbers):
    made = Batcher(numbers, most_tokens=32, capacity=200, tokens=64)
    yield made
    numbers.go.set()
    made.close()


def hold_up(batcher: Batcher, numbers: Numbers):
    """Stop the worker at a text of its own, so that what follows waits."""
    numbers.go.clear()
    held = batcher.submit(["7"])
    while batcher.waiting:
        time.sleep(0.001)
    return held


def test_no_thread_sleeps_while_texts_wait() -> None:
    both = threading.Barrier(2, timeout=10)

    def decide(texts) -> Decided:
        both.wait()  # returns when two batches are scored at a time
        rows = np.array([[float(text)] for text in texts])
        return Decided(rows, rows > 0, rows[:, 0] > 0)

    batcher = Batcher(decide, most_tokens=32, capacity=200, tokens=8, threads=2)
    assert len(batcher.submit([str(number) for number in range(8)]).result(20)) == 8
    batcher.close()


@pytest.mark.parametrize("threads", [1, 3])
def test_each_gets_their_own_in_order(numbers, threads) -> None:
    batcher = Batcher(numbers, most_tokens=32, capacity=200, tokens=64, threads=threads, remembered=50)

    def ask(first: int) -> bool:
        texts = [str(first + step) for step in range(first % 5 + 1)]
        answers = batcher.submit(texts).result(20)
        return [answer.probabilities[0] for answer in answers] == [float(text) for text in texts]

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(300)))
    assert max(numbers.sizes) <= 64 // 2
    batcher.close()


def test_what_waits_goes_together_up_to_the_budget(batcher, numbers) -> None:
    held = hold_up(batcher, numbers)
    asked = [batcher.submit([str(number)]) for number in range(50)]
    numbers.go.set()
    assert [future.result(10)[0].probabilities[0] for future in asked] == list(range(50))
    assert held.result(10) and numbers.sizes == [1, 32, 18]


def test_a_full_queue_refuses_and_what_is_given_up_makes_room(batcher, numbers) -> None:
    hold_up(batcher, numbers)
    first = batcher.submit(["1"] * 150)
    with pytest.raises(QueueFullError) as full:
        batcher.submit(["2"] * 51)
    assert full.value.retry_after >= 1
    first.cancel()
    second = batcher.submit(["2"] * 51)
    numbers.go.set()
    assert len(second.result(10)) == 51
    with pytest.raises(CancelledError):
        first.result()
    assert sum(numbers.sizes) == 52


def test_what_was_asked_before_is_remembered(numbers) -> None:
    repeats: list[int] = []
    batcher = Batcher(numbers, most_tokens=32, capacity=4, remembered=3, repeated=repeats.append)
    first = batcher.submit(["1", "2", "3"]).result(10)
    again = batcher.submit(["3", "1", "2", "3", "1"]).result(10)  # needs no place in the queue
    assert again == [first[2], first[0], first[1], first[2], first[0]]
    assert (sum(numbers.sizes), sum(repeats)) == (3, 5)
    mixed = batcher.submit(["4", "1"]).result(10)  # now 2 was asked the longest ago, and goes
    assert [answer.probabilities for answer in mixed] == [[4], [1]]
    batcher.submit(["3", "1", "2"]).result(10)
    assert (sum(numbers.sizes), sum(repeats)) == (5, 8)
    batcher.close()


def test_long_texts_are_not_remembered(numbers) -> None:
    batcher = Batcher(numbers, most_tokens=32, capacity=4, remembered=3)
    for _ in range(2):
        assert batcher.submit(["0" * 2000 + "7"]).result(10)[0].probabilities == [7]
    assert sum(numbers.sizes) == 2
    batcher.close()


@given(
    rows=st.lists(
        st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=3, max_size=3), min_size=1, max_size=5
    )
)
def test_answers_name_their_labels_in_their_order(rows) -> None:
    found = np.array(rows, dtype=float)
    decided = Decided(found[..., 0].astype(np.float32), found[..., 1] > 0, found[:, 0, 1] > 0)
    for row, answer in enumerate(Answer.of(decided)):
        assert answer.labels == decided.labels[row].nonzero()[0].tolist()
        assert answer.probabilities == pytest.approx(decided.probabilities[row], abs=1e-6)
        assert answer.needs_review == decided.needs_review[row]


def test_a_text_that_breaks_the_model_fails_alone(batcher, numbers) -> None:
    hold_up(batcher, numbers)
    good, bad = batcher.submit(["1"]), batcher.submit(["2", "not a number"])
    numbers.go.set()
    assert good.result(10)[0].probabilities[0] == 1
    with pytest.raises(ValueError, match="not a number"):
        bad.result(10)
    assert batcher.submit(["3"]).result(10)


def test_closing_answers_what_was_accepted(numbers) -> None:
    batcher = Batcher(numbers, most_tokens=32, capacity=200)
    hold_up(batcher, numbers)
    asked = [batcher.submit([str(number)]) for number in range(20)]
    threading.Timer(0.1, numbers.go.set).start()
    batcher.close()
    assert [future.result(0)[0].probabilities[0] for future in asked] == list(range(20))
    with pytest.raises(ClosedError):
        batcher.submit(["1"])
