"""The engine's voice in a job: what it runs for a step is told in the step's log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from warpforge.engine.events import Event, Reporter, StepFinished, StepOutput
from warpforge.errors import WarpforgeError
from warpforge.polytope.containers.lines import Lines
from warpforge.polytope.runner import Interrupted, Runner

_TURN: Final = 0.1  # seconds between two looks whether the step is to stop


class Voice(Reporter):
    """What the engine does for one step. ``hit``: whether what ran last was remembered."""

    def __init__(self, runner: Runner) -> None:
        self.hit = False
        self._runner = runner
        self._lines = Lines(self._log)

    def tell(self, event: Event) -> None:
        if isinstance(event, StepOutput):
            self._lines.feed(event.stream, event.data)
        elif isinstance(event, StepFinished):
            self.flush()
            self.hit = event.hit

    def flush(self) -> None:
        """The last lines, if they had no end."""
        self._lines.end()

    def _log(self, line: str) -> None:
        """Whoever watches hears that the step is told to stop; the engine's threads do not."""
        with suppress(Interrupted):
            self._runner.log("info", line)


@contextmanager
def speaking(runner: Runner, stop: Callable[[], None]) -> Iterator[Voice]:
    """What the engine does in here is this step's. ``stop`` is called when the step is told to stop.

    Errors: Interrupted, then.
    """
    done, is_stopped = threading.Event(), threading.Event()

    def watch() -> None:
        try:
            while not done.wait(_TURN):
                runner.sleep(0)
        except Interrupted:
            is_stopped.set()
            stop()

    voice = Voice(runner)
    watcher = threading.Thread(target=watch, name="watch", daemon=True)
    watcher.start()
    try:
        yield voice
        voice.flush()
    except WarpforgeError as error:
        if is_stopped.is_set():
            raise Interrupted from error
        raise
    finally:
        done.set()
        watcher.join()


class Relay(Reporter):
    """Hears the engine itself, for the one step that uses all of it now."""

    def __init__(self) -> None:
        self._voice: Voice | None = None
        self._lock = threading.Lock()

    @contextmanager
    def to(self, runner: Runner, stop: Callable[[], None]) -> Iterator[None]:
        """As ``speaking``; others wait until it has ended."""
        with self._lock, speaking(runner, stop) as self._voice:
            try:
                yield
            finally:
                voice, self._voice = self._voice, None
                if voice is not None:
                    voice.flush()

    def tell(self, event: Event) -> None:
        voice = self._voice
        if voice is not None:
            voice.tell(event)
