"""Workers: as many tasks at once as there are jobs, each in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from queue import SimpleQueue

# The interpreter minds a signal only between two steps of the main thread: one that comes right before a wait without
# an end, or that the kernel gives to another thread, would not be minded until something else happens.
TICK: Final = 0.2
Work = TypeVar("Work")
Made = TypeVar("Made")


class Workers(Generic[Work, Made]):
    """At most ``count`` tasks at once; results, or what was raised, come back through one queue."""

    def __init__(self, count: int, work: Callable[[Work], Made]) -> None:
        self._count = count
        self._work = work
        self._queue: SimpleQueue[tuple[Work, Made | BaseException]] | None = None
        self.running = 0

    @property
    def free(self) -> bool:
        """Whether one more may begin."""
        return self.running < self._count

    def start(self, work: Work) -> None:
        """Begin one."""
        from queue import SimpleQueue
        from threading import Thread

        if self._queue is None:
            self._queue = SimpleQueue()
        queue = self._queue

        def run() -> None:
            try:
                queue.put((work, self._work(work)))
            except BaseException as error:
                queue.put((work, error))

        self.running += 1
        Thread(target=run, daemon=True).start()

    def wait(self, timeout: float | None = None) -> tuple[Work, Made | BaseException]:
        """The next one that ended. Raises queue.Empty when the time is over."""
        from queue import Empty

        assert self._queue is not None and self.running
        while True:
            try:
                done = self._queue.get(timeout=TICK if timeout is None else timeout)
            except Empty:
                if timeout is None:
                    continue
                raise
            self.running -= 1
            return done

    def drain(self, patience: float) -> None:
        """Wait for those that still run, but no longer than this many seconds."""
        from queue import Empty
        from time import monotonic

        until = monotonic() + patience
        try:
            while self.running:
                self.wait(max(0.0, until - monotonic()))
        except Empty:
            pass
