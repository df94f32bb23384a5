"""Packing done plainly, to hold the quick way against."""

from collections.abc import Callable

import pytest

Pack = Callable[..., list[list[int]]]


@pytest.fixture(scope="session")
def pack() -> Pack:
    """`pack(documents, size, first, last)`: every block as a list of ids."""

    def plainly(documents: list[list[int]], size: int, first: int, last: int) -> list[list[int]]:
        stream = [token for document in documents for token in (*document, last)]
        bodies = (stream[start : start + size - 2] for start in range(0, len(stream), size - 2))
        return [[first, *body, last] for body in bodies]

    return plainly
