"""Spreading work over processes: for work that is Python's own, which threads do not make faster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


def spread(function: Callable[[Work], Result], chunks: Sequence[Work], *, jobs: int, least: int) -> Iterator[Result]:
    """What a function of a module gives for each chunk, in order; by ``jobs`` processes from ``least`` chunks on.

    Whoever interrupts the command from its terminal interrupts all of its processes at once: the others are deaf to it,
    and end with the chunk that they have when this one does.
    """
    if len(chunks) < least or jobs == 1:
        yield from map(function, chunks)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context
    from signal import SIG_BLOCK, SIG_SETMASK, SIGHUP, SIGINT, pthread_sigmask

    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        before = pthread_sigmask(SIG_BLOCK, (SIGINT, SIGHUP))  # which those that are started now keep
        try:
            try:
                found = pool.map(function, chunks)
            finally:
                pthread_sigmask(SIG_SETMASK, before)  # here is where one that came meanwhile is heard
            yield from found
        finally:
            pool.shutdown(cancel_futures=True)
