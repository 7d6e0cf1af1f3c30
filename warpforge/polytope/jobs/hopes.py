"""What a step may hope for that lacks stored values: that the code of another step stores them.

A file's author writes the step that loads the configuration beside those that use it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from warpforge.polytope.calls.resolve import NotStored
from warpforge.polytope.jobs.schedule import Schedule
from warpforge.polytope.jobs.step import StepRunner
from warpforge.polytope.jobs.work import Author, Work

PAUSES: Final = 5


class Hopes:
    """``changed``: guards the schedule, and is told whenever it changes."""

    def __init__(self, schedule: Schedule, changed: threading.Condition) -> None:
        self._schedule = schedule
        self._changed = changed
        self._waiting: set[str] = set()
        self._barren: set[str] = set()
        self.news = 0

    def stored(self) -> None:
        """Something has been stored, or a step has ended."""
        with self._changed:
            self.news += 1
            self._changed.notify_all()

    def barren(self, step: str) -> None:
        """This one is a container: it stores nothing, and may run for ever."""
        with self._changed:
            self._barren.add(step)
            self.news += 1
            self._changed.notify_all()

    def open(self, runner: StepRunner, author: Author, wait: Callable[[], None]) -> Work:
        """What a step does, as soon as what it speaks of is stored, if another step may still store it.

        ``wait``: for a moment, or until something happens. Errors: as ``Author.open``; Interrupted.
        """
        told = is_hopeless = False
        while True:
            news = self.news
            try:
                return author.open(runner.step, runner)
            except NotStored as error:
                if is_hopeless:
                    raise
                why = error.message

            def pause(why: str = why) -> None:
                nonlocal told
                if not told:
                    runner.log("info", f"waits for another step: {why}")
                told = True
                runner.go_on()
                wait()

            is_hopeless = not self._wait(runner.id, news, pause)

    def _wait(self, step: str, news: int, pause: Callable[[], None]) -> bool:
        """Until it is worth while to look again, which after some pauses it is: somebody may store it from elsewhere;
        whether there was anything to wait for.

        ``news``: what it was before this step looked. ``pause``: waits for a moment, or until something happens; what
        it raises ends this.
        """
        with self._changed:
            self._waiting.add(step)
        try:
            for _ in range(PAUSES):
                with self._changed:
                    if self.news != news:
                        return True
                    if not self._schedule.has_others(self._waiting, self._barren):
                        return False
                pause()
            return True
        finally:
            with self._changed:
                self._waiting.discard(step)
