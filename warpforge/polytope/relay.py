"""The engine's voice in a job: what it runs for a step is told in the step's log."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from warpforge.engine.events import Event, Reporter, StepFinished, StepOutput
from warpforge.polytope.runner import Runner


class Relay(Reporter):
    """Hears the engine for the one step that uses it now. ``hit``: whether what ran last was remembered."""

    def __init__(self) -> None:
        self.hit = False
        self._runner: Runner | None = None
        self._rest = b""
        self._lock = threading.Lock()

    @contextmanager
    def to(self, runner: Runner) -> Iterator[None]:
        """What the engine does in here is this step's. Others wait until it has ended."""
        with self._lock:
            self._runner, self._rest, self.hit = runner, b"", False
            try:
                yield
                self._flush()
            finally:
                self._runner = None

    def tell(self, event: Event) -> None:
        if self._runner is None:
            return
        if isinstance(event, StepOutput):
            *lines, self._rest = (self._rest + event.data).split(b"\n")
            for line in lines:
                self._runner.log("info", line.decode("utf-8", "replace"))
        elif isinstance(event, StepFinished):
            self._flush()
            self.hit = event.hit

    def _flush(self) -> None:
        """The last line, if it had no end."""
        if self._rest and self._runner is not None:
            self._runner.log("info", self._rest.decode("utf-8", "replace"))
        self._rest = b""
