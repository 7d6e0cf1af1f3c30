"""The board: which stretch is taken next, and what was found, put together in the order of the archive.

Most frames end where a member ends, so the next stretch is given out before the last is done. Only before a frame
as large as a piece of a large content is it waited for: its members tell whether that content begins there.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from .stretch import Deviation, Large, Stretch, place_after
from .table import FRAME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from .fileset import Digests
    from .table import Frame

    class Hand(Protocol):
        """Somebody who takes stretches."""

        def stretch(self, frame: int, offset: int) -> Stretch: ...

        def large(self, large: Large) -> Digests: ...

    # a stretch, or a large content with its hashes
    Found = Stretch | tuple[Large, Digests]


class Task(NamedTuple):
    """One thing to do: a stretch from a place on, or a large content. ``number``: its order in the archive."""

    number: int
    frame: int
    offset: int
    large: Large | None = None

    def do(self, hand: Hand) -> Found:
        """Have it done. Raises Deviation."""
        if self.large is None:
            return hand.stretch(self.frame, self.offset)
        return self.large, hand.large(self.large)


class Board:
    """Gives tasks to whoever asks, from several threads; ``take`` is given what was found, in order, one at a time."""

    def __init__(self, table: Sequence[Frame], take: Callable[[Found], None]) -> None:
        self._table = table
        self._take = take
        self._change = threading.Condition()
        self._place: tuple[int, int] | None = (0, 0)  # of the next stretch; None: the latest will tell
        self._contents: deque[Task] = deque()
        self._found: dict[int, Found] = {}
        self._given = self._taken = 0
        self._latest = -1  # stretch
        self._ended = False
        self._error: BaseException | None = None

    def work(self, hand: Hand) -> None:
        """Do tasks until there are none, or somebody failed."""
        try:
            while (task := self._next()) is not None:
                self._done(task, task.do(hand))
        except BaseException as error:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Nothing more is to be done."""
        with self._change:
            self._error = self._error or error
            self._change.notify_all()

    def finish(self) -> None:
        """When everybody has stopped: raises what went wrong, Deviation too."""
        if self._error is not None:
            raise self._error
        if not self._ended:
            raise Deviation

    def _next(self) -> Task | None:
        with self._change:
            while self._error is None:
                if self._contents:
                    return self._contents.popleft()
                if self._place is not None and self._place[0] < len(self._table):
                    return self._begin(*self._place)
                if self._taken == self._given:
                    return None
                self._change.wait()
            return None

    def _begin(self, frame: int, offset: int) -> Task:
        task = Task(self._number(), frame, offset)
        following = frame + 1
        is_known = following == len(self._table) or self._table[following].unpacked != FRAME
        self._place = (following, 0) if is_known else None
        self._latest = task.number
        return task

    def _number(self) -> int:
        self._given += 1
        return self._given - 1

    def _done(self, task: Task, found: Found) -> None:
        with self._change:
            if isinstance(found, Stretch):
                self._go_on(task, found)
            self._found[task.number] = found
            while self._taken in self._found:
                self._take(self._found.pop(self._taken))
                self._taken += 1
            self._change.notify_all()

    def _go_on(self, task: Task, found: Stretch) -> None:
        """What a stretch tells about what comes behind it."""
        if found.ended:
            if task.frame != len(self._table) - 1:
                raise Deviation
            self._ended = True
        will_tell = self._place is None and task.number == self._latest
        if found.large is not None:
            if not will_tell:
                raise Deviation
            self._contents.append(Task(self._number(), task.frame, task.offset, found.large))
            self._place = place_after(self._table, found.large)
        elif will_tell:
            self._place = (task.frame + 1, 0)
