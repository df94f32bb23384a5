"""Parallel work in processes: results in order, with only a few in memory at a time."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any, TypeVar

from trialtune.errors import DataError

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 3  # items queued per worker, so that a slow one does not leave the others idle


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Generator[Result, None, None]:
    """`function` of each item, in the items' order; `function`, items and results must pickle.

    A single worker is this process. More are spawned rather than forked, since the threads
    of Polars and of the tokeniser do not survive a fork: a script must guard its entry point with
    `if __name__ == "__main__":`. Raises DataError when a worker dies.
    """
    if workers == 1:
        yield from map(function, items)
        return
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_prepare, initargs=(function,)
    )
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(_call, item))
            if len(waiting) == _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process died, most often for lack of memory; use fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare(function: Callable[[Any], Any]) -> None:
    """Initialize a worker: one thread, ignoring Ctrl-C, which the parent handles."""
    _Worker.function = function
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End the worker when its parent is killed, which cannot end it."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


class _Worker:
    function: Callable[[Any], Any]  # set once per worker, not sent with every item


def _call(item: Any) -> Any:
    return _Worker.function(item)
