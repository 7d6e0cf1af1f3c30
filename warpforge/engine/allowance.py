"""The allowance: how long the actions of one command may go on, all together. When it is over, none runs any more."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, Timer
from time import monotonic
from typing import Final


class Allowance:
    """Of a command that ``began`` then (monotonic). ``stop`` ends all boxes, also those that have not begun."""

    def __init__(self, began: float, stop: Callable[[], None]) -> None:
        self._began: Final = began
        self._stop = stop
        self._lock: Final = Lock()
        self._timer: Timer | None = None
        self.over = 0.0  # the seconds that it was, once it is over

    def hold(self, seconds: float) -> None:
        """An action begins: nothing may go on after so many seconds; 0: for ever. The first word counts."""
        with self._lock:
            if seconds and self._timer is None:
                self._timer = Timer(max(0.0, self._began + seconds - monotonic()), self._end, [seconds])
                self._timer.daemon = True
                self._timer.start()

    def close(self) -> None:
        """Nothing runs any more; may be called again."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()

    def _end(self, seconds: float) -> None:
        self.over = seconds
        self._stop()
