"""Workers: as many tasks at once as there are jobs, each in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from warpforge.fsx.whole import whole

if TYPE_CHECKING:
    from queue import SimpleQueue

    from warpforge.store.stay import Stay

# The interpreter minds a signal only between two steps of the main thread: one that comes right before a wait without
# an end, or that the kernel gives to another thread, would not be minded until something else happens.
TICK: Final = 0.2
Work = TypeVar("Work")
Made = TypeVar("Made")


class Workers(Generic[Work, Made]):
    """At most ``count`` tasks at once; results, or what was raised, come back through one queue.

    Each thread is in the store on its own, and whoever waits for them is away.
    """

    def __init__(self, count: int, work: Callable[[Work], Made], stay: Stay | None = None) -> None:
        self._count = count
        self._work = work
        self._stay = stay
        self._queue: SimpleQueue[tuple[Work, Made | BaseException]] | None = None
        self.running = 0

    @property
    def free(self) -> bool:
        """Whether one more may begin."""
        return self.running < self._count

    @whole
    def start(self, work: Work) -> None:
        """Begin one."""
        from queue import SimpleQueue
        from threading import Thread

        if self._queue is None:
            self._queue = SimpleQueue()
        queue = self._queue

        def run() -> None:
            done: tuple[Work, Made | BaseException]
            try:
                done = (work, self._work(work))
            except BaseException as error:
                done = (work, error)
            if self._stay is not None:
                self._stay.go()
            queue.put(done)

        if self._stay is not None:
            self._stay.come()
        self.running += 1
        Thread(target=run, daemon=True).start()

    def wait(self, timeout: float | None = None) -> tuple[Work, Made | BaseException]:
        """The next one that ended. Raises queue.Empty when the time is over."""
        from queue import Empty

        from warpforge.store.stay import Away

        assert self._queue is not None and self.running
        with Away(self._stay):
            while True:
                try:
                    done = self._queue.get(timeout=TICK if timeout is None else timeout)
                    break
                except Empty:
                    if timeout is not None:
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
