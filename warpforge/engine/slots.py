"""Slots: so many actions run at once, however many steps are being worked on.

A step is more than its action: its box is made before, what it left is packed afterwards. Were a slot held all that
time, every slot would stand empty between two actions. So a few steps more are worked on than there are slots, and each
takes its **turn**: it waits for a slot when its box is ready, and gives it back as soon as its action has ended well.
One whose action failed keeps it until somebody has decided whether anything is to begin after that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Condition
from time import monotonic


class NotBegun(Exception):
    """The action was not begun, for nothing is to begin any more. No error of the step."""


class Slots:
    """So many; first come, first served."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._queue: deque[Turn] = deque()
        self._changed = Condition()
        self.closed = False

    def close(self) -> None:
        """Nothing begins any more: who waits, or will, raises NotBegun."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def take(self, turn: Turn) -> None:
        """Wait for a slot. Raises NotBegun."""
        with self._changed:
            self._queue.append(turn)
            try:
                self._changed.wait_for(lambda: self.closed or (self._free and self._queue[0] is turn))
                if self.closed:
                    raise NotBegun
                self._free -= 1
            finally:
                self._queue.remove(turn)
                self._changed.notify_all()

    def give(self) -> None:
        """A slot is free again."""
        with self._changed:
            self._free += 1
            self._changed.notify_all()


class Turn:
    """One step's use of a slot. ``begun`` is called when it has one, right before its action begins.

    ``waited``: the seconds until then, which are no part of what the step took.
    """

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._holds = False
        self.begun: Callable[[], None] = lambda: None
        self.waited = 0.0

    def wait(self) -> None:
        """Until there is a slot. Raises NotBegun."""
        since = monotonic()
        self._slots.take(self)
        self._holds = True
        self.waited = monotonic() - since
        self.begun()

    def over(self, *, well: bool) -> None:
        """The action has ended."""
        if well:
            self.end()

    def end(self) -> None:
        """The step has ended, whatever became of it; may be called again."""
        if self._holds:
            self._holds = False
            self._slots.give()
