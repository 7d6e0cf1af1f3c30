"""Spreading work over processes: for work that is Python's own, which threads do not make faster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


def spread(function: Callable[[Work], Result], chunks: Sequence[Work], *, jobs: int, least: int) -> Iterator[Result]:
    """What a function of a module gives for each chunk, in order; by ``jobs`` processes from ``least`` chunks on."""
    if len(chunks) < least or jobs == 1:
        yield from map(function, chunks)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        yield from pool.map(function, chunks)
